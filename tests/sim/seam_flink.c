/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/controller/flink_client.h on the model: calls travel to whatever process has that address by
 * then, and their answers back; both can get lost, and a JobManager can be too busy to answer.
 * Running a JAR takes time and comes true whether or not somebody still waits for the answer.
 */
#include "../../src/controller/flink_client.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define TIMEOUT_MS 10000
#define CONNECT_TIMEOUT_MS 5000

struct flink_call {
    struct flink_call *next, **link;
    int id;
    struct arena a;
    const char *ip, *method, *path;
    jv body;
    const struct http_part *part;
    size_t uploaded;
    flink_done_fn done;
    void *arg;
    struct sim_event *event, *deadline;
    bool travelling, dropped, silent;
    int jm; /* which process got it */
    int64_t asked;
    struct error err;
    jv result;
};

static struct flink_call *calls;
static int last_id;

static void call_free(struct flink_call *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    sim_cancel(c->event);
    sim_cancel(c->deadline);
    arena_free(&c->a);
    free(c);
}

static struct flink_call *call_by_id(int id)
{
    for (struct flink_call *c = calls; c; c = c->next)
        if (c->id == id)
            return c;
    return NULL;
}

/* ---- the way back ---- */

/* What the operator knows from here on. */
static void learned(const struct flink_call *c)
{
    const char *path = str_skip_prefix(c->path, "/jobs/");
    const struct jm *jm = jm_by_id(c->jm);
    char jid[FLINK_ID_LEN + 1] = "";

    /* GET /jobs/:id, PATCH /jobs/:id?mode=cancel */
    if (path && strlen(path) >= FLINK_ID_LEN && !strchr(path, '/') &&
        (c->err.code == ERR_NONE || c->err.http == 404)) {
        memcpy(jid, path, FLINK_ID_LEN);
        check_found(jid, c->err.code == ERR_NONE);
    }
    if (!strcmp(c->path, "/taskmanagers") && c->err.code == ERR_NONE && jm)
        check_taskmanagers(jm->cluster, c->asked);
    if (!strcmp(c->path, "/jobs/overview") && c->err.code == ERR_NONE && jm)
        check_jobs(jm->cluster, c->asked);
}

static void answer(void *arg)
{
    struct flink_call *c = arg;
    const struct flink_answer result = {&c->err, c->result, &c->a};

    c->event = NULL;
    if (c->err.code && c->err.http != 404)
        TRACE("operator <- %s %s: %s", c->method, c->path, c->err.text);
    learned(c);
    c->done(c->arg, &result);
    call_free(c);
}

static void answer_after(struct flink_call *c, int64_t ms)
{
    if (c->dropped)
        call_free(c);
    else
        c->event = sim_after(ms, answer, c);
}

static void fail(struct flink_call *c, int64_t ms, enum errc code, int http, const char *text)
{
    if (http) /* Flink's own words, and nothing else */
        error_set(&c->err, code, "%s", text);
    else
        error_set(&c->err, code, "%s %s: %s", c->method, c->path, text);
    c->err.http = http;
    c->result = ABSENT;
    answer_after(c, ms);
}

static void too_late(void *arg)
{
    struct flink_call *c = arg;

    c->deadline = NULL;
    sim_cancel(TAKE_PTR(c->event));
    fail(c, 0, ERR_TIMEOUT, 0, "no answer in time");
}

static void give(struct flink_call *c, int status, jv body, const char *error)
{
    int64_t back = skewed(R_LATENCY, 1, 50) + (fault(FAULT_REST, 0.02) ? 3000 : 0);

    if (c->dropped) {
        call_free(c);
        return;
    }
    if (c->silent && chance(R_FAULT, 0.5))
        return; /* the deadline tells */
    if (c->silent) {
        fail(c, back, ERR_SERVER, 0, "the connection broke");
        return;
    }
    if (status >= 300) {
        fail(c, back,
             status == 404   ? ERR_NOT_FOUND
             : status == 409 ? ERR_CONFLICT
                             : ERR_SERVER,
             status, error);
        return;
    }
    c->result = body;
    answer_after(c, back);
}

/* ---- running a JAR ---- */

struct run {
    struct run *next, **link;
    int call, jm;
    bool fails;
    struct job_wish wish;
    char jid[FLINK_ID_LEN + 1];
};

static struct run *runs;

static void run_free(struct run *r)
{
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    free(r);
}

static void run_done(void *arg)
{
    struct run *r = arg;
    struct flink_call *c = call_by_id(r->call);
    struct jm *jm = jm_by_id(r->jm);
    const char *error = "ProgramInvocationException: on purpose";
    bool ok = false;

    if (jm && !r->fails) {
        r->wish.jid = r->jid;
        ok = job_submit(jm, &r->wish) != NULL;
        error = "DuplicateJobSubmissionException: Job has already been submitted.";
    }
    if (c && !jm)
        fail(c, 1, ERR_SERVER, 0, "the connection broke");
    else if (c)
        give(c, ok ? 200 : 500, jv_dup(&c->a, OBJ({"jobid", STR(r->jid)})), error);
    run_free(r);
}

bool flink_runs_to_come(void)
{
    for (const struct run *r = runs; r; r = r->next) {
        const struct flink_call *c = call_by_id(r->call);
        bool lost = !jm_by_id(r->jm);

        if ((!r->fails && !lost) || (c && (c->silent || lost)))
            return true;
    }
    return false;
}

static bool has_jar(const struct jm *jm, const char *id)
{
    return str_has_prefix(id, "usrlib_") || strstr(str_or_empty(jm->jars), id);
}

static void add_jar(char **list, const char *id)
{
    char *all = xasprintf("%s %s", str_or_empty(*list), id);

    free(*list);
    *list = all;
}

static jv jars(struct flink_call *c, const struct jm *jm)
{
    char **ids = str_split(&c->a, str_or_empty(jm->jars), ' ', NULL);
    struct jv_list list = JV_LIST(&c->a);

    for (int64_t i = 0; ids[i]; i++)
        if (*ids[i])
            jv_list_add(&list, jv_dup(&c->a, OBJ({"id", STR(ids[i])}, {"uploaded", INT(i)})));
    return jv_dup(&c->a, OBJ({"files", jv_list_arr(&list)}));
}

/* Nobody may be about to run it. */
static void delete_jar(struct flink_call *c, struct jm *jm, const char *id)
{
    char **ids = str_split(&c->a, str_or_empty(jm->jars), ' ', NULL);

    free(jm->jars);
    jm->jars = NULL;
    for (; *ids; ids++)
        if (**ids && strcmp(*ids, id) != 0)
            add_jar(&jm->jars, *ids);
    if (!c->dropped)
        add_jar(&jm->deleted_jars, id);
    give(c, 200, ABSENT, NULL);
}

static void run(struct flink_call *c, struct jm *jm)
{
    const char *jar = arena_strdup(&c->a, c->path + strlen("/jars/"));
    const char *kind = str_or_empty(JV_STRING(c->body, "entryClass"));
    const char *jid = str_or_empty(JV_STRING(c->body, "jobId"));
    const char *overrides = JV_STRING(c->body, "flinkConfiguration", FLINK_OVERRIDES_KEY);
    int parallelism = (int)jv_int64_or(jv_get(c->body, "parallelism"), 1);
    struct run *r;

    *strchr(jar, '/') = '\0';
    CHECK(!strstr(str_or_empty(jm->deleted_jars), jar), "%s was deleted and is to be run", jar);
    if (!has_jar(jm, jar) || strstr(jar, "missing")) {
        give(c, 404, ABSENT, "Jar file does not exist");
        return;
    }
    r = xcalloc(1, sizeof(*r));
    *r = (struct run){
        .next = runs,
        .link = &runs,
        .call = c->dropped ? 0 : c->id,
        .jm = jm->id,
        .fails = !strcmp(kind, "Bad"),
        .wish = {.parallelism = job_overridden(overrides, parallelism),
                 .adaptive = jm->adaptive,
                 .second = !strcmp(kind, "Wide"),
                 .batch = !strcmp(kind, "Batch"),
                 .ours = true,
                 .base = state_of_path(JV_STRING(c->body, "savepointPath")),
                 .work = strcmp(kind, "Batch") ? -1 : between(R_FLINK, 20, 200) * SECOND},
    };
    if (r->next)
        r->next->link = &r->next;
    runs = r;
    memcpy(r->jid, jid, MIN(strlen(jid), (size_t)FLINK_ID_LEN));
    sim_after(skewed(R_FLINK, 100, 15 * SECOND) +
                  (fault(FAULT_REST, 0.05) ? between(R_FAULT, 20, 700) * SECOND : 0),
              run_done, r);
    if (c->dropped)
        call_free(c);
}

/* ---- arriving ---- */

static void upload(void *arg)
{
    struct flink_call *c = arg;
    char buffer[20000];
    ssize_t n = c->part->read(c->part->arg, buffer, sizeof(buffer));
    struct jm *jm = jm_by_id(c->jm);

    c->event = NULL;
    if (n == HTTP_WAIT)
        return;
    if (n == HTTP_ABORT || !jm) {
        fail(c, 1, n == HTTP_ABORT ? ERR_CANCELLED : ERR_SERVER, 0, "the upload broke");
    } else if (n) {
        c->uploaded += (size_t)n;
        c->event = sim_after(skewed(R_LATENCY, 1, 100), upload, c);
    } else {
        const char *id = arena_printf(&c->a, "%08d_%s", ++last_id, c->part->filename);

        add_jar(&jm->jars, id);
        give(c, 200,
             jv_dup(&c->a, OBJ({"filename", STR(arena_printf(&c->a, "/tmp/upload/%s", id))},
                               {"status", STR("success")})),
             NULL);
    }
}

static void handle(void *arg)
{
    struct flink_call *c = arg;
    struct jm *jm = jm_by_id(c->jm);
    const char *error = NULL;
    jv body;

    c->event = NULL;
    c->travelling = false;
    if (!jm) {
        fail(c, 1, ERR_SERVER, 0, "the connection broke");
    } else if (jm->app && !jm->app->leads) {
        fail(c, 1, ERR_SERVER, 503,
             "Service temporarily unavailable due to an ongoing leader election.");
    } else if (c->part) {
        upload(c);
    } else if (!strcmp(c->path, "/jars")) {
        give(c, 200, jars(c, jm), NULL);
    } else if (!strcmp(c->method, "DELETE")) {
        delete_jar(c, jm, c->path + strlen("/jars/"));
    } else if (!strcmp(c->method, "POST") && str_has_suffix(c->path, "/run")) {
        run(c, jm);
    } else {
        int status = flink_rest(jm, c->method, c->path, c->body, &c->a, &body, &error);

        c->asked = sim.now;
        give(c, status, body, error);
    }
}

static void arrive(void *arg)
{
    struct flink_call *c = arg;
    struct jm *jm = jm_by_ip(c->ip);

    c->event = NULL;
    if (!jm || !jm->up) {
        c->travelling = false;
        fail(c, jm || chance(R_LATENCY, 0.5) ? 1 : CONNECT_TIMEOUT_MS, ERR_UNREACHABLE, 0,
             "connection refused");
    } else if (fault(FAULT_REST, 0.005)) {
        c->travelling = false;
        fail(c, 10, ERR_SERVER, 503, "service unavailable");
    } else {
        c->jm = jm->id;
        c->event = sim_after(jm->hung_until - sim.now, handle, c);
    }
}

/* ---- what the controller calls ---- */

static struct flink_call *start(const struct flink_endpoint *e, const char *method,
                                const char *path, int64_t timeout_ms, flink_done_fn done, void *arg)
{
    struct flink_call *c = xcalloc(1, sizeof(*c));

    c->next = calls;
    c->link = &calls;
    if (c->next)
        c->next->link = &c->next;
    calls = c;
    c->id = ++last_id;
    c->ip = arena_strdup(&c->a, e->ip);
    c->method = arena_strdup(&c->a, method);
    c->path = arena_strdup(&c->a, path);
    c->result = c->body = ABSENT;
    c->done = done;
    c->arg = arg;
    c->travelling = true;
    c->silent = fault(FAULT_REST, 0.01);
    c->deadline = sim_after(timeout_ms ? timeout_ms : TIMEOUT_MS, too_late, c);
    c->event = sim_after(skewed(R_LATENCY, 1, 30), arrive, c);
    return c;
}

struct flink_call *flink_send(struct flink_client *client, const struct flink_endpoint *e,
                              const char *method, const char *path, const char *body,
                              int64_t timeout_ms, flink_done_fn done, void *arg)
{
    struct flink_call *c = start(e, method, path, timeout_ms, done, arg);
    struct error err;

    (void)client;
    if (body && json_parse(&c->a, body, strlen(body), &c->body, &err))
        sim_fail("%s %s: %s", method, path, err.text);
    if (str_has_suffix(path, "/stop")) {
        check_stop(path + strlen("/jobs/"), str_or_empty(JV_STRING(c->body, "triggerId")));
    } else if (!strcmp(method, "POST") && str_has_suffix(path, "/run")) {
        TRACE("operator: runs job %.8s", str_or_empty(JV_STRING(c->body, "jobId")));
        check_submit(str_or_empty(JV_STRING(c->body, "jobId")));
    }
    return c;
}

struct flink_call *flink_probe(struct flink_client *client, const struct flink_endpoint *e,
                               const char *path, int64_t timeout_ms, flink_done_fn done, void *arg)
{
    return flink_send(client, e, "GET", path, NULL, timeout_ms, done, arg);
}

struct flink_call *flink_run(struct flink_client *client, const struct flink_endpoint *e,
                             const char *path, const char *body, int64_t timeout_ms,
                             flink_done_fn done, void *arg)
{
    return flink_send(client, e, "POST", path, body, timeout_ms, done, arg);
}

struct flink_call *flink_upload(struct flink_client *client, const struct flink_endpoint *e,
                                const char *path, const struct http_part *part,
                                int64_t idle_timeout_ms, flink_done_fn done, void *arg)
{
    struct flink_call *c = start(e, "POST", path, idle_timeout_ms * 10, done, arg);

    (void)client;
    c->part = part;
    return c;
}

void flink_resume(struct flink_call *c)
{
    if (!c->travelling && !c->event)
        c->event = sim_after(0, upload, c);
}

void flink_drop(struct flink_call *c)
{
    if (!c)
        return;
    if (c->travelling && !c->part && chance(R_FAULT, 0.5)) { /* it gets there all the same */
        sim_cancel(TAKE_PTR(c->deadline));
        c->dropped = true;
        return;
    }
    call_free(c);
}

struct flink_client *flink_client_new(struct loop *loop, struct kube_client *kube,
                                      enum flink_access access, const char *tls_dir)
{
    (void)loop;
    (void)tls_dir;
    (void)access;
    return (struct flink_client *)kube;
}

/* The model decides how long a call takes. */
void flink_client_set_timeout(struct flink_client *c, int64_t ms)
{
    (void)c;
    (void)ms;
}

void flink_client_free(struct flink_client *c)
{
    (void)c;
}

void flink_calls_release(void)
{
    while (calls)
        call_free(calls);
    while (runs)
        run_free(runs);
}
