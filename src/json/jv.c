/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/jv.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/str.h"

#define MAX_EXACT 9007199254740992.0

const jkv jv_no_members[1] = {{0}};
const jv jv_no_items[1] = {{0}};

const jkv *jv_next_kv(jv v, const jkv *prev)
{
    if (v.type != JV_OBJ)
        return NULL;
    const jkv *kv = prev ? prev + 1 : v.kv;
    while (kv->key && kv->value.type <= JV_ABSENT)
        kv++;
    return kv->key ? kv : NULL;
}

const jv *jv_next(jv v, const jv *prev)
{
    if (v.type != JV_ARR)
        return NULL;
    const jv *item = prev ? prev + 1 : v.items;
    while (item->type == JV_ABSENT)
        item++;
    return item->type != JV_END ? item : NULL;
}

size_t jv_len(jv v)
{
    size_t n = 0;

    jv_foreach_kv (kv, v)
        n++;
    jv_foreach (item, v)
        n++;
    return n;
}

void jv_list_put(struct jv_list *l, const char *key, jv v)
{
    if (l->n == l->room) {
        jkv *bigger = arena_new_array(l->a, jkv, MAX((size_t)8, l->room * 2));

        if (l->n)
            memcpy(bigger, l->items, l->n * sizeof(jkv));
        l->items = bigger;
        l->room = MAX((size_t)8, l->room * 2);
    }
    l->items[l->n++] = (jkv){key, v};
}

void jv_list_add(struct jv_list *l, jv v)
{
    jv_list_put(l, "", v);
}

jv jv_list_arr(const struct jv_list *l)
{
    jv *items = arena_new_array(l->a, jv, l->n + 1);

    for (size_t i = 0; i < l->n; i++)
        items[i] = l->items[i].value;
    return (jv){.type = JV_ARR, .items = items};
}

jv jv_list_obj(const struct jv_list *l)
{
    jkv *kv = arena_new_array(l->a, jkv, l->n + 1);

    if (l->n)
        memcpy(kv, l->items, l->n * sizeof(jkv));
    return (jv){.type = JV_OBJ, .kv = kv};
}

jv jv_dup(struct arena *a, jv v)
{
    struct jv_list list = JV_LIST(a);

    switch (v.type) {
    case JV_NUM:
    case JV_STR:
        v.s = arena_strdup(a, v.s);
        return v;
    case JV_OBJ:
        jv_foreach_kv (kv, v)
            jv_list_put(&list, arena_strdup(a, kv->key), jv_dup(a, kv->value));
        return jv_list_obj(&list);
    case JV_ARR:
        jv_foreach (item, v)
            jv_list_add(&list, jv_dup(a, *item));
        return jv_list_arr(&list);
    default:
        return v;
    }
}

jv jv_get(jv obj, const char *key)
{
    jv_foreach_kv (kv, obj)
        if (!strcmp(kv->key, key))
            return kv->value;
    return ABSENT;
}

jv jv_path(jv v, const char *const keys[])
{
    for (size_t i = 0; keys[i]; i++)
        v = jv_get(v, keys[i]);
    return v;
}

jv jv_at(jv arr, size_t i)
{
    jv_foreach (item, arr)
        if (!i--)
            return *item;
    return ABSENT;
}

const char *jv_string(jv v)
{
    return v.type == JV_STR || v.type == JV_NUM ? v.s : NULL;
}

bool jv_int64(jv v, int64_t *ret)
{
    if (v.type == JV_INT) {
        *ret = v.i;
        return true;
    }
    if (v.type != JV_NUM || str_to_int64(v.s, ret))
        return v.type == JV_NUM;

    double d;

    /* Up to there a double is exact. */
    if (!str_to_double(v.s, &d) || d > MAX_EXACT || d < -MAX_EXACT || d != (double)(int64_t)d)
        return false;
    *ret = (int64_t)d;
    return true;
}

int64_t jv_int64_or(jv v, int64_t fallback)
{
    int64_t i;

    return jv_int64(v, &i) ? i : fallback;
}

bool jv_bool_or(jv v, bool fallback)
{
    return v.type == JV_BOOL ? v.b : fallback;
}

const char *jv_scalar_text(struct arena *a, jv v)
{
    switch (v.type) {
    case JV_BOOL:
        return v.b ? "true" : "false";
    case JV_INT:
        return arena_printf(a, "%lld", (long long)v.i);
    case JV_NUM:
    case JV_STR:
        return v.s;
    default:
        return NULL;
    }
}

static bool number_equal(jv x, jv y)
{
    char text[2][24];
    const char *s[2];

    for (int k = 0; k < 2; k++) {
        jv v = k ? y : x;

        if (v.type == JV_INT)
            snprintf(text[k], sizeof(text[k]), "%lld", (long long)v.i);
        s[k] = v.type == JV_INT ? text[k] : v.s;
    }
    return !strcmp(s[0], s[1]);
}

static bool object_equal(jv x, jv y)
{
    if (jv_len(x) != jv_len(y))
        return false;
    jv_foreach_kv (kv, x) {
        jv other = jv_get(y, kv->key);

        if (other.type == JV_ABSENT || !jv_equal(kv->value, other))
            return false;
    }
    return true;
}

bool jv_equal(jv x, jv y)
{
    bool xnum = x.type == JV_INT || x.type == JV_NUM, ynum = y.type == JV_INT || y.type == JV_NUM;

    if (xnum && ynum)
        return number_equal(x, y);
    if (x.type != y.type)
        return false;
    switch (x.type) {
    case JV_BOOL:
        return x.b == y.b;
    case JV_STR:
        return !strcmp(x.s, y.s);
    case JV_OBJ:
        return object_equal(x, y);
    case JV_ARR: {
        const jv *j = jv_next(y, NULL);

        jv_foreach (i, x) {
            if (!j || !jv_equal(*i, *j))
                return false;
            j = jv_next(y, j);
        }
        return !j;
    }
    default:
        return true;
    }
}

jv jv_set(struct arena *a, jv obj, const char *key, jv v)
{
    struct jv_list list = JV_LIST(a);
    bool done = false;

    jv_foreach_kv (kv, obj) {
        bool here = !strcmp(kv->key, key);

        jv_list_put(&list, kv->key, here ? v : kv->value);
        done |= here;
    }
    if (!done)
        jv_list_put(&list, key, v);
    return jv_list_obj(&list);
}

jv jv_set_path(struct arena *a, jv v, const char *const keys[], jv leaf)
{
    if (!keys[0])
        return leaf;
    return jv_set(a, v, keys[0], jv_set_path(a, jv_get(v, keys[0]), keys + 1, leaf));
}

jv jv_merge(struct arena *a, jv base, jv over)
{
    struct jv_list list = JV_LIST(a);

    if (over.type <= JV_ABSENT)
        return base;
    if (base.type != JV_OBJ || over.type != JV_OBJ)
        return over;
    jv_foreach_kv (kv, base)
        jv_list_put(&list, kv->key, jv_merge(a, kv->value, jv_get(over, kv->key)));
    jv_foreach_kv (kv, over)
        if (jv_get(base, kv->key).type == JV_ABSENT)
            jv_list_put(&list, kv->key, kv->value);
    return jv_list_obj(&list);
}

jv jv_concat(struct arena *a, jv first, jv second)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach (item, first)
        jv_list_add(&list, *item);
    jv_foreach (item, second)
        jv_list_add(&list, *item);
    return jv_list_arr(&list);
}

jv jv_append(struct arena *a, jv arr, jv v)
{
    return jv_concat(a, arr, ARR(v));
}

jv jv_merge_patch(struct arena *a, jv v, jv patch)
{
    struct jv_list list = JV_LIST(a);

    if (patch.type != JV_OBJ)
        return patch;
    jv_foreach_kv (kv, v) {
        jv over = jv_get(patch, kv->key);

        if (over.type == JV_ABSENT)
            jv_list_put(&list, kv->key, kv->value);
        else if (over.type != JV_NULL)
            jv_list_put(&list, kv->key, jv_merge_patch(a, kv->value, over));
    }
    jv_foreach_kv (kv, patch)
        if (kv->value.type != JV_NULL && jv_get(v, kv->key).type == JV_ABSENT)
            jv_list_put(&list, kv->key, jv_merge_patch(a, ABSENT, kv->value));
    return jv_list_obj(&list);
}

jv jv_merge_diff(struct arena *a, jv from, jv to)
{
    struct jv_list list = JV_LIST(a);

    if (jv_equal(from, to))
        return ABSENT;
    if (from.type != JV_OBJ || to.type != JV_OBJ)
        return to;
    jv_foreach_kv (kv, from)
        if (jv_get(to, kv->key).type == JV_ABSENT)
            jv_list_put(&list, kv->key, NULLV);
    jv_foreach_kv (kv, to)
        jv_list_put(&list, kv->key, jv_merge_diff(a, jv_get(from, kv->key), kv->value));
    return jv_list_obj(&list);
}
