/* SPDX-License-Identifier: Apache-2.0 */
#include "http_scene.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "unit.h"

struct http_scene scene;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    (void)arg;
    scene.serve(c, r);
}

void scene_setup(void)
{
    memset(&scene, 0, sizeof(scene));
    scene.loop = loop_new();
    scene.guard = timer_new(scene.loop, too_long, NULL);
    timer_start(scene.guard, 60000);
    scene.client =
        http_client_new(scene.loop, &(struct http_client_options){"test/1", 16, /* per host */ 8});
    scene.server = fake_new(scene.loop, serve, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(scene.r); i++)
        strbuf_init(&scene.r[i].body, (size_t)64 << 20);
}

void scene_teardown(void)
{
    http_client_free(scene.client);
    fake_free(scene.server);
    timer_free(scene.later);
    loop_free(scene.loop);
    for (size_t i = 0; i < ARRAY_SIZE(scene.r); i++)
        strbuf_release(&scene.r[i].body);
    free(scene.seen);
    metrics_release();
}

void scene_on_done(void *arg, const struct http_response *res, const struct error *err)
{
    struct result *r = arg;

    ck_assert_int_eq(r->done++, 0);
    ck_assert((res != NULL) == (err->code == ERR_NONE));
    r->err = *err;
    if (res) {
        r->status = res->status;
        strbuf_add(&r->body, res->body, res->len);
        snprintf(r->type, sizeof(r->type), "%s", res->content_type);
        snprintf(r->location, sizeof(r->location), "%s", str_or_empty(res->location));
        r->retry_after_ms = res->retry_after_ms;
        r->length = res->content_length;
        ck_assert(str_has_prefix(res->peer, "127.0.0.1:"));
    }
    http_drop(r->call); /* harmless here */
    if (++scene.finished == scene.expected)
        loop_stop(scene.loop);
}

void scene_on_head(void *arg, const struct http_response *head)
{
    struct result *r = arg;

    r->heads++;
    r->status = head->status;
    snprintf(r->validator, sizeof(r->validator), "%s", str_or_empty(head->validator));
    if (r->drop) {
        http_drop(r->call);
        loop_stop(scene.loop);
    }
}

void scene_resume(void *arg)
{
    struct result *r = arg;

    http_resume(r->call);
}

ssize_t scene_on_data(void *arg, const char *data, size_t n)
{
    struct result *r = arg;

    ck_assert_int_eq(r->heads, 1);
    if (r->abort)
        return HTTP_ABORT;
    if (r->free_client) {
        http_client_free(scene.client);
        scene.client = NULL;
        loop_stop(scene.loop);
        return (ssize_t)n;
    }
    if (r->wait_every && ++r->pieces % r->wait_every == 0) {
        if (!scene.later)
            scene.later = timer_new(scene.loop, scene_resume, r);
        timer_start(scene.later, 1);
        return HTTP_WAIT;
    }
    strbuf_add(&r->body, data, n);
    return (ssize_t)n;
}

struct result *scene_start(struct http_request req, const char *path)
{
    struct result *r = &scene.r[scene.expected++];
    cleanup_free char *url = *path == '/' ? xasprintf("%s%s", fake_url(scene.server), path)
                                          : xstrdup(path);
    struct error err = {0};

    req.method = str_or(req.method, "GET");
    req.url = url;
    req.on_done = scene_on_done;
    req.arg = r;
    r->call = http_send(scene.client, &req, &err);
    if (!r->call)
        ck_abort_msg("%s", err.text);
    ck_assert_int_eq(r->done, 0);
    return r;
}

struct result *scene_run(struct http_request req, const char *path)
{
    struct result *r = scene_start(req, path);

    loop_run(scene.loop);
    return r;
}

void serve_echo(struct fake_conn *c, const struct fake_request *r)
{
    cleanup_free char *type = fake_header(r, "Content-Type");
    cleanup_free char *agent = fake_header(r, "User-Agent");
    cleanup_free char *expect = fake_header(r, "Expect");
    cleanup_free char *custom = fake_header(r, "X-Custom");
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);

    strbuf_addf(&sb, "%s %s type=%s agent=%s expect=%s custom=%s body=", r->method, r->target,
                str_or(type, "-"), str_or(agent, "-"), str_or(expect, "-"), str_or(custom, "-"));
    strbuf_add(&sb, r->body, r->len);
    fake_answer(c, 201, "Content-Type: text/x-test\r\n", sb.buf);
}

void serve_nothing(struct fake_conn *c, const struct fake_request *r)
{
    (void)c;
    (void)r;
}

void serve_unexpected(struct fake_conn *c, const struct fake_request *r)
{
    (void)c;
    ck_abort_msg("unexpected request %s", r->head);
}

void assert_broken(const struct result *r, const char *words)
{
    assert_error(&r->err, ERR_SERVER, words);
    ck_assert_str_eq(r->err.reason, "ConnectionBroken");
}
