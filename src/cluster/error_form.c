/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of status.error: how long its fields may be, and the labels that a user's patterns give
 * it (kubernetes.operator.exception.*; FlinkResourceExceptionUtils of the incumbent).
 *
 * Patterns are POSIX extended regular expressions with \d, which covers most of what people write
 * for Java's; others give no label, and admission warns about them. They come from users and run in
 * the event loop: neither repetition counts and repetitions of repetitions, which would take memory
 * without bound, nor back-references, which would take time.
 */
#include <ctype.h>
#include <regex.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "status.h"

#define PATTERN_MAX 256
#define PATTERNS_MAX 20
#define DOUBLINGS_MAX 2
#define FIELD_MAX 32768
#define FIELD_MIN 100 /* the types are told apart by their names */
#define ELLIPSIS 3
#define MATCHED_MAX 4096 /* of a message */

/* What stands behind a backslash. */
static bool translate_escape(char c, bool in_set, struct strbuf *ret)
{
    if (!c || isdigit((unsigned char)c) || (in_set && strchr("DWS]^-", c)))
        return false;
    if (c == 'd')
        strbuf_adds(ret, in_set ? "0-9" : "[0-9]");
    else if (c == 'D')
        strbuf_adds(ret, "[^0-9]");
    else if (in_set && c == 'w')
        strbuf_adds(ret, "[:alnum:]_");
    else if (in_set && c == 's')
        strbuf_adds(ret, "[:space:]");
    else
        strbuf_addf(ret, in_set ? "%c" : "\\%c", c);
    return true;
}

/* As regcomp takes it; false: it cannot, or would take memory without bound: it writes what stands
 * before a "+" twice, so that each level of such groups doubles the whole. */
static bool translate(const char *pattern, struct strbuf *ret)
{
    bool in_set = false;
    int doublings = 0;
    char last = 0; /* of the pattern itself; 0: the beginning, or something escaped */

    for (const char *c = pattern; *c; c++) {
        if (*c == '\\') {
            if (!translate_escape(*++c, in_set, ret))
                return false;
            last = 0;
            continue;
        }
        if (!in_set && (*c == '{' || (strchr("*+?", *c) && last && strchr("*+?(|^", last))))
            return false;
        doublings += !in_set && *c == '+' && last == ')';
        last = in_set ? 0 : *c;
        in_set = in_set ? *c != ']' : *c == '[';
        strbuf_addc(ret, *c);
    }
    return doublings <= DOUBLINGS_MAX && !ret->overflow;
}

static bool compile(const char *pattern, regex_t *ret)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT((size_t)PATTERN_MAX * 8);

    return strlen(pattern) <= PATTERN_MAX && translate(pattern, &sb) &&
           !regcomp(ret, sb.buf, REG_EXTENDED | REG_NOSUB);
}

bool error_pattern_valid(const char *pattern)
{
    regex_t re;

    if (!compile(pattern, &re))
        return false;
    regfree(&re);
    return true;
}

static bool found_in(const char *pattern, const char *text)
{
    regex_t re;
    bool found;

    if (!compile(pattern, &re))
        return false;
    found = !regexec(&re, text, 0, NULL, 0);
    regfree(&re);
    return found;
}

static jv labels_of(struct arena *a, const struct conf *c, const char *message)
{
    struct conf here = *c; /* what is read of it shall not stay with it */
    struct jv_list list = JV_LIST(a);
    struct error err;
    size_t tried = 0;
    jv map;

    here.a = a;
    if (conf_map(&here, ERROR_LABELS_KEY, &map, &err))
        return ABSENT;
    jv_foreach_kv (kv, map)
        if (tried++ < PATTERNS_MAX && found_in(kv->key, message))
            jv_list_add(&list, kv->value);
    return list.n ? jv_list_arr(&list) : ABSENT;
}

/* With what shows that it was longer. */
static const char *cut(struct arena *a, const char *text, size_t max)
{
    return strlen(text) > max ? str_clean(a, text, max - ELLIPSIS) : text;
}

const char *error_form(struct arena *a, const struct conf *c, const char *text)
{
    int64_t max;
    struct error err;
    jv v;

    if (!text || *text != '{' || json_parse(a, text, strlen(text), &v, &err) || v.type != JV_OBJ)
        return text;
    if (flink_option_int(c, "kubernetes.operator.exception.field.max.length", &max, &err))
        max = ERROR_FIELD_MAX;
    size_t most = (size_t)MIN(MAX(max, (int64_t)FIELD_MIN), (int64_t)FIELD_MAX);
    const char *message = str_or_empty(JV_STRING(v, "message"));
    jv labels = labels_of(a, c, cut(a, message, MATCHED_MAX));

    v = jv_set(a, v, "type", STR(cut(a, str_or_empty(JV_STRING(v, "type")), most)));
    v = jv_set(a, v, "message", STR(cut(a, message, most)));
    if (jv_present(labels))
        v = JV_SET_PATH(a, v, labels, "additionalMetadata", "labels");
    return json_text(a, v);
}
