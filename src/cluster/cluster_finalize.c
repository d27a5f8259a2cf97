/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting a cluster: first its FlinkSessionJobs (unless told otherwise), then everything at once.
 * Nothing here asks the JobManager for leave, so one that is unreachable cannot hold it up; a
 * deadline ends the waiting for pods that do not go.
 */
#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "status.h"

#define CLEANUP_TIMEOUT_MS 300000 /* kubernetes.operator.resource.cleanup.timeout */
#define OPTION "kubernetes.operator."

static int64_t cleanup_timeout(const struct cluster_pass *p)
{
    struct error err;
    int64_t ms = CLEANUP_TIMEOUT_MS;

    if (p->usable &&
        conf_duration(&p->config.conf, OPTION "resource.cleanup.timeout", ms, &ms, &err))
        ms = CLEANUP_TIMEOUT_MS;
    return ms;
}

/* Names of what keeps the cluster, at most a few; NULL if nothing does. */
static const char *blockers(const struct cluster_pass *p)
{
    const struct cluster_snapshot *s = p->s;
    const char *text = NULL;
    size_t n = 0;

    if (p->application || !operator_flag(p, OPTION "session.deletion.block-on-session-jobs", true))
        return NULL;
    for (size_t i = 0; i < s->n_jobs; i++, n++)
        if (n < 5)
            text = arena_printf(p->a, "%s%s%s", str_or_empty(text), text ? ", " : "",
                                s->jobs[i]->meta.name);
    if (n)
        return arena_printf(p->a, "waiting for %zu FlinkSessionJob%s to be deleted: %s%s", n,
                            n == 1 ? "" : "s", text, n > 5 ? ", …" : "");
    /* What a JobManager that is gone said last counts for nothing. */
    if (!operator_flag(p, OPTION "session.deletion.block-on-unmanaged-jobs", true) ||
        !s->flink->known || !s->flink->reachable || !jobmanager_known(p))
        return NULL;
    for (size_t i = 0; i < s->flink->n_jobs; i++)
        if (!job_state_terminal(s->flink->jobs[i].job.state))
            return arena_printf(
                p->a, "waiting for job %s (%s), which no FlinkSessionJob owns, to end",
                s->flink->jobs[i].job.id, str_clean(p->a, s->flink->jobs[i].job.name, 100));
    return NULL;
}

static void delete_all(struct cluster_pass *p)
{
    if (delete_deployment(p, p->s->deployment))
        plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, false, "Operator", "Cleanup",
                   "Cleaning up FlinkDeployment");
    /* Flink's own allocator would replace what is taken from it. */
    if (p->flinks_own && p->s->n_jm_pods)
        return;
    (void)delete_deployment(p, p->s->tm_deployment);
    for (size_t i = 0; i < p->s->n_tm_pods && !p->s->tm_deployment; i++) {
        const struct obs_pod *pod = p->s->tm_pods[i];

        if (!pod->meta.deleted_ms)
            plan_add(&p->plan, ACT_DELETE, KIND_POD, p->meta.ns, pod->meta.name)->uid =
                pod->meta.uid;
    }
}

void finalize(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;

    if (!has_finalizer(p->cr, FINALIZER_CLUSTER)) {
        p->plan.gone = true; /* nothing of ours to do: other finalizers may hold it */
        return;
    }
    p->plan.ended = !jobmanager_instance(p);
    p->blocked = blockers(p);
    if (p->blocked) {
        m->deleting_since = -1;
        return;
    }
    if (m->deleting_since < 0)
        m->deleting_since = p->s->now;
    int64_t deadline = m->deleting_since + cleanup_timeout(p);
    bool there = p->s->deployment || p->s->tm_deployment || p->s->n_jm_pods || p->s->n_tm_pods;

    if (p->application && p->s->now < deadline && !job_stopped(p)) {
        plan_wake(&p->plan, deadline);
        return;
    }
    if (there && p->s->now < deadline) {
        delete_all(p);
        p->progress = "waiting for the pods to end";
        plan_wake(&p->plan, deadline);
        return;
    }
    /* An application may have had it before. */
    bool kept = jv_present(JV_PATH(p->cr, "spec", "job")) || (p->usable && p->config.ha_kubernetes);

    if (kept && p->s->now < deadline && !ha_gone(p)) {
        p->progress = "taking away what high availability has kept";
        return;
    }
    if (kept && there)
        plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, true, "Operator", "CleanupFailed",
                   arena_printf(p->a,
                                "its pods have not ended within %lld s: what high availability "
                                "keeps may be left, in ConfigMaps with the label app=%s",
                                (long long)cleanup_timeout(p) / 1000, p->meta.name));
    plan_finalizer(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, FINALIZER_CLUSTER, false);
    p->plan.gone = true;
}
