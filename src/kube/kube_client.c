/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/kube_client.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/kube_config.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "kube_http.h"
#include "kube_split.h"

#define TIMEOUT_MS 15000
#define MAX_BODY ((size_t)8 << 20)
#define MAX_URL ((size_t)64 << 10)

/* The API server answers some 100 calls at once; watches are one connection each. What a process
 * that lost its Lease has left in a socket must be given up before another one begins, 5 s later
 * (kube_lease.c). */
#define WATCHES_MAX 16384 /* several for each namespace that is served, each for good */

static const struct {
    int connections, stall_ms;
} pools[POOL_COUNT] = {
    /* clang-format off */
    [POOL_CALLS] = {64, 4000}, /* of one namespace 32 at most: ns_share.h */
    [POOL_WATCHES] = {WATCHES_MAX},
    [POOL_PROXIED] = {256}, /* long requests to the API server: they do not count there */
    [POOL_LEASE] = {2, 4000},
    [POOL_REVIEWS] = {4, 4000},
    /* clang-format on */
};

static const struct {
    const char *word, *method, *content_type;
    bool has_name, has_manager, repeatable;
} verbs[] = {
    [KUBE_GET] = {"get", "GET", NULL, .has_name = true},
    [KUBE_LIST] = {"list", "GET", NULL},
    [KUBE_CREATE] = {"create", "POST", "application/json", .has_manager = true},
    [KUBE_APPLY] = {"apply", "PATCH", "application/apply-patch+yaml", .has_name = true,
                    .has_manager = true, .repeatable = true},
    [KUBE_MERGE_PATCH] = {"patch", "PATCH", "application/merge-patch+json", .has_name = true,
                          .has_manager = true},
    [KUBE_DELETE] = {"delete", "DELETE", "application/json", .has_name = true},
};

struct kube_request {
    struct kube_client *client;
    struct kube_request *next, **link;
    struct kube_http *http;
    kube_done_fn done;
    void *arg;
    char *what; /* "apply Deployment ns/name", for messages */
    bool text;  /* the answer may be no object: a log */
    bool finished;
};

/* ---- the client ---- */

static char *host_of(const char *server)
{
    const char *at = strstr(server, "://") + 3;

    return xstrndup(at, strcspn(at, "/"));
}

struct kube_client *kube_client_new(struct loop *loop, struct kube_config *config)
{
    struct kube_client *c = xcalloc(1, sizeof(*c));

    c->loop = loop;
    c->config = config;
    c->host = host_of(kube_config_server(config));
    for (int i = 0; i < POOL_COUNT; i++)
        c->pool[i] = http_client_new(
            loop, &(struct http_client_options){.user_agent = "flink-operator/" FLINKOP_VERSION,
                                                .max_connections = pools[i].connections,
                                                .max_host_connections = pools[i].connections,
                                                .stall_ms = pools[i].stall_ms});
    ns_share_init(&c->share, (size_t)pools[POOL_CALLS].connections);
    return c;
}

void kube_client_free(struct kube_client *c)
{
    if (!c)
        return;
    ns_share_close(&c->share);
    for (struct kube_request *r = c->requests, *next; r; r = next) {
        next = r->next;
        kube_drop(r);
    }
    while (c->calls)
        kube_http_drop(c->calls);
    for (int i = 0; i < POOL_COUNT; i++)
        http_client_free(c->pool[i]);
    ns_share_release(&c->share);
    free(c->host);
    free(c);
}

struct kube_config *kube_client_config(struct kube_client *c)
{
    return c->config;
}

struct loop *kube_client_loop(struct kube_client *c)
{
    return c->loop;
}

void kube_client_set_fence(struct kube_client *c, const struct http_fence *fence)
{
    c->fence = fence;
}

const struct http_fence *kube_client_fence(const struct kube_client *c)
{
    return c->fence;
}

bool kube_client_is_server(const struct kube_client *c, const struct ip *ip)
{
    for (size_t i = 0; i < MIN(c->n_servers, (size_t)KUBE_SERVERS_MAX); i++)
        if (ip_same(&c->servers[i], ip))
            return true;
    return false;
}

uint64_t kube_client_sent(const struct kube_client *c)
{
    return c->sent;
}

static enum kube_pool pool_of(enum kube_kind kind)
{
    if (kind == KIND_LEASE)
        return POOL_LEASE;
    return kind == KIND_TOKENREVIEW || kind == KIND_SUBJECTACCESSREVIEW ? POOL_REVIEWS : POOL_CALLS;
}

/* ---- the URL and body of a call ---- */

static void add_query(struct strbuf *sb, char *sep, const char *name, const char *value)
{
    if (str_empty(value))
        return;
    cleanup_free char *escaped = http_escape(value);

    strbuf_addf(sb, "%c%s=%s", *sep, name, escaped);
    *sep = '&';
}

static void add_path(struct strbuf *sb, const struct kube_call *call)
{
    const struct kube_resource *res = kube_resource(call->kind);
    cleanup_free char *path =
        kube_path(res, call->ns, verbs[call->verb].has_name ? call->name : NULL, call->subresource);
    char limit[16] = "", sep = '?';

    strbuf_adds(sb, path);
    if (call->verb == KUBE_LIST && call->limit)
        snprintf(limit, sizeof(limit), "%d", call->limit);
    add_query(sb, &sep, "limit", limit);
    if (call->verb == KUBE_LIST) {
        add_query(sb, &sep, "continue", call->continue_token);
        add_query(sb, &sep, "labelSelector", call->label_selector);
        add_query(sb, &sep, "fieldSelector", call->field_selector);
    }
    if (verbs[call->verb].has_manager)
        add_query(sb, &sep, "fieldManager", KUBE_FIELD_MANAGER);
    if (call->verb == KUBE_APPLY && !call->yield)
        add_query(sb, &sep, "force", "true");
    if (!str_empty(call->query))
        strbuf_addf(sb, "%c%s", sep, call->query);
}

static char *delete_options(const struct kube_call *call)
{
    cleanup_arena struct arena a = {0};
    int grace = call->grace_seconds;
    jv preconditions = OBJ({"uid", STR(call->uid)}, {"resourceVersion", STR(call->version)});

    return xstrdup(
        json_text(&a, OBJ({"apiVersion", STR("v1")}, {"kind", STR("DeleteOptions")},
                          {"preconditions", IF(call->uid || call->version, preconditions)},
                          {"propagationPolicy", STR(call->propagation)},
                          {"gracePeriodSeconds", IF(grace != 0, INT(grace < 0 ? 0 : grace))})));
}

/* ---- answers ---- */

static void request_free(struct kube_request *r)
{
    free(r->what);
    free(r);
}

static void request_unlink(struct kube_request *r)
{
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
}

/* A page of HTML (a portal or a proxy answers) tells neither that something was done nor that a
 * list is empty. */
static int read_object(const struct kube_request *r, const struct http_response *res,
                       struct arena *a, jv *ret, struct error *err)
{
    if (str_has_prefix(res->content_type, "application/json"))
        return kube_object_parse(a, res->body, res->len, ret, err);
    if (r->text)
        return 0;
    return error_set(err, ERR_PARSE, "status %d with no JSON, but %s", res->status,
                     *res->content_type ? str_clean(a, res->content_type, 100) : "no type");
}

static void on_done(void *arg, const struct http_response *res, const struct error *http_err)
{
    struct kube_request *r = arg;
    cleanup_arena struct arena a = {0};
    struct error err = *http_err;
    struct kube_reply reply = {.err = &err, .object = ABSENT, .text = ""};

    if (res) {
        reply.text = res->body;
        reply.len = res->len;
    }
    if (res && res->status >= 300)
        kube_status_error(res->status, res->body, res->len, res->retry_after_ms, &err);
    else if (res && read_object(r, res, &a, &reply.object, &err))
        reply.object = ABSENT;
    if (err.code)
        error_wrap(&err, "%s", r->what);
    r->http = NULL;
    r->finished = true;
    request_unlink(r); /* the client may be freed in done */
    r->done(r->arg, &reply);
    request_free(r);
}

/* ---- what others call ---- */

struct kube_request *kube_send(struct kube_client *c, const struct kube_call *call,
                               kube_done_fn done, void *arg)
{
    struct kube_request *r = xcalloc(1, sizeof(*r));
    const char *type = verbs[call->verb].content_type, *method = verbs[call->verb].method;
    cleanup_strbuf struct strbuf url = STRBUF_INIT(MAX_URL);
    cleanup_free char *options = call->verb == KUBE_DELETE ? delete_options(call) : NULL;
    const char *body = options ? options : call->body;
    const struct http_header headers[] = {
        {"Accept", "application/json, */*"},
        {type ? "Content-Type" : NULL, type},
        {0},
    };

    BUG_ON(verbs[call->verb].has_name && str_empty(call->name));
    add_path(&url, call);
    r->client = c;
    r->done = done;
    r->arg = arg;
    r->text = call->verb == KUBE_GET && !str_empty(call->subresource);
    r->what = xasprintf("%s %s%s%s%s%s", verbs[call->verb].word, kube_resource(call->kind)->kind,
                        call->ns || call->name ? " " : "", str_or_empty(call->ns),
                        call->ns && call->name ? "/" : "", str_or_empty(call->name));
    r->next = c->requests;
    r->link = &c->requests;
    if (r->next)
        r->next->link = &r->next;
    c->requests = r;
    r->http = kube_http_send(
        c, pool_of(call->kind), str_or_empty(call->ns),
        &(struct http_request){.method = method,
                               .url = url.overflow ? NULL : url.buf,
                               .headers = headers,
                               .body = body,
                               .body_len = strlen(str_or_empty(body)),
                               .repeatable = verbs[call->verb].repeatable,
                               .timeout_ms = call->timeout_ms ? call->timeout_ms : TIMEOUT_MS,
                               .max_body = call->max_body ? call->max_body : MAX_BODY,
                               .on_done = on_done,
                               .arg = r});
    return r;
}

void kube_drop(struct kube_request *r)
{
    if (!r || r->finished)
        return;
    kube_http_drop(r->http);
    request_unlink(r);
    request_free(r);
}

struct kube_http *kube_proxy_send(struct kube_client *c, enum kube_kind kind, const char *ns,
                                  const char *target, const struct http_request *req,
                                  struct error *err)
{
    cleanup_strbuf struct strbuf url = STRBUF_INIT(MAX_URL);
    cleanup_free char *ns_escaped = http_escape(ns);
    struct http_request inner = *req;

    if (!req->url || *req->url != '/' || strpbrk(target, "/?#% ")) {
        error_set(err, ERR_INVALID, "proxy to %s: \"%.80s\" is not an absolute path", target,
                  str_or_empty(req->url));
        return NULL;
    }
    strbuf_addf(&url, "/api/v1/namespaces/%s/%s/%s/proxy%s", ns_escaped,
                kube_resource(kind)->plural, target, req->url);
    inner.url = url.overflow ? NULL : url.buf;
    return kube_http_send(c, POOL_PROXIED, ns, &inner);
}
