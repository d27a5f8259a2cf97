/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/workqueue.h"
#include "unit.h"

static struct workqueue *q;

static void setup(void)
{
    q = workqueue_new(&(struct workqueue_options){.name = "t"});
}

static void teardown(void)
{
    workqueue_free(q);
    metrics_release();
}

/* Gets and finishes everything that is ready, as words. */
static const char *drain(int64_t now)
{
    static char words[1024];
    const char *key;

    *words = 0;
    while ((key = workqueue_get(q, now, SIZE_MAX))) {
        snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", *words ? " " : "",
                 key);
        workqueue_done(q, key, now);
    }
    return words;
}

START_TEST(keys_are_deduplicated_and_come_in_order)
{
    ck_assert_int_eq(workqueue_next(q, 0, SIZE_MAX), INT64_MAX);
    ck_assert_ptr_null(workqueue_get(q, 0, SIZE_MAX));
    workqueue_add(q, "a", PRIORITY_NORMAL, 0);
    workqueue_add(q, "b", PRIORITY_NORMAL, 0);
    workqueue_add(q, "a", PRIORITY_NORMAL, 1);
    ck_assert_uint_eq(workqueue_depth(q), 2);
    ck_assert_int_eq(workqueue_next(q, 7, SIZE_MAX), 7);
    ck_assert_str_eq(drain(1), "a b");
    ck_assert_uint_eq(workqueue_depth(q), 0);
    ck_assert_int_eq(workqueue_next(q, 7, SIZE_MAX), INT64_MAX);
}
END_TEST

START_TEST(high_priorities_go_first_and_only_rise)
{
    workqueue_add(q, "list1", PRIORITY_LOW, 0);
    workqueue_add(q, "list2", PRIORITY_LOW, 0);
    workqueue_add(q, "list3", PRIORITY_LOW, 0);
    workqueue_add(q, "probe", PRIORITY_NORMAL, 0);
    workqueue_add(q, "edit", PRIORITY_HIGH, 0);
    workqueue_add(q, "list2", PRIORITY_HIGH, 0);
    workqueue_add(q, "list2", PRIORITY_LOW, 0);
    ck_assert_uint_eq(workqueue_depth(q), 5);
    ck_assert_str_eq(drain(0), "edit list2 probe list1 list3");
}
END_TEST

START_TEST(namespaces_take_turns)
{
    static const char *const keys[] = {"noisy/a", "noisy/b", "noisy/c", "b/x", "b/y", "c/z"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        workqueue_add(q, keys[i], PRIORITY_NORMAL, 0);
    workqueue_add(q, "noisy/urgent", PRIORITY_HIGH, 0);
    ck_assert_str_eq(drain(0), "noisy/urgent noisy/a b/x c/z noisy/b b/y noisy/c");
}
END_TEST

START_TEST(a_namespace_with_much_under_way_is_passed_over)
{
    workqueue_add(q, "slow/a", PRIORITY_NORMAL, 0);
    workqueue_add(q, "slow/b", PRIORITY_HIGH, 0);
    ck_assert_str_eq(workqueue_get(q, 0, 1), "slow/b");
    ck_assert_ptr_null(workqueue_get(q, 0, 1));
    ck_assert_int_eq(workqueue_next(q, 0, 1), INT64_MAX);
    ck_assert_int_eq(workqueue_next(q, 0, 2), 0);
    workqueue_add(q, "b/x", PRIORITY_LOW, 0);
    ck_assert_str_eq(workqueue_get(q, 0, 1), "b/x");
    workqueue_done(q, "slow/b", 0);
    ck_assert_str_eq(workqueue_get(q, 0, 1), "slow/a");
}
END_TEST

START_TEST(a_key_is_never_handed_out_twice)
{
    workqueue_add(q, "a", PRIORITY_LOW, 0);
    const char *a = workqueue_get(q, 0, SIZE_MAX);
    ck_assert_str_eq(a, "a");
    workqueue_add(q, "a", PRIORITY_LOW, 1);
    workqueue_add(q, "a", PRIORITY_HIGH, 1);
    workqueue_add(q, "a", PRIORITY_LOW, 1);
    workqueue_add(q, "b", PRIORITY_NORMAL, 1);
    ck_assert_uint_eq(workqueue_depth(q), 1);
    ck_assert_str_eq(drain(1), "b");
    ck_assert_int_eq(workqueue_next(q, 1, SIZE_MAX), INT64_MAX);
    ck_assert_str_eq(a, "a"); /* lives until done */
    workqueue_add(q, "b", PRIORITY_NORMAL, 2);
    workqueue_done(q, "a", 2);
    ck_assert_str_eq(drain(2), "a b");
}
END_TEST

START_TEST(times_are_kept_and_the_earliest_wins)
{
    workqueue_add_at(q, "a", 100);
    workqueue_add_at(q, "b", 50);
    workqueue_add_at(q, "a", 200);
    workqueue_add_at(q, "c", 300);
    workqueue_add_at(q, "c", 70);
    ck_assert_uint_eq(workqueue_depth(q), 0);
    ck_assert_int_eq(workqueue_next(q, 0, SIZE_MAX), 50);
    ck_assert_str_eq(drain(49), "");
    ck_assert_str_eq(drain(50), "b");
    ck_assert_int_eq(workqueue_next(q, 50, SIZE_MAX), 70);
    ck_assert_int_eq(workqueue_next(q, 80, SIZE_MAX), 80);
    ck_assert_str_eq(drain(100), "c a");
    ck_assert_int_eq(workqueue_next(q, 100, SIZE_MAX), INT64_MAX);
    ck_assert_str_eq(drain(1000), "");
}
END_TEST

START_TEST(another_reason_does_not_cancel_a_time)
{
    workqueue_add_at(q, "a", 100);
    workqueue_add(q, "a", PRIORITY_NORMAL, 0);
    ck_assert_str_eq(drain(0), "a");
    ck_assert_int_eq(workqueue_next(q, 0, SIZE_MAX), 100);
    ck_assert_str_eq(drain(100), "a");
    ck_assert_str_eq(drain(200), "");
    workqueue_add_at(q, "b", 300); /* due while it waits for another reason: once */
    workqueue_add(q, "b", PRIORITY_LOW, 250);
    ck_assert_str_eq(drain(300), "b");
    ck_assert_str_eq(drain(400), "");
}
END_TEST

START_TEST(a_time_that_comes_during_the_work_counts_afterwards)
{
    workqueue_add(q, "a", PRIORITY_NORMAL, 0);
    ck_assert_str_eq(workqueue_get(q, 0, SIZE_MAX), "a");
    workqueue_add_at(q, "a", 10);
    ck_assert_ptr_null(workqueue_get(q, 20, SIZE_MAX));
    ck_assert_int_eq(workqueue_next(q, 20, SIZE_MAX), INT64_MAX);
    workqueue_done(q, "a", 30);
    ck_assert_str_eq(drain(30), "a");
}
END_TEST

START_TEST(failures_back_off_until_forgotten)
{
    int64_t now = 0, expected = 5;

    ck_assert_uint_eq(workqueue_failures(q, "a"), 0);
    for (unsigned i = 1; i < 40; i++) {
        workqueue_add_backoff(q, "a", 0, now);
        ck_assert_uint_eq(workqueue_failures(q, "a"), i);
        ck_assert_int_eq(workqueue_next(q, now, SIZE_MAX), now + expected);
        ck_assert_str_eq(drain(now + expected - 1), "");
        ck_assert_str_eq(drain(now + expected), "a");
        now += expected;
        expected = MIN(expected * 2, 1000000);
    }
    workqueue_forget(q, "a");
    workqueue_forget(q, "unknown");
    ck_assert_uint_eq(workqueue_failures(q, "a"), 0);
    workqueue_add_backoff(q, "a", 0, now);
    ck_assert_int_eq(workqueue_next(q, now, SIZE_MAX), now + 5);
}
END_TEST

START_TEST(back_off_is_per_key_with_the_callers_limits)
{
    workqueue_free(q);
    q = workqueue_new(&(struct workqueue_options){"t", 100, 350});
    workqueue_add_backoff(q, "a", 0, 0);
    workqueue_add_backoff(q, "a", 0, 0); /* 200, but 100 is earlier */
    workqueue_add_backoff(q, "b", 0, 1);
    ck_assert_int_eq(workqueue_next(q, 0, SIZE_MAX), 100);
    ck_assert_str_eq(drain(100), "a");
    ck_assert_str_eq(drain(101), "b");
    workqueue_add_backoff(q, "a", 0, 1000);
    ck_assert_int_eq(workqueue_next(q, 1000, SIZE_MAX), 1350);
}
END_TEST

START_TEST(what_a_server_asked_for_counts_up_to_the_limit)
{
    workqueue_free(q);
    q = workqueue_new(&(struct workqueue_options){"t", 100, 5000});
    workqueue_add_backoff(q, "a", 3000, 0);
    ck_assert_int_eq(workqueue_next(q, 0, SIZE_MAX), 3000);
    ck_assert_str_eq(drain(3000), "a");
    workqueue_add_backoff(q, "a", 50, 3000);
    ck_assert_int_eq(workqueue_next(q, 3000, SIZE_MAX), 3200);
    ck_assert_str_eq(drain(3200), "a");
    workqueue_add_backoff(q, "a", 3600000, 3200);
    ck_assert_int_eq(workqueue_next(q, 3200, SIZE_MAX), 8200);
}
END_TEST

START_TEST(an_event_comes_before_the_back_off)
{
    workqueue_add_backoff(q, "a", 0, 0);
    workqueue_add(q, "a", PRIORITY_HIGH, 1);
    ck_assert_str_eq(drain(1), "a");
    ck_assert_uint_eq(workqueue_failures(q, "a"), 1);
    ck_assert_str_eq(drain(5), "a");
}
END_TEST

START_TEST(removed_keys_are_gone)
{
    workqueue_add(q, "a", PRIORITY_HIGH, 0);
    workqueue_add_backoff(q, "a", 0, 0);
    workqueue_add_at(q, "b", 5);
    workqueue_remove(q, "a");
    workqueue_remove(q, "b");
    workqueue_remove(q, "unknown");
    ck_assert_uint_eq(workqueue_depth(q), 0);
    ck_assert_uint_eq(workqueue_failures(q, "a"), 0);
    ck_assert_int_eq(workqueue_next(q, 0, SIZE_MAX), INT64_MAX);
}
END_TEST

START_TEST(a_key_removed_while_worked_on_goes_at_done)
{
    workqueue_add(q, "a", PRIORITY_HIGH, 0);
    const char *a = workqueue_get(q, 0, SIZE_MAX);
    workqueue_add(q, "a", PRIORITY_HIGH, 0);
    workqueue_add_backoff(q, "a", 0, 0);
    workqueue_remove(q, "a");
    ck_assert_str_eq(a, "a");
    workqueue_done(q, "a", 1);
    ck_assert_str_eq(drain(1000), "");
    /* made anew while the old one is still worked on */
    workqueue_add(q, "a", PRIORITY_HIGH, 0);
    ck_assert_ptr_nonnull(workqueue_get(q, 0, SIZE_MAX));
    workqueue_remove(q, "a");
    workqueue_add(q, "a", PRIORITY_LOW, 0);
    workqueue_done(q, "a", 1);
    ck_assert_str_eq(drain(1), "a");
    workqueue_add(q, "a", PRIORITY_HIGH, 0);
    ck_assert_ptr_nonnull(workqueue_get(q, 0, SIZE_MAX));
    workqueue_remove(q, "a");
    workqueue_add_at(q, "a", 50);
    workqueue_done(q, "a", 1);
    ck_assert_str_eq(drain(50), "a");
}
END_TEST

START_TEST(forgetting_while_worked_on_keeps_the_key)
{
    workqueue_add(q, "a", PRIORITY_NORMAL, 0);
    const char *a = workqueue_get(q, 0, SIZE_MAX);
    workqueue_forget(q, "a");
    ck_assert_str_eq(a, "a");
    workqueue_done(q, a, 1);
    ck_assert_str_eq(drain(1), "");
}
END_TEST

START_TEST(what_happens_is_measured)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 16);

    workqueue_add(q, "a", PRIORITY_NORMAL, 0);
    workqueue_add(q, "b", PRIORITY_NORMAL, 0);
    workqueue_add(q, "c", PRIORITY_NORMAL, 0);
    workqueue_get(q, 2000, SIZE_MAX);
    workqueue_get(q, 3000, SIZE_MAX);
    workqueue_add_backoff(q, "a", 0, 3000);
    workqueue_observe(q, 5000);
    workqueue_done(q, "a", 6000);
    metrics_write(&sb);
    static const char *const lines[] = {
        "workqueue_adds_total{name=\"t\"} 3\n",
        "workqueue_retries_total{name=\"t\"} 1\n",
        "workqueue_depth{name=\"t\"} 1\n",
        "workqueue_unfinished_work_seconds{name=\"t\"} 5\n",
        "workqueue_longest_running_processor_seconds{name=\"t\"} 3\n",
        "workqueue_queue_duration_seconds_sum{name=\"t\"} 5\n",
        "workqueue_work_duration_seconds_sum{name=\"t\"} 4\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        if (!strstr(sb.buf, lines[i]))
            ck_abort_msg("no %s in %s", lines[i], sb.buf);
}
END_TEST

/* ---- against a model that knows nothing of lists and heaps ---- */

#define KEYS 12
#define SPACES 3

struct model_key {
    bool ready, working, again, gone;
    int priority, again_priority;
    long order; /* of getting ready */
    int64_t when;
};

struct model {
    struct model_key key[KEYS]; /* number i is of namespace i % SPACES */
    long turn[PRIORITY_HIGH + 1][SPACES];
    long clock;
};

static int model_waiting(const struct model *m, int p, int space)
{
    int n = 0;

    for (int i = space; i < KEYS; i += SPACES)
        n += m->key[i].ready && m->key[i].priority == p;
    return n;
}

static void model_queue(struct model *m, int i, int p)
{
    m->key[i].ready = false;
    if (!model_waiting(m, p, i % SPACES))
        m->turn[p][i % SPACES] = ++m->clock;
    m->key[i].ready = true;
    m->key[i].priority = p;
    m->key[i].order = ++m->clock;
}

static void model_ready(struct model *m, int i, int p)
{
    struct model_key *k = &m->key[i];

    if (k->working) {
        k->again_priority = k->again ? MAX(k->again_priority, p) : p;
        k->again = true;
        k->gone = false;
    } else if (!k->ready || p > k->priority) {
        model_queue(m, i, p);
    }
}

static bool model_full(const struct model *m, int space, size_t most)
{
    size_t n = 0;

    for (int i = space; i < KEYS; i += SPACES)
        n += m->key[i].working;
    return n >= most;
}

static bool model_before(const struct model *m, int a, int b)
{
    const struct model_key *x = &m->key[a], *y = &m->key[b];

    if (x->priority != y->priority)
        return x->priority > y->priority;
    if (a % SPACES != b % SPACES)
        return m->turn[x->priority][a % SPACES] < m->turn[x->priority][b % SPACES];
    return x->order < y->order;
}

static int model_best(const struct model *m, size_t most)
{
    int best = -1;

    for (int i = 0; i < KEYS; i++)
        if (m->key[i].ready && !model_full(m, i % SPACES, most) &&
            (best < 0 || model_before(m, i, best)))
            best = i;
    return best;
}

static int model_get(struct model *m, int64_t now, size_t most)
{
    for (;;) { /* due times in their order */
        int due = -1;

        for (int i = 0; i < KEYS; i++)
            if (m->key[i].when <= now && (due < 0 || m->key[i].when < m->key[due].when))
                due = i;
        if (due < 0)
            break;
        m->key[due].when = INT64_MAX;
        model_ready(m, due, PRIORITY_NORMAL);
    }
    int best = model_best(m, most);

    if (best >= 0) {
        int p = m->key[best].priority;

        m->key[best].ready = false;
        m->key[best].working = true;
        if (model_waiting(m, p, best % SPACES))
            m->turn[p][best % SPACES] = ++m->clock;
    }
    return best;
}

static void model_done(struct model *m, int i)
{
    struct model_key *k = &m->key[i];

    k->working = false;
    if (k->gone)
        *k = (struct model_key){.when = INT64_MAX};
    else if (k->again) {
        k->again = false;
        model_queue(m, i, k->again_priority);
    }
}

static int64_t model_next(const struct model *m, int64_t now, size_t most)
{
    int64_t next = model_best(m, most) >= 0 ? now : INT64_MAX;

    for (int i = 0; i < KEYS; i++)
        next = MIN(next, m->key[i].when < now ? now : m->key[i].when);
    return next;
}

static const char *model_name(int i)
{
    static char name[32];

    snprintf(name, sizeof(name), "n%d/k%d", i % SPACES, i);
    return name;
}

START_TEST(a_long_random_life_follows_the_model)
{
    struct model m = {0};
    int64_t now = 0;

    srand(7);
    for (int i = 0; i < KEYS; i++)
        m.key[i].when = INT64_MAX;
    for (int step = 0; step < 200000; step++) {
        int i = rand() % KEYS, p = rand() % 3;
        size_t most = rand() % 3 ? SIZE_MAX : (size_t)(rand() % 3);
        const char *key = model_name(i);

        now += rand() % 4;
        switch (rand() % 8) {
        case 0:
        case 1:
            workqueue_add(q, key, (enum workqueue_priority)p, now);
            model_ready(&m, i, p);
            break;
        case 2: {
            /* distinct times, so that the order of what is due together is defined */
            int64_t when = (now + rand() % 50) * 100000 + step % 100000;

            workqueue_add_at(q, key, when);
            m.key[i].gone = false;
            m.key[i].when = MIN(m.key[i].when, when);
            break;
        }
        case 3:
            workqueue_forget(q, key);
            break;
        case 4:
            if (rand() % 4)
                break;
            workqueue_remove(q, key);
            if (m.key[i].working)
                m.key[i] = (struct model_key){.working = true, .gone = true, .when = INT64_MAX};
            else
                m.key[i] = (struct model_key){.when = INT64_MAX};
            break;
        case 5:
            if (m.key[i].working) {
                workqueue_done(q, key, now);
                model_done(&m, i);
            }
            break;
        default: {
            int got = model_get(&m, now * 100000, most);
            const char *k = workqueue_get(q, now * 100000, most);

            if (got < 0)
                ck_assert_ptr_null(k);
            else
                ck_assert_str_eq(k, model_name(got));
        }
        }
        ck_assert_int_eq(workqueue_next(q, now * 100000, most), model_next(&m, now * 100000, most));
    }
}
END_TEST

START_TEST(thousands_of_keys_are_cheap)
{
    char key[32];

    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof(key), "namespace/cluster-%d", i);
        workqueue_add(q, key, PRIORITY_LOW, 0);
        workqueue_add_at(q, key, 100000 - i);
    }
    ck_assert_uint_eq(workqueue_depth(q), 20000);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 20000; i++) {
            const char *k = workqueue_get(q, round ? 100000 : 1, SIZE_MAX);

            ck_assert_ptr_nonnull(k);
            workqueue_done(q, k, 100000);
        }
    ck_assert_int_eq(workqueue_next(q, 0, SIZE_MAX), INT64_MAX);
}
END_TEST

static void describe(void *arg, const struct workqueue_item *i)
{
    static const char *const states[] = {"works", "ready", "waits"};

    strbuf_addf(arg, "%s %s p%d f%u", i->key, states[i->state], (int)i->priority, i->failures);
    if (i->when != INT64_MAX)
        strbuf_addf(arg, " at %d", (int)i->when);
    strbuf_addf(arg, "%s; ", i->again ? " again" : "");
}

START_TEST(it_can_be_looked_at)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(4096);

    workqueue_add_at(q, "later", 500);
    workqueue_add(q, "works", PRIORITY_NORMAL, 0);
    ck_assert_str_eq(workqueue_get(q, 0, SIZE_MAX), "works");
    workqueue_add(q, "works", PRIORITY_HIGH, 0);
    workqueue_add_backoff(q, "fails", 0, 0);
    workqueue_add(q, "low", PRIORITY_LOW, 0);
    workqueue_add(q, "high", PRIORITY_HIGH, 0);
    workqueue_each(q, describe, &sb);
    ck_assert_str_eq(sb.buf, "works works p1 f0 again; high ready p2 f0; low ready p0 f0; "
                             "fails waits p1 f1 at 5; later waits p1 f0 at 500; ");
    ck_assert_uint_eq(workqueue_items(q), 5);
}
END_TEST

void suite_workqueue(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(keys_are_deduplicated_and_come_in_order);
    T(high_priorities_go_first_and_only_rise);
    T(namespaces_take_turns);
    T(a_namespace_with_much_under_way_is_passed_over);
    T(a_key_is_never_handed_out_twice);
    T(times_are_kept_and_the_earliest_wins);
    T(another_reason_does_not_cancel_a_time);
    T(a_time_that_comes_during_the_work_counts_afterwards);
    T(failures_back_off_until_forgotten);
    T(back_off_is_per_key_with_the_callers_limits);
    T(what_a_server_asked_for_counts_up_to_the_limit);
    T(an_event_comes_before_the_back_off);
    T(removed_keys_are_gone);
    T(a_key_removed_while_worked_on_goes_at_done);
    T(forgetting_while_worked_on_keeps_the_key);
    T(what_happens_is_measured);
    T(a_long_random_life_follows_the_model);
    T(thousands_of_keys_are_cheap);
    T(it_can_be_looked_at);
}
