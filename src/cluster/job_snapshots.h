/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator takes of a job that runs on: a savepoint or a checkpoint for each new nonce,
 * and one after each interval (api-contract §2.5). Each becomes a FlinkStateSnapshot; so does the
 * savepoint that a job is stopped with. The same for a FlinkSessionJob and for the job of an
 * application.
 */
#ifndef CLUSTER_JOB_SNAPSHOTS_H
#define CLUSTER_JOB_SNAPSHOTS_H

#include "flinkop/flink_conf.h"
#include "flinkop/plan.h"

#define PERIODIC_SAVEPOINT_KEY "kubernetes.operator.periodic.savepoint.interval"
#define PERIODIC_CHECKPOINT_KEY "kubernetes.operator.periodic.checkpoint.interval"
/** In status.jobStatus: what is about to be taken, by what it is: {savepoint, checkpoint, upgrade:
 * {triggerType, triggerNonce, name of its FlinkStateSnapshot, message: why it waits}}. */
#define SNAPSHOT_REQUESTS "snapshotRequests"

struct job_snapshots {
    struct arena *a;
    struct plan *plan; /* what there is to do is added to it */
    enum kube_kind kind;
    jv cr;
    jv recorded;             /* spec with the nonces that count as handled */
    jv asked;                /* spec that asks; ABSENT: what it asks for is not taken */
    const struct conf *conf; /* options of the job */
    const struct flink_defaults *defaults;
    const struct snapshot_list *list;
    bool found;        /* Flink has the job */
    const char *waits; /* why none can be taken of it just now; NULL: it can */
    const struct outcome *outcomes;
    size_t n_outcomes;
    int64_t now, wall;

    jv status;  /* status.jobStatus; also as it is to be */
    jv handled; /* found: nonces that are to be recorded, by their keys; ABSENT: none */
};

/** Takes the next step of all of it. */
void job_snapshots(struct job_snapshots *s);
/** Takes away what its history is not to keep any more; only after the job was found. */
void job_snapshots_tidy(struct job_snapshots *s); /* job_history.c */
/** The options of a job as far as they are about this are resources (snapshot.resource.enabled),
 * and their kind is there. */
bool snapshots_are_resources(const struct conf *conf, const struct snapshot_list *list);
/** A spec with these nonces (ABSENT: none) as its own. */
jv spec_with_nonces(struct arena *a, jv spec, jv nonces);
/** status.jobStatus with the request to register the savepoint that a job was stopped with. */
jv job_registers(struct arena *a, jv status, const char *cr_name, const char *path,
                 const char *format, int64_t taken_ms);

#endif
