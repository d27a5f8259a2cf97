/* SPDX-License-Identifier: Apache-2.0 */
/* What the statuses of both kinds say of a job that Flink has. */
#ifndef CLUSTER_JOB_WORDS_H
#define CLUSTER_JOB_WORDS_H

#include "flinkop/jv.h"
#include "flinkop/observed.h"
#include "flinkop/plan.h"

#define JOB_FAILURE_TYPE "org.apache.flink.util.SerializedThrowable"

/** All of its tasks run, or as many as a batch job needs at a time. job: NULL if Flink has none. */
bool job_runs_whole(const struct obs_job *job);

/** Its state as a reason and a sentence. shortage: why jobs of its cluster do not get their slots,
 * NULL: they do. */
struct obs_cause job_state_cause(struct arena *a, const struct obs_job *job, enum job_state state,
                                 const char *shortage);

struct failure_look {
    const char *job_id;
    jv status; /* status.jobStatus: FAILED since its updateTime */
    const struct outcome *outcomes;
    size_t n_outcomes;
    int64_t now, wall;
};
/** Why a FAILED job failed, NULL: not known yet. Flink's answers may be some seconds old, and tell
 * none at first. ret_ask: it is to be asked now; else the plan says when to look again. */
const char *job_failure(struct plan *plan, const struct failure_look *l, bool *ret_ask);

/** status.error if it tells why a job failed, NULL if it is about something else. */
const char *job_failure_told(const char *error);

/** status.jobStatus with name and start as Flink has them (job: NULL if it has none) and with this
 * state, NULL: none yet. wall: epoch ms. */
jv job_status_write(struct arena *a, jv old, const struct obs_job *job, const char *state,
                    int64_t wall);
/** The same before another job takes its place: with that one's id, NULL: with none. */
jv job_status_begin(struct arena *a, jv old, const char *id);

#endif
