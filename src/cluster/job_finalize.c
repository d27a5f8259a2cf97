/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting a FlinkSessionJob: its job is cancelled first. That takes a JobManager that answers; a
 * deadline, a missing cluster or one that is going away itself end the wait.
 */
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_internal.h"
#include "status.h"

#define CANCEL_TIMEOUT_MS 60000 /* kubernetes.operator.flink.client.cancel.timeout */
#define CANCEL_AGAIN_MS 5000
#define OPTION "kubernetes.operator."

static int64_t cancel_timeout(const struct job_pass *p)
{
    struct error err;
    int64_t ms = CANCEL_TIMEOUT_MS;

    if (conf_duration(&p->conf, OPTION "flink.client.cancel.timeout", ms, &ms, &err))
        ms = CANCEL_TIMEOUT_MS;
    return ms;
}

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

void finalize_job(struct job_pass *p)
{
    struct job_memory *m = &p->out.memory;
    struct action *act;

    if (!has_finalizer(p->cr, FINALIZER_JOB)) {
        p->out.plan.gone = true;
        return;
    }
    if (m->deleting_since < 0) {
        m->deleting_since = p->s->now;
        m->stop.sent = -1;
    }
    int64_t deadline = m->deleting_since + cancel_timeout(p);
    bool late = p->s->now >= deadline;

    if (ended(p) || late) {
        if (late)
            plan_event(&p->out.plan, KIND_FLINKSESSIONJOB, p->cr, true, "Operator", "CleanupFailed",
                       arena_printf(p->a, "job %s could not be cancelled in time: %s",
                                    str_or_empty(p->job_id),
                                    str_or(p->s->flink->error, "it is still ending")));
        plan_finalizer(&p->out.plan, KIND_FLINKSESSIONJOB, p->cr, FINALIZER_JOB, false);
        p->out.plan.gone = true;
        return;
    }
    p->progress = arena_printf(p->a, "cancelling job %s", p->job_id);
    if (m->stop.sent < 0 || p->s->now - m->stop.sent >= CANCEL_AGAIN_MS) {
        m->stop.sent = p->s->now;
        act =
            plan_add(&p->out.plan, ACT_CANCEL_JOB, KIND_FLINKSESSIONJOB, p->meta.ns, p->meta.name);
        act->cluster = str_or(JV_STRING(p->recorded, "deploymentName"), p->wanted.deployment_name);
        act->job_id = p->job_id;
    }
    plan_wake(&p->out.plan, MIN(deadline, m->stop.sent + CANCEL_AGAIN_MS));
}
