/* SPDX-License-Identifier: Apache-2.0 */
/* Small string helpers; strict number parsing (the whole string or an error). */
#ifndef FLINKOP_STR_H
#define FLINKOP_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "flinkop/macros.h"

struct arena;

/** Equality that accepts NULL (NULL equals only NULL). */
static inline bool str_eq(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}
static inline bool str_empty(const char *s)
{
    return !s || !*s;
}
static inline bool str_has_prefix(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}
bool str_has_suffix(const char *s, const char *suffix);
/** s behind the prefix, or NULL if it does not start with it. */
const char *str_skip_prefix(const char *s, const char *prefix);
/** "" for NULL. */
static inline const char *str_or_empty(const char *s)
{
    return s ? s : "";
}
static inline const char *str_or(const char *s, const char *fallback)
{
    return s ? s : fallback;
}

/** Decimal with an optional sign, nothing else, in range; returns false otherwise. */
bool str_to_int64(const char *s, int64_t *ret) MUST_CHECK;
bool str_to_int(const char *s, int *ret) MUST_CHECK;
/** "true"/"false" in any case. */
bool str_to_bool(const char *s, bool *ret) MUST_CHECK;
/** A finite decimal number as strtod reads it, without blanks, hex or names. */
bool str_to_double(const char *s, double *ret) MUST_CHECK;

/** A copy without leading and trailing blanks (space, tab, CR, LF). */
char *str_trim(struct arena *a, const char *s);
/** Parts between separators, trimmed, without empty ones; NULL-terminated array in the arena. */
char **str_split(struct arena *a, const char *s, char sep, size_t *ret_n);
/** s with the control characters (and invalid UTF-8) replaced by '?', at most max bytes, cut at a
 * character boundary with "..." when it was longer. For text of others that goes into our status.
 */
char *str_clean(struct arena *a, const char *s, size_t max);
/** s with line breaks and tabs as \n, \r, \t: a value of a user's within a sentence of ours. */
const char *str_line(struct arena *a, const char *s);
/** Length of the valid UTF-8 sequence at s, 0 if it is not one. */
size_t utf8_len(const char *s, size_t avail);

/** Index of s in a NULL-terminated table of words, -1 if not there. */
int str_index(const char *const table[], size_t n, const char *s);

#endif
