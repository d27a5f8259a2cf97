/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a key to a plan and back: takes ready keys from the queues, builds the snapshot, calls the
 * pure reconcile function, hands the plan to the executor and learns how it ended.
 */
#include "controller_internal.h"
#include "flinkop/clock.h"
#include "flinkop/desired.h"
#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/slab.h"
#include "flinkop/str.h"

#define TURN_KEYS 32 /* reconciled in one turn of the loop, so that it stays answerable */
#define TURN_MS 5
/* What is to be done waits in the queue, where edits by users come first, and not as calls that
 * have begun to time out. The API server is called on 64 connections; submissions last longer. */
#define CLUSTERS_IN_FLIGHT 64
#define JOBS_IN_FLIGHT 256
/* Of each kind; what waits for Flink does not take the others' places as long as there are these.
 */
#define ON_FLINK 256
#define SUBMISSIONS 4    /* of jobs to one cluster at a time: main() runs in its JobManager */
#define HELD_MS 10000    /* the others look again, should nobody tell them */
#define MEMORY_BLOCK 150 /* bytes; holds the notes about a quiet resource */

const enum kube_kind controlled[3] = {KIND_FLINKDEPLOYMENT, KIND_FLINKSESSIONJOB,
                                      KIND_FLINKSTATESNAPSHOT};

static struct metric reconciles = METRIC_COUNTER("controller_runtime_reconcile_total",
                                                 "Total number of reconciliations per controller",
                                                 "controller", "result");
static struct metric reconcile_errors =
    METRIC_COUNTER("controller_runtime_reconcile_errors_total",
                   "Total number of reconciliation errors per controller", "controller");
static struct metric reconcile_seconds = METRIC_HISTOGRAM(
    "controller_runtime_reconcile_time_seconds", "Length of time per reconciliation per controller",
    metric_seconds_buckets, "controller");
static struct metric active_workers =
    METRIC_GAUGE("controller_runtime_active_workers",
                 "Number of currently used workers per controller", "controller");

static struct metric most_workers =
    METRIC_GAUGE("controller_runtime_max_concurrent_reconciles",
                 "Maximum number of concurrent reconciles per controller", "controller");

static size_t most_in_flight(enum kube_kind kind)
{
    return kind == KIND_FLINKDEPLOYMENT ? CLUSTERS_IN_FLIGHT : JOBS_IN_FLIGHT;
}

void reconcile_metrics_begin(enum kube_kind kind, const char *name)
{
    static const char *const results[] = {"success", "error", "requeue", "requeue_after"};

    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        metric_add(&reconciles, 0, name, results[i]);
    metric_add(&reconcile_errors, 0, name);
    metric_set(&active_workers, 0, name);
    metric_set(&most_workers, (double)most_in_flight(kind), name);
}

/* In controller-runtime's words: requeue is at once, requeue_after at a time that the plan gave. */
static const char *result_of(const struct target *t, bool failed)
{
    if (failed)
        return "error";
    if (t->n_outcomes)
        return "requeue";
    return t->comes_back ? "requeue_after" : "success";
}

/* ---- queueing ---- */

static void pump(void *arg);

void pump_soon(struct controller *c)
{
    if (c->pumping || c->draining)
        return;
    c->pumping = true;
    loop_defer(c->loop, c, pump, c);
}

void enqueue(struct controller *c, enum kube_kind kind, const char *key,
             enum workqueue_priority priority)
{
    if (!store_get_key(c->stores[kind], key) && !strmap_get(&c->kinds[kind].targets, key))
        return;
    /* All of it is queued when it is; what is not watched any more has its target dropped. */
    if (!watches_in_step(c, key) && watches_cover(c, key))
        return;
    workqueue_add(c->kinds[kind].queue, key, priority, loop_now(c->loop));
    pump_soon(c);
}

/* ---- snapshots ---- */

static const struct obs_meta *meta_of(struct controller *c, enum kube_kind kind, const char *ns,
                                      const char *name)
{
    const struct stored *s = store_get(c->stores[kind], ns, name);

    return s ? s->meta : NULL;
}

/* One cluster may have the name of another one's TaskManagers. */
static const struct obs_deployment *deployment_of(struct controller *c, const char *ns,
                                                  const char *name, const char *component)
{
    const struct stored *s = store_get(c->stores[KIND_DEPLOYMENT], ns, name);

    return s && str_eq(s->meta->component, component) ? s->view : NULL;
}

/* One of somebody else that has the name is not ours to take away. */
static const struct obs_deployment *tm_deployment_of(struct controller *c,
                                                     const struct obs_meta *cr, const char *name)
{
    const struct obs_deployment *d = deployment_of(c, cr->ns, name, COMPONENT_TM);

    return d && (d->meta.spec_hash || str_eq(d->meta.owner_uid, cr->uid)) ? d : NULL;
}

static void add_pods(struct arena *a, struct controller *c, const char *key,
                     struct cluster_snapshot *s)
{
    size_t n;
    const struct stored *const *pods = store_by_index(c->stores[KIND_POD], key, &n);
    const struct obs_pod **jm = arena_new_array(a, const struct obs_pod *, n + 1);
    const struct obs_pod **tm = arena_new_array(a, const struct obs_pod *, n + 1);

    for (size_t i = 0; i < n; i++) {
        const struct obs_pod *pod = pods[i]->view;

        if (str_eq(pod->meta.component, "jobmanager"))
            jm[s->n_jm_pods++] = pod;
        else
            tm[s->n_tm_pods++] = pod;
    }
    s->jm_pods = jm;
    s->tm_pods = tm;
}

static void add_jobs(struct arena *a, struct controller *c, const char *key,
                     struct cluster_snapshot *s)
{
    const struct strmap *targets = &c->kinds[KIND_FLINKSESSIONJOB].targets;
    size_t n;
    const struct stored *const *jobs = store_by_index(c->stores[KIND_FLINKSESSIONJOB], key, &n);
    const struct obs_session_job **list = arena_new_array(a, const struct obs_session_job *, n + 1);

    for (size_t i = 0; i < n; i++) {
        const struct target *job = strmap_get(targets, jobs[i]->key);

        list[i] = jobs[i]->view;
        s->submitting |= job && job->submitting;
    }
    s->jobs = list;
    s->n_jobs = n;
}

static void add_exposure(struct arena *a, struct controller *c, const struct obs_meta *cr,
                         const char *key, struct cluster_snapshot *s)
{
    for (enum exposure e = 0; e < EXPOSURE_COUNT; e++) {
        struct exposure_view *v = &s->exposure[e];
        enum kube_kind kind = exposure_kind(e);
        const struct stored *found =
            store_get(c->stores[kind], cr->ns, exposure_name(a, e, cr->name));

        v->served = watches_served(c, kind, key, &v->error);
        if (v->served == SERVED_YES && found)
            v->object = found->view;
    }
}

static struct plan plan_cluster(struct controller *c, struct target *t, const struct stored *cr,
                                jv object, struct arena *a)
{
    const char *ns = cr->meta->ns, *name = cr->meta->name;

    struct cluster_snapshot s = {
        .cr = object,
        .defaults = c->config->defaults,
        .selector = c->config->selector,
        .deployment = deployment_of(c, ns, name, COMPONENT_JM),
        .tm_deployment = tm_deployment_of(c, cr->meta, desired_taskmanagers_name(a, name)),
        .configmap = meta_of(c, KIND_CONFIGMAP, ns, arena_printf(a, "flink-config-%s", name)),
        .internal_service = meta_of(c, KIND_SERVICE, ns, name),
        .rest_service = meta_of(c, KIND_SERVICE, ns, arena_printf(a, "%s-rest", name)),
        .fresh_job_id = fresh_id(a),
        .operator_ns = c->operator_ns,
        .flink = probe_result(t->probe),
        .outcomes = t->outcomes,
        .n_outcomes = t->n_outcomes,
        .memory = &t->cluster,
        .now = loop_now(c->loop),
        .wall = clock_wall_ms(),
    };

    s.snapshots = snapshots_of(a, c, KIND_FLINKDEPLOYMENT, t->key);
    watches_references(c, a, cr, &s.references);
    add_exposure(a, c, cr->meta, t->key, &s);
    add_pods(a, c, t->key, &s);
    add_jobs(a, c, t->key, &s);
    return reconcile_cluster(a, &s);
}

static void keep_cluster(struct controller *c, struct target *t, const struct plan *plan)
{
    struct arena old = t->memory_arena;
    const char *ready_jm = plan->ready ? probe_result(t->probe)->jm : NULL;
    bool same_ready = str_eq(t->ready_jm, ready_jm), had_ended = t->ended,
         was_undecided = t->undecided || !t->planned;
    const char *summary = plan->ready ? NULL : plan->summary; /* nobody waits */
    bool news = !str_eq(t->summary, summary) || !str_eq(t->shortage, plan->shortage);
    bool others = target_keep_job_options(t, plan->job_options);

    arena_init_small(&t->memory_arena, MEMORY_BLOCK);
    t->cluster = cluster_memory_copy(&t->memory_arena, &plan->memory);
    arena_free(&old);
    t->planned = true;
    if (!same_ready)
        slab_str_replace(&t->ready_jm, ready_jm);
    t->rescales = plan->rescales;
    t->keeps = plan->keeps;
    t->undecided = plan->undecided;
    t->counts = plan->counts;
    t->ended = plan->ended;
    if (plan->rest_port) {
        t->rest_port = plan->rest_port;
        t->rest_tls = plan->rest_tls;
    }
    if (news) {
        slab_str_replace(&t->summary, summary);
        slab_str_replace(&t->shortage, plan->shortage);
    }
    if (plan->flink_version && !str_eq(t->flink_version, plan->flink_version))
        slab_str_replace(&t->flink_version, plan->flink_version);
    if (!str_eq(t->references, plan->references))
        slab_str_replace(&t->references, plan->references);
    probe_set_pace(t->probe, plan->pace, plan->adaptive);
    watches_ask(c, t, plan->kinds);
    if (!same_ready || had_ended != t->ended || was_undecided != t->undecided || news || others)
        enqueue_jobs_of(c, t->key);
    if (had_ended != t->ended)
        enqueue_snapshots_in(c, t->key);
}

/* Where another JobManager is asked by now than the last plan was about, the former one may still
 * run its jobs: whether it does is for the next plan to say. */
static bool cluster_ready(struct target *ct)
{
    return ct->ready_jm && str_eq(ct->ready_jm, target_flink(ct)->jm);
}

static struct plan plan_job(struct controller *c, struct target *t, const struct stored *cr,
                            jv object, struct arena *a)
{
    const struct obs_session_job *view = cr->view;
    const char *name = str_or_empty(view->deployment_name);
    const struct stored *cluster = store_get(c->stores[KIND_FLINKDEPLOYMENT], view->meta.ns, name);
    struct target *ct = cluster ? strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, cluster->key)
                                : NULL;
    enum presence presence = watches_presence(c, KIND_FLINKDEPLOYMENT, view->meta.ns, name);
    const char *left_out = presence == LEFT_OUT ? left_out_text(c, a, name) : NULL;
    const struct obs_flink nothing_known = {.error = left_out};

    if (cluster && cluster->meta->released && !obs_forced(cr->meta))
        return (struct plan){.a = a, .next = INT64_MAX};
    const struct job_snapshot s = {
        .cr = object,
        .defaults = c->config->defaults,
        .selector = c->config->selector,
        .cluster_exists = presence != NOT_PRESENT,
        .cluster_ended = ct && ct->ended,
        .cluster_ready = ct && cluster_ready(ct),
        .cluster_releasing = ct && ct->releasing,
        .cluster_busy = ct && ct->submissions >= SUBMISSIONS,
        .cluster_rescales = ct && ct->rescales,
        .cluster_keeps = ct ? ct->keeps : (struct state_settings){0},
        .cluster_undecided = presence == PRESENT_SOON ||
                             (cluster && (!ct || !ct->planned || ct->undecided)),
        .cluster_text =
            str_or(left_out, arena_printf(a, "waiting for FlinkDeployment %s: %s", name,
                                          ct && ct->summary ? ct->summary : "not ready")),
        .cluster_shortage = ct ? ct->shortage : NULL,
        .cluster_options = target_job_options(a, ct, cluster),
        .flink_version_name = ct ? ct->flink_version : NULL,
        .flink = ct ? target_flink(ct) : &nothing_known,
        .snapshots = snapshots_of(a, c, KIND_FLINKSESSIONJOB, t->key),
        .outcomes = t->outcomes,
        .n_outcomes = t->n_outcomes,
        .memory = &t->job,
        .fresh_job_id = own_job_id(a, JV_STRING(object, "metadata", "uid"), fresh_id(a)),
        .now = loop_now(c->loop),
        .wall = clock_wall_ms(),
    };
    struct job_plan plan = reconcile_session_job(a, &s);
    struct arena old = t->memory_arena;

    arena_init_small(&t->memory_arena, MEMORY_BLOCK);
    t->job = job_memory_copy(&t->memory_arena, &plan.memory);
    arena_free(&old);
    t->held = plan.held;
    if (t->held)
        plan_wake(&plan.plan, s.now + HELD_MS);
    return plan.plan;
}

/* ---- reconciling ---- */

/* Taking TaskManagers away and submitting jobs to them wait for each other. */
static void let_others_go_on(struct target *t)
{
    struct controller *c = t->c;
    const struct stored *job;

    if (t->releasing)
        enqueue_jobs_of(c, t->key);
    t->releasing = false;
    if (!t->submitting || --t->submitting)
        return;
    job = store_get_key(c->stores[KIND_FLINKSESSIONJOB], t->key);
    if (job && job->index)
        enqueue(c, KIND_FLINKDEPLOYMENT, job->index, PRIORITY_NORMAL);
}

static void take_place(struct target *t, const struct plan *plan)
{
    struct kind_control *k = &t->c->kinds[t->kind];
    bool waits = false;

    for (size_t i = 0; i < plan->n; i++)
        waits |= action_asks_flink(plan->actions[i].type);
    t->place = waits && k->on_flink < ON_FLINK ? &k->on_flink : &k->in_flight;
    ++*t->place;
}

static void submission_begins(struct target *t)
{
    struct controller *c = t->c;
    const struct stored *job = store_get_key(c->stores[KIND_FLINKSESSIONJOB], t->key);
    struct target *cluster = strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, job->index);

    if (!cluster)
        return;
    cluster->submissions++;
    t->submits_to = slab_strdup(cluster->key);
}

/* Its place is for one that was held. */
static void submission_ended(struct target *t)
{
    struct controller *c = t->c;
    struct target *cluster = strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, t->submits_to);
    size_t n;
    const struct stored *const *jobs =
        store_by_index(c->stores[KIND_FLINKSESSIONJOB], t->submits_to, &n);

    if (cluster && cluster->submissions)
        cluster->submissions--;
    for (size_t i = 0; i < n; i++) {
        struct target *job = strmap_get(&c->kinds[KIND_FLINKSESSIONJOB].targets, jobs[i]->key);

        if (job && job->held) {
            job->held = false;
            enqueue(c, KIND_FLINKSESSIONJOB, job->key, PRIORITY_NORMAL);
            break;
        }
    }
    slab_str_replace(&t->submits_to, NULL);
}

/* How long the API server asks to be left alone with it. */
static int64_t retry_after(const struct outcome *outcomes, size_t n)
{
    int most = 0;

    for (size_t i = 0; i < n; i++)
        most = outcomes[i].ok ? most : MAX(most, outcomes[i].error.retry_after_ms);
    return most;
}

/* It may have been written all the same. */
static bool unanswered(const struct outcome *o)
{
    enum errc code = o->error.code;

    return o->type == ACT_STATUS && !o->ok &&
           (code == ERR_TIMEOUT || code == ERR_SERVER || code == ERR_PARSE ||
            code == ERR_TOO_LARGE);
}

/* again: without waiting for anything to change. */
static void pass_ended(struct target *t, bool failed, bool again, int retry_ms)
{
    struct controller *c = t->c;
    struct kind_control *k = &c->kinds[t->kind];
    int64_t now = loop_now(c->loop);

    t->running = NULL;
    operator_config_let_go(TAKE_PTR(t->config));
    if (!watches_cover(c, t->key)) {
        watches_forget(c, t->key); /* what its answers have brought */
        enqueue(c, t->kind, t->key, PRIORITY_LOW);
    }
    metric_add(&reconciles, 1, k->name, result_of(t, failed));
    if (failed)
        metric_add(&reconcile_errors, 1, k->name);
    metric_observe(&reconcile_seconds, (double)(now - t->started) / 1000, k->name);
    metric_add(&active_workers, -1, k->name);
    if (failed)
        workqueue_add_backoff(k->queue, t->key, retry_ms, now);
    else if (again)
        workqueue_add(k->queue, t->key, PRIORITY_NORMAL, now);
    workqueue_done(k->queue, t->key, now);
    --*t->place;
    c->in_flight--;
    if (c->draining && !c->in_flight && c->drained)
        loop_defer(c->loop, c, c->drained, c->drained_arg);
    pump_soon(c);
}

/* The outcomes of the execution before are still for the next plan, but for what was looked up by
 * then, which may have changed; and its back-off goes on. */
static void looked_up(void *arg, const struct outcome *outcomes, size_t n, bool failed)
{
    struct target *t = arg;

    t->unsure = failed;
    for (size_t i = 0; i < t->n_outcomes; i++)
        t->outcomes[i].ok &= t->outcomes[i].type != ACT_LOOK_UP;
    pass_ended(t, failed, true, retry_after(outcomes, n));
}

static void execution_done(void *arg, const struct outcome *outcomes, size_t n, bool failed)
{
    struct target *t = arg;
    bool looked = false;

    t->begins = false; /* else it is unsure */
    if (t->submits_to)
        submission_ended(t);
    let_others_go_on(t);
    arena_free(&t->outcome_arena);
    t->outcomes = n ? arena_new_array(&t->outcome_arena, struct outcome, n) : NULL;
    t->n_outcomes = n;
    for (size_t i = 0; i < n; i++) {
        struct outcome *o = &t->outcomes[i];

        *o = outcomes[i];
        t->unsure |= unanswered(o);
        looked |= o->type == ACT_LOOK_UP;
        o->name = o->name ? arena_strdup(&t->outcome_arena, o->name) : NULL;
        o->job_id = o->job_id ? arena_strdup(&t->outcome_arena, o->job_id) : NULL;
        o->trigger = o->trigger ? arena_strdup(&t->outcome_arena, o->trigger) : NULL;
        o->text = o->text ? arena_strdup(&t->outcome_arena, o->text) : NULL;
    }
    if (!failed && !looked) /* what it was looked up for may fail each time */
        workqueue_forget(t->c->kinds[t->kind].queue, t->key);
    pass_ended(t, failed, n > 0, retry_after(outcomes, n)); /* they are for the next pass */
}

/* A FlinkSessionJob whose job takes any free slot in a moment. */
static bool takes_slots(const struct action *act)
{
    return act->kind == KIND_FLINKSESSIONJOB &&
           (act->type == ACT_SUBMIT_JOB || act->type == ACT_RESCALE_JOB);
}

static void begin(struct target *t, struct arena *a, const struct plan *plan,
                  execution_done_fn done)
{
    struct controller *c = t->c;

    log_debug("planned", KV_INT("actions", (int64_t)plan->n));
    t->started = loop_now(c->loop);
    metric_add(&active_workers, 1, c->kinds[t->kind].name);
    take_place(t, plan);
    c->in_flight++;
    t->config = operator_config_hold(c->config); /* the plan refers to it */
    t->running = execution_start(&c->executor, a, plan, done, t);
}

/* Nothing is made of what was recorded before, and nothing is planned, which would have to be
 * forgotten again. */
static void look_up(struct target *t, struct arena *a, const struct stored *cr)
{
    struct action *act = arena_new(a, struct action);

    *act = (struct action){.type = ACT_LOOK_UP,
                           .kind = t->kind,
                           .ns = cr->meta->ns,
                           .name = cr->meta->name,
                           .uid = cr->meta->uid,
                           .body = ABSENT};
    begin(t, a, &(struct plan){.a = a, .actions = act, .n = 1}, looked_up);
}

static void plan_and_execute(struct target *t, struct arena *a, const struct stored *cr)
{
    struct controller *c = t->c;
    struct kind_control *k = &c->kinds[t->kind];
    jv object = stored_object(a, cr);
    struct plan plan;

    if (t->kind == KIND_FLINKDEPLOYMENT) {
        plan = plan_cluster(c, t, cr, object, a);
        keep_cluster(c, t, &plan);
    } else if (t->kind == KIND_FLINKSTATESNAPSHOT) {
        plan = plan_snapshot(c, t, cr, object, a).plan;
    } else {
        plan = plan_job(c, t, cr, object, a);
    }
    t->n_outcomes = 0;
    t->comes_back = plan.next != INT64_MAX;
    if (t->comes_back)
        workqueue_add_at(k->queue, t->key, plan.next);
    for (size_t i = 0; i < plan.n; i++) {
        t->releasing |= plan.actions[i].type == ACT_RELEASE;
        if (takes_slots(&plan.actions[i]))
            t->submitting = 2;
        if (plan.actions[i].type == ACT_SUBMIT_JOB)
            submission_begins(t);
    }
    begin(t, a, &plan, execution_done);
}

static void reconcile(struct controller *c, struct kind_control *k, enum kube_kind kind,
                      const char *key)
{
    const struct stored *cr = store_get_key(c->stores[kind], key);
    bool watched = watches_cover(c, key);
    cleanup_arena struct arena a = {0};

    if (watched && !watches_in_step(c, key)) { /* it is queued again when it is */
        workqueue_done(k->queue, key, loop_now(c->loop));
        return;
    }
    struct target *t = target_get(c, kind, key);

    if (!cr || !watched) {
        workqueue_done(k->queue, key, loop_now(c->loop));
        target_drop(c, t);
        return;
    }
    random_hex(t->reconcile_id, 8);
    const struct log_kv scope[] = {KV("controller", k->name), KV("namespace", cr->meta->ns),
                                   KV("name", cr->meta->name), KV("reconcileID", t->reconcile_id),
                                   KV_INT("generation", cr->meta->generation)};

    log_set_scope(scope, ARRAY_SIZE(scope));
    if (t->unsure)
        look_up(t, &a, cr);
    else
        plan_and_execute(t, &a, cr);
    log_set_scope(NULL, 0);
}

/* Of one namespace: half of the places are for whoever comes, of the others it has some only if it
 * has fewer than a quarter. What is done slowly in one leaves room for the others. */
static size_t share(const struct kind_control *k, size_t most)
{
    return k->in_flight < most / 2 ? SIZE_MAX : most / 4;
}

static void pump(void *arg)
{
    struct controller *c = arg;
    int64_t started = clock_mono_ms(), next = INT64_MAX;
    int budget = TURN_KEYS;

    c->pumping = false;
    if (c->draining)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        struct kind_control *k = &c->kinds[controlled[i]];
        size_t most = most_in_flight(controlled[i]);
        const char *key;

        while (budget > 0 && k->in_flight < most && clock_mono_ms() - started < TURN_MS &&
               (key = workqueue_get(k->queue, loop_now(c->loop), share(k, most)))) {
            reconcile(c, k, controlled[i], key);
            budget--;
        }
        if (k->in_flight < most) /* else the end of an execution brings us here again */
            next = MIN(next, workqueue_next(k->queue, loop_now(c->loop), share(k, most)));
    }
    if (next <= loop_now(c->loop))
        pump_soon(c);
    else if (next != INT64_MAX)
        timer_start(c->timer, next - loop_now(c->loop));
}
