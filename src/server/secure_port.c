/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each request is put to the API server (kube_review.h) before its page is made; the client waits
 * for that. A caller that went away meanwhile is forgotten, the review goes on for the next one.
 */
#include "flinkop/error.h"
#include "flinkop/kube_review.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "pages.h"

struct page {
    struct secure_port *port;
    http_handle_fn show;
};

struct secure_port {
    const struct health_options *options;
    struct http_server *server;
    struct kube_reviews *reviews;
    struct caller *callers;
    struct page metrics, debug, log_level;
};

/* One whose request is looked at. */
struct caller {
    const struct page *page;
    struct caller *next, **link;
    struct kube_review *review;
    struct http_waiting *waiting; /* NULL: while its handler runs */
    struct http_reply *reply;     /* … which has this one */
    bool answered;                /* … and by now an answer */
    enum review_verdict verdict;
    const char *text;
};

/* ---- answers ---- */

static void refuse(struct http_reply *reply, int status, const char *fmt, const char *text)
{
    reply->status = status;
    strbuf_addf(reply->body, fmt, text);
}

/* As Kubernetes calls the method. */
static const char *verb_of(const struct http_reply *reply)
{
    return str_eq(reply->asked->method, "PUT") ? "put" : "get";
}

static void show(void *arg, struct http_reply *reply)
{
    const struct caller *c = arg;
    cleanup_free char *denied = NULL;

    switch (c->verdict) {
    case REVIEW_ALLOWED:
        c->page->show((void *)(uintptr_t)c->page->port->options, reply);
        break;
    case REVIEW_STRANGER:
        refuse(reply, 401, "%s", "a bearer token is needed that the API server knows\n");
        break;
    case REVIEW_DENIED:
        denied = xasprintf("%s may not %s %s\n", c->text, verb_of(reply), reply->asked->path);
        refuse(reply, 403, "%s", denied);
        break;
    case REVIEW_UNKNOWN:
        refuse(reply, 503, "cannot find out who asks: %s\n", c->text);
        break;
    }
}

/* ---- callers ---- */

static void caller_free(struct caller *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    free(c);
}

static void on_verdict(void *arg, enum review_verdict verdict, const char *text)
{
    struct caller *c = arg;

    c->review = NULL;
    c->answered = true;
    c->verdict = verdict;
    c->text = text;
    if (!c->waiting) {
        show(c, c->reply);
        return;
    }
    http_reply_now(c->waiting, show, c);
    caller_free(c);
}

static void on_gone(void *arg)
{
    struct caller *c = arg;

    kube_review_drop(c->review);
    caller_free(c);
}

/* "Bearer TOKEN", in any case (RFC 9110 §11.1); "" if it is something else. */
static const char *bearer(const char *authorization)
{
    return strncasecmp(authorization, "bearer ", 7) ? "" : authorization + 7;
}

static void on_request(void *arg, struct http_reply *reply)
{
    const struct page *page = arg;
    struct secure_port *p = page->port;
    struct caller *c = xcalloc(1, sizeof(*c));

    *c = (struct caller){.page = page, .next = p->callers, .link = &p->callers, .reply = reply};
    if (c->next)
        c->next->link = &c->next;
    p->callers = c;
    c->review = kube_review(p->reviews, bearer(reply->asked->authorization), verb_of(reply),
                            reply->asked->path, on_verdict, c);
    if (!c->answered) {
        c->waiting = http_reply_later(reply, on_gone, c);
        if (c->waiting)
            return;
        kube_review_drop(c->review);
        refuse(reply, 503, "%s", "too many callers wait\n");
    }
    caller_free(c);
}

static void nothing_else(void *arg, struct http_reply *reply)
{
    (void)arg;
    refuse(reply, 404, "%s", "here are /metrics, /debug and /debug/log-level\n");
}

/* ---- life ---- */

struct secure_port *secure_port_new(struct loop *loop, const struct health_options *o,
                                    struct error *err)
{
    struct secure_port *p = xcalloc(1, sizeof(*p));
    const struct http_route routes[] = {
        {"/metrics", on_request, &p->metrics},
        {"/debug", on_request, &p->debug},
        {"/debug/log-level", on_request, &p->log_level, .put = true},
        {"*", nothing_else},
    };

    *p = (struct secure_port){.options = o,
                              .metrics = {p, page_metrics},
                              .debug = {p, page_debug},
                              .log_level = {p, page_log_level}};
    p->server = http_server_new(loop,
                                &(struct http_server_options){.port = o->secure_port,
                                                              .routes = routes,
                                                              .n = ARRAY_SIZE(routes),
                                                              .cert_file = o->cert_file,
                                                              .key_file = o->key_file},
                                err);
    if (!p->server) {
        free(p);
        return NULL;
    }
    p->reviews = kube_reviews_new(o->kube);
    return p;
}

int secure_port_number(const struct secure_port *p)
{
    return http_server_port(p->server);
}

void secure_port_free(struct secure_port *p)
{
    if (!p)
        return;
    kube_reviews_free(p->reviews);
    http_server_free(p->server);
    for (struct caller *c = p->callers, *next; c; c = next) {
        next = c->next;
        caller_free(c);
    }
    free(p);
}
