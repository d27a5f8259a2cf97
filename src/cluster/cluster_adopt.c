/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster that the incumbent has deployed. It is taken over as it runs: its Deployment counts as
 * made from what is recorded, and nothing that belongs to it is written. From the next change that
 * restarts it on it is one of ours, by the same steps as ever.
 *
 * That it is such a one is recorded in status.startedSpecHash, as the uid of that Deployment: what
 * a JobManager was started with when that is not the recorded spec alone (cluster_rescale.c). So
 * the run after that has another hash, whatever its spec.
 */
#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_words.h"

#define PREFIX "adopted-"

const char *made_from(const struct cluster_pass *p, const struct obs_meta *m)
{
    if (m->spec_hash || !str_eq(m->owner_uid, p->meta.uid))
        return m->spec_hash;
    return arena_printf(p->a, PREFIX "%s", m->uid);
}

/* The incumbent marks a Deployment with the generation of the spec that it was made from. */
static bool of_generation(const struct obs_deployment *d, int64_t generation)
{
    return d->meta.cr_generation && d->meta.cr_generation == generation;
}

/* What is recorded has been deployed, or is just being: between that and its record the incumbent
 * may have ended. In the middle of an upgrade the Deployment is still that of the former spec. */
static bool runs_recorded(const struct cluster_pass *p, const struct obs_deployment *d)
{
    const char *state = JV_STRING(p->status, "reconciliationStatus", "state");

    if (!state) /* its first release told none */
        return true;
    return str_eq(state, "UPGRADING") &&
           of_generation(d, jv_int64_or(jv_get(p->status, "observedGeneration"), 0));
}

void judge_adoption(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;
    const char *started = JV_STRING(p->status, STARTED_HASH);

    if (!d || d->ours || d->meta.deleted_ms || !str_eq(d->meta.owner_uid, p->meta.uid) ||
        !jv_present(p->recorded))
        return;
    p->adopted = is_deployed(p) ||
                 (started ? str_eq(started, made_from(p, &d->meta)) : runs_recorded(p, d));
    /* Then the current spec is what it was made from, whatever the record makes of it. */
    p->as_deployed = p->adopted && !jv_present(p->failed) && of_generation(d, p->meta.generation);
}

const char *started_from(const struct cluster_pass *p)
{
    return p->adopted ? made_from(p, &p->s->deployment->meta) : JV_STRING(p->status, STARTED_HASH);
}

void keep_adopted(struct cluster_pass *p)
{
    const struct obs_deployment *tms = p->s->tm_deployment;
    int replicas = p->config.tm_replicas;

    p->up_to_date = true;
    if (is_standalone(p) && tms && !tms->meta.deleted_ms && tms->replicas != replicas)
        scale_taskmanagers(p, replicas);
    expose(p);
}

/* ---- and back ---- */

jv spec_to_release(struct cluster_pass *p, jv spec)
{
    const struct obs_deployment *d = p->s->deployment;
    bool recorded = str_eq(JV_STRING(p->recorded, "allocator", "type"), "Flink");

    if (!p->meta.releases || !jv_present(p->recorded) ||
        str_eq(JV_STRING(spec, "mode"), "standalone") || (!recorded && d && d->flinks_allocator))
        return spec;
    return JV_SET_PATH(p->a, spec, STR("Flink"), "allocator", "type");
}

/* What it does is done, and what runs is what another operator would have made. */
static bool can_be_released(const struct cluster_pass *p)
{
    if (!p->usable || !p->held || p->recording || p->asking || jv_present(p->pending) ||
        p->undecided)
        return false;
    if (p->suspended)
        return p->down;
    return is_deployed(p) && p->up_to_date && p->jm == JM_READY &&
           (p->flinks_own || is_standalone(p)) &&
           (works(p) || (p->application && job_state_terminal(p->job_state)));
}

void hand_back(struct cluster_pass *p)
{
    struct action *act;

    if (!p->meta.releases || !can_be_released(p))
        return;
    for (size_t i = 0; i < p->plan.n; i++)
        if (p->plan.actions[i].type != ACT_EVENT)
            return; /* first that */
    plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, false, "Operator", "Released",
               "Handed back: this operator does nothing with it any more, nor with its jobs and "
               "their snapshots, until the annotation " ANNOTATION_RELEASE " is taken away");
    act = plan_add(&p->plan, ACT_PATCH, KIND_FLINKDEPLOYMENT, p->meta.ns, p->meta.name);
    act->uid = p->meta.uid;
    act->body = jv_dup(
        p->a,
        OBJ({"metadata", OBJ({"resourceVersion", STR(p->meta.resource_version)},
                             {"annotations", OBJ({ANNOTATION_RELEASE, STR(RELEASE_DONE)})})}));
}

bool status_is_ours(jv status)
{
    jv_foreach (c, jv_get(status, "conditions"))
        if (str_eq(JV_STRING(*c, "type"), "Ready")) /* the incumbent has none */
            return true;
    return false;
}

const char *job_begins_with(jv recorded, jv status)
{
    jv job_status = jv_get(status, "jobStatus");
    const char *path = job_restore_path(job_status);

    if (path || !str_eq(JV_STRING(recorded, "job", "upgradeMode"), "savepoint") ||
        status_is_ours(status)) /* then it stands there */
        return path;
    path = JV_STRING(job_status, "savepointInfo", "lastSavepoint", "location");
    return str_empty(path) ? NULL : path;
}
