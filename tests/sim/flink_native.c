/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flink's own allocation: a JobManager that makes TaskManager pods while its jobs want slots, and
 * deletes those that are idle or have ended. Its attempt follows that of the pods that it finds
 * (flink-internals §1.2).
 */
#include <stdlib.h>
#include <string.h>

#include "flink.h"
#include "flinkop/desired.h"
#include "flinkop/flink_conf.h"
#include "flinkop/str.h"
#include "nodes.h"
#include "operator.h"

#define SLOTS "taskmanager.numberOfTaskSlots"
#define IDLE_MS (30 * SECOND)

static int slots_each(struct arena *a, const char *cluster)
{
    const struct object *o = api_get(KIND_CONFIGMAP, arena_printf(a, "flink-config-%s", cluster));
    struct conf conf = CONF_INIT(a);
    struct error err;
    int64_t n;

    conf_add_flat_text(&conf,
                       o ? str_or_empty(JV_STRING(o->at->v, "data", "flink-conf.yaml")) : "");
    CHECK(!conf_int(&conf, SLOTS, 1, &n, &err), "%s", err.text);
    return (int)n;
}

bool native_taskmanager(const struct object *pod)
{
    return is_taskmanager(pod) && str_eq(object_label(pod, LABEL_TYPE), TYPE_NATIVE);
}

static bool is_mine(const struct object *pod, const struct jm *jm)
{
    return native_taskmanager(pod) && str_eq(object_label(pod, LABEL_APP), jm->cluster);
}

static void create(struct jm *jm, int slots)
{
    cleanup_arena struct arena a = {0};
    const struct object *d = api_get(KIND_DEPLOYMENT, jm->cluster), *self = api_by_id(jm->pod);
    struct version *v = NULL;
    struct error err;

    if (!d || quota_exhausted)
        return;
    jv owner = OBJ({"apiVersion", STR("apps/v1")}, {"kind", STR("Deployment")},
                   {"name", STR(d->name)}, {"uid", STR(d->uid)});
    jv labels = OBJ({LABEL_APP, STR(jm->cluster)}, {LABEL_COMPONENT, STR(COMPONENT_TM)},
                    {LABEL_TYPE, STR(TYPE_NATIVE)});
    jv meta =
        OBJ({"name", STR(taskmanager_pod_name(&a, jm->cluster, jm->attempt, ++jm->last_index))},
            {"labels", labels}, {"annotations", OBJ({ANNOTATION_SPEC_HASH, STR(jm->hash)})},
            {"ownerReferences", ARR(owner)});
    jv image = jv_get(jv_at(JV_PATH(self->at->v, "spec", "containers"), 0), "image");
    jv container = OBJ({"name", STR(MAIN_CONTAINER)}, {"image", image},
                       {"args", ARR(STR(arena_printf(&a, SLOTS "=%d", slots)))});

    if (!api_create(
            BY_SYSTEM, KIND_POD,
            OBJ({"apiVersion", STR("v1")}, {"kind", STR("Pod")}, {"metadata", meta},
                {"spec", OBJ({"restartPolicy", STR("Never")}, {"containers", ARR(container)})}),
            &v, &err))
        version_unref(v);
    TRACE("flink %s: makes %s-taskmanager-%d-%d", jm->cluster, jm->cluster, jm->attempt,
          jm->last_index);
}

static void remove_pod(const struct object *pod)
{
    struct version *v = NULL;
    struct error err;

    TRACE("flink: removes %s", pod->name);
    if (!api_delete(BY_SYSTEM, KIND_POD, pod->name, pod->uid, NULL, NULL, &v, &err))
        version_unref(v);
}

static int missing_slots(const struct jm *jm)
{
    int n = 0;

    for (int i = 0; i < jm->n_jobs; i++) {
        const struct fjob *j = jm->jobs[i];

        if (!job_state_terminal(j->state) && j->state != JOB_CANCELLING && j->state != JOB_FAILING)
            n += MAX(j->need - j->have, 0);
    }
    return n;
}

/* A TaskManager in use, or with results of an unfinished job, is not idle. */
static bool idle(struct reg *reg)
{
    if (reg->used || reg->partitions)
        reg->idle_since = sim.now;
    return sim.now - reg->idle_since >= IDLE_MS;
}

static void balance(struct jm *jm)
{
    cleanup_arena struct arena a = {0};
    int slots = slots_each(&a, jm->cluster), missing = missing_slots(jm);
    bool wanted = missing > 0;
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_POD, &at))) {
        const struct tm *tm = tm_by_pod(o->id);
        struct reg *reg = tm && tm->jm == jm ? reg_of(tm) : NULL;

        if (!is_mine(o, jm) || o->deleted)
            continue;
        if (pod_finished(o) || (reg && idle(reg) && !wanted))
            remove_pod(o);
        else
            missing -= reg ? reg->slots - reg->used : slots;
    }
    for (; missing > 0; missing -= slots)
        create(jm, slots);
}

static void manage(void *arg)
{
    struct jm *jm = jm_by_id(sim_id_of(arg));

    if (!jm || jm->stopping)
        return;
    if (jm->up && jm->app->leads)
        balance(jm);
    sim_after(between(R_FLINK, 300, 1500), manage, arg);
}

void native_start(struct jm *jm)
{
    struct object *o;
    void *at = NULL;
    int attempt, index;

    while ((o = api_next(KIND_POD, &at)))
        if (is_mine(o, jm) && taskmanager_pod_parse(jm->cluster, o->name, &attempt, &index))
            jm->attempt = MAX(jm->attempt, attempt);
    jm->attempt++;
    sim_after(SECOND, manage, sim_id(jm->id));
}
