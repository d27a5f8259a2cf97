/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

/* The code point of a valid UTF-8 sequence of n <= 3 bytes. */
static unsigned code_point(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;

    return n == 1   ? u[0]
           : n == 2 ? (u[0] & 0x1fU) << 6 | (u[1] & 0x3fU)
                    : (u[0] & 0x0fU) << 12 | (u[1] & 0x3fU) << 6 | (u[2] & 0x3fU);
}

/* What JSON allows bare but YAML 1.1 forbids or takes for a line break: our JSON strings are YAML
 * strings, too (yaml_write). */
static bool is_unprintable(unsigned code)
{
    return (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff ||
           code == 0xfffe || code == 0xffff;
}

/* Bytes that are not UTF-8 become U+FFFD: what we send must be JSON whatever we were given. */
static void write_string(struct strbuf *sb, const char *s)
{
    size_t len = strlen(s), from = 0;

    strbuf_addc(sb, '"');
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)s[i];
        size_t step = c < 0x80 ? 1 : utf8_len(s + i, len - i);

        bool bare = step && c >= 0x20 && c != '"' && c != '\\';

        if (bare && (step > 3 || !is_unprintable(code_point(s + i, step)))) {
            i += step;
            continue;
        }
        strbuf_add(sb, s + from, i - from);
        if (c == '"' || c == '\\')
            strbuf_addf(sb, "\\%c", c);
        else if (c == '\n')
            strbuf_adds(sb, "\\n");
        else if (!step)
            strbuf_adds(sb, "\\ufffd");
        else
            strbuf_addf(sb, "\\u%04x", code_point(s + i, step));
        i += MAX(step, (size_t)1);
        from = i;
    }
    strbuf_add(sb, s + from, len - from);
    strbuf_addc(sb, '"');
}

void json_write(struct strbuf *sb, jv v)
{
    const char *comma = "";

    switch (v.type) {
    case JV_END:
    case JV_ABSENT:
    case JV_NULL:
        strbuf_adds(sb, "null");
        break;
    case JV_BOOL:
        strbuf_adds(sb, v.b ? "true" : "false");
        break;
    case JV_INT:
        strbuf_addf(sb, "%lld", (long long)v.i);
        break;
    case JV_NUM:
        strbuf_adds(sb, v.s);
        break;
    case JV_STR:
        write_string(sb, v.s);
        break;
    case JV_OBJ:
        strbuf_addc(sb, '{');
        jv_foreach_kv (kv, v) {
            strbuf_adds(sb, comma);
            write_string(sb, kv->key);
            strbuf_addc(sb, ':');
            json_write(sb, kv->value);
            comma = ",";
        }
        strbuf_addc(sb, '}');
        break;
    case JV_ARR:
        strbuf_addc(sb, '[');
        jv_foreach (item, v) {
            strbuf_adds(sb, comma);
            json_write(sb, *item);
            comma = ",";
        }
        strbuf_addc(sb, ']');
        break;
    }
}

/* What we write was read from capped input or made by us: the cap only stops a bug. */
#define TEXT_MAX ((size_t)64 * 1024 * 1024)

char *json_text(struct arena *a, jv v)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(TEXT_MAX);

    json_write(&sb, v);
    return arena_strndup(a, sb.buf, sb.len);
}

char *json_hash(struct arena *a, jv v)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(TEXT_MAX);
    char hex[SHA256_HEX_LEN + 1];

    json_write(&sb, v);
    sha256_hex(sb.buf, sb.len, hex);
    return arena_strndup(a, hex, 16);
}
