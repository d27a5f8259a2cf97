/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model API server: objects with versions, the verbs with their rules, garbage collection. One
 * namespace. What it does takes no time here; who calls it takes care of that.
 */
#ifndef TESTS_SIM_API_H
#define TESTS_SIM_API_H

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/jv.h"
#include "flinkop/kube_resource.h"
#include "sim.h"

#define NAMESPACE "sim"

/* Besides the operator's kinds: what a Deployment makes of itself. */
/* KIND_HA: ConfigMaps of Flink's high availability, which no watch of the operator matches. */
enum { KIND_REPLICASET = KIND_COUNT, KIND_HA, SIM_KINDS };

/* One state of an object. Immutable; watches hold on to it until it is delivered. */
struct version {
    int refs;
    struct arena a;
    jv v;
};
struct version *version_ref(struct version *v);
void version_unref(struct version *v);

struct object {
    int kind, id;
    char *name, *uid;
    struct version *at;
    int64_t generation;
    int64_t created, deleted; /* monotonic; deleted 0: not asked for */
    void *model;              /* what the controller of its kind keeps about it */
};

enum actor { BY_OPERATOR, BY_USER, BY_SYSTEM };

/** The last version that was given. */
int64_t api_version(void);
void api_reset(void);
void api_release(void);

struct object *api_get(int kind, const char *name);
struct object *api_by_id(int id);
struct object *api_by_uid(const char *uid);
/** `void *at = NULL; struct object *o; while ((o = api_next(kind, &at)))`; the current one may be
 * removed inside. */
struct object *api_next(int kind, void **cursor);
const char *kind_name(int kind);

/* ---- verbs: 0, or -1 with the error that a client would see. ret is a reference to the answer's
 * object; the object itself may be gone by then ---- */

int api_create(enum actor by, int kind, jv body, struct version **ret, struct error *err);
/** A list of all with this label (NULL: with this name); a reference. */
struct version *api_list(int kind, const char *label, const char *value);
int api_apply(enum actor by, int kind, const char *name, jv body, struct version **ret,
              struct error *err);
/** subresource: "status" or NULL. */
int api_patch(enum actor by, int kind, const char *name, const char *subresource, jv patch,
              struct version **ret, struct error *err);
/** ret_last: NULL when a client gets only a Status. */
int api_delete(enum actor by, int kind, const char *name, const char *uid, const char *version,
               const char *propagation, struct version **ret_last, struct error *err);

/* ---- for the model's controllers ---- */

/** Sets the status; nothing happens if it is the same. */
void api_set_status(struct object *o, jv status);
void api_set_member(struct object *o, const char *const keys[], jv v);
/** The object is gone, whatever finalizers say: pods whose containers have ended. */
void api_remove(struct object *o);

const char *object_label(const struct object *o, const char *key);
const char *object_hash(const struct object *o);
const char *object_version(const struct object *o);
const char *object_owner(const struct object *o);
bool object_has_finalizer(const struct object *o, const char *finalizer);

/* ---- who wants to know (world.c) ---- */

enum change { CREATED, CHANGED, REMOVED };
/** old: the state before, NULL when created. */
void world_changed(struct object *o, const struct version *old, enum change what, enum actor by);

/* ---- garbage collection (api_gc.c) ---- */

void gc_changed(struct object *o, enum change what);

#endif
