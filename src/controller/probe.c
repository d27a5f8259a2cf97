/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round asks, one after the other:
 *
 *   /overview            once per JobManager process, for its version
 *   /jobs/overview       always
 *   /taskmanagers        always but when nothing is going on
 *   /jobs/:id            for unfinished jobs whose graph is not known yet (or has grown)
 *   …/resource-requirements   for those of the adaptive scheduler
 *
 * and then replaces the former result as a whole. A round that fails leaves the former result and
 * marks it as unreachable.
 */
#include "probe.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/hash.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/slab.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define FAST_MS 250
#define ACTIVE_MS 500
#define IDLE_MS 2000
#define IDLE_MAX_MS 30000
#define IDLE_PER_SECOND \
    25 /* of all idle clusters together; one costs some 0.3 ms with cold caches */
#define FAST_PER_SECOND 400 /* after a start: many connections at once cost much more in curl */
#define IDLE_GRID_MS 250    /* they ask in groups, which costs less than one by one */
#define JITTER 0.1
/* At a time. A call takes some 12 kB for a moment, and what is kept of its answer would come to lie
 * between those of a thousand others: after a restart all clusters are asked at once. */
#define ROUNDS 128
#define CALL_TIMEOUT_MS 5000
#define MAX_DETAILS 50  /* in one round; the rest in the next */
#define QUIET_BLOCK 200 /* bytes; holds what a cluster without jobs says */

enum step { STEP_OVERVIEW, STEP_JOBS, STEP_TASKMANAGERS, STEP_DETAILS };

struct probe {
    struct loop *loop;
    struct flink_client *flink;
    struct probe_pool *pool;
    struct probe_owner owner;
    struct timer *timer;
    enum probe_pace pace;
    bool adaptive, again;
    bool rescaled; /* what is known of the needs of jobs may be old */

    struct arena now_arena, next_arena;
    struct obs_flink now, next;
    uint64_t fingerprint;

    struct probe *next_waiting, **waiting; /* in the pool's line; waiting NULL: not in it */

    /* the round under way */
    bool in_round;
    bool has_tms; /* says /overview, if it was asked */
    struct flink_call *call;
    enum step step;
    size_t detail; /* job that is being read */
    int details_read;
    struct flink_job_detail graph; /* of it */
    bool requirements;             /* of it are being read */
    char *jm;                      /* who is asked */
    struct flink_endpoint endpoint;
    char *ip, *pod, *ns;
};

static void round_start(void *arg);
static void round_begin(struct probe *p);
static void ask(struct probe *p);

struct probe *probe_new(struct loop *loop, struct flink_client *flink, struct probe_pool *pool,
                        const struct probe_owner *owner)
{
    struct probe *p = slab_calloc(sizeof(*p));

    p->loop = loop;
    p->flink = flink;
    p->pool = pool;
    p->owner = *owner;
    p->timer = timer_new(loop, round_start, p);
    arena_init_small(&p->now_arena, QUIET_BLOCK);
    arena_init_small(&p->next_arena, QUIET_BLOCK);
    return p;
}

static void round_forget(struct probe *p)
{
    slab_strfree(p->jm);
    slab_strfree(p->ip);
    slab_strfree(p->pod);
    slab_strfree(p->ns);
    p->jm = p->ip = p->pod = p->ns = NULL;
}

/* ---- the line of those that wait ---- */

static void line_up(struct probe *p)
{
    struct probe_pool *pool = p->pool;

    if (!pool->first)
        pool->last = &pool->first;
    p->next_waiting = NULL;
    p->waiting = pool->last;
    *pool->last = p;
    pool->last = &p->next_waiting;
}

static void leave_line(struct probe *p)
{
    if (!p->waiting)
        return;
    *p->waiting = p->next_waiting;
    if (p->next_waiting)
        p->next_waiting->waiting = p->waiting;
    else
        p->pool->last = p->waiting;
    p->waiting = NULL;
}

/* A round has ended: others may begin theirs. */
static void make_way(struct probe *p)
{
    struct probe_pool *pool = p->pool;

    if (!p->in_round)
        return;
    p->in_round = false;
    pool->rounds--;
    while (pool->first && pool->rounds < ROUNDS) {
        struct probe *next = pool->first;

        leave_line(next);
        round_begin(next);
    }
}

/* ---- life and pace ---- */

void probe_free(struct probe *p)
{
    if (!p)
        return;
    probe_set_pace(p, PROBE_OFF, false);
    leave_line(p);
    flink_drop(p->call);
    make_way(p);
    timer_free(p->timer);
    round_forget(p);
    arena_free(&p->now_arena);
    arena_free(&p->next_arena);
    slab_free(p, sizeof(*p));
}

const struct obs_flink *probe_result(const struct probe *p)
{
    return &p->now;
}

/* Until the next round of a quiet cluster. */
static int64_t idle_delay(const struct probe *p)
{
    int64_t share = (int64_t)p->pool->idle * 1000 / IDLE_PER_SECOND;
    int64_t ms = MIN(MAX((int64_t)IDLE_MS, share), (int64_t)IDLE_MAX_MS);
    int64_t due = loop_now(p->loop) + ms + (int64_t)((double)ms * JITTER * random_unit());

    return due + IDLE_GRID_MS - due % IDLE_GRID_MS - loop_now(p->loop);
}

static int64_t busy_delay(const struct probe *p)
{
    int64_t ms = ACTIVE_MS;

    if (p->pace == PROBE_FAST)
        ms = MAX((int64_t)FAST_MS, (int64_t)p->pool->fast * 1000 / FAST_PER_SECOND);
    else if (!p->now.reachable && p->now.known)
        ms = 1000;
    return ms + (int64_t)((double)ms * JITTER * random_unit());
}

static void schedule(struct probe *p)
{
    if (p->call)
        return;
    if (p->again) {
        p->again = false;
        timer_start(p->timer, 0);
        return;
    }
    if (p->pace == PROBE_OFF) {
        timer_stop(p->timer);
        leave_line(p);
        return;
    }
    timer_start(p->timer, p->pace == PROBE_IDLE ? idle_delay(p) : busy_delay(p));
}

void probe_set_pace(struct probe *p, enum probe_pace pace, bool adaptive)
{
    bool change = p->pace != pace;

    p->pool->idle += pace == PROBE_IDLE;
    p->pool->idle -= p->pace == PROBE_IDLE;
    p->pool->fast += pace == PROBE_FAST;
    p->pool->fast -= p->pace == PROBE_FAST;
    p->pace = pace;
    p->adaptive = adaptive;
    if (change)
        schedule(p);
}

void probe_soon(struct probe *p, bool rescaled)
{
    p->again = true;
    p->rescaled |= rescaled;
    schedule(p);
}

/* ---- results ---- */

static uint64_t fingerprint_of(const struct obs_flink *f)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(64 << 20);

    strbuf_addf(&sb, "%d %d %s %s %s\n", f->known, f->reachable, str_or_empty(f->jm),
                str_or_empty(f->error), str_or_empty(f->version));
    for (size_t i = 0; i < f->n_jobs; i++) {
        const struct obs_job *j = &f->jobs[i];

        strbuf_addf(&sb, "%s %d %d %d %d", j->job.id, j->job.state, j->has_detail, j->slots_needed,
                    j->job.tasks_total);
        for (size_t k = 0; k < TASKS_STATES; k++)
            strbuf_addf(&sb, " %d", j->job.tasks[k]);
        strbuf_addc(&sb, '\n');
    }
    for (size_t i = 0; i < f->n_tms; i++)
        strbuf_addf(&sb, "%s %d %d\n", f->tms[i].id, f->tms[i].slots, f->tms[i].free_slots);
    return hash_bytes(sb.buf, sb.len);
}

static void published(struct probe *p)
{
    uint64_t fingerprint = fingerprint_of(&p->now);

    if (fingerprint == p->fingerprint)
        return;
    p->fingerprint = fingerprint;
    p->owner.changed(p->owner.arg);
}

static void round_end(struct probe *p)
{
    round_forget(p);
    make_way(p);
    schedule(p);
    published(p);
}

static void round_done(struct probe *p)
{
    struct arena old = p->now_arena;
    bool was = p->now.reachable;
    int64_t since = p->now.since;

    p->rescaled &= p->again; /* in the middle of this round */
    p->next.known = p->next.reachable = true;
    p->next.at = loop_now(p->loop);
    p->next.since = was ? since : p->next.at;
    p->next.jm = arena_strdup(&p->next_arena, p->jm);
    p->now_arena = p->next_arena;
    p->now = p->next;
    p->next_arena = old;
    arena_free(&p->next_arena); /* for most of them it is long until the next round */
    round_end(p);
}

static void round_failed(struct probe *p, const char *why)
{
    arena_reset(&p->next_arena);
    if (p->now.reachable || !p->now.since)
        p->now.since = loop_now(p->loop);
    p->now.reachable = false;
    /* The text varies with ports and times; the first one stays until it answers again. */
    if (!p->now.error)
        p->now.error = arena_strdup(&p->now_arena, why);
    round_end(p);
}

/* Nothing of what was known holds for another process. */
static void new_jobmanager(struct probe *p, const char *jm)
{
    if (p->now.known && !str_eq(p->now.jm, jm)) {
        arena_reset(&p->now_arena);
        p->now = (struct obs_flink){.since = loop_now(p->loop)};
    }
}

/* ---- the round ---- */

static void on_answer(void *arg, const struct flink_answer *answer);

static void get(struct probe *p, const char *path)
{
    p->call = flink_send(p->flink, &p->endpoint, "GET", path, NULL, CALL_TIMEOUT_MS, on_answer, p);
}

static void round_start(void *arg)
{
    struct probe *p = arg;

    if (p->in_round || p->waiting)
        return;
    if (p->pool->rounds < ROUNDS)
        round_begin(p);
    else
        line_up(p);
}

static void round_begin(struct probe *p)
{
    struct flink_endpoint e;
    const char *jm;

    p->again = false;
    if (!p->owner.target(p->owner.arg, &e, &jm)) {
        schedule(p);
        return;
    }
    p->in_round = true;
    p->pool->rounds++;
    p->jm = slab_strdup(jm);
    p->ip = slab_strdup(e.ip);
    p->pod = slab_strdup(e.pod);
    p->ns = slab_strdup(e.ns);
    p->endpoint = (struct flink_endpoint){p->ns, p->pod, p->ip, e.port};
    new_jobmanager(p, jm);
    p->next = (struct obs_flink){.version = NULL};
    p->has_tms = false;
    p->details_read = 0;
    if (p->now.known && p->now.version) {
        p->next.version = arena_strdup(&p->next_arena, p->now.version);
        p->next.commit = arena_strdup(&p->next_arena, str_or_empty(p->now.commit));
    }
    p->step = p->next.version ? STEP_JOBS : STEP_OVERVIEW;
    ask(p);
}

/* The next unfinished job whose detail has to be read; n_jobs if there is none. */
static size_t next_detail(const struct probe *p, size_t from)
{
    size_t i = from;

    while (i < p->next.n_jobs &&
           (p->next.jobs[i].has_detail || job_state_terminal(p->next.jobs[i].job.state)))
        i++;
    return p->details_read < MAX_DETAILS ? i : p->next.n_jobs;
}

static void ask(struct probe *p)
{
    char path[128];

    switch (p->step) {
    case STEP_OVERVIEW:
        get(p, "/overview");
        break;
    case STEP_JOBS:
        get(p, "/jobs/overview");
        break;
    case STEP_TASKMANAGERS:
        get(p, "/taskmanagers");
        break;
    case STEP_DETAILS:
        if (!p->requirements) /* else of the same one */
            p->detail = next_detail(p, p->detail);
        if (p->detail >= p->next.n_jobs) {
            round_done(p);
            return;
        }
        snprintf(path, sizeof(path), "/jobs/%s%s", p->next.jobs[p->detail].job.id,
                 p->requirements ? "/resource-requirements" : "");
        get(p, path);
        break;
    }
}

/* Keeps what is known of a job's graph while the number of its tasks stays the same. */
static void carry_detail(const struct probe *p, struct obs_job *job)
{
    const struct obs_job *old = p->now.known ? obs_flink_job(&p->now, job->job.id) : NULL;

    if (!old || !old->has_detail || old->job.tasks_total != job->job.tasks_total ||
        (p->adaptive && (p->rescaled || old->job.state != job->job.state)))
        return;
    /* Which of its parts runs tells what a batch job needs. */
    if (old->batch && memcmp(old->job.tasks, job->job.tasks, sizeof(job->job.tasks)) != 0)
        return;
    job->has_detail = true;
    job->batch = old->batch;
    job->has_blocking_edge = old->has_blocking_edge;
    job->adaptive = old->adaptive;
    job->slots_needed = old->slots_needed;
    job->slots_needed_max = old->slots_needed_max;
}

static int take_jobs(struct probe *p, jv body, struct error *err)
{
    struct flink_job *jobs;
    size_t n;

    if (flink_decode_jobs(&p->next_arena, body, &jobs, &n, err))
        return -1;
    p->next.jobs = arena_new_array(&p->next_arena, struct obs_job, n);
    p->next.n_jobs = n;
    for (size_t i = 0; i < n; i++) {
        p->next.jobs[i].job = jobs[i];
        carry_detail(p, &p->next.jobs[i]);
    }
    return 0;
}

static int take_detail(struct probe *p, jv body, struct error *err)
{
    struct obs_job *job = &p->next.jobs[p->detail];
    struct flink_job_detail d;

    if (flink_decode_job_detail(&p->next_arena, body, &d, err))
        return -1;
    job->batch = d.batch;
    job->has_blocking_edge = d.has_blocking_edge;
    job->slots_needed = job_slots(&d, &job->slots_needed_max);
    job->has_detail = d.n_vertices > 0;
    p->graph = d;
    return 0;
}

/* The adaptive scheduler shows the parallelism it runs with; what it wants are the upper bounds. */
static int take_requirements(struct probe *p, jv body, struct error *err)
{
    struct obs_job *job = &p->next.jobs[p->detail];
    struct flink_requirement *r;
    size_t n;

    if (flink_decode_requirements(&p->next_arena, body, &r, &n, err))
        return -1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p->graph.n_vertices; k++)
            if (!strcmp(p->graph.vertices[k].id, r[i].vertex))
                p->graph.vertices[k].parallelism = r[i].upper;
    job->adaptive = n > 0;
    job->slots_needed = job_slots(&p->graph, &job->slots_needed_max);
    return 0;
}

static bool anything_going_on(const struct probe *p)
{
    for (size_t i = 0; i < p->next.n_jobs; i++)
        if (!job_state_terminal(p->next.jobs[i].job.state))
            return true;
    return p->pace == PROBE_ACTIVE || p->now.n_tms || p->has_tms;
}

static void after_details(struct probe *p)
{
    if (p->adaptive && !p->requirements) {
        p->requirements = true;
        return;
    }
    p->requirements = false;
    p->details_read++;
    p->detail++;
}

static int take(struct probe *p, jv body, struct error *err)
{
    struct flink_overview overview;

    switch (p->step) {
    case STEP_OVERVIEW:
        if (flink_decode_overview(&p->next_arena, body, &overview, err))
            return -1;
        p->next.version = overview.version;
        p->next.commit = overview.commit;
        p->has_tms = overview.taskmanagers > 0;
        p->step = STEP_JOBS;
        return 0;
    case STEP_JOBS:
        if (take_jobs(p, body, err))
            return -1;
        p->detail = 0;
        p->requirements = false;
        p->step = anything_going_on(p) ? STEP_TASKMANAGERS : STEP_DETAILS;
        return 0;
    case STEP_TASKMANAGERS:
        p->step = STEP_DETAILS;
        return flink_decode_taskmanagers(&p->next_arena, body, &p->next.tms, &p->next.n_tms, err);
    case STEP_DETAILS:
        if (p->requirements ? take_requirements(p, body, err) : take_detail(p, body, err))
            return -1;
        after_details(p);
        return 0;
    }
    return 0;
}

static void on_answer(void *arg, const struct flink_answer *answer)
{
    struct probe *p = arg;
    struct error err = *answer->err;

    p->call = NULL;
    /* A job can vanish between the list and its detail; requirements are an extra. */
    if (p->step == STEP_DETAILS && err.code != ERR_NONE && err.http) {
        p->graph.n_vertices = 0;
        after_details(p);
        ask(p);
        return;
    }
    if (err.code != ERR_NONE || take(p, answer->body, &err))
        round_failed(p, err.text);
    else
        ask(p);
}
