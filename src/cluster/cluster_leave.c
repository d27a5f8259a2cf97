/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the next run of an application's job goes on from: the decision table of api-contract §2.4.
 * What runs is ended by Flink's API, or left to what high availability keeps of it; of what is
 * gone, whoever can tell is asked. Never nothing instead of a state.
 */
#include <string.h>

#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_snapshots.h"
#include "job_words.h"

#define CANCELS_KEY "kubernetes.operator.job.upgrade.last-state.job-cancel.enabled"

const struct leavings left_nothing = {STATELESS, NULL}, never_began = {NULL, NULL};

/* The mode is the user's word; instead of a spec that is bad the recorded one counts, whose mode
 * says something else. What a bad spec leaves out does not do away with state. */
static const char *asked_mode(const struct cluster_pass *p, jv spec)
{
    if (p->invalid || p->rolled_back)
        return str_or(JV_STRING(p->cr, "spec", "job", "upgradeMode"),
                      p->invalid ? LAST_STATE : STATELESS);
    return str_or(JV_STRING(spec, "job", "upgradeMode"), STATELESS);
}

bool wants_stateless(const struct cluster_pass *p, jv spec)
{
    return !strcmp(asked_mode(p, spec), STATELESS);
}

#define JOBSTORE_S 3600 /* jobstore.expiration-time */
#define JOBSTORE_MAX_S (1000LL * 365 * 86400)

/* For how long a JobManager tells of a job that has ended. */
int64_t jobstore_ms(const struct cluster_pass *p)
{
    int64_t s;
    struct error err;

    if (conf_int(&p->config.conf, "jobstore.expiration-time", JOBSTORE_S, &s, &err))
        s = JOBSTORE_S;
    return MIN(MAX(s, (int64_t)0), (int64_t)JOBSTORE_MAX_S) * 1000;
}

const struct conf *asked_conf(const struct cluster_pass *p)
{
    return jv_present(p->pending) ? &p->pending_conf : &p->config.conf;
}

struct job_stop application_stop(struct cluster_pass *p, enum upgrade_mode mode)
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
        .reachable = jobmanager_known(p) && p->s->flink->reachable,
        .state = p->job_state,
        .status = jv_get(p->status, "jobStatus"),
        .mode = mode,
        .last = p->meta.deleted_ms != 0,
        .registers = snapshots_are_resources(asked_conf(p), &p->s->snapshots),
        .conf = asked_conf(p),
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
    struct job_stop stop = application_stop(p, UPGRADE_STATELESS);

    job_stop(&stop);
    return take_over(p, &stop);
}

bool job_saved(struct cluster_pass *p, const char **ret_path)
{
    struct job_stop stop = application_stop(p, UPGRADE_SAVEPOINT);
    bool ended;

    job_stop(&stop);
    *ret_path = stop.saved ? stop.restore_path : NULL;
    ended = take_over(p, &stop);
    if (!ended && stop.trouble.reason)
        p->progress = stop.trouble.message;
    return ended;
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

/* The same of a job that runs: without a checkpoint it is where it began. */
static bool kept_by_ha(struct cluster_pass *p, struct leavings *ret, bool *ret_known)
{
    if (left_to_ha(p, ret, ret_known))
        return true;
    if (p->plan.memory.ha.kept != HA_JOB)
        return false;
    *ret = (struct leavings){LAST_STATE, p->restore_path};
    return true;
}

/* By Flink's API, while the job runs: with a savepoint, or by cancelling it. */
static bool left_by_stopping(struct cluster_pass *p, enum upgrade_mode mode, bool by_ha,
                             struct leavings *ret)
{
    struct job_stop stop = application_stop(p, mode);
    bool known;

    job_stop(&stop);
    /* What main() throws is a job that has failed, with no checkpoint of its own, while those of
     * the run before are kept. */
    if (stop.no_checkpoint && by_ha && left_to_ha(p, ret, &known))
        return known;
    if (stop.trouble.reason)
        p->stop_trouble = stop.trouble;
    *ret = stop.restore_path ? (struct leavings){SAVEPOINT, stop.restore_path} : left_nothing;
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

/* Its JobManager was stopped because it had not, and nothing is kept of it since. */
static bool was_halted(const struct cluster_pass *p)
{
    return p->s->deployment && str_eq(p->s->deployment->halted, p->job_id);
}

/* The recorded run has not begun; whoever can tell is asked. High availability keeps nothing of a
 * job before it begins, and after it has ended: it has not ended if no JobManager was started for
 * it, none has led yet, or only the one that does not have the job. */
static bool has_not_begun(struct cluster_pass *p, bool *ret_known)
{
    const struct ha_notes *m = &p->plan.memory.ha;
    bool runs = jobmanager_instance(p) != NULL;

    *ret_known = !runs || (jobmanager_known(p) && p->s->flink->reachable);
    if (!job_upgrading(p) || p->job)
        return false;
    if (!p->config.ha)
        return runs ? *ret_known : !jobmanager_ever_ran(p);
    if (!ha_has_started(p) || !p->config.ha_kubernetes) {
        *ret_known = true;
        return !ha_has_started(p);
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
    return !m->leaders || (m->leaders == 1 && runs && !may_have_forgotten(p)) ||
           (was_halted(p) && !runs);
}

/* It might begin at any moment: only when no JobManager is left it is sure that it has not. */
static bool will_not_begin(struct cluster_pass *p)
{
    if (!ha_has_started(p))
        return true;
    return halt(p);
}

#define NEVER_SEEN_MS 60000

/* A JobManager answers and does not have the job, for so long that it will not come. */
bool job_never_seen(struct cluster_pass *p)
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

static const char *why_unknown(const struct cluster_pass *p)
{
    if (!p->config.ha)
        return "the JobManager that has had the job, or may have had it, is gone";
    if (p->config.ha_kubernetes)
        return "high availability has kept nothing of the job: it has ended unseen, or never "
               "begun; the state to go on from is not known";
    return arena_printf(p->a,
                        "the JobManager does not have the job, which was to begin with %s; what "
                        "ZooKeeper keeps of it is not looked at",
                        str_or(p->restore_path, "no state"));
}

/* Nothing is kept of it, either: it ended under another JobManager. */
static void tell_unknown(struct cluster_pass *p)
{
    if (!job_never_seen(p) && !no_jobmanager_comes(p))
        return;
    p->job_missing = true;
    p->stop_trouble = job_state_lost(p->a, jv_get(p->status, "jobStatus"), why_unknown(p));
    if (p->jm == JM_ERROR)
        p->stop_trouble.message = arena_printf(p->a, "%s. The JobManager: %s",
                                               p->stop_trouble.message,
                                               str_or_empty(p->cause.message));
}

/* Flink does not have it, and it will not come. */
static void look_for_lost(struct cluster_pass *p)
{
    if (!p->job && !job_state_terminal(p->job_state) &&
        (!p->config.ha_kubernetes || ha_keeps(p) == HA_NOTHING))
        tell_unknown(p);
}

/* It was recorded when the job had ended. */
static bool left_at_the_end(const struct cluster_pass *p, struct leavings *ret)
{
    jv left = JV_PATH(p->status, "jobStatus", END_STATE);
    const char *path = JV_STRING(left, "location");

    if (!job_state_terminal(p->job_state) || !jv_present(left))
        return false;
    *ret = path ? (struct leavings){SAVEPOINT, path} : left_nothing;
    return true;
}

/* The job has ended, and its JobManager, which could tell of its last state, is gone. What was
 * kept of a job that failed before it began is still there. */
static bool left_by_the_dead(struct cluster_pass *p, bool by_ha, struct leavings *ret)
{
    bool known;

    if (by_ha && p->job_state != JOB_FINISHED && left_to_ha(p, ret, &known))
        return known;
    p->stop_trouble = job_state_lost(p->a, jv_get(p->status, "jobStatus"),
                                     "the job has ended, and its JobManager, which knew its last "
                                     "state, is gone");
    return false;
}

/* What the change and the user ask of the end of this run. */
struct farewell {
    bool saves, only_saves; /* with a savepoint; only: with nothing else */
    bool cancels;           /* through Flink's API although what high availability keeps would do */
    bool changes_flink;     /* another version of Flink, which does not read that */
    bool by_ha;             /* the next run does */
};

static struct farewell farewell_of(const struct cluster_pass *p, jv spec)
{
    struct farewell w = {.saves = !strcmp(asked_mode(p, spec), SAVEPOINT)};
    struct error err;

    w.changes_flink =
        !str_eq(JV_STRING(p->recorded, "flinkVersion"), JV_STRING(spec, "flinkVersion"));
    w.by_ha = p->config.ha_kubernetes && p->pending_ha && !w.changes_flink;
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
    bool begun = job_stop_begun(jv_get(p->status, "jobStatus"), &p->plan.memory.stop, p->job_state);
    bool running = p->job && p->job->job.state == JOB_RUNNING && p->s->flink->reachable;
    struct job_stop stop = application_stop(p, UPGRADE_LAST_STATE);

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

/* One answer that was not had, or not yet, is no reason to do without what only Flink's API can
 * give. */
static bool answers_soon(struct cluster_pass *p, const struct farewell *w)
{
    bool asks = w->saves || w->cancels || w->changes_flink ||
                conf_lookup(&p->pending_conf, CHECKPOINT_AGE_KEY);

    if (!asks || (p->job && p->job->job.state != JOB_RUNNING) || !jobmanager_tells_soon(p))
        return false;
    p->progress = "waiting for the JobManager to answer, to end the job";
    return true;
}

/* True as soon as the run has left what the next one goes on from; never nothing instead of a
 * state. */
bool job_has_left(struct cluster_pass *p, jv spec, struct leavings *ret)
{
    const char *recorded_mode = JV_STRING(p->recorded, "job", "upgradeMode");
    struct farewell w = farewell_of(p, spec);
    enum upgrade_mode mode;
    bool known;

    /* What does not do well is not asked to end in good order. */
    if (w.by_ha && (p->unwell || (p->rolls_back && !wants_stateless(p, spec))) &&
        kept_by_ha(p, ret, &known))
        return known;
    if (job_redeploys(p->recorded, spec) || wants_stateless(p, spec)) {
        *ret = p->never_ran && !str_eq(recorded_mode, LAST_STATE) ? never_began : left_nothing;
        return job_stopped(p);
    }
    if (left_at_the_end(p, ret))
        return true;
    if (job_state_terminal(p->job_state) && !p->job && no_jobmanager_comes(p))
        return left_by_the_dead(p, w.by_ha, ret);
    if (ends_by_api(p, &w, &mode)) {
        if (left_by_stopping(p, mode, w.by_ha, ret))
            return true;
        look_for_lost(p);
        return false;
    }
    if (answers_soon(p, &w))
        return false;
    if (w.by_ha && !w.only_saves && kept_by_ha(p, ret, &known))
        return known;
    if (has_not_begun(p, &known)) {
        *ret = never_began;
        return will_not_begin(p);
    }
    if (job_upgrading(p) && !known) {
        p->progress = "waiting for the JobManager to tell of the job";
        return false;
    }
    if (left_by_stopping(p, w.only_saves ? mode : UPGRADE_LAST_STATE, w.by_ha, ret))
        return true;
    look_for_lost(p);
    return false;
}
