/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client when something goes wrong: what is told, and whether the request can have been
 * acted on. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "http_scene.h"
#include "unit.h"

START_TEST(refused_is_unreachable)
{
    cleanup_free char *url = xasprintf("%s/", fake_url(scene.server));

    fake_free(scene.server);
    scene.server = fake_new(scene.loop, NULL, NULL);
    struct result *r = scene_run((struct http_request){.method = "POST"}, url);
    assert_error(&r->err, ERR_UNREACHABLE, "cannot connect to 127.0.0.1:");
    assert_error(&r->err, ERR_UNREACHABLE, "Connection refused");
}
END_TEST

START_TEST(no_descriptor_is_unreachable)
{
    cleanup_free char *url = xasprintf("%s/", fake_url(scene.server));
    struct rlimit limit, none;

    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    struct result *r = scene_run((struct http_request){.method = "POST"}, url);

    setrlimit(RLIMIT_NOFILE, &limit);
    assert_error(&r->err, ERR_UNREACHABLE, "Too many open files");
}
END_TEST

START_TEST(no_tls_session_is_unreachable)
{
    cleanup_free char *url = xasprintf("https%s/", fake_url(scene.server) + 4);

    /* The server takes the TLS greeting for a request that never ends. */
    scene.serve = serve_unexpected;
    struct result *r = scene_run((struct http_request){.connect_timeout_ms = 150}, url);
    assert_error(&r->err, ERR_UNREACHABLE, "within 150 ms");
    fake_refuse(scene.server, true);
    r = scene_run((struct http_request){.method = "POST"}, url);
    assert_error(&r->err, ERR_UNREACHABLE, "cannot connect");
}
END_TEST

START_TEST(a_queue_that_does_not_move_is_unreachable)
{
    scene.serve = serve_echo;
    fake_deaf(scene.server, true);
    for (int i = 0; i < 8; i++)
        scene_start((struct http_request){.timeout_ms = 200}, "/holds-a-connection");
    struct result *r = scene_start((struct http_request){.method = "POST", .timeout_ms = 100}, "/");
    loop_run(scene.loop);
    assert_error(&r->err, ERR_UNREACHABLE, "no connection to 127.0.0.1");
    assert_error(&scene.r[0].err, ERR_TIMEOUT, "no complete answer from 127.0.0.1");
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
    struct result *r =
        scene_run((struct http_request){.method = "POST", .connect_timeout_ms = 200}, url);
    assert_error(&r->err, ERR_UNREACHABLE, "no connection to 127.0.0.1");
    close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(filler); i++)
        close(filler[i]);
}
END_TEST

START_TEST(no_answer_is_a_timeout)
{
    scene.serve = serve_nothing;
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
    scene.serve = reset;
    assert_broken(GET(.method = "POST", .body = "x", .body_len = 1), "connection to 127.0.0.1");
    assert_broken(GET(.method = "GET"), "connection to 127.0.0.1");
}
END_TEST

static void reset_second(struct fake_conn *c, const struct fake_request *r)
{
    if (r->number == 2)
        fake_reset(c);
    else
        serve_echo(c, r);
}

START_TEST(a_post_is_never_sent_twice)
{
    scene.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    assert_broken(GET(.method = "POST"), "before an answer came");
    ck_assert_int_eq(fake_requests(scene.server), 2);
}
END_TEST

START_TEST(a_patch_is_never_sent_twice_to_a_server_that_is_gone)
{
    scene.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    struct result *r = scene_start((struct http_request){.method = "PATCH"}, "/");
    fake_refuse(scene.server, true);
    loop_run(scene.loop);
    assert_broken(r, "connection to 127.0.0.1");
    ck_assert_int_eq(fake_requests(scene.server), 2);
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

    scene.serve = serve_echo;
    ck_assert_int_eq(GET(.fence = &fence)->status, 201);
    for (int i = 0; i < 2; i++) {
        struct result *r = GET(.method = "PATCH", .fence = &fence);

        assert_error(&r->err, ERR_UNREACHABLE, "its fence is closed");
        ck_assert_str_eq(r->err.reason, HTTP_FENCED);
    }
    ck_assert_int_eq(GET(0)->status, 201);
    ck_assert_int_eq(fake_requests(scene.server), 2);
}
END_TEST

START_TEST(what_a_fence_keeps_from_being_sent_again_has_an_unknown_effect)
{
    int sends = 1;
    const struct http_fence fence = {closed, &sends};

    scene.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    assert_error(&GET(.method = "PUT", .fence = &fence)->err, ERR_SERVER, "its fence is closed");
    ck_assert_int_eq(fake_requests(scene.server), 2);
}
END_TEST

START_TEST(repeatable_calls_survive_a_stale_connection)
{
    scene.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    ck_assert_int_eq(GET(0)->status, 201);
    ck_assert_int_eq(fake_requests(scene.server), 3);
}
END_TEST

START_TEST(a_post_declared_repeatable_survives_too)
{
    scene.serve = reset_second;
    ck_assert_int_eq(GET(0)->status, 201);
    ck_assert_int_eq(GET(.method = "POST", .body = "b", .body_len = 1, .repeatable = true)->status,
                     201);
    ck_assert_int_eq(fake_requests(scene.server), 3);
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
    scene.serve = truncate_body;
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

    scene.serve = cut_off;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        cut.text = texts[i];
        for (cut.len = 0; cut.len <= strlen(texts[i]); cut.len++) {
            struct result *r = &scene.r[0];

            strbuf_release(&r->body);
            memset(r, 0, sizeof(*r));
            strbuf_init(&r->body, 1 << 20);
            scene.expected = 0;
            scene.finished = 0;
            GET(.method = "POST", .on_head = scene_on_head);
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

    scene.serve = garbage;
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
    if (scene.conn && fake_last(scene.server) == scene.conn) {
        fake_write(scene.conn, block, sizeof(block));
        loop_defer(scene.loop, &scene, endless, NULL);
    }
}

static void start_endless(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_writef(c, "HTTP/1.1 200 OK\r\n\r\n");
    scene.conn = c;
    endless(NULL);
}

START_TEST(a_body_has_a_cap)
{
    scene.serve = start_endless;
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
    scene.serve = huge_head;
    for (int i = 0; i < 2; i++) {
        struct result *r = GET(0);

        ck_assert_int_ne(r->err.code, ERR_NONE);
        ck_assert_int_ne(r->err.code, ERR_UNREACHABLE);
    }
    ck_assert_int_eq(GET(0)->status, 200);
}
END_TEST

void suite_http_faults(TCase *tc)
{
    tcase_add_checked_fixture(tc, scene_setup, scene_teardown);
    T(refused_is_unreachable);
    T(no_descriptor_is_unreachable);
    T(no_tls_session_is_unreachable);
    T(a_queue_that_does_not_move_is_unreachable);
    T(no_connection_in_time_is_unreachable);
    T(no_answer_is_a_timeout);
    T(a_reset_after_the_request_has_an_unknown_effect);
    T(a_post_is_never_sent_twice);
    T(a_patch_is_never_sent_twice_to_a_server_that_is_gone);
    T(a_closed_fence_keeps_a_request_from_being_sent);
    T(what_a_fence_keeps_from_being_sent_again_has_an_unknown_effect);
    T(repeatable_calls_survive_a_stale_connection);
    T(a_post_declared_repeatable_survives_too);
    T(a_truncated_answer_is_broken);
    T(an_answer_cut_off_anywhere_is_broken);
    T(garbage_is_malformed);
    T(a_body_has_a_cap);
    T(a_head_has_a_cap);
}
