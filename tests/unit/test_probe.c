/* SPDX-License-Identifier: Apache-2.0 */
/* JobManagers on one server: those at 127.0.1.* take a question and never answer, those at
 * 127.0.2.* say at once that nothing is going on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/controller/probe.h"
#include "fake_server.h"
#include "flinkop/http.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "unit.h"

#define MANY 300 /* more than there are places of both kinds */

struct cluster {
    struct probe *probe;
    char ip[16], jm[16];
    int changes;
};

static struct {
    struct loop *loop;
    struct fake_server *server;
    struct flink_client *flink;
    struct probe_pool pool;
    struct timer *timer;
    int port, asked_silent, answered;
} t;

static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    (void)arg;
    if (strstr(r->head, "Host: 127.0.1.")) {
        t.asked_silent++;
        return;
    }
    t.answered++;
    fake_answer(c, 200, "Content-Type: application/json\r\n",
                strstr(r->target, "overview") && !strstr(r->target, "jobs")
                    ? "{\"flink-version\":\"1.20.5\",\"flink-commit\":\"c\",\"taskmanagers\":0,"
                      "\"slots-total\":0,\"slots-available\":0}"
                    : "{\"jobs\":[],\"taskmanagers\":[]}");
}

static bool target(void *arg, struct flink_endpoint *ret, const char **ret_jm)
{
    struct cluster *c = arg;

    *ret = (struct flink_endpoint){.ns = "ns", .pod = "pod", .ip = c->ip, .port = t.port};
    *ret_jm = c->jm;
    return true;
}

static void changed(void *arg)
{
    struct cluster *c = arg;

    c->changes++;
}

static void begin(struct cluster *c, int network, int n)
{
    snprintf(c->ip, sizeof(c->ip), "127.0.%d.%d", network, n % 250 + 1);
    snprintf(c->jm, sizeof(c->jm), "uid-%d/0", n);
    c->probe = probe_new(t.loop, t.flink, &t.pool, &(struct probe_owner){target, changed, c});
    probe_set_pace(c->probe, PROBE_FAST, false);
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(t.loop);
}

static void run_for(int64_t ms)
{
    timer_start(t.timer, ms);
    loop_run(t.loop);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    t.loop = loop_new();
    t.server = fake_new_at(t.loop, "0.0.0.0", 0, serve, NULL);
    t.port = atoi(strrchr(fake_url(t.server), ':') + 1);
    t.flink = flink_client_new(t.loop, NULL, FLINK_ACCESS_DIRECT, NULL);
    t.timer = timer_new(t.loop, stop, NULL);
    probe_pool_init(&t.pool);
}

static void teardown(void)
{
    timer_free(t.timer);
    flink_client_free(t.flink);
    fake_free(t.server);
    loop_free(t.loop);
}

START_TEST(silent_ones_do_not_take_the_places_of_those_that_answer)
{
    static struct cluster silent[MANY], healthy;

    begin(&healthy, 2, MANY);
    run_for(600);
    ck_assert(probe_result(healthy.probe)->reachable);
    for (int i = 0; i < MANY; i++)
        begin(&silent[i], 1, i);
    run_for(4500); /* three rounds of quick places give up, a second each */
    ck_assert_uint_le(t.pool.slow.taken, t.pool.slow.most);
    t.answered = 0;
    run_for(3000);
    ck_assert_int_gt(t.answered, 2);
    ck_assert(probe_result(healthy.probe)->reachable);
    ck_assert_uint_eq(t.pool.fast, 1); /* nor are they counted */
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_gt((int)probe_result(silent[i].probe)->since, 0);
        ck_assert(!probe_result(silent[i].probe)->reachable);
        probe_free(silent[i].probe);
    }
    probe_free(healthy.probe);
    ck_assert_uint_eq(t.pool.quick.taken + t.pool.slow.taken, 0);
    ck_assert_uint_eq(t.pool.fast, 0);
}
END_TEST

START_TEST(a_silent_one_is_left_alone_until_another_takes_its_place)
{
    struct cluster c = {0};

    begin(&c, 1, 1);
    run_for(2000);
    ck_assert_int_eq(t.asked_silent, 1);
    ck_assert_uint_eq(t.pool.quick.taken, 0);
    ck_assert_uint_eq(t.pool.slow.taken, 1);
    run_for(3300); /* it has timed out; half a second at least until the next round */
    ck_assert_int_eq(t.asked_silent, 1);
    for (int i = 0; i < 100 && t.asked_silent < 2; i++)
        run_for(50);
    ck_assert(!probe_result(c.probe)->reachable);
    ck_assert_int_eq(t.asked_silent, 2);
    ck_assert_uint_eq(t.pool.slow.taken, 1);    /* from the beginning */
    probe_set_pace(c.probe, PROBE_FAST, false); /* the same one: no reason to ask sooner */
    run_for(50);
    ck_assert_int_eq(t.asked_silent, 2);
    strcpy(c.jm, "uid-2/0");
    strcpy(c.ip, "127.0.2.1");
    probe_set_pace(c.probe, PROBE_FAST, false);
    ck_assert_uint_eq(t.pool.slow.taken, 0);
    run_for(200);
    ck_assert(probe_result(c.probe)->reachable);
    ck_assert_str_eq(probe_result(c.probe)->jm, "uid-2/0");
    ck_assert_int_eq(t.asked_silent, 2);
    probe_free(c.probe);
}
END_TEST

static void enter(void *arg)
{
    int *entered = arg;

    ++*entered;
}

START_TEST(who_waits_for_a_place_enters_in_order)
{
    struct places p;
    int entered[3] = {0};
    struct guest g[3] = {{.arg = &entered[0]}, {.arg = &entered[1]}, {.arg = &entered[2]}};

    places_init(&p, 1, enter);
    ck_assert(places_ask(&p, &g[0]));
    p.taken++;
    for (int i = 0; i < 3; i++)
        ck_assert(!places_ask(&p, &g[i]));
    places_leave(&p, &g[1]);
    places_leave(&p, &g[1]);
    places_free(&p); /* those let in take no place here, so all are */
    ck_assert_int_eq(entered[0] * 100 + entered[1] * 10 + entered[2], 101);
    ck_assert(places_ask(&p, &g[1]));
}
END_TEST

void suite_probe(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(silent_ones_do_not_take_the_places_of_those_that_answer);
    T(a_silent_one_is_left_alone_until_another_takes_its_place);
    T(who_waits_for_a_place_enters_in_order);
}
