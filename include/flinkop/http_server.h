/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server on the loop, by libwebsockets: health, readiness, metrics. A table of routes;
 * a handler fills a reply from memory, at once or later. Requests have a size cap and a deadline,
 * bodies are read only where a route takes POST, and there is a limit of open connections, of
 * bodies that are being read, and of requests that wait for a later reply.
 *
 * With a certificate it speaks TLS (1.2 and later). Certificate and key are read again every ten
 * seconds, as controller-runtime's certwatcher does; a new pair counts for new connections, as a
 * whole or not at all: one that is broken, or half written, is told in the log and the former one
 * stays.
 */
#ifndef FLINKOP_HTTP_SERVER_H
#define FLINKOP_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct error;
struct loop;
struct strbuf;
struct http_server;
struct http_waiting;

/* What a client asks for. The strings live until the handler returns. */
struct http_asked {
    const char *method;        /* "GET" (also for HEAD), "PUT" or "POST" */
    const char *path, *query;  /* query without '?', "" if none */
    const char *authorization; /* value of that header, "" if none; "" in a later reply */
    bool local;                /* the client has a loopback address */
    /* of a POST */
    const char *content_type; /* value of that header, "" if none */
    const char *body;         /* NUL-terminated, NULL: none */
    size_t len;
};

struct http_reply {
    const struct http_asked *asked;
    struct http_asking *asking; /* the server's own */
    int status;                 /* 200 by default */
    const char *content_type;   /* lives for ever; "text/plain; charset=utf-8" by default */
    struct strbuf *body;        /* append here; capped */
};

typedef void (*http_handle_fn)(void *arg, struct http_reply *reply);

struct http_route {
    const char *path; /* exact, or "*" for any other path */
    http_handle_fn handle;
    void *arg;
    bool put;        /* PUT is served as well */
    size_t post_max; /* bytes; not 0: POST with a body of at most so many is served, nothing else.
                        Such a handler replies at once */
};

struct http_server_options {
    int port; /* of all addresses; 0: any free one */
    const struct http_route *routes;
    size_t n;
    const char *cert_file, *key_file; /* PEM, the chain behind the certificate; NULL: no TLS */
    int64_t reread_ms;                /* 0: 10 s; others are for tests */
    bool given;                       /* TLS with pairs of http_server_certificate instead */
};

/** Serves GET and HEAD. Everything is copied. ERR_INTERNAL names the port when it cannot be bound;
 * a certificate that cannot be used is an error that names its file. */
struct http_server *http_server_new(struct loop *loop, const struct http_server_options *o,
                                    struct error *err) MUST_CHECK;
/** The certificate and key (PEM) for connections that begin from now on. 1: they are another pair,
 * 0: they were in force; -1: they cannot be used, and the former ones stay. */
int http_server_certificate(struct http_server *s, const char *cert_pem, const char *key_pem,
                            struct error *err) MUST_CHECK;
int http_server_port(const struct http_server *s);
/** Calls nobody any more. NULL is allowed. */
void http_server_free(struct http_server *s);

/**
 * For a handler that has no answer yet: what it has put into the reply is not sent, and the client
 * waits for http_reply_now, ten seconds at most. gone(arg) is called when the client does
 * not wait any more; then there is nothing to be answered. NULL: too many wait already, the handler
 * has to reply.
 */
struct http_waiting *http_reply_later(struct http_reply *reply, void (*gone)(void *arg),
                                      void *arg) MUST_CHECK;
/** Replies with what the handler says, which is called before this returns. */
void http_reply_now(struct http_waiting *w, http_handle_fn handle, void *arg);

#endif
