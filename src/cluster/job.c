/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reconciling a FlinkSessionJob. A job runs exactly once because its id is chosen and recorded
 * before anything is sent, every submission carries that id, and whether Flink has it is asked live
 * before each attempt. So a lost answer, a restart of the operator, a second attempt all end in the
 * same one job.
 *
 *   nothing recorded ──record id──► deploying ──find, submit──► deployed ──cancel──► ended
 *          ▲                                                        │                   │
 *          └────────────── a changed spec, a lost job: a new id ────┴───────────────────┘
 */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_version.h"
#include "flinkop/resource_check.h"
#include "flinkop/str.h"
#include "job_end.h"
#include "job_internal.h"
#include "job_snapshots.h"
#include "job_stop.h"
#include "job_words.h"
#include "status.h"

#define LOST_MS 5000 /* Flink must not know a job for so long before it counts as lost */

/* Its end brings us back. */
#define RELEASING "waiting for an idle TaskManager to be released"

struct job_memory job_memory_initial(void)
{
    return (struct job_memory){.deleting_since = -1,
                               .saving_since = -1,
                               .lost_since = -1,
                               .silent_since = -1,
                               .stop = stop_memory_initial(),
                               .end = stop_memory_initial(),
                               .checkpoints = checkpoint_notes_initial(),
                               .snapshots = snapshot_notes_initial(),
                               .exceptions = exception_notes_initial()};
}

struct job_memory job_memory_copy(struct arena *a, const struct job_memory *m)
{
    struct job_memory copy = *m;

    copy.unsent_id = m->unsent_id ? arena_strdup(a, m->unsent_id) : NULL;
    copy.seen_id = m->seen_id ? arena_strdup(a, m->seen_id) : NULL;
    copy.sure_id = m->sure_id ? arena_strdup(a, m->sure_id) : NULL;
    copy.unsure_id = m->unsure_id ? arena_strdup(a, m->unsure_id) : NULL;
    copy.looked_for = m->looked_for ? arena_strdup(a, m->looked_for) : NULL;
    copy.lost_id = m->lost_id ? arena_strdup(a, m->lost_id) : NULL;
    copy.stop = stop_memory_copy(a, &m->stop);
    copy.end = stop_memory_copy(a, &m->end);
    copy.rescale = rescale_notes_copy(a, &m->rescale);
    copy.checkpoints = checkpoint_notes_copy(a, &m->checkpoints);
    copy.snapshots = snapshot_notes_copy(a, &m->snapshots);
    copy.exceptions = exception_notes_copy(a, &m->exceptions);
    copy.refused = obs_cause_copy(a, m->refused);
    return copy;
}

/* ---- what is asked for ---- */

/* Reads a spec as what is wanted; the first problem as text, or NULL. */
static const char *want(struct job_pass *p, jv spec)
{
    struct problems *problems = arena_new(p->a, struct problems);
    const char *version = p->s->flink_version_name;

    problems->a = p->a;
    session_job_read(problems, p->meta.ns, spec, false, p->s->defaults,
                     version ? flink_version_find(version) : NULL, p->s->cluster_options,
                     &p->wanted, &p->conf);
    p->suspend = p->wanted.job.state == JOB_DESIRED_SUSPENDED;
    p->redeploy = job_redeploys(p->recorded, spec);
    p->stateless = p->wanted.job.upgrade_mode == UPGRADE_UNSET ||
                   p->wanted.job.upgrade_mode == UPGRADE_STATELESS;
    return problems_text(problems);
}

/* A spec that is not valid changes nothing: the recorded one goes on counting. */
static void judge(struct job_pass *p)
{
    own_job_recorded(p);
    p->recorded = recorded_spec(p->a, jv_set(p->a, p->cr, "status", p->status));
    const char *lost = record_lost(p->a, p->status, p->recorded, true, STARTED_AS_RECORDED);

    /* What its cluster says may not be known yet. */
    bool unknown = !jv_present(p->s->cluster_options) &&
                   (!p->s->cluster_exists || p->s->cluster_undecided);

    p->autoscaled = autoscaled_below(p->a, p->s->defaults, p->meta.ns, p->s->flink_version_name,
                                     p->s->cluster_options);
    p->target = spec_to_record(p->a, p->recorded, p->spec, p->autoscaled || unknown);
    p->invalid = want(p, p->spec);
    p->invalid = str_or(JV_STRING(p->cr, KUBE_UNREADABLE), p->invalid);
    const char *state = lost ? NULL
                             : state_lost(p->a, KIND_FLINKSESSIONJOB, p->status, p->recorded);
    bool unwanted = p->redeploy || p->stateless; /* what was lost is not asked for any more */

    if (state && (p->invalid || !unwanted))
        lost = unwanted ? p->invalid : state;
    p->lost = lost != NULL;
    if (lost) {
        p->invalid = lost;
        p->recorded = ABSENT;
    }
    if (!jv_present(p->recorded))
        return;
    p->changed = !p->invalid && !jv_equal(session_job_restart_part(p->a, p->target),
                                          session_job_restart_part(p->a, p->recorded));
    if (!p->invalid)
        p->invalid = session_job_change_check(p->a, p->recorded, p->spec);
    if (!p->invalid)
        return;
    p->changed = false;
    p->target = p->recorded;
    (void)!want(p, p->recorded); /* it was valid once */
}

static void look(struct job_pass *p)
{
    jv js = jv_get(p->status, "jobStatus");
    const char *state = JV_STRING(p->status, "reconciliationStatus", "state");

    p->job_id = JV_STRING(js, "jobId");
    if (!flink_id_valid(p->job_id))
        p->job_id = NULL;
    p->state = job_state_parse(str_or_empty(JV_STRING(js, "state")));
    p->deploying = p->job_id && !str_eq(state, "DEPLOYED");
    if (p->s->flink->known)
        p->job = obs_flink_job(p->s->flink, p->job_id);
    if (p->job) {
        p->out.memory.seen_id = p->job_id;
        p->state = p->job->job.state;
        p->deployed = p->deploying;
        p->deploying = false;
    }
}

/* ---- what came of earlier actions ---- */

static void learn(struct job_pass *p)
{
    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];

        if (o->type == ACT_PATCH)
            p->out.memory.refused = refusal_of(p->a, o);
        if (!str_eq(o->job_id, p->job_id))
            continue;
        if (o->type == ACT_SUBMIT_JOB) {
            learn_submission(p, o);
        } else if (o->type == ACT_FIND_JOB && o->ok) {
            p->out.memory.looked_for = o->found ? NULL : p->job_id;
            if (o->found)
                p->out.memory.seen_id = p->job_id;
            if (o->found && p->deploying) {
                p->deployed = true;
                p->deploying = false;
            }
        } else if (o->type == ACT_CANCEL_JOB && o->ok && !o->found) {
            p->out.memory.looked_for = p->job_id;
        }
    }
}

/* ---- actions ---- */

static const char *recorded_restore(const struct job_pass *p)
{
    return job_begins_with(p->recorded, p->status);
}

/* Of a job that has never run: what the spec says by now, unless it is the state of a former run.
 */
static const char *first_restore(const struct job_pass *p)
{
    const char *path = recorded_restore(p);

    return str_eq(path, JV_STRING(p->recorded, "job", "initialSavepointPath"))
               ? p->wanted.job.initial_savepoint_path
               : path;
}

static struct job_stop stop_of(struct job_pass *p)
{
    return (struct job_stop){
        .a = p->a,
        .plan = &p->out.plan,
        .kind = KIND_FLINKSESSIONJOB,
        .ns = p->meta.ns,
        .name = p->meta.name,
        .cluster = p->wanted.deployment_name,
        .job_id = p->job_id,
        .job = p->job,
        .reachable = p->s->flink->known && p->s->flink->reachable,
        .state = p->state,
        .status = jv_get(p->status, "jobStatus"),
        .mode = p->redeploy ? UPGRADE_STATELESS : (enum upgrade_mode)p->wanted.job.upgrade_mode,
        .registers = snapshots_are_resources(&p->conf, &p->s->snapshots),
        .redeploy = p->redeploy,
        .conf = &p->conf,
        .fresh_id = p->s->fresh_job_id,
        .outcomes = p->s->outcomes,
        .n_outcomes = p->s->n_outcomes,
        .now = p->s->now,
        .wall = p->s->wall,
        .memory = &p->out.memory.stop,
        .checkpoints = &p->out.memory.checkpoints,
    };
}

/* True as soon as the job has ended; ret_restore: what another one goes on from. */
static bool end_job(struct job_pass *p, const char **ret_restore)
{
    struct job_stop stop = stop_of(p);

    job_stop(&stop);
    p->progress = stop.progress;
    if (!stop.ended)
        p->trouble = stop.trouble;
    p->new_status = stop.ended ? job_stopped_with(&stop, stop.status) : stop.new_status;
    *ret_restore = stop.restore_path;
    return stop.ended;
}

bool save_job(struct job_pass *p, const char **ret_path)
{
    struct job_stop stop = stop_of(p);

    stop.mode = UPGRADE_SAVEPOINT;
    stop.last = true;
    job_stop(&stop);
    p->progress = stop.ended            ? NULL
                  : stop.trouble.reason ? stop.trouble.message
                                        : str_or(stop.progress, "taking a savepoint");
    p->new_status = stop.ended ? job_stopped_with(&stop, stop.status) : stop.new_status;
    *ret_path = stop.saved ? stop.restore_path : NULL;
    return stop.ended;
}

/* ---- the steps ---- */

static bool cluster_ready(struct job_pass *p)
{
    if (p->s->cluster_ready)
        return true;
    p->progress = p->s->cluster_text;
    if (!p->s->cluster_exists)
        p->trouble = (struct obs_cause){
            "ClusterNotFound", arena_printf(p->a,
                                            "there is no FlinkDeployment \"%s\" in namespace "
                                            "%s",
                                            p->wanted.deployment_name, p->meta.ns)};
    return false;
}

/* A new job: from the answer to this status patch on its id stands. What the former one ran into
 * does not hold it up. */
static void record(struct job_pass *p, const char *restore)
{
    p->record_restore = p->redeploy ? p->wanted.job.initial_savepoint_path : restore;
    p->record_id = p->s->fresh_job_id;
    if (!p->runs_again)
        p->out.memory.restart.failures = 0;
    job_restart_forget(&p->out.memory.restart);
    p->out.memory.sure_id = p->record_id;
    p->out.memory.unsent_id = p->record_id;
    p->out.memory.submit_failures = 0;
    p->out.memory.retry_at = 0;
    cluster_ready(p);
}

/* The job is not to run, and the next one goes on from there. */
static void suspend(struct job_pass *p, const char *restore)
{
    p->record_suspended = true;
    p->record_restore = p->redeploy ? p->wanted.job.initial_savepoint_path : restore;
}

/* Submits what was recorded, whatever is wanted by now: Flink takes an id only once, so this way
 * even a submission of a former operator that is still on its way leads to one job. Then that one
 * can be cancelled. */
static void submit_recorded(struct job_pass *p)
{
    bool suspend = p->suspend;

    (void)!want(p, p->recorded);
    submit_job(p);
    p->suspend = suspend;
}

/* Flink has no such job although it should: it is lost once that was seen for a while and a live
 * look-up confirms it. */
static void lost(struct job_pass *p)
{
    struct job_memory *m = &p->out.memory;

    /* It stays told until it is overcome. */
    if (str_eq(JV_STRING(p->status, "error"), JOB_NOT_FOUND))
        p->trouble = (struct obs_cause){JOB_MISSING, JOB_NOT_FOUND};
    if (!p->s->flink->known || !p->s->flink->reachable || !p->s->cluster_ready) {
        m->lost_since = -1;
        cluster_ready(p);
        return;
    }
    if (m->lost_since < 0 || !str_eq(m->lost_id, p->job_id)) {
        m->lost_since = p->s->now;
        m->lost_id = p->job_id;
    }
    if (p->s->now - m->lost_since < LOST_MS) {
        plan_wake(&p->out.plan, m->lost_since + LOST_MS);
        return;
    }
    if (!str_eq(m->looked_for, p->job_id)) {
        job_action(p, ACT_FIND_JOB);
        return;
    }
    if (take_own_job(p))
        return;
    p->trouble = (struct obs_cause){JOB_MISSING, JOB_NOT_FOUND};
    if (!p->stateless && !p->redeploy)
        return; /* nobody knows its state */
    if (p->suspend)
        suspend(p, NULL);
    else
        record(p, NULL);
}

/* A JobManager that is no more has had it, or may have: it may have had checkpoints, and another
 * run of a job with state must not fall behind them. */
static bool may_have_run(const struct job_pass *p)
{
    const char *sent = JV_STRING(p->status, "submittedTo");

    if (p->stateless || str_eq(p->out.memory.unsent_id, p->job_id))
        return false;
    return str_eq(p->out.memory.seen_id, p->job_id) ||
           (!str_empty(sent) && p->s->flink->known && !str_eq(sent, p->s->flink->jm));
}

/* Which JobManager gets it is recorded before it does; false while that is under way. */
static bool recorded_where(struct job_pass *p)
{
    const char *jm = p->s->flink->jm;

    if (p->stateless || !jm || str_eq(JV_STRING(p->status, "submittedTo"), jm))
        return true;
    p->submitted_to = jm;
    return false;
}

static void deploy(struct job_pass *p)
{
    struct job_memory *m = &p->out.memory;
    bool obsolete = p->changed || p->suspend, sure = str_eq(m->sure_id, p->job_id);

    if (may_have_run(p)) {
        lost(p);
        return;
    }
    if (!cluster_ready(p) || !p->s->flink->known)
        return;
    if (obsolete && sure && str_eq(m->looked_for, p->job_id)) {
        if (p->suspend) /* the recorded spec never got to Flink */
            suspend(p, recorded_restore(p));
        else
            record(p, recorded_restore(p));
        return;
    }
    /* What the user has changed since deserves no patience. */
    if (p->s->now < m->retry_at && !(obsolete && sure)) {
        plan_wake(&p->out.plan, m->retry_at);
        return;
    }
    if (!str_eq(m->looked_for, p->job_id))
        job_action(p, ACT_FIND_JOB);
    else if (p->s->cluster_releasing)
        p->progress = RELEASING;
    else if (p->s->cluster_busy)
        p->out.held = true;
    else if (!recorded_where(p))
        p->progress = NULL;
    else if (obsolete)
        submit_recorded(p);
    else
        submit_job(p);
}

/* While the incumbent has a job on its way, its record says the same (api-contract §1.6). */
static bool recorded_suspended(const struct job_pass *p)
{
    const char *state = JV_STRING(p->status, "reconciliationStatus", "state");

    return !(p->job_id && str_eq(state, "UPGRADING")) &&
           str_eq(JV_STRING(p->recorded, "job", "state"), "suspended");
}

static bool recorded_stateless(const struct job_pass *p)
{
    const char *mode = JV_STRING(p->recorded, "job", "upgradeMode");

    return !mode || !strcmp(mode, "stateless");
}

static void look_for_cause(struct job_pass *p)
{
    p->failure =
        job_failure(&p->out.plan, &(struct failure_look){.kind = KIND_FLINKSESSIONJOB,
                                                         .ns = p->meta.ns,
                                                         .name = p->meta.name,
                                                         .cluster = p->wanted.deployment_name,
                                                         .job_id = p->job_id,
                                                         .status = jv_get(p->status, "jobStatus"),
                                                         .outcomes = p->s->outcomes,
                                                         .n_outcomes = p->s->n_outcomes,
                                                         .now = p->s->now,
                                                         .wall = p->s->wall});
}

/* Where a job that has ended has left its state. */
static void keep_end(struct job_pass *p)
{
    struct job_stop end = stop_of(p);

    end.mode = UPGRADE_LAST_STATE;
    end.memory = &p->out.memory.end;
    (void)job_keep_end(&end);
    p->new_status = end.new_status;
}

/* Nothing that it would have to end for. */
static void goes_on(struct job_pass *p, struct job_stop *job)
{
    p->out.memory.stop = stop_memory_initial();
    p->out.memory.rescale = (struct rescale_notes){0};
    if (!p->stateless) {
        job_look_at_checkpoint(job);
        if (!recorded_suspended(p))
            keep_end(p);
    }
}

/* What of a change, or of one that was taken back, the running job can have. */
static jv overrides(struct job_pass *p, const struct job_stop *job)
{
    struct conf before = CONF_INIT(p->a);
    struct error err;

    if (!p->s->cluster_rescales ||
        conf_add_jv(&before, jv_get(p->recorded, "flinkConfiguration"), "", &err))
        return ABSENT;
    return job_overrides(job, &before, &p->wanted.conf);
}

/* True while that is under way, and when it is done; else the change takes another run. */
static bool rescale(struct job_pass *p)
{
    struct job_stop job = stop_of(p);
    bool taken_back = jv_present(jv_get(job.status, REQUESTED_PARALLELISM)), changed = p->changed;

    if (p->invalid || p->suspend || p->redeploy || job_state_terminal(p->state) ||
        !(changed || taken_back))
        return false;
    p->changed = true;
    if (!session_job_only_rescales(p->a, p->recorded, p->target))
        return false;
    if (!cluster_ready(p)) /* whether it can, will be seen */
        return true;
    job.hold = p->s->cluster_releasing ? RELEASING : NULL;
    switch (job_rescale(&job, p->cr, overrides(p, &job), &p->out.memory.rescale)) {
    case RESCALING_NOT:
        return false;
    case RESCALING_WAITS:
        p->progress = job.progress;
        break;
    case RESCALING_DONE:
        p->rescaled = changed;
        p->changed = false;
    }
    p->new_status = job.new_status;
    return true;
}

/* It has failed, why is told, and another run takes its place. */
static bool runs_again(struct job_pass *p)
{
    struct restart_notes *m = &p->out.memory.restart;
    bool told = !p->job || p->invalid || job_failure_told(JV_STRING(p->status, "error"));

    if (p->suspend || p->changed || recorded_suspended(p) || p->state != JOB_FAILED ||
        !job_restarts(&p->conf)) {
        job_restart_forget(m);
        return false;
    }
    return (m->counted || told) && job_restart_due(m, &p->out.plan, p->job, p->s->now, p->s->wall);
}

static void follow(struct job_pass *p)
{
    struct job_stop job = stop_of(p);

    job.status = job_told_checkpoint(&job);
    p->status = jv_set(p->a, p->status, "jobStatus", job_exceptions(p, job.status));
    bool ended = job_state_terminal(p->state), was_suspended = recorded_suspended(p);
    const char *restore = recorded_restore(p);

    if (!p->job && !ended && !p->deployed) {
        lost(p);
        return;
    }
    if (p->job)
        p->out.memory.lost_since = -1;
    bool begun = job_stop_begun(jv_get(p->status, "jobStatus"), &p->out.memory.stop, p->state);

    if (!begun && rescale(p))
        return;
    p->runs_again = !begun && runs_again(p);
    bool ends = p->suspend || p->changed || begun || p->runs_again;

    if (ends && !begun && p->state == JOB_RUNNING && p->s->flink->reachable &&
        job_snapshot_under_way(jv_get(p->status, "jobStatus"), &p->conf)) {
        p->progress = SNAPSHOT_UNDER_WAY;
        return;
    }
    if (ends && !(was_suspended && ended) && !end_job(p, &restore))
        return;
    if (!ends)
        goes_on(p, &job);
    p->progress = NULL;
    /* What a JobManager that is silent said last is not known to be true any more. */
    if (!ends && p->job && !ended && !p->s->flink->reachable && !p->s->cluster_undecided)
        (void)cluster_ready(p);
    if (was_suspended && p->stateless && !recorded_stateless(p))
        restore = NULL; /* its state is not wanted any more */
    if (p->suspend) {
        if (!was_suspended || p->changed)
            suspend(p, restore);
    } else if (ends || was_suspended) {
        record(p, restore);
    } else if (p->state == JOB_FAILED && p->s->cluster_ready && p->job &&
               !job_failure_told(JV_STRING(p->status, "error"))) {
        look_for_cause(p);
    }
}

struct job_plan reconcile_session_job(struct arena *a, const struct job_snapshot *s)
{
    struct job_pass p = {
        .a = a,
        .s = s,
        .cr = s->cr,
        .spec = jv_get(s->cr, "spec"),
        .status = jv_get(s->cr, "status"),
        .out = {.plan = {.a = a, .next = INT64_MAX}, .memory = job_memory_copy(a, s->memory)},
    };

    obs_meta_read(a, s->cr, &p.meta);
    if (p.meta.canary && !p.meta.deleted_ms)
        return p.out;
    judge(&p);
    look(&p);
    learn(&p);
    tell_unwritten(&p.out.plan, KIND_FLINKSESSIONJOB, s->cr, s->outcomes, s->n_outcomes);
    if (p.meta.deleted_ms) {
        finalize_job(&p);
    } else if (p.invalid && !jv_present(p.recorded)) {
        p.progress = NULL;
    } else if (!has_finalizer(p.cr, FINALIZER_JOB)) {
        take_on_job(&p);
        if (!p.out.memory.refused.reason)
            return p.out; /* the status needs the resourceVersion that this gives */
        p.trouble = p.out.memory.refused;
    } else if (!jv_present(p.recorded) || !p.job_id) {
        if (p.suspend && (!recorded_suspended(&p) || p.changed))
            suspend(&p, first_restore(&p));
        else if (!p.suspend)
            record(&p, first_restore(&p));
    } else if (p.deploying) {
        deploy(&p);
    } else {
        follow(&p);
    }
    if (!p.meta.deleted_ms && jv_present(p.recorded) && has_finalizer(p.cr, FINALIZER_JOB))
        look_after_job_snapshots(&p);
    bool nothing_new = s->cluster_undecided && p.job_id && !p.record_id && !p.record_suspended &&
                       !p.invalid && !p.meta.deleted_ms && !s->n_outcomes;
    if ((!p.out.plan.gone || p.out.memory.refused.reason) && !nothing_new)
        report_job(&p);
    return p.out;
}
