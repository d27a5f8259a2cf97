/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/allocate.h"

#include <limits.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/str.h"

#define YOUNG_MS 60000 /* a TaskManager that dies before is counted as a failure */
#define START_BACKOFF_MAX_MS 300000
#define CREATE_BACKOFF_MAX_MS 60000 /* a quota may be raised any time, and nobody tells us */
#define LOST_MS 10000               /* one that can reach its JobManager has come back by then */
#define FRESH_AGAIN_MS 5000
#define SURPLUS_STABLE_MS 5000 /* a surplus shorter than that is noise */
#define ESCALATE_MS 5000
#define DEADLOCK_MS 30000
#define REMOVE_SHARE 10 /* at most a tenth (but one) of the idle ones at a time */

struct alloc_memory alloc_memory_initial(void)
{
    return (struct alloc_memory){.surplus_since = -1, .short_since = -1, .locked_since = -1};
}

/* Slots for this vertex now. */
static int width(const struct flink_job_detail *job, const struct flink_vertex *v)
{
    const int *n = v->tasks;

    if (job->batch && !n[TASKS_SCHEDULED] && !n[TASKS_DEPLOYING] && !n[TASKS_INITIALIZING] &&
        !n[TASKS_RUNNING])
        return 0;
    return MAX(v->parallelism, 0);
}

int job_slots(const struct flink_job_detail *job, int *ret_max)
{
    int sum = 0, all = 0, largest = 0, least = job->batch && job->n_vertices ? 1 : 0;

    for (size_t i = 0; i < job->n_vertices; i++) {
        const struct flink_vertex *v = &job->vertices[i];
        bool first = true;
        int widest = width(job, v);

        all += widest;
        largest = MAX(largest, widest);
        /* Each group counts once, at its first vertex, with its widest. */
        for (size_t k = 0; k < job->n_vertices && v->slot_sharing_group; k++) {
            if (!str_eq(job->vertices[k].slot_sharing_group, v->slot_sharing_group))
                continue;
            first &= k >= i;
            widest = MAX(widest, width(job, &job->vertices[k]));
        }
        if (v->slot_sharing_group && first)
            sum += widest;
    }
    *ret_max = MAX(sum ? sum : all, least);
    return MAX(sum ? sum : largest, least);
}

/* ---- the pass ---- */

struct pass {
    struct arena *a;
    const struct alloc_input *in;
    const struct alloc_memory *old;
    struct alloc_result r;
    bool waiting, starved, batch;
    int leaving; /* being taken away in this pass, or kept if Flink says at the last moment to */
};

static const struct alloc_note *note_of(const struct alloc_memory *m, const char *name)
{
    for (size_t i = 0; i < m->n_notes; i++)
        if (!strcmp(m->notes[i].name, name))
            return &m->notes[i];
    return NULL;
}

static void wake_at(struct pass *p, int64_t when)
{
    p->r.next = MIN(p->r.next, when);
}

static void remove_tm(struct pass *p, const struct alloc_tm *tm, bool recheck, const char *why)
{
    p->r.remove[p->r.n_remove++] = (struct alloc_removal){tm, recheck, why, {0}};
}

static bool usable(const struct alloc_tm *tm)
{
    return !tm->dead && !tm->deleting;
}

static bool idle(const struct alloc_tm *tm)
{
    return tm->registered && tm->free >= tm->slots;
}

static void note_flink(struct alloc_note *n, const struct alloc_tm *tm, int64_t now)
{
    if (!idle(tm))
        n->idle_since = -1;
    else if (n->idle_since < 0 || tm->kept)
        n->idle_since = now;
    if (tm->registered) {
        n->lost_since = -1;
        if (n->registered_since < 0)
            n->registered_since = now;
    } else if (n->registered_since >= 0) {
        n->registered_since = -1;
        n->lost_since = now;
    }
}

/* Carries the notes of pods that are still there over to this pass. */
static void take_notes(struct pass *p)
{
    const struct alloc_input *in = p->in;
    struct alloc_memory *m = &p->r.memory;
    bool another = in->flink_known && !str_eq(m->jobmanager, in->jobmanager);

    if (in->flink_known)
        m->jobmanager = in->jobmanager;
    m->notes = arena_new_array(p->a, struct alloc_note, in->n_tms + 1);
    m->n_notes = 0;
    for (size_t i = 0; i < in->n_tms; i++) {
        const struct alloc_tm *tm = &in->tms[i];
        const struct alloc_note *old = note_of(p->old, tm->name);
        struct alloc_note n =
            old ? *old
                : (struct alloc_note){.idle_since = -1, .registered_since = -1, .lost_since = -1};

        n.name = tm->name;
        if (another)
            n.registered_since = n.lost_since = -1;
        if (in->flink_known)
            note_flink(&n, tm, in->now);
        /* One that came after the last failure and lives. */
        if (n.registered_since > m->start_failed_at && in->now - n.registered_since >= YOUNG_MS) {
            m->start_failures = 0;
            m->start_cause = (struct obs_cause){0};
        }
        m->notes[m->n_notes++] = n;
    }
}

/* One that failed goes away. How it ended is told once, and counted if that was too early. */
static void failed(struct pass *p, size_t i, bool early, bool recheck, const char *why,
                   struct obs_cause otherwise)
{
    struct alloc_memory *m = &p->r.memory;
    const struct alloc_tm *tm = &p->in->tms[i];
    struct obs_cause cause = tm->cause.reason ? tm->cause : otherwise;

    remove_tm(p, tm, recheck, why);
    if (m->notes[i].told)
        return;
    m->notes[i].told = true;
    p->r.remove[p->r.n_remove - 1].cause = cause;
    if (!early)
        return;
    m->start_failures++;
    m->start_failed_at = p->in->now;
    m->start_cause = cause;
}

/* A pod that runs, or so it is said, while the JobManager does not have it. */
static void look_for_absent(struct pass *p, size_t i)
{
    const struct alloc_input *in = p->in;
    const struct alloc_tm *tm = &in->tms[i];
    int64_t lost = p->r.memory.notes[i].lost_since;
    /* After its restart a JobManager does not know those that will register again; one that had it
     * and has lost it waits no longer than the way back takes. */
    int64_t waited = MIN(lost < 0 ? tm->age_ms : in->now - lost, in->flink_ms);
    int64_t patience = lost < 0 ? in->policy.start_ms : MIN(LOST_MS, in->policy.start_ms);

    if (waited < patience)
        wake_at(p, in->now + patience - waited);
    else if (lost < 0)
        failed(
            p, i, true, true, "it did not register in time",
            (struct obs_cause){"StartTimeout",
                               arena_printf(p->a,
                                            "it did not register with the JobManager within %lld s "
                                            "(spec.allocator.startTimeout)",
                                            (long long)in->policy.start_ms / 1000)});
    else
        failed(p, i, tm->age_ms < YOUNG_MS, true, "the JobManager has lost it",
               (struct obs_cause){"Lost", "the JobManager has lost the connection to it; it hangs, "
                                          "or its node or the network is gone"});
}

/* Dead pods go away, and those that never came or do not come back. */
static void bury(struct pass *p)
{
    const struct alloc_input *in = p->in;

    for (size_t i = 0; i < in->n_tms; i++) {
        const struct alloc_tm *tm = &in->tms[i];

        if (tm->deleting)
            continue;
        if (tm->dead)
            failed(p, i, tm->ran_ms < YOUNG_MS, false, "it ended",
                   (struct obs_cause){"Ended", "its main container ended by itself"});
        else if (!tm->registered && in->flink_known && tm->scheduled)
            look_for_absent(p, i);
    }
}

static bool being_removed(const struct pass *p, const struct alloc_tm *tm)
{
    for (size_t i = 0; i < p->r.n_remove; i++)
        if (p->r.remove[i].tm == tm)
            return true;
    return false;
}

static void count_taskmanagers(struct pass *p)
{
    for (size_t i = 0; i < p->in->n_tms; i++) {
        const struct alloc_tm *tm = &p->in->tms[i];

        if (!usable(tm))
            continue;
        if (being_removed(p, tm)) {
            p->leaving++;
            continue;
        }
        if (tm->registered) {
            p->r.live++;
            p->r.slots_total += tm->slots;
            p->r.slots_free += tm->free;
        } else {
            p->r.starting++;
        }
    }
}

/* Flink before 1.20 does not tell the groups, and fine-grained jobs may not fit: when jobs wait
 * while nothing starts and no slot is free, one TaskManager more is tried, again and again, up to
 * what the jobs could take at most. */
static void escalate(struct pass *p, int need, int need_max)
{
    struct alloc_memory *m = &p->r.memory;
    const struct alloc_input *in = p->in;
    int slots = in->policy.slots;
    int cap = (need_max - need + slots - 1) / slots;
    bool stuck = p->starved && in->flink_known && !p->r.starting && !p->r.slots_free &&
                 p->r.live >= (need + slots - 1) / slots + m->extra;

    if (!p->waiting)
        m->extra = 0;
    m->extra = MIN(m->extra, MAX(cap, 0));
    if (!stuck || m->extra >= cap) {
        m->short_since = -1;
        return;
    }
    if (m->short_since < 0)
        m->short_since = in->now;
    if (in->now - m->short_since >= ESCALATE_MS) {
        m->extra++;
        m->short_since = in->now;
    }
    wake_at(p, m->short_since + ESCALATE_MS);
}

static void compute_desired(struct pass *p)
{
    const struct alloc_input *in = p->in;
    const struct alloc_policy *policy = &in->policy;
    int64_t need = 0, need_max = 0;

    for (size_t i = 0; i < in->n_jobs; i++) {
        need += in->jobs[i].need;
        need_max += MAX(in->jobs[i].need, in->jobs[i].need_max);
        p->waiting |= in->jobs[i].waiting;
        p->starved |= in->jobs[i].starved;
        p->batch |= in->jobs[i].batch;
    }
    need = MIN(need, (int64_t)INT_MAX / 2);
    need_max = MIN(need_max, (int64_t)INT_MAX / 2);
    p->r.slots_needed = (int)need;
    escalate(p, (int)need, (int)need_max);
    int64_t needed = (need + policy->slots - 1) / policy->slots + p->r.memory.extra;
    int64_t wanted = in->n_jobs ? needed + policy->spare : needed;

    p->r.desired = (int)MIN(MAX(wanted, (int64_t)policy->min), (int64_t)policy->max);
    if (!p->r.desired && in->flink_known) /* the next job deserves new patience */
        p->r.memory.start_failures = 0;
    if (needed > policy->max)
        p->r.problem = (struct obs_cause){
            "MaxTaskManagers",
            arena_printf(p->a,
                         "jobs need %lld slots, the limit of %d TaskManagers with %d slots each "
                         "allows %lld",
                         (long long)need, policy->max, policy->slots,
                         (long long)policy->max * policy->slots)};
}

#define START_FAILED "TaskManagerStartFailed"

/* Until when creation rests after failures; in ret_why the last cause. */
static int64_t create_not_before(struct pass *p, struct obs_cause *ret_why)
{
    const struct alloc_policy *policy = &p->in->policy;
    struct alloc_memory *m = &p->r.memory;
    int64_t when = INT64_MIN;

    if (p->in->create_failed) {
        m->create_failures++;
        m->create_failed_at = p->in->now;
        m->create_cause = p->in->create_error;
    }
    if (m->start_failures > policy->free_failures) {
        when = m->start_failed_at + backoff_ms(m->start_failures - policy->free_failures,
                                               policy->start_retry_ms, START_BACKOFF_MAX_MS);
        *ret_why = (struct obs_cause){
            START_FAILED,
            arena_printf(p->a,
                         "%d TaskManagers in a row failed soon after their start, the last one: "
                         "%s: %s",
                         m->start_failures, m->start_cause.reason, m->start_cause.message)};
    }
    if (m->create_failures) {
        int64_t until = m->create_failed_at + backoff_ms(m->create_failures,
                                                         policy->create_retry_ms,
                                                         CREATE_BACKOFF_MAX_MS);

        if (until > when) {
            when = until;
            *ret_why = m->create_cause;
        }
    }
    return when;
}

static void go_up(struct pass *p, int missing)
{
    struct obs_cause why = {0};
    int64_t not_before = create_not_before(p, &why);

    p->r.memory.surplus_since = -1;
    if (missing <= 0) {
        /* Until one lives it is not known to work. */
        if (p->r.live < p->r.desired && str_eq(why.reason, START_FAILED))
            p->r.problem = why;
        return;
    }
    if (p->in->now < not_before) {
        wake_at(p, not_before);
        p->r.problem = why;
        return;
    }
    p->r.create = MIN(missing, MAX(p->in->policy.max - p->r.live - p->r.starting - p->leaving, 0));
    if (why.reason) /* tried again, but not yet known to work */
        p->r.problem = why;
}

/* Takes idle TaskManagers away, longest idle first, when nothing can be hurt by it. */
static void release_idle(struct pass *p, int surplus)
{
    const struct alloc_input *in = p->in;
    const struct alloc_memory *m = &p->r.memory;
    int at_once = MAX(1, p->r.live / REMOVE_SHARE);

    /* Waiting jobs may get a slot any moment. */
    if (p->waiting)
        return;
    if (!in->flink_fresh) { /* an answer that is the same as before brings no pass */
        wake_at(p, in->now + FRESH_AGAIN_MS);
        return;
    }
    for (int k = 0; k < at_once && surplus > 0; k++, surplus--) {
        size_t oldest = SIZE_MAX;

        for (size_t i = 0; i < in->n_tms; i++) {
            if (!usable(&in->tms[i]) || being_removed(p, &in->tms[i]) || m->notes[i].idle_since < 0)
                continue;
            if (oldest == SIZE_MAX || m->notes[i].idle_since < m->notes[oldest].idle_since)
                oldest = i;
        }
        if (oldest == SIZE_MAX)
            return;
        int64_t due = m->notes[oldest].idle_since + in->policy.idle_ms;

        if (in->now < due) {
            wake_at(p, due);
            return;
        }
        remove_tm(p, &in->tms[oldest], true, "it was idle");
    }
    wake_at(p, in->now + 1000);
}

/* It has no slot that could be in use. While Flink does not tell, or a job waits for slots, that is
 * certain only of one that does not run yet: others may serve a JobManager that is just being
 * replaced, or register, and have a slot taken, before they are gone. */
static bool never_served(const struct pass *p, const struct alloc_tm *tm)
{
    return usable(tm) && !tm->registered && (!tm->running || (p->in->flink_known && !p->waiting));
}

static void go_down(struct pass *p, int surplus)
{
    const struct alloc_input *in = p->in;
    struct alloc_memory *m = &p->r.memory;
    int64_t stable = MIN((int64_t)SURPLUS_STABLE_MS, in->policy.idle_ms);

    /* Finished partitions of a batch job lie on TaskManagers whose slots are free (flink-internals
     * §0.7), and between its stages it needs fewer for a moment than for the next one. */
    if (in->hold || p->batch)
        return;
    if (m->surplus_since < 0)
        m->surplus_since = in->now;
    if (in->now - m->surplus_since < stable) {
        wake_at(p, m->surplus_since + stable);
        return;
    }
    /* Newest first. */
    while (surplus > 0) {
        const struct alloc_tm *newest = NULL;

        for (size_t i = 0; i < in->n_tms; i++) {
            const struct alloc_tm *tm = &in->tms[i];

            if (never_served(p, tm) && !being_removed(p, tm) &&
                (!newest || tm->age_ms < newest->age_ms))
                newest = tm;
        }
        if (!newest)
            break;
        /* It may have registered a moment ago. */
        remove_tm(p, newest, in->flink_known, "it is no longer needed");
        surplus--;
    }
    if (surplus > 0)
        release_idle(p, surplus);
}

/* Jobs that each hold a part of what they need wait for each other when the limit is reached and
 * what they hold together would do for one of them. */
static bool deadlocked(const struct pass *p)
{
    const struct alloc_input *in = p->in;
    int starved = 0, smallest = INT_MAX;
    int64_t used = 0;

    for (size_t i = 0; i < in->n_jobs; i++) {
        const struct alloc_job *j = &in->jobs[i];

        if (j->starved) {
            starved++;
            smallest = MIN(smallest, j->need);
        } else if (!j->expected) {
            used += j->need;
        }
    }
    return in->flink_known && starved >= 2 && p->r.live >= in->policy.max && !p->r.starting &&
           !p->r.slots_free && p->r.slots_total - used >= smallest;
}

#define NAMES_MAX 5

/* "a", "b" and 3 more */
static const char *names_of_starved(const struct pass *p)
{
    const char *names = "";
    int n = 0;

    for (size_t i = 0; i < p->in->n_jobs; i++) {
        const struct alloc_job *j = &p->in->jobs[i];

        if (j->starved && n++ < NAMES_MAX)
            names = arena_printf(p->a, "%s%s%s (%d slots)", names, n > 1 ? ", " : "",
                                 str_clean(p->a, str_or(j->name, j->id), 60), j->need);
    }
    return n > NAMES_MAX ? arena_printf(p->a, "%s and %d more", names, n - NAMES_MAX) : names;
}

static void find_deadlock(struct pass *p)
{
    struct alloc_memory *m = &p->r.memory;
    int64_t now = p->in->now;

    if (!deadlocked(p)) {
        m->locked_since = -1;
        return;
    }
    if (m->locked_since < 0)
        m->locked_since = now;
    if (now - m->locked_since < DEADLOCK_MS) {
        wake_at(p, m->locked_since + DEADLOCK_MS);
        return;
    }
    p->r.problem = (struct obs_cause){
        "AllocationDeadlock",
        arena_printf(p->a,
                     "jobs wait for each other: %s share the %d slots of %d TaskManagers, which is "
                     "the limit, and none has enough; raise %s or cancel one of them",
                     names_of_starved(p), p->r.slots_total, p->r.live, p->in->policy.max_field)};
}

struct alloc_result allocate(struct arena *a, const struct alloc_input *in,
                             const struct alloc_memory *memory)
{
    struct pass p = {.a = a, .in = in, .old = memory};

    p.r = (struct alloc_result){
        .next = INT64_MAX,
        .memory = *memory,
        .remove = arena_new_array(a, struct alloc_removal, in->n_tms + 1),
    };
    take_notes(&p);
    bury(&p);
    count_taskmanagers(&p);
    compute_desired(&p);
    int missing = p.r.desired - p.r.live - p.r.starting;

    if (missing >= 0) {
        go_up(&p, missing);
        if (!missing && p.r.starting + p.r.live >= p.r.desired && !in->create_failed)
            p.r.memory.create_failures = 0;
    } else {
        go_down(&p, -missing);
    }
    find_deadlock(&p);
    return p.r;
}
