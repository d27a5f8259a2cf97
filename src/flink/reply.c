/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator polls: overview, jobs, TaskManagers. Shapes: tests/golden/flink/replies. */
#include "flinkop/flink_reply.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/str.h"
#include "reply_internal.h"

static const char *const state_names[] = {
    [JOB_UNKNOWN] = "UNKNOWN",       [JOB_INITIALIZING] = "INITIALIZING",
    [JOB_CREATED] = "CREATED",       [JOB_RUNNING] = "RUNNING",
    [JOB_FAILING] = "FAILING",       [JOB_FAILED] = "FAILED",
    [JOB_CANCELLING] = "CANCELLING", [JOB_CANCELED] = "CANCELED",
    [JOB_FINISHED] = "FINISHED",     [JOB_RESTARTING] = "RESTARTING",
    [JOB_SUSPENDED] = "SUSPENDED",   [JOB_RECONCILING] = "RECONCILING",
};

const char *job_state_name(enum job_state s)
{
    return (size_t)s < ARRAY_SIZE(state_names) ? state_names[s] : state_names[JOB_UNKNOWN];
}

enum job_state job_state_parse(const char *s)
{
    int i = str_index(state_names, ARRAY_SIZE(state_names), s);

    return i < 0 ? JOB_UNKNOWN : (enum job_state)i;
}

bool job_state_terminal(enum job_state s)
{
    return s == JOB_FINISHED || s == JOB_FAILED || s == JOB_CANCELED;
}

/* ExecutionState: lower case in /jobs/overview, upper case in /jobs/:id. */
static const struct {
    const char *lower, *upper;
} task_names[TASKS_STATES] = {
    [TASKS_CREATED] = {"created", "CREATED"},
    [TASKS_SCHEDULED] = {"scheduled", "SCHEDULED"},
    [TASKS_DEPLOYING] = {"deploying", "DEPLOYING"},
    [TASKS_RUNNING] = {"running", "RUNNING"},
    [TASKS_FINISHED] = {"finished", "FINISHED"},
    [TASKS_CANCELING] = {"canceling", "CANCELING"},
    [TASKS_CANCELED] = {"canceled", "CANCELED"},
    [TASKS_FAILED] = {"failed", "FAILED"},
    [TASKS_RECONCILING] = {"reconciling", "RECONCILING"},
    [TASKS_INITIALIZING] = {"initializing", "INITIALIZING"},
};

static void read_job(struct decoder *d, struct arena *a, const struct place *at, jv v,
                     struct flink_job *job)
{
    jv obj = decode_object(d, at, v);

    decode_id(d, at, obj, "jid", job->id);
    job->name = decode_text(d, a, at, obj, "name");
    job->state = job_state_parse(decode_text(d, a, at, obj, "state"));
    job->start_ms = decode_time(d, at, obj, "start-time");
    job->end_ms = decode_time(d, at, obj, "end-time");
    job->last_modification_ms = decode_time(d, at, obj, "last-modification");
    job->pending_operators = decode_count(d, at, obj, "pending-operators");
}

int flink_decode_jobs(struct arena *a, jv v, struct flink_job **ret, size_t *ret_n,
                      struct error *err)
{
    struct decoder d = {"GET /jobs/overview", err, false};
    const struct place *list = AT(NULL, "jobs");
    jv jobs;
    size_t n = decode_list(&d, NULL, decode_object(&d, NULL, v), "jobs", FLINK_MAX_JOBS, &jobs);
    size_t i = 0;

    *ret = arena_new_array(a, struct flink_job, n);
    jv_foreach (item, jobs) {
        struct flink_job *job = &(*ret)[i];
        const struct place *at = AT(NTH(list, i), "tasks");

        read_job(&d, a, NTH(list, i), *item, job);
        jv tasks = decode_object(&d, at, jv_get(*item, "tasks"));
        job->tasks_total = decode_count(&d, at, tasks, "total");
        for (size_t s = 0; s < TASKS_STATES; s++)
            job->tasks[s] = decode_count(&d, at, tasks, task_names[s].lower);
        if (d.failed)
            return -1;
        i++;
    }
    *ret_n = n;
    return decode_end(&d);
}

/* ---- GET /jobs/:id ---- */

/* Records so far, unless a subtask's figure is still missing. */
static int64_t records(struct decoder *d, const struct place *at, jv metrics, const char *key,
                       const char *complete)
{
    int64_t n = decode_time(d, at, metrics, key);

    return jv_bool_or(jv_get(metrics, complete), false) ? n : -1;
}

static void read_vertex(struct decoder *d, struct arena *a, const struct place *at, jv v,
                        struct flink_vertex *x)
{
    jv obj = decode_object(d, at, v), metrics = jv_get(obj, "metrics");
    jv tasks = decode_object(d, AT(at, "tasks"), jv_get(obj, "tasks"));
    char id[FLINK_ID_LEN + 1];

    decode_id(d, at, obj, "id", id);
    x->id = arena_strdup(a, id);
    x->name = decode_text(d, a, at, obj, "name");
    x->slot_sharing_group = decode_optional(d, a, at, obj, "slotSharingGroupId");
    /* -1: not decided yet (AdaptiveBatch) */
    int64_t parallelism = decode_number(d, at, obj, "parallelism", -1);
    int64_t max_parallelism = decode_time(d, at, obj, "maxParallelism");

    /* Flink's own limit; larger ones would make sums of them wrap. */
    if (parallelism > 32768)
        decode_fail(d, AT(at, "parallelism"), "at most 32768", jv_get(obj, "parallelism"));
    if (max_parallelism > 32768)
        decode_fail(d, AT(at, "maxParallelism"), "at most 32768", jv_get(obj, "maxParallelism"));
    x->parallelism = (int)MAX(MIN(parallelism, 32768), 0);
    x->max_parallelism = (int)MIN(max_parallelism, 32768);
    for (size_t s = 0; s < TASKS_STATES; s++)
        x->tasks[s] = decode_count(d, AT(at, "tasks"), tasks, task_names[s].upper);
    x->read_records =
        records(d, AT(at, "metrics"), metrics, "read-records", "read-records-complete");
    x->write_records =
        records(d, AT(at, "metrics"), metrics, "write-records", "write-records-complete");
}

static bool has_blocking_edge(jv plan)
{
    jv_foreach (node, jv_get(plan, "nodes"))
        jv_foreach (input, jv_get(*node, "inputs")) {
            const char *exchange = jv_string(jv_get(*input, "exchange"));

            if (exchange && !str_has_prefix(exchange, "pipelined"))
                return true;
        }
    return false;
}

/* Adds without passing the largest int, whatever the server claims. */
static void add_tasks(int *sum, int n)
{
    if (__builtin_add_overflow(*sum, n, sum))
        *sum = INT32_MAX;
}

int flink_decode_job_detail(struct arena *a, jv v, struct flink_job_detail *ret, struct error *err)
{
    struct decoder d = {"GET /jobs/:id", err, false};
    const struct place *list = AT(NULL, "vertices");
    const char *type = JV_STRING(v, "job-type");
    jv vertices;
    size_t i = 0;

    *ret = (struct flink_job_detail){0};
    read_job(&d, a, NULL, v, &ret->job);
    size_t n = decode_list(&d, NULL, v, "vertices", FLINK_MAX_VERTICES, &vertices);

    ret->vertices = arena_new_array(a, struct flink_vertex, n + 1);
    ret->n_vertices = n;
    jv_foreach (item, vertices) {
        struct flink_vertex *x = &ret->vertices[i];

        read_vertex(&d, a, NTH(list, i), *item, x);
        if (d.failed)
            return -1;
        for (size_t s = 0; s < TASKS_STATES; s++) {
            add_tasks(&ret->job.tasks[s], x->tasks[s]);
            add_tasks(&ret->job.tasks_total, x->tasks[s]);
        }
        i++;
    }
    ret->batch = str_eq(type ? type : JV_STRING(v, "plan", "type"), "BATCH");
    ret->has_blocking_edge = has_blocking_edge(jv_get(v, "plan"));
    return decode_end(&d);
}

int flink_decode_requirements(struct arena *a, jv v, struct flink_requirement **ret, size_t *ret_n,
                              struct error *err)
{
    struct decoder d = {"GET /jobs/:id/resource-requirements", err, false};
    jv obj = decode_object(&d, NULL, v);
    size_t n = jv_len(obj), i = 0;

    if (n > FLINK_MAX_VERTICES)
        return error_set(err, ERR_TOO_LARGE, "%s: %zu vertices, more than %d are not read",
                         d.endpoint, n, FLINK_MAX_VERTICES);
    *ret = arena_new_array(a, struct flink_requirement, n + 1);
    jv_foreach_kv (kv, obj) {
        const struct place *at = AT(AT(NULL, kv->key), "parallelism");
        jv bounds = decode_object(&d, at, jv_get(kv->value, "parallelism"));
        int64_t lower = decode_number(&d, at, bounds, "lowerBound", 0);
        int64_t upper = decode_number(&d, at, bounds, "upperBound", 0);

        if (!flink_id_valid(kv->key))
            decode_fail(&d, NULL, "vertex ids of 32 hex digits", STR(kv->key));
        if (lower > upper || upper > 32768)
            decode_fail(&d, at, "lowerBound <= upperBound <= 32768", jv_get(bounds, "upperBound"));
        if (d.failed)
            return -1;
        (*ret)[i++] = (struct flink_requirement){arena_strdup(a, kv->key), (int)lower, (int)upper};
    }
    *ret_n = n;
    return decode_end(&d);
}

/* A job that has less than it asks for runs with what there is, down to the lower bound. */
jv flink_rescaled_requirements(struct arena *a, const struct flink_requirement *now, size_t n,
                               jv overrides)
{
    struct jv_list list = JV_LIST(a);
    bool changed = false;

    for (size_t i = 0; i < n; i++) {
        int64_t upper = jv_int64_or(jv_get(overrides, now[i].vertex), now[i].upper);
        int64_t lower = MIN(upper, now[i].lower);

        changed |= upper != now[i].upper;
        jv_list_put(&list, now[i].vertex,
                    jv_dup(a, OBJ({"parallelism",
                                   OBJ({"lowerBound", INT(lower)}, {"upperBound", INT(upper)})})));
    }
    return changed ? jv_list_obj(&list) : ABSENT;
}

/* ---- GET /taskmanagers, /overview, /config ---- */

#define SLOTS_MAX 100000 /* of one TaskManager; sums of more than anybody has would overflow */

int flink_decode_taskmanagers(struct arena *a, jv v, struct flink_taskmanager **ret, size_t *ret_n,
                              struct error *err)
{
    struct decoder d = {"GET /taskmanagers", err, false};
    const struct place *list = AT(NULL, "taskmanagers");
    jv items;
    size_t n = decode_list(&d, NULL, decode_object(&d, NULL, v), "taskmanagers",
                           FLINK_MAX_TASKMANAGERS, &items);
    size_t i = 0;

    *ret = arena_new_array(a, struct flink_taskmanager, n + 1);
    jv_foreach (item, items) {
        struct flink_taskmanager *tm = &(*ret)[i];
        const struct place *at = NTH(list, i);
        jv obj = decode_object(&d, at, *item);

        tm->id = decode_text(&d, a, at, obj, "id");
        tm->slots = MIN(decode_count(&d, at, obj, "slotsNumber"), SLOTS_MAX);
        tm->free_slots = MIN(decode_count(&d, at, obj, "freeSlots"), tm->slots);
        tm->since_heartbeat_ms = decode_time(&d, at, obj, "timeSinceLastHeartbeat");
        if (d.failed)
            return -1;
        i++;
    }
    *ret_n = n;
    return decode_end(&d);
}

int flink_decode_overview(struct arena *a, jv v, struct flink_overview *ret, struct error *err)
{
    struct decoder d = {"GET /overview", err, false};
    jv obj = decode_object(&d, NULL, v);

    ret->taskmanagers = (int)MIN(decode_number(&d, NULL, obj, "taskmanagers", 0), INT32_MAX);
    ret->slots_total = decode_count(&d, NULL, obj, "slots-total");
    ret->slots_available = decode_count(&d, NULL, obj, "slots-available");
    ret->jobs_running = decode_count(&d, NULL, obj, "jobs-running");
    ret->jobs_finished = decode_count(&d, NULL, obj, "jobs-finished");
    ret->jobs_cancelled = decode_count(&d, NULL, obj, "jobs-cancelled");
    ret->jobs_failed = decode_count(&d, NULL, obj, "jobs-failed");
    ret->version = decode_text(&d, a, NULL, obj, "flink-version");
    ret->commit = decode_text(&d, a, NULL, obj, "flink-commit");
    return decode_end(&d);
}

int flink_decode_config(struct arena *a, jv v, struct flink_config *ret, struct error *err)
{
    struct decoder d = {"GET /config", err, false};
    jv obj = decode_object(&d, NULL, v);

    ret->version = decode_text(&d, a, NULL, obj, "flink-version");
    ret->revision = decode_text(&d, a, NULL, obj, "flink-revision");
    return decode_end(&d);
}
