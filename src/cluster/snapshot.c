/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reconciling a FlinkStateSnapshot:
 *
 *   TRIGGER_PENDING ──record an id──► IN_PROGRESS ──ask for it under that id, look──► COMPLETED
 *          ▲                               │
 *          └───── a failure, tried again ──┴──► FAILED, or ABANDONED: its job does not run any more
 *
 * The id is chosen and recorded before Flink is asked, so a second request is the same one, for
 * savepoints and for checkpoints: Flink keeps both by id (DispatcherCachedOperationsHandler). Only
 * a JobManager that has forgotten it (after async.operation.store.duration, or because it is
 * another process) takes one more; that is never taken for somebody else's, whose files would be
 * deleted with this resource.
 */
#include "flinkop/arena.h"
#include "flinkop/flink_reply.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "snapshot_internal.h"
#include "status.h"

struct snapshot_memory snapshot_memory_initial(void)
{
    return (struct snapshot_memory){.sent = -1,
                                    .looked = -1,
                                    .waiting_since = -1,
                                    .retry_at = -1,
                                    .complete_since = -1,
                                    .taking_since = -1,
                                    .deleting_since = -1,
                                    .failing = {.since = -1}};
}

struct snapshot_memory snapshot_memory_copy(struct arena *a, const struct snapshot_memory *m)
{
    struct snapshot_memory copy = *m;

    copy.unsent = m->unsent ? arena_strdup(a, m->unsent) : NULL;
    copy.disposal = m->disposal ? arena_strdup(a, m->disposal) : NULL;
    copy.trouble = m->trouble ? arena_strdup(a, m->trouble) : NULL;
    copy.failing = failing_notes_copy(a, m->failing);
    copy.refused = obs_cause_copy(a, m->refused);
    return copy;
}

/* ---- what all steps use ---- */

struct action *snapshot_ask(struct snapshot_pass *p, enum action_type type,
                            const struct stop_args *args)
{
    struct action *act =
        plan_add(&p->out.plan, type, KIND_FLINKSTATESNAPSHOT, p->meta.ns, p->meta.name);
    struct stop_args *own = arena_new(p->a, struct stop_args);

    *own = *args;
    act->stop = own;
    act->cluster = p->cluster;
    act->job_id = p->job_id;
    return act;
}

const struct outcome *snapshot_outcome(const struct snapshot_pass *p, enum action_type type)
{
    for (size_t i = 0; i < p->s->n_outcomes; i++)
        if (p->s->outcomes[i].type == type)
            return &p->s->outcomes[i];
    return NULL;
}

bool snapshot_due(struct snapshot_pass *p, int64_t *sent, int64_t ms)
{
    bool due = *sent < 0 || p->s->now - *sent >= ms;

    if (due)
        *sent = p->s->now;
    plan_wake(&p->out.plan, *sent + ms);
    return due;
}

bool snapshot_reachable(const struct snapshot_pass *p)
{
    return p->s->flink->known && p->s->flink->reachable;
}

/* ---- the pass ---- */

static void look(struct snapshot_pass *p)
{
    struct problems *problems = arena_new(p->a, struct problems);
    const char *id = JV_STRING(p->status, "triggerId"), *job = JV_STRING(p->status, "jobId"),
               *path = JV_STRING(p->status, "path");

    problems->a = p->a;
    snapshot_spec_read(problems, jv_get(p->cr, "spec"), false, &p->spec);
    p->invalid = str_or(JV_STRING(p->cr, KUBE_UNREADABLE), problems_text(problems));
    p->state = snapshot_state_parse(JV_STRING(p->status, "state"));
    p->trigger = flink_id_valid(id) ? id : NULL;
    /* The incumbent does not note of which run it is: then it can only be of the one there is. */
    p->job_id = str_or(job, JV_STRING(p->s->target, "status", "jobStatus", "jobId"));
    if (!flink_id_valid(p->job_id))
        p->job_id = NULL;
    p->path = str_empty(path) ? NULL : path;
    p->cluster = str_or(p->s->cluster, JV_STRING(p->status, "clusterName"));
    for (size_t i = 0; i < p->s->n_outcomes; i++)
        if (p->s->outcomes[i].type == ACT_PATCH)
            p->out.memory.refused = refusal_of(p->a, &p->s->outcomes[i]);
}

/* With the labels: one write for both. */
static void put_finalizer(struct snapshot_pass *p)
{
    jv labels = snapshot_labels(p);

    plan_finalizer(&p->out.plan, KIND_FLINKSTATESNAPSHOT, p->cr, FINALIZER_SNAPSHOT, true);
    struct action *act = &p->out.plan.actions[p->out.plan.n - 1];

    if (jv_present(labels))
        act->body = JV_SET_PATH(p->a, act->body, labels, "metadata", "labels");
}

/* They follow what is recorded, beside what else is done, but for another write to the same
 * object. */
static void put_labels(struct snapshot_pass *p)
{
    jv labels = snapshot_labels(p);
    struct action *act;

    for (size_t i = 0; i < p->out.plan.n; i++)
        if (p->out.plan.actions[i].type == ACT_STATUS || p->out.plan.actions[i].type == ACT_PATCH)
            return;
    if (!jv_present(labels) || p->out.memory.refused.reason)
        return;
    act = plan_add(&p->out.plan, ACT_PATCH, KIND_FLINKSTATESNAPSHOT, p->meta.ns, p->meta.name);
    act->uid = p->meta.uid;
    act->body = jv_dup(p->a, OBJ({"metadata", OBJ({"labels", labels})}));
}

static void step(struct snapshot_pass *p)
{
    if (p->state == SNAPSHOT_TAKING && p->trigger)
        snapshot_follow(p);
    else if (p->invalid)
        p->trouble = (struct obs_cause){"ValidationError", p->invalid};
    else if (p->spec.already_exists.set && p->spec.already_exists.v)
        snapshot_complete(p, p->spec.path);
    else
        snapshot_begin(p);
}

struct snapshot_plan reconcile_snapshot(struct arena *a, const struct snapshot_situation *s)
{
    struct snapshot_pass p = {
        .a = a,
        .s = s,
        .cr = s->cr,
        .status = jv_get(s->cr, "status"),
        .out = {.plan = {.a = a, .next = INT64_MAX}, .memory = snapshot_memory_copy(a, s->memory)},
    };

    if (p.status.type != JV_OBJ)
        p.status = EMPTY_OBJ;
    obs_meta_read(a, s->cr, &p.meta);
    look(&p);
    tell_unwritten(&p.out.plan, KIND_FLINKSTATESNAPSHOT, s->cr, s->outcomes, s->n_outcomes);
    if (p.meta.deleted_ms) {
        snapshot_finalize(&p);
    } else if (!snapshot_state_final(p.state) && !p.invalid &&
               !has_finalizer(p.cr, FINALIZER_SNAPSHOT)) {
        put_finalizer(&p);
        if (!p.out.memory.refused.reason)
            return p.out; /* the status needs the resourceVersion that this gives */
        p.trouble = p.out.memory.refused;
    } else if (!snapshot_state_final(p.state)) {
        step(&p);
    }
    if (p.out.plan.gone && !p.out.memory.refused.reason)
        return p.out;
    if (!p.quiet || !jv_present(jv_get(p.status, "conditions")))
        snapshot_report(&p);
    if (!p.meta.deleted_ms && has_finalizer(p.cr, FINALIZER_SNAPSHOT))
        put_labels(&p);
    return p.out;
}
