/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flinkop/clock.h"
#include "flinkop/macros.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define LINE_MAX_BYTES (16 * 1024)

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static enum log_level threshold = LOG_INFO;
static enum log_format style = LOG_TEXT;
static const struct log_kv *scope;
static size_t scope_len;

void log_setup(enum log_level level, enum log_format format)
{
    threshold = level;
    style = format;
}

enum log_level log_level(void)
{
    return threshold;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

void log_change_level(enum log_level level)
{
    enum log_level before = threshold;

    threshold = MAX(level, before);
    log_info("log level", KV("level", log_level_name(level)), KV("before", log_level_name(before)));
    threshold = level;
}

bool log_enabled(enum log_level level)
{
    return level <= threshold;
}

bool log_level_parse(const char *name, enum log_level *ret)
{
    int i = str_index(level_names, ARRAY_SIZE(level_names), name);

    if (i >= 0)
        *ret = (enum log_level)i;
    return i >= 0;
}

bool log_format_parse(const char *name, enum log_format *ret)
{
    static const char *const names[] = {"json", "text"};
    int i = str_index(names, ARRAY_SIZE(names), name);

    if (i >= 0)
        *ret = (enum log_format)i;
    return i >= 0;
}

void log_set_scope(const struct log_kv *kv, size_t n)
{
    scope = kv;
    scope_len = n;
}

/* A JSON string; also used for text values that hold blanks, so that a line stays one line. */
static void add_quoted(struct strbuf *sb, const char *s)
{
    size_t len = strlen(s);

    strbuf_addc(sb, '"');
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)s[i];
        size_t step = utf8_len(s + i, len - i);

        if (c == '"' || c == '\\')
            strbuf_addf(sb, "\\%c", c);
        else if (c == '\n')
            strbuf_adds(sb, "\\n");
        else if (c < 0x20 || c == 0x7f)
            strbuf_addf(sb, "\\u%04x", c);
        else if (!step)
            strbuf_adds(sb, "\\ufffd");
        else
            strbuf_add(sb, s + i, step);
        i += step ? step : 1;
    }
    strbuf_addc(sb, '"');
}

static void add_kv(struct strbuf *sb, const struct log_kv *kv)
{
    if (style == LOG_JSON) {
        strbuf_addc(sb, ',');
        add_quoted(sb, kv->key);
        strbuf_addc(sb, ':');
    } else {
        strbuf_addf(sb, " %s=", kv->key);
    }
    if (!kv->str)
        strbuf_addf(sb, "%lld", (long long)kv->num);
    else if (style == LOG_JSON || !*kv->str || strpbrk(kv->str, " \t\r\n\"="))
        add_quoted(sb, kv->str);
    else
        strbuf_adds(sb, kv->str);
}

void log_write(enum log_level level, const char *msg, const struct log_kv *kv, size_t n)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(LINE_MAX_BYTES);
    char now[RFC3339_MAX];

    if (!log_enabled(level))
        return;
    rfc3339_format_micro(clock_wall_ms(), now);
    if (style == LOG_JSON) {
        strbuf_addf(&sb, "{\"ts\":\"%s\",\"level\":\"%s\",\"msg\":", now, level_names[level]);
        add_quoted(&sb, msg);
    } else {
        strbuf_addf(&sb, "%s %-5s %s", now, level_names[level], msg);
    }
    for (size_t i = 0; i < scope_len; i++)
        add_kv(&sb, &scope[i]);
    for (size_t i = 0; i < n; i++)
        add_kv(&sb, &kv[i]);
    strbuf_adds(&sb, style == LOG_JSON ? "}\n" : "\n");
    if (sb.overflow) { /* too long for one line: the message alone, still well-formed */
        strbuf_reset(&sb);
        strbuf_addf(&sb, "{\"ts\":\"%s\",\"level\":\"%s\",\"msg\":\"log line over %d bytes\"}\n",
                    now, level_names[level], LINE_MAX_BYTES);
    }
    /* One write per line keeps lines whole; a reader that is gone must not stop the operator. */
    ssize_t ignored UNUSED = write(STDERR_FILENO, sb.buf, sb.len);
}
