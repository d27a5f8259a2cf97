/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "../../src/controller/jars.h"
#include "flinkop/http.h"
#include "flinkop/loop.h"
#include "flinkop/macros.h"
#include "flinkop/metrics.h"
#include "unit.h"

#define A "flink-operator-a.jar"
#define B "flink-operator-b.jar"

static struct loop *loop;
static struct jar_pool *pool;
static const struct flink_endpoint here = {.ns = "ns", .instance = "jm-1/0"},
                                   there = {.ns = "ns", .instance = "jm-1/1"};
static int told[4];

static void go_on(void *arg)
{
    ++*(int *)arg;
}

/* In a row: what waits is told in `told`. */
static struct jar_use uses[4];

static void setup(void)
{
    loop = loop_new();
    pool = jar_pool_new(loop);
    memset(told, 0, sizeof(told));
    for (int i = 0; i < 4; i++)
        uses[i] = (struct jar_use){.go_on = go_on, .arg = &told[i]};
}

static void teardown(void)
{
    for (int i = 0; i < 4; i++)
        jar_leave(&uses[i]);
    jar_pool_free(pool);
    loop_free(loop);
    metrics_release();
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

/* Lets deferred calls happen. */
static void turn(void)
{
    loop_defer(loop, loop, stop, NULL);
    loop_run(loop);
}

START_TEST(one_brings_it_and_the_others_wait)
{
    ck_assert_int_eq(jar_take(pool, &uses[0], &here, A), JAR_BRING);
    ck_assert_int_eq(jar_take(pool, &uses[1], &here, A), JAR_WAITS);
    ck_assert_int_eq(jar_take(pool, &uses[2], &here, A), JAR_WAITS);
    ck_assert_int_eq(jar_take(pool, &uses[3], &there, A), JAR_BRING); /* another JobManager */
    jar_leave(&uses[2]);                                              /* is not told */
    turn();
    ck_assert_int_eq(told[1] + told[2], 0);
    jar_is_there(&uses[0], "1_" A);
    turn();
    ck_assert_int_eq(told[1], 1);
    ck_assert_int_eq(told[2], 0);
    ck_assert_str_eq(jar_id(&uses[1]), "1_" A);
    jar_leave(&uses[0]);
    jar_leave(&uses[1]);
    ck_assert_int_eq(jar_take(pool, &uses[2], &here, A), JAR_THERE);
    ck_assert_str_eq(jar_id(&uses[2]), "1_" A);
    ck_assert_ptr_null(jar_id(&uses[3]));
}
END_TEST

START_TEST(who_fails_lets_another_bring_it)
{
    ck_assert_int_eq(jar_take(pool, &uses[0], &here, A), JAR_BRING);
    ck_assert_int_eq(jar_take(pool, &uses[1], &here, A), JAR_WAITS);
    ck_assert_int_eq(jar_take(pool, &uses[2], &here, A), JAR_WAITS);
    jar_leave(&uses[0]);
    turn();
    ck_assert_int_eq(told[1], 1);
    ck_assert_int_eq(told[2], 1);
    ck_assert_ptr_null(jar_id(&uses[1]));
    ck_assert_int_eq(jar_take(pool, &uses[2], &here, A), JAR_BRING);
    ck_assert_int_eq(jar_take(pool, &uses[1], &here, A), JAR_WAITS);
    jar_is_there(&uses[2], "1_" A);
    jar_is_lost(&uses[2]); /* its JobManager has started again */
    ck_assert_int_eq(jar_take(pool, &uses[0], &here, A), JAR_BRING);
}
END_TEST

START_TEST(a_jar_is_told_by_its_validator)
{
    cleanup_arena struct arena a = {0};
    const struct submit_args args = {.jar_uri = "https://host/job.jar"},
                             other = {.jar_uri = "https://host/other.jar"};
    const struct http_response head = {.validator = "\"1\"", .content_length = 5},
                               later = {.validator = "\"2\"", .content_length = 5},
                               none = {.content_length = 5},
                               endless = {.validator = "\"1\"", .content_length = -1};
    const char *name = jar_file_name(&a, &args, &head);

    ck_assert_str_eq(name, jar_file_name(&a, &args, &head));
    ck_assert_str_ne(name, jar_file_name(&a, &args, &later));
    ck_assert_str_ne(name, jar_file_name(&a, &other, &head));
    ck_assert_ptr_null(jar_file_name(&a, &args, &none));
    ck_assert_ptr_null(jar_file_name(&a, &args, &endless));
}
END_TEST

START_TEST(what_a_former_operator_has_brought_is_found)
{
    const struct flink_jar jars[] = {{"1_" B, 1}, {"usrlib_job.jar", 2}, {"2_" A, 3}};

    jar_take(pool, &uses[0], &here, A);
    ck_assert_str_eq(jar_find(&uses[0], jars, 3), "2_" A);
    ck_assert_ptr_null(jar_find(&uses[0], jars, 2));
}
END_TEST

START_TEST(the_oldest_that_nobody_uses_goes)
{
    const struct flink_jar jars[] = {{"1_" B, 5},
                                     {"0_others.jar", 1},
                                     {"2_flink-operator-c.jar", 3},
                                     {"3_flink-operator-d.jar", 4},
                                     {"4_flink-operator-e.jar", 6},
                                     {"5_flink-operator-f.jar", 7}};
    struct jar_use old = {0};

    jar_take(pool, &uses[1], &here, "flink-operator-c.jar"); /* the oldest is in use */
    jar_is_there(&uses[1], "2_flink-operator-c.jar");
    jar_take(pool, &uses[0], &here, A);
    ck_assert_ptr_null(jar_superfluous(&uses[0], jars, 5, &old));
    ck_assert_str_eq(jar_superfluous(&uses[0], jars, 6, &old), "3_flink-operator-d.jar");
    /* Whoever wants it waits until it is gone, and brings it anew. */
    ck_assert_int_eq(jar_take(pool, &uses[2], &here, "flink-operator-d.jar"), JAR_WAITS);
    jar_leave(&old);
    turn();
    ck_assert_int_eq(told[2], 1);
    ck_assert_int_eq(jar_take(pool, &uses[2], &here, "flink-operator-d.jar"), JAR_BRING);
}
END_TEST

START_TEST(jars_that_nobody_uses_are_forgotten_at_last)
{
    char name[40];

    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof(name), "flink-operator-%d.jar", i);
        ck_assert_int_eq(jar_take(pool, &uses[0], &here, name), JAR_BRING);
        jar_is_there(&uses[0], name);
    }
    ck_assert_int_eq(jar_take(pool, &uses[0], &here, "flink-operator-399.jar"), JAR_THERE);
    ck_assert_int_eq(jar_take(pool, &uses[0], &here, "flink-operator-200.jar"), JAR_THERE);
    ck_assert_int_eq(jar_take(pool, &uses[0], &here, "flink-operator-100.jar"), JAR_BRING);
}
END_TEST

void suite_jars(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(one_brings_it_and_the_others_wait);
    T(who_fails_lets_another_bring_it);
    T(a_jar_is_told_by_its_validator);
    T(what_a_former_operator_has_brought_is_found);
    T(the_oldest_that_nobody_uses_goes);
    T(jars_that_nobody_uses_are_forgotten_at_last);
}
