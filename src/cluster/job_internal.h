/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a FlinkSessionJob. */
#ifndef CLUSTER_JOB_INTERNAL_H
#define CLUSTER_JOB_INTERNAL_H

#include "flinkop/cluster_spec.h"
#include "flinkop/plan.h"

struct job_pass {
    struct arena *a;
    const struct job_snapshot *s;
    struct job_plan out;
    jv cr, spec, status;
    struct obs_meta meta;

    jv recorded;         /* the spec that was recorded last; ABSENT: never */
    jv target;           /* what to record: the current one, or the recorded one if that is bad */
    const char *invalid; /* why the current spec is not taken */
    bool lost;           /* …or nothing may be done at all (record_lost) */
    bool autoscaled;     /* autoscaled_below() */
    struct session_job_spec wanted; /* of target */
    struct conf conf;               /* operator defaults under the job's own configuration */
    bool changed;                   /* the recorded spec must make way for the current one */
    bool suspend;                   /* the current spec wants it not to run */
    bool stateless;
    bool redeploy; /* it is to begin from spec.job.initialSavepointPath */

    const char *job_id;        /* recorded; NULL: none chosen yet */
    bool deploying;            /* recorded as chosen, not yet known to Flink */
    const struct obs_job *job; /* Flink's view of it, NULL: not there or not known */
    enum job_state state;      /* as it was seen last */
    enum job_state told;       /* what the status shall say */

    const char *record_id; /* a new job id to be recorded in this pass, NULL: none */
    const char
        *submitted_to; /* the JobManager that is about to get the job, to be recorded first */
    const char *record_restore; /* with that id: what the job goes on from, NULL: nothing */
    jv new_status; /* jobStatus with what was begun to end the job, or how it ended; ABSENT: as is
                    */
    bool record_suspended;    /* record that it is suspended */
    bool rescaled;            /* it runs on, with another parallelism: recorded in this pass */
    bool runs_again;          /* it has failed, and another run takes its place */
    jv nonces;                /* of snapshots, that count as handled from now on; ABSENT: none */
    bool deployed;            /* recorded as known to Flink from now on */
    const char *progress;     /* what is waited for */
    struct obs_cause trouble; /* why it does not run */
    const char *failure;      /* cause of a FAILED job, if it was read in this pass */
};

/** Ends it with a savepoint, nothing to follow; true when it has ended. ret_path: the savepoint, or
 * NULL. Else p->progress tells. */
bool save_job(struct job_pass *p, const char **ret_path); /* job.c */
/** Plans an action about its job. */
struct action *job_action(struct job_pass *p, enum action_type type); /* job_submit.c */
/** Submits p->wanted under the recorded id, from the recorded state. */
void submit_job(struct job_pass *p); /* job_submit.c */
/** How that ended. */
void learn_submission(struct job_pass *p, const struct outcome *o); /* job_submit.c */
/** Puts the finalizer on. */
void take_on_job(struct job_pass *p); /* job_finalize.c */
/** As job_tell_exceptions(): of its job, with this jobStatus. */
jv job_exceptions(struct job_pass *p, jv status); /* job_exceptions.c */
/** Has p->status name the job of this resource that runs, where it names none or another's. */
void own_job_recorded(struct job_pass *p); /* job_own.c */
/** The same where the one that it names is not there; false: no other runs. */
bool take_own_job(struct job_pass *p); /* job_own.c */
void finalize_job(struct job_pass *p); /* job_finalize.c */
void report_job(struct job_pass *p);   /* job_report.c */
/** Takes what its nonces and its intervals ask for. */
void look_after_job_snapshots(struct job_pass *p); /* session_snapshots.c */

#endif
