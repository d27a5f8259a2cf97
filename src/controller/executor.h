/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out a plan: starts all its actions side by side, puts the answers of the API server into
 * the stores, and tells when the last one has ended, with the outcome of each.
 */
#ifndef CONTROLLER_EXECUTOR_H
#define CONTROLLER_EXECUTOR_H

#include "flink_client.h"
#include "flinkop/ns_share.h"
#include "flinkop/plan.h"

struct execution;
struct jar_pool;
struct kube_events;
struct store;

struct executor {
    struct loop *loop;
    struct kube_client *kube;
    struct flink_client *flink;
    struct kube_events *events;
    struct http_client *downloads;
    struct ns_share download_share; /* who may download */
    struct jar_pool *jars;
    int64_t submission_ms; /* of the call that runs a job */
    struct store **stores; /* by kind, NULL where there is none */
    /** The JobManager of a cluster; false if none runs. Strings live until the next turn. */
    bool (*jobmanager)(void *arg, const char *ns, const char *cluster, struct flink_endpoint *ret);
    /** Something was done to this cluster's Flink; rescaled: to what a job needs. */
    void (*touched)(void *arg, const char *ns, const char *cluster, bool rescaled);
    void *arg;
};

/** outcomes live until return. changed: something was written. */
typedef void (*execution_done_fn)(void *arg, const struct outcome *outcomes, size_t n, bool failed);

/** Takes over the arena with the plan in it (`arena` is emptied). done comes in a later turn, also
 * for a plan without actions. */
struct execution *execution_start(struct executor *x, struct arena *arena, const struct plan *plan,
                                  execution_done_fn done, void *arg);
/** Whether it waits for a JobManager. */
bool action_asks_flink(enum action_type type);
/** Gives up submissions, or all that waits for Flink; done still comes. */
void execution_hurry(struct execution *e, bool all);
/** Ends it without a callback. */
void execution_free(struct execution *e);

#endif
