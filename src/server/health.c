/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/health.h"

#include "flinkop/error.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"
#include "pages.h"

struct health {
    struct health_options options; /* its strings ours */
    struct http_server *server;
    struct secure_port *secure; /* NULL: there is none */
};

/* ---- pages ---- */

static void answer(struct http_reply *reply, health_fn check, void *arg)
{
    if (check(arg, reply->body)) {
        strbuf_reset(reply->body);
        strbuf_adds(reply->body, "OK");
        return;
    }
    reply->status = 500;
}

static void live(void *arg, struct http_reply *reply)
{
    struct health *h = arg;

    answer(reply, h->options.live, h->options.arg);
}

static void ready(void *arg, struct http_reply *reply)
{
    struct health *h = arg;

    answer(reply, h->options.ready, h->options.arg);
}

static void metrics(void *arg, struct http_reply *reply)
{
    struct health *h = arg;

    if (!h->secure) {
        page_metrics(&h->options, reply);
        return;
    }
    reply->status = 403;
    strbuf_addf(reply->body, "metrics are on port %d, by TLS and with a token\n",
                secure_port_number(h->secure));
}

/* Without a token, so only for those who could look at the process anyway. */
static void local(struct health *h, struct http_reply *reply, http_handle_fn page)
{
    if (h->options.local_debug && reply->asked->local) {
        page(&h->options, reply);
        return;
    }
    reply->status = 403;
    if (h->secure)
        strbuf_addf(reply->body, "this is on port %d, by TLS and with a token\n",
                    secure_port_number(h->secure));
    else
        strbuf_adds(reply->body, "this needs the secure port: run --tls-cert --tls-key\n");
}

static void debug(void *arg, struct http_reply *reply)
{
    local(arg, reply, page_debug);
}

static void level(void *arg, struct http_reply *reply)
{
    local(arg, reply, page_log_level);
}

/* ---- life ---- */

struct health *health_new(struct loop *loop, const struct health_options *o, struct error *err)
{
    struct health *h = xcalloc(1, sizeof(*h));
    const struct http_route routes[] = {
        {"/healthz", live, h},
        {"/readyz", ready, h},
        {"/metrics", metrics, h},
        {"/debug", debug, h},
        {"/debug/log-level", level, h, .put = true},
        {"*", live, h},
    };

    h->options = *o;
    h->options.cert_file = xstrdup_or_null(o->cert_file);
    h->options.key_file = xstrdup_or_null(o->key_file);
    h->server = http_server_new(
        loop,
        &(struct http_server_options){.port = o->port, .routes = routes, .n = ARRAY_SIZE(routes)},
        err);
    if (h->server && o->cert_file)
        h->secure = secure_port_new(loop, &h->options, err);
    if (!h->server || (o->cert_file && !h->secure)) {
        health_free(h);
        return NULL;
    }
    return h;
}

int health_port(const struct health *h)
{
    return http_server_port(h->server);
}

int health_secure_port(const struct health *h)
{
    return h->secure ? secure_port_number(h->secure) : 0;
}

void health_free(struct health *h)
{
    if (!h)
        return;
    secure_port_free(h->secure);
    http_server_free(h->server);
    free((char *)(uintptr_t)h->options.cert_file);
    free((char *)(uintptr_t)h->options.key_file);
    free(h);
}
