/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flinkop/kube_watch.h on the model API server. Each kind has a stream of its own: in order, but as
 * late as it likes, so kinds are seen out of step with each other and with the answers to writes.
 */
#include "flinkop/kube_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "flinkop/mem.h"
#include "operator.h"

struct item {
    struct item *next;
    struct version *v;
    bool gone;
    int64_t due;
};

struct kube_watch {
    struct kube_watch *next, **link;
    int kind;
    struct kube_watch_sink sink;
    bool synced, watching; /* watching: changes are queued */
    struct item *first, **last;
    int64_t stalled_until, last_due;
    int64_t slow_until, lag; /* how late each event comes, until then */
    struct sim_event *event;
    struct version **list; /* of the list under way */
    size_t n, given;
    int64_t list_version;
};

static struct kube_watch *watches;

/* ---- the stream ---- */

static void queue_clear(struct kube_watch *w)
{
    while (w->first) {
        struct item *i = w->first;

        w->first = i->next;
        version_unref(i->v);
        free(i);
    }
    w->last = &w->first;
    for (size_t k = w->given; k < w->n; k++)
        version_unref(w->list[k]);
    free(TAKE_PTR(w->list));
    w->n = w->given = 0;
}

static void deliver(void *arg);

static void schedule(struct kube_watch *w)
{
    if (!w->event && !w->list && w->first)
        w->event = sim_after(w->first->due - sim.now, deliver, w);
}

static void deliver(void *arg)
{
    struct kube_watch *w = arg;

    w->event = NULL;
    while (w->first && w->first->due <= sim.now) {
        struct item *i = w->first;

        w->first = i->next;
        if (!w->first)
            w->last = &w->first;
        if (i->gone)
            w->sink.deleted(w->sink.arg, i->v->v);
        else
            w->sink.object(w->sink.arg, i->v->v, /* initial= */ false);
        version_unref(i->v);
        free(i);
    }
    schedule(w);
}

static void tell(struct kube_watch *w, struct version *v, bool gone)
{
    struct item *i = xmalloc(sizeof(*i));
    int64_t due = sim.now + skewed(R_LATENCY, 1, 60);

    due = MAX(due, w->stalled_until) + (sim.now < w->slow_until ? w->lag : 0);
    w->last_due = MAX(w->last_due, due);
    *i = (struct item){NULL, version_ref(v), gone, w->last_due};
    *w->last = i;
    w->last = &i->next;
    schedule(w);
}

void watches_tell(int kind, struct version *v, bool gone)
{
    for (struct kube_watch *w = watches; w; w = w->next)
        if (w->kind == kind && w->watching)
            tell(w, v, gone);
}

/* ---- the list ---- */

/* Items of a list lack apiVersion and kind. */
static void give(struct kube_watch *w, struct version *v)
{
    cleanup_arena struct arena a = {0};
    jv object = jv_set(&a, jv_set(&a, v->v, "apiVersion", ABSENT), "kind", ABSENT);

    w->sink.object(w->sink.arg, object, /* initial= */ true);
    version_unref(v);
}

/* Its pages come one after the other; what changes meanwhile comes after it. */
static void list_page(void *arg)
{
    struct kube_watch *w = arg;
    size_t page = (size_t)between(R_LATENCY, 1, 20), until = MIN(w->n, w->given + page);
    char version[32];

    w->event = NULL;
    while (w->given < until)
        give(w, w->list[w->given++]);
    if (w->given < w->n) {
        w->event = sim_after(skewed(R_LATENCY, 1, 50), list_page, w);
        return;
    }
    free(TAKE_PTR(w->list));
    w->n = w->given = 0;
    w->synced = true;
    snprintf(version, sizeof(version), "%lld", (long long)w->list_version);
    w->sink.list_end(w->sink.arg, version);
    schedule(w);
}

/* The server takes its picture; the answer is on its way for a while. */
static void list(void *arg)
{
    struct kube_watch *w = arg;
    struct object *o;
    void *at = NULL;
    size_t room = 0;

    w->event = NULL;
    w->n = w->given = 0;
    w->list_version = api_version();
    while ((o = api_next(w->kind, &at))) {
        if (w->n == room) {
            room = room ? room * 2 : 16;
            w->list = xreallocarray(w->list, room, sizeof(struct version *));
        }
        w->list[w->n++] = version_ref(o->at);
    }
    if (!w->list)
        w->list = xcalloc(1, sizeof(struct version *));
    w->watching = true;
    w->event = sim_after(skewed(R_LATENCY, 1, 100), list_page, w);
}

/* It is on its way to the server for as long. */
static void ask_for_list(void *arg)
{
    struct kube_watch *w = arg;

    w->sink.list_begin(w->sink.arg);
    w->event = sim_after(skewed(R_LATENCY, 1, 100), list, w);
}

/* ---- life ---- */

struct kube_watch *kube_watch_start(struct kube_client *c, const struct kube_watch_spec *spec,
                                    const struct kube_watch_sink *sink)
{
    struct kube_watch *w = xcalloc(1, sizeof(*w));

    (void)c;
    *w = (struct kube_watch){.next = watches, .kind = (int)spec->kind, .sink = *sink};
    w->link = &watches;
    if (w->next)
        w->next->link = &w->next;
    watches = w;
    w->last = &w->first;
    w->event = sim_after(skewed(R_LATENCY, 1, 100), ask_for_list, w);
    return w;
}

void kube_watch_stop(struct kube_watch *w)
{
    if (!w)
        return;
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    sim_cancel(w->event);
    queue_clear(w);
    free(w);
}

bool kube_watch_synced(const struct kube_watch *w)
{
    return w->synced;
}

/* They break, but none of what is watched here has to wait long for another try. */
void kube_watch_hurry(struct kube_watch *w)
{
    (void)w;
}

int64_t kube_watch_last_byte(const struct kube_watch *w)
{
    (void)w;
    return sim.now;
}

struct kube_watch_info kube_watch_info(const struct kube_watch *w)
{
    return (struct kube_watch_info){.synced = w->synced, .started = sim.now, .last_byte = sim.now};
}

/* ---- faults ---- */

bool watches_stalled(void)
{
    for (const struct kube_watch *w = watches; w; w = w->next)
        if (w->stalled_until > sim.now || w->slow_until + w->lag > sim.now)
            return true;
    return false;
}

static struct kube_watch *any_watch(void)
{
    struct kube_watch *w = watches;
    int n = 0;

    for (; w; w = w->next)
        n++;
    n = n ? any(R_FAULT, n) : 0;
    for (w = watches; w && n; w = w->next)
        n--;
    return w;
}

void watch_break(void)
{
    struct kube_watch *w = any_watch();

    if (!w || !w->synced)
        return;
    TRACE("fault: the watch of %ss lists again", kind_name(w->kind));
    sim_cancel(TAKE_PTR(w->event));
    queue_clear(w);
    w->watching = false;
    w->event = sim_after(skewed(R_FAULT, 1, 30 * SECOND), ask_for_list, w);
}

void watch_stall(int64_t ms)
{
    struct kube_watch *w = any_watch();

    if (!w)
        return;
    TRACE("fault: the watch of %ss stalls for %lld ms", kind_name(w->kind), (long long)ms);
    w->stalled_until = MAX(w->stalled_until, sim.now + ms);
}

void watch_lag(int64_t lag, int64_t ms)
{
    struct kube_watch *w = any_watch();

    if (!w)
        return;
    TRACE("fault: the watch of %ss is %lld ms late for %lld ms", kind_name(w->kind), (long long)lag,
          (long long)ms);
    w->lag = lag;
    w->slow_until = sim.now + ms;
}
