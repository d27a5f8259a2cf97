/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flink configuration: a flat map from keys to text, kept sorted by key so that equal settings make
 * equal bytes. Lives in an arena.
 *
 * Typed getters read a key, its older names from a table (e.g. state.backend for
 * state.backend.type), or give the fallback; a value that does not parse is an error that names the
 * key, what was found and what would be right.
 */
#ifndef FLINKOP_FLINK_CONF_H
#define FLINKOP_FLINK_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/jv.h"
#include "flinkop/macros.h"

struct arena;
struct error;
struct strbuf;

struct conf_entry {
    const char *key, *value;
};

struct conf {
    struct arena *a;
    struct conf_entry *entries; /* sorted by key, no key twice */
    size_t n, room;
};

#define CONF_INIT(arena) ((struct conf){.a = (arena)})

/** The text under exactly this key, or NULL. */
const char *conf_get(const struct conf *c, const char *key);
/** Copies both strings. */
void conf_set(struct conf *c, const char *key, const char *value);
void conf_setf(struct conf *c, const char *key, const char *fmt, ...) PRINTF(3, 4);
/** Sets it unless it (or an older name of it) is there. */
void conf_default(struct conf *c, const char *key, const char *value);
void conf_remove(struct conf *c, const char *key);
/** Removes every key with this prefix. */
void conf_remove_prefix(struct conf *c, const char *prefix);
/** All of `over` on top of c. */
void conf_merge(struct conf *c, const struct conf *over);
/** A copy in another arena. */
struct conf conf_dup(struct arena *a, const struct conf *c);

/**
 * Adds a flinkConfiguration as users write it: flat or nested mappings (joined with '.'), any
 * scalar (as its text), arrays (elements joined with ';'). null members are left out.
 * Errors name the field path below `path`, e.g. "spec.flinkConfiguration.a.b".
 */
int conf_add_jv(struct conf *c, jv v, const char *path, struct error *err) MUST_CHECK;
/** flink-conf.yaml as Flink < 2.0 reads it (GlobalConfiguration#loadYAMLResource): "key: value"
 * lines, '#' comments; lines of another form are skipped, as there. */
void conf_add_flat_text(struct conf *c, const char *text);
/** config.yaml (standard YAML, flat or nested). */
int conf_add_yaml_text(struct conf *c, const char *text, size_t len, struct error *err) MUST_CHECK;

/* ---- typed access: present values must parse; ret is the fallback when absent ---- */

/** The value under the key or one of its older names, or NULL. */
const char *conf_lookup(const struct conf *c, const char *key);
int conf_int(const struct conf *c, const char *key, int64_t fallback, int64_t *ret,
             struct error *err) MUST_CHECK;
int conf_bool(const struct conf *c, const char *key, bool fallback, bool *ret,
              struct error *err) MUST_CHECK;
int conf_double(const struct conf *c, const char *key, double fallback, double *ret,
                struct error *err) MUST_CHECK;
/** Milliseconds. */
int conf_duration(const struct conf *c, const char *key, int64_t fallback, int64_t *ret,
                  struct error *err) MUST_CHECK;
/** Bytes; fallback -1 for "not set". */
int conf_memory(const struct conf *c, const char *key, int64_t fallback, int64_t *ret,
                struct error *err) MUST_CHECK;
/** A map "k1:v1,k2:v2" (Flink's map type, with quotes and escapes as there) as an object. */
int conf_map(const struct conf *c, const char *key, jv *ret, struct error *err) MUST_CHECK;
/** A list "a;b;c" (Flink's list type) as an array; ABSENT when not set. */
int conf_list(const struct conf *c, const char *key, jv *ret, struct error *err) MUST_CHECK;

/* ---- rendering ---- */

/** flink-conf.yaml: one "key: value" line each, line breaks in values refused beforehand by
 * conf_add_jv. */
void conf_write_flat(struct strbuf *sb, const struct conf *c);
/** config.yaml for Flink >= 2.0: flat keys are legal there; every value is quoted where YAML would
 * read it as anything but the string it is. */
void conf_write_yaml(struct strbuf *sb, const struct conf *c);

#endif
