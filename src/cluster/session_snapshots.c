/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshots that are taken of the job of a FlinkSessionJob while it runs (job_snapshots.c). */
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_internal.h"
#include "job_snapshots.h"
#include "job_stop.h"
#include "job_words.h"
#include "status.h"

/* Why none can be taken just now, NULL: one can. */
static const char *waits(const struct job_pass *p)
{
    bool ended = job_state_terminal(p->state);

    if (p->suspend && (ended || !p->job_id))
        return "the job is suspended";
    if (p->changed || p->suspend || p->rescaled || p->runs_again ||
        job_stop_begun(jv_get(p->status, "jobStatus"), &p->out.memory.stop, p->state))
        return "the job is being changed";
    if (ended)
        return arena_printf(p->a, "the job has ended as %s", job_state_name(p->state));
    if (p->deploying || !p->job || p->state != JOB_RUNNING)
        return "the job does not run";
    return NULL;
}

void look_after_job_snapshots(struct job_pass *p)
{
    struct job_snapshots s = {
        .a = p->a,
        .plan = &p->out.plan,
        .kind = KIND_FLINKSESSIONJOB,
        .cr = p->cr,
        .recorded = p->recorded,
        .asked = p->invalid ? ABSENT : p->spec,
        .conf = &p->conf,
        .defaults = p->s->defaults,
        .selector = p->s->selector,
        .list = &p->s->snapshots,
        .found = p->job != NULL,
        .partial = !job_runs_whole(p->job),
        .waits = waits(p),
        .outcomes = p->s->outcomes,
        .n_outcomes = p->s->n_outcomes,
        .now = p->s->now,
        .wall = p->s->wall,
        .cluster = p->wanted.deployment_name,
        .job_id = p->job_id,
        .reachable = p->s->flink->known && p->s->flink->reachable,
        .fresh_id = p->s->fresh_job_id,
        .memory = &p->out.memory.snapshots,
        .status = jv_present(p->new_status) ? p->new_status : jv_get(p->status, "jobStatus"),
    };

    /* What is recorded of another run, in this pass, is not mixed with that. */
    if (p->record_id || p->record_suspended || p->lost || p->s->cluster_undecided)
        return;
    job_snapshots(&s);
    p->new_status = s.status;
    p->nonces = s.handled;
}
