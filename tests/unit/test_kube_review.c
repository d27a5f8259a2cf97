/* SPDX-License-Identifier: Apache-2.0 */
/* An API server that knows the tokens "good", "weak" (without rights) and no others. */
#include <stdio.h>
#include <string.h>

#include "fake_server.h"
#include "flinkop/http.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_review.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

#define JSON "Content-Type: application/json\r\n"

static struct {
    struct loop *loop;
    struct fake_server *server;
    struct kube_config *config;
    struct kube_client *client;
    struct kube_reviews *reviews;
    struct timer *guard, *later;
    char dir[SCRATCH_ROOM];
    struct arena a;
    int refuse; /* this status to all */
    bool silent;
    int asked_users, asked_rights;
    jv spec;    /* of the last SubjectAccessReview */
    bool waits; /* for the next answer */
    int told;
    enum review_verdict verdict;
    char text[256];
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    struct error err;
    jv body;

    (void)arg;
    ck_assert_str_eq(r->method, "POST");
    ck_assert_int_eq(json_parse(&t.a, r->body, r->len, &body, &err), 0);
    if (t.silent)
        return;
    if (t.refuse) {
        fake_answer(c, t.refuse, JSON, "{'kind':'Status','message':'no'}");
        return;
    }
    if (str_has_prefix(r->target, "/apis/authentication.k8s.io/v1/tokenreviews")) {
        const char *token = JV_STRING(body, "spec", "token");
        bool known = str_eq(token, "good") || str_eq(token, "weak");

        t.asked_users++;
        ck_assert_str_eq(JV_STRING(body, "kind"), "TokenReview");
        fake_answer(c, 201, JSON,
                    known ? arena_printf(&t.a,
                                         "{\"status\":{\"authenticated\":true,\"user\":{"
                                         "\"username\":\"%s\",\"uid\":\"u1\",\"groups\":[\"g\"],"
                                         "\"extra\":{\"k\":[\"v\"]}}}}",
                                         token)
                          : "{\"status\":{\"error\":\"not known\"}}");
        return;
    }
    ck_assert(str_has_prefix(r->target, "/apis/authorization.k8s.io/v1/subjectaccessreviews"));
    t.asked_rights++;
    t.spec = jv_get(body, "spec");
    fake_answer(c, 201, JSON,
                str_eq(JV_STRING(t.spec, "user"), "good") ? "{\"status\":{\"allowed\":true}}"
                                                          : "{\"status\":{\"allowed\":false}}");
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    log_setup(LOG_WARN, LOG_TEXT);
    scratch_make(t.dir);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    t.later = timer_new(t.loop, (loop_fn)loop_stop, t.loop);
    timer_start(t.guard, 60000);
    t.server = fake_new(t.loop, serve, NULL);
    cleanup_free char *text = open_kubeconfig(fake_url(t.server));

    t.config = load_kubeconfig(t.loop, t.dir, text);
    t.client = kube_client_new(t.loop, t.config);
    t.reviews = kube_reviews_new(t.client);
}

static void teardown(void)
{
    kube_reviews_free(t.reviews);
    kube_client_free(t.client);
    kube_config_free(t.config);
    fake_free(t.server);
    loop_free(t.loop);
    arena_free(&t.a);
    metrics_release();
    scratch_remove(t.dir);
}

static void on_verdict(void *arg, enum review_verdict verdict, const char *text)
{
    (void)arg;
    t.told++;
    t.verdict = verdict;
    snprintf(t.text, sizeof(t.text), "%s", text);
    if (t.waits)
        loop_stop(t.loop);
    t.waits = false;
}

static enum review_verdict ask(const char *token, const char *verb, const char *path)
{
    int told = t.told;

    if (kube_review(t.reviews, token, verb, path, on_verdict, NULL)) {
        t.waits = true;
        loop_run(t.loop);
    }
    ck_assert_int_eq(t.told, told + 1);
    return t.verdict;
}

static void pass(int64_t ms)
{
    timer_start(t.later, ms);
    loop_run(t.loop);
}

START_TEST(the_api_server_decides)
{
    ck_assert_int_eq(ask("good", "get", "/metrics"), REVIEW_ALLOWED);
    ck_assert_str_eq(t.text, "good");
    assert_json(t.spec, "{'user':'good','uid':'u1','groups':['g'],'extra':{'k':['v']},"
                        "'nonResourceAttributes':{'path':'/metrics','verb':'get'}}");
    ck_assert_int_eq(ask("weak", "put", "/debug/log-level"), REVIEW_DENIED);
    ck_assert_str_eq(t.text, "weak");
    ck_assert_int_eq(t.asked_rights, 2);
    ck_assert_int_eq(ask("other", "get", "/metrics"), REVIEW_STRANGER);
    ck_assert_int_eq(t.asked_rights, 2);
}
END_TEST

START_TEST(what_is_no_token_is_not_asked)
{
    cleanup_free char *large = xasprintf("%09000d", 1);

    ck_assert_int_eq(ask("", "get", "/metrics"), REVIEW_STRANGER);
    ck_assert_int_eq(ask("two words", "get", "/metrics"), REVIEW_STRANGER);
    ck_assert_int_eq(ask("\xc3\xa9", "get", "/metrics"), REVIEW_STRANGER);
    ck_assert_int_eq(ask(large, "get", "/metrics"), REVIEW_STRANGER);
    ck_assert_int_eq(t.asked_users, 0);
}
END_TEST

START_TEST(answers_are_kept_by_token_path_and_verb)
{
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(ask("good", "get", "/metrics"), REVIEW_ALLOWED);
        ck_assert_int_eq(ask("weak", "get", "/metrics"), REVIEW_DENIED);
        ck_assert_str_eq(t.text, "weak");
        ck_assert_int_eq(ask("none", "get", "/metrics"), REVIEW_STRANGER);
    }
    ck_assert_int_eq(t.asked_users, 3);
    ck_assert_int_eq(t.asked_rights, 2);
    ck_assert_int_eq(ask("good", "get", "/debug"), REVIEW_ALLOWED);
    ck_assert_int_eq(ask("good", "put", "/debug"), REVIEW_ALLOWED);
    ck_assert_int_eq(t.asked_rights, 4);
}
END_TEST

START_TEST(who_asks_the_same_waits_for_the_same_answer)
{
    struct kube_review *dropped;

    for (int i = 0; i < 10; i++)
        ck_assert_ptr_nonnull(kube_review(t.reviews, "good", "get", "/metrics", on_verdict, NULL));
    dropped = kube_review(t.reviews, "good", "get", "/metrics", on_verdict, NULL);
    kube_review_drop(dropped);
    pass(200);
    ck_assert_int_eq(t.told, 10);
    ck_assert_int_eq(t.asked_users, 1);
    dropped = kube_review(t.reviews, "weak", "get", "/metrics", on_verdict, NULL);
    kube_review_drop(dropped);
    pass(200);
    ck_assert_int_eq(t.told, 10);
    ck_assert_int_eq(ask("weak", "get", "/metrics"), REVIEW_DENIED); /* it went on */
    ck_assert_int_eq(t.asked_users, 2);
}
END_TEST

START_TEST(failures_are_not_kept)
{
    t.refuse = 403;
    ck_assert_int_eq(ask("good", "get", "/metrics"), REVIEW_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(t.text, "create TokenReview"));
    t.refuse = 500;
    ck_assert_int_eq(ask("good", "get", "/metrics"), REVIEW_UNKNOWN);
    fake_refuse(t.server, true);
    t.refuse = 0;
    ck_assert_int_eq(ask("good", "put", "/metrics"), REVIEW_ALLOWED); /* a kept connection */
    fake_refuse(t.server, false);
    ck_assert_int_eq(ask("good", "get", "/metrics"), REVIEW_ALLOWED);
}
END_TEST

START_TEST(the_api_server_is_not_flooded)
{
    char token[16];

    t.silent = true;
    for (int i = 0; i < 30; i++) {
        snprintf(token, sizeof(token), "t%d", i);
        struct kube_review *w = kube_review(t.reviews, token, "get", "/metrics", on_verdict, NULL);

        ck_assert_int_eq(w != NULL, i < 8);
    }
    ck_assert_int_eq(t.told, 22);
    ck_assert_int_eq(t.verdict, REVIEW_UNKNOWN);
    pass(9000); /* they are given up */
    while (t.told < 30)
        pass(100);
    ck_assert_int_eq(t.verdict, REVIEW_UNKNOWN);
    t.silent = false;
    ck_assert_int_eq(ask("good", "get", "/metrics"), REVIEW_ALLOWED);
}
END_TEST

START_TEST(only_so_many_are_begun_in_a_second)
{
    char token[16];
    int64_t begun = loop_now(t.loop);
    int unknown = 0;

    for (int i = 0; i < 40; i++) {
        snprintf(token, sizeof(token), "t%d", i);
        unknown += ask(token, "get", "/metrics") == REVIEW_UNKNOWN;
    }
    if (loop_now(t.loop) - begun < 900)
        ck_assert_int_eq(t.asked_users, 20);
    ck_assert_int_eq(t.asked_users + unknown, 40);
    ck_assert_int_eq(ask("t0", "get", "/metrics"), REVIEW_STRANGER);
}
END_TEST

START_TEST(it_may_go_while_it_asks)
{
    ck_assert_ptr_nonnull(kube_review(t.reviews, "good", "get", "/metrics", on_verdict, NULL));
    kube_reviews_free(t.reviews);
    t.reviews = NULL;
    pass(100);
    ck_assert_int_eq(t.told, 0);
}
END_TEST

static bool closed(void *arg)
{
    (void)arg;
    return false;
}

START_TEST(who_does_not_lead_asks_all_the_same)
{
    const struct http_fence fence = {closed, NULL};

    kube_client_set_fence(t.client, &fence);
    ck_assert_int_eq(ask("good", "get", "/metrics"), REVIEW_ALLOWED);
}
END_TEST

void suite_kube_review(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(the_api_server_decides);
    T(what_is_no_token_is_not_asked);
    T(answers_are_kept_by_token_path_and_verb);
    T(who_asks_the_same_waits_for_the_same_answer);
    T(failures_are_not_kept);
    T(the_api_server_is_not_flooded);
    T(only_so_many_are_begun_in_a_second);
    T(it_may_go_while_it_asks);
    T(who_does_not_lead_asks_all_the_same);
}
