/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate and key of the HTTP server. */
#ifndef HTTP_SERVER_TLS_H
#define HTTP_SERVER_TLS_H

#include <stdint.h>

#include "flinkop/macros.h"

struct error;
struct loop;
struct server_tls;
struct ssl_ctx_st; /* SSL_CTX of <openssl/ssl.h> */

/** Reads the pair, and again every so often. Without files it has none until it is given one: who
 * connects before that is refused. */
struct server_tls *server_tls_new(struct loop *loop, const char *cert_file, const char *key_file,
                                  int64_t reread_ms, struct error *err) MUST_CHECK;
/** Another pair, as text in PEM. 1: it is in force now; 0: it was; -1: it cannot be used, and the
 * former one stays. */
int server_tls_give(struct server_tls *t, const char *cert_pem, const char *key_pem,
                    struct error *err) MUST_CHECK;
/** Connections that begin in this context get the pair that is in force then. It must not be used
 * after server_tls_free. */
void server_tls_install(struct server_tls *t, struct ssl_ctx_st *ctx);
/** Reads no more: from here on it needs no loop. NULL is allowed, here and below. */
void server_tls_stop(struct server_tls *t);
void server_tls_free(struct server_tls *t);

#endif
