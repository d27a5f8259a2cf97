/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching a JobManager by asking it: which jobs, which TaskManagers. One probe per cluster, paced
 * by what goes on there, never part of a reconcile. The owner is told only when something changed.
 */
#ifndef CONTROLLER_PROBE_H
#define CONTROLLER_PROBE_H

#include <stdbool.h>

#include "flink_client.h"
#include "flinkop/observed.h"
#include "flinkop/plan.h"
#include "places.h"

struct probe;

/* What the probes of one controller share: together the quiet ones ask at a bounded rate, so a
 * thousand idle clusters cost little more than fifty; so do those that wait for a first answer.
 * JobManagers that let us wait have places of their own: however many they are, they do not take
 * those of the ones that answer. */
struct probe_pool {
    size_t idle, fast; /* probes at PROBE_IDLE, PROBE_FAST, without those that are left alone */
    struct places quick, slow; /* rounds under way */
};

struct probe_owner {
    /** Whom to ask: fills the endpoint and `ret_jm` ("<pod uid>/<restarts>"); false: nobody runs.
     * Strings live until the return of the caller's turn. */
    bool (*target)(void *arg, struct flink_endpoint *ret, const char **ret_jm);
    /** Something is different from before. */
    void (*changed)(void *arg);
    void *arg;
};

void probe_pool_init(struct probe_pool *pool);

struct probe *probe_new(struct loop *loop, struct flink_client *flink, struct probe_pool *pool,
                        const struct probe_owner *owner);
void probe_free(struct probe *p);

/** To be called whenever the cluster or its pods have changed: a JobManager that does not answer is
 * left alone for longer and longer, another one in its place is asked at once. */
void probe_set_pace(struct probe *p, enum probe_pace pace, bool adaptive);
/** Asks as soon as the present round is over: we have just done something to it; rescaled: to what
 * its jobs need. */
void probe_soon(struct probe *p, bool rescaled);
/** What is known; never NULL. Valid until the next turn. */
const struct obs_flink *probe_result(const struct probe *p);

/* What a probe is about to do, for people. */
struct probe_info {
    enum probe_pace pace;
    bool asking;  /* a round is under way */
    bool waiting; /* in line for one */
};
struct probe_info probe_info(const struct probe *p);

#endif
