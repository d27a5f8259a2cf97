/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   (is its host a Service of the own namespace? which address has that?)
 *      │
 *   download ───► is it there?      (the head of the answer tells which JAR it is: jars.h)
 *      │ 64 KiB      │ no
 *      └─────────► upload           (two HTTP calls, each pausing the other)
 */
#include "bring.h"

#include <string.h>

#include "flinkop/address.h"
#include "flinkop/arena.h"
#include "flinkop/flink_reply.h"
#include "flinkop/jar_access.h"
#include "flinkop/jar_uri.h"
#include "flinkop/kube_client.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "jars.h"

#define IDLE_TIMEOUT_MS 60000 /* of both streams */
#define DOWNLOAD_MS 600000
#define BUFFER_MAX (64 * 1024)
#define LOOK_MS 10000

struct bringing {
    struct executor *x;
    const struct flink_endpoint *e;
    const struct submit_args *args;
    struct arena a;
    brought_fn done;
    void *arg;

    const char *url; /* of the JAR: its jarURI, or where that has led */
    int redirects;
    struct jar_access access; /* to the host of url */
    struct address_list allowed;
    struct kube_request *service; /* being looked at */
    struct ns_share_guest place;  /* among the downloads of all */
    struct http_call *download;
    struct flink_call *flink; /* list, deletion or upload */
    bool looking;             /* whether it has to be uploaded */
    bool uploading;           /* flink is the upload */
    struct strbuf buffer;     /* on its way from one to the other */
    bool download_ended, upload_waits, download_waits;
    struct error download_error;
    int64_t length; /* -1: not told */
    struct http_part part;
    struct jar_use jar, old; /* old: to be deleted */
    const char *file_name;   /* of a JAR that others may run, too, else NULL */
    struct error result;
};

static void fetch(struct bringing *b);

static void drop_download(struct bringing *b)
{
    http_drop(b->download);
    b->download = NULL;
    ns_share_leave(&b->x->download_share, &b->place);
}

static void tell_failure(void *arg)
{
    struct bringing *b = arg;

    b->done(b->arg, &b->result, NULL, false);
}

/* Nothing has been run: whatever broke, the effect is known. */
static void fail(struct bringing *b, const struct error *err)
{
    b->result = *err;
    if (b->result.code == ERR_TIMEOUT)
        b->result.code = ERR_UNREACHABLE;
    drop_download(b);
    flink_drop(b->flink);
    b->flink = NULL;
    jar_leave(&b->old);
    loop_defer(b->x->loop, b, tell_failure, b);
}

static void tell(struct bringing *b, const char *jar_id)
{
    static const struct error none;

    drop_download(b);
    b->looking = b->uploading = false;
    b->done(b->arg, &none, jar_id, !b->file_name);
}

static void tell_there(void *arg)
{
    struct bringing *b = arg;

    if (jar_id(&b->jar))
        tell(b, jar_id(&b->jar));
    else
        fetch(b); /* who was to bring it has failed */
}

struct flink_call *delete_jar(struct executor *x, const struct flink_endpoint *e, const char *id,
                              flink_done_fn done, void *arg)
{
    cleanup_free char *escaped = http_escape(id);
    cleanup_free char *path = xasprintf("/jars/%s", escaped);

    return flink_send(x->flink, e, "DELETE", path, NULL, 0, done, arg);
}

/* ---- the upload ---- */

static void download_go_on(struct bringing *b)
{
    if (!b->download_waits || !b->download)
        return;
    b->download_waits = false;
    http_resume(b->download);
}

static void upload_go_on(struct bringing *b)
{
    if (!b->upload_waits || !b->flink || !b->uploading)
        return;
    b->upload_waits = false;
    flink_resume(b->flink);
}

static ssize_t upload_read(void *arg, char *buf, size_t n)
{
    struct bringing *b = arg;
    size_t take = MIN(n, b->buffer.len);

    if (!take && !b->download_ended) {
        b->upload_waits = true;
        return HTTP_WAIT;
    }
    if (!take)
        return b->download_error.code == ERR_NONE ? 0 : HTTP_ABORT;
    memcpy(buf, b->buffer.buf, take);
    strbuf_consume(&b->buffer, take);
    download_go_on(b);
    return (ssize_t)take;
}

static void on_uploaded(void *arg, const struct flink_answer *answer)
{
    struct bringing *b = arg;
    struct error err = *answer->err;
    const char *id;

    b->flink = NULL;
    if (b->download_error.code != ERR_NONE)
        err = b->download_error;
    else if (err.code != ERR_NONE)
        error_wrap(&err, "upload to the JobManager");
    if (err.code != ERR_NONE || flink_decode_upload(&b->a, answer->body, &id, &err)) {
        fail(b, &err);
        return;
    }
    if (b->file_name)
        jar_is_there(&b->jar, id);
    tell(b, id);
}

static void upload(struct bringing *b)
{
    b->part = (struct http_part){.name = "jarfile",
                                 .filename = str_or(b->file_name, "job.jar"),
                                 .content_type = "application/x-java-archive",
                                 .read = upload_read,
                                 .arg = b,
                                 .length = b->length};
    b->looking = false;
    b->uploading = true;
    b->flink =
        flink_upload(b->x->flink, b->e, "/jars/upload", &b->part, IDLE_TIMEOUT_MS, on_uploaded, b);
    download_go_on(b);
}

/* ---- is it there? ---- */

static void on_room(void *arg, const struct flink_answer *answer)
{
    struct bringing *b = arg;

    b->flink = NULL;
    jar_leave(&b->old);
    if (answer->err->code != ERR_NONE)
        log_debug("a JAR that nobody runs is not deleted", KV("error", answer->err->text));
    upload(b);
}

static void on_jars(void *arg, const struct flink_answer *answer)
{
    struct bringing *b = arg;
    struct flink_jar *jars = NULL;
    struct error err = *answer->err;
    size_t n = 0;

    b->flink = NULL;
    if (err.code != ERR_NONE || flink_decode_jars(&b->a, answer->body, &jars, &n, &err))
        n = 0; /* the upload will tell what is wrong */
    const char *id = jar_find(&b->jar, jars, n),
               *old = id ? NULL : jar_superfluous(&b->jar, jars, n, &b->old);

    if (id) {
        jar_is_there(&b->jar, id);
        tell(b, id);
    } else if (old) {
        b->flink = delete_jar(b->x, b->e, old, on_room, b);
    } else {
        upload(b);
    }
}

static void download_head(void *arg, const struct http_response *head)
{
    struct bringing *b = arg;

    if (head->status != 200) /* the body is an error page: not for Flink */
        return;
    b->length = head->content_length;
    b->file_name = jar_file_name(&b->a, b->args, head);
    if (!b->file_name) {
        upload(b);
        return;
    }
    switch (jar_take(b->x->jars, &b->jar, b->e, b->file_name)) {
    case JAR_THERE:
        drop_download(b);
        loop_defer(b->x->loop, b, tell_there, b);
        break;
    case JAR_WAITS:
        drop_download(b);
        break;
    case JAR_BRING:
        b->looking = true;
        b->flink = flink_send(b->x->flink, b->e, "GET", "/jars", NULL, 0, on_jars, b);
    }
}

/* ---- the download ---- */

static ssize_t download_data(void *arg, const char *data, size_t n)
{
    struct bringing *b = arg;

    if (!b->uploading && !b->looking)
        return (ssize_t)n; /* of an error page */
    if (b->looking || (b->buffer.len && b->buffer.len + n > BUFFER_MAX)) {
        b->download_waits = true;
        return HTTP_WAIT;
    }
    strbuf_add(&b->buffer, data, n);
    upload_go_on(b);
    return b->buffer.overflow ? HTTP_ABORT : (ssize_t)n;
}

static void download(struct bringing *b);

static const char *shown(struct bringing *b)
{
    return jar_uri_shown(&b->a, b->args->jar_uri);
}

static void download_done(void *arg, const struct http_response *res, const struct error *err)
{
    struct bringing *b = arg;

    b->download = NULL;
    b->download_error = *err;
    if (res && res->status >= 300 && res->status < 400 && res->location) {
        if (!jar_redirect_check(&b->a, b->args->jar_uri, res->location, ++b->redirects,
                                b->args->allowed_schemes, &b->download_error)) {
            b->url = arena_strdup(&b->a, res->location);
            download(b);
            return;
        }
    } else if (res && res->status != 200) {
        http_status_error(MAX(res->status, 300), &b->download_error, "the server answered HTTP %d",
                          res->status);
    }
    if (b->download_error.code != ERR_NONE)
        error_wrap(&b->download_error, "download of %s", shown(b));
    if (err->code == ERR_FORBIDDEN)
        error_wrap(&b->download_error,
                   "kubernetes.operator.user.artifacts.disallow-restricted-hosts");
    b->download_ended = true;
    ns_share_leave(&b->x->download_share, &b->place);
    if (b->download_error.code == ERR_NONE) {
        upload_go_on(b);
        return;
    }
    fail(b, &b->download_error);
}

static const char *refuse(void *arg, const struct ip *ip)
{
    struct bringing *b = arg;
    struct ip target = ip_target(ip);

    b->access.is_api_server = kube_client_is_server(b->x->kube, ip) ||
                              kube_client_is_server(b->x->kube, &target);
    return jar_access_refusal(&b->a, &b->access, ip);
}

static void send_download(struct bringing *b)
{
    const struct http_guard guard = {refuse, b};
    struct jv_list headers = JV_LIST(&b->a);
    struct error err;
    size_t n = 0;

    /* They are for the server that the user has named. */
    jv_foreach_kv (kv, http_same_origin(b->args->jar_uri, b->url) ? b->args->http_headers : ABSENT)
        if (kv->value.type == JV_STR)
            jv_list_put(&headers, kv->key, kv->value);
    struct http_header *list = arena_new_array(&b->a, struct http_header, headers.n + 1);

    for (size_t i = 0; i < headers.n; i++)
        list[n++] = (struct http_header){headers.items[i].key, headers.items[i].value.s};
    const struct http_request req = {
        .method = "GET",
        .url = b->url,
        .headers = list,
        .timeout_ms = DOWNLOAD_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .guard = b->args->restricted_hosts_allowed ? NULL : &guard,
        .on_head = download_head,
        .on_data = download_data,
        .on_done = download_done,
        .arg = b,
    };

    b->download = http_send(b->x->downloads, &req, &err);
    if (!b->download) {
        error_wrap(&err, "download of %s", shown(b));
        fail(b, &err);
    }
}

static void on_service(void *arg, const struct kube_reply *reply)
{
    struct bringing *b = arg;
    jv service = jv_at(jv_get(reply->object, "items"), 0);

    b->service = NULL;
    b->access.cluster_ips = jv_dup(&b->a, JV_PATH(service, "spec", "clusterIPs"));
    if (reply->err->code != ERR_NONE)
        b->access.no_service = arena_strdup(&b->a, reply->err->text);
    send_download(b);
}

/* A list, because that is what the operator may do with Services. */
static void look_at_service(struct bringing *b)
{
    const struct kube_call call = {
        .verb = KUBE_LIST,
        .kind = KIND_SERVICE,
        .ns = b->e->ns,
        .field_selector = arena_printf(&b->a, "metadata.name=%s", b->access.service),
        .limit = 1,
        .timeout_ms = LOOK_MS,
    };

    b->service = kube_send(b->x->kube, &call, on_service, b);
}

static void download(struct bringing *b)
{
    cleanup_free char *host = http_url_host(b->url);

    b->access = (struct jar_access){
        .ns = b->e->ns, .host = arena_strdup(&b->a, str_or_empty(host)), .allowed = &b->allowed};
    b->access.service = jar_access_service(&b->a, b->access.host, b->access.ns);
    if (b->access.service && !b->args->restricted_hosts_allowed)
        look_at_service(b);
    else
        send_download(b);
}

/* ---- the whole ---- */

static int read_allowed(struct bringing *b)
{
    struct error err;

    if (!address_list_parse(&b->a, b->args->allowed_networks, &b->allowed, &err))
        return 0;
    error_wrap(&err, "kubernetes.operator.user.artifacts.allowed-networks");
    fail(b, &err);
    return -1;
}

static void begin(void *arg)
{
    download(arg);
}

/* Not before who has left is done: this one may fail, and leave, at once. */
static void on_place(void *arg)
{
    struct bringing *b = arg;

    loop_defer(b->x->loop, b, begin, b);
}

/* Servers that are slow, or mean, hold up the JARs of their own namespace. */
static void fetch(struct bringing *b)
{
    jar_leave(&b->jar);
    b->url = b->args->jar_uri;
    b->redirects = 0;
    b->download_ended = b->download_waits = b->upload_waits = false;
    strbuf_reset(&b->buffer);
    b->place = (struct ns_share_guest){.enter = on_place, .arg = b};
    if (ns_share_ask(&b->x->download_share, &b->place, b->e->ns))
        download(b);
}

struct bringing *bring_start(struct executor *x, const struct flink_endpoint *e,
                             const struct submit_args *args, brought_fn done, void *arg)
{
    struct bringing *b = xcalloc(1, sizeof(*b));

    *b = (struct bringing){.x = x, .e = e, .args = args, .done = done, .arg = arg};
    b->jar = (struct jar_use){.go_on = tell_there, .arg = b};
    strbuf_init(&b->buffer, BUFFER_MAX * 4);
    if (!read_allowed(b))
        fetch(b);
    return b;
}

void bring_lost(struct bringing *b)
{
    if (b->file_name)
        jar_is_lost(&b->jar);
}

void bring_free(struct bringing *b)
{
    if (!b)
        return;
    loop_undefer(b->x->loop, b);
    kube_drop(b->service);
    drop_download(b);
    flink_drop(b->flink);
    jar_leave(&b->old);
    jar_leave(&b->jar);
    strbuf_release(&b->buffer);
    arena_free(&b->a);
    free(b);
}
