/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshots that are taken of the job of an application while it runs (job_snapshots.c). */
#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_snapshots.h"
#include "job_words.h"

/* Why none can be taken just now, NULL: one can. */
static const char *waits(const struct cluster_pass *p)
{
    if (p->suspended)
        return "the job is suspended";
    if (jv_present(p->pending) || p->rescaled || (job_upgrading(p) && !p->deployed))
        return "the job is being changed";
    if (job_state_terminal(p->job_state))
        return arena_printf(p->a, "the job has ended as %s", job_state_name(p->job_state));
    if (!p->up_to_date || !p->job || p->job_state != JOB_RUNNING)
        return "the job does not run";
    return NULL;
}

void look_after_snapshots(struct cluster_pass *p)
{
    struct job_snapshots s = {
        .a = p->a,
        .plan = &p->plan,
        .kind = KIND_FLINKDEPLOYMENT,
        .cr = p->cr,
        .recorded = p->recorded,
        .asked = p->invalid ? ABSENT : jv_get(p->cr, "spec"),
        .conf = &p->config.conf,
        .defaults = p->s->defaults,
        .selector = p->s->selector,
        .version = p->spec.version,
        .list = &p->s->snapshots,
        .found = p->job != NULL,
        .partial = !job_runs_whole(p->job),
        .waits = waits(p),
        .outcomes = p->s->outcomes,
        .n_outcomes = p->s->n_outcomes,
        .now = p->s->now,
        .wall = p->s->wall,
        .cluster = p->meta.name,
        .job_id = p->job_id,
        .reachable = jobmanager_known(p) && p->s->flink->reachable,
        .fresh_id = p->s->fresh_job_id,
        .memory = &p->plan.memory.snapshots,
        .status = jv_present(p->new_job_status) ? p->new_job_status
                                                : jv_get(p->status, "jobStatus"),
    };

    job_snapshots(&s);
    p->new_job_status = s.status;
    p->nonces = s.handled;
    p->target = spec_with_nonces(p->a, p->target, s.handled);
}
