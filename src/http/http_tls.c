/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flinkop/mem.h"
#include "http_internal.h"

struct http_tls *http_tls_new(const struct http_tls_options *o)
{
    struct http_tls *tls = xcalloc(1, sizeof(*tls));

    *tls = (struct http_tls){
        .refs = 1,
        .ca = xstrdup_or_null(o->ca_pem),
        .cert = xstrdup_or_null(o->client_cert_pem),
        .key = xstrdup_or_null(o->client_key_pem),
        .server_name = xstrdup_or_null(o->server_name),
        .insecure = o->insecure,
    };
    return tls;
}

struct http_tls *http_tls_ref(struct http_tls *tls)
{
    if (tls)
        tls->refs++;
    return tls;
}

void http_wipe_free(char *s)
{
    if (s)
        OPENSSL_cleanse(s, strlen(s));
    free(s);
}

void http_tls_unref(struct http_tls *tls)
{
    if (!tls || --tls->refs)
        return;
    free(tls->ca);
    free(tls->cert);
    http_wipe_free(tls->key);
    free(tls->server_name);
    free(tls);
}
