/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"
#include "flinkop/yaml.h"

struct anchor {
    jv value;
    size_t weight; /* values in it, aliases expanded */
};

/* Where the value that is being read stands. */
struct place {
    const struct place *in;
    const char *key; /* NULL: item `index` of a list */
    size_t index;
};

struct reader {
    yaml_parser_t parser;
    struct arena *a;
    struct strmap anchors; /* of the current document; struct anchor in the arena */
    size_t weight;         /* values so far */
    const struct place *at;
    struct error *err;
};

static void reader_release(struct reader *r)
{
    strmap_release(&r->anchors);
    yaml_parser_delete(&r->parser);
}

#define PLACES_SHOWN 12
#define PATH_SHOWN 200

/* "spec.jobManager.list[2]: " or "". */
static const char *path_of(struct reader *r)
{
    const struct place *chain[YAML_MAX_DEPTH + 1];
    const char *path = "";
    size_t n = 0, shown = 0;

    for (const struct place *at = r->at; at && n < ARRAY_SIZE(chain); at = at->in)
        chain[n++] = at;
    while (n-- && shown++ < PLACES_SHOWN && strlen(path) < PATH_SHOWN)
        path = chain[n]->key ? arena_printf(r->a, "%s%s%s", path, *path ? "." : "",
                                            str_clean(r->a, chain[n]->key, 80))
                             : arena_printf(r->a, "%s[%zu]", path, chain[n]->index);
    return *path ? arena_printf(r->a, "%s: ", path) : "";
}

static int bad(struct reader *r, yaml_mark_t at, const char *fmt, ...) PRINTF(3, 4);
static int bad(struct reader *r, yaml_mark_t at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(r->a, fmt, ap);
    va_end(ap);
    return error_set(r->err, ERR_PARSE, "line %zu, column %zu: %s%s", at.line + 1, at.column + 1,
                     path_of(r), text);
}

static int next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return 0;
    return bad(r, r->parser.problem_mark, "%s", str_or(r->parser.problem, "malformed YAML"));
}

/* A YAML 1.1 integer (0x, 0o, 0b, leading-0 octal, underscores) as decimal text, or NULL. */
static const char *as_integer(struct arena *a, const char *s)
{
    char *digits = arena_strdup(a, s), *to = digits, *end;
    int base = 10;

    for (const char *p = s; *p; p++)
        if (*p != '_')
            *to++ = *p;
    *to = 0;
    const char *p = digits + (*digits == '-' || *digits == '+');

    if (!isdigit((unsigned char)*p))
        return NULL;
    if (*p == '0' && p[1]) {
        char c = p[1];

        base = c == 'x' || c == 'X' ? 16 : c == 'b' || c == 'B' ? 2 : 8;
        p += base == 8 ? (c == 'o' || c == 'O' ? 2 : 1) : 2;
    }
    if (!isxdigit((unsigned char)*p))
        return NULL;
    errno = 0;
    unsigned long long v = strtoull(p, &end, base);

    if (*end || end == p)
        return NULL;
    if (errno || (v > INT64_MAX && *digits == '-'))
        return base == 10 && strspn(p, "0123456789") == strlen(p) ? p : NULL;
    return arena_printf(a, "%s%llu", *digits == '-' && v ? "-" : "", v);
}

/* A YAML float as a JSON number, or NULL. Infinities and NaN stay strings: JSON has none. */
static const char *as_float(struct arena *a, const char *s)
{
    double v;
    bool digit = false;

    for (const char *p = s; *p; p++)
        digit |= isdigit((unsigned char)*p) != 0;
    if (!digit || !str_to_double(s, &v))
        return NULL;
    if (v == 0)
        return "0"; /* -0, too: what is written must read the same */
    for (int precision = 1; precision <= 17; precision++) {
        const char *text = arena_printf(a, "%.*g", precision, v);

        if (strtod(text, NULL) == v) /* NOLINT: exact round trip is the point */
            return text;
    }
    return NULL;
}

static jv plain_scalar(struct arena *a, const char *s)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const yes[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                      "True", "TRUE", "on",  "On",  "ON"};
    static const char *const no[] = {"n",     "N",     "no",  "No",  "NO", "false",
                                     "False", "FALSE", "off", "Off", "OFF"};
    const char *number;

    if (str_index(nulls, ARRAY_SIZE(nulls), s) >= 0)
        return NULLV;
    if (str_index(yes, ARRAY_SIZE(yes), s) >= 0)
        return BOOL(true);
    if (str_index(no, ARRAY_SIZE(no), s) >= 0)
        return BOOL(false);
    if (isdigit((unsigned char)*s) || *s == '-' || *s == '+' || *s == '.') {
        number = as_integer(a, s);
        if (!number)
            number = as_float(a, s);
        if (number)
            return (jv){.type = JV_NUM, .s = number};
    }
    return STR(s);
}

static int read_scalar(struct reader *r, const yaml_event_t *e, jv *ret)
{
    const char *text = (const char *)e->data.scalar.value;
    const char *tag = (const char *)e->data.scalar.tag;

    if (strlen(text) != e->data.scalar.length)
        return bad(r, e->start_mark, "a NUL character in a string");
    text = arena_strdup(r->a, text);
    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !tag)
        *ret = plain_scalar(r->a, text);
    else if (!tag || !strcmp(tag, YAML_STR_TAG) || !strcmp(tag, "!"))
        *ret = STR(text);
    else if (!strcmp(tag, YAML_INT_TAG) || !strcmp(tag, YAML_FLOAT_TAG) ||
             !strcmp(tag, YAML_BOOL_TAG) || !strcmp(tag, YAML_NULL_TAG))
        *ret = plain_scalar(r->a, text);
    else
        return bad(r, e->start_mark, "tag %s is not supported", tag);
    return 0;
}

static int read_node(struct reader *r, yaml_event_t *e, int depth, jv *ret);

static int read_sequence(struct reader *r, int depth, jv *ret)
{
    struct jv_list list = JV_LIST(r->a);
    struct place here = {.in = r->at};

    r->at = &here;
    for (;;) {
        yaml_event_t e;
        jv item;

        if (next_event(r, &e))
            return -1;
        bool end = e.type == YAML_SEQUENCE_END_EVENT;
        int rc = end ? 0 : read_node(r, &e, depth, &item);

        yaml_event_delete(&e);
        if (rc)
            return -1;
        if (end)
            break;
        jv_list_add(&list, item);
        here.index++;
    }
    r->at = here.in;
    *ret = jv_list_arr(&list);
    return 0;
}

/* Reads one key; merge keys ("<<") are reported through ret_merge. */
static int read_key(struct reader *r, const yaml_event_t *e, struct strmap *seen,
                    const char **ret_key, bool *ret_merge)
{
    if (e->type != YAML_SCALAR_EVENT)
        return bad(r, e->start_mark, "a key must be a plain word");
    const char *text = (const char *)e->data.scalar.value;

    if (strlen(text) != e->data.scalar.length)
        return bad(r, e->start_mark, "a NUL character in a key");
    *ret_merge = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !strcmp(text, "<<");
    if (!*ret_merge && strmap_put(seen, text, r)) {
        r->at = &(struct place){.in = r->at, .key = text};
        return bad(r, e->start_mark, "stands twice in the same mapping");
    }
    *ret_key = arena_strdup(r->a, text);
    return 0;
}

static int read_mapping(struct reader *r, int depth, jv *ret)
{
    struct jv_list list = JV_LIST(r->a);
    struct strmap seen = {0};
    struct place here = {.in = r->at};
    jv merged = ABSENT;
    int rc = 0;

    for (;;) {
        yaml_event_t e;
        const char *key = NULL;
        bool merge = false;
        jv value = ABSENT;

        r->at = here.in;
        rc = next_event(r, &e);
        if (rc)
            break;
        bool end = e.type == YAML_MAPPING_END_EVENT;
        if (!end)
            rc = read_key(r, &e, &seen, &key, &merge);
        yaml_event_delete(&e);
        if (rc || end)
            break;
        rc = next_event(r, &e);
        if (rc)
            break;
        yaml_mark_t at = e.start_mark;
        here.key = key;
        r->at = &here;
        rc = read_node(r, &e, depth, &value);
        yaml_event_delete(&e);
        if (!rc && merge && value.type != JV_OBJ)
            rc = bad(r, at, "\"<<\" must be followed by a mapping");
        if (rc)
            break;
        if (merge)
            merged = jv_merge(r->a, merged.type == JV_OBJ ? value : EMPTY_OBJ,
                              merged.type == JV_OBJ ? merged : value);
        else
            jv_list_put(&list, key, value);
    }
    strmap_release(&seen);
    r->at = here.in;
    if (rc)
        return -1;
    *ret = jv_list_obj(&list);
    if (merged.type == JV_OBJ) { /* keys written here win over merged ones, not deeply */
        jv_foreach_kv (kv, merged)
            if (jv_get(*ret, kv->key).type == JV_ABSENT)
                jv_list_put(&list, kv->key, kv->value);
        *ret = jv_list_obj(&list);
    }
    return 0;
}

static int read_alias(struct reader *r, const yaml_event_t *e, jv *ret)
{
    const struct anchor *anchor = strmap_get(&r->anchors, (const char *)e->data.alias.anchor);

    if (!anchor)
        return bad(r, e->start_mark, "unknown alias *%s", (const char *)e->data.alias.anchor);
    r->weight += anchor->weight;
    *ret = anchor->value;
    return 0;
}

static int read_node(struct reader *r, yaml_event_t *e, int depth, jv *ret)
{
    const yaml_char_t *name = NULL;
    size_t before = r->weight++;
    int rc;

    if (depth >= YAML_MAX_DEPTH)
        return bad(r, e->start_mark, "nested more than %d levels deep", YAML_MAX_DEPTH);
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        rc = read_alias(r, e, ret);
        break;
    case YAML_SCALAR_EVENT:
        name = e->data.scalar.anchor;
        rc = read_scalar(r, e, ret);
        break;
    case YAML_SEQUENCE_START_EVENT:
        name = e->data.sequence_start.anchor;
        rc = read_sequence(r, depth + 1, ret);
        break;
    case YAML_MAPPING_START_EVENT:
        name = e->data.mapping_start.anchor;
        rc = read_mapping(r, depth + 1, ret);
        break;
    default:
        rc = bad(r, e->start_mark, "malformed YAML");
    }
    if (!rc && r->weight > YAML_MAX_VALUES)
        rc = bad(r, e->start_mark, "more than %d values", YAML_MAX_VALUES);
    if (!rc && name) {
        struct anchor *anchor = arena_new(r->a, struct anchor);

        *anchor = (struct anchor){*ret, r->weight - before};
        strmap_put(&r->anchors, (const char *)name, anchor);
    }
    return rc;
}

static int read_document(struct reader *r, struct yaml_doc *ret)
{
    yaml_event_t e;

    if (next_event(r, &e))
        return -1;
    ret->line = (int)e.start_mark.line + 1;
    r->at = NULL;
    int rc = read_node(r, &e, 0, &ret->value);
    yaml_event_delete(&e);
    strmap_release(&r->anchors);
    return rc;
}

int yaml_parse_all(struct arena *a, const char *text, size_t len, struct yaml_doc **ret_docs,
                   size_t *ret_n, struct error *err)
{
    CLEANUP(reader_release) struct reader r = {.a = a, .err = err};
    struct yaml_doc *docs = NULL;
    size_t n = 0, room = 0;

    if (!yaml_parser_initialize(&r.parser))
        BUG("out of memory in libyaml");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    for (;;) {
        yaml_event_t e;
        struct yaml_doc doc = {0};

        if (next_event(&r, &e))
            return -1;
        yaml_event_type_t type = e.type;

        yaml_event_delete(&e);
        if (type == YAML_STREAM_END_EVENT)
            break;
        if (type != YAML_DOCUMENT_START_EVENT)
            continue;
        if (read_document(&r, &doc))
            return -1;
        if (doc.value.type == JV_NULL)
            continue;
        if (n == room) {
            struct yaml_doc *bigger = arena_new_array(a, struct yaml_doc, room * 2 + 4);

            if (n)
                memcpy(bigger, docs, n * sizeof(*docs));
            docs = bigger;
            room = room * 2 + 4;
        }
        docs[n++] = doc;
    }
    *ret_docs = docs;
    *ret_n = n;
    return 0;
}

int yaml_parse(struct arena *a, const char *text, size_t len, jv *ret, struct error *err)
{
    struct yaml_doc *docs;
    size_t n;

    if (yaml_parse_all(a, text, len, &docs, &n, err))
        return -1;
    if (n > 1)
        return error_set(err, ERR_PARSE, "line %d: a second document where one is expected",
                         docs[1].line);
    *ret = n ? docs[0].value : ABSENT;
    return 0;
}
