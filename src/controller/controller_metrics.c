/* SPDX-License-Identifier: Apache-2.0 */
/* What is worth a gauge about the resources under control, computed when somebody asks. */
#include <string.h>

#include "controller_internal.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"

static struct metric resources = METRIC_GAUGE(
    "flink_operator_resources", "Custom resources under control.", "kind", "namespace");
static struct metric ready =
    METRIC_GAUGE("flink_cluster_ready",
                 "Whether the JobManager answers and runs the recorded spec.", "namespace", "name");
static struct metric taskmanagers = METRIC_GAUGE("flink_cluster_taskmanagers",
                                                 "TaskManagers of a session cluster.", "namespace",
                                                 "name", "state");
static struct metric slots = METRIC_GAUGE("flink_cluster_slots", "Task slots of a session cluster.",
                                          "namespace", "name", "state");

static struct metric store_size =
    METRIC_GAUGE("store_objects", "Objects of a kind that are known.", "kind");
static struct metric store_memory =
    METRIC_GAUGE("store_bytes", "Memory for the objects of a kind.", "kind");
static struct metric watch_age = METRIC_GAUGE(
    "watch_age_seconds", "Time since a watch last heard from the API server.", "kind", "namespace");

static void count_resources(struct controller *c)
{
    metric_clear(&resources);
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        const struct stored *s;
        void *at = NULL;

        while ((s = store_next(c->stores[controlled[i]], &at)))
            metric_add(&resources, 1, kube_resource(controlled[i])->kind, s->meta->ns);
    }
}

static void show_cluster(const struct target *t)
{
    cleanup_free char *ns = xstrdup(t->key);
    char *name = strchr(ns, '/');
    const struct cluster_counts *n = &t->counts;

    *name++ = 0;
    metric_set(&ready, t->ready_jm != NULL, ns, name);
    metric_set(&taskmanagers, n->taskmanagers_live, ns, name, "live");
    metric_set(&taskmanagers, n->taskmanagers_starting, ns, name, "starting");
    metric_set(&taskmanagers, n->taskmanagers_desired, ns, name, "desired");
    metric_set(&slots, n->slots_total, ns, name, "total");
    metric_set(&slots, n->slots_free, ns, name, "free");
    metric_set(&slots, n->slots_needed, ns, name, "needed");
}

static void show_stores(const struct controller *c)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct store *st = c->stores[i];

        if (!st)
            continue;
        metric_set(&store_size, (double)store_count(st), view_name(i));
        metric_set(&store_memory, (double)store_bytes(st), view_name(i));
    }
}

static void show_watch(void *arg, const struct watch_state *w)
{
    const struct controller *c = arg;

    metric_set(&watch_age, (double)(loop_now(c->loop) - w->info.last_byte) / 1000,
               view_name(w->kind), w->ns ? w->ns : "");
}

void controller_scrape(void *arg)
{
    struct controller *c = arg;
    struct strmap_entry *e;

    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++)
        workqueue_observe(c->kinds[controlled[i]].queue, loop_now(c->loop));
    count_resources(c);
    show_stores(c);
    metric_clear(&watch_age);
    watches_each(c, show_watch, c);
    metric_clear(&ready);
    metric_clear(&taskmanagers);
    metric_clear(&slots);
    strmap_foreach (e, &c->kinds[KIND_FLINKDEPLOYMENT].targets)
        show_cluster(e->value);
}
