/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/strbuf.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/mem.h"

char strbuf_empty[1];

void strbuf_init(struct strbuf *sb, size_t cap)
{
    *sb = STRBUF_INIT(cap);
}

void strbuf_release(struct strbuf *sb)
{
    if (sb->room)
        free(sb->buf);
    strbuf_init(sb, sb->cap);
}

void strbuf_reset(struct strbuf *sb)
{
    strbuf_truncate(sb, 0);
    sb->overflow = false;
}

char *strbuf_detach(struct strbuf *sb, size_t *ret_len)
{
    char *s = sb->room ? sb->buf : xstrdup("");

    if (ret_len)
        *ret_len = sb->len;
    strbuf_init(sb, sb->cap);
    return s;
}

/* Makes room for n more bytes and the NUL; false when the cap forbids it. */
static bool grow(struct strbuf *sb, size_t n)
{
    if (sb->overflow || n > sb->cap - sb->len) {
        sb->overflow = true;
        return false;
    }
    size_t need = sb->len + n + 1;

    if (need > sb->room) {
        size_t room = MAX(need, MIN(sb->room * 2, sb->cap + 1));

        room = MAX(room, (size_t)64);
        sb->buf = xrealloc(sb->room ? sb->buf : NULL, room);
        sb->room = room;
    }
    return true;
}

void strbuf_add(struct strbuf *sb, const void *data, size_t n)
{
    if (!n || !grow(sb, n))
        return;
    memcpy(sb->buf + sb->len, data, n);
    sb->len += n;
    sb->buf[sb->len] = 0;
}

void strbuf_adds(struct strbuf *sb, const char *s)
{
    strbuf_add(sb, s, strlen(s));
}

void strbuf_addc(struct strbuf *sb, char c)
{
    strbuf_add(sb, &c, 1);
}

void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
{
    va_list again;

    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);

    if (n < 0)
        BUG("bad format %s", fmt);
    if (n && grow(sb, (size_t)n)) {
        vsnprintf(sb->buf + sb->len, (size_t)n + 1, fmt, again);
        sb->len += (size_t)n;
    }
    va_end(again);
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    strbuf_vaddf(sb, fmt, ap);
    va_end(ap);
}

void strbuf_consume(struct strbuf *sb, size_t n)
{
    BUG_ON(n > sb->len);
    if (!n)
        return;
    memmove(sb->buf, sb->buf + n, sb->len - n);
    strbuf_truncate(sb, sb->len - n);
}

void strbuf_truncate(struct strbuf *sb, size_t len)
{
    BUG_ON(len > sb->len);
    sb->len = len;
    if (sb->room)
        sb->buf[len] = 0;
}
