/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   download ──64 KiB──► upload          (two HTTP calls, each pausing the other)
 *                          │ jar id
 *                          ▼
 *                         run            (the JobManager runs main(): may take minutes, or its
 *                          │              answer may be lost: the job is looked for beside it)
 *                          │
 *                          ▼
 *                     delete the JAR     (only what we uploaded)
 */
#include "submit.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_reply.h"
#include "flinkop/jar_uri.h"
#include "flinkop/json.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define RUN_TIMEOUT_MS 600000 /* kubernetes.operator.job.submission.timeout */
#define LOOK_MS 30000         /* while that is not answered: is the job there? */
#define SILENT_LOOKS 2        /* not answered in a row either: the JobManager hangs */
#define IDLE_TIMEOUT_MS 60000 /* of both streams */
#define DOWNLOAD_MS 600000
#define BUFFER_MAX (64 * 1024)
#define MAX_REDIRECTS 5

struct submission {
    struct executor *x;
    struct arena a;
    struct flink_endpoint e;
    const char *job_id;
    struct submit_args args;
    submission_done_fn done;
    void *arg;

    const char *url; /* of the JAR: its jarURI, or where that has led */
    int redirects;
    struct http_call *download;
    struct flink_call *flink; /* upload, run or delete */
    struct flink_call *look;  /* beside the run */
    struct timer *timer;      /* for the next one */
    bool uploading;           /* flink is the upload */
    bool sent;                /* flink is the run, or it has been */
    int silent_looks;         /* in a row */
    struct strbuf buffer;     /* on its way from one to the other */
    bool download_ended, upload_waits, download_waits;
    struct error download_error;
    struct http_part part;
    const char *jar_id;
    bool uploaded;
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

static void finish_later(void *arg)
{
    finish(arg);
}

static void fail(struct submission *s, const struct error *err)
{
    s->result = *err;
    http_drop(s->download);
    flink_drop(s->flink);
    s->download = NULL;
    s->flink = NULL;
    /* No run is under way, so no look either. */
    loop_defer(s->x->loop, s, finish_later, s);
}

bool submission_sent(const struct submission *s)
{
    return s->sent;
}

void submission_free(struct submission *s)
{
    if (!s)
        return;
    loop_undefer(s->x->loop, s);
    http_drop(s->download);
    flink_drop(s->flink);
    flink_drop(s->look);
    timer_free(s->timer);
    strbuf_release(&s->buffer);
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

static void delete_jar(struct submission *s)
{
    cleanup_free char *id = http_escape(s->jar_id);
    const char *path = arena_printf(&s->a, "/jars/%s", id);

    s->flink = flink_send(s->x->flink, &s->e, "DELETE", path, NULL, 0, on_deleted, s);
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
    if (s->uploaded)
        delete_jar(s);
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
    if (!s->uploaded && no_such_jar(&s->result))
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

    s->look = NULL;
    s->silent_looks = silent ? s->silent_looks + 1 : 0;
    if (answer->err->code != ERR_NONE && s->silent_looks < SILENT_LOOKS) {
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

    s->uploading = false;
    s->sent = true;
    s->flink =
        flink_run(s->x->flink, &s->e, path, json_text(&s->a, body), RUN_TIMEOUT_MS, on_run, s);
    s->timer = timer_new(s->x->loop, look, s);
    timer_start(s->timer, LOOK_MS);
}

/* ---- download into upload ---- */

static ssize_t upload_read(void *arg, char *buf, size_t n)
{
    struct submission *s = arg;
    size_t take = MIN(n, s->buffer.len);

    if (!take && !s->download_ended) {
        s->upload_waits = true;
        return HTTP_WAIT;
    }
    if (!take)
        return s->download_error.code == ERR_NONE ? 0 : HTTP_ABORT;
    memcpy(buf, s->buffer.buf, take);
    strbuf_consume(&s->buffer, take);
    if (s->download_waits && s->download) {
        s->download_waits = false;
        http_resume(s->download);
    }
    return (ssize_t)take;
}

static void upload_go_on(struct submission *s)
{
    if (!s->upload_waits || !s->flink || !s->uploading)
        return;
    s->upload_waits = false;
    flink_resume(s->flink);
}

static void on_uploaded(void *arg, const struct flink_answer *answer)
{
    struct submission *s = arg;
    struct error err = *answer->err;

    s->flink = NULL;
    if (s->download_error.code != ERR_NONE)
        err = s->download_error;
    else if (err.code != ERR_NONE)
        error_wrap(&err, "upload to the JobManager");
    if (err.code != ERR_NONE || flink_decode_upload(&s->a, answer->body, &s->jar_id, &err)) {
        /* Nothing has been run: whatever broke, the effect is known. */
        if (err.code == ERR_TIMEOUT)
            err.code = ERR_UNREACHABLE;
        fail(s, &err);
        return;
    }
    http_drop(s->download);
    s->download = NULL;
    s->uploaded = true;
    run(s);
}

static void download_head(void *arg, const struct http_response *head)
{
    struct submission *s = arg;

    if (head->status != 200) /* the body is an error page: not for Flink */
        return;
    s->part = (struct http_part){.name = "jarfile",
                                 .filename = "job.jar",
                                 .content_type = "application/x-java-archive",
                                 .read = upload_read,
                                 .arg = s,
                                 .length = head->content_length};
    s->uploading = true;
    s->flink =
        flink_upload(s->x->flink, &s->e, "/jars/upload", &s->part, IDLE_TIMEOUT_MS, on_uploaded, s);
}

static ssize_t download_data(void *arg, const char *data, size_t n)
{
    struct submission *s = arg;

    if (!s->uploading)
        return (ssize_t)n; /* of an error page */
    if (s->buffer.len && s->buffer.len + n > BUFFER_MAX) {
        s->download_waits = true;
        return HTTP_WAIT;
    }
    strbuf_add(&s->buffer, data, n);
    upload_go_on(s);
    return s->buffer.overflow ? HTTP_ABORT : (ssize_t)n;
}

static void download(struct submission *s);

static const char *shown(struct submission *s)
{
    return jar_uri_shown(&s->a, s->args.jar_uri);
}

/* Where a redirect leads; NULL with the error. */
static const char *redirected(struct submission *s, const char *location, struct error *err)
{
    const char *to = jar_uri_shown(&s->a, location);
    bool secure = str_has_prefix(location, "https://");

    if (s->redirects++ == MAX_REDIRECTS)
        error_set(err, ERR_INVALID, "redirected more than %d times", MAX_REDIRECTS);
    else if (!secure && !str_has_prefix(location, "http://"))
        error_set(err, ERR_INVALID, "redirected to %s", to);
    else if (!secure && !strncasecmp(s->args.jar_uri, "https://", 8))
        error_set(err, ERR_INVALID, "redirected from https to %s", to);
    else
        return arena_strdup(&s->a, location);
    return NULL;
}

static void download_done(void *arg, const struct http_response *res, const struct error *err)
{
    struct submission *s = arg;

    s->download = NULL;
    s->download_error = *err;
    if (res && res->status >= 300 && res->status < 400 && res->location) {
        s->url = redirected(s, res->location, &s->download_error);
        if (s->url) {
            download(s);
            return;
        }
    } else if (res && res->status != 200) {
        http_status_error(MAX(res->status, 300), &s->download_error, "the server answered HTTP %d",
                          res->status);
    }
    if (s->download_error.code != ERR_NONE)
        error_wrap(&s->download_error, "download of %s", shown(s));
    if (err->code == ERR_FORBIDDEN)
        error_wrap(&s->download_error,
                   "kubernetes.operator.user.artifacts.disallow-restricted-hosts");
    s->download_ended = true;
    if (s->download_error.code == ERR_NONE) {
        upload_go_on(s);
        return;
    }
    fail(s, &s->download_error);
}

static void download(struct submission *s)
{
    struct jv_list headers = JV_LIST(&s->a);
    struct error err;
    size_t n = 0;

    /* They are for the server that the user has named. */
    jv_foreach_kv (kv, http_same_origin(s->args.jar_uri, s->url) ? s->args.http_headers : ABSENT)
        if (kv->value.type == JV_STR)
            jv_list_put(&headers, kv->key, kv->value);
    struct http_header *list = arena_new_array(&s->a, struct http_header, headers.n + 1);

    for (size_t i = 0; i < headers.n; i++)
        list[n++] = (struct http_header){headers.items[i].key, headers.items[i].value.s};
    const struct http_request req = {
        .method = "GET",
        .url = s->url,
        .headers = list,
        .timeout_ms = DOWNLOAD_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .public_only = !s->args.restricted_hosts_allowed,
        .on_head = download_head,
        .on_data = download_data,
        .on_done = download_done,
        .arg = s,
    };

    s->download = http_send(s->x->downloads, &req, &err);
    if (!s->download) {
        error_wrap(&err, "download of %s", shown(s));
        fail(s, &err);
    }
}

static struct submit_args args_copy(struct arena *a, const struct submit_args *o)
{
    struct submit_args c = *o;

    c.jar_uri = arena_strdup(a, o->jar_uri);
    c.entry_class = o->entry_class ? arena_strdup(a, o->entry_class) : NULL;
    c.savepoint_path = o->savepoint_path ? arena_strdup(a, o->savepoint_path) : NULL;
    c.args = jv_dup(a, o->args);
    c.configuration = jv_dup(a, o->configuration);
    c.http_headers = jv_dup(a, o->http_headers);
    c.allowed_schemes = NULL;
    return c;
}

struct submission *submission_start(struct executor *x, const struct flink_endpoint *e,
                                    const char *job_id, const struct submit_args *args,
                                    submission_done_fn done, void *arg)
{
    struct submission *s = xcalloc(1, sizeof(*s));

    *s = (struct submission){.x = x, .done = done, .arg = arg};
    strbuf_init(&s->buffer, BUFFER_MAX * 4);
    s->args = args_copy(&s->a, args);
    s->url = s->args.jar_uri;
    s->job_id = arena_strdup(&s->a, job_id);
    s->e = (struct flink_endpoint){arena_strdup(&s->a, e->ns), arena_strdup(&s->a, e->pod),
                                   arena_strdup(&s->a, e->ip), e->port};
    s->jar_id = jar_uri_image_id(&s->a, args->jar_uri);
    if (s->jar_id)
        run(s);
    else
        download(s);
    return s;
}
