/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From JSON to a struct by a table of fields, as the API's users need it: every problem is
 * collected with its field path, what was found and what would be right; the rest is still read.
 */
#ifndef FLINKOP_JSON_MAP_H
#define FLINKOP_JSON_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/jv.h"
#include "flinkop/macros.h"

struct arena;

/* ---- problems: what is wrong with an input ---- */

#define PROBLEMS_MAX 50 /* more are counted, not kept */

struct problem {
    const char *path; /* "spec.jobManager.replicas" */
    const char *text; /* without the path */
};

struct problems {
    struct arena *a;
    struct problem items[PROBLEMS_MAX];
    size_t n; /* may be larger than PROBLEMS_MAX */
    /* The spec was taken once: what former versions let in, and nothing needs, is no problem. */
    bool taken;
};

#define PROBLEMS_INIT(arena) ((struct problems){.a = (arena)})

void problem_add(struct problems *p, const char *path, const char *fmt, ...) PRINTF(3, 4);
struct error;
/** A problem from an error whose text may begin with a path of its own below `path`. */
void problem_add_error(struct problems *p, const char *path, const struct error *err);
/** "path: text" of the first one, with the number of the others; NULL if there is none. */
const char *problems_text(const struct problems *p);

/** What a value looks like in a message: `"text"`, `3`, `a list`, `nothing`; cut when long. */
const char *jv_describe(struct arena *a, jv v);

/* ---- dispatch ---- */

/** Optional numbers: unset is not 0. */
struct opt_int64 {
    bool set;
    int64_t v;
};

enum json_field_type {
    FIELD_STRING,   /* const char * */
    FIELD_TEXT,     /* const char *: a string, or leniently a number, as written */
    FIELD_NUMBER,   /* const char *: a number, or leniently a string, as written */
    FIELD_INT64,    /* struct opt_int64 */
    FIELD_BOOL,     /* struct opt_int64 with 0 or 1 */
    FIELD_CHOICE,   /* int: index into choices + 1, 0 if unset */
    FIELD_DURATION, /* struct opt_int64 in milliseconds, from Flink's duration syntax */
    FIELD_OBJECT,   /* jv: an object as it is */
    FIELD_ARRAY,    /* jv: an array as it is */
    FIELD_ANY,      /* jv */
    FIELD_STRUCT,   /* the table `fields` at this offset */
    FIELD_NONCE,    /* a whole number that is not read here */
    FIELD_IGNORED,  /* known, read elsewhere or without meaning here */
};

struct json_field {
    const char *name;
    enum json_field_type type;
    size_t offset;
    int64_t min, max;                /* FIELD_INT64 and FIELD_DURATION, when max > min */
    const char *const *choices;      /* FIELD_CHOICE, NULL-terminated */
    const struct json_field *fields; /* FIELD_STRUCT; a row without a name ends the table */
};

/**
 * Reads obj into the zeroed struct `ret`. null counts as absent. Strings are borrowed from obj.
 * If `strict`, fields that the table does not know are problems too, and so are texts for numbers
 * and numbers for texts, which the API server would not have let pass.
 */
void json_map(struct problems *p, const char *path, jv obj, const struct json_field *fields,
              bool strict, void *ret);

#endif
