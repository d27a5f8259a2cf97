/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large a spec may be. Everything behind this may walk it recursively and look members up one
 * by one, and it is recorded in the status of the same object, once or twice, and copied into pods.
 */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "spec_internal.h"

/* etcd takes 1.5 MiB: the spec, what was recorded of it twice, and what kubectl notes. */
#define BYTES_MAX ((size_t)384 << 10)
#define MEMBERS_MAX 4096 /* of one mapping or list; as many keys as a configuration may have */
#define DEPTH_MAX 100    /* pods need some 20 */
#define PATH_SHOWN 160

struct walk {
    struct problems *p;
    size_t bytes; /* about what it takes as JSON */
};

/* Where a value stands; becomes text only when there is something to say. */
struct place {
    const struct place *in;
    const char *key; /* NULL: item `index` of a list */
    size_t index;
    int depth;
};

static const char *path_of(struct arena *a, const struct place *at)
{
    const struct place *chain[DEPTH_MAX + 2];
    const char *path = "";
    size_t n = 0;

    for (; at && n < ARRAY_SIZE(chain); at = at->in)
        chain[n++] = at;
    while (n-- && strlen(path) <= PATH_SHOWN) /* nobody reads longer ones */
        path = chain[n]->key ? arena_printf(a, "%s%s%s", path, *path ? "." : "",
                                            str_clean(a, chain[n]->key, 80))
                             : arena_printf(a, "%s[%zu]", path, chain[n]->index);
    return path;
}

/* False: it ended at a problem. */
static bool walk(struct walk *w, const struct place *at, jv v)
{
    struct place inner = {.in = at, .depth = at->depth + 1};
    size_t n = jv_len(v);

    w->bytes += v.type == JV_STR || v.type == JV_NUM ? strlen(v.s) + 3 : 1;
    if (n && at->depth > DEPTH_MAX) {
        problem_add(w->p, path_of(w->p->a, at), "is nested more than %d levels deep", DEPTH_MAX);
        return false;
    }
    if (n > MEMBERS_MAX) {
        problem_add(w->p, path_of(w->p->a, at), "has %zu members, at most %d are possible", n,
                    MEMBERS_MAX);
        return false;
    }
    jv_foreach_kv (kv, v) {
        inner.key = kv->key;
        w->bytes += strlen(kv->key) + 3;
        if (!walk(w, &inner, kv->value))
            return false;
    }
    inner.key = NULL;
    jv_foreach (item, v) {
        if (!walk(w, &inner, *item))
            return false;
        inner.index++;
    }
    return true;
}

bool spec_shape_check(struct problems *p, jv spec)
{
    const struct place top = {.key = "spec", .depth = 1};
    struct walk all = {.p = p};
    const char *largest = "";
    size_t most = 0;

    if (spec.type != JV_OBJ) {
        problem_add(p, "spec", "must be a mapping, found %s", jv_describe(p->a, spec));
        return false;
    }
    if (!walk(&all, &top, spec))
        return false;
    if (all.bytes <= BYTES_MAX)
        return true;
    jv_foreach_kv (kv, spec) {
        struct walk one = {.p = p};

        if (!walk(&one, &top, kv->value) || one.bytes <= most)
            continue;
        most = one.bytes;
        largest = kv->key;
    }
    problem_add(p, arena_printf(p->a, "spec.%s", str_clean(p->a, largest, 80)),
                "is too large: the spec has some %zu bytes, at most %zu are possible", all.bytes,
                BYTES_MAX);
    return false;
}
