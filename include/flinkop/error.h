/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: functions that can fail return 0 or -1 (or a pointer or NULL) and take a
 * `struct error *err` last. The caller owns it, usually on its stack; nothing needs releasing.
 * On success it is left untouched. The code says what a caller can do about it, the text says what
 * a human needs: what was tried, on what, what was found, what would be right.
 */
#ifndef FLINKOP_ERROR_H
#define FLINKOP_ERROR_H

#include <stdbool.h>

#include "flinkop/macros.h"

enum errc {
    ERR_NONE = 0,
    ERR_NOT_FOUND,    /* the thing does not exist */
    ERR_EXISTS,       /* it exists already */
    ERR_CONFLICT,     /* somebody else changed it: read again, decide again */
    ERR_GONE,         /* a resourceVersion or continue token too old: list again */
    ERR_UNAUTHORIZED, /* credentials refused */
    ERR_FORBIDDEN,    /* authenticated, not allowed (RBAC, quota, admission) */
    ERR_INVALID,      /* the input is wrong: retrying the same cannot help */
    ERR_THROTTLED,    /* asked to slow down */
    ERR_UNREACHABLE,  /* not one byte was sent: nothing can have happened */
    ERR_TIMEOUT,      /* a deadline passed; the effect is unknown */
    ERR_SERVER,       /* the other side failed (5xx) */
    ERR_PARSE,        /* bytes that are not what they should be */
    ERR_TOO_LARGE,    /* over a cap of ours */
    ERR_CANCELLED,    /* we gave it up ourselves */
    ERR_INTERNAL,     /* a local failure: file, memory map, library */
};

#define ERROR_TEXT_MAX 1024

struct error {
    enum errc code;
    int http;           /* HTTP status if there was an answer, else 0 */
    int retry_after_ms; /* what a Retry-After header asked for, else 0 */
    char reason[64];    /* Kubernetes Status.reason or a word of the like, "" if none */
    char text[ERROR_TEXT_MAX];
};

/** Fills err (may be NULL) and returns -1, so that `return error_set(...)` does both. */
int error_set(struct error *err, enum errc code, const char *fmt, ...) PRINTF(3, 4);

/** Puts "context: " before the text that err has and returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) PRINTF(2, 3);

/** Whether the same call may succeed later without anything else changing. */
bool error_is_transient(const struct error *err);

/** A fixed word for logs and metrics, e.g. "NotFound". */
const char *errc_name(enum errc code);

#endif
