/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Deployment controller with the strategy Recreate, and the ReplicaSet controller. As the real
 * ones they count a pod that is being deleted or has failed as none: deleting a pod brings the next
 * one at once, beside it.
 */
#include <stdlib.h>

#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "nodes.h"
#include "operator.h"

struct deployment {
    bool queued;
    int64_t hashed; /* generation that template_hash is of */
    uint64_t template_hash;
    bool refused; /* the last pod could not be created */
    int refusals;
};

static bool owned(const struct object *o, const struct object *owner)
{
    return str_eq(object_owner(o), owner->uid);
}

static jv owner_of(struct arena *a, const struct object *o)
{
    return jv_dup(a, ARR(OBJ({"apiVersion", STR("apps/v1")}, {"kind", STR(kind_name(o->kind))},
                             {"name", STR(o->name)}, {"uid", STR(o->uid)},
                             {"controller", BOOL(true)}, {"blockOwnerDeletion", BOOL(true)})));
}

static int replicas_of(const struct object *o)
{
    return (int)jv_int64_or(JV_PATH(o->at->v, "spec", "replicas"), 1);
}

static void set_replicas(struct object *rs, int n)
{
    static const char *const path[] = {"spec", "replicas", NULL};

    if (replicas_of(rs) != n) {
        TRACE("replicaset %s: %d replicas", rs->name, n);
        api_set_member(rs, path, INT(n));
    }
}

/* ---- ReplicaSet ---- */

/* By chance, but not the same again: an odd factor maps the numbers below a power of two one to
 * one. */
static unsigned suffix(void)
{
    static unsigned last;

    last += 1 + (unsigned)any(R_NODE, 64);
    return last * 40503U & 0xfffff;
}

static void create_pod(struct object *rs, struct deployment *d)
{
    cleanup_arena struct arena a = {0};
    jv template = JV_PATH(rs->at->v, "spec", "template");
    jv meta = jv_set(&a, jv_get(template, "metadata"), "name",
                     STR(arena_printf(&a, "%s-%05x", rs->name, suffix())));
    struct version *last = NULL;
    struct error err;

    d->refused = quota_exhausted;
    if (d->refused) {
        d->refusals++;
        return;
    }
    d->refusals = 0;
    meta = jv_set(&a, meta, "ownerReferences", owner_of(&a, rs));
    if (!api_create(BY_SYSTEM, KIND_POD,
                    OBJ({"apiVersion", STR("v1")}, {"kind", STR("Pod")}, {"metadata", meta},
                        {"spec", jv_get(template, "spec")}),
                    &last, &err))
        version_unref(last);
}

static void delete_pod(struct object *pod)
{
    struct version *last = NULL;
    struct error err;

    if (!api_delete(BY_SYSTEM, KIND_POD, pod->name, pod->uid, NULL, NULL, &last, &err))
        version_unref(last);
}

/* Pods made and deleted until as many as wanted are active. */
static void sync_replicaset(struct object *rs, struct deployment *d)
{
    int wanted = replicas_of(rs), active = 0;
    struct object *o;
    void *at = NULL;

    if (rs->deleted)
        return;
    while ((o = api_next(KIND_POD, &at)))
        active += owned(o, rs) && !o->deleted && !pod_finished(o);
    d->refused = false;
    for (; active < wanted && !d->refused; active++)
        create_pod(rs, d);
    at = NULL;
    while (active > wanted && (o = api_next(KIND_POD, &at)))
        if (owned(o, rs) && !o->deleted && !pod_finished(o)) {
            delete_pod(o);
            active--;
        }
}

/* ---- Deployment ---- */

static uint64_t template_hash(struct object *o)
{
    struct deployment *d = o->model;
    cleanup_arena struct arena a = {0};

    if (d->hashed != o->generation) {
        d->template_hash = hash_str(json_text(&a, JV_PATH(o->at->v, "spec", "template")));
        d->hashed = o->generation;
    }
    return d->template_hash;
}

static struct object *new_replicaset(struct object *o)
{
    cleanup_arena struct arena a = {0};
    const char *name =
        arena_printf(&a, "%s-%08x", o->name, (unsigned)(template_hash(o) & 0xffffffff));
    struct object *rs = api_get(KIND_REPLICASET, name);
    struct version *last = NULL;
    struct error err;

    if (rs)
        return owned(rs, o) ? rs : NULL; /* of a former Deployment: it will be collected */
    if (!api_create(
            BY_SYSTEM, KIND_REPLICASET,
            OBJ({"apiVersion", STR("apps/v1")}, {"kind", STR("ReplicaSet")},
                {"metadata", OBJ({"name", STR(name)}, {"ownerReferences", owner_of(&a, o)})},
                {"spec",
                 OBJ({"replicas", INT(0)}, {"template", JV_PATH(o->at->v, "spec", "template")})}),
            &last, &err))
        version_unref(last);
    return api_get(KIND_REPLICASET, name);
}

/* Scales the others to nothing; true when none of their pods is left. */
static bool old_ones_gone(struct object *o, const struct object *current)
{
    struct object *rs, *pod;
    void *at = NULL, *pods;
    bool none = true;

    while ((rs = api_next(KIND_REPLICASET, &at))) {
        if (rs == current || !owned(rs, o))
            continue;
        set_replicas(rs, 0);
        sync_replicaset(rs, o->model);
        pods = NULL;
        while ((pod = api_next(KIND_POD, &pods)))
            none &= !owned(pod, rs) || pod_finished(pod);
    }
    return none;
}

static void publish(struct object *o, const struct object *rs)
{
    const struct deployment *d = o->model;
    jv failure = OBJ({"type", STR("ReplicaFailure")}, {"status", STR("True")},
                     {"reason", STR("FailedCreate")},
                     {"message", STR("pods is forbidden: exceeded quota: compute")});
    struct object *pod;
    void *at = NULL;
    int all = 0, ready = 0;

    while ((pod = api_next(KIND_POD, &at)))
        if (rs && owned(pod, rs) && !pod->deleted && !pod_finished(pod)) {
            all++;
            ready += pod_of(pod)->started;
        }
    api_set_status(o, OBJ({"observedGeneration", INT(o->generation)}, {"replicas", INT(all)},
                          {"readyReplicas", INT(ready)},
                          {"conditions", d->refused ? ARR(failure) : EMPTY_ARR}));
}

static void queue(struct object *o, int64_t lo, int64_t hi);

static void sync(void *arg)
{
    struct object *o = api_by_id(sim_id_of(arg)), *rs;
    struct deployment *d = o ? o->model : NULL;

    if (!o)
        return;
    d->queued = false;
    if (o->deleted)
        return;
    d->refused = false;
    rs = new_replicaset(o);
    if (!rs) {
        queue(o, SECOND, 3 * SECOND);
        return;
    }
    if (old_ones_gone(o, rs)) {
        set_replicas(rs, replicas_of(o));
        sync_replicaset(rs, d);
    }
    publish(o, rs);
    if (d->refused)
        queue(o, SECOND, MIN(SECOND << MIN(d->refusals, 5), 30 * SECOND));
}

static void queue(struct object *o, int64_t lo, int64_t hi)
{
    struct deployment *d = o->model;

    if (d->queued)
        return;
    d->queued = true;
    sim_after(skewed(R_NODE, lo, hi), sync, sim_id(o->id));
}

void deployments_changed(struct object *o, const struct version *old, enum change what)
{
    struct object *d = o;

    if (o->kind == KIND_DEPLOYMENT) {
        if (what == CREATED) {
            o->model = xcalloc(1, sizeof(struct deployment));
        } else if (what == REMOVED) {
            free(TAKE_PTR(o->model));
            return;
        } else if (old && jv_equal(jv_get(old->v, "spec"), jv_get(o->at->v, "spec"))) {
            return;
        }
    } else {
        if (o->kind == KIND_POD)
            d = api_by_uid(object_owner(o));
        d = d && d->kind == KIND_REPLICASET ? api_by_uid(object_owner(d)) : NULL;
        if (!d)
            return;
    }
    queue(d, 5, 300);
}
