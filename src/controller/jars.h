/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JARs that lie in JobManagers, so that many jobs of one JAR bring it there once. A JAR is known by
 * what its server calls it, not by its URL alone: another ETag is another JAR. Its name in Flink
 * holds that, so one that a former operator has brought is found again. Nobody's JAR is deleted
 * while somebody else is about to run it.
 */
#ifndef CONTROLLER_JARS_H
#define CONTROLLER_JARS_H

#include <stdbool.h>

#include "flink_client.h"
#include "flinkop/flink_reply.h"
#include "flinkop/plan.h"

struct jar_pool;
struct jar;

/* What one submission has to do with a JAR; zero: nothing. Must not move. */
struct jar_use {
    struct jar *jar;
    bool brings;                  /* it is the one that brings it */
    struct jar_use *next, **link; /* in the line of those that wait; link NULL: it does not */
    void (*go_on)(void *arg);     /* once, in a later turn: it was brought, or was not */
    void *arg;
};

struct jar_pool *jar_pool_new(struct loop *loop);
/** After all uses have ended. */
void jar_pool_free(struct jar_pool *pool);

/** The file name that the JAR gets in Flink; NULL: its server does not tell one content from
 * another, so it is used once. `head` as of its download. */
const char *jar_file_name(struct arena *a, const struct submit_args *args,
                          const struct http_response *head);

enum jar_turn {
    JAR_THERE, /* jar_id() is to be run */
    JAR_WAITS, /* somebody else brings it: go_on will be called */
    JAR_BRING, /* it is to be looked for in Flink, or brought there, and then jar_is_there() */
};
/** Begins to use a JAR of a JobManager. */
enum jar_turn jar_take(struct jar_pool *pool, struct jar_use *use, const struct flink_endpoint *e,
                       const char *file_name);
/** Ends that; who waits for what was not brought goes on. A use that has not begun is allowed. */
void jar_leave(struct jar_use *use);
void jar_is_there(struct jar_use *use, const char *id);
/** Its id in Flink; NULL: it is not there as far as anyone knows. */
const char *jar_id(const struct jar_use *use);
/** Flink does not have it (any more): who comes next brings it anew. */
void jar_is_lost(struct jar_use *use);

/** Of what lies in the JobManager of this use: the id of the JAR that was brought, NULL: none. */
const char *jar_find(const struct jar_use *use, const struct flink_jar *jars, size_t n);
/** If there are too many, the id of the oldest of ours that nobody uses, to be deleted; else NULL.
 * Who wants it waits until `ret_old` has left. */
const char *jar_superfluous(const struct jar_use *use, const struct flink_jar *jars, size_t n,
                            struct jar_use *ret_old);

#endif
