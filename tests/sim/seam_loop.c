/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flinkop/loop.h on the virtual clock, and the clocks and generators of src/base (exchanged by the
 * linker's --wrap). A loop is one process: freeing it ends whatever waits there.
 */
#include "flinkop/loop.h"

#include <stdio.h>
#include <stdlib.h>

#include "flinkop/mem.h"
#include "sim.h"

struct deferred {
    struct deferred *next, **link;
    struct loop *loop;
    const void *owner;
    loop_fn fn;
    void *arg;
    struct sim_event *event;
};

struct timer {
    struct loop *loop;
    loop_fn fn;
    void *arg;
    struct sim_event *event;
};

struct loop {
    struct deferred *first, **last;
    int timers; /* not yet freed */
};

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));

    loop->last = &loop->first;
    return loop;
}

static void unlink_deferred(struct deferred *d)
{
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    else
        d->loop->last = d->link;
}

static void drop(struct deferred *d)
{
    unlink_deferred(d);
    sim_cancel(d->event);
    free(d);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    while (loop->first)
        drop(loop->first);
    CHECK(!loop->timers, "%d timers were not freed before the loop", loop->timers);
    free(loop);
}

int64_t loop_now(struct loop *loop)
{
    (void)loop;
    return sim.now;
}

/* ---- deferred calls ---- */

static void run_deferred(void *arg)
{
    struct deferred *d = arg;
    loop_fn fn = d->fn;
    void *fn_arg = d->arg;

    unlink_deferred(d);
    free(d);
    fn(fn_arg);
}

void loop_defer(struct loop *loop, const void *owner, loop_fn fn, void *arg)
{
    struct deferred *d = xmalloc(sizeof(*d));

    *d = (struct deferred){.link = loop->last, .loop = loop, .owner = owner, .fn = fn, .arg = arg};
    *loop->last = d;
    loop->last = &d->next;
    d->event = sim_after(0, run_deferred, d);
}

void loop_undefer(struct loop *loop, const void *owner)
{
    for (struct deferred *d = loop->first, *next; d; d = next) {
        next = d->next;
        if (d->owner == owner)
            drop(d);
    }
}

/* ---- timers ---- */

static void fire(void *arg)
{
    struct timer *t = arg;

    t->event = NULL;
    t->fn(t->arg);
}

struct timer *timer_new(struct loop *loop, loop_fn fn, void *arg)
{
    struct timer *t = xcalloc(1, sizeof(*t));

    *t = (struct timer){.loop = loop, .fn = fn, .arg = arg};
    loop->timers++;
    return t;
}

void timer_stop(struct timer *t)
{
    sim_cancel(t->event);
    t->event = NULL;
}

void timer_start(struct timer *t, int64_t ms)
{
    timer_stop(t);
    t->event = sim_after(ms, fire, t);
}

bool timer_active(const struct timer *t)
{
    return t->event != NULL;
}

void timer_free(struct timer *t)
{
    if (!t)
        return;
    timer_stop(t);
    t->loop->timers--;
    free(t);
}

/* ---- base/clock.c and base/hash.c ---- */

int64_t __wrap_clock_mono_ms(void);
int64_t __wrap_clock_wall_ms(void);
void __wrap_random_hex(char *out, size_t n);
double __wrap_random_unit(void);

int64_t __wrap_clock_mono_ms(void)
{
    return sim.now;
}

int64_t __wrap_clock_wall_ms(void)
{
    return sim_wall();
}

void __wrap_random_hex(char *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned)any(R_OPERATOR, 256));
}

double __wrap_random_unit(void)
{
    return (double)any(R_OPERATOR, 1 << 20) / (1 << 20);
}
