/* SPDX-License-Identifier: Apache-2.0 */
/* The text of custom resources in few bytes. */
#ifndef CONTROLLER_STORE_TEXT_H
#define CONTROLLER_STORE_TEXT_H

#include <stddef.h>

struct arena;
struct strbuf;

/** Appends the text, packed. */
void text_pack(struct strbuf *sb, const char *text, size_t len);
/** A packed text of this length again, with a NUL behind it. */
char *text_unpack(struct arena *a, const void *packed, size_t packed_len, size_t len);

#endif
