/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   bring the JAR   (bring.h; one of the image is there)
 *        │ jar id
 *        ▼
 *       run         (the JobManager runs main(): may take minutes, or its answer may be lost:
 *        │           the job is looked for beside it)
 *        ▼
 *   delete the JAR  (only one that nobody else could run)
 */
#include "submit.h"

#include <string.h>

#include "bring.h"
#include "flinkop/arena.h"
#include "flinkop/flink_reply.h"
#include "flinkop/jar_uri.h"
#include "flinkop/json.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define LOOK_MS 30000  /* while that is not answered: is the job there? */
#define SILENT_LOOKS 2 /* not answered in a row either: the JobManager hangs */

struct submission {
    struct executor *x;
    struct arena a;
    struct flink_endpoint e;
    const char *job_id;
    struct submit_args args;
    submission_done_fn done;
    void *arg;

    struct bringing *bringing; /* NULL: it is in the image */
    struct flink_call *flink;  /* run or delete */
    struct flink_call *look;   /* beside the run */
    struct timer *timer;       /* for the next one */
    bool sent;                 /* flink is the run, or it has been */
    int silent_looks;          /* in a row */
    const char *jar_id;
    bool once;
    struct error result;
};

static void finish(struct submission *s)
{
    submission_done_fn done = s->done;
    void *arg = s->arg;
    struct error result = s->result;
    cleanup_free char *jar_id = xstrdup_or_null(s->jar_id);

    submission_free(s);
    done(arg, &result, jar_id);
}

bool submission_sent(const struct submission *s)
{
    return s->sent;
}

void submission_free(struct submission *s)
{
    if (!s)
        return;
    bring_free(s->bringing);
    flink_drop(s->flink);
    flink_drop(s->look);
    timer_free(s->timer);
    arena_free(&s->a);
    free(s);
}

/* ---- delete ---- */

static void on_deleted(void *arg, const struct flink_answer *answer)
{
    struct submission *s = arg;

    s->flink = NULL;
    if (answer->err->code != ERR_NONE)
        log_debug("uploaded JAR not deleted", KV("error", answer->err->text));
    finish(s);
}

/* ---- run ---- */

/* Flink's own text has a path of ours in it; its status is 400 or 500. */
static bool no_such_jar(const struct error *err)
{
    return err->code == ERR_NOT_FOUND ||
           (err->http && strstr(err->text, "Jar file ") && strstr(err->text, " does not exist"));
}

static void run_ended(struct submission *s)
{
    flink_drop(s->look);
    s->look = NULL;
    timer_stop(s->timer);
    if (s->once)
        s->flink = delete_jar(s->x, &s->e, s->jar_id, on_deleted, s);
    else
        finish(s);
}

static void on_run(void *arg, const struct flink_answer *answer)
{
    struct submission *s = arg;
    char job_id[FLINK_ID_LEN + 1];

    s->flink = NULL;
    s->result = *answer->err;
    if (s->result.code == ERR_UNREACHABLE) /* perhaps after it was sent */
        s->result.code = ERR_TIMEOUT;
    if (no_such_jar(&s->result) && s->bringing)
        bring_lost(s->bringing);
    else if (no_such_jar(&s->result))
        error_set(&s->result, ERR_INVALID, "the image has no such JAR: %s", s->args.jar_uri);
    if (s->result.code == ERR_NONE && !flink_decode_run(answer->body, job_id, &s->result) &&
        strcmp(job_id, s->job_id))
        error_set(&s->result, ERR_SERVER, "Flink ran the job as %s instead of %s", job_id,
                  s->job_id);
    run_ended(s);
}

/* The answer may be lost, and would be waited for while the job runs; or the JobManager hangs, and
 * those that wait for this one's place would wait with it. */
static void on_looked(void *arg, const struct flink_answer *answer)
{
    struct submission *s = arg;
    bool silent = answer->err->code == ERR_TIMEOUT || answer->err->code == ERR_UNREACHABLE;
    struct error err = *answer->err;
    bool there = err.code == ERR_NONE && !flink_decode_job_there(answer->body, s->job_id, &err);

    s->look = NULL;
    s->silent_looks = silent ? s->silent_looks + 1 : 0;
    if (!there && s->silent_looks < SILENT_LOOKS) {
        timer_start(s->timer, LOOK_MS);
        return;
    }
    if (silent) {
        s->result = *answer->err;
        s->result.code = ERR_TIMEOUT; /* of the run: whether it was done is not known */
    }
    flink_drop(s->flink);
    s->flink = NULL;
    run_ended(s);
}

static void look(void *arg)
{
    struct submission *s = arg;

    s->look = flink_send(s->x->flink, &s->e, "GET", arena_printf(&s->a, "/jobs/%s", s->job_id),
                         NULL, 0, on_looked, s);
}

static void run(struct submission *s)
{
    const struct submit_args *o = &s->args;
    cleanup_free char *id = http_escape(s->jar_id);
    const char *path = arena_printf(&s->a, "/jars/%s/run", id);
    jv body = OBJ({"jobId", STR(s->job_id)}, {"entryClass", STR(o->entry_class)},
                  {"programArgsList", o->args},
                  {"parallelism", IF(o->parallelism > 0, INT(o->parallelism))},
                  {"savepointPath", STR(o->savepoint_path)},
                  {"allowNonRestoredState", IF(o->allow_non_restored_state, BOOL(true))},
                  {"flinkConfiguration", o->configuration});

    s->sent = true;
    s->flink =
        flink_run(s->x->flink, &s->e, path, json_text(&s->a, body), s->x->submission_ms, on_run, s);
    s->timer = timer_new(s->x->loop, look, s);
    timer_start(s->timer, LOOK_MS);
}

static void on_brought(void *arg, const struct error *err, const char *jar_id, bool once)
{
    struct submission *s = arg;

    if (err->code != ERR_NONE) {
        s->result = *err;
        finish(s);
        return;
    }
    s->jar_id = arena_strdup(&s->a, jar_id);
    s->once = once;
    run(s);
}

/* ---- the whole ---- */

static struct submit_args args_copy(struct arena *a, const struct submit_args *o)
{
    struct submit_args c = *o;

    c.jar_uri = arena_strdup(a, o->jar_uri);
    c.entry_class = o->entry_class ? arena_strdup(a, o->entry_class) : NULL;
    c.savepoint_path = o->savepoint_path ? arena_strdup(a, o->savepoint_path) : NULL;
    c.args = jv_dup(a, o->args);
    c.configuration = jv_dup(a, o->configuration);
    c.http_headers = jv_dup(a, o->http_headers);
    c.allowed_schemes = arena_strdup(a, o->allowed_schemes);
    c.allowed_networks = arena_strdup(a, o->allowed_networks);
    return c;
}

struct submission *submission_start(struct executor *x, const struct flink_endpoint *e,
                                    const char *job_id, const struct submit_args *args,
                                    submission_done_fn done, void *arg)
{
    struct submission *s = xcalloc(1, sizeof(*s));

    *s = (struct submission){.x = x, .done = done, .arg = arg};
    s->args = args_copy(&s->a, args);
    s->job_id = arena_strdup(&s->a, job_id);
    s->e = (struct flink_endpoint){
        .ns = arena_strdup(&s->a, e->ns),
        .pod = arena_strdup(&s->a, e->pod),
        .ip = arena_strdup(&s->a, e->ip),
        .port = e->port,
        .instance = arena_strdup(&s->a, e->instance),
        .cluster = e->cluster ? arena_strdup(&s->a, e->cluster) : NULL,
    };
    s->jar_id = jar_uri_image_id(&s->a, args->jar_uri);
    if (s->jar_id)
        run(s);
    else
        s->bringing = bring_start(x, &s->e, &s->args, on_brought, s);
    return s;
}
