/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/clock.h"
#include "flinkop/desired.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"

#define FOREGROUND "foregroundDeletion"
#define POD_GRACE_SECONDS 30

static struct {
    struct strmap objects[SIM_KINDS]; /* name -> struct object */
    struct strmap uids;
    struct object **by_id;
    int n_ids, room;
    int64_t version;
} api;

/* ---- versions ---- */

struct version *version_ref(struct version *v)
{
    v->refs++;
    return v;
}

void version_unref(struct version *v)
{
    if (!v || --v->refs)
        return;
    arena_free(&v->a);
    free(v);
}

static struct version *version_new(jv v)
{
    struct version *n = xcalloc(1, sizeof(*n));

    n->refs = 1;
    arena_init_small(&n->a, 4000);
    n->v = jv_dup(&n->a, v);
    return n;
}

/* ---- finding ---- */

struct object *api_get(int kind, const char *name)
{
    return name ? strmap_get(&api.objects[kind], name) : NULL;
}

struct object *api_by_id(int id)
{
    return id < api.n_ids ? api.by_id[id] : NULL;
}

struct object *api_by_uid(const char *uid)
{
    return uid ? strmap_get(&api.uids, uid) : NULL;
}

struct object *api_next(int kind, void **cursor)
{
    struct strmap_entry *e = strmap_next(&api.objects[kind], *cursor);

    *cursor = e;
    return e ? e->value : NULL;
}

const char *kind_name(int kind)
{
    return kind == KIND_REPLICASET ? "ReplicaSet"
           : kind == KIND_HA       ? "ConfigMap"
                                   : kube_resource((enum kube_kind)kind)->kind;
}

const char *object_label(const struct object *o, const char *key)
{
    return JV_STRING(o->at->v, "metadata", "labels", key);
}

const char *object_version(const struct object *o)
{
    return JV_STRING(o->at->v, "metadata", "resourceVersion");
}

const char *object_hash(const struct object *o)
{
    return JV_STRING(o->at->v, "metadata", "annotations", ANNOTATION_SPEC_HASH);
}

const char *object_owner(const struct object *o)
{
    return JV_STRING(jv_at(JV_PATH(o->at->v, "metadata", "ownerReferences"), 0), "uid");
}

bool object_has_finalizer(const struct object *o, const char *finalizer)
{
    jv_foreach (f, JV_PATH(o->at->v, "metadata", "finalizers"))
        if (str_eq(jv_string(*f), finalizer))
            return true;
    return false;
}

/* ---- writing ---- */

/* The one place where an object gets a new state. */
static void commit(struct object *o, jv v, enum actor by)
{
    cleanup_arena struct arena a = {0};
    struct version *old = o->at;
    jv meta = jv_get(v, "metadata");
    char stamp[RFC3339_MAX];

    meta = jv_set(&a, meta, "resourceVersion",
                  STR(arena_printf(&a, "%lld", (long long)++api.version)));
    meta = jv_set(&a, meta, "generation", INT(o->generation));
    if (o->deleted && !jv_present(jv_get(meta, "deletionTimestamp"))) {
        rfc3339_format(SIM_EPOCH + o->deleted, stamp);
        meta = jv_set(&a, meta, "deletionTimestamp", STR(stamp));
    }
    o->at = version_new(jv_set(&a, v, "metadata", meta));
    world_changed(o, old, old ? CHANGED : CREATED, by);
    version_unref(old);
}

/* Returns its last state, which bears the version of the removal. */
static struct version *take_out(struct object *o)
{
    cleanup_arena struct arena a = {0};
    struct version *old = o->at, *last;
    const char *rv = arena_printf(&a, "%lld", (long long)++api.version);

    last = o->at = version_new(JV_SET_PATH(&a, old->v, STR(rv), "metadata", "resourceVersion"));
    strmap_remove(&api.objects[o->kind], o->name);
    strmap_remove(&api.uids, o->uid);
    api.by_id[o->id] = NULL;
    world_changed(o, old, REMOVED, BY_SYSTEM);
    version_unref(old);
    free(o->name);
    free(o->uid);
    free(o);
    return last;
}

void api_remove(struct object *o)
{
    version_unref(take_out(o));
}

static bool held(const struct object *o)
{
    return jv_len(JV_PATH(o->at->v, "metadata", "finalizers")) > 0;
}

/* Returns a reference to what it is now. */
static struct version *update(struct object *o, jv v, enum actor by)
{
    if (!jv_equal(v, o->at->v)) {
        if (!jv_equal(jv_get(v, "spec"), jv_get(o->at->v, "spec")))
            o->generation++;
        commit(o, v, by);
    }
    if (o->kind != KIND_POD && o->deleted && !held(o))
        return take_out(o);
    return version_ref(o->at);
}

static struct object *object_new(int kind, const char *name)
{
    struct object *o = xcalloc(1, sizeof(*o));

    if (api.n_ids == api.room) {
        api.room = api.room ? api.room * 2 : 1024;
        api.by_id = xreallocarray(api.by_id, (size_t)api.room, sizeof(struct object *));
    }
    if (!api.n_ids)
        api.by_id[api.n_ids++] = NULL; /* 0 is nobody's number */
    *o = (struct object){.kind = kind,
                         .id = api.n_ids,
                         .name = xstrdup(name),
                         .uid = xasprintf("uid-%d", api.n_ids),
                         .generation = 1,
                         .created = sim.now};
    api.by_id[api.n_ids++] = o;
    strmap_put(&api.objects[kind], name, o);
    strmap_put(&api.uids, o->uid, o);
    return o;
}

static int not_found(struct error *err, int kind, const char *name)
{
    error_set(err, ERR_NOT_FOUND, "%s \"%s\" not found", kind_name(kind), name);
    err->http = 404;
    snprintf(err->reason, sizeof(err->reason), "NotFound");
    return -1;
}

/* What the body says about itself, with what only the server may say. */
static jv new_metadata(struct arena *a, const struct object *o, jv body)
{
    char stamp[RFC3339_MAX];

    rfc3339_format(sim_wall(), stamp);
    return jv_merge(a, jv_get(body, "metadata"),
                    jv_dup(a, OBJ({"name", STR(o->name)}, {"namespace", STR(NAMESPACE)},
                                  {"uid", STR(o->uid)}, {"creationTimestamp", STR(stamp)})));
}

int api_create(enum actor by, int kind, jv body, struct version **ret, struct error *err)
{
    cleanup_arena struct arena a = {0};
    const char *name = JV_STRING(body, "metadata", "name");
    struct object *o = api_get(kind, name);

    if (o) {
        error_set(err, ERR_EXISTS, "%s \"%s\" already exists", kind_name(kind), name);
        err->http = 409;
        return -1;
    }
    o = object_new(kind, name);
    body = jv_set(&a, body, "status", ABSENT);
    commit(o, jv_set(&a, body, "metadata", new_metadata(&a, o, body)), by);
    *ret = version_ref(o->at);
    return 0;
}

struct version *api_list(int kind, const char *label, const char *value)
{
    cleanup_arena struct arena a = {0};
    struct jv_list list = JV_LIST(&a);
    struct object *o;
    void *at = NULL;

    while ((o = api_next(kind, &at)))
        if (str_eq(label ? object_label(o, label) : o->name, value))
            jv_list_add(&list, o->at->v);
    return version_new(OBJ({"kind", STR(arena_printf(&a, "%sList", kind_name(kind)))},
                           {"items", jv_list_arr(&list)}));
}

/* Server-side apply by the only applier: what it gives replaces what it gave before, and labels and
 * annotations of others stay. */
static int conflict(struct error *err)
{
    error_set(err, ERR_CONFLICT,
              "the object has been modified; please apply your changes to "
              "the latest version and try again");
    err->http = 409;
    return -1;
}

/* Since it was as a body says. */
static bool has_changed(const struct object *o, jv body)
{
    const char *expected = JV_STRING(body, "metadata", "resourceVersion");

    return expected && !str_eq(expected, JV_STRING(o->at->v, "metadata", "resourceVersion"));
}

int api_apply(enum actor by, int kind, const char *name, jv body, struct version **ret,
              struct error *err)
{
    static const char *const merged[] = {"labels", "annotations"};
    cleanup_arena struct arena a = {0};
    struct object *o = api_get(kind, name);
    jv v, meta;

    if (!o && jv_present(JV_PATH(body, "metadata", "uid")))
        return conflict(err);
    if (!o)
        return api_create(by, kind, body, ret, err);
    v = o->at->v;
    meta = jv_get(v, "metadata");
    if (has_changed(o, body))
        return conflict(err);
    if (kind == KIND_DEPLOYMENT &&
        !jv_equal(JV_PATH(v, "spec", "selector"), JV_PATH(body, "spec", "selector")))
        return error_set(err, ERR_INVALID, "spec.selector: field is immutable");
    for (size_t i = 0; i < ARRAY_SIZE(merged); i++) {
        jv both = jv_merge(&a, jv_get(meta, merged[i]), JV_PATH(body, "metadata", merged[i]));

        meta = jv_set(&a, meta, merged[i], both);
    }
    meta = jv_set(&a, meta, "ownerReferences", JV_PATH(body, "metadata", "ownerReferences"));
    jv_foreach_kv (kv, body)
        if (strcmp(kv->key, "metadata") && strcmp(kv->key, "status"))
            v = jv_set(&a, v, kv->key, kv->value);
    *ret = update(o, jv_set(&a, v, "metadata", meta), by);
    return 0;
}

/* Finalizers may only go while an object is being deleted. */
static bool adds_finalizer(const struct object *o, jv v)
{
    jv_foreach (f, JV_PATH(v, "metadata", "finalizers"))
        if (!object_has_finalizer(o, jv_string(*f)))
            return true;
    return false;
}

int api_patch(enum actor by, int kind, const char *name, const char *subresource, jv patch,
              struct version **ret, struct error *err)
{
    cleanup_arena struct arena a = {0};
    struct object *o = api_get(kind, name);
    jv v;

    if (!o)
        return not_found(err, kind, name);
    if (has_changed(o, patch))
        return conflict(err);
    if (subresource)
        v = jv_set(&a, o->at->v, "status",
                   jv_merge_patch(&a, jv_get(o->at->v, "status"), jv_get(patch, "status")));
    else
        v = jv_merge_patch(&a, o->at->v, jv_set(&a, patch, "status", ABSENT));
    if (o->deleted && adds_finalizer(o, v))
        return error_set(err, ERR_INVALID,
                         "no new finalizers can be added if the object is being deleted");
    *ret = update(o, v, by);
    return 0;
}

void api_set_status(struct object *o, jv status)
{
    cleanup_arena struct arena a = {0};

    version_unref(update(o, jv_set(&a, o->at->v, "status", status), BY_SYSTEM));
}

void api_set_member(struct object *o, const char *const keys[], jv v)
{
    cleanup_arena struct arena a = {0};

    version_unref(update(o, jv_set_path(&a, o->at->v, keys, v), BY_SYSTEM));
}

/* ---- deleting ---- */

/* Pods that never got a node, or have ended, need nobody's leave. */
static bool pod_goes_at_once(const struct object *o)
{
    const char *phase = JV_STRING(o->at->v, "status", "phase");

    return !JV_STRING(o->at->v, "spec", "nodeName") || str_eq(phase, "Failed") ||
           str_eq(phase, "Succeeded");
}

static void begin_deletion(struct object *o, const char *propagation, enum actor by)
{
    cleanup_arena struct arena a = {0};
    jv v = o->at->v;

    o->deleted = sim.now;
    o->generation++;
    if (str_eq(propagation, "Foreground"))
        v = JV_SET_PATH(&a, v, jv_append(&a, JV_PATH(v, "metadata", "finalizers"), STR(FOREGROUND)),
                        "metadata", "finalizers");
    if (o->kind == KIND_POD)
        v = JV_SET_PATH(&a, v, INT(pod_goes_at_once(o) ? 0 : POD_GRACE_SECONDS), "metadata",
                        "deletionGracePeriodSeconds");
    commit(o, v, by);
}

int api_delete(enum actor by, int kind, const char *name, const char *uid, const char *version,
               const char *propagation, struct version **ret_last, struct error *err)
{
    struct object *o = api_get(kind, name);

    *ret_last = NULL;
    if (!o)
        return not_found(err, kind, name);
    if (uid && strcmp(uid, o->uid)) {
        error_set(err, ERR_CONFLICT,
                  "the UID in the precondition (%s) does not match the UID in "
                  "record (%s)",
                  uid, o->uid);
        err->http = 409;
        return -1;
    }
    if (version && !str_eq(version, object_version(o))) {
        error_set(err, ERR_CONFLICT, "the ResourceVersion in the precondition (%s) does not match",
                  version);
        err->http = 409;
        return -1;
    }
    if (!o->deleted && (kind == KIND_POD || held(o) || str_eq(propagation, "Foreground")))
        begin_deletion(o, propagation, by);
    if (kind == KIND_POD) /* the answer is the pod in any case */
        *ret_last = pod_goes_at_once(o) ? take_out(o) : version_ref(o->at);
    else if (held(o))
        *ret_last = version_ref(o->at);
    else
        api_remove(o);
    return 0;
}

/* ---- life ---- */

int64_t api_version(void)
{
    return api.version;
}

void api_reset(void)
{
    api_release();
    api.version = 1000;
}

void api_release(void)
{
    struct strmap_entry *e;

    for (int k = 0; k < SIM_KINDS; k++) {
        strmap_foreach (e, &api.objects[k]) {
            struct object *o = e->value;

            version_unref(o->at);
            free(o->model);
            free(o->name);
            free(o->uid);
            free(o);
        }
        strmap_release(&api.objects[k]);
    }
    strmap_release(&api.uids);
    free(api.by_id);
    memset(&api, 0, sizeof(api));
}
