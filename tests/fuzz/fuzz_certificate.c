/* SPDX-License-Identifier: Apache-2.0 */
/* A Secret that anybody may have written: ca.crt, tls.crt and tls.key, with a 0 between them. What
 * is refused is told without the key; of who is trusted nothing is left but certificates, four at
 * most. */
#include <openssl/err.h>
#include <stdint.h>

#include "../../src/server/certificate.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/mem.h"
#include "must.h"

#define NOW INT64_C(1800000000000)
#define BEGIN "-----BEGIN CERTIFICATE-----\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_certificates(const char *pem)
{
    size_t n = 0;

    must(!*pem || str_has_prefix(pem, BEGIN));
    for (const char *p = pem; (p = strstr(p, "-----BEGIN ")); p++, n++)
        must(str_has_prefix(p, BEGIN));
    must(n <= 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    char *parts[3] = {arena_strndup(&a, (const char *)data, size)};
    size_t used = 0;

    for (int i = 0; i < 3; i++) {
        used += i ? strlen(parts[i - 1]) + 1 : 0;
        parts[i] = used < size ? arena_strndup(&a, (const char *)data + used, size - used)
                               : arena_strdup(&a, "");
    }
    const struct certificate c = {.ca = parts[0], .cert = parts[1], .key = parts[2]};
    struct certificate_life life = {0};
    struct error err = {0};

    if (certificate_check(&c, "hook", "team", &life, &err)) {
        must(err.code == ERR_INVALID && *err.text);
        must_be_text(err.text);
    } else {
        must(!err.code);
        (void)(certificate_is_due(&life, NOW) || certificate_is_over(&life, NOW));
    }
    must(!ERR_peek_error());
    cleanup_free char *bundle = certificate_bundle(c.ca, c.cert, NOW);
    cleanup_free char *twice = certificate_bundle(bundle, bundle, NOW);

    must_be_certificates(bundle);
    must(str_eq(bundle, twice));
    return 0;
}
