/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "flinkop/json.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/yaml.h"

bool yaml_is_plain(const char *s)
{
    static const char *const words[] = {"y",   "n",    "yes",   "no",   "on",
                                        "off", "true", "false", "null", "nan"};

    if (!isalpha((unsigned char)*s) && *s != '/' && *s != '_')
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcasecmp(s, words[i]))
            return false;
    for (const char *p = s; *p; p++) {
        if (!isalnum((unsigned char)*p) && !strchr("-_./:+=,;@$ ", *p))
            return false;
        if ((*p == ':' || *p == ' ') && (p[1] == ' ' || !p[1]))
            return false;
    }
    return true;
}

static void write_scalar(struct strbuf *sb, jv v)
{
    if (v.type == JV_STR && yaml_is_plain(v.s))
        strbuf_adds(sb, v.s);
    else
        json_write(sb, v); /* a JSON scalar is a YAML scalar */
}

/* A text of several lines as a literal block; only what a block shows unchanged. */
static bool is_block(const char *s)
{
    size_t n = strlen(s);

    if (!strchr(s, '\n') || *s == ' ' || *s == '\n' || *s == '\t')
        return false;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] < 0x20 && s[i] != '\n' && s[i] != '\t')
            return false;
        if (s[i] >= 0x7f || (unsigned char)s[i] >= 0x80 || (s[i] == ' ' && s[i + 1] == '\n'))
            return false;
    }
    return n < 2 || s[n - 1] != '\n' || s[n - 2] != '\n';
}

static void indent_by(struct strbuf *sb, int indent)
{
    strbuf_addf(sb, "%*s", indent, "");
}

static void write_block(struct strbuf *sb, const char *s, int indent)
{
    strbuf_adds(sb, str_has_suffix(s, "\n") ? "|\n" : "|-\n");
    while (*s) {
        size_t n = strcspn(s, "\n");

        if (n) {
            indent_by(sb, indent);
            strbuf_add(sb, s, n);
        }
        strbuf_addc(sb, '\n');
        s += n + (s[n] == '\n');
    }
}

/* A key before a bare ':' must not be longer than 1024 characters (YAML 1.1 §7.3.3), and escapes
 * make six of one. */
static void write_key(struct strbuf *sb, const char *key, int indent)
{
    bool is_long = strlen(key) > 128;

    if (is_long)
        strbuf_adds(sb, "? ");
    write_scalar(sb, STR(key));
    if (is_long) {
        strbuf_addc(sb, '\n');
        indent_by(sb, indent);
    }
    strbuf_addc(sb, ':');
}

static void write_value(struct strbuf *sb, jv v, int indent, bool in_sequence);

static void write_members(struct strbuf *sb, jv v, int indent, bool in_sequence)
{
    bool first = in_sequence; /* the first member stands behind "- " */

    jv_foreach_kv (kv, v) {
        if (!first)
            indent_by(sb, indent);
        first = false;
        write_key(sb, kv->key, indent);
        write_value(sb, kv->value, indent, false);
    }
}

static void write_items(struct strbuf *sb, jv v, int indent)
{
    jv_foreach (item, v) {
        indent_by(sb, indent);
        strbuf_addc(sb, '-');
        write_value(sb, *item, indent, true);
    }
}

/* Writes the value behind "key:" or "-", with the line's end. */
static void write_value(struct strbuf *sb, jv v, int indent, bool in_sequence)
{
    bool filled = jv_len(v) > 0;

    if (v.type == JV_OBJ && filled) {
        strbuf_addc(sb, in_sequence ? ' ' : '\n');
        write_members(sb, v, indent + 2, in_sequence);
    } else if (v.type == JV_ARR && filled) {
        strbuf_addc(sb, '\n');
        write_items(sb, v, in_sequence ? indent + 2 : indent);
    } else if (v.type == JV_STR && is_block(v.s)) {
        strbuf_addc(sb, ' ');
        write_block(sb, v.s, indent + 2);
    } else {
        strbuf_addc(sb, ' ');
        write_scalar(sb, v);
        strbuf_addc(sb, '\n');
    }
}

void yaml_write(struct strbuf *sb, jv v)
{
    if (v.type == JV_OBJ && jv_len(v)) {
        write_members(sb, v, 0, false);
    } else if (v.type == JV_ARR && jv_len(v)) {
        write_items(sb, v, 0);
    } else {
        write_scalar(sb, v);
        strbuf_addc(sb, '\n');
    }
}
