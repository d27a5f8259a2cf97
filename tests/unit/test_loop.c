/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <unistd.h>

#include "flinkop/clock.h"
#include "flinkop/loop.h"
#include "flinkop/metrics.h"
#include "flinkop/strbuf.h"
#include "unit.h"

/* A word as the argument of a callback. */
#define W(s) ((void *)(uintptr_t)(s))

static struct {
    struct loop *loop;
    struct timer *timer;
    struct strbuf seen;
    int count;
} t;

static void setup(void)
{
    t.loop = loop_new();
    t.timer = NULL;
    t.count = 0;
    strbuf_init(&t.seen, 4096);
}

static void teardown(void)
{
    loop_free(t.loop);
    strbuf_release(&t.seen);
    metrics_release();
}

static void note(void *arg)
{
    strbuf_adds(&t.seen, arg);
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(t.loop);
}

START_TEST(deferred_calls_keep_their_order)
{
    loop_defer(t.loop, NULL, note, W("a"));
    loop_defer(t.loop, &t.count, note, W("b"));
    loop_defer(t.loop, NULL, note, W("c"));
    loop_defer(t.loop, &t.count, note, W("d"));
    loop_undefer(t.loop, &t.count);
    loop_defer(t.loop, NULL, note, W("e"));
    loop_defer(t.loop, NULL, stop, NULL);
    ck_assert_str_eq(t.seen.buf, "");
    loop_run(t.loop);
    ck_assert_str_eq(t.seen.buf, "ace");
}
END_TEST

static void drop_the_rest(void *arg)
{
    note(arg);
    loop_undefer(t.loop, &t.seen);
}

START_TEST(a_deferred_call_may_drop_those_behind_it)
{
    loop_defer(t.loop, &t.seen, drop_the_rest, W("1"));
    loop_defer(t.loop, &t.seen, note, W("2"));
    loop_defer(t.loop, NULL, note, W("3"));
    loop_defer(t.loop, NULL, stop, NULL);
    loop_run(t.loop);
    ck_assert_str_eq(t.seen.buf, "13");
}
END_TEST

static void defer_again(void *arg)
{
    t.count++;
    loop_defer(t.loop, NULL, defer_again, arg);
}

START_TEST(endless_deferring_does_not_starve_timers)
{
    struct timer *timer = timer_new(t.loop, stop, NULL);

    loop_defer(t.loop, NULL, defer_again, NULL);
    timer_start(timer, 20);
    loop_run(t.loop);
    ck_assert_int_gt(t.count, 10);
    timer_free(timer);
}
END_TEST

static void free_own_timer(void *arg)
{
    (void)arg;
    timer_free(t.timer);
    t.timer = NULL;
    loop_defer(t.loop, NULL, stop, NULL);
}

START_TEST(a_timer_may_be_freed_in_its_callback)
{
    t.timer = timer_new(t.loop, free_own_timer, NULL);
    timer_start(t.timer, 0);
    loop_run(t.loop);
    ck_assert_ptr_null(t.timer);
}
END_TEST

START_TEST(a_timer_fires_once_and_not_early)
{
    struct timer *early = timer_new(t.loop, note, W("early")), *end = timer_new(t.loop, stop, NULL);
    struct timer *stopped = timer_new(t.loop, note, W("stopped"));

    usleep(30000); /* the turn is old when the timer starts */
    int64_t at = clock_mono_ms();
    timer_start(stopped, 1);
    timer_start(early, 5);
    timer_start(end, 1000);
    timer_start(end, 20);
    ck_assert(timer_active(stopped));
    timer_stop(stopped);
    ck_assert(!timer_active(stopped));
    loop_run(t.loop);
    ck_assert_str_eq(t.seen.buf, "early");
    ck_assert_int_ge(clock_mono_ms() - at, 19);
    ck_assert_int_lt(clock_mono_ms() - at, 900);
    timer_free(early);
    timer_free(NULL);
    /* the other two are left to loop_free */
}
END_TEST

static void on_signal(void *arg)
{
    note(arg);
    loop_stop(t.loop);
}

START_TEST(signals_arrive_on_the_loop)
{
    loop_on_signal(t.loop, SIGUSR1, on_signal, W("usr1"));
    kill(getpid(), SIGUSR1);
    loop_run(t.loop);
    ck_assert_str_eq(t.seen.buf, "usr1");
}
END_TEST

START_TEST(stop_before_run_counts)
{
    loop_stop(t.loop);
    loop_run(t.loop);
    loop_defer(t.loop, NULL, note, W("never runs, is freed"));
    ck_assert_str_eq(t.seen.buf, "");
}
END_TEST

START_TEST(time_is_the_clock_of_deadlines)
{
    int64_t before = clock_mono_ms();

    loop_defer(t.loop, NULL, stop, NULL);
    loop_run(t.loop);
    ck_assert_int_ge(loop_now(t.loop), before - 20);
    ck_assert_int_le(loop_now(t.loop), clock_mono_ms());
}
END_TEST

static void stop_at_third(void *arg)
{
    if (++t.count == 3)
        loop_stop(t.loop);
    else
        loop_defer(t.loop, NULL, stop_at_third, arg);
}

START_TEST(busy_time_of_turns_is_measured)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 16);

    loop_defer(t.loop, NULL, stop_at_third, NULL);
    loop_run(t.loop);
    metrics_write(&sb);
    ck_assert_ptr_nonnull(strstr(sb.buf, "loop_turn_seconds_count 2"));
}
END_TEST

void suite_loop(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(deferred_calls_keep_their_order);
    T(a_deferred_call_may_drop_those_behind_it);
    T(endless_deferring_does_not_starve_timers);
    T(a_timer_may_be_freed_in_its_callback);
    T(a_timer_fires_once_and_not_early);
    T(signals_arrive_on_the_loop);
    T(stop_before_run_counts);
    T(time_is_the_clock_of_deadlines);
    T(busy_time_of_turns_is_measured);
}
