/* SPDX-License-Identifier: Apache-2.0 */
/* What carries out one action: at the API server (executor.c), at Flink (executor_flink.c). */
#ifndef CONTROLLER_EXECUTOR_INTERNAL_H
#define CONTROLLER_EXECUTOR_INTERNAL_H

#include "executor.h"
#include "flinkop/arena.h"

/* One action on its way. */
struct op {
    struct execution *e;
    struct action *act;
    struct kube_request *kube;
    struct flink_call *flink;
    const char *asked; /* pod of the JobManager that was asked last, NULL: none yet */
    struct submission *submission;
    bool settled; /* ACT_RELEASE: Flink has said that every job runs as a whole */
    bool ended;
    struct outcome outcome;
    int64_t started;
    size_t burials;       /* of the store, when it was sent */
    const char *owner;    /* ACT_RELABEL, or the like: uid of what its object has to belong to */
    struct error *unseen; /* ACT_APPLY: what it has met may be such an object; NULL: not */
};

struct execution {
    struct executor *x;
    struct arena a;
    struct op *ops;
    size_t n, pending;
    execution_done_fn done;
    void *arg;
};

/** What it does, in a word or two. */
const char *action_word(enum action_type type);

/** Ends it with this outcome. */
void op_end(struct op *op, const struct error *err);
void op_ok(struct op *op);
void op_fail(struct op *op, enum errc code, const char *text);
/** Made again and again while nothing is wrong: it is not worth a line, nor a back-off. */
bool op_is_look(const struct op *op);
/** Goes on with deleting its object. */
void op_delete(struct op *op);

/** Starts an action that is about a job, and ACT_RELEASE. */
void op_start_flink(struct op *op); /* executor_flink.c */

#endif
