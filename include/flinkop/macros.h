/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiler helpers that every module uses: attributes, array sizes, and the cleanup family.
 *
 * A local declared with one of the _cleanup_ macros is released when it goes out of scope, so a
 * function needs no unwinding labels; TAKE_PTR hands the value over on the success path.
 */
#ifndef FLINKOP_MACROS_H
#define FLINKOP_MACROS_H

#include <stddef.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* <sys/param.h>, which <uv.h> includes, has its own. */
#undef MIN
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define UNUSED __attribute__((unused))
#define NORETURN __attribute__((noreturn))
#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/** Defines `fn_cleanup(type **)` for CLEANUP(), from a `fn(type *)` that accepts NULL. */
#define DEFINE_CLEANUP(type, fn)              \
    static inline void fn##_cleanup(type **p) \
    {                                         \
        fn(*p);                               \
    }

/** Yields the pointer and sets the variable to NULL: ownership moves to the receiver. */
#define TAKE_PTR(p) take_ptr(&(p))
static inline void *take_ptr(void *slot)
{
    void *p;

    memcpy(&p, slot, sizeof(p)); /* any pointer type: no aliasing through void ** */
    memset(slot, 0, sizeof(p));
    return p;
}

#endif
