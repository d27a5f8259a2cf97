/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each key that anything is known about has one item, in at most one list (of its namespace, ready
 * with one of three priorities, or of those being worked on) and, independently, at most once in a
 * heap of times. Namespaces with ready keys stand in a line for each priority; the first one has
 * its oldest key taken and goes to the end. An item, or a namespace, that nothing is known about
 * any more is freed, so that the queue does not grow with the names that ever existed.
 */
#include "flinkop/workqueue.h"

#include <string.h>

#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/slab.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"

#define BACKOFF_MIN_MS 5
#define BACKOFF_MAX_MS 1000000
#define BACKOFF_FACTOR 2
#define NO_TIME INT64_MAX

enum { PRIORITIES = PRIORITY_HIGH + 1, WORKING = PRIORITIES, NO_LIST };

struct space;

/* Of a namespace in the line of a priority. */
struct turn {
    struct turn *next, **link; /* link NULL: it has no ready key of this priority */
    struct space *of;
};

struct space {
    char *name;
    struct item *list[PRIORITIES], **last[PRIORITIES];
    struct turn turn[PRIORITIES];
    const struct item *shown; /* by workqueue_each: the next one */
    size_t items, working;
};

struct item {
    char *key;
    struct space *space;
    struct item *next, **link; /* in the list */
    int list;                  /* a priority, WORKING or NO_LIST */
    int64_t since;             /* when it came into that list */
    int64_t when;              /* NO_TIME: not in the heap */
    size_t heap_at;
    unsigned failures;
    bool again; /* added while worked on, with this priority: */
    enum workqueue_priority again_priority;
    bool gone; /* removed while worked on */
};

struct workqueue {
    char *name;
    int64_t backoff_min, backoff_max;
    double backoff_factor;
    struct strmap items, spaces;
    struct turn *turn[PRIORITIES], **last_turn[PRIORITIES];
    struct item *working, **last_working;
    size_t ready;
    struct item **heap; /* by when, the earliest first */
    size_t heap_len, heap_room;
};

/* clang-format off */
#define COUNTER(n, h) METRIC_COUNTER("workqueue_" n, h, "name")
#define GAUGE(n, h) METRIC_GAUGE("workqueue_" n, h, "name")
#define HISTOGRAM(n, h) METRIC_HISTOGRAM("workqueue_" n, h, metric_seconds_buckets, "name")
static struct metric adds = COUNTER("adds_total", "Total number of adds handled by workqueue");
static struct metric retries = COUNTER("retries_total", "Total number of retries handled by workqueue");
static struct metric depth = GAUGE("depth", "Current depth of workqueue");
static struct metric unfinished = GAUGE("unfinished_work_seconds",
    "How many seconds of work is in progress and not yet observed by work_duration.");
static struct metric longest = GAUGE("longest_running_processor_seconds",
    "How many seconds the longest running processor has been running.");
static struct metric waited = HISTOGRAM("queue_duration_seconds",
    "How long in seconds an item stays in workqueue before being requested");
static struct metric worked = HISTOGRAM("work_duration_seconds",
    "How long in seconds processing an item from workqueue takes.");
/* clang-format on */

/* ---- lists ---- */

static void turn_end(struct workqueue *q, struct space *s, int p)
{
    struct turn *t = &s->turn[p];

    *t->link = t->next;
    *(t->next ? &t->next->link : &q->last_turn[p]) = t->link;
    t->link = NULL;
}

static void turn_begin(struct workqueue *q, struct space *s, int p)
{
    struct turn *t = &s->turn[p];

    *t = (struct turn){.link = q->last_turn[p], .of = s};
    *t->link = t;
    q->last_turn[p] = &t->next;
}

/* Where the last one of a list puts its successor. */
static struct item ***end_of(struct workqueue *q, const struct item *it, int list)
{
    return list == WORKING ? &q->last_working : &it->space->last[list];
}

static void list_remove(struct workqueue *q, struct item *it)
{
    struct space *s = it->space;
    int list = it->list;

    if (list == NO_LIST)
        return;
    *it->link = it->next;
    *(it->next ? &it->next->link : end_of(q, it, list)) = it->link;
    it->list = NO_LIST;
    if (list == WORKING) {
        s->working--;
        return;
    }
    q->ready--;
    if (!s->list[list])
        turn_end(q, s, list);
}

static void list_append(struct workqueue *q, struct item *it, int list, int64_t now)
{
    struct space *s = it->space;
    struct item ***end = end_of(q, it, list);

    it->list = list;
    it->since = now;
    it->next = NULL;
    it->link = *end;
    *it->link = it;
    *end = &it->next;
    if (list == WORKING) {
        s->working++;
        return;
    }
    q->ready++;
    if (!s->turn[list].link)
        turn_begin(q, s, list);
}

/* ---- times ---- */

static void heap_set(struct workqueue *q, size_t at, struct item *it)
{
    q->heap[at] = it;
    it->heap_at = at;
}

/* Moves an item from the free place `at` to where it belongs. */
static void heap_place(struct workqueue *q, size_t at, struct item *it)
{
    while (at && q->heap[(at - 1) / 2]->when > it->when) {
        heap_set(q, at, q->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < q->heap_len && q->heap[child + 1]->when < q->heap[child]->when)
            child++;
        if (child >= q->heap_len || q->heap[child]->when >= it->when)
            break;
        heap_set(q, at, q->heap[child]);
        at = child;
    }
    heap_set(q, at, it);
}

static void heap_remove(struct workqueue *q, struct item *it)
{
    if (it->when == NO_TIME)
        return;
    struct item *last = q->heap[--q->heap_len];

    it->when = NO_TIME;
    if (last != it)
        heap_place(q, it->heap_at, last);
}

static void heap_add(struct workqueue *q, struct item *it, int64_t when)
{
    heap_remove(q, it);
    if (q->heap_len == q->heap_room) {
        q->heap_room = q->heap_room ? q->heap_room * 2 : 16;
        q->heap = xreallocarray(q->heap, q->heap_room, sizeof(struct item *));
    }
    it->when = when;
    heap_place(q, q->heap_len++, it);
}

/* ---- items ---- */

static struct space *space_get(struct workqueue *q, const char *key)
{
    const char *slash = strchr(key, '/');
    cleanup_free char *name = xstrndup(key, slash ? (size_t)(slash - key) : 0);
    struct space *s = strmap_get(&q->spaces, name);

    if (s)
        return s;
    s = slab_calloc(sizeof(*s));
    s->name = slab_strdup(name);
    for (int p = 0; p < PRIORITIES; p++)
        s->last[p] = &s->list[p];
    strmap_put(&q->spaces, name, s);
    return s;
}

static void space_leave(struct workqueue *q, struct space *s)
{
    if (--s->items)
        return;
    strmap_remove(&q->spaces, s->name);
    slab_strfree(s->name);
    slab_free(s, sizeof(*s));
}

static struct item *item_get(struct workqueue *q, const char *key)
{
    struct item *it = strmap_get(&q->items, key);

    if (it)
        return it;
    it = slab_calloc(sizeof(*it));
    *it = (struct item){
        .key = slab_strdup(key), .space = space_get(q, key), .list = NO_LIST, .when = NO_TIME};
    it->space->items++;
    strmap_put(&q->items, key, it);
    return it;
}

static void item_free(struct workqueue *q, struct item *it)
{
    list_remove(q, it);
    heap_remove(q, it);
    strmap_remove(&q->items, it->key);
    space_leave(q, it->space);
    slab_strfree(it->key);
    slab_free(it, sizeof(*it));
}

static void item_free_if_idle(struct workqueue *q, struct item *it)
{
    if (it->list == NO_LIST && it->when == NO_TIME && !it->failures)
        item_free(q, it);
}

static void make_ready(struct workqueue *q, struct item *it, enum workqueue_priority p, int64_t now)
{
    metric_add(&adds, 1, q->name);
    if (it->list == WORKING) {
        it->again_priority = it->again ? MAX(it->again_priority, p) : p;
        it->again = true;
        it->gone = false;
    } else if (it->list == NO_LIST || it->list < (int)p) {
        int64_t since = it->list == NO_LIST ? now : it->since;

        list_remove(q, it);
        list_append(q, it, (int)p, since);
    }
}

/* ---- what others call ---- */

struct workqueue *workqueue_new(const struct workqueue_options *o)
{
    struct workqueue *q = xcalloc(1, sizeof(*q));

    q->name = xstrdup(str_or_empty(o->name));
    metric_add(&adds, 0, q->name);
    metric_add(&retries, 0, q->name);
    workqueue_set_backoff(q, o->backoff_min_ms, o->backoff_max_ms, 0);
    for (int p = 0; p < PRIORITIES; p++)
        q->last_turn[p] = &q->turn[p];
    q->last_working = &q->working;
    return q;
}

void workqueue_set_backoff(struct workqueue *q, int64_t min_ms, int64_t max_ms, double factor)
{
    q->backoff_min = min_ms ? min_ms : BACKOFF_MIN_MS;
    q->backoff_max = max_ms ? max_ms : BACKOFF_MAX_MS;
    q->backoff_factor = factor > 0 ? factor : BACKOFF_FACTOR;
}

void workqueue_free(struct workqueue *q)
{
    struct strmap_entry *e;

    if (!q)
        return;
    strmap_foreach (e, &q->items)
        item_free(q, e->value);
    strmap_release(&q->items);
    strmap_release(&q->spaces);
    free(q->heap);
    free(q->name);
    free(q);
}

void workqueue_add(struct workqueue *q, const char *key, enum workqueue_priority p, int64_t now)
{
    make_ready(q, item_get(q, key), p, now);
}

void workqueue_add_at(struct workqueue *q, const char *key, int64_t when)
{
    struct item *it = item_get(q, key);

    it->gone = false;
    if (when < it->when)
        heap_add(q, it, when);
}

void workqueue_add_backoff(struct workqueue *q, const char *key, int64_t at_least_ms, int64_t now)
{
    struct item *it = item_get(q, key);
    double ms = (double)q->backoff_min;

    for (unsigned i = 0; i < MIN(it->failures, 1000U) && ms < (double)q->backoff_max; i++)
        ms *= q->backoff_factor;
    it->failures += it->failures < UINT32_MAX;
    metric_add(&retries, 1, q->name);
    workqueue_add_at(q, key, now + MIN(MAX((int64_t)ms, at_least_ms), q->backoff_max));
}

void workqueue_forget(struct workqueue *q, const char *key)
{
    struct item *it = strmap_get(&q->items, key);

    if (!it)
        return;
    it->failures = 0;
    item_free_if_idle(q, it);
}

unsigned workqueue_failures(const struct workqueue *q, const char *key)
{
    const struct item *it = strmap_get(&q->items, key);

    return it ? it->failures : 0;
}

/* NULL: none that may have one more key worked on. */
static struct space *whose_turn(const struct workqueue *q, int p, size_t most)
{
    for (struct turn *t = q->turn[p]; t; t = t->next)
        if (t->of->working < most)
            return t->of;
    return NULL;
}

const char *workqueue_get(struct workqueue *q, int64_t now, size_t most)
{
    while (q->heap_len && q->heap[0]->when <= now) {
        struct item *due = q->heap[0];

        heap_remove(q, due);
        make_ready(q, due, PRIORITY_NORMAL, now);
    }
    for (int p = PRIORITY_HIGH; p >= PRIORITY_LOW; p--) {
        struct space *s = whose_turn(q, p, most);

        if (!s)
            continue;
        struct item *it = s->list[p];

        metric_observe(&waited, (double)(now - it->since) / 1000, q->name);
        list_remove(q, it);
        if (s->list[p]) {
            turn_end(q, s, p);
            turn_begin(q, s, p);
        }
        list_append(q, it, WORKING, now);
        return it->key;
    }
    return NULL;
}

void workqueue_done(struct workqueue *q, const char *key, int64_t now)
{
    struct item *it = strmap_get(&q->items, key);

    if (!it || it->list != WORKING)
        BUG("workqueue_done of %s, which is not worked on", key);
    metric_observe(&worked, (double)(now - it->since) / 1000, q->name);
    list_remove(q, it);
    if (it->gone) {
        item_free(q, it);
    } else if (it->again) {
        it->again = false;
        list_append(q, it, (int)it->again_priority, now);
    } else {
        item_free_if_idle(q, it);
    }
}

void workqueue_remove(struct workqueue *q, const char *key)
{
    struct item *it = strmap_get(&q->items, key);

    if (!it)
        return;
    if (it->list != WORKING) {
        item_free(q, it);
        return;
    }
    heap_remove(q, it);
    it->failures = 0;
    it->again = false;
    it->gone = true;
}

int64_t workqueue_next(const struct workqueue *q, int64_t now, size_t most)
{
    for (int p = PRIORITY_LOW; p <= PRIORITY_HIGH; p++)
        if (whose_turn(q, p, most))
            return now;
    return q->heap_len ? MAX(q->heap[0]->when, now) : INT64_MAX;
}

size_t workqueue_depth(const struct workqueue *q)
{
    return q->ready;
}

static void show(const struct item *it, enum workqueue_state state,
                 void (*fn)(void *arg, const struct workqueue_item *item), void *arg)
{
    const struct workqueue_item shown = {
        .key = it->key,
        .state = state,
        .priority = state == WORKQUEUE_READY ? (enum workqueue_priority)it->list : PRIORITY_NORMAL,
        .since = it->since,
        .when = it->when,
        .failures = it->failures,
        .again = it->again,
    };

    fn(arg, &shown);
}

/* As their turns come. */
static void show_ready(const struct workqueue *q, int p,
                       void (*fn)(void *arg, const struct workqueue_item *item), void *arg)
{
    bool more = q->turn[p] != NULL;

    for (const struct turn *t = q->turn[p]; t; t = t->next)
        t->of->shown = t->of->list[p];
    while (more) {
        more = false;
        for (const struct turn *t = q->turn[p]; t; t = t->next) {
            const struct item *it = t->of->shown;

            if (!it)
                continue;
            t->of->shown = it->next;
            more |= it->next != NULL;
            show(it, WORKQUEUE_READY, fn, arg);
        }
    }
}

void workqueue_each(const struct workqueue *q,
                    void (*fn)(void *arg, const struct workqueue_item *item), void *arg)
{
    struct strmap_entry *e;

    for (const struct item *it = q->working; it; it = it->next)
        show(it, WORKQUEUE_WORKING, fn, arg);
    for (int p = PRIORITY_HIGH; p >= PRIORITY_LOW; p--)
        show_ready(q, p, fn, arg);
    for (int failing = 1; failing >= 0; failing--)
        strmap_foreach (e, &q->items) {
            const struct item *it = e->value;

            if (it->list == NO_LIST && (it->failures > 0) == failing)
                show(it, WORKQUEUE_WAITING, fn, arg);
        }
}

size_t workqueue_items(const struct workqueue *q)
{
    return q->items.count;
}

void workqueue_observe(const struct workqueue *q, int64_t now)
{
    double sum = 0, most = 0;

    for (const struct item *it = q->working; it; it = it->next) {
        double seconds = (double)(now - it->since) / 1000;

        sum += seconds;
        most = MAX(most, seconds);
    }
    metric_set(&depth, (double)q->ready, q->name);
    metric_set(&unfinished, sum, q->name);
    metric_set(&longest, most, q->name);
}
