/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML text to jv, with the rules of kubectl (YAML 1.1 scalars: yes/no/on/off are booleans, 0644 is
 * octal), so that a file means here what it means to `kubectl apply`. libyaml does the parsing.
 * JSON is YAML, so both kinds of file go through here.
 */
#ifndef FLINKOP_YAML_H
#define FLINKOP_YAML_H

#include <stddef.h>

#include "flinkop/jv.h"
#include "flinkop/macros.h"

struct arena;
struct error;

/** Caps: nesting and values after aliases were expanded (a small file can expand without bound). */
#define YAML_MAX_DEPTH 200
#define YAML_MAX_VALUES 400000

struct yaml_doc {
    jv value;
    int line; /* of its first token, from 1 */
};

/**
 * Parses all documents of a stream; empty ones are left out. Errors (ERR_PARSE) name line and
 * column: bad syntax, duplicate keys, keys that are no scalars, unknown aliases.
 */
int yaml_parse_all(struct arena *a, const char *text, size_t len, struct yaml_doc **ret_docs,
                   size_t *ret_n, struct error *err) MUST_CHECK;
/** Exactly one document, or none (an empty file), which gives ABSENT. */
int yaml_parse(struct arena *a, const char *text, size_t len, jv *ret,
               struct error *err) MUST_CHECK;

/** Whether a string may stand bare: no YAML reader, old or new, takes it for anything else. */
bool yaml_is_plain(const char *s);

/** Appends block-style YAML; strings are quoted whenever another reader could take them for
 * something else. Used by `render` and for config.yaml. */
struct strbuf;
void yaml_write(struct strbuf *sb, jv v);

#endif
