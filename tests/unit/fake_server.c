/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"

#define INPUT_MAX ((size_t)64 << 20)

struct fake_server {
    uv_tcp_t uv;
    struct loop *loop;
    fake_fn fn;
    void *arg;
    char url[64];
    int connections, requests, open;
    bool refuse, deaf, freed;
    struct fake_conn *conns;
};

struct fake_conn {
    uv_tcp_t uv;
    struct fake_server *server;
    struct fake_conn *next, **link;
    struct strbuf in;
    bool closed;
};

struct write {
    uv_write_t uv;
    char data[];
};

static void free_handle(uv_handle_t *h)
{
    free(h->data);
}

static void conn_closed(uv_handle_t *h)
{
    struct fake_conn *c = h->data;

    strbuf_release(&c->in);
    free(c);
}

static void conn_end(struct fake_conn *c, bool reset)
{
    if (c->closed)
        return;
    c->closed = true;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->server->open--;
    if (reset)
        uv_tcp_close_reset(&c->uv, conn_closed);
    else
        uv_close((uv_handle_t *)&c->uv, conn_closed);
}

void fake_reset(struct fake_conn *c)
{
    conn_end(c, true);
}

/* uv_write tries at once and the kernel sends what it took, so that closing now loses only what did
 * not fit into the socket's buffer. */
void fake_close(struct fake_conn *c)
{
    conn_end(c, false);
}

static void written(uv_write_t *req, int status)
{
    (void)status;
    free(req);
}

void fake_write(struct fake_conn *c, const char *data, size_t n)
{
    struct write *w = xmalloc(sizeof(*w) + n);
    uv_buf_t buf = uv_buf_init(w->data, (unsigned)n);

    memcpy(w->data, data, n);
    if (c->closed || uv_write(&w->uv, (uv_stream_t *)&c->uv, &buf, 1, written))
        free(w);
}

void fake_writef(struct fake_conn *c, const char *fmt, ...)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(INPUT_MAX);
    va_list ap;

    va_start(ap, fmt);
    strbuf_vaddf(&sb, fmt, ap);
    va_end(ap);
    fake_write(c, sb.buf, sb.len);
}

void fake_answer(struct fake_conn *c, int status, const char *headers, const char *body)
{
    fake_writef(c, "HTTP/1.1 %d Whatever\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
                strlen(body), body);
}

void fake_begin(struct fake_conn *c, const char *headers)
{
    fake_writef(c, "HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n", headers);
}

void fake_chunk(struct fake_conn *c, const char *data, size_t n)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(INPUT_MAX);

    strbuf_addf(&sb, "%zx\r\n", n);
    strbuf_add(&sb, data, n);
    strbuf_adds(&sb, "\r\n");
    fake_write(c, sb.buf, sb.len);
}

void fake_end(struct fake_conn *c)
{
    fake_writef(c, "0\r\n\r\n");
}

void fake_stop_reading(struct fake_conn *c)
{
    uv_read_stop((uv_stream_t *)&c->uv);
}

char *fake_header(const struct fake_request *r, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = strstr(r->head, "\r\n"); p && p[2] != '\r'; p = strstr(p + 2, "\r\n")) {
        const char *line = p + 2, *end = strstr(line, "\r\n");

        if (!strncasecmp(line, name, n) && line[n] == ':') {
            line += n + 1;
            line += *line == ' ';
            return xstrndup(line, (size_t)(end - line));
        }
    }
    return NULL;
}

/* ---- reading requests ---- */

/* Puts a chunked body together; the bytes it took, 0 if it is not complete. */
static size_t unchunk(const char *p, size_t n, struct strbuf *body)
{
    const char *at = p, *end = p + n;

    for (;;) {
        const char *eol = memmem(at, (size_t)(end - at), "\r\n", 2);

        if (!eol)
            return 0;
        size_t len = strtoul(at, NULL, 16);

        if ((size_t)(end - eol) < len + 4)
            return 0;
        strbuf_add(body, eol + 2, len);
        at = eol + 2 + len + 2;
        if (!len)
            return (size_t)(at - p);
    }
}

/* Handles one complete request at the start of the input; false if there is none. */
static bool take_request(struct fake_conn *c)
{
    const char *end = c->in.len ? memmem(c->in.buf, c->in.len, "\r\n\r\n", 4) : NULL;
    cleanup_strbuf struct strbuf body = STRBUF_INIT(INPUT_MAX);
    char method[16], target[4096];

    if (!end)
        return false;
    size_t head_len = (size_t)(end - c->in.buf) + 4, rest = c->in.len - head_len, taken = 0;
    cleanup_free char *head = xstrndup(c->in.buf, head_len);
    struct fake_request r = {.method = method, .target = target, .head = head};
    cleanup_free char *length = fake_header(&r, "Content-Length");
    cleanup_free char *coding = fake_header(&r, "Transfer-Encoding");

    if (coding) {
        taken = unchunk(end + 4, rest, &body);
        if (!taken)
            return false;
    } else if (length) {
        taken = strtoul(length, NULL, 10);
        if (rest < taken)
            return false;
        strbuf_add(&body, end + 4, taken);
    }
    if (sscanf(head, "%15s %4095s", method, target) != 2)
        return false;
    strbuf_consume(&c->in, head_len + taken);
    r.body = body.buf;
    r.len = body.len;
    r.number = ++c->server->requests;
    c->server->fn(c->server->arg, c, &r);
    return true;
}

static void alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
    (void)h;
    *buf = uv_buf_init(xmalloc(size), (unsigned)size);
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
    struct fake_conn *c = uv->data;

    if (n > 0)
        strbuf_add(&c->in, buf->base, (size_t)n);
    free(buf->base);
    while (n > 0 && !c->closed && take_request(c))
        ;
    if (n < 0)
        conn_end(c, false);
}

static void on_connection(uv_stream_t *uv, int status)
{
    struct fake_server *s = uv->data;
    struct fake_conn *c = xcalloc(1, sizeof(*c));

    (void)status;
    uv_tcp_init(loop_uv(s->loop), &c->uv);
    c->uv.data = c;
    c->server = s;
    strbuf_init(&c->in, INPUT_MAX);
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next)
        c->next->link = &c->next;
    s->conns = c;
    s->open++;
    if (uv_accept(uv, (uv_stream_t *)&c->uv))
        BUG("accept failed");
    s->connections++;
    if (s->refuse)
        conn_end(c, true);
    else if (!s->deaf)
        uv_read_start((uv_stream_t *)&c->uv, alloc, on_read);
}

/* ---- life ---- */

struct fake_server *fake_new_at(struct loop *loop, const char *address, int port, fake_fn fn,
                                void *arg)
{
    struct fake_server *s = xcalloc(1, sizeof(*s));
    struct sockaddr_in at;
    int len = sizeof(at);

    s->loop = loop;
    s->fn = fn;
    s->arg = arg;
    uv_ip4_addr(address, port, &at);
    uv_tcp_init(loop_uv(loop), &s->uv);
    s->uv.data = s;
    if (uv_tcp_bind(&s->uv, (const struct sockaddr *)&at, 0) ||
        uv_listen((uv_stream_t *)&s->uv, 64, on_connection))
        BUG("cannot listen");
    uv_tcp_getsockname(&s->uv, (struct sockaddr *)&at, &len);
    snprintf(s->url, sizeof(s->url), "http://%s:%d", address, ntohs(at.sin_port));
    return s;
}

struct fake_server *fake_new(struct loop *loop, fake_fn fn, void *arg)
{
    return fake_new_at(loop, "127.0.0.1", 0, fn, arg);
}

void fake_free(struct fake_server *s)
{
    while (s->conns)
        conn_end(s->conns, false);
    uv_close((uv_handle_t *)&s->uv, free_handle);
}

const char *fake_url(const struct fake_server *s)
{
    return s->url;
}

int fake_connections(const struct fake_server *s)
{
    return s->connections;
}

int fake_requests(const struct fake_server *s)
{
    return s->requests;
}

int fake_open(const struct fake_server *s)
{
    return s->open;
}

void fake_refuse(struct fake_server *s, bool refuse)
{
    s->refuse = refuse;
}

void fake_deaf(struct fake_server *s, bool deaf)
{
    s->deaf = deaf;
}

struct fake_conn *fake_last(struct fake_server *s)
{
    return s->conns;
}
