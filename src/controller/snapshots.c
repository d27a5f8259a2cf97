/* SPDX-License-Identifier: Apache-2.0 */
/* FlinkStateSnapshots: what one of them needs to know of its job, and whom else it concerns. */
#include "controller_internal.h"
#include "flinkop/clock.h"
#include "flinkop/flink_reply.h"
#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define MEMORY_BLOCK 100 /* bytes */

/* ---- queueing ---- */

static void enqueue_index(struct controller *c, const char *index)
{
    size_t n;
    const struct stored *const *list =
        store_by_index(c->stores[KIND_FLINKSTATESNAPSHOT], index, &n);

    for (size_t i = 0; i < n; i++) {
        const struct obs_snapshot *view = list[i]->view;

        if (!view->settled)
            enqueue(c, KIND_FLINKSTATESNAPSHOT, list[i]->key, PRIORITY_NORMAL);
    }
}

void enqueue_snapshots_of(struct controller *c, enum kube_kind kind, const char *key)
{
    if (!store_count(c->stores[KIND_FLINKSTATESNAPSHOT]))
        return;
    cleanup_free char *index = xasprintf("%s/%s", kube_resource(kind)->kind, key);

    enqueue_index(c, index);
}

void enqueue_snapshots_in(struct controller *c, const char *cluster_key)
{
    size_t n;

    if (!store_count(c->stores[KIND_FLINKSTATESNAPSHOT]))
        return;
    const struct stored *const *jobs =
        store_by_index(c->stores[KIND_FLINKSESSIONJOB], cluster_key, &n);

    enqueue_snapshots_of(c, KIND_FLINKDEPLOYMENT, cluster_key);
    for (size_t i = 0; i < n; i++)
        enqueue_snapshots_of(c, KIND_FLINKSESSIONJOB, jobs[i]->key);
}

/* Its job keeps so many of them, and takes the next periodic one after the one before. */
static void enqueue_job_of(struct controller *c, const struct stored *s)
{
    const struct obs_snapshot *view = s->view;

    if (view->job_kind == KIND_COUNT || !view->job_name)
        return;
    cleanup_free char *key = xasprintf("%s/%s", view->meta.ns, view->job_name);

    enqueue(c, view->job_kind, key, PRIORITY_NORMAL);
}

static bool settled(const struct stored *s)
{
    return s && ((const struct obs_snapshot *)s->view)->settled;
}

static bool in_progress(const struct stored *s)
{
    return s && ((const struct obs_snapshot *)s->view)->in_progress;
}

void snapshot_changed(struct controller *c, const struct stored *old, const struct stored *now,
                      enum workqueue_priority priority)
{
    enqueue(c, KIND_FLINKSTATESNAPSHOT, now ? now->key : old->key, priority);
    if (in_progress(old) && !in_progress(now) && old->index) /* others have waited for it */
        enqueue_index(c, old->index);
    if (!now || settled(old) != settled(now))
        enqueue_job_of(c, now ? now : old);
}

struct snapshot_list snapshots_of(struct arena *a, const struct controller *c, enum kube_kind kind,
                                  const char *key)
{
    size_t n = 0;
    const char *why;
    const struct store *all = c->stores[KIND_FLINKSTATESNAPSHOT];
    const struct stored *const *list =
        store_count(all)
            ? store_by_index(all, arena_printf(a, "%s/%s", kube_resource(kind)->kind, key), &n)
            : NULL;
    const struct obs_snapshot **items = arena_new_array(a, const struct obs_snapshot *, n + 1);

    for (size_t i = 0; i < n; i++)
        items[i] = list[i]->view;
    return (struct snapshot_list){.absent = watches_served(c, KIND_FLINKSTATESNAPSHOT, key, &why) ==
                                            SERVED_NO,
                                  .items = items,
                                  .n = n};
}

/* ---- one of them ---- */

/* Another one of the same job and type that is in progress, or may be. */
static const char *busy_with(const struct controller *c, const struct stored *cr)
{
    const struct obs_snapshot *own = cr->view;
    size_t n = 0;
    const struct stored *const *list =
        cr->index ? store_by_index(c->stores[KIND_FLINKSTATESNAPSHOT], cr->index, &n) : NULL;

    for (size_t i = 0; i < n; i++) {
        const struct obs_snapshot *view = list[i]->view;
        const struct target *t =
            strmap_get(&c->kinds[KIND_FLINKSTATESNAPSHOT].targets, list[i]->key);

        if (list[i] != cr && view->checkpoint == own->checkpoint && !view->settled &&
            (view->in_progress || (t && (t->begins || t->unsure))))
            return view->meta.name;
    }
    return NULL;
}

static const char *cluster_of(const struct obs_snapshot *view, const struct stored *job)
{
    if (view->job_kind == KIND_FLINKDEPLOYMENT)
        return view->job_name;
    return job ? ((const struct obs_session_job *)job->view)->deployment_name : view->cluster;
}

struct snapshot_plan plan_snapshot(struct controller *c, struct target *t, const struct stored *cr,
                                   jv object, struct arena *a)
{
    static const struct obs_flink nothing_known;
    const struct obs_snapshot *view = cr->view;
    bool named = view->job_kind != KIND_COUNT && view->job_name;
    const struct stored *job =
        named ? store_get(c->stores[view->job_kind], view->meta.ns, view->job_name) : NULL;
    const char *name = cluster_of(view, job);
    const struct stored *cluster =
        name ? store_get(c->stores[KIND_FLINKDEPLOYMENT], view->meta.ns, name) : NULL;
    const struct target *ct =
        cluster ? strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, cluster->key) : NULL;

    if (cluster && cluster->meta->released)
        return (struct snapshot_plan){.plan = {.a = a, .next = INT64_MAX}};
    const struct snapshot_situation s = {
        .cr = object,
        .defaults = c->defaults,
        .target = job && !view->settled ? stored_object(a, job) : ABSENT,
        .cluster = name,
        .cluster_exists = cluster != NULL,
        .cluster_ended = ct && ct->ended,
        .flink_version_name = ct ? ct->flink_version : NULL,
        .flink = ct ? probe_result(ct->probe) : &nothing_known,
        .busy = busy_with(c, cr),
        .fresh_id = fresh_id(a),
        .outcomes = t->outcomes,
        .n_outcomes = t->n_outcomes,
        .memory = &t->snapshot,
        .now = loop_now(c->loop),
        .wall = clock_wall_ms(),
    };
    struct snapshot_plan plan = reconcile_snapshot(a, &s);
    struct arena old = t->memory_arena;

    arena_init_small(&t->memory_arena, MEMORY_BLOCK);
    t->snapshot = snapshot_memory_copy(&t->memory_arena, &plan.memory);
    arena_free(&old);
    t->begins = plan.begins;
    return plan;
}
