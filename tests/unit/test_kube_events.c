/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_server.h"
#include "flinkop/clock.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_events.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

static struct {
    struct loop *loop;
    struct fake_server *server;
    struct kube_config *config;
    struct kube_client *client;
    struct kube_events *events;
    struct timer *guard, *quiet;
    struct arena arena;
    struct strbuf log; /* "POST message=… count=…; PATCH …" */
    char name[128];    /* of the last Event made */
    int answers[8];    /* statuses for the first requests, then 200 */
    int next;
    int made;                /* what the Event counts that is there already; 0: 41, of long ago */
    char first[RFC3339_MAX]; /* when the last one that was to be made has happened */
    char dir[SCRATCH_ROOM];
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time: %s", t.log.buf);
}

static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    struct error err = {0};
    jv body = ABSENT;
    char event[128];
    int status = t.next < (int)ARRAY_SIZE(t.answers) ? t.answers[t.next++] : 0;

    (void)arg;
    if (r->len && json_parse(&t.arena, r->body, r->len, &body, &err))
        ck_abort_msg("%s", err.text);
    strbuf_addf(&t.log, "%s", r->method);
    if (r->len)
        strbuf_addf(&t.log, " %s x%s", JV_STRING(body, "message"),
                    str_or(JV_STRING(body, "count"), "?"));
    strbuf_adds(&t.log, "; ");
    if (!strcmp(r->method, "POST")) {
        ck_assert(str_has_prefix(r->target, "/api/v1/namespaces/ns/events?"));
        snprintf(t.name, sizeof(t.name), "%s", JV_STRING(body, "metadata", "name"));
        snprintf(t.first, sizeof(t.first), "%s", JV_STRING(body, "firstTimestamp"));
        ck_assert_str_eq(JV_STRING(body, "involvedObject", "kind"), "FlinkDeployment");
        ck_assert_str_eq(JV_STRING(body, "involvedObject", "uid"), "u1");
        ck_assert_str_eq(JV_STRING(body, "source", "component"), "Operator");
    } else {
        ck_assert(str_has_prefix(r->target, "/api/v1/namespaces/ns/events/operator."));
    }
    timer_start(t.quiet, 60); /* the end of a test: nothing came for a while */
    snprintf(event, sizeof(event), "{\"kind\":\"Event\",\"count\":%d,\"firstTimestamp\":\"%s\"}",
             t.made ? t.made : 41, t.made ? t.first : "2026-01-01T00:00:00Z");
    fake_answer(c, status ? status : 200, "Content-Type: application/json\r\n",
                status == 409 ? "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\"}"
                : status == 403
                    ? "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"no\"}"
                    : event);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    scratch_make(t.dir);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    t.quiet = timer_new(t.loop, (loop_fn)loop_stop, t.loop);
    timer_start(t.guard, 60000);
    t.server = fake_new(t.loop, serve, NULL);
    strbuf_init(&t.log, 1 << 20);
    cleanup_free char *text = open_kubeconfig(fake_url(t.server));

    t.config = load_kubeconfig(t.loop, t.dir, text);
    t.client = kube_client_new(t.loop, t.config);
    t.events = kube_events_new(t.client);
}

static void teardown(void)
{
    kube_events_free(t.events);
    kube_client_free(t.client);
    kube_config_free(t.config);
    fake_free(t.server);
    loop_free(t.loop);
    strbuf_release(&t.log);
    arena_free(&t.arena);
    metrics_release();
    scratch_remove(t.dir);
}

static void emit_about(const char *object, const char *reason, const char *message)
{
    kube_events_emit(t.events, &(struct kube_event){.kind = KIND_FLINKDEPLOYMENT,
                                                    .ns = "ns",
                                                    .name = object,
                                                    .uid = "u1",
                                                    .reason = reason,
                                                    .message = message,
                                                    .component = "Operator"});
}

static void emit(const char *message)
{
    emit_about("d", "Submit", message);
}

/* Runs until nothing was sent for a while; what was sent. */
static const char *settle(void)
{
    timer_start(t.quiet, 200);
    loop_run(t.loop);
    return t.log.buf;
}

/* Of what has failed once. */
static void wait_for_retry(void)
{
    timer_start(t.quiet, 2500);
    loop_run(t.loop);
}

START_TEST(an_event_is_made_once_and_then_counted)
{
    emit("hello");
    ck_assert_str_eq(settle(), "POST hello x1; ");
    ck_assert(str_has_prefix(t.name, "operator."));
    emit("hello");
    ck_assert_str_eq(settle(), "POST hello x1; PATCH hello x2; ");
    emit("other");
    ck_assert_str_eq(settle(), "POST hello x1; PATCH hello x2; POST other x1; ");
}
END_TEST

START_TEST(what_comes_meanwhile_is_told_together)
{
    for (int i = 0; i < 5; i++)
        emit("hello");
    ck_assert_str_eq(settle(), "POST hello x1; PATCH hello x5; ");
}
END_TEST

START_TEST(counting_goes_on_after_a_restart)
{
    t.answers[0] = 409;
    emit("hello");
    ck_assert_str_eq(settle(), "POST hello x1; PATCH hello x?; PATCH hello x42; ");
}
END_TEST

START_TEST(an_expired_event_is_made_anew)
{
    t.answers[1] = 404;
    emit("hello");
    settle();
    emit("hello");
    ck_assert_str_eq(settle(), "POST hello x1; PATCH hello x2; POST hello x1; ");
}
END_TEST

START_TEST(one_object_cannot_flood)
{
    for (int i = 0; i < 100; i++) {
        emit("hello");
        emit_about("other", "Submit", "hello");
    }
    settle();
    ck_assert_ptr_nonnull(strstr(t.log.buf, "hello x20; "));
    ck_assert_ptr_null(strstr(t.log.buf, "hello x21; "));
}
END_TEST

START_TEST(what_is_new_is_told_after_a_flood)
{
    char text[32];
    int told = 0;

    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "m%d", i);
        emit(text);
    }
    settle();
    ck_assert_ptr_nonnull(strstr(t.log.buf, "m19 x10; "));
    ck_assert_ptr_null(strstr(t.log.buf, "m20"));
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof(text), "Reason%d", i);
        emit_about("d", text, "new");
    }
    settle();
    for (const char *at = t.log.buf; (at = strstr(at, "POST new x1; ")); at++)
        told++;
    ck_assert_int_eq(told, 5);
}
END_TEST

START_TEST(many_messages_of_one_reason_are_combined)
{
    char message[32];

    for (int i = 0; i < 14; i++) {
        snprintf(message, sizeof(message), "m%d", i);
        emit(message);
        settle();
    }
    emit_about("d", "OtherReason", "alone");
    settle();
    ck_assert_ptr_nonnull(strstr(t.log.buf, "POST m9 x1; POST (combined from similar events): m10 "
                                            "x1; PATCH (combined from similar events): m11 x2; "));
    ck_assert(str_has_suffix(t.log.buf, "POST alone x1; "));
    ck_assert_ptr_nonnull(strstr(t.log.buf, "m13 x4; "));
}
END_TEST

START_TEST(refusals_are_let_go)
{
    log_setup(LOG_ERROR, LOG_TEXT);
    t.answers[0] = t.answers[1] = 403;
    emit("hello");
    emit("other");
    ck_assert_str_eq(settle(), "POST hello x1; POST other x1; ");
    emit("hello");
    ck_assert_str_eq(settle(), "POST hello x1; POST other x1; POST hello x1; ");
}
END_TEST

START_TEST(failures_are_tried_again)
{
    t.answers[0] = 500;
    emit("hello");
    settle();
    emit("hello"); /* does not hurry the retry */
    ck_assert_str_eq(settle(), "POST hello x1; ");
    wait_for_retry();
    settle();
    ck_assert_str_eq(t.log.buf, "POST hello x1; POST hello x2; ");
}
END_TEST

/* The answer was lost, and not what it answered. */
START_TEST(what_was_made_already_is_not_counted_twice)
{
    t.answers[0] = 500;
    t.answers[1] = 409;
    t.made = 1;
    emit("hello");
    wait_for_retry();
    ck_assert_str_eq(t.log.buf, "POST hello x1; ");
    wait_for_retry();
    ck_assert_str_eq(settle(), "POST hello x1; POST hello x1; PATCH hello x?; ");
    emit("hello");
    ck_assert_str_eq(settle(), "POST hello x1; POST hello x1; PATCH hello x?; PATCH hello x2; ");
}
END_TEST

START_TEST(a_call_that_came_twice_counts_once)
{
    t.answers[0] = 409; /* to the second one */
    t.made = 1;
    emit("hello");
    ck_assert_str_eq(settle(), "POST hello x1; PATCH hello x?; ");
}
END_TEST

START_TEST(what_came_after_what_was_made_already_is_counted)
{
    t.answers[0] = 500;
    t.answers[1] = 409;
    t.made = 1;
    emit("hello");
    settle();
    emit("hello");
    wait_for_retry();
    ck_assert_str_eq(settle(), "POST hello x1; POST hello x2; PATCH hello x?; PATCH hello x2; ");
}
END_TEST

START_TEST(messages_are_cut)
{
    char message[5000];

    memset(message, 'x', sizeof(message) - 1);
    message[sizeof(message) - 1] = 0;
    emit(message);
    settle();
    ck_assert_uint_gt(t.log.len, 900);
    ck_assert_uint_lt(t.log.len, 1024 + 16);
}
END_TEST

START_TEST(events_may_be_given_up_any_time)
{
    for (int i = 0; i < 30; i++)
        emit_about(i % 2 ? "a" : "b", "R", i % 3 ? "x" : "y");
    kube_events_free(TAKE_PTR(t.events));
    ck_assert_str_eq(settle(), "");
}
END_TEST

START_TEST(what_is_remembered_has_a_cap)
{
    char name[32];

    for (int i = 0; i < 9000; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        emit_about(name, "R", "m");
    }
    /* nothing could be sent yet: what is over the cap was left out */
    kube_events_free(TAKE_PTR(t.events));
    t.events = kube_events_new(t.client);
}
END_TEST

void suite_kube_events(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(an_event_is_made_once_and_then_counted);
    T(what_comes_meanwhile_is_told_together);
    T(counting_goes_on_after_a_restart);
    T(an_expired_event_is_made_anew);
    T(one_object_cannot_flood);
    T(what_is_new_is_told_after_a_flood);
    T(many_messages_of_one_reason_are_combined);
    T(refusals_are_let_go);
    T(failures_are_tried_again);
    T(what_was_made_already_is_not_counted_twice);
    T(a_call_that_came_twice_counts_once);
    T(what_came_after_what_was_made_already_is_counted);
    T(messages_are_cut);
    T(events_may_be_given_up_any_time);
    T(what_is_remembered_has_a_cap);
}
