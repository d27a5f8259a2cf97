/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending a job so that another one can take its place, and finding the state that the next one goes
 * on from (api-contract §2.4). The same for a FlinkSessionJob and for the job of an application.
 */
#ifndef CLUSTER_JOB_STOP_H
#define CLUSTER_JOB_STOP_H

#include "flinkop/cluster_spec.h"
#include "flinkop/plan.h"

struct job_stop {
    struct arena *a;
    struct plan *plan; /* what there is to do is added to it */
    enum kube_kind kind;
    const char *ns, *name, *cluster, *job_id;

    const struct obs_job *job; /* Flink's view of it; NULL: not there or not known */
    bool reachable;            /* its JobManager answers */
    enum job_state state;      /* as it was seen last */
    jv status;                 /* status.jobStatus */
    enum upgrade_mode mode;    /* how the next one is to be restored */
    bool last;                 /* none is to follow, and its resource goes */
    bool registers;            /* a savepoint that it is stopped with becomes a resource */
    bool redeploy;             /* from where the spec says, whatever state this one has */
    const struct conf *conf;   /* options of the job: where savepoints go, and how */
    const char *fresh_id;      /* for a savepoint that is to be triggered */
    const struct outcome *outcomes;
    size_t n_outcomes;
    int64_t now, wall;
    struct stop_memory *memory;
    struct checkpoint_notes *checkpoints;
    const char *hold; /* why it must not be rescaled just now; NULL: it may be */

    /* ---- found ---- */
    bool ended;               /* it runs no more, and… */
    bool saved;               /* …with a savepoint that was taken for it, and… */
    const char *restore_path; /* …the next one goes on from here; NULL: from nothing */
    jv new_status;        /* status.jobStatus with what was begun or given up; ABSENT: the same */
    bool no_checkpoint;   /* Flink tells of none that could be gone on from */
    const char *progress; /* what is waited for */
    struct obs_cause trouble; /* what went wrong, to be told */
};

/** Takes the next step of it, or finds that it has ended. */
void job_stop(struct job_stop *s);
/** Plans an action about the job. */
struct action *job_ask(struct job_stop *s, enum action_type type);
/** How such an action of the pass before ended, NULL: there was none. */
const struct outcome *job_outcome(const struct job_stop *s, enum action_type type);

/* ---- job_rescale.c ---- */

enum rescaling {
    RESCALING_NOT,   /* what is asked for takes another run */
    RESCALING_WAITS, /* it is under way: progress and new_status tell */
    RESCALING_DONE,  /* the job has it, and new_status says no more of it */
};

/** What a change from one configuration to the other, with nothing else in it, asks of vertices of
 * the running job: {"<vertex>": parallelism}. ABSENT: it takes another run. */
jv job_overrides(const struct job_stop *s, const struct conf *before, const struct conf *after);
/** Takes the next step of giving the job these (ABSENT: there are none). cr: to tell events. */
enum rescaling job_rescale(struct job_stop *s, jv cr, jv overrides, struct rescale_notes *m);

/* ---- job_checkpoint.c ---- */

/** Looks at the checkpoints of a job that runs on, now and then. */
void job_look_at_checkpoint(struct job_stop *s);
/** status.jobStatus with the newest one that was seen, of a job that does not run any more or whose
 * JobManager does not answer. */
jv job_told_checkpoint(struct job_stop *s);

enum checkpoint_age {
    CHECKPOINT_UNKNOWN, /* Flink is being asked */
    CHECKPOINT_YOUNG,   /* young enough to go on from, or nobody cares */
    CHECKPOINT_COMES,   /* one that would be is under way */
    CHECKPOINT_OLD,
};
/** How old the newest checkpoint of a job that runs is, against what the user allows
 * (last-state.max.allowed.checkpoint.age). */
enum checkpoint_age job_checkpoint_age(struct job_stop *s);

/* ---- job_stop.c ---- */

/** Whether the job is being ended already. Then there is no way back: it will not run on, whatever
 * is asked for by now. One that has finished or failed before it could be cancelled has ended by
 * itself. status: status.jobStatus */
bool job_stop_begun(jv status, const struct stop_memory *m, enum job_state state);
/** Whether its user wants a savepoint when its resource is deleted: conf is of what runs; what spec
 * says by now counts, too, although it was rolled back or is not valid, because nothing comes after
 * it. */
bool job_saves_at_end(struct arena *a, const struct conf *conf, jv spec);
/** Whether a savepoint of it can be taken, or has been begun to. ran: so it was when its
 * JobManager, which does not tell of it just now, was asked last. status: status.jobStatus */
bool job_can_be_saved(jv status, const struct obs_job *job, bool ran);
/** Whether a job that should be stopped with a savepoint, and does not run, may go on from its last
 * checkpoint. */
bool job_falls_back(const struct conf *conf);
/** A savepointInfo, or checkpointInfo, without what is said of one that is being taken. */
jv savepoint_untriggered(struct arena *a, jv info);
/** status.jobStatus without a savepoint that is being taken. */
jv job_untriggered(struct arena *a, jv status);

/** status.jobStatus with the savepoint that the job was stopped with, NULL: with none. */
jv job_stopped_with(struct job_stop *s, jv status);

#endif
