/* SPDX-License-Identifier: Apache-2.0 */
/*
 *                     page, page, … complete                    normal end: at once
 *        start ──► LIST ─────────────────────────► WATCH ◄──────────────────────────┐
 *                   ▲ ▲                            │ │ └──────────────────────────┘
 *                   │ └─ 410, too old, silent ─────┘ │ broken, refused, stalled
 *                   └──────────── BACKOFF ◄──────────┘ (resumes LIST or WATCH)
 *
 * Everything that can fail ends in fail(), which decides by the error whether the resourceVersion
 * we have is still good, and waits.
 */
#include "flinkop/kube_watch.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/hash.h"
#include "flinkop/http.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "kube_http.h"
#include "kube_split.h"

#define PAGE_SIZE 500
#define ITEM_MAX ((size_t)8 << 20)
#define ANSWER_MAX ((size_t)64 << 10) /* of an error status */
#define LIST_IDLE_MS 30000            /* a list without a byte for this long is dead */
#define LIST_TIMEOUT_MS 300000
/* client-go's reflector */
#define WATCH_MIN_S 300
#define WATCH_MAX_S 600
#define BACKOFF_MIN_MS 800
#define BACKOFF_MAX_MS 30000
#define BACKOFF_RESET_MS 120000
#define PATIENT_MS 600000 /* what is not allowed, and need not be */
/* Bookmarks come once a minute: this is two of them lost, and some. client-go finds a server that
 * holds the connection and says nothing by HTTP/2's pings. */
#define WATCH_IDLE_MS 150000
#define SHORT_WATCH_MS 1000 /* an end sooner than this without an event is a failure */
#define SILENT_MAX 2        /* streams in a row that fell silent, before a new list */
#define HOLLOW_MAX 5        /* streams in a row that began and gave nothing, before a new list */
#define HOLLOW_TROUBLE 3    /* … before the receiver is told */
#define GONE_AGAIN_MS 10000 /* a 410 lists again at once unless the last one was this near */

static struct metric last_event =
    METRIC_GAUGE("watch_last_event_timestamp_seconds",
                 "When the last event (bookmarks too) of a watch arrived, in seconds since 1970.",
                 "kind", "namespace");
static struct metric relists = METRIC_COUNTER(
    "watch_relists_total", "Lists beyond the first one of a watch.", "kind", "namespace");

struct kube_watch {
    struct kube_client *client;
    struct kube_watch_spec spec;
    char *ns, *label_selector, *field_selector;
    struct kube_watch_sink sink;
    bool listing; /* what is done, or will be after the back-off */

    struct kube_http *http;
    int status; /* of the answer that comes in; 0: none yet */
    struct strbuf answer;
    struct list_split list;
    struct line_split lines;
    struct arena scratch; /* of the object that comes in */
    struct error broken;  /* why we ended the call ourselves */

    char *resource_version, *continue_token;
    bool whole_list; /* without pages, because a continue token had expired */
    bool in_list;    /* between list_begin and list_end */
    bool synced, in_trouble, absent;
    int lists;

    struct timer *timer;
    int64_t backoff_ms, failed_at, gone_at, started_at, last_byte;
    int hollow;   /* streams in a row that began well and failed without an event */
    int silences; /* streams in a row that fell silent, since the last event */
    int busy;     /* callbacks of the sink that run */
    bool had_event;
    bool stopped; /* freed as soon as busy is 0 */
};

static void start(struct kube_watch *w);

/* ---- life ---- */

static void watch_free(struct kube_watch *w)
{
    kube_http_drop(w->http);
    timer_free(w->timer);
    list_split_release(&w->list);
    line_split_release(&w->lines);
    strbuf_release(&w->answer);
    arena_free(&w->scratch);
    free(w->ns);
    free(w->label_selector);
    free(w->field_selector);
    free(w->resource_version);
    free(w->continue_token);
    free(w);
}

static void enter(struct kube_watch *w)
{
    w->busy++;
}

/* False when the watch is gone. */
static bool leave(struct kube_watch *w)
{
    if (--w->busy || !w->stopped)
        return true;
    watch_free(w);
    return false;
}

/* ---- failures ---- */

static void set_trouble(struct kube_watch *w, bool in_trouble, const struct error *err)
{
    bool absent = err && err->code == ERR_NOT_FOUND;

    if (w->in_trouble == in_trouble && w->absent == absent)
        return;
    w->in_trouble = in_trouble;
    w->absent = absent;
    if (w->sink.trouble && !w->stopped)
        w->sink.trouble(w->sink.arg, in_trouble, err);
}

static double scale(const struct kube_watch *w)
{
    return w->spec.time_scale > 0 ? w->spec.time_scale : 1;
}

/* Doubles from 0.8 s to 30 s, each with up to as much again at random. */
static int64_t next_backoff(struct kube_watch *w)
{
    int64_t now = loop_now(w->client->loop);

    if (w->failed_at && (double)(now - w->failed_at) > BACKOFF_RESET_MS * scale(w))
        w->backoff_ms = 0;
    w->failed_at = now;
    w->backoff_ms = w->backoff_ms ? MIN(w->backoff_ms * 2, BACKOFF_MAX_MS) : BACKOFF_MIN_MS;
    return (int64_t)((double)w->backoff_ms * (1 + random_unit()));
}

/* Whether the resourceVersion we have can still be watched from after this failure. An API server
 * that is away or starting (refused, 403, 429, 503) is no reason to list everything again. */
static bool can_resume(const struct kube_watch *w, const struct error *err)
{
    if (!strcmp(err->reason, "ResourceVersionTooLarge"))
        return false;
    switch (err->code) {
    case ERR_GONE:      /* too old */
    case ERR_NOT_FOUND: /* the kind itself is gone, and all of it */
    case ERR_INVALID:   /* the server does not understand it */
    case ERR_PARSE:     /* an event was lost on us */
    case ERR_TOO_LARGE: /* the same */
        return false;
    default:
        return w->hollow < HOLLOW_MAX;
    }
}

static void relist(struct kube_watch *w)
{
    w->listing = true;
    w->whole_list = false;
    str_replace(&w->continue_token, NULL);
    str_replace(&w->resource_version, NULL);
}

/* How long to wait before LIST or WATCH goes on. */
static int64_t delay(struct kube_watch *w, const struct error *err)
{
    int64_t now = loop_now(w->client->loop), last = w->gone_at;

    if (err->code == ERR_GONE) {
        w->gone_at = now;
        if (!last || (double)(now - last) > GONE_AGAIN_MS * scale(w))
            return 0;
    }
    int64_t ms = next_backoff(w);

    if (w->spec.patient && err->code == ERR_FORBIDDEN && w->backoff_ms == BACKOFF_MAX_MS) {
        ms = PATIENT_MS;
        w->failed_at += (int64_t)((double)ms * scale(w)); /* such a wait is no time of health */
    }
    return (int64_t)((double)MAX(ms, (int64_t)err->retry_after_ms) * scale(w));
}

/* began: the answer had begun well. */
static void fail(struct kube_watch *w, const struct error *err, bool began)
{
    bool gone = err->code == ERR_GONE;

    log_debug(w->listing ? "list failed" : "watch failed",
              KV("kind", kube_resource(w->spec.kind)->kind), KV("error", err->text));
    w->hollow += began && !w->had_event;
    if (w->listing) {
        /* A continue token that expired: once more in one piece, which cannot expire. */
        if (gone && w->continue_token)
            w->whole_list = true;
        if (gone || err->code == ERR_INVALID) {
            str_replace(&w->continue_token, NULL);
            w->in_list = false;
        }
    } else if (!can_resume(w, err)) {
        relist(w);
    }
    timer_start(w->timer, delay(w, err));
    /* One broken stream is no trouble: it becomes one when the next cannot be had. */
    if (!gone && (!began || w->hollow >= HOLLOW_TROUBLE))
        set_trouble(w, true, err);
}

/* Something in the stream was wrong: the call is over for us. */
static void break_off(struct kube_watch *w, const struct error *err)
{
    w->broken = *err;
}

/* ---- list ---- */

static bool on_item(void *arg, const char *text, size_t len)
{
    struct kube_watch *w = arg;
    struct error err = {0};
    jv object;

    arena_reset(&w->scratch);
    if (kube_object_parse(&w->scratch, text, len, &object, &err)) {
        error_wrap(&err, "list item");
        break_off(w, &err);
        return false;
    }
    if (str_empty(JV_STRING(object, "metadata", "name"))) {
        error_set(&err, ERR_PARSE, "list item without a name");
        break_off(w, &err);
        return false;
    }
    w->sink.object(w->sink.arg, object, /* initial= */ true);
    return !w->stopped;
}

static void page_end(struct kube_watch *w)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    jv list;

    if (list_split_end(&w->list, &a, &list, &err)) {
        fail(w, &err, true);
        return;
    }
    const char *next = JV_STRING(list, "metadata", "continue");

    w->hollow = w->silences = 0;
    set_trouble(w, false, NULL);
    if (w->stopped)
        return;
    str_replace(&w->continue_token, str_empty(next) ? NULL : next);
    if (w->continue_token) {
        start(w);
        return;
    }
    str_replace(&w->resource_version, JV_STRING(list, "metadata", "resourceVersion"));
    w->listing = false;
    w->whole_list = false;
    w->in_list = false;
    w->synced = true;
    w->lists++;
    if (w->sink.list_end)
        w->sink.list_end(w->sink.arg, str_or_empty(w->resource_version));
    if (!w->stopped)
        start(w);
}

/* ---- watch ---- */

static void on_error_event(struct kube_watch *w, jv status)
{
    cleanup_strbuf struct strbuf text = STRBUF_INIT(ANSWER_MAX);
    struct error err = {0};
    int64_t code = jv_int64_or(jv_get(status, "code"), 0);
    const char *reason = JV_STRING(status, "reason");

    json_write(&text, status);
    if (str_eq(reason, "Expired") || str_eq(reason, "Gone"))
        code = 410;
    if (code < 400 || code > 599)
        code = 410; /* unknown: what we have may be worthless */
    kube_status_error((int)code, text.buf, text.len, 0, &err);
    break_off(w, &err);
}

static bool on_line(void *arg, const char *text, size_t len)
{
    struct kube_watch *w = arg;
    struct error err = {0};
    struct watch_event event;

    arena_reset(&w->scratch);
    if (watch_event_parse(&w->scratch, text, len, &event, &err)) {
        break_off(w, &err);
        return false;
    }
    if (event.type == WATCH_ERROR) {
        on_error_event(w, event.object);
        return false;
    }
    metric_set(&last_event, (double)clock_wall_ms() / 1000, kube_resource(w->spec.kind)->kind,
               str_or_empty(w->ns));
    w->had_event = true;
    w->hollow = w->silences = 0;
    set_trouble(w, false, NULL);
    if (w->stopped)
        return false;
    str_replace(&w->resource_version, event.resource_version);
    if (event.type == WATCH_DELETED)
        w->sink.deleted(w->sink.arg, event.object);
    else if (event.type != WATCH_BOOKMARK)
        w->sink.object(w->sink.arg, event.object, /* initial= */ false);
    return !w->stopped;
}

static void watch_ended(struct kube_watch *w)
{
    struct error err = {0};

    if (!w->had_event && loop_now(w->client->loop) - w->started_at < SHORT_WATCH_MS) {
        error_set(&err, ERR_SERVER, "watch ended at once");
        fail(w, &err, true);
        return;
    }
    start(w); /* the server's time-out: go on from the last resourceVersion */
}

/* Where nothing happens a server may have no bookmark to send: silence is a reason to ask, and no
 * failure until that is not answered. But a server whose etcd was restored from a backup takes a
 * version that it has yet to come to, and says nothing until then: twice, and all is listed. */
static void watch_silent(struct kube_watch *w)
{
    log_debug("watch silent", KV("kind", kube_resource(w->spec.kind)->kind));
    if (++w->silences >= SILENT_MAX)
        relist(w);
    start(w);
}

/* ---- the call ---- */

static void on_head(void *arg, const struct http_response *head)
{
    struct kube_watch *w = arg;

    w->status = head->status;
    w->last_byte = loop_now(w->client->loop);
    if (head->status != 200)
        return;
    enter(w);
    if (!w->listing && !w->hollow)
        set_trouble(w, false, NULL);
    if (w->listing && !w->in_list) {
        w->in_list = true;
        if (w->lists)
            metric_add(&relists, 1, kube_resource(w->spec.kind)->kind, str_or_empty(w->ns));
    }
    leave(w);
}

static ssize_t on_data(void *arg, const char *data, size_t n)
{
    struct kube_watch *w = arg;
    struct error err = {0};
    int rc;

    w->last_byte = loop_now(w->client->loop);
    if (w->status != 200) {
        strbuf_add(&w->answer, data, MIN(n, w->answer.cap - w->answer.len));
        return (ssize_t)n;
    }
    enter(w);
    if (w->listing)
        rc = list_split_feed(&w->list, data, n, on_item, w, &err);
    else
        rc = line_split_feed(&w->lines, data, n, on_line, w, &err);
    arena_reset(&w->scratch); /* what a large object took is not kept */
    if (rc)
        break_off(w, &err);
    if (!leave(w))
        return HTTP_ABORT;
    return w->broken.code ? HTTP_ABORT : (ssize_t)n;
}

static void on_done(void *arg, const struct http_response *res, const struct error *http_err)
{
    struct kube_watch *w = arg;
    struct error err = *http_err;
    bool began = w->status == 200;

    w->http = NULL;
    if (w->broken.code)
        err = w->broken;
    else if (res && w->status != 200)
        kube_status_error(w->status, w->answer.buf, w->answer.len, res->retry_after_ms, &err);
    enter(w);
    if (err.code == ERR_TIMEOUT && began && !w->listing)
        watch_silent(w);
    else if (err.code)
        fail(w, &err, began);
    else if (w->listing)
        page_end(w);
    else
        watch_ended(w);
    leave(w);
}

static void add_query(struct strbuf *sb, const char *name, const char *value)
{
    if (str_empty(value))
        return;
    cleanup_free char *escaped = http_escape(value);

    strbuf_addf(sb, "%s%s=%s", strchr(sb->buf, '?') ? "&" : "?", name, escaped);
}

/* "…;as=PartialObjectMetadata…" with the full object as a second choice. */
static const char *accept_header(const struct kube_watch *w)
{
    if (!w->spec.metadata_only)
        return "application/json";
    return w->listing ? "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,"
                        "application/json"
                      : "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,"
                        "application/json";
}

static void reset_answer(struct kube_watch *w)
{
    w->status = 0;
    w->broken = (struct error){0};
    w->had_event = false;
    w->started_at = loop_now(w->client->loop);
    list_split_release(&w->list);
    line_split_release(&w->lines);
    strbuf_release(&w->answer);
    list_split_init(&w->list, ITEM_MAX);
    line_split_init(&w->lines, ITEM_MAX);
    strbuf_init(&w->answer, ANSWER_MAX);
}

/* Lists the next page, or watches from the resourceVersion we have. */
static void start(struct kube_watch *w)
{
    cleanup_free char *path = kube_path(kube_resource(w->spec.kind), w->ns, NULL, NULL);
    cleanup_strbuf struct strbuf url = STRBUF_INIT((size_t)64 << 10);
    int page = w->spec.page_size ? w->spec.page_size : PAGE_SIZE;
    int seconds = WATCH_MIN_S + (int)(random_unit() * (WATCH_MAX_S - WATCH_MIN_S));
    struct http_request req = {.method = "GET"};
    const struct http_header headers[] = {{"Accept", accept_header(w)}, {0}};

    reset_answer(w);
    strbuf_adds(&url, path);
    add_query(&url, "labelSelector", w->label_selector);
    add_query(&url, "fieldSelector", w->field_selector);
    if (w->listing) {
        if (!w->whole_list)
            strbuf_addf(&url, "%slimit=%d", strchr(url.buf, '?') ? "&" : "?", page);
        add_query(&url, "continue", w->continue_token);
        req.timeout_ms = LIST_TIMEOUT_MS;
        req.idle_timeout_ms = (int64_t)(LIST_IDLE_MS * scale(w));
    } else {
        add_query(&url, "resourceVersion", w->resource_version);
        strbuf_addf(&url, "&watch=true&allowWatchBookmarks=true&timeoutSeconds=%d", seconds);
        req.idle_timeout_ms = (int64_t)(WATCH_IDLE_MS * scale(w));
    }
    req.url = url.overflow ? NULL : url.buf;
    req.headers = headers;
    req.on_head = on_head;
    req.on_data = on_data;
    req.on_done = on_done;
    req.arg = w;
    if (w->listing && !w->continue_token && w->sink.list_begin)
        w->sink.list_begin(w->sink.arg);
    w->http = kube_http_send(w->client, POOL_WATCHES, str_or_empty(w->spec.ns), &req);
}

static void on_timer(void *arg)
{
    start(arg);
}

/* ---- what others call ---- */

struct kube_watch *kube_watch_start(struct kube_client *c, const struct kube_watch_spec *spec,
                                    const struct kube_watch_sink *sink)
{
    struct kube_watch *w = xcalloc(1, sizeof(*w));

    w->client = c;
    w->spec = *spec;
    w->ns = xstrdup_or_null(spec->ns);
    w->label_selector = xstrdup_or_null(spec->label_selector);
    w->field_selector = xstrdup_or_null(spec->field_selector);
    w->sink = *sink;
    w->listing = true;
    w->timer = timer_new(c->loop, on_timer, w);
    w->last_byte = loop_now(c->loop);
    start(w);
    return w;
}

void kube_watch_stop(struct kube_watch *w)
{
    if (!w || w->stopped)
        return;
    w->stopped = true;
    metric_drop(&last_event, kube_resource(w->spec.kind)->kind, str_or_empty(w->ns));
    kube_http_drop(TAKE_PTR(w->http));
    timer_stop(w->timer);
    if (!w->busy)
        watch_free(w);
}

void kube_watch_hurry(struct kube_watch *w)
{
    if (w->in_trouble && !w->http && !w->busy && !w->stopped)
        timer_start(w->timer, 0);
}

bool kube_watch_synced(const struct kube_watch *w)
{
    return w->synced;
}

int64_t kube_watch_last_byte(const struct kube_watch *w)
{
    return w->last_byte;
}

struct kube_watch_info kube_watch_info(const struct kube_watch *w)
{
    return (struct kube_watch_info){.resource_version = w->resource_version,
                                    .listing = w->listing,
                                    .synced = w->synced,
                                    .in_trouble = w->in_trouble,
                                    .lists = w->lists,
                                    .started = w->started_at,
                                    .last_byte = w->last_byte};
}
