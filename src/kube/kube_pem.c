/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as bytes: base64 and PEM. Bad ones are found when a configuration is read, with a
 * name, and not as a riddle of the TLS library at the first connection. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "flinkop/mem.h"
#include "kube_config_internal.h"

void wipe_free(char *s)
{
    if (s)
        OPENSSL_cleanse(s, strlen(s));
    free(s);
}

char *base64_decode(const char *text, size_t *ret_len)
{
    size_t n = 0, padding = 0;
    cleanup_free char *packed = xmalloc(strlen(text) + 1);

    for (const char *p = text; *p; p++)
        if (!strchr(" \t\r\n", *p))
            packed[n++] = *p;
    packed[n] = 0;
    while (n && padding < 2 && packed[n - 1 - padding] == '=')
        padding++;
    char *out = xmalloc(n + 1);
    int len = n ? EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)packed, (int)n) : 0;

    /* EVP_DecodeBlock skips some characters at the ends and takes '=' for zeros in the middle. */
    if (n % 4 || len != (int)(n / 4 * 3) || strcspn(packed, "=") != n - padding) {
        free(out);
        return NULL;
    }
    len -= (int)padding;
    out[len] = 0;
    if (ret_len)
        *ret_len = (size_t)len;
    OPENSSL_cleanse(packed, n);
    return out;
}

char *base64_encode(const void *data, size_t n)
{
    char *out = xmalloc((n + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)out, data, (int)n);
    return out;
}

static BIO *bio_of(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));

    if (!bio)
        BUG("out of memory in OpenSSL");
    return bio;
}

static X509 *first_certificate(const char *pem)
{
    BIO *bio = bio_of(pem);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    ERR_clear_error(); /* OpenSSL's queue is the thread's: curl would find ours */
    return cert;
}

int pem_check_certificates(const char *pem, const char *what, struct error *err)
{
    X509 *cert = first_certificate(pem);

    if (!cert)
        return error_set(err, ERR_INVALID, "%s holds no certificate in PEM form", what);
    X509_free(cert);
    return 0;
}

int pem_check_pair(const char *cert_pem, const char *key_pem, const char *what, struct error *err)
{
    X509 *cert = first_certificate(cert_pem);
    BIO *bio = bio_of(key_pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
    int rc = 0;

    if (!cert)
        rc = error_set(err, ERR_INVALID, "%s: no certificate in PEM form", what);
    else if (!key)
        rc = error_set(err, ERR_INVALID, "%s: no private key in PEM form without a password", what);
    else if (X509_check_private_key(cert, key) != 1)
        rc = error_set(err, ERR_INVALID, "%s: the key does not belong to the certificate", what);
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}
