/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round asks, one after the other:
 *
 *   /overview            once per JobManager process, for its version
 *   /jobs/overview       always
 *   /taskmanagers        always but when nothing is going on and none is known
 *   /jobs/:id            for unfinished jobs whose graph is not known yet (or has grown)
 *   …/resource-requirements   for those of the adaptive scheduler
 *
 * and then replaces the former result as a whole. A round that fails leaves the former result and
 * marks it as unreachable.
 *
 * A call that is not answered within a second gives the round's place to others: the round goes on
 * in one of the places for slow ones, or fails if none is free and others wait. The next round of
 * that JobManager begins there, and after one that has failed so it is left alone, from 1 s to 15
 * s.
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
#define SLOW_ROUNDS 64
#define ERROR_MS 10000 /* between two errors that are told */
#define QUICK_MS 1000
#define CALL_TIMEOUT_MS 5000
#define SILENT_MIN_MS 1000
#define SILENT_MAX_MS 15000
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
    uint64_t fingerprint, error_kind;
    char *error; /* that of now */
    int64_t error_at;

    size_t *counted_in;    /* idle or fast of the pool, NULL: neither */
    struct places *places; /* of which it has one, or waits for one */
    struct guest guest;    /* there */
    char *slow;            /* JobManager that has let us wait in the last round, NULL: none has */
    unsigned silences;     /* rounds in a row that have failed so */

    /* the round under way */
    bool in_round;
    bool has_tms; /* says /overview, if it was asked */
    bool dawdled; /* a call was not answered within QUICK_MS */
    struct flink_call *call;
    enum step step;
    size_t detail; /* job that is being read */
    int details_read;
    struct flink_job_detail graph; /* of it */
    bool requirements;             /* of it are being read */
    char *jm;                      /* who is asked */
    struct flink_endpoint endpoint;
    char *ip, *pod, *ns, *cluster;
};

static void on_timer(void *arg);
static void round_failed(struct probe *p, uint64_t kind, const char *why);
static void ask(struct probe *p);
static void round_begin(void *arg);

void probe_pool_init(struct probe_pool *pool)
{
    *pool = (struct probe_pool){.idle = 0};
    places_init(&pool->quick, ROUNDS, round_begin);
    places_init(&pool->slow, SLOW_ROUNDS, round_begin);
}

struct probe *probe_new(struct loop *loop, struct flink_client *flink, struct probe_pool *pool,
                        const struct probe_owner *owner)
{
    struct probe *p = slab_calloc(sizeof(*p));

    p->loop = loop;
    p->flink = flink;
    p->pool = pool;
    p->owner = *owner;
    p->places = &pool->quick;
    p->guest.arg = p;
    p->timer = timer_new(loop, on_timer, p);
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
    slab_strfree(p->cluster);
    p->jm = p->ip = p->pod = p->ns = p->cluster = NULL;
}

/* ---- places ---- */

static void make_way(struct probe *p)
{
    if (!p->in_round)
        return;
    p->in_round = false;
    places_free(p->places);
}

/* A call takes long. */
static void dawdle(struct probe *p)
{
    struct places *quick = &p->pool->quick, *slow = &p->pool->slow;

    p->dawdled = true;
    if (p->places == slow)
        return;
    if (slow->taken < slow->most) {
        p->places = slow;
        slow->taken++;
        places_free(quick);
        return;
    }
    if (!quick->first) {
        timer_start(p->timer, QUICK_MS);
        return;
    }
    flink_drop(TAKE_PTR(p->call));
    round_failed(p, ERR_TIMEOUT, "no answer within a second, and too many others are waited for");
}

/* ---- life and pace ---- */

void probe_free(struct probe *p)
{
    if (!p)
        return;
    probe_set_pace(p, PROBE_OFF, false);
    places_leave(p->places, &p->guest);
    flink_drop(p->call);
    make_way(p);
    timer_free(p->timer);
    slab_strfree(p->slow);
    slab_strfree(p->error);
    round_forget(p);
    arena_free(&p->now_arena);
    arena_free(&p->next_arena);
    slab_free(p, sizeof(*p));
}

const struct obs_flink *probe_result(const struct probe *p)
{
    return &p->now;
}

struct probe_info probe_info(const struct probe *p)
{
    return (struct probe_info){p->pace, p->in_round, p->guest.link != NULL};
}

/* One that is left alone does not slow down the others. */
static void count(struct probe *p)
{
    size_t *in = p->silences             ? NULL
                 : p->pace == PROBE_IDLE ? &p->pool->idle
                 : p->pace == PROBE_FAST ? &p->pool->fast
                                         : NULL;

    if (p->counted_in)
        --*p->counted_in;
    if (in)
        ++*in;
    p->counted_in = in;
}

/* Until the next round of a JobManager that does not answer. */
static int64_t silent_delay(const struct probe *p)
{
    int64_t ms = MIN(SILENT_MIN_MS << MIN(p->silences - 1, 10U), SILENT_MAX_MS);

    return ms / 2 + (int64_t)((double)ms * random_unit());
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
        places_leave(p->places, &p->guest);
        return;
    }
    timer_start(p->timer, p->silences             ? silent_delay(p)
                          : p->pace == PROBE_IDLE ? idle_delay(p)
                                                  : busy_delay(p));
}

/* Another JobManager runs than the one that lets us wait: true, and nothing is held against it. */
static bool forgive(struct probe *p)
{
    const char *whom = p->in_round ? p->jm : p->slow, *jm;
    struct flink_endpoint e;

    if (!whom || !p->owner.target(p->owner.arg, &e, &jm) || str_eq(whom, jm))
        return false;
    slab_str_replace(&p->slow, NULL);
    p->silences = 0;
    count(p);
    return true;
}

/* Who is asked is not there any more. */
static void round_break_off(struct probe *p)
{
    flink_drop(TAKE_PTR(p->call));
    arena_reset(&p->next_arena);
    round_forget(p);
    make_way(p);
}

void probe_set_pace(struct probe *p, enum probe_pace pace, bool adaptive)
{
    bool change = p->pace != pace;

    p->pace = pace;
    p->adaptive = adaptive;
    count(p);
    if (pace != PROBE_OFF && forgive(p)) {
        places_leave(p->places, &p->guest);
        round_break_off(p);
        p->again = change = true;
    }
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

static void published(struct probe *p)
{
    uint64_t fingerprint = obs_flink_fingerprint(&p->now);

    if (fingerprint == p->fingerprint)
        return;
    p->fingerprint = fingerprint;
    p->owner.changed(p->owner.arg);
}

static void round_end(struct probe *p, bool failed)
{
    slab_str_replace(&p->slow, p->dawdled ? p->jm : NULL);
    p->silences = p->dawdled && failed ? p->silences + 1 : 0;
    count(p);
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
    round_end(p, false);
}

static void round_failed(struct probe *p, uint64_t kind, const char *why)
{
    arena_reset(&p->next_arena);
    if (p->now.reachable || !p->now.since)
        p->now.since = loop_now(p->loop);
    p->now.reachable = false;
    /* The text varies with ports and times; the first of its kind stays until it answers again. */
    if (!p->now.error || (p->error_kind != kind && loop_now(p->loop) - p->error_at >= ERROR_MS)) {
        slab_str_replace(&p->error, why);
        p->now.error = p->error;
        p->error_kind = kind;
        p->error_at = loop_now(p->loop);
    }
    round_end(p, true);
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
    p->call = flink_probe(p->flink, &p->endpoint, path, CALL_TIMEOUT_MS, on_answer, p);
    timer_start(p->timer, QUICK_MS);
}

static void on_timer(void *arg)
{
    struct probe *p = arg;

    if (p->in_round) {
        dawdle(p);
        return;
    }
    if (p->guest.link)
        return;
    (void)forgive(p);
    p->places = p->slow ? &p->pool->slow : &p->pool->quick;
    if (places_ask(p->places, &p->guest))
        round_begin(p);
}

static void round_begin(void *arg)
{
    struct probe *p = arg;
    struct flink_endpoint e;
    const char *jm;

    p->again = false;
    if (!p->owner.target(p->owner.arg, &e, &jm)) {
        schedule(p);
        return;
    }
    p->in_round = true;
    p->places->taken++;
    p->dawdled = false;
    p->jm = slab_strdup(jm);
    p->ip = slab_strdup(e.ip);
    p->pod = slab_strdup(e.pod);
    p->ns = slab_strdup(e.ns);
    p->cluster = e.cluster ? slab_strdup(e.cluster) : NULL;
    p->endpoint = (struct flink_endpoint){
        .ns = p->ns, .pod = p->pod, .ip = p->ip, .port = e.port, .cluster = p->cluster};
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
        round_failed(p, hash_str(err.reason) + err.code, err.text);
    else
        ask(p);
}
