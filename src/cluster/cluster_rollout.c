/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what runs to what should run. Suspending is an order (DESIGN §6): the JobManager goes first
 * and completely, then the TaskManagers; TaskManagers that vanished first would fail the jobs and
 * make Flink erase its recovery data. Nothing new starts while an old pod object exists, so two
 * versions never meet.
 */
#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "status.h"

#define LOOK_AGAIN_MS 10000 /* events tell; this only guards against a lost one */

static void wait_for(struct cluster_pass *p, const char *what)
{
    p->progress = what;
    plan_wake(&p->plan, p->s->now + LOOK_AGAIN_MS);
}

static bool current(const struct cluster_pass *p, const struct obs_meta *m)
{
    return m && !m->deleted_ms && str_eq(made_from(p, m), p->target_hash);
}

static bool configmap_current(const struct cluster_pass *p)
{
    return current(p, p->s->configmap) && str_eq(p->s->configmap->config_hash, p->config_hash);
}

bool left_over(const struct obs_meta *m, const char *owner_uid)
{
    return m && m->spec_hash && m->owner_uid && !str_eq(m->owner_uid, owner_uid);
}

/* We have made it, or the incumbent for this cluster. Labels alone say nothing. */
static bool is_ours(const struct cluster_pass *p, const struct obs_meta *m)
{
    const struct obs_deployment *d = p->s->deployment;

    return m->spec_hash || str_eq(m->owner_uid, p->meta.uid) ||
           (d && str_eq(m->owner_uid, d->meta.uid));
}

/* One that has changed since is left as it is: what was planned by a leader of before, and has been
 * on its way all that time, comes to nothing. The version alone would make again what is gone. */
static jv as_seen(struct cluster_pass *p, const struct obs_meta *now, jv body)
{
    body = JV_SET_PATH(p->a, body, STR(now->resource_version), "metadata", "resourceVersion");
    return JV_SET_PATH(p->a, body, STR(now->uid), "metadata", "uid");
}

void plan_apply(struct cluster_pass *p, enum kube_kind kind, const char *name,
                const struct obs_meta *now, jv body)
{
    struct action *act = plan_add(&p->plan, ACT_APPLY, kind, p->meta.ns, name);

    act->fresh = !now || !is_ours(p, now);
    act->body = act->fresh ? body : as_seen(p, now, body);
}

static void apply_configmap(struct cluster_pass *p)
{
    struct desired_input in = desired_of(p);

    plan_apply(p, KIND_CONFIGMAP, desired_configmap_name(p->a, p->meta.name), p->s->configmap,
               desired_configmap(p->a, &in));
}

void delete_pod(struct cluster_pass *p, const struct obs_pod *pod, const char *why)
{
    struct action *act;

    if (pod->meta.deleted_ms)
        return;
    act = plan_add(&p->plan, ACT_DELETE, KIND_POD, p->meta.ns, pod->meta.name);
    act->uid = pod->meta.uid;
    act->reason = why;
}

/* Takes every TaskManager pod away; false while there is one. Those of a Deployment go with it. */
static bool no_taskmanagers(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->tm_deployment;

    (void)delete_deployment(p, d);
    for (size_t i = 0; i < p->s->n_tm_pods && !d; i++)
        delete_pod(p, p->s->tm_pods[i], NULL);
    if (d || p->s->n_tm_pods)
        wait_for(p, "waiting for the TaskManagers of the former specification to end");
    return !d && !p->s->n_tm_pods;
}

/* Those that have ended (evicted, for one) are nobody's any more: a ReplicaSet that is scaled down
 * leaves them lying. */
static bool no_jobmanagers(struct cluster_pass *p)
{
    for (size_t i = 0; i < p->s->n_jm_pods; i++)
        if (p->s->jm_pods[i]->dead)
            delete_pod(p, p->s->jm_pods[i], NULL);
    if (p->s->n_jm_pods)
        wait_for(p, STOPPING);
    return !p->s->n_jm_pods;
}

/* halted: the id of a job that has not begun, NULL: that is not why. A JobManager's pod that was
 * made since its Deployment was seen would not be waited for: a Deployment that has changed is
 * refused. */
static void scale_for(struct cluster_pass *p, const struct obs_deployment *d, int replicas,
                      const char *halted)
{
    jv note = halted      ? OBJ({ANNOTATION_HALTED, STR(halted)})
              : d->halted ? OBJ({ANNOTATION_HALTED, NULLV})
                          : ABSENT;
    jv meta = OBJ({"resourceVersion", STR(d->meta.resource_version)}, {"annotations", note});

    plan_add(&p->plan, ACT_PATCH, KIND_DEPLOYMENT, p->meta.ns, d->meta.name)->body =
        jv_dup(p->a, OBJ({"metadata", meta}, {"spec", OBJ({"replicas", INT(replicas)})}));
}

static void scale(struct cluster_pass *p, const struct obs_deployment *d, int replicas)
{
    scale_for(p, d, replicas, NULL);
}

/* Scales a Deployment of another spec to zero, or because a job has not begun; false while that is
 * under way. */
static bool stopped_for(struct cluster_pass *p, const char *halted)
{
    const struct obs_deployment *d = p->s->deployment;

    if (!d->replicas && d->observed_generation >= d->meta.generation)
        return no_jobmanagers(p);
    /* A pod that the Deployment tells of and that we have not seen yet would be taken for gone. */
    if (d->replicas && d->status_replicas <= active_jobmanagers(p))
        scale_for(p, d, 0, halted);
    wait_for(p, STOPPING);
    return false;
}

static bool stopped(struct cluster_pass *p)
{
    return stopped_for(p, NULL);
}

void drop_roll_out(struct cluster_pass *p)
{
    plan_drop(&p->plan, p->roll_out_from, p->roll_out_to);
    p->roll_out_to = p->roll_out_from;
}

bool halt(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;

    drop_roll_out(p);
    p->up_to_date = false;
    return (!d || d->meta.deleted_ms || stopped_for(p, p->job_id)) && no_jobmanagers(p);
}

bool delete_deployment(struct cluster_pass *p, const struct obs_deployment *d)
{
    struct action *act;

    if (!d || d->meta.deleted_ms)
        return false;
    act = plan_add(&p->plan, ACT_DELETE, KIND_DEPLOYMENT, p->meta.ns, d->meta.name);
    act->uid = d->meta.uid;
    act->propagation = "Foreground";
    return true;
}

/* A suspended application has no JobManager, and after a while one whose job has ended neither. */
static void take_down(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;

    if ((d && !d->meta.deleted_ms && !stopped(p)) || !no_jobmanagers(p) || !no_taskmanagers(p))
        return;
    if (d) {
        (void)delete_deployment(p, d);
        wait_for(p, "waiting for the Deployment to be deleted");
        return;
    }
    p->down = true;
}

static bool may_start(struct cluster_pass *p)
{
    if (!p->application || ha_ready_to_start(p))
        return true;
    /* Not told without: the look takes a moment, and what keeps it from happening is told. */
    if (p->config.ha_kubernetes)
        wait_for(p, LOOKING_AT_HA);
    return false;
}

static void deploy(struct cluster_pass *p)
{
    struct desired_input in = desired_of(p);

    if (left_over(p->s->configmap, p->meta.uid)) {
        wait_for(p, "waiting for the ConfigMap of a former cluster of this name to go");
        return;
    }
    /* The configuration is there before a pod can ask for it. */
    if (!configmap_current(p)) {
        apply_configmap(p);
        return;
    }
    if (!may_start(p))
        return;
    const struct obs_deployment *d = p->s->deployment;
    jv body = desired_jobmanager(p->a, &in);

    if (d && d->halted) /* what it was stopped for is over */
        body = JV_SET_PATH(p->a, body, STR(""), "metadata", "annotations", ANNOTATION_HALTED);
    plan_apply(p, KIND_DEPLOYMENT, p->meta.name, d ? &d->meta : NULL, body);
}

static void replace(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;

    if (!stopped(p) || !no_taskmanagers(p))
        return;
    if (d->ours) {
        deploy(p);
        return;
    }
    /* What somebody else made is replaced, never patched: its selector and owners are theirs. */
    (void)delete_deployment(p, d);
    wait_for(p, "replacing the former Deployment");
}

/* A Deployment that is as it should be, but scaled to zero. */
static void start_again(struct cluster_pass *p)
{
    p->progress = "starting the JobManager again";
    if (!no_jobmanagers(p))
        return;
    if (!p->adopted && !configmap_current(p))
        apply_configmap(p);
    else if (may_start(p))
        scale(p, p->s->deployment, p->config.jm_replicas);
}

void scale_taskmanagers(struct cluster_pass *p, int replicas)
{
    const struct obs_deployment *d = p->s->tm_deployment;

    scale(p, d, replicas);
    plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, false, "JobManagerDeployment", "Scaling",
               arena_printf(p->a, "In-place scaling triggered: from %d to %d TaskManagers",
                            d->replicas, replicas));
}

/* Mode standalone. */
static void keep_taskmanagers(struct cluster_pass *p, const struct desired_input *in,
                              const struct owner *owner)
{
    const struct obs_deployment *d = p->s->tm_deployment;
    int replicas = p->config.tm_replicas;

    if (!d) {
        plan_apply(p, KIND_DEPLOYMENT, desired_taskmanagers_name(p->a, p->meta.name), NULL,
                   desired_taskmanagers(p->a, in, owner));
    } else if (!current(p, &d->meta) || !str_eq(d->meta.owner_uid, owner->uid)) {
        (void)no_taskmanagers(p);
    } else if (d->replicas != replicas) {
        scale_taskmanagers(p, replicas);
    }
}

/* The REST Service of a cluster "x" has the name of the other one of a cluster "x-rest". */
static bool free_of_others(struct cluster_pass *p, const struct obs_meta *service)
{
    if (!left_over(service, p->s->deployment->meta.uid))
        return true;
    p->no_service = true;
    wait_for(p, arena_printf(p->a,
                             "waiting for Service %s to go, which is of another cluster, or of a "
                             "former one of this name",
                             service->name));
    return false;
}

/* One that was deleted leaves its pods for a moment, too. Who takes the labels away again and again
 * does not make us write as often. One without pods is met where it is to be made. */
void look_for_deployment(struct cluster_pass *p)
{
    int64_t *at = &p->plan.memory.relabelled_at;

    for (size_t i = 0; i < p->s->n_outcomes; i++)
        if (p->s->outcomes[i].type == ACT_RELABEL && p->s->outcomes[i].ok)
            *at = p->s->now;
    if (p->s->deployment || !has_finalizer(p->cr, FINALIZER_CLUSTER) || !active_jobmanagers(p))
        return;
    if (*at >= 0 && p->s->now - *at < LOOK_AGAIN_MS)
        plan_wake(&p->plan, *at + LOOK_AGAIN_MS);
    else
        plan_add(&p->plan, ACT_RELABEL, KIND_DEPLOYMENT, p->meta.ns, p->meta.name)->uid =
            p->meta.uid;
}

/* Everything around a Deployment that is as it should be. */
static void keep(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;
    struct desired_input in = desired_of(p);
    struct owner owner = deployment_owner(p);

    /* Stopped for another specification that was taken back meanwhile. */
    if (!d->replicas) {
        start_again(p);
        return;
    }
    if (p->adopted) {
        keep_adopted(p);
        return;
    }
    p->up_to_date = true;
    if (!configmap_current(p))
        apply_configmap(p);
    if (free_of_others(p, p->s->internal_service) && !current(p, p->s->internal_service))
        plan_apply(p, KIND_SERVICE, p->meta.name, p->s->internal_service,
                   desired_internal_service(p->a, &in, &owner));
    if (free_of_others(p, p->s->rest_service) && !current(p, p->s->rest_service))
        plan_apply(p, KIND_SERVICE, arena_printf(p->a, "%s-rest", p->meta.name), p->s->rest_service,
                   desired_rest_service(p->a, &in, &owner));
    if (is_standalone(p))
        keep_taskmanagers(p, &in, &owner);
    expose(p);
    if (d->replicas != p->config.jm_replicas)
        scale(p, d, p->config.jm_replicas);
}

/* Somebody has deleted what was deployed, and it is not to be made again by itself. */
static bool stays_missing(const struct cluster_pass *p)
{
    return !p->s->deployment && !operator_flag(p, RECOVERY_KEY, true) && is_deployed(p);
}

/* The JobManager that knew the state which the change is to take along has gone. Another one would
 * run main() anew, and the change would take the state of that. */
static bool would_lose_state(const struct cluster_pass *p)
{
    return p->application && jv_present(p->pending) && !p->s->deployment && !p->config.ha &&
           is_deployed(p) && !wants_stateless(p, p->pending);
}

void roll_out(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;

    /* What has never run and is about to be replaced is kept, but not made, unless it has begun
     * after all and only it can tell of its state. */
    if (jv_present(p->pending) && p->never_ran && !(d && current(p, &d->meta) && d->replicas) &&
        !ha_has_begun(p))
        return;
    if (would_lose_state(p))
        return;
    if (p->suspended || p->over)
        take_down(p);
    else if (stays_missing(p))
        p->missing = true;
    else if (d && d->meta.deleted_ms)
        wait_for(p, "waiting for the Deployment to be deleted");
    else if (!d && no_jobmanagers(p) && no_taskmanagers(p))
        deploy(p);
    else if (d && current(p, &d->meta))
        keep(p);
    else if (d)
        replace(p);
}
