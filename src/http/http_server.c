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
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "flinkop/error.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "http_body.h"
#include "http_connections.h"
#include "http_internal.h"
#include "http_listen.h"
#include "http_phase.h"
#include "http_server_tls.h"

#define MAX_CONNECTIONS 256
#define MAX_TLS_CONNECTIONS 64 /* each has its buffers */
#define MAX_CLOSING 16         /* beside them: closed, and yet to be freed */
#define MAX_WAITING 64
#define MAX_REPLY ((size_t)64 << 20)
#define PIECE ((size_t)16 << 10)
#define MAX_HEAD 4096           /* of a request */
#define MAX_TLS_HEAD (16 << 10) /* that may bring a token */
#define REQUEST_TIMEOUT_S 10
/* Longer than Go's clients keep a connection that is idle (90 s), or a request of the API server
 * might meet its end. */
#define KEEPALIVE_S 120
/* Whole TLS records: libwebsockets waits for the socket, even if the rest of one is in OpenSSL. */
#define READ_ROOM (LWS_PRE + (16 << 10))
#define CLOSE_TURNS 8
#define PAUSE_MS 1000

struct http_server {
    struct lws_context *context;
    struct server_tls *tls; /* NULL: none */
    struct lws_vhost *vhost;
    struct loop *loop;
    int fd; /* that listens */
    uv_poll_t listener;
    struct timer *pause; /* of taking connections */
    struct http_route *routes;
    size_t n;
    int port;
    struct connections connections;
    struct http_waiting *waiting;
    size_t n_waiting;
    struct http_phase phase;
    size_t bodies;   /* bytes of requests that are being read */
    uv_idle_t turns; /* counts turns of the loop at the end */
    int turns_left;
};

/* Of one connection, zeroed by lws. */
struct session {
    char *body;
    size_t len, sent;
    bool head; /* it asks for the head only */
    bool last; /* what comes behind the request is not read */
    struct http_body asked;
    const struct http_route *posted; /* …to this one */
    struct http_waiting *waiting;
    /* a later reply that is to be sent: */
    bool ready;
    int status;
    const char *content_type;
};

struct http_waiting {
    struct http_server *server;
    struct lws *wsi;
    struct session *ses;
    struct http_waiting *next, **link;
    struct http_asked asked; /* its strings ours */
    void (*gone)(void *arg);
    void *arg;
};

/* A request whose handler runs. */
struct http_asking {
    struct lws *wsi;
    struct session *ses;
};

/* ---- requests ---- */

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

static bool has(struct lws *wsi, enum lws_token_indexes token)
{
    return lws_hdr_total_length(wsi, token) > 0;
}

/* The value of a header, "" if it is not there; malloc'd. */
static char *header(struct lws *wsi, enum lws_token_indexes token)
{
    int len = MAX(lws_hdr_total_length(wsi, token), 0);
    char *text = xcalloc((size_t)len + 1, 1);

    if (len && lws_hdr_copy(wsi, text, len + 1, token) < 0)
        *text = 0;
    return text;
}

/* ---- answering ---- */

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p,
                      unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), p, end);
}

static int end_reply(struct lws *wsi, const struct session *ses)
{
    struct http_server *s = lws_context_user(lws_get_context(wsi));

    connections_set_busy(&s->connections, wsi, false);
    return ses->last || lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* Writes the head; the body waits in the session for the socket. */
static int start_reply(struct lws *wsi, struct session *ses)
{
    unsigned char buf[LWS_PRE + 2048], *start = buf + LWS_PRE, *p = start,
                                       *end = buf + sizeof(buf) - 1;

    if (lws_add_http_common_headers(wsi, (unsigned)ses->status, ses->content_type, ses->len, &p,
                                    end) ||
        (ses->status == 401 && add_header(wsi, "www-authenticate:", "Bearer", &p, end)) ||
        (ses->last && add_header(wsi, "connection:", "close", &p, end)) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return -1;
    ses->sent = 0;
    if (ses->head || !ses->len) {
        free(TAKE_PTR(ses->body));
        return end_reply(wsi, ses);
    }
    lws_callback_on_writable(wsi);
    return 0;
}

/* Other methods may bring a body that nobody is going to read: answer and hang up. */
static int refuse_method(struct lws *wsi, const struct http_route *route)
{
    static const char text[] = "HTTP/1.1 405 Method Not Allowed\r\nAllow: %s\r\n"
                               "Connection: close\r\nContent-Length: 0\r\n\r\n";
    unsigned char buf[LWS_PRE + sizeof(text) + 16];
    const char *allowed = route->post_max ? "POST" : route->put ? "GET, HEAD, PUT" : "GET, HEAD";
    int n = snprintf((char *)buf + LWS_PRE, sizeof(text) + 16, text, allowed);

    lws_write(wsi, buf + LWS_PRE, (size_t)n, LWS_WRITE_HTTP_HEADERS);
    return -1;
}

/* Puts into the session what the handler says; false: it says nothing yet. */
static bool ask_handler(struct session *ses, http_handle_fn handle, void *arg,
                        const struct http_asked *asked, struct http_asking *asking)
{
    cleanup_strbuf struct strbuf body = STRBUF_INIT(MAX_REPLY);
    struct http_reply reply = {asked, asking, 200, "text/plain; charset=utf-8", &body};

    handle(arg, &reply);
    if (ses->waiting)
        return false;
    if (body.overflow) {
        strbuf_reset(&body);
        reply.status = 500;
        strbuf_adds(&body, "reply too large\n");
    }
    ses->status = reply.status;
    ses->content_type = reply.content_type;
    ses->body = strbuf_detach(&body, &ses->len);
    return true;
}

/* ---- bodies of requests ---- */

static int begin_body(struct lws *wsi, struct session *ses, const struct http_route *route)
{
    struct http_server *s = lws_context_user(lws_get_context(wsi));
    cleanup_free char *length = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    int refused = http_body_begin(&ses->asked, length, route->post_max,
                                  header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE),
                                  loop_now(s->loop) + (int64_t)REQUEST_TIMEOUT_S * 1000);

    ses->posted = route;
    ses->last = refused != 0;
    ses->status = refused;
    if (!refused)
        return 0;
    ses->content_type = "text/plain; charset=utf-8";
    ses->body = xstrdup(http_body_refusal(refused));
    ses->len = strlen(ses->body);
    return start_reply(wsi, ses);
}

static int end_body(struct lws *wsi, struct session *ses)
{
    struct http_server *s = lws_context_user(lws_get_context(wsi));

    if (!ses->asked.text)
        return 0;
    const struct http_asked asked = {.method = "POST",
                                     .path = ses->posted->path,
                                     .query = "",
                                     .authorization = "",
                                     .local = http_is_local(wsi),
                                     .content_type = ses->asked.content_type,
                                     .body = ses->asked.text,
                                     .len = ses->asked.len};

    (void)ask_handler(ses, ses->posted->handle, ses->posted->arg, &asked,
                      &(struct http_asking){wsi, ses});
    http_body_end(&ses->asked, &s->bodies);
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_TIMEOUT_S);
    return start_reply(wsi, ses);
}

static void not_found(void *arg, struct http_reply *reply)
{
    (void)arg;
    reply->status = 404;
    strbuf_adds(reply->body, "not found\n");
}

static int on_request(struct lws *wsi, struct session *ses, const char *path)
{
    static const struct http_route nowhere = {.handle = not_found};
    const struct http_server *s = lws_context_user(lws_get_context(wsi));
    const struct http_route *route = find_route(s, path);
    bool put = has(wsi, WSI_TOKEN_PUT_URI), post = has(wsi, WSI_TOKEN_POST_URI);

    route = route ? route : &nowhere;
    ses->head = has(wsi, WSI_TOKEN_HEAD_URI);
    ses->last = put || has(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) ||
                has(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING);
    /* libwebsockets would read the head as the body, for ever; clients do not do this. */
    if (ses->last && !s->phase.polling)
        return -1;
    if (route->post_max && post)
        return begin_body(wsi, ses, route);
    if (route->post_max || (put ? !route->put : !ses->head && !has(wsi, WSI_TOKEN_GET_URI)))
        return refuse_method(wsi, route);
    cleanup_free char *args = http_query(wsi);
    char *authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    const struct http_asked asked = {.method = put ? "PUT" : "GET",
                                     .path = path,
                                     .query = args,
                                     .authorization = authorization,
                                     .local = http_is_local(wsi),
                                     .content_type = ""};
    bool replies =
        ask_handler(ses, route->handle, route->arg, &asked, &(struct http_asking){wsi, ses});

    http_wipe_free(authorization);
    return replies ? start_reply(wsi, ses) : 0;
}

static int send_piece(struct lws *wsi, struct session *ses)
{
    unsigned char buf[LWS_PRE + PIECE];
    size_t n = MIN(ses->len - ses->sent, PIECE);
    bool last = ses->sent + n == ses->len;

    if (ses->ready) {
        ses->ready = false;
        return start_reply(wsi, ses);
    }
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
    return end_reply(wsi, ses);
}

/* ---- replies that come later ---- */

static void waiting_free(struct http_waiting *w)
{
    w->ses->waiting = NULL;
    w->server->n_waiting--;
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    free((char *)(uintptr_t)w->asked.path);
    free((char *)(uintptr_t)w->asked.query);
    free(w);
}

struct http_waiting *http_reply_later(struct http_reply *reply, void (*gone)(void *arg), void *arg)
{
    struct session *ses = reply->asking->ses;
    struct http_server *s = lws_context_user(lws_get_context(reply->asking->wsi));

    if (s->n_waiting == MAX_WAITING)
        return NULL;
    struct http_waiting *w = xcalloc(1, sizeof(*w));

    *w = (struct http_waiting){.server = s,
                               .wsi = reply->asking->wsi,
                               .ses = ses,
                               .next = s->waiting,
                               .link = &s->waiting,
                               .asked = *reply->asked,
                               .gone = gone,
                               .arg = arg};
    w->asked.path = xstrdup(reply->asked->path);
    w->asked.query = xstrdup(reply->asked->query);
    w->asked.authorization = "";
    if (w->next)
        w->next->link = &w->next;
    s->waiting = w;
    s->n_waiting++;
    ses->waiting = w;
    return w;
}

void http_reply_now(struct http_waiting *w, http_handle_fn handle, void *arg)
{
    struct session *ses = w->ses;
    struct http_asking asking = {w->wsi, ses};

    ses->waiting = NULL;
    if (ask_handler(ses, handle, arg, &w->asked, &asking)) {
        ses->ready = true;
        lws_set_timeout(w->wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_TIMEOUT_S);
        lws_callback_on_writable(w->wsi);
    }
    struct http_waiting *another = ses->waiting; /* it is put off once more */

    waiting_free(w);
    ses->waiting = another;
}

static void session_end(struct http_server *s, struct session *ses)
{
    struct http_waiting *w = ses->waiting;

    http_body_end(&ses->asked, &s->bodies);
    free(TAKE_PTR(ses->body));
    ses->ready = false;
    if (!w)
        return;
    void (*gone)(void *) = w->gone;
    void *arg = w->arg;

    waiting_free(w);
    gone(arg);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct http_server *s = lws_context_user(lws_get_context(wsi));
    struct session *ses = user;

    switch (reason) {
    case LWS_CALLBACK_HTTP:
        connections_set_busy(&s->connections, wsi, true);
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_TIMEOUT_S);
        return on_request(wsi, ses, in);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return -1; /* to WebSocket or HTTP/2, where no limit of ours would hold */
    case LWS_CALLBACK_HTTP_BODY:
        return http_body_add(&ses->asked, &s->bodies, in, len, loop_now(s->loop));
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return end_body(wsi, ses);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return send_piece(wsi, ses);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        if (ses)
            session_end(s, ses);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        connections_remove(&s->connections, wsi);
        return 0;
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        server_tls_install(s->tls, user);
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

static size_t most_connections(const struct http_server *s)
{
    return s->tls ? MAX_TLS_CONNECTIONS : MAX_CONNECTIONS;
}

static void on_connection(uv_poll_t *listener, int status, int events);

static void take_connections(void *arg)
{
    struct http_server *s = arg;

    uv_poll_start(&s->listener, UV_READABLE, on_connection);
}

/* Taken by ourselves, not by lws: one for which there is no descriptor stays in the kernel's queue,
 * which makes the socket readable in every turn of the loop. */
static void on_connection(uv_poll_t *listener, int status, int events)
{
    struct http_server *s = listener->data;
    int fd = http_accept(s->fd);

    (void)status;
    (void)events;
    if (fd >= 0) {
        connections_make_room(&s->connections, most_connections(s));
        struct lws *wsi = lws_adopt_socket_vhost(s->vhost, fd); /* closes it if it cannot */

        if (wsi)
            connections_add(&s->connections, wsi);
        return;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return;
    log_warn("cannot take connections", KV("error", strerror(errno)));
    uv_poll_stop(&s->listener);
    timer_start(s->pause, PAUSE_MS);
}

static void stop_listening(struct http_server *s)
{
    timer_free(s->pause);
    http_phase_end(&s->phase);
    uv_poll_stop(&s->listener);
    uv_close((uv_handle_t *)&s->listener, NULL); /* turns before the server is freed */
    close(s->fd);
}

static void on_turns_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    server_tls_free(s->tls);
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
    stop_listening(s);
    for (struct http_waiting *w = s->waiting, *next; w; w = next) {
        next = w->next;
        waiting_free(w);
    }
    server_tls_stop(s->tls);
    if (s->context)
        lws_context_destroy(s->context);
    s->turns_left = CLOSE_TURNS;
    uv_idle_init(loop_uv(s->loop), &s->turns);
    s->turns.data = s;
    uv_idle_start(&s->turns, on_turn);
}

/* False when it cannot be had. */
static bool open_context(struct http_server *s)
{
    static const struct lws_protocols protocols[] = {
        {.name = "http", .callback = on_event, .per_session_data_size = sizeof(struct session)},
        {0},
    };
    void *loops[] = {loop_uv(s->loop)};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES,
        .foreign_loops = loops,
        .pcontext = &s->context,
        .user = s,
        .vhost_name = "flink-operator",
        .fd_limit_per_thread = (unsigned)most_connections(s) + MAX_CLOSING,
        .max_http_header_data = s->tls ? MAX_TLS_HEAD : MAX_HEAD,
        .max_http_header_pool = (unsigned short)(most_connections(s) + MAX_CLOSING),
        .pt_serv_buf_size = s->tls ? READ_ROOM : 0,
        .timeout_secs = REQUEST_TIMEOUT_S,
        .keepalive_timeout = KEEPALIVE_S,
        .alpn = "http/1.1",
    };

    if (s->tls)
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                        LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    s->context = lws_create_context(&info);
    if (s->context)
        s->vhost = lws_create_vhost(s->context, &info);
    return s->vhost != NULL;
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *o,
                                    struct error *err)
{
    struct server_tls *tls = NULL;
    int fd = http_listen(o->port, err);

    if (fd < 0)
        return NULL;
    if (o->cert_file || o->given) {
        tls = server_tls_new(loop, o->cert_file, o->key_file, o->reread_ms, err);
        if (!tls) {
            close(fd);
            return NULL;
        }
    }
    struct http_server *s = xcalloc(1, sizeof(*s));

    s->loop = loop;
    s->tls = tls;
    s->n = o->n;
    s->routes = xcalloc(o->n, sizeof(*o->routes));
    memcpy(s->routes, o->routes, o->n * sizeof(*o->routes));
    s->fd = fd;
    s->port = http_port_of(fd);
    s->pause = timer_new(loop, take_connections, s);
    http_phase_begin(&s->phase, loop_uv(loop));
    uv_poll_init(loop_uv(loop), &s->listener, fd);
    s->listener.data = s;
    if (!open_context(s)) {
        error_set(err, ERR_INTERNAL, "cannot serve port %d: is libwebsockets-evlib-uv installed?",
                  o->port);
        http_server_free(s);
        return NULL;
    }
    take_connections(s);
    return s;
}

int http_server_certificate(struct http_server *s, const char *cert_pem, const char *key_pem,
                            struct error *err)
{
    return server_tls_give(s->tls, cert_pem, key_pem, err);
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}
