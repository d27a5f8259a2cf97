/* SPDX-License-Identifier: Apache-2.0 */
/* FlinkStateSnapshots: what one of them needs to know of its job, and whom else it concerns. */
#include "controller_internal.h"
#include "flinkop/clock.h"
#include "flinkop/flink_reply.h"
#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/kube_events.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define MEMORY_BLOCK 100 /* bytes */

const char *fresh_id(struct arena *a)
{
    char id[FLINK_ID_LEN + 1];

    random_hex(id, FLINK_ID_LEN / 2);
    return arena_strdup(a, id);
}

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

/* Why nothing can be known of its job, or be done about it: the label selector leaves out the job's
 * resource, or its cluster. "": it is about to be known. */
static const char *job_left_out(const struct controller *c, struct arena *a,
                                const struct obs_snapshot *view, const char *cluster)
{
    const struct {
        enum kube_kind kind;
        const char *name;
    } needed[] = {{view->job_kind, view->job_name}, {KIND_FLINKDEPLOYMENT, cluster}};

    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        if (needed[i].kind == KIND_COUNT || !needed[i].name)
            continue;
        enum presence p = watches_presence(c, needed[i].kind, view->meta.ns, needed[i].name);

        if (p == LEFT_OUT)
            return arena_printf(a,
                                "%s %s does not match the operator's label selector \"%s\", so "
                                "nothing is done",
                                kube_resource(needed[i].kind)->kind, needed[i].name,
                                c->config->selector_text);
        if (p == PRESENT_SOON)
            return "";
    }
    return NULL;
}

/* It waits as it is, until labels change. */
static struct snapshot_plan told_left_out(struct arena *a, const struct target *t,
                                          const struct obs_meta *cr, const char *why)
{
    if (*why)
        kube_events_emit(t->c->executor.events,
                         &(struct kube_event){KIND_FLINKSTATESNAPSHOT, cr->ns, cr->name, cr->uid,
                                              true, "NotSelected", why, "Snapshot"});
    return (struct snapshot_plan){.plan = {.a = a, .next = INT64_MAX}, .memory = t->snapshot};
}

struct snapshot_plan plan_snapshot(struct controller *c, struct target *t, const struct stored *cr,
                                   jv object, struct arena *a)
{
    const struct obs_snapshot *view = cr->view;
    bool named = view->job_kind != KIND_COUNT && view->job_name;
    const struct stored *job =
        named ? store_get(c->stores[view->job_kind], view->meta.ns, view->job_name) : NULL;
    const char *name = cluster_of(view, job);
    const struct stored *cluster =
        name ? store_get(c->stores[KIND_FLINKDEPLOYMENT], view->meta.ns, name) : NULL;
    struct target *ct = cluster ? strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, cluster->key)
                                : NULL;
    const char *left_out = job_left_out(c, a, view, name);
    const struct obs_flink nothing_known = {.error = left_out};

    if (cluster && cluster->meta->released && !obs_forced(&view->meta))
        return (struct snapshot_plan){.plan = {.a = a, .next = INT64_MAX}};
    if (left_out && !view->meta.deleted_ms && !view->settled)
        return told_left_out(a, t, &view->meta, left_out);
    const struct snapshot_situation s = {
        .cr = object,
        .defaults = c->config->defaults,
        .target = job && !view->settled ? stored_object(a, job) : ABSENT,
        .cluster = name,
        .cluster_exists = cluster || left_out,
        .cluster_ended = ct && ct->ended,
        .cluster_options = view->job_kind == KIND_FLINKSESSIONJOB && !view->settled
                               ? target_job_options(a, ct, cluster)
                               : ABSENT,
        .flink_version_name = ct ? ct->flink_version : NULL,
        /* What a job needs that is left out cannot be seen: nothing is disposed of. */
        .flink = ct && !left_out ? target_flink(ct) : &nothing_known,
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
