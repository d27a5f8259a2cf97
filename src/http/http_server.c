/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libwebsockets with our loop as its foreign loop (the event library plugin of libuv must be
 * installed at run time). Replies are made whole and sent in pieces as the socket takes them.
 *
 * Taking a context down needs some turns of the loop: the first lws_context_destroy closes sockets,
 * their close callbacks close lws' own handles, and only when those are gone may the second call
 * free what they live in. http_server_free starts that and returns; loop_free waits for it.
 */
#include "flinkop/http_server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "flinkop/error.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define MAX_CONNECTIONS 256
#define MAX_REPLY ((size_t)64 << 20)
#define PIECE ((size_t)16 << 10)
#define MAX_HEAD 4096 /* of a request */
#define REQUEST_TIMEOUT_S 10
#define KEEPALIVE_S 75
#define CLOSE_TURNS 8

struct http_server {
    struct lws_context *context;
    struct loop *loop;
    struct http_route *routes;
    size_t n;
    int port;
    uv_idle_t turns; /* counts turns of the loop at the end */
    int turns_left;
};

/* Of one connection, zeroed by lws. */
struct session {
    char *body;
    size_t len, sent;
};

/* ---- answering ---- */

static const struct http_route *find_route(const struct http_server *s, const char *path)
{
    const struct http_route *any = NULL;

    for (size_t i = 0; i < s->n; i++) {
        if (!strcmp(s->routes[i].path, path))
            return &s->routes[i];
        if (!strcmp(s->routes[i].path, "*"))
            any = &s->routes[i];
    }
    return any;
}

/* Writes the head; the body waits in the session for the socket. */
static int start_reply(struct lws *wsi, struct session *ses, const struct http_reply *reply)
{
    unsigned char buf[LWS_PRE + 2048], *start = buf + LWS_PRE, *p = start,
                                       *end = buf + sizeof(buf) - 1;

    if (lws_add_http_common_headers(wsi, (unsigned)reply->status, reply->content_type,
                                    reply->body->len, &p, end) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return -1;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0 || !reply->body->len)
        return lws_http_transaction_completed(wsi) ? -1 : 0;
    ses->body = strbuf_detach(reply->body, &ses->len);
    ses->sent = 0;
    lws_callback_on_writable(wsi);
    return 0;
}

/* Other methods may bring a body that nobody is going to read: answer and hang up. */
static int refuse_method(struct lws *wsi)
{
    static const char text[] = "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"
                               "Connection: close\r\nContent-Length: 0\r\n\r\n";
    unsigned char buf[LWS_PRE + sizeof(text)];

    memcpy(buf + LWS_PRE, text, sizeof(text));
    lws_write(wsi, buf + LWS_PRE, sizeof(text) - 1, LWS_WRITE_HTTP_HEADERS);
    return -1;
}

static int on_request(struct lws *wsi, struct session *ses, const char *path)
{
    const struct http_server *s = lws_context_user(lws_get_context(wsi));
    cleanup_strbuf struct strbuf body = STRBUF_INIT(MAX_REPLY);
    struct http_reply reply = {200, "text/plain; charset=utf-8", &body};
    const struct http_route *route = find_route(s, path);

    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0 &&
        lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) <= 0)
        return refuse_method(wsi);
    if (!route) {
        reply.status = 404;
        strbuf_adds(&body, "not found\n");
    } else {
        route->handle(route->arg, &reply);
    }
    if (body.overflow) {
        strbuf_reset(&body);
        reply.status = 500;
        strbuf_adds(&body, "reply too large\n");
    }
    return start_reply(wsi, ses, &reply);
}

static int send_piece(struct lws *wsi, struct session *ses)
{
    unsigned char buf[LWS_PRE + PIECE];
    size_t n = MIN(ses->len - ses->sent, PIECE);
    bool last = ses->sent + n == ses->len;

    if (!ses->body)
        return 0;
    memcpy(buf + LWS_PRE, ses->body + ses->sent, n);
    if (lws_write(wsi, buf + LWS_PRE, n, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
        return -1;
    ses->sent += n;
    if (!last) {
        lws_callback_on_writable(wsi);
        return 0;
    }
    free(TAKE_PTR(ses->body));
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct session *ses = user;

    switch (reason) {
    case LWS_CALLBACK_HTTP:
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_TIMEOUT_S);
        return on_request(wsi, ses, in);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return send_piece(wsi, ses);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        if (ses)
            free(TAKE_PTR(ses->body));
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, len);
    }
}

/* ---- life ---- */

static void on_log(int level, const char *line)
{
    (void)level;
    log_debug("libwebsockets", KV("line", line));
}

/* Tries the port first, because lws does not say why it cannot have one. */
static int try_port(int port, bool *ret_ipv6, struct error *err)
{
    const struct sockaddr_in6 at6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    const struct sockaddr_in at4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    *ret_ipv6 = fd >= 0;
    if (fd < 0)
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int rc = *ret_ipv6 ? bind(fd, (const struct sockaddr *)&at6, sizeof(at6))
                       : bind(fd, (const struct sockaddr *)&at4, sizeof(at4));
    if (!rc)
        rc = listen(fd, 1);
    if (rc)
        error_set(err, ERR_INTERNAL, "cannot listen on port %d: %s", port, strerror(errno));
    close(fd);
    return rc;
}

static void on_turns_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    free(s->routes);
    free(s);
}

static void on_turn(uv_idle_t *idle)
{
    struct http_server *s = idle->data;

    if (--s->turns_left)
        return;
    if (s->context)
        lws_context_destroy(s->context);
    uv_close((uv_handle_t *)idle, on_turns_closed);
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    if (s->context)
        lws_context_destroy(s->context);
    s->turns_left = CLOSE_TURNS;
    uv_idle_init(loop_uv(s->loop), &s->turns);
    s->turns.data = s;
    uv_idle_start(&s->turns, on_turn);
}

struct http_server *http_server_new(struct loop *loop, int port, const struct http_route *routes,
                                    size_t n, struct error *err)
{
    static const struct lws_protocols protocols[] = {
        {.name = "http", .callback = on_event, .per_session_data_size = sizeof(struct session)},
        {0},
    };
    void *loops[] = {loop_uv(loop)};
    bool ipv6;

    if (try_port(port, &ipv6, err))
        return NULL;
    struct http_server *s = xcalloc(1, sizeof(*s));
    struct lws_context_creation_info info = {
        .port = port,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES,
        .foreign_loops = loops,
        .pcontext = &s->context,
        .user = s,
        .vhost_name = "flink-operator",
        .fd_limit_per_thread = MAX_CONNECTIONS,
        .max_http_header_data = MAX_HEAD,
        .max_http_header_pool = MAX_CONNECTIONS,
        .timeout_secs = REQUEST_TIMEOUT_S,
        .keepalive_timeout = KEEPALIVE_S,
    };
    struct lws_vhost *vhost = NULL;

    if (!ipv6)
        info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
    s->loop = loop;
    s->n = n;
    s->routes = xcalloc(n, sizeof(*routes));
    memcpy(s->routes, routes, n * sizeof(*routes));
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    s->context = lws_create_context(&info);
    if (s->context)
        vhost = lws_create_vhost(s->context, &info);
    if (!vhost) {
        error_set(err, ERR_INTERNAL,
                  s->context ? "cannot listen on port %d"
                             : "cannot serve port %d: is libwebsockets-evlib-uv installed?",
                  port);
        http_server_free(s);
        return NULL;
    }
    s->port = lws_get_vhost_listen_port(vhost);
    return s;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}
