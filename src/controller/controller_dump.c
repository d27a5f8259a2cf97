/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller does right now, as JSON for people. */
#include "controller_internal.h"
#include "executor_internal.h"
#include "flinkop/kube_watch.h"
#include "flinkop/loop.h"
#include "flinkop/str.h"

#define MOST 200 /* elements of a list */

/* A list that may be longer than what is shown of it. */
struct listing {
    struct arena *a;
    int64_t now;
    struct jv_list shown;
    size_t n;
};

static struct listing listing_of(struct arena *a, int64_t now)
{
    return (struct listing){.a = a, .now = now, .shown = JV_LIST(a)};
}

/* Whether there is room for one more. */
static bool listing_room(struct listing *l)
{
    return l->n++ < MOST;
}

static void listing_add(struct listing *l, jv v)
{
    jv_list_add(&l->shown, jv_dup(l->a, v));
}

/* {NAME: SHOWN, "leftOut": n} with further members before them. */
static jv listing_with(struct listing *l, jv head, const char *name, jv shown)
{
    jv v = jv_set(l->a, head, name, shown);

    return l->n > MOST ? jv_set(l->a, v, "leftOut", INT((int64_t)(l->n - MOST))) : v;
}

static jv listing_end(struct listing *l, jv head, const char *name)
{
    return listing_with(l, head, name, jv_list_arr(&l->shown));
}

/* ---- work queues ---- */

static void add_item(void *arg, const struct workqueue_item *item)
{
    static const char *const states[] = {[WORKQUEUE_WORKING] = "working",
                                         [WORKQUEUE_READY] = "ready",
                                         [WORKQUEUE_WAITING] = "waiting"};
    static const char *const priorities[] = {
        [PRIORITY_LOW] = "low", [PRIORITY_NORMAL] = "normal", [PRIORITY_HIGH] = "high"};
    struct listing *l = arg;
    bool waits = item->state == WORKQUEUE_WAITING;

    if (!listing_room(l))
        return;
    listing_add(
        l, OBJ({"key", STR(item->key)}, {"state", STR(states[item->state])},
               {"priority", IF(item->state == WORKQUEUE_READY, STR(priorities[item->priority]))},
               {"forMs", IF(!waits, INT(l->now - item->since))},
               {"readyInMs", IF(item->when != INT64_MAX, INT(item->when - l->now))},
               {"failures", INT(item->failures)}, {"again", IF(item->again, BOOL(true))}));
}

static jv dump_queue(struct arena *a, const struct kind_control *k, int64_t now)
{
    struct listing l = listing_of(a, now);

    workqueue_each(k->queue, add_item, &l);
    return listing_end(&l,
                       OBJ({"name", STR(k->name)},
                           {"keys", INT((int64_t)workqueue_items(k->queue))},
                           {"ready", INT((int64_t)workqueue_depth(k->queue))},
                           {"plansUnderWay", INT((int64_t)(k->in_flight + k->on_flink))}),
                       "items");
}

/* ---- plans under way ---- */

static jv dump_actions(struct arena *a, const struct execution *e, int64_t now)
{
    struct listing l = listing_of(a, now);

    for (size_t i = 0; i < e->n; i++) {
        const struct op *op = &e->ops[i];

        if (!listing_room(&l))
            continue;
        listing_add(&l, OBJ({"action", STR(action_word(op->act->type))},
                            {"kind", STR(kube_resource(op->act->kind)->kind)},
                            {"name", STR(op->act->name)}, {"ended", BOOL(op->ended)},
                            {"forMs", IF(!op->ended, INT(now - op->started))}));
    }
    return listing_end(&l, EMPTY_OBJ, "actions");
}

static jv dump_plans(struct controller *c, struct arena *a, int64_t now)
{
    struct listing l = listing_of(a, now);
    struct strmap_entry *e;

    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        strmap_foreach (e, &c->kinds[controlled[i]].targets) {
            const struct target *t = e->value;

            if (!t->running || !listing_room(&l))
                continue;
            listing_add(&l,
                        jv_merge(a,
                                 OBJ({"kind", STR(kube_resource(t->kind)->kind)},
                                     {"key", STR(t->key)}, {"reconcileID", STR(t->reconcile_id)},
                                     {"forMs", INT(now - t->started)}),
                                 dump_actions(a, t->running, now)));
        }
    }
    return listing_end(&l, EMPTY_OBJ, "list");
}

/* ---- probes ---- */

static void add_probe(struct listing *l, const struct target *t)
{
    static const char *const paces[] = {[PROBE_OFF] = "off",
                                        [PROBE_FAST] = "fast",
                                        [PROBE_ACTIVE] = "active",
                                        [PROBE_IDLE] = "idle"};
    const struct obs_flink *f = probe_result(t->probe);
    struct probe_info p = probe_info(t->probe);

    if (!listing_room(l))
        return;
    listing_add(l,
                OBJ({"key", STR(t->key)}, {"pace", STR(paces[p.pace])},
                    {"asking", IF(p.asking, BOOL(true))},
                    {"waitsInLine", IF(p.waiting, BOOL(true))}, {"jobManager", STR(f->jm)},
                    {"version", STR(f->version)}, {"reachable", BOOL(f->reachable)},
                    {"forMs", IF(f->since != 0, INT(l->now - f->since))},
                    {"answerAgeMs", IF(f->known, INT(l->now - f->at))},
                    {"error", IF(!f->reachable, STR(f->error))}, {"jobs", INT((int64_t)f->n_jobs)},
                    {"taskManagers", INT((int64_t)f->n_tms)}));
}

static jv dump_probes(struct controller *c, struct arena *a, int64_t now)
{
    struct listing l = listing_of(a, now);
    struct strmap_entry *e;

    for (int fine = 0; fine <= 1; fine++) { /* those that do not answer first */
        strmap_foreach (e, &c->kinds[KIND_FLINKDEPLOYMENT].targets) {
            const struct target *t = e->value;

            if (probe_result(t->probe)->reachable == fine)
                add_probe(&l, t);
        }
    }
    return listing_end(&l,
                       OBJ({"idle", INT((int64_t)c->probes.idle)},
                           {"fast", INT((int64_t)c->probes.fast)},
                           {"asking", INT((int64_t)c->probes.quick.taken)},
                           {"askingSlowOnes", INT((int64_t)c->probes.slow.taken)}),
                       "list");
}

/* ---- stores and watches ---- */

static jv dump_namespaces(const struct store *st, struct arena *a, int64_t now)
{
    struct listing l = listing_of(a, now);
    struct strmap counts = {0};
    const struct stored *s;
    struct strmap_entry *e;
    void *at = NULL;

    while ((s = store_next(st, &at))) {
        const char *ns = str_or_empty(s->meta->ns);
        int64_t *n = strmap_get(&counts, ns);

        if (!n) {
            n = arena_new(a, int64_t);
            strmap_put(&counts, ns, n);
        }
        ++*n;
    }
    strmap_foreach (e, &counts)
        if (listing_room(&l))
            jv_list_put(&l.shown, arena_strdup(a, e->key), INT(*(const int64_t *)e->value));
    strmap_release(&counts);
    return listing_with(&l, EMPTY_OBJ, "namespaces", jv_list_obj(&l.shown));
}

static jv dump_stores(struct controller *c, struct arena *a, int64_t now)
{
    struct jv_list list = JV_LIST(a);

    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct store *st = c->stores[i];

        if (st)
            jv_list_add(&list, jv_dup(a, jv_merge(a,
                                                  OBJ({"kind", STR(view_name(i))},
                                                      {"objects", INT((int64_t)store_count(st))},
                                                      {"bytes", INT((int64_t)store_bytes(st))}),
                                                  dump_namespaces(st, a, now))));
    }
    return jv_list_arr(&list);
}

static void add_watch(void *arg, const struct watch_state *w)
{
    struct listing *l = arg;

    if (!listing_room(l))
        return;
    listing_add(l, OBJ({"kind", STR(view_name(w->kind))}, {"namespace", STR(w->ns)},
                       {"state", STR(w->info.listing ? "listing" : "watching")},
                       {"synced", BOOL(w->info.synced)},
                       {"resourceVersion", STR(w->info.resource_version)},
                       {"forMs", INT(l->now - w->info.started)},
                       {"silentMs", INT(l->now - w->info.last_byte)}, {"lists", INT(w->info.lists)},
                       {"error", STR(w->error)}));
}

void controller_dump(struct controller *c, struct arena *a, struct jv_list *ret)
{
    int64_t now = loop_now(c->loop);
    struct jv_list queues = JV_LIST(a);
    struct listing watches = listing_of(a, now);

    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++)
        jv_list_add(&queues, jv_dup(a, dump_queue(a, &c->kinds[controlled[i]], now)));
    watches_each(c, add_watch, &watches);
    jv_list_put(ret, "workQueues", jv_list_arr(&queues));
    jv_list_put(ret, "plans", dump_plans(c, a, now));
    jv_list_put(ret, "probes", dump_probes(c, a, now));
    jv_list_put(ret, "watches", listing_end(&watches, EMPTY_OBJ, "list"));
    jv_list_put(ret, "stores", dump_stores(c, a, now));
}
