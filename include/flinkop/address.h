/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP addresses, networks, and what an address is: of everybody, of a private network, or of what
 * nobody outside of it has any business with. From IANA's special-purpose address registries (RFC
 * 6890 and what came after it) and what clouds document about themselves.
 */
#ifndef FLINKOP_ADDRESS_H
#define FLINKOP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct arena;
struct error;
struct sockaddr;

#define IP_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

/** IPv4 as ::ffff:a.b.c.d. */
struct ip {
    uint8_t b[16];
};
struct ip_net {
    struct ip base;
    int bits; /* of 128 */
};

/** "10.1.2.3" or "fd00::1"; no brackets, no zone, no other ways to write a number. */
bool ip_parse(const char *text, struct ip *ret) MUST_CHECK;
/** False for what is neither IPv4 nor IPv6. */
bool ip_of_sockaddr(const struct sockaddr *address, struct ip *ret) MUST_CHECK;
/** IPv4 without the "::ffff:". */
void ip_format(const struct ip *ip, char ret[IP_TEXT_MAX]);
bool ip_same(const struct ip *a, const struct ip *b);

/** "10.0.0.0/8"; an address alone is a network of one. */
int ip_net_parse(const char *text, struct ip_net *ret, struct error *err) MUST_CHECK;
bool ip_net_has(const struct ip_net *net, const struct ip *ip);

/** Where packets to it end up: the IPv4 address in NAT64, 6to4 and the like, else itself. */
struct ip ip_target(const struct ip *ip);

enum ip_reach {
    IP_PUBLIC,
    IP_PRIVATE, /* someone's own network */
    IP_NEVER,   /* this machine, its link, many machines, what tells a machine about itself */
};
struct ip_kind {
    enum ip_reach reach;
    const char *net;  /* "10.0.0.0/8"; NULL: IP_PUBLIC */
    const char *what; /* "a private address" */
};
/** Of this address itself, whatever it leads to; never NULL. */
const struct ip_kind *ip_kind(const struct ip *ip);

/* ---- lists that administrators write ---- */

/** Networks and names of hosts; borrowed from the arena it was read into. */
struct address_list {
    const struct ip_net *nets;
    size_t n_nets;
    const char *const *hosts; /* NULL-terminated; "*.example.com" is every host below it */
};
/** Comma-separated: "10.20.0.0/16, fd00:7::/32, nexus.example.com, *.tools.svc". "" is an empty
 * list. What is nothing but IP_NEVER is refused. */
int address_list_parse(struct arena *a, const char *text, struct address_list *ret,
                       struct error *err) MUST_CHECK;
bool address_list_has_ip(const struct address_list *list, const struct ip *ip);
/** Case does not count, nor does one dot at the end. */
bool address_list_has_host(const struct address_list *list, const char *host);

#endif
