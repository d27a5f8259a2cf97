/* SPDX-License-Identifier: Apache-2.0 */
/* An API server that knows one Lease, and answers as the real one: it refuses a write of another
 * version. That a holder is lost after 10 s, and a new one comes after 15 s, is tested with real
 * processes (tests/fault/leader.py). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_server.h"
#include "flinkop/clock.h"
#include "flinkop/http.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_lease.h"
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
    struct kube_lease *lease;
    struct timer *guard, *later;
    char dir[SCRATCH_ROOM];
    struct arena a;
    jv spec; /* of the Lease; ABSENT: there is none */
    int version, writes, refuse;
    bool breaks;   /* connections, when a write has been done */
    bool releases; /* the Lease, when the next write has been done, before it is answered */
    int acquired, lost;
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(t.loop);
}

static void write_lease(jv lease)
{
    jv_foreach_kv (kv, jv_get(lease, "spec"))
        t.spec = jv_set(&t.a, jv_present(t.spec) ? t.spec : EMPTY_OBJ, arena_strdup(&t.a, kv->key),
                        jv_dup(&t.a, kv->value));
    t.version++;
    t.writes++;
}

static void answer_lease(struct fake_conn *c)
{
    const char *version = arena_printf(&t.a, "%d", t.version);

    fake_answer(c, 200, JSON,
                json_text(&t.a, OBJ({"metadata", OBJ({"resourceVersion", STR(version)})},
                                    {"spec", t.spec})));
}

static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    const char *version = arena_printf(&t.a, "%d", t.version), *found;
    struct error err;
    jv body = ABSENT;

    (void)arg;
    if (t.refuse) {
        t.refuse--;
        fake_answer(c, 500, "", "");
        return;
    }
    if (r->len)
        ck_assert_int_eq(json_parse(&t.a, r->body, r->len, &body, &err), 0);
    found = JV_STRING(body, "metadata", "resourceVersion");
    if (!strcmp(r->method, "POST") == jv_present(t.spec) && strcmp(r->method, "GET") != 0) {
        fake_answer(c, jv_present(t.spec) ? 409 : 404, JSON, "{}");
    } else if (!strcmp(r->method, "GET") && !jv_present(t.spec)) {
        fake_answer(c, 404, JSON,
                    "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"details\":{\"name\":\"l\"}}");
    } else if (!strcmp(r->method, "PATCH") && strcmp(found, version) != 0) {
        fake_answer(c, 409, JSON, "{\"kind\":\"Status\",\"reason\":\"Conflict\"}");
    } else {
        if (strcmp(r->method, "GET") != 0)
            write_lease(body);
        if (t.releases)
            kube_lease_release(t.lease, stop, NULL);
        t.releases = false;
        if (strcmp(r->method, "GET") != 0 && t.breaks)
            fake_reset(c);
        else
            answer_lease(c);
    }
}

static void acquired(void *arg)
{
    (void)arg;
    t.acquired++;
    loop_stop(t.loop);
}

static void lost(void *arg)
{
    (void)arg;
    t.lost++;
    loop_stop(t.loop);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    scratch_make(t.dir);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    t.later = timer_new(t.loop, stop, NULL);
    timer_start(t.guard, 60000);
    t.server = fake_new(t.loop, serve, NULL);
    cleanup_free char *text = open_kubeconfig(fake_url(t.server));

    t.config = load_kubeconfig(t.loop, t.dir, text);
    t.client = kube_client_new(t.loop, t.config);
}

static void teardown(void)
{
    kube_lease_free(t.lease);
    kube_client_free(t.client);
    kube_config_free(t.config);
    fake_free(t.server);
    loop_free(t.loop);
    arena_free(&t.a);
    metrics_release();
    scratch_remove(t.dir);
}

static void begin(void)
{
    t.lease = kube_lease_new(&(struct kube_lease_options){.kube = t.client,
                                                          .ns = "ns",
                                                          .name = "l",
                                                          .identity = "me",
                                                          .acquired = acquired,
                                                          .lost = lost});
}

static void run_for(int64_t ms)
{
    timer_start(t.later, ms);
    loop_run(t.loop);
    timer_stop(t.later);
}

static void given(const char *spec)
{
    t.spec = json(&t.a, spec);
    t.version = 1;
}

static bool is_open(void)
{
    const struct http_fence *f = kube_lease_fence(t.lease);

    return f->open(f->arg);
}

static void assert_record(const char *holder, int transitions)
{
    ck_assert_str_eq(JV_STRING(t.spec, "holderIdentity"), holder);
    ck_assert_int_eq(jv_int64_or(jv_get(t.spec, "leaseTransitions"), -1), transitions);
}

/* It has just been taken: so many ms after that moment. */
static void assert_taken_after(int64_t moment, int64_t least, int64_t most)
{
    int64_t took = clock_boot_ms() - moment;

    ck_assert_int_eq(t.acquired, 1);
    ck_assert_msg(took >= least && took < most, "%lld ms", (long long)took);
    assert_record("me", 5);
}

START_TEST(the_first_one_makes_it)
{
    begin();
    ck_assert(!is_open());
    ck_assert_ptr_null(kube_lease_holder(t.lease));
    loop_run(t.loop);
    ck_assert_int_eq(t.acquired, 1);
    assert_record("me", 1);
    ck_assert_int_eq(jv_int64_or(jv_get(t.spec, "leaseDurationSeconds"), 0), 15);
    ck_assert(is_open());
    ck_assert_str_eq(kube_lease_holder(t.lease), "me");
}
END_TEST

START_TEST(it_is_renewed_and_stays_of_the_same_time)
{
    begin();
    loop_run(t.loop);
    const char *since = arena_strdup(&t.a, JV_STRING(t.spec, "acquireTime"));
    const char *renewed = arena_strdup(&t.a, JV_STRING(t.spec, "renewTime"));

    run_for(4500);
    ck_assert_int_eq(t.writes, 3);
    ck_assert_str_eq(JV_STRING(t.spec, "acquireTime"), since);
    ck_assert_str_ne(JV_STRING(t.spec, "renewTime"), renewed);
    assert_record("me", 1);
    ck_assert_int_eq(t.acquired, 1);
}
END_TEST

START_TEST(one_that_changes_is_left_and_one_that_does_not_is_taken)
{
    given("{'holderIdentity':'other','leaseDurationSeconds':2,'leaseTransitions':4,"
          "'renewTime':'2001-01-01T00:00:00.000000Z'}"); /* whose clock may be wrong */
    begin();
    run_for(1500);
    ck_assert_str_eq(kube_lease_holder(t.lease), "other");
    t.spec = jv_set(&t.a, t.spec, "renewTime", STR("2001-01-01T00:00:02.000000Z"));
    t.version++;
    int64_t changed = clock_boot_ms();

    run_for(1700);
    ck_assert_int_eq(t.acquired, 0);
    ck_assert_int_eq(t.writes, 0);
    loop_run(t.loop);
    assert_taken_after(changed, 2000, 3500);
}
END_TEST

START_TEST(one_that_was_given_back_is_taken_at_once)
{
    given("{'holderIdentity':'','leaseDurationSeconds':1,'leaseTransitions':4}");
    begin();
    loop_run(t.loop);
    ck_assert_int_eq(t.acquired, 1);
    assert_record("me", 5);
}
END_TEST

START_TEST(one_that_a_user_empties_is_taken_when_its_time_has_passed)
{
    given("{'holderIdentity':'other','leaseDurationSeconds':3,'leaseTransitions':4}");
    begin();
    run_for(200);
    t.spec = jv_set(&t.a, t.spec, "holderIdentity", STR(""));
    t.version++;
    int64_t emptied = clock_boot_ms();

    loop_run(t.loop);
    assert_taken_after(emptied, 3000, 5500);
}
END_TEST

START_TEST(it_is_given_back)
{
    begin();
    loop_run(t.loop);
    kube_lease_release(t.lease, stop, NULL);
    ck_assert(!is_open());
    loop_run(t.loop);
    assert_record("", 1);
    ck_assert_int_eq(jv_int64_or(jv_get(t.spec, "leaseDurationSeconds"), 0), 1);
    ck_assert_int_eq(t.lost, 0);
}
END_TEST

START_TEST(it_is_given_back_while_it_is_being_renewed)
{
    begin();
    loop_run(t.loop);
    t.releases = true;
    loop_run(t.loop);
    ck_assert_int_eq(t.writes, 3); /* taken, renewed, given back */
    assert_record("", 1);
    ck_assert_int_eq(t.lost, 0);
}
END_TEST

START_TEST(who_never_had_it_gives_nothing_back)
{
    given("{'holderIdentity':'other','leaseDurationSeconds':15}");
    begin();
    run_for(200);
    kube_lease_release(t.lease, stop, NULL);
    loop_run(t.loop);
    ck_assert_int_eq(t.writes, 0);
}
END_TEST

START_TEST(a_server_that_does_not_answer_holds_up_no_end)
{
    begin();
    loop_run(t.loop);
    fake_deaf(t.server, true);
    t.breaks = true;
    kube_lease_release(t.lease, stop, NULL);
    loop_run(t.loop);
    ck_assert_int_eq(t.lost, 0);
}
END_TEST

START_TEST(of_two_who_take_it_one_has_it)
{
    given("{'holderIdentity':'','leaseDurationSeconds':1}");
    begin();
    run_for(0);
    t.spec = json(&t.a, "{'holderIdentity':'other','leaseDurationSeconds':15}");
    t.version = 7;
    run_for(1500);
    ck_assert_int_eq(t.acquired + t.writes, 0);
    ck_assert_str_eq(kube_lease_holder(t.lease), "other");
}
END_TEST

START_TEST(a_write_whose_answer_is_lost_is_found)
{
    t.breaks = true;
    begin();
    run_for(100);
    ck_assert_int_eq(t.acquired, 0);
    t.breaks = false;
    loop_run(t.loop);
    ck_assert_int_eq(t.acquired, 1);
    assert_record("me", 1);
}
END_TEST

START_TEST(errors_in_between_are_survived)
{
    begin();
    loop_run(t.loop);
    t.refuse = 2;
    run_for(6500);
    ck_assert_int_eq(t.lost, 0);
    ck_assert(is_open());
    ck_assert_int_eq(t.writes, 2);
}
END_TEST

START_TEST(who_finds_another_holder_has_lost_it)
{
    begin();
    loop_run(t.loop);
    t.spec = jv_set(&t.a, t.spec, "holderIdentity", STR("other"));
    t.version++;
    loop_run(t.loop);
    ck_assert_int_eq(t.lost, 1);
    ck_assert(!is_open());
    run_for(2500);
    ck_assert_int_eq(t.lost, 1);
    ck_assert_int_eq(t.writes, 1);
}
END_TEST

START_TEST(one_that_was_deleted_is_made_again)
{
    begin();
    loop_run(t.loop);
    t.spec = ABSENT;
    run_for(2500);
    ck_assert_int_eq(t.lost, 0);
    ck_assert_str_eq(JV_STRING(t.spec, "holderIdentity"), "me");
}
END_TEST

START_TEST(who_waits_asks_calmly_while_nobody_answers)
{
    given("{'holderIdentity':'other','leaseDurationSeconds':1}");
    begin();
    run_for(200);
    t.refuse = 1000000;
    int before = fake_requests(t.server);

    run_for(3000);
    ck_assert_msg(fake_requests(t.server) - before <= 5, "%d requests in 3 s",
                  fake_requests(t.server) - before);
    ck_assert_str_ne(str_or_empty(kube_lease_error(t.lease)), "");
    t.refuse = 0;
    loop_run(t.loop);
    ck_assert_int_eq(t.acquired, 1);
    ck_assert_ptr_null(kube_lease_error(t.lease));
}
END_TEST

START_TEST(one_that_is_deleted_still_counts_for_its_time)
{
    given("{'holderIdentity':'other','leaseDurationSeconds':3}");
    begin();
    run_for(200);
    t.spec = ABSENT;
    run_for(2000);
    ck_assert_int_eq(t.writes, 0);
    loop_run(t.loop);
    ck_assert_int_eq(t.acquired, 1);
}
END_TEST

void suite_kube_lease(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(the_first_one_makes_it);
    T(it_is_renewed_and_stays_of_the_same_time);
    T(one_that_changes_is_left_and_one_that_does_not_is_taken);
    T(one_that_was_given_back_is_taken_at_once);
    T(one_that_a_user_empties_is_taken_when_its_time_has_passed);
    T(it_is_given_back);
    T(it_is_given_back_while_it_is_being_renewed);
    T(who_never_had_it_gives_nothing_back);
    T(a_server_that_does_not_answer_holds_up_no_end);
    T(of_two_who_take_it_one_has_it);
    T(a_write_whose_answer_is_lost_is_found);
    T(errors_in_between_are_survived);
    T(who_finds_another_holder_has_lost_it);
    T(one_that_was_deleted_is_made_again);
    T(who_waits_asks_calmly_while_nobody_answers);
    T(one_that_is_deleted_still_counts_for_its_time);
}
