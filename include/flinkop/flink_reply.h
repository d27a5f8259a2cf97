/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Flink's REST API says, as plain data. Decoders are total: a reply of another shape gives
 * ERR_PARSE that names the endpoint and the field, never a crash; unknown fields are ignored; list
 * lengths and strings have caps. Results live in the arena.
 */
#ifndef FLINKOP_FLINK_REPLY_H
#define FLINKOP_FLINK_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/jv.h"
#include "flinkop/macros.h"

struct arena;
struct error;

#define FLINK_ID_LEN 32

/* More of one kind in a reply is refused (ERR_TOO_LARGE). */
enum {
    FLINK_MAX_JOBS = 10000,
    FLINK_MAX_VERTICES = 2000,
    FLINK_MAX_TASKMANAGERS = 10000,
    FLINK_MAX_JARS = 10000,
    FLINK_MAX_EXCEPTIONS = 100, /* further ones are left out, they are older */
};
/* Longer names and messages are cut. */
enum { FLINK_MAX_NAME = 256, FLINK_MAX_ERROR = 500, FLINK_MAX_STACK = 4000 };

/** Whether s is 32 lower-case hex digits: a job, vertex or trigger id. */
bool flink_id_valid(const char *s);

/* org.apache.flink.api.common.JobStatus, plus UNKNOWN for a word we do not know. */
enum job_state {
    JOB_UNKNOWN,
    JOB_INITIALIZING,
    JOB_CREATED,
    JOB_RUNNING,
    JOB_FAILING,
    JOB_FAILED,
    JOB_CANCELLING,
    JOB_CANCELED,
    JOB_FINISHED,
    JOB_RESTARTING,
    JOB_SUSPENDED,
    JOB_RECONCILING,
};
const char *job_state_name(enum job_state s);
enum job_state job_state_parse(const char *s);
/** FINISHED, FAILED, CANCELED: never changes again. */
bool job_state_terminal(enum job_state s);

enum {
    TASKS_CREATED,
    TASKS_SCHEDULED,
    TASKS_DEPLOYING,
    TASKS_RUNNING,
    TASKS_FINISHED,
    TASKS_CANCELING,
    TASKS_CANCELED,
    TASKS_FAILED,
    TASKS_RECONCILING,
    TASKS_INITIALIZING,
    TASKS_STATES
};

struct flink_job {
    char id[FLINK_ID_LEN + 1];
    const char *name;
    enum job_state state;
    int64_t start_ms, end_ms, last_modification_ms; /* epoch; -1 unknown */
    int tasks_total, tasks[TASKS_STATES];
    int pending_operators; /* 2.x batch; else 0 */
};
/** All of its tasks run or have finished. */
bool flink_job_runs_whole(const struct flink_job *j);
/** Not all of them do, and they may yet: it may take a slot any moment. */
bool flink_job_waits(const struct flink_job *j);
/** GET /jobs/overview */
int flink_decode_jobs(struct arena *a, jv v, struct flink_job **ret, size_t *ret_n,
                      struct error *err) MUST_CHECK;

struct flink_vertex {
    const char *id, *name;
    const char *slot_sharing_group; /* NULL before 1.20 */
    int parallelism, max_parallelism;
    int tasks[TASKS_STATES];
    int64_t read_records, write_records; /* -1: unknown, or not yet told by every subtask */
};
struct flink_job_detail {
    struct flink_job job;
    bool batch; /* job-type BATCH; before 1.19 from the plan */
    struct flink_vertex *vertices;
    size_t n_vertices;
    bool has_blocking_edge; /* the plan shows an exchange that is not pipelined */
};
/** GET /jobs/:id, as far as it says that Flink has the job. */
int flink_decode_job_there(jv v, const char *job_id, struct error *err) MUST_CHECK;
/** GET /jobs/:id */
int flink_decode_job_detail(struct arena *a, jv v, struct flink_job_detail *ret,
                            struct error *err) MUST_CHECK;

struct flink_taskmanager {
    const char *id;        /* taskmanager.resource-id, our pod's name */
    int slots, free_slots; /* free_slots <= slots */
    int64_t since_heartbeat_ms;
};
/** GET /taskmanagers */
int flink_decode_taskmanagers(struct arena *a, jv v, struct flink_taskmanager **ret, size_t *ret_n,
                              struct error *err) MUST_CHECK;

struct flink_overview {
    int taskmanagers, slots_total, slots_available;
    int jobs_running, jobs_finished, jobs_cancelled, jobs_failed;
    const char *version, *commit;
};
/** GET /overview */
int flink_decode_overview(struct arena *a, jv v, struct flink_overview *ret,
                          struct error *err) MUST_CHECK;

/** GET /jobs/:id/resource-requirements: Σ over vertices is not what is needed, the upper bounds by
 * vertex id are: {"<vertex>": n}. */
struct flink_requirement {
    const char *vertex;
    int lower, upper;
};
int flink_decode_requirements(struct arena *a, jv v, struct flink_requirement **ret, size_t *ret_n,
                              struct error *err) MUST_CHECK;
/** The body of PUT /jobs/:id/resource-requirements that gives vertices the parallelism of
 * overrides, {"<vertex>": n}; ABSENT: they have it. */
jv flink_rescaled_requirements(struct arena *a, const struct flink_requirement *now, size_t n,
                               jv overrides);

/** POST /jars/upload: the jar id (last part of "filename"); percent-encode it in URLs. */
int flink_decode_upload(struct arena *a, jv v, const char **ret_jar_id,
                        struct error *err) MUST_CHECK;
/** POST /jars/:id/run: the job id. */
int flink_decode_run(jv v, char ret_job_id[FLINK_ID_LEN + 1], struct error *err) MUST_CHECK;
struct flink_jar {
    const char *id;
    int64_t uploaded_ms; /* epoch; 0: not told */
};
/** GET /jars */
int flink_decode_jars(struct arena *a, jv v, struct flink_jar **ret_jars, size_t *ret_n,
                      struct error *err) MUST_CHECK;

struct flink_exception {
    const char *text;                          /* the most useful line, as of flink_error_text */
    const char *stack;                         /* the stack trace, cleaned and cut */
    int64_t ms;                                /* epoch; -1 unknown */
    const char *task, *endpoint, *taskmanager; /* NULL: not a task's */
    jv labels;                                 /* failureLabels: an object of strings */
};
/** GET /jobs/:id/exceptions, newest first. */
int flink_decode_exception_history(struct arena *a, jv v, struct flink_exception **ret,
                                   size_t *ret_n, struct error *err) MUST_CHECK;
/** The same: text and time of the newest; NULL if there is none. */
int flink_decode_exceptions(struct arena *a, jv v, const char **ret_root, int64_t *ret_ms,
                            struct error *err) MUST_CHECK;

/** GET /config */
struct flink_config {
    const char *version, *revision;
};
int flink_decode_config(struct arena *a, jv v, struct flink_config *ret,
                        struct error *err) MUST_CHECK;

/** POST of a savepoint, checkpoint or stop: the id to ask for. */
int flink_decode_trigger(jv v, char ret_id[FLINK_ID_LEN + 1], struct error *err) MUST_CHECK;
/** GET /jobs/:id/savepoints/:trigger, /jobs/:id/checkpoints/:trigger, /savepoint-disposal/:trigger
 */
struct flink_operation {
    bool done;
    const char *failure;   /* done and failed: the most useful line, else NULL */
    const char *location;  /* of a savepoint, else NULL */
    int64_t checkpoint_id; /* of a checkpoint, else -1 */
};
int flink_decode_operation(struct arena *a, jv v, struct flink_operation *ret,
                           struct error *err) MUST_CHECK;

/** GET /jobs/:id/checkpoints/details/:checkpoint: where it is, NULL: it is not complete yet, or has
 * no path outside of the JobManager. */
const char *flink_decode_checkpoint_path(struct arena *a, jv v);

struct flink_snapshot {
    int64_t id;                     /* -1: there is none */
    const char *path;               /* NULL: no path outside the JobManager */
    int64_t trigger_ms, state_size; /* -1 unknown */
    bool discarded;                 /* its files are gone */
};
/** GET /jobs/:id/checkpoints */
struct flink_checkpoints {
    int64_t completed, failed, in_progress;
    /* When the newest checkpoint was triggered, and the newest that is in progress; savepoints do
     * not count. -1: there is none. */
    int64_t checkpoint_ms, pending_ms;
    /* The newest completed checkpoint or savepoint; without a path if its files are gone. */
    struct flink_snapshot latest;
    struct flink_snapshot savepoint; /* the newest savepoint */
    struct flink_snapshot restored;  /* what the job, or its last attempt, has begun with */
};
int flink_decode_checkpoints(struct arena *a, jv v, struct flink_checkpoints *ret,
                             struct error *err) MUST_CHECK;

#define FLINK_HEALTH_METRICS "numRestarts,fullRestarts,numberOfCompletedCheckpoints"
struct flink_health {
    int64_t restarts, checkpoints; /* since its JobManager has it; -1: not told */
};
/** GET /jobs/:id/metrics?get=FLINK_HEALTH_METRICS */
int flink_decode_health(jv v, struct flink_health *ret, struct error *err) MUST_CHECK;

/**
 * An error body {"errors": ["…stack trace…"]} as its most useful line: the innermost cause that
 * says something, without packages, and without the class of Flink's own exceptions where the
 * message is a sentence: "ClassNotFoundException: com.example.Missing", "Could not acquire the
 * minimum required resources.". Other bodies: their first line, or "HTTP 503". In the arena.
 */
const char *flink_error_text(struct arena *a, const char *body, size_t len, int http_status);
/** The same of a stack trace alone; NULL when there is nothing in it. */
const char *flink_trace_text(struct arena *a, const char *trace);

#endif
