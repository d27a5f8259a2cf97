/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "flinkop/mem.h"

static char *bio_text(BIO *bio)
{
    char *data;
    size_t n = (size_t)BIO_get_mem_data(bio, &data);
    char *text = xcalloc(n + 1, 1);

    memcpy(text, data, n);
    BIO_free(bio);
    return text;
}

/* since, until: s from now. */
static struct pair sign(EVP_PKEY *key, const char *name, const char *alt_names, long since,
                        long until)
{
    struct pair p = {X509_new(), key, NULL, NULL};
    BIO *out = BIO_new(BIO_s_mem());
    X509_NAME *subject = X509_get_subject_name(p.cert);

    X509_set_version(p.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(p.cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(p.cert), since);
    X509_gmtime_adj(X509_getm_notAfter(p.cert), until);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(p.cert, subject);
    X509_set_pubkey(p.cert, p.key);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt_names);

    X509_add_ext(p.cert, ext, -1);
    X509_EXTENSION_free(ext);
    X509_sign(p.cert, p.key, EVP_sha256());
    PEM_write_bio_X509(out, p.cert);
    p.cert_pem = bio_text(out);
    out = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(out, p.key, NULL, NULL, 0, NULL, NULL);
    p.key_pem = bio_text(out);
    return p;
}

struct pair pair_make(const char *name, const char *alt_names)
{
    return sign(EVP_EC_gen("P-256"), name, alt_names, -60, 3600);
}

struct pair pair_make_expired(const char *name, const char *alt_names)
{
    return sign(EVP_EC_gen("P-256"), name, alt_names, -3600, -60);
}

struct pair pair_make_rsa(const char *name, const char *alt_names)
{
    return sign(EVP_RSA_gen(2048), name, alt_names, -60, 3600);
}

void pair_free(struct pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
    free(p->cert_pem);
    free(p->key_pem);
}
