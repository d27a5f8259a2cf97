/* SPDX-License-Identifier: Apache-2.0 */
/* A client and a fake server, and what came of each call. */
#ifndef TESTS_HTTP_SCENE_H
#define TESTS_HTTP_SCENE_H

#include "fake_server.h"
#include "flinkop/http.h"
#include "flinkop/loop.h"
#include "flinkop/strbuf.h"

/* What came of one call. */
struct result {
    int done, heads, status;
    struct error err;
    struct strbuf body;
    char type[64], location[256];
    int retry_after_ms;
    char validator[40]; /* of the head */
    int64_t length;
    /* how a streaming sink behaves */
    int wait_every; /* HTTP_WAIT for each n-th piece */
    int pieces;
    bool abort, drop, free_client;
    struct http_call *call;
};

#define SCENE_HOSTS 260 /* more than a client remembers */

extern struct http_scene {
    struct loop *loop;
    struct http_client *client;
    struct fake_server *server;
    struct timer *guard, *later;
    void (*serve)(struct fake_conn *c, const struct fake_request *r);
    struct fake_conn *conn;
    struct result r[SCENE_HOSTS + 40];
    int expected, finished;
    char *seen; /* what the server wants to remember */
} scene;

void scene_setup(void);
void scene_teardown(void);

/** Starts a call to `path` of the fake server (or a whole URL). What came of it is in the scene. */
struct result *scene_start(struct http_request req, const char *path);
/** The same, and waits for it. */
struct result *scene_run(struct http_request req, const char *path);
#define GET(...) scene_run((struct http_request){__VA_ARGS__}, "/")

/** Callbacks of calls, which behave as their struct result says. */
void scene_on_head(void *arg, const struct http_response *head);
ssize_t scene_on_data(void *arg, const char *data, size_t n);
void scene_on_done(void *arg, const struct http_response *res, const struct error *err);

/** http_resume() for the call of a struct result. */
void scene_resume(void *arg);

/** For scene.serve: answers 201 with what was asked; never answers; fails the test. */
void serve_echo(struct fake_conn *c, const struct fake_request *r);
void serve_nothing(struct fake_conn *c, const struct fake_request *r);
void serve_unexpected(struct fake_conn *c, const struct fake_request *r);

/** Fails unless the connection broke, with these words. */
void assert_broken(const struct result *r, const char *words);

#endif
