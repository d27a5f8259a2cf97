/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <string.h>

#include "http_internal.h"

bool http_same_origin(const char *a, const char *b)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    CURLU *x = curl_url(), *y = curl_url();
    bool same = !curl_url_set(x, CURLUPART_URL, a, 0) && !curl_url_set(y, CURLUPART_URL, b, 0);

    for (size_t i = 0; same && i < ARRAY_SIZE(parts); i++) {
        char *of_x = NULL, *of_y = NULL;

        same = !curl_url_get(x, parts[i], &of_x, CURLU_DEFAULT_PORT) &&
               !curl_url_get(y, parts[i], &of_y, CURLU_DEFAULT_PORT) && !strcasecmp(of_x, of_y);
        curl_free(of_x);
        curl_free(of_y);
    }
    curl_url_cleanup(x);
    curl_url_cleanup(y);
    return same;
}

/* ---- addresses ---- */

/* IANA's special-purpose registries, as far as something may answer there. */
static const struct {
    uint32_t net;
    int bits;
} not_public_v4[] = {
    {0x00000000, 8},  /* this host */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared, of carriers and clouds */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local; clouds answer about themselves there */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarks */
    {0xe0000000, 3},  /* multicast, reserved, broadcast */
};

static bool v4_is_public(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_public_v4); i++)
        if ((address ^ not_public_v4[i].net) >> (32 - not_public_v4[i].bits) == 0)
            return false;
    return true;
}

static bool v6_is_public(const uint8_t a[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, none[12],
                         nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    bool v4 = !memcmp(a, mapped, 12) || !memcmp(a, nat64, 12);

    if (v4)
        return v4_is_public((uint32_t)a[12] << 24 | (uint32_t)a[13] << 16 | (uint32_t)a[14] << 8 |
                            a[15]);
    /* ::, ::1 and the former way to write IPv4; unique local; link-local, site-local; multicast */
    return memcmp(a, none, 12) && (a[0] & 0xfe) != 0xfc && !(a[0] == 0xfe && a[1] & 0x80) &&
           a[0] != 0xff;
}

bool http_address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return v4_is_public(
            ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    return address->sa_family == AF_INET6 &&
           v6_is_public(((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
}
