/* SPDX-License-Identifier: Apache-2.0 */
/* Reading small files whole: configuration, tokens, certificates. */
#ifndef FLINKOP_FILE_H
#define FLINKOP_FILE_H

#include <stddef.h>

#include "flinkop/macros.h"

struct error;

/**
 * Reads a regular file of at most max bytes; anything else, which might hold us up, is ERR_INVALID.
 * Returns a malloc'd, NUL-terminated string the caller frees, its length in ret_len (may be NULL);
 * NULL with ERR_NOT_FOUND, ERR_TOO_LARGE or ERR_INTERNAL.
 */
char *file_read(const char *path, size_t max, size_t *ret_len, struct error *err) MUST_CHECK;
/** So also a pipe, and "-", standard input: where the caller may wait, as a command does. */
char *file_read_any(const char *path, size_t max, size_t *ret_len, struct error *err) MUST_CHECK;

#endif
