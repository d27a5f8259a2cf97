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
    jv recorded; /* spec that was recorded last, or rolled back to; ABSENT: never deployed */
    jv failed;   /* the one that did not come to run before that; ABSENT: none */
    jv target;   /* spec to work towards: the current one, or the recorded one if that is bad */
    const char *invalid; /* why the current spec is not taken; NULL: it is */
    bool lost;           /* …or nothing may be done at all (record_lost) */
    bool autoscaled;     /* autoscaled_below() */
    bool only_judged;    /* nothing is planned, so nobody is asked */
    const char *refused; /* …or the API server would not take it: the reason */
    bool asking;         /* …or that is still being asked */
    bool recorded_again; /* the status did not tell of what runs, or of something else */
    bool unsupported_version;
    const char *target_hash;     /* of what the JobManager is, or was, started with */
    const char *config_hash;     /* of target, where that is another spec; else NULL */
    struct deployment_spec spec; /* of target */
    struct cluster_config config;
    bool usable; /* config can be built: there is something to work with */

    const char *recorded_hash; /* spec_hash() of what is recorded; NULL: nothing is */
    bool as_written;           /* what runs is marked as former versions did it: see spec_hash() */
    bool adopted;              /* what runs is the incumbent's, and is what is recorded… */
    bool as_deployed;          /* …and its spec has not been touched since */

    /* ---- the job of an application ---- */
    bool application;
    const char *job_id, *restore_path; /* recorded; NULL: none */
    bool asks_ha;                      /* what high availability keeps is being asked for */
    bool never_ran;                    /* the recorded run has not been seen in Flink */
    bool goes_on;               /* the recorded run goes on from what high availability keeps */
    bool over;                  /* it has ended, and its JobManager is gone or has to go */
    bool rolled_back;           /* what is asked for is what did not come to run */
    bool rolls_back;            /* what is recorded does not come to run, what ran before shall */
    const char *unwell;         /* why it is taken away and goes on from what is kept; NULL: not */
    const char *health_told;    /* what the status is to say of how it does; NULL: what it says */
    bool runs_again;            /* it has failed, and another run takes its place */
    bool suspended;             /* it is recorded as suspended, and nothing else is asked for */
    jv pending;                 /* spec to record as soon as the job has ended; ABSENT: none */
    struct conf pending_conf;   /* its effective configuration… */
    bool pending_ha;            /* …with high availability of the kind that is looked at */
    jv overrides;               /* all that it asks for is this parallelism of vertices of the
                                   running job; ABSENT: more, or it takes another run */
    bool unchanged;             /* what is asked for is what is recorded… */
    bool taken_back;            /* …but the job may have been rescaled */
    bool rescaled;              /* it has that: recorded in this pass */
    const struct obs_job *job;  /* Flink's view of it, NULL: not there or not known */
    enum job_state job_state;   /* what the status shall say */
    const char *record_id;      /* a new job id to be recorded in this pass… */
    const char *record_restore; /* …with what it starts from */
    bool record_suspended;      /* record that it is suspended */
    bool deployed;              /* Flink has it: recorded in this pass */
    jv new_job_status;          /* jobStatus with what was begun to end the job; ABSENT: as it is */
    struct obs_cause stop_trouble; /* why it could not be ended as asked for */
    bool job_missing;              /* Flink does not have it and nothing is kept of it */
    const char *failure;           /* cause of a FAILED job, if it was read in this pass */

    jv nonces;       /* of snapshots, that count as handled from now on; ABSENT: none */
    bool starts_job; /* record that its first JobManager is about to start */
    size_t roll_out_from, roll_out_to; /* these actions make what is recorded */

    /* ---- found on the way ---- */
    bool held;            /* it carries our finalizer: its spec may be recorded */
    bool recording;       /* the target is being recorded in this pass: act in the next */
    bool up_to_date;      /* the Deployment runs the target */
    bool no_service;      /* the name of a Service of ours is another's */
    bool down;            /* nothing of an application that is suspended, or over, is left */
    bool missing;         /* its Deployment is gone, and is not to be made again */
    bool flinks_own;      /* Flink's own allocator makes the TaskManagers of what runs */
    const char *progress; /* what is being done or waited for; NULL: nothing */
    bool serves;          /* the JobManager of the target answers us */
    enum jm_status jm;
    bool undecided;         /* we have just started and not yet asked it: what is recorded stands */
    struct obs_cause cause; /* why the JobManager does not work */
    const char *jm_instance;       /* "<pod uid>/<restarts>", NULL: none runs */
    const struct obs_pod *former;  /* a JobManager before that one, which may still run jobs */
    bool former_stuck;             /* it should have ended long ago */
    struct references *references; /* of the target's pods; NULL: nobody asks */
    const char *changed;           /* these have changed since it was started, in words */
    const char *perhaps;           /* of these the content or labels have, which cannot be told */
    const char *gone;              /* these have gone since */
    const char *at_stake;      /* what a restart for those would cost, in words; NULL: nothing */
    bool restarts_for_changes; /* that is recorded in this pass, of a session cluster */
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
/** As a ReplicaSet counts them: neither those that have ended nor those that are going. */
int active_jobmanagers(const struct cluster_pass *p);
/** The kubelet alternates between two reasons for an image that it cannot pull: what this condition
 * of the status says stays. */
struct obs_cause steady_cause(const struct cluster_pass *p, const char *condition,
                              struct obs_cause cause);
/** "<pod uid>/<restarts>" of the JobManager that runs, or NULL. */
const char *jobmanager_instance(const struct cluster_pass *p);
/** Whether what is known of Flink comes from the JobManager that runs now. */
bool jobmanager_known(const struct cluster_pass *p);
/** A JobManager runs, and has not told of its jobs yet or is silent for a moment: what it tells
 * soon is worth waiting for. */
bool jobmanager_tells_soon(struct cluster_pass *p);
/** True for "true"/anything but "false", by an operator option with this default. */
bool operator_flag(const struct cluster_pass *p, const char *key, bool fallback);
/** What the API server does not take and it cannot go on without; reason NULL: nothing. */
const struct obs_cause *refusal(const struct cluster_pass *p);
/** Mode standalone: a fixed number of TaskManagers, which Kubernetes makes. */
bool is_standalone(const struct cluster_pass *p);
struct owner deployment_owner(const struct cluster_pass *p);
struct desired_input desired_of(struct cluster_pass *p);

#define STOPPING "stopping the JobManager"
/* What a user gives counts as that much at most: no sum with it overflows. */
#define LONGEST_MS (1000LL * 365 * 86400 * 1000)

/** Plans a server-side apply. now: the object as it is known, NULL if there is none of ours. */
void plan_apply(struct cluster_pass *p, enum kube_kind kind, const char *name,
                const struct obs_meta *now, jv body);

/** Whether it is ours and belongs to one of the name that is gone: the garbage collector takes it
 * away. Only who may delete it could give it another owner, where admission looks after that. */
bool left_over(const struct obs_meta *m, const char *owner_uid); /* cluster_rollout.c */

void judge(struct cluster_pass *p); /* cluster_judge.c */
/** Makes this spec, which was valid once, what to work towards; the first problem with it, or NULL.
 */
const char *judge_as(struct cluster_pass *p, jv spec); /* cluster_judge.c */
/** The same with the recorded one, whose job.upgradeMode is not the user's and asks for nothing. */
const char *judge_recorded(struct cluster_pass *p); /* cluster_judge.c */
/** Stops the JobManager instead of what was planned; true when none runs or will. */
bool halt(struct cluster_pass *p); /* cluster_rollout.c */
/** Takes back what the roll-out has planned. */
void drop_roll_out(struct cluster_pass *p); /* cluster_rollout.c */
/** Takes a Deployment away, its pods first; false: there is none, or that is under way. */
bool delete_deployment(struct cluster_pass *p,
                       const struct obs_deployment *d); /* cluster_rollout.c */
/** Takes a pod away, unless that is under way. why: as in the plan, NULL: nothing to say. */
void delete_pod(struct cluster_pass *p, const struct obs_pod *pod,
                const char *why); /* cluster_rollout.c */
/** Mode standalone: another number of them restarts nothing. */
void scale_taskmanagers(struct cluster_pass *p, int replicas); /* cluster_rollout.c */
void roll_out(struct cluster_pass *p);                         /* cluster_rollout.c */
/** A Deployment that is not to be seen while its pods run may have lost its labels. */
void look_for_deployment(struct cluster_pass *p); /* cluster_rollout.c */
void finalize(struct cluster_pass *p);            /* cluster_finalize.c */
/** Names of its FlinkSessionJobs, the first few of them, in an order that is always the same: what
 * is said of them stands in statuses, and who writes comes last in the store. NULL: there is none.
 * stateful: only those that have state to lose. */
const char *session_jobs(const struct cluster_pass *p, bool stateful,
                         size_t *ret_n); /* cluster_finalize.c */
/** A job that Flink told of and no FlinkSessionJob owns, not ended; NULL: there is none. */
const struct flink_job *foreign_job(const struct cluster_pass *p); /* cluster_finalize.c */
void look_at_names(struct cluster_pass *p);                        /* cluster_allocate.c */
void allocate_taskmanagers(struct cluster_pass *p);                /* cluster_allocate.c */
void count_taskmanagers(struct cluster_pass *p);                   /* cluster_allocate.c */
void report(struct cluster_pass *p);                               /* cluster_report.c */

/* ---- cluster_rehearse.c ---- */

/** Asks the API server about p->target, of p->target_hash, before anything ends for it: p->invalid
 * while that is not known, or when it would be refused. */
void rehearse(struct cluster_pass *p);
/** The first answer comes in a moment: until then nothing ends, and nothing is said of what is
 * asked for. After trouble with asking, what is recorded is looked after as always. */
bool answer_comes(const struct cluster_pass *p);

/* ---- the JobManager's place (cluster_room.c) ---- */

/** Notes since when others have what its JobManager needs. */
void look_for_room(struct cluster_pass *p);
/** They have had it for so long that the TaskManagers have to go. */
bool lacks_room(struct cluster_pass *p);
/** Instead of what the allocator wants. */
void make_room(struct cluster_pass *p);

/* ---- cluster_job.c: the job of an application ---- */

/** A spec as it would be recorded if nothing happened to the job. */
jv as_recorded(struct cluster_pass *p, jv spec);
/** What is recorded of it and what is asked for. */
void judge_job(struct cluster_pass *p);
/** Finds out how it is. */
void look_at_job(struct cluster_pass *p);
/** Finds out how it is and takes the next step. */
void look_after_job(struct cluster_pass *p);
/** Cancels it; true as soon as it does not run or there was time enough. Else p->progress tells. */
bool job_stopped(struct cluster_pass *p);
/** Ends it with a savepoint, nothing to follow; else as job_stopped(). ret_path: the savepoint, or
 * NULL. */
bool job_saved(struct cluster_pass *p, const char **ret_path);
/** Whether TaskManagers are to be there for it although Flink does not have it yet. */
bool job_expected(struct cluster_pass *p);
/** status.jobStatus */
jv cluster_job_status(struct cluster_pass *p);
/** Its state as a reason and a sentence. */
struct obs_cause describe_job(const struct cluster_pass *p);
/** What is new with it, as events. */
void tell_job(struct cluster_pass *p);

/* ---- cluster_end.c ---- */

/** Whether the job has ended and its JobManager is gone, or about to be taken away. */
bool is_over(const struct cluster_pass *p);
/** What becomes of a job that has ended: its state is recorded, it is run again (p->pending), or
 * its JobManager goes. */
void look_after_end(struct cluster_pass *p);
/** One that runs and does not do well: another run (p->pending). */
void look_after_health(struct cluster_pass *p);
/** Another run of what is recorded, as if a change asked for it: p->pending. */
void ask_for_another(struct cluster_pass *p);

/* ---- cluster_snapshots.c ---- */

/** Takes what its nonces and its intervals ask for. */
void look_after_snapshots(struct cluster_pass *p);

/* ---- cluster_rollback.c ---- */

/** The recorded run is being, or has been, seen in Flink; of a session cluster, its JobManager. */
bool is_deployed(const struct cluster_pass *p);
/** What runs, or is to run, instead of what is recorded: fills p->failed and p->recorded. */
void judge_rollback(struct cluster_pass *p);
/** Whether this spec only asks for what did not come to run. */
bool asks_for_failed(struct cluster_pass *p, jv current);
/** Goes back to what ran before when the time is up: p->pending. */
void look_after_rollback(struct cluster_pass *p);
/** What is recorded stays the spec that did not come to run… */
bool keeps_failed(const struct cluster_pass *p);
/** …and the state of the reconciliation is this. */
const char *rollback_state(const struct cluster_pass *p);
const char *rolled_back_text(void);
/** What is recorded has been seen to do what it is there for. */
bool works(const struct cluster_pass *p); /* cluster_report.c */

/* ---- cluster_health.c ---- */

bool health_is_checked(const struct cluster_pass *p);
/** Why the job has to be taken away, NULL: it does well, or nobody asks; finds that out. */
const char *job_unwell(struct cluster_pass *p);

/* ---- cluster_rescale.c ---- */

/** Fills p->target_hash, of an application, and p->config_hash. */
void judge_hashes(struct cluster_pass *p);
/** Jobs of it can get another parallelism while they run: Flink's adaptive scheduler takes it since
 * 1.18, and TaskManagers come as they are needed. */
bool can_be_rescaled(const struct cluster_pass *p);
/** Whether the running job can have what p->pending asks for: fills p->overrides. */
void judge_rescaling(struct cluster_pass *p);
/** Gives it to the job; false: it takes another run. */
bool rescale(struct cluster_pass *p);
/** What a session cluster was started with, where that is not its spec alone; else NULL. */
const char *started_hash(const struct cluster_pass *p);
/** The status with what judge_hashes needs. */
jv rescale_status(struct cluster_pass *p, jv status);

/** The hash of a spec for this pass. */
const char *spec_hash(const struct cluster_pass *p, jv spec); /* cluster_judge.c */

/** Mends p->status and p->recorded where they do not tell what runs and that itself does; what it
 * says against them if not. current: the spec. */
enum started judge_record(struct cluster_pass *p, jv current); /* cluster_record.c */

/* ---- cluster_adopt.c: what the incumbent has deployed ---- */

#define STARTED_HASH "startedSpecHash" /* in status: what the JobManager was started with */

/** Fills p->adopted and p->as_deployed. */
void judge_adoption(struct cluster_pass *p);
/** Hash of what this Deployment was made from: its own, of the incumbent's one that stands for it.
 * NULL: it is nobody's. */
const char *made_from(const struct cluster_pass *p, const struct obs_meta *m);
/** What the JobManager was started with where that is not the recorded spec alone, NULL: it is. */
const char *started_from(const struct cluster_pass *p);
/** The spec with Flink's allocator, where it is to be handed back and runs with the operator's,
 * whose TaskManagers nobody else knows. */
jv spec_to_release(struct cluster_pass *p, jv spec);
/** Hands it back as soon as nothing else is planned. */
void hand_back(struct cluster_pass *p);
/** Everything around an adopted Deployment stays as it is, but for what is scaled and exposed. */
void keep_adopted(struct cluster_pass *p);

/* ---- cluster_references.c: Secrets and ConfigMaps that its pods refer to ---- */

/** Finds out which have changed since the JobManager was started. */
void look_at_references(struct cluster_pass *p);
/** Another run with what has changed, if that is asked for: p->pending, or, of a session cluster,
 * p->recording. */
void look_after_references(struct cluster_pass *p);
/** The status with what they were when it was started. */
jv references_status(struct cluster_pass *p, jv status);
/** Adds the condition about them, if there is something to say. */
size_t references_condition(struct cluster_pass *p, struct condition *ret);

/* ---- cluster_ha.c ---- */

#define HA_AGAIN_MS 1000 /* between two looks */
/* In status: the id of the job for which JobManagers have been started. What high availability
 * keeps from then on is of that job; what it kept before was of others. */
#define STARTED_JOB "startedJobId"
#define LOOKING_AT_HA "looking at what high availability has kept"

/** What is kept of the recorded job; HA_UNKNOWN while that is being asked. */
enum ha_kept ha_keeps(struct cluster_pass *p);
/** A JobManager has been started for the recorded job, or is about to be. */
bool ha_has_started(const struct cluster_pass *p);
/** Something was kept of it when that was asked last. */
bool ha_has_begun(const struct cluster_pass *p);
/** The next question is about another moment. */
void ha_forget(struct cluster_pass *p);
/** Takes away what must not meet the next JobManager; true when there is nothing of that, and the
 * state to go on from is there. */
bool ha_ready_to_start(struct cluster_pass *p);
/** Takes away everything; true when it is gone. */
bool ha_gone(struct cluster_pass *p);

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
