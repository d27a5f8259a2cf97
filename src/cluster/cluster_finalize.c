/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting a cluster: first its FlinkSessionJobs (unless told otherwise), or a savepoint of its job
 * (if told so), then everything at once. Each of these waits has a deadline, so nobody holds it up
 * for good, and the user may end all of them.
 */
#include <stdlib.h>
#include <string.h>

#include "application.h"
#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "job_stop.h"
#include "job_words.h"
#include "status.h"

#define OPTION "kubernetes.operator."
#define NAMES_MAX 5 /* of what is waited for */

static int64_t timeout(const struct cluster_pass *p, const char *key)
{
    return flink_option_ms(p->usable ? &p->config.conf : NULL, key);
}

static int64_t cleanup_timeout(const struct cluster_pass *p)
{
    return timeout(p, OPTION "resource.cleanup.timeout");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *session_jobs(const struct cluster_pass *p, bool stateful, size_t *ret_n)
{
    const char **names = arena_new_array(p->a, const char *, p->s->n_jobs + 1), *text = NULL;
    size_t n = 0;

    for (size_t i = 0; i < p->s->n_jobs; i++)
        if (!stateful || p->s->jobs[i]->stateful)
            names[n++] = p->s->jobs[i]->meta.name;
    qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < MIN(n, NAMES_MAX); i++)
        text = arena_printf(p->a, "%s%s%s", str_or_empty(text), text ? ", " : "", names[i]);
    *ret_n = n;
    return n > NAMES_MAX ? arena_printf(p->a, "%s, …", text) : text;
}

const struct flink_job *foreign_job(const struct cluster_pass *p)
{
    const struct obs_flink *f = p->s->flink;
    const struct flink_job *first = NULL;

    for (size_t i = 0; i < f->n_jobs; i++) {
        const struct flink_job *j = &f->jobs[i].job;
        bool owned = false;

        for (size_t k = 0; k < p->s->n_jobs; k++)
            owned |= str_eq(p->s->jobs[k]->job_id, j->id);
        if (!owned && !job_state_terminal(j->state) && (!first || strcmp(j->id, first->id) < 0))
            first = j;
    }
    return first;
}

/* What keeps the cluster; NULL if nothing does. */
static const char *blockers(struct cluster_pass *p)
{
    const struct cluster_snapshot *s = p->s;
    const struct flink_job *first;
    const char *names;
    size_t n;

    if (p->application || !operator_flag(p, OPTION "session.deletion.block-on-session-jobs", true))
        return NULL;
    names = session_jobs(p, /* stateful= */ false, &n);
    if (names)
        return arena_printf(p->a, "waiting for %zu FlinkSessionJob%s to be deleted: %s", n,
                            n == 1 ? "" : "s", names);
    if (!operator_flag(p, OPTION "session.deletion.block-on-unmanaged-jobs", true))
        return NULL;
    /* What a JobManager that is gone said last counts for nothing. */
    bool soon = jobmanager_tells_soon(p);

    if (!jobmanager_known(p))
        return soon ? "waiting for the JobManager to tell of its jobs" : NULL;
    if (!s->flink->reachable && !soon)
        return NULL;
    first = foreign_job(p);
    return first ? arena_printf(p->a,
                                "waiting for job %s (%s), which no FlinkSessionJob owns, to end",
                                first->id, str_clean(p->a, first->name, 100))
                 : NULL;
}

static void tell_failed(struct cluster_pass *p, const char *why)
{
    plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, true, "Operator", "CleanupFailed", why);
}

/* What it still waits for. */
static const char *held_up(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;
    const char *why = blockers(p);
    int64_t ms = timeout(p, OPTION "session.deletion.block-timeout");
    char most[32];

    if (!why) {
        m->blocked_since = -1;
        return NULL;
    }
    if (m->blocked_since < 0)
        m->blocked_since = p->s->now;
    if (p->s->now - m->blocked_since >= ms) {
        if (m->deleting_since < 0)
            tell_failed(p, arena_printf(p->a, "deleted without more %s", why));
        return NULL;
    }
    plan_wake(&p->plan, m->blocked_since + ms);
    duration_format(ms, most, sizeof(most));
    return arena_printf(
        p->a, "%s; for %s at most, or until the annotation " ANNOTATION_FORCE_DELETE " is \"true\"",
        why, most);
}

static bool wants_savepoint(const struct cluster_pass *p)
{
    return p->application && p->usable &&
           job_saves_at_end(p->a, asked_conf(p), jv_get(p->cr, "spec"));
}

/* What high availability keeps of a job that has not ended is all that is left of its state. */
static bool state_is_kept(const struct cluster_pass *p)
{
    return p->config.ha_kubernetes && p->job_id &&
           (!job_state_terminal(p->job_state) || str_eq(p->restore_path, RESTORE_LAST_STATE));
}

static void tell_unsaved(struct cluster_pass *p, const char *why)
{
    bool kept = state_is_kept(p);

    p->plan.memory.unsaved = kept;
    tell_failed(
        p, arena_printf(p->a, JOB_NOT_SAVED "%s%s%s%s", why,
                        kept ? "; what high availability keeps of it is left, in ConfigMaps with "
                               "the label app="
                             : "",
                        kept ? p->meta.name : "",
                        job_last_seen(p->a, jv_get(p->status, "jobStatus"))));
}

/* A savepoint of its job is being taken, if the user wants one. */
static bool saves(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;
    bool ran = p->s->deployment && !p->suspended && !job_upgrading(p) && p->job_id &&
               !job_state_terminal(p->job_state);
    int64_t until;
    const char *path;

    if (m->deleting_since >= 0 || !wants_savepoint(p))
        return false;
    if (!job_can_be_saved(jv_get(p->status, "jobStatus"), p->job, ran)) {
        bool path_known = !str_empty(p->restore_path) &&
                          !str_eq(p->restore_path, RESTORE_LAST_STATE);

        if (path_known)
            tell_unsaved(p, arena_printf(p->a, JOB_WAS_TO_BEGIN, str_line(p->a, p->restore_path)));
        else if (state_is_kept(p))
            tell_unsaved(p, ": it does not run");
        return false;
    }
    if (m->saving_since < 0)
        m->saving_since = p->s->now;
    until = m->saving_since + cleanup_timeout(p);
    if (job_saved(p, &path)) {
        if (path)
            plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, false, "Job", "Cleanup",
                       arena_printf(p->a, JOB_SAVED, path));
        else
            tell_unsaved(p, "");
        return false;
    }
    if (p->s->now >= until) {
        tell_unsaved(p, arena_printf(p->a, ": %s", p->progress));
        return false;
    }
    plan_wake(&p->plan, until);
    return true;
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
    for (size_t i = 0; i < p->s->n_tm_pods && !p->s->tm_deployment; i++)
        delete_pod(p, p->s->tm_pods[i], NULL);
}

static void finalized(struct cluster_pass *p)
{
    plan_finalizer(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, FINALIZER_CLUSTER, false);
    p->plan.gone = true;
}

static void leave(struct cluster_pass *p)
{
    tell_failed(p,
                arena_printf(p->a,
                             "deleted without waiting, as the annotation " ANNOTATION_FORCE_DELETE
                             " asks: pods may still end, and what high availability keeps may be "
                             "left, in ConfigMaps with the label app=%s",
                             p->meta.name));
    delete_all(p);
    finalized(p);
}

void finalize(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;

    if (!has_finalizer(p->cr, FINALIZER_CLUSTER)) {
        p->plan.gone = true; /* nothing of ours to do: other finalizers may hold it */
        return;
    }
    p->plan.ended = !jobmanager_instance(p);
    if (p->meta.force_delete) {
        leave(p);
        return;
    }
    p->blocked = held_up(p);
    if (p->blocked) {
        m->deleting_since = -1;
        return;
    }
    if (saves(p))
        return;
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

    if (kept && !m->unsaved && p->s->now < deadline && !ha_gone(p)) {
        p->progress = "taking away what high availability has kept";
        return;
    }
    if (kept && there)
        tell_failed(p, arena_printf(p->a,
                                    "its pods have not ended within %lld s: what high availability "
                                    "keeps may be left, in ConfigMaps with the label app=%s",
                                    (long long)cleanup_timeout(p) / 1000, p->meta.name));
    finalized(p);
}
