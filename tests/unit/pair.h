/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests. */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include <openssl/x509.h>

struct pair {
    X509 *cert;
    EVP_PKEY *key;
    char *cert_pem, *key_pem;
};

/** A certificate that is its own authority, with an EC key; alt_names as OpenSSL writes them,
 * "DNS:a,IP:127.0.0.1". */
struct pair pair_make(const char *name, const char *alt_names);
/** The same, whose time was over a minute ago. */
struct pair pair_make_expired(const char *name, const char *alt_names);
/** The same as pair_make() with an RSA key. */
struct pair pair_make_rsa(const char *name, const char *alt_names);
void pair_free(struct pair *p);

#endif
