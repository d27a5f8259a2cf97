/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server on the test's own loop that does exactly what a test tells it, right or wrong.
 * It reads whole requests and hands them to the test, which answers with raw bytes, now or later.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "flinkop/macros.h"

struct loop;
struct fake_server;
struct fake_conn;

struct fake_request {
    const char *method, *target; /* target with its query */
    const char *head;            /* request line and headers as they came */
    const char *body;            /* chunked bodies are put together */
    size_t len;
    int number; /* of the request, from 1, over all connections */
};

typedef void (*fake_fn)(void *arg, struct fake_conn *c, const struct fake_request *r);

/** Listens on a free port of 127.0.0.1. */
struct fake_server *fake_new(struct loop *loop, fake_fn fn, void *arg);
/** Port 0: any free one. */
struct fake_server *fake_new_at(struct loop *loop, const char *address, int port, fake_fn fn,
                                void *arg);
void fake_free(struct fake_server *s);
/** "http://127.0.0.1:PORT" */
const char *fake_url(const struct fake_server *s);
/** Connections accepted so far, and requests read. */
int fake_connections(const struct fake_server *s);
int fake_requests(const struct fake_server *s);
/** Connections open now. */
int fake_open(const struct fake_server *s);
/** Reset connections as soon as they are accepted. */
void fake_refuse(struct fake_server *s, bool refuse);
/** Read nothing from connections accepted from now on. */
void fake_deaf(struct fake_server *s, bool deaf);

void fake_write(struct fake_conn *c, const char *data, size_t n);
void fake_writef(struct fake_conn *c, const char *fmt, ...) PRINTF(2, 3);
/** A whole answer with Content-Length. */
void fake_answer(struct fake_conn *c, int status, const char *headers, const char *body);
/** Starts a chunked answer with status 200; then fake_chunk..., fake_end. */
void fake_begin(struct fake_conn *c, const char *headers);
void fake_chunk(struct fake_conn *c, const char *data, size_t n);
void fake_end(struct fake_conn *c);
/** Closes after what was written is sent; by a TCP reset. */
void fake_close(struct fake_conn *c);
void fake_reset(struct fake_conn *c);
/** The value of a header of the request, malloc'd, or NULL. */
char *fake_header(const struct fake_request *r, const char *name);
/** Reads no more from this connection. */
void fake_stop_reading(struct fake_conn *c);
/** The newest open connection, or NULL. */
struct fake_conn *fake_last(struct fake_server *s);

#endif
