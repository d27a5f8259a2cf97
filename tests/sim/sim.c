/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/mem.h"

struct sim sim;

/* ---- events: a binary heap by time, then by order of arrival ---- */

struct sim_event {
    int64_t at;
    uint64_t seq;
    sim_fn fn;
    void *arg;
    size_t position;
};

static struct {
    struct sim_event **items;
    size_t n, room;
    uint64_t seq;
} heap;

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void place(struct sim_event *e, size_t i)
{
    heap.items[i] = e;
    e->position = i;
}

static void sift_up(struct sim_event *e, size_t i)
{
    for (; i && before(e, heap.items[(i - 1) / 2]); i = (i - 1) / 2)
        place(heap.items[(i - 1) / 2], i);
    place(e, i);
}

static void sift_down(struct sim_event *e, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < heap.n; i = child) {
        if (child + 1 < heap.n && before(heap.items[child + 1], heap.items[child]))
            child++;
        if (!before(heap.items[child], e))
            break;
        place(heap.items[child], i);
    }
    place(e, i);
}

struct sim_event *sim_after(int64_t ms, sim_fn fn, void *arg)
{
    struct sim_event *e = xmalloc(sizeof(*e));

    *e = (struct sim_event){sim.now + MAX(ms, (int64_t)0), ++heap.seq, fn, arg, 0};
    if (heap.n == heap.room) {
        heap.room = heap.room ? heap.room * 2 : 256;
        heap.items = xreallocarray(heap.items, heap.room, sizeof(struct sim_event *));
    }
    heap.n++;
    sift_up(e, heap.n - 1);
    return e;
}

static void take_out(struct sim_event *e)
{
    struct sim_event *last = heap.items[--heap.n];
    size_t i = e->position;

    if (last == e)
        return;
    if (i && before(last, heap.items[(i - 1) / 2]))
        sift_up(last, i);
    else
        sift_down(last, i);
}

void sim_cancel(struct sim_event *e)
{
    if (!e)
        return;
    take_out(e);
    free(e);
}

bool sim_step(int64_t until)
{
    if (!heap.n || heap.items[0]->at > until) {
        sim.now = MAX(sim.now, until);
        return false;
    }
    struct sim_event e = *heap.items[0];

    sim_cancel(heap.items[0]);
    sim.now = e.at;
    sim.events++;
    e.fn(e.arg);
    return true;
}

void sim_release(void)
{
    while (heap.n)
        free(heap.items[--heap.n]);
    free(heap.items);
    memset(&heap, 0, sizeof(heap));
}

/* ---- randomness: splitmix64 ---- */

static uint64_t streams[R_STREAMS];

uint64_t rnd(enum stream s)
{
    uint64_t z = (streams[s] += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

int any(enum stream s, int n)
{
    return (int)(rnd(s) % (uint64_t)n);
}

int64_t between(enum stream s, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(rnd(s) % (uint64_t)(hi - lo + 1));
}

static double unit(enum stream s)
{
    return (double)(rnd(s) >> 11) / 9007199254740992.0;
}

bool chance(enum stream s, double p)
{
    return unit(s) < p;
}

int64_t skewed(enum stream s, int64_t lo, int64_t hi)
{
    double u = unit(s);

    return lo + (int64_t)((double)(hi - lo) * u * u * u * u);
}

void sim_reset(uint64_t seed, unsigned enabled)
{
    sim_release();
    sim = (struct sim){.now = SIM_START, .seed = seed, .tracing = sim.tracing, .enabled = enabled};
    for (int i = 0; i < R_STREAMS; i++)
        streams[i] = seed * 0x2545f4914f6cdd1dULL + (uint64_t)i * 0x632be59bd9b4e019ULL;
}

/* ---- faults ---- */

const char *const fault_names[FAULT_COUNT] = {
#define X(id, text) [FAULT_##id] = #id,
    FAULTS(X)
#undef X
};

bool faulty(enum fault f)
{
    return !sim.calm && (sim.enabled & (1U << f));
}

bool fault(enum fault f, double p)
{
    bool hit = chance(R_FAULT, p); /* drawn in any case: the stream stays in step */

    return hit && faulty(f);
}

/* ---- trace ---- */

static void stamp(void)
{
    printf("%9.3f  ", (double)(sim.now - SIM_START) / 1000);
}

void trace(const char *fmt, ...)
{
    va_list ap;

    stamp();
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void sim_fail(const char *fmt, ...)
{
    va_list ap;

    stamp();
    printf("BROKEN: ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
    _Exit(1);
}
