/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as text, by OpenSSL (RFC 4648 §4). */
#ifndef FLINKOP_BASE64_H
#define FLINKOP_BASE64_H

#include <stddef.h>

/** Strict, with blanks allowed; malloc'd and NUL-terminated, or NULL. ret_len may be NULL. */
char *base64_decode(const char *text, size_t *ret_len);
/** malloc'd. */
char *base64_encode(const void *data, size_t n);

#endif
