/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job of an application cluster. It runs inside its JobManager, so what starts and stops it is
 * the roll-out; this file says when. A change, or a wish to suspend it, first finds out what the
 * next run goes on from (cluster_leave.c), while everything else goes on as recorded; only then is
 * the new spec recorded, together with the id and the state that the next run gets. So whatever
 * happens, what is recorded can be rolled out.
 *
 *   running ──has left──► record spec, id ──► UPGRADING ──roll out──► running: DEPLOYED
 *               └───────► record suspended ──► taken down ──record spec, id──► UPGRADING …
 *
 * In the recorded spec job.state and job.upgradeMode are not the user's: they say how far that is
 * and how the job is restored, as the API always had it (api-contract §1.6).
 */
#include <string.h>

#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_end.h"
#include "job_exceptions.h"
#include "job_snapshots.h"
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

/* ---- what is recorded of the next run ---- */

/* Nothing of it has ever run, so there is nothing to go on from but what was asked for. */
static bool never_had_state(const struct cluster_pass *p)
{
    return p->never_ran && !p->job_id &&
           (!p->restore_path ||
            str_eq(p->restore_path, JV_STRING(p->recorded, "job", "initialSavepointPath")));
}

/* What the user says comes first; what was recorded for a run that never began goes on counting. */
static struct leavings next_run(const struct cluster_pass *p, jv spec, struct leavings left)
{
    const char *path = JV_STRING(spec, "job", "initialSavepointPath");
    const char *mode = str_or(JV_STRING(p->recorded, "job", "upgradeMode"), STATELESS);

    if (job_redeploys(p->recorded, spec) || never_had_state(p))
        return str_empty(path) ? left_nothing : (struct leavings){SAVEPOINT, path};
    if (left.mode)
        return left;
    /* Suspended with its state, which is not wanted any more. */
    if (wants_stateless(p, spec) && !strcmp(mode, LAST_STATE) && !job_upgrading(p))
        return left_nothing;
    return (struct leavings){mode, p->restore_path};
}

/* From the answer to this status patch on the next run is the one that counts. One that goes on
 * from what high availability keeps is, for Flink, the same job. */
static void record_job(struct cluster_pass *p, jv spec, struct leavings left)
{
    struct leavings next = next_run(p, spec, left);

    p->recording = true;
    p->record_id = !strcmp(next.mode, LAST_STATE) && p->job_id ? p->job_id : p->s->fresh_job_id;
    p->record_restore = next.path;
    p->job_state = JOB_RECONCILING;
    /* Until it is deployed it counts as suspended. */
    p->target = recorded_form(p, spec, SUSPENDED, next.mode);
}

static void record_suspended(struct cluster_pass *p, jv spec, struct leavings left)
{
    struct leavings next = next_run(p, spec, left);

    p->recording = true;
    p->record_suspended = true;
    p->record_restore = next.path;
    if (p->job_id && !job_state_terminal(p->job_state))
        p->job_state = JOB_CANCELED;
    p->target = recorded_form(p, spec, SUSPENDED, next.mode);
}

static const char *recorded_id(jv js)
{
    const char *id = JV_STRING(js, "jobId");

    return flink_id_valid(id) ? id : NULL;
}

static void record(struct cluster_pass *p, jv spec, struct leavings left)
{
    /* In a recorded spec that is not the user's word. */
    if (!p->invalid && str_eq(JV_STRING(spec, "job", "state"), SUSPENDED))
        record_suspended(p, spec, left);
    else
        record_job(p, spec, left);
}

/* A rescaling was taken back before it was recorded: the job may have it already. */
static bool rescaling_taken_back(const struct cluster_pass *p, jv js)
{
    return p->unchanged && !p->invalid && !job_state_terminal(p->job_state) &&
           jv_present(jv_get(js, REQUESTED_PARALLELISM));
}

void judge_job(struct cluster_pass *p)
{
    const struct leavings kept = {LAST_STATE, RESTORE_LAST_STATE};
    jv js = jv_get(p->status, "jobStatus"), wanted = p->target;
    bool suspend, was_suspended;

    p->job_id = recorded_id(js);
    p->restore_path = job_begins_with(p->recorded, p->status);
    p->job_state = job_state_parse(str_or_empty(JV_STRING(js, "state")));
    p->never_ran = str_eq(JV_STRING(p->recorded, "job", "state"), SUSPENDED);
    p->over = is_over(p);
    /* The incumbent records a first deployment before it has an id; else somebody has taken it
     * away, and it begins with a state that was chosen since (state_lost). */
    if (!jv_present(p->recorded) || (job_upgrading(p) && !p->job_id && !p->adopted)) {
        record(p, wanted, never_began);
        return;
    }
    /* Before a new id is deployed, whatever high availability keeps is of other runs. */
    p->goes_on = !job_upgrading(p) ||
                 str_eq(JV_STRING(p->recorded, "job", "upgradeMode"), LAST_STATE);
    was_suspended = p->never_ran && !job_upgrading(p);
    suspend = p->invalid || p->rolled_back ? was_suspended
                                           : p->spec.job.state == JOB_DESIRED_SUSPENDED;
    p->suspended = was_suspended && suspend;
    if (p->suspended && !p->invalid && job_redeploys(p->recorded, wanted)) {
        record_suspended(p, wanted, never_began);
        return;
    }
    p->unchanged = !p->recording && was_suspended == suspend;
    p->taken_back = rescaling_taken_back(p, js);
    if (p->suspended || (p->unchanged && !p->taken_back &&
                         !job_stop_begun(js, &p->plan.memory.stop, p->job_state))) {
        /* Nothing that the job would have to end for. */
        p->recording = false;
        p->target = as_recorded(p, wanted);
        judge_hashes(p);
        return;
    }
    if (was_suspended) {
        record_job(p, wanted, never_began);
        return;
    }
    p->pending_conf = p->config.conf;
    p->pending_ha = p->config.ha_kubernetes;
    /* What runs is kept as it is until its job has ended, unless it can no longer be read. */
    if (judge_recorded(p)) {
        (void)judge_as(p, wanted);
        record(p, wanted,
               p->never_ran                 ? never_began
               : wants_stateless(p, wanted) ? left_nothing
                                            : kept);
        return;
    }
    judge_hashes(p);
    p->recording = false;
    p->pending = wanted;
    if (!suspend && !job_stop_begun(js, &p->plan.memory.stop, p->job_state))
        judge_rescaling(p);
}

/* ---- how it is ---- */

#define SILENT_MS 10000 /* a JobManager that answers again by then was not away */

/* Nobody knows how its job is. */
static bool is_silent(struct cluster_pass *p)
{
    const struct obs_flink *f = p->s->flink;

    if (f->reachable || job_state_terminal(p->job->job.state))
        return false;
    if (p->s->now - f->since < SILENT_MS)
        plan_wake(&p->plan, f->since + SILENT_MS);
    return p->s->now - f->since >= SILENT_MS;
}

void look_at_job(struct cluster_pass *p)
{
    if (!p->held || !p->recording) {
        p->record_id = NULL;
        p->record_suspended = false;
    }
    if (p->suspended || p->over || p->record_id || p->record_suspended)
        return; /* what a JobManager that is going says of the former one does not count */
    if (job_upgrading(p) && !p->up_to_date && !jv_present(p->pending)) {
        p->job_state = JOB_RECONCILING; /* the same, of one that may have the same id */
        return;
    }
    p->job = jobmanager_known(p) ? obs_flink_job(p->s->flink, p->job_id) : NULL;
    if (p->job && is_silent(p)) {
        p->job_state = JOB_RECONCILING; /* as the incumbent tells it (api-contract §2.2) */
    } else if (p->job) {
        p->job_state = p->job->job.state;
        p->plan.memory.job_ended = p->job->job.end_ms;
    } else if (p->job_id && !job_state_terminal(p->job_state) && !p->undecided) {
        p->job_state = JOB_RECONCILING;
    }
}

#define COMES_MS 60000 /* main() of a JobManager that has just started may take so long */

/* Without high availability nobody remembers that the job has ended: the next JobManager runs it
 * again. That there is another one shows in its pod, or before that in what it has forgotten. */
static bool runs_anew(struct cluster_pass *p)
{
    const struct obs_pod *jm = current_jm(p);
    int64_t ended;

    if (p->config.ha || !p->up_to_date || !jm || !jm->main_running)
        return false;
    ended = p->plan.memory.job_ended; /* it was seen later, if it was while nobody looked */
    if (ended < 0 &&
        !str_to_int64(str_or_empty(JV_STRING(p->status, "jobStatus", "updateTime")), &ended))
        ended = 0;
    ended = MIN(MAX(ended, (int64_t)0), p->s->wall);
    int64_t until = jm->running_ms + COMES_MS;

    if (jobmanager_known(p))
        until = MAX(until, ended + jobstore_ms(p) - COMES_MS);
    if (p->s->wall >= until)
        return false;
    plan_wake(&p->plan, p->s->now + until - p->s->wall);
    return true;
}

bool job_expected(struct cluster_pass *p)
{
    if (!p->application || !p->job_id || p->suspended || p->job || p->job_missing)
        return false;
    return !job_state_terminal(p->job_state) || runs_anew(p);
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

#define NEVER_CAME_MS 300000
#define JOB_NEVER_CAME                                                                             \
    ": the JobManager has not had it for 5 minutes; main() has not come that far, or the job has " \
    "ended unseen. The JobManager's log tells; to run it again, change the spec"
#define JOB_HAS_ENDED                                                                         \
    ": it has ended while its JobManager was being replaced, so how is not known; to run it " \
    "again, change the spec. With state: " HOW_TO_RESTORE

/* The end of a job that nobody saw: its JobManager went before it could tell, and the next one
 * only knows that it need not run the job. The first one of a job that is still to begin may only
 * be slow. */
static void look_for_end(struct cluster_pass *p)
{
    const struct ha_notes *m = &p->plan.memory.ha;
    int64_t patience_ends = p->s->flink->since + NEVER_CAME_MS;
    bool missing = p->up_to_date && job_expected(p) && p->config.ha && job_never_seen(p);
    bool patient = p->s->now < patience_ends, looks = p->config.ha_kubernetes, ended;

    if (!missing) {
        ha_forget(p);
        return;
    }
    /* Something is kept until the job ends: that may change while there is hope. */
    if (looks && (m->kept == HA_UNKNOWN || (m->kept != HA_NOTHING && patient)))
        (void)ha_keeps(p);
    if (looks && m->kept == HA_UNKNOWN)
        return;
    ended = m->kept == HA_NOTHING && (!job_upgrading(p) || m->leaders > 1);
    if (!ended && patient) {
        plan_wake(&p->plan, patience_ends);
        return;
    }
    p->job_missing = !looks || m->kept == HA_NOTHING;
    p->stop_trouble = (struct obs_cause){
        JOB_MISSING,
        arena_printf(p->a, JOB_NOT_FOUND "%s%s", ended ? JOB_HAS_ENDED : JOB_NEVER_CAME,
                     ended ? job_last_seen(p->a, jv_get(p->status, "jobStatus")) : "")};
}

/* What is asked for may be recorded now. */
static void record_pending(struct cluster_pass *p, struct leavings left)
{
    /* What is recorded in this pass is made in the next one, and what was recorded no more; what of
     * that was a question is asked again. */
    drop_roll_out(p);
    p->plan.memory.ha.asked = -1;
    ha_forget(p);
    record(p, p->pending, left);
    p->plan.memory.stop = stop_memory_initial(); /* the next run may have the same id */
    job_restart_forget(&p->plan.memory.restart);
    if (!p->runs_again)
        p->plan.memory.restart.failures = 0;
    p->pending = ABSENT;
    p->up_to_date = false;
    p->over = p->missing = false;
    p->jm = JM_DEPLOYING;
}

/* One that is being taken without a resource of its own would go with this run. */
static bool waits_for_snapshot(struct cluster_pass *p)
{
    jv js = jv_get(p->status, "jobStatus");

    if (p->unwell || !p->s->flink->reachable ||
        job_stop_begun(js, &p->plan.memory.stop, p->job_state) ||
        !job_snapshot_under_way(js, &p->pending_conf))
        return false;
    p->progress = SNAPSHOT_UNDER_WAY;
    return true;
}

static jv look_for_exceptions(struct cluster_pass *p, jv status)
{
    return job_tell_exceptions(&(struct exceptions_look){
        .plan = &p->plan,
        .kind = KIND_FLINKDEPLOYMENT,
        .cr = p->cr,
        .cluster = p->meta.name,
        .job_id = p->job_id,
        .job = p->job,
        .reachable = p->s->flink->reachable,
        .status = status,
        .defaults = p->s->defaults,
        .outcomes = p->s->outcomes,
        .n_outcomes = p->s->n_outcomes,
        .now = p->s->now,
        .memory = &p->plan.memory.exceptions,
    });
}

static void follow(struct cluster_pass *p)
{
    struct job_stop job = application_stop(p, UPGRADE_LAST_STATE);

    job.status = job_told_checkpoint(&job);
    p->status = jv_set(p->a, p->status, "jobStatus", look_for_exceptions(p, job.status));
    if (p->unchanged && job_state_terminal(p->job_state) &&
        !job_stop_begun(jv_get(p->status, "jobStatus"), &p->plan.memory.stop, p->job_state))
        p->pending = ABSENT; /* it has ended as what is recorded */
    look_after_end(p);
    look_after_health(p);
    look_after_rollback(p);
    look_after_references(p);
    if (jv_present(p->pending)) {
        struct leavings left;

        if (answer_comes(p)) /* what it is to end for is not known yet */
            return;
        if (rescale(p))
            return;
        if (p->job_state == JOB_RUNNING && waits_for_snapshot(p))
            return;
        if (job_has_left(p, p->pending, &left))
            record_pending(p, left);
        return;
    }
    p->plan.memory.stop = stop_memory_initial();
    p->plan.memory.rescale = (struct rescale_notes){0};
    look_for_end(p);
    if (p->up_to_date && !wants_stateless(p, jv_get(p->cr, "spec")))
        job_look_at_checkpoint(&job);
    if (p->job && p->up_to_date && job_upgrading(p)) {
        p->deployed = true;
        p->target = JV_SET_PATH(p->a, p->target, STR(RUNNING), "job", "state");
    }
    if (p->job && p->job_state == JOB_FAILED && !job_failure_told(JV_STRING(p->status, "error")))
        look_for_cause(p);
}

void look_after_job(struct cluster_pass *p)
{
    look_at_job(p);
    if (!p->held || p->recording || !jv_present(p->recorded))
        return;
    follow(p);
    if (!p->recording && !p->undecided)
        look_after_snapshots(p);
}

/* ---- what is told ---- */

jv cluster_job_status(struct cluster_pass *p)
{
    jv js = jv_present(p->new_job_status) ? p->new_job_status : jv_get(p->status, "jobStatus");
    bool none = !p->job_id && !p->record_id;
    const char *state = none || p->job_state == JOB_UNKNOWN ? NULL : job_state_name(p->job_state);

    if (p->record_id)
        js = job_status_begin(p->a, js, p->record_id);
    if (p->record_id || p->record_suspended)
        js = job_status_leave(p->a, job_untriggered(p->a, js), p->record_restore);
    else if (p->restore_path) /* of a former release of the incumbent */
        js = jv_set(p->a, js, "upgradeSavepointPath", STR(p->restore_path));
    return job_status_write(p->a, js, p->record_id ? NULL : p->job, state, p->s->wall);
}

/* Without what became of its JobManager. */
static struct obs_cause describe_state(const struct cluster_pass *p)
{
    const char *before = job_failure_told(JV_STRING(p->status, "error"));

    if (p->job_state == JOB_FAILED)
        return (struct obs_cause){
            "Failed",
            job_failed_text(
                p->a, str_or(p->failure, str_or(error_message(p->a, before), "the job failed")),
                &p->plan.memory.restart)};
    return job_state_cause(p->a, p->job, p->job_state,
                           p->alloc.problem.reason ? p->alloc.problem.message : NULL);
}

struct obs_cause describe_job(const struct cluster_pass *p)
{
    struct obs_cause c;

    if (p->suspended)
        return (struct obs_cause){"Suspended", "the job is suspended"};
    c = describe_state(p);
    if (p->over)
        c.message = arena_printf(p->a, "%s; its JobManager has been taken away", c.message);
    return c;
}

void tell_job(struct cluster_pass *p)
{
    const char *was = JV_STRING(p->status, "jobStatus", "state");
    const char *is = job_state_name(p->job_state);

    if (p->runs_again && p->record_id)
        job_tell_restart(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, p->record_restore,
                         &p->plan.memory.restart);
    if (p->rolls_back && p->record_id)
        plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, true, "JobManagerDeployment", "Rollback",
                   "Rolling back failed deployment.");
    if (p->unwell && p->record_id)
        plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, true, "Job", "RestartUnhealthyJob",
                   arena_printf(p->a, "Restarting unhealthy job: %s", p->unwell));
    if (p->record_suspended && jv_present(p->recorded))
        plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, false, "JobManagerDeployment",
                   "Suspended", "Suspending existing deployment.");
    if (p->job && !p->recording && !str_eq(was, is))
        plan_event(
            &p->plan, KIND_FLINKDEPLOYMENT, p->cr, false, "Job", "JobStatusChanged",
            arena_printf(p->a, "Job status changed from %s to %s", str_or(was, "RECONCILING"), is));
}
