/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/label_selector.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/str.h"
#include "kube_rules.h"

#define TEXT_MAX 4096 /* it is part of a URL */

enum relation { OP_EXISTS, OP_ABSENT, OP_IN, OP_NOT_IN };

struct requirement {
    const char *key;
    enum relation op;
    const char **values;
    size_t n;
};

struct label_selector {
    struct requirement *list;
    size_t n;
};

/* ---- reading ---- */

struct reader {
    struct arena *a;
    const char *text, *at;
    const char **room; /* for the values that are still to come */
    struct error *err;
};

static void skip_blanks(struct reader *r)
{
    r->at += strspn(r->at, " \t\r\n");
}

static int wrong(struct reader *r, const char *expected)
{
    return error_set(r->err, ERR_INVALID, "\"%s\": expected %s at %s",
                     str_clean(r->a, r->text, 200), expected,
                     *r->at ? arena_printf(r->a, "\"%s\"", str_clean(r->a, r->at, 60)) : "its end");
}

static bool take(struct reader *r, const char *symbol)
{
    skip_blanks(r);
    const char *rest = str_skip_prefix(r->at, symbol);

    if (rest)
        r->at = rest;
    return rest != NULL;
}

/* Up to a blank or a symbol; "" where there is none. */
static const char *word(struct reader *r)
{
    skip_blanks(r);
    size_t n = strcspn(r->at, " \t\r\n,()!=<>");
    const char *found = arena_strndup(r->a, r->at, n);

    r->at += n;
    return found;
}

static int read_key(struct reader *r, struct requirement *q)
{
    const char *before = r->at;

    q->key = word(r);
    if (label_key_valid(r->a, q->key))
        return 0;
    r->at = before;
    return wrong(r, "the key of a label");
}

static int read_value(struct reader *r, struct requirement *q)
{
    const char *before = r->at;

    q->n++;
    *r->room = word(r);
    if (label_value_valid(*r->room++))
        return 0;
    r->at = before;
    return wrong(r, "the value of a label");
}

static int read_set(struct reader *r, struct requirement *q)
{
    if (!take(r, "("))
        return wrong(r, "\"(\"");
    do {
        if (read_value(r, q))
            return -1;
    } while (take(r, ","));
    return take(r, ")") ? 0 : wrong(r, "\",\" or \")\"");
}

/* What stands behind a key. */
static int read_operator(struct reader *r, struct requirement *q)
{
    const char *before;

    if (take(r, "!=")) {
        q->op = OP_NOT_IN;
        return read_value(r, q);
    }
    if (take(r, "==") || take(r, "=")) {
        q->op = OP_IN;
        return read_value(r, q);
    }
    skip_blanks(r);
    before = r->at;
    const char *name = word(r);

    q->op = str_eq(name, "in") ? OP_IN : str_eq(name, "notin") ? OP_NOT_IN : OP_EXISTS;
    if (q->op != OP_EXISTS)
        return read_set(r, q);
    r->at = before;
    return *name ? wrong(r, "\"in\", \"notin\", \"=\" or \"!=\"") : 0;
}

static int read_requirement(struct reader *r, struct requirement *q)
{
    q->values = r->room;
    if (take(r, "!")) {
        q->op = OP_ABSENT;
        return read_key(r, q);
    }
    return read_key(r, q) || read_operator(r, q) ? -1 : 0;
}

int label_selector_parse(struct arena *a, const char *text, const struct label_selector **ret,
                         struct error *err)
{
    struct reader r = {.a = a, .text = text, .at = text, .err = err};
    struct label_selector *s = arena_new(a, struct label_selector);
    size_t room = 1;

    *ret = NULL;
    skip_blanks(&r);
    if (!*r.at)
        return 0;
    if (strlen(text) > TEXT_MAX)
        return error_set(err, ERR_INVALID, "has %zu bytes, %d at most", strlen(text), TEXT_MAX);
    for (const char *c = text; *c; c++)
        room += *c == ',';
    s->list = arena_new_array(a, struct requirement, room);
    r.room = arena_new_array(a, const char *, room);
    do {
        if (read_requirement(&r, &s->list[s->n++]))
            return -1;
    } while (take(&r, ","));
    skip_blanks(&r);
    if (*r.at)
        return wrong(&r, "\",\"");
    *ret = s;
    return 0;
}

/* ---- asking ---- */

void obs_labelled_read(struct arena *a, jv object, struct obs_labelled *ret)
{
    struct obs_meta all;

    obs_meta_read(a, object, &all);
    *ret = (struct obs_labelled){.meta = {.ns = all.ns,
                                          .name = all.name,
                                          .uid = all.uid,
                                          .resource_version = all.resource_version,
                                          .deleted_ms = all.deleted_ms},
                                 .labels = jv_dup(a, JV_PATH(object, "metadata", "labels"))};
}

static bool holds(const struct requirement *q, const char *value)
{
    bool found = false;

    if (q->op == OP_EXISTS || q->op == OP_ABSENT)
        return (value != NULL) == (q->op == OP_EXISTS);
    for (size_t i = 0; value && i < q->n; i++)
        found |= str_eq(q->values[i], value);
    return found == (q->op == OP_IN);
}

bool label_selector_matches(const struct label_selector *s, jv labels)
{
    for (size_t i = 0; s && i < s->n; i++)
        if (!holds(&s->list[i], jv_string(jv_get(labels, s->list[i].key))))
            return false;
    return true;
}

jv label_selector_seen(struct arena *a, const struct label_selector *s, jv labels)
{
    jv seen = ABSENT;

    for (size_t i = 0; s && i < s->n; i++) {
        jv value = jv_get(labels, s->list[i].key);

        if (jv_present(value))
            seen = jv_set(a, seen, s->list[i].key, value);
    }
    return seen;
}
