/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as PEM. Bad ones are found when a configuration is read, with a
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
