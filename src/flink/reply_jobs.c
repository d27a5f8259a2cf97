/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator asks for and is told about single jobs: JARs, runs, exceptions, snapshots. */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_reply.h"
#include "flinkop/str.h"
#include "reply_internal.h"

/* ---- JARs and runs ---- */

/* One path segment that is no way out of its folder. */
static bool is_jar_id(const char *s)
{
    return *s && strlen(s) <= 1024 && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
           !strpbrk(s, "/\\");
}

int flink_decode_upload(struct arena *a, jv v, const char **ret_jar_id, struct error *err)
{
    struct decoder d = {"POST /jars/upload", err, false};
    jv obj = decode_object(&d, NULL, v), file = jv_get(obj, "filename");
    const char *status = decode_text(&d, a, NULL, obj, "status");
    const char *name = file.type == JV_STR ? file.s : "";
    const char *slash = strrchr(name, '/');

    if (!d.failed && strcmp(status, "success") != 0)
        decode_fail(&d, AT(NULL, "status"), "\"success\"", STR(status));
    name = slash ? slash + 1 : name;
    if (!is_jar_id(name))
        decode_fail(&d, AT(NULL, "filename"), "the path of the JAR", file);
    if (!d.failed)
        *ret_jar_id = arena_strdup(a, name);
    return decode_end(&d);
}

int flink_decode_job_there(jv v, const char *job_id, struct error *err)
{
    struct decoder d = {"GET /jobs/:id", err, false};
    char id[FLINK_ID_LEN + 1] = "";

    decode_id(&d, NULL, decode_object(&d, NULL, v), "jid", id);
    if (!d.failed && strcmp(id, job_id) != 0)
        decode_fail(&d, AT(NULL, "jid"), job_id, jv_get(v, "jid"));
    return decode_end(&d);
}

int flink_decode_run(jv v, char ret_job_id[FLINK_ID_LEN + 1], struct error *err)
{
    struct decoder d = {"POST /jars/:id/run", err, false};

    decode_id(&d, NULL, decode_object(&d, NULL, v), "jobid", ret_job_id);
    return decode_end(&d);
}

int flink_decode_jars(struct arena *a, jv v, struct flink_jar **ret_jars, size_t *ret_n,
                      struct error *err)
{
    struct decoder d = {"GET /jars", err, false};
    const struct place *list = AT(NULL, "files");
    jv files;
    size_t n = decode_list(&d, NULL, decode_object(&d, NULL, v), "files", FLINK_MAX_JARS, &files);
    size_t i = 0;

    *ret_jars = arena_new_array(a, struct flink_jar, n + 1);
    jv_foreach (item, files) {
        jv id = jv_get(*item, "id");

        if (id.type != JV_STR || !is_jar_id(id.s)) {
            decode_fail(&d, AT(NTH(list, i), "id"), "the id of a JAR", id);
            return -1;
        }
        (*ret_jars)[i++] =
            (struct flink_jar){arena_strdup(a, id.s), jv_int64_or(jv_get(*item, "uploaded"), 0)};
    }
    *ret_n = n;
    return decode_end(&d);
}

/* ---- exceptions ---- */

static jv read_labels(struct arena *a, jv labels)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach_kv (kv, labels) {
        const char *text = jv_string(kv->value);

        if (text && list.n < 50)
            jv_list_put(&list, str_clean(a, kv->key, 64), STR(str_clean(a, text, 256)));
    }
    return jv_list_obj(&list);
}

/* Which task it was and where it ran. */
static void read_task(struct decoder *d, struct arena *a, const struct place *at, jv obj,
                      struct flink_exception *e)
{
    e->task = decode_optional(d, a, at, obj, "taskName");
    e->endpoint = decode_optional(d, a, at, obj, "endpoint");
    if (!e->endpoint) /* its name before 1.19 */
        e->endpoint = decode_optional(d, a, at, obj, "location");
    e->taskmanager = decode_optional(d, a, at, obj, "taskManagerId");
}

static void read_exception(struct decoder *d, struct arena *a, const struct place *at, jv v,
                           struct flink_exception *e)
{
    jv obj = decode_object(d, at, v), stack = jv_get(obj, "stacktrace");

    if (stack.type != JV_STR) {
        decode_fail(d, AT(at, "stacktrace"), "a text", stack);
        return;
    }
    e->text = str_or(flink_trace_text(a, stack.s), "no message");
    e->stack = str_clean(a, stack.s, FLINK_MAX_STACK);
    e->ms = decode_time(d, at, obj, "timestamp");
    e->labels = read_labels(a, jv_get(obj, "failureLabels"));
    read_task(d, a, at, obj, e);
    if (!e->task) { /* the job failed as a whole, because of this task first */
        const struct place *list = AT(at, "concurrentExceptions");

        read_task(d, a, NTH(list, 0), jv_at(jv_get(obj, "concurrentExceptions"), 0), e);
    }
}

int flink_decode_exception_history(struct arena *a, jv v, struct flink_exception **ret,
                                   size_t *ret_n, struct error *err)
{
    struct decoder d = {"GET /jobs/:id/exceptions", err, false};
    const struct place *history = AT(NULL, "exceptionHistory"), *list = AT(history, "entries");
    jv obj = decode_object(&d, NULL, v), entries;
    size_t n = decode_list(&d, history, decode_object(&d, history, jv_get(obj, "exceptionHistory")),
                           "entries", SIZE_MAX, &entries);
    size_t i = 0;

    n = MIN(n, (size_t)FLINK_MAX_EXCEPTIONS);
    *ret = arena_new_array(a, struct flink_exception, n + 1);
    jv_foreach (item, entries) {
        if (i == n || d.failed)
            break;
        read_exception(&d, a, NTH(list, i), *item, &(*ret)[i]);
        i++;
    }
    *ret_n = n;
    return decode_end(&d);
}

int flink_decode_exceptions(struct arena *a, jv v, const char **ret_root, int64_t *ret_ms,
                            struct error *err)
{
    struct flink_exception *e;
    size_t n;

    if (flink_decode_exception_history(a, v, &e, &n, err))
        return -1;
    *ret_root = n ? e[0].text : NULL;
    *ret_ms = n ? e[0].ms : -1;
    return 0;
}

/* ---- operations that take their time ---- */

int flink_decode_trigger(jv v, char ret_id[FLINK_ID_LEN + 1], struct error *err)
{
    struct decoder d = {"POST of a trigger", err, false};

    decode_id(&d, NULL, decode_object(&d, NULL, v), "request-id", ret_id);
    return decode_end(&d);
}

/* A path is right or useless: none that would have to be cut or cleaned, and not the placeholder in
 * angle brackets that Flink shows for state in the JobManager's memory. */
static const char *read_path(struct arena *a, jv v)
{
    if (v.type != JV_STR || !*v.s || *v.s == '<' || strlen(v.s) > 4096)
        return NULL;
    const char *clean = str_clean(a, v.s, 4096);

    return str_eq(clean, v.s) ? clean : NULL;
}

int flink_decode_operation(struct arena *a, jv v, struct flink_operation *ret, struct error *err)
{
    struct decoder d = {"GET of an operation", err, false};
    const struct place *at = AT(NULL, "operation");
    jv obj = decode_object(&d, NULL, v), operation = jv_get(obj, "operation");
    const char *id = decode_text(&d, a, AT(NULL, "status"), jv_get(obj, "status"), "id");
    jv failure = jv_get(operation, "failure-cause");

    *ret = (struct flink_operation){.done = !strcmp(id, "COMPLETED"), .checkpoint_id = -1};
    if (!d.failed && !ret->done && strcmp(id, "IN_PROGRESS") != 0)
        decode_fail(&d, AT(NULL, "status.id"), "COMPLETED or IN_PROGRESS", STR(id));
    if (!ret->done || d.failed)
        return decode_end(&d);
    if (jv_present(failure)) {
        const char *trace = JV_STRING(failure, "stack-trace");
        const char *text = trace ? flink_trace_text(a, trace) : NULL;

        ret->failure =
            text ? text
                 : str_clean(a, str_or(JV_STRING(failure, "class"), "failed"), FLINK_MAX_NAME);
        return 0;
    }
    ret->location = read_path(a, jv_get(operation, "location"));
    ret->checkpoint_id = decode_time(&d, at, operation, "checkpointId");
    return decode_end(&d);
}

const char *flink_decode_checkpoint_path(struct arena *a, jv v)
{
    return str_eq(JV_STRING(v, "status"), "COMPLETED") ? read_path(a, jv_get(v, "external_path"))
                                                       : NULL;
}

static struct flink_snapshot read_snapshot(struct decoder *d, struct arena *a,
                                           const struct place *at, jv v)
{
    struct flink_snapshot s = {.id = -1, .trigger_ms = -1, .state_size = -1};

    if (!jv_present(v))
        return s;
    jv obj = decode_object(d, at, v);

    s.id = decode_number(d, at, obj, "id", 0);
    s.trigger_ms = decode_time(d, at, obj, "trigger_timestamp");
    s.state_size = decode_time(d, at, obj, "state_size");
    s.discarded = jv_bool_or(jv_get(obj, "discarded"), false);
    s.path = read_path(a, jv_get(obj, "external_path"));
    return s;
}

static int64_t newest_pending(struct decoder *d, jv checkpoints)
{
    const struct place *history = AT(NULL, "history");
    int64_t newest = -1;
    size_t i = 0;

    jv_foreach (item, jv_get(checkpoints, "history")) {
        int64_t ms = decode_time(d, NTH(history, i++), *item, "trigger_timestamp");

        if (str_eq(JV_STRING(*item, "status"), "IN_PROGRESS") &&
            !jv_bool_or(jv_get(*item, "is_savepoint"), false))
            newest = MAX(newest, ms);
    }
    return newest;
}

int flink_decode_checkpoints(struct arena *a, jv v, struct flink_checkpoints *ret,
                             struct error *err)
{
    struct decoder d = {"GET /jobs/:id/checkpoints", err, false};
    const struct place *latest = AT(NULL, "latest"), *at = AT(NULL, "counts");
    jv obj = decode_object(&d, NULL, v), counts = decode_object(&d, at, jv_get(obj, "counts"));
    jv newest = JV_PATH(obj, "latest", "completed"),
       savepoint = JV_PATH(obj, "latest", "savepoint"),
       restored = JV_PATH(obj, "latest", "restored");

    ret->completed = decode_number(&d, at, counts, "completed", 0);
    ret->failed = decode_number(&d, at, counts, "failed", 0);
    ret->in_progress = decode_number(&d, at, counts, "in_progress", 0);
    ret->latest = read_snapshot(&d, a, AT(latest, "completed"), newest);
    ret->savepoint = read_snapshot(&d, a, AT(latest, "savepoint"), savepoint);
    ret->restored = read_snapshot(&d, a, AT(latest, "restored"), restored);
    ret->checkpoint_ms = ret->latest.trigger_ms;
    ret->pending_ms = newest_pending(&d, obj);
    if (ret->savepoint.id > ret->latest.id)
        ret->latest = ret->savepoint;
    if (ret->latest.discarded)
        ret->latest.path = NULL;
    return decode_end(&d);
}

/* "12", or "NaN" where there is nothing to count. */
static int64_t metric(jv item)
{
    const char *text = JV_STRING(item, "value");
    int64_t n;

    return text && str_to_int64(text, &n) && n >= 0 ? n : -1;
}

int flink_decode_health(jv v, struct flink_health *ret, struct error *err)
{
    struct decoder d = {"GET /jobs/:id/metrics", err, false};
    int64_t full = -1;

    *ret = (struct flink_health){-1, -1};
    if (v.type != JV_ARR)
        decode_fail(&d, AT(NULL, "metrics"), "a list", v);
    jv_foreach (item, v) {
        const char *id = JV_STRING(*item, "id");

        if (str_eq(id, "numRestarts"))
            ret->restarts = metric(*item);
        else if (str_eq(id, "fullRestarts"))
            full = metric(*item);
        else if (str_eq(id, "numberOfCompletedCheckpoints"))
            ret->checkpoints = metric(*item);
    }
    if (ret->restarts < 0)
        ret->restarts = full;
    return decode_end(&d);
}

bool flink_job_runs_whole(const struct flink_job *j)
{
    return j->state == JOB_RUNNING && j->tasks_total > 0 && !j->pending_operators &&
           j->tasks[TASKS_RUNNING] + j->tasks[TASKS_FINISHED] == j->tasks_total;
}

bool flink_job_waits(const struct flink_job *j)
{
    return !job_state_terminal(j->state) && j->state != JOB_CANCELLING && j->state != JOB_FAILING &&
           !flink_job_runs_whole(j);
}
