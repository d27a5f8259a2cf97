/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the job of an application does well: how often Flink starts it again, and whether it
 * completes checkpoints (kubernetes.operator.cluster.health-check.*, api-contract §2.7). One that
 * does not is taken away and goes on, in another JobManager, from what high availability keeps.
 *
 * Where that is asked for, Flink is asked four times a minute. What it tells is noted in memory;
 * the status says it (clusterInfo.ClusterHealthInfo) when a run is seen for the first time and when
 * it is found to be unwell: numbers that change with every checkpoint would cost a write for each.
 */
#include <string.h>

#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "job_words.h"

#define CHECK "kubernetes.operator.cluster.health-check."
#define LOOK_MS 15000
#define CHECKPOINTING "execution.checkpointing."
#define CHECKPOINT_TIMEOUT_MS 600000 /* Flink's default */

static int64_t duration(const struct cluster_pass *p, const char *key, int64_t fallback)
{
    struct error err;
    int64_t ms;

    if (conf_duration(&p->config.conf, key, fallback, &ms, &err))
        ms = fallback;
    return MIN(ms, LONGEST_MS);
}

bool health_is_checked(const struct cluster_pass *p)
{
    return p->application && flink_option_on(&p->config.conf, CHECK "enabled");
}

/* ---- what Flink tells ---- */

static const struct outcome *answer(const struct cluster_pass *p)
{
    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];

        if (o->type == ACT_READ_HEALTH && o->ok && str_eq(o->job_id, p->job_id))
            return o;
    }
    return NULL;
}

/* Flink counts anew in another JobManager, and for another run. */
static void begin_with(struct health_notes *m, const struct outcome *o, int64_t now)
{
    m->since = m->grown = now;
    m->restarts = o->restarts;
    m->checkpoints = o->checkpoints;
}

static void ask(struct cluster_pass *p)
{
    struct health_notes *m = &p->plan.memory.health;

    if (m->asked < 0 || p->s->now - m->asked >= LOOK_MS) {
        struct job_stop job = application_stop(p, UPGRADE_LAST_STATE);

        m->asked = p->s->now;
        (void)job_ask(&job, ACT_READ_HEALTH);
    }
    plan_wake(&p->plan, m->asked + LOOK_MS);
}

/* ---- what that says ---- */

/* Restarts for each time window; a look further back than one counts by its share. */
static const char *restarts_too_often(struct cluster_pass *p, int64_t restarts)
{
    struct health_notes *m = &p->plan.memory.health;
    int64_t window = duration(p, CHECK "restarts.window", 120000), n = restarts - m->restarts;
    int64_t most = 64, passed = p->s->now - m->since;
    struct error err;

    if (flink_option_int(&p->config.conf, CHECK "restarts.threshold", &most, &err))
        most = 64;
    if (passed > window)
        n = (int64_t)((double)n * (double)window / (double)passed);
    if (n > most)
        return arena_printf(p->a,
                            "it has restarted %lld times in %lld s, more than the %lld that " CHECK
                            "restarts.threshold allows",
                            (long long)n, (long long)(MIN(passed, window) / 1000), (long long)most);
    if (passed >= window) {
        m->since = p->s->now;
        m->restarts = restarts;
    }
    return NULL;
}

/* How long it may be without a new checkpoint; -1: it takes none. */
static int64_t checkpoint_window(const struct cluster_pass *p)
{
    int64_t interval = duration(p, CHECKPOINTING "interval", -1), failures = 0, least;
    int64_t asked = duration(p, CHECK "checkpoint-progress.window", -1);
    struct error err;

    if (interval <= 0)
        return asked;
    if (conf_int(&p->config.conf, CHECKPOINTING "tolerable-failed-checkpoints", 0, &failures, &err))
        failures = 0;
    least = MAX(interval, duration(p, CHECKPOINTING "timeout", CHECKPOINT_TIMEOUT_MS));
    return MAX(asked, MIN(least, LONGEST_MS) * (MIN(MAX(failures, (int64_t)0), 1000) + 2));
}

static const char *checkpoints_missing(struct cluster_pass *p, int64_t checkpoints)
{
    struct health_notes *m = &p->plan.memory.health;
    int64_t window = checkpoint_window(p);

    if (checkpoints > m->checkpoints) {
        m->checkpoints = checkpoints;
        m->grown = p->s->now;
    }
    if (!flink_option_on(&p->config.conf, CHECK "checkpoint-progress.enabled") || window < 0 ||
        checkpoints < 0 || p->s->now - m->grown <= window)
        return NULL;
    return arena_printf(p->a, "it has not completed a checkpoint for %lld s",
                        (long long)(p->s->now - m->grown) / 1000);
}

static const char *note(struct cluster_pass *p, const struct outcome *o, const char *unwell)
{
    const struct health_notes *m = &p->plan.memory.health;
    int64_t epoch = p->s->wall - p->s->now;
    jv result = OBJ({"healthy", BOOL(!unwell)}, {"error", STR(unwell)});

    return json_text(p->a, OBJ({"timeStamp", INT(p->s->wall)}, {"numRestarts", INT(o->restarts)},
                               {"numRestartsEvaluationTimeStamp", INT(epoch + m->since)},
                               {"numCompletedCheckpoints", INT(o->checkpoints)},
                               {"numCompletedCheckpointsIncreasedTimeStamp", INT(epoch + m->grown)},
                               {"healthResult", result}));
}

static void judge_answer(struct cluster_pass *p, const struct outcome *o)
{
    struct health_notes *m = &p->plan.memory.health;
    bool first = m->since < 0;

    if (o->restarts < 0) /* Flink gathers metrics when it is asked: the first time it has none */
        return;
    if (first || o->restarts < m->restarts ||
        (o->checkpoints >= 0 && o->checkpoints < m->checkpoints)) {
        begin_with(m, o, p->s->now);
        if (first)
            p->health_told = note(p, o, NULL);
        return;
    }
    const char *unwell = restarts_too_often(p, o->restarts);

    if (!unwell)
        unwell = checkpoints_missing(p, o->checkpoints);
    if (!unwell)
        return;
    m->unwell = unwell;
    p->health_told = note(p, o, unwell);
}

struct health_notes health_notes_initial(void)
{
    return (struct health_notes){.asked = -1, .since = -1};
}

struct health_notes health_notes_copy(struct arena *a, const struct health_notes *m)
{
    struct health_notes copy = *m;

    copy.asker = m->asker ? arena_strdup(a, m->asker) : NULL;
    copy.unwell = m->unwell ? arena_strdup(a, m->unwell) : NULL;
    return copy;
}

const char *job_unwell(struct cluster_pass *p)
{
    struct health_notes *m = &p->plan.memory.health;
    const struct outcome *o = answer(p);
    const char *asker =
        arena_printf(p->a, "%s %s", str_or_empty(p->job_id), str_or_empty(p->jm_instance));

    /* Not before the record says that another one comes: its write may fail. */
    if (!health_is_checked(p) || !p->job || !p->up_to_date || job_upgrading(p) ||
        job_state_terminal(p->job_state)) {
        *m = health_notes_initial();
        return NULL;
    }
    if (!str_eq(m->asker, asker)) {
        *m = health_notes_initial();
        m->asker = asker;
    } else if (o && !m->unwell) {
        judge_answer(p, o);
    }
    if (!m->unwell && p->s->flink->reachable)
        ask(p);
    return m->unwell;
}
