/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_kept.h"

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/plan.h"
#include "flinkop/str.h"

static jv ha_item(struct arena *a, jv object)
{
    struct jv_list graphs = JV_LIST(a);
    int64_t checkpoints = 0;

    jv_foreach_kv (kv, jv_get(object, "data")) {
        checkpoints += str_has_prefix(kv->key, "checkpointID-");
        if (str_has_prefix(kv->key, "jobGraph-") || str_has_prefix(kv->key, "executionPlan-"))
            jv_list_add(&graphs, STR(kv->key));
    }
    return jv_dup(
        a, OBJ({"name", STR(JV_STRING(object, "metadata", "name"))},
               {"uid", STR(JV_STRING(object, "metadata", "uid"))},
               {"version", STR(JV_STRING(object, "metadata", "resourceVersion"))},
               {"leader", STR(JV_STRING(object, "metadata", "annotations", HA_LEADER_ANNOTATION))},
               {"graphs", jv_list_arr(&graphs)}, {"checkpoints", INT(checkpoints)}));
}

/* Flink gives its ConfigMaps the labels of the cluster, as ours have: "<cluster>-…-config-map" is
 * one of Flink's. */
static bool is_flinks(struct arena *a, jv configmap, const char *cluster)
{
    const char *name = str_or_empty(JV_STRING(configmap, "metadata", "name"));

    return str_has_suffix(name, "-config-map") &&
           str_has_prefix(name, arena_printf(a, "%s-", cluster));
}

const char *ha_kept_text(struct arena *a, jv configmaps, const char *cluster)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach (item, jv_get(configmaps, "items"))
        if (is_flinks(a, *item, cluster))
            jv_list_add(&list, ha_item(a, *item));
    return json_text(a, jv_list_arr(&list));
}
