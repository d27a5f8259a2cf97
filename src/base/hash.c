/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/hash.h"

#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "flinkop/mem.h"

uint64_t hash_bytes(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3U;
    return h;
}

uint64_t hash_str(const char *s)
{
    return hash_bytes(s, strlen(s));
}

static void to_hex(const unsigned char *in, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * n] = 0;
}

void sha256_hex(const void *data, size_t n, char out[SHA256_HEX_LEN + 1])
{
    unsigned char digest[32];

    if (!EVP_Digest(data, n, digest, NULL, EVP_sha256(), NULL))
        BUG("SHA-256 is not available");
    to_hex(digest, sizeof(digest), out);
}

void random_bytes(void *out, size_t n)
{
    if (getrandom(out, n, 0) != (ssize_t)n)
        BUG("getrandom of %zu bytes", n);
}

void random_hex(char *out, size_t n)
{
    unsigned char raw[64];

    BUG_ON(n > sizeof(raw));
    random_bytes(raw, n);
    to_hex(raw, n, out);
}

double random_unit(void)
{
    uint64_t r;

    random_bytes(&r, sizeof(r));
    return (double)(r >> 11) / 9007199254740992.0; /* 53 bits / 2^53 */
}
