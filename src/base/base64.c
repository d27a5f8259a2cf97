/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/base64.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "flinkop/mem.h"

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
