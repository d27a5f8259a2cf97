/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation that cannot fail. Out of memory ends the process: the operator is level-triggered and
 * restarted by its Deployment, so branches for a failed malloc would be code that nobody tests.
 * What can grow with outside input has a cap where it grows (strbuf, http bodies, json).
 */
#ifndef FLINKOP_MEM_H
#define FLINKOP_MEM_H

#include <stddef.h>
#include <stdlib.h>

#include "flinkop/macros.h"

/** Like malloc/calloc/realloc/strdup/strndup, but abort instead of returning NULL. */
void *xmalloc(size_t size) MUST_CHECK;
void *xcalloc(size_t n, size_t size) MUST_CHECK;
void *xrealloc(void *p, size_t size) MUST_CHECK;
/** As xrealloc for an array of n elements; aborts when n * size overflows. */
void *xreallocarray(void *p, size_t n, size_t size) MUST_CHECK;
char *xstrdup(const char *s) MUST_CHECK;
/** NULL stays NULL. */
char *xstrdup_or_null(const char *s) MUST_CHECK;
char *xstrndup(const char *s, size_t n) MUST_CHECK;
char *xasprintf(const char *fmt, ...) PRINTF(1, 2) MUST_CHECK;

/** Before anything else in a process that lives long: less memory is lost between objects. */
void mem_init(void);

#define MEM_PAGES ((size_t)16 << 10)
/** MEM_PAGES bytes for a short time, apart from what malloc gives: what is used in bursts does not
 * leave holes between what stays. */
void *mem_pages_get(void) MUST_CHECK;
void mem_pages_put(void *p);

/** Gives back to the system what is free. */
void mem_trim(void);

/** Replaces *slot by a copy of s (NULL allowed) and frees what was there. */
void str_replace(char **slot, const char *s);

/** `cleanup_free char *p = NULL;`: freed at the end of the scope. */
#define cleanup_free CLEANUP(free_cleanup)
static inline void free_cleanup(void *pp)
{
    free(take_ptr(pp));
}

/** Ends the process after a broken invariant of our own (never for outside input). */
void bug_at(const char *file, int line, const char *fmt, ...) PRINTF(3, 4) NORETURN;
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(cond)          \
    do {                      \
        if (cond)             \
            BUG("%s", #cond); \
    } while (0)

#endif
