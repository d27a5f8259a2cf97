/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of the HTTP client, against a server in a process of its own that tells what it was shown. */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flinkop/http.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "pair.h"
#include "unit.h"

static struct {
    struct loop *loop;
    struct http_client *client;
    struct timer *guard;
    struct pair server, user, stranger;
    int port;
    pid_t pid;
    struct error err;
    char body[256];
} t;

static int accept_all(int ok, X509_STORE_CTX *ctx)
{
    (void)ok;
    (void)ctx;
    return 1;
}

/* One request on one connection: says the name it was asked for and the client's certificate. */
static void serve_one(SSL *ssl)
{
    char request[4096], subject[128] = "nobody", body[512], answer[1024];
    X509 *peer = SSL_get1_peer_certificate(ssl);
    int n = SSL_read(ssl, request, sizeof(request) - 1);

    if (n <= 0)
        return;
    request[n] = 0;
    if (peer)
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, subject,
                                  sizeof(subject));
    const char *host = strstr(request, "\r\nHost: ");

    snprintf(body, sizeof(body), "sni=%s host=%.*s client=%s resumed=%d",
             str_or(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "-"),
             host ? (int)strcspn(host + 8, ":\r") : 1, host ? host + 8 : "-", subject,
             SSL_session_reused(ssl));
    n = snprintf(answer, sizeof(answer),
                 "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
    SSL_write(ssl, answer, n);
    SSL_shutdown(ssl);
}

static void server_main(int listener)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    SSL_CTX_use_certificate(ctx, t.server.cert);
    SSL_CTX_use_PrivateKey(ctx, t.server.key);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_all);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        SSL *ssl = SSL_new(ctx);

        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1)
            serve_one(ssl);
        SSL_free(ssl);
        close(fd);
    }
}

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static void begin(struct pair server)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&t, 0, sizeof(t));
    t.server = server;
    t.user = pair_make("user", "DNS:user");
    t.stranger = pair_make("stranger", "DNS:inside.test,IP:127.0.0.1");
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    getsockname(fd, (struct sockaddr *)&at, &len);
    t.port = ntohs(at.sin_port);
    t.pid = fork();
    if (!t.pid)
        server_main(fd);
    close(fd);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    timer_start(t.guard, 60000);
    t.client = http_client_new(t.loop, &(struct http_client_options){NULL, 4, 4});
}

static void setup(void)
{
    begin(pair_make("server", "DNS:inside.test,IP:127.0.0.1"));
}

static void teardown(void)
{
    kill(t.pid, SIGKILL);
    waitpid(t.pid, NULL, 0);
    http_client_free(t.client);
    loop_free(t.loop);
    pair_free(&t.server);
    pair_free(&t.user);
    pair_free(&t.stranger);
    metrics_release();
}

static void on_done(void *arg, const struct http_response *res, const struct error *err)
{
    (void)arg;
    t.err = *err;
    snprintf(t.body, sizeof(t.body), "%s", res ? res->body : "");
    loop_stop(t.loop);
}

/* The server's words, or the error's. names: NULL, or those that its certificate may be for. */
static const char *fetch_of(const char *host, const char *const *names, struct http_tls_options o)
{
    cleanup_free char *url = xasprintf("https://%s:%d/", host, t.port);
    struct http_tls *tls = http_tls_new(&o);
    struct error err = {0};

    if (!http_send(t.client,
                   &(struct http_request){.method = "POST",
                                          .url = url,
                                          .tls = tls,
                                          .tls_names = names,
                                          .timeout_ms = 10000,
                                          .on_done = on_done},
                   &err))
        ck_abort_msg("%s", err.text);
    http_tls_unref(tls); /* the call holds its own */
    loop_run(t.loop);
    return t.err.code ? t.err.text : t.body;
}

static const char *fetch(const char *host, struct http_tls_options o)
{
    return fetch_of(host, NULL, o);
}

START_TEST(a_trusted_server_is_spoken_to)
{
    ck_assert_str_eq(fetch("127.0.0.1", (struct http_tls_options){.ca_pem = t.server.cert_pem}),
                     "sni=- host=127.0.0.1 client=nobody resumed=0");
}
END_TEST

START_TEST(an_untrusted_server_is_not)
{
    fetch("127.0.0.1", (struct http_tls_options){.ca_pem = t.stranger.cert_pem});
    assert_error(&t.err, ERR_UNREACHABLE, "certificate");
    ck_assert_str_eq(t.err.reason, HTTP_UNTRUSTED);
    fetch("127.0.0.1", (struct http_tls_options){0}); /* the system's authorities */
    assert_error(&t.err, ERR_UNREACHABLE, "certificate");
    /* trusted, but not under this name */
    fetch("localhost", (struct http_tls_options){.ca_pem = t.server.cert_pem});
    assert_error(&t.err, ERR_UNREACHABLE, "localhost");
}
END_TEST

START_TEST(a_server_whose_time_is_over_is_told)
{
    static const char *const names[] = {"inside.test", NULL};

    teardown();
    begin(pair_make_expired("server", "DNS:inside.test,IP:127.0.0.1"));
    fetch("127.0.0.1", (struct http_tls_options){.ca_pem = t.server.cert_pem});
    assert_error(&t.err, ERR_UNREACHABLE, "certificate has expired");
    ck_assert_str_eq(t.err.reason, HTTP_UNTRUSTED);
    fetch_of("127.0.0.1", names, (struct http_tls_options){.ca_pem = t.server.cert_pem});
    assert_error(&t.err, ERR_UNREACHABLE, "certificate has expired");
}
END_TEST

START_TEST(a_server_may_go_by_another_name)
{
    struct http_tls_options o = {.ca_pem = t.server.cert_pem, .server_name = "inside.test"};

    ck_assert_str_eq(fetch("localhost", o),
                     "sni=inside.test host=localhost client=nobody resumed=0");
    o.server_name = "outside.test";
    fetch("localhost", o);
    assert_error(&t.err, ERR_UNREACHABLE, "outside.test");
}
END_TEST

START_TEST(a_server_may_go_by_one_of_several_names)
{
    static const char *const names[] = {"demo-rest", "inside.test", NULL}, *const others[] = {
                                                                               "demo-rest",
                                                                               "demo-rest.ns",
                                                                               NULL};
    const struct http_tls_options o = {.ca_pem = t.server.cert_pem},
                                  stranger = {.ca_pem = t.stranger.cert_pem};

    ck_assert_str_eq(fetch_of("127.0.0.1", names, o),
                     "sni=- host=127.0.0.1 client=nobody resumed=0");
    fetch_of("127.0.0.1", others, o); /* although the certificate names the address */
    assert_error(&t.err, ERR_UNREACHABLE, "ostname mismatch");
    ck_assert_str_eq(t.err.reason, HTTP_UNTRUSTED);
    fetch_of("127.0.0.1", names, stranger);
    assert_error(&t.err, ERR_UNREACHABLE, "certificate");
    ck_assert_str_eq(t.err.reason, HTTP_UNTRUSTED);
}
END_TEST

START_TEST(verification_is_off_only_where_asked_for)
{
    ck_assert_str_eq(fetch("localhost", (struct http_tls_options){.insecure = true}),
                     "sni=localhost host=localhost client=nobody resumed=0");
    fetch("localhost", (struct http_tls_options){0});
    assert_error(&t.err, ERR_UNREACHABLE, "certificate");
}
END_TEST

START_TEST(client_certificates_are_shown_and_not_mixed_up)
{
    struct http_tls_options o = {.ca_pem = t.server.cert_pem,
                                 .client_cert_pem = t.user.cert_pem,
                                 .client_key_pem = t.user.key_pem};

    ck_assert_ptr_nonnull(strstr(fetch("127.0.0.1", o), "client=user"));
    o.client_cert_pem = t.stranger.cert_pem;
    o.client_key_pem = t.stranger.key_pem;
    ck_assert_ptr_nonnull(strstr(fetch("127.0.0.1", o), "client=stranger"));
    o.client_cert_pem = o.client_key_pem = NULL;
    ck_assert_ptr_nonnull(strstr(fetch("127.0.0.1", o), "client=nobody"));
}
END_TEST

START_TEST(bad_client_certificates_are_invalid)
{
    struct http_tls_options o = {.ca_pem = t.server.cert_pem,
                                 .client_cert_pem = t.user.cert_pem,
                                 .client_key_pem = t.stranger.key_pem};

    fetch("127.0.0.1", o);
    assert_error(&t.err, ERR_INVALID, "127.0.0.1");
    o.client_cert_pem = "nonsense";
    fetch("127.0.0.1", o);
    assert_error(&t.err, ERR_INVALID, "127.0.0.1");
    o = (struct http_tls_options){.ca_pem = "nonsense"};
    fetch("127.0.0.1", o);
    ck_assert(t.err.code == ERR_INVALID || t.err.code == ERR_UNREACHABLE);
}
END_TEST

void suite_http_tls(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(a_trusted_server_is_spoken_to);
    T(an_untrusted_server_is_not);
    T(a_server_whose_time_is_over_is_told);
    T(a_server_may_go_by_another_name);
    T(a_server_may_go_by_one_of_several_names);
    T(verification_is_off_only_where_asked_for);
    T(client_certificates_are_shown_and_not_mixed_up);
    T(bad_client_certificates_are_invalid);
}
