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

/** Flink itself has answered with this: no proxy before it, and no JobManager that does not lead.
 */
bool job_flink_answered(const struct error *err);
/** It has ended, and nobody has cancelled it. */
bool job_ended_itself(enum job_state state);
/* Of one whose resource goes. */
#define JOB_SAVED "The job has ended with the savepoint %s"
#define JOB_NOT_SAVED "the job ends without a savepoint"
#define JOB_WAS_TO_BEGIN ": it does not run; it was to begin with %s"

/** Whether this spec asks to begin again from its job.initialSavepointPath: at first, and with
 * another savepointRedeployNonce. recorded: ABSENT if there is none yet. */
bool job_redeploys(jv recorded, jv spec);
/** The path that the recorded run begins with, NULL: none. status: status.jobStatus */
const char *job_restore_path(jv status);

/** The same where the status may still be the incumbent's: its former releases named the savepoint
 * of an upgrade nowhere else than among all others (cluster_adopt.c). In a status of ours the last
 * one of these may be of any time, and what runs has not begun with it. */
const char *job_begins_with(jv recorded, jv status);
/** This operator has written this status, not only the incumbent. */
bool status_is_ours(jv status);

/** What Flink has said of a savepoint or checkpoint that was asked for: that it is being taken. For
 * so long that it will not end by itself any more, this is told as text; NULL: it may take its
 * time. look: the last answer, or NULL; since: of the first such answer, -1: there was none. Flink
 * itself ends each after execution.checkpointing.timeout, for which main() may have another value
 * than conf (of the job): so there is room. */
const char *job_taken_for_too_long(struct arena *a, const struct conf *conf,
                                   const struct outcome *look, int64_t now, int64_t *since);

/** What came of an action of that type about a job, in the last pass; trigger: about that savepoint
 * or checkpoint, NULL: whichever. NULL: there was none. */
const struct outcome *job_outcome_of(const struct outcome *outcomes, size_t n,
                                     enum action_type type, const char *job_id,
                                     const char *trigger);
/** Takes note of the last answer to one of the requests that the notes are about; NULL: there was
 * none. */
void failing_note(struct failing_notes *m, const struct outcome *o, int64_t now);
/** What Flink answers to requests that it has not carried out for some seconds now, while the user
 * sees nothing but that it is under way; NULL: it does, or will. */
const char *failing_for_long(const struct failing_notes *m, int64_t now);
/** The pause between two requests about a savepoint or checkpoint that is being taken, in ms: half
 * a second, and more and more while they fail. */
int64_t job_look_ms(const struct failing_notes *m, int64_t now);
struct failing_notes failing_notes_copy(struct arena *a, struct failing_notes m);

/** Its state as a reason and a sentence. shortage: why jobs of its cluster do not get their slots,
 * NULL: they do. */
struct obs_cause job_state_cause(struct arena *a, const struct obs_job *job, enum job_state state,
                                 const char *shortage);

struct failure_look {
    enum kube_kind kind;
    const char *ns, *name, *cluster, *job_id;
    jv status; /* status.jobStatus: FAILED since its updateTime */
    const struct outcome *outcomes;
    size_t n_outcomes;
    int64_t now, wall;
};
/** Why a FAILED job failed, NULL: not known yet, and Flink is asked, again if need be: its answers
 * may be some seconds old, and tell none at first. */
const char *job_failure(struct plan *plan, const struct failure_look *l);

/** The reason when a job has ended, or cannot be ended, without a state to go on from. */
#define UPGRADE_FAILED "UpgradeFailed"
/** What helps then, as the end of a message. */
#define HOW_TO_RESTORE \
    "set spec.job.initialSavepointPath and another spec.job.savepointRedeployNonce"
#define MANUAL_RESTORE "Manual restore required: " HOW_TO_RESTORE
/** In status.jobStatus: {location, timeStamp} of the newest checkpoint that was seen. */
#define LAST_CHECKPOINT "lastCheckpoint"
/** In status.jobStatus: {"<vertex>": n} that Flink is to be asked for while the job runs, or has
 * been, and that is not in the recorded spec yet. */
#define REQUESTED_PARALLELISM "requestedParallelism"
/** In status.jobStatus: true since it is about to be cancelled so that another run, or none, can
 * take its place. */
#define CANCEL_REQUESTED "cancelRequested"
/** In status.jobStatus: {location} of the state that a job has left that has ended, none if it had
 * none; only of the run that is recorded. */
#define END_STATE "endState"
/** In status.jobStatus: true since the JobManager of an application whose job has ended is about to
 * be taken away. */
#define SHUT_DOWN "shutDown"
/** UPGRADE_FAILED for this reason, with what helps and what was seen last. status: status.jobStatus
 */
struct obs_cause job_state_lost(struct arena *a, jv status, const char *why);
/** Behind that: what the status tells of the newest checkpoint, "" if nothing. status:
 * status.jobStatus */
const char *job_last_seen(struct arena *a, jv status);
/** The reason when Flink does not have a job any more, and status.error then: a plain string
 * (api-contract §1.7). */
#define JOB_MISSING "Missing"
#define JOB_NOT_FOUND "Job Not Found"
/** status.error of what went wrong with a job. */
const char *job_trouble_error(struct arena *a, const struct obs_cause *trouble);

/** status.error if it tells why a job failed, NULL if it is about something else. */
const char *job_failure_told(const char *error);

/** status.jobStatus with name and start as Flink has them (job: NULL if it has none) and with this
 * state, NULL: none yet; of one that has ended no parallelism is requested
 * any more, and if it did so by itself, no end. wall: epoch ms. */
jv job_status_write(struct arena *a, jv old, const struct obs_job *job, const char *state,
                    int64_t wall);
/** The same before another job takes its place: with that one's id, NULL: with none. */
jv job_status_begin(struct arena *a, jv old, const char *id);
/** The same when this run is over: with what the next one begins with, NULL: with nothing. */
jv job_status_leave(struct arena *a, jv old, const char *restore);

#endif
