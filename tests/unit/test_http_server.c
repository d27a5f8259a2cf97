/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "../../src/http/http_body.h"
#include "flinkop/http.h"
#include "flinkop/http_server.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/strbuf.h"
#include "unit.h"

#define BIG ((size_t)5 << 20)
#define POST_MAX 20000000

static struct {
    struct loop *loop;
    struct timer *guard;
    struct http_server *server;
    struct http_client *client;
    int expected, finished, status;
    char type[64];
    int64_t length;
    struct strbuf body;
    struct error err;
    struct http_waiting *waiting[100];
    size_t n_waiting, gone;
    size_t once; /* so many wait, then: */
    void (*then)(void *arg);
    const char *text;
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static void healthy(void *arg, struct http_reply *reply)
{
    strbuf_adds(reply->body, arg);
}

static void sick(void *arg, struct http_reply *reply)
{
    (void)arg;
    reply->status = 503;
    reply->content_type = "application/json";
    strbuf_adds(reply->body, "{}");
}

static void big(void *arg, struct http_reply *reply)
{
    (void)arg;
    for (size_t i = 0; i < BIG / 16; i++)
        strbuf_addf(reply->body, "%015zu\n", i);
}

static void endless(void *arg, struct http_reply *reply)
{
    (void)arg;
    while (!reply->body->overflow)
        strbuf_addf(reply->body, "%01000d", 1);
}

static void nothing(void *arg, struct http_reply *reply)
{
    (void)arg;
    reply->status = 204;
}

/* ---- later ---- */

static void on_gone(void *arg)
{
    (void)arg;
    t.gone++;
    loop_stop(t.loop);
}

static void late(void *arg, struct http_reply *reply)
{
    ck_assert_str_eq(reply->asked->authorization, "");
    strbuf_addf(reply->body, "%s?%s %s", reply->asked->path, reply->asked->query, (char *)arg);
}

static struct timer *later(int64_t ms, void (*fn)(void *arg), const char *text)
{
    struct timer *timer = timer_new(t.loop, fn, (void *)(uintptr_t)text);

    timer_start(timer, ms);
    return timer;
}

/* fn(text), a moment after so many wait for their replies. */
static void once_waiting(size_t n, void (*fn)(void *arg), const char *text)
{
    t.once = n;
    t.then = fn;
    t.text = text;
}

static void slow(void *arg, struct http_reply *reply)
{
    (void)arg;
    strbuf_adds(reply->body, "this is not sent");
    t.waiting[t.n_waiting] = http_reply_later(reply, on_gone, NULL);
    if (t.waiting[t.n_waiting]) {
        if (++t.n_waiting == t.once) {
            t.once = 0;
            later(20, t.then, t.text);
        }
        return;
    }
    strbuf_reset(reply->body);
    reply->status = 503;
}

static void reply_all(void *arg)
{
    for (size_t i = 0; i < t.n_waiting; i++)
        http_reply_now(t.waiting[i], late, arg);
    t.n_waiting = 0;
}

static void wait_again(void *arg, struct http_reply *reply)
{
    slow(arg, reply);
}

static void put_off(void *arg)
{
    struct http_waiting *w = t.waiting[0];

    (void)arg;
    t.n_waiting = 0;
    http_reply_now(w, wait_again, NULL);
    ck_assert_uint_eq(t.n_waiting, 1);
    loop_defer(t.loop, NULL, reply_all, (void *)(uintptr_t) "twice");
}

static void posted(void *arg, struct http_reply *reply)
{
    const struct http_asked *a = reply->asked;

    (void)arg;
    strbuf_addf(reply->body, "%s %s %s [%.100s] %zu", a->method, a->path, a->content_type, a->body,
                a->len);
}

static void echo(void *arg, struct http_reply *reply)
{
    const struct http_asked *a = reply->asked;

    (void)arg;
    strbuf_addf(reply->body, "%s %s %s %s %d", a->method, a->path, a->query, a->authorization,
                a->local);
}

static void stranger(void *arg, struct http_reply *reply)
{
    (void)arg;
    reply->status = 401;
    strbuf_adds(reply->body, "who?");
}

static const struct http_route routes[] = {
    {"/healthz", healthy, (void *)(uintptr_t) "ok"},
    {"/readyz", sick, NULL},
    {"/metrics", big, NULL},
    {"/endless", endless, NULL},
    {"/nothing", nothing, NULL},
    {"/slow", slow, NULL},
    {"/echo", echo, NULL, .put = true},
    {"/post", posted, .post_max = POST_MAX},
    {"/stranger", stranger, NULL},
};

static void setup(void)
{
    struct error err = {0};

    memset(&t, 0, sizeof(t));
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    timer_start(t.guard, 60000);
    t.client = http_client_new(t.loop, &(struct http_client_options){NULL, 100, 100});
    t.server = http_server_new(
        t.loop, &(struct http_server_options){.routes = routes, .n = ARRAY_SIZE(routes)}, &err);
    if (!t.server)
        ck_abort_msg("%s", err.text);
    strbuf_init(&t.body, (size_t)100 << 20);
}

static void teardown(void)
{
    http_client_free(t.client);
    http_server_free(t.server);
    loop_free(t.loop);
    strbuf_release(&t.body);
    metrics_release();
}

static void on_done(void *arg, const struct http_response *res, const struct error *err)
{
    (void)arg;
    t.err = *err;
    t.status = res ? res->status : 0;
    strbuf_reset(&t.body);
    if (res) {
        strbuf_add(&t.body, res->body, res->len);
        snprintf(t.type, sizeof(t.type), "%s", res->content_type);
        t.length = res->content_length;
    }
    if (++t.finished == t.expected)
        loop_stop(t.loop);
}

static void start(const char *method, const char *host, const char *path)
{
    cleanup_free char *url = xasprintf("http://%s:%d%s", host, http_server_port(t.server), path);
    struct error err = {0};

    t.expected++;
    if (!http_send(t.client,
                   &(struct http_request){.method = method,
                                          .url = url,
                                          .timeout_ms = 20000,
                                          .max_body = (size_t)100 << 20,
                                          .on_done = on_done},
                   &err))
        ck_abort_msg("%s", err.text);
}

static void fetch(const char *method, const char *path)
{
    start(method, "127.0.0.1", path);
    loop_run(t.loop);
}

START_TEST(routes_answer)
{
    fetch("GET", "/healthz");
    ck_assert_str_eq(t.err.text, "");
    ck_assert_int_eq(t.status, 200);
    ck_assert_str_eq(t.body.buf, "ok");
    ck_assert_str_eq(t.type, "text/plain; charset=utf-8");
    fetch("GET", "/healthz?verbose=1");
    ck_assert_int_eq(t.status, 200);
    fetch("GET", "/readyz");
    ck_assert_int_eq(t.status, 503);
    ck_assert_str_eq(t.body.buf, "{}");
    ck_assert_str_eq(t.type, "application/json");
    fetch("HEAD", "/healthz");
    ck_assert_int_eq(t.status, 200);
    ck_assert_int_eq(t.length, 2);
    ck_assert_uint_eq(t.body.len, 0);
    fetch("GET", "/nothing");
    ck_assert_int_eq(t.status, 204);
    fetch("GET", "/other");
    ck_assert_int_eq(t.status, 404);
    fetch("GET", "/healthz/");
    ck_assert_int_eq(t.status, 404);
    fetch("DELETE", "/healthz");
    ck_assert_int_eq(t.status, 405);
    fetch("POST", "/healthz");
    ck_assert_int_eq(t.status, 405);
    fetch("GET", "/healthz");
    ck_assert_int_eq(t.status, 200);
}
END_TEST

START_TEST(ipv6_is_served_where_there_is_any)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool works = fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at));

    if (fd >= 0)
        close(fd);
    if (!works)
        return;
    start("GET", "[::1]", "/healthz");
    loop_run(t.loop);
    ck_assert_int_eq(t.status, 200);
}
END_TEST

START_TEST(large_replies_arrive_whole)
{
    fetch("GET", "/metrics");
    ck_assert_int_eq(t.status, 200);
    ck_assert_uint_eq(t.body.len, BIG);
    for (size_t i = 0; i < BIG / 16; i++)
        if (strtoul(t.body.buf + 16 * i, NULL, 10) != i)
            ck_abort_msg("line %zu is wrong", i);
    fetch("GET", "/endless");
    ck_assert_int_eq(t.status, 500);
}
END_TEST

START_TEST(many_at_once_are_answered)
{
    for (int i = 0; i < 50; i++)
        start("GET", "127.0.0.1", i % 10 ? "/healthz" : "/metrics");
    loop_run(t.loop);
    ck_assert_int_eq(t.finished, 50);
    ck_assert_int_eq(t.err.code, ERR_NONE);
}
END_TEST

START_TEST(a_port_in_use_is_an_error_that_names_it)
{
    struct error err = {0};
    cleanup_free char *words =
        xasprintf("port %d: Address already in use", http_server_port(t.server));

    ck_assert_ptr_null(http_server_new(
        t.loop,
        &(struct http_server_options){.port = http_server_port(t.server), .routes = routes, .n = 1},
        &err));
    assert_error(&err, ERR_INTERNAL, words);
}
END_TEST

static int dial(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)http_server_port(t.server))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* More than the server keeps: those that have been idle longest make room. */
START_TEST(idle_connections_do_not_block_others)
{
    int fds[400];
    char c;

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = dial();
        if (i % 50 == 49) { /* no more than the kernel lets wait */
            fetch("GET", "/healthz");
            ck_assert_int_eq(t.status, 200);
        }
    }
    for (int i = 0; i < 200 && recv(fds[0], &c, 1, MSG_DONTWAIT) != 0; i++) {
        later(10, (loop_fn)loop_stop, (const char *)(void *)t.loop);
        loop_run(t.loop);
    }
    ck_assert_int_eq(recv(fds[0], &c, 1, MSG_DONTWAIT), 0);
    ck_assert_int_eq(recv(fds[ARRAY_SIZE(fds) - 1], &c, 1, MSG_DONTWAIT), -1);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}
END_TEST

static void count(uv_prepare_t *turn)
{
    (*(int *)turn->data)++;
}

static void closed(uv_handle_t *handle)
{
    loop_stop(handle->data);
}

START_TEST(connections_wait_while_there_is_no_descriptor)
{
    struct timer *stop = timer_new(t.loop, (loop_fn)loop_stop, t.loop);
    struct rlimit limit, none;
    uv_prepare_t turn;
    int fd = dial() /* in the kernel's queue */, turns = 0;

    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    uv_prepare_init(loop_uv(t.loop), &turn);
    turn.data = &turns;
    uv_prepare_start(&turn, count);
    timer_start(stop, 500);
    loop_run(t.loop);
    ck_assert_int_lt(turns, 100); /* it does not spin */
    turn.data = t.loop;
    uv_close((uv_handle_t *)&turn, closed);
    loop_run(t.loop);
    setrlimit(RLIMIT_NOFILE, &limit);
    fetch("GET", "/healthz");
    ck_assert_int_eq(t.status, 200);
    close(fd);
}
END_TEST

START_TEST(nonsense_does_no_harm)
{
    static const char *const texts[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET nowhere HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02",
        "GET /healthz HTTP/1.1\r\nX: ",
        "POST /healthz HTTP/1.1\r\nContent-Length: 99\r\n\r\nabc",
    };
    int fds[ARRAY_SIZE(texts)];

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        fds[i] = dial();
        ck_assert_int_ge(write(fds[i], texts[i], strlen(texts[i])), 1);
    }
    int flood = dial();
    char line[8192];

    memset(line, 'a', sizeof(line));
    ck_assert_int_gt(write(flood, "GET /healthz HTTP/1.1\r\nX: ", 26), 0);
    ck_assert_int_gt(write(flood, line, sizeof(line)), 0);
    fetch("GET", "/healthz");
    ck_assert_int_eq(t.status, 200);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        close(fds[i]);
    close(flood);
    fetch("GET", "/healthz");
    ck_assert_int_eq(t.status, 200);
}
END_TEST

START_TEST(a_server_may_go_while_it_sends)
{
    start("GET", "127.0.0.1", "/metrics");
    struct timer *stop = timer_new(t.loop, (loop_fn)loop_stop, t.loop);
    timer_start(stop, 5);
    loop_run(t.loop);
    http_server_free(t.server);
    t.server = NULL;
    http_server_free(NULL);
    timer_start(stop, 50);
    if (t.finished != t.expected)
        loop_run(t.loop);
}
END_TEST

START_TEST(a_reply_may_come_later)
{
    once_waiting(1, reply_all, "late");
    fetch("GET", "/slow?a=1&b=2");
    ck_assert_int_eq(t.status, 200);
    ck_assert_str_eq(t.body.buf, "/slow?a=1&b=2 late");
    once_waiting(1, reply_all, "late");
    fetch("HEAD", "/slow"); /* on the same connection */
    ck_assert_int_eq(t.status, 200);
    ck_assert_int_eq(t.length, 11);
    once_waiting(1, put_off, NULL);
    fetch("GET", "/slow");
    ck_assert_str_eq(t.body.buf, "/slow? twice");
    ck_assert_uint_eq(t.gone, 0);
}
END_TEST

START_TEST(only_so_many_wait)
{
    once_waiting(64, reply_all, "all");
    for (int i = 0; i < 80; i++)
        start("GET", "127.0.0.1", "/slow");
    t.expected = 16; /* are not kept waiting */
    loop_run(t.loop);
    ck_assert_int_eq(t.status, 503);
    t.expected = 80;
    loop_run(t.loop);
    ck_assert_int_eq(t.status, 200);
    once_waiting(1, reply_all, "again");
    fetch("GET", "/slow");
    ck_assert_str_eq(t.body.buf, "/slow? again");
}
END_TEST

START_TEST(a_client_may_go_while_it_waits)
{
    static const char text[] = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = dial();

    ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    once_waiting(1, (loop_fn)loop_stop, (const char *)(void *)t.loop);
    loop_run(t.loop);
    ck_assert_uint_eq(t.n_waiting, 1);
    ck_assert_uint_eq(t.gone, 0);
    close(fd);
    loop_run(t.loop);
    ck_assert_uint_eq(t.gone, 1);
    t.n_waiting = 0;
    fetch("GET", "/healthz");
    ck_assert_int_eq(t.status, 200);
}
END_TEST

START_TEST(a_server_may_go_while_clients_wait)
{
    start("GET", "127.0.0.1", "/slow");
    once_waiting(1, (loop_fn)loop_stop, (const char *)(void *)t.loop);
    loop_run(t.loop);
    ck_assert_uint_eq(t.n_waiting, 1);
    http_server_free(t.server);
    t.server = NULL;
    loop_run(t.loop);
    ck_assert_int_eq(t.err.code, ERR_SERVER);
    ck_assert_uint_eq(t.gone, 0);
}
END_TEST

/* What the server says to these bytes, up to the end of the connection. */
static char *say(const char *text)
{
    static char answer[4096];
    size_t n = 0;
    int fd = dial();

    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    for (int i = 0; i < 20; i++) {
        later(10, (loop_fn)loop_stop, (const char *)(void *)t.loop);
        loop_run(t.loop);
        ssize_t got = recv(fd, answer + n, sizeof(answer) - 1 - n, MSG_DONTWAIT);

        if (!got) {
            close(fd);
            answer[n] = 0;
            return answer;
        }
        n += got > 0 ? (size_t)got : 0;
    }
    ck_abort_msg("the connection stays open");
}

START_TEST(put_is_served_where_a_route_says_so)
{
    char *said =
        say("PUT /echo?level=debug HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n");

    ck_assert_ptr_nonnull(strstr(said, " 200 "));
    ck_assert_ptr_nonnull(strstr(said, "connection: close"));
    ck_assert_ptr_nonnull(strstr(said, "PUT /echo level=debug Bearer x 1"));
    said = say("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    ck_assert_ptr_nonnull(strstr(said, "PUT /echo   1"));
    said = say("PUT /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    ck_assert_ptr_nonnull(strstr(said, " 405 "));
    ck_assert_ptr_nonnull(strstr(said, "Allow: GET, HEAD\r"));
    said = say("POST /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(said, "Allow: GET, HEAD, PUT\r"));
    said = say("GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    ck_assert_ptr_nonnull(strstr(said, "GET /echo   1"));
}
END_TEST

START_TEST(bodies_are_read_where_a_route_says_so)
{
    char *said = say("POST /post HTTP/1.1\r\nHost: a\r\nContent-Type: text/x\r\n"
                     "Content-Length: 5\r\n\r\nhelloPOST /post HTTP/1.0\r\n\r\n");

    ck_assert_ptr_nonnull(strstr(said, "POST /post text/x [hello] 5"));
    ck_assert_ptr_nonnull(strstr(said, " 411 "));
    said = say("GET /post HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(said, " 405 "));
    ck_assert_ptr_nonnull(strstr(said, "Allow: POST\r"));
    said = say("PUT /post HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    ck_assert_ptr_nonnull(strstr(said, "Allow: POST\r"));
}
END_TEST

/* One that comes before the reply to the request before it: libwebsockets cannot tell it apart. */
START_TEST(a_body_that_nobody_could_ask_for_yet_ends_the_connection)
{
    static const char *const firsts[] = {
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    };
    static const char *const seconds[] = {
        "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nyo",
        "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nyo",
        "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\nyo",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(firsts); i++)
        for (size_t k = 0; k < ARRAY_SIZE(seconds); k++) {
            cleanup_free char *text = xasprintf("%s%s", firsts[i], seconds[k]);
            const char *said = say(text);

            ck_assert_ptr_nonnull(strstr(said, " 200 "));
            ck_assert_ptr_null(strstr(said, "echo"));
            ck_assert_ptr_null(strstr(said, "yo"));
        }
    fetch("GET", "/healthz");
    ck_assert_int_eq(t.status, 200);
}
END_TEST

START_TEST(bodies_without_a_fit_length_are_refused)
{
    static const struct {
        const char *head, *status;
    } cases[] = {
        {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", " 411 "},
        {"Content-Length: many\r\n\r\nhello", " 411 "},
        {"Content-Length: -5\r\n\r\nhello", " 411 "},
        {"Content-Length: 20000001\r\n\r\nhello", " 413 "},
        {"Content-Length: 99999999999999999999\r\n\r\nhello", " 411 "},
        {"Content-Length: 0\r\n\r\n", " 400 "},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_free char *text = xasprintf("POST /post HTTP/1.1\r\nHost: a\r\n%s", cases[i].head);
        const char *said = say(text);

        if (!strstr(said, cases[i].status) || !strstr(said, "connection: close"))
            ck_abort_msg("%zu: %s", i, said);
    }
}
END_TEST

/* Each promises much more than it brings: what has come counts. */
START_TEST(bodies_that_do_not_come_hold_nobody_up)
{
    static const char half[] =
        "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\nx";
    int fds[40];

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = dial();
        ck_assert_int_eq(write(fds[i], half, sizeof(half) - 1), (ssize_t)sizeof(half) - 1);
    }
    later(50, (loop_fn)loop_stop, (const char *)(void *)t.loop);
    loop_run(t.loop);
    ck_assert_ptr_nonnull(
        strstr(say("POST /post HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), " 200 "));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}
END_TEST

START_TEST(bodies_have_no_more_room_together_than_there_is)
{
    struct http_body b[3] = {{NULL}};
    static char piece[1 << 20];
    size_t all = 0, n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(b); i++)
        ck_assert_int_eq(http_body_begin(&b[i], "20000000", 20000000, xstrdup(""), 100), 0);
    while (!http_body_add(&b[n / 16 % 3], &all, piece, sizeof(piece), 0))
        n++;
    ck_assert_uint_ge(n, 16); /* of the first one all that a power of two holds */
    ck_assert_uint_le(all, (size_t)32 << 20);
    for (size_t i = 0; i < ARRAY_SIZE(b); i++)
        http_body_end(&b[i], &all);
    ck_assert_uint_eq(all, 0);
}
END_TEST

START_TEST(a_body_that_comes_too_late_is_given_up)
{
    struct http_body b = {NULL};
    size_t all = 0;

    ck_assert_int_eq(http_body_begin(&b, "2", 2, xstrdup(""), 100), 0);
    ck_assert_int_eq(http_body_add(&b, &all, "a", 1, 100), 0);
    ck_assert_int_eq(http_body_add(&b, &all, "b", 1, 101), -1);
    http_body_end(&b, &all);
}
END_TEST

START_TEST(strangers_are_told_what_to_bring)
{
    char *said = say("GET /stranger HTTP/1.0\r\nHost: a\r\n\r\n");

    ck_assert_ptr_nonnull(strstr(said, " 401 "));
    ck_assert_ptr_nonnull(strstr(said, "www-authenticate: Bearer\r"));
}
END_TEST

/* To what knows no limits of ours. */
START_TEST(there_is_no_other_protocol)
{
    static const char *const texts[] = {
        "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Protocol: http\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *said = say(texts[i]);

        if (*said && !strstr(said, "403 Forbidden"))
            ck_abort_msg("%zu: %s", i, said);
    }
    fetch("GET", "/healthz");
    ck_assert_int_eq(t.status, 200);
}
END_TEST

void suite_http_server(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(routes_answer);
    T(ipv6_is_served_where_there_is_any);
    T(large_replies_arrive_whole);
    T(many_at_once_are_answered);
    T(a_port_in_use_is_an_error_that_names_it);
    T(idle_connections_do_not_block_others);
    T(connections_wait_while_there_is_no_descriptor);
    T(nonsense_does_no_harm);
    T(a_server_may_go_while_it_sends);
    T(a_reply_may_come_later);
    T(only_so_many_wait);
    T(a_client_may_go_while_it_waits);
    T(a_server_may_go_while_clients_wait);
    T(put_is_served_where_a_route_says_so);
    T(bodies_are_read_where_a_route_says_so);
    T(a_body_that_nobody_could_ask_for_yet_ends_the_connection);
    T(bodies_without_a_fit_length_are_refused);
    T(bodies_that_do_not_come_hold_nobody_up);
    T(bodies_have_no_more_room_together_than_there_is);
    T(a_body_that_comes_too_late_is_given_up);
    T(strangers_are_told_what_to_bring);
    T(there_is_no_other_protocol);
}
