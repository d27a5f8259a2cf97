/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/loop.h"

#include <uv.h>

#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/slab.h"

/* A closing handle is done after a turn or two; more turns mean that somebody left one open. */
#define CLOSE_TURNS 100

struct deferred {
    struct deferred *next;
    const void *owner;
    loop_fn fn;
    void *arg;
    uint64_t seq;
};

struct timer {
    uv_timer_t uv; /* first: the close callback gets its address */
    struct loop *loop;
    loop_fn fn;
    void *arg;
    struct timer *next, **link; /* in loop->timers */
};

struct signal {
    uv_signal_t uv; /* first, as above */
    loop_fn fn;
    void *arg;
    struct signal *next;
};

static struct metric turn_seconds = METRIC_HISTOGRAM(
    "loop_turn_seconds", "Time the event loop was busy in one turn.", metric_seconds_buckets, NULL);

struct loop {
    uv_loop_t uv;
    uv_check_t check;             /* sees the end of each turn */
    uint64_t turn_at, turn_slept; /* ns, as of the end of the last turn */
    uv_async_t alive; /* an open handle, so that uv_run does not return while nothing waits */
    uv_idle_t idle;   /* active while something is deferred: the turn then does not sleep */
    struct deferred *first, **last;
    uint64_t seq;
    struct timer *timers;
    struct signal *signals;
};

/* Runs what was deferred before this turn; what that defers again waits for the next turn, so that
 * I/O is never starved. */
static void run_deferred(uv_idle_t *idle)
{
    struct loop *loop = idle->data;
    uint64_t until = loop->seq;

    while (loop->first && loop->first->seq <= until) {
        struct deferred d = *loop->first;

        free(loop->first);
        loop->first = d.next;
        if (!d.next)
            loop->last = &loop->first;
        d.fn(d.arg);
    }
    if (!loop->first)
        uv_idle_stop(idle);
}

static void end_turn(uv_check_t *check)
{
    struct loop *loop = check->data;
    uint64_t now = uv_hrtime(), slept = uv_metrics_idle_time(&loop->uv);

    if (loop->turn_at) {
        int64_t busy = (int64_t)((now - loop->turn_at) - (slept - loop->turn_slept));

        metric_observe(&turn_seconds, (double)MAX(busy, (int64_t)0) / 1e9);
    }
    loop->turn_at = now;
    loop->turn_slept = slept;
}

static void ignore_wake(uv_async_t *async)
{
    (void)async;
}

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));
    int rc = uv_loop_init(&loop->uv);

    if (!rc)
        rc = uv_async_init(&loop->uv, &loop->alive, ignore_wake);
    if (rc)
        BUG("cannot make an event loop: %s", uv_strerror(rc));
    uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->idle.data = loop;
    uv_check_init(&loop->uv, &loop->check);
    loop->check.data = loop;
    uv_check_start(&loop->check, end_turn);
    loop->last = &loop->first;
    return loop;
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_defer(struct loop *loop, const void *owner, loop_fn fn, void *arg)
{
    struct deferred *d = xmalloc(sizeof(*d));

    *d = (struct deferred){.owner = owner, .fn = fn, .arg = arg, .seq = ++loop->seq};
    if (!loop->first)
        uv_idle_start(&loop->idle, run_deferred);
    *loop->last = d;
    loop->last = &d->next;
}

void loop_undefer(struct loop *loop, const void *owner)
{
    struct deferred **slot = &loop->first;

    while (*slot) {
        struct deferred *d = *slot;

        if (d->owner == owner) {
            *slot = d->next;
            free(d);
        } else {
            slot = &d->next;
        }
    }
    loop->last = slot;
}

int64_t loop_now(struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *uv)
{
    struct timer *t = (struct timer *)(void *)uv;

    t->fn(t->arg);
}

static void free_closed(uv_handle_t *handle)
{
    free(handle);
}

static void free_closed_timer(uv_handle_t *handle)
{
    slab_free(handle, sizeof(struct timer));
}

struct timer *timer_new(struct loop *loop, loop_fn fn, void *arg)
{
    struct timer *t = slab_alloc(sizeof(*t));

    *t = (struct timer){.loop = loop, .fn = fn, .arg = arg, .next = loop->timers};
    t->link = &loop->timers;
    if (t->next)
        t->next->link = &t->next;
    loop->timers = t;
    uv_timer_init(&loop->uv, &t->uv);
    return t;
}

void timer_start(struct timer *t, int64_t ms)
{
    /* From now on, not from the start of a turn that may be long: nothing expires early. */
    uv_update_time(&t->loop->uv);
    uv_timer_start(&t->uv, on_timer, ms > 0 ? (uint64_t)ms : 0, /* repeat= */ 0);
}

void timer_stop(struct timer *t)
{
    uv_timer_stop(&t->uv);
}

bool timer_active(const struct timer *t)
{
    return uv_is_active((const uv_handle_t *)&t->uv);
}

void timer_free(struct timer *t)
{
    if (!t)
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    uv_close((uv_handle_t *)&t->uv, free_closed_timer);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *uv, int signo)
{
    struct signal *s = (struct signal *)(void *)uv;

    (void)signo;
    s->fn(s->arg);
}

void loop_on_signal(struct loop *loop, int signo, loop_fn fn, void *arg)
{
    struct signal *s = xcalloc(1, sizeof(*s));

    *s = (struct signal){.fn = fn, .arg = arg, .next = loop->signals};
    loop->signals = s;
    uv_signal_init(&loop->uv, &s->uv);
    int rc = uv_signal_start(&s->uv, on_signal, signo);
    if (rc)
        BUG("cannot catch signal %d: %s", signo, uv_strerror(rc));
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    while (loop->first) {
        struct deferred *d = loop->first;

        loop->first = d->next;
        free(d);
    }
    loop->last = &loop->first;
    while (loop->timers)
        timer_free(loop->timers);
    while (loop->signals) {
        struct signal *s = loop->signals;

        loop->signals = s->next;
        uv_close((uv_handle_t *)&s->uv, free_closed);
    }
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->alive, NULL);
    int rc = uv_loop_close(&loop->uv);
    for (int i = 0; i < CLOSE_TURNS && rc; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        rc = uv_loop_close(&loop->uv);
    }
    if (rc)
        BUG("event loop: %s", uv_strerror(rc));
    free(loop);
}
