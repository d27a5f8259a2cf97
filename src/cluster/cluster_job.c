/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job of an application cluster. It runs inside its JobManager, so what starts and stops it is
 * the roll-out; this file says when. A change, or a wish to suspend it, first ends the job, while
 * everything else goes on as recorded; only then is the new spec recorded, together with the id and
 * the state that the next job gets. So whatever happens, what is recorded can be rolled out.
 *
 *   running ──cancel──► ended ──record spec, id──► UPGRADING ──roll out──► running: DEPLOYED
 *                         └───record suspended───► taken down ──record spec, id──► UPGRADING …
 *
 * In the recorded spec job.state and job.upgradeMode are not the user's: they say how far that is
 * and how the job is restored, as the API always had it (api-contract §1.6).
 */
#include <string.h>

#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_stop.h"
#include "job_words.h"
#include "status.h"

#define RUNNING "running"
#define SUSPENDED "suspended"

/* ---- what is recorded, what is asked for ---- */

/* A spec as it is recorded: with the state of the step, and the mode of the restore. */
static jv recorded_form(struct cluster_pass *p, jv spec, const char *state, const char *mode)
{
    spec = JV_SET_PATH(p->a, spec, STR(state), "job", "state");
    return JV_SET_PATH(p->a, spec, STR(mode), "job", "upgradeMode");
}

jv as_recorded(struct cluster_pass *p, jv spec)
{
    return p->application ? recorded_form(p, spec, JV_STRING(p->recorded, "job", "state"),
                                          JV_STRING(p->recorded, "job", "upgradeMode"))
                          : spec;
}

static bool upgrading(const struct cluster_pass *p)
{
    return str_eq(JV_STRING(p->status, "reconciliationStatus", "state"), "UPGRADING");
}

/* How the next job is restored: this version can only begin anew, or where the user says. */
static const char *restore_mode(const char *path)
{
    return path ? "savepoint" : "stateless";
}

/* What was recorded for a job that has not run yet goes on counting. */
static const char *wanted_restore(const struct cluster_pass *p, jv spec)
{
    const char *path = JV_STRING(spec, "job", "initialSavepointPath");
    bool never_ran = str_eq(JV_STRING(p->recorded, "job", "state"), SUSPENDED);

    if (job_redeploys(p->recorded, spec) || (never_ran && !p->job_id))
        return str_empty(path) ? NULL : path;
    return never_ran ? p->restore_path : NULL;
}

/* From the answer to this status patch on the next job is the one that runs. */
static void record_job(struct cluster_pass *p, jv spec)
{
    p->recording = true;
    p->record_id = p->s->fresh_job_id;
    p->record_restore = wanted_restore(p, spec);
    p->job_state = JOB_RECONCILING;
    /* Until it is deployed it counts as suspended. */
    p->target = recorded_form(p, spec, SUSPENDED, restore_mode(p->record_restore));
}

static void record_suspended(struct cluster_pass *p, jv spec)
{
    p->recording = true;
    p->record_suspended = true;
    p->record_restore = wanted_restore(p, spec);
    p->target = recorded_form(p, spec, SUSPENDED, restore_mode(p->record_restore));
}

static const char *recorded_id(jv js)
{
    const char *id = JV_STRING(js, "jobId");

    return flink_id_valid(id) ? id : NULL;
}

static void record(struct cluster_pass *p, jv spec)
{
    /* In a recorded spec that is not the user's word. */
    if (!p->invalid && str_eq(JV_STRING(spec, "job", "state"), SUSPENDED))
        record_suspended(p, spec);
    else
        record_job(p, spec);
}

void judge_job(struct cluster_pass *p)
{
    jv js = jv_get(p->status, "jobStatus"), wanted = p->target;
    bool suspend, was_suspended;

    p->job_id = recorded_id(js);
    p->restore_path = job_restore_path(js);
    p->job_state = job_state_parse(str_or_empty(JV_STRING(js, "state")));
    if (!jv_present(p->recorded)) {
        record(p, wanted);
        return;
    }
    was_suspended = str_eq(JV_STRING(p->recorded, "job", "state"), SUSPENDED) && !upgrading(p);
    suspend = p->invalid ? was_suspended : p->spec.job.state == JOB_DESIRED_SUSPENDED;
    p->suspended = was_suspended && suspend;
    if (p->suspended && !p->invalid && job_redeploys(p->recorded, wanted)) {
        record_suspended(p, wanted);
        return;
    }
    if (p->suspended ||
        (!p->recording && was_suspended == suspend && !job_stop_begun(js, &p->plan.memory.stop))) {
        /* Nothing that the job would have to end for. */
        p->recording = false;
        p->target = as_recorded(p, wanted);
        p->target_hash = application_hash(p->a, p->target, p->job_id, p->restore_path);
        return;
    }
    if (was_suspended) {
        record_job(p, wanted);
        return;
    }
    /* What runs is kept as it is until its job has ended, unless it can no longer be read. */
    if (judge_as(p, p->recorded)) {
        (void)judge_as(p, wanted);
        record(p, wanted);
        return;
    }
    p->target_hash = application_hash(p->a, p->recorded, p->job_id, p->restore_path);
    p->recording = false;
    p->pending = wanted;
}

/* ---- how it is ---- */

void look_at_job(struct cluster_pass *p)
{
    if (!p->held || !p->recording) {
        p->record_id = NULL;
        p->record_suspended = false;
    }
    if (p->suspended || p->record_id || p->record_suspended)
        return; /* what a JobManager that is going says of the former one does not count */
    p->job = jobmanager_known(p) ? obs_flink_job(p->s->flink, p->job_id) : NULL;
    if (p->job)
        p->job_state = p->job->job.state;
    else if (p->job_id && !job_state_terminal(p->job_state) && !p->undecided)
        p->job_state = JOB_RECONCILING;
}

bool job_expected(const struct cluster_pass *p)
{
    return p->application && p->job_id && !p->suspended && !job_state_terminal(p->job_state) &&
           !p->job;
}

/* ---- steps ---- */

static void look_for_cause(struct cluster_pass *p)
{
    p->failure =
        job_failure(&p->plan, &(struct failure_look){.kind = KIND_FLINKDEPLOYMENT,
                                                     .ns = p->meta.ns,
                                                     .name = p->meta.name,
                                                     .cluster = p->meta.name,
                                                     .job_id = p->job_id,
                                                     .status = jv_get(p->status, "jobStatus"),
                                                     .outcomes = p->s->outcomes,
                                                     .n_outcomes = p->s->n_outcomes,
                                                     .now = p->s->now,
                                                     .wall = p->s->wall});
}

bool job_stopped(struct cluster_pass *p)
{
    struct job_stop stop = {
        .a = p->a,
        .plan = &p->plan,
        .kind = KIND_FLINKDEPLOYMENT,
        .ns = p->meta.ns,
        .name = p->meta.name,
        .cluster = p->meta.name,
        .job_id = p->job_id,
        .job = p->job,
        .reachable = p->s->flink->reachable,
        .state = p->job_state,
        .status = jv_get(p->status, "jobStatus"),
        .mode = UPGRADE_STATELESS,
        .conf = &p->config.conf,
        .outcomes = p->s->outcomes,
        .n_outcomes = p->s->n_outcomes,
        .now = p->s->now,
        .wall = p->s->wall,
        .memory = &p->plan.memory.stop,
    };

    job_stop(&stop);
    if (!stop.ended)
        p->progress = stop.progress;
    return stop.ended;
}

/* The job has ended: what is asked for may be recorded now. */
static void record_pending(struct cluster_pass *p)
{
    record(p, p->pending);
    p->pending = ABSENT;
    p->up_to_date = false;
    p->jm = JM_DEPLOYING;
}

void look_after_job(struct cluster_pass *p)
{
    look_at_job(p);
    if (!p->held || p->recording || !jv_present(p->recorded))
        return;
    if (jv_present(p->pending)) {
        if (job_stopped(p))
            record_pending(p);
        return;
    }
    p->plan.memory.stop = stop_memory_initial();
    if (p->job && p->up_to_date && upgrading(p)) {
        p->deployed = true;
        p->target = JV_SET_PATH(p->a, p->target, STR(RUNNING), "job", "state");
    }
    if (p->job && p->job_state == JOB_FAILED && !job_failure_told(JV_STRING(p->status, "error")))
        look_for_cause(p);
}

/* ---- what is told ---- */

jv cluster_job_status(struct cluster_pass *p)
{
    jv js = jv_get(p->status, "jobStatus");
    bool none = !p->job_id && !p->record_id;
    const char *state = none || p->job_state == JOB_UNKNOWN ? NULL : job_state_name(p->job_state);

    if (p->record_suspended && !none && !job_state_terminal(p->job_state))
        state = job_state_name(JOB_CANCELED);
    if (p->record_id)
        js = job_status_begin(p->a, js, p->record_id);
    if (p->record_id || p->record_suspended)
        js = jv_set(p->a, js, "upgradeSavepointPath", STR(p->record_restore));
    return job_status_write(p->a, js, p->record_id ? NULL : p->job, state, p->s->wall);
}

/* For the scale subresource; only while the job runs (api-contract §1.6). */
jv cluster_job_taskmanagers(const struct cluster_pass *p)
{
    bool runs = p->job_state == JOB_RUNNING && !p->record_id;
    int slots = p->config.alloc.slots;

    return jv_dup(
        p->a,
        OBJ({"labelSelector",
             STR(runs ? arena_printf(p->a, "component=taskmanager,app=%s", p->meta.name) : "")},
            {"replicas", INT(runs ? (p->config.job_parallelism + slots - 1) / slots : 0)}));
}

struct obs_cause describe_job(const struct cluster_pass *p)
{
    const char *before = job_failure_told(JV_STRING(p->status, "error"));

    if (p->suspended)
        return (struct obs_cause){"Suspended", "the job is suspended"};
    if (p->job_state == JOB_FAILED)
        return (struct obs_cause){
            "Failed", str_or(p->failure, str_or(error_message(p->a, before), "the job failed"))};
    return job_state_cause(p->a, p->job, p->job_state,
                           p->alloc.problem.reason ? p->alloc.problem.message : NULL);
}

void tell_job(struct cluster_pass *p)
{
    const char *was = JV_STRING(p->status, "jobStatus", "state");
    const char *is = job_state_name(p->job_state);

    if (p->record_suspended && jv_present(p->recorded))
        plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, false, "JobManagerDeployment",
                   "Suspended", "Suspending existing deployment.");
    if (p->job && !p->recording && !str_eq(was, is))
        plan_event(
            &p->plan, KIND_FLINKDEPLOYMENT, p->cr, false, "Job", "JobStatusChanged",
            arena_printf(p->a, "Job status changed from %s to %s", str_or(was, "RECONCILING"), is));
}
