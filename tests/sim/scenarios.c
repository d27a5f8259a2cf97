/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios.h"

#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "operator.h"
#include "users.h"

#define CHAOS_MS (15 * MINUTE)
#define SETTLE_MS (35 * MINUTE) /* a quarter for a run that may come, ten for its savepoint */
#define QUIET_MS (3 * MINUTE)
#define EMPTY_MS (12 * MINUTE)

/* What users make. */
static const int kinds[] = {KIND_FLINKDEPLOYMENT, KIND_FLINKSESSIONJOB};

/* ---- going on ---- */

static void run_for(int64_t ms)
{
    int64_t until = sim.now + ms;

    while (sim_step(until))
        ;
}

static void tell_all(void)
{
    cleanup_arena struct arena a = {0};

    for (size_t i = 0; i < ARRAY_SIZE(kinds) && sim.tracing; i++) {
        struct object *o;
        void *at = NULL;

        while ((o = api_next(kinds[i], &at)))
            trace("%s %s: %s", kind_name(o->kind), o->name, json_text(&a, o->at->v));
    }
    for (struct jm *jm = jm_next(NULL); jm && sim.tracing; jm = jm_next(jm)) {
        for (int i = 0; i < jm->n_regs; i++)
            trace("%s: %s uses %d of %d slots", jm->name, jm->regs[i]->id, jm->regs[i]->used,
                  jm->regs[i]->slots);
        for (int i = 0; i < jm->n_jobs; i++)
            trace("%s: job %.8s %s has %d of %d slots", jm->name, jm->jobs[i]->jid,
                  job_state_name(jm->jobs[i]->state), jm->jobs[i]->have, jm->jobs[i]->need);
    }
}

/* Until nothing has been wrong for a while. */
static void run_until(const char *(*wrong)(struct arena *a), int64_t within, const char *what)
{
    int64_t deadline = sim.now + within;
    cleanup_arena struct arena a = {0};
    const char *text;

    for (int good = 0; good < 9;) {
        arena_reset(&a);
        text = wrong(&a);
        if (text && sim.now >= deadline)
            tell_all();
        CHECK(!text || sim.now < deadline, "%s: %s", what, text);
        good = text ? 0 : good + 1;
        user_help_deletions();
        user_restore_jobs();
        user_drop_habits();
        run_for(5 * SECOND);
    }
}

/* Savepoints that are being taken, each with a write to come that says how that ended. */
static int savepoints_under_way(void)
{
    int n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct object *o;
        void *at = NULL;

        while ((o = api_next(kinds[i], &at)))
            n += jv_present(JV_PATH(o->at->v, "status", "jobStatus", "savepointInfo", "triggerId"));
    }
    return n;
}

static void stay_quiet(void)
{
    struct kube_counts before = kube_counts;
    cleanup_arena struct arena a = {0};
    int stops = check_stops(), under_way = savepoints_under_way();
    const char *wrong;

    TRACE("---- quiet from here on ----");
    run_for(QUIET_MS);
    wrong = check_settled(&a);
    CHECK(!wrong, "it was settled, and now: %s", wrong);
    /* A savepoint that fails is tried again: its id is recorded, and its end. The last one may have
     * been recorded, and not begun. */
    under_way += savepoints_under_way();
    CHECK(kube_writes(&kube_counts) - kube_writes(&before) <=
              2 * (check_stops() - stops) + under_way,
          "%d writes in %lld minutes of quiet", kube_writes(&kube_counts) - kube_writes(&before),
          QUIET_MS / MINUTE);
}

/* Other labels restart nothing, other content whom it shall, once. */
static void change_references(void)
{
    check_note_starts();
    user_change_references(false);
    run_for(10 * SECOND);
    run_until(check_settled, SETTLE_MS, "after other labels");
    check_starts(false);
    check_note_starts();
    user_change_references(true);
    run_for(10 * SECOND);
    run_until(check_settled, SETTLE_MS, "after other content");
    check_starts(true);
}

/* What throws a job back while nothing disturbs is told, and by no operator again. */
static void throw_exceptions(void)
{
    check_note_exceptions();
    run_for(30 * SECOND);
    run_until(check_settled, SETTLE_MS, "after exceptions");
    check_exceptions_told();
}

static void delete_all(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct object *o;
        void *at = NULL;

        while ((o = api_next(kinds[i], &at)))
            user_delete(kinds[i], o->name, "Background");
    }
    user_delete_references();
}

/* ---- worlds ---- */

static void begin(uint64_t seed, unsigned enabled)
{
    sim_reset(seed, enabled);
    api_reset();
    check_reset();
    memset(&kube_counts, 0, sizeof(kube_counts));
    quota_exhausted = false;
    operator_start();
    run_for(SECOND);
}

static void end(struct totals *totals)
{
    totals->worlds++;
    totals->passes += operator_passes();
    totals->events += sim.events;
    totals->ms += sim.now - SIM_START;
    totals->races += check_counts.races;
    totals->releases += check_counts.releases;
    operator_release();
    kube_requests_release();
    flink_calls_release();
    flink_release();
    api_release();
    check_release();
    sim_release();
}

static void chaos(void)
{
    user_apply_cluster(&(struct user_cluster){.name = "ant", .tag = "1.20", .slots = 2});
    user_apply_cluster(&(struct user_cluster){.name = "cat", .tag = "1.20", .slots = 2});
    user_apply_application(&(struct user_application){.name = "dog",
                                                      .tag = "1.20",
                                                      .entry_class = "Plain",
                                                      .mode = "last-state",
                                                      .slots = 2,
                                                      .parallelism = 3});
    user_make_references();
    for (int i = 0; i < 4; i++)
        user_create_something();
    chaos_start();
    run_for(CHAOS_MS);
    chaos_end();
    run_until(check_settled, SETTLE_MS, "after the chaos");
    change_references();
    throw_exceptions();
    stay_quiet();
    delete_all();
    run_until(check_empty, EMPTY_MS, "after deleting everything");
}

void world_run(uint64_t seed, unsigned enabled, struct totals *totals)
{
    begin(seed, enabled);
    chaos();
    end(totals);
}
