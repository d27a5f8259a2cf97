/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting a FlinkSessionJob: its job is cancelled first, or stopped with a savepoint if the user
 * wants one. That takes a JobManager that answers; a deadline, the user, a missing cluster or one
 * that is going away itself end the wait.
 */
#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "job_internal.h"
#include "job_stop.h"
#include "job_words.h"
#include "status.h"

#define CANCEL_AGAIN_MS 5000
#define OPTION "kubernetes.operator."

/* Nothing of it is left in Flink, as far as anyone can tell. */
static bool ended(const struct job_pass *p)
{
    const struct obs_flink *f = p->s->flink;

    if (!p->job_id || !p->s->cluster_exists || p->s->cluster_ended || job_state_terminal(p->state))
        return true;
    /* A submission whose answer was lost may still come true: wait out the deadline. */
    if (p->deploying && !str_eq(p->out.memory.sure_id, p->job_id))
        return false;
    return f->known && f->reachable && !p->job &&
           (f->at > p->out.memory.deleting_since || str_eq(p->out.memory.looked_for, p->job_id));
}

static void tell_failed(struct job_pass *p, const char *why)
{
    plan_event(&p->out.plan, KIND_FLINKSESSIONJOB, p->cr, true, "Operator", "CleanupFailed", why);
}

static void finalized(struct job_pass *p)
{
    plan_finalizer(&p->out.plan, KIND_FLINKSESSIONJOB, p->cr, FINALIZER_JOB, false);
    p->out.plan.gone = true;
}

/* Its savepoint is being taken, if the user wants one. */
static bool saves(struct job_pass *p)
{
    struct job_memory *m = &p->out.memory;
    jv js = jv_get(p->status, "jobStatus");
    bool ran = p->job_id && !p->deploying && !job_state_terminal(p->state) &&
               p->s->cluster_exists && !p->s->cluster_ended;
    const char *path, *last = job_last_seen(p->a, js), *restore = job_restore_path(js);

    if (m->deleting_since >= 0 || !job_saves_at_end(p->a, &p->conf, p->spec))
        return false;
    if (!job_can_be_saved(js, p->job, ran)) {
        if (!str_empty(restore) && !job_ended_itself(p->state))
            tell_failed(
                p, arena_printf(p->a, JOB_NOT_SAVED JOB_WAS_TO_BEGIN, str_line(p->a, restore)));
        return false;
    }
    if (m->saving_since < 0)
        m->saving_since = p->s->now;
    int64_t until = m->saving_since + flink_option_ms(&p->conf, OPTION "resource.cleanup.timeout");

    if (save_job(p, &path) && path)
        plan_event(&p->out.plan, KIND_FLINKSESSIONJOB, p->cr, false, "Job", "Cleanup",
                   arena_printf(p->a, JOB_SAVED, path));
    else if (!p->progress)
        tell_failed(p, arena_printf(p->a, JOB_NOT_SAVED "%s", last));
    else if (p->s->now >= until)
        tell_failed(p, arena_printf(p->a, JOB_NOT_SAVED ": %s%s", p->progress, last));
    else
        plan_wake(&p->out.plan, until);
    return p->progress && p->s->now < until;
}

static void cancel(struct job_pass *p)
{
    struct action *act =
        plan_add(&p->out.plan, ACT_CANCEL_JOB, KIND_FLINKSESSIONJOB, p->meta.ns, p->meta.name);

    act->cluster = str_or(JV_STRING(p->recorded, "deploymentName"), p->wanted.deployment_name);
    act->job_id = p->job_id;
}

/* Whatever becomes of its job. */
static void leave(struct job_pass *p)
{
    tell_failed(p,
                arena_printf(p->a,
                             "deleted without waiting, as the annotation " ANNOTATION_FORCE_DELETE
                             " asks: job %s is told to end, and may go on",
                             p->job_id));
    cancel(p);
}

void finalize_job(struct job_pass *p)
{
    struct job_memory *m = &p->out.memory;

    if (!has_finalizer(p->cr, FINALIZER_JOB)) {
        p->out.plan.gone = true;
        return;
    }
    if (!p->job && !p->deploying) /* nobody would know of that one any more */
        (void)take_own_job(p);
    if (p->meta.force_delete) {
        if (!ended(p))
            leave(p);
        finalized(p);
        return;
    }
    if (saves(p))
        return;
    if (m->deleting_since < 0) {
        m->deleting_since = p->s->now;
        m->stop.sent = m->stop.failing.since = -1;
    }
    failing_note(&m->stop.failing,
                 job_outcome_of(p->s->outcomes, p->s->n_outcomes, ACT_CANCEL_JOB, p->job_id, NULL),
                 p->s->now);
    const char *fails = failing_for_long(&m->stop.failing, p->s->now);
    int64_t deadline = m->deleting_since +
                       flink_option_ms(&p->conf, OPTION "flink.client.cancel.timeout");
    bool late = p->s->now >= deadline;

    if (ended(p) || late) {
        if (late)
            tell_failed(p,
                        arena_printf(p->a, "job %s could not be cancelled in time: %s",
                                     str_or_empty(p->job_id),
                                     str_or(p->s->flink->error, fails ? str_clean(p->a, fails, 1000)
                                                                      : "it is still ending")));
        finalized(p);
        return;
    }
    p->progress = arena_printf(p->a, "cancelling job %s%s%s", p->job_id, fails ? ": " : "",
                               fails ? str_clean(p->a, fails, 1000) : "");
    if (m->stop.sent < 0 || p->s->now - m->stop.sent >= CANCEL_AGAIN_MS) {
        m->stop.sent = p->s->now;
        cancel(p);
    }
    plan_wake(&p->out.plan, MIN(deadline, m->stop.sent + CANCEL_AGAIN_MS));
}

/* The finalizer, and in the same write the label that the incumbent's webhook gives (api-contract
 * §2.15). One that has its finalizer is not written to for that. */
void take_on_job(struct job_pass *p)
{
    struct plan *plan = &p->out.plan;
    struct action *act;

    plan_finalizer(plan, KIND_FLINKSESSIONJOB, p->cr, FINALIZER_JOB, true);
    act = &plan->actions[plan->n - 1];
    act->body = JV_SET_PATH(p->a, act->body, STR(p->wanted.deployment_name), "metadata", "labels",
                            LABEL_TARGET_SESSION);
}
