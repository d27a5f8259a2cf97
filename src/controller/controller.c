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

#include "controller_internal.h"
#include "flinkop/http.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_events.h"
#include "flinkop/kube_watch.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"

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

/* ---- what a change concerns ---- */

/* An edit by a user goes first, what the first list brings after a start goes last. */
static enum workqueue_priority priority_of(const struct controller *c, const struct stored *old,
                                           const struct stored *now)
{
    if (c->listing)
        return PRIORITY_LOW;
    if (!old || !now || old->meta->generation != now->meta->generation ||
        old->meta->deleted_ms != now->meta->deleted_ms)
        return PRIORITY_HIGH;
    return PRIORITY_NORMAL;
}

static void store_changed(void *arg, enum kube_kind kind, const struct stored *old,
                          const struct stored *now)
{
    struct controller *c = arg;
    const struct stored *s = now ? now : old;
    enum workqueue_priority priority = priority_of(c, old, now);

    if (kind == KIND_FLINKDEPLOYMENT) {
        enqueue(c, kind, s->key, priority);
        if (!now)
            enqueue_jobs_of(c, s->key);
        return;
    }
    if (kind == KIND_FLINKSESSIONJOB) {
        struct target *t = strmap_get(&c->kinds[kind].targets, s->key);

        if (t && t->running && s->meta->deleted_ms)
            execution_hurry(t->running);
        enqueue(c, kind, s->key, priority);
    }
    priority = c->listing ? PRIORITY_LOW : PRIORITY_NORMAL;
    if (s->index)
        enqueue(c, KIND_FLINKDEPLOYMENT, s->index, priority);
    if (old && old->index && !str_eq(old->index, s->index)) /* it has moved to another cluster */
        enqueue(c, KIND_FLINKDEPLOYMENT, old->index, priority);
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

    w->c->listing = initial;
    store_observe(w->store, object, loop_now(w->c->loop));
    w->c->listing = false;
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
        .jobmanager = target_jobmanager,
        .touched = target_touched,
        .arg = c,
    };
    metrics_on_scrape(controller_scrape, c);
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
