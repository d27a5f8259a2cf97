/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reconciling a FlinkDeployment. One pass:
 *
 *   judge      the spec: is it valid, does it differ from what was recorded?
 *   record     a new spec in the status before anything is done about it
 *   roll out   the objects, in an order that never lets two JobManagers or two versions meet
 *   job        of an application: how it is, and what a change does to it first
 *   allocate   TaskManagers for the jobs
 *   report     all of it in the status
 *
 * or, when the resource is being deleted, finalize and report.
 */
#include <string.h>

#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/flink_conf.h"
#include "flinkop/str.h"
#include "status.h"

struct cluster_memory cluster_memory_initial(void)
{
    return (struct cluster_memory){
        .alloc = alloc_memory_initial(),
        .deleting_since = -1,
        .job_ended = -1,
        .blocked_since = -1,
        .saving_since = -1,
        .crowded_since = -1,
        .relabelled_at = -1,
        .stop = stop_memory_initial(),
        .end = stop_memory_initial(),
        .health = health_notes_initial(),
        .checkpoints = checkpoint_notes_initial(),
        .snapshots = snapshot_notes_initial(),
        .exceptions = exception_notes_initial(),
        .ha = {.asked = -1, .told = -1},
        .references = {.restarted = -1},
    };
}

static struct refusal refusal_copy(struct arena *a, const struct refusal *r)
{
    return (struct refusal){obs_cause_copy(a, r->cause), r->kind,
                            r->name ? arena_strdup(a, r->name) : NULL};
}

struct cluster_memory cluster_memory_copy(struct arena *a, const struct cluster_memory *m)
{
    struct cluster_memory copy = *m;
    struct alloc_memory *alloc = &copy.alloc;

    copy.refused = refusal_copy(a, &m->refused);
    copy.unexposed = refusal_copy(a, &m->unexposed);
    copy.kept = refusal_copy(a, &m->kept);
    copy.rehearsal.of = m->rehearsal.of ? arena_strdup(a, m->rehearsal.of) : NULL;
    copy.rehearsal.refused = obs_cause_copy(a, m->rehearsal.refused);
    copy.rehearsal.trouble = m->rehearsal.trouble ? arena_strdup(a, m->rehearsal.trouble) : NULL;
    copy.retries = arena_new_array(a, const char *, m->n_retries + 1);
    for (size_t i = 0; i < m->n_retries; i++)
        copy.retries[i] = arena_strdup(a, m->retries[i]);
    copy.stop = stop_memory_copy(a, &m->stop);
    copy.end = stop_memory_copy(a, &m->end);
    copy.health = health_notes_copy(a, &m->health);
    copy.rescale = rescale_notes_copy(a, &m->rescale);
    copy.checkpoints = checkpoint_notes_copy(a, &m->checkpoints);
    copy.snapshots = snapshot_notes_copy(a, &m->snapshots);
    copy.exceptions = exception_notes_copy(a, &m->exceptions);
    copy.references.changed = m->references.changed ? arena_strdup(a, m->references.changed) : NULL;
    copy.references.contents = m->references.contents ? arena_strdup(a, m->references.contents)
                                                      : NULL;
    copy.ha.asker = m->ha.asker ? arena_strdup(a, m->ha.asker) : NULL;
    copy.spec_hash = m->spec_hash ? arena_strdup(a, m->spec_hash) : NULL;
    alloc->jobmanager = m->alloc.jobmanager ? arena_strdup(a, m->alloc.jobmanager) : NULL;
    alloc->start_cause = obs_cause_copy(a, m->alloc.start_cause);
    alloc->create_cause = obs_cause_copy(a, m->alloc.create_cause);
    alloc->notes = arena_new_array(a, struct alloc_note, alloc->n_notes + 1);
    for (size_t i = 0; i < alloc->n_notes; i++) {
        alloc->notes[i] = m->alloc.notes[i];
        alloc->notes[i].name = arena_strdup(a, alloc->notes[i].name);
    }
    return copy;
}

const struct obs_pod *current_jm(const struct cluster_pass *p)
{
    const struct obs_pod *newest = NULL;

    for (size_t i = 0; i < p->s->n_jm_pods; i++) {
        const struct obs_pod *pod = p->s->jm_pods[i];

        if (pod->meta.deleted_ms || pod->dead)
            continue;
        if (!newest || pod->meta.created_ms > newest->meta.created_ms)
            newest = pod;
    }
    return newest;
}

int active_jobmanagers(const struct cluster_pass *p)
{
    int n = 0;

    for (size_t i = 0; i < p->s->n_jm_pods; i++)
        n += !p->s->jm_pods[i]->dead && !p->s->jm_pods[i]->meta.deleted_ms;
    return n;
}

const char *jobmanager_instance(const struct cluster_pass *p)
{
    const struct obs_pod *pod = current_jm(p);

    return pod && pod->main_running ? arena_printf(p->a, "%s/%d", pod->meta.uid, pod->restarts)
                                    : NULL;
}

bool jobmanager_known(const struct cluster_pass *p)
{
    const char *instance = jobmanager_instance(p);

    return instance && p->s->flink->known && str_eq(p->s->flink->jm, instance);
}

bool operator_flag(const struct cluster_pass *p, const char *key, bool fallback)
{
    struct error err;
    bool v;

    return p->usable && !conf_bool(&p->config.conf, key, fallback, &v, &err) ? v : fallback;
}

bool is_standalone(const struct cluster_pass *p)
{
    return p->usable && p->config.allocator == ALLOCATOR_NONE;
}

struct owner deployment_owner(const struct cluster_pass *p)
{
    const struct obs_meta *m = &p->s->deployment->meta;

    return (struct owner){"apps/v1", "Deployment", m->name, m->uid};
}

struct desired_input desired_of(struct cluster_pass *p)
{
    return (struct desired_input){
        .config = &p->config,
        .cr = {"flink.apache.org/v1beta1", "FlinkDeployment", p->meta.name, p->meta.uid},
        .generation = p->meta.generation,
        .spec_hash = p->target_hash,
        .config_hash = p->config_hash,
        .job_id = p->job_id,
        .restore_path = p->restore_path,
        .operator_ns = p->s->operator_ns,
    };
}

/* How to start: the finalizer first, with what may already be made beside it. */
static bool prepare(struct cluster_pass *p)
{
    if (has_finalizer(p->cr, FINALIZER_CLUSTER))
        return true;
    plan_finalizer(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, FINALIZER_CLUSTER, true);
    /* That of an application tells of its run, which is yet to be recorded. */
    if (!p->s->deployment && !p->s->configmap && !p->application) {
        struct desired_input in = desired_of(p);

        struct action *act = plan_add(&p->plan, ACT_APPLY, KIND_CONFIGMAP, p->meta.ns,
                                      desired_configmap_name(p->a, p->meta.name));

        act->body = desired_configmap(p->a, &in);
        act->fresh = true;
    }
    return false;
}

/* ---- what the API server does not want ---- */

static struct refusal *refusal_about(struct cluster_memory *m, const struct outcome *o)
{
    if (exposure_has_kind(o->kind))
        return &m->unexposed;
    return o->kind == KIND_POD ? &m->kept : &m->refused;
}

static void learn(struct cluster_pass *p)
{
    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];
        struct refusal *r = refusal_about(&p->plan.memory, o);
        bool same = r->kind == o->kind && str_eq(r->name, o->name);

        if (o->kind == KIND_FLINKSTATESNAPSHOT) /* which the cluster does without */
            continue;
        if (o->type != ACT_APPLY && o->type != ACT_PATCH && o->type != ACT_DELETE &&
            o->type != ACT_RELEASE && o->type != ACT_READ_HA && o->type != ACT_RELABEL)
            continue;
        if (r->cause.reason && !same)
            continue;
        *r = (struct refusal){refusal_of(p->a, o), o->kind, o->name};
    }
}

const struct obs_cause *refusal(const struct cluster_pass *p)
{
    const struct cluster_memory *m = &p->plan.memory;

    /* A TaskManager too many does no harm, but nothing new starts beside an old one. */
    return m->refused.cause.reason || p->up_to_date ? &m->refused.cause : &m->kept.cause;
}

/* What is not asked for any more does not matter. */
static void forget_refusal(const struct cluster_pass *p, struct refusal *r)
{
    const struct plan *plan = &p->plan;

    if ((p->asks_ha && (r->kind == KIND_CONFIGMAP || r->kind == KIND_DEPLOYMENT)) ||
        (plan->memory.crowded_since >= 0 && r->kind == KIND_POD))
        return; /* it is asked for again when that is known */
    for (size_t i = 0; i < plan->n; i++)
        if (plan->actions[i].kind == r->kind && str_eq(plan->actions[i].name, r->name))
            return;
    *r = (struct refusal){0};
}

static bool about_image(const char *reason)
{
    return str_eq(reason, "ErrImagePull") || str_eq(reason, "ImagePullBackOff");
}

struct obs_cause steady_cause(const struct cluster_pass *p, const char *condition,
                              struct obs_cause cause)
{
    jv_foreach (c, jv_get(p->status, "conditions"))
        if (about_image(cause.reason) && str_eq(JV_STRING(*c, "type"), condition) &&
            about_image(JV_STRING(*c, "reason")))
            return (struct obs_cause){JV_STRING(*c, "reason"), JV_STRING(*c, "message")};
    return cause;
}

#define FORMER_STUCK_MS 60000 /* after the end of its grace period */

/* A pod that somebody deletes is replaced at once, while it may go on running: for its grace
 * period, or for as long as its node cannot be reached. */
static void look_for_former(struct cluster_pass *p)
{
    const struct obs_pod *current = current_jm(p);

    for (size_t i = 0; current && i < p->s->n_jm_pods; i++) {
        const struct obs_pod *pod = p->s->jm_pods[i];

        if (pod == current || !pod->main_running || pod->dead)
            continue;
        /* Of several, which stand by. */
        if (p->usable && p->config.ha && !pod->meta.deleted_ms &&
            str_eq(str_or_empty(pod->meta.spec_hash), str_or_empty(current->meta.spec_hash)))
            continue;
        int64_t left = pod->meta.deleted_ms + FORMER_STUCK_MS - p->s->wall;

        p->former = pod;
        p->former_stuck = pod->meta.deleted_ms && left <= 0;
        if (pod->meta.deleted_ms && left > 0)
            plan_wake(&p->plan, p->s->now + left);
        return;
    }
}

#define POD_READY_MS 5000 /* the kubelet looks every second */
#define SILENT_MS 10000   /* a JobManager that does not answer for so long is in trouble */

/* A session cluster that is to be deleted, and waits for its jobs. */
static bool goes_on_until_deleted(const struct cluster_pass *p)
{
    return p->meta.deleted_ms && !p->application && p->s->deployment &&
           !p->s->deployment->meta.deleted_ms;
}

bool jobmanager_tells_soon(struct cluster_pass *p)
{
    const struct obs_flink *f = p->s->flink;
    bool told = jobmanager_known(p) && f->reachable;

    if (!jobmanager_instance(p) || told ||
        (f->since && !f->reachable && p->s->now - f->since >= SILENT_MS))
        return false;
    if (f->since && !f->reachable) /* else its first answer brings us back */
        plan_wake(&p->plan, f->since + SILENT_MS);
    return true;
}

/* The incumbent does not tell which JobManager it was ready with. */
static bool first_adopted(const struct cluster_pass *p)
{
    return p->adopted && !jv_present(jv_get(p->status, "allocator"));
}

/* Which JobManager runs, and whether it is the one that the probe speaks of. We reach it at its
 * pod's address as soon as it answers; others come through the Service, which leads to a pod only
 * when that is ready, so the status does not say READY before. */
static void look_at_jobmanager(struct cluster_pass *p)
{
    const struct obs_flink *f = p->s->flink;
    const struct obs_pod *pod = current_jm(p);

    p->cause = (struct obs_cause){0};
    if (pod)
        p->cause = steady_cause(p, "Ready", pod->cause);
    else if (p->s->deployment)
        p->cause = p->s->deployment->cause;
    p->jm_instance = jobmanager_instance(p);
    look_for_former(p);

    if (!p->up_to_date && !goes_on_until_deleted(p)) {
        bool comes = p->usable && !p->meta.deleted_ms && !p->suspended && !p->over && !p->missing;

        p->jm = comes ? JM_DEPLOYING : JM_MISSING;
        return;
    }
    bool answers = jobmanager_known(p);
    /* Its pod is ready, and we have not had an answer yet: TLS that does not fit, or something
     * between us and it. */
    bool silent = !answers && p->jm_instance && pod && pod->ready && !f->known && f->since;

    p->serves = answers && (f->reachable || p->s->now - f->since < SILENT_MS);
    if (p->serves && !f->reachable)
        plan_wake(&p->plan, f->since + SILENT_MS);
    p->undecided = p->jm_instance && !f->known && !f->since &&
                   str_eq(JV_STRING(p->status, "jobManagerDeploymentStatus"), "READY") &&
                   (first_adopted(p) ||
                    str_eq(JV_STRING(p->status, "allocator", "jobManager"), p->jm_instance));
    if (p->undecided || (p->serves && pod->ready))
        p->jm = JM_READY;
    else if (p->cause.reason && !p->serves)
        p->jm = JM_ERROR;
    else if ((answers || silent) && p->s->now - f->since >= POD_READY_MS)
        p->jm = JM_DEPLOYED_NOT_READY;
    else
        p->jm = JM_DEPLOYING;
    if ((p->serves || silent) && p->jm == JM_DEPLOYING)
        plan_wake(&p->plan, f->since + POD_READY_MS);
    if (p->jm == JM_READY)
        p->cause = (struct obs_cause){0};
}

static enum probe_pace choose_pace(const struct cluster_pass *p)
{
    if (!p->s->deployment)
        return PROBE_OFF;
    if (!p->serves)
        return p->jm_instance ? PROBE_FAST : PROBE_OFF;
    bool moving = is_standalone(p) ? p->alloc.live != p->alloc.desired : p->s->n_tm_pods > 0;

    return moving || (p->has_alloc && p->alloc.slots_needed) ? PROBE_ACTIVE : PROBE_IDLE;
}

/* What the controller acts on beside the actions. */
static void tell_controller(struct cluster_pass *p)
{
    p->plan.kinds |= exposure_kinds(p);
    p->plan.pace = choose_pace(p);
    p->plan.undecided = p->undecided;
    p->plan.ready = p->serves && p->up_to_date && !p->former && !p->meta.deleted_ms &&
                    !p->application;
    p->plan.rescales = p->plan.ready && can_be_rescaled(p);
    if (p->usable)
        p->plan.keeps = state_settings_of(&p->config.conf);
    p->plan.summary = p->application ? "it is an application cluster, which runs its own job only"
                                     : describe(p).message;
    p->plan.shortage = p->alloc.problem.reason ? p->alloc.problem.message : NULL;
    p->plan.job_options = p->application
                              ? ABSENT
                              : session_job_options(p->a, p->recording || !jv_present(p->recorded)
                                                              ? p->target
                                                              : p->recorded);
    p->plan.counts = (struct cluster_counts){p->alloc.live,       p->alloc.starting,
                                             p->alloc.desired,    p->alloc.slots_total,
                                             p->alloc.slots_free, p->alloc.slots_needed};
    if (p->usable) {
        p->plan.rest_port = p->config.rest_port;
        p->plan.rest_tls = p->config.rest_tls;
        p->plan.flink_version = p->spec.version_name;
        p->plan.adaptive = str_eq(conf_lookup(&p->config.conf, "jobmanager.scheduler"), "adaptive");
    }
}

struct plan reconcile_cluster(struct arena *a, const struct cluster_snapshot *s)
{
    struct cluster_pass p = {
        .a = a,
        .s = s,
        .cr = s->cr,
        .status = jv_get(s->cr, "status"),
        /* What is planned may speak of what is remembered, and lives longer. */
        .plan = {.a = a, .next = INT64_MAX, .memory = cluster_memory_copy(a, s->memory)},
    };

    obs_meta_read(a, s->cr, &p.meta);
    if (p.meta.released && !obs_forced(&p.meta)) {
        p.plan.pace = PROBE_OFF;
        p.plan.summary = "it has been handed back to another operator";
        return p.plan;
    }
    if (p.meta.canary && !p.meta.deleted_ms) {
        p.plan.pace = PROBE_OFF;
        p.plan.summary = "it is a canary, which runs nothing";
        return p.plan;
    }
    judge(&p);
    /* What runs says it, not what this version of the operator would choose. */
    p.flinks_own = s->deployment ? s->deployment->flinks_allocator
                                 : p.usable && p.config.allocator == ALLOCATOR_FLINK;
    look_at_names(&p);
    learn(&p);
    tell_unwritten(&p.plan, KIND_FLINKDEPLOYMENT, s->cr, s->outcomes, s->n_outcomes);
    look_for_deployment(&p);
    if (p.meta.deleted_ms) {
        look_at_jobmanager(&p);
        if (p.application)
            look_at_job(&p);
        finalize(&p);
    } else {
        if (p.recording && s->deployment)
            p.progress = STOPPING;
        p.held = p.usable && prepare(&p);
        p.recording &= p.held;
        p.roll_out_from = p.plan.n;
        if (p.held && !p.recording)
            roll_out(&p);
        p.roll_out_to = p.plan.n;
        look_at_jobmanager(&p);
        look_at_references(&p);
        look_for_room(&p);
        if (p.application)
            look_after_job(&p);
        else
            look_after_references(&p);
        if (p.up_to_date && (p.flinks_own || is_standalone(&p)))
            count_taskmanagers(&p);
        else if (p.up_to_date)
            allocate_taskmanagers(&p);
    }
    forget_refusal(&p, &p.plan.memory.refused);
    forget_refusal(&p, &p.plan.memory.unexposed);
    forget_refusal(&p, &p.plan.memory.kept);
    if (!p.meta.deleted_ms && p.usable)
        look_at_exposure(&p);
    if (!p.plan.gone || refusal(&p)->reason)
        report(&p);
    hand_back(&p);
    tell_controller(&p);
    return p.plan;
}
