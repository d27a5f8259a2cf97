/* SPDX-License-Identifier: Apache-2.0 */
/* Both ports of the process, with an API server that knows the tokens "reader" (of /metrics),
 * "boss" (of all) and no others, and says nothing about "slow" until it is told to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_server.h"
#include "flinkop/health.h"
#include "flinkop/http.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "pair.h"
#include "unit.h"

#define JSON "Content-Type: application/json\r\n"

static struct metric tested = METRIC_COUNTER("tested_total", "Something to see.", NULL);

static struct {
    struct loop *loop;
    struct timer *guard, *pause;
    struct fake_server *api;
    struct kube_config *config;
    struct kube_client *kube;
    struct http_client *client;
    struct health *health;
    struct health_options options;
    struct pair pair;
    char dir[SCRATCH_ROOM];
    struct arena a;
    struct fake_conn *slow; /* waits for an answer about its token */
    bool away;
    int status, finished;
    char body[65536];
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static void say_who(struct fake_conn *c, const char *token)
{
    fake_answer(c, 201, JSON,
                arena_printf(&t.a,
                             "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"%s\"}}}",
                             token));
}

static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    struct error err;
    jv body;

    (void)arg;
    ck_assert_int_eq(json_parse(&t.a, r->body, r->len, &body, &err), 0);
    const char *token = JV_STRING(body, "spec", "token"), *user = JV_STRING(body, "spec", "user");
    const char *path = JV_STRING(body, "spec", "nonResourceAttributes", "path");

    if (t.away)
        fake_answer(c, 503, "", "later");
    else if (user)
        fake_answer(c, 201, JSON,
                    !strcmp(user, "boss") || !strcmp(path, "/metrics")
                        ? "{\"status\":{\"allowed\":true}}"
                        : "{\"status\":{\"allowed\":false}}");
    else if (str_eq(token, "slow"))
        t.slow = c;
    else if (str_eq(token, "boss") || str_eq(token, "reader"))
        say_who(c, token);
    else
        fake_answer(c, 201, JSON, "{\"status\":{\"authenticated\":false}}");
}

static bool fine(void *arg, struct strbuf *why)
{
    (void)arg, (void)why;
    return true;
}

static bool not_yet(void *arg, struct strbuf *why)
{
    (void)arg;
    strbuf_adds(why, "waiting");
    return false;
}

static void debug(void *arg, struct strbuf *ret)
{
    (void)arg;
    strbuf_adds(ret, "{\"here\":true}");
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    log_setup(LOG_ERROR, LOG_TEXT);
    scratch_make(t.dir);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    t.pause = timer_new(t.loop, (loop_fn)loop_stop, t.loop);
    timer_start(t.guard, 60000);
    t.api = fake_new(t.loop, serve, NULL);
    cleanup_free char *text = open_kubeconfig(fake_url(t.api));

    t.config = load_kubeconfig(t.loop, t.dir, text);
    t.kube = kube_client_new(t.loop, t.config);
    t.client = http_client_new(t.loop, &(struct http_client_options){NULL, 10, 10});
    t.pair = pair_make("operator", "IP:127.0.0.1");
    t.options =
        (struct health_options){.live = fine, .ready = not_yet, .debug = debug, .kube = t.kube};
}

static void teardown(void)
{
    http_client_free(t.client);
    health_free(t.health);
    kube_client_free(t.kube);
    kube_config_free(t.config);
    fake_free(t.api);
    loop_free(t.loop);
    arena_free(&t.a);
    pair_free(&t.pair);
    metrics_release();
    scratch_remove(t.dir);
}

static void begin(bool secure)
{
    cleanup_free char *cert = xasprintf("%s/tls.crt", t.dir), *key = xasprintf("%s/tls.key", t.dir);
    struct error err = {0};

    scratch_write(t.dir, "tls.crt", t.pair.cert_pem);
    scratch_write(t.dir, "tls.key", t.pair.key_pem);
    t.options.cert_file = secure ? cert : NULL;
    t.options.key_file = secure ? key : NULL;
    t.health = health_new(t.loop, &t.options, &err);
    if (!t.health)
        ck_abort_msg("%s", err.text);
    metric_add(&tested, 1);
}

static void on_done(void *arg, const struct http_response *res, const struct error *err)
{
    (void)arg;
    t.finished++;
    t.status = res ? res->status : -(int)err->code;
    snprintf(t.body, sizeof(t.body), "%s", res ? res->body : err->text);
    loop_stop(t.loop);
}

static struct http_call *start(bool secure, const char *method, const char *path,
                               const char *authorization)
{
    int port = secure ? health_secure_port(t.health) : health_port(t.health);
    cleanup_free char *url =
        xasprintf("%s://127.0.0.1:%d%s", secure ? "https" : "http", port, path);
    struct http_tls *tls = http_tls_new(&(struct http_tls_options){.ca_pem = t.pair.cert_pem});
    const struct http_header headers[] = {{authorization ? "Authorization" : NULL, authorization},
                                          {0}};
    struct error err = {0};
    struct http_call *call = http_send(t.client,
                                       &(struct http_request){.method = method,
                                                              .url = url,
                                                              .headers = headers,
                                                              .tls = tls,
                                                              .timeout_ms = 20000,
                                                              .on_done = on_done},
                                       &err);

    if (!call)
        ck_abort_msg("%s", err.text);
    http_tls_unref(tls);
    return call;
}

static int plain(const char *method, const char *path)
{
    start(false, method, path, NULL);
    loop_run(t.loop);
    return t.status;
}

static int secure(const char *method, const char *path, const char *authorization)
{
    start(true, method, path, authorization);
    loop_run(t.loop);
    return t.status;
}

static void pass(int64_t ms)
{
    timer_start(t.pause, ms);
    loop_run(t.loop);
}

START_TEST(without_a_certificate_metrics_are_open_and_debug_is_not)
{
    begin(false);
    ck_assert_int_eq(health_secure_port(t.health), 0);
    ck_assert_int_eq(plain("GET", "/healthz"), 200);
    ck_assert_str_eq(t.body, "OK");
    ck_assert_int_eq(plain("GET", "/whatever"), 200);
    ck_assert_int_eq(plain("GET", "/readyz"), 500);
    ck_assert_str_eq(t.body, "waiting");
    ck_assert_int_eq(plain("GET", "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(t.body, "\ntested_total 1\n"));
    ck_assert_int_eq(plain("GET", "/debug"), 403);
    ck_assert_ptr_nonnull(strstr(t.body, "run --tls-cert"));
    ck_assert_int_eq(plain("PUT", "/debug/log-level?level=debug"), 403);
    ck_assert_int_eq(log_level(), LOG_ERROR);
    ck_assert_int_eq(plain("PUT", "/metrics"), 405);
}
END_TEST

START_TEST(in_development_debug_is_open_to_this_machine)
{
    t.options.local_debug = true;
    begin(false);
    ck_assert_int_eq(plain("GET", "/debug"), 200);
    ck_assert_str_eq(t.body, "{\"here\":true}\n");
    ck_assert_int_eq(plain("GET", "/debug/log-level"), 200);
    ck_assert_str_eq(t.body, "error\n");
    ck_assert_int_eq(plain("PUT", "/debug/log-level?level=warn"), 200);
    ck_assert_int_eq(log_level(), LOG_WARN);
    ck_assert_int_eq(plain("GET", "/debug/log-level?level=error"), 200);
    ck_assert_int_eq(log_level(), LOG_WARN);
    ck_assert_int_eq(plain("PUT", "/debug/log-level?level=loud"), 400);
    ck_assert_int_eq(plain("PUT", "/debug/log-level"), 400);
    ck_assert_int_eq(log_level(), LOG_WARN);
}
END_TEST

START_TEST(with_a_certificate_the_api_server_decides)
{
    begin(true);
    ck_assert_int_eq(plain("GET", "/healthz"), 200);
    ck_assert_int_eq(plain("GET", "/metrics"), 403);
    ck_assert_int_eq(plain("GET", "/debug"), 403);
    ck_assert_int_eq(secure("GET", "/metrics", NULL), 401);
    ck_assert_int_eq(secure("GET", "/metrics", "Basic boss"), 401);
    ck_assert_int_eq(secure("GET", "/metrics", "Bearer "), 401);
    ck_assert_int_eq(secure("GET", "/metrics", "Bearer other"), 401);
    ck_assert_int_eq(secure("GET", "/metrics", "bearer reader"), 200);
    ck_assert_ptr_nonnull(strstr(t.body, "tested_total 1\n"));
    ck_assert_int_eq(secure("GET", "/metrics", "Bearer reader"), 200);
    ck_assert_int_eq(secure("GET", "/debug", "Bearer reader"), 403);
    ck_assert_str_eq(t.body, "reader may not get /debug\n");
    ck_assert_int_eq(secure("PUT", "/debug/log-level?level=warn", "Bearer reader"), 403);
    ck_assert_str_eq(t.body, "reader may not put /debug/log-level\n");
    ck_assert_int_eq(log_level(), LOG_ERROR);
    ck_assert_int_eq(secure("PUT", "/debug/log-level?level=warn", "Bearer boss"), 200);
    ck_assert_int_eq(log_level(), LOG_WARN);
    ck_assert_int_eq(secure("GET", "/debug", "Bearer boss"), 200);
    ck_assert_int_eq(secure("GET", "/healthz", "Bearer boss"), 404);
}
END_TEST

START_TEST(while_the_api_server_is_away_those_it_knew_go_on)
{
    begin(true);
    ck_assert_int_eq(secure("GET", "/metrics", "Bearer reader"), 200);
    t.away = true;
    log_setup(LOG_ERROR, LOG_TEXT);
    ck_assert_int_eq(secure("GET", "/metrics", "Bearer reader"), 200);
    ck_assert_int_eq(secure("GET", "/metrics", "Bearer boss"), 503);
    ck_assert_ptr_nonnull(strstr(t.body, "cannot find out who asks: "));
    t.away = false;
    ck_assert_int_eq(secure("GET", "/metrics", "Bearer boss"), 200);
}
END_TEST

START_TEST(one_who_waits_holds_up_nobody_and_may_go)
{
    begin(true);
    struct http_call *first = start(true, "GET", "/metrics", "Bearer slow");

    while (!t.slow)
        pass(10);
    ck_assert_int_eq(secure("GET", "/metrics", "Bearer boss"), 200);
    ck_assert_int_eq(plain("GET", "/healthz"), 200);
    start(true, "GET", "/metrics", "Bearer slow");
    pass(200);
    http_drop(first);
    pass(100);
    t.finished = 0;
    say_who(t.slow, "boss");
    while (!t.finished)
        pass(10);
    ck_assert_int_eq(t.status, 200);
    ck_assert_int_eq(t.finished, 1);
}
END_TEST

START_TEST(it_may_go_while_somebody_waits)
{
    begin(true);
    start(true, "GET", "/metrics", "Bearer slow");
    while (!t.slow)
        pass(10);
    health_free(t.health);
    t.health = NULL;
    say_who(t.slow, "boss");
    pass(100);
}
END_TEST

void suite_health(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(without_a_certificate_metrics_are_open_and_debug_is_not);
    T(in_development_debug_is_open_to_this_machine);
    T(with_a_certificate_the_api_server_decides);
    T(while_the_api_server_is_away_those_it_knew_go_on);
    T(one_who_waits_holds_up_nobody_and_may_go);
    T(it_may_go_while_somebody_waits);
}
