/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/allocate.h"

#include <limits.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/str.h"

#define YOUNG_MS 60000 /* a TaskManager that dies before has failed to start */
#define BACKOFF_MAX_MS 300000
#define SURPLUS_STABLE_MS 5000 /* a surplus shorter than that is noise */
#define ESCALATE_MS 5000
#define DEADLOCK_MS 30000
#define REMOVE_SHARE 10 /* at most a tenth (but one) of the idle ones at a time */

struct alloc_memory alloc_memory_initial(void)
{
    return (struct alloc_memory){.surplus_since = -1, .short_since = -1};
}

int job_slots(const struct flink_job_detail *job, int *ret_max)
{
    int sum = 0, all = 0, largest = 0;

    for (size_t i = 0; i < job->n_vertices; i++) {
        const struct flink_vertex *v = &job->vertices[i];
        bool first = true;
        int width = v->parallelism;

        all += v->parallelism;
        largest = MAX(largest, v->parallelism);
        /* Each group counts once, at its first vertex, with its widest. */
        for (size_t k = 0; k < job->n_vertices && v->slot_sharing_group; k++) {
            if (!str_eq(job->vertices[k].slot_sharing_group, v->slot_sharing_group))
                continue;
            first &= k >= i;
            width = MAX(width, job->vertices[k].parallelism);
        }
        if (v->slot_sharing_group && first)
            sum += width;
    }
    *ret_max = sum ? sum : all;
    return sum ? sum : largest;
}

/* ---- the pass ---- */

struct pass {
    struct arena *a;
    const struct alloc_input *in;
    const struct alloc_memory *old;
    struct alloc_result r;
    bool waiting, batch;
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
    p->r.remove[p->r.n_remove++] = (struct alloc_removal){tm, recheck, why};
}

static int64_t backoff(int failures, int64_t first)
{
    int64_t ms = first;

    while (--failures > 0 && ms < BACKOFF_MAX_MS)
        ms *= 2;
    return MIN(ms, (int64_t)BACKOFF_MAX_MS);
}

static bool usable(const struct alloc_tm *tm)
{
    return !tm->dead && !tm->deleting;
}

static bool idle(const struct alloc_tm *tm)
{
    return tm->registered && tm->free >= tm->slots;
}

/* Carries the notes of pods that are still there over to this pass. */
static void take_notes(struct pass *p)
{
    const struct alloc_input *in = p->in;
    struct alloc_memory *m = &p->r.memory;

    m->notes = arena_new_array(p->a, struct alloc_note, in->n_tms + 1);
    m->n_notes = 0;
    for (size_t i = 0; i < in->n_tms; i++) {
        const struct alloc_tm *tm = &in->tms[i];
        const struct alloc_note *old = note_of(p->old, tm->name);
        struct alloc_note n = old ? *old
                                  : (struct alloc_note){.idle_since = -1, .registered_since = -1};

        n.name = tm->name;
        if (in->flink_known) {
            if (!idle(tm))
                n.idle_since = -1;
            else if (n.idle_since < 0)
                n.idle_since = in->now;
            if (!tm->registered)
                n.registered_since = -1;
            else if (n.registered_since < 0)
                n.registered_since = in->now;
        }
        if (n.registered_since >= 0 && in->now - n.registered_since >= YOUNG_MS) {
            m->start_failures = 0;
            m->start_cause = (struct obs_cause){0};
        }
        m->notes[m->n_notes++] = n;
    }
}

static void count_failure(struct pass *p, size_t i, struct obs_cause cause)
{
    struct alloc_memory *m = &p->r.memory;

    if (m->notes[i].counted)
        return;
    m->notes[i].counted = true;
    m->start_failures++;
    m->start_failed_at = p->in->now;
    m->start_cause = cause;
}

/* Dead pods go away and are counted when they died young; so are those that never came. */
static void bury(struct pass *p)
{
    const struct alloc_input *in = p->in;

    for (size_t i = 0; i < in->n_tms; i++) {
        const struct alloc_tm *tm = &in->tms[i];

        if (tm->deleting)
            continue;
        if (tm->dead) {
            if (tm->ran_ms < YOUNG_MS)
                count_failure(p, i, tm->cause);
            remove_tm(p, tm, false, "it ended");
        } else if (!tm->registered && in->flink_known && tm->scheduled) {
            /* After its restart a JobManager does not know those that will register again. */
            int64_t waited = MIN(tm->age_ms, in->flink_ms);

            if (waited >= in->policy.start_ms) {
                struct obs_cause cause = tm->cause;

                if (!cause.reason)
                    cause = (struct obs_cause){"StartTimeout",
                                               "it did not register with the JobManager in time"};
                count_failure(p, i, cause);
                remove_tm(p, tm, true, "it did not register in time");
            } else {
                wake_at(p, in->now + in->policy.start_ms - waited);
            }
        }
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
    bool stuck = p->waiting && in->flink_known && !p->r.starting && !p->r.slots_free &&
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
        p->batch |= in->jobs[i].batch;
    }
    need = MIN(need, (int64_t)INT_MAX / 2);
    need_max = MIN(need_max, (int64_t)INT_MAX / 2);
    p->r.slots_needed = (int)need;
    escalate(p, (int)need, (int)need_max);
    int64_t needed = (need + policy->slots - 1) / policy->slots + p->r.memory.extra;
    int64_t wanted = in->n_jobs ? needed + policy->spare : needed;

    p->r.desired = (int)MIN(MAX(wanted, (int64_t)policy->min), (int64_t)policy->max);
    if (needed > policy->max)
        p->r.problem = (struct obs_cause){
            "MaxTaskManagers",
            arena_printf(p->a,
                         "jobs need %lld slots, the limit of %d TaskManagers with %d slots each "
                         "allows %lld",
                         (long long)need, policy->max, policy->slots,
                         (long long)policy->max * policy->slots)};
}

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
        when = m->start_failed_at +
               backoff(m->start_failures - policy->free_failures, policy->start_retry_ms);
        *ret_why = (struct obs_cause){
            "TaskManagerStartFailed",
            arena_printf(p->a, "%d TaskManagers in a row failed to start, the last one: %s: %s",
                         m->start_failures, m->start_cause.reason, m->start_cause.message)};
    }
    if (m->create_failures) {
        int64_t until = m->create_failed_at + backoff(m->create_failures, policy->create_retry_ms);

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
    if (missing <= 0)
        return;
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

    /* Waiting jobs may get a slot any moment; finished partitions of a batch job lie on
     * TaskManagers whose slots are free (flink-internals §0.7). */
    if (!in->flink_fresh || p->waiting || p->batch)
        return;
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

/* It has no slot that could be in use. While Flink does not tell, that is certain only of one that
 * does not run yet: others may serve a JobManager that is just being replaced. */
static bool never_served(const struct pass *p, const struct alloc_tm *tm)
{
    return usable(tm) && !tm->registered && (p->in->flink_known || !tm->running);
}

static void go_down(struct pass *p, int surplus)
{
    const struct alloc_input *in = p->in;
    struct alloc_memory *m = &p->r.memory;
    int64_t stable = MIN((int64_t)SURPLUS_STABLE_MS, in->policy.idle_ms);

    if (in->hold)
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

/* Jobs that each hold a part under the limit and wait for more would wait for each other. */
static void find_deadlock(struct pass *p)
{
    const struct alloc_input *in = p->in;
    int waiting = 0;

    for (size_t i = 0; i < in->n_jobs; i++)
        waiting += in->jobs[i].waiting;
    if (waiting < 2 || p->r.live < in->policy.max || p->r.starting || p->r.slots_free > 0)
        return;
    for (size_t i = 0; i < p->r.memory.n_notes; i++)
        if (p->r.memory.notes[i].registered_since < 0 ||
            in->now - p->r.memory.notes[i].registered_since < DEADLOCK_MS)
            return;
    p->r.problem = (struct obs_cause){
        "AllocationDeadlock",
        arena_printf(p->a,
                     "%d jobs wait for slots while all %d slots of the allowed %d TaskManagers are "
                     "taken; raise spec.allocator.maxTaskManagers or cancel one of them",
                     waiting, p->r.slots_total, in->policy.max)};
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
    if (!p.r.problem.reason || !strcmp(p.r.problem.reason, "MaxTaskManagers"))
        find_deadlock(&p);
    return p.r;
}
