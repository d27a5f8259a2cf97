/* SPDX-License-Identifier: Apache-2.0 */
#include "kube_http.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/kube_config.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"

#define MAX_HEADERS 16
#define BODY_SHOWN 300 /* of an answer that is no Status object */

static struct metric requests_total =
    METRIC_COUNTER("rest_client_requests_total",
                   "Number of HTTP requests, partitioned by status code, method, and host.", "code",
                   "method", "host");
static struct metric request_seconds =
    METRIC_HISTOGRAM("rest_client_request_duration_seconds",
                     "Request latency in seconds, until the answer begins, by verb and host.",
                     metric_seconds_buckets, "verb", "host");

/* Leases are how the fence is opened, and a review changes nothing: one that waits is asked, too.
 */
static const bool pools_fenced[POOL_COUNT] = {
    [POOL_CALLS] = true, [POOL_WATCHES] = true, [POOL_PROXIED] = true};

struct kube_http {
    struct kube_client *client;
    struct kube_http *next, **link;
    enum kube_pool pool;
    struct ns_share_guest place;
    struct timer *waiting; /* for a place, until the deadline; NULL: it had one at once */
    struct http_call *call;
    struct http_request req; /* the caller's, its pointers ours */
    struct http_header headers[MAX_HEADERS + 1];
    struct http_part part;
    char *method, *path;
    void *body;
    int64_t started, deadline;
    unsigned generation; /* of the credentials in use */
    bool retried;        /* after a 401 */
    bool retrying;       /* what comes now is a 401 that nobody is to see */
    bool timed;          /* its duration was observed */
    bool done;
    struct error failed; /* to find credentials */
};

static void start(struct kube_http *h);

/* ---- life ---- */

static void http_unlink(struct kube_http *h)
{
    *h->link = h->next;
    if (h->next)
        h->next->link = h->link;
}

static void http_release(struct kube_http *h)
{
    for (size_t i = 0; i < MAX_HEADERS && h->headers[i].name; i++) {
        free((char *)(uintptr_t)h->headers[i].name);
        free((char *)(uintptr_t)h->headers[i].value);
    }
    timer_free(h->waiting);
    free(h->method);
    free(h->path);
    free(h->body);
    free(h);
}

/* Before the caller hears of it, who may free the client. */
static void http_end(struct kube_http *h)
{
    h->done = true;
    http_unlink(h);
    ns_share_leave(&h->client->share, &h->place);
}

void kube_http_drop(struct kube_http *h)
{
    if (!h || h->done)
        return;
    http_drop(h->call);
    kube_config_auth_drop(h->client->config, h);
    loop_undefer(h->client->loop, h);
    http_end(h);
    http_release(h);
}

void kube_http_resume(struct kube_http *h)
{
    if (h->call && !h->done)
        http_resume(h->call);
}

static void finish(struct kube_http *h, const struct http_response *res, const struct error *err)
{
    http_end(h);
    h->req.on_done(h->req.arg, res, err);
    http_release(h);
}

/* ---- what comes back ---- */

static void observe(struct kube_http *h)
{
    const struct kube_client *c = h->client;
    double seconds = (double)(loop_now(c->loop) - h->started) / 1000;

    if (!h->timed)
        metric_observe(&request_seconds, seconds, h->method, c->host);
    h->timed = true;
}

static void note_server(struct kube_client *c, const char *peer)
{
    struct ip ip;

    if (http_peer_ip(peer, &ip) && !kube_client_is_server(c, &ip))
        c->servers[c->n_servers++ % KUBE_SERVERS_MAX] = ip;
}

static void on_head(void *arg, const struct http_response *head)
{
    struct kube_http *h = arg;

    observe(h);
    note_server(h->client, head->peer);
    h->retrying = head->status == 401 && !h->retried && !h->req.part;
    if (!h->retrying && h->req.on_head)
        h->req.on_head(h->req.arg, head);
}

static ssize_t on_data(void *arg, const char *data, size_t n)
{
    struct kube_http *h = arg;

    return h->retrying ? (ssize_t)n : h->req.on_data(h->req.arg, data, n);
}

static void on_done(void *arg, const struct http_response *res, const struct error *err)
{
    struct kube_http *h = arg;
    char code[16];

    h->call = NULL;
    observe(h);
    snprintf(code, sizeof(code), "%d", res ? res->status : 0);
    metric_add(&requests_total, 1, res ? code : "<error>", h->method, h->client->host);
    if (res && res->status == 401)
        kube_config_refresh(h->client->config, h->generation);
    if (!res && !strcmp(err->reason, HTTP_UNTRUSTED))
        kube_config_reread(h->client->config, h->generation);
    if (!h->retrying) {
        finish(h, res, err);
        return;
    }
    h->retrying = false;
    h->retried = true;
    start(h);
}

/* ---- sending ---- */

static void fail(void *arg)
{
    struct kube_http *h = arg;

    finish(h, NULL, &h->failed);
}

static void on_auth(void *arg, const struct kube_auth *auth, const struct error *err)
{
    struct kube_http *h = arg;
    struct kube_client *c = h->client;
    struct http_header headers[MAX_HEADERS + 2] = {{0}};
    struct http_request req = h->req;
    size_t n = 0;

    if (err) { /* no request was made: neither "unreachable" nor "unknown" says that */
        error_set(&h->failed, ERR_UNAUTHORIZED, "%s", err->text);
        loop_defer(c->loop, h, fail, h);
        return;
    }
    cleanup_free char *url = h->path ? xasprintf("%s%s", kube_config_server(c->config), h->path)
                                     : NULL;

    for (; h->headers[n].name; n++)
        headers[n] = h->headers[n];
    if (auth->authorization)
        headers[n] = (struct http_header){"Authorization", auth->authorization};
    h->generation = auth->generation;
    req.url = url;
    req.headers = headers;
    req.tls = auth->tls;
    req.proxy = kube_config_proxy(c->config);
    req.fence = pools_fenced[h->pool] && http_writes(h->method) ? c->fence : NULL;
    req.on_head = on_head;
    req.on_data = h->req.on_data ? on_data : NULL;
    req.on_done = on_done;
    req.arg = h;
    if (req.timeout_ms)
        req.timeout_ms = MAX(h->deadline - loop_now(c->loop), (int64_t)1);
    h->started = loop_now(c->loop);
    h->timed = false;
    h->call = http_send(c->pool[h->pool], &req, &h->failed);
    c->sent++;
    if (!h->call)
        loop_defer(c->loop, h, fail, h);
}

static void start(struct kube_http *h)
{
    kube_config_auth(h->client->config, h, on_auth, h);
}

/* Its turn has come, in time or not: then the timer is about to tell so. */
static void enter(void *arg)
{
    struct kube_http *h = arg;

    if (loop_now(h->client->loop) >= h->deadline)
        return;
    timer_stop(h->waiting);
    start(h);
}

static void on_waited(void *arg)
{
    struct kube_http *h = arg;

    error_set(&h->failed, ERR_TIMEOUT,
              "not asked within %lld ms: as many calls of its namespace as may be are under way",
              (long long)h->req.timeout_ms);
    fail(h);
}

static void wait_for_place(struct kube_http *h)
{
    h->waiting = timer_new(h->client->loop, on_waited, h);
    timer_start(h->waiting, h->deadline - loop_now(h->client->loop));
}

struct kube_http *kube_http_send(struct kube_client *c, enum kube_pool pool, const char *ns,
                                 const struct http_request *req)
{
    struct kube_http *h = xcalloc(1, sizeof(*h));
    size_t n = 0;

    h->client = c;
    h->pool = pool;
    h->req = *req;
    h->req.method = h->method = xstrdup(req->method);
    h->path = xstrdup_or_null(req->url);
    if (req->body) {
        h->req.body = h->body = xmalloc(req->body_len + 1);
        memcpy(h->body, req->body, req->body_len);
    }
    if (req->part) {
        h->part = *req->part;
        h->req.part = &h->part;
    }
    for (const struct http_header *from = req->headers; from && from->name; from++) {
        BUG_ON(n == MAX_HEADERS);
        h->headers[n].name = xstrdup(from->name);
        h->headers[n++].value = xstrdup(from->value);
    }
    h->deadline = loop_now(c->loop) + req->timeout_ms;
    h->place = (struct ns_share_guest){.enter = enter, .arg = h};
    h->next = c->calls;
    h->link = &c->calls;
    if (h->next)
        h->next->link = &h->next;
    c->calls = h;
    if (pool != POOL_CALLS || ns_share_ask(&c->share, &h->place, ns))
        start(h);
    else
        wait_for_place(h);
    return h;
}

/* ---- Status objects ---- */

#define UNTYPED \
    "failed to create typed patch object" /* managedfields/internal/structuredmerge.go */

static bool has_cause(jv status, const char *reason)
{
    jv_foreach (cause, JV_PATH(status, "details", "causes"))
        if (str_eq(JV_STRING(*cause, "reason"), reason))
            return true;
    return false;
}

void kube_status_error(int status, const char *body, size_t len, int retry_after_ms,
                       struct error *err)
{
    static const char *const causes[] = {"NamespaceTerminating", "ResourceVersionTooLarge"};
    cleanup_arena struct arena a = {0};
    struct error ignored;
    jv v = ABSENT;

    if (json_parse(&a, body, len, &v, &ignored) || !str_eq(JV_STRING(v, "kind"), "Status")) {
        http_status_error(status, err, "status %d: %s", status, str_clean(&a, body, BODY_SHOWN));
        err->retry_after_ms = retry_after_ms;
        return;
    }
    const char *reason = str_or_empty(JV_STRING(v, "reason"));
    int64_t seconds = jv_int64_or(JV_PATH(v, "details", "retryAfterSeconds"), 0);

    http_status_error(status, err, "%s",
                      str_clean(&a, str_or(JV_STRING(v, "message"), reason), ERROR_TEXT_MAX - 256));
    /* A field that the API server does not know: its fault, it says, but it will never take it. */
    if (err->code == ERR_SERVER && str_has_prefix(str_or_empty(JV_STRING(v, "message")), UNTYPED))
        err->code = ERR_INVALID;
    if (!strcmp(reason, "AlreadyExists"))
        err->code = ERR_EXISTS;
    for (size_t i = 0; i < ARRAY_SIZE(causes); i++)
        if (has_cause(v, causes[i]))
            reason = causes[i];
    /* The kind is not served (just now): that tells nothing of the object. */
    if (err->code == ERR_NOT_FOUND && str_empty(JV_STRING(v, "details", "name")))
        reason = "NotServed";
    snprintf(err->reason, sizeof(err->reason), "%s", reason);
    err->retry_after_ms = retry_after_ms || seconds <= 0 || seconds > 3600 ? retry_after_ms
                                                                           : (int)seconds * 1000;
}
