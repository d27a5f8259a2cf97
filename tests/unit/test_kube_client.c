/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_server.h"
#include "flinkop/http.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

static struct {
    struct loop *loop;
    struct fake_server *server;
    struct kube_config *config;
    struct kube_client *client;
    struct timer *guard;
    char dir[SCRATCH_ROOM];
    void (*serve)(struct fake_conn *c, const struct fake_request *r);
    /* the last request the server saw, and the last reply */
    struct strbuf request, reply;
    struct error err;
    int done;
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

/* Remembers "METHOD target auth=… type=… accept=… body". */
static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    cleanup_free char *auth = fake_header(r, "Authorization");
    cleanup_free char *type = fake_header(r, "Content-Type");

    (void)arg;
    strbuf_reset(&t.request);
    strbuf_addf(&t.request, "%s %s", r->method, r->target);
    if (auth)
        strbuf_addf(&t.request, " auth=%s", auth);
    if (type)
        strbuf_addf(&t.request, " type=%s", type);
    if (r->len)
        strbuf_addf(&t.request, " %s", r->body);
    t.serve(c, r);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    scratch_make(t.dir);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    timer_start(t.guard, 60000);
    t.server = fake_new(t.loop, serve, NULL);
    strbuf_init(&t.request, 1 << 20);
    strbuf_init(&t.reply, 1 << 20);
    cleanup_free char *text =
        xasprintf("current-context: c\n"
                  "contexts: [{name: c, context: {cluster: k, user: u, namespace: team}}]\n"
                  "clusters: [{name: k, cluster: {server: '%s/prefix'}}]\n"
                  "users: [{name: u, user: {tokenFile: token}}]\n",
                  fake_url(t.server));

    scratch_write(t.dir, "token", "first\n");
    t.config = load_kubeconfig(t.loop, t.dir, text);
    t.client = kube_client_new(t.loop, t.config);
}

static void teardown(void)
{
    kube_client_free(t.client);
    kube_config_free(t.config);
    fake_free(t.server);
    loop_free(t.loop);
    strbuf_release(&t.request);
    strbuf_release(&t.reply);
    metrics_release();
    scratch_remove(t.dir);
}

static void on_done(void *arg, const struct kube_reply *reply)
{
    struct kube_request **r = arg;

    t.done++;
    t.err = *reply->err;
    strbuf_reset(&t.reply);
    if (reply->object.type != JV_ABSENT)
        json_write(&t.reply, reply->object);
    else
        strbuf_add(&t.reply, reply->text, reply->len);
    if (r)
        kube_drop(*r); /* harmless here */
    loop_stop(t.loop);
}

static void call(struct kube_call call)
{
    struct kube_request *r = kube_send(t.client, &call, on_done, &r);

    loop_run(t.loop);
}

#define JSON "Content-Type: application/json\r\n"

static void ok(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_answer(c, 200, JSON, "{\"kind\":\"Thing\"}");
}

START_TEST(calls_are_made_as_the_api_wants)
{
    static const struct {
        struct kube_call call;
        const char *request;
    } cases[] = {
        {{.verb = KUBE_GET, .kind = KIND_POD, .ns = "a", .name = "p"},
         "GET /prefix/api/v1/namespaces/a/pods/p auth=Bearer first"},
        {{.verb = KUBE_GET,
          .kind = KIND_POD,
          .ns = "a",
          .name = "p",
          .subresource = "log",
          .query = "container=c&tailLines=5"},
         "GET /prefix/api/v1/namespaces/a/pods/p/log?container=c&tailLines=5 auth=Bearer first"},
        {{.verb = KUBE_LIST,
          .kind = KIND_FLINKDEPLOYMENT,
          .limit = 2,
          .continue_token = "x/=",
          .label_selector = "a=b,c!=d",
          .field_selector = "metadata.name=n"},
         "GET /prefix/apis/flink.apache.org/v1beta1/flinkdeployments?limit=2&continue=x%2F%3D"
         "&labelSelector=a%3Db%2Cc%21%3Dd&fieldSelector=metadata.name%3Dn auth=Bearer first"},
        {{.verb = KUBE_CREATE, .kind = KIND_EVENT, .ns = "a", .name = "ignored", .body = "{}"},
         "POST /prefix/api/v1/namespaces/a/events?fieldManager=flink-operator auth=Bearer first "
         "type=application/json {}"},
        {{.verb = KUBE_APPLY, .kind = KIND_DEPLOYMENT, .ns = "a", .name = "d", .body = "{}"},
         "PATCH /prefix/apis/apps/v1/namespaces/a/deployments/d?fieldManager=flink-operator"
         "&force=true auth=Bearer first type=application/apply-patch+yaml {}"},
        {{.verb = KUBE_MERGE_PATCH,
          .kind = KIND_FLINKDEPLOYMENT,
          .ns = "a",
          .name = "d",
          .subresource = "status",
          .body = "{}"},
         "PATCH /prefix/apis/flink.apache.org/v1beta1/namespaces/a/flinkdeployments/d/status"
         "?fieldManager=flink-operator auth=Bearer first type=application/merge-patch+json {}"},
        {{.verb = KUBE_DELETE, .kind = KIND_POD, .ns = "a", .name = "p"},
         "DELETE /prefix/api/v1/namespaces/a/pods/p auth=Bearer first type=application/json "
         "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"}"},
        {{.verb = KUBE_DELETE,
          .kind = KIND_POD,
          .ns = "a",
          .name = "p",
          .uid = "u-1",
          .propagation = "Foreground",
          .grace_seconds = -1},
         "DELETE /prefix/api/v1/namespaces/a/pods/p auth=Bearer first type=application/json "
         "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"preconditions\":{\"uid\":\"u-1\"},"
         "\"propagationPolicy\":\"Foreground\",\"gracePeriodSeconds\":0}"},
    };

    t.serve = ok;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        call(cases[i].call);
        ck_assert_str_eq(t.err.text, "");
        ck_assert_str_eq(t.request.buf, cases[i].request);
        ck_assert_str_eq(t.reply.buf, "{\"kind\":\"Thing\"}");
    }
    ck_assert_uint_eq(kube_client_sent(t.client), ARRAY_SIZE(cases));
}
END_TEST

static struct {
    int status;
    const char *headers, *body;
} answer;

static void give_answer(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_answer(c, answer.status, answer.headers, answer.body);
}

START_TEST(statuses_become_errors)
{
#define STATUS(reason, more) \
    "{\"kind\":\"Status\",\"message\":\"the message\",\"reason\":\"" reason "\"" more "}"
    static const struct {
        enum kube_verb verb;
        int status;
        const char *headers, *body;
        enum errc code;
        const char *reason, *text;
        int retry_after_ms;
    } cases[] = {
        {KUBE_GET, 404, JSON, STATUS("NotFound", ",\"details\":{\"name\":\"p\"}"), ERR_NOT_FOUND,
         "NotFound", "get Pod a/p: the message", 0},
        {KUBE_GET, 404, JSON, STATUS("NotFound", ",\"details\":{}"), ERR_NOT_FOUND, "NotServed",
         "get Pod a/p: the message", 0},
        {KUBE_CREATE, 409, JSON, STATUS("AlreadyExists", ""), ERR_EXISTS, "AlreadyExists",
         "create Pod a/p: the message", 0},
        {KUBE_CREATE, 409, JSON, STATUS("Conflict", ""), ERR_CONFLICT, "Conflict",
         "create Pod a/p: the message", 0},
        {KUBE_MERGE_PATCH, 409, JSON, STATUS("Conflict", ""), ERR_CONFLICT, "Conflict",
         "patch Pod a/p: the message", 0},
        {KUBE_APPLY, 422, JSON, STATUS("Invalid", ""), ERR_INVALID, "Invalid",
         "apply Pod a/p: the message", 0},
        {KUBE_CREATE, 403, JSON,
         STATUS("Forbidden", ",\"details\":{\"causes\":[{\"reason\":\"NamespaceTerminating\"}]}"),
         ERR_FORBIDDEN, "NamespaceTerminating", "create Pod a/p: the message", 0},
        {KUBE_DELETE, 410, JSON, STATUS("Expired", ""), ERR_GONE, "Expired",
         "delete Pod a/p: the message", 0},
        {KUBE_GET, 429, JSON "Retry-After: 3\r\n",
         STATUS("TooManyRequests", ",\"details\":{\"retryAfterSeconds\":9}"), ERR_THROTTLED,
         "TooManyRequests", "get Pod a/p: the message", 3000},
        {KUBE_GET, 503, JSON,
         STATUS("ServiceUnavailable", ",\"details\":{\"retryAfterSeconds\":9}"), ERR_SERVER,
         "ServiceUnavailable", "get Pod a/p: the message", 9000},
        {KUBE_GET, 502, "Content-Type: text/html\r\n", "<h1>Bad\001 Gateway</h1>", ERR_SERVER, "",
         "get Pod a/p: status 502: <h1>Bad? Gateway</h1>", 0},
        {KUBE_APPLY, 500, JSON,
         "{\"kind\":\"Status\",\"message\":\"failed to create typed patch object (a/p; /v1, Kind=Pod): "
         ".spec.x: field not declared in schema\",\"code\":500}",
         ERR_INVALID, "", "apply Pod a/p: failed to create typed patch object", 0},
        {KUBE_GET, 500, "", "", ERR_SERVER, "", "get Pod a/p: status 500: ", 0},
        {KUBE_GET, 504, JSON,
         STATUS("Timeout", ",\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}"),
         ERR_TIMEOUT, "ResourceVersionTooLarge", "get Pod a/p: the message", 0},
        {KUBE_GET, 200, JSON, "{\"cut", ERR_PARSE, "", "get Pod a/p: malformed JSON", 0},
        {KUBE_LIST, 200, "Content-Type: text/html\r\n", "<html>Log in</html>", ERR_PARSE, "",
         "list Pod a/p: status 200 with no JSON, but text/html", 0},
        {KUBE_APPLY, 200, "", "", ERR_PARSE, "",
         "apply Pod a/p: status 200 with no JSON, but no type", 0},
        {KUBE_GET, 301, "Location: /x\r\n", "", ERR_INVALID, "", "get Pod a/p: status 301", 0},
    };

    t.serve = give_answer;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        answer.status = cases[i].status;
        answer.headers = cases[i].headers;
        answer.body = cases[i].body;
        call((struct kube_call){
            .verb = cases[i].verb, .kind = KIND_POD, .ns = "a", .name = "p", .body = "{}"});
        assert_error(&t.err, cases[i].code, cases[i].text);
        ck_assert_str_eq(t.err.reason, cases[i].reason);
        ck_assert_int_eq(t.err.retry_after_ms, cases[i].retry_after_ms);
        if (cases[i].code != ERR_PARSE)
            ck_assert_int_eq(t.err.http, cases[i].status);
    }
}
END_TEST

static void text(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_answer(c, 200, "Content-Type: text/plain\r\n", "{a log line\n");
}

START_TEST(a_log_is_text)
{
    t.serve = text;
    call((struct kube_call){
        .verb = KUBE_GET, .kind = KIND_POD, .ns = "a", .name = "p", .subresource = "log"});
    ck_assert_int_eq(t.err.code, ERR_NONE);
    ck_assert_str_eq(t.reply.buf, "{a log line\n");
}
END_TEST

static void only_second(struct fake_conn *c, const struct fake_request *r)
{
    if (strstr(r->head, "Bearer second"))
        fake_answer(c, 200, JSON, "{\"ok\":true}");
    else
        fake_answer(c, 401, JSON, "{\"kind\":\"Status\",\"message\":\"no\",\"reason\":\"Unauth\"}");
}

START_TEST(a_401_is_retried_once_with_what_the_file_has_now)
{
    t.serve = only_second;
    call((struct kube_call){.verb = KUBE_LIST, .kind = KIND_POD});
    assert_error(&t.err, ERR_UNAUTHORIZED, "list Pod: no");
    ck_assert_int_eq(fake_requests(t.server), 2);
    scratch_write(t.dir, "token", "second");
    call((struct kube_call){.verb = KUBE_CREATE, .kind = KIND_POD, .ns = "a", .body = "{1}"});
    ck_assert_str_eq(t.err.text, "");
    ck_assert_str_eq(t.reply.buf, "{\"ok\":true}");
    ck_assert_ptr_nonnull(strstr(t.request.buf, "{1}"));
    /* the 401 before had made it read the file anew, so that no further one was needed */
    ck_assert_int_eq(fake_requests(t.server), 3);
    scratch_write(t.dir, "token", "third");
    call((struct kube_call){.verb = KUBE_GET, .kind = KIND_POD, .ns = "a", .name = "p"});
    ck_assert_str_eq(t.err.text, ""); /* read at most once a minute while it works */
}
END_TEST

static void hang(struct fake_conn *c, const struct fake_request *r)
{
    (void)c;
    (void)r;
}

START_TEST(every_call_has_a_deadline)
{
    t.serve = hang;
    call((struct kube_call){.verb = KUBE_LIST, .kind = KIND_POD, .ns = "a", .timeout_ms = 50});
    assert_error(&t.err, ERR_TIMEOUT, "list Pod a: no complete answer");
}
END_TEST

static void ask(int n, const char *ns, int timeout_ms)
{
    for (int i = 0; i < n; i++)
        kube_send(t.client,
                  &(struct kube_call){
                      .verb = KUBE_LIST, .kind = KIND_POD, .ns = ns, .timeout_ms = timeout_ms},
                  on_done, NULL);
}

/* Runs until the server has seen so many requests, and makes sure that these are all. */
static void assert_asked(int n)
{
    struct timer *stop = timer_new(t.loop, (loop_fn)loop_stop, t.loop);

    for (int quiet = 0; quiet < 2;) {
        int seen = fake_requests(t.server);

        timer_start(stop, 50);
        loop_run(t.loop);
        quiet = fake_requests(t.server) == seen && seen >= n ? quiet + 1 : 0;
    }
    timer_free(stop);
    ck_assert_int_eq(fake_requests(t.server), n);
}

START_TEST(a_namespace_leaves_others_some_connections)
{
    t.serve = hang;
    ask(70, "noisy", 60000);
    assert_asked(32);
    ask(20, "b", 60000);
    assert_asked(32 + 16);
    ask(1, "c", 60000);
    ask(1, NULL, 60000);
    assert_asked(32 + 16 + 2);
    ck_assert_int_eq(t.done, 0);
}
END_TEST

START_TEST(who_waits_comes_in_as_soon_as_there_is_room)
{
    t.serve = ok;
    ask(100, "a", 60000);
    while (t.done < 100)
        loop_run(t.loop);
    ck_assert_str_eq(t.err.text, "");
    ck_assert_int_eq(fake_requests(t.server), 100);
}
END_TEST

START_TEST(who_waits_has_a_deadline_too)
{
    t.serve = hang;
    ask(32, "a", 60000); /* as many as may run */
    ask(68, "a", 10);
    while (t.done < 68) {
        loop_run(t.loop);
        ck_assert_int_eq(t.err.code, ERR_TIMEOUT);
    }
    assert_error(&t.err, ERR_TIMEOUT, "list Pod a: not asked within 10 ms: as many calls of its");
    assert_asked(32);
}
END_TEST

START_TEST(no_api_server_is_unreachable)
{
    fake_free(t.server);
    t.server = fake_new(t.loop, serve, NULL); /* another port */
    call((struct kube_call){.verb = KUBE_CREATE, .kind = KIND_POD, .ns = "a", .body = "{}"});
    assert_error(&t.err, ERR_UNREACHABLE, "create Pod a: cannot connect to 127.0.0.1");
}
END_TEST

START_TEST(dropped_calls_stay_silent)
{
    const struct kube_call get = {.verb = KUBE_GET, .kind = KIND_POD, .ns = "a", .name = "p"};

    t.serve = hang;
    struct kube_request *r = kube_send(t.client, &get, on_done, NULL);
    kube_drop(r);
    kube_drop(NULL);
    kube_send(t.client, &get, on_done, NULL); /* left to kube_client_free */
    loop_defer(t.loop, NULL, (loop_fn)loop_stop, t.loop);
    loop_run(t.loop);
    ck_assert_int_eq(t.done, 0);
}
END_TEST

static void free_client(void *arg, const struct kube_reply *reply)
{
    (void)arg;
    ck_assert_str_eq(reply->err->text, "");
    kube_client_free(t.client);
    t.client = NULL;
    loop_stop(t.loop);
}

START_TEST(the_client_may_be_freed_in_a_callback)
{
    const struct kube_call get = {.verb = KUBE_GET, .kind = KIND_POD, .ns = "a", .name = "p"};

    t.serve = ok;
    for (int i = 0; i < 5; i++)
        kube_send(t.client, &get, free_client, NULL);
    loop_run(t.loop);
}
END_TEST

START_TEST(requests_are_counted)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);

    t.serve = ok;
    call((struct kube_call){.verb = KUBE_GET, .kind = KIND_POD, .ns = "a", .name = "p"});
    call((struct kube_call){.verb = KUBE_GET, .kind = KIND_POD, .ns = "a", .name = "p"});
    cleanup_free char *line =
        xasprintf("rest_client_requests_total{code=\"200\",method=\"GET\",host=\"%s\"} 2",
                  fake_url(t.server) + 7);
    cleanup_free char *count =
        xasprintf("rest_client_request_duration_seconds_count{verb=\"GET\",host=\"%s\"} 2",
                  fake_url(t.server) + 7);

    metrics_write(&sb);
    ck_assert_ptr_nonnull(strstr(sb.buf, line));
    ck_assert_ptr_nonnull(strstr(sb.buf, count));
}
END_TEST

/* ---- through the proxy ---- */

static void on_proxied(void *arg, const struct http_response *res, const struct error *err)
{
    (void)arg;
    t.err = *err;
    strbuf_reset(&t.reply);
    if (res)
        strbuf_addf(&t.reply, "%d %s", res->status, res->body);
    loop_stop(t.loop);
}

static ssize_t read_jar(void *arg, char *buf, size_t n)
{
    int *left = arg;

    n = MIN(n, (size_t)*left);
    memset(buf, 'j', n);
    *left -= (int)n;
    return (ssize_t)n;
}

START_TEST(a_service_is_reached_through_the_proxy)
{
    const struct http_header headers[] = {{"Content-Type", "application/json"}, {0}};
    struct http_request req = {.method = "POST",
                               .url = "/jobs/1?mode=cancel",
                               .headers = headers,
                               .body = "{}",
                               .body_len = 2,
                               .timeout_ms = 5000,
                               .on_done = on_proxied};
    int left = 100000;
    struct error err = {0};

    t.serve = ok;
    ck_assert_ptr_nonnull(
        kube_proxy_send(t.client, KIND_SERVICE, "team", "http:my-rest:8081", &req, &err));
    loop_run(t.loop);
    ck_assert_str_eq(t.reply.buf, "200 {\"kind\":\"Thing\"}");
    ck_assert_str_eq(t.request.buf,
                     "POST /prefix/api/v1/namespaces/team/services/http:my-rest:8081/proxy/jobs/1"
                     "?mode=cancel auth=Bearer first type=application/json {}");

    struct http_part part = {"jarfile", "a.jar", "application/java-archive", read_jar, &left, -1};
    req = (struct http_request){.method = "POST",
                                .url = "/jars/upload",
                                .part = &part,
                                .timeout_ms = 5000,
                                .on_done = on_proxied};
    ck_assert_ptr_nonnull(
        kube_proxy_send(t.client, KIND_SERVICE, "team", "my-rest:rest", &req, &err));
    loop_run(t.loop);
    ck_assert_str_eq(t.reply.buf, "200 {\"kind\":\"Thing\"}");
    ck_assert_uint_gt(t.request.len, 100000);

    req.url = "jars";
    ck_assert_ptr_null(kube_proxy_send(t.client, KIND_SERVICE, "team", "my-rest:rest", &req, &err));
    assert_error(&err, ERR_INVALID, "not an absolute path");
    req.url = "/jars";
    ck_assert_ptr_null(kube_proxy_send(t.client, KIND_SERVICE, "team", "x/../y", &req, &err));
    kube_http_drop(kube_proxy_send(t.client, KIND_SERVICE, "team", "my-rest:rest", &req, &err));
}
END_TEST

static bool closed(void *arg)
{
    (void)arg;
    return false;
}

START_TEST(a_fence_is_for_writes_but_not_of_leases)
{
    static const struct http_fence fence = {closed, NULL};
    static const struct {
        enum kube_verb verb;
        enum kube_kind kind;
        enum errc code;
    } cases[] = {
        {KUBE_GET, KIND_POD, ERR_NONE},
        {KUBE_LIST, KIND_POD, ERR_NONE},
        {KUBE_CREATE, KIND_POD, ERR_UNREACHABLE},
        {KUBE_APPLY, KIND_DEPLOYMENT, ERR_UNREACHABLE},
        {KUBE_MERGE_PATCH, KIND_FLINKDEPLOYMENT, ERR_UNREACHABLE},
        {KUBE_DELETE, KIND_POD, ERR_UNREACHABLE},
        {KUBE_MERGE_PATCH, KIND_LEASE, ERR_NONE},
    };

    t.serve = ok;
    kube_client_set_fence(t.client, &fence);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        call((struct kube_call){
            .verb = cases[i].verb, .kind = cases[i].kind, .ns = "a", .name = "n", .body = "{}"});
        ck_assert_msg(t.err.code == cases[i].code, "case %zu: %s", i, t.err.text);
    }
    ck_assert_int_eq(fake_requests(t.server), 3);
}
END_TEST

START_TEST(paths_and_kinds_come_from_the_table)
{
    cleanup_free char *status =
        kube_path(kube_resource(KIND_FLINKSESSIONJOB), "n s", "x/y", "status");

    ck_assert_str_eq(status, "/apis/flink.apache.org/v1beta1/namespaces/n%20s/flinksessionjobs/"
                             "x%2Fy/status");
    ck_assert_ptr_eq(kube_resource_of("apps/v1", "Deployment"), kube_resource(KIND_DEPLOYMENT));
    ck_assert_ptr_null(kube_resource_of("apps/v1", "Pod"));
    ck_assert_ptr_null(kube_resource_of(NULL, "Pod"));
}
END_TEST

void suite_kube_client(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(calls_are_made_as_the_api_wants);
    T(statuses_become_errors);
    T(a_log_is_text);
    T(a_401_is_retried_once_with_what_the_file_has_now);
    T(every_call_has_a_deadline);
    T(a_namespace_leaves_others_some_connections);
    T(who_waits_comes_in_as_soon_as_there_is_room);
    T(who_waits_has_a_deadline_too);
    T(no_api_server_is_unreachable);
    T(dropped_calls_stay_silent);
    T(the_client_may_be_freed_in_a_callback);
    T(requests_are_counted);
    T(a_service_is_reached_through_the_proxy);
    T(a_fence_is_for_writes_but_not_of_leases);
    T(paths_and_kinds_come_from_the_table);
}
