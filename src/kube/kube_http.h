/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP calls to the API server: credentials are fetched and put in, a 401 is answered once with
 * fresh ones, requests are counted. Requests, watches and proxied calls all go through here.
 */
#ifndef KUBE_HTTP_H
#define KUBE_HTTP_H

#include "flinkop/address.h"
#include "flinkop/http.h"
#include "flinkop/kube_client.h"
#include "flinkop/ns_share.h"

/* Traffic classes with connections of their own, so that none starves another. */
enum kube_pool { POOL_CALLS, POOL_WATCHES, POOL_PROXIED, POOL_LEASE, POOL_REVIEWS, POOL_COUNT };

#define KUBE_SERVERS_MAX 16

struct kube_client {
    struct loop *loop;
    struct kube_config *config;
    char *host; /* "host:port" of the API server, for metrics */
    struct http_client *pool[POOL_COUNT];
    struct ns_share share; /* of POOL_CALLS */
    const struct http_fence *fence;
    struct kube_http *calls;
    struct kube_request *requests;
    uint64_t sent;
    struct ip servers[KUBE_SERVERS_MAX]; /* addresses that have answered, a ring */
    size_t n_servers;
};

/* ns: whose share of POOL_CALLS it has, "" for what is in no namespace. Waiting for it counts as
 * time of the call. req->url is a path with query; req->tls, req->proxy and an Authorization header
 * are ours. All is copied; a NULL url is an error (it was too long). The callbacks are as with
 * http_send, on_done comes in a later turn. */
struct kube_http *kube_http_send(struct kube_client *c, enum kube_pool pool, const char *ns,
                                 const struct http_request *req);
/* The error in an answer with a status of 300 or more: code from the table of statuses, text and
 * reason from the Status object in the body if there is one. */
void kube_status_error(int status, const char *body, size_t len, int retry_after_ms,
                       struct error *err);

#endif
