/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders against recordings of real Flinks (tests/golden/flink/replies) and against lies. */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/file.h"
#include "flinkop/flink_reply.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

#define REPLIES "tests/golden/flink/replies/"

static const char *const versions[] = {"1.18.1", "1.20.5", "2.2.1"};

static char *reply_text(struct arena *a, int version, const char *name, size_t *ret_len)
{
    cleanup_free char *text = NULL;
    struct error err = {0};

    text = file_read(arena_printf(a, REPLIES "%s/%s.json", versions[version], name), 1 << 20,
                     ret_len, &err);
    if (!text)
        ck_abort_msg("%s", err.text);
    return arena_strdup(a, text);
}

static jv reply(struct arena *a, int version, const char *name)
{
    size_t len;
    const char *text = reply_text(a, version, name, &len);
    struct error err = {0};
    jv v;

    if (json_parse(a, text, len, &v, &err))
        ck_abort_msg("%s: %s", name, err.text);
    return v;
}

#define OK(call)                          \
    do {                                  \
        if (call)                         \
            ck_abort_msg("%s", err.text); \
    } while (0)

static struct flink_job_detail detail(struct arena *a, int version, const char *name)
{
    struct flink_job_detail d;
    struct error err = {0};

    OK(flink_decode_job_detail(a, reply(a, version, name), &d, &err));
    return d;
}

START_TEST(overviews)
{
    cleanup_arena struct arena a = {0};
    struct flink_overview o;
    struct flink_config c;
    struct error err = {0};

    OK(flink_decode_overview(&a, reply(&a, _i, "empty-overview"), &o, &err));
    ck_assert(!o.taskmanagers && !o.slots_total && !o.jobs_running);
    ck_assert_str_eq(o.version, versions[_i]);
    OK(flink_decode_overview(&a, reply(&a, _i, "running-overview"), &o, &err));
    ck_assert(o.taskmanagers == 1 && o.slots_total == 5 && !o.slots_available);
    ck_assert_int_eq(o.jobs_running, 1);
    ck_assert_uint_eq(strlen(o.commit), 7);
    OK(flink_decode_config(&a, reply(&a, _i, "config"), &c, &err));
    ck_assert_str_eq(c.version, versions[_i]);
    ck_assert_ptr_nonnull(strstr(c.revision, o.commit));
}
END_TEST

START_TEST(job_lists)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    struct flink_job *j;
    size_t n;

    OK(flink_decode_jobs(&a, reply(&a, _i, "empty-jobs"), &j, &n, &err));
    ck_assert_uint_eq(n, 0);
    OK(flink_decode_jobs(&a, reply(&a, _i, "waiting-jobs"), &j, &n, &err));
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(j->state, JOB_RUNNING); /* that is how Flink shows waiting for slots */
    ck_assert(j->tasks_total == 5 && j->tasks[TASKS_SCHEDULED] == 5 && !j->tasks[TASKS_RUNNING]);
    ck_assert_str_eq(j->name, "recorded groups");
    ck_assert(j->start_ms > 1000000000000 && j->end_ms == -1 &&
              j->last_modification_ms >= j->start_ms);
    OK(flink_decode_jobs(&a, reply(&a, _i, "running-jobs"), &j, &n, &err));
    ck_assert(j->tasks_total == 5 && j->tasks[TASKS_RUNNING] == 5);
    OK(flink_decode_jobs(&a, reply(&a, _i, "adaptive-waiting-jobs"), &j, &n, &err));
    ck_assert(j->state == JOB_CREATED && !j->tasks_total);
    OK(flink_decode_jobs(&a, reply(&a, _i, "failed-jobs"), &j, &n, &err));
    ck_assert_uint_ge(n, 3);
    for (size_t i = 0; i < n; i++)
        ck_assert(job_state_terminal(j[i].state) && j[i].end_ms >= j[i].start_ms);
}
END_TEST

/* Slots by sharing group: the figure the allocator wants. */
static int slots(const struct flink_job_detail *d)
{
    int sum = 0;

    for (size_t i = 0; i < d->n_vertices; i++) {
        bool first = true;

        for (size_t k = 0; k < i; k++)
            first &= !str_eq(d->vertices[k].slot_sharing_group, d->vertices[i].slot_sharing_group);
        sum += first ? d->vertices[i].parallelism : 0;
    }
    return sum;
}

START_TEST(job_details)
{
    cleanup_arena struct arena a = {0};
    struct flink_job_detail d = detail(&a, _i, "running-job");

    ck_assert_uint_eq(d.n_vertices, 3);
    ck_assert(d.job.state == JOB_RUNNING && !d.batch && !d.has_blocking_edge);
    ck_assert(d.job.tasks_total == 5 && d.job.tasks[TASKS_RUNNING] == 5);
    ck_assert_uint_eq(strlen(d.vertices[0].id), 32);
    ck_assert_int_eq(d.vertices[0].max_parallelism, 128);
    if (_i == 0)
        ck_assert_ptr_null(d.vertices[0].slot_sharing_group);
    else
        ck_assert_int_eq(slots(&d), 5);
    d = detail(&a, _i, "waiting-job");
    ck_assert(d.job.tasks[TASKS_SCHEDULED] == 5 && d.job.state == JOB_RUNNING);
    d = detail(&a, _i, "batch-job");
    ck_assert(d.batch && d.has_blocking_edge && d.n_vertices >= 1);
    d = detail(&a, _i, "batch-finished-job");
    ck_assert(d.job.state == JOB_FINISHED && d.job.end_ms > d.job.start_ms);
    ck_assert_int_ge(d.vertices[0].write_records, 0);
    d = detail(&a, _i, "cancelled-job");
    ck_assert_int_eq(d.job.state, JOB_CANCELED);
    d = detail(&a, _i, "adaptive-waiting-job");
    ck_assert(d.job.state == JOB_CREATED && d.n_vertices == 3 && !d.job.tasks_total);
}
END_TEST

START_TEST(requirements_of_the_adaptive_scheduler)
{
    cleanup_arena struct arena a = {0};
    struct flink_requirement *r;
    struct error err = {0};
    size_t n;
    int sum = 0;

    OK(flink_decode_requirements(&a, reply(&a, _i, "adaptive-requirements"), &r, &n, &err));
    ck_assert_uint_eq(n, 3);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(r[i].lower, 1);
        sum += r[i].upper;
    }
    ck_assert_int_eq(sum, 5);
}
END_TEST

START_TEST(rescaled)
{
    cleanup_arena struct arena a = {0};
    const struct flink_requirement now[] = {{"one", 1, 4}, {"two", 3, 4}, {"three", 2, 2}};
    jv body = flink_rescaled_requirements(&a, now, 3, OBJ({"one", INT(6)}, {"two", INT(2)}));

    ck_assert_str_eq(json_text(&a, body),
                     "{\"one\":{\"parallelism\":{\"lowerBound\":1,\"upperBound\":6}},"
                     "\"two\":{\"parallelism\":{\"lowerBound\":2,\"upperBound\":2}},"
                     "\"three\":{\"parallelism\":{\"lowerBound\":2,\"upperBound\":2}}}");
    body = flink_rescaled_requirements(&a, now, 3, OBJ({"one", INT(4)}, {"four", INT(9)}));
    ck_assert(!jv_present(body));
}
END_TEST

START_TEST(taskmanagers)
{
    cleanup_arena struct arena a = {0};
    struct flink_taskmanager *t;
    struct error err = {0};
    size_t n;

    OK(flink_decode_taskmanagers(&a, reply(&a, _i, "empty-taskmanagers"), &t, &n, &err));
    ck_assert_uint_eq(n, 0);
    OK(flink_decode_taskmanagers(&a, reply(&a, _i, "running-taskmanagers"), &t, &n, &err));
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(t->id, "session-taskmanager-1-1");
    ck_assert(t->slots == 5 && t->free_slots == 0);
}
END_TEST

START_TEST(a_job_is_there_when_the_answer_is_about_it)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    jv body = reply(&a, _i, "running-job");
    const char *id = JV_STRING(body, "jid");
    static const char *const others[] = {"{}", "[]", "[\"jobs\",1,null]", "{\"jid\":1}",
                                         "{\"jid\":\"00000000000000000000000000000001\"}"};

    OK(flink_decode_job_there(body, id, &err));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        ck_assert_int_eq(flink_decode_job_there(json(&a, others[i]), id, &err), -1);
    ck_assert_int_eq(flink_decode_job_there(ABSENT, id, &err), -1);
}
END_TEST

START_TEST(jars_and_runs)
{
    cleanup_arena struct arena a = {0};
    const char *id;
    struct flink_jar *jars;
    char job[FLINK_ID_LEN + 1];
    struct error err = {0};
    size_t n;

    OK(flink_decode_upload(&a, reply(&a, _i, "upload"), &id, &err));
    ck_assert(str_has_suffix(id, "_recorded.jar") && !strchr(id, '/'));
    OK(flink_decode_jars(&a, reply(&a, _i, "jars"), &jars, &n, &err));
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(jars[0].id, id);
    ck_assert_int_gt(jars[0].uploaded_ms, 1700000000000);
    OK(flink_decode_jars(&a, reply(&a, _i, "empty-jars"), &jars, &n, &err));
    ck_assert_uint_eq(n, 0);
    OK(flink_decode_run(reply(&a, _i, "run"), job, &err));
    ck_assert(flink_id_valid(job));
}
END_TEST

START_TEST(exceptions)
{
    cleanup_arena struct arena a = {0};
    struct flink_exception *e;
    const char *root;
    struct error err = {0};
    int64_t ms;
    size_t n;

    OK(flink_decode_exceptions(&a, reply(&a, _i, "running-exceptions"), &root, &ms, &err));
    ck_assert_ptr_null(root);
    OK(flink_decode_exceptions(&a, reply(&a, _i, "failed-exceptions"), &root, &ms, &err));
    ck_assert_str_eq(root, "IllegalArgumentException: cannot parse \"101\"? at line 3");
    ck_assert_int_gt(ms, 1000000000000);
    OK(flink_decode_exceptions(&a, reply(&a, _i, "no-slots-exceptions"), &root, &ms, &err));
    ck_assert_str_eq(root, "Could not acquire the minimum required resources.");
    ck_assert_str_eq(
        flink_trace_text(
            &a, "org.apache.flink.runtime.JobException: Recovery is suppressed by "
                "NoRestartBackoffTimeStrategy\n"
                "\tat org.apache.flink.runtime.executiongraph.failover.A.b(A.java:1)\n"
                "Caused by: java.util.concurrent.CompletionException: "
                "org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Slot "
                "request bulk is not fulfillable! Could not allocate the required slot within slot "
                "request timeout\n"
                "Caused by: java.util.concurrent.TimeoutException: Timeout has occurred: 15000 ms\n"
                "\t... 29 more\n"),
        "Slot request bulk is not fulfillable! Could not allocate the required slot within slot "
        "request timeout (TimeoutException)");
    OK(flink_decode_exception_history(&a, reply(&a, _i, "failed-exceptions"), &e, &n, &err));
    ck_assert_uint_eq(n, 1);
    ck_assert_ptr_nonnull(strstr(e->task, "failing"));
    ck_assert_str_eq(e->taskmanager, "session-taskmanager-1-1");
    ck_assert_str_eq(e->endpoint, "localhost:46124");
    ck_assert(str_has_prefix(e->stack, "org.apache.flink.runtime.JobException: Recovery"));
}
END_TEST

START_TEST(operations)
{
    cleanup_arena struct arena a = {0};
    struct flink_checkpoints c;
    struct flink_operation o;
    char id[FLINK_ID_LEN + 1];
    struct error err = {0};

    OK(flink_decode_trigger(reply(&a, _i, "savepoint-trigger"), id, &err));
    ck_assert_str_eq(id, "11111111111111111111111111111111");
    OK(flink_decode_operation(&a, reply(&a, _i, "savepoint-done"), &o, &err));
    ck_assert(o.done && !o.failure && str_has_prefix(o.location, "file:/tmp/flink/savepoints/"));
    OK(flink_decode_operation(&a, reply(&a, _i, "savepoint-failed"), &o, &err));
    ck_assert(o.done && o.failure && !o.location);
    ck_assert_ptr_nonnull(strstr(o.failure, "/proc/nothing"));
    OK(flink_decode_operation(&a, reply(&a, _i, "checkpoint-done"), &o, &err));
    ck_assert(o.done && o.checkpoint_id > 0 && !o.failure);
    int64_t checkpoint = o.checkpoint_id;
    OK(flink_decode_operation(&a, reply(&a, _i, "checkpoint-again-done"), &o, &err));
    ck_assert_int_eq(o.checkpoint_id, checkpoint); /* asked twice for one id, it takes one */
    const char *path = flink_decode_checkpoint_path(&a, reply(&a, _i, "checkpoint-details"));
    ck_assert(str_has_prefix(path, "file:/tmp/flink/checkpoints/"));
    ck_assert_ptr_null(flink_decode_checkpoint_path(&a, json(&a, "{'status':'IN_PROGRESS'}")));
    OK(flink_decode_operation(&a, reply(&a, _i, "disposal-done"), &o, &err));
    ck_assert(o.done && !o.failure);
    OK(flink_decode_operation(&a, reply(&a, _i, "disposal-again-failed"), &o, &err));
    ck_assert_ptr_nonnull(strstr(o.failure, "Cannot find checkpoint or savepoint file"));
    OK(flink_decode_operation(&a, json(&a, "{'status':{'id':'IN_PROGRESS'},'operation':null}"), &o,
                              &err));
    ck_assert(!o.done);
    OK(flink_decode_checkpoints(&a, reply(&a, _i, "failed-checkpoints"), &c, &err));
    ck_assert(c.latest.id == -1 && !c.latest.path && c.savepoint.id == -1);
    OK(flink_decode_checkpoints(&a, reply(&a, _i, "running-checkpoints"), &c, &err));
    ck_assert(c.completed > 0 && str_has_prefix(c.latest.path, "file:/tmp/flink/"));
    ck_assert_int_eq(c.pending_ms > c.latest.trigger_ms, c.in_progress > 0);
    OK(flink_decode_checkpoints(&a, reply(&a, _i, "stopped-checkpoints"), &c, &err));
    ck_assert_int_eq(c.latest.id, c.savepoint.id);
    ck_assert_int_eq(c.pending_ms, -1);
    ck_assert(str_has_prefix(c.latest.path, "file:/tmp/flink/savepoints/") && !c.latest.discarded);
}
END_TEST

START_TEST(metrics_of_a_job)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    struct flink_health h;

    OK(flink_decode_health(reply(&a, _i, "running-metrics"), &h, &err));
    ck_assert(h.restarts == 0 && h.checkpoints >= 0);
    OK(flink_decode_health(json(&a, "[{'id':'numberOfCompletedCheckpoints','value':'3'},"
                                    "{'id':'numRestarts','value':'2'},"
                                    "{'id':'fullRestarts','value':'1'}]"),
                           &h, &err));
    ck_assert(h.restarts == 2 && h.checkpoints == 3);
    OK(flink_decode_health(json(&a, "[{'id':'fullRestarts','value':'1'}]"), &h, &err));
    ck_assert(h.restarts == 1 && h.checkpoints == -1);
    OK(flink_decode_health(json(&a, "[{'id':'numRestarts','value':'NaN'},7,{}]"), &h, &err));
    ck_assert(h.restarts == -1 && h.checkpoints == -1);
    OK(flink_decode_health(json(&a, "[]"), &h, &err));
    ck_assert(h.restarts == -1);
    ck_assert(flink_decode_health(json(&a, "{'id':'numRestarts'}"), &h, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "expected a list"));
}
END_TEST

static const struct {
    const char *name, *text;
} errors[] = {
    {"run-missing-class.500", "ClassNotFoundException: com.example.Missing"},
    {"run-missing-jar.500", "Jar file /tmp/flink/upload/flink-web-upload/"},
    {"run-main-throws.400", "IOException: connect: refused"},
    {"run-no-job.400", "No jobs included in application."},
    {"run-duplicate.400", "Job has already been submitted."},
    {"run-bad-savepoint.400", "FileNotFoundException: Cannot find checkpoint or savepoint file/"},
    {"run-bad-parallelism.400", "IllegalArgumentException: Parallelism must be at least one"},
    {"run-bad-json.400", "Unexpected character ('}' (code 125))"},
    {"upload-no-jar.400", "Only Jar files are allowed."},
    {"upload-empty.400", "Exactly 1 file must be sent, received 0."},
    {"savepoint.400", "Config key ["},
    {"savepoint-unknown.404", "There is no savepoint operation with triggerId="},
    {"unknown-job.404", "Could not find Flink job (ffffffffffffffffffffffffffffffff)"},
    {"cancel-unknown.404", "Could not find Flink job (ffffffffffffffffffffffffffffffff)"},
    {"bad-job-id.400", "Cannot resolve path parameter (jobid) from value \"xyz\"."},
    {"unknown-path.404", "Unable to load requested file /nothing."},
    {"requirements-default.500", "UnsupportedOperationException: The DefaultScheduler does not"},
    {"adaptive-bad-requirements.400", "Job vertex [ffffffffffffffffffffffffffffffff] was not"},
};

START_TEST(error_bodies_become_their_most_useful_line)
{
    for (int v = 0; v < (int)ARRAY_SIZE(versions); v++) {
        cleanup_arena struct arena a = {0};
        size_t len;
        const char *body = reply_text(&a, v, errors[_i].name, &len);
        const char *text = flink_error_text(&a, body, len, 500);

        ck_assert_msg(str_has_prefix(text, errors[_i].text), "%s: %s", versions[v], text);
    }
}
END_TEST

static const struct {
    const char *body, *text;
} odd_bodies[] = {
    {"", "HTTP 503"},
    {"{}", "HTTP 503"},
    {"{\"errors\":[]}", "HTTP 503"},
    {"{\"errors\":\"x\"}", "HTTP 503"},
    {"{\"errors\":[1,{}]}", "1"},
    {"{\"errors\":[\"\"]}", "HTTP 503"},
    {"{\"errors\":[\"  \\n\\tat x\\n\"]}", "HTTP 503"},
    {"{\"errors\":[\"plain\"]}", "plain"},
    {"{\"errors\":[\"first\",\"second\"]}", "second"},
    {"{\"errors\":[\"a.b.Outer: says it\\n\\tat x\\nCaused by: a.b.Inner\\n\\tat y\"]}",
     "Outer: says it (Inner)"},
    {"{\"errors\":[\"a.b.Outer\\n\\tat x\\nCaused by: a.b.C$Inner: null\"]}", "Inner"},
    {"{\"errors\":[\"a.b.Outer: x\\nand y\\n\\tat z\"]}", "Outer: x and y"},
    {"{\"errors\":[\"java.util.concurrent.ExecutionException: "
     "org.apache.flink.util.SerializedThrowable: my.pkg.MyError: boom\"]}",
     "MyError: boom"},
    {"{\"errors\":[\"org.apache.flink.util.FlinkException: bell\\u0007 and \\ud800\"]}", NULL},
    {"{broken", "HTTP 503"},
    {"<html><body>502 Bad Gateway</body></html>", "HTTP 503"},
    {"no healthy upstream", "no healthy upstream"},
    {"upstream\nsays no", "upstream"},
};

START_TEST(odd_bodies_too)
{
    cleanup_arena struct arena a = {0};
    const char *body = odd_bodies[_i].body;
    const char *text = flink_error_text(&a, body, strlen(body), 503);

    if (odd_bodies[_i].text)
        ck_assert_str_eq(text, odd_bodies[_i].text);
    for (const char *p = text; *p; p++)
        ck_assert_int_ge((unsigned char)*p, ' ');
}
END_TEST

START_TEST(endless_errors_are_cut)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(4 << 20);

    strbuf_adds(&sb, "a.b.Outer: ");
    for (int i = 0; i < 500000; i++)
        strbuf_adds(&sb, i % 1000 ? "é" : "\nCaused by: a.b.Inner: ");
    ck_assert_uint_le(strlen(flink_error_text(&a, sb.buf, sb.len, 500)), FLINK_MAX_ERROR + 4);
    ck_assert_uint_le(strlen(flink_trace_text(&a, sb.buf)), FLINK_MAX_ERROR + 4);
}
END_TEST

/* ---- lies ---- */

/* Every decoder on v; those that answer must not answer nonsense. */
static int decode_all(jv v, struct error *last)
{
    cleanup_arena struct arena a = {0};
    struct flink_job *jobs;
    struct flink_job_detail d;
    struct flink_taskmanager *tms;
    struct flink_overview o;
    struct flink_requirement *r;
    struct flink_exception *e;
    struct flink_config c;
    struct flink_operation op;
    struct flink_checkpoints cp;
    const char *jar;
    struct flink_jar *jars;
    char id[FLINK_ID_LEN + 1];
    int64_t ms;
    size_t n;
    int good = 0;

    if (!flink_decode_jobs(&a, v, &jobs, &n, last)) {
        good++;
        for (size_t i = 0; i < n; i++) {
            ck_assert(flink_id_valid(jobs[i].id) && jobs[i].name && jobs[i].tasks_total >= 0);
            for (int s = 0; s < TASKS_STATES; s++)
                ck_assert_int_ge(jobs[i].tasks[s], 0);
        }
    }
    if (!flink_decode_job_detail(&a, v, &d, last)) {
        good++;
        ck_assert_int_ge(d.job.tasks_total, 0);
        for (size_t i = 0; i < d.n_vertices; i++)
            ck_assert(flink_id_valid(d.vertices[i].id) && d.vertices[i].parallelism >= 0);
    }
    if (!flink_decode_taskmanagers(&a, v, &tms, &n, last)) {
        good++;
        for (size_t i = 0; i < n; i++)
            ck_assert(tms[i].free_slots >= 0 && tms[i].free_slots <= tms[i].slots);
    }
    good += !flink_decode_overview(&a, v, &o, last);
    good += !flink_decode_requirements(&a, v, &r, &n, last);
    good += !flink_decode_upload(&a, v, &jar, last);
    good += !flink_decode_run(v, id, last);
    good += !flink_decode_jars(&a, v, &jars, &n, last);
    good += !flink_decode_exception_history(&a, v, &e, &n, last);
    good += !flink_decode_exceptions(&a, v, &jar, &ms, last);
    good += !flink_decode_config(&a, v, &c, last);
    good += !flink_decode_trigger(v, id, last);
    good += !flink_decode_operation(&a, v, &op, last);
    good += !flink_decode_checkpoints(&a, v, &cp, last);
    return good;
}

static jv lie(int i)
{
    static const jkv none[] = {{0}};
    static const jv empty[] = {{0}};

    switch (i) {
    case 0:
        return ABSENT;
    case 1:
        return NULLV;
    case 2:
        return INT(-1);
    case 3:
        return INT(INT64_MAX);
    case 4:
        return (jv){.type = JV_NUM, .s = "1e300"};
    case 5:
        return STR("\x01\xff text\n");
    case 6:
        return (jv){.type = JV_OBJ, .kv = none};
    case 7:
        return (jv){.type = JV_ARR, .items = empty};
    default:
        return BOOL(true);
    }
}
#define LIES 9

/* v with the *at-th value in it (counted in the order of the text) replaced; *at ends below 0. */
static jv with_lie(struct arena *a, jv v, int *at, jv instead)
{
    struct jv_list list = JV_LIST(a);

    if ((*at)-- == 0)
        return instead;
    if (v.type == JV_OBJ) {
        jv_foreach_kv (kv, v)
            jv_list_put(&list, kv->key, with_lie(a, kv->value, at, instead));
        return jv_list_obj(&list);
    }
    if (v.type == JV_ARR) {
        jv_foreach (item, v)
            jv_list_add(&list, with_lie(a, *item, at, instead));
        return jv_list_arr(&list);
    }
    return v;
}

static void lie_everywhere(const char *name, int version)
{
    cleanup_arena struct arena a = {0};
    jv v = reply(&a, version, name);

    for (int k = 0, at = -1; at < 0 && k < 400; k++) {
        for (int i = 0; i < LIES; i++) {
            cleanup_arena struct arena b = {0};
            struct error err = {0};

            at = k;
            decode_all(with_lie(&b, v, &at, lie(i)), &err);
        }
    }
}

START_TEST(no_lie_gets_through)
{
    cleanup_arena struct arena a = {0};
    const char *path = arena_printf(&a, REPLIES "%s", versions[_i]);
    DIR *dir = opendir(path);
    int files = 0;

    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        size_t len = strlen(e->d_name);

        if (e->d_name[0] == '.' || strstr(e->d_name, ".400") || strstr(e->d_name, ".500"))
            continue;
        lie_everywhere(arena_strndup(&a, e->d_name, len - strlen(".json")), _i);
        files++;
    }
    closedir(dir);
    ck_assert_int_gt(files, 40);
}
END_TEST

static const struct {
    const char *body, *error;
} lies[] = {
    {"{'jobs':[{'jid':'ABCDEF0123456789ABCDEF0123456789','name':'x','state':'RUNNING','tasks':{}}]}",
     "GET /jobs/overview: jobs[0].jid: expected an id of 32 hex digits, found \"ABCDEF"},
    {"{'jobs':{}}", "GET /jobs/overview: jobs: expected a list, found a mapping"},
    {"[]", "GET /jobs/overview: expected an object, found a list"},
    {"{'jobs':[{'jid':'00000000000000000000000000000000','name':'x','state':'RUNNING',"
     "'tasks':{'running':-1}}]}",
     "jobs[0].tasks.running: expected a number of 0 or more, found -1"},
    {"{'jobs':[{'jid':'00000000000000000000000000000000','name':'x','state':'RUNNING',"
     "'tasks':{'running':3000000000}}]}",
     "jobs[0].tasks.running: expected a number of a usual size, found 3000000000"},
};

START_TEST(lies_are_named)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    struct flink_job *j;
    size_t n;

    ck_assert_int_eq(flink_decode_jobs(&a, json(&a, lies[_i].body), &j, &n, &err), -1);
    assert_error(&err, ERR_PARSE, lies[_i].error);
}
END_TEST

START_TEST(long_lists_and_names_have_caps)
{
    cleanup_arena struct arena a = {0};
    struct jv_list list = JV_LIST(&a);
    struct flink_taskmanager *tms;
    struct flink_overview o;
    struct error err = {0};
    size_t n;

    for (int i = 0; i <= FLINK_MAX_TASKMANAGERS; i++)
        jv_list_add(&list, NULLV);
    jv v = OBJ({"taskmanagers", jv_list_arr(&list)});
    ck_assert_int_eq(flink_decode_taskmanagers(&a, v, &tms, &n, &err), -1);
    assert_error(&err, ERR_TOO_LARGE, "taskmanagers has 10001 elements");
    char *name = arena_calloc(&a, 1, 100001);
    memset(name, 'v', 100000);
    v = OBJ({"taskmanagers", INT(0)}, {"flink-version", STR(name)}, {"flink-commit", STR("a\nb")});
    OK(flink_decode_overview(&a, v, &o, &err));
    ck_assert_uint_le(strlen(o.version), FLINK_MAX_NAME + 3);
}
END_TEST

START_TEST(jar_ids_stay_in_their_folder)
{
    static const char *const bad[] = {"/tmp/", "/tmp/..", "..", ".", "", "/x/a\\\\b"};
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    const char *id;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        jv v = json(&a, arena_printf(&a, "{'status':'success','filename':'%s'}", bad[i]));

        ck_assert_int_eq(flink_decode_upload(&a, v, &id, &err), -1);
        assert_error(&err, ERR_PARSE, "filename: expected the path of the JAR");
    }
}
END_TEST

START_TEST(states_have_names)
{
    for (int s = JOB_UNKNOWN; s <= JOB_RECONCILING; s++)
        ck_assert_int_eq(job_state_parse(job_state_name(s)), s);
    ck_assert_int_eq(job_state_parse("DANCING"), JOB_UNKNOWN);
    ck_assert_int_eq(job_state_parse(NULL), JOB_UNKNOWN);
    ck_assert(!job_state_terminal(JOB_SUSPENDED) && !job_state_terminal(JOB_FAILING));
}
END_TEST

void suite_flink_reply(TCase *tc)
{
    const int n = ARRAY_SIZE(versions);

    tcase_add_loop_test(tc, overviews, 0, n);
    tcase_add_loop_test(tc, job_lists, 0, n);
    tcase_add_loop_test(tc, job_details, 0, n);
    tcase_add_loop_test(tc, requirements_of_the_adaptive_scheduler, 0, n);
    T(rescaled);
    tcase_add_loop_test(tc, taskmanagers, 0, n);
    tcase_add_loop_test(tc, a_job_is_there_when_the_answer_is_about_it, 0, n);
    tcase_add_loop_test(tc, jars_and_runs, 0, n);
    tcase_add_loop_test(tc, exceptions, 0, n);
    tcase_add_loop_test(tc, operations, 0, n);
    tcase_add_loop_test(tc, metrics_of_a_job, 0, n);
    tcase_add_loop_test(tc, error_bodies_become_their_most_useful_line, 0, ARRAY_SIZE(errors));
    tcase_add_loop_test(tc, odd_bodies_too, 0, ARRAY_SIZE(odd_bodies));
    T(endless_errors_are_cut);
    tcase_add_loop_test(tc, no_lie_gets_through, 0, n);
    tcase_add_loop_test(tc, lies_are_named, 0, ARRAY_SIZE(lies));
    T(long_lists_and_names_have_caps);
    T(jar_ids_stay_in_their_folder);
    T(states_have_names);
}
