/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define MAPPED_BITS 96

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* ---- text and sockets ---- */

static struct ip from_v4(const uint8_t four[4])
{
    struct ip ip;

    memcpy(ip.b, mapped, sizeof(mapped));
    memcpy(ip.b + 12, four, 4);
    return ip;
}

static bool is_v4(const struct ip *ip)
{
    return !memcmp(ip->b, mapped, sizeof(mapped));
}

bool ip_parse(const char *text, struct ip *ret)
{
    uint8_t four[4];

    if (inet_pton(AF_INET, text, four) == 1) {
        *ret = from_v4(four);
        return true;
    }
    return inet_pton(AF_INET6, text, ret->b) == 1;
}

bool ip_of_sockaddr(const struct sockaddr *address, struct ip *ret)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;

        *ret = from_v4((const uint8_t *)&v4->sin_addr);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;

        memcpy(ret->b, v6->sin6_addr.s6_addr, sizeof(ret->b));
        return true;
    }
    return false;
}

void ip_format(const struct ip *ip, char ret[IP_TEXT_MAX])
{
    bool v4 = is_v4(ip);

    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip->b + 12 : ip->b, ret, IP_TEXT_MAX);
}

bool ip_same(const struct ip *a, const struct ip *b)
{
    return !memcmp(a->b, b->b, sizeof(a->b));
}

/* ---- networks ---- */

/* The bits behind the first n are 0. */
static struct ip first_of(const struct ip *ip, int n)
{
    struct ip first = *ip;

    for (int i = 0; i < 16; i++) {
        int keep = MIN(MAX(n - 8 * i, 0), 8);

        first.b[i] &= (uint8_t)(0xff00 >> keep);
    }
    return first;
}

bool ip_net_has(const struct ip_net *net, const struct ip *ip)
{
    struct ip first = first_of(ip, net->bits);

    return ip_same(&first, &net->base);
}

int ip_net_parse(const char *text, struct ip_net *ret, struct error *err)
{
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    char address[IP_TEXT_MAX], right[IP_TEXT_MAX];
    int bits = -1;

    if (n >= sizeof(address))
        return error_set(err, ERR_INVALID, "is no network such as 10.20.0.0/16");
    memcpy(address, text, n);
    address[n] = '\0';
    if (!ip_parse(address, &ret->base))
        return error_set(err, ERR_INVALID, "is no network such as 10.20.0.0/16");
    bool v4 = !strchr(address, ':');
    int most = v4 ? 32 : 128;

    if (slash && (!str_to_int(slash + 1, &bits) || bits < 0 || bits > most || slash[1] == '+'))
        return error_set(err, ERR_INVALID, "must have 0 to %d behind the slash", most);
    ret->bits = (slash ? bits : most) + (v4 ? MAPPED_BITS : 0);
    struct ip first = first_of(&ret->base, ret->bits);

    if (ip_same(&first, &ret->base))
        return 0;
    ip_format(&first, right);
    return error_set(err, ERR_INVALID, "has bits behind its mask: the network is %s%s", right,
                     slash);
}

/* ---- what an address is ---- */

static const struct ip_kind everybody = {IP_PUBLIC, NULL, "a public address"};

/* The first that has it counts. Where a link-local or private network holds what clouds tell their
 * machines (credentials among that), that is said. */
static const struct ip_kind kinds[] = {
    {IP_NEVER, "169.254.169.254/32", "the address of a cloud's metadata"},
    {IP_NEVER, "169.254.170.2/32", "the address of a cloud's metadata"}, /* credentials of tasks */
    {IP_NEVER, "100.100.100.200/32", "the address of a cloud's metadata"}, /* Alibaba */
    {IP_NEVER, "168.63.129.16/32", "the address of a cloud's metadata"},   /* Azure */
    {IP_NEVER, "192.0.0.192/32", "the address of a cloud's metadata"},     /* Oracle */
    {IP_NEVER, "fd00:ec2::254/128", "the address of a cloud's metadata"},
    {IP_NEVER, "fd00:ec2::23/128", "the address of a cloud's metadata"}, /* credentials of pods */
    {IP_NEVER, "fd20:ce::254/128", "the address of a cloud's metadata"}, /* Google */
    {IP_NEVER, "0.0.0.0/8", "an unspecified address"},
    {IP_NEVER, "127.0.0.0/8", "a loopback address"},
    {IP_NEVER, "169.254.0.0/16", "a link-local address"},
    {IP_NEVER, "224.0.0.0/4", "a multicast address"},
    {IP_NEVER, "240.0.0.0/4", "a reserved address"}, /* broadcast too */
    {IP_PRIVATE, "10.0.0.0/8", "a private address"},
    {IP_PRIVATE, "172.16.0.0/12", "a private address"},
    {IP_PRIVATE, "192.168.0.0/16", "a private address"},
    {IP_PRIVATE, "100.64.0.0/10", "a shared address"}, /* of carriers and clouds */
    {IP_PRIVATE, "192.0.0.0/24", "an address for protocols"},
    {IP_PRIVATE, "192.0.2.0/24", "an address for examples"},
    {IP_PRIVATE, "198.18.0.0/15", "an address for benchmarks"},
    {IP_PRIVATE, "198.51.100.0/24", "an address for examples"},
    {IP_PRIVATE, "203.0.113.0/24", "an address for examples"},
    {IP_NEVER, "::/128", "an unspecified address"},
    {IP_NEVER, "::1/128", "a loopback address"},
    {IP_NEVER, "fe80::/10", "a link-local address"},
    {IP_NEVER, "ff00::/8", "a multicast address"},
    {IP_NEVER, "2001::/32", "an address of a tunnel (Teredo)"},
    {IP_PRIVATE, "fc00::/7", "a private address"},
    {IP_PRIVATE, "fec0::/10", "a private address"},
    {IP_PRIVATE, "64:ff9b:1::/48", "a private address"}, /* NAT64 of one network */
    {IP_PRIVATE, "100::/64", "an address that is thrown away"},
    {IP_PRIVATE, "2001:db8::/32", "an address for examples"},
};

/* Addresses that are IPv4 addresses in another form. */
static const struct {
    const char *net;
    int at; /* first of its four bytes */
} carriers[] = {
    {"64:ff9b::/96", 12},    /* NAT64, RFC 6052 */
    {"2002::/16", 2},        /* 6to4, RFC 3056 */
    {"::ffff:0:0:0/96", 12}, /* IPv4-translated, RFC 2765 */
    {"::/96", 12},           /* IPv4-compatible, RFC 4291 */
};

static struct ip_net known_net(const char *text)
{
    struct ip_net net = {.bits = 0};

    if (ip_net_parse(text, &net, NULL))
        BUG("%s is no network", text);
    return net;
}

static bool has(const char *text, const struct ip *ip)
{
    struct ip_net net = known_net(text);

    return ip_net_has(&net, ip);
}

const struct ip_kind *ip_kind(const struct ip *ip)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (has(kinds[i].net, ip))
            return &kinds[i];
    return &everybody;
}

struct ip ip_target(const struct ip *ip)
{
    if (ip_kind(ip)->reach == IP_NEVER) /* :: and ::1 carry nothing */
        return *ip;
    for (size_t i = 0; i < ARRAY_SIZE(carriers); i++)
        if (has(carriers[i].net, ip))
            return from_v4(ip->b + carriers[i].at);
    return *ip;
}

/* ---- lists ---- */

/* A DNS name, perhaps "*." before it, that cannot be taken for a number. */
static bool is_host(const char *s)
{
    const char *name = str_has_prefix(s, "*.") ? s + 2 : s, *last = strrchr(name, '.');
    size_t n = strlen(name);

    for (const char *p = name; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", *p) ||
            (*p == '.' && (p == name || p[1] == '.')))
            return false;
    last = last ? last + 1 : name;
    return n > 0 && n <= 253 && *last && strspn(last, "0123456789") != strlen(last) &&
           strncasecmp(last, "0x", 2) != 0;
}

/* All of it lies in one that is never allowed. */
static const struct ip_kind *never(const struct ip_net *net)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct ip_net kind = known_net(kinds[i].net);

        if (kinds[i].reach == IP_NEVER && net->bits >= kind.bits && ip_net_has(&kind, &net->base))
            return &kinds[i];
    }
    return NULL;
}

static int add_net(const char *word, struct ip_net *ret, struct error *err)
{
    const struct ip_kind *kind;

    if (ip_net_parse(word, ret, err))
        return error_wrap(err, "\"%.80s\"", word);
    kind = never(ret);
    return kind ? error_set(err, ERR_INVALID, "\"%.80s\" is never allowed: %s (%s)", word,
                            kind->what, kind->net)
                : 0;
}

int address_list_parse(struct arena *a, const char *text, struct address_list *ret,
                       struct error *err)
{
    size_t n, n_hosts = 0, n_nets = 0;
    char **words = str_split(a, text, ',', &n);
    const char **hosts = arena_new_array(a, const char *, n + 1);
    struct ip_net *nets = arena_new_array(a, struct ip_net, n + 1);

    for (size_t i = 0; i < n; i++) {
        const char *word = words[i];

        if (is_host(word))
            hosts[n_hosts++] = word;
        else if (add_net(word, &nets[n_nets++], err))
            return -1;
    }
    *ret = (struct address_list){nets, n_nets, hosts};
    return 0;
}

bool address_list_has_ip(const struct address_list *list, const struct ip *ip)
{
    for (size_t i = 0; i < list->n_nets; i++)
        if (ip_net_has(&list->nets[i], ip))
            return true;
    return false;
}

static bool same_name(const char *a, const char *b, size_t n)
{
    return strlen(a) == n && !strncasecmp(a, b, n);
}

bool address_list_has_host(const struct address_list *list, const char *host)
{
    size_t n = strlen(host);

    if (n && host[n - 1] == '.')
        n--;
    for (size_t i = 0; list->hosts && list->hosts[i]; i++) {
        const char *pattern = list->hosts[i];
        size_t tail = strlen(pattern) - 1; /* without the '*' */

        if (same_name(pattern, host, n))
            return true;
        if (*pattern == '*' && n > tail && same_name(pattern + 1, host + n - tail, tail))
            return true;
    }
    return false;
}
