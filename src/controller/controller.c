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
#include "jars.h"

#define BACKOFF_MAX_MS 60000
#define DOWNLOADS 64 /* at a time; of one namespace half of them: ns_share.h */

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

/* What it does just now is not wanted any more when it begins to be deleted, or is to go at once.
 */
static void hurry(struct controller *c, enum kube_kind kind, const struct stored *old,
                  const struct stored *now)
{
    struct target *t = now ? strmap_get(&c->kinds[kind].targets, now->key) : NULL;

    if (!t || !t->running || !now->meta->deleted_ms)
        return;
    bool at_once = now->meta->force_delete && !(old && old->meta->force_delete);

    if (at_once || !(old && old->meta->deleted_ms))
        execution_hurry(t->running, at_once);
}

/* What refers to it, and to nothing that is worked on here. */
static void presence_changed(struct controller *c, enum kube_kind kind, const char *key)
{
    if (kind == KIND_ANY_FLINKDEPLOYMENT) {
        enqueue_jobs_of(c, key);
        enqueue_snapshots_in(c, key);
    } else {
        enqueue_snapshots_of(c, KIND_FLINKSESSIONJOB, key);
    }
}

void store_changed(void *arg, enum kube_kind kind, const struct stored *old,
                   const struct stored *now)
{
    struct controller *c = arg;
    const struct stored *s = now ? now : old;
    enum workqueue_priority priority = priority_of(c, old, now);

    if (reference_has_kind(kind)) {
        /* A list's end tells all who ask. */
        if (!c->listing)
            references_changed(c, kind, s->meta);
        return;
    }
    if (kind == KIND_ANY_FLINKDEPLOYMENT || kind == KIND_ANY_FLINKSESSIONJOB) {
        presence_changed(c, kind, s->key);
        return;
    }
    hurry(c, kind, old, now);
    if (kind == KIND_FLINKSTATESNAPSHOT) {
        snapshot_changed(c, old, now, priority);
        return;
    }
    if (kind == KIND_FLINKDEPLOYMENT) {
        enqueue(c, kind, s->key, priority);
        if (!now)
            enqueue_jobs_of(c, s->key);
        enqueue_snapshots_in(c, s->key);
        return;
    }
    if (kind == KIND_FLINKSESSIONJOB) {
        enqueue(c, kind, s->key, priority);
        enqueue_snapshots_of(c, kind, s->key);
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

/* ---- life ---- */

static int flink_access(const struct controller_options *o)
{
    if (o->flink_access != ACCESS_AUTO)
        return o->flink_access == ACCESS_DIRECT ? FLINK_ACCESS_DIRECT : FLINK_ACCESS_PROXY;
    return kube_config_in_cluster(kube_client_config(o->kube)) ? FLINK_ACCESS_DIRECT
                                                               : FLINK_ACCESS_PROXY;
}

static void set_limits(struct controller *c)
{
    const struct backoff_limits *b = &c->config->backoff;

    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++)
        workqueue_set_backoff(c->kinds[controlled[i]].queue, b->min,
                              b->max ? b->max : BACKOFF_MAX_MS, b->factor);
    flink_client_set_timeout(c->flink, c->config->flink_timeout_ms);
    c->executor.submission_ms = c->config->submission_ms;
}

struct controller *controller_new(const struct controller_options *o)
{
    struct controller *c = xcalloc(1, sizeof(*c));

    *c = (struct controller){.loop = o->loop, .kube = o->kube, .operator_ns = o->operator_ns};
    c->config = operator_config_hold(o->config);
    c->flink = flink_client_new(o->loop, o->kube, (enum flink_access)flink_access(o), o->flink_tls);
    c->timer = timer_new(o->loop, timer_fired, c);
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        struct kind_control *k = &c->kinds[controlled[i]];

        k->name = kube_resource(controlled[i])->plural;
        k->queue = workqueue_new(&(struct workqueue_options){.name = k->name});
        reconcile_metrics_begin(controlled[i], k->name);
    }
    c->executor = (struct executor){
        .loop = o->loop,
        .kube = o->kube,
        .flink = c->flink,
        .events = kube_events_new(o->kube),
        .downloads = http_client_new(
            o->loop, &(struct http_client_options){.user_agent = "flink-operator",
                                                   .max_connections = DOWNLOADS,
                                                   .max_host_connections = DOWNLOADS}),
        .jars = jar_pool_new(o->loop),
        .stores = c->stores,
        .jobmanager = target_jobmanager,
        .touched = target_touched,
        .arg = c,
    };
    ns_share_init(&c->executor.download_share, DOWNLOADS);
    set_limits(c);
    probe_pool_init(&c->probes);
    metrics_on_scrape(controller_scrape, c);
    watches_init(c);
    return c;
}

void controller_configure(struct controller *c, struct operator_config *config)
{
    struct operator_config *was = c->config;

    if (c->draining)
        return;
    c->config = operator_config_hold(config);
    set_limits(c);
    watches_change(c, was);
    operator_config_let_go(was);
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
                execution_hurry(t->running, false);
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
    watches_release(c);
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
    ns_share_release(&c->executor.download_share);
    http_client_free(c->executor.downloads);
    jar_pool_free(c->executor.jars);
    flink_client_free(c->flink);
    timer_free(c->timer);
    loop_undefer(c->loop, c);
    operator_config_let_go(c->config);
    free(c);
}
