/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing a JAR to a JobManager: it streams from where it lies straight into Flink, without a copy
 * on disk or in memory, unless it is there already (jars.h).
 */
#ifndef CONTROLLER_BRING_H
#define CONTROLLER_BRING_H

#include "executor.h"

struct bringing;

/** err->code ERR_NONE: the JAR lies in Flink under this id, and stays there until bring_free().
 * once: for this run only, nobody else will find it. In a later turn. */
typedef void (*brought_fn)(void *arg, const struct error *err, const char *jar_id, bool once);

/** Endpoint and arguments outlive it. */
struct bringing *bring_start(struct executor *x, const struct flink_endpoint *e,
                             const struct submit_args *args, brought_fn done, void *arg);
/** Flink does not have it any more: whoever comes next brings it anew. */
void bring_lost(struct bringing *b);
/** Ends it, without a callback. NULL is allowed. */
void bring_free(struct bringing *b);

/** Deletes a JAR from a JobManager. */
struct flink_call *delete_jar(struct executor *x, const struct flink_endpoint *e, const char *id,
                              flink_done_fn done, void *arg);

#endif
