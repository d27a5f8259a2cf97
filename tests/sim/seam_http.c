/* SPDX-License-Identifier: Apache-2.0 */
/* flinkop/http.h as far as downloads of JARs need it: a server that has everything but what is
 * called "missing", and tells what it is unless that is called "plain", sometimes slow, sometimes
 * breaking off. */
#include "flinkop/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/mem.h"
#include "sim.h"

#define CHUNK 30000
#define CHUNKS 4

struct http_call {
    struct http_request req;
    struct sim_event *event;
    int status, given;
    bool breaks, waits;
};

static void call_free(struct http_call *c)
{
    sim_cancel(c->event);
    free(c);
}

static void done(struct http_call *c, enum errc code)
{
    const struct http_response res = {.status = c->status, .body = "", .content_type = ""};
    struct error err = {.code = ERR_NONE};

    if (code)
        error_set(&err, code, "the connection broke");
    c->req.on_done(c->req.arg, code ? NULL : &res, &err);
    call_free(c);
}

static void flow(void *arg)
{
    static const char bytes[CHUNK];
    struct http_call *c = arg;
    ssize_t n;

    c->event = NULL;
    if (c->given == CHUNKS || c->status != 200 || (c->breaks && c->given == 2)) {
        done(c, c->breaks ? ERR_SERVER : ERR_NONE);
        return;
    }
    n = c->req.on_data(c->req.arg, bytes, sizeof(bytes));
    c->waits = n == HTTP_WAIT;
    if (n == HTTP_ABORT) {
        done(c, ERR_CANCELLED);
        return;
    }
    c->given += !c->waits;
    if (!c->waits)
        c->event = sim_after(skewed(R_LATENCY, 1, 500), flow, c);
}

static void head(void *arg)
{
    struct http_call *c = arg;
    const struct http_response res = {.status = c->status,
                                      .content_type = "",
                                      .content_length = CHUNK * CHUNKS,
                                      .validator = strstr(c->req.url, "plain") ? NULL : "\"1\""};

    c->event = sim_after(1, flow, c);
    c->req.on_head(c->req.arg, &res);
}

struct http_call *http_send(struct http_client *client, const struct http_request *req,
                            struct error *err)
{
    struct http_call *c = xcalloc(1, sizeof(*c));

    (void)client;
    (void)err;
    CHECK(!strncmp(req->url, "https:", 6), "a job of a bad specification is submitted: %s",
          req->url);
    *c = (struct http_call){.req = *req,
                            .status = strstr(req->url, "missing") ? 404 : 200,
                            .breaks = fault(FAULT_REST, 0.05)};
    c->event = sim_after(skewed(R_LATENCY, 5, 3000), head, c);
    return c;
}

void http_drop(struct http_call *c)
{
    if (c)
        call_free(c);
}

void http_resume(struct http_call *c)
{
    if (c->waits && !c->event)
        c->event = sim_after(0, flow, c);
}

struct http_client *http_client_new(struct loop *loop, const struct http_client_options *o)
{
    (void)o;
    return (struct http_client *)loop;
}

void http_client_free(struct http_client *c)
{
    (void)c;
}

char *http_url_host(const char *url)
{
    const char *host = strstr(url, "://") + 3;

    return xstrndup(host, strcspn(host, ":/"));
}

bool http_same_origin(const char *a, const char *b)
{
    return !strcmp(a, b); /* nothing is redirected here */
}

char *http_escape(const char *s)
{
    return xstrdup(s);
}

int http_status_error(int status, struct error *err, const char *fmt, ...)
{
    va_list ap;
    char text[ERROR_TEXT_MAX];

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    error_set(err, status == 404 ? ERR_NOT_FOUND : ERR_SERVER, "%s", text);
    err->http = status;
    return -1;
}
