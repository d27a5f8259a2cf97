/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two forms of Flink's configuration file. What Flink reads back from them was recorded from
 * Flink itself (tests/golden/flink): GlobalConfiguration of 1.18 and 1.20 for flink-conf.yaml, of
 * 2.2 for config.yaml.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "conf_internal.h"
#include "flinkop/error.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/yaml.h"

/* ---- flink-conf.yaml ---- */

/* A key that this file can hold: read back it is no other key. */
static bool is_flat_key(const char *key)
{
    return *key && !key[strcspn(key, "#\r\n")] && !strstr(key, ": ");
}

static const char *flat_problem(const struct conf_entry *e)
{
    if (!is_flat_key(e->key))
        return "'#', \": \" and line breaks cannot be part of a key in flink-conf.yaml (Flink < 2.0)";
    if (strchr(e->value, '#'))
        return "'#' would start a comment in flink-conf.yaml, and Flink < 2.0 knows no quotes there";
    if (e->value[strcspn(e->value, "\r\n")])
        return "a line break cannot be part of a value in flink-conf.yaml (Flink < 2.0)";
    return NULL;
}

int conf_check_flat(const struct conf *c, const char *path, struct error *err)
{
    for (size_t i = 0; i < c->n; i++) {
        const char *problem = flat_problem(&c->entries[i]);

        if (problem)
            return error_set(err, ERR_INVALID, "%.200s.%.200s: %s", path, c->entries[i].key,
                             problem);
    }
    return 0;
}

void conf_write_flat(struct strbuf *sb, const struct conf *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct conf_entry *e = &c->entries[i];

        if (!is_flat_key(e->key) || !e->value[strspn(e->value, " \t\r\n")])
            continue;
        strbuf_addf(sb, "%s: ", e->key);
        for (const char *p = e->value; *p; p++)
            strbuf_addc(sb, *p == '\n' || *p == '\r' ? ' ' : *p);
        strbuf_addc(sb, '\n');
    }
}

/* ---- config.yaml ---- */

/* bin/config.sh compares these as text after Flink's own writer put quotes around strings that look
 * like something else; the typed value it leaves alone. */
static bool is_bare_env(const struct conf_entry *e)
{
    size_t digits = strspn(e->value, "0123456789");

    if (!str_has_prefix(e->key, "env."))
        return false;
    if (digits && !e->value[digits])
        return digits < 18 && (*e->value != '0' || digits == 1);
    return !strcmp(e->value, "true") || !strcmp(e->value, "false");
}

/* Escapes what YAML 1.2 calls not printable, and everything it might take for a line break. */
static void add_quoted(struct strbuf *sb, const char *s)
{
    size_t len = strlen(s);

    strbuf_addc(sb, '"');
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)s[i], next = (unsigned char)s[i + 1];
        size_t step = utf8_len(s + i, len - i);

        if (c == '"' || c == '\\')
            strbuf_addf(sb, "\\%c", c);
        else if (c == '\n')
            strbuf_adds(sb, "\\n");
        else if (c < 0x20 || c == 0x7f)
            strbuf_addf(sb, "\\x%02x", c);
        else if (c == 0xc2 && step == 2 && next < 0xa0)
            strbuf_addf(sb, "\\x%02x", next);
        else if (!strncmp(s + i, "\xe2\x80\xa8", 3) || !strncmp(s + i, "\xe2\x80\xa9", 3))
            strbuf_addf(sb, "\\u20%02x", (unsigned char)s[i + 2] - 0x80);
        else if (!strncmp(s + i, "\xef\xbb\xbf", 3))
            strbuf_adds(sb, "\\ufeff");
        else if (!step || !strncmp(s + i, "\xef\xbf\xbe", 3) || !strncmp(s + i, "\xef\xbf\xbf", 3))
            strbuf_adds(sb, "\\ufffd"); /* not text */
        else
            strbuf_add(sb, s + i, step);
        i += MAX(step, (size_t)1);
    }
    strbuf_addc(sb, '"');
}

/* Two keys that are not text could become one, which YAML refuses. */
static bool is_yaml_key(const char *key)
{
    size_t len = strlen(key), step;

    for (size_t i = 0; i < len; i += step) {
        step = utf8_len(key + i, len - i);
        if (!step || !strncmp(key + i, "\xef\xbf\xbe", 3) || !strncmp(key + i, "\xef\xbf\xbf", 3))
            return false;
    }
    return len <= CONF_MAX_KEY;
}

static void add_text(struct strbuf *sb, const char *s)
{
    if (yaml_is_plain(s))
        strbuf_adds(sb, s);
    else
        add_quoted(sb, s);
}

void conf_write_yaml(struct strbuf *sb, const struct conf *c)
{
    size_t before = sb->len;

    for (size_t i = 0; i < c->n; i++) {
        const struct conf_entry *e = &c->entries[i];

        if (!is_yaml_key(e->key))
            continue;
        add_text(sb, e->key);
        strbuf_adds(sb, ": ");
        if (is_bare_env(e))
            strbuf_adds(sb, e->value);
        else
            add_text(sb, e->value);
        strbuf_addc(sb, '\n');
    }
    if (sb->len == before)
        strbuf_adds(sb, "{}\n");
}
