/* SPDX-License-Identifier: Apache-2.0 */
/* How the decoders read: field by field, the first one of a wrong type ends it. */
#ifndef FLINK_REPLY_INTERNAL_H
#define FLINK_REPLY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/jv.h"

struct arena;
struct error;

/* Where a value stands in a reply, for messages: "jobs[3].tasks.running". */
struct place {
    const struct place *up;
    const char *key; /* NULL: index counts */
    size_t index;
};
#define AT(up, key) (&(struct place){(up), (key), 0})
#define NTH(up, index) (&(struct place){(up), NULL, (index)})

struct decoder {
    const char *endpoint;
    struct error *err;
    bool failed;
};

/** Sets the error, once: "<endpoint>: <place>: expected <what>, found …". */
void decode_fail(struct decoder *d, const struct place *at, const char *what, jv found);
int decode_end(const struct decoder *d);

/* Members of obj; what is missing or of another type fails, unless it is said otherwise. A decoder
 * that failed gives empty values. */
jv decode_object(struct decoder *d, const struct place *up, jv v);
/** The length, at most max (ERR_TOO_LARGE). */
size_t decode_list(struct decoder *d, const struct place *up, jv obj, const char *key, size_t max,
                   jv *ret);
/** At least min. */
int64_t decode_number(struct decoder *d, const struct place *up, jv obj, const char *key,
                      int64_t min);
/** 0 <= v <= INT_MAX; missing: 0. */
int decode_count(struct decoder *d, const struct place *up, jv obj, const char *key);
/** At least -1; missing or null: -1. */
int64_t decode_time(struct decoder *d, const struct place *up, jv obj, const char *key);
/** Cleaned and cut to FLINK_MAX_NAME, in the arena. */
const char *decode_text(struct decoder *d, struct arena *a, const struct place *up, jv obj,
                        const char *key);
/** The same; missing or null: NULL. */
const char *decode_optional(struct decoder *d, struct arena *a, const struct place *up, jv obj,
                            const char *key);
/** 32 hex digits into room for 33. */
void decode_id(struct decoder *d, const struct place *up, jv obj, const char *key, char *ret);

#endif
