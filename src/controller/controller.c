/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   watch ──► store ──► queue ──► snapshot ──► reconcile (pure) ──► executor ──► API server, Flink
 *               ▲                     ▲                                 │
 *               └──── write-through ──┼─────────────────────────────────┘
 *                                   probes
 *
 * A resource under control is a `target`. One plan per target is in flight; whatever happens in the
 * meantime makes the queue hand its key out again. Keys, never pointers, cross a turn of the loop.
 */
#include "flinkop/controller.h"

#include <stdio.h>
#include <string.h>

#include "executor.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/hash.h"
#include "flinkop/http.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_events.h"
#include "flinkop/kube_watch.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/plan.h"
#include "flinkop/str.h"
#include "flinkop/workqueue.h"
#include "probe.h"
#include "store.h"

#define TURN_KEYS 32 /* reconciled in one turn of the loop, so that it stays answerable */
#define TURN_MS 5
#define BACKOFF_MAX_MS 60000

/* What is watched. Cluster objects are found by their labels; of Services and ConfigMaps only the
 * metadata matters. */
static const struct kube_watch_spec watched[] = {
    {.kind = KIND_FLINKDEPLOYMENT},
    {.kind = KIND_FLINKSESSIONJOB},
    {.kind = KIND_DEPLOYMENT, .label_selector = "app,component=jobmanager,type"},
    {.kind = KIND_POD, .label_selector = "app,component in (jobmanager,taskmanager),type"},
    {.kind = KIND_SERVICE, .label_selector = "app,type", .metadata_only = true},
    {.kind = KIND_CONFIGMAP, .label_selector = "app,type", .metadata_only = true},
};

struct watcher {
    struct controller *c;
    struct kube_watch *watch;
    struct store *store;
    char *ns; /* NULL: all */
    uint64_t mark;
    bool troubled;
};

/* A FlinkDeployment or FlinkSessionJob. */
struct target {
    struct controller *c;
    enum kube_kind kind;
    char *key;
    struct arena memory_arena;
    struct cluster_memory cluster;
    struct job_memory job;
    struct arena outcome_arena; /* of the last execution, for the next pass */
    struct outcome *outcomes;
    size_t n_outcomes;
    struct execution *running;
    char reconcile_id[17];
    int64_t started;

    /* FlinkDeployment */
    struct probe *probe;
    int rest_port;
    bool ready;
    char *summary;
    char *jm; /* who is asked by the probe in this turn */
};

struct kind_control {
    const char *name; /* label `controller` of the metrics */
    struct workqueue *queue;
    struct strmap targets; /* key -> struct target */
};

struct controller {
    struct loop *loop;
    struct kube_client *kube;
    const struct flink_defaults *defaults;
    struct flink_client *flink;
    struct executor executor;
    struct store *stores[KIND_COUNT];
    struct watcher *watchers;
    size_t n_watchers;
    struct kind_control kinds[KIND_COUNT];
    struct timer *timer; /* for the next delayed key */
    bool pumping;        /* a pump is deferred */
    bool draining;
    size_t in_flight;
    void (*drained)(void *arg);
    void *drained_arg;
};

static const enum kube_kind controlled[] = {KIND_FLINKDEPLOYMENT, KIND_FLINKSESSIONJOB};

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

/* ---- queueing ---- */

static void pump(void *arg);

static void pump_soon(struct controller *c)
{
    if (c->pumping || c->draining)
        return;
    c->pumping = true;
    loop_defer(c->loop, c, pump, c);
}

static void enqueue(struct controller *c, enum kube_kind kind, const char *key,
                    enum workqueue_priority priority)
{
    if (!store_get_key(c->stores[kind], key) && !strmap_get(&c->kinds[kind].targets, key))
        return;
    workqueue_add(c->kinds[kind].queue, key, priority, loop_now(c->loop));
    pump_soon(c);
}

static void enqueue_jobs_of(struct controller *c, const char *cluster_key)
{
    size_t n;
    const struct stored *const *jobs =
        store_by_index(c->stores[KIND_FLINKSESSIONJOB], cluster_key, &n);

    for (size_t i = 0; i < n; i++)
        enqueue(c, KIND_FLINKSESSIONJOB, jobs[i]->key, PRIORITY_NORMAL);
}

/* ---- targets ---- */

static bool probe_target(void *arg, struct flink_endpoint *ret, const char **ret_jm);
static void probe_changed(void *arg);

static struct target *target_get(struct controller *c, enum kube_kind kind, const char *key)
{
    struct target *t = strmap_get(&c->kinds[kind].targets, key);

    if (t)
        return t;
    t = xcalloc(1, sizeof(*t));
    *t = (struct target){.c = c, .kind = kind, .key = xstrdup(key)};
    arena_init_small(&t->memory_arena, 500);
    arena_init_small(&t->outcome_arena, 1000);
    t->cluster = cluster_memory_initial();
    t->job = job_memory_initial();
    if (kind == KIND_FLINKDEPLOYMENT)
        t->probe =
            probe_new(c->loop, c->flink, &(struct probe_owner){probe_target, probe_changed, t});
    strmap_put(&c->kinds[kind].targets, key, t);
    return t;
}

static void target_free(struct target *t)
{
    execution_free(t->running);
    probe_free(t->probe);
    arena_free(&t->memory_arena);
    arena_free(&t->outcome_arena);
    free(t->summary);
    free(t->jm);
    free(t->key);
    free(t);
}

static void target_drop(struct controller *c, struct target *t)
{
    workqueue_remove(c->kinds[t->kind].queue, t->key);
    strmap_remove(&c->kinds[t->kind].targets, t->key);
    target_free(t);
}

/* ---- the JobManager of a cluster ---- */

static const struct obs_pod *jobmanager_pod(struct controller *c, const char *key)
{
    const struct obs_pod *best = NULL;
    size_t n;
    const struct stored *const *pods = store_by_index(c->stores[KIND_POD], key, &n);

    for (size_t i = 0; i < n; i++) {
        const struct obs_pod *pod = pods[i]->view;

        if (!str_eq(pod->meta.component, "jobmanager") || pod->meta.deleted_ms ||
            !pod->main_running || str_empty(pod->ip))
            continue;
        if (!best || pod->meta.created_ms > best->meta.created_ms)
            best = pod;
    }
    return best;
}

static bool jobmanager_of(struct controller *c, const char *key, struct flink_endpoint *ret)
{
    const struct obs_pod *pod = jobmanager_pod(c, key);
    const struct target *t = strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, key);

    if (!pod || !t || !t->rest_port)
        return false;
    *ret = (struct flink_endpoint){pod->meta.ns, pod->meta.name, pod->ip, t->rest_port};
    return true;
}

static bool probe_target(void *arg, struct flink_endpoint *ret, const char **ret_jm)
{
    struct target *t = arg;
    const struct obs_pod *pod = jobmanager_pod(t->c, t->key);

    if (!pod || !jobmanager_of(t->c, t->key, ret))
        return false;
    free(t->jm);
    t->jm = xasprintf("%s/%d", pod->meta.uid, pod->restarts);
    *ret_jm = t->jm;
    return true;
}

static void probe_changed(void *arg)
{
    struct target *t = arg;

    enqueue(t->c, KIND_FLINKDEPLOYMENT, t->key, PRIORITY_NORMAL);
    enqueue_jobs_of(t->c, t->key);
}

static bool executor_jobmanager(void *arg, const char *ns, const char *cluster,
                                struct flink_endpoint *ret)
{
    cleanup_free char *key = xasprintf("%s/%s", ns, str_or_empty(cluster));

    return jobmanager_of(arg, key, ret);
}

static void executor_touched(void *arg, const char *ns, const char *cluster)
{
    struct controller *c = arg;
    cleanup_free char *key = xasprintf("%s/%s", ns, str_or_empty(cluster));
    struct target *t = strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, key);

    if (t)
        probe_soon(t->probe);
}

/* ---- what a change concerns ---- */

static void store_changed(void *arg, enum kube_kind kind, const struct stored *s, bool gone)
{
    struct controller *c = arg;

    if (kind == KIND_FLINKDEPLOYMENT) {
        enqueue(c, kind, s->key, gone ? PRIORITY_HIGH : PRIORITY_NORMAL);
        if (gone)
            enqueue_jobs_of(c, s->key);
    } else if (kind == KIND_FLINKSESSIONJOB) {
        struct target *t = strmap_get(&c->kinds[kind].targets, s->key);

        if (t && t->running && s->meta->deleted_ms)
            execution_hurry(t->running);
        enqueue(c, kind, s->key, PRIORITY_NORMAL);
    }
    if (s->index && kind != KIND_FLINKDEPLOYMENT)
        enqueue(c, KIND_FLINKDEPLOYMENT, s->index, PRIORITY_NORMAL);
}

/* ---- snapshots ---- */

static const struct obs_meta *meta_of(struct controller *c, enum kube_kind kind, const char *ns,
                                      const char *name)
{
    const struct stored *s = store_get(c->stores[kind], ns, name);

    return s ? s->meta : NULL;
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
    size_t n;
    const struct stored *const *jobs = store_by_index(c->stores[KIND_FLINKSESSIONJOB], key, &n);
    const struct obs_session_job **list = arena_new_array(a, const struct obs_session_job *, n + 1);

    for (size_t i = 0; i < n; i++)
        list[i] = jobs[i]->view;
    s->jobs = list;
    s->n_jobs = n;
}

static struct plan plan_cluster(struct controller *c, struct target *t, const struct stored *cr,
                                jv object, struct arena *a)
{
    const char *ns = cr->meta->ns, *name = cr->meta->name;
    const struct stored *deployment = store_get(c->stores[KIND_DEPLOYMENT], ns, name);
    struct cluster_snapshot s = {
        .cr = object,
        .defaults = c->defaults,
        .deployment = deployment ? deployment->view : NULL,
        .configmap = meta_of(c, KIND_CONFIGMAP, ns, arena_printf(a, "flink-config-%s", name)),
        .internal_service = meta_of(c, KIND_SERVICE, ns, name),
        .rest_service = meta_of(c, KIND_SERVICE, ns, arena_printf(a, "%s-rest", name)),
        .flink = probe_result(t->probe),
        .outcomes = t->outcomes,
        .n_outcomes = t->n_outcomes,
        .memory = &t->cluster,
        .now = loop_now(c->loop),
        .wall = clock_wall_ms(),
    };

    add_pods(a, c, t->key, &s);
    add_jobs(a, c, t->key, &s);
    return reconcile_cluster(a, &s);
}

static void keep_cluster(struct controller *c, struct target *t, const struct plan *plan)
{
    struct arena old = t->memory_arena;
    bool was_ready = t->ready;

    arena_init_small(&t->memory_arena, 500);
    t->cluster = cluster_memory_copy(&t->memory_arena, &plan->memory);
    arena_free(&old);
    t->ready = plan->ready;
    if (plan->rest_port)
        t->rest_port = plan->rest_port;
    if (!str_eq(t->summary, plan->summary))
        str_replace(&t->summary, plan->summary);
    probe_set_pace(t->probe, plan->pace, plan->adaptive);
    if (was_ready != t->ready)
        enqueue_jobs_of(c, t->key);
}

static struct plan plan_job(struct controller *c, struct target *t, const struct stored *cr,
                            jv object, struct arena *a)
{
    static const struct obs_flink nothing_known;
    const struct obs_session_job *view = cr->view;
    const char *name = str_or_empty(view->deployment_name);
    const struct stored *cluster = store_get(c->stores[KIND_FLINKDEPLOYMENT], view->meta.ns, name);
    const struct target *ct =
        cluster ? strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, cluster->key) : NULL;
    char fresh_id[FLINK_ID_LEN + 1];

    random_hex(fresh_id, FLINK_ID_LEN / 2);
    const struct job_snapshot s = {
        .cr = object,
        .defaults = c->defaults,
        .cluster_exists = cluster != NULL,
        .cluster_deleting = cluster && cluster->meta->deleted_ms,
        .cluster_ready = ct && ct->ready,
        .cluster_text = arena_printf(a, "waiting for FlinkDeployment %s: %s", name,
                                     ct && ct->summary ? ct->summary : "not ready"),
        .flink = ct ? probe_result(ct->probe) : &nothing_known,
        .outcomes = t->outcomes,
        .n_outcomes = t->n_outcomes,
        .memory = &t->job,
        .fresh_job_id = arena_strdup(a, fresh_id),
        .now = loop_now(c->loop),
        .wall = clock_wall_ms(),
    };
    struct job_plan plan = reconcile_session_job(a, &s);
    struct arena old = t->memory_arena;

    arena_init_small(&t->memory_arena, 500);
    t->job = job_memory_copy(&t->memory_arena, &plan.memory);
    arena_free(&old);
    return plan.plan;
}

/* ---- reconciling ---- */

static void execution_done(void *arg, const struct outcome *outcomes, size_t n, bool failed)
{
    struct target *t = arg;
    struct controller *c = t->c;
    struct kind_control *k = &c->kinds[t->kind];
    int64_t now = loop_now(c->loop);

    t->running = NULL;
    arena_reset(&t->outcome_arena);
    t->outcomes = arena_new_array(&t->outcome_arena, struct outcome, n + 1);
    t->n_outcomes = n;
    for (size_t i = 0; i < n; i++) {
        struct outcome *o = &t->outcomes[i];

        *o = outcomes[i];
        o->name = o->name ? arena_strdup(&t->outcome_arena, o->name) : NULL;
        o->job_id = o->job_id ? arena_strdup(&t->outcome_arena, o->job_id) : NULL;
        o->text = o->text ? arena_strdup(&t->outcome_arena, o->text) : NULL;
    }
    metric_add(&reconciles, 1, k->name, failed ? "error" : "success");
    if (failed)
        metric_add(&reconcile_errors, 1, k->name);
    metric_observe(&reconcile_seconds, (double)(now - t->started) / 1000, k->name);
    metric_add(&active_workers, -1, k->name);
    if (failed) {
        workqueue_add_backoff(k->queue, t->key, now);
    } else {
        workqueue_forget(k->queue, t->key);
        if (n) /* its outcomes are for the next pass */
            workqueue_add(k->queue, t->key, PRIORITY_NORMAL, now);
    }
    workqueue_done(k->queue, t->key, now);
    c->in_flight--;
    if (c->draining && !c->in_flight && c->drained)
        loop_defer(c->loop, c, c->drained, c->drained_arg);
    pump_soon(c);
}

static void reconcile(struct controller *c, struct kind_control *k, enum kube_kind kind,
                      const char *key)
{
    const struct stored *cr = store_get_key(c->stores[kind], key);
    struct target *t = target_get(c, kind, key);
    struct arena a = {0};
    struct error err;
    struct plan plan;
    jv object;

    if (!cr) {
        workqueue_done(k->queue, key, loop_now(c->loop));
        target_drop(c, t);
        return;
    }
    if (json_parse(&a, cr->text, cr->len, &object, &err))
        BUG("stored %s %s: %s", k->name, key, err.text); /* we wrote that text ourselves */
    random_hex(t->reconcile_id, 8);
    const struct log_kv scope[] = {KV("controller", k->name), KV("namespace", cr->meta->ns),
                                   KV("name", cr->meta->name), KV("reconcileID", t->reconcile_id),
                                   KV_INT("generation", cr->meta->generation)};

    log_set_scope(scope, ARRAY_SIZE(scope));
    if (kind == KIND_FLINKDEPLOYMENT) {
        plan = plan_cluster(c, t, cr, object, &a);
        keep_cluster(c, t, &plan);
    } else {
        plan = plan_job(c, t, cr, object, &a);
    }
    t->n_outcomes = 0;
    if (plan.next != INT64_MAX)
        workqueue_add_at(k->queue, key, plan.next);
    log_debug("planned", KV_INT("actions", (int64_t)plan.n));
    t->started = loop_now(c->loop);
    metric_add(&active_workers, 1, k->name);
    c->in_flight++;
    t->running = execution_start(&c->executor, &a, &plan, execution_done, t);
    log_set_scope(NULL, 0);
    arena_free(&a);
}

static void pump(void *arg)
{
    struct controller *c = arg;
    int64_t started = clock_mono_ms(), next = INT64_MAX;
    int budget = TURN_KEYS;

    c->pumping = false;
    if (!controller_synced(c) || c->draining)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        struct kind_control *k = &c->kinds[controlled[i]];
        const char *key;

        while (budget > 0 && clock_mono_ms() - started < TURN_MS &&
               (key = workqueue_get(k->queue, loop_now(c->loop)))) {
            reconcile(c, k, controlled[i], key);
            budget--;
        }
        next = MIN(next, workqueue_next(k->queue, loop_now(c->loop)));
    }
    if (next <= loop_now(c->loop))
        pump_soon(c);
    else if (next != INT64_MAX)
        timer_start(c->timer, next - loop_now(c->loop));
}

static void timer_fired(void *arg)
{
    pump_soon(arg);
}

/* ---- watches ---- */

static void on_list_begin(void *arg)
{
    struct watcher *w = arg;

    w->mark = store_list_begin(w->store);
}

static void on_object(void *arg, jv object, bool initial)
{
    struct watcher *w = arg;

    (void)initial;
    store_observe(w->store, object, loop_now(w->c->loop));
}

static void on_deleted(void *arg, jv object)
{
    struct watcher *w = arg;

    store_forget(w->store, str_or_empty(JV_STRING(object, "metadata", "namespace")),
                 str_or_empty(JV_STRING(object, "metadata", "name")),
                 JV_STRING(object, "metadata", "uid"));
}

static void on_list_end(void *arg)
{
    struct watcher *w = arg;

    store_list_end(w->store, w->mark, w->ns);
    pump_soon(w->c);
}

static void on_trouble(void *arg, bool in_trouble, const struct error *err)
{
    struct watcher *w = arg;
    size_t i = (size_t)(w - w->c->watchers) % ARRAY_SIZE(watched);
    const char *plural = kube_resource(watched[i].kind)->plural;

    w->troubled = in_trouble;
    if (in_trouble)
        log_error("cannot watch", KV("resource", plural), KV("namespace", str_or(w->ns, "(all)")),
                  KV("error", err->text));
    else
        log_info("watching again", KV("resource", plural), KV("namespace", str_or(w->ns, "(all)")));
}

static void watch_start(struct controller *c, struct watcher *w, const struct kube_watch_spec *spec,
                        const char *ns)
{
    struct kube_watch_spec own = *spec;
    const struct kube_watch_sink sink = {.list_begin = on_list_begin,
                                         .object = on_object,
                                         .deleted = on_deleted,
                                         .list_end = on_list_end,
                                         .trouble = on_trouble,
                                         .arg = w};

    own.ns = ns;
    *w = (struct watcher){.c = c, .store = c->stores[spec->kind], .ns = xstrdup_or_null(ns)};
    w->watch = kube_watch_start(c->kube, &own, &sink);
}

bool controller_synced(const struct controller *c)
{
    for (size_t i = 0; i < c->n_watchers; i++)
        if (!kube_watch_synced(c->watchers[i].watch))
            return false;
    return true;
}

int64_t controller_silence(const struct controller *c)
{
    int64_t oldest = loop_now(c->loop);

    for (size_t i = 0; i < c->n_watchers; i++)
        oldest = MIN(oldest, kube_watch_last_byte(c->watchers[i].watch));
    return loop_now(c->loop) - oldest;
}

/* ---- life ---- */

static int flink_access(const struct controller_options *o)
{
    if (o->flink_access != ACCESS_AUTO)
        return o->flink_access == ACCESS_DIRECT ? FLINK_ACCESS_DIRECT : FLINK_ACCESS_PROXY;
    return kube_config_in_cluster(kube_client_config(o->kube)) ? FLINK_ACCESS_DIRECT
                                                               : FLINK_ACCESS_PROXY;
}

struct controller *controller_new(const struct controller_options *o)
{
    static const char *const everywhere[] = {NULL, NULL};
    struct controller *c = xcalloc(1, sizeof(*c));
    const char *const *namespaces = o->namespaces && o->namespaces[0] ? o->namespaces : everywhere;
    size_t n_ns = 0, at = 0;

    *c = (struct controller){.loop = o->loop, .kube = o->kube, .defaults = o->defaults};
    c->flink = flink_client_new(o->loop, o->kube, (enum flink_access)flink_access(o));
    c->timer = timer_new(o->loop, timer_fired, c);
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
        c->stores[watched[i].kind] = store_new(watched[i].kind, store_changed, c);
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        struct kind_control *k = &c->kinds[controlled[i]];

        k->name = kube_resource(controlled[i])->plural;
        k->queue = workqueue_new(
            &(struct workqueue_options){.name = k->name, .backoff_max_ms = BACKOFF_MAX_MS});
    }
    c->executor = (struct executor){
        .loop = o->loop,
        .kube = o->kube,
        .flink = c->flink,
        .events = kube_events_new(o->kube),
        .downloads =
            http_client_new(o->loop, &(struct http_client_options){.user_agent = "flink-operator",
                                                                   .max_connections = 16,
                                                                   .max_host_connections = 8}),
        .stores = c->stores,
        .jobmanager = executor_jobmanager,
        .touched = executor_touched,
        .arg = c,
    };
    while (n_ns == 0 || namespaces[n_ns])
        n_ns++;
    c->n_watchers = n_ns * ARRAY_SIZE(watched);
    c->watchers = xcalloc(c->n_watchers, sizeof(*c->watchers));
    for (size_t n = 0; n < n_ns; n++)
        for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
            watch_start(c, &c->watchers[at++], &watched[i], namespaces[n]);
    return c;
}

void controller_drain(struct controller *c, void (*done)(void *arg), void *arg)
{
    c->draining = true;
    c->drained = done;
    c->drained_arg = arg;
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        struct strmap_entry *e;

        /* A long submission is given up: its job id is recorded, the next operator looks for it. */
        strmap_foreach (e, &c->kinds[controlled[i]].targets) {
            struct target *t = e->value;

            if (t->running)
                execution_hurry(t->running);
        }
    }
    if (!c->in_flight)
        loop_defer(c->loop, c, done, arg);
}

void controller_free(struct controller *c)
{
    struct strmap_entry *e;

    if (!c)
        return;
    for (size_t i = 0; i < c->n_watchers; i++) {
        kube_watch_stop(c->watchers[i].watch);
        free(c->watchers[i].ns);
    }
    free(c->watchers);
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        struct kind_control *k = &c->kinds[controlled[i]];

        strmap_foreach (e, &k->targets)
            target_free(e->value);
        strmap_release(&k->targets);
        workqueue_free(k->queue);
    }
    for (size_t i = 0; i < KIND_COUNT; i++)
        store_free(c->stores[i]);
    kube_events_free(c->executor.events);
    http_client_free(c->executor.downloads);
    flink_client_free(c->flink);
    timer_free(c->timer);
    loop_undefer(c->loop, c);
    free(c);
}
