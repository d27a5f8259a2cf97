/* SPDX-License-Identifier: Apache-2.0 */
#include "flink_client.h"

#include <string.h>

#include "flink_tls.h"
#include "flinkop/arena.h"
#include "flinkop/flink_reply.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define TIMEOUT_MS 10000
#define CONNECT_TIMEOUT_MS 3000
#define MAX_BODY (8 * 1024 * 1024) /* an overview of some ten thousand jobs */
#define MAX_HOST_CONNECTIONS 4
/* Hundreds of quiet clusters are asked so seldom that keeping their connections gains nothing, and
 * curl goes through all of them to find the one to close. */
#define MAX_KEPT 16
#define RECEIVE_BUFFER 4096 /* what a quiet cluster says has a few hundred bytes */

enum traffic { PROBES, CALLS, JOBS, TRAFFICS };

/* Probes and jobs never come that far: probe.c and reconcile.c count them. */
static const int max_connections[TRAFFICS] = {[PROBES] = 256, [CALLS] = 256, [JOBS] = 1024};

struct flink_client {
    struct http_client *http[TRAFFICS];
    struct kube_client *kube;
    struct flink_tls *tls;
    struct loop *loop;
    bool proxy;
    int64_t timeout_ms;
};

struct flink_call {
    struct flink_client *client;
    struct http_call *http; /* one of them */
    struct kube_http *proxied;
    char *ns, *cluster;  /* by TLS; NULL: not */
    struct error failed; /* before anything could be sent */
    flink_done_fn done;
    void *arg;
    char *what; /* "GET /jobs/overview", for messages */
};

struct flink_client *flink_client_new(struct loop *loop, struct kube_client *kube,
                                      enum flink_access access, const char *tls_dir)
{
    struct flink_client *c = xcalloc(1, sizeof(*c));

    c->loop = loop;
    c->kube = kube;
    c->timeout_ms = TIMEOUT_MS;
    c->tls = flink_tls_new(loop, tls_dir);
    c->proxy = access == FLINK_ACCESS_PROXY;
    for (int i = 0; i < TRAFFICS; i++)
        c->http[i] = http_client_new(
            loop, &(struct http_client_options){.user_agent = "flink-operator",
                                                .max_connections = max_connections[i],
                                                .max_host_connections = MAX_HOST_CONNECTIONS,
                                                .max_kept = MAX_KEPT,
                                                .receive_buffer = RECEIVE_BUFFER});
    return c;
}

void flink_client_set_timeout(struct flink_client *c, int64_t ms)
{
    c->timeout_ms = ms;
}

void flink_client_free(struct flink_client *c)
{
    if (!c)
        return;
    for (int i = 0; i < TRAFFICS; i++)
        http_client_free(c->http[i]);
    flink_tls_free(c->tls);
    free(c);
}

static void call_free(struct flink_call *call)
{
    loop_undefer(call->client->loop, call);
    free(call->ns);
    free(call->cluster);
    free(call->what);
    free(call);
}

static void on_done(void *arg, const struct http_response *res, const struct error *err)
{
    struct flink_call *call = arg;
    cleanup_arena struct arena a = {0};
    struct error own = *err;
    struct flink_answer answer = {.err = &own, .body = ABSENT, .a = &a};

    if (res && err->code == ERR_NONE) {
        if (res->status >= 300)
            http_status_error(res->status, &own, "%s",
                              flink_error_text(&a, res->body, res->len, res->status));
        else if (res->len && json_parse(&a, res->body, res->len, &answer.body, &own))
            error_wrap(&own, "%s", call->what);
    } else {
        if (call->cluster && !call->client->proxy)
            flink_tls_explain(call->client->tls, call->ns, call->cluster, &own);
        error_wrap(&own, "%s", call->what);
    }
    flink_done_fn done = call->done;
    void *done_arg = call->arg;

    call_free(call);
    done(done_arg, &answer);
}

static void fail(void *arg)
{
    struct flink_call *call = arg;

    on_done(call, NULL, &call->failed);
}

static int send_directly(struct flink_client *c, enum traffic traffic, struct flink_call *call,
                         const struct flink_endpoint *e, const char *path, struct http_request *req,
                         struct error *err)
{
    const char *bracket = strchr(e->ip, ':') ? "[" : "";
    cleanup_free char *url = xasprintf("http%s://%s%s%s:%d%s", e->cluster ? "s" : "", bracket,
                                       e->ip, *bracket ? "]" : "", e->port, path);
    struct flink_tls_names names = {.text = {NULL}};

    req->url = url;
    if (e->cluster && flink_tls_get(c->tls, e->ns, &req->tls, &call->failed)) {
        loop_defer(c->loop, call, fail, call);
        return 0;
    }
    if (e->cluster) {
        flink_tls_names(&names, e->ns, e->cluster);
        req->tls_names = names.list;
    }
    call->http = http_send(c->http[traffic], req, err);
    flink_tls_names_release(&names);
    return call->http ? 0 : -1;
}

/* At the pod's address, or to the same pod through the API server, which verifies nothing there and
 * shows no certificate. */
static int send(struct flink_client *c, enum traffic traffic, struct flink_call *call,
                const struct flink_endpoint *e, const char *path, struct http_request *req,
                struct error *err)
{
    cleanup_free char *target = xasprintf("%s%s:%d", e->cluster ? "https:" : "", e->pod, e->port);

    if (!c->proxy)
        return send_directly(c, traffic, call, e, path, req, err);
    req->url = path;
    call->proxied = kube_proxy_send(c->kube, KIND_POD, e->ns, target, req, err);
    return call->proxied ? 0 : -1;
}

static struct flink_call *start(struct flink_client *c, enum traffic traffic,
                                const struct flink_endpoint *e, const char *path,
                                struct http_request *req, flink_done_fn done, void *arg)
{
    struct flink_call *call = xcalloc(1, sizeof(*call));
    struct error err;

    *call = (struct flink_call){.client = c,
                                .done = done,
                                .arg = arg,
                                .what = xasprintf("%s %s", req->method, path),
                                .ns = xstrdup_or_null(e->cluster ? e->ns : NULL),
                                .cluster = xstrdup_or_null(e->cluster)};
    req->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    req->max_body = MAX_BODY;
    req->fence = http_writes(req->method) ? kube_client_fence(c->kube) : NULL;
    req->on_done = on_done;
    req->arg = call;
    if (send(c, traffic, call, e, path, req, &err))
        BUG("%s: %s", call->what, err.text);
    return call;
}

static struct flink_call *start_json(struct flink_client *c, enum traffic traffic,
                                     const struct flink_endpoint *e, const char *method,
                                     const char *path, const char *body, int64_t timeout_ms,
                                     flink_done_fn done, void *arg)
{
    static const struct http_header json_body[] = {{"Content-Type", "application/json"}, {0}};
    struct http_request req = {
        .method = method,
        .headers = body ? json_body : NULL,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_ms = timeout_ms ? timeout_ms : c->timeout_ms,
    };

    return start(c, traffic, e, path, &req, done, arg);
}

struct flink_call *flink_send(struct flink_client *c, const struct flink_endpoint *e,
                              const char *method, const char *path, const char *body,
                              int64_t timeout_ms, flink_done_fn done, void *arg)
{
    return start_json(c, CALLS, e, method, path, body, timeout_ms, done, arg);
}

struct flink_call *flink_probe(struct flink_client *c, const struct flink_endpoint *e,
                               const char *path, int64_t timeout_ms, flink_done_fn done, void *arg)
{
    return start_json(c, PROBES, e, "GET", path, NULL, timeout_ms, done, arg);
}

struct flink_call *flink_run(struct flink_client *c, const struct flink_endpoint *e,
                             const char *path, const char *body, int64_t timeout_ms,
                             flink_done_fn done, void *arg)
{
    return start_json(c, JOBS, e, "POST", path, body, timeout_ms, done, arg);
}

struct flink_call *flink_upload(struct flink_client *c, const struct flink_endpoint *e,
                                const char *path, const struct http_part *part,
                                int64_t idle_timeout_ms, flink_done_fn done, void *arg)
{
    struct http_request req = {.method = "POST", .part = part, .idle_timeout_ms = idle_timeout_ms};

    return start(c, JOBS, e, path, &req, done, arg);
}

void flink_resume(struct flink_call *call)
{
    if (call->proxied)
        kube_http_resume(call->proxied);
    else if (call->http)
        http_resume(call->http);
}

void flink_drop(struct flink_call *call)
{
    if (!call)
        return;
    http_drop(call->http);
    kube_http_drop(call->proxied);
    call_free(call);
}
