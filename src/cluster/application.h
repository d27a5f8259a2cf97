/* SPDX-License-Identifier: Apache-2.0 */
/* The job of an application: when its run changes (cluster_job.c), and what the next one goes on
 * from (cluster_leave.c). */
#ifndef CLUSTER_APPLICATION_H
#define CLUSTER_APPLICATION_H

#include "cluster_internal.h"
#include "job_stop.h"

/* job.upgradeMode */
#define STATELESS "stateless"
#define LAST_STATE "last-state"
#define SAVEPOINT "savepoint"

/* What a run that has ended, or is about to, can be gone on from. */
struct leavings {
    const char *mode; /* as job.upgradeMode of the recorded spec; NULL: it never began */
    const char *path; /* NULL: none; RESTORE_LAST_STATE: what high availability keeps */
};
extern const struct leavings left_nothing, never_began;

/** True as soon as the run that is recorded has left what the next one, of this spec, goes on from;
 * never nothing instead of a state. Until then p->progress and p->stop_trouble tell. */
bool job_has_left(struct cluster_pass *p, jv spec, struct leavings *ret);
bool wants_stateless(const struct cluster_pass *p, jv spec);
/** The recorded run has not been seen in Flink yet. */
bool job_upgrading(const struct cluster_pass *p);
/** A JobManager answers and does not have the job, for so long that it will not come soon. */
bool job_never_seen(struct cluster_pass *p);
/** For how long a JobManager tells of a job that has ended, ms. */
int64_t jobstore_ms(const struct cluster_pass *p);
/** The configuration that is asked for, where that is not yet recorded. */
const struct conf *asked_conf(const struct cluster_pass *p);
/** What job_stop.h wants to know of it. */
struct job_stop application_stop(struct cluster_pass *p, enum upgrade_mode mode);

#endif
