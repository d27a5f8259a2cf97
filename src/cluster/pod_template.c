/* SPDX-License-Identifier: Apache-2.0 */
/* Merging of pod templates (api-contract §2.10). What we do not know passes through unchanged. */
#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/str.h"

static bool all_named(jv list)
{
    jv_foreach (item, list)
        if (!JV_STRING(*item, "name"))
            return false;
    return true;
}

static jv find_named(jv list, const char *key, const char *name)
{
    jv_foreach (item, list)
        if (name && str_eq(JV_STRING(*item, key), name))
            return *item;
    return ABSENT;
}

static jv merge_by_name(struct arena *a, jv base, jv over)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach (item, base)
        jv_list_add(&list, pod_template_merge(
                               a, *item, find_named(over, "name", JV_STRING(*item, "name")), true));
    jv_foreach (item, over)
        if (!jv_present(find_named(base, "name", JV_STRING(*item, "name"))))
            jv_list_add(&list, *item);
    return jv_list_arr(&list);
}

static jv merge_by_index(struct arena *a, jv base, jv over)
{
    struct jv_list list = JV_LIST(a);
    size_t n = MAX(jv_len(base), jv_len(over));

    for (size_t i = 0; i < n; i++)
        jv_list_add(&list, pod_template_merge(a, jv_at(base, i), jv_at(over, i), false));
    return jv_list_arr(&list);
}

jv pod_template_merge(struct arena *a, jv base, jv over, bool by_name)
{
    struct jv_list list = JV_LIST(a);

    if (!jv_present(over))
        return base;
    if (base.type == JV_ARR && over.type == JV_ARR)
        return by_name && all_named(base) && all_named(over) ? merge_by_name(a, base, over)
                                                             : merge_by_index(a, base, over);
    if (base.type != JV_OBJ || over.type != JV_OBJ)
        return over;
    jv_foreach_kv (kv, base)
        jv_list_put(&list, kv->key,
                    pod_template_merge(a, kv->value, jv_get(over, kv->key), by_name));
    jv_foreach_kv (kv, over)
        if (jv_get(base, kv->key).type == JV_ABSENT)
            jv_list_put(&list, kv->key, kv->value);
    return jv_list_obj(&list);
}

jv named_union(struct arena *a, jv first, jv second, const char *key)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach (item, first)
        jv_list_add(&list, *item);
    jv_foreach (item, second)
        if (!jv_present(find_named(first, key, JV_STRING(*item, key))))
            jv_list_add(&list, *item);
    return list.n ? jv_list_arr(&list) : ABSENT;
}
