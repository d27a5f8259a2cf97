/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the memory model share: reading sizes and taking fractions of them. */
#ifndef FLINK_MEMORY_INTERNAL_H
#define FLINK_MEMORY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct conf;
struct error;

/* Reads options until the first one fails; from then on every call gives 0 and says nothing more,
 * so that a derivation reads like its formulas and is checked once, at the end. */
struct memory_reader {
    const struct conf *c;
    const char *prefix; /* "taskmanager" or "jobmanager", for messages */
    struct error *err;
    bool failed;
    bool too_small;      /* it failed because the total leaves no room for the parts */
    const char *total;   /* the key of that total */
    const char *assumed; /* key whose value is assumed instead of read, or NULL */
    int64_t assumed_value;
};

struct memory_range {
    int64_t min, max;
    double fraction;
};

/** Sets the error unless there is one already. */
void memory_fail(struct memory_reader *r, const char *fmt, ...) PRINTF(2, 3);
bool memory_has(const struct memory_reader *r, const char *key);
/** The size under the key, or deflt; deflt < 0: the caller knows that it is there. */
int64_t memory_get(struct memory_reader *r, const char *key, int64_t deflt);
/** An option of Flink's type float, which is widened to double where it is used. */
double memory_float(struct memory_reader *r, const char *key, float deflt);
/** min, max and fraction; refuses min > max and a fraction outside [0, 1). */
struct memory_range memory_range(struct memory_reader *r, const char *min_key, int64_t min,
                                 const char *max_key, int64_t max, const char *fraction_key,
                                 float fraction);

/** Exact sum; refuses one that does not fit. */
int64_t memory_add(struct memory_reader *r, int64_t a, int64_t b);
/** base * fraction, or base * fraction / (1 - fraction), cut down to min and max. */
int64_t memory_share(struct memory_reader *r, int64_t base, const struct memory_range *range);
int64_t memory_share_of_rest(struct memory_reader *r, int64_t base,
                             const struct memory_range *range);

/** "512 mb" or, for what is not a whole number of them, "512.3 mb". */
#define MEMORY_TEXT_MAX 32
const char *memory_text(int64_t bytes, char out[MEMORY_TEXT_MAX]);
#define MEMORY_TEXT(bytes) memory_text((bytes), (char[MEMORY_TEXT_MAX]){0})

#endif
