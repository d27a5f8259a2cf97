/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [ERR_NONE] = "None",
    [ERR_NOT_FOUND] = "NotFound",
    [ERR_EXISTS] = "AlreadyExists",
    [ERR_CONFLICT] = "Conflict",
    [ERR_GONE] = "Gone",
    [ERR_UNAUTHORIZED] = "Unauthorized",
    [ERR_FORBIDDEN] = "Forbidden",
    [ERR_INVALID] = "Invalid",
    [ERR_THROTTLED] = "Throttled",
    [ERR_UNREACHABLE] = "Unreachable",
    [ERR_TIMEOUT] = "Timeout",
    [ERR_SERVER] = "ServerError",
    [ERR_PARSE] = "Malformed",
    [ERR_TOO_LARGE] = "TooLarge",
    [ERR_CANCELLED] = "Cancelled",
    [ERR_INTERNAL] = "Internal",
};

const char *errc_name(enum errc code)
{
    return (size_t)code < ARRAY_SIZE(names) ? names[code] : "Unknown";
}

int error_set(struct error *err, enum errc code, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return -1;
    *err = (struct error){.code = code};
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    char context[256], tail[ERROR_TEXT_MAX];
    va_list ap;

    if (!err)
        return -1;
    va_start(ap, fmt);
    vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    memcpy(tail, err->text, sizeof(tail));
    snprintf(err->text, sizeof(err->text), "%s: %.*s", context,
             (int)(sizeof(err->text) - sizeof(context) - 3), tail);
    return -1;
}

bool error_is_transient(const struct error *err)
{
    switch (err->code) {
    case ERR_CONFLICT:
    case ERR_GONE:
    case ERR_THROTTLED:
    case ERR_UNREACHABLE:
    case ERR_TIMEOUT:
    case ERR_SERVER:
        return true;
    default:
        return false;
    }
}
