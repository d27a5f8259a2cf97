/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator's two ends: pods, registrations, jobs and FlinkSessionJobs go in as plain numbers,
 * and what it decides becomes actions. Names of pods are never used twice: attempt and index only
 * go up, and both are in the status.
 */
#include <string.h>

#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

#define FRESH_MS 3000

/* ---- in ---- */

/* Those that the incumbent has made in mode standalone have Flink's own ids, "<address>:<port>-…".
 */
static bool is_of_pod(const struct flink_taskmanager *tm, const struct obs_pod *pod)
{
    size_t len = pod->ip ? strlen(pod->ip) : 0;

    return !strcmp(tm->id, pod->meta.name) ||
           (len && !strncmp(tm->id, pod->ip, len) && tm->id[len] == ':');
}

static const struct flink_taskmanager *registration(const struct obs_flink *f,
                                                    const struct obs_pod *pod)
{
    for (size_t i = 0; i < f->n_tms; i++)
        if (is_of_pod(&f->tms[i], pod))
            return &f->tms[i];
    return NULL;
}

static bool was_kept(const struct cluster_snapshot *s, const char *name)
{
    for (size_t i = 0; i < s->n_outcomes; i++)
        if (s->outcomes[i].type == ACT_RELEASE && s->outcomes[i].found &&
            str_eq(s->outcomes[i].name, name))
            return true;
    return false;
}

static struct alloc_tm *pods_in(struct cluster_pass *p, bool known)
{
    const struct cluster_snapshot *s = p->s;
    struct alloc_tm *tms = arena_new_array(p->a, struct alloc_tm, s->n_tm_pods + 1);

    for (size_t i = 0; i < s->n_tm_pods; i++) {
        const struct obs_pod *pod = s->tm_pods[i];
        const struct flink_taskmanager *tm = known ? registration(s->flink, pod) : NULL;

        tms[i] = (struct alloc_tm){
            .name = pod->meta.name,
            .uid = pod->meta.uid,
            .version = pod->meta.resource_version,
            .age_ms = s->wall - pod->meta.created_ms,
            .scheduled = pod->scheduled,
            .running = pod->main_running,
            .dead = pod->dead,
            .deleting = pod->meta.deleted_ms != 0,
            .ran_ms = pod->ran_ms,
            .cause = pod->cause,
            /* Flink notices a death later than we do: the pod counts. */
            .registered = tm && pod->main_running,
            .slots = tm ? tm->slots : 0,
            .free = tm ? tm->free_slots : 0,
            .kept = was_kept(s, pod->meta.name),
        };
    }
    return tms;
}

/* Tasks of it wait for slots; of the adaptive scheduler it is the whole job. A batch job goes on
 * with any slot. */
static bool starved(const struct obs_job *j)
{
    const int *n = j->job.tasks;

    if (j->batch && n[TASKS_DEPLOYING] + n[TASKS_INITIALIZING] + n[TASKS_RUNNING] > 0)
        return false;
    return n[TASKS_SCHEDULED] > 0 || (j->job.state == JOB_CREATED && !j->job.tasks_total);
}

/* parallelism: of its spec, if it is one of ours, 0 if not. */
static struct alloc_job job_of(const struct obs_job *j, int parallelism)
{
    bool ending = j->job.state == JOB_CANCELLING || j->job.state == JOB_FAILING;

    return (struct alloc_job){
        .id = j->job.id,
        .name = j->job.name,
        /* Before its graph is known a job of ours is as wide as its spec says. */
        .need = ending          ? 0
                : j->has_detail ? j->slots_needed
                                : parallelism,
        .need_max = j->slots_needed_max,
        .waiting = flink_job_waits(&j->job),
        .starved = !ending && starved(j),
        .batch = j->batch,
    };
}

static int default_parallelism(const struct cluster_pass *p)
{
    struct error err;
    int64_t v = 1;

    return conf_int(&p->config.conf, "parallelism.default", 1, &v, &err) || v < 1 ? 1 : (int)v;
}

static bool belongs(const struct obs_session_job *cr, const char *job_id)
{
    return str_eq(cr->job_id, job_id);
}

/* What the spec of the job with this id asks for; 0: it is none of ours. */
static int parallelism_of(const struct cluster_pass *p, const char *job_id)
{
    if (p->application && str_eq(p->job_id, job_id))
        return p->config.job_parallelism;
    for (size_t k = 0; k < p->s->n_jobs; k++)
        if (belongs(p->s->jobs[k], job_id))
            return MAX(p->s->jobs[k]->parallelism, 1);
    return 0;
}

static size_t jobs_in(struct cluster_pass *p, bool known, struct alloc_job **ret)
{
    const struct cluster_snapshot *s = p->s;
    size_t n_flink = known ? s->flink->n_jobs : 0, n = 0;
    struct alloc_job *jobs = arena_new_array(p->a, struct alloc_job, n_flink + s->n_jobs + 2);

    for (size_t i = 0; i < n_flink; i++) {
        const struct obs_job *j = &s->flink->jobs[i];

        if (!job_state_terminal(j->job.state))
            jobs[n++] = job_of(j, parallelism_of(p, j->job.id));
    }
    /* Jobs that Flink does not have yet: start before it asks. */
    if (job_expected(p))
        jobs[n++] = (struct alloc_job){
            .id = p->job_id,
            .name = p->meta.name,
            .need = p->config.job_parallelism,
            .expected = true,
            .waiting = true,
        };
    for (size_t k = 0; k < s->n_jobs; k++) {
        const struct obs_session_job *cr = s->jobs[k];

        if (p->application || cr->meta.deleted_ms || cr->suspended || cr->ended || cr->failing ||
            (known && obs_flink_job(s->flink, cr->job_id)))
            continue;
        jobs[n++] = (struct alloc_job){
            .id = cr->job_id,
            .name = cr->meta.name,
            .need = cr->parallelism ? cr->parallelism : default_parallelism(p),
            .expected = true,
            .waiting = true,
        };
    }
    *ret = jobs;
    return n;
}

/* A pod that the API server refused: quota, admission, rights. */
static void creation_failure(struct cluster_pass *p, struct alloc_input *in)
{
    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];

        if (o->type != ACT_CREATE || o->kind != KIND_POD || o->ok)
            continue;
        in->create_failed = true;
        in->create_error =
            (struct obs_cause){strstr(o->error.text, "exceeded quota") ? "QuotaExceeded"
                               : o->error.code == ERR_FORBIDDEN        ? "Forbidden"
                                                                       : "TaskManagerCreateFailed",
                               str_clean(p->a, o->error.text, 1000)};
    }
}

/* ---- out ---- */

static void name_given(struct cluster_pass *p, int attempt, int index)
{
    if (attempt == p->attempt)
        p->last_index = MAX(p->last_index, index);
    else if (attempt > p->attempt)
        p->last_index = index;
    p->attempt = MAX(p->attempt, attempt);
}

/* What is no number of ours is somebody else's word, and would leave no room to count on. */
#define NUMBER_MAX 99999999

static int recorded_number(jv recorded, const char *key)
{
    int64_t n = jv_int64_or(jv_get(recorded, key), 0);

    return n > 0 && n <= NUMBER_MAX ? (int)n : 0;
}

/* The highest numbers given so far: those of the status, our own, and those of pods that neither
 * knows of, because who made them could not write it any more. */
void look_at_names(struct cluster_pass *p)
{
    jv recorded = jv_get(p->status, "allocator");

    p->attempt = recorded_number(recorded, "attempt");
    p->last_index = recorded_number(recorded, "lastIndex");
    name_given(p, p->s->memory->attempt, p->s->memory->last_index);
    for (size_t i = 0; i < p->s->n_tm_pods; i++) {
        int attempt, index;

        if (taskmanager_pod_parse(p->meta.name, p->s->tm_pods[i]->meta.name, &attempt, &index) &&
            attempt <= NUMBER_MAX && index <= NUMBER_MAX)
            name_given(p, attempt, index);
    }
}

/* A JobManager that restarted begins a new attempt, as Flink's own resource manager does. */
static void number(struct cluster_pass *p)
{
    jv recorded = jv_get(p->status, "allocator");
    const char *instance = JV_STRING(recorded, "jobManager");
    bool another = !str_empty(instance) && p->jm_instance && !str_eq(instance, p->jm_instance);
    /* Until the status says so the attempt has begun all the same. */
    bool begun = p->attempt > jv_int64_or(jv_get(recorded, "attempt"), 0);

    p->alloc_instance = p->jm_instance ? p->jm_instance : instance;
    if ((another && !begun) || !p->attempt) {
        p->attempt++;
        p->last_index = 0;
    }
}

static bool exists(const struct cluster_pass *p, const char *name)
{
    for (size_t i = 0; i < p->s->n_tm_pods; i++)
        if (!strcmp(p->s->tm_pods[i]->meta.name, name))
            return true;
    return false;
}

static void retry_later(struct cluster_pass *p, const char *name)
{
    struct cluster_memory *m = &p->plan.memory;
    int attempt, index;

    if (taskmanager_pod_parse(p->meta.name, name, &attempt, &index) && attempt == p->attempt &&
        !exists(p, name))
        m->retries[m->n_retries++] = name;
}

static void look_at_retries(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;
    const struct cluster_memory old = *m;

    m->retries = arena_new_array(p->a, const char *, old.n_retries + p->s->n_outcomes + 1);
    m->n_retries = 0;
    for (size_t i = 0; i < old.n_retries; i++)
        retry_later(p, old.retries[i]);
    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];

        if (o->type == ACT_CREATE && o->kind == KIND_POD && !o->ok)
            retry_later(p, o->name);
    }
}

static const char *next_name(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;

    return m->n_retries ? m->retries[--m->n_retries]
                        : taskmanager_pod_name(p->a, p->meta.name, p->attempt, ++p->last_index);
}

static void create(struct cluster_pass *p, int n)
{
    struct desired_input in = desired_of(p);
    struct owner owner = deployment_owner(p);

    for (int i = 0; i < n; i++) {
        const char *name = next_name(p);

        plan_add(&p->plan, ACT_CREATE, KIND_POD, p->meta.ns, name)->body =
            desired_taskmanager(p->a, &in, name, &owner);
    }
}

static void take_away(struct cluster_pass *p)
{
    for (size_t i = 0; i < p->alloc.n_remove; i++) {
        const struct alloc_removal *r = &p->alloc.remove[i];
        struct action *act = plan_add(&p->plan, r->recheck ? ACT_RELEASE : ACT_DELETE, KIND_POD,
                                      p->meta.ns, r->tm->name);

        act->uid = r->tm->uid;
        /* It does not run yet, or so we think: it may serve already. */
        if (!r->recheck && !r->tm->dead)
            act->version = r->tm->version;
        act->reason = r->why;
        act->cluster = p->meta.name;
        if (r->cause.reason) /* its pod and its log go */
            plan_event(
                &p->plan, KIND_FLINKDEPLOYMENT, p->cr, true, "Operator", "TaskManagerFailed",
                arena_printf(p->a, "TaskManager %s: %s", r->tm->name,
                             str_empty(r->cause.message) ? r->cause.reason : r->cause.message));
    }
}

/* What keeps a TaskManager from starting (no node, no image, no volume), told by the first of them.
 */
static struct obs_cause starting_cause(const struct cluster_pass *p, const struct alloc_input *in)
{
    const struct alloc_tm *first = NULL;

    for (size_t i = 0; i < in->n_tms; i++) {
        const struct alloc_tm *tm = &in->tms[i];

        if (!tm->registered && !tm->dead && !tm->deleting && tm->cause.reason &&
            (!first || strcmp(tm->name, first->name) < 0))
            first = tm;
    }
    return first ? steady_cause(p, "TaskManagersReady", first->cause) : (struct obs_cause){0};
}

/* What goes into the allocator, whoever acts on what comes out. */
static struct alloc_input allocation_input(struct cluster_pass *p)
{
    const struct cluster_snapshot *s = p->s;
    struct alloc_job *jobs;
    struct alloc_input in = {.policy = p->config.alloc,
                             .n_tms = s->n_tm_pods,
                             .now = s->now,
                             /* An application starts its job by itself. One that is rescaled gives
                              * its slots back for a moment. */
                             .hold = s->submitting || job_expected(p) || jv_present(p->overrides),
                             /* A TaskManager that the new JobManager does not know may still serve
                              * the former one. */
                             .flink_known = jobmanager_known(p) && !p->former};

    in.jobmanager = jobmanager_instance(p);
    in.flink_fresh = in.flink_known && s->flink->reachable && s->now - s->flink->at < FRESH_MS;
    in.flink_ms = s->flink->reachable ? s->now - s->flink->since : 0;
    in.tms = pods_in(p, in.flink_known);
    in.n_jobs = jobs_in(p, in.flink_known, &jobs);
    in.jobs = jobs;
    return in;
}

/* Why there are not as many as in the spec of a cluster in mode standalone, or not enough. */
static struct obs_cause fixed_cause(struct cluster_pass *p, const struct alloc_input *in)
{
    struct obs_cause cause = p->alloc.problem;

    if (!cause.reason || p->config.reactive) /* which does with what there is */
        cause = starting_cause(p, in);
    return cause.reason || !p->s->tm_deployment ? cause : p->s->tm_deployment->cause;
}

/* Carries the allocator's notes on; a new spec deserves new patience. */
static void run_allocator(struct cluster_pass *p, const struct alloc_input *in)
{
    struct cluster_memory *m = &p->plan.memory;

    if (!str_eq(m->spec_hash, p->target_hash)) {
        m->alloc = alloc_memory_initial();
        m->spec_hash = p->target_hash;
    }
    p->alloc = allocate(p->a, in, &m->alloc);
    m->alloc = p->alloc.memory;
    plan_wake(&p->plan, p->alloc.next);
    p->has_alloc = true;
}

/* Flink's own allocator decides, or the user: this only tells what there is. */
void count_taskmanagers(struct cluster_pass *p)
{
    struct alloc_input in = allocation_input(p);

    if (is_standalone(p)) {
        run_allocator(p, &in);
        p->alloc.problem = fixed_cause(p, &in);
    } else {
        struct alloc_memory none = alloc_memory_initial();

        p->alloc = allocate(p->a, &in, &none);
        p->alloc.desired = p->alloc.live + p->alloc.starting;
        p->alloc.problem = starting_cause(p, &in);
        p->has_alloc = true;
    }
    p->alloc_instance = p->jm_instance ? p->jm_instance
                                       : JV_STRING(p->status, "allocator", "jobManager");
}

#define CREATE_AT_ONCE 100 /* the rest follows in the next pass */

void allocate_taskmanagers(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;
    struct alloc_input in = allocation_input(p);

    creation_failure(p, &in);
    run_allocator(p, &in);
    if (!p->alloc.problem.reason)
        p->alloc.problem = starting_cause(p, &in);
    if (!p->alloc.problem.reason)
        p->alloc.problem = m->kept.cause;
    if (lacks_room(p) && (p->s->n_tm_pods || p->alloc.create))
        make_room(p);
    number(p);
    look_at_retries(p);
    create(p, MIN(p->alloc.create, CREATE_AT_ONCE));
    m->attempt = p->attempt;
    m->last_index = p->last_index;
    take_away(p);
}
