/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair in force is given to each connection when it has said hello. So another one needs no
 * other context, and certificate and key change together, also from one type of key to another.
 */
#include "http_server_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/file.h"
#include "flinkop/hash.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "http_internal.h"

#define REREAD_MS 10000
#define PEM_MAX ((size_t)256 << 10)
#define CHAIN_MAX 16 /* certificates behind the first one */

struct pair {
    X509 *cert;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

struct server_tls {
    struct loop *loop;
    char *cert_file, *key_file; /* NULL: it is given its pairs */
    int64_t reread_ms;
    struct timer *timer;
    struct pair pair;
    char hash[2 * SHA256_HEX_LEN + 1]; /* of what it was read from */
    char *trouble;                     /* with what is in the files, as it was told; NULL: none */
};

/* controller-runtime's names (pkg/certwatcher/metrics) */
static struct metric reads =
    METRIC_COUNTER("certwatcher_read_certificate_total", "Total number of certificate reads", NULL);
static struct metric read_errors = METRIC_COUNTER("certwatcher_read_certificate_errors_total",
                                                  "Total number of certificate read errors", NULL);

/* ---- a pair ---- */

static void pair_release(struct pair *p)
{
    X509_free(p->cert);
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
    *p = (struct pair){NULL};
}

static BIO *bio_of(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));

    if (!bio)
        BUG("out of memory in OpenSSL");
    return bio;
}

static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static void read_certificates(struct pair *p, const char *pem)
{
    BIO *bio = bio_of(pem);

    p->cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    p->chain = sk_X509_new_null();
    while (p->cert && sk_X509_num(p->chain) < CHAIN_MAX) {
        X509 *next = PEM_read_bio_X509(bio, NULL, no_password, NULL);

        if (!next)
            break;
        sk_X509_push(p->chain, next);
    }
    BIO_free(bio);
}

static int pair_parse(struct pair *p, const struct server_tls *t, const char *cert_pem,
                      const char *key_pem, struct error *err)
{
    const char *cert_name = str_or(t->cert_file, "tls.crt"),
               *key_name = str_or(t->key_file, "tls.key");
    BIO *bio = bio_of(key_pem);
    int rc = 0;

    read_certificates(p, cert_pem);
    p->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (!p->cert)
        rc = error_set(err, ERR_INVALID, "%s: no certificate in PEM form", cert_name);
    else if (!p->key)
        rc = error_set(err, ERR_INVALID, "%s: no private key in PEM form without a password",
                       key_name);
    else if (X509_check_private_key(p->cert, p->key) != 1)
        rc = error_set(err, ERR_INVALID, "the key in %s does not belong to the certificate in %s",
                       key_name, cert_name);
    ERR_clear_error(); /* OpenSSL's queue is the thread's: others would find ours */
    if (rc)
        pair_release(p);
    return rc;
}

/* ---- the files ---- */

/* 1: another pair is in force now; 0: the same; -1: the files hold none. */
static int take(struct server_tls *t, const char *cert_pem, const char *key_pem, struct error *err)
{
    char hash[sizeof(t->hash)];
    struct pair fresh = {NULL};

    sha256_hex(cert_pem, strlen(cert_pem), hash);
    sha256_hex(key_pem, strlen(key_pem), hash + SHA256_HEX_LEN);
    if (!strcmp(hash, t->hash))
        return 0;
    if (pair_parse(&fresh, t, cert_pem, key_pem, err))
        return -1;
    pair_release(&t->pair);
    t->pair = fresh;
    memcpy(t->hash, hash, sizeof(hash));
    return 1;
}

static int read_files(struct server_tls *t, struct error *err)
{
    cleanup_free char *cert_pem = file_read(t->cert_file, PEM_MAX, NULL, err);
    char *key_pem = cert_pem ? file_read(t->key_file, PEM_MAX, NULL, err) : NULL;
    int rc = key_pem ? take(t, cert_pem, key_pem, err) : -1;

    http_wipe_free(key_pem);
    metric_add(&reads, 1);
    metric_add(&read_errors, rc < 0);
    return rc;
}

static void reread(void *arg)
{
    struct server_tls *t = arg;
    struct error err = {0};
    int rc = read_files(t, &err);

    if (rc < 0 && !str_eq(err.text, t->trouble))
        log_error("cannot use the new certificate, the former one stays", KV("error", err.text));
    else if (rc > 0 || (rc == 0 && t->trouble))
        log_info(rc ? "certificate renewed" : "the former certificate is back",
                 KV("file", t->cert_file));
    str_replace(&t->trouble, rc < 0 ? err.text : NULL);
    timer_start(t->timer, t->reread_ms);
}

/* ---- connections ---- */

static int choose(SSL *ssl, void *arg)
{
    const struct server_tls *t = arg;

    SSL_certs_clear(ssl);
    if (!t->pair.cert)
        return 0;
    return SSL_use_cert_and_key(ssl, t->pair.cert, t->pair.key, t->pair.chain, /* override= */ 1);
}

void server_tls_install(struct server_tls *t, SSL_CTX *ctx)
{
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_cert_cb(ctx, choose, t);
}

/* ---- life ---- */

struct server_tls *server_tls_new(struct loop *loop, const char *cert_file, const char *key_file,
                                  int64_t reread_ms, struct error *err)
{
    struct server_tls *t = xcalloc(1, sizeof(*t));

    t->loop = loop;
    if (!cert_file)
        return t;
    t->cert_file = xstrdup(cert_file);
    t->key_file = xstrdup(key_file);
    t->reread_ms = reread_ms ? reread_ms : REREAD_MS;
    if (read_files(t, err) < 0) {
        server_tls_free(t);
        return NULL;
    }
    t->timer = timer_new(loop, reread, t);
    timer_start(t->timer, t->reread_ms);
    return t;
}

int server_tls_give(struct server_tls *t, const char *cert_pem, const char *key_pem,
                    struct error *err)
{
    return take(t, cert_pem, key_pem, err);
}

void server_tls_stop(struct server_tls *t)
{
    if (t)
        timer_free(TAKE_PTR(t->timer));
}

void server_tls_free(struct server_tls *t)
{
    if (!t)
        return;
    server_tls_stop(t);
    pair_release(&t->pair);
    free(t->trouble);
    free(t->cert_file);
    free(t->key_file);
    free(t);
}
