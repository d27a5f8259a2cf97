/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job of an application cluster. It runs inside its JobManager, so what starts and stops it is
 * the roll-out; this file says when. A change, or a wish to suspend it, first finds out what the
 * next run goes on from (has_left), while everything else goes on as recorded; only then is the new
 * spec recorded, together with the id and the state that the next run gets. So whatever happens,
 * what is recorded can be rolled out.
 *
 *   running ──has left──► record spec, id ──► UPGRADING ──roll out──► running: DEPLOYED
 *               └───────► record suspended ──► taken down ──record spec, id──► UPGRADING …
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

/* ---- what is recorded of the next run ---- */

#define STATELESS "stateless"
#define LAST_STATE "last-state"
#define SAVEPOINT "savepoint"

#define CANCELS_KEY "kubernetes.operator.job.upgrade.last-state.job-cancel.enabled"

/* What a run that has ended, or is about to, can be gone on from. */
struct leavings {
    const char *mode; /* as job.upgradeMode of the recorded spec; NULL: it never began */
    const char *path; /* NULL: none; RESTORE_LAST_STATE: what high availability keeps */
};

static const struct leavings nothing = {STATELESS, NULL}, never_began = {NULL, NULL};

/* The mode is the user's word; instead of a spec that is bad the recorded one counts, whose mode
 * says something else. What a bad spec leaves out does not do away with state. */
static const char *asked_mode(const struct cluster_pass *p, jv spec)
{
    if (p->invalid)
        return str_or(JV_STRING(p->cr, "spec", "job", "upgradeMode"), LAST_STATE);
    return str_or(JV_STRING(spec, "job", "upgradeMode"), STATELESS);
}

static bool wants_stateless(const struct cluster_pass *p, jv spec)
{
    return !strcmp(asked_mode(p, spec), STATELESS);
}

/* What the user says comes first; what was recorded for a run that never began goes on counting. */
static struct leavings next_run(const struct cluster_pass *p, jv spec, struct leavings left)
{
    const char *path = JV_STRING(spec, "job", "initialSavepointPath");
    const char *mode = str_or(JV_STRING(p->recorded, "job", "upgradeMode"), STATELESS);

    if (job_redeploys(p->recorded, spec) || (p->never_ran && !p->job_id))
        return str_empty(path) ? nothing : (struct leavings){SAVEPOINT, path};
    if (left.mode)
        return left;
    /* Suspended with its state, which is not wanted any more. */
    if (wants_stateless(p, spec) && !strcmp(mode, LAST_STATE) && !upgrading(p))
        return nothing;
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

void judge_job(struct cluster_pass *p)
{
    const struct leavings kept = {LAST_STATE, RESTORE_LAST_STATE};
    jv js = jv_get(p->status, "jobStatus"), wanted = p->target;
    bool suspend, was_suspended;

    p->job_id = recorded_id(js);
    p->restore_path = job_restore_path(js);
    p->job_state = job_state_parse(str_or_empty(JV_STRING(js, "state")));
    p->never_ran = str_eq(JV_STRING(p->recorded, "job", "state"), SUSPENDED);
    if (!jv_present(p->recorded)) {
        record(p, wanted, never_began);
        return;
    }
    /* Before a new id is deployed, whatever high availability keeps is of other runs. */
    p->goes_on = !upgrading(p) || str_eq(JV_STRING(p->recorded, "job", "upgradeMode"), LAST_STATE);
    was_suspended = p->never_ran && !upgrading(p);
    suspend = p->invalid ? was_suspended : p->spec.job.state == JOB_DESIRED_SUSPENDED;
    p->suspended = was_suspended && suspend;
    if (p->suspended && !p->invalid && job_redeploys(p->recorded, wanted)) {
        record_suspended(p, wanted, never_began);
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
        record_job(p, wanted, never_began);
        return;
    }
    p->pending_conf = p->config.conf;
    /* What runs is kept as it is until its job has ended, unless it can no longer be read. */
    if (judge_recorded(p)) {
        (void)judge_as(p, wanted);
        record(p, wanted, p->never_ran ? never_began : wants_stateless(p, wanted) ? nothing : kept);
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
    if (upgrading(p) && !p->up_to_date && !jv_present(p->pending)) {
        p->job_state = JOB_RECONCILING; /* the same, of one that may have the same id */
        return;
    }
    p->job = jobmanager_known(p) ? obs_flink_job(p->s->flink, p->job_id) : NULL;
    if (p->job)
        p->job_state = p->job->job.state;
    else if (p->job_id && !job_state_terminal(p->job_state) && !p->undecided)
        p->job_state = JOB_RECONCILING;
}

#define JOBSTORE_S 3600 /* jobstore.expiration-time */

/* For how long a JobManager tells of a job that has ended. */
static int64_t jobstore_ms(const struct cluster_pass *p)
{
    int64_t s;
    struct error err;

    if (conf_int(&p->config.conf, "jobstore.expiration-time", JOBSTORE_S, &s, &err))
        s = JOBSTORE_S;
    return s * 1000;
}

#define COMES_MS 60000 /* main() of a JobManager that has just started may take so long */

/* Without high availability nobody remembers that the job has ended: the next JobManager runs it
 * again. That there is another one shows in its pod, or before that in what it has forgotten. */
static bool runs_anew(struct cluster_pass *p)
{
    const struct obs_pod *jm = current_jm(p);
    int64_t ended;

    if (p->config.ha_kubernetes || !p->up_to_date || !jm || !jm->main_running)
        return false;
    if (!str_to_int64(str_or_empty(JV_STRING(p->status, "jobStatus", "updateTime")), &ended))
        ended = 0;
    int64_t until = MAX(jm->running_ms + COMES_MS, ended + jobstore_ms(p) - COMES_MS);

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

static struct job_stop stop_of(struct cluster_pass *p, enum upgrade_mode mode)
{
    return (struct job_stop){
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
        .mode = mode,
        .conf = jv_present(p->pending) ? &p->pending_conf : &p->config.conf,
        .fresh_id = p->s->fresh_job_id,
        .outcomes = p->s->outcomes,
        .n_outcomes = p->s->n_outcomes,
        .now = p->s->now,
        .wall = p->s->wall,
        .memory = &p->plan.memory.stop,
        .checkpoints = &p->plan.memory.checkpoints,
    };
}

/* What a step of it has begun is recorded; true when the job has ended. */
static bool take_over(struct cluster_pass *p, struct job_stop *stop)
{
    p->new_job_status = stop->ended ? job_stopped_with(stop, stop->status) : stop->new_status;
    if (!stop->ended)
        p->progress = stop->progress;
    return stop->ended;
}

bool job_stopped(struct cluster_pass *p)
{
    struct job_stop stop = stop_of(p, UPGRADE_STATELESS);

    job_stop(&stop);
    return take_over(p, &stop);
}

/* ---- what the next run goes on from (api-contract §2.4) ---- */

/* High availability keeps a checkpoint: the JobManager only has to go. True as well while that is
 * not known (ret_known). */
static bool left_to_ha(struct cluster_pass *p, struct leavings *ret, bool *ret_known)
{
    enum ha_kept kept = ha_keeps(p);

    *ret_known = kept != HA_UNKNOWN;
    if (kept == HA_UNKNOWN)
        p->progress = LOOKING_AT_HA;
    if (kept == HA_CHECKPOINT)
        *ret = (struct leavings){LAST_STATE, RESTORE_LAST_STATE};
    return kept == HA_UNKNOWN || kept == HA_CHECKPOINT;
}

/* By Flink's API, while the job runs: with a savepoint, or by cancelling it. */
static bool left_by_stopping(struct cluster_pass *p, enum upgrade_mode mode, bool by_ha,
                             struct leavings *ret)
{
    struct job_stop stop = stop_of(p, mode);
    bool known;

    job_stop(&stop);
    /* What main() throws is a job that has failed, with no checkpoint of its own, while those of
     * the run before are kept. */
    if (stop.no_checkpoint && by_ha && left_to_ha(p, ret, &known))
        return known;
    if (stop.trouble.reason)
        p->stop_trouble = stop.trouble;
    *ret = stop.restore_path ? (struct leavings){SAVEPOINT, stop.restore_path} : nothing;
    return take_over(p, &stop);
}

static bool jobmanager_ever_ran(const struct cluster_pass *p)
{
    for (size_t i = 0; i < p->s->n_jm_pods; i++)
        if (p->s->jm_pods[i]->main_running || p->s->jm_pods[i]->restarts || p->s->jm_pods[i]->dead)
            return true;
    return false;
}

/* It runs for so long that it may have had a job and does not tell of it any more. */
static bool may_have_forgotten(const struct cluster_pass *p)
{
    const struct obs_pod *jm = current_jm(p);

    return !jm || p->s->wall - jm->running_ms >= jobstore_ms(p);
}

/* The recorded run has not begun; whoever can tell is asked. High availability keeps nothing of a
 * job before it begins, and after it has ended: it has not ended if no JobManager was started for
 * it, none has led yet, or only the one that does not have the job. */
static bool has_not_begun(struct cluster_pass *p, bool *ret_known)
{
    const struct ha_notes *m = &p->plan.memory.ha;
    bool runs = jobmanager_instance(p) != NULL;

    *ret_known = !runs || (jobmanager_known(p) && p->s->flink->reachable);
    if (!upgrading(p) || p->job)
        return false;
    if (!p->config.ha_kubernetes)
        return runs ? *ret_known : !jobmanager_ever_ran(p);
    if (!ha_has_started(p)) {
        *ret_known = true;
        return true;
    }
    if (ha_keeps(p) != HA_NOTHING || !*ret_known)
        return false;
    /* What was told before this JobManager led says nothing of it. */
    if (runs && m->told < p->s->flink->since) {
        ha_forget(p);
        plan_wake(&p->plan, p->s->now + HA_AGAIN_MS);
        *ret_known = false;
        return false;
    }
    return !m->leaders || (m->leaders == 1 && runs && !may_have_forgotten(p));
}

#define NEVER_SEEN_MS 60000
#define NEVER_CAME_MS 300000
#define JOB_NEVER_CAME                                                                             \
    ": the JobManager has not had it for 5 minutes; main() has not come that far, or the job has " \
    "ended unseen. The JobManager's log tells; to run it again, change the spec"
#define JOB_HAS_ENDED                                                                         \
    ": it has ended while its JobManager was being replaced, so how is not known; to run it " \
    "again, change the spec. With state: " HOW_TO_RESTORE

/* A JobManager answers and does not have the job, for so long that it will not come. */
static bool never_seen(struct cluster_pass *p)
{
    const struct obs_flink *f = p->s->flink;

    if (p->job || !jobmanager_known(p) || !f->reachable)
        return false;
    if (p->s->now - f->since >= NEVER_SEEN_MS)
        return true;
    plan_wake(&p->plan, f->since + NEVER_SEEN_MS);
    return false;
}

/* What has never run is not made any more when something else is asked for (roll_out). */
static bool no_jobmanager_comes(const struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;

    return !d || d->meta.deleted_ms || !d->replicas || p->jm == JM_ERROR;
}

/* Nothing is kept of it, either: it ended under another JobManager. */
static void tell_unknown(struct cluster_pass *p)
{
    if (!never_seen(p) && !no_jobmanager_comes(p))
        return;
    p->job_missing = true;
    p->stop_trouble = (struct obs_cause){
        UPGRADE_FAILED,
        arena_printf(p->a,
                     "high availability has kept nothing of the job: it has ended unseen, or never "
                     "begun; the state to go on from is not known. " MANUAL_RESTORE "%s%s%s",
                     job_last_seen(p->a, jv_get(p->status, "jobStatus")),
                     p->jm == JM_ERROR ? ". The JobManager: " : "",
                     p->jm == JM_ERROR ? str_or_empty(p->cause.message) : "")};
}

/* The job has ended, and its JobManager, which could tell of its last state, is gone. What was
 * kept of a job that failed before it began is still there. */
static bool left_by_the_dead(struct cluster_pass *p, bool by_ha, struct leavings *ret)
{
    bool known;

    if (by_ha && p->job_state != JOB_FINISHED && left_to_ha(p, ret, &known))
        return known;
    p->stop_trouble = (struct obs_cause){
        UPGRADE_FAILED,
        arena_printf(p->a,
                     "the job has ended, and its JobManager, which knew its last state, is "
                     "gone. " MANUAL_RESTORE "%s",
                     job_last_seen(p->a, jv_get(p->status, "jobStatus")))};
    return false;
}

/* What the change and the user ask of the end of this run. */
struct farewell {
    bool saves, only_saves; /* with a savepoint; only: with nothing else */
    bool cancels;           /* through Flink's API although what high availability keeps would do */
    bool changes_flink;     /* another version of Flink, which does not read that */
    bool by_ha;             /* it does */
};

static struct farewell farewell_of(const struct cluster_pass *p, jv spec)
{
    struct farewell w = {.saves = !strcmp(asked_mode(p, spec), SAVEPOINT)};
    struct error err;

    w.changes_flink =
        !str_eq(JV_STRING(p->recorded, "flinkVersion"), JV_STRING(spec, "flinkVersion"));
    w.by_ha = p->config.ha_kubernetes && !w.changes_flink;
    w.only_saves = w.saves && !w.changes_flink && !job_falls_back(&p->pending_conf);
    if (conf_bool(&p->pending_conf, CANCELS_KEY, false, &w.cancels, &err))
        w.cancels = false;
    w.cancels &= !w.saves;
    return w;
}

/* The job is ended by Flink's API: it runs, or ends already, and Flink takes away what it has kept
 * of a job that ends. Without a JobManager nothing goes on. */
static bool ends_by_api(struct cluster_pass *p, const struct farewell *w,
                        enum upgrade_mode *ret_mode)
{
    bool ending = job_state_terminal(p->job_state) || p->job_state == JOB_CANCELLING ||
                  p->job_state == JOB_FAILING;
    bool begun = job_stop_begun(jv_get(p->status, "jobStatus"), &p->plan.memory.stop);
    bool running = p->job && p->job->job.state == JOB_RUNNING && p->s->flink->reachable;
    struct job_stop stop = stop_of(p, UPGRADE_LAST_STATE);

    *ret_mode = w->saves ? UPGRADE_SAVEPOINT : UPGRADE_LAST_STATE;
    if (ending || (begun && (jobmanager_instance(p) || !w->by_ha)))
        return true;
    if (running && w->by_ha && !w->saves && job_checkpoint_age(&stop) != CHECKPOINT_YOUNG)
        return true;
    if ((w->saves && running) || (w->only_saves && p->job) || (w->cancels && running))
        return true;
    if (!running || !w->changes_flink || !conf_lookup(&p->config.conf, SAVEPOINT_DIR_KEY))
        return false;
    *ret_mode = UPGRADE_SAVEPOINT;
    return true;
}

/* True as soon as the run has left what the next one goes on from; never nothing instead of a
 * state. */
static bool has_left(struct cluster_pass *p, jv spec, struct leavings *ret)
{
    const char *recorded_mode = JV_STRING(p->recorded, "job", "upgradeMode");
    struct farewell w = farewell_of(p, spec);
    enum upgrade_mode mode;
    bool known;

    if (job_redeploys(p->recorded, spec) || wants_stateless(p, spec)) {
        *ret = p->never_ran && !str_eq(recorded_mode, LAST_STATE) ? never_began : nothing;
        return job_stopped(p);
    }
    if (job_state_terminal(p->job_state) && !p->job && no_jobmanager_comes(p))
        return left_by_the_dead(p, w.by_ha, ret);
    if (ends_by_api(p, &w, &mode))
        return left_by_stopping(p, mode, w.by_ha, ret);
    if (w.by_ha && !w.only_saves) {
        if (left_to_ha(p, ret, &known))
            return known;
        if (p->plan.memory.ha.kept == HA_JOB) { /* without a checkpoint it is where it began */
            *ret = (struct leavings){LAST_STATE, p->restore_path};
            return true;
        }
    }
    if (has_not_begun(p, &known)) {
        *ret = never_began;
        return true;
    }
    if (upgrading(p) && !known) {
        p->progress = "waiting for the JobManager to tell of the job";
        return false;
    }
    if (left_by_stopping(p, w.only_saves ? mode : UPGRADE_LAST_STATE, w.by_ha, ret))
        return true;
    if (!p->job && p->config.ha_kubernetes && ha_keeps(p) == HA_NOTHING)
        tell_unknown(p);
    return false;
}

/* The end of a job that nobody saw: its JobManager went before it could tell, and the next one
 * only knows that it need not run the job. The first one of a job that is still to begin may only
 * be slow. */
static void look_for_end(struct cluster_pass *p)
{
    const struct ha_notes *m = &p->plan.memory.ha;
    int64_t patience_ends = p->s->flink->since + NEVER_CAME_MS;
    bool missing = p->up_to_date && job_expected(p) && p->config.ha_kubernetes && never_seen(p);
    bool patient = p->s->now < patience_ends, ended;

    if (!missing) {
        ha_forget(p);
        return;
    }
    /* Something is kept until the job ends: that may change while there is hope. */
    if (m->kept == HA_UNKNOWN || (m->kept != HA_NOTHING && patient))
        (void)ha_keeps(p);
    if (m->kept == HA_UNKNOWN)
        return;
    ended = m->kept == HA_NOTHING && (!upgrading(p) || m->leaders > 1);
    if (!ended && patient) {
        plan_wake(&p->plan, patience_ends);
        return;
    }
    p->job_missing = m->kept == HA_NOTHING;
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
    plan_drop(&p->plan, p->roll_out_from, p->roll_out_to);
    p->plan.memory.ha.asked = -1;
    ha_forget(p);
    record(p, p->pending, left);
    p->pending = ABSENT;
    p->up_to_date = false;
    p->jm = JM_DEPLOYING;
}

void look_after_job(struct cluster_pass *p)
{
    look_at_job(p);
    if (!p->held || p->recording || !jv_present(p->recorded))
        return;
    struct job_stop job = stop_of(p, UPGRADE_LAST_STATE);

    p->status = jv_set(p->a, p->status, "jobStatus", job_told_checkpoint(&job));
    if (jv_present(p->pending)) {
        struct leavings left;

        if (has_left(p, p->pending, &left))
            record_pending(p, left);
        return;
    }
    p->plan.memory.stop = stop_memory_initial();
    look_for_end(p);
    if (p->up_to_date && !wants_stateless(p, jv_get(p->cr, "spec")))
        job_look_at_checkpoint(&job);
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
    jv js = jv_present(p->new_job_status) ? p->new_job_status : jv_get(p->status, "jobStatus");
    bool none = !p->job_id && !p->record_id;
    const char *state = none || p->job_state == JOB_UNKNOWN ? NULL : job_state_name(p->job_state);

    if (p->record_id)
        js = job_status_begin(p->a, js, p->record_id);
    if (p->record_id || p->record_suspended)
        js =
            jv_set(p->a, job_untriggered(p->a, js), "upgradeSavepointPath", STR(p->record_restore));
    return job_status_write(p->a, js, p->record_id ? NULL : p->job, state, p->s->wall);
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
