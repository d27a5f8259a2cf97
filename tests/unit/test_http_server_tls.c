/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of the HTTP server, asked by our own client and by OpenSSL's. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flinkop/http.h"
#include "flinkop/http_server.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/strbuf.h"
#include "pair.h"
#include "unit.h"

#define REREAD_MS 20
#define ALT "IP:127.0.0.1"

static struct {
    struct loop *loop;
    struct timer *guard, *pause;
    struct http_server *server;
    struct http_client *client;
    struct pair first, second, rsa;
    char dir[SCRATCH_ROOM];
    struct error err;
    int status, length, finished;
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static void big(void *arg, struct http_reply *reply)
{
    (void)arg;
    for (int i = 0; i < 100000; i++)
        strbuf_addf(reply->body, "%09d\n", i);
}

/* What came, as it came. */
static void echo(void *arg, struct http_reply *reply)
{
    (void)arg;
    strbuf_add(reply->body, reply->asked->body, reply->asked->len);
}

static struct http_server *serve(const char *cert, const char *key, struct error *err)
{
    static const struct http_route routes[] = {{"/big", big},
                                               {"/echo", echo, .post_max = (size_t)8 << 20}};
    cleanup_free char *cert_file = xasprintf("%s/tls.crt", t.dir);
    cleanup_free char *key_file = xasprintf("%s/tls.key", t.dir);

    if (cert)
        scratch_write(t.dir, "tls.crt", cert);
    if (key)
        scratch_write(t.dir, "tls.key", key);
    return http_server_new(t.loop,
                           &(struct http_server_options){.routes = routes,
                                                         .n = ARRAY_SIZE(routes),
                                                         .cert_file = cert_file,
                                                         .key_file = key_file,
                                                         .reread_ms = REREAD_MS},
                           err);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    log_setup(LOG_WARN, LOG_TEXT);
    scratch_make(t.dir);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    t.pause = timer_new(t.loop, (loop_fn)loop_stop, t.loop);
    timer_start(t.guard, 60000);
    t.first = pair_make("first", ALT);
    t.second = pair_make("second", ALT);
    t.rsa = pair_make_rsa("rsa", ALT);
    t.server = serve(t.first.cert_pem, t.first.key_pem, &t.err);
    if (!t.server)
        ck_abort_msg("%s", t.err.text);
}

static void teardown(void)
{
    http_client_free(t.client);
    http_server_free(t.server);
    loop_free(t.loop);
    pair_free(&t.first);
    pair_free(&t.second);
    pair_free(&t.rsa);
    metrics_release();
    scratch_remove(t.dir);
}

static void on_done(void *arg, const struct http_response *res, const struct error *err)
{
    (void)arg;
    t.err = *err;
    t.status = res ? res->status : 0;
    t.length = res ? (int)res->len : 0;
    t.finished++;
    loop_stop(t.loop);
}

static void ask(const struct pair *authority)
{
    cleanup_free char *url = xasprintf("https://127.0.0.1:%d/big", http_server_port(t.server));
    struct http_tls *tls = http_tls_new(&(struct http_tls_options){.ca_pem = authority->cert_pem});
    struct error err = {0};

    if (!http_send(t.client,
                   &(struct http_request){.method = "GET",
                                          .url = url,
                                          .tls = tls,
                                          .timeout_ms = 20000,
                                          .max_body = (size_t)10 << 20,
                                          .on_done = on_done},
                   &err))
        ck_abort_msg("%s", err.text);
    http_tls_unref(tls);
}

/* Whether the server shows this certificate. */
static bool shows(const struct pair *pair)
{
    http_client_free(t.client); /* with the connections that it keeps */
    t.client = http_client_new(t.loop, &(struct http_client_options){NULL, 10, 10});
    ask(pair);
    loop_run(t.loop);
    return t.status == 200 && t.length == 1000000;
}

static void pass(int64_t ms)
{
    timer_start(t.pause, ms);
    loop_run(t.loop);
}

static double metric_value(const char *name)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);
    cleanup_free char *line = xasprintf("\n%s ", name);

    metrics_write(&sb);
    const char *at = strstr(sb.buf, line);
    return at ? strtod(at + strlen(line), NULL) : -1;
}

START_TEST(large_replies_arrive_whole)
{
    ck_assert(shows(&t.first));
    ck_assert(!shows(&t.second));
    ck_assert(shows(&t.first));
}
END_TEST

/* TLS records end anywhere in them. */
START_TEST(bodies_of_all_sizes_arrive_on_one_connection)
{
    static const size_t sizes[] = {1,     100,   1000,  3000,   4000,   5000,   15000,   16000,
                                   16384, 17000, 40000, 100000, 500000, 999999, 3000000, 10};
    cleanup_free char *url = xasprintf("https://127.0.0.1:%d/echo", http_server_port(t.server));
    cleanup_free char *body = xmalloc(3000000);
    struct http_tls *tls = http_tls_new(&(struct http_tls_options){.ca_pem = t.first.cert_pem});
    struct error err = {0};

    memset(body, 'x', 3000000);
    t.client = http_client_new(t.loop, &(struct http_client_options){NULL, 1, 1});
    for (size_t i = 0; i < 5 * ARRAY_SIZE(sizes); i++) {
        size_t n = sizes[i % ARRAY_SIZE(sizes)];

        ck_assert_ptr_nonnull(http_send(
            t.client,
            &(struct http_request){.method = "POST",
                                   .url = url,
                                   .headers = (const struct http_header[]){{"Expect", ""}, {NULL}},
                                   .body = body,
                                   .body_len = n,
                                   .tls = tls,
                                   .timeout_ms = 20000,
                                   .max_body = (size_t)10 << 20,
                                   .on_done = on_done},
            &err));
        loop_run(t.loop);
        if (t.status != 200 || t.length != (int)n)
            ck_abort_msg("%zu bytes: %d, %d bytes, %s", n, t.status, t.length, t.err.text);
    }
    http_tls_unref(tls);
}
END_TEST

START_TEST(another_pair_is_taken_as_a_whole)
{
    scratch_write(t.dir, "tls.crt", t.second.cert_pem); /* half of it */
    pass(100);
    ck_assert(shows(&t.first));
    ck_assert(metric_value("certwatcher_read_certificate_errors_total") >= 1);
    scratch_write(t.dir, "tls.key", t.second.key_pem);
    pass(100);
    ck_assert(shows(&t.second));
    ck_assert(!shows(&t.first));
    scratch_write(t.dir, "tls.key", t.rsa.key_pem); /* another type of key */
    scratch_write(t.dir, "tls.crt", t.rsa.cert_pem);
    pass(100);
    ck_assert(shows(&t.rsa));
    ck_assert(!shows(&t.second));
    scratch_write(t.dir, "tls.key", "nonsense");
    pass(100);
    ck_assert(shows(&t.rsa));
    scratch_write(t.dir, "tls.key", t.rsa.key_pem);
    double errors = metric_value("certwatcher_read_certificate_errors_total");
    pass(100);
    ck_assert(metric_value("certwatcher_read_certificate_errors_total") <= errors + 1);
    ck_assert(shows(&t.rsa));
}
END_TEST

START_TEST(a_pair_that_cannot_be_used_is_an_error_that_names_the_file)
{
    struct error err = {0};

    ck_assert_ptr_null(serve(t.first.cert_pem, t.second.key_pem, &err));
    assert_error(&err, ERR_INVALID, "/tls.key does not belong to the certificate in ");
    ck_assert_ptr_null(serve("nothing", t.first.key_pem, &err));
    assert_error(&err, ERR_INVALID, "/tls.crt: no certificate in PEM form");
    ck_assert_ptr_null(serve(t.first.cert_pem, "nothing", &err));
    assert_error(&err, ERR_INVALID, "/tls.key: no private key in PEM form");
    scratch_remove(t.dir);
    ck_assert_ptr_null(serve(NULL, NULL, &err));
    assert_error(&err, ERR_NOT_FOUND, "/tls.crt");
}
END_TEST

/* In a thread of its own, because OpenSSL waits: the version that both agree on. */
static struct {
    int most, agreed;
    char alpn[16];
} hello;

static void *say_hello(void *arg)
{
    static const unsigned char protocols[] = "\2h2\10http/1.1";
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t) * (const int *)arg)};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const unsigned char *alpn = NULL;
    unsigned n = 0;

    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, hello.most);
    SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
    SSL_CTX_set_alpn_protos(ctx, protocols, sizeof(protocols) - 1);
    SSL *ssl = SSL_new(ctx);

    if (!connect(fd, (struct sockaddr *)&at, sizeof(at)) && SSL_set_fd(ssl, fd) &&
        SSL_connect(ssl) == 1) {
        hello.agreed = SSL_version(ssl);
        SSL_get0_alpn_selected(ssl, &alpn, &n);
        snprintf(hello.alpn, sizeof(hello.alpn), "%.*s", (int)n, (const char *)alpn);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    return NULL;
}

static int agreed(int most)
{
    int port = http_server_port(t.server);
    pthread_t thread;

    hello.most = most;
    hello.agreed = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, say_hello, &port), 0);
    pass(200);
    pthread_join(thread, NULL);
    return hello.agreed;
}

START_TEST(tls_before_1_2_is_refused)
{
    ck_assert_int_eq(agreed(TLS1_3_VERSION), TLS1_3_VERSION);
    ck_assert_str_eq(hello.alpn, "http/1.1");
    ck_assert_int_eq(agreed(TLS1_2_VERSION), TLS1_2_VERSION);
    ck_assert_int_eq(agreed(TLS1_1_VERSION), 0);
}
END_TEST

START_TEST(what_is_no_tls_does_no_harm)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)http_server_port(t.server))};
    int fds[20];

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        ck_assert_int_eq(connect(fds[i], (struct sockaddr *)&at, sizeof(at)), 0);
        if (i % 2)
            ck_assert_int_eq(write(fds[i], "GET /big HTTP/1.1\r\n\r\n", 21), 21);
    }
    ck_assert(shows(&t.first));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    ck_assert(shows(&t.first));
}
END_TEST

START_TEST(a_server_may_go_while_it_sends)
{
    t.client = http_client_new(t.loop, &(struct http_client_options){NULL, 10, 10});
    ask(&t.first);
    pass(20);
    http_server_free(t.server);
    t.server = NULL;
    pass(50);
}
END_TEST

void suite_http_server_tls(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(large_replies_arrive_whole);
    T(bodies_of_all_sizes_arrive_on_one_connection);
    T(another_pair_is_taken_as_a_whole);
    T(a_pair_that_cannot_be_used_is_an_error_that_names_the_file);
    T(tls_before_1_2_is_refused);
    T(what_is_no_tls_does_no_harm);
    T(a_server_may_go_while_it_sends);
}
