/* SPDX-License-Identifier: Apache-2.0 */
#include "relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "flinkop/loop.h"
#include "flinkop/mem.h"

struct half {
    uv_tcp_t uv;
    struct pair *pair;
    struct half *other;
};

struct pair {
    struct relay *relay;
    struct pair *next, **link;
    struct half near, far;
    uv_connect_t connect;
    int open;
    bool closing;
};

struct relay {
    uv_tcp_t uv;
    struct loop *loop;
    struct sockaddr_storage to;
    char url[64];
    struct pair *pairs;
    bool refuse, frozen;
};

struct write {
    uv_write_t uv;
    char data[];
};

static void half_closed(uv_handle_t *h)
{
    struct half *half = h->data;

    if (!--half->pair->open)
        free(half->pair);
}

static void pair_close(struct pair *p)
{
    if (p->closing)
        return;
    p->closing = true;
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    uv_close((uv_handle_t *)&p->near.uv, half_closed);
    uv_close((uv_handle_t *)&p->far.uv, half_closed);
}

static void alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
    (void)h;
    *buf = uv_buf_init(xmalloc(size), (unsigned)size);
}

static void written(uv_write_t *req, int status)
{
    (void)status;
    free(req);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct half *half = s->data;

    if (n > 0 && !half->pair->relay->frozen) {
        struct write *w = xmalloc(sizeof(*w) + (size_t)n);
        uv_buf_t out = uv_buf_init(w->data, (unsigned)n);

        memcpy(w->data, buf->base, (size_t)n);
        if (uv_write(&w->uv, (uv_stream_t *)&half->other->uv, &out, 1, written))
            free(w);
    }
    free(buf->base);
    if (n < 0 && !half->pair->relay->frozen)
        pair_close(half->pair);
}

static void on_connect(uv_connect_t *req, int status)
{
    struct pair *p = req->data;

    if (p->closing)
        return;
    if (status < 0) {
        pair_close(p);
        return;
    }
    uv_read_start((uv_stream_t *)&p->near.uv, alloc, on_read);
    uv_read_start((uv_stream_t *)&p->far.uv, alloc, on_read);
}

static void on_connection(uv_stream_t *s, int status)
{
    struct relay *r = s->data;
    struct pair *p = xcalloc(1, sizeof(*p));

    (void)status;
    p->relay = r;
    p->open = 2;
    p->near = (struct half){.pair = p, .other = &p->far};
    p->far = (struct half){.pair = p, .other = &p->near};
    uv_tcp_init(loop_uv(r->loop), &p->near.uv);
    uv_tcp_init(loop_uv(r->loop), &p->far.uv);
    p->near.uv.data = &p->near;
    p->far.uv.data = &p->far;
    p->connect.data = p;
    p->next = r->pairs;
    p->link = &r->pairs;
    if (p->next)
        p->next->link = &p->next;
    r->pairs = p;
    uv_accept(s, (uv_stream_t *)&p->near.uv);
    if (r->refuse ||
        uv_tcp_connect(&p->connect, &p->far.uv, (const struct sockaddr *)&r->to, on_connect))
        pair_close(p);
}

struct relay *relay_new(struct loop *loop, const char *url)
{
    struct relay *r = xcalloc(1, sizeof(*r));
    char host[64];
    struct sockaddr_in at;
    int port, len = sizeof(at);

    if (sscanf(url, "https://%63[0-9.]:%d", host, &port) != 2)
        BUG("cannot relay to %s", url);
    r->loop = loop;
    uv_ip4_addr(host, port, (struct sockaddr_in *)(void *)&r->to);
    uv_ip4_addr("127.0.0.1", 0, &at);
    uv_tcp_init(loop_uv(loop), &r->uv);
    r->uv.data = r;
    if (uv_tcp_bind(&r->uv, (const struct sockaddr *)&at, 0) ||
        uv_listen((uv_stream_t *)&r->uv, 16, on_connection))
        BUG("cannot listen");
    uv_tcp_getsockname(&r->uv, (struct sockaddr *)&at, &len);
    snprintf(r->url, sizeof(r->url), "https://127.0.0.1:%d", ntohs(at.sin_port));
    return r;
}

static void relay_closed(uv_handle_t *h)
{
    free(h->data);
}

void relay_free(struct relay *r)
{
    while (r->pairs)
        pair_close(r->pairs);
    uv_close((uv_handle_t *)&r->uv, relay_closed);
}

const char *relay_url(const struct relay *r)
{
    return r->url;
}

void relay_cut(struct relay *r, bool refuse)
{
    r->refuse = refuse;
    while (r->pairs)
        pair_close(r->pairs);
}

void relay_freeze(struct relay *r, bool frozen)
{
    r->frozen = frozen;
}
