/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many FlinkStateSnapshots of a job are kept, and for how long: of those that nobody has asked
 * for, periodic ones and those of upgrades (api-contract §2.5). They go through their resource, so
 * what becomes of the files is as that says.
 */
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "job_snapshots.h"
#include "job_words.h"
#include "status.h"

#define HISTORY "kubernetes.operator.savepoint.history."
#define RETAINED_KEY "execution.checkpointing.num-retained"

struct limits {
    int64_t count, age_ms; /* -1: none */
};

/* The lower of two limits of which each may be none. */
static int64_t lower(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : MIN(a, b);
}

static int64_t number(const struct conf *c, const char *key)
{
    struct error err;
    int64_t n;

    return flink_option_int(c, key, &n, &err) ? -1 : n;
}

static int64_t duration(const struct conf *c, const char *key)
{
    struct error err;
    int64_t ms;

    return flink_option_duration(c, key, &ms, &err) ? -1 : MIN(ms, DURATION_MAX_MS);
}

/* Of checkpoints as many are kept as Flink keeps itself. */
static struct limits limits_of(const struct job_snapshots *s, bool checkpoints)
{
    struct conf operator= flink_defaults_conf(s->defaults);
    struct error err;
    int64_t n;

    if (checkpoints)
        return (struct limits){conf_int(s->conf, RETAINED_KEY, 1, &n, &err) || n < 1 ? 1 : n, -1};
    return (struct limits){lower(number(s->conf, HISTORY "max.count"),
                                 number(&operator, HISTORY "max.count.threshold")),
                           lower(duration(s->conf, HISTORY "max.age"),
                                 duration(&operator, HISTORY "max.age.threshold"))};
}

static int by_age(const void *a, const void *b)
{
    const struct obs_snapshot *const *x = a, *const *y = b;
    int64_t dx = (*x)->meta.created_ms, dy = (*y)->meta.created_ms;

    return dx < dy ? -1 : dx > dy ? 1 : strcmp((*x)->meta.name, (*y)->meta.name);
}

/* The job begins with it, or goes back to it as long as it has no checkpoint of its own. */
static bool needed(const struct job_snapshots *s, const char *path)
{
    return path && (str_eq(path, JV_STRING(s->status, "upgradeSavepointPath")) ||
                    str_eq(path, JV_STRING(s->status, END_STATE, "location")) ||
                    str_eq(path, JV_STRING(s->recorded, "job", "initialSavepointPath")));
}

static void drop(struct job_snapshots *s, const struct obs_snapshot *v)
{
    struct action *act =
        plan_add(s->plan, ACT_DELETE, KIND_FLINKSTATESNAPSHOT, v->meta.ns, v->meta.name);

    act->uid = v->meta.uid;
    for (size_t i = 0; i < s->n_outcomes; i++) {
        const struct outcome *o = &s->outcomes[i];

        if (o->type == ACT_DELETE && o->kind == KIND_FLINKSTATESNAPSHOT &&
            str_eq(o->name, v->meta.name) && refusal_of(s->a, o).reason)
            plan_event(s->plan, s->kind, s->cr, true, "Snapshot", "CleanupFailed",
                       str_clean(s->a, o->error.text, 1000));
    }
}

static void tidy(struct job_snapshots *s, bool checkpoints)
{
    struct limits limits = limits_of(s, checkpoints);
    const struct obs_snapshot **list =
        arena_new_array(s->a, const struct obs_snapshot *, s->list->n + 1);
    const struct obs_snapshot *last = NULL;
    size_t n = 0, left;

    for (size_t i = 0; i < s->list->n; i++) {
        const struct obs_snapshot *v = s->list->items[i];

        if (v->trigger != SNAPSHOT_ON_DEMAND && v->checkpoint == checkpoints && v->settled)
            list[n++] = v;
    }
    qsort(list, n, sizeof(*list), by_age);
    for (size_t i = 0; i < n; i++)
        last = list[i]->completed ? list[i] : last;
    left = n;
    for (size_t i = 0; i < n; i++) {
        int64_t ends = limits.age_ms < 0 ? INT64_MAX : list[i]->meta.created_ms + limits.age_ms;

        if (list[i] == last || needed(s, list[i]->path))
            continue;
        if ((limits.count >= 0 && left > (size_t)limits.count) || ends <= s->wall) {
            drop(s, list[i]);
            left--;
        } else if (ends != INT64_MAX) {
            plan_wake(s->plan, s->now + ends - s->wall);
        }
    }
}

/* ---- those that are no resources ---- */

static void forget(struct job_snapshots *s, const char *path)
{
    jv info = jv_get(s->status, snapshot_types[0].info);
    struct jv_list left = JV_LIST(s->a);

    jv_foreach (savepoint, jv_get(info, SAVEPOINT_HISTORY))
        if (!str_eq(JV_STRING(*savepoint, "location"), path))
            jv_list_add(&left, *savepoint);
    info = jv_set(s->a, info, SAVEPOINT_HISTORY, left.n ? jv_list_arr(&left) : ABSENT);
    s->status = jv_set(s->a, s->status, snapshot_types[0].info, jv_dup(s->a, info));
}

/* How the last request to delete one has ended: then it is not told of any more. What is not
 * answered now was of another run, or never is: it is asked for again. */
void job_snapshots_learn_disposal(struct job_snapshots *s)
{
    const char *path = s->memory->disposing;

    s->memory->disposing = NULL;
    for (size_t i = 0; path && i < s->n_outcomes; i++) {
        const struct outcome *o = &s->outcomes[i];

        if (o->type != ACT_DISPOSE || !str_eq(o->job_id, s->job_id) ||
            (!o->ok && error_is_transient(&o->error)))
            continue;
        if (!o->ok)
            snapshot_tell(s, true, "CleanupFailed",
                          arena_printf(s->a, "the savepoint is left behind at %s: %s", path,
                                       str_clean(s->a, o->error.text, 1000)));
        forget(s, path);
    }
}

/* Those of nobody's wish are deleted, one at a time; others are only not told of any more. */
static void tidy_recorded(struct job_snapshots *s)
{
    jv history = JV_PATH(s->status, snapshot_types[0].info, SAVEPOINT_HISTORY);
    struct limits limits = limits_of(s, false);
    size_t all[2] = {0}, n = 0, i = 0;

    jv_foreach (savepoint, history) {
        bool there = !str_empty(JV_STRING(*savepoint, "location"));

        n += there;
        all[str_eq(JV_STRING(*savepoint, "triggerType"), "MANUAL")] += there;
    }
    jv_foreach (savepoint, history) {
        const char *path = JV_STRING(*savepoint, "location");
        bool manual = str_eq(JV_STRING(*savepoint, "triggerType"), "MANUAL");
        int64_t ends = limits.age_ms < 0
                           ? INT64_MAX
                           : jv_int64_or(jv_get(*savepoint, "timeStamp"), 0) + limits.age_ms;

        if (str_empty(path)) { /* there is nothing to be deleted, nor to go on from */
            forget(s, path);
            continue;
        }
        if (++i == n || needed(s, path)) /* the last one stays */
            continue;
        if ((limits.count < 0 || all[manual] <= (size_t)limits.count) &&
            (manual || ends > s->wall)) {
            if (!manual && ends != INT64_MAX)
                plan_wake(s->plan, s->now + ends - s->wall);
            continue;
        }
        all[manual]--;
        if (manual) {
            forget(s, path);
        } else if (s->reachable && !s->memory->disposing) {
            s->memory->disposing = path;
            snapshot_ask_directly(s, ACT_DISPOSE, &(struct stop_args){.path = path});
        }
    }
}

void job_snapshots_tidy(struct job_snapshots *s)
{
    if (flink_option_on(s->conf, "kubernetes.operator.savepoint.cleanup.enabled"))
        tidy_recorded(s);
    if (!s->list->n || !flink_option_on(s->conf, "kubernetes.operator.savepoint.cleanup.enabled"))
        return;
    tidy(s, false);
    tidy(s, true);
}
