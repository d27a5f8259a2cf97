/* SPDX-License-Identifier: Apache-2.0 */
#include "kube_split.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/kube_resource.h"
#include "flinkop/str.h"

#define REST_MAX ((size_t)64 << 10)  /* of a list without its items */
#define KEEP_ROOM ((size_t)64 << 10) /* of a buffer between two uses */

/* Empties a buffer; one large object must not hold its memory for good. */
static void recycle(struct strbuf *sb)
{
    if (sb->room > KEEP_ROOM)
        strbuf_release(sb);
    strbuf_reset(sb);
}

/* ---- lists ---- */

void list_split_init(struct list_split *s, size_t item_max)
{
    *s = (struct list_split){0};
    strbuf_init(&s->rest, REST_MAX);
    strbuf_init(&s->item, item_max);
}

void list_split_release(struct list_split *s)
{
    strbuf_release(&s->rest);
    strbuf_release(&s->item);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Follows strings and brackets over as many bytes as belong to what is being read, and returns how
 * many: up to n, or up to the bracket that brings the depth to 0. Whether the brackets match is for
 * the JSON parser to say. */
static size_t skim(struct list_split *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = p[i];

        if (s->escaped) {
            s->escaped = false;
        } else if (s->in_string) {
            s->escaped = c == '\\';
            s->in_string = c != '"';
        } else if (c == '"') {
            s->in_string = true;
        } else if (c == '{' || c == '[') {
            s->depth++;
        } else if (c == '}' || c == ']') {
            if (!--s->depth)
                return i + 1;
        }
    }
    return n;
}

/* One byte of the list outside of its items. */
static int member_byte(struct list_split *s, char c, struct error *err)
{
    bool was_string = s->in_string;

    if (s->depth == 1 && !was_string) {
        if (c == '"' && !s->after_key)
            s->key_at = s->rest.len;
        else if (c == ':')
            s->after_key = true;
        else if (c == ',')
            s->after_key = false;
        else if (c == '[' && s->after_key && s->key_at &&
                 str_has_prefix(s->rest.buf + s->key_at, "\"items\""))
            s->state = LIST_FIRST_ITEM;
    }
    strbuf_addc(&s->rest, c);
    if (s->rest.overflow)
        return error_set(err, ERR_TOO_LARGE, "list with more than %zu bytes beside its items",
                         s->rest.cap);
    if (s->state == LIST_FIRST_ITEM) /* the brackets of an item count for themselves */
        s->depth = 0;
    else if (skim(s, &c, 1) && !s->depth)
        s->state = LIST_END;
    return 0;
}

/* One byte between items; the byte that starts one is not taken. */
static int gap_byte(struct list_split *s, char c, bool *ret_taken, struct error *err)
{
    *ret_taken = true;
    if (is_blank(c))
        return 0;
    if (c == ']' && s->state != LIST_NEXT_ITEM) {
        s->state = LIST_MEMBERS;
        s->depth = 1;
        strbuf_addc(&s->rest, c);
        return 0;
    }
    if (c == ',' && s->state == LIST_AFTER_ITEM) {
        s->state = LIST_NEXT_ITEM;
        return 0;
    }
    if (c != '{' || s->state == LIST_AFTER_ITEM)
        return error_set(err, ERR_PARSE, "malformed list behind item %zu", s->items);
    s->state = LIST_ITEM;
    s->depth = 0;
    *ret_taken = false;
    return 0;
}

static int item_bytes(struct list_split *s, const char *p, size_t n, size_t *ret_taken,
                      struct error *err)
{
    *ret_taken = skim(s, p, n);
    strbuf_add(&s->item, p, *ret_taken);
    if (s->item.overflow)
        return error_set(err, ERR_TOO_LARGE, "item %zu of a list is larger than %zu bytes",
                         s->items + 1, s->item.cap);
    if (!s->depth)
        s->state = LIST_AFTER_ITEM;
    return 0;
}

int list_split_feed(struct list_split *s, const char *data, size_t n, split_fn item, void *arg,
                    struct error *err)
{
    for (size_t i = 0; i < n;) {
        bool taken = true;
        size_t used = 1;
        int rc = 0;

        switch (s->state) {
        case LIST_START:
            if (data[i] == '{')
                s->state = LIST_MEMBERS;
            else if (!is_blank(data[i]))
                return error_set(err, ERR_PARSE, "not a JSON object");
            rc = s->state == LIST_MEMBERS ? member_byte(s, data[i], err) : 0;
            break;
        case LIST_MEMBERS:
            rc = member_byte(s, data[i], err);
            break;
        case LIST_FIRST_ITEM:
        case LIST_NEXT_ITEM:
        case LIST_AFTER_ITEM:
            rc = gap_byte(s, data[i], &taken, err);
            used = taken;
            break;
        case LIST_ITEM:
            rc = item_bytes(s, data + i, n - i, &used, err);
            break;
        case LIST_END:
            if (!is_blank(data[i]))
                rc = error_set(err, ERR_PARSE, "text behind the list");
            break;
        }
        if (rc)
            return -1;
        i += used;
        if (s->state != LIST_AFTER_ITEM || !s->item.len)
            continue;
        s->items++;
        if (!item(arg, s->item.buf, s->item.len))
            return 0;
        recycle(&s->item);
    }
    return 0;
}

int list_split_end(struct list_split *s, struct arena *a, jv *ret, struct error *err)
{
    if (s->state != LIST_END)
        return error_set(err, ERR_PARSE, "list cut off behind %zu items", s->items);
    if (json_parse(a, s->rest.buf, s->rest.len, ret, err))
        return error_wrap(err, "list");
    if (str_empty(JV_STRING(*ret, "metadata", "resourceVersion")))
        return error_set(err, ERR_PARSE, "list without metadata.resourceVersion");
    return 0;
}

/* ---- lines ---- */

void line_split_init(struct line_split *s, size_t line_max)
{
    strbuf_init(&s->partial, line_max);
}

void line_split_release(struct line_split *s)
{
    strbuf_release(&s->partial);
}

/* Gives a line without copying it unless its start came in an earlier piece. */
static bool give_line(struct line_split *s, const char *text, size_t len, split_fn line, void *arg)
{
    if (!s->partial.len)
        return !len || line(arg, text, len);
    strbuf_add(&s->partial, text, len);
    bool go_on = line(arg, s->partial.buf, s->partial.len);

    recycle(&s->partial);
    return go_on;
}

int line_split_feed(struct line_split *s, const char *data, size_t n, split_fn line, void *arg,
                    struct error *err)
{
    const char *end = data + n;

    while (data < end) {
        const char *eol = memchr(data, '\n', (size_t)(end - data));
        size_t len = (size_t)((eol ? eol : end) - data), max = s->partial.cap;

        if (len > max - s->partial.len)
            return error_set(err, ERR_TOO_LARGE, "line larger than %zu bytes", max);
        if (!eol) {
            strbuf_add(&s->partial, data, len);
            return 0;
        }
        if (!give_line(s, data, len, line, arg))
            return 0;
        data = eol + 1;
    }
    return 0;
}

/* ---- objects ---- */

/* ret_lost: what could not be read, NULL if nothing. level: see json_tame. */
static int parse(struct arena *a, const char *text, size_t len, int level, jv *ret,
                 const char **ret_lost, struct error *err)
{
    struct error ignored;

    *ret_lost = NULL;
    if (!json_parse(a, text, len, ret, err))
        return 0;
    cleanup_strbuf struct strbuf tame = STRBUF_INIT(len * 6 + 1);

    *ret_lost = json_tame(a, text, len, level, NULL, "spec", &tame);
    return json_parse(a, tame.buf, tame.len, ret, &ignored) ? -1 : 0;
}

static jv marked(struct arena *a, jv object, const char *lost)
{
    return lost && object.type == JV_OBJ ? jv_set(a, object, KUBE_UNREADABLE, STR(lost)) : object;
}

int kube_object_parse(struct arena *a, const char *text, size_t len, jv *ret, struct error *err)
{
    const char *lost;

    if (parse(a, text, len, 1, ret, &lost, err))
        return -1;
    *ret = marked(a, *ret, lost);
    return 0;
}

/* ---- watch events ---- */

static const char *const types[] = {
    [WATCH_ADDED] = "ADDED",       [WATCH_MODIFIED] = "MODIFIED", [WATCH_DELETED] = "DELETED",
    [WATCH_BOOKMARK] = "BOOKMARK", [WATCH_ERROR] = "ERROR",
};

int watch_event_parse(struct arena *a, const char *line, size_t len, struct watch_event *ret,
                      struct error *err)
{
    const char *lost;
    jv v;

    if (parse(a, line, len, 2, &v, &lost, err))
        return error_wrap(err, "watch event");
    int type = str_index(types, ARRAY_SIZE(types), jv_string(jv_get(v, "type")));
    jv object = jv_get(v, "object");

    if (type < 0 || object.type != JV_OBJ)
        return error_set(err, ERR_PARSE, "watch event without a known type and an object");
    *ret = (struct watch_event){.type = (enum watch_type)type, .object = marked(a, object, lost)};
    if (ret->type == WATCH_ERROR)
        return 0;
    ret->resource_version = JV_STRING(object, "metadata", "resourceVersion");
    if (str_empty(ret->resource_version))
        return error_set(err, ERR_PARSE, "watch event without a resource version");
    if (ret->type != WATCH_BOOKMARK && str_empty(JV_STRING(object, "metadata", "name")))
        return error_set(err, ERR_PARSE, "watch event about an object without a name");
    return 0;
}
