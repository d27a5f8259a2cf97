/* SPDX-License-Identifier: Apache-2.0 */
/* Model JobManagers and TaskManagers, one per running pod, and the jobs in them. */
#ifndef TESTS_SIM_FLINK_H
#define TESTS_SIM_FLINK_H

#include "api.h"
#include "flinkop/flink_reply.h"

/* ---- processes (flink.c) ---- */

struct tm;
struct fjob;

/* A TaskManager as its JobManager knows it. */
struct reg {
    struct tm *tm; /* NULL: it is dead, which the JobManager has not noticed yet */
    char *id;
    int number, slots, used;
    int partitions;                 /* results of unfinished batch jobs that lie there */
    int64_t used_since, idle_since; /* idle_since: what Flink's own allocation has noted */
};

#define MAX_REGS 200
#define MAX_JOBS 400
#define MAX_ASKED 8                    /* that it remembers */
#define MAX_THROWN 4                   /* exceptions of a job that are told */
#define FLINK_FORGETS_MS (10 * MINUTE) /* jobstore.expiration-time; an hour in real life */

struct jm {
    int id, pod; /* numbers of the process and of its pod */
    char *name, *uid, *cluster, *hash, *ip;
    bool up, stopping, groups_told; /* groups_told: 1.20 and later */
    struct app *app;                /* NULL: a session cluster */
    bool adaptive;                  /* its jobs can be rescaled while they run */
    int64_t hung_until;
    struct reg *regs[MAX_REGS];
    int n_regs;
    struct fjob *jobs[MAX_JOBS];
    int n_jobs;
    char *jars;              /* space-separated ids of what was uploaded… */
    char *deleted_jars;      /* …and of what was deleted from that */
    bool native;             /* it makes its TaskManagers by itself… */
    int attempt, last_index; /* …with these numbers in their names */
    bool kicked;
    struct disposal {
        char id[FLINK_ID_LEN + 1];
        const char *failure; /* NULL: it works */
        int64_t done;
    } disposals[MAX_ASKED]; /* the newest last */
    int n_disposals;
};

struct tm {
    int id, pod;
    char *name, *cluster, *hash;
    int slots;
    struct jm *jm; /* where it is registered, NULL: nowhere */
    int64_t lonely_since;
    bool stopping;
};

void flink_process_start(struct object *pod);
/** SIGTERM; it ends within ms. */
void flink_process_stop(int pod, int64_t ms);
/** SIGKILL, or its own end: without the ends that a SIGTERM would give. */
void flink_process_kill(int pod);
/** It ends by itself: kubelet is told. */
void flink_process_crash(int pod, int code, const char *reason);

struct jm *jm_by_id(int id);
struct jm *jm_by_ip(const char *ip);
struct jm *jm_by_pod(int pod);
struct jm *jm_next(struct jm *prev);
struct tm *tm_by_pod(int pod);
struct tm *tm_next(struct tm *prev);
struct reg *reg_of(const struct tm *tm);
void flink_release(void);

/* ---- jobs (flink_jobs.c) ---- */

struct fjob {
    int id; /* number */
    char jid[FLINK_ID_LEN + 1];
    struct jm *jm;
    enum job_state state;
    bool batch, ours;        /* ours: the operator submitted it */
    bool adaptive;           /* what it needs can be changed while it runs */
    bool cancelled;          /* by the operator */
    bool deploying, running; /* its tasks, while the job is RUNNING */
    int parallelism, second; /* widths of its two slot sharing groups; second may be 0 */
    int need, have;
    struct {
        struct reg *reg;
        int n;
    } parts[MAX_REGS];
    int n_parts;
    int64_t started, ended, work; /* work: ms until a bounded job is through, -1: endless */
    int64_t failed;               /* when it was restarted last… */
    int restarts;                 /* …and how often */
    int64_t modified;             /* when its state, or that of its tasks, changed last */
    struct {
        int number;
        int64_t at;
    } thrown[MAX_THROWN]; /* the newest exceptions, the newest first */
    int n_thrown;
    struct sim_event *event;

    /* Its state is how long it has run, through all of its runs, in ms. */
    int64_t base, at;          /* what it began with; where it is, or was when it ran last */
    int64_t runs_since;        /* while it runs */
    int64_t checkpoint, saved; /* the last completed one; the savepoint it was stopped with; -1 */
    int64_t checkpoint_at;     /* when it was taken */
    char trigger[FLINK_ID_LEN + 1];
    int64_t trigger_done; /* -1: under way */
    struct sim_event *stopping;

    /* Savepoints and checkpoints that it was asked for while it runs on, the newest last. */
    struct asked {
        char trigger[FLINK_ID_LEN + 1];
        int id;
        bool checkpoint;
        int64_t done, state; /* when it is; -1: it fails */
    } asked[MAX_ASKED];
    int n_asked, last_asked;
};

struct job_wish {
    const char *jid;
    int parallelism, second;
    bool batch, ours, adaptive;
    bool stillborn; /* main() failed: it is there, and has failed */
    int64_t work;   /* -1: endless */
    int64_t base;   /* state to begin with */
};

/** Takes a savepoint or a checkpoint of it, once for each trigger, while it runs on. */
void job_take(struct fjob *j, const char *trigger, bool checkpoint);
/** That one, NULL: it was never asked for, or is forgotten. */
const struct asked *job_asked(const struct fjob *j, const char *trigger);
/** The parallelism of the first vertex: what Flink's map of overrides (NULL: none) says instead. */
int job_overridden(const char *overrides, int fallback);
/** What a path of flink_rest.c stands for; 0 of none. It is to be gone on from, so it must be
 * there. */
int64_t state_of_path(const char *path);
/** NULL if there is or was a job of this id, or there are too many. */
struct fjob *job_submit(struct jm *jm, const struct job_wish *wish);
struct fjob *job_find(struct jm *jm, const char *jid);
struct fjob *job_by_id(int id);
void job_cancel(struct fjob *j);
void job_fail(struct fjob *j, bool for_good);
/** Its first slot sharing group gets this parallelism. */
void job_set_parallelism(struct fjob *j, int parallelism);
/** Stops it with a savepoint; a second request with the same trigger is the same one. */
void job_save(struct fjob *j, const char *trigger);
/** Its last completed checkpoint up to now, -1: none. */
int64_t job_checkpoint(struct fjob *j);
/** Slots may be free, or more may be wanted. */
void jobs_kick(struct jm *jm);
/** The TaskManager is lost for its jobs. */
void jobs_lost(struct jm *jm, struct reg *reg);
/** All of them vanish with their JobManager. */
void jobs_vanish(struct jm *jm);

/* ---- applications (flink_app.c) ---- */

struct app {
    char jid[FLINK_ID_LEN + 1];
    bool ha, leads; /* leads: it runs its job, or has */
    struct job_wish wish;
};

/** The configuration asks for the adaptive scheduler. */
bool flink_adaptive(const struct object *configmap);
/** What the pod's arguments, and the configuration, ask for; NULL: no application. */
struct app *app_new(const struct object *pod, const struct object *configmap);
/** Its REST API is up. */
void app_up(struct jm *jm);
/** Keeps the last checkpoint of a job, of all that run in a cluster. */
void app_checkpoint(struct fjob *j);
void app_keep_all(const char *cluster);
/** Keeps what it needs now. */
void app_rescaled(struct fjob *j);
/** Keeps that it has ended, and nothing else of it. */
void app_ended(struct fjob *j);
void app_release(void);

/* ---- Flink's own allocation (flink_native.c) ---- */

void native_start(struct jm *jm);
/** Whether it was made by that. */
bool native_taskmanager(const struct object *pod);

/* ---- REST (flink_rest.c: what is said, seam_flink.c: how it travels) ---- */

/** HTTP status; ret_body (in the arena) or an error's text. Not for running and uploading JARs. */
int flink_rest(struct jm *jm, const char *method, const char *path, jv body, struct arena *a,
               jv *ret_body, const char **ret_error);
void flink_calls_release(void);
/** Whether the main() of a submitted JAR will still bring a job to a JobManager that runs, or an
 * answer of its that gets lost is still to come. */
bool flink_runs_to_come(void);

#endif
