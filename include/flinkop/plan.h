/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain's interface: a snapshot of everything known about one resource goes in, a plan comes
 * out. No sockets, no clock, no globals.
 *
 * A plan is a set of actions that do not depend on each other; the executor runs them side by side.
 * What must come one after the other is several passes: the next one is planned from what the first
 * one's answers put into the store. So there is no other state than what is recorded.
 */
#ifndef FLINKOP_PLAN_H
#define FLINKOP_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/advice.h"
#include "flinkop/allocate.h"
#include "flinkop/exposure.h"
#include "flinkop/jv.h"
#include "flinkop/kube_resource.h"
#include "flinkop/observed.h"
#include "flinkop/references.h"

struct arena;
struct flink_defaults;
struct label_selector;
struct obs_snapshot;

/* ---- actions ---- */

enum action_type {
    ACT_APPLY,      /* server-side apply of body */
    ACT_CREATE,     /* create body; that it exists already is a success */
    ACT_REHEARSE,   /* a dry run: of a pod to create body, of anything else to apply it */
    ACT_DELETE,     /* with uid as precondition; that it is gone already is a success */
    ACT_PATCH,      /* merge patch body on the object */
    ACT_STATUS,     /* merge patch body on the resource's status */
    ACT_LOOK_UP,    /* list the object alone, and store what it is */
    ACT_RELABEL,    /* give an object that its watch does not tell of the labels back by which that
                       finds it; uid: its owner's. That there is none is a success */
    ACT_EVENT,      /* fire and forget */
    ACT_RELEASE,    /* delete a TaskManager pod if Flink still says that all its slots are free, and
                       that no job is about to take one */
    ACT_FIND_JOB,   /* live look-up of a job id in Flink */
    ACT_SUBMIT_JOB, /* bring the JAR to Flink and run it under the job id */
    ACT_CANCEL_JOB, /* that it has ended already is a success */
    ACT_JOB_ERROR,  /* read why a job failed */
    ACT_STOP_JOB,   /* stop a job with a savepoint */
    ACT_FIND_SAVEPOINT,  /* how that savepoint is */
    ACT_READ_STATE,      /* where the last state of a job is */
    ACT_READ_HA,         /* what Flink's high availability keeps of a cluster */
    ACT_READ_HEALTH,     /* how a job does by its own metrics */
    ACT_READ_EXCEPTIONS, /* what has thrown a job back */
    ACT_RESCALE_JOB,     /* give vertices of a running job another parallelism, if they have not */
    ACT_TAKE_SAVEPOINT,  /* of a job that runs on */
    ACT_TAKE_CHECKPOINT,
    ACT_FIND_CHECKPOINT, /* how that checkpoint is, and where */
    ACT_DISPOSE,         /* have the files of a savepoint deleted */
    ACT_FIND_DISPOSAL,   /* how far that is */
    ACT_READ_REFERENCE,  /* what content a Secret or ConfigMap has, as a hash */
};

/* Where a ConfigMap of Flink's high availability names the leader: JSON (client-go's
 * LeaderElectionRecord). */
#define HA_LEADER_ANNOTATION "control-plane.alpha.kubernetes.io/leader"

struct submit_args {
    const char *jar_uri, *entry_class, *savepoint_path;
    jv args;         /* array of strings, or ABSENT */
    int parallelism; /* 0: Flink's default */
    bool allow_non_restored_state;
    jv configuration;             /* object of strings, or ABSENT */
    jv http_headers;              /* object of strings for the download, or ABSENT */
    const char *allowed_schemes;  /* comma-separated */
    const char *allowed_networks; /* address_list_parse() */
    bool restricted_hosts_allowed;
};

struct stop_args {
    /* Id of the savepoint or checkpoint: asking twice for one id takes one, as long as the
     * JobManager remembers it (DispatcherCachedOperationsHandler). ACT_FIND_DISPOSAL: Flink's. */
    const char *trigger;
    /* ACT_STOP_JOB, ACT_TAKE_SAVEPOINT */
    const char *directory; /* NULL: where the cluster puts them */
    const char *format;    /* "CANONICAL" or "NATIVE" */
    bool drain;            /* ACT_STOP_JOB */
    const char *path;      /* ACT_DISPOSE: of the savepoint */
};

struct action {
    enum action_type type;
    enum kube_kind kind; /* of the object acted on */
    const char *ns, *name, *uid;
    const char *version; /* ACT_DELETE: only while it is as it was seen; NULL: in any case */
    jv body;    /* ACT_RESCALE_JOB: {"<vertex>": parallelism}; ACT_READ_EXCEPTIONS: {"limit": n} */
    bool fresh; /* ACT_APPLY: as far as we know there is none; one of somebody else is left alone */
    const char *propagation;
    /* ACT_EVENT */
    bool warning;
    const char *reason, *message, *component;
    /* Flink: the cluster, and the job */
    const char *cluster, *job_id;
    const struct submit_args *submit;
    const struct stop_args *stop; /* also of what a FlinkStateSnapshot asks for */
};

/* How an action of an earlier pass ended; given once, to the next pass. */
struct outcome {
    enum action_type type;
    enum kube_kind kind;
    const char *name; /* of the object acted on */
    const char *job_id;
    const char *trigger; /* of its stop_args, NULL: none */
    bool fresh;          /* as in the action */
    bool ok;
    struct error error; /* if not ok */
    /* ACT_FIND_JOB, ACT_CANCEL_JOB: Flink has the job. ACT_FIND_SAVEPOINT, _CHECKPOINT, _DISPOSAL:
     * it knows of it; not ok then means that it failed. ACT_READ_STATE: the job has had some.
     * ACT_RESCALE_JOB: there was something to change. ACT_RELEASE: it was kept. ACT_CREATE: one of
     * the name existed already. */
    bool found;
    bool done; /* ACT_FIND_CHECKPOINT, ACT_FIND_DISPOSAL: it is over, and has worked */
    /* ACT_JOB_ERROR: the cause, NULL: Flink tells none (yet); ACT_SUBMIT_JOB: the jar id;
     * ACT_FIND_SAVEPOINT, ACT_FIND_CHECKPOINT, ACT_READ_STATE: the path, NULL: none yet, or none
     * outside of the JobManager; ACT_DISPOSE: the id of the disposal; ACT_READ_EXCEPTIONS: JSON,
     * [{ms, text, stack, task, taskManager}], the newest first; ACT_READ_REFERENCE: as
     * reference_content() gives it. */
    const char *text;
    /* ACT_READ_STATE: when that was triggered, the newest checkpoint, and the newest that is still
     * in progress (epoch ms, -1: there is none); a savepoint is no checkpoint */
    int64_t taken_ms, checkpoint_ms, pending_ms;
    /* ACT_READ_HEALTH: how often the job was started again, and how many checkpoints it has
     * completed, in this JobManager; -1: not told */
    int64_t restarts, checkpoints;
};

/* What Flink tells of the checkpoints of a job. */
struct checkpoint_notes {
    const char *job_id;    /* of that one */
    int64_t asked, told;   /* monotonic ms, -1 */
    int64_t unknown_since; /* while a decision waits for an answer, -1 */
    int64_t awaited_ms;    /* the one in progress that it waits for, -1 */
    const char *path;      /* of the newest, NULL: there is none to be told of */
    int64_t taken_ms, checkpoint_ms, pending_ms; /* as in struct outcome */
};
struct checkpoint_notes checkpoint_notes_initial(void);
struct checkpoint_notes checkpoint_notes_copy(struct arena *a, const struct checkpoint_notes *m);

/* Requests that Flink does not carry out, again and again, while it answers to others. */
struct failing_notes {
    int64_t since;     /* monotonic ms, -1: it does */
    const char *error; /* of the last one */
};

/* Notes about a job that is to end. */
struct stop_memory {
    const char *job_id;   /* of that one; of another they mean nothing */
    int64_t ended;        /* when it was first seen to have ended, -1 */
    bool recorded;        /* what has to be recorded first was put into its status… */
    bool told;            /* …and that was written */
    bool no_checkpoint;   /* Flink has said then that there is none to go on from… */
    bool had_some;        /* …although there were some */
    int64_t sent, looked; /* monotonic ms of the last request, and of the last look; -1 */
    int64_t since;        /* of the first request, -1 */
    int64_t taking_since; /* Flink says that a savepoint is being taken; -1: not */
    int64_t retry_at;     /* no savepoint before… */
    bool partial;         /* …unless the last was triggered while not all of the job ran */
    int failures;         /* of savepoints, in a row */
    struct failing_notes failing;
    struct obs_cause trouble; /* what went wrong last; reason NULL: nothing */
};
struct stop_memory stop_memory_initial(void);
struct stop_memory stop_memory_copy(struct arena *a, const struct stop_memory *m);

/* Notes about a job that fails and is run again. */
struct restart_notes {
    bool counted;    /* the failure of the run that is recorded */
    int failures;    /* in a row, each soon after the one before */
    int64_t at;      /* when the next run may begin, monotonic ms… */
    int64_t at_wall; /* …and by the clock, epoch ms */
};

/* Notes about a job that is being rescaled while it runs. */
struct rescale_notes {
    const char *wish; /* to this, as JSON; about another wish they say nothing */
    int64_t since;    /* monotonic ms of the first attempt */
    bool recorded;    /* it was put into the status */
    int64_t retry_at; /* no other attempt before */
    int failures;     /* in a row */
    bool given_up;    /* it takes a new run */
};
struct rescale_notes rescale_notes_copy(struct arena *a, const struct rescale_notes *m);

/* Notes about what has thrown a job back. */
struct exception_notes {
    const char *job_id; /* of that one */
    int64_t changed;    /* when its tasks had changed last, by Flink's clock; -1 */
    int finished;       /* tasks then */
    bool whole;         /* all of it ran then */
    int64_t due, asked; /* monotonic ms when Flink is to be asked, and was; -1 */
    int tries;          /* that are left */
    bool unheard;       /* it restarts, and Flink had nothing new to tell */
    int64_t told;       /* the newest that was told, by Flink's clock; -1 */
    bool put;           /* that was put into the status… */
    bool pruned;        /* …and is not there: the CRD is of a former version */
};
struct exception_notes exception_notes_initial(void);
struct exception_notes exception_notes_copy(struct arena *a, const struct exception_notes *m);

/* Notes about how the job of an application does. */
struct health_notes {
    const char *asker; /* of this job in this JobManager */
    int64_t asked;     /* monotonic ms, -1 */
    int64_t since;     /* when it had been started again so many times, -1: not known */
    int64_t restarts;
    int64_t grown; /* when it had completed so many checkpoints first */
    int64_t checkpoints;
    const char *unwell; /* why it has to go; NULL: it does well */
};
struct health_notes health_notes_initial(void);
struct health_notes health_notes_copy(struct arena *a, const struct health_notes *m);

/* Notes about a savepoint and a checkpoint that are to be taken of a job. */
struct snapshot_notes {
    bool put;               /* a request was put into its status… */
    bool pruned;            /* …and is not there: the CRD is of a former version */
    const char *request[2]; /* so it is kept here, as JSON, NULL: there is none */
    bool warned[2];         /* that no periodic one is taken, was told */
    /* without a resource */
    const char *unsent[2];   /* trigger id that Flink has certainly not been asked for */
    int64_t looked[2];       /* monotonic ms of the last look, -1 */
    int64_t taking_since[2]; /* Flink says that it is being taken; -1: not */
    int64_t retry_at[2];     /* no other attempt before */
    struct failing_notes failing[2];
    const char *disposing; /* path of the savepoint whose files are being deleted, NULL: none */
};
struct snapshot_notes snapshot_notes_initial(void);
struct snapshot_notes snapshot_notes_copy(struct arena *a, const struct snapshot_notes *m);

/* The FlinkStateSnapshots of a job. */
struct snapshot_list {
    bool absent; /* the API server does not have the kind */
    const struct obs_snapshot *const *items;
    size_t n;
};

/* ---- FlinkDeployment ---- */

/* A FlinkSessionJob as its cluster needs to see it. */
struct obs_session_job {
    struct obs_meta meta;
    const char *deployment_name;
    const char *job_id; /* recorded, or NULL */
    int parallelism;    /* wanted, 0 if the spec leaves it to Flink */
    bool suspended;     /* the spec wants it not to run */
    bool ended;         /* its job is recorded as terminal and the spec has not changed since */
    bool stateful;      /* its job runs, or is to, and has state that is wanted */
    bool failing;       /* the last attempt to submit it failed, or its spec is not valid */
    bool finalized;     /* it carries our finalizer: it counts as a job of this cluster */
};
void obs_session_job_read(struct arena *a, jv cr, struct obs_session_job *ret);

/* A write that the API server did not take and what it said, until it takes it or nobody asks for
 * it any more. */
struct refusal {
    struct obs_cause cause; /* reason NULL: none */
    enum kube_kind kind;
    const char *name;
};

/* Notes about whether the API server would take what a change brings. */
struct rehearsal_notes {
    const char *of;           /* the hash of that; NULL: there is none */
    bool taken;               /* it would, or cannot be asked */
    struct obs_cause refused; /* what it said against it; reason NULL: nothing */
    const char *trouble;      /* why it could not be asked last, NULL: it could */
    int failures;             /* in a row */
    int64_t retry_at;         /* monotonic ms, not before */
};

/* What Flink's high availability keeps of a job. */
enum ha_kept { HA_UNKNOWN, HA_NOTHING, HA_JOB, HA_CHECKPOINT };

/* What it was found to keep, and when it was asked. */
struct ha_notes {
    int64_t asked;     /* monotonic ms of the last ACT_READ_HA, -1 */
    int64_t told;      /* of the one that was answered last, -1 */
    const char *asker; /* JobManagers that there were then: of others it says nothing */
    enum ha_kept kept; /* of the recorded job */
    int leaders;       /* how many JobManagers may have led since the first thing was kept */
    bool contested;    /* somebody has renewed the lock that was to be taken from the dead */
    bool ready;        /* nothing of others is kept, only its start is not recorded yet */
    bool lost;         /* not what the next run is to go on from */
    bool put, pruned;  /* that it starts was put into the status; which does not keep it */
    int64_t pruned_at; /* when that was seen, monotonic ms */
};

/* Notes about Secrets and ConfigMaps that have changed. */
struct reference_notes {
    const char *changed;  /* these have, in words; NULL: none */
    int64_t since;        /* monotonic ms */
    int64_t restarted;    /* the last restart because of some, -1: none */
    bool restarting;      /* one was put into the status, and is none before that is written */
    bool put;             /* what they are was put into the status… */
    bool pruned;          /* …and is not there: the CRD is of a former version */
    const char *contents; /* JSON: {"Secret/name MARK": hash}, "": could not be read; NULL: none */
    int64_t read_at;      /* monotonic ms, none is read before */
};

/* Notes kept in memory from pass to pass; losing them does no harm. */
struct cluster_memory {
    struct alloc_memory alloc;
    const char *spec_hash;   /* the notes are about pods of this spec */
    int attempt, last_index; /* highest numbers of TaskManagers that it has ever given */
    /* Names of TaskManagers whose creation failed. They are tried again before others: it may have
     * worked all the same. */
    const char **retries;
    size_t n_retries;
    int64_t deleting_since; /* monotonic ms, -1: not deleting */
    int64_t blocked_since;  /* its deletion waits for jobs since, -1: not */
    int64_t saving_since;   /* …for a savepoint of its job */
    bool unsaved;           /* none was taken: what is kept of its state stays */
    int64_t crowded_since;  /* others take the place of its JobManager since, -1: not */
    int64_t relabelled_at;  /* the last ACT_RELABEL that went well, monotonic ms; -1: none */
    struct refusal refused;
    struct refusal unexposed; /* of an object that exposes it: the cluster itself works */
    struct refusal kept;      /* of a pod that was to be taken away */
    struct rehearsal_notes rehearsal;
    struct ha_notes ha;
    struct stop_memory stop; /* of the job of an application */
    struct stop_memory end;  /* where it has left its state when it ended */
    struct restart_notes restart;
    struct health_notes health;
    bool shut_down_recorded; /* that its JobManager goes was put into the status… */
    bool shut_down_told;     /* …and that was written */
    int64_t job_ended;       /* by Flink's clock, epoch ms; -1: not known */
    struct rescale_notes rescale;
    struct checkpoint_notes checkpoints;
    struct snapshot_notes snapshots;
    struct exception_notes exceptions;
    struct reference_notes references;
};
struct cluster_memory cluster_memory_initial(void);
/** A copy with everything it points to in this arena. */
struct cluster_memory cluster_memory_copy(struct arena *a, const struct cluster_memory *m);

enum kind_served { SERVED_UNKNOWN, SERVED_YES, SERVED_NO };

/* What is known of an object whose kind is only looked at while somebody asks for it. */
struct exposure_view {
    enum kind_served served;           /* whether the API server has the kind */
    const char *error;                 /* why it cannot be looked at, if it is for a reason */
    const struct obs_exposure *object; /* if it has: the object of that name, NULL: there is none */
};

/* What is known of the Secrets and ConfigMaps of its namespace, by kind as in reference_kinds. */
struct reference_view {
    enum kind_served served[REFERENCE_KINDS]; /* SERVED_YES: all of them are known */
    const char *error[REFERENCE_KINDS];       /* why they are not, if it is for a reason */
    /** That one, NULL: there is none. */
    const struct obs_reference *(*get)(void *arg, enum kube_kind kind, const char *name);
    void *arg;
};

struct cluster_snapshot {
    jv cr;
    const struct flink_defaults *defaults;
    const struct label_selector *selector;      /* of what is served, NULL: everything */
    const struct obs_deployment *deployment;    /* the JobManager's; NULL: there is none */
    const struct obs_deployment *tm_deployment; /* the TaskManagers' in mode standalone */
    const struct obs_meta *configmap, *internal_service, *rest_service;
    struct exposure_view exposure[EXPOSURE_COUNT];
    struct reference_view references;
    const char *fresh_job_id; /* 32 random hex digits for the case that one is needed */
    const char *operator_ns;  /* where the operator's own pod runs, NULL: not known */
    const struct obs_pod *const *jm_pods;
    size_t n_jm_pods;
    const struct obs_pod *const *tm_pods;
    size_t n_tm_pods;
    const struct obs_flink *flink; /* never NULL */
    const struct obs_session_job *const *jobs;
    size_t n_jobs;
    struct snapshot_list snapshots; /* of the job of an application */
    bool
        submitting; /* one of them is just being submitted or rescaled: it may take any free slot */
    const struct outcome *outcomes;
    size_t n_outcomes;
    const struct cluster_memory *memory;
    int64_t now;  /* monotonic ms */
    int64_t wall; /* epoch ms */
};

/* How closely a cluster's JobManager should be watched. */
enum probe_pace {
    PROBE_OFF,    /* nothing to ask */
    PROBE_FAST,   /* it starts: several times a second */
    PROBE_ACTIVE, /* jobs run or TaskManagers come and go: about once a second */
    PROBE_IDLE,   /* nothing happens: every few seconds */
};

struct cluster_counts {
    int taskmanagers_live, taskmanagers_starting, taskmanagers_desired;
    int slots_total, slots_free, slots_needed;
};

struct plan {
    struct arena *a;
    struct action *actions;
    size_t n, room;
    int64_t next; /* monotonic ms when to plan again; INT64_MAX: on events only */
    bool gone;    /* the finalizer is off: forget everything about it */
    bool ended;   /* FlinkDeployment: it is being deleted and no JobManager runs its jobs */

    /* FlinkDeployment only */
    enum probe_pace pace;
    bool adaptive;          /* its jobs have resource requirements to be asked for */
    unsigned kinds;         /* 1U << kind: optional kinds that it needs to be looked at */
    const char *references; /* what its pods refer to, as references_text() gives it */
    int rest_port;          /* 0: not known */
    bool rest_tls;          /* it speaks TLS there */
    bool undecided;         /* whether it is ready is about to be found out */
    bool ready;             /* FlinkSessionJobs can be submitted */
    bool rescales;          /* and can get another parallelism while they run */
    struct state_settings keeps;
    const char *summary;       /* what it does or waits for, in a sentence */
    const char *shortage;      /* why jobs do not get the slots they need; NULL: they do */
    const char *flink_version; /* "v1_20", NULL: not known */
    jv job_options;            /* of session_job_options(), of a session cluster; ABSENT: none */
    struct cluster_counts counts;
    struct cluster_memory memory;
};

struct plan reconcile_cluster(struct arena *a, const struct cluster_snapshot *s);

/* ---- FlinkSessionJob ---- */

struct job_memory {
    const char *unsent_id;  /* job id that Flink has certainly not taken */
    const char *seen_id;    /* job id that Flink is known to have had */
    int submit_failures;    /* in a row */
    const char *sure_id;    /* job id of which no submission can be on its way */
    bool sure_before;       /* it was that of the submission that is under way */
    int64_t submitted_at;   /* when the last one was begun, monotonic ms */
    const char *unsure_id;  /* job id of which one may be… */
    int64_t unsure_since;   /* …that was sent at this time, or before */
    int64_t retry_at;       /* monotonic ms, not before */
    const char *looked_for; /* job id that a live look-up did not find… */
    int64_t deleting_since; /* monotonic ms, -1: not deleting */
    int64_t saving_since;   /* for that, waiting for a savepoint; -1: not */
    struct stop_memory stop;
    struct stop_memory end; /* where it has left its state when it ended */
    struct restart_notes restart;
    struct rescale_notes rescale;
    struct checkpoint_notes checkpoints;
    struct snapshot_notes snapshots;
    struct exception_notes exceptions;
    const char *lost_id;  /* job id that the JobManager no longer knows… */
    int64_t lost_since;   /* …since, -1 */
    int64_t silent_since; /* nobody tells how it is, -1 */
    struct obs_cause
        refused; /* why the API server does not take its finalizer; reason NULL: it does */
};
struct job_memory job_memory_initial(void);
struct job_memory job_memory_copy(struct arena *a, const struct job_memory *m);

struct job_snapshot {
    jv cr;
    const struct flink_defaults *defaults;
    const struct label_selector *selector; /* of what is served, NULL: everything */
    bool cluster_exists;                   /* its FlinkDeployment */
    bool cluster_ended;                    /* it is being deleted and no JobManager runs */
    bool cluster_ready;                    /* its JobManager answers and runs the recorded spec */
    bool cluster_undecided;   /* whether it is will be known in a moment: nothing new to report */
    const char *cluster_text; /* why it is not */
    const char *cluster_shortage; /* why its jobs do not get the slots they need, NULL: they do */
    bool cluster_releasing;       /* a TaskManager of it is just being taken away */
    bool cluster_busy;            /* as many jobs as may at a time are on their way to it */
    bool cluster_rescales;        /* its jobs can get another parallelism while they run */
    struct state_settings cluster_keeps;
    jv cluster_options; /* of session_job_options(); ABSENT: none */
    const char *flink_version_name;
    const struct obs_flink *flink; /* never NULL; known = false if there is no cluster */
    struct snapshot_list snapshots;
    const struct outcome *outcomes;
    size_t n_outcomes;
    const struct job_memory *memory;
    const char *fresh_job_id; /* of own_job_id(), for the case that one is needed */
    int64_t now, wall;
};

struct job_plan {
    struct plan plan;
    bool held; /* it would submit its job if the cluster were not busy */
    struct job_memory memory;
};

struct job_plan reconcile_session_job(struct arena *a, const struct job_snapshot *s);

/** An id for a job of the FlinkSessionJob of this uid, from 32 random hex digits: its jobs are
 * known by it in Flink. */
const char *own_job_id(struct arena *a, const char *uid, const char *random);

/* ---- for both ---- */

#define FINALIZER_CLUSTER "flinkdeployments.flink.apache.org/finalizer"
#define FINALIZER_JOB "flinksessionjobs.flink.apache.org/finalizer"

struct action *plan_add(struct plan *p, enum action_type type, enum kube_kind kind, const char *ns,
                        const char *name);
/** Takes the actions from `from` up to, and without, `to` out. */
void plan_drop(struct plan *p, size_t from, size_t to);
/** Asks for another pass at this time at the latest. */
void plan_wake(struct plan *p, int64_t when);

#endif
