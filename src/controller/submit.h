/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing a job to Flink: its JAR is brought there (bring.h), and run under the job id that was
 * recorded before. JARs of the image are there already.
 */
#ifndef CONTROLLER_SUBMIT_H
#define CONTROLLER_SUBMIT_H

#include "executor.h"

struct submission;

/** err->code ERR_NONE: Flink has accepted the job. jar_id may be NULL. Exactly once, in a later
 * turn. */
typedef void (*submission_done_fn)(void *arg, const struct error *err, const char *jar_id);

struct submission *submission_start(struct executor *x, const struct flink_endpoint *e,
                                    const char *job_id, const struct submit_args *args,
                                    submission_done_fn done, void *arg);
/** Flink was asked to run the job: it may have it, or get it still. */
bool submission_sent(const struct submission *s);
/** Ends it without a callback. */
void submission_free(struct submission *s);

#endif
