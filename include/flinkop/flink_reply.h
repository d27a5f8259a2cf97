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
/** GET /jobs/overview */
int flink_decode_jobs(struct arena *a, jv v, struct flink_job **ret, size_t *ret_n,
                      struct error *err) MUST_CHECK;

struct flink_vertex {
    const char *id, *name;
    const char *slot_sharing_group; /* NULL before 1.20 */
    int parallelism, max_parallelism;
    int tasks[TASKS_STATES];
    int64_t read_records, write_records; /* -1 unknown */
};
struct flink_job_detail {
    struct flink_job job;
    bool batch; /* job-type BATCH */
    struct flink_vertex *vertices;
    size_t n_vertices;
    bool has_blocking_edge; /* the plan shows an exchange that is not pipelined */
};
/** GET /jobs/:id */
int flink_decode_job_detail(struct arena *a, jv v, struct flink_job_detail *ret,
                            struct error *err) MUST_CHECK;

struct flink_taskmanager {
    const char *id; /* taskmanager.resource-id, our pod's name */
    int slots, free_slots;
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

/** POST /jars/upload: the jar id (last part of "filename"). */
int flink_decode_upload(struct arena *a, jv v, const char **ret_jar_id,
                        struct error *err) MUST_CHECK;
/** POST /jars/:id/run: the job id. */
int flink_decode_run(jv v, char ret_job_id[FLINK_ID_LEN + 1], struct error *err) MUST_CHECK;
/** GET /jars: ids. */
int flink_decode_jars(struct arena *a, jv v, const char ***ret_ids, size_t *ret_n,
                      struct error *err) MUST_CHECK;
/** GET /jobs/:id/exceptions: the newest root cause, its first lines; NULL if there is none. */
int flink_decode_exceptions(struct arena *a, jv v, const char **ret_root, int64_t *ret_ms,
                            struct error *err) MUST_CHECK;
/** An error body {"errors": ["…stack trace…"]} as its most useful line: the innermost "Caused by"
 * (or the first line), without the exception's package; falls back to the HTTP status. Also used
 * for exceptions above. In the arena, cut to a sane length. */
const char *flink_error_text(struct arena *a, const char *body, size_t len, int http_status);

#endif
