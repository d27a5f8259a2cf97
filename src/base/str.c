/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/str.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "flinkop/arena.h"

bool str_has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && !strcmp(s + n - m, suffix);
}

const char *str_skip_prefix(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(s, prefix, n) ? NULL : s + n;
}

bool str_to_int64(const char *s, int64_t *ret)
{
    char *end;

    if (!s ||
        !(isdigit((unsigned char)*s) || ((*s == '-' || *s == '+') && isdigit((unsigned char)s[1]))))
        return false;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || *end)
        return false;
    *ret = v;
    return true;
}

bool str_to_int(const char *s, int *ret)
{
    int64_t v;

    if (!str_to_int64(s, &v) || v < INT_MIN || v > INT_MAX)
        return false;
    *ret = (int)v;
    return true;
}

bool str_to_bool(const char *s, bool *ret)
{
    if (!s || (strcasecmp(s, "true") && strcasecmp(s, "false")))
        return false;
    *ret = !strcasecmp(s, "true");
    return true;
}

bool str_to_double(const char *s, double *ret)
{
    char *end;

    if (!s || !*s || strspn(s, "0123456789+-.eE") != strlen(s))
        return false;
    double v = strtod(s, &end);
    if (*end || !isfinite(v))
        return false;
    *ret = v;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char *trim_n(struct arena *a, const char *s, size_t n)
{
    while (n && is_blank(*s))
        s++, n--;
    while (n && is_blank(s[n - 1]))
        n--;
    return arena_strndup(a, s, n);
}

char *str_trim(struct arena *a, const char *s)
{
    return trim_n(a, s, strlen(s));
}

char **str_split(struct arena *a, const char *s, char sep, size_t *ret_n)
{
    size_t n = 0, max = 1;

    for (const char *p = s; *p; p++)
        max += *p == sep;
    char **parts = arena_new_array(a, char *, max + 1);

    while (*s) {
        const char *end = strchr(s, sep);
        size_t len = end ? (size_t)(end - s) : strlen(s);
        char *part = trim_n(a, s, len);

        if (*part)
            parts[n++] = part;
        s += len + (end != NULL);
    }
    if (ret_n)
        *ret_n = n;
    return parts;
}

size_t utf8_len(const char *s, size_t avail)
{
    const unsigned char *u = (const unsigned char *)s;
    static const unsigned char min2[] = {[0xe0 - 0xe0] = 0xa0, [0xf0 - 0xe0] = 0x90};
    size_t n = u[0] < 0x80                    ? 1
               : u[0] >= 0xc2 && u[0] <= 0xdf ? 2
               : u[0] >= 0xe0 && u[0] <= 0xef ? 3
               : u[0] >= 0xf0 && u[0] <= 0xf4 ? 4
                                              : 0;

    if (!n || n > avail)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates and code points above U+10FFFF are not UTF-8 (RFC 3629). */
    if ((u[0] == 0xe0 || u[0] == 0xf0) && u[1] < min2[u[0] - 0xe0])
        return 0;
    if ((u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return n;
}

char *str_clean(struct arena *a, const char *s, size_t max)
{
    size_t len = strlen(s), n = 0;
    char *out = arena_alloc(a, MIN(len, max) + 4);

    for (size_t i = 0; i < len;) {
        size_t step = utf8_len(s + i, len - i);
        bool ok = step && ((unsigned char)s[i] >= 0x20 || s[i] == '\n' || s[i] == '\t') &&
                  s[i] != 0x7f;

        if (n + MAX(step, (size_t)1) > max) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        if (ok)
            memcpy(out + n, s + i, step);
        else
            out[n] = '?';
        n += ok ? step : 1;
        i += MAX(step, (size_t)1);
    }
    out[n] = 0;
    return out;
}

const char *str_line(struct arena *a, const char *s)
{
    static const char breaks[] = "\n\r\t", letters[] = "nrt";
    char *out = arena_alloc(a, 2 * strlen(s) + 1), *to = out;

    for (; *s; s++) {
        const char *at = strchr(breaks, *s);

        if (at)
            *to++ = '\\';
        *to++ = at ? letters[at - breaks] : *s;
    }
    *to = 0;
    return out;
}

int str_index(const char *const table[], size_t n, const char *s)
{
    for (size_t i = 0; s && i < n; i++)
        if (table[i] && !strcmp(table[i], s))
            return (int)i;
    return -1;
}
