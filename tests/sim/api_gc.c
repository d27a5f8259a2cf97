/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The garbage collector: what has lost its owner goes, and an owner that is deleted in the
 * foreground waits for what it owns.
 */
#include "api.h"
#include "flinkop/str.h"

#define FOREGROUND "foregroundDeletion"

static void delete_it(struct object *o, const char *propagation)
{
    struct version *last;
    struct error err;

    if (!api_delete(BY_SYSTEM, o->kind, o->name, o->uid, NULL, propagation, &last, &err))
        version_unref(last);
}

/* Deletes an object whose owner does not exist (any more). */
static void collect(void *arg)
{
    struct object *o = api_by_id(sim_id_of(arg));
    const char *owner = o ? object_owner(o) : NULL;

    if (owner && !o->deleted && !api_by_uid(owner)) {
        TRACE("gc: %s %s has no owner", kind_name(o->kind), o->name);
        delete_it(o, "Background");
    }
}

static bool owned_by(const struct object *o, const char *uid)
{
    return str_eq(object_owner(o), uid);
}

/* One of what it owns, or NULL. */
static struct object *dependent(const char *uid, bool undeleted)
{
    for (int k = 0; k < SIM_KINDS; k++) {
        void *at = NULL;
        struct object *o;

        while ((o = api_next(k, &at)))
            if (owned_by(o, uid) && !(undeleted && o->deleted))
                return o;
    }
    return NULL;
}

static void without_foreground(struct object *o)
{
    static const char *const path[] = {"metadata", "finalizers", NULL};
    cleanup_arena struct arena a = {0};
    struct jv_list list = JV_LIST(&a);

    jv_foreach (f, JV_PATH(o->at->v, "metadata", "finalizers"))
        if (!str_eq(jv_string(*f), FOREGROUND))
            jv_list_add(&list, *f);
    api_set_member(o, path, jv_list_arr(&list));
}

static void foreground(void *arg)
{
    struct object *o = api_by_id(sim_id_of(arg)), *d;

    if (!o || !o->deleted || !object_has_finalizer(o, FOREGROUND))
        return;
    while ((d = dependent(o->uid, true)))
        delete_it(d, dependent(d->uid, false) ? "Foreground" : "Background");
    if (!dependent(o->uid, false))
        without_foreground(o);
}

static void collect_dependents(const char *uid)
{
    for (int k = 0; k < SIM_KINDS; k++) {
        void *at = NULL;
        struct object *o;

        while ((o = api_next(k, &at)))
            if (owned_by(o, uid))
                sim_after(skewed(R_NODE, 20, 2 * SECOND), collect, sim_id(o->id));
    }
}

void gc_changed(struct object *o, enum change what)
{
    const char *owner = object_owner(o);
    const struct object *above = owner ? api_by_uid(owner) : NULL;

    if (what == REMOVED) {
        collect_dependents(o->uid);
        if (above && above->deleted)
            sim_after(between(R_NODE, 5, 100), foreground, sim_id(above->id));
    } else if (what == CREATED && owner && !above) {
        sim_after(between(R_NODE, SECOND, 3 * SECOND), collect, sim_id(o->id));
    } else if (o->deleted && object_has_finalizer(o, FOREGROUND)) {
        sim_after(between(R_NODE, 5, 200), foreground, sim_id(o->id));
    }
}
