/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/jar_access.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/jar_uri.h"
#include "flinkop/str.h"

#define ALLOWED "kubernetes.operator.user.artifacts.allowed-networks"

/* "10.1.2.3 is a private address (10.0.0.0/8)" */
static const char *described(struct arena *a, const struct ip *ip, const struct ip *target,
                             const struct ip_kind *kind)
{
    char text[IP_TEXT_MAX], led_to[IP_TEXT_MAX];

    ip_format(ip, text);
    ip_format(target, led_to);
    return ip_same(ip, target) ? arena_printf(a, "%s is %s (%s)", text, kind->what, kind->net)
                               : arena_printf(a, "%s leads to %s, which is %s (%s)", text, led_to,
                                              kind->what, kind->net);
}

static bool is_own_service(const struct jar_access *access, const struct ip *ip)
{
    struct ip one;

    jv_foreach (item, access->cluster_ips)
        if (item->type == JV_STR && ip_parse(item->s, &one) && ip_same(&one, ip))
            return true;
    return false;
}

/* What the user may do about it. */
static const char *advice(struct arena *a, const struct jar_access *access)
{
    if (access->no_service)
        return arena_printf(a, "whether it is that of Service %s/%s is not known: %s", access->ns,
                            access->service, access->no_service);
    if (access->service)
        return arena_printf(a, "it is no cluster IP of a Service %s/%s", access->ns,
                            access->service);
    return arena_printf(a,
                        "allowed of these are Services of the own namespace (NAME.%s.svc) and what "
                        "an administrator lists in " ALLOWED,
                        access->ns);
}

const char *jar_access_refusal(struct arena *a, const struct jar_access *access,
                               const struct ip *ip)
{
    struct ip target = ip_target(ip);
    const struct ip_kind *own = ip_kind(ip), *kind = ip_kind(&target);
    char text[IP_TEXT_MAX];

    if (own->reach == IP_NEVER)
        return arena_printf(a, "%s, from which nothing is fetched", described(a, ip, ip, own));
    if (kind->reach == IP_NEVER)
        return arena_printf(a, "%s, from which nothing is fetched",
                            described(a, ip, &target, kind));
    if (access->is_api_server) {
        ip_format(&target, text);
        return arena_printf(a, "%s is the address of the API server, from which nothing is fetched",
                            text);
    }
    if (kind->reach == IP_PUBLIC && own->reach == IP_PUBLIC)
        return NULL;
    if (is_own_service(access, &target) || address_list_has_ip(access->allowed, ip) ||
        address_list_has_ip(access->allowed, &target) ||
        address_list_has_host(access->allowed, access->host))
        return NULL;
    if (own->reach == IP_PRIVATE) {
        kind = own;
        target = *ip;
    }
    return arena_printf(a, "%s; %s", described(a, ip, &target, kind), advice(a, access));
}

const char *jar_access_service(struct arena *a, const char *host, const char *ns)
{
    size_t n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"),
           n_ns = strlen(ns);
    const char *rest = host + n;

    if (!n || *rest != '.' || strncasecmp(rest + 1, ns, n_ns) != 0)
        return NULL;
    rest += 1 + n_ns;
    if (strncasecmp(rest, ".svc", 4) != 0 || (rest[4] && rest[4] != '.'))
        return NULL;
    return arena_strndup(a, host, n);
}

static bool has_word(struct arena *a, const char *list, const char *word, size_t n)
{
    for (char **w = str_split(a, list, ',', NULL); *w; w++)
        if (strlen(*w) == n && !strncasecmp(*w, word, n))
            return true;
    return false;
}

int jar_redirect_check(struct arena *a, const char *from, const char *to, int n,
                       const char *schemes, struct error *err)
{
    const char *refusal = jar_uri_refusal(to);
    const char *colon = strstr(to, "://"), *shown = str_clean(a, jar_uri_shown(a, to), 300);
    size_t len = colon ? (size_t)(colon - to) : 0;
    bool secure = len == 5 && !strncasecmp(to, "https", 5);

    if (n > JAR_MAX_REDIRECTS)
        return error_set(err, ERR_INVALID, "redirected more than %d times", JAR_MAX_REDIRECTS);
    if (refusal)
        return error_set(err, ERR_INVALID, "redirected to a URL that %s", refusal);
    if (!secure && !(len == 4 && !strncasecmp(to, "http", 4)))
        return error_set(err, ERR_INVALID, "redirected to %s", shown);
    if (!secure && !strncasecmp(from, "https://", 8))
        return error_set(err, ERR_INVALID, "redirected from https to %s", shown);
    if (!has_word(a, schemes, to, len))
        return error_set(err, ERR_INVALID,
                         "redirected to %s; allowed schemes are %s "
                         "(kubernetes.operator.user.artifacts.allowed-schemes)",
                         shown, schemes);
    return 0;
}
