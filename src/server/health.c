/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/health.h"

#include "flinkop/error.h"
#include "flinkop/http_server.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/strbuf.h"

struct health {
    struct http_server *server;
    struct health_checks checks;
};

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

    answer(reply, h->checks.live, h->checks.arg);
}

static void ready(void *arg, struct http_reply *reply)
{
    struct health *h = arg;

    answer(reply, h->checks.ready, h->checks.arg);
}

static void metrics(void *arg, struct http_reply *reply)
{
    (void)arg;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(reply->body);
}

struct health *health_new(struct loop *loop, int port, const struct health_checks *checks,
                          struct error *err)
{
    struct health *h = xcalloc(1, sizeof(*h));
    const struct http_route routes[] = {
        {"/healthz", live, h}, {"/readyz", ready, h}, {"/metrics", metrics, h}, {"*", live, h}};

    h->checks = *checks;
    h->server = http_server_new(loop, port, routes, ARRAY_SIZE(routes), err);
    if (!h->server) {
        free(h);
        return NULL;
    }
    return h;
}

int health_port(const struct health *h)
{
    return http_server_port(h->server);
}

void health_free(struct health *h)
{
    if (!h)
        return;
    http_server_free(h->server);
    free(h);
}
