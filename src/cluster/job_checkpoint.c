/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest checkpoint of a job that runs. Its path is remembered, and told by the status as soon
 * as the job or its JobManager is gone: before that it would change with every checkpoint, and
 * Flink can be asked. Its age says whether it is good enough to go on from.
 */
#include "flinkop/arena.h"
#include "flinkop/cluster_config.h"
#include "flinkop/str.h"
#include "job_stop.h"
#include "job_words.h"

#define LOOK_MS 10000 /* between two looks at a job that runs on */
#define AGAIN_MS 1000 /* while a decision waits for it */
#define PATIENCE_MS 60000
#define FRESH_MS 5000 /* an answer holds for so long, as old as Flink's own cache makes it */

struct checkpoint_notes checkpoint_notes_initial(void)
{
    return (struct checkpoint_notes){
        .asked = -1, .told = -1, .unknown_since = -1, .awaited_ms = -1};
}

struct checkpoint_notes checkpoint_notes_copy(struct arena *a, const struct checkpoint_notes *m)
{
    struct checkpoint_notes copy = *m;

    copy.job_id = m->job_id ? arena_strdup(a, m->job_id) : NULL;
    copy.path = m->path ? arena_strdup(a, m->path) : NULL;
    return copy;
}

/* What an answer tells is kept; it is asked again when it is older than that. */
static void look(struct job_stop *s, int64_t every)
{
    struct checkpoint_notes *m = s->checkpoints;
    const struct outcome *o = job_outcome(s, ACT_READ_STATE);

    if (!str_eq(m->job_id, s->job_id)) {
        *m = checkpoint_notes_initial();
        m->job_id = s->job_id;
    }
    if (o && o->ok) {
        m->told = s->now;
        m->path = o->text;
        m->taken_ms = o->taken_ms;
        m->checkpoint_ms = o->checkpoint_ms;
        m->pending_ms = o->pending_ms;
    } else if (m->asked < 0 || s->now - m->asked >= every) {
        m->asked = s->now;
        (void)job_ask(s, ACT_READ_STATE);
    }
    plan_wake(s->plan, m->asked + every);
}

static bool runs(const struct job_stop *s)
{
    return s->job && s->reachable && s->job->job.state == JOB_RUNNING;
}

void job_look_at_checkpoint(struct job_stop *s)
{
    s->checkpoints->unknown_since = s->checkpoints->awaited_ms = -1;
    if (runs(s))
        look(s, LOOK_MS);
}

jv job_told_checkpoint(struct job_stop *s)
{
    const struct checkpoint_notes *m = s->checkpoints;

    if (runs(s) || !m->path || !str_eq(m->job_id, s->job_id) ||
        str_eq(m->path, JV_STRING(s->status, LAST_CHECKPOINT, "location")))
        return s->status;
    return jv_set(s->a, s->status, LAST_CHECKPOINT,
                  jv_dup(s->a, OBJ({"location", STR(m->path)},
                                   {"timeStamp", IF(m->taken_ms >= 0, INT(m->taken_ms))})));
}

/* Nobody answers for that long: it counts as old. */
static bool stays_unknown(struct job_stop *s)
{
    struct checkpoint_notes *m = s->checkpoints;

    if (m->unknown_since < 0)
        m->unknown_since = s->now;
    return s->now - m->unknown_since >= PATIENCE_MS;
}

enum checkpoint_age job_checkpoint_age(struct job_stop *s)
{
    struct checkpoint_notes *m = s->checkpoints;
    int64_t allowed, oldest;
    struct error err;

    if (conf_duration(s->conf, CHECKPOINT_AGE_KEY, -1, &allowed, &err) || allowed < 0 || !runs(s))
        return CHECKPOINT_YOUNG;
    oldest = s->wall - allowed;
    if (s->job->job.start_ms > oldest || job_stop_begun(s->status, s->memory, s->state))
        return CHECKPOINT_YOUNG;
    look(s, AGAIN_MS);
    if (m->told < 0 || s->now - m->told > FRESH_MS)
        return stays_unknown(s) ? CHECKPOINT_OLD : CHECKPOINT_UNKNOWN;
    m->unknown_since = -1;
    if (m->checkpoint_ms >= oldest)
        return CHECKPOINT_YOUNG;
    /* One is waited for, not one after the other: they may fail for ever. */
    if (m->pending_ms < oldest || (m->awaited_ms >= 0 && m->awaited_ms != m->pending_ms))
        return CHECKPOINT_OLD;
    m->awaited_ms = m->pending_ms;
    return CHECKPOINT_COMES;
}
