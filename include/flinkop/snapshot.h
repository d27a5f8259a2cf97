/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FlinkStateSnapshot: a savepoint or a checkpoint of a job, as a resource (api-contract §1.4,
 * §2.5). One pass over it is a pure function, as for the other kinds (plan.h).
 */
#ifndef FLINKOP_SNAPSHOT_H
#define FLINKOP_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/json_map.h"
#include "flinkop/plan.h"

struct flink_defaults;

#define FINALIZER_SNAPSHOT "flinkstatesnapshots.flink.apache.org/finalizer"

/* ---- the spec ---- */

enum snapshot_format {
    SNAPSHOT_FORMAT_UNSET,
    SNAPSHOT_CANONICAL,
    SNAPSHOT_NATIVE,
    SNAPSHOT_UNKNOWN
};

struct snapshot_spec {
    int kind;         /* of the job's resource: see snapshot_job_kind */
    const char *name; /* of it */
    bool checkpoint;  /* else a savepoint */
    const char *path; /* to write to, or where it is already; NULL: where the cluster puts them */
    int format;       /* enum snapshot_format */
    struct opt_int64 dispose_on_delete, already_exists, backoff_limit;
};

/** Reads and checks a spec; strict as in deployment_spec_read. Strings are borrowed. */
void snapshot_spec_read(struct problems *p, jv spec, bool strict, struct snapshot_spec *ret);
/** The kind of the job's resource, KIND_COUNT: none is named. */
enum kube_kind snapshot_job_kind(const struct snapshot_spec *s);

/* Who has wanted one, as its label snapshot.trigger-type says. */
enum snapshot_trigger { SNAPSHOT_ON_DEMAND, SNAPSHOT_PERIODIC, SNAPSHOT_OF_UPGRADE };

/* A FlinkStateSnapshot as those beside it need to see it. */
struct obs_snapshot {
    struct obs_meta meta;
    enum snapshot_trigger trigger;
    enum kube_kind job_kind;        /* KIND_COUNT: none is named */
    const char *job_name, *cluster; /* cluster: recorded, NULL: none */
    bool checkpoint;
    bool in_progress;
    bool completed;
    const char *path; /* of one that nobody has asked for, where it is known; else NULL */
    bool settled;     /* nothing is to be done about it but when it changes itself */
};
void obs_snapshot_read(struct arena *a, jv cr, struct obs_snapshot *ret);

/* ---- one pass ---- */

/* Notes from pass to pass; losing them does no harm. */
struct snapshot_memory {
    const char *unsent;     /* trigger id that Flink does not know: not yet, or not any more */
    int64_t sent, looked;   /* monotonic ms of the last request, and of the last look; -1 */
    int64_t waiting_since;  /* for a job that does not run, or a JobManager; -1: not */
    int64_t retry_at;       /* no other attempt before; -1: not known */
    int64_t complete_since; /* a checkpoint whose path Flink does not tell yet; -1 */
    int64_t taking_since;   /* Flink says that it is being taken; -1: not */
    int64_t deleting_since; /* -1 */
    const char *disposal;   /* Flink's id of a disposal that is under way */
    int disposals;          /* how often that was asked for */
    const char *trouble;    /* what went wrong with it last */
    struct failing_notes failing;
    struct obs_cause refused; /* why the API server does not take the finalizer */
};
struct snapshot_memory snapshot_memory_initial(void);
struct snapshot_memory snapshot_memory_copy(struct arena *a, const struct snapshot_memory *m);

struct snapshot_situation {
    jv cr;
    const struct flink_defaults *defaults;
    jv target;           /* the job's resource; ABSENT: there is none */
    const char *cluster; /* the FlinkDeployment in which it runs, NULL: not known */
    bool cluster_exists; /* it is there… */
    bool cluster_ended;  /* …but is being deleted, and no JobManager runs */
    jv cluster_options;  /* for a FlinkSessionJob: session_job_options() of it; ABSENT: none */
    const char *flink_version_name;
    const struct obs_flink *flink; /* never NULL; known = false if there is no cluster */
    const char *busy;     /* another one of the same job and type that is in progress, NULL: none */
    const char *fresh_id; /* 32 random hex digits for the case that one is needed */
    const struct outcome *outcomes;
    size_t n_outcomes;
    const struct snapshot_memory *memory;
    int64_t now, wall;
};

struct snapshot_plan {
    struct plan plan;
    bool begins; /* it records that it is in progress: no other one of its job and type may */
    struct snapshot_memory memory;
};

struct snapshot_plan reconcile_snapshot(struct arena *a, const struct snapshot_situation *s);

#endif
