/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi interface on the loop. curl says which sockets and which time-out it waits for;
 * we tell it what happened (curl_multi_socket_action) and collect what is finished.
 *
 * curl forbids to add, remove or resume transfers inside its callbacks. So whatever a user of this
 * module asks for is only noted in the call (`todo`) and done in the next turn of the loop, where
 * no callback is running. The same rule makes on_done never come from inside http_send.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <uv.h>

#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "http_client.h"

#define IDLE_CLOSE_MS 60000
#define STALL_MS 30000
#define RENEW_AFTER 256 /* connections */

/* One socket that curl waits for. */
struct poll {
    uv_poll_t uv; /* first: the close callback gets its address */
    struct http_client *client;
    curl_socket_t fd;
    int events;
};

static void reap(struct http_client *c);
static void call_free(struct http_call *call);

/* ---- life and death; everything that may run callbacks goes between enter and leave ---- */

static void client_destroy(struct http_client *c)
{
    for (struct http_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        call_free(call);
    }
    while (c->spares)
        curl_easy_cleanup(c->spare[--c->spares]);
    curl_multi_cleanup(c->multi);
    timer_free(c->timer);
    timer_free(c->idle);
    loop_undefer(c->loop, c);
    free(c->user_agent);
    free(c);
}

static void enter(struct http_client *c)
{
    c->depth++;
}

static void leave(struct http_client *c)
{
    if (!--c->depth && c->dying)
        client_destroy(c);
}

static void act(struct http_client *c, curl_socket_t fd, int events)
{
    int running;

    enter(c);
    curl_multi_socket_action(c->multi, fd, events, &running);
    reap(c);
    leave(c);
}

/* ---- curl's sockets and timer ---- */

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct poll *p = (struct poll *)(void *)uv;
    int flags = 0;

    if (status < 0) { /* libuv stopped polling; the error itself comes out of the next recv or send,
                         behind what the peer may have written before it */
        events = UV_READABLE | UV_WRITABLE;
        uv_poll_start(uv, p->events, on_poll);
    }
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    act(p->client, p->fd, flags);
}

static void free_closed(uv_handle_t *handle)
{
    free(handle);
}

/* curl closes the socket right after CURL_POLL_REMOVE; uv_close takes it out of epoll at once. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http_client *c = arg;
    struct poll *p = socket_arg;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (p)
            uv_close((uv_handle_t *)&p->uv, free_closed);
        curl_multi_assign(c->multi, fd, NULL);
        return 0;
    }
    if (!p) {
        p = xcalloc(1, sizeof(*p));
        p->client = c;
        p->fd = fd;
        int rc = uv_poll_init(loop_uv(c->loop), &p->uv, fd);
        if (rc)
            BUG("cannot wait for socket %d: %s", fd, uv_strerror(rc));
        curl_multi_assign(c->multi, fd, p);
    }
    p->events = (what != CURL_POLL_OUT ? UV_READABLE : 0) |
                (what != CURL_POLL_IN ? UV_WRITABLE : 0);
    uv_poll_start(&p->uv, p->events, on_poll);
    return 0;
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long ms, void *arg)
{
    struct http_client *c = arg;

    (void)multi;
    if (ms < 0)
        timer_stop(c->timer);
    else
        timer_start(c->timer, ms);
    return 0;
}

/* ---- curl handles ---- */

static CURL *handle_get(struct http_client *c)
{
    CURL *easy = c->spares ? c->spare[--c->spares] : curl_easy_init();

    if (!easy)
        BUG("out of memory in libcurl");
    return easy;
}

static void handle_put(struct http_client *c, CURL *easy)
{
    if (c->spares == HTTP_SPARE_HANDLES) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    c->spare[c->spares++] = easy;
}

/* ---- calls ---- */

static void todo_remove(struct http_call *call)
{
    struct http_client *c = call->client;

    if (!call->todo)
        return;
    *call->todo_link = call->todo_next;
    if (call->todo_next)
        call->todo_next->todo_link = call->todo_link;
    else
        c->todo_last = call->todo_link;
    call->todo = 0;
    c->n_todo--;
}

static struct http_call *todo_pop(struct http_client *c, int *ret_todo)
{
    struct http_call *call = c->todo;

    c->todo = call->todo_next;
    if (c->todo)
        c->todo->todo_link = &c->todo;
    else
        c->todo_last = &c->todo;
    c->n_todo--;
    *ret_todo = call->todo;
    call->todo = 0;
    return call;
}

static void call_unlink(struct http_call *call)
{
    struct http_client *c = call->client;

    todo_remove(call);
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    if (!--c->active)
        timer_start(c->idle, c->opened < RENEW_AFTER ? c->idle_ms : 0);
}

/* Not inside curl's callbacks. */
static void call_release(struct http_call *call)
{
    struct http_client *c = call->client;

    handle_put(c, call->easy); /* before what its options point to */
    timer_free(call->timer);
    http_call_release(call);
    free(call);
}

static void call_free(struct http_call *call)
{
    curl_multi_remove_handle(call->client->multi, call->easy);
    call_unlink(call);
    call_release(call);
}

/* Ends a call with its on_done; err->code ERR_NONE means that the response counts. */
static void call_finish(struct http_call *call, const struct error *err)
{
    struct http_response res;

    http_call_response(call, &res);
    curl_multi_remove_handle(call->client->multi, call->easy);
    call_unlink(call);
    call->done = true;
    if (!call->dropped && !call->client->dying)
        call->on_done(call->arg, err->code ? NULL : &res, err);
    call_release(call);
}

/* Collects finished transfers. */
static void reap(struct http_client *c)
{
    const CURLMsg *msg;
    int left;

    while (!c->dying && (msg = curl_multi_info_read(c->multi, &left))) {
        struct error err = {0};
        struct http_call *call = NULL;

        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)(void *)&call);
        http_call_classify(call, msg->data.result, &err);
        call_finish(call, &err);
    }
}

static void call_timer_start(struct http_call *call)
{
    int64_t now = loop_now(call->client->loop), next = INT64_MAX;
    bool waits = call->source_waits || call->sink_waits;

    if (call->timeout_ms)
        next = call->deadline;
    if (call->idle_ms)
        next = MIN(next, (waits ? now : call->last_byte) + call->idle_ms);
    if (next != INT64_MAX)
        timer_start(call->timer, next - now);
}

/* Bytes of a plain body that curl sends by itself show only in its counters. */
static bool is_idle(struct http_call *call, int64_t now)
{
    curl_off_t up = 0, down = 0;

    if (!call->idle_ms || call->source_waits || call->sink_waits ||
        now < call->last_byte + call->idle_ms)
        return false;
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    if (up + down == call->last_total)
        return true;
    call->last_total = up + down;
    call->last_byte = now;
    return false;
}

static void on_call_timer(void *arg)
{
    struct http_call *call = arg;
    struct http_client *c = call->client;
    int64_t now = loop_now(c->loop);
    bool over = call->timeout_ms && now >= call->deadline, idle = !over && is_idle(call, now);
    struct error err = {0};

    if (!over && !idle) {
        call_timer_start(call);
        return;
    }
    http_call_timed_out(call, idle, &err);
    enter(c);
    call_finish(call, &err);
    leave(c);
}

/* ---- work for the next turn ---- */

static void call_resume(struct http_call *call)
{
    struct error err = {0};

    call->source_waits = call->sink_waits = false;
    call->last_byte = loop_now(call->client->loop);
    CURLcode code = curl_easy_pause(call->easy, CURLPAUSE_CONT); /* may call back */

    /* What the sink says to bytes that waited comes back here, and only here. */
    if (code && code != CURLE_BAD_FUNCTION_ARGUMENT) {
        http_call_classify(call, code, &err);
        call_finish(call, &err);
    }
}

static void call_do(struct http_call *call, int todo)
{
    struct http_client *c = call->client;
    struct error err = {0};

    if (todo & TODO_FREE) {
        call_free(call);
    } else if (todo & TODO_CANCEL) {
        error_set(&err, ERR_CANCELLED, "cancelled");
        call_finish(call, &err);
    } else if (todo & TODO_START) {
        CURLMcode code = curl_multi_add_handle(c->multi, call->easy);

        if (code)
            BUG("curl_multi_add_handle: %s", curl_multi_strerror(code));
    } else {
        call_resume(call);
    }
}

static void run_todo(void *arg)
{
    struct http_client *c = arg;
    size_t n = c->n_todo; /* what is added meanwhile waits for the next turn */

    enter(c);
    c->todo_deferred = false;
    while (!c->dying && c->todo && n--) {
        int todo;
        struct http_call *call = todo_pop(c, &todo);

        call_do(call, todo);
    }
    reap(c);
    leave(c);
}

static void todo_add(struct http_call *call, int what)
{
    struct http_client *c = call->client;

    if (!call->todo) {
        call->todo_next = NULL;
        call->todo_link = c->todo_last;
        *c->todo_last = call;
        c->todo_last = &call->todo_next;
        c->n_todo++;
    }
    call->todo |= what;
    if (!c->todo_deferred)
        loop_defer(c->loop, c, run_todo, c);
    c->todo_deferred = true;
}

/* ---- what others call ---- */

static CURLM *multi_new(struct http_client *c)
{
    CURLM *multi = curl_multi_init();

    if (!multi)
        BUG("out of memory in libcurl");
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)c->max_connections);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)c->max_host_connections);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)c->max_kept);
    return multi;
}

/* curl looks after kept connections only when it makes new ones. After a burst of calls they, and
 * what TLS has for each (some 40 kB), would stay for good. And where there are more hosts than
 * connections to keep, it remembers something of each host for ever (an empty bundle for each whose
 * connection gave way to another, libcurl 7.88 Curl_conncache_extract_oldest). */
static void on_idle(void *arg)
{
    struct http_client *c = arg;
    bool quiet = c->opened < RENEW_AFTER;

    while (quiet && c->spares)
        curl_easy_cleanup(c->spare[--c->spares]);
    curl_multi_cleanup(c->multi);
    timer_stop(c->timer);
    c->multi = multi_new(c);
    c->opened = 0;
    if (quiet)
        mem_trim();
    else
        timer_start(c->idle, c->idle_ms);
}

struct http_client *http_client_new(struct loop *loop, const struct http_client_options *o)
{
    static bool ready;
    struct http_client *c = xcalloc(1, sizeof(*c));

    if (!ready) {
        if (curl_global_init(CURL_GLOBAL_DEFAULT))
            BUG("libcurl cannot be set up");
        signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write() */
        ready = true;
    }
    c->loop = loop;
    c->todo_last = &c->todo;
    c->timer = timer_new(loop, on_timer, c);
    c->idle = timer_new(loop, on_idle, c);
    c->idle_ms = o->idle_close_ms ? o->idle_close_ms : IDLE_CLOSE_MS;
    c->stall_ms = o->stall_ms ? o->stall_ms : STALL_MS;
    c->max_connections = o->max_connections;
    c->max_host_connections = o->max_host_connections;
    c->max_kept = o->max_kept ? o->max_kept : o->max_connections;
    c->receive_buffer = o->receive_buffer;
    c->user_agent = xstrdup(str_or(o->user_agent, "flink-operator"));
    c->multi = multi_new(c);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    c->dying = true;
    for (struct http_call *call = c->calls; call; call = call->next)
        call->dropped = true;
    if (!c->depth)
        client_destroy(c);
}

size_t http_client_active(const struct http_client *c)
{
    return c->active;
}

struct http_call *http_send(struct http_client *c, const struct http_request *req,
                            struct error *err)
{
    struct http_call *call = xcalloc(1, sizeof(*call));

    call->client = c;
    call->easy = handle_get(c);
    if (http_call_setup(call, req, c->user_agent, err)) {
        call_release(call);
        return NULL;
    }
    call->next = c->calls;
    call->link = &c->calls;
    if (call->next)
        call->next->link = &call->next;
    c->calls = call;
    c->active++;
    timer_stop(c->idle);
    call->last_byte = loop_now(c->loop);
    call->deadline = call->last_byte + call->timeout_ms;
    if (call->timeout_ms || call->idle_ms) {
        call->timer = timer_new(c->loop, on_call_timer, call);
        call_timer_start(call);
    }
    todo_add(call, TODO_START);
    return call;
}

void http_cancel(struct http_call *call)
{
    if (!call->done && !call->dropped)
        todo_add(call, TODO_CANCEL);
}

void http_drop(struct http_call *call)
{
    if (!call || call->done || call->dropped)
        return;
    call->dropped = true;
    if (call->client->depth)
        todo_add(call, TODO_FREE);
    else
        call_free(call);
}

void http_resume(struct http_call *call)
{
    if (!call->done && !call->dropped)
        todo_add(call, TODO_RESUME);
}
