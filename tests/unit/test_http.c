/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_server.h"
#include "flinkop/address.h"
#include "flinkop/clock.h"
#include "flinkop/http.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

/* What came of one call. */
struct result {
    int done, heads, status;
    struct error err;
    struct strbuf body;
    char type[64], location[256];
    int retry_after_ms;
    char validator[40]; /* of the head */
    int64_t length;
    /* how a streaming sink behaves */
    int wait_every; /* HTTP_WAIT for each n-th piece */
    int pieces;
    bool abort, drop, free_client;
    struct http_call *call;
};

#define MANY 260 /* hosts: more than a client remembers */

static struct {
    struct loop *loop;
    struct http_client *client;
    struct fake_server *server;
    struct timer *guard, *later;
    void (*serve)(struct fake_conn *c, const struct fake_request *r);
    struct fake_conn *conn;
    struct result r[MANY + 40];
    int expected, finished;
    char *seen; /* what the server wants to remember */
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    (void)arg;
    t.serve(c, r);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    timer_start(t.guard, 60000);
    t.client =
        http_client_new(t.loop, &(struct http_client_options){"test/1", 16, /* per host */ 8});
    t.server = fake_new(t.loop, serve, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(t.r); i++)
        strbuf_init(&t.r[i].body, (size_t)64 << 20);
}

static void teardown(void)
{
    http_client_free(t.client);
    fake_free(t.server);
    timer_free(t.later);
    loop_free(t.loop);
    for (size_t i = 0; i < ARRAY_SIZE(t.r); i++)
        strbuf_release(&t.r[i].body);
    free(t.seen);
    metrics_release();
}

static void on_done(void *arg, const struct http_response *res, const struct error *err)
{
    struct result *r = arg;

    ck_assert_int_eq(r->done++, 0);
    ck_assert((res != NULL) == (err->code == ERR_NONE));
    r->err = *err;
    if (res) {
        r->status = res->status;
        strbuf_add(&r->body, res->body, res->len);
        snprintf(r->type, sizeof(r->type), "%s", res->content_type);
        snprintf(r->location, sizeof(r->location), "%s", str_or_empty(res->location));
        r->retry_after_ms = res->retry_after_ms;
        r->length = res->content_length;
        ck_assert(str_has_prefix(res->peer, "127.0.0.1:"));
    }
    http_drop(r->call); /* harmless here */
    if (++t.finished == t.expected)
        loop_stop(t.loop);
}

static void on_head(void *arg, const struct http_response *head)
{
    struct result *r = arg;

    r->heads++;
    r->status = head->status;
    snprintf(r->validator, sizeof(r->validator), "%s", str_or_empty(head->validator));
    if (r->drop) {
        http_drop(r->call);
        loop_stop(t.loop);
    }
}

static void resume(void *arg)
{
    struct result *r = arg;

    http_resume(r->call);
}

static ssize_t on_data(void *arg, const char *data, size_t n)
{
    struct result *r = arg;

    ck_assert_int_eq(r->heads, 1);
    if (r->abort)
        return HTTP_ABORT;
    if (r->free_client) {
        http_client_free(t.client);
        t.client = NULL;
        loop_stop(t.loop);
        return (ssize_t)n;
    }
    if (r->wait_every && ++r->pieces % r->wait_every == 0) {
        if (!t.later)
            t.later = timer_new(t.loop, resume, r);
        timer_start(t.later, 1);
        return HTTP_WAIT;
    }
    strbuf_add(&r->body, data, n);
    return (ssize_t)n;
}

/* Starts a call to `path` of the fake server (or a whole URL). */
static struct result *start(struct http_request req, const char *path)
{
    struct result *r = &t.r[t.expected++];
    cleanup_free char *url = *path == '/' ? xasprintf("%s%s", fake_url(t.server), path)
                                          : xstrdup(path);
    struct error err = {0};

    req.method = str_or(req.method, "GET");
    req.url = url;
    req.on_done = on_done;
    req.arg = r;
    r->call = http_send(t.client, &req, &err);
    if (!r->call)
        ck_abort_msg("%s", err.text);
    ck_assert_int_eq(r->done, 0);
    return r;
}

static struct result *run(struct http_request req, const char *path)
{
    struct result *r = start(req, path);

    loop_run(t.loop);
    return r;
}

#define GET(...) run((struct http_request){__VA_ARGS__}, "/")

static void assert_broken(const struct result *r, const char *words)
{
    assert_error(&r->err, ERR_SERVER, words);
    ck_assert_str_eq(r->err.reason, "ConnectionBroken");
}

/* ---- plain calls ---- */

static void echo(struct fake_conn *c, const struct fake_request *r)
{
    cleanup_free char *type = fake_header(r, "Content-Type");
    cleanup_free char *agent = fake_header(r, "User-Agent");
    cleanup_free char *expect = fake_header(r, "Expect");
    cleanup_free char *custom = fake_header(r, "X-Custom");
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);

    strbuf_addf(&sb, "%s %s type=%s agent=%s expect=%s custom=%s body=", r->method, r->target,
                str_or(type, "-"), str_or(agent, "-"), str_or(expect, "-"), str_or(custom, "-"));
    strbuf_add(&sb, r->body, r->len);
    fake_answer(c, 201, "Content-Type: text/x-test\r\n", sb.buf);
}

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

    t.serve = echo;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_header h[3] = {{0}};
        int n = 0;

        if (cases[i].type)
            h[n++] = (struct http_header){"Content-Type", cases[i].type};
        if (cases[i].custom)
            h[n++] = (struct http_header){"X-Custom", cases[i].custom};
        struct result *r =
            run((struct http_request){.method = cases[i].method,
                                      .headers = h,
                                      .body = cases[i].body,
                                      .body_len = strlen(str_or_empty(cases[i].body))},
                "/p?q=1");

        ck_assert_str_eq(r->err.text, "");
        ck_assert_int_eq(r->status, 201);
        ck_assert_str_eq(r->body.buf, cases[i].seen);
        ck_assert_str_eq(r->type, "text/x-test");
    }
    ck_assert_int_eq(fake_connections(t.server), 1);
    ck_assert_uint_eq(http_client_active(t.client), 0);
}
END_TEST

static void answer_head(struct fake_conn *c, const struct fake_request *r)
{
    fake_writef(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    ck_assert_str_eq(r->method, "HEAD");
}

START_TEST(head_has_no_body)
{
    t.serve = answer_head;
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
            .method = cases[i].method, .url = cases[i].url, .headers = h, .on_done = on_done};
        struct error err = {0};

        ck_assert_ptr_null(http_send(t.client, &req, &err));
        assert_error(&err, ERR_INVALID, cases[i].words);
    }
    ck_assert_uint_eq(http_client_active(t.client), 0);
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
    t.serve = answer_busy;
    struct result *r = GET(.on_head = on_head);

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

    t.serve = answer_with_lines;
    head_lines = cases[_i].lines;
    struct result *r = GET(.on_head = on_head);

    ck_assert_int_eq(r->status, 200);
    ck_assert_str_eq(r->validator, str_or_empty(cases[_i].validator));
}
END_TEST

START_TEST(many_calls_share_few_connections)
{
    t.serve = echo;
    for (int i = 0; i < 200; i++)
        start((struct http_request){0}, "/many");
    ck_assert_uint_eq(http_client_active(t.client), 200);
    loop_run(t.loop);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(t.r[i].status, 201);
    ck_assert_int_le(fake_connections(t.server), 8);
}
END_TEST

START_TEST(names_are_resolved)
{
    cleanup_free char *url =
        xasprintf("http://localhost:%s/", strrchr(fake_url(t.server), ':') + 1);

    t.serve = echo;
    ck_assert_int_eq(run((struct http_request){0}, url)->status, 201);
}
END_TEST

/* ---- faults: whether the request can have been acted on ---- */

START_TEST(refused_is_unreachable)
{
    cleanup_free char *url = xasprintf("%s/", fake_url(t.server));

    fake_free(t.server);
    t.server = fake_new(t.loop, serve, NULL);
    struct result *r = run((struct http_request){.method = "POST"}, url);
    assert_error(&r->err, ERR_UNREACHABLE, "cannot connect to 127.0.0.1:");
    assert_error(&r->err, ERR_UNREACHABLE, "Connection refused");
}
END_TEST

static void never_called(struct fake_conn *c, const struct fake_request *r)
{
    (void)c;
    ck_abort_msg("unexpected request %s", r->head);
}

START_TEST(no_descriptor_is_unreachable)
{
    cleanup_free char *url = xasprintf("%s/", fake_url(t.server));
    struct rlimit limit, none;

    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    struct result *r = run((struct http_request){.method = "POST"}, url);

    setrlimit(RLIMIT_NOFILE, &limit);
    assert_error(&r->err, ERR_UNREACHABLE, "Too many open files");
}
END_TEST

START_TEST(no_tls_session_is_unreachable)
{
    cleanup_free char *url = xasprintf("https%s/", fake_url(t.server) + 4);

    /* The server takes the TLS greeting for a request that never ends. */
    t.serve = never_called;
    struct result *r = run((struct http_request){.connect_timeout_ms = 150}, url);
    assert_error(&r->err, ERR_UNREACHABLE, "within 150 ms");
    fake_refuse(t.server, true);
    r = run((struct http_request){.method = "POST"}, url);
    assert_error(&r->err, ERR_UNREACHABLE, "cannot connect");
}
END_TEST

START_TEST(a_queue_that_does_not_move_is_unreachable)
{
    t.serve = echo;
    fake_deaf(t.server, true);
    for (int i = 0; i < 8; i++)
        start((struct http_request){.timeout_ms = 200}, "/holds-a-connection");
    struct result *r = start((struct http_request){.method = "POST", .timeout_ms = 100}, "/");
    loop_run(t.loop);
    assert_error(&r->err, ERR_UNREACHABLE, "no connection to 127.0.0.1");
    assert_error(&t.r[0].err, ERR_TIMEOUT, "no complete answer from 127.0.0.1");
}
END_TEST

/* A listener whose queue is full: the kernel drops further connection requests. */
START_TEST(no_connection_in_time_is_unreachable)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0), filler[8];
    char url[64];

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    getsockname(fd, (struct sockaddr *)&at, &len);
    for (size_t i = 0; i < ARRAY_SIZE(filler); i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int ignored UNUSED = connect(filler[i], (struct sockaddr *)&at, len);
    }
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(at.sin_port));
    struct result *r = run((struct http_request){.method = "POST", .connect_timeout_ms = 200}, url);
    assert_error(&r->err, ERR_UNREACHABLE, "no connection to 127.0.0.1");
    close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(filler); i++)
        close(filler[i]);
}
END_TEST

static void hang(struct fake_conn *c, const struct fake_request *r)
{
    (void)c;
    (void)r;
}

START_TEST(no_answer_is_a_timeout)
{
    t.serve = hang;
    struct result *r = GET(.timeout_ms = 80);
    assert_error(&r->err, ERR_TIMEOUT, "within 80 ms");
    r = GET(.timeout_ms = 5000, .idle_timeout_ms = 80);
    assert_error(&r->err, ERR_TIMEOUT, "no byte from 127.0.0.1");
}
END_TEST

static void reset(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_reset(c);
}

START_TEST(a_reset_after_the_request_has_an_unknown_effect)
{
    t.serve = reset;
    assert_broken(GET(.method = "POST", .body = "x", .body_len = 1), "connection to 127.0.0.1");
    assert_broken(GET(.method = "GET"), "connection to 127.0.0.1");
}
END_TEST

static void reset_second(struct fake_conn *c, const struct fake_request *r)
{
    if (r->number == 2)
        fake_reset(c);
    else
        echo(c, r);
}

START_TEST(a_post_is_never_sent_twice)
{
    t.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    assert_broken(GET(.method = "POST"), "before an answer came");
    ck_assert_int_eq(fake_requests(t.server), 2);
}
END_TEST

START_TEST(a_patch_is_never_sent_twice_to_a_server_that_is_gone)
{
    t.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    struct result *r = start((struct http_request){.method = "PATCH"}, "/");
    fake_refuse(t.server, true);
    loop_run(t.loop);
    assert_broken(r, "connection to 127.0.0.1");
    ck_assert_int_eq(fake_requests(t.server), 2);
}
END_TEST

static bool closed(void *arg)
{
    return --*(int *)arg >= 0;
}

START_TEST(a_closed_fence_keeps_a_request_from_being_sent)
{
    int sends = 1;
    const struct http_fence fence = {closed, &sends};

    t.serve = echo;
    ck_assert_int_eq(GET(.fence = &fence)->status, 201);
    for (int i = 0; i < 2; i++) {
        struct result *r = GET(.method = "PATCH", .fence = &fence);

        assert_error(&r->err, ERR_UNREACHABLE, "its fence is closed");
        ck_assert_str_eq(r->err.reason, HTTP_FENCED);
    }
    ck_assert_int_eq(GET(0)->status, 201);
    ck_assert_int_eq(fake_requests(t.server), 2);
}
END_TEST

START_TEST(what_a_fence_keeps_from_being_sent_again_has_an_unknown_effect)
{
    int sends = 1;
    const struct http_fence fence = {closed, &sends};

    t.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    assert_error(&GET(.method = "PUT", .fence = &fence)->err, ERR_SERVER, "its fence is closed");
    ck_assert_int_eq(fake_requests(t.server), 2);
}
END_TEST

START_TEST(repeatable_calls_survive_a_stale_connection)
{
    t.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    ck_assert_int_eq(GET(0)->status, 201);
    ck_assert_int_eq(fake_requests(t.server), 3);
}
END_TEST

START_TEST(a_post_declared_repeatable_survives_too)
{
    t.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    ck_assert_int_eq(GET(.method = "POST", .body = "b", .body_len = 1, .repeatable = true)->status,
                     201);
    ck_assert_int_eq(fake_requests(t.server), 3);
}
END_TEST

static void truncate_body(struct fake_conn *c, const struct fake_request *r)
{
    if (r->number == 1)
        fake_writef(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    else
        fake_writef(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort");
    fake_close(c);
}

START_TEST(a_truncated_answer_is_broken)
{
    t.serve = truncate_body;
    for (int i = 0; i < 2; i++) {
        struct result *r = GET(0);

        assert_broken(r, "broke");
        ck_assert_int_eq(r->err.http, 200);
        ck_assert_uint_eq(r->body.len, 0);
    }
}
END_TEST

static struct {
    const char *text;
    size_t len;
} cut;

static void cut_off(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_write(c, cut.text, cut.len);
    fake_close(c);
}

START_TEST(an_answer_cut_off_anywhere_is_broken)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    };

    t.serve = cut_off;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        cut.text = texts[i];
        for (cut.len = 0; cut.len <= strlen(texts[i]); cut.len++) {
            struct result *r = &t.r[0];

            strbuf_release(&r->body);
            memset(r, 0, sizeof(*r));
            strbuf_init(&r->body, 1 << 20);
            t.expected = 0;
            t.finished = 0;
            GET(.method = "POST", .on_head = on_head);
            /* the very last byte of a chunked body says nothing new */
            if (cut.len == strlen(texts[i]) || (i == 1 && cut.len == strlen(texts[i]) - 1))
                ck_assert_str_eq(r->body.buf, "hello");
            else if (r->err.code != ERR_SERVER && r->err.code != ERR_PARSE)
                ck_abort_msg("%zu/%zu: %s %s", i, cut.len, errc_name(r->err.code), r->err.text);
        }
    }
}
END_TEST

static const char *garbage_text;

static void garbage(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_writef(c, "%s", garbage_text);
    fake_close(c);
}

START_TEST(garbage_is_malformed)
{
    static const char *const texts[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "hello\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        "",
    };

    t.serve = garbage;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        garbage_text = texts[i];
        struct result *r = GET(.method = "POST");

        if (r->err.code != ERR_PARSE && r->err.code != ERR_SERVER)
            ck_abort_msg("%zu: %s %s (%d)", i, errc_name(r->err.code), r->err.text, r->status);
    }
}
END_TEST

static void endless(void *arg)
{
    static char block[65536];

    (void)arg;
    if (t.conn && fake_last(t.server) == t.conn) {
        fake_write(t.conn, block, sizeof(block));
        loop_defer(t.loop, &t, endless, NULL);
    }
}

static void start_endless(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_writef(c, "HTTP/1.1 200 OK\r\n\r\n");
    t.conn = c;
    endless(NULL);
}

START_TEST(a_body_has_a_cap)
{
    t.serve = start_endless;
    struct result *r = GET(.max_body = 100000);

    assert_error(&r->err, ERR_TOO_LARGE, "body of the answer of 127.0.0.1");
    ck_assert_int_eq(r->err.http, 200);
}
END_TEST

static void huge_head(struct fake_conn *c, const struct fake_request *r)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);

    strbuf_addf(&sb, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 5000 && r->number == 1; i++)
        strbuf_addf(&sb, "X-%d: %0100d\r\n", i, i);
    if (r->number == 2)
        strbuf_addf(&sb, "X: %0500000d\r\n", 1);
    strbuf_addf(&sb, "Content-Length: 0\r\n\r\n");
    fake_write(c, sb.buf, sb.len);
}

START_TEST(a_head_has_a_cap)
{
    t.serve = huge_head;
    for (int i = 0; i < 2; i++) {
        struct result *r = GET(0);

        ck_assert_int_ne(r->err.code, ERR_NONE);
        ck_assert_int_ne(r->err.code, ERR_UNREACHABLE);
    }
    ck_assert_int_eq(GET(0)->status, 200);
}
END_TEST

/* ---- connections ---- */

START_TEST(kept_connections_are_closed_after_a_while)
{
    http_client_free(t.client);
    t.client = http_client_new(t.loop, &(struct http_client_options){NULL, 16, 8, 50});
    t.serve = echo;
    for (int i = 0; i < 20; i++)
        start((struct http_request){0}, "/");
    loop_run(t.loop);
    ck_assert_int_eq(fake_open(t.server), 8);
    ck_assert_int_eq(GET(0)->status, 201);
    t.later = timer_new(t.loop, (loop_fn)loop_stop, t.loop);
    timer_start(t.later, 150);
    loop_run(t.loop);
    ck_assert_int_eq(fake_open(t.server), 0);
    ck_assert_int_eq(GET(0)->status, 201);
}
END_TEST

/* Of each host curl remembers something, also when its connection was closed for another's. */
START_TEST(what_is_remembered_of_many_hosts_is_given_up)
{
    const char *port = strrchr(fake_url(t.server), ':') + 1;

    t.serve = echo;
    for (int i = 0; i < MANY; i++) {
        cleanup_free char *url = xasprintf("http://host-%d.localhost:%s/", i, port);

        ck_assert_int_eq(run((struct http_request){0}, url)->status, 201);
    }
    t.later = timer_new(t.loop, (loop_fn)loop_stop, t.loop);
    timer_start(t.later, 20);
    loop_run(t.loop);
    ck_assert_int_eq(fake_connections(t.server), MANY);
    ck_assert_int_eq(fake_open(t.server), 0); /* kept ones would stay for a minute */
    ck_assert_int_eq(GET(0)->status, 201);
}
END_TEST

START_TEST(a_proxy_is_used_only_when_it_is_given)
{
    cleanup_free char *https = xasprintf("https://nowhere.invalid/x");

    t.serve = echo;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "*", 1);
    ck_assert_int_eq(GET(0)->status, 201);
    struct result *r =
        run((struct http_request){.proxy = fake_url(t.server)}, "http://nowhere.invalid/x");
    ck_assert(str_has_prefix(r->body.buf, "GET http://nowhere.invalid/x "));
    /* our stand-in answers a CONNECT with a 201 and a body: no tunnel to speak TLS through */
    r = run((struct http_request){.proxy = fake_url(t.server), .connect_timeout_ms = 500}, https);
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
    cleanup_free char *end = xasprintf("%s/end", fake_url(t.server));

    t.serve = redirect;
    struct result *r = GET(.on_head = on_head, .on_data = on_data);
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

    t.serve = echo;
    assert_error(&GET(.guard = &guard)->err, ERR_FORBIDDEN, ": a loopback address");
    cleanup_free char *by_name = xasprintf("http://localhost%s/", strrchr(fake_url(t.server), ':'));

    assert_error(&run((struct http_request){.guard = &guard}, by_name)->err, ERR_FORBIDDEN,
                 "localhost:");
    ck_assert_int_eq(fake_connections(t.server), 0);
    ck_assert_int_ge(asked, 2);
}
END_TEST

START_TEST(a_guard_sees_kept_connections_of_others)
{
    int asked = 0;
    const struct http_guard guard = {refuse, &asked};

    t.serve = echo;
    ck_assert_int_eq(GET()->status, 201); /* and the connection is kept */
    assert_error(&GET(.guard = &guard)->err, ERR_FORBIDDEN, ": a loopback address");
    ck_assert_int_eq(fake_requests(t.server), 1);
    ck_assert_int_eq(fake_connections(t.server), 1);
}
END_TEST

START_TEST(a_guard_is_not_led_around_by_a_proxy_of_the_environment)
{
    int asked = 0;
    const struct http_guard guard = {refuse, &asked};

    t.serve = echo;
    setenv("http_proxy", fake_url(t.server), 1);
    setenv("ALL_PROXY", fake_url(t.server), 1);
    assert_error(&run((struct http_request){.guard = &guard}, "http://127.0.0.1:1/x")->err,
                 ERR_FORBIDDEN, "127.0.0.1:1: a loopback address");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    ck_assert_int_eq(fake_connections(t.server), 0);
}
END_TEST

/* ---- streaming answers ---- */

#define STREAM_BYTES 3000000

static void stream(struct fake_conn *c, const struct fake_request *r)
{
    cleanup_free char *data = xmalloc(STREAM_BYTES);

    (void)r;
    for (int i = 0; i < STREAM_BYTES; i++)
        data[i] = (char)('a' + i * 7 % 26);
    fake_begin(c, "Trailer: X-T\r\n");
    for (int at = 0; at < STREAM_BYTES; at += 100000)
        fake_chunk(c, data + at, 100000);
    fake_writef(c, "0\r\nX-T: trailer\r\n\r\n");
}

static void assert_streamed(const struct result *r)
{
    ck_assert_str_eq(r->err.text, "");
    ck_assert_int_eq(r->heads, 1);
    ck_assert_uint_eq(r->body.len, STREAM_BYTES);
    for (int i = 0; i < STREAM_BYTES; i++)
        if (r->body.buf[i] != (char)('a' + i * 7 % 26))
            ck_abort_msg("byte %d is wrong", i);
}

START_TEST(a_stream_arrives_whole)
{
    t.serve = stream;
    assert_streamed(GET(.on_head = on_head, .on_data = on_data));
}
END_TEST

START_TEST(a_sink_may_wait)
{
    t.serve = stream;
    for (int every = 2; every < 40; every += 9) {
        t.r[t.expected].wait_every = every;
        timer_free(t.later);
        t.later = NULL;
        assert_streamed(GET(.on_head = on_head, .on_data = on_data, .idle_timeout_ms = 5000));
    }
}
END_TEST

START_TEST(a_sink_may_give_up)
{
    t.serve = stream;
    t.r[0].abort = true;
    assert_error(&GET(.on_head = on_head, .on_data = on_data)->err, ERR_CANCELLED, "given up");
}
END_TEST

static ssize_t wait_then_abort(void *arg, const char *data, size_t n)
{
    struct result *r = arg;

    (void)data;
    (void)n;
    if (r->pieces++)
        return HTTP_ABORT;
    loop_defer(t.loop, NULL, resume, r);
    return HTTP_WAIT;
}

START_TEST(a_sink_may_give_up_after_waiting)
{
    t.serve = stream;
    assert_error(&GET(.on_data = wait_then_abort)->err, ERR_CANCELLED, "given up");
}
END_TEST

START_TEST(a_call_may_be_dropped_in_its_callbacks)
{
    t.serve = stream;
    t.r[0].drop = true;
    GET(.on_head = on_head, .on_data = on_data);
    loop_defer(t.loop, NULL, (loop_fn)loop_stop, t.loop);
    loop_run(t.loop);
    ck_assert_int_eq(t.r[0].done, 0);
    ck_assert_uint_eq(http_client_active(t.client), 0);
    t.r[1].free_client = true;
    GET(.on_head = on_head, .on_data = on_data);
    ck_assert_ptr_null(t.client);
    ck_assert_int_eq(t.r[1].done, 0);
}
END_TEST

static void free_in_done(void *arg, const struct http_response *res, const struct error *err)
{
    (void)arg;
    (void)res;
    (void)err;
    http_client_free(t.client);
    t.client = NULL;
    loop_stop(t.loop);
}

START_TEST(a_client_may_be_freed_in_on_done)
{
    cleanup_free char *url = xasprintf("%s/", fake_url(t.server));
    struct http_request req = {.method = "GET", .url = url, .on_done = free_in_done};

    t.serve = echo;
    for (int i = 0; i < 5; i++)
        ck_assert_ptr_nonnull(http_send(t.client, &req, NULL));
    loop_run(t.loop);
    ck_assert_ptr_null(t.client);
}
END_TEST

START_TEST(a_call_may_be_cancelled_or_dropped_any_time)
{
    t.serve = hang;
    struct result *r = start((struct http_request){0}, "/");
    http_cancel(r->call);
    http_cancel(r->call);
    loop_run(t.loop);
    assert_error(&r->err, ERR_CANCELLED, "cancelled");
    r = start((struct http_request){0}, "/");
    http_drop(r->call);
    r = start((struct http_request){0}, "/");
    http_cancel(r->call);
    http_drop(r->call);
    http_drop(NULL);
    ck_assert_uint_eq(http_client_active(t.client), 0);
    r = start((struct http_request){.timeout_ms = 5000}, "/");
    t.later = timer_new(t.loop, (loop_fn)http_cancel, r->call);
    timer_start(t.later, 50);
    t.finished += 2;
    loop_run(t.loop);
    assert_error(&r->err, ERR_CANCELLED, "cancelled");
}
END_TEST

static void stall(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_begin(c, "");
    fake_chunk(c, "{}\n", 3);
}

START_TEST(a_stalled_stream_ends)
{
    t.serve = stall;
    struct result *r = GET(.on_head = on_head, .on_data = on_data, .idle_timeout_ms = 80);

    assert_error(&r->err, ERR_TIMEOUT, "no byte from 127.0.0.1");
    ck_assert_int_eq(r->err.http, 200);
    ck_assert_str_eq(r->body.buf, "{}\n");
}
END_TEST

static ssize_t wait_long(void *arg, const char *data, size_t n)
{
    struct result *r = arg;

    if (!r->pieces++) {
        t.later = timer_new(t.loop, resume, r);
        timer_start(t.later, 250);
        return HTTP_WAIT;
    }
    strbuf_add(&r->body, data, n);
    return (ssize_t)n;
}

START_TEST(waiting_for_the_sink_is_not_idling)
{
    t.serve = echo;
    struct result *r = GET(.on_data = wait_long, .idle_timeout_ms = 80);

    ck_assert_str_eq(r->err.text, "");
    ck_assert_uint_gt(r->body.len, 0);
}
END_TEST

static struct {
    const char *text;
    size_t at;
} drip;

static void next_drop(void *arg)
{
    (void)arg;
    fake_write(t.conn, drip.text + drip.at++, 1);
    if (drip.text[drip.at])
        timer_start(t.later, 1);
}

static void start_drip(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    t.conn = c;
    t.later = timer_new(t.loop, next_drop, NULL);
    next_drop(NULL);
}

START_TEST(an_answer_may_come_byte_by_byte)
{
    drip.text = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello";
    drip.at = 0;
    t.serve = start_drip;
    struct result *r = GET(.idle_timeout_ms = 1000);
    ck_assert_str_eq(r->body.buf, "hello");
    ck_assert_str_eq(r->type, "a/b");
}
END_TEST

/* ---- streaming requests ---- */

#define PART_BYTES 1000003

static struct {
    size_t sent;
    int calls, wait_every;
    bool abort;
    struct result *result;
} source;

static void resume_source(void *arg)
{
    (void)arg;
    http_resume(source.result->call);
}

static ssize_t read_part(void *arg, char *buf, size_t n)
{
    ck_assert_ptr_eq(arg, &source);
    source.calls++;
    if (source.abort && source.sent > 100000)
        return HTTP_ABORT;
    if (source.wait_every && source.calls % source.wait_every == 0) {
        loop_defer(t.loop, NULL, resume_source, NULL);
        return HTTP_WAIT;
    }
    n = MIN(n, MIN((size_t)7000, PART_BYTES - source.sent));
    for (size_t i = 0; i < n; i++)
        buf[i] = (char)('A' + (source.sent + i) % 23);
    source.sent += n;
    return (ssize_t)n;
}

static void check_part(struct fake_conn *c, const struct fake_request *r)
{
    const char *start = memmem(r->body, r->len, "\r\n\r\n", 4);

    ck_assert_ptr_nonnull(start);
    ck_assert_ptr_nonnull(strstr(r->body, "name=\"jarfile\"; filename=\"my job.jar\""));
    ck_assert_ptr_nonnull(strstr(r->body, "Content-Type: application/java-archive"));
    start += 4;
    for (size_t i = 0; i < PART_BYTES; i++)
        if (start[i] != (char)('A' + i % 23))
            ck_abort_msg("byte %zu of the part is wrong", i);
    fake_answer(c, 200, "", strstr(r->head, "chunked") ? "chunked" : "with length");
}

START_TEST(a_file_is_uploaded_as_it_comes)
{
    struct http_part part = {"jarfile", "my job.jar", "application/java-archive",
                             read_part, &source,      0};

    t.serve = check_part;
    for (int i = 0; i < 4; i++) {
        memset(&source, 0, sizeof(source));
        source.wait_every = i % 2 ? 3 : 0;
        part.length = i / 2 ? -1 : PART_BYTES;
        source.result =
            start((struct http_request){.method = "POST", .part = &part, .idle_timeout_ms = 2000},
                  "/jars/upload");
        loop_run(t.loop);
        ck_assert_str_eq(source.result->err.text, "");
        ck_assert_str_eq(source.result->body.buf, i / 2 ? "chunked" : "with length");
        ck_assert_uint_eq(source.sent, PART_BYTES);
    }
}
END_TEST

START_TEST(a_source_may_give_up)
{
    const struct http_part part = {"jarfile", "a.jar", NULL, read_part, &source, PART_BYTES};

    memset(&source, 0, sizeof(source));
    source.abort = true;
    t.serve = never_called;
    struct result *r = GET(.method = "POST", .part = &part);
    assert_error(&r->err, ERR_CANCELLED, "given up");
}
END_TEST

/* A server that refuses an upload before it has it all, then closes: its answer must come through.
 */
static void refuse_upload(void *arg)
{
    (void)arg;
    t.conn = fake_last(t.server);
    if (!t.conn) {
        timer_start(t.later, 1);
        return;
    }
    fake_answer(t.conn, 413, "Connection: close\r\n", "too big");
    fake_close(t.conn);
}

START_TEST(an_early_refusal_of_an_upload_is_seen)
{
    const struct http_part part = {"jarfile", "a.jar", NULL, read_part, &source, PART_BYTES};

    memset(&source, 0, sizeof(source));
    fake_deaf(t.server, true);
    t.serve = never_called;
    t.later = timer_new(t.loop, refuse_upload, NULL);
    timer_start(t.later, 1);
    struct result *r = GET(.method = "POST", .part = &part, .timeout_ms = 3000);
    if (r->status != 413)
        ck_assert_int_eq(r->err.code, ERR_SERVER);
}
END_TEST

START_TEST(a_receiver_that_does_not_read_is_found)
{
    struct http_part part = {"jarfile", "a.jar", NULL, read_part, &source, -1};

    memset(&source, 0, sizeof(source));
    fake_deaf(t.server, true);
    struct result *r = GET(.method = "POST", .part = &part, .timeout_ms = 300);
    assert_error(&r->err, ERR_TIMEOUT, "within 300 ms");
}
END_TEST

void suite_http(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(methods_headers_and_bodies_arrive);
    T(head_has_no_body);
    T(what_cannot_be_sent_is_refused_at_once);
    T(text_is_escaped_and_statuses_have_codes);
    T(statuses_are_results_and_interim_ones_are_skipped);
    tcase_add_loop_test(tc, what_tells_one_content_from_another_is_strong, 0, 5);
    T(many_calls_share_few_connections);
    T(names_are_resolved);
    T(refused_is_unreachable);
    T(no_descriptor_is_unreachable);
    T(no_tls_session_is_unreachable);
    T(a_queue_that_does_not_move_is_unreachable);
    T(no_connection_in_time_is_unreachable);
    T(no_answer_is_a_timeout);
    T(a_reset_after_the_request_has_an_unknown_effect);
    T(a_post_is_never_sent_twice);
    T(a_patch_is_never_sent_twice_to_a_server_that_is_gone);
    T(repeatable_calls_survive_a_stale_connection);
    T(a_post_declared_repeatable_survives_too);
    T(a_closed_fence_keeps_a_request_from_being_sent);
    T(what_a_fence_keeps_from_being_sent_again_has_an_unknown_effect);
    T(a_truncated_answer_is_broken);
    T(an_answer_cut_off_anywhere_is_broken);
    T(garbage_is_malformed);
    T(a_body_has_a_cap);
    T(a_head_has_a_cap);
    T(kept_connections_are_closed_after_a_while);
    T(what_is_remembered_of_many_hosts_is_given_up);
    T(a_proxy_is_used_only_when_it_is_given);
    T(redirects_are_results);
    T(an_origin_is_scheme_host_and_port);
    T(the_host_of_a_url_and_the_address_of_a_peer);
    T(a_guard_sees_addresses_before_there_is_a_connection);
    T(a_guard_sees_kept_connections_of_others);
    T(a_guard_is_not_led_around_by_a_proxy_of_the_environment);
    T(a_stream_arrives_whole);
    T(a_sink_may_wait);
    T(a_sink_may_give_up);
    T(a_sink_may_give_up_after_waiting);
    T(a_call_may_be_dropped_in_its_callbacks);
    T(a_client_may_be_freed_in_on_done);
    T(a_call_may_be_cancelled_or_dropped_any_time);
    T(a_stalled_stream_ends);
    T(waiting_for_the_sink_is_not_idling);
    T(an_answer_may_come_byte_by_byte);
    T(a_file_is_uploaded_as_it_comes);
    T(a_source_may_give_up);
    T(an_early_refusal_of_an_upload_is_seen);
    T(a_receiver_that_does_not_read_is_found);
}
