/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true when nothing disturbs any more: everything is as specified, and the status says
 * so. */
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/desired.h"
#include "flinkop/exposure.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "nodes.h"
#include "operator.h"
#include "users.h"

static const char *condition(const struct object *o, const char *type)
{
    jv_foreach (c, JV_PATH(o->at->v, "status", "conditions"))
        if (str_eq(JV_STRING(*c, "type"), type))
            return str_or_empty(JV_STRING(*c, "status"));
    return "(none)";
}

static const char *observed(struct arena *a, const struct object *o)
{
    int64_t n = jv_int64_or(JV_PATH(o->at->v, "status", "observedGeneration"), -1);

    if (n == o->generation)
        return NULL;
    return arena_printf(a, "%s %s: observedGeneration is %lld, generation %lld", kind_name(o->kind),
                        o->name, (long long)n, (long long)o->generation);
}

static const char *ready_is(struct arena *a, const struct object *o, const char *expected)
{
    const char *wrong = observed(a, o), *found = condition(o, "Ready");

    if (wrong || !strcmp(found, expected))
        return wrong;
    return arena_printf(a, "%s %s: Ready is %s instead of %s: %s", kind_name(o->kind), o->name,
                        found, expected, json_text(a, jv_get(o->at->v, "status")));
}

/* ---- clusters ---- */

static struct jm *jm_of(const char *cluster)
{
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        if (!strcmp(jm->cluster, cluster) && jm->up)
            return jm;
    return NULL;
}

/* What counts: the specification, or the recorded one if that is bad; ABSENT: there is none. */
static jv effective(struct arena *a, const struct object *cr)
{
    jv recorded = check_recorded_spec(a, cr);

    return jv_present(recorded) && user_spec_valid(cr) && !check_rolled_back(cr)
               ? spec_to_record(a, recorded, jv_get(cr->at->v, "spec"), false)
               : recorded;
}

static const char *object_is(struct arena *a, int kind, const char *name, const char *hash)
{
    const struct object *o = api_get(kind, name);

    if (!o || o->deleted)
        return arena_printf(a, "%s %s is missing", kind_name(kind), name);
    if (!str_eq(object_hash(o), hash))
        return arena_printf(a, "%s %s is of another specification", kind_name(kind), name);
    return NULL;
}

static int policy(jv spec, const char *key, int fallback)
{
    return (int)jv_int64_or(JV_PATH(spec, "allocator", key), fallback);
}

static int slots_of(jv spec)
{
    const char *text = JV_STRING(spec, "flinkConfiguration", "taskmanager.numberOfTaskSlots");
    int n = 1;

    return text && str_to_int(text, &n) ? n : 1;
}

/* In mode standalone. */
static int replicas_of(jv spec)
{
    int parallelism = (int)jv_int64_or(JV_PATH(spec, "job", "parallelism"), 1);
    int fallback = (parallelism + slots_of(spec) - 1) / slots_of(spec);

    return (int)jv_int64_or(JV_PATH(spec, "taskManager", "replicas"), fallback);
}

/* TaskManagers that its jobs need, as far as Flink tells, by the specification's policy. */
static int wanted(jv spec, const struct jm *jm, bool *ret_fits)
{
    int need = 0, all = 0, jobs = 0, slots = slots_of(spec), n,
        fixed = user_is_standalone(jm->cluster) ? replicas_of(spec) : 0,
        max = fixed ? fixed : policy(spec, "maxTaskManagers", 1000000);

    for (int i = 0; i < jm->n_jobs; i++) {
        const struct fjob *j = jm->jobs[i];

        if (job_state_terminal(j->state))
            continue;
        jobs++;
        all += j->need;
        need += jm->groups_told ? j->need : MAX(j->parallelism, j->second);
    }
    n = (need + slots - 1) / slots + (jobs ? policy(spec, "spareTaskManagers", 0) : 0);
    *ret_fits = (all + slots - 1) / slots <= max;
    return fixed ? fixed : MIN(MAX(n, policy(spec, "minTaskManagers", 0)), max);
}

static const char *jobs_run(struct arena *a, const struct jm *jm)
{
    for (int i = 0; i < jm->n_jobs; i++) {
        const struct fjob *j = jm->jobs[i];

        if (!job_state_terminal(j->state) && !j->running)
            return arena_printf(a, "job %.8s in %s does not run (%s, %d of %d slots)", j->jid,
                                jm->name, job_state_name(j->state), j->have, j->need);
    }
    return NULL;
}

static const char *taskmanagers_are(struct arena *a, const struct object *cr, jv spec,
                                    const struct jm *jm)
{
    bool fits, batch = false, fixed = user_is_standalone(cr->name);
    int n = 0, idle = 0, expected = wanted(spec, jm, &fits);
    const char *wrong = fits ? jobs_run(a, jm) : NULL;
    struct object *o;
    void *at = NULL;

    for (int i = 0; i < jm->n_jobs; i++)
        batch |= jm->jobs[i]->batch && !job_state_terminal(jm->jobs[i]->state);
    while ((o = api_next(KIND_POD, &at))) {
        const struct tm *tm = tm_by_pod(o->id);
        const struct reg *reg = tm ? reg_of(tm) : NULL;

        if (!is_taskmanager(o) || !str_eq(object_label(o, LABEL_APP), cr->name))
            continue;
        if (fixed && pod_finished(o)) /* a ReplicaSet leaves them */
            continue;
        if (!reg || tm->jm != jm)
            return arena_printf(a, "TaskManager %s is not registered", o->name);
        n++;
        idle += !reg->used;
    }
    if (n < expected)
        wrong = arena_printf(a, "%s has %d TaskManagers and should have %d", cr->name, n, expected);
    /* Jobs that are spread over more than they need keep them. */
    if (n > expected && (fixed || (idle && !batch && fits)))
        wrong = arena_printf(a, "%s has %d TaskManagers, %d of them idle, and should have %d",
                             cr->name, n, idle, expected);
    return wrong;
}

/* What exposes it is there when it is asked for, and only then. */
static const char *exposed(struct arena *a, const struct object *cr, jv spec)
{
    for (enum exposure e = 0; e < EXPOSURE_COUNT; e++) {
        const char *name = exposure_name(a, e, cr->name);
        int kind = (int)exposure_kind(e);
        const struct object *o = api_get(kind, name);
        /* The API server has Routes, so none is exposed by an Ingress instead. */
        bool asked = e != EXPOSURE_UI_INGRESS && user_asks_for(spec, kind);

        if (asked != (o && !o->deleted))
            return arena_printf(a, "%s %s is %s", kind_name(kind), name,
                                asked ? "missing" : "left");
    }
    return NULL;
}

/* What the scale subresource shows in mode standalone. */
static const char *scaled(struct arena *a, const struct object *cr, jv spec)
{
    int64_t told = jv_int64_or(JV_PATH(cr->at->v, "status", "taskManager", "replicas"), -1);
    const char *name = desired_taskmanagers_name(a, cr->name);
    const char *wrong = object_is(a, KIND_DEPLOYMENT, name, check_started_hash(a, cr, spec));

    if (wrong || told == replicas_of(spec))
        return wrong;
    return arena_printf(a, "%s: status.taskManager.replicas is %lld, %d are asked for", cr->name,
                        (long long)told, replicas_of(spec));
}

/* Its objects are of the specification, and a JobManager runs that was made of it. */
static const char *objects_are(struct arena *a, const struct object *cr, jv spec)
{
    const char *hash = check_started_hash(a, cr, spec), *wrong;
    const struct jm *jm = jm_of(cr->name);

    if (!(wrong =
              object_is(a, KIND_CONFIGMAP, arena_printf(a, "flink-config-%s", cr->name), hash)) &&
        !(wrong = object_is(a, KIND_DEPLOYMENT, cr->name, hash)) &&
        !(wrong = object_is(a, KIND_SERVICE, cr->name, hash)))
        wrong = object_is(a, KIND_SERVICE, arena_printf(a, "%s-rest", cr->name), hash);
    if (wrong)
        return wrong;
    if (!jm || !str_eq(jm->hash, hash))
        return arena_printf(a, "%s has no JobManager of its specification", cr->name);
    if (user_is_standalone(cr->name) && (wrong = scaled(a, cr, spec)))
        return wrong;
    return exposed(a, cr, spec);
}

static const char *cluster_runs(struct arena *a, const struct object *cr, jv spec)
{
    const char *wrong = objects_are(a, cr, spec);

    return wrong ? wrong : taskmanagers_are(a, cr, spec, jm_of(cr->name));
}

static const char *cluster_settled(struct arena *a, const struct object *cr)
{
    jv spec = effective(a, cr);
    bool works = jv_present(spec) && !str_has_suffix(JV_STRING(spec, "image"), ":bad");
    const char *wrong;

    if (cr->deleted)
        return arena_printf(a, "%s is still being deleted", cr->name);
    wrong = works ? cluster_runs(a, cr, spec)
            : jv_present(spec)
                ? object_is(a, KIND_DEPLOYMENT, cr->name, check_started_hash(a, cr, spec))
                : NULL;
    if (!wrong && !works && !JV_STRING(cr->at->v, "status", "error"))
        wrong = arena_printf(a, "%s does not work, and no error is told", cr->name);
    if (wrong)
        return wrong;
    return ready_is(a, cr, works && user_spec_valid(cr) ? "True" : "False");
}

/* ---- jobs ---- */

/* The user is asked where the job goes on from. */
static bool state_unknown(const struct object *cr)
{
    return strstr(str_or_empty(JV_STRING(cr->at->v, "status", "error")), "Manual restore") != NULL;
}

static const char *job_runs(struct arena *a, const struct object *cr, struct jm *jm)
{
    const char *jid = JV_STRING(cr->at->v, "status", "jobStatus", "jobId");
    const char *state = JV_STRING(cr->at->v, "status", "jobStatus", "state");
    const struct fjob *j = jid ? job_find(jm, jid) : NULL;

    if (j && !str_eq(state, job_state_name(j->state)))
        return arena_printf(a, "%s: its state is said to be %s and is %s", cr->name, state,
                            job_state_name(j->state));
    /* Nobody saw its end, and nobody can tell of it any more. */
    if (!j && jm->app && str_eq(JV_STRING(cr->at->v, "status", "error"), "Job Not Found"))
        return ready_is(a, cr, "False");
    if (!j && !str_eq(state, "FINISHED") && !str_eq(state, "FAILED") && !str_eq(state, "CANCELED"))
        return arena_printf(a, "%s: Flink does not have its job %.8s (%s)", cr->name,
                            str_or_empty(jid), str_or_empty(state));
    if (!j)
        return observed(a, cr);
    if (j->state == JOB_FAILED && user_restarts(jv_get(cr->at->v, "spec")) && !state_unknown(cr))
        return arena_printf(a, "%s: its job has failed, and is not run again", cr->name);
    if (j->state == JOB_CANCELED && j->cancelled)
        return arena_printf(a, "%s: the operator has cancelled its job, and none takes its place",
                            cr->name);
    return ready_is(a, cr,
                    check_rolled_back(cr) ? "False"
                    : (j->state == JOB_RUNNING && j->running) || j->state == JOB_FINISHED
                        ? "True"
                        : "False");
}

/* Its job runs with the parallelism that is asked for. */
static const char *rescaled(struct arena *a, const struct object *cr, jv spec, struct jm *jm)
{
    const char *text = JV_STRING(spec, "flinkConfiguration", FLINK_OVERRIDES_KEY);
    const struct fjob *j = job_find(jm, JV_STRING(cr->at->v, "status", "jobStatus", "jobId"));
    int wanted = (int)jv_int64_or(JV_PATH(spec, "job", "parallelism"), 1);

    wanted = job_overridden(text, wanted);
    if (j && !job_state_terminal(j->state) && j->parallelism != wanted)
        return arena_printf(a, "%s: its parallelism is %d and not %d", cr->name, j->parallelism,
                            wanted);
    return NULL;
}

/* It waits for slots that it does not get, so no savepoint of it can be taken, and it is told. */
static bool cannot_be_saved(const struct object *cr, const char *cluster)
{
    struct jm *jm = jm_of(cluster);
    const char *jid = JV_STRING(cr->at->v, "status", "jobStatus", "jobId");
    const struct fjob *j = jm && jid ? job_find(jm, jid) : NULL;

    return j && !job_state_terminal(j->state) && !j->running &&
           strstr(str_or_empty(JV_STRING(cr->at->v, "status", "error")), "SavepointError");
}

/* While a run of what was recorded may still come, that is tried again, and not what is asked for.
 */
static bool tried_as_asked(struct arena *a, const struct object *cr)
{
    static const char *const fields[] = {"jarURI", "entryClass", "args", "parallelism"};
    jv asked = jv_get(cr->at->v, "spec"), recorded = check_recorded_spec(a, cr);

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (!jv_equal(JV_PATH(asked, "job", fields[i]), JV_PATH(recorded, "job", fields[i])))
            return false;
    return jv_equal(jv_get(asked, "flinkConfiguration"), jv_get(recorded, "flinkConfiguration"));
}

static const char *job_still_tried(struct arena *a, const struct object *cr)
{
    return tried_as_asked(a, cr) ? NULL
                                 : arena_printf(a, "%s is still tried as it was before", cr->name);
}

static const char *job_settled(struct arena *a, const struct object *cr)
{
    const char *name = JV_STRING(cr->at->v, "spec", "deploymentName");
    bool suspended = str_eq(JV_STRING(cr->at->v, "spec", "job", "state"), "suspended");
    const struct object *cluster = api_get(KIND_FLINKDEPLOYMENT, name);
    const char *error = str_or_empty(JV_STRING(cr->at->v, "status", "error")), *wrong;

    if (cr->deleted)
        return arena_printf(a, "%s is still being deleted", cr->name);
    if (!user_spec_valid(cr))
        return ready_is(a, cr, "False"); /* it runs as recorded, or not at all */
    /* A cluster that is to become what cannot work runs on as it was. */
    if (cluster && !user_spec_works(cluster) && jm_of(name) && strstr(error, "404") &&
        (wrong = job_still_tried(a, cr)))
        return wrong;
    if (!cluster || !user_spec_works(cluster))
        return observed(a, cr);
    if (cannot_be_saved(cr, name))
        return ready_is(a, cr, "False");
    if (suspended)
        return ready_is(a, cr, "True");
    if (!user_spec_works(cr) && (wrong = job_still_tried(a, cr)))
        return wrong;
    if (!user_spec_works(cr)) /* it has been tried, and the status says what came of it */
        return strstr(error, "on purpose") || strstr(error, "404")
                   ? ready_is(a, cr, "False")
                   : arena_printf(a, "%s: its error is said to be \"%s\"", cr->name, error);
    wrong = job_runs(a, cr, jm_of(name));
    return wrong ? wrong : rescaled(a, cr, jv_get(cr->at->v, "spec"), jm_of(name));
}

/* ---- applications ---- */

/* Nothing of it runs. */
static const char *nothing_runs(struct arena *a, const struct object *cr)
{
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_POD, &at)))
        if (str_eq(object_label(o, LABEL_APP), cr->name))
            return arena_printf(a, "%s is taken down, and pod %s is there", cr->name, o->name);
    return api_get(KIND_DEPLOYMENT, cr->name)
               ? arena_printf(a, "%s is taken down, and its Deployment is there", cr->name)
               : NULL;
}

static const char *taken_down(struct arena *a, const struct object *cr)
{
    const char *wrong = nothing_runs(a, cr);

    return wrong ? wrong : ready_is(a, cr, "True");
}

/* Its job has ended, and its JobManager will soon go. */
static bool to_be_shut_down(const struct object *cr, jv spec)
{
    jv status = jv_get(cr->at->v, "status");
    enum job_state state = job_state_parse(str_or_empty(JV_STRING(status, "jobStatus", "state")));

    return job_state_terminal(state) && JV_STRING(spec, "flinkConfiguration", SIM_TTL_KEY) &&
           !(state == JOB_FAILED && user_restarts(spec)) && !state_unknown(cr) &&
           !jv_bool_or(JV_PATH(status, "jobStatus", "shutDown"), false);
}

/* Its job has ended, and its JobManager is gone. */
static const char *shut_down(struct arena *a, const struct object *cr)
{
    const char *state = JV_STRING(cr->at->v, "status", "jobStatus", "state");
    const char *wrong = nothing_runs(a, cr);

    if (!wrong && !job_state_terminal(job_state_parse(str_or_empty(state))))
        wrong = arena_printf(a, "%s is shut down, and its job is %s", cr->name, state);
    if (!wrong && str_eq(state, "FAILED") && user_restarts(jv_get(cr->at->v, "spec")) &&
        !state_unknown(cr))
        wrong = arena_printf(a, "%s has failed, and is not run again", cr->name);
    return wrong ? wrong
                 : ready_is(a, cr,
                            str_eq(state, "FINISHED") && !check_rolled_back(cr) ? "True" : "False");
}

/* The recorded job is not in Flink, and for some minutes it may still come. */
static const char *job_to_come(struct arena *a, const struct object *cr)
{
    struct jm *jm = jm_of(cr->name);
    const char *jid = JV_STRING(cr->at->v, "status", "jobStatus", "jobId");

    if (!jm || (jid && job_find(jm, jid)) ||
        !jv_int64_or(JV_PATH(cr->at->v, "status", "allocator", "slots", "needed"), 0))
        return NULL;
    for (int i = 0; i < jm->n_jobs; i++)
        if (!job_state_terminal(jm->jobs[i]->state))
            return NULL; /* another one, which needs them */
    return arena_printf(a, "%s has TaskManagers for a job that Flink does not have", cr->name);
}

/* What is recorded does not come to run, and something else has. */
static bool to_be_rolled_back(struct arena *a, const struct object *cr)
{
    jv status = jv_get(cr->at->v, "status"), recon = jv_get(status, "reconciliationStatus");
    const char *text = JV_STRING(recon, "lastStableSpec");
    jv recorded = check_recorded_spec(a, cr), stable;
    enum job_state state = job_state_parse(str_or_empty(JV_STRING(status, "jobStatus", "state")));
    struct error err;

    if (!user_rolls_back(jv_get(cr->at->v, "spec")) || check_rolled_back(cr) || !text ||
        str_eq(text, JV_STRING(recon, "lastReconciledSpec")) || state == JOB_CANCELED ||
        state == JOB_FINISHED || json_parse(a, text, strlen(text), &stable, &err))
        return false;
    stable = jv_get(stable, "spec");
    return !str_eq(JV_STRING(stable, "job", "state"), "suspended") &&
           str_eq(JV_STRING(stable, "flinkVersion"), JV_STRING(recorded, "flinkVersion")) &&
           jv_equal(JV_PATH(stable, "job", "savepointRedeployNonce"),
                    JV_PATH(recorded, "job", "savepointRedeployNonce")) &&
           !str_eq(deployment_spec_hash(a, stable), deployment_spec_hash(a, recorded));
}

static const char *application_settled(struct arena *a, const struct object *cr)
{
    jv spec = effective(a, cr);
    const char *error = str_or_empty(JV_STRING(cr->at->v, "status", "error")), *wrong;

    if (cr->deleted)
        return arena_printf(a, "%s is still being deleted", cr->name);
    /* It runs as recorded, or not at all. A version cannot change while high availability keeps the
     * state of a job that is stopped. */
    if (!user_spec_valid(cr) || strstr(error, "let it run first") || cannot_be_saved(cr, cr->name))
        return (wrong = job_to_come(a, cr)) ? wrong : ready_is(a, cr, "False");
    if (str_eq(JV_STRING(cr->at->v, "spec", "job", "state"), "suspended"))
        return taken_down(a, cr);
    if (to_be_shut_down(cr, spec))
        return arena_printf(a, "%s will be shut down", cr->name);
    if (to_be_rolled_back(a, cr))
        return arena_printf(a, "%s will be rolled back", cr->name);
    if (!user_spec_works(cr) && !check_rolled_back(cr))
        return *error ? ready_is(a, cr, "False")
                      : arena_printf(a, "%s does not work, and no error is told", cr->name);
    if (jv_bool_or(JV_PATH(cr->at->v, "status", "jobStatus", "shutDown"), false))
        return shut_down(a, cr);
    if ((wrong = objects_are(a, cr, spec)) || (wrong = job_runs(a, cr, jm_of(cr->name))) ||
        (wrong = rescaled(a, cr, spec, jm_of(cr->name))))
        return wrong;
    return taskmanagers_are(a, cr, spec, jm_of(cr->name));
}

/* Jobs that will soon end by themselves. */
static const char *bounded(struct arena *a)
{
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        for (int i = 0; i < jm->n_jobs; i++)
            if (jm->jobs[i]->work >= 0 && jm->jobs[i]->running)
                return arena_printf(a, "job %.8s in %s is not through", jm->jobs[i]->jid, jm->name);
    return NULL;
}

/* Jobs that the operator brought and that nobody answers for. */
static const char *orphans(struct arena *a)
{
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        for (int i = 0; i < jm->n_jobs; i++) {
            const struct fjob *j = jm->jobs[i];
            const struct object *cr = api_by_uid(check_owner(j->jid));

            if (!j->ours || job_state_terminal(j->state) || check_is_given_up(j->jid))
                continue;
            if (!cr || !str_eq(JV_STRING(cr->at->v, "status", "jobStatus", "jobId"), j->jid))
                return arena_printf(a, "job %.8s in %s belongs to nobody", j->jid, jm->name);
        }
    return NULL;
}

/* Applications whose job has ended, with TaskManagers that will go. */
static const char *leftovers(struct arena *a)
{
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm)) {
        bool works = !jm->app || !jm->app->leads || user_is_standalone(jm->cluster);

        for (int i = 0; i < jm->n_jobs; i++)
            works |= !job_state_terminal(jm->jobs[i]->state);
        if (!works && jm->n_regs)
            return arena_printf(a, "%s has no job, and TaskManagers", jm->name);
    }
    return NULL;
}

/* A JobManager that starts, or will after its kubelet's back-off. */
static bool jobmanager_to_come(const struct object *pod)
{
    const struct jm *jm = jm_by_pod(pod->id);

    return is_jobmanager(pod) && !pod_finished(pod) && !pod_cannot_start(pod) && !(jm && jm->up);
}

/* What the world itself has not come to an end with. */
static const char *world_settled(struct arena *a)
{
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_POD, &at))) {
        const struct tm *tm = tm_by_pod(o->id);

        if (is_taskmanager(o) && !pod_finished(o) && jm_of(object_label(o, LABEL_APP)) &&
            !(tm && tm->jm))
            return arena_printf(a, "TaskManager %s is starting", o->name);
        if (jobmanager_to_come(o))
            return arena_printf(a, "JobManager %s is starting", o->name);
        if (o->deleted)
            return arena_printf(a, "pod %s is going", o->name);
        if (pod_of(o)->unschedulable && !pod_of(o)->evicted)
            return arena_printf(a, "pod %s waits for a node", o->name);
    }
    if (watches_stalled())
        return "a watch is late";
    return flink_runs_to_come() ? "a job is on its way" : NULL;
}

const char *check_settled(struct arena *a)
{
    const char *wrong;
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_FLINKDEPLOYMENT, &at)))
        if ((wrong = user_has_job(o) ? application_settled(a, o) : cluster_settled(a, o)))
            return wrong;
    at = NULL;
    while ((o = api_next(KIND_FLINKDEPLOYMENT, &at)))
        if (!o->deleted && check_will_restart(o) && !cannot_be_saved(o, o->name))
            return arena_printf(a, "%s will be restarted", o->name);
    at = NULL;
    while ((o = api_next(KIND_FLINKSESSIONJOB, &at)))
        if ((wrong = job_settled(a, o)))
            return wrong;
    wrong = orphans(a);
    if (!wrong)
        wrong = check_snapshots_settled(a);
    if (!wrong)
        wrong = world_settled(a);
    if (!wrong)
        wrong = leftovers(a);
    return wrong ? wrong : bounded(a);
}

const char *check_empty(struct arena *a)
{
    for (int kind = 0; kind < SIM_KINDS; kind++) {
        void *at = NULL;
        const struct object *o = api_next(kind, &at);

        while (o && check_may_be_left(o))
            o = api_next(kind, &at);
        if (o)
            return arena_printf(a, "%s %s is left", kind_name(kind), o->name);
    }
    return NULL;
}
