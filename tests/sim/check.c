/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about Kubernetes objects. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flink.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/desired.h"
#include "flinkop/exposure.h"
#include "flinkop/json.h"
#include "flinkop/kube_events.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"
#include "nodes.h"
#include "users.h"

struct check_counts check_counts;

static struct {
    struct strmap names; /* "<uid of the FlinkDeployment>/<TaskManager>" ever registered: its pod */
    struct strmap left;  /* clusters that were deleted without all of it */
    struct look {
        char cluster[64];
        int64_t when, got;     /* the last answer about TaskManagers of each… */
        int64_t jobs, settled; /* …and the last about its jobs, now and before that one */
    } looks[8];
} state;

static struct look *look_at(const char *cluster)
{
    for (size_t i = 0; i < ARRAY_SIZE(state.looks); i++) {
        struct look *l = &state.looks[i];

        if (!*l->cluster)
            snprintf(l->cluster, sizeof(l->cluster), "%s", cluster);
        if (!strcmp(l->cluster, cluster))
            return l;
    }
    sim_fail("there are more clusters than looks");
}

void check_taskmanagers(const char *cluster, int64_t when)
{
    struct look *l = look_at(cluster);

    l->when = when;
    l->got = sim.now;
    l->settled = MIN(l->jobs, when); /* a later one may be the answer to another question */
}

void check_jobs(const char *cluster, int64_t when)
{
    look_at(cluster)->jobs = when;
}

/* ---- what a pass plans ---- */

static bool belongs(const char *name, const struct action *act)
{
    static const char *const forms[] = {"%s",    "%s-rest",        "flink-config-%s",
                                        "%s-ui", "%s-taskmanager", "%s-taskmanager-"};
    cleanup_arena struct arena a = {0};
    char text[256];

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        snprintf(text, sizeof(text), forms[i], name);
        if (i == 5 ? str_has_prefix(act->name, text) : !strcmp(act->name, text))
            return true;
    }
    if (act->type == ACT_READ_REFERENCE)
        return act->kind == KIND_SECRET || act->kind == KIND_ANY_CONFIGMAP;
    if (act->kind == KIND_FLINKSTATESNAPSHOT)
        return str_has_prefix(act->name, arena_printf(&a, "%s-savepoint-", name)) ||
               str_has_prefix(act->name, arena_printf(&a, "%s-checkpoint-", name));
    if (act->kind == KIND_CONFIGMAP && str_has_suffix(act->name, "-config-map"))
        return str_has_prefix(act->name, arena_printf(&a, "%s-", name));
    return act->kind == KIND_POD &&
           (!api_get(KIND_POD, act->name) ||
            str_eq(object_label(api_get(KIND_POD, act->name), LABEL_APP), name));
}

void check_pass(jv cr, const struct obs_flink *flink, const struct plan *plan)
{
    const char *name = JV_STRING(cr, "metadata", "name");

    check_again(cr, flink, plan);
    for (size_t i = 0; i < plan->n; i++)
        CHECK(belongs(name, &plan->actions[i]), "the plan for %s touches %s %s", name,
              kind_name((int)plan->actions[i].kind), plan->actions[i].name);
}

/* ---- the cluster of an object ---- */

static struct object *cluster_of(const struct object *o)
{
    return api_get(KIND_FLINKDEPLOYMENT, object_label(o, LABEL_APP));
}

/* What was rolled back to counts instead of what was recorded before; how far that is, is told by
 * the state of the reconciliation. */
jv check_spec_in(struct arena *a, jv status)
{
    jv recon = jv_get(status, "reconciliationStatus");
    const char *phase = str_or_empty(JV_STRING(recon, "state"));
    bool back = str_has_prefix(phase, "ROLL");
    const char *text = JV_STRING(recon, back ? "lastStableSpec" : "lastReconciledSpec");
    struct error err;
    jv v;

    if (!text || json_parse(a, text, strlen(text), &v, &err))
        return ABSENT;
    v = jv_get(v, "spec");
    return strcmp(phase, "ROLLING_BACK") ? v : JV_SET_PATH(a, v, STR("suspended"), "job", "state");
}

bool check_rolled_back(const struct object *cr)
{
    return str_has_prefix(
        str_or_empty(JV_STRING(cr->at->v, "status", "reconciliationStatus", "state")), "ROLL");
}

jv check_recorded_spec(struct arena *a, const struct object *cr)
{
    return check_spec_in(a, jv_get(cr->at->v, "status"));
}

const char *check_hash(struct arena *a, const struct object *cr, jv spec)
{
    jv job = JV_PATH(cr->at->v, "status", "jobStatus");

    if (!jv_present(spec))
        return NULL;
    return jv_present(jv_get(spec, "job"))
               ? application_hash(a, deployment_spec_hash(a, spec), JV_STRING(job, "jobId"),
                                  JV_STRING(job, "upgradeSavepointPath"))
               : deployment_spec_hash(a, spec);
}

const char *check_started_hash(struct arena *a, const struct object *cr, jv spec)
{
    return str_or(JV_STRING(cr->at->v, "status", "startedSpecHash"), check_hash(a, cr, spec));
}

static const char *recorded_hash(struct arena *a, const struct object *cr)
{
    return check_started_hash(a, cr, check_recorded_spec(a, cr));
}

/* Whoever suspends an application takes its JobManager away, and after a while it goes when its job
 * has ended. */
static bool suspended(const struct object *cr)
{
    cleanup_arena struct arena a = {0};
    jv job = jv_get(check_recorded_spec(&a, cr), "job"),
       js = JV_PATH(cr->at->v, "status", "jobStatus");

    if (jv_bool_or(jv_get(js, "shutDown"), false))
        return job_state_terminal(job_state_parse(str_or_empty(JV_STRING(js, "state"))));
    return jv_present(job) && str_eq(JV_STRING(job, "state"), "suspended");
}

/* ---- pods ---- */

static bool same_cluster(const struct object *a, const struct object *b)
{
    return str_eq(object_label(a, LABEL_APP), object_label(b, LABEL_APP));
}

/* A pod that is being made must not meet pods that it must not meet. */
static void check_meeting(const struct object *pod)
{
    struct object *other;
    void *at = NULL;

    while ((other = api_next(KIND_POD, &at))) {
        if (other == pod || !same_cluster(other, pod))
            continue;
        if (is_jobmanager(pod) && is_jobmanager(other))
            CHECK(pod_of(other)->meddled || pod_finished(other),
                  "JobManager pod %s is made while %s exists", pod->name, other->name);
        else if (is_jobmanager(pod) != is_jobmanager(other))
            CHECK(str_eq(object_hash(pod), object_hash(other)) || pod_finished(other),
                  "pod %s is made while %s of another specification exists", pod->name,
                  other->name);
    }
}

static int64_t limit(jv spec)
{
    return jv_int64_or(JV_PATH(spec, "allocator", "maxTaskManagers"), INT64_MAX);
}

static void check_taskmanager(const struct object *pod)
{
    cleanup_arena struct arena a = {0};
    const struct object *cr = cluster_of(pod);
    struct object *other;
    void *at = NULL;
    int64_t n = 0, max;

    CHECK(cr, "TaskManager %s is made for no cluster", pod->name);
    for (struct jm *jm = jm_next(NULL); jm && !native_taskmanager(pod); jm = jm_next(jm))
        CHECK(!jm->native || strcmp(jm->cluster, cr->name),
              "TaskManager %s is made beside Flink's own allocation", pod->name);
    max = MAX(limit(jv_get(cr->at->v, "spec")), limit(check_recorded_spec(&a, cr)));
    while ((other = api_next(KIND_POD, &at)))
        n += is_taskmanager(other) && same_cluster(other, pod) && !other->deleted &&
             !pod_finished(other);
    CHECK(n <= max, "%lld TaskManagers of %s, more than %lld", (long long)n, cr->name,
          (long long)max);
}

/* Flink knows a TaskManager by its name. */
void check_name(const char *cluster, const char *name, int pod)
{
    const struct object *cr = api_get(KIND_FLINKDEPLOYMENT, cluster);
    cleanup_arena struct arena a = {0};
    const void *before;

    if (!cr)
        return;
    before =
        strmap_put(&state.names, arena_printf(&a, "%s/%s", cr->uid, name), (void *)(intptr_t)pod);
    CHECK(!before || (intptr_t)before == pod, "another TaskManager registers by the name %s", name);
}

/* Whether the status of its FlinkDeployment tells that this name was given. */
static bool name_recorded(const struct object *cr, const char *pod)
{
    jv recorded = JV_PATH(cr->at->v, "status", "allocator");
    int64_t attempt = jv_int64_or(jv_get(recorded, "attempt"), 0);
    int its_attempt, index;

    return taskmanager_pod_parse(cr->name, pod, &its_attempt, &index) &&
           (its_attempt < attempt ||
            (its_attempt == attempt && index <= jv_int64_or(jv_get(recorded, "lastIndex"), 0)));
}

static bool going(const struct object *pod)
{
    return !pod || pod->deleted;
}

/* A name that the operator died too early to record, of a pod that was gone before the next one
 * came and listed pods, is known to nobody. */
void check_names_forgotten(void)
{
    struct strmap_entry *e;
    struct object *cr;
    void *at = NULL;

    while ((cr = api_next(KIND_FLINKDEPLOYMENT, &at)))
        strmap_foreach (e, &state.names) {
            const char *pod = str_skip_prefix(e->key, cr->uid);

            if (pod && *pod++ == '/' && going(api_get(KIND_POD, pod)) && !name_recorded(cr, pod))
                strmap_remove(&state.names, e->key);
        }
}

#define READINESS_MS MINUTE /* what users ask for, who want to be rolled back */

/* A spec has its time to come to run, and is not left for one of another version, or for another
 * state than its user has chosen. */
static void check_rollback(const struct object *o, const struct version *old)
{
    cleanup_arena struct arena a = {0};
    jv was = JV_PATH(old->v, "status", "reconciliationStatus");
    jv is = JV_PATH(o->at->v, "status", "reconciliationStatus"), failed, stable;
    int64_t since = jv_int64_or(jv_get(was, "reconciliationTimestamp"), 0);

    /* What it was rolled back to may be restarted for a reference. */
    if (!str_eq(JV_STRING(is, "state"), "ROLLING_BACK") ||
        str_has_prefix(str_or_empty(JV_STRING(was, "state")), "ROLL"))
        return;
    CHECK(sim_wall() - since >= READINESS_MS, "%s is rolled back after %lld ms", o->name,
          (long long)(sim_wall() - since));
    stable = check_spec_in(&a, jv_get(o->at->v, "status"));
    failed = check_spec_in(&a, jv_get(old->v, "status"));
    CHECK(str_eq(JV_STRING(stable, "flinkVersion"), JV_STRING(failed, "flinkVersion")),
          "%s is rolled back to another version", o->name);
    CHECK(jv_equal(JV_PATH(stable, "job", "savepointRedeployNonce"),
                   JV_PATH(failed, "job", "savepointRedeployNonce")),
          "%s is rolled back from the state that its user has chosen", o->name);
}

void check_changed(struct object *o, const struct version *old, enum change what, enum actor by)
{
    if (o->kind == KIND_POD && what == CREATED) {
        check_meeting(o);
        bool allocated = is_taskmanager(o) && !user_is_standalone(object_label(o, LABEL_APP));

        if (allocated)
            check_taskmanager(o);
        CHECK((allocated && !native_taskmanager(o)) == (by == BY_OPERATOR), "who made pod %s?",
              o->name);
    }
    if (o->kind == KIND_FLINKSTATESNAPSHOT && what == CREATED)
        check_snapshot_made(o, by);
    if (o->kind == KIND_FLINKSTATESNAPSHOT && what == REMOVED)
        check_snapshot_gone(o);
    if (o->kind == KIND_FLINKSESSIONJOB || o->kind == KIND_FLINKDEPLOYMENT) {
        check_recorded(o, what);
        check_handled(o, old, what);
        if (o->kind == KIND_FLINKDEPLOYMENT && old && what == CHANGED) {
            check_restarts(o, old);
            check_rollback(o, old);
        }
    }
}

/* ---- deletions ---- */

struct delete_context check_send(enum kube_verb verb, int kind, const char *name)
{
    struct delete_context c = {0};

    /* A release sends its deletion in the very turn in which it gets its last answer. */
    for (size_t i = 0; i < ARRAY_SIZE(state.looks) && verb == KUBE_DELETE && kind == KIND_POD;
         i++) {
        const struct look *l = &state.looks[i];

        if (l->got == sim.now && *l->cluster && str_has_prefix(name, l->cluster))
            c = (struct delete_context){l->when, l->settled};
    }
    return c;
}

static bool rolling_out(const struct object *cr)
{
    cleanup_arena struct arena a = {0};
    const struct object *d = api_get(KIND_DEPLOYMENT, cr->name);

    return d && !str_eq(object_hash(d), recorded_hash(&a, cr));
}

/* A young JobManager whose Deployment somebody has deleted: nothing that the operator need have
 * seen tells of it, and it goes. */
static bool forgotten(const struct jm *jm)
{
    const struct object *pod = api_by_id(jm->pod);
    const struct object *above = pod ? api_by_uid(object_owner(pod)) : NULL;

    if (above && above->kind == KIND_REPLICASET && !above->deleted)
        above = api_by_uid(object_owner(above));
    return pod && pod_of(pod)->meddled && (!above || above->deleted);
}

static void check_delete_pod(const char *name, const struct delete_context *context)
{
    const struct object *pod = api_get(KIND_POD, name);
    const struct object *cr = pod ? cluster_of(pod) : NULL;
    const struct tm *tm = pod ? tm_by_pod(pod->id) : NULL;
    const struct reg *reg = tm ? reg_of(tm) : NULL;

    check_counts.releases += context->rechecked != 0;
    if (!reg || pod->deleted || !cr || cr->deleted)
        return;
    CHECK(is_taskmanager(pod), "the operator deletes pod %s", name);
    CHECK(!tm->jm->native, "the operator deletes TaskManager %s of Flink's own allocation", name);
    CHECK(!rolling_out(cr), "TaskManager %s is deleted before its JobManager is gone", name);
    if (!reg->used || forgotten(tm->jm))
        return;
    CHECK(context->rechecked, "TaskManager %s is deleted while in use", name);
    CHECK(reg->used_since > context->rechecked,
          "TaskManager %s is deleted although it was in use when last asked", name);
    check_counts.races++;
    check_race(tm, sim.now - context->rechecked, context->settled);
}

/* What exposes a cluster goes when its specification, or the recorded one, does not ask for it. Of
 * a change that is not told as seen yet the operator may not know. */
static bool still_asked_for(const struct object *o)
{
    cleanup_arena struct arena a = {0};
    const struct object *cr = api_by_uid(object_owner(o));

    return cr &&
           jv_int64_or(JV_PATH(cr->at->v, "status", "observedGeneration"), -1) == cr->generation &&
           user_asks_for(jv_get(cr->at->v, "spec"), o->kind) &&
           user_asks_for(check_recorded_spec(&a, cr), o->kind);
}

/* What high availability keeps is touched only while no JobManager runs that the operator could
 * know of. */
static void check_kept(const char *name)
{
    const struct object *o = api_get(KIND_HA, name);

    for (struct jm *jm = jm_next(NULL); o && jm; jm = jm_next(jm)) {
        const struct object *pod = api_by_id(jm->pod);

        if (!strcmp(jm->cluster, str_or_empty(object_label(o, LABEL_APP))))
            CHECK(pod && pod_of(pod)->meddled, "the operator touches %s while %s runs", name,
                  jm->name);
    }
}

/* The Deployment of the TaskManagers goes when its JobManager has gone, as far as the operator can
 * know. */
static void check_delete_taskmanagers(const struct object *o, const struct object *cr)
{
    for (struct jm *jm = jm_next(NULL); cr && !cr->deleted && jm; jm = jm_next(jm)) {
        const struct object *pod = api_by_id(jm->pod);

        if (!strcmp(jm->cluster, cr->name))
            CHECK(!pod || pod_of(pod)->meddled || !api_by_uid(object_owner(o)),
                  "the operator deletes %s while JobManager %s runs", o->name, jm->name);
    }
}

static void check_delete(int kind, const char *name)
{
    const struct object *o = api_get(kind, name);
    const struct object *cr = o ? cluster_of(o) : NULL;

    if (o && exposure_has_kind((enum kube_kind)kind)) {
        CHECK(!still_asked_for(o), "the operator deletes %s %s, which is asked for",
              kind_name(kind), name);
        return;
    }
    if (o && kind == KIND_DEPLOYMENT && str_eq(object_label(o, LABEL_COMPONENT), COMPONENT_TM)) {
        check_delete_taskmanagers(o, cr);
        return;
    }
    if (o && kind == KIND_FLINKSTATESNAPSHOT) {
        check_snapshot_dropped(o);
        return;
    }
    CHECK(!o || (kind == KIND_DEPLOYMENT && (!cr || cr->deleted || suspended(cr))),
          "the operator deletes %s %s", kind_name(kind), name);
}

/* ---- writes ---- */

static void check_scale(const char *name, jv body)
{
    cleanup_arena struct arena a = {0};
    const struct object *d = api_get(KIND_DEPLOYMENT, name);
    const struct object *cr = api_get(KIND_FLINKDEPLOYMENT, name);

    if (!d || !cr || jv_int64_or(JV_PATH(body, "spec", "replicas"), -1) != 0)
        return;
    CHECK(suspended(cr) || !str_eq(object_hash(d), recorded_hash(&a, cr)),
          "Deployment %s is stopped although it runs the recorded specification", name);
}

/* What is made comes from the recorded specification, never from a bad one. */
static void check_made(int kind, const char *name, jv body)
{
    cleanup_arena struct arena a = {0};
    const char *hash = JV_STRING(body, "metadata", "annotations", ANNOTATION_SPEC_HASH);
    const struct object *cr =
        api_get(KIND_FLINKDEPLOYMENT, JV_STRING(body, "metadata", "labels", LABEL_APP));

    if (!cr)
        return;
    if (!user_spec_valid(cr) && !user_asks_for_refused(jv_get(cr->at->v, "spec")))
        CHECK(!str_eq(hash, check_hash(&a, cr, jv_get(cr->at->v, "spec"))),
              "%s %s is made from a bad specification", kind_name(kind), name);
    if (kind == KIND_DEPLOYMENT || kind == KIND_POD)
        CHECK(str_eq(hash, recorded_hash(&a, cr)),
              "%s %s is not made from the recorded specification", kind_name(kind), name);
}

/* What was made in the last minute may have come from a former operator, unseen by this one. */
static bool stands(const struct object *deployment)
{
    return deployment && !deployment->deleted && deployment->created < sim.now - MINUTE &&
           jv_int64_or(JV_PATH(deployment->at->v, "spec", "replicas"), 1) > 0;
}

/* Nothing ends for what the API server would refuse. */
static void check_recording(const char *name, jv body)
{
    cleanup_arena struct arena a = {0};
    const struct object *cr = api_get(KIND_FLINKDEPLOYMENT, name);
    jv was = cr ? check_recorded_spec(&a, cr) : ABSENT;
    jv next = cr ? check_spec_in(&a, jv_merge(&a, jv_get(cr->at->v, "status"), /* a patch of it */
                                              jv_get(body, "status")))
                 : ABSENT;

    if (jv_present(was) && user_asks_for_refused(next) && !user_asks_for_refused(was) &&
        !suspended(cr) && !str_eq(JV_STRING(cr->at->v, "spec", "job", "state"), "suspended"))
        CHECK(!stands(api_get(KIND_DEPLOYMENT, name)),
              "%s is to end for a specification that the API server refuses", name);
}

void check_write(enum kube_verb verb, int kind, const char *name, const char *subresource, jv body,
                 const struct delete_context *context)
{
    if (kind == KIND_HA)
        check_kept(name);
    else if (verb == KUBE_DELETE && kind == KIND_POD)
        check_delete_pod(name, context);
    else if (verb == KUBE_DELETE)
        check_delete(kind, name);
    else if (verb == KUBE_CREATE || verb == KUBE_APPLY)
        check_made(kind, name, body);
    else if (kind == KIND_DEPLOYMENT && !subresource)
        check_scale(name, body);
    else if (kind == KIND_FLINKDEPLOYMENT && subresource)
        check_recording(name, body);
}

void check_event(const struct kube_event *event)
{
    CHECK(!str_empty(event->reason) && event->message, "an event without a reason");
    if (str_eq(event->reason, "JobException"))
        check_exception(event);
    if (!str_eq(event->reason, "CleanupFailed"))
        return;
    if (event->kind == KIND_FLINKSESSIONJOB)
        check_given_up(event->message);
    else if (strstr(event->message, "may be left") || strstr(event->message, "of it is left"))
        strmap_put(&state.left, event->name, &state);
}

bool check_may_be_left(const struct object *o)
{
    return o->kind == KIND_HA && strmap_get(&state.left, str_or_empty(object_label(o, LABEL_APP)));
}

void check_reset(void)
{
    check_release();
    check_counts = (struct check_counts){0};
}

void check_release(void)
{
    strmap_release(&state.names);
    strmap_release(&state.left);
    memset(&state, 0, sizeof(state));
    check_snapshots_release();
    check_references_release();
    check_exceptions_release();
    check_flink_release();
}
