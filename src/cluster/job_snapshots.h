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
#include "flinkop/flink_version.h"
#include "flinkop/plan.h"

#define PERIODIC_SAVEPOINT_KEY "kubernetes.operator.periodic.savepoint.interval"
#define PERIODIC_CHECKPOINT_KEY "kubernetes.operator.periodic.checkpoint.interval"
/** In status.jobStatus.savepointInfo: those that are no resources, the oldest first. */
#define SAVEPOINT_HISTORY "savepointHistory"
/** savepointInfo with one more of them. */
jv savepoint_remembered(struct arena *a, jv info, jv savepoint);
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
    const struct label_selector
        *selector; /* that what is made must match as the job's resource does */
    const struct flink_version *version; /* of an application; NULL: its cluster is another one */
    const struct snapshot_list *list;
    bool found;        /* Flink has the job */
    bool partial;      /* not all of it runs */
    const char *waits; /* why none can be taken of it just now; NULL: it can */
    const struct outcome *outcomes;
    size_t n_outcomes;
    int64_t now, wall;
    /* where they are no resources */
    const char *cluster, *job_id;
    bool reachable;       /* its JobManager answers */
    const char *fresh_id; /* for one that is to be asked for */
    struct snapshot_notes *memory;

    jv status;  /* status.jobStatus; also as it is to be */
    jv handled; /* found: nonces that are to be recorded, by their keys; ABSENT: none */
};

/** Takes the next step of all of it. */
void job_snapshots(struct job_snapshots *s);
/** Whether the last request to delete a savepoint has been taken; in each pass. */
void job_snapshots_learn_disposal(struct job_snapshots *s); /* job_history.c */
/** Takes away what its history is not to keep any more; only after the job was found. */
void job_snapshots_tidy(struct job_snapshots *s); /* job_history.c */
/** Snapshots of a job with these options are resources (snapshot.resource.enabled), and the API
 * server has their kind. */
bool snapshots_are_resources(const struct conf *conf, const struct snapshot_list *list);
/** A spec with these nonces (ABSENT: none) as its own. */
jv spec_with_nonces(struct arena *a, jv spec, jv nonces);
/** status.jobStatus with the request to register the savepoint that a job was stopped with. */
jv job_registers(struct arena *a, jv status, const char *cr_name, const char *path,
                 const char *format, int64_t taken_ms);

#define SNAPSHOT_UNDER_WAY "waiting for a savepoint of the job that is being taken"
/** A savepoint that was asked for without a resource is under way, and a change of the job waits
 * for it. status: status.jobStatus */
bool job_snapshot_under_way(jv status, const struct conf *conf);

/** How a checkpoint of a job with these options is taken. */
const char *checkpoint_type(const struct conf *conf);

/* ---- what its files share ---- */

struct snapshot_type {
    const char *word, *nonce;
    const char *info, *last, *last_periodic; /* in status.jobStatus */
    const char *interval, *grace;            /* options */
    const char *error;                       /* reason of events */
    bool checkpoint;
    enum action_type take, find;
};
extern const struct snapshot_type snapshot_types[2];

/** What periodic ones of an application need and do not have, as text; NULL: nothing. */
const char *snapshot_lacks(const struct snapshot_type *t, const struct conf *conf,
                           const struct flink_version *version);
/** The request of that word as the status has it: only what is written there stands. */
jv snapshot_request(const struct job_snapshots *s, const char *slot);
void snapshot_set_request(struct job_snapshots *s, const char *slot, jv request);
/** The nonce that asks for one, ABSENT: none does. */
jv snapshot_asking_nonce(const struct job_snapshots *s, const struct snapshot_type *t);
/** From now on this nonce counts as handled, ABSENT: there is none. */
void snapshot_handled(struct job_snapshots *s, const struct snapshot_type *t, jv nonce);
void snapshot_tell(struct job_snapshots *s, bool warning, const char *reason, const char *message);

/* ---- job_snapshots_direct.c ---- */

/** Records the id of one that is to be asked for; false: one has failed just now, and it waits. */
bool snapshot_begin_directly(struct job_snapshots *s, const struct snapshot_type *t, jv nonce);
/** Plans an action about the job. */
void snapshot_ask_directly(struct job_snapshots *s, enum action_type type,
                           const struct stop_args *args);
/** Takes the next step of one that has been begun so; false: there is none. */
bool snapshot_follow_directly(struct job_snapshots *s, const struct snapshot_type *t);

#endif
