/* SPDX-License-Identifier: Apache-2.0 */
#include "certificate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flinkop/error.h"
#include "flinkop/mem.h"

#define BUNDLE_MAX 4
#define EARLIER_MS 3600000
#define SERIAL_BITS 127

/* OpenSSL fails here only without memory or random numbers. */
#define MUST(ok)                                \
    do {                                        \
        if (!(ok))                              \
            BUG("OpenSSL: %s has failed", #ok); \
    } while (0)

void certificate_release(struct certificate *c)
{
    if (c->key)
        OPENSSL_cleanse(c->key, strlen(c->key));
    free(c->ca);
    free(c->cert);
    free(c->key);
    *c = (struct certificate){NULL};
}

/* ---- text ---- */

static char *text_of(BIO *bio)
{
    char *data;
    size_t n = (size_t)BIO_get_mem_data(bio, &data);
    char *text = xcalloc(n + 1, 1);

    if (n) {
        memcpy(text, data, n);
        OPENSSL_cleanse(data, n);
    }
    BIO_free(bio);
    return text;
}

static char *certificate_text(X509 *x)
{
    BIO *bio = BIO_new(BIO_s_mem());

    MUST(bio && PEM_write_bio_X509(bio, x));
    return text_of(bio);
}

static char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    MUST(bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    return text_of(bio);
}

static BIO *bio_of(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));

    MUST(bio);
    return bio;
}

static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

/* ---- making ---- */

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);

    MUST(e && X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

static void set_serial(X509 *x)
{
    BIGNUM *n = BN_new();

    MUST(n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY));
    MUST(BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)));
    BN_free(n);
}

/* Its own issuer, until it gets another one. */
static X509 *blank(EVP_PKEY *key, const char *name, int64_t begin, int64_t end)
{
    X509 *x = X509_new();

    MUST(x && X509_set_version(x, 2));
    set_serial(x);
    MUST(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(begin / 1000)));
    MUST(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(end / 1000)));
    MUST(X509_set_pubkey(x, key));
    MUST(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                    (const unsigned char *)name, -1, -1, 0));
    MUST(X509_set_issuer_name(x, X509_get_subject_name(x)));
    add_extension(x, x, NID_subject_key_identifier, "hash");
    return x;
}

/* Authorities have names of their own, or who has several of one name may try the wrong one. */
static X509 *make_authority(EVP_PKEY *key, int64_t begin, int64_t end)
{
    unsigned char id[8];

    MUST(RAND_bytes(id, sizeof(id)) == 1);
    char *hex = OPENSSL_buf2hexstr(id, sizeof(id));
    cleanup_free char *name = xasprintf("flink-operator webhook %s", hex);
    X509 *x = blank(key, name, begin, end);

    OPENSSL_free(hex);
    add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(x, x, NID_key_usage, "critical,keyCertSign");
    MUST(X509_sign(x, key, EVP_sha256()));
    return x;
}

struct certificate certificate_make(const char *service, const char *ns, int64_t wall, int64_t life)
{
    int64_t begin = wall - MIN((int64_t)EARLIER_MS, life / 10), end = wall + life;
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    cleanup_free char *names =
        xasprintf("DNS:%s.%s.svc,DNS:%s.%s.svc.cluster.local", service, ns, service, ns);

    MUST(ca_key && key);
    X509 *ca = make_authority(ca_key, begin, end), *x = blank(key, "flink-operator", begin, end);

    MUST(X509_set_issuer_name(x, X509_get_subject_name(ca)));
    add_extension(x, ca, NID_authority_key_identifier, "keyid:always");
    add_extension(x, ca, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x, ca, NID_key_usage, "critical,digitalSignature");
    add_extension(x, ca, NID_ext_key_usage, "serverAuth");
    add_extension(x, ca, NID_subject_alt_name, names);
    MUST(X509_sign(x, ca_key, EVP_sha256()));
    struct certificate made = {certificate_text(ca), certificate_text(x), key_text(key)};

    X509_free(ca);
    X509_free(x);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return made;
}

/* ---- looking ---- */

static int64_t epoch_ms(const ASN1_TIME *t)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static STACK_OF(X509) * read_all(const char *pem)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *bio = bio_of(pem);
    X509 *x;

    MUST(all);
    while (sk_X509_num(all) < BUNDLE_MAX && (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
        MUST(sk_X509_push(all, x));
    BIO_free(bio);
    ERR_clear_error();
    return all;
}

static bool is_trusted(X509 *x, const char *ca)
{
    STACK_OF(X509) *all = read_all(ca);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    MUST(store && ctx);
    for (int i = 0; i < sk_X509_num(all); i++)
        MUST(X509_STORE_add_cert(store, sk_X509_value(all, i)));
    MUST(X509_STORE_CTX_init(ctx, store, x, NULL));
    MUST(X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER));
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
    bool yes = X509_verify_cert(ctx) == 1;

    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_pop_free(all, X509_free);
    return yes;
}

static bool has_name(X509 *x, const char *service, const char *ns, const char *domain)
{
    cleanup_free char *name = xasprintf("%s.%s.svc%s", service, ns, domain);

    return X509_check_host(x, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

static const char *wrong_with(X509 *x, EVP_PKEY *key, const char *ca, const char *service,
                              const char *ns)
{
    if (!x)
        return "tls.crt holds no certificate in PEM form";
    if (!key)
        return "tls.key holds no private key in PEM form without a password";
    if (X509_check_private_key(x, key) != 1)
        return "tls.key does not belong to the certificate in tls.crt";
    if (!has_name(x, service, ns, "") || !has_name(x, service, ns, ".cluster.local"))
        return "the certificate in tls.crt is not for the names of the Service";
    return is_trusted(x, ca) ? NULL : "the certificate in tls.crt is not signed by one in ca.crt";
}

int certificate_check(const struct certificate *c, const char *service, const char *ns,
                      struct certificate_life *ret, struct error *err)
{
    BIO *cert_bio = bio_of(c->cert), *key_bio = bio_of(c->key);
    X509 *x = PEM_read_bio_X509(cert_bio, NULL, no_password, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, no_password, NULL);
    const char *wrong = wrong_with(x, key, c->ca, service, ns);

    if (!wrong)
        *ret = (struct certificate_life){epoch_ms(X509_get0_notBefore(x)),
                                         epoch_ms(X509_get0_notAfter(x))};
    X509_free(x);
    EVP_PKEY_free(key);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    ERR_clear_error(); /* OpenSSL's queue is the thread's: others would find ours */
    return wrong ? error_set(err, ERR_INVALID, "%s", wrong) : 0;
}

bool certificate_is_due(const struct certificate_life *l, int64_t wall)
{
    return wall < l->begin || wall >= l->begin + (l->end - l->begin) / 3 * 2;
}

bool certificate_is_over(const struct certificate_life *l, int64_t wall)
{
    return wall < l->begin || wall >= l->end;
}

/* ---- who is trusted ---- */

static void keep(STACK_OF(X509) * kept, const char *pem, int64_t wall)
{
    STACK_OF(X509) *all = read_all(pem);

    for (int i = 0; i < sk_X509_num(all) && sk_X509_num(kept) < BUNDLE_MAX; i++) {
        X509 *x = sk_X509_value(all, i);
        bool known = false;

        for (int k = 0; k < sk_X509_num(kept); k++)
            known = known || !X509_cmp(x, sk_X509_value(kept, k));
        if (!known && wall < epoch_ms(X509_get0_notAfter(x)))
            MUST(X509_up_ref(x) && sk_X509_push(kept, x));
    }
    sk_X509_pop_free(all, X509_free);
}

char *certificate_bundle(const char *first, const char *second, int64_t wall)
{
    STACK_OF(X509) *kept = sk_X509_new_null();
    BIO *bio = BIO_new(BIO_s_mem());

    MUST(kept && bio);
    keep(kept, first, wall);
    if (second)
        keep(kept, second, wall);
    for (int i = 0; i < sk_X509_num(kept); i++)
        MUST(PEM_write_bio_X509(bio, sk_X509_value(kept, i)));
    sk_X509_pop_free(kept, X509_free);
    return text_of(bio);
}
