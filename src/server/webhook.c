/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/webhook.h"

#include <stdio.h>
#include <strings.h>

#include "flinkop/admission.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/http_server.h"
#include "flinkop/kube_client.h"
#include "flinkop/log.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/operator_config.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "webhook_trust.h"

#define PATH "/validate"
/* Two objects, the new one of at most 3 MiB, which the API server takes, the old one of 1.5 MiB,
 * which etcd keeps, with what JSON adds to escape them. */
#define BODY_MAX ((size_t)8 << 20)

/* controller-runtime's names (pkg/webhook/internal/metrics) */
static struct metric requests =
    METRIC_COUNTER("controller_runtime_webhook_requests_total",
                   "Total number of admission requests by HTTP status code.", "webhook", "code");
static struct metric latency = METRIC_HISTOGRAM("controller_runtime_webhook_latency_seconds",
                                                "Histogram of the latency of processing admission "
                                                "requests",
                                                metric_seconds_buckets, "webhook");

struct webhook {
    struct operator_config *config;
    struct http_server *server;
    struct webhook_trust *trust;
};

/* ---- requests ---- */

static void refuse(struct http_reply *reply, int status, const char *text)
{
    reply->status = status;
    strbuf_addf(reply->body, "%s\n", text);
}

/* application/json, with or without parameters */
static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    size_t n = strlen(json);

    return !strncasecmp(content_type, json, n) && strchr("; \t", content_type[n]);
}

static void answer(struct webhook *w, struct http_reply *reply)
{
    cleanup_arena struct arena a = {0};
    const struct http_asked *asked = reply->asked;
    const struct admission_rules rules = {w->config->defaults, w->config->namespaces,
                                          w->config->selector};
    struct admission_verdict verdict;
    struct error err;

    if (!is_json(asked->content_type)) {
        refuse(reply, 415, "the body must be application/json");
        return;
    }
    if (admission_answer(&a, asked->body, asked->len, &rules, reply->body, &verdict, &err)) {
        refuse(reply, err.code == ERR_TOO_LARGE ? 413 : 400, err.text);
        return;
    }
    reply->content_type = "application/json";
    if (!verdict.allowed)
        log_info("webhook: refused", KV("kind", verdict.kind), KV("namespace", verdict.ns),
                 KV("name", verdict.name), KV("why", verdict.message));
}

static void on_request(void *arg, struct http_reply *reply)
{
    int64_t began = clock_mono_us();
    char code[8];

    answer(arg, reply);
    snprintf(code, sizeof(code), "%d", reply->status);
    metric_add(&requests, 1, PATH, code);
    metric_observe(&latency, (double)(clock_mono_us() - began) / 1e6, PATH);
}

static void nothing_else(void *arg, struct http_reply *reply)
{
    (void)arg;
    refuse(reply, 404, "here is POST " PATH);
}

/* ---- life ---- */

static void use(void *arg, const struct certificate *c)
{
    struct webhook *w = arg;
    struct error err;

    if (http_server_certificate(w->server, c->cert, c->key, &err) < 0)
        log_error("webhook", KV("error", err.text));
}

struct webhook *webhook_new(const struct webhook_options *o, struct error *err)
{
    struct webhook *w = xcalloc(1, sizeof(*w));
    const struct http_route routes[] = {
        {.path = PATH, .handle = on_request, .arg = w, .post_max = BODY_MAX},
        {.path = "*", .handle = nothing_else},
    };

    w->server = http_server_new(
        kube_client_loop(o->kube),
        &(struct http_server_options){
            .port = o->port, .routes = routes, .n = ARRAY_SIZE(routes), .given = true},
        err);
    if (!w->server) {
        free(w);
        return NULL;
    }
    w->trust = webhook_trust_new(&(struct webhook_trust_options){.kube = o->kube,
                                                                 .ns = o->ns,
                                                                 .service = o->service,
                                                                 .configuration = o->configuration,
                                                                 .life_ms = o->life_ms,
                                                                 .use = use,
                                                                 .arg = w});
    w->config = operator_config_hold(o->config);
    metric_add(&requests, 0, PATH, "200");
    return w;
}

void webhook_configure(struct webhook *w, struct operator_config *config)
{
    struct operator_config *was = w->config;

    w->config = operator_config_hold(config);
    operator_config_let_go(was);
}

int webhook_port(const struct webhook *w)
{
    return http_server_port(w->server);
}

void webhook_lead(struct webhook *w)
{
    webhook_trust_lead(w->trust);
}

const char *webhook_waits(const struct webhook *w)
{
    return webhook_trust_waits(w->trust);
}

void webhook_free(struct webhook *w)
{
    if (!w)
        return;
    webhook_trust_free(w->trust);
    http_server_free(w->server);
    operator_config_let_go(w->config);
    free(w);
}
