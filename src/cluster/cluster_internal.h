/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a FlinkDeployment: what its steps hand on to each other. */
#ifndef CLUSTER_CLUSTER_INTERNAL_H
#define CLUSTER_CLUSTER_INTERNAL_H

#include "flinkop/cluster_config.h"
#include "flinkop/desired.h"
#include "flinkop/plan.h"
#include "status.h"

/* status.jobManagerDeploymentStatus */
enum jm_status { JM_MISSING, JM_DEPLOYING, JM_DEPLOYED_NOT_READY, JM_READY, JM_ERROR };
const char *jm_status_name(enum jm_status s);

struct cluster_pass {
    struct arena *a;
    const struct cluster_snapshot *s;
    struct plan plan;
    jv cr, status;
    struct obs_meta meta;

    /* ---- judged: what is asked for, and what of it counts ---- */
    jv recorded; /* spec that was recorded last; ABSENT: never deployed */
    jv target;   /* spec to work towards: the current one, or the recorded one if that is bad */
    const char *invalid; /* why the current spec is not taken; NULL: it is */
    bool unsupported_version;
    const char *target_hash;
    struct deployment_spec spec; /* of target */
    struct cluster_config config;
    bool usable; /* config can be built: there is something to work with */

    /* ---- found on the way ---- */
    bool held;            /* it carries our finalizer: its spec may be recorded */
    bool recording;       /* the target is being recorded in this pass: act in the next */
    bool up_to_date;      /* the Deployment runs the target */
    bool flinks_own;      /* Flink's own allocator makes the TaskManagers of what runs */
    const char *progress; /* what is being done or waited for; NULL: nothing */
    bool serves;          /* the JobManager of the target answers us */
    enum jm_status jm;
    bool undecided;         /* we have just started and not yet asked it: what is recorded stands */
    struct obs_cause cause; /* why the JobManager does not work */
    const char *jm_instance;      /* "<pod uid>/<restarts>", NULL: none runs */
    const struct obs_pod *former; /* a JobManager before that one, which may still run jobs */
    bool former_stuck;            /* it should have ended long ago */
    bool has_alloc;
    struct alloc_result alloc;
    int attempt, last_index;
    const char *alloc_instance;
    const char *blocked;      /* why deletion waits; NULL: it does not */
    struct condition exposed; /* type NULL: nothing is asked for */
    bool exposed_trouble;     /* it is not, and somebody should know */
};

/** The pod of the JobManager that counts: the newest that is not going away. */
const struct obs_pod *current_jm(const struct cluster_pass *p);
/** The kubelet alternates between two reasons for an image that it cannot pull: what this condition
 * of the status says stays. */
struct obs_cause steady_cause(const struct cluster_pass *p, const char *condition,
                              struct obs_cause cause);
/** "<pod uid>/<restarts>" of the JobManager that runs, or NULL. */
const char *jobmanager_instance(const struct cluster_pass *p);
/** Whether what is known of Flink comes from the JobManager that runs now. */
bool jobmanager_known(const struct cluster_pass *p);
/** True for "true"/anything but "false", by an operator option with this default. */
bool operator_flag(const struct cluster_pass *p, const char *key, bool fallback);
/** What the API server does not take and it cannot go on without; reason NULL: nothing. */
const struct obs_cause *refusal(const struct cluster_pass *p);
struct owner deployment_owner(const struct cluster_pass *p);
struct desired_input desired_of(struct cluster_pass *p);

#define STOPPING "stopping the JobManager"

/** Plans a server-side apply. now: the object as it is known, NULL if there is none of ours. */
void plan_apply(struct cluster_pass *p, enum kube_kind kind, const char *name,
                const struct obs_meta *now, jv body);

/** Whether it is ours and belongs to one of the name that is gone: the garbage collector takes it
 * away. Only who may delete it could give it another owner, where admission looks after that. */
bool left_over(const struct obs_meta *m, const char *owner_uid); /* cluster_rollout.c */

void judge(struct cluster_pass *p);                 /* cluster_judge.c */
void roll_out(struct cluster_pass *p);              /* cluster_rollout.c */
void finalize(struct cluster_pass *p);              /* cluster_finalize.c */
void look_at_names(struct cluster_pass *p);         /* cluster_allocate.c */
void allocate_taskmanagers(struct cluster_pass *p); /* cluster_allocate.c */
void count_taskmanagers(struct cluster_pass *p);    /* cluster_allocate.c */
void report(struct cluster_pass *p);                /* cluster_report.c */

/* ---- cluster_exposure.c ---- */

/** Makes and removes what exposes a running cluster. */
void expose(struct cluster_pass *p);
/** Fills p->exposed. */
void look_at_exposure(struct cluster_pass *p);
/** status.endpoints */
jv endpoints(struct cluster_pass *p);
/** The kinds to be looked at for it, as in struct plan. */
unsigned exposure_kinds(const struct cluster_pass *p);
/** Reason and sentence of the state it is in: the first useful cause if something is wrong. */
struct obs_cause describe(struct cluster_pass *p); /* cluster_report.c */

#endif
