/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From where a JAR may be fetched, decided for each address that a connection would be made to:
 * looking at names alone is not enough, for whoever owns a name says what it leads to, and may say
 * something else the next time.
 */
#ifndef FLINKOP_JAR_ACCESS_H
#define FLINKOP_JAR_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "flinkop/address.h"
#include "flinkop/jv.h"

struct arena;
struct error;

#define JAR_MAX_REDIRECTS 5

struct jar_access {
    const char *ns;         /* of the resource */
    const char *host;       /* of the URL at hand */
    const char *service;    /* the Service of ns that it names, NULL: none */
    jv cluster_ips;         /* of that Service: array of strings; ABSENT: it has none */
    const char *no_service; /* why these are not known, NULL: they are */
    const struct address_list *allowed;
    bool is_api_server; /* the address at hand */
};

/** Why nothing is fetched from this address, in the arena; NULL: it may be. */
const char *jar_access_refusal(struct arena *a, const struct jar_access *access,
                               const struct ip *ip);

/** The NAME of "NAME.ns.svc", also with a cluster's domain behind it; NULL: the host is something
 * else. That the name says so proves nothing: what counts is the Service's own address. */
const char *jar_access_service(struct arena *a, const char *host, const char *ns);

/** Whether a redirect may be followed, the n-th of this JAR, from the first one. `schemes`:
 * comma-separated, of the administrator. Its URL is shown without the query. */
int jar_redirect_check(struct arena *a, const char *from, const char *to, int n,
                       const char *schemes, struct error *err) MUST_CHECK;

#endif
