/* SPDX-License-Identifier: Apache-2.0 */
/* One call: the request as options of a curl handle, and curl's callbacks while it runs. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "flinkop/address.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "http_client.h"

#define CONNECT_TIMEOUT_MS 10000
#define MAX_BODY ((size_t)1 << 20)
/* Names are looked up again soon: the address of a Service that was made anew differs. */
#define DNS_TTL_S 5
/* Below the 90 s after which an API server closes an idle connection. */
#define IDLE_CONNECTION_S 60
/* Half-open connections: found by probes when idle, by the user time-out (stall_ms) when data is
 * under way. */
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3
/* The least that curl allows, and what TLS sends at once. Watches keep theirs for good. */
#define UPLOAD_BUFFER ((long)16 << 10)

/* ---- curl's callbacks ---- */

static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    struct http_call *call = arg;
    const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, call->client->stall_ms},
    };

    (void)purpose;
    call->client->opened++;
    /* A refusal costs only how soon a dead peer is noticed. */
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    return CURL_SOCKOPT_OK;
}

/* The guard lets it pass. */
static bool may_speak_to(struct http_call *call, const struct ip *ip)
{
    const char *why = call->guard.refuse ? call->guard.refuse(call->guard.arg, ip) : NULL;

    if (why && !call->refused)
        call->refused = why;
    return !why;
}

/* Right before a connection is made to one of the addresses of a host. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_call *call = arg;
    struct ip ip;

    (void)purpose;
    if (call->guard.refuse && (!ip_of_sockaddr(&address->addr, &ip) || !may_speak_to(call, &ip)))
        return CURL_SOCKET_BAD;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    call->no_socket = fd < 0 ? errno : 0;
    return fd;
}

/* The connection stands and the request is about to be written to it. curl comes here a second time
 * when a kept connection broke without an answer: the server may have acted on the request then, so
 * it is sent again only if that does no harm. */
static int on_send(void *arg, char *peer, char *local, int port, int local_port)
{
    struct http_call *call = arg;
    const char *fmt = strchr(peer, ':') ? "[%s]:%d" : "%s:%d";
    struct ip ip;

    (void)local;
    (void)local_port;
    if (call->guard.refuse && (!ip_parse(peer, &ip) || !may_speak_to(call, &ip)))
        return CURL_PREREQFUNC_ABORT;
    if (call->sends && !call->answered && !call->repeatable) {
        call->no_resend = true;
        return CURL_PREREQFUNC_ABORT;
    }
    if (call->fence && !call->fence->open(call->fence->arg)) {
        call->fenced = true;
        return CURL_PREREQFUNC_ABORT;
    }
    snprintf(call->peer, sizeof(call->peer), fmt, peer, port);
    call->sends++;
    call->answered = false;
    call->last_byte = loop_now(call->client->loop);
    return CURL_PREREQFUNC_OK;
}

static void end_of_head(struct http_call *call)
{
    struct http_response res;

    http_call_response(call, &res);
    if (res.status < 200 || call->head_done)
        return;
    call->head_done = true;
    if (!call->on_head || call->dropped)
        return;
    res.validator = http_call_validator(call);
    call->on_head(call->arg, &res);
}

/* Called with one line at a time, also for trailers, which nobody here is interested in. */
static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;

    n *= size;
    call->last_byte = loop_now(call->client->loop);
    call->head_bytes += n;
    if (call->dropped)
        return 0;
    if (call->head_bytes > HTTP_MAX_HEAD) {
        call->too_large = true;
        return 0;
    }
    if (n >= 5 && !strncmp(line, "HTTP/", 5))
        call->answered = true;
    if (n <= 2 && (*line == '\r' || *line == '\n'))
        end_of_head(call);
    return call->dropped ? 0 : n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;
    ssize_t taken;

    n *= size;
    call->last_byte = loop_now(call->client->loop);
    if (call->dropped)
        return 0;
    if (!call->on_data) {
        strbuf_add(&call->reply, data, n);
        call->too_large = call->reply.overflow;
        return call->too_large ? 0 : n;
    }
    taken = call->on_data(call->arg, data, n);
    call->sink_waits = taken == HTTP_WAIT;
    if (call->sink_waits && !call->dropped)
        return CURL_WRITEFUNC_PAUSE;
    call->gave_up |= taken != (ssize_t)n;
    return call->dropped || call->gave_up ? 0 : n;
}

static size_t on_read(char *buf, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;
    ssize_t given;

    call->last_byte = loop_now(call->client->loop);
    if (call->dropped)
        return CURL_READFUNC_ABORT;
    given = call->part.read(call->part.arg, buf, size * n);
    call->source_waits = given == HTTP_WAIT;
    if (call->source_waits && !call->dropped)
        return CURL_READFUNC_PAUSE;
    if (given < 0 || call->dropped) {
        call->gave_up = true;
        return CURL_READFUNC_ABORT;
    }
    BUG_ON((size_t)given > size * n);
    return (size_t)given;
}

/* ---- setting up ---- */

static void add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (!longer)
        BUG("out of memory in libcurl");
    *list = longer;
}

/* A line break in a name or value would let one header become two. */
static bool is_clean(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 && *s != '\t')
            return false;
    return true;
}

static int add_headers(struct http_call *call, const struct http_request *req, struct error *err)
{
    bool typed = false;

    for (const struct http_header *h = req->headers; h && h->name; h++) {
        if (!*h->name || strpbrk(h->name, ": \t") || !is_clean(h->name) || !is_clean(h->value))
            return error_set(err, ERR_INVALID, "malformed header \"%.40s\"", h->name);
        /* curl's way to write a header without a value */
        char *line = *h->value ? xasprintf("%s: %s", h->name, h->value) : xasprintf("%s;", h->name);

        add_line(&call->headers, line);
        http_wipe_free(line);
        typed |= !strcasecmp(h->name, "Content-Type");
    }
    if (!typed && !req->part)
        add_line(&call->headers, "Content-Type:"); /* not curl's form encoding */
    add_line(&call->headers, "Expect:");           /* no round trip before a body */
    return 0;
}

static void set_method(struct http_call *call, const struct http_request *req)
{
    CURL *easy = call->easy;
    bool get = !strcmp(req->method, "GET"), head = !strcmp(req->method, "HEAD");

    if (req->part) {
        curl_mimepart *part;

        call->part = *req->part;
        call->mime = curl_mime_init(easy);
        part = curl_mime_addpart(call->mime);
        if (!call->mime || !part)
            BUG("out of memory in libcurl");
        curl_mime_name(part, req->part->name);
        curl_mime_filename(part, req->part->filename);
        curl_mime_type(part, req->part->content_type);
        curl_mime_data_cb(part, req->part->length, on_read, NULL, NULL, call);
        curl_easy_setopt(easy, CURLOPT_MIMEPOST, call->mime);
    } else if (req->body || !(get || head || !strcmp(req->method, "DELETE"))) {
        size_t n = req->body ? req->body_len : 0;

        call->body = xmalloc(n + 1);
        if (req->body)
            memcpy(call->body, req->body, n);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
    }
    if (head)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (!get && strcmp(req->method, "POST") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, req->method);
    call->repeatable = req->repeatable || get || head || !strcmp(req->method, "PUT") ||
                       !strcmp(req->method, "DELETE") || !strcmp(req->method, "OPTIONS");
}

static void set_blob(CURL *easy, CURLoption option, char *pem)
{
    struct curl_blob blob = {.data = pem, .flags = CURL_BLOB_NOCOPY};

    if (!pem)
        return;
    blob.len = strlen(pem);
    curl_easy_setopt(easy, option, &blob);
}

/* curl knows one name, OpenSSL any number of them. */
static CURLcode on_tls_context(CURL *easy, void *ctx, void *arg)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    struct http_call *call = arg;

    (void)easy;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    for (struct curl_slist *name = call->tls_names; name; name = name->next)
        if (!X509_VERIFY_PARAM_add1_host(param, name->data, 0))
            return CURLE_OUT_OF_MEMORY;
    return CURLE_OK;
}

static void set_tls_names(struct http_call *call, const char *const *names)
{
    for (; *names; names++)
        add_line(&call->tls_names, *names);
    curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    /* One that is resumed would not be verified, and curl does not know that names differ. */
    curl_easy_setopt(call->easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(call->easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
    curl_easy_setopt(call->easy, CURLOPT_SSL_CTX_DATA, call);
}

static void set_tls(struct http_call *call, struct http_tls *tls, const char *const *names)
{
    curl_easy_setopt(call->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (names)
        set_tls_names(call, names);
    if (!tls)
        return;
    call->tls = http_tls_ref(tls); /* the blobs are not copied */
    set_blob(call->easy, CURLOPT_CAINFO_BLOB, tls->ca);
    set_blob(call->easy, CURLOPT_SSLCERT_BLOB, tls->cert);
    set_blob(call->easy, CURLOPT_SSLKEY_BLOB, tls->key);
    if (tls->insecure) {
        curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

/* curl verifies against the host of the URL: to verify another name the URL gets that name, and
 * CONNECT_TO and the Host header get the real one. */
static int rename_host(struct http_call *call, CURLU *url, const char *port, struct error *err)
{
    cleanup_free char *to = xasprintf("%s:%s:%s", call->tls->server_name, port, call->host);
    cleanup_free char *host = xasprintf("Host: %s", call->host);

    if (curl_url_set(url, CURLUPART_HOST, call->tls->server_name, 0))
        return error_set(err, ERR_INVALID, "bad TLS server name \"%.80s\"", call->tls->server_name);
    add_line(&call->connect_to, to);
    add_line(&call->headers, host);
    curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
    return 0;
}

static int set_url(struct http_call *call, const struct http_request *req, struct error *err)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *text = NULL;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, req->url, CURLU_DISALLOW_USER);
    int rc = 0;

    if (!code)
        code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    if (!code)
        code = curl_url_get(url, CURLUPART_HOST, &host, 0);
    if (!code)
        code = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    if (code) {
        rc = error_set(err, ERR_INVALID, "bad URL: %s", curl_url_strerror(code));
    } else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
        rc = error_set(err, ERR_INVALID, "bad URL: scheme %.20s is neither http nor https", scheme);
    } else {
        call->host = xasprintf("%s:%s", host, port);
        if (call->tls && call->tls->server_name)
            rc = rename_host(call, url, port, err);
        if (!rc && !curl_url_get(url, CURLUPART_URL, &text, 0))
            curl_easy_setopt(call->easy, CURLOPT_URL, text);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(text);
    curl_url_cleanup(url);
    return rc;
}

static void set_constants(struct http_call *call, const char *user_agent)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver thread */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    if (call->client->receive_buffer)
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)call->client->receive_buffer);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_TTL_S);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_CONNECTION_S);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

static bool is_token(const char *s)
{
    size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    return n > 0 && n < 16 && !s[n];
}

bool http_writes(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

int http_call_setup(struct http_call *call, const struct http_request *req, const char *user_agent,
                    struct error *err)
{
    call->connect_ms = req->connect_timeout_ms ? req->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    call->timeout_ms = req->timeout_ms;
    call->idle_ms = req->idle_timeout_ms;
    call->fence = req->fence;
    call->guard = req->guard ? *req->guard : (struct http_guard){NULL};
    call->on_head = req->on_head;
    call->on_data = req->on_data;
    call->on_done = req->on_done;
    call->arg = req->arg;
    strbuf_init(&call->reply, req->max_body ? req->max_body : MAX_BODY);
    if (!req->method || !is_token(req->method))
        return error_set(err, ERR_INVALID, "bad HTTP method");
    if (!req->url)
        return error_set(err, ERR_INVALID, "no URL");
    set_constants(call, user_agent);
    set_tls(call, req->tls, req->tls_names);
    if (add_headers(call, req, err) || set_url(call, req, err))
        return -1;
    set_method(call, req);
    curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_ms);
    curl_easy_setopt(call->easy, CURLOPT_PROXY, str_or_empty(req->proxy)); /* "": no environment */
    curl_easy_setopt(call->easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    return 0;
}

void http_call_release(struct http_call *call)
{
    for (struct curl_slist *h = call->headers; h; h = h->next)
        OPENSSL_cleanse(h->data, strlen(h->data));
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->connect_to);
    curl_slist_free_all(call->tls_names);
    curl_mime_free(call->mime);
    http_tls_unref(call->tls);
    free(call->body);
    free(call->host);
    strbuf_release(&call->reply);
}
