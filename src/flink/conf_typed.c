/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "conf_internal.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/flink_memory.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/strmap.h"
#include "flinkop/yaml.h"

/* ---- scalars ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

/* Copies only when there is something to trim: the operator's own configuration is read again and
 * again and must not grow its arena. */
static const char *trimmed(const struct conf *c, const char *s)
{
    size_t n = strlen(s);

    return n && (is_blank(*s) || is_blank(s[n - 1])) ? str_trim(c->a, s) : s;
}

/* The trimmed value under one of the key's names, which goes to ret_name; NULL: not set. */
static const char *look(const struct conf *c, const char *key, const char **ret_name)
{
    const char *text = conf_lookup_name(c, key, ret_name);

    return text ? trimmed(c, text) : NULL;
}

static int bad(const char *name, const char *text, const char *wanted, struct error *err)
{
    return error_set(err, ERR_INVALID, "%.200s: found \"%.100s\", must be %s", name,
                     conf_is_sensitive(name) ? "******" : text, wanted);
}

int conf_int(const struct conf *c, const char *key, int64_t fallback, int64_t *ret,
             struct error *err)
{
    const char *name, *text = look(c, key, &name);

    *ret = fallback;
    if (text && !str_to_int64(text, ret))
        return bad(name, text, "a whole number", err);
    return 0;
}

int conf_bool(const struct conf *c, const char *key, bool fallback, bool *ret, struct error *err)
{
    const char *name, *text = look(c, key, &name);

    *ret = fallback;
    if (text && !str_to_bool(text, ret))
        return bad(name, text, "true or false", err);
    return 0;
}

int conf_double(const struct conf *c, const char *key, double fallback, double *ret,
                struct error *err)
{
    const char *name, *text = look(c, key, &name);

    *ret = fallback;
    if (text && !str_to_double(text, ret))
        return bad(name, text, "a number", err);
    return 0;
}

int conf_duration(const struct conf *c, const char *key, int64_t fallback, int64_t *ret,
                  struct error *err)
{
    const char *name, *text = look(c, key, &name);

    *ret = fallback;
    if (text && duration_parse(text, ret, NULL))
        return bad(name, text,
                   "a duration: a number and a unit, such as \"30 s\", \"5 min\" or \"1 d\"", err);
    return 0;
}

int conf_memory(const struct conf *c, const char *key, int64_t fallback, int64_t *ret,
                struct error *err)
{
    const char *name, *text = look(c, key, &name);
    struct error why;

    *ret = fallback;
    if (text && memory_size_parse_flink(text, ret, &why))
        return error_set(err, ERR_INVALID, "%.200s: %s", name, why.text);
    return 0;
}

/* ---- lists and maps ---- */

struct parts {
    struct arena *a;
    const char **items;
    size_t n;
};

/* The text in quotes that starts behind s[-1]; returns what follows, NULL if it never ends. */
static const char *take_quoted(struct arena *a, const char *s, char quote, const char **ret)
{
    const char *end = s;

    while (*end && (*end != quote || end[1] == quote))
        end += 1 + (*end == quote);
    if (!*end)
        return NULL;
    char *out = arena_alloc(a, (size_t)(end - s) + 1), *to = out;

    for (; s < end; s += 1 + (*s == quote))
        *to++ = *s;
    *to = 0;
    *ret = out;
    return end + 1;
}

/*
 * StructuredOptionsSplitter#splitEscaped: parts between delimiters, blanks around them dropped; a
 * part may be quoted with ' or ", the quote itself doubled inside. A delimiter at either end adds
 * no empty part, two in a row do.
 */
static const char *split(const char *s, char delimiter, struct parts *ret)
{
    bool after_quoted = false;
    char last = 0;

    ret->items = arena_new_array(ret->a, const char *, strlen(s) + 1);
    ret->n = 0;
    while (*s) {
        if (is_blank(*s)) {
            s++;
        } else if (*s == delimiter) {
            if (last == delimiter)
                ret->items[ret->n++] = "";
            last = *s++;
            after_quoted = false;
        } else if (after_quoted) {
            return "quotes must enclose a whole part";
        } else if (*s == '\'' || *s == '"') {
            last = *s;
            s = take_quoted(ret->a, s + 1, *s, &ret->items[ret->n++]);
            if (!s)
                return "a quote is not closed";
            after_quoted = true;
        } else {
            const char *end = strchr(s, delimiter);
            size_t len = end ? (size_t)(end - s) : strlen(s);

            ret->items[ret->n++] = str_trim(ret->a, arena_strndup(ret->a, s, len));
            last = 0;
            s += len;
        }
    }
    return NULL;
}

/* Flink 2.x reads YAML's flow syntax before its own; in 1.x such text has no meaning. */
static bool parse_flow(struct arena *a, const char *text, enum jv_type wanted, jv *ret)
{
    struct jv_list list = JV_LIST(a);
    jv v;

    if (*text != (wanted == JV_ARR ? '[' : '{') || yaml_parse(a, text, strlen(text), &v, NULL) ||
        v.type != wanted)
        return false;
    jv_foreach (item, v) {
        const char *s = jv_scalar_text(a, *item);

        jv_list_add(&list, s ? STR(s) : *item);
    }
    jv_foreach_kv (kv, v) {
        const char *s = jv_scalar_text(a, kv->value);

        jv_list_put(&list, kv->key, s ? STR(s) : kv->value);
    }
    *ret = wanted == JV_ARR ? jv_list_arr(&list) : jv_list_obj(&list);
    return true;
}

static const char *parse_map(struct arena *a, const char *text, jv *ret)
{
    CLEANUP(strmap_release) struct strmap seen = {0};
    struct jv_list list = JV_LIST(a);
    struct parts pairs = {.a = a}, pair = {.a = a};

    if (parse_flow(a, text, JV_OBJ, ret))
        return NULL;
    const char *problem = split(text, ',', &pairs);

    for (size_t i = 0; !problem && i < pairs.n; i++) {
        problem = split(pairs.items[i], ':', &pair);
        if (!problem && pair.n != 2)
            problem = "each part must be a key, ':' and a value";
        if (problem)
            break;
        if (strmap_put(&seen, pair.items[0], &seen))
            problem = "a key comes twice";
        jv_list_put(&list, pair.items[0], STR(pair.items[1]));
    }
    *ret = jv_list_obj(&list);
    return problem;
}

/* Keys below "<name>." as the members of a map: "kubernetes.jobmanager.labels.team: x". */
static jv prefix_map(const struct conf *c, const char *name)
{
    struct jv_list list = JV_LIST(c->a);

    if (!c->n)
        return ABSENT;
    const char *prefix = arena_printf(c->a, "%s.", name);

    for (size_t i = conf_lower_bound(c, prefix); i < c->n; i++) {
        const char *tail = str_skip_prefix(c->entries[i].key, prefix);

        if (!tail)
            break;
        jv_list_put(&list, tail, STR(c->entries[i].value));
    }
    return list.n ? jv_list_obj(&list) : ABSENT;
}

int conf_map(const struct conf *c, const char *key, jv *ret, struct error *err)
{
    char room[CONF_NAME_ROOM];
    const char *name;

    *ret = ABSENT;
    for (size_t i = 0; (name = conf_name(key, i, room)); i++) {
        const struct conf_entry *e = conf_find(c, name);

        if (!e) {
            *ret = prefix_map(c, name);
            if (ret->type != JV_ABSENT)
                return 0;
            continue;
        }
        const char *problem = parse_map(c->a, trimmed(c, e->value), ret);

        return problem
                   ? bad(e->key, e->value,
                         arena_printf(c->a, "a map like \"key:value,key:value\": %s", problem), err)
                   : 0;
    }
    return 0;
}

int conf_list(const struct conf *c, const char *key, jv *ret, struct error *err)
{
    const char *name, *text = look(c, key, &name);
    struct jv_list list = JV_LIST(c->a);
    struct parts parts = {.a = c->a};

    *ret = ABSENT;
    if (!text || parse_flow(c->a, text, JV_ARR, ret))
        return 0;
    const char *problem = split(text, ';', &parts);

    if (problem)
        return bad(name, text, arena_printf(c->a, "a list like \"a;b;c\": %s", problem), err);
    for (size_t i = 0; i < parts.n; i++)
        jv_list_add(&list, STR(parts.items[i]));
    *ret = jv_list_arr(&list);
    return 0;
}

const char *conf_words(const struct conf *c, const char *key, const char *fallback)
{
    const char *text = conf_lookup(c, key);
    struct error err;
    jv list;

    if (!text)
        return fallback;
    if (!strpbrk(text, ";[") || conf_list(c, key, &list, &err))
        return text;
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(strlen(text) + 1);

    jv_foreach (word, list)
        strbuf_addf(&sb, "%s%s", sb.len ? "," : "", str_or_empty(jv_string(*word)));
    return arena_strndup(c->a, sb.buf, sb.len);
}

int conf_map_list(const struct conf *c, const char *key, jv *ret, struct error *err)
{
    struct jv_list list = JV_LIST(c->a);
    jv items;

    *ret = ABSENT;
    if (conf_list(c, key, &items, err))
        return -1;
    if (items.type == JV_ABSENT)
        return 0;
    jv_foreach (item, items) {
        jv map = *item;
        const char *text = jv_string(map);
        const char *problem = text ? parse_map(c->a, text, &map) : NULL;

        if (problem || map.type != JV_OBJ)
            return bad(key, text ? text : "a list in a list",
                       "a list of maps like \"k:v,k:v;k:v,k:v\"", err);
        jv_list_add(&list, map);
    }
    *ret = jv_list_arr(&list);
    return 0;
}
