/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server on the loop, by libwebsockets: health, readiness, metrics. A table of routes;
 * a handler fills a reply from memory at once. Requests have a size cap and a deadline, and there
 * is a limit of open connections.
 */
#ifndef FLINKOP_HTTP_SERVER_H
#define FLINKOP_HTTP_SERVER_H

#include <stddef.h>

#include "flinkop/macros.h"

struct error;
struct loop;
struct strbuf;
struct http_server;

struct http_reply {
    int status;               /* 200 by default */
    const char *content_type; /* "text/plain; charset=utf-8" by default */
    struct strbuf *body;      /* append here; capped */
};

struct http_route {
    const char *path; /* exact, or "*" for any other path */
    void (*handle)(void *arg, struct http_reply *reply);
    void *arg;
};

/** Serves GET and HEAD on the port of all addresses (0: any free one). The table is copied.
 * ERR_INTERNAL names the port when it cannot be bound. */
struct http_server *http_server_new(struct loop *loop, int port, const struct http_route *routes,
                                    size_t n, struct error *err) MUST_CHECK;
int http_server_port(const struct http_server *s);
void http_server_free(struct http_server *s);

#endif
