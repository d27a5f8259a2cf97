/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "conf_internal.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/yaml.h"

/* The text of one value may not be longer; the object it comes from is far smaller. */
#define VALUE_MAX ((size_t)1 << 20)
#define LIST_MAX ((size_t)4 << 20) /* etcd takes 1.5 MiB, and a quote is doubled */

/* ---- the sorted array ---- */

size_t conf_lower_bound(const struct conf *c, const char *key)
{
    size_t low = 0, high = c->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(c->entries[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct conf_entry *conf_find(const struct conf *c, const char *key)
{
    size_t at = conf_lower_bound(c, key);

    return at < c->n && !strcmp(c->entries[at].key, key) ? &c->entries[at] : NULL;
}

const char *conf_get(const struct conf *c, const char *key)
{
    const struct conf_entry *e = conf_find(c, key);

    return e ? e->value : NULL;
}

static void grow(struct conf *c, size_t room)
{
    struct conf_entry *bigger = arena_new_array(c->a, struct conf_entry, room);

    if (c->n)
        memcpy(bigger, c->entries, c->n * sizeof(*bigger));
    c->entries = bigger;
    c->room = room;
}

void conf_set(struct conf *c, const char *key, const char *value)
{
    const char *copy = arena_strdup(c->a, value);
    size_t at = conf_lower_bound(c, key);

    if (at < c->n && !strcmp(c->entries[at].key, key)) {
        c->entries[at].value = copy;
        return;
    }
    if (c->n == c->room)
        grow(c, c->room ? c->room * 2 : 32);
    memmove(c->entries + at + 1, c->entries + at, (c->n - at) * sizeof(*c->entries));
    c->entries[at] = (struct conf_entry){arena_strdup(c->a, key), copy};
    c->n++;
}

void conf_setf(struct conf *c, const char *key, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const char *value = arena_vprintf(c->a, fmt, ap);
    va_end(ap);
    conf_set(c, key, value);
}

void conf_default(struct conf *c, const char *key, const char *value)
{
    if (!conf_lookup(c, key))
        conf_set(c, key, value);
}

void conf_remove(struct conf *c, const char *key)
{
    size_t at = conf_lower_bound(c, key);

    if (at == c->n || strcmp(c->entries[at].key, key) != 0)
        return;
    c->n--;
    memmove(c->entries + at, c->entries + at + 1, (c->n - at) * sizeof(*c->entries));
}

void conf_remove_prefix(struct conf *c, const char *prefix)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n; i++)
        if (!str_has_prefix(c->entries[i].key, prefix))
            c->entries[kept++] = c->entries[i];
    c->n = kept;
}

void conf_merge(struct conf *c, const struct conf *over)
{
    for (size_t i = 0; i < over->n; i++)
        conf_set(c, over->entries[i].key, over->entries[i].value);
}

struct conf conf_dup(struct arena *a, const struct conf *c)
{
    struct conf copy = CONF_INIT(a);

    grow(&copy, MAX(c->n + c->n / 4, (size_t)32));
    for (size_t i = 0; i < c->n; i++) {
        copy.entries[i].key = arena_strdup(a, c->entries[i].key);
        copy.entries[i].value = arena_strdup(a, c->entries[i].value);
    }
    copy.n = c->n;
    return copy;
}

/* ---- reading what users write ---- */

static void add_quoted(struct strbuf *sb, const char *s)
{
    strbuf_addc(sb, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            strbuf_addc(sb, '\'');
        strbuf_addc(sb, *s);
    }
    strbuf_addc(sb, '\'');
}

/* Whether an element must be quoted to come back whole from Flink's list or map parser
 * (StructuredOptionsSplitter#escapeWithSingleQuote). */
static void add_escaped(struct strbuf *sb, const char *s, const char *specials)
{
    if (s[strcspn(s, specials)])
        add_quoted(sb, s);
    else
        strbuf_adds(sb, s);
}

const char *conf_list_text(struct arena *a, jv list)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(LIST_MAX);

    jv_foreach (item, list) {
        if (sb.len)
            strbuf_addc(&sb, ';');
        add_quoted(&sb, str_or_empty(jv_string(*item)));
    }
    return arena_strndup(a, sb.buf, sb.len);
}

static int bad_value(const char *path, const char *what, struct error *err)
{
    return error_set(err, ERR_INVALID, "%.400s: %s", path, what);
}

/* {k: v, …} inside an array, as Flink's map text. */
static int add_object_text(struct strbuf *sb, struct arena *a, jv v, const char *path,
                           struct error *err)
{
    const char *comma = "";

    jv_foreach_kv (kv, v) {
        cleanup_strbuf struct strbuf pair = STRBUF_INIT(VALUE_MAX);
        const char *text = jv_scalar_text(a, kv->value);

        if (kv->value.type == JV_NULL)
            continue;
        if (!text)
            return bad_value(path, "an element of a list may be a mapping of plain values only",
                             err);
        add_escaped(&pair, kv->key, ":\"'");
        strbuf_addc(&pair, ':');
        add_escaped(&pair, text, ":\"'");
        strbuf_adds(sb, comma);
        add_escaped(sb, pair.buf, ",\"'");
        comma = ",";
    }
    return 0;
}

static int array_text(struct arena *a, jv v, const char *path, const char **ret, struct error *err)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(VALUE_MAX);
    const char *sep = "";

    jv_foreach (item, v) {
        cleanup_strbuf struct strbuf element = STRBUF_INIT(VALUE_MAX);
        const char *text = jv_scalar_text(a, *item);

        if (item->type == JV_NULL)
            continue;
        if (item->type == JV_ARR)
            return bad_value(path, "a list in a list means nothing to Flink", err);
        if (item->type == JV_OBJ && add_object_text(&element, a, *item, path, err))
            return -1;
        strbuf_adds(&sb, sep);
        add_escaped(&sb, text ? text : element.buf, ";\"'");
        sep = ";";
    }
    *ret = arena_strdup(a, sb.buf);
    return 0;
}

static const char *without_last_breaks(struct arena *a, const char *s)
{
    size_t n = strlen(s), full = n;

    while (n && (s[n - 1] == '\n' || s[n - 1] == '\r'))
        n--;
    return n == full ? s : arena_strndup(a, s, n);
}

/* Java's String#trim, by which Flink 1.x reads keys: everything up to the blank goes. */
static char *java_trim(struct arena *a, const char *s, size_t n)
{
    while (n && (unsigned char)*s <= ' ')
        s++, n--;
    while (n && (unsigned char)s[n - 1] <= ' ')
        n--;
    return arena_strndup(a, s, n);
}

static int put(struct conf *c, const char *key, const char *value, const char *path,
               struct error *err)
{
    key = java_trim(c->a, key, strlen(key));
    if (!*key)
        return bad_value(path, "an empty key", err);
    if (strlen(key) > CONF_MAX_KEY)
        return error_set(err, ERR_TOO_LARGE, "%.400s…: a key of more than %d bytes", path,
                         CONF_MAX_KEY);
    if (c->n >= CONF_MAX_ENTRIES && !conf_get(c, key))
        return error_set(err, ERR_TOO_LARGE, "%.400s: more than %d keys", path, CONF_MAX_ENTRIES);
    conf_set(c, key, without_last_breaks(c->a, value));
    return 0;
}

/* key is "" at the root: its members are the first words of keys. */
static int add(struct conf *c, jv v, const char *key, const char *path, struct error *err)
{
    const char *text = NULL;

    if (strlen(key) > CONF_MAX_KEY) /* before it is written once for each of its members */
        return error_set(err, ERR_TOO_LARGE, "%.400s…: a key of more than %d bytes", path,
                         CONF_MAX_KEY);
    switch (v.type) {
    case JV_OBJ:
        jv_foreach_kv (kv, v) {
            const char *member = *key ? arena_printf(c->a, "%s.%s", key, kv->key) : kv->key;

            if (add(c, kv->value, member, arena_printf(c->a, "%s.%s", path, kv->key), err))
                return -1;
        }
        return 0;
    case JV_ARR:
        if (array_text(c->a, v, path, &text, err))
            return -1;
        break;
    case JV_NULL:
    case JV_ABSENT:
        return 0;
    default:
        text = jv_scalar_text(c->a, v);
    }
    return put(c, key, text, path, err);
}

int conf_add_jv(struct conf *c, jv v, const char *path, struct error *err)
{
    if (jv_present(v) && v.type != JV_OBJ)
        return bad_value(path, "must be a mapping from keys to values", err);
    return add(c, v, "", path, err);
}

/* ---- the operator's own files ---- */

struct flat_line {
    const char *key, *value; /* NULL: it has none */
    bool blank;              /* but perhaps a comment */
};

/* Returns where the next one begins. */
static const char *read_line(struct arena *a, const char *text, struct flat_line *ret)
{
    size_t len = strcspn(text, "\r\n");
    size_t used = strcspn(text, "#\r\n"); /* up to a comment */
    const char *line = java_trim(a, text, used);
    const char *colon = strstr(line, ": ");

    *ret = (struct flat_line){.blank = !*line};
    if (colon) {
        ret->key = java_trim(a, line, (size_t)(colon - line));
        ret->value = java_trim(a, colon + 2, strlen(colon + 2));
    }
    return text + len + (text[len] == '\r' && text[len + 1] == '\n') + (text[len] != 0);
}

void conf_add_flat_text(struct conf *c, const char *text)
{
    struct flat_line line;

    while (*text) {
        text = read_line(c->a, text, &line);
        if (!str_empty(line.key) && !str_empty(line.value) && strlen(line.key) <= CONF_MAX_KEY &&
            c->n < CONF_MAX_ENTRIES)
            conf_set(c, line.key, line.value);
    }
}

const char *conf_flat_line(struct arena *a, const char *text, bool *ret_lost)
{
    struct flat_line line;
    const char *rest = read_line(a, text, &line);

    *ret_lost = !line.blank && (str_empty(line.key) || str_empty(line.value));
    return rest;
}

int conf_add_yaml_text(struct conf *c, const char *text, size_t len, struct error *err)
{
    jv v;

    if (yaml_parse(c->a, text, len, &v, err))
        return -1;
    return conf_add_jv(c, v, "config.yaml", err);
}
