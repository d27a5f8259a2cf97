/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has thrown a job back, as events (kubernetes.operator.events.exceptions.*, api-contract
 * §2.16): Flink keeps the last ones (web.exception-history-size), and is asked for them only when
 * something in the job's state or in its tasks says that there is a new one. The time of the newest
 * that was told is recorded with it, so none is told twice; where the CRD is of a former version
 * and has no room for it, not as long as this process lives.
 */
#include "job_exceptions.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "job_internal.h"
#include "status.h"

#define TOLD_UNTIL "exceptionTime" /* in status.jobStatus */
#define LIMIT_KEY "kubernetes.operator.events.exceptions.limit-per-reconciliation"
#define LINES_KEY "kubernetes.operator.events.exceptions.stacktrace-lines"
#define CACHED_MS 3500 /* Flink's answers are so old (web.refresh-interval) */
#define APART_MS 10000 /* a job that restarts all the time is not asked more often */
#define SLACK_MS 2000  /* between Flink's clock and ours */
#define TRIES 3
#define MESSAGE_MAX 1024 /* of an event */

struct exception_notes exception_notes_initial(void)
{
    return (struct exception_notes){.changed = -1, .due = -1, .asked = -1, .told = -1};
}

struct exception_notes exception_notes_copy(struct arena *a, const struct exception_notes *m)
{
    struct exception_notes copy = *m;

    copy.job_id = m->job_id ? arena_strdup(a, m->job_id) : NULL;
    return copy;
}

static int option(const struct exceptions_look *l, const char *key, int most)
{
    struct conf conf = flink_defaults_conf(l->defaults);
    struct error err;
    int64_t n;

    if (flink_option_int(&conf, key, &n, &err))
        n = 0;
    return (int)MIN(MAX(n, (int64_t)0), (int64_t)most);
}

/* ---- when to ask ---- */

static bool is_troubled(enum job_state s)
{
    return s == JOB_RESTARTING || s == JOB_FAILING || s == JOB_FAILED;
}

/* Its tasks have changed after it was recorded as running, while no operator looked. */
static bool changed_unseen(const struct exceptions_look *l)
{
    int64_t since;

    return flink_job_runs_whole(&l->job->job) && str_eq(JV_STRING(l->status, "state"), "RUNNING") &&
           str_to_int64(str_or_empty(JV_STRING(l->status, "updateTime")), &since) &&
           l->job->job.last_modification_ms > since + SLACK_MS;
}

/* Tasks of a job that ran as a whole begin anew; of one that comes to its end they finish. */
static bool begins_anew(const struct exception_notes *m, const struct flink_job *j)
{
    return m->whole && j->state == JOB_RUNNING && j->tasks[TASKS_FINISHED] == m->finished;
}

static void look(const struct exceptions_look *l)
{
    struct exception_notes *m = l->memory;
    const struct flink_job *j = &l->job->job;
    bool first = !str_eq(m->job_id, l->job_id), pruned = m->pruned, wants;

    if (first) {
        *m = exception_notes_initial();
        m->job_id = l->job_id;
        m->pruned = pruned;
        wants = is_troubled(j->state) || changed_unseen(l);
    } else {
        wants = j->last_modification_ms != m->changed &&
                (is_troubled(j->state) || begins_anew(m, j));
    }
    if (m->unheard && !is_troubled(j->state)) {
        wants = true;
        m->unheard = false;
    }
    m->changed = j->last_modification_ms;
    m->finished = j->tasks[TASKS_FINISHED];
    m->whole = flink_job_runs_whole(j);
    if (wants && m->due < 0) {
        m->due = MAX(l->now + CACHED_MS, m->asked < 0 ? 0 : m->asked + APART_MS);
        m->tries = TRIES;
    }
}

static void ask(const struct exceptions_look *l, int limit)
{
    struct exception_notes *m = l->memory;
    struct action *act;

    if (m->due < 0)
        return;
    if (l->now < m->due || !l->reachable) {
        plan_wake(l->plan, MAX(m->due, l->now + 1000));
        return;
    }
    act = plan_add(l->plan, ACT_READ_EXCEPTIONS, l->kind, JV_STRING(l->cr, "metadata", "namespace"),
                   JV_STRING(l->cr, "metadata", "name"));
    act->cluster = l->cluster;
    act->job_id = l->job_id;
    act->body = jv_dup(l->plan->a, OBJ({"limit", INT(limit)}));
    m->asked = l->now;
    m->due = -1;
    m->tries--;
}

/* ---- what is told ---- */

static const char *message(const struct exceptions_look *l, jv e, int lines)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(2 * MESSAGE_MAX);
    const char *task = JV_STRING(e, "task"), *tm = JV_STRING(e, "taskManager");
    const char *at = str_or_empty(JV_STRING(e, "stack"));
    bool cut = false;

    strbuf_addf(&sb, "%.500s", str_or_empty(JV_STRING(e, "text")));
    if (task)
        strbuf_addf(&sb, " (%.200s%s%.100s)", task, tm ? " on " : "", str_or_empty(tm));
    for (int n = 0; *at; n++) {
        size_t len = strcspn(at, "\n");

        if ((cut = n >= lines || sb.len + len + 32 > MESSAGE_MAX))
            break;
        strbuf_addf(&sb, "\n%.*s", (int)len, at);
        at += len + (at[len] == '\n');
    }
    if (cut && lines)
        strbuf_adds(&sb, "\n...");
    return str_clean(l->plan->a, sb.buf, MESSAGE_MAX);
}

static int64_t told_until(const struct exceptions_look *l)
{
    int64_t ms;

    return str_to_int64(str_or_empty(JV_STRING(l->status, TOLD_UNTIL)), &ms) ? ms : -1;
}

/* They come with the newest first, and are told with the oldest first. False: there is no new one.
 */
static bool tell(const struct exceptions_look *l, const char *text, int limit)
{
    int64_t until = MAX(told_until(l), l->memory->told), newest = until;
    struct error err;
    jv list;

    if (!text || json_parse(l->plan->a, text, strlen(text), &list, &err))
        return false;
    for (size_t i = MIN(jv_len(list), (size_t)limit); i-- > 0;) {
        jv e = jv_at(list, i);
        int64_t ms = jv_int64_or(jv_get(e, "ms"), -1);

        if (ms <= until)
            continue;
        newest = MAX(newest, ms);
        plan_event(l->plan, l->kind, l->cr, true, "Job", "JobException",
                   message(l, e, option(l, LINES_KEY, 100)));
    }
    l->memory->told = newest;
    return newest > until;
}

static void look_for_pruning(const struct exceptions_look *l)
{
    struct exception_notes *m = l->memory;
    bool there = jv_present(jv_get(l->status, TOLD_UNTIL));

    m->pruned = status_prunes(m->pruned, m->put, there, l->outcomes, l->n_outcomes);
    m->put = false;
}

static jv with_told(const struct exceptions_look *l)
{
    struct exception_notes *m = l->memory;

    if (m->pruned || m->told <= told_until(l))
        return l->status;
    m->put = true;
    return jv_set(l->plan->a, l->status, TOLD_UNTIL,
                  STR(arena_printf(l->plan->a, "%lld", (long long)m->told)));
}

jv job_tell_exceptions(const struct exceptions_look *l)
{
    struct exception_notes *m = l->memory;
    int limit = option(l, LIMIT_KEY, FLINK_MAX_EXCEPTIONS);

    look_for_pruning(l);
    if (!l->job || !limit) {
        m->whole = false;
        return l->status;
    }
    look(l);
    for (size_t i = 0; i < l->n_outcomes; i++) {
        const struct outcome *o = &l->outcomes[i];

        if (o->type != ACT_READ_EXCEPTIONS || !str_eq(o->job_id, l->job_id))
            continue;
        if (o->ok && tell(l, o->text, limit))
            continue;
        /* Before 1.19 Flink tells why a job restarts when its tasks begin anew, after the delay of
         * its restart strategy (FLINK-33565). */
        if (o->ok && is_troubled(l->job->job.state))
            m->unheard = true;
        else if (m->due < 0 && m->tries > 0)
            m->due = l->now + APART_MS;
    }
    ask(l, limit);
    return with_told(l);
}

jv job_exceptions(struct job_pass *p, jv status)
{
    return job_tell_exceptions(&(struct exceptions_look){
        .plan = &p->out.plan,
        .kind = KIND_FLINKSESSIONJOB,
        .cr = p->cr,
        .cluster = p->wanted.deployment_name,
        .job_id = p->job_id,
        .job = p->job,
        .reachable = p->s->flink->reachable,
        .status = status,
        .defaults = p->s->defaults,
        .outcomes = p->s->outcomes,
        .n_outcomes = p->s->n_outcomes,
        .now = p->s->now,
        .memory = &p->out.memory.exceptions,
    });
}
