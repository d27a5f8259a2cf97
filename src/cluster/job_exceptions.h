/* SPDX-License-Identifier: Apache-2.0 */
/* The exceptions of a job as events. */
#ifndef CLUSTER_JOB_EXCEPTIONS_H
#define CLUSTER_JOB_EXCEPTIONS_H

#include "flinkop/plan.h"

struct exceptions_look {
    struct plan *plan;
    enum kube_kind kind;
    jv cr;
    const char *cluster, *job_id;
    const struct obs_job *job; /* Flink's view of it, NULL: not there or not known */
    bool reachable;
    jv status; /* status.jobStatus */
    const struct flink_defaults *defaults;
    const struct outcome *outcomes;
    size_t n_outcomes;
    int64_t now;
    struct exception_notes *memory;
};
/** Asks for them when there may be new ones, and tells those of the last answer. The jobStatus,
 * with the time of the newest that was told. */
jv job_tell_exceptions(const struct exceptions_look *l);

#endif
