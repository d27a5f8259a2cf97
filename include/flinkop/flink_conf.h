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

/** Readers refuse more keys than this, and longer ones: YAML allows no key of more than 1024
 * characters (ERR_TOO_LARGE). */
#define CONF_MAX_ENTRIES 4096
#define CONF_MAX_KEY 1000

/**
 * Adds a flinkConfiguration as users write it: flat or nested mappings (joined with '.'), any
 * scalar (as its text), arrays (elements joined with ';', quoted where Flink needs it; an object in
 * an array becomes Flink's map text "k:v,k:v"). null members are left out; blanks around keys and
 * line breaks at the end of values (a YAML ">" block leaves one) are dropped.
 * Errors name the field path below `path`, e.g. "spec.flinkConfiguration.a.b".
 */
int conf_add_jv(struct conf *c, jv v, const char *path, struct error *err) MUST_CHECK;
/** flink-conf.yaml as Flink < 2.0 reads it (GlobalConfiguration#loadLegacyYAMLResource): a line is
 * "key: value", '#' anywhere starts a comment, nothing is quoted or escaped; lines of another form
 * are skipped, and a key that comes twice has its last value, as there. */
void conf_add_flat_text(struct conf *c, const char *text);
/** Whether its first line is one that is skipped, and no comment; returns where the next begins. */
const char *conf_flat_line(struct arena *a, const char *text, bool *ret_lost);
/** config.yaml (standard YAML, flat or nested; plain words as kubectl reads them, so that y, yes
 * and on are "true": Flink 2.x leaves those as they are). */
int conf_add_yaml_text(struct conf *c, const char *text, size_t len, struct error *err) MUST_CHECK;

/* ---- typed access: present values must parse; ret is the fallback when absent. Maps and lists are
 * made in the arena of c ---- */

/** The value under the key or one of its older names (Flink's withDeprecatedKeys and
 * withFallbackKeys, and those of the operator's options), or NULL. */
const char *conf_lookup(const struct conf *c, const char *key);
/** The same; ret_found says under which name. NULL: neither. */
const char *conf_lookup_name(const struct conf *c, const char *key, const char **ret_found);
/** Whether Flink hides the value of this key in its logs (GlobalConfiguration#isSensitive); we then
 * do so in messages, events and diffs. */
bool conf_is_sensitive(const char *key);
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
/** A map "k1:v1,k2:v2" (Flink's map type, with quotes and escapes as there, or "{k1: v1}" as Flink
 * 2.x also reads it) as an object of strings. Without the key itself, keys below it are the members
 * ("key.k1" = v1), as in Flink. ABSENT when not set. */
int conf_map(const struct conf *c, const char *key, jv *ret, struct error *err) MUST_CHECK;
/** A list "a;b;c" (Flink's list type, or "[a, b]") as an array of strings; ABSENT when not set. */
int conf_list(const struct conf *c, const char *key, jv *ret, struct error *err) MUST_CHECK;
/** A list of plain words as "a,b", fallback where it is not set. The incumbent's documentation has
 * commas between them, its parser semicolons, and config.yaml may have a list: all count. */
const char *conf_words(const struct conf *c, const char *key, const char *fallback);
/** A list of maps, such as kubernetes.jobmanager.tolerations, as an array of objects. */
int conf_map_list(const struct conf *c, const char *key, jv *ret, struct error *err) MUST_CHECK;

/* ---- rendering ---- */

/** An array of strings as the text of a list that every version of Flink reads exactly as it is:
 * all elements quoted, with ';' between them. Flink 2.x tries YAML first, but a list never begins
 * with a quote there. */
const char *conf_list_text(struct arena *a, jv list);
/** flink-conf.yaml for Flink < 2.0: one "key: value" line each. What that file cannot hold is
 * written as near as possible and never becomes another key: see conf_check_flat. Entries with an
 * empty value are left out (Flink would skip them with a warning). */
void conf_write_flat(struct strbuf *sb, const struct conf *c);
/** Refuses what flink-conf.yaml cannot hold, because Flink < 2.0 would silently read something
 * else: '#' (cuts the value), line breaks, ": " in a key. Errors name the field below path. */
int conf_check_flat(const struct conf *c, const char *path, struct error *err) MUST_CHECK;
/** config.yaml for Flink >= 2.0. Keys stay flat, which it reads like nested ones and which has room
 * for both `a` and `a.b`; every value is quoted where YAML would read it as anything but the string
 * it is, keys that are not UTF-8 are left out. Booleans and whole numbers of env.* stay bare:
 * Flink's start scripts read those as text.
 */
void conf_write_yaml(struct strbuf *sb, const struct conf *c);

#endif
