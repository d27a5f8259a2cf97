/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that has ended by itself, of either kind: where its state is, is recorded while Flink tells
 * it, and one that has failed is run again where its user wants that
 * (kubernetes.operator.job.restart.failed, api-contract §2.7).
 */
#ifndef CLUSTER_JOB_END_H
#define CLUSTER_JOB_END_H

#include "flinkop/flink_conf.h"
#include "job_stop.h"

/** Reads where a job that has ended has left its state, once, and puts that into s->new_status
 * (END_STATE): Flink forgets it after jobstore.expiration-time, and with its JobManager. s->memory
 * is about nothing else. True while that is under way. */
bool job_keep_end(struct job_stop *s);

/** Whether a job that fails is to be run again. */
bool job_restarts(const struct conf *conf);
/** What is noted of a job that does not wait for another run. */
void job_restart_forget(struct restart_notes *m);
/** Whether one that has failed may be run again now; before that plan asks for a look then, and
 * m->at_wall says when that is. job: NULL if Flink does not tell of it any more. */
bool job_restart_due(struct restart_notes *m, struct plan *plan, const struct obs_job *job,
                     int64_t now, int64_t wall);

/** As a sentence: why it failed, and when it is run again. */
const char *job_failed_text(struct arena *a, const char *cause, const struct restart_notes *m);
/** The event about another run, from this path (NULL: from nothing). */
void job_tell_restart(struct plan *plan, enum kube_kind kind, jv cr, const char *path,
                      const struct restart_notes *m);

#endif
