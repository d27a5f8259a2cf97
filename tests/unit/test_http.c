/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client: calls, connections, redirects, guards. */
#include <stdio.h>

#include "flinkop/address.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "http_scene.h"
#include "unit.h"

/* ---- plain calls ---- */

START_TEST(methods_headers_and_bodies_arrive)
{
    static const struct {
        const char *method, *body, *type, *custom, *seen;
    } cases[] = {
        {"GET", NULL, NULL, NULL, "GET /p?q=1 type=- agent=test/1 expect=- custom=- body="},
        {"POST", "hello", "text/plain", "a b",
         "POST /p?q=1 type=text/plain agent=test/1 expect=- custom=a b body=hello"},
        {"POST", NULL, NULL, NULL, "POST /p?q=1 type=- agent=test/1 expect=- custom=- body="},
        {"PUT", "x", NULL, "", "PUT /p?q=1 type=- agent=test/1 expect=- custom= body=x"},
        {"PATCH", "{}", "application/json", NULL,
         "PATCH /p?q=1 type=application/json agent=test/1 expect=- custom=- body={}"},
        {"DELETE", NULL, NULL, NULL, "DELETE /p?q=1 type=- agent=test/1 expect=- custom=- body="},
        {"DELETE", "{}", "a/b", NULL,
         "DELETE /p?q=1 type=a/b agent=test/1 expect=- custom=- body={}"},
    };

    scene.serve = serve_echo;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_header h[3] = {{0}};
        int n = 0;

        if (cases[i].type)
            h[n++] = (struct http_header){"Content-Type", cases[i].type};
        if (cases[i].custom)
            h[n++] = (struct http_header){"X-Custom", cases[i].custom};
        struct result *r =
            scene_run((struct http_request){.method = cases[i].method,
                                            .headers = h,
                                            .body = cases[i].body,
                                            .body_len = strlen(str_or_empty(cases[i].body))},
                      "/p?q=1");

        ck_assert_str_eq(r->err.text, "");
        ck_assert_int_eq(r->status, 201);
        ck_assert_str_eq(r->body.buf, cases[i].seen);
        ck_assert_str_eq(r->type, "text/x-test");
    }
    ck_assert_int_eq(fake_connections(scene.server), 1);
    ck_assert_uint_eq(http_client_active(scene.client), 0);
}
END_TEST

static void answer_head(struct fake_conn *c, const struct fake_request *r)
{
    fake_writef(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    ck_assert_str_eq(r->method, "HEAD");
}

START_TEST(head_has_no_body)
{
    scene.serve = answer_head;
    struct result *r = GET(.method = "HEAD");

    ck_assert_int_eq(r->err.code, ERR_NONE);
    ck_assert_int_eq(r->length, 1000);
    ck_assert_uint_eq(r->body.len, 0);
}
END_TEST

START_TEST(what_cannot_be_sent_is_refused_at_once)
{
    static const struct {
        const char *method, *url;
        struct http_header header;
        const char *words;
    } cases[] = {
        {"GET", "ftp://127.0.0.1/", {0}, "neither http nor https"},
        {"GET", "file:///etc/passwd", {0}, "bad URL"},
        {"GET", "http://", {0}, "bad URL"},
        {"GET", "http://a b/", {0}, "bad URL"},
        {"GET", "http://u:p@127.0.0.1/", {0}, "bad URL"},
        {"GET", "http:///u:p@127.0.0.1/", {0}, "bad URL"},
        {"GET", "http://h/a\nb", {0}, "bad URL"},
        {"GET", NULL, {0}, "no URL"},
        {"get", "http://h/", {0}, "bad HTTP method"},
        {"GET / HTTP/1.1\r\nX: y", "http://h/", {0}, "bad HTTP method"},
        {"GET", "http://h/", {"X", "a\r\nEvil: 1"}, "malformed header \"X\""},
        {"GET", "http://h/", {"X: y", "z"}, "malformed header"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_header h[2] = {cases[i].header};
        struct http_request req = {
            .method = cases[i].method, .url = cases[i].url, .headers = h, .on_done = scene_on_done};
        struct error err = {0};

        ck_assert_ptr_null(http_send(scene.client, &req, &err));
        assert_error(&err, ERR_INVALID, cases[i].words);
    }
    ck_assert_uint_eq(http_client_active(scene.client), 0);
}
END_TEST

START_TEST(text_is_escaped_and_statuses_have_codes)
{
    cleanup_free char *s = http_escape("a b/c?d=e&f%~-._\xc3\xa9");
    struct error err = {0};

    ck_assert_str_eq(s, "a%20b%2Fc%3Fd%3De%26f%25~-._%C3%A9");
    static const struct {
        int status;
        enum errc code;
    } codes[] = {{302, ERR_INVALID},   {400, ERR_INVALID},   {401, ERR_UNAUTHORIZED},
                 {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND}, {409, ERR_CONFLICT},
                 {410, ERR_GONE},      {413, ERR_TOO_LARGE}, {418, ERR_INVALID},
                 {422, ERR_INVALID},   {429, ERR_THROTTLED}, {500, ERR_SERVER},
                 {503, ERR_SERVER},    {504, ERR_TIMEOUT}};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        ck_assert_int_eq(http_status_error(codes[i].status, &err, "get %s", "x"), -1);
        assert_error(&err, codes[i].code, "get x");
        ck_assert_int_eq(err.http, codes[i].status);
    }
}
END_TEST

static void answer_busy(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_writef(c, "HTTP/1.1 102 Processing\r\n\r\n");
    fake_answer(c, 429, "Retry-After: 7\r\n", "slow down");
}

START_TEST(statuses_are_results_and_interim_ones_are_skipped)
{
    scene.serve = answer_busy;
    struct result *r = GET(.on_head = scene_on_head);

    ck_assert_int_eq(r->err.code, ERR_NONE);
    ck_assert_int_eq(r->heads, 1);
    ck_assert_int_eq(r->status, 429);
    ck_assert_int_eq(r->retry_after_ms, 7000);
    ck_assert_str_eq(r->body.buf, "slow down");
}
END_TEST

static const char *head_lines;

static void answer_with_lines(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_answer(c, 200, head_lines, "x");
}

START_TEST(what_tells_one_content_from_another_is_strong)
{
    static const struct {
        const char *lines, *validator;
    } cases[] = {
        {"ETag: \"a\"\r\n", "\"a\""},
        {"etag: \"b\"\r\n", "\"b\""},
        {"ETag: W/\"a\"\r\n", NULL},
        {"ETag: a\r\n", NULL},
        {"", NULL},
    };

    scene.serve = answer_with_lines;
    head_lines = cases[_i].lines;
    struct result *r = GET(.on_head = scene_on_head);

    ck_assert_int_eq(r->status, 200);
    ck_assert_str_eq(r->validator, str_or_empty(cases[_i].validator));
}
END_TEST

START_TEST(many_calls_share_few_connections)
{
    scene.serve = serve_echo;
    for (int i = 0; i < 200; i++)
        scene_start((struct http_request){0}, "/many");
    ck_assert_uint_eq(http_client_active(scene.client), 200);
    loop_run(scene.loop);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(scene.r[i].status, 201);
    ck_assert_int_le(fake_connections(scene.server), 8);
}
END_TEST

START_TEST(names_are_resolved)
{
    cleanup_free char *url =
        xasprintf("http://localhost:%s/", strrchr(fake_url(scene.server), ':') + 1);

    scene.serve = serve_echo;
    ck_assert_int_eq(scene_run((struct http_request){0}, url)->status, 201);
}
END_TEST

/* ---- connections ---- */

START_TEST(kept_connections_are_closed_after_a_while)
{
    http_client_free(scene.client);
    scene.client = http_client_new(scene.loop, &(struct http_client_options){NULL, 16, 8, 50});
    scene.serve = serve_echo;
    for (int i = 0; i < 20; i++)
        scene_start((struct http_request){0}, "/");
    loop_run(scene.loop);
    ck_assert_int_eq(fake_open(scene.server), 8);
    ck_assert_int_eq(GET(0)->status, 201);
    scene.later = timer_new(scene.loop, (loop_fn)loop_stop, scene.loop);
    timer_start(scene.later, 150);
    loop_run(scene.loop);
    ck_assert_int_eq(fake_open(scene.server), 0);
    ck_assert_int_eq(GET(0)->status, 201);
}
END_TEST

/* Of each host curl remembers something, also when its connection was closed for another's. */
START_TEST(what_is_remembered_of_many_hosts_is_given_up)
{
    const char *port = strrchr(fake_url(scene.server), ':') + 1;

    scene.serve = serve_echo;
    for (int i = 0; i < SCENE_HOSTS; i++) {
        cleanup_free char *url = xasprintf("http://host-%d.localhost:%s/", i, port);

        ck_assert_int_eq(scene_run((struct http_request){0}, url)->status, 201);
    }
    scene.later = timer_new(scene.loop, (loop_fn)loop_stop, scene.loop);
    timer_start(scene.later, 20);
    loop_run(scene.loop);
    ck_assert_int_eq(fake_connections(scene.server), SCENE_HOSTS);
    ck_assert_int_eq(fake_open(scene.server), 0); /* kept ones would stay for a minute */
    ck_assert_int_eq(GET(0)->status, 201);
}
END_TEST

START_TEST(a_proxy_is_used_only_when_it_is_given)
{
    cleanup_free char *https = xasprintf("https://nowhere.invalid/x");

    scene.serve = serve_echo;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "*", 1);
    ck_assert_int_eq(GET(0)->status, 201);
    struct result *r = scene_run((struct http_request){.proxy = fake_url(scene.server)},
                                 "http://nowhere.invalid/x");
    ck_assert(str_has_prefix(r->body.buf, "GET http://nowhere.invalid/x "));
    /* our stand-in answers a CONNECT with a 201 and a body: no tunnel to speak TLS through */
    r = scene_run((struct http_request){.proxy = fake_url(scene.server), .connect_timeout_ms = 500},
                  https);
    ck_assert_int_eq(r->err.code, ERR_UNREACHABLE);
}
END_TEST

/* ---- redirects ---- */

static void redirect(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_answer(c, 307, "Location: /end\r\n", "go there");
}

START_TEST(redirects_are_results)
{
    cleanup_free char *end = xasprintf("%s/end", fake_url(scene.server));

    scene.serve = redirect;
    struct result *r = GET(.on_head = scene_on_head, .on_data = scene_on_data);
    ck_assert_int_eq(r->status, 307);
    ck_assert_str_eq(r->location, end);
    ck_assert_str_eq(r->body.buf, "go there");
}
END_TEST

START_TEST(an_origin_is_scheme_host_and_port)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"https://h/a", "https://H:443/b?c", true},  {"http://h", "https://h", false},
        {"https://h", "https://h:444", false},       {"https://h", "https://h.x", false},
        {"https://h/https://i", "https://i", false}, {"nonsense", "nonsense", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        ck_assert_msg(http_same_origin(cases[i].a, cases[i].b) == cases[i].same, "case %zu", i);
}
END_TEST

START_TEST(the_host_of_a_url_and_the_address_of_a_peer)
{
    static const struct {
        const char *url, *host;
    } urls[] = {
        {"https://a.example:8443/b?c", "a.example"},
        {"http://u:p@h/x", "h"},
        {"http://[fd00::1]:80/x", "fd00::1"},
        {"http://2130706433/x", "127.0.0.1"},
        {"http://0x7f.1/x", "127.0.0.1"},
        {"nonsense", NULL},
    };
    static const char *const no_peers[] = {"", ":80", "10.0.0.1", "[]:80", "localhost:80", "[::1"};
    struct ip ip, want;

    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        cleanup_free char *host = http_url_host(urls[i].url);

        ck_assert_msg(str_eq(host, urls[i].host), "%s: %s", urls[i].url, str_or(host, "none"));
    }
    for (size_t i = 0; i < ARRAY_SIZE(no_peers); i++)
        ck_assert_msg(!http_peer_ip(no_peers[i], &ip), "%s", no_peers[i]);
    ck_assert(http_peer_ip("10.0.0.1:80", &ip) && ip_parse("10.0.0.1", &want) &&
              ip_same(&ip, &want));
    ck_assert(http_peer_ip("[fd00::1]:80", &ip) && ip_parse("fd00::1", &want) &&
              ip_same(&ip, &want));
}
END_TEST

/* ---- guards ---- */

static const char *refuse(void *arg, const struct ip *ip)
{
    const struct ip_kind *kind = ip_kind(ip);

    ++*(int *)arg;
    return kind->reach == IP_PUBLIC ? NULL : kind->what;
}

START_TEST(a_guard_sees_addresses_before_there_is_a_connection)
{
    int asked = 0;
    const struct http_guard guard = {refuse, &asked};

    scene.serve = serve_echo;
    assert_error(&GET(.guard = &guard)->err, ERR_FORBIDDEN, ": a loopback address");
    cleanup_free char *by_name =
        xasprintf("http://localhost%s/", strrchr(fake_url(scene.server), ':'));

    assert_error(&scene_run((struct http_request){.guard = &guard}, by_name)->err, ERR_FORBIDDEN,
                 "localhost:");
    ck_assert_int_eq(fake_connections(scene.server), 0);
    ck_assert_int_ge(asked, 2);
}
END_TEST

START_TEST(a_guard_sees_kept_connections_of_others)
{
    int asked = 0;
    const struct http_guard guard = {refuse, &asked};

    scene.serve = serve_echo;
    ck_assert_int_eq(GET()->status, 201); /* and the connection is kept */
    assert_error(&GET(.guard = &guard)->err, ERR_FORBIDDEN, ": a loopback address");
    ck_assert_int_eq(fake_requests(scene.server), 1);
    ck_assert_int_eq(fake_connections(scene.server), 1);
}
END_TEST

START_TEST(a_guard_is_not_led_around_by_a_proxy_of_the_environment)
{
    int asked = 0;
    const struct http_guard guard = {refuse, &asked};

    scene.serve = serve_echo;
    setenv("http_proxy", fake_url(scene.server), 1);
    setenv("ALL_PROXY", fake_url(scene.server), 1);
    assert_error(&scene_run((struct http_request){.guard = &guard}, "http://127.0.0.1:1/x")->err,
                 ERR_FORBIDDEN, "127.0.0.1:1: a loopback address");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    ck_assert_int_eq(fake_connections(scene.server), 0);
}
END_TEST

void suite_http(TCase *tc)
{
    tcase_add_checked_fixture(tc, scene_setup, scene_teardown);
    T(methods_headers_and_bodies_arrive);
    T(head_has_no_body);
    T(what_cannot_be_sent_is_refused_at_once);
    T(text_is_escaped_and_statuses_have_codes);
    T(statuses_are_results_and_interim_ones_are_skipped);
    tcase_add_loop_test(tc, what_tells_one_content_from_another_is_strong, 0, 5);
    T(many_calls_share_few_connections);
    T(names_are_resolved);
    T(kept_connections_are_closed_after_a_while);
    T(what_is_remembered_of_many_hosts_is_given_up);
    T(a_proxy_is_used_only_when_it_is_given);
    T(redirects_are_results);
    T(an_origin_is_scheme_host_and_port);
    T(the_host_of_a_url_and_the_address_of_a_peer);
    T(a_guard_sees_addresses_before_there_is_a_connection);
    T(a_guard_sees_kept_connections_of_others);
    T(a_guard_is_not_led_around_by_a_proxy_of_the_environment);
}
