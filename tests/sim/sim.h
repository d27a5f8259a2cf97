/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator: the real controller (src/controller, src/cluster and what is pure below them) in a
 * model of everything around it, on a virtual clock. tests/README.md says what is modelled.
 *
 * This header is the world's clockwork: events in virtual time, randomness from the seed, faults
 * that can be switched off by kind, the trace. One world exists at a time.
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/macros.h"

/* ---- time ---- */

#define SECOND 1000LL
#define MINUTE (60 * SECOND)

/* Where a run starts: monotonic clocks never start at 0 (that would hide "0 means never"). */
#define SIM_START 1000000LL
#define SIM_EPOCH 1767225600000LL /* the wall clock at monotonic 0 */

struct sim {
    int64_t now; /* monotonic ms */
    uint64_t seed;
    uint64_t events;
    bool calm;    /* no faults any more */
    bool tracing; /* TRACE prints */
    unsigned enabled;
};
extern struct sim sim;

static inline int64_t sim_wall(void)
{
    return SIM_EPOCH + sim.now;
}

typedef void (*sim_fn)(void *arg);
struct sim_event;

/** Begins a new world at SIM_START. enabled: bits of enum fault. */
void sim_reset(uint64_t seed, unsigned enabled);
/** fn(arg) in ms of virtual time, after everything that is due at the same time already. The handle
 * is dead once fn has been called. */
struct sim_event *sim_after(int64_t ms, sim_fn fn, void *arg);
/** NULL is allowed. */
void sim_cancel(struct sim_event *e);
/** Runs the next event; false if there is none before `until`. */
bool sim_step(int64_t until);
/** Frees all that is left. */
void sim_release(void);

/* Things of the model have numbers, and events carry the number, not the thing: what is gone by
 * then is simply not found. */
static inline void *sim_id(int id)
{
    return (void *)(intptr_t)id;
}
static inline int sim_id_of(const void *arg)
{
    return (int)(intptr_t)arg;
}

/* ---- randomness: one stream per purpose, so that switching a kind of fault off leaves the rest of
 * a run much as it was ---- */

enum stream { R_LATENCY, R_FAULT, R_USER, R_NODE, R_FLINK, R_OPERATOR, R_STREAMS };

uint64_t rnd(enum stream s);
/** 0 … n-1 */
int any(enum stream s, int n);
/** lo … hi */
int64_t between(enum stream s, int64_t lo, int64_t hi);
/** With this probability. */
bool chance(enum stream s, double p);
/** Mostly near lo, sometimes up to hi: how latencies are. */
int64_t skewed(enum stream s, int64_t lo, int64_t hi);

/* ---- faults ---- */

#define FAULTS(X)                                                               \
    X(API, "calls to the API server fail, with or without their effect")        \
    X(SLOW, "calls to the API server take seconds")                             \
    X(WATCH, "watches stall or list again")                                     \
    X(CRASH, "the operator dies and comes back")                                \
    X(QUOTA, "pods are refused")                                                \
    X(NODE, "pods find no node, images cannot be pulled, kubelets fall silent") \
    X(POD, "containers crash, run out of memory, pods are evicted")             \
    X(REST, "Flink does not answer, or late, or the answer is lost")            \
    X(JOB, "jobs fail, jobs are submitted and cancelled by others")             \
    X(MEDDLE, "objects are deleted behind the operator's back")                 \
    X(SPEC, "users change specifications, also to bad ones")                    \
    X(LIFE, "users delete and create clusters and jobs")

enum fault {
#define X(id, text) FAULT_##id,
    FAULTS(X)
#undef X
        FAULT_COUNT
};
#define ALL_FAULTS ((1U << FAULT_COUNT) - 1)
extern const char *const fault_names[FAULT_COUNT];

/** Whether faults of this kind happen now. */
bool faulty(enum fault f);
/** Whether one happens here, with this probability. */
bool fault(enum fault f, double p);

/* ---- trace and failure ---- */

#define TRACE(...)              \
    do {                        \
        if (sim.tracing)        \
            trace(__VA_ARGS__); \
    } while (0)
void trace(const char *fmt, ...) PRINTF(1, 2);
/** A promise was broken: says which and ends this run (the process). */
void sim_fail(const char *fmt, ...) PRINTF(1, 2) NORETURN;
#define CHECK(cond, ...)           \
    do {                           \
        if (!(cond))               \
            sim_fail(__VA_ARGS__); \
    } while (0)

#endif
