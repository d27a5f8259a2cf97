/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TaskManagers that have taken the place of their JobManager, on a full node or under a quota: they
 * could not go on without it, and it could not come while they stay.
 */
#include <string.h>

#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"

#define ROOM_MS 30000 /* after so long without its JobManager no TaskManager has work any more */

/* What the end of a pod can mend: kube-scheduler's words (plugin NodeResourcesFit), and those of
 * the API server's admission. Taints, selectors and the like do not go with a TaskManager. */
static bool is_crowded(const struct obs_cause *cause)
{
    static const char *const words[] = {"Insufficient ", "Too many pods", "exceeded quota"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (cause->message && strstr(cause->message, words[i]))
            return true;
    return false;
}

/* A pod keeps its node while its process starts again. One that the Deployment counts, and that was
 * not seen yet, may have one. */
static bool has_place(const struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;

    for (size_t i = 0; i < p->s->n_jm_pods; i++)
        if (p->s->jm_pods[i]->scheduled && !p->s->jm_pods[i]->dead)
            return true; /* a former one as well, or one of several */
    return d && d->status_replicas > active_jobmanagers(p);
}

void look_for_room(struct cluster_pass *p)
{
    int64_t *since = &p->plan.memory.crowded_since;

    if (!is_crowded(&p->cause) || has_place(p))
        *since = -1;
    else if (*since < 0)
        *since = p->s->now;
}

bool lacks_room(struct cluster_pass *p)
{
    int64_t since = p->plan.memory.crowded_since;

    if (since >= 0 && p->s->now - since < ROOM_MS)
        plan_wake(&p->plan, since + ROOM_MS);
    return since >= 0 && p->s->now - since >= ROOM_MS;
}

/* A watch may be late, and the JobManager may run. */
static bool looked_up(const struct cluster_pass *p, const char *name)
{
    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];

        if (o->type == ACT_LOOK_UP && o->ok && str_eq(o->name, name))
            return true;
    }
    return false;
}

/* Those that are dead hold no place; why they died is told when they are taken away. */
static void take_away_dead_only(struct cluster_pass *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->alloc.n_remove; i++)
        if (p->alloc.remove[i].tm->dead)
            p->alloc.remove[n++] = p->alloc.remove[i];
    p->alloc.n_remove = n;
}

void make_room(struct cluster_pass *p)
{
    const struct obs_pod *jm = current_jm(p);
    const struct obs_meta *waits = jm ? &jm->meta : &p->s->deployment->meta;
    const struct obs_cause *kept = &p->plan.memory.kept.cause;

    p->alloc.create = 0;
    take_away_dead_only(p);
    p->alloc.problem = (struct obs_cause){
        "JobManagerFirst",
        arena_printf(p->a, "no TaskManagers before the JobManager has its place: %s%s%s",
                     p->cause.message, kept->reason ? "; what has it cannot be taken away: " : "",
                     str_or_empty(kept->message))};
    for (size_t i = 0; i < p->s->n_tm_pods; i++) {
        const struct obs_pod *tm = p->s->tm_pods[i];

        /* What has no place itself takes none, and tells who adds nodes what is to come. */
        if (tm->meta.deleted_ms || tm->dead || (jm && !tm->scheduled))
            continue;
        if (!looked_up(p, waits->name)) {
            plan_add(&p->plan, ACT_LOOK_UP, jm ? KIND_POD : KIND_DEPLOYMENT, p->meta.ns,
                     waits->name)
                ->uid = waits->uid;
            return;
        }
        delete_pod(p, tm, "its JobManager has no place");
    }
}
