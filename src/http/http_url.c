/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flinkop/address.h"
#include "flinkop/mem.h"
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

char *http_url_host(const char *url)
{
    CURLU *u = curl_url();
    char *host = NULL, *copy = NULL;

    if (!curl_url_set(u, CURLUPART_URL, url, 0) && !curl_url_get(u, CURLUPART_HOST, &host, 0)) {
        const char *at = *host == '[' ? host + 1 : host;

        copy = xstrndup(at, strcspn(at, "]"));
    }
    curl_free(host);
    curl_url_cleanup(u);
    return copy;
}

bool http_peer_ip(const char *peer, struct ip *ret)
{
    const char *end = strrchr(peer, ':');
    char text[IP_TEXT_MAX];
    size_t skip = *peer == '[', n = end ? (size_t)(end - peer) : 0;

    if (n <= 2 * skip || n - 2 * skip >= sizeof(text))
        return false;
    memcpy(text, peer + skip, n - 2 * skip);
    text[n - 2 * skip] = '\0';
    return ip_parse(text, ret);
}
