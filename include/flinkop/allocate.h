/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator: how many TaskManagers a session cluster should have, and which to create or take
 * away now. A pure function of what is observed, of the policy, of its own notes and of the time.
 *
 * Demand is absolute (the slots that all unfinished jobs need), so a step that was lost or made
 * twice is harmless. Up goes in one go, down one by one and only when nothing can lose by it. The
 * algorithm and what it rests on: flink-internals §3 and §7.
 */
#ifndef FLINKOP_ALLOCATE_H
#define FLINKOP_ALLOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/cluster_config.h"
#include "flinkop/observed.h"

struct arena;

/* ---- what is seen ---- */

/* A TaskManager pod, with what Flink says of it. */
struct alloc_tm {
    const char *name, *uid, *version;
    int64_t age_ms; /* since its creation */
    bool scheduled, running;
    bool dead, deleting;
    int64_t ran_ms; /* how long a dead one ran, -1 unknown */
    struct obs_cause cause;
    bool registered; /* Flink lists it */
    int slots, free; /* then: of Flink's view */
    bool kept;       /* it was to be released, and Flink has just said that it may be needed */
};

/* An unfinished job that Flink has, or that a FlinkSessionJob is about to submit. */
struct alloc_job {
    const char *id, *name;
    int need;      /* slots to run all of it; of a batch job, what it can use now */
    int need_max;  /* at most, where Flink does not tell the slot sharing groups */
    bool expected; /* Flink does not have it yet: it holds none */
    bool waiting;  /* not all of it runs */
    bool starved;  /* because tasks of it have no slot */
    bool batch;
};

struct alloc_input {
    struct alloc_policy policy;
    const struct alloc_tm *tms;
    size_t n_tms;
    const struct alloc_job *jobs;
    size_t n_jobs;
    bool flink_known;       /* jobs and registrations are from the JobManager that runs now… */
    const char *jobmanager; /* …which is this one */
    bool flink_fresh;       /* …and not older than a moment: needed for taking away */
    int64_t flink_ms;       /* how long that JobManager has been answering */
    bool hold;              /* take nothing away: a job may get a free slot any moment */
    bool create_failed;     /* a pod could not be created since the last pass */
    struct obs_cause create_error;
    int64_t now; /* monotonic ms */
};

/* ---- notes from pass to pass; losing them only makes waiting times start again ---- */

struct alloc_note {
    const char *name;
    int64_t idle_since;       /* -1: has a used slot, or not registered */
    int64_t registered_since; /* -1: not */
    int64_t lost_since;       /* the JobManager that runs now had it until then; -1: has it, or
                                 never had */
    bool told;                /* its end is no news any more */
};

struct alloc_memory {
    struct alloc_note *notes;
    size_t n_notes;
    const char *jobmanager; /* they are about registrations with this one */
    int start_failures;     /* TaskManagers in a row that died young or never came */
    int64_t start_failed_at;
    struct obs_cause start_cause;
    int create_failures;
    int64_t create_failed_at;
    struct obs_cause create_cause;
    int64_t surplus_since; /* -1: none */
    int64_t short_since;   /* -1: since when jobs wait with nothing starting */
    int64_t locked_since;  /* -1: since when jobs seem to wait for each other */
    int extra;             /* TaskManagers beyond the sum, after waiting in vain */
};

/** Notes of a cluster that was never seen. */
struct alloc_memory alloc_memory_initial(void);

/* ---- what to do ---- */

struct alloc_removal {
    const struct alloc_tm *tm;
    bool recheck;    /* ask Flink once more right before: it may be in use by then */
    const char *why; /* for the log */
    /* It failed, and that is news; reason NULL: it did not, or was told before. */
    struct obs_cause cause;
};

struct alloc_result {
    int create;
    struct alloc_removal *remove;
    size_t n_remove;
    int live, starting, desired;
    int slots_total, slots_free, slots_needed;
    struct obs_cause problem; /* why not all that is desired is there; reason NULL: none */
    int64_t next;             /* monotonic ms when to look again; INT64_MAX: only on events */
    struct alloc_memory memory;
};

/** Everything in the result lives in the arena (or is borrowed from the input). */
struct alloc_result allocate(struct arena *a, const struct alloc_input *in,
                             const struct alloc_memory *memory);

/** Slots that running all of a job takes: the sum over its slot sharing groups of the largest
 * parallelism; without groups (before 1.20) the largest parallelism, and in ret_max the sum over
 * all vertices. A batch job runs one part after the other: of it only those vertices count that
 * have tasks to run now, and it can do with one slot. */
int job_slots(const struct flink_job_detail *job, int *ret_max);

#endif
