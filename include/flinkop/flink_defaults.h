/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's own configuration, in the incumbent's form: a flink-conf.yaml or config.yaml whose
 * plain keys are defaults for every cluster, with further layers for namespaces and versions below
 * kubernetes.operator.default-configuration, and options of the operator itself below
 * kubernetes.operator. (FlinkConfigManager, KubernetesOperatorConfigOptions of the incumbent).
 */
#ifndef FLINKOP_FLINK_DEFAULTS_H
#define FLINKOP_FLINK_DEFAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/flink_conf.h"
#include "flinkop/macros.h"

struct arena;
struct error;
struct flink_version;
struct strbuf;

struct flink_defaults;

/**
 * Reads the text of such a file; the name "config.yaml" stands for standard YAML, any other for
 * flink-conf.yaml. (A directory with both: the incumbent reads flink-conf.yaml.) In the arena.
 */
int flink_defaults_read(struct arena *a, const char *file_name, const char *text, size_t len,
                        const struct flink_defaults **ret, struct error *err) MUST_CHECK;

/**
 * The layers for one cluster, from the lowest: the file's keys, those of its namespace, those of
 * "vX_Y+" for every version up to its own, those of exactly its version. defaults may be NULL
 * (nothing configured), version too (no layers of versions). ret gets the result in the arena.
 */
int flink_defaults_for(struct arena *a, const struct flink_defaults *defaults, const char *ns,
                       const struct flink_version *version, struct conf *ret,
                       struct error *err) MUST_CHECK;

/** The text of an operator option as the file has it (under any of its names), or NULL. */
const char *flink_defaults_option(const struct flink_defaults *defaults, const char *key);
/** The file's keys, for the typed readers below; defaults may be NULL. */
struct conf flink_defaults_conf(const struct flink_defaults *defaults);

/* ---- the operator's options ---- */

enum flink_option_type {
    FLINK_OPTION_BOOL,
    FLINK_OPTION_INT,
    FLINK_OPTION_NUMBER,
    FLINK_OPTION_DURATION,
    FLINK_OPTION_TEXT,
    FLINK_OPTION_CHOICE, /* a name of a Java enum, in capitals or not */
    FLINK_OPTION_MAP,
    FLINK_OPTION_ADDRESSES, /* address_list_parse */
};

enum flink_option_scope {
    OPTION_OF_RESOURCES, /* may also stand in a resource's flinkConfiguration */
    OPTION_OF_OPERATOR,  /* in the operator's own configuration only */
    OPTION_AT_START,     /* there, and a change counts from the next start of the operator */
};

enum flink_option_fate {
    OPTION_HONOURED,
    OPTION_MOOT, /* known, and without an effect here; the note says why */
};

struct flink_option {
    const char *key; /* whole; "<name>" in it stands for any text */
    enum flink_option_type type;
    const char *deflt; /* as text; NULL: none */
    enum flink_option_scope scope;
    enum flink_option_fate fate;
    const char *note; /* a sentence's end, "": nothing to say */
};

/** The whole table, sorted by key. */
const struct flink_option *flink_options(size_t *ret_n);
/** NULL for a key that is none of them (older names are none). */
const struct flink_option *flink_option_find(const char *key);
/** The same by any of its names, those of which the table has a pattern too. */
const struct flink_option *flink_option_named(const char *name);
#define FLINK_OPTION_ROOM 256
/** The i-th of the older names that still count, NULL: there are no more. room is used when the
 * name must be made. */
const char *flink_option_older_name(const struct flink_option *o, size_t i,
                                    char room[FLINK_OPTION_ROOM]);
/** Whether a key is an operator's, and none of Flink's. */
bool flink_option_is_ours(const char *name);
/** Appends the table for people: in Markdown, or a line each with tabs between the columns. */
void flink_options_write(struct strbuf *sb, bool markdown);

/* The value of an option of the table in c (a cluster's configuration for those of resources, the
 * operator's own for the others), or its default; text that does not parse is an error as in
 * flink_conf.h. -1 for a duration or a number without value and default. */
int flink_option_bool(const struct conf *c, const char *key, bool *ret,
                      struct error *err) MUST_CHECK;
int flink_option_int(const struct conf *c, const char *key, int64_t *ret,
                     struct error *err) MUST_CHECK;
/** Milliseconds. */
int flink_option_duration(const struct conf *c, const char *key, int64_t *ret,
                          struct error *err) MUST_CHECK;
const char *flink_option_text(const struct conf *c, const char *key);
/** In capitals, and the default where it cannot be read. */
const char *flink_option_choice(const struct conf *c, const char *key);
/** It is true; false where it cannot be read. */
bool flink_option_on(const struct conf *c, const char *key);
/** A duration in ms, and its default where it cannot be read or c is NULL. */
int64_t flink_option_ms(const struct conf *c, const char *key);

/** Refuses values that do not parse, the first one by name. */
int flink_options_check(const struct conf *c, struct error *err) MUST_CHECK;
/** Removes from a user's flinkConfiguration what only the administrator may set, such as
 * kubernetes.operator.user.artifacts.allowed-schemes. */
void flink_options_drop_system(struct conf *user);

#endif
