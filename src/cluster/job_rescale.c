/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another parallelism for vertices of a running job (api-contract §2.12): the adaptive scheduler
 * takes it while the job runs on. What Flink is asked for is recorded before it is asked: whoever
 * comes after a crash in between asks once more, which changes nothing if Flink has it, and who
 * takes the wish back is not left with a job that has it all the same. Where Flink says no, the
 * change takes another run as any other one.
 */
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "job_stop.h"
#include "job_words.h"
#include "status.h"

#define OPTION "kubernetes.operator.job.upgrade.inplace-scaling.enabled"
#define RETRY_MS 1000
#define RETRY_MAX_MS 10000
#define PATIENCE_MS 60000 /* for a JobManager that does not answer */

/* ---- whether ---- */

/* {"<vertex>": n}; ABSENT: none that can be read */
static jv overrides_of(struct arena *a, const struct conf *conf)
{
    struct jv_list list = JV_LIST(a);
    struct error err;
    jv map;
    int n;

    if (conf_map(conf, FLINK_OVERRIDES_KEY, &map, &err))
        return ABSENT;
    jv_foreach_kv (kv, map)
        if (str_to_int(str_or_empty(jv_string(kv->value)), &n))
            jv_list_put(&list, kv->key, INT(n));
    return list.n ? jv_list_obj(&list) : ABSENT;
}

/* What a vertex had without an override, only a new run of main() knows. */
static bool takes_some_away(jv before, jv after)
{
    jv_foreach_kv (kv, before)
        if (!jv_present(jv_get(after, kv->key)))
            return true;
    return false;
}

jv job_overrides(const struct job_stop *s, const struct conf *before, const struct conf *after)
{
    jv wanted = overrides_of(s->a, after);
    bool enabled;
    struct error err;

    if (conf_bool(s->conf, OPTION, true, &enabled, &err) || !enabled)
        return ABSENT;
    if (takes_some_away(overrides_of(s->a, before), wanted) ||
        takes_some_away(jv_get(s->status, REQUESTED_PARALLELISM), wanted))
        return ABSENT;
    return wanted;
}

/* ---- how ---- */

struct rescale_notes rescale_notes_copy(struct arena *a, const struct rescale_notes *m)
{
    struct rescale_notes copy = *m;

    copy.wish = m->wish ? arena_strdup(a, m->wish) : NULL;
    return copy;
}

/* Flink has the job, or may have it: what it says of it is not known at present. */
static bool may_run(const struct job_stop *s)
{
    switch (s->state) {
    case JOB_INITIALIZING:
    case JOB_CREATED:
    case JOB_RUNNING:
    case JOB_RESTARTING:
        return true;
    case JOB_RECONCILING:
        return !s->reachable;
    default:
        return false;
    }
}

static void tell(const struct job_stop *s, jv cr, bool warning, const char *message)
{
    plan_event(s->plan, s->kind, cr, warning, "Job", "Scaling", message);
}

static void give_up(const struct job_stop *s, jv cr, const char *why, struct rescale_notes *m)
{
    m->given_up = true;
    tell(s, cr, true,
         arena_printf(s->a, "the job cannot be rescaled in place, so it is upgraded: %s",
                      str_clean(s->a, why, 500)));
}

/* It is tried again while nobody has answered. */
static void failed(const struct job_stop *s, jv cr, const struct error *err,
                   struct rescale_notes *m)
{
    m->retry_at = s->now + backoff_ms(++m->failures, RETRY_MS, RETRY_MAX_MS);
    if (job_flink_answered(err) || s->now - m->since >= PATIENCE_MS)
        give_up(s, cr, err->text, m);
}

/* False where the CRD is of a former version and does not have the field. */
static bool record_wish(struct job_stop *s, jv overrides, struct rescale_notes *m)
{
    if (m->recorded && status_written(s->outcomes, s->n_outcomes))
        return false;
    m->recorded = true;
    s->new_status = jv_set(s->a, s->status, REQUESTED_PARALLELISM, overrides);
    return true;
}

enum rescaling job_rescale(struct job_stop *s, jv cr, jv overrides, struct rescale_notes *m)
{
    if (!jv_present(overrides) || !may_run(s))
        return RESCALING_NOT;
    const char *wish = json_text(s->a, overrides);
    bool same = str_eq(m->wish, wish), there = s->job && s->reachable;
    const struct outcome *o = same ? job_outcome(s, ACT_RESCALE_JOB) : NULL;

    if (!same)
        *m = (struct rescale_notes){.wish = wish, .since = s->now};
    if (o && o->ok) {
        if (o->found)
            tell(s, cr, false, "In-place scaling triggered");
        s->new_status = jv_set(s->a, s->status, REQUESTED_PARALLELISM, ABSENT);
        return RESCALING_DONE;
    }
    if (o)
        failed(s, cr, &o->error, m);
    else if (!m->given_up && s->now - m->since >= PATIENCE_MS)
        give_up(s, cr, "that could not be asked for within a minute", m);
    if (m->given_up)
        return RESCALING_NOT;
    s->progress = !there    ? "waiting for the JobManager, to rescale the job while it runs"
                  : s->hold ? s->hold
                            : "rescaling the job while it runs";
    plan_wake(s->plan, m->retry_at > s->now ? m->retry_at : m->since + PATIENCE_MS);
    if (there && !jv_equal(jv_get(s->status, REQUESTED_PARALLELISM), overrides)) {
        if (record_wish(s, overrides, m))
            return RESCALING_WAITS;
        give_up(s, cr, "the CRD is of a former version: its status has no requestedParallelism", m);
        return RESCALING_NOT;
    }
    if (there && !s->hold && s->now >= m->retry_at)
        job_ask(s, ACT_RESCALE_JOB)->body = overrides;
    return RESCALING_WAITS;
}
