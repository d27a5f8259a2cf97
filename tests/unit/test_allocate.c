/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator against situations written down by hand, then against a random world. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/allocate.h"
#include "flinkop/str.h"
#include "unit.h"

#define MAX_TMS 64

static struct {
    struct arena a;
    struct alloc_tm tms[MAX_TMS];
    struct alloc_job jobs[16];
    struct alloc_input in;
    struct alloc_memory memory;
    struct alloc_result r;
} w;

static void setup(void)
{
    arena_free(&w.a);
    memset(&w, 0, sizeof(w));
    w.in = (struct alloc_input){
        .policy = {.slots = 2,
                   .max = INT_MAX,
                   .max_field = "spec.allocator.maxTaskManagers",
                   .idle_ms = 30000,
                   .start_ms = 300000,
                   .free_failures = 2,
                   .start_retry_ms = 10000,
                   .create_retry_ms = 3000},
        .flink_known = true,
        .jobmanager = "jm/0",
        .flink_ms = INT64_MAX,
        .flink_fresh = true,
        .now = 1000000,
    };
    w.memory = alloc_memory_initial();
}

static void teardown(void)
{
    arena_free(&w.a);
}

/* n TaskManagers, registered with `free` of their slots free, or starting (free < 0). */
static void tms(int n, int free)
{
    for (int i = 0; i < n; i++) {
        struct alloc_tm *tm = &w.tms[w.in.n_tms];

        *tm = (struct alloc_tm){.name = arena_printf(&w.a, "tm-%zu", ++w.in.n_tms),
                                .uid = "u",
                                .age_ms = 1000,
                                .scheduled = true,
                                .running = free >= 0,
                                .ran_ms = -1,
                                .registered = free >= 0,
                                .slots = free >= 0 ? w.in.policy.slots : 0,
                                .free = free >= 0 ? free : 0};
    }
}

static void job(int need, bool waiting)
{
    w.jobs[w.in.n_jobs++] = (struct alloc_job){.id = "j",
                                               .name = arena_printf(&w.a, "job-%zu", w.in.n_jobs),
                                               .need = need,
                                               .waiting = waiting,
                                               .starved = waiting};
}

static void run_at(int64_t now)
{
    w.in.now = now;
    w.in.tms = w.tms;
    w.in.jobs = w.jobs;
    w.r = allocate(&w.a, &w.in, &w.memory);
    w.memory = w.r.memory;
}

static void run(void)
{
    run_at(w.in.now);
}

START_TEST(an_idle_cluster_has_none)
{
    run();
    ck_assert_int_eq(w.r.create, 0);
    ck_assert_int_eq(w.r.desired, 0);
    ck_assert_int_eq(w.r.next, INT64_MAX);
}
END_TEST

START_TEST(up_goes_in_one_go)
{
    job(5, true);
    run();
    ck_assert_int_eq(w.r.create, 3);
    tms(3, -1);
    run();
    ck_assert_int_eq(w.r.create, 0);
    ck_assert_int_eq(w.r.starting, 3);
    ck_assert_int_eq(w.r.slots_needed, 5);
}
END_TEST

START_TEST(a_second_job_adds_only_what_is_missing)
{
    tms(1, 0);
    job(2, false);
    job(3, true);
    run();
    ck_assert_int_eq(w.r.desired, 3);
    ck_assert_int_eq(w.r.create, 2);
}
END_TEST

START_TEST(one_that_ended_is_replaced_at_once)
{
    job(4, false);
    tms(2, 0);
    w.tms[0].dead = true;
    w.tms[0].ran_ms = 100000;
    run();
    ck_assert_int_eq(w.r.create, 1);
    ck_assert_uint_eq(w.r.n_remove, 1);
    ck_assert_str_eq(w.r.remove[0].tm->name, "tm-1");
    ck_assert(!w.r.remove[0].recheck);
    ck_assert_int_eq(w.r.memory.start_failures, 0);
}
END_TEST

START_TEST(idle_ones_go_after_the_timeout_with_a_recheck)
{
    tms(2, 2);
    run_at(1000);
    ck_assert_uint_eq(w.r.n_remove, 0);
    run_at(1000 + 29999);
    ck_assert_uint_eq(w.r.n_remove, 0);
    ck_assert_int_eq(w.r.next, 31000);
    run_at(31000);
    ck_assert_uint_eq(w.r.n_remove, 1);
    ck_assert(w.r.remove[0].recheck);
}
END_TEST

START_TEST(use_in_between_starts_the_idle_time_anew)
{
    tms(1, 2);
    run_at(1000);
    w.tms[0].free = 1;
    run_at(20000);
    w.tms[0].free = 2;
    run_at(30000);
    run_at(59999);
    ck_assert_uint_eq(w.r.n_remove, 0);
    run_at(60000);
    ck_assert_uint_eq(w.r.n_remove, 1);
}
END_TEST

START_TEST(used_ones_stay_even_if_fewer_would_do)
{
    tms(3, 1); /* a job spread over more TaskManagers than it needs */
    job(3, false);
    run_at(1000);
    run_at(1000000);
    ck_assert_int_eq(w.r.desired, 2);
    ck_assert_uint_eq(w.r.n_remove, 0);
}
END_TEST

static void idle_for_ages(void)
{
    run_at(1000);
    run_at(20000);
    run_at(1000000);
}

START_TEST(nothing_is_released_while_a_job_waits)
{
    tms(4, 2);
    job(1, true);
    idle_for_ages();
    ck_assert_uint_eq(w.r.n_remove, 0);
}
END_TEST

START_TEST(nothing_is_released_while_a_batch_job_is_unfinished)
{
    tms(4, 2);
    job(1, false);
    w.jobs[0].batch = true;
    idle_for_ages();
    ck_assert_uint_eq(w.r.n_remove, 0);
}
END_TEST

START_TEST(not_even_one_that_starts)
{
    tms(1, 2);
    tms(1, -1);
    job(1, false);
    w.jobs[0].batch = true; /* between two stages it needs one slot only */
    run_at(1000);
    run_at(6000);
    ck_assert_uint_eq(w.r.n_remove, 0);
}
END_TEST

START_TEST(nothing_is_released_on_old_news)
{
    tms(4, 2);
    w.in.flink_fresh = false;
    idle_for_ages();
    ck_assert_uint_eq(w.r.n_remove, 0);
    ck_assert_int_le(w.r.next, w.in.now + 5000); /* news that says the same brings no pass */
}
END_TEST

START_TEST(starting_ones_that_nobody_needs_go_first_and_newest_first)
{
    tms(1, 2);
    tms(2, -1);
    w.tms[1].age_ms = 9000;
    job(2, false);
    run_at(1000);
    ck_assert_uint_eq(w.r.n_remove, 0); /* it may be noise */
    run_at(6000);
    ck_assert_uint_eq(w.r.n_remove, 2);
    ck_assert_str_eq(w.r.remove[0].tm->name, "tm-3");
    ck_assert(w.r.remove[0].recheck);
}
END_TEST

START_TEST(without_flink_running_ones_are_kept)
{
    tms(2, 2);
    tms(1, -1);
    run_at(1000);
    w.in.flink_known = w.in.flink_fresh = false;
    for (int i = 0; i < 2; i++) /* nobody says so any more */
        w.tms[i].registered = false;
    run_at(1000000);
    ck_assert_uint_eq(w.r.n_remove, 1);
    ck_assert_str_eq(w.r.remove[0].tm->name, "tm-3");
    ck_assert(!w.r.remove[0].recheck);
}
END_TEST

START_TEST(limits_hold_and_say_so)
{
    w.in.policy.max = 2;
    w.in.policy.min = 1;
    run();
    ck_assert_int_eq(w.r.create, 1);
    job(10, true);
    run();
    ck_assert_int_eq(w.r.create, 2);
    ck_assert_str_eq(w.r.problem.reason, "MaxTaskManagers");
    ck_assert_str_eq(w.r.problem.message, "jobs need 10 slots, the limit of 2 TaskManagers with 2 "
                                          "slots each allows 4");
}
END_TEST

START_TEST(spares_are_there_while_jobs_run)
{
    w.in.policy.spare = 2;
    run();
    ck_assert_int_eq(w.r.desired, 0);
    job(1, false);
    run();
    ck_assert_int_eq(w.r.desired, 3);
    w.in.policy.max = 2; /* of what is spare nobody needs to be told */
    run();
    ck_assert_int_eq(w.r.desired, 2);
    ck_assert_ptr_null(w.r.problem.reason);
}
END_TEST

START_TEST(one_that_never_registers_is_replaced)
{
    job(1, true);
    tms(1, -1);
    w.tms[0].age_ms = 299000;
    run();
    ck_assert_uint_eq(w.r.n_remove, 0);
    ck_assert_int_eq(w.r.next, w.in.now + 1000);
    w.tms[0].age_ms = 300000;
    run();
    ck_assert_uint_eq(w.r.n_remove, 1);
    ck_assert_int_eq(w.r.create, 1);
    ck_assert_str_eq(w.r.memory.start_cause.reason, "StartTimeout");
}
END_TEST

START_TEST(after_a_restart_of_the_jobmanager_all_may_register_again)
{
    job(1, true);
    tms(1, -1);
    w.tms[0].age_ms = 10000000;
    w.in.flink_ms = 1000;
    run();
    ck_assert_uint_eq(w.r.n_remove, 0);
    ck_assert_int_eq(w.r.next, w.in.now + 299000);
}
END_TEST

START_TEST(none_beyond_the_limit_while_one_may_yet_be_kept)
{
    job(1, true);
    tms(1, -1);
    w.tms[0].age_ms = 300000;
    w.in.policy.max = 1;
    run();
    ck_assert_uint_eq(w.r.n_remove, 1);
    ck_assert(w.r.remove[0].recheck);
    ck_assert_int_eq(w.r.create, 0);
}
END_TEST

START_TEST(nothing_is_released_while_a_job_is_being_submitted)
{
    tms(1, 2);
    run();
    w.in.hold = true;
    run_at(w.in.now + 100000);
    ck_assert_uint_eq(w.r.n_remove, 0);
    w.in.hold = false;
    run_at(w.in.now + 1000);
    run_at(w.in.now + 100000);
    ck_assert_uint_eq(w.r.n_remove, 1);
}
END_TEST

START_TEST(one_without_a_node_waits_for_it)
{
    job(1, true);
    tms(1, -1);
    w.tms[0].scheduled = false;
    w.tms[0].age_ms = 10000000;
    run();
    ck_assert_uint_eq(w.r.n_remove, 0);
    ck_assert_int_eq(w.r.create, 0);
}
END_TEST

/* A new pod that dies young; returns how many are created in its place. */
static int die_young(int64_t now)
{
    w.in.n_tms = 0;
    tms(1, -1);
    w.tms[0].name = arena_printf(&w.a, "at-%lld", (long long)now);
    w.tms[0].dead = true;
    w.tms[0].ran_ms = 3000;
    w.tms[0].cause = (struct obs_cause){"Error", "exit code 1: no memory"};
    run_at(now);
    ck_assert_uint_eq(w.r.n_remove, 1);
    run_at(now); /* the same death is counted once */
    return w.r.create;
}

START_TEST(young_deaths_slow_creation_down_and_tell_why)
{
    job(1, true);
    ck_assert_int_eq(die_young(1000), 1);
    ck_assert_int_eq(die_young(2000), 1);
    ck_assert_int_eq(die_young(3000), 0);
    ck_assert_str_eq(w.r.problem.reason, "TaskManagerStartFailed");
    ck_assert_str_eq(w.r.problem.message, "3 TaskManagers in a row failed soon after their start, "
                                          "the last one: Error: exit code 1: no memory");
    ck_assert_int_eq(w.r.next, 13000);
    w.in.n_tms = 0;
    run_at(13000);
    ck_assert_int_eq(w.r.create, 1);
    tms(1, -1);
    run_at(13100); /* until it lives nothing else is known */
    ck_assert_str_eq(w.r.problem.reason, "TaskManagerStartFailed");
    ck_assert_int_eq(die_young(14000), 0);
    ck_assert_int_eq(w.r.next, 34000);
    for (int i = 0; i < 20; i++)
        die_young(20000 + i);
    ck_assert_int_eq(w.r.next, 20019 + 300000);
    /* One that lives a minute ends it. */
    w.in.n_tms = 0;
    tms(1, 0);
    run_at(400000);
    run_at(460000);
    ck_assert_int_eq(w.r.memory.start_failures, 0);
    ck_assert_ptr_null(w.r.problem.reason);
}
END_TEST

START_TEST(young_deaths_count_beside_one_that_has_lived_for_long)
{
    job(4, true);
    tms(1, 0);
    run_at(1000);
    run_at(100000);
    for (int i = 1; i <= 3; i++) {
        w.in.n_tms = 1;
        tms(1, -1);
        w.tms[1].name = arena_printf(&w.a, "young-%d", i);
        w.tms[1].dead = true;
        w.tms[1].ran_ms = 3000;
        w.tms[1].cause = (struct obs_cause){"Error", "exit code 1"};
        run_at(100000 + i);
        ck_assert_int_eq(w.r.memory.start_failures, i);
        ck_assert_int_eq(w.r.create, i < 3);
    }
}
END_TEST

START_TEST(patience_is_new_when_nobody_needs_any)
{
    job(1, true);
    for (int i = 0; i < 4; i++)
        die_young(1000 + i);
    ck_assert_int_eq(w.r.create, 0);
    w.in.n_tms = w.in.n_jobs = 0;
    run_at(2000);
    job(1, true);
    run_at(2100);
    ck_assert_int_eq(w.r.create, 1);
}
END_TEST

START_TEST(an_end_is_told_once_with_its_cause)
{
    job(4, false);
    tms(2, 0);
    w.tms[0].dead = true;
    w.tms[0].ran_ms = 1000000;
    w.tms[0].cause = (struct obs_cause){"OOMKilled", "more memory than its limit"};
    w.tms[1].dead = true;
    w.tms[1].ran_ms = 1000000;
    run();
    ck_assert_uint_eq(w.r.n_remove, 2);
    ck_assert_str_eq(w.r.remove[0].cause.reason, "OOMKilled");
    ck_assert_str_eq(w.r.remove[1].cause.reason, "Ended");
    ck_assert_int_eq(w.r.memory.start_failures, 0);
    run();
    ck_assert_uint_eq(w.r.n_remove, 2);
    ck_assert_ptr_null(w.r.remove[0].cause.reason);
}
END_TEST

START_TEST(one_that_the_jobmanager_has_lost_is_replaced_soon)
{
    job(2, true);
    tms(1, 0);
    run_at(1000);
    w.tms[0].registered = false; /* its node is gone, say: the pod seems to run */
    w.tms[0].free = w.tms[0].slots = 0;
    run_at(2000);
    ck_assert_uint_eq(w.r.n_remove, 0);
    ck_assert_int_eq(w.r.create, 0);
    ck_assert_int_eq(w.r.next, 12000);
    run_at(12000);
    ck_assert_uint_eq(w.r.n_remove, 1);
    ck_assert(w.r.remove[0].recheck);
    ck_assert_str_eq(w.r.remove[0].cause.reason, "Lost");
    ck_assert_int_eq(w.r.create, 1);
}
END_TEST

START_TEST(one_that_comes_back_in_time_stays)
{
    job(2, true);
    tms(1, 0);
    run_at(1000);
    w.tms[0].registered = false;
    run_at(2000);
    w.tms[0].registered = true;
    run_at(11000);
    w.tms[0].registered = false;
    run_at(12000);
    ck_assert_uint_eq(w.r.n_remove, 0);
    ck_assert_int_eq(w.r.next, 22000);
}
END_TEST

START_TEST(another_jobmanager_has_not_lost_what_it_never_had)
{
    job(2, true);
    tms(1, 0);
    run_at(1000);
    w.in.jobmanager = "jm/1";
    w.in.flink_ms = 0;
    w.tms[0].registered = false;
    run_at(2000);
    w.in.flink_ms = 200000;
    w.tms[0].age_ms = 1000000;
    run_at(202000);
    ck_assert_uint_eq(w.r.n_remove, 0);
    ck_assert_int_eq(w.r.next, 302000);
}
END_TEST

START_TEST(refused_pods_slow_creation_down)
{
    job(1, true);
    run_at(1000);
    ck_assert_int_eq(w.r.create, 1);
    w.in.create_failed = true;
    w.in.create_error = (struct obs_cause){"QuotaExceeded", "exceeded quota: q"};
    run_at(1100);
    ck_assert_int_eq(w.r.create, 0);
    ck_assert_str_eq(w.r.problem.reason, "QuotaExceeded");
    ck_assert_int_eq(w.r.next, 4100);
    w.in.create_failed = false;
    run_at(4100);
    ck_assert_int_eq(w.r.create, 1);
    w.in.create_failed = true;
    run_at(4200);
    ck_assert_int_eq(w.r.next, 10200);
    w.in.create_failed = false;
    for (int i = 0; i < 10; i++) { /* a minute at most: somebody may raise the quota */
        w.in.create_failed = true;
        run_at(20000);
    }
    ck_assert_int_eq(w.r.next, 80000);
    w.in.create_failed = false;
    tms(1, -1);
    run_at(10200);
    ck_assert_int_eq(w.r.memory.create_failures, 0);
}
END_TEST

START_TEST(jobs_that_wait_in_vain_get_one_more_at_a_time)
{
    job(2, true); /* Flink 1.18: the groups are not known, 6 at most */
    w.jobs[0].need_max = 6;
    tms(1, 0);
    run_at(1000);
    ck_assert_int_eq(w.r.create, 0);
    run_at(6000);
    ck_assert_int_eq(w.r.create, 1);
    tms(1, 0);
    run_at(7000);
    ck_assert_int_eq(w.r.create, 0);
    run_at(12000);
    ck_assert_int_eq(w.r.create, 1);
    tms(1, 0);
    run_at(100000);
    run_at(200000);
    ck_assert_int_eq(w.r.desired, 3);
}
END_TEST

START_TEST(a_deadlock_under_the_limit_is_named)
{
    w.in.policy.max = 2;
    tms(2, 0);
    job(4, true);
    job(4, true);
    run_at(1000);
    ck_assert_str_eq(w.r.problem.reason, "MaxTaskManagers");
    ck_assert_int_eq(w.r.next, 31000);
    run_at(31000);
    ck_assert_str_eq(w.r.problem.reason, "AllocationDeadlock");
    ck_assert_str_eq(w.r.problem.message,
                     "jobs wait for each other: job-1 (4 slots), job-2 (4 slots) share the 4 slots "
                     "of 2 TaskManagers, which is the limit, and none has enough; raise "
                     "spec.allocator.maxTaskManagers or cancel one of them");
    w.in.n_jobs = 1;
    run_at(32000);
    ck_assert_ptr_null(w.r.problem.reason);
}
END_TEST

START_TEST(jobs_that_wait_for_one_that_runs_are_no_deadlock)
{
    w.in.policy.max = 2;
    tms(2, 0);
    job(3, false); /* it holds three of four slots */
    job(2, true);
    job(2, true);
    run_at(1000);
    run_at(100000);
    ck_assert_str_eq(w.r.problem.reason, "MaxTaskManagers");
    w.jobs[0].need = 2; /* what is left would do for one */
    run_at(200000);
    ck_assert_str_eq(w.r.problem.reason, "MaxTaskManagers");
    run_at(230000);
    ck_assert_str_eq(w.r.problem.reason, "AllocationDeadlock");
    w.jobs[1].starved = false; /* it has its slots, its tasks restore state */
    run_at(231000);
    ck_assert_str_eq(w.r.problem.reason, "MaxTaskManagers");
}
END_TEST

START_TEST(a_job_that_has_its_slots_needs_no_more)
{
    job(2, true); /* 6 at most, but it only takes long to start */
    w.jobs[0].need_max = 6;
    w.jobs[0].starved = false;
    tms(1, 0);
    run_at(1000);
    run_at(100000);
    ck_assert_int_eq(w.r.create, 0);
}
END_TEST

START_TEST(slots_are_summed_over_the_sharing_groups)
{
    struct flink_vertex v[] = {
        {.slot_sharing_group = "a", .parallelism = 4},
        {.slot_sharing_group = "b", .parallelism = 4},
        {.slot_sharing_group = "b", .parallelism = 1},
    };
    struct flink_job_detail d = {.vertices = v, .n_vertices = 3};
    int max;

    ck_assert_int_eq(job_slots(&d, &max), 8);
    ck_assert_int_eq(max, 8);
    for (int i = 0; i < 3; i++)
        v[i].slot_sharing_group = NULL;
    ck_assert_int_eq(job_slots(&d, &max), 4);
    ck_assert_int_eq(max, 9);
    d.n_vertices = 0;
    ck_assert_int_eq(job_slots(&d, &max), 0);
}
END_TEST

START_TEST(of_a_batch_job_what_runs_now_counts)
{
    struct flink_vertex v[] = {
        {.slot_sharing_group = "a", .parallelism = 4, .tasks[TASKS_FINISHED] = 4},
        {.slot_sharing_group = "b", .parallelism = 3, .tasks[TASKS_RUNNING] = 1},
        {.slot_sharing_group = "c", .parallelism = 2, .tasks[TASKS_SCHEDULED] = 2},
        {.slot_sharing_group = "d", .parallelism = 8, .tasks[TASKS_CREATED] = 8},
    };
    struct flink_job_detail d = {.batch = true, .vertices = v, .n_vertices = 4};
    int max;

    ck_assert_int_eq(job_slots(&d, &max), 5);
    ck_assert_int_eq(max, 5);
    for (int i = 0; i < 4; i++)
        v[i].slot_sharing_group = NULL;
    ck_assert_int_eq(job_slots(&d, &max), 3);
    ck_assert_int_eq(max, 5);
    d.n_vertices = 1; /* between two parts */
    ck_assert_int_eq(job_slots(&d, &max), 1);
    ck_assert_int_eq(max, 1);
}
END_TEST

/* ---- a random world ---- */

/* Jobs come and go, TaskManagers start, register, die; Flink spreads jobs over free slots at
 * random. Whatever the allocator says is done, some of it late or not at all. */
struct world_tm {
    bool exists, registered, dead;
    int used;
    int64_t born;
    int id;
};
struct world_job {
    bool exists;
    int need, have;
};

static struct {
    struct world_tm tms[MAX_TMS];
    struct world_job jobs[8];
    int next_id;
    int64_t now;
} world;

static int any(int n)
{
    return (int)(random() % n);
}

static void release_job(struct world_job *j)
{
    int left = j->have;

    for (int i = 0; i < MAX_TMS && left; i++) {
        int take = MIN(world.tms[i].used, left);

        world.tms[i].used -= take;
        left -= take;
    }
    *j = (struct world_job){0};
}

static void flink_step(void)
{
    for (int i = 0; i < 8; i++) {
        struct world_job *j = &world.jobs[i];

        for (int k = 0; k < 200 && j->exists && j->have < j->need; k++) {
            struct world_tm *tm = &world.tms[any(MAX_TMS)];

            if (tm->exists && tm->registered && !tm->dead && tm->used < w.in.policy.slots) {
                tm->used++;
                j->have++;
            }
        }
    }
}

static void kill_tm(struct world_tm *tm)
{
    int lost = tm->used;

    for (int i = 0; i < 8 && lost; i++) {
        int take = MIN(world.jobs[i].have, lost);

        world.jobs[i].have -= take;
        lost -= take;
    }
    tm->used = 0;
    tm->dead = true;
}

static void world_step(bool calm)
{
    world.now += 200 + any(2000);
    for (int i = 0; i < MAX_TMS; i++) {
        struct world_tm *tm = &world.tms[i];

        if (tm->exists && !tm->registered && world.now - tm->born > 2000 + any(4000))
            tm->registered = true;
        if (!calm && tm->exists && !tm->dead && !any(200))
            kill_tm(tm);
    }
    if (!calm && !any(20)) {
        struct world_job *j = &world.jobs[any(8)];

        if (j->exists)
            release_job(j);
        else
            *j = (struct world_job){true, 1 + any(9), 0};
    }
    flink_step();
}

static void look(void)
{
    w.in.n_tms = w.in.n_jobs = 0;
    for (int i = 0; i < MAX_TMS; i++) {
        const struct world_tm *tm = &world.tms[i];

        if (!tm->exists)
            continue;
        w.tms[w.in.n_tms++] = (struct alloc_tm){
            .name = arena_printf(&w.a, "tm-%d", tm->id),
            .uid = arena_printf(&w.a, "%d", i),
            .age_ms = world.now - tm->born,
            .scheduled = true,
            .dead = tm->dead,
            .ran_ms = tm->dead ? world.now - tm->born : -1,
            .cause = {"Error", "died"},
            .registered = tm->registered && !tm->dead,
            .slots = w.in.policy.slots,
            .free = w.in.policy.slots - tm->used,
        };
    }
    for (int i = 0; i < 8; i++)
        if (world.jobs[i].exists)
            job(world.jobs[i].need, world.jobs[i].have < world.jobs[i].need);
    w.in.flink_fresh = any(10) > 0;
}

/* Carries out what was decided; the recheck before a release sees the world as it is now. */
static void act(bool calm)
{
    for (size_t i = 0; i < w.r.n_remove; i++) {
        struct world_tm *tm = &world.tms[atoi(w.r.remove[i].tm->uid)];

        if (!calm && !any(5))
            continue;
        if (w.r.remove[i].recheck && tm->used)
            continue;
        ck_assert_msg(!tm->used || tm->dead, "a used TaskManager was taken away");
        *tm = (struct world_tm){0};
    }
    for (int n = 0; n < w.r.create; n++)
        for (int i = 0; i < MAX_TMS; i++)
            if (!world.tms[i].exists) {
                world.tms[i] =
                    (struct world_tm){.exists = true, .born = world.now, .id = ++world.next_id};
                break;
            }
}

START_TEST(a_random_world_is_served)
{
    srandom(4711U + (unsigned)_i);
    memset(&world, 0, sizeof(world));
    world.now = 1;
    w.in.policy.slots = 1 + any(4);
    w.in.policy.max = any(3) ? INT_MAX : 6;
    w.in.policy.min = any(3) ? 0 : 1;
    w.in.policy.spare = any(3) ? 0 : 1;
    for (int step = 0; step < 1500; step++) {
        bool calm = step > 1000;
        int count = 0, need = 0;

        world_step(calm);
        look();
        run_at(world.now);
        for (int i = 0; i < MAX_TMS; i++)
            count += world.tms[i].exists && !world.tms[i].dead;
        ck_assert_int_ge(w.r.create, 0);
        ck_assert_msg(!w.r.create || count + w.r.create <= w.in.policy.max, "over the limit");
        act(calm);
        for (int i = 0; i < 8; i++)
            need += world.jobs[i].exists ? world.jobs[i].need : 0;
        if (step == 1499 && (need + w.in.policy.slots - 1) / w.in.policy.slots <= w.in.policy.max)
            for (int i = 0; i < 8; i++)
                ck_assert_msg(world.jobs[i].have == world.jobs[i].need, "a job was left waiting");
    }
    for (int i = 0; i < 8; i++)
        release_job(&world.jobs[i]);
    for (int step = 0; step < 300; step++) {
        world_step(true);
        look();
        run_at(world.now);
        act(true);
    }
    int left = 0;

    for (int i = 0; i < MAX_TMS; i++)
        left += world.tms[i].exists;
    ck_assert_int_eq(left, w.in.policy.min);
}
END_TEST

void suite_allocate(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(an_idle_cluster_has_none);
    T(up_goes_in_one_go);
    T(a_second_job_adds_only_what_is_missing);
    T(one_that_ended_is_replaced_at_once);
    T(idle_ones_go_after_the_timeout_with_a_recheck);
    T(use_in_between_starts_the_idle_time_anew);
    T(used_ones_stay_even_if_fewer_would_do);
    T(nothing_is_released_while_a_job_waits);
    T(nothing_is_released_while_a_batch_job_is_unfinished);
    T(not_even_one_that_starts);
    T(nothing_is_released_on_old_news);
    T(starting_ones_that_nobody_needs_go_first_and_newest_first);
    T(without_flink_running_ones_are_kept);
    T(limits_hold_and_say_so);
    T(spares_are_there_while_jobs_run);
    T(one_that_never_registers_is_replaced);
    T(after_a_restart_of_the_jobmanager_all_may_register_again);
    T(none_beyond_the_limit_while_one_may_yet_be_kept);
    T(nothing_is_released_while_a_job_is_being_submitted);
    T(one_without_a_node_waits_for_it);
    T(young_deaths_slow_creation_down_and_tell_why);
    T(young_deaths_count_beside_one_that_has_lived_for_long);
    T(patience_is_new_when_nobody_needs_any);
    T(an_end_is_told_once_with_its_cause);
    T(one_that_the_jobmanager_has_lost_is_replaced_soon);
    T(one_that_comes_back_in_time_stays);
    T(another_jobmanager_has_not_lost_what_it_never_had);
    T(refused_pods_slow_creation_down);
    T(jobs_that_wait_in_vain_get_one_more_at_a_time);
    T(a_deadlock_under_the_limit_is_named);
    T(jobs_that_wait_for_one_that_runs_are_no_deadlock);
    T(a_job_that_has_its_slots_needs_no_more);
    T(slots_are_summed_over_the_sharing_groups);
    T(of_a_batch_job_what_runs_now_counts);
    tcase_add_loop_test(tc, a_random_world_is_served, 0, 20);
}
