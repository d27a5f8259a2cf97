/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client with bodies that come and go in pieces. */
#include <stdio.h>
#include <unistd.h>

#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "http_scene.h"
#include "unit.h"

/* ---- streaming answers ---- */

#define STREAM_BYTES 3000000

static void stream(struct fake_conn *c, const struct fake_request *r)
{
    cleanup_free char *data = xmalloc(STREAM_BYTES);

    (void)r;
    for (int i = 0; i < STREAM_BYTES; i++)
        data[i] = (char)('a' + i * 7 % 26);
    fake_begin(c, "Trailer: X-T\r\n");
    for (int at = 0; at < STREAM_BYTES; at += 100000)
        fake_chunk(c, data + at, 100000);
    fake_writef(c, "0\r\nX-T: trailer\r\n\r\n");
}

static void assert_streamed(const struct result *r)
{
    ck_assert_str_eq(r->err.text, "");
    ck_assert_int_eq(r->heads, 1);
    ck_assert_uint_eq(r->body.len, STREAM_BYTES);
    for (int i = 0; i < STREAM_BYTES; i++)
        if (r->body.buf[i] != (char)('a' + i * 7 % 26))
            ck_abort_msg("byte %d is wrong", i);
}

START_TEST(a_stream_arrives_whole)
{
    scene.serve = stream;
    assert_streamed(GET(.on_head = scene_on_head, .on_data = scene_on_data));
}
END_TEST

START_TEST(a_sink_may_wait)
{
    scene.serve = stream;
    for (int every = 2; every < 40; every += 9) {
        scene.r[scene.expected].wait_every = every;
        timer_free(scene.later);
        scene.later = NULL;
        assert_streamed(
            GET(.on_head = scene_on_head, .on_data = scene_on_data, .idle_timeout_ms = 5000));
    }
}
END_TEST

START_TEST(a_sink_may_give_up)
{
    scene.serve = stream;
    scene.r[0].abort = true;
    assert_error(&GET(.on_head = scene_on_head, .on_data = scene_on_data)->err, ERR_CANCELLED,
                 "given up");
}
END_TEST

static ssize_t wait_then_abort(void *arg, const char *data, size_t n)
{
    struct result *r = arg;

    (void)data;
    (void)n;
    if (r->pieces++)
        return HTTP_ABORT;
    loop_defer(scene.loop, NULL, scene_resume, r);
    return HTTP_WAIT;
}

START_TEST(a_sink_may_give_up_after_waiting)
{
    scene.serve = stream;
    assert_error(&GET(.on_data = wait_then_abort)->err, ERR_CANCELLED, "given up");
}
END_TEST

START_TEST(a_call_may_be_dropped_in_its_callbacks)
{
    scene.serve = stream;
    scene.r[0].drop = true;
    GET(.on_head = scene_on_head, .on_data = scene_on_data);
    loop_defer(scene.loop, NULL, (loop_fn)loop_stop, scene.loop);
    loop_run(scene.loop);
    ck_assert_int_eq(scene.r[0].done, 0);
    ck_assert_uint_eq(http_client_active(scene.client), 0);
    scene.r[1].free_client = true;
    GET(.on_head = scene_on_head, .on_data = scene_on_data);
    ck_assert_ptr_null(scene.client);
    ck_assert_int_eq(scene.r[1].done, 0);
}
END_TEST

static void free_in_done(void *arg, const struct http_response *res, const struct error *err)
{
    (void)arg;
    (void)res;
    (void)err;
    http_client_free(scene.client);
    scene.client = NULL;
    loop_stop(scene.loop);
}

START_TEST(a_client_may_be_freed_in_on_done)
{
    cleanup_free char *url = xasprintf("%s/", fake_url(scene.server));
    struct http_request req = {.method = "GET", .url = url, .on_done = free_in_done};

    scene.serve = serve_echo;
    for (int i = 0; i < 5; i++)
        ck_assert_ptr_nonnull(http_send(scene.client, &req, NULL));
    loop_run(scene.loop);
    ck_assert_ptr_null(scene.client);
}
END_TEST

START_TEST(a_call_may_be_cancelled_or_dropped_any_time)
{
    scene.serve = serve_nothing;
    struct result *r = scene_start((struct http_request){0}, "/");
    http_cancel(r->call);
    http_cancel(r->call);
    loop_run(scene.loop);
    assert_error(&r->err, ERR_CANCELLED, "cancelled");
    r = scene_start((struct http_request){0}, "/");
    http_drop(r->call);
    r = scene_start((struct http_request){0}, "/");
    http_cancel(r->call);
    http_drop(r->call);
    http_drop(NULL);
    ck_assert_uint_eq(http_client_active(scene.client), 0);
    r = scene_start((struct http_request){.timeout_ms = 5000}, "/");
    scene.later = timer_new(scene.loop, (loop_fn)http_cancel, r->call);
    timer_start(scene.later, 50);
    scene.finished += 2;
    loop_run(scene.loop);
    assert_error(&r->err, ERR_CANCELLED, "cancelled");
}
END_TEST

static void stall(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    fake_begin(c, "");
    fake_chunk(c, "{}\n", 3);
}

START_TEST(a_stalled_stream_ends)
{
    scene.serve = stall;
    struct result *r =
        GET(.on_head = scene_on_head, .on_data = scene_on_data, .idle_timeout_ms = 80);

    assert_error(&r->err, ERR_TIMEOUT, "no byte from 127.0.0.1");
    ck_assert_int_eq(r->err.http, 200);
    ck_assert_str_eq(r->body.buf, "{}\n");
}
END_TEST

static ssize_t wait_long(void *arg, const char *data, size_t n)
{
    struct result *r = arg;

    if (!r->pieces++) {
        scene.later = timer_new(scene.loop, scene_resume, r);
        timer_start(scene.later, 250);
        return HTTP_WAIT;
    }
    strbuf_add(&r->body, data, n);
    return (ssize_t)n;
}

START_TEST(waiting_for_the_sink_is_not_idling)
{
    scene.serve = serve_echo;
    struct result *r = GET(.on_data = wait_long, .idle_timeout_ms = 80);

    ck_assert_str_eq(r->err.text, "");
    ck_assert_uint_gt(r->body.len, 0);
}
END_TEST

static struct {
    const char *text;
    size_t at;
} drip;

static void next_drop(void *arg)
{
    (void)arg;
    fake_write(scene.conn, drip.text + drip.at++, 1);
    if (drip.text[drip.at])
        timer_start(scene.later, 1);
}

static void start_drip(struct fake_conn *c, const struct fake_request *r)
{
    (void)r;
    scene.conn = c;
    scene.later = timer_new(scene.loop, next_drop, NULL);
    next_drop(NULL);
}

START_TEST(an_answer_may_come_byte_by_byte)
{
    drip.text = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello";
    drip.at = 0;
    scene.serve = start_drip;
    struct result *r = GET(.idle_timeout_ms = 1000);
    ck_assert_str_eq(r->body.buf, "hello");
    ck_assert_str_eq(r->type, "a/b");
}
END_TEST

/* ---- streaming requests ---- */

#define PART_BYTES 1000003

static struct {
    size_t sent;
    int calls, wait_every;
    bool abort;
    struct result *result;
} source;

static void resume_source(void *arg)
{
    (void)arg;
    http_resume(source.result->call);
}

static ssize_t read_part(void *arg, char *buf, size_t n)
{
    ck_assert_ptr_eq(arg, &source);
    source.calls++;
    if (source.abort && source.sent > 100000)
        return HTTP_ABORT;
    if (source.wait_every && source.calls % source.wait_every == 0) {
        loop_defer(scene.loop, NULL, resume_source, NULL);
        return HTTP_WAIT;
    }
    n = MIN(n, MIN((size_t)7000, PART_BYTES - source.sent));
    for (size_t i = 0; i < n; i++)
        buf[i] = (char)('A' + (source.sent + i) % 23);
    source.sent += n;
    return (ssize_t)n;
}

static void check_part(struct fake_conn *c, const struct fake_request *r)
{
    const char *start = memmem(r->body, r->len, "\r\n\r\n", 4);

    ck_assert_ptr_nonnull(start);
    ck_assert_ptr_nonnull(strstr(r->body, "name=\"jarfile\"; filename=\"my job.jar\""));
    ck_assert_ptr_nonnull(strstr(r->body, "Content-Type: application/java-archive"));
    start += 4;
    for (size_t i = 0; i < PART_BYTES; i++)
        if (start[i] != (char)('A' + i % 23))
            ck_abort_msg("byte %zu of the part is wrong", i);
    fake_answer(c, 200, "", strstr(r->head, "chunked") ? "chunked" : "with length");
}

START_TEST(a_file_is_uploaded_as_it_comes)
{
    struct http_part part = {"jarfile", "my job.jar", "application/java-archive",
                             read_part, &source,      0};

    scene.serve = check_part;
    for (int i = 0; i < 4; i++) {
        memset(&source, 0, sizeof(source));
        source.wait_every = i % 2 ? 3 : 0;
        part.length = i / 2 ? -1 : PART_BYTES;
        source.result = scene_start(
            (struct http_request){.method = "POST", .part = &part, .idle_timeout_ms = 2000},
            "/jars/upload");
        loop_run(scene.loop);
        ck_assert_str_eq(source.result->err.text, "");
        ck_assert_str_eq(source.result->body.buf, i / 2 ? "chunked" : "with length");
        ck_assert_uint_eq(source.sent, PART_BYTES);
    }
}
END_TEST

START_TEST(a_source_may_give_up)
{
    const struct http_part part = {"jarfile", "a.jar", NULL, read_part, &source, PART_BYTES};

    memset(&source, 0, sizeof(source));
    source.abort = true;
    scene.serve = serve_unexpected;
    struct result *r = GET(.method = "POST", .part = &part);
    assert_error(&r->err, ERR_CANCELLED, "given up");
}
END_TEST

/* A server that refuses an upload before it has it all, then closes: its answer must come through.
 */
static void refuse_upload(void *arg)
{
    (void)arg;
    scene.conn = fake_last(scene.server);
    if (!scene.conn) {
        timer_start(scene.later, 1);
        return;
    }
    fake_answer(scene.conn, 413, "Connection: close\r\n", "too big");
    fake_close(scene.conn);
}

START_TEST(an_early_refusal_of_an_upload_is_seen)
{
    const struct http_part part = {"jarfile", "a.jar", NULL, read_part, &source, PART_BYTES};

    memset(&source, 0, sizeof(source));
    fake_deaf(scene.server, true);
    scene.serve = serve_unexpected;
    scene.later = timer_new(scene.loop, refuse_upload, NULL);
    timer_start(scene.later, 1);
    struct result *r = GET(.method = "POST", .part = &part, .timeout_ms = 3000);
    if (r->status != 413)
        ck_assert_int_eq(r->err.code, ERR_SERVER);
}
END_TEST

START_TEST(a_receiver_that_does_not_read_is_found)
{
    struct http_part part = {"jarfile", "a.jar", NULL, read_part, &source, -1};

    memset(&source, 0, sizeof(source));
    fake_deaf(scene.server, true);
    struct result *r = GET(.method = "POST", .part = &part, .timeout_ms = 300);
    assert_error(&r->err, ERR_TIMEOUT, "within 300 ms");
}
END_TEST

void suite_http_stream(TCase *tc)
{
    tcase_add_checked_fixture(tc, scene_setup, scene_teardown);
    T(a_stream_arrives_whole);
    T(a_sink_may_wait);
    T(a_sink_may_give_up);
    T(a_sink_may_give_up_after_waiting);
    T(a_call_may_be_dropped_in_its_callbacks);
    T(a_client_may_be_freed_in_on_done);
    T(a_call_may_be_cancelled_or_dropped_any_time);
    T(a_stalled_stream_ends);
    T(waiting_for_the_sink_is_not_idling);
    T(an_answer_may_come_byte_by_byte);
    T(a_file_is_uploaded_as_it_comes);
    T(a_source_may_give_up);
    T(an_early_refusal_of_an_upload_is_seen);
    T(a_receiver_that_does_not_read_is_found);
}
