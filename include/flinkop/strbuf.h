/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing string with a mandatory cap. `buf` is never NULL and always NUL-terminated; `len` does
 * not count that NUL, and the content may hold others. When the cap would be passed nothing more is
 * added and `overflow` becomes true: the caller checks once, at the end.
 */
#ifndef FLINKOP_STRBUF_H
#define FLINKOP_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "flinkop/macros.h"

struct strbuf {
    char *buf;
    size_t len;
    size_t room; /* allocated, 0 = buf is the shared empty string */
    size_t cap;
    bool overflow;
};

extern char strbuf_empty[1];

/** cap in bytes, content only. */
#define STRBUF_INIT(max) ((struct strbuf){.buf = strbuf_empty, .cap = (max)})

void strbuf_init(struct strbuf *sb, size_t cap);
/** Frees the memory; usable again with the same cap. */
void strbuf_release(struct strbuf *sb);
/** Empties it and keeps the memory. */
void strbuf_reset(struct strbuf *sb);
/** Hands the string over (malloc'd, caller frees) and leaves sb empty. */
char *strbuf_detach(struct strbuf *sb, size_t *ret_len);

void strbuf_add(struct strbuf *sb, const void *data, size_t n);
void strbuf_adds(struct strbuf *sb, const char *s);
void strbuf_addc(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) PRINTF(2, 3);
void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap);
/** Drops the first n bytes. */
void strbuf_consume(struct strbuf *sb, size_t n);
void strbuf_truncate(struct strbuf *sb, size_t len);

#define cleanup_strbuf CLEANUP(strbuf_release)

#endif
