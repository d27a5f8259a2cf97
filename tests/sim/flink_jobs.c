/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs. A streaming job holds the slots it gets and runs when it has all of them; a batch job runs
 * with what it gets and leaves results on TaskManagers whose slots it has given back. Losing a
 * TaskManager restarts the jobs that were on it. Each counts the time it has run; checkpoints and
 * savepoints are such counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

static int next_job;

/* ---- finding ---- */

struct fjob *job_find(struct jm *jm, const char *jid)
{
    for (int i = 0; i < jm->n_jobs; i++)
        if (str_eq(jm->jobs[i]->jid, jid))
            return jm->jobs[i];
    return NULL;
}

struct fjob *job_by_id(int id)
{
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        for (int i = 0; i < jm->n_jobs; i++)
            if (jm->jobs[i]->id == id)
                return jm->jobs[i];
    return NULL;
}

static void next(struct fjob *j, int64_t ms, sim_fn fn)
{
    sim_cancel(j->event);
    j->event = sim_after(ms, fn, j);
}

static void set_state(struct fjob *j, enum job_state state)
{
    TRACE("flink %s: job %.8s %s -> %s", j->jm->cluster, j->jid, job_state_name(j->state),
          job_state_name(state));
    j->state = state;
    j->modified = sim.now;
}

static void thrown(struct fjob *j)
{
    memmove(j->thrown + 1, j->thrown, (MAX_THROWN - 1) * sizeof(j->thrown[0]));
    j->thrown[0].number = check_thrown(j);
    j->thrown[0].at = sim.now;
    j->n_thrown = MIN(j->n_thrown + 1, MAX_THROWN);
}

/* ---- slots ---- */

static void take(struct fjob *j, struct reg *reg)
{
    int i = 0;

    if (!reg->used++)
        reg->used_since = sim.now;
    j->have++;
    while (i < j->n_parts && j->parts[i].reg != reg)
        i++;
    if (i == j->n_parts) {
        j->parts[i].reg = reg;
        j->parts[i].n = 0;
        j->n_parts++;
    }
    j->parts[i].n++;
}

static void give_back(struct fjob *j)
{
    for (int i = 0; i < j->n_parts; i++)
        j->parts[i].reg->used -= j->parts[i].n;
    j->n_parts = j->have = 0;
}

static struct reg *free_slot(struct jm *jm)
{
    struct reg *found = NULL;
    int n = 0;

    for (int i = 0; i < jm->n_regs; i++)
        if (jm->regs[i]->used < jm->regs[i]->slots && !any(R_FLINK, ++n))
            found = jm->regs[i];
    return found;
}

/* ---- state ---- */

#define CHECKPOINT_MS 5000

int64_t job_checkpoint(struct fjob *j)
{
    int64_t n = j->running ? (sim.now - j->runs_since) / CHECKPOINT_MS : 0;

    if (n && !j->batch) {
        j->checkpoint = j->at + n * CHECKPOINT_MS;
        j->checkpoint_at = j->runs_since + n * CHECKPOINT_MS;
    }
    return j->checkpoint;
}

/* Its tasks run no more, so what is under way comes to nothing. */
static void halt(struct fjob *j)
{
    for (int i = 0; i < j->n_asked; i++)
        if (j->asked[i].done > sim.now) {
            j->asked[i].done = sim.now;
            j->asked[i].state = -1;
        }
    job_checkpoint(j);
    if (j->running)
        j->at += sim.now - j->runs_since;
    j->deploying = j->running = false;
    app_checkpoint(j);
    check_state(j->jid, MAX(j->checkpoint, j->base), false);
}

/* ---- running ---- */

/* Of a batch job that has ended; one that began anew in between had some more than once. */
static void drop_results(const struct fjob *j)
{
    struct jm *jm = j->jm;
    bool others = false;

    for (int i = 0; i < jm->n_jobs; i++)
        others |= jm->jobs[i]->batch && !job_state_terminal(jm->jobs[i]->state);
    for (int i = 0; i < jm->n_regs; i++)
        if (!others || (j->batch && jm->regs[i]->partitions))
            jm->regs[i]->partitions = others ? jm->regs[i]->partitions - 1 : 0;
}

static void end(struct fjob *j, enum job_state state)
{
    struct jm *jm = j->jm;

    sim_cancel(TAKE_PTR(j->event));
    give_back(j);
    halt(j);
    j->ended = sim.now;
    set_state(j, state);
    drop_results(j);
    app_ended(j);
    check_ended(j);
    jobs_kick(jm);
}

static void finish(void *arg)
{
    struct fjob *j = arg;

    j->event = NULL;
    end(j, JOB_FINISHED);
}

/* The first stage of a batch job is done: its results stay where they are, its slots do not. */
static void half_done(void *arg)
{
    struct fjob *j = arg;

    j->event = NULL;
    for (int i = 0; i < j->n_parts; i++)
        j->parts[i].reg->partitions++;
    while (j->have > 1 && j->n_parts) {
        int last = j->n_parts - 1;

        j->parts[last].reg->used--;
        j->have--;
        if (!--j->parts[last].n)
            j->n_parts--;
    }
    next(j, j->work / 2, finish);
    jobs_kick(j->jm);
}

static void runs(void *arg)
{
    struct fjob *j = arg;

    j->event = NULL;
    j->deploying = false;
    j->running = true;
    j->modified = sim.now;
    j->runs_since = sim.now;
    TRACE("flink %s: job %.8s runs", j->jm->cluster, j->jid);
    if (j->work >= 0)
        next(j, j->batch ? j->work / 2 : j->work, j->batch ? half_done : finish);
}

static void restarted(void *arg)
{
    struct fjob *j = arg;

    j->event = NULL;
    set_state(j, JOB_RUNNING);
    jobs_kick(j->jm);
}

/* It begins again where its last checkpoint is. */
static void restart(struct fjob *j)
{
    halt(j);
    j->at = MAX(j->checkpoint, j->base);
    set_state(j, JOB_RESTARTING);
    next(j, between(R_FLINK, SECOND, 3 * SECOND), restarted);
}

void job_fail(struct fjob *j, bool for_good)
{
    if (j->state != JOB_RUNNING && j->state != JOB_CREATED)
        return;
    thrown(j);
    if (for_good) {
        end(j, JOB_FAILED);
        return;
    }
    j->failed = sim.now;
    j->restarts++;
    restart(j);
}

void job_set_parallelism(struct fjob *j, int parallelism)
{
    if (j->parallelism == parallelism)
        return;
    TRACE("flink %s: job %.8s is rescaled from %d to %d", j->jm->cluster, j->jid, j->parallelism,
          parallelism);
    j->parallelism = parallelism;
    j->need = parallelism + j->second;
    app_rescaled(j);
    give_back(j);
    if (j->state == JOB_RUNNING || j->state == JOB_CREATED)
        restart(j);
    jobs_kick(j->jm);
}

static void cancelled(void *arg)
{
    struct fjob *j = arg;

    j->event = NULL;
    end(j, JOB_CANCELED);
}

void job_cancel(struct fjob *j)
{
    if (job_state_terminal(j->state) || j->state == JOB_CANCELLING)
        return;
    set_state(j, JOB_CANCELLING);
    halt(j);
    next(j, skewed(R_FLINK, 50, 8 * SECOND), cancelled);
}

static void saved(void *arg)
{
    struct fjob *j = arg;

    j->stopping = NULL;
    j->trigger_done = sim.now;
    if (j->state != JOB_RUNNING || !j->running || j->batch || fault(FAULT_JOB, 0.15))
        return;
    halt(j);
    j->saved = j->at;
    TRACE("flink %s: job %.8s is saved at %lld", j->jm->cluster, j->jid, (long long)j->saved);
    check_state(j->jid, j->saved, true);
    end(j, JOB_FINISHED);
}

void job_save(struct fjob *j, const char *trigger)
{
    if (!strcmp(j->trigger, trigger) || j->stopping)
        return;
    snprintf(j->trigger, sizeof(j->trigger), "%s", trigger);
    j->trigger_done = -1;
    j->stopping = sim_after(skewed(R_FLINK, 50, 20 * SECOND), saved, j);
}

const struct asked *job_asked(const struct fjob *j, const char *trigger)
{
    for (int i = 0; i < j->n_asked; i++)
        if (!strcmp(j->asked[i].trigger, trigger))
            return &j->asked[i];
    return NULL;
}

void job_take(struct fjob *j, const char *trigger, bool checkpoint)
{
    const char *word = checkpoint ? "checkpoint" : "savepoint";
    struct asked *one;

    if (job_asked(j, trigger))
        return;
    for (int i = 0; i < j->n_asked; i++)
        CHECK(j->asked[i].done <= sim.now || j->asked[i].checkpoint != checkpoint ||
                  !check_is_of_resource(j->asked[i].trigger) || !check_is_of_resource(trigger),
              "a %s of job %.8s is asked for while one is under way", word, j->jid);
    if (j->n_asked == MAX_ASKED)
        memmove(j->asked, j->asked + 1, sizeof(j->asked[0]) * --j->n_asked);
    one = &j->asked[j->n_asked++];
    snprintf(one->trigger, sizeof(one->trigger), "%s", trigger);
    one->id = ++j->last_asked;
    one->checkpoint = checkpoint;
    one->done = sim.now + skewed(R_FLINK, 50, 20 * SECOND);
    one->state = j->state == JOB_RUNNING && j->running && !fault(FAULT_JOB, 0.1)
                     ? j->at + sim.now - j->runs_since
                     : -1;
    TRACE("flink %s: a %s of job %.8s%s", j->jm->cluster, word, j->jid,
          one->state < 0 ? " is about to fail" : "");
}

static bool on_ghost(const struct fjob *j)
{
    for (int i = 0; i < j->n_parts; i++)
        if (!j->parts[i].reg->tm)
            return true;
    return false;
}

static void schedule(struct fjob *j)
{
    struct reg *reg;

    if (j->state != JOB_RUNNING || (j->batch && j->running))
        return;
    while (j->have < j->need && (reg = free_slot(j->jm)))
        take(j, reg);
    if (j->deploying || j->running || j->have < (j->batch ? 1 : j->need))
        return;
    if (on_ghost(j)) { /* it deploys to a TaskManager that is no more */
        job_fail(j, false);
        return;
    }
    j->deploying = true;
    j->modified = sim.now;
    next(j, skewed(R_FLINK, 30, 2 * SECOND), runs);
}

static void serve(void *arg)
{
    struct jm *jm = jm_by_id(sim_id_of(arg));

    if (!jm)
        return;
    jm->kicked = false;
    for (int i = 0; i < jm->n_jobs; i++)
        schedule(jm->jobs[i]);
}

void jobs_kick(struct jm *jm)
{
    if (jm->kicked)
        return;
    jm->kicked = true;
    sim_after(skewed(R_FLINK, 3, 300), serve, sim_id(jm->id));
}

void jobs_lost(struct jm *jm, struct reg *reg)
{
    for (int i = 0; i < jm->n_jobs; i++) {
        struct fjob *j = jm->jobs[i];
        bool hit = reg->partitions && j->batch && !job_state_terminal(j->state);

        for (int k = 0; k < j->n_parts; k++) {
            if (j->parts[k].reg != reg)
                continue;
            j->have -= j->parts[k].n;
            j->parts[k] = j->parts[--j->n_parts];
            hit = true;
            break;
        }
        if (hit)
            job_fail(j, false);
    }
}

/* ---- coming and going ---- */

static void initialized(void *arg)
{
    struct fjob *j = arg;

    j->event = NULL;
    set_state(j, JOB_RUNNING);
    jobs_kick(j->jm);
}

struct fjob *job_submit(struct jm *jm, const struct job_wish *wish)
{
    struct fjob *j;

    if (job_find(jm, wish->jid) || jm->n_jobs == MAX_JOBS)
        return NULL;
    j = xcalloc(1, sizeof(*j));
    *j = (struct fjob){.id = ++next_job,
                       .jm = jm,
                       .state = JOB_INITIALIZING,
                       .batch = wish->batch,
                       .ours = wish->ours,
                       .adaptive = wish->adaptive && !wish->batch,
                       .parallelism = wish->parallelism,
                       .second = wish->second,
                       .need = wish->parallelism + wish->second,
                       .work = wish->work,
                       .base = wish->base,
                       .at = wish->base,
                       .checkpoint = -1,
                       .saved = -1,
                       .started = sim.now};
    snprintf(j->jid, sizeof(j->jid), "%s", wish->jid);
    jm->jobs[jm->n_jobs++] = j;
    TRACE("flink %s: job %.8s is there, needs %d slots%s", jm->cluster, j->jid, j->need,
          j->batch ? ", batch" : "");
    if (wish->stillborn) {
        j->ended = sim.now;
        thrown(j);
        set_state(j, JOB_FAILED);
        return j;
    }
    check_job(j);
    next(j, skewed(R_FLINK, 10, SECOND), initialized);
    return j;
}

void jobs_vanish(struct jm *jm)
{
    for (int i = 0; i < jm->n_jobs; i++) {
        if (!job_state_terminal(jm->jobs[i]->state))
            halt(jm->jobs[i]);
        give_back(jm->jobs[i]);
        sim_cancel(jm->jobs[i]->event);
        sim_cancel(jm->jobs[i]->stopping);
        free(jm->jobs[i]);
    }
    jm->n_jobs = 0;
}
