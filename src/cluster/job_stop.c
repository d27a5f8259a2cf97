/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   stateless    record that, cancel, go on from nothing
 *   savepoint    record a trigger id, stop with that savepoint, ask until it is there
 *   last-state   record that, cancel, read the path of the last completed checkpoint; with a
 *                savepoint if that one is older than the user allows
 *
 * A savepoint's id is recorded before it is asked for, so a second request is the same one, and an
 * operator that was away finds out how it ended: from the trigger, or, when Flink has forgotten
 * that, from the job's own list of checkpoints. A stateful job never goes on from nothing unless it
 * never had a state: where the path is not known, it waits and says so.
 */
#include "job_stop.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/desired.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "job_snapshots.h"
#include "job_words.h"
#include "status.h"

#define OPTION "kubernetes.operator."
#define SAVES_KEY OPTION "job.savepoint-on-deletion"
#define AGAIN_MS 5000  /* a request that brought nothing is sent again */
#define RETRY_MS 10000 /* after a savepoint that failed, doubled up to the maximum */
#define RETRY_MAX_MS 300000
#define CACHED_MS                                                                   \
    3500 /* Flink's answers about checkpoints may be 3 s old (web.refresh-interval) \
          */
/* Stateless: the JobManager is stopped in any case. Cancelling only lets a job end in good order.
 */
#define PATIENCE_MS 10000

static bool terminal(const struct job_stop *s)
{
    return job_state_terminal(s->job ? s->job->job.state : s->state);
}

static bool stateful(const struct job_stop *s)
{
    return s->mode == UPGRADE_LAST_STATE || s->mode == UPGRADE_SAVEPOINT;
}

const struct outcome *job_outcome(const struct job_stop *s, enum action_type type)
{
    return job_outcome_of(s->outcomes, s->n_outcomes, type, s->job_id, NULL);
}

/* Another savepoint of the job may be under way, too. */
static const struct outcome *about_trigger(const struct job_stop *s, enum action_type type,
                                           const char *trigger)
{
    return job_outcome_of(s->outcomes, s->n_outcomes, type, s->job_id, trigger);
}

struct action *job_ask(struct job_stop *s, enum action_type type)
{
    struct action *act = plan_add(s->plan, type, s->kind, s->ns, s->name);

    act->cluster = s->cluster;
    act->job_id = s->job_id;
    return act;
}

/* True when the last request is so long ago; counts from now then. */
static bool due(struct job_stop *s, int64_t *sent, int64_t ms)
{
    bool due = *sent < 0 || s->now - *sent >= ms;

    if (due)
        *sent = s->now;
    plan_wake(s->plan, *sent + ms);
    return due;
}

static void found_end(struct job_stop *s, const char *path)
{
    s->ended = true;
    s->restore_path = path;
}

static bool cancel_requested(jv status)
{
    return jv_bool_or(jv_get(status, CANCEL_REQUESTED), false);
}

/* The status says it, or cannot: the CRD is of a former version and does not have the field. */
static bool recorded_cancel(struct job_stop *s)
{
    struct stop_memory *m = s->memory;

    m->told |= m->recorded && status_written(s->outcomes, s->n_outcomes);
    return m->told || cancel_requested(s->status);
}

/* Who finds it cancelled, after a crash, must know that another run is to follow, or none: Flink
 * does not tell who did it. What is being cancelled already, others may have done; and how a job
 * with state is best ended shows only when its JobManager answers. */
static void cancel(struct job_stop *s)
{
    if (s->job && s->job->job.state == JOB_CANCELLING) {
        s->progress = "waiting for the job to end";
        return;
    }
    if (!s->reachable && stateful(s) && !s->last) {
        s->progress = "waiting for the JobManager, to end the job";
        return;
    }
    s->progress = "cancelling the job";
    if (s->last || recorded_cancel(s)) {
        if (due(s, &s->memory->sent, AGAIN_MS))
            job_ask(s, ACT_CANCEL_JOB);
        return;
    }
    s->memory->recorded = true;
    s->new_status = jv_set(s->a, s->status, CANCEL_REQUESTED, BOOL(true));
}

/* ---- the state that an ended job has left ---- */

static void unknown_state(struct job_stop *s, const char *why)
{
    s->trouble = job_state_lost(
        s->a, s->status,
        arena_printf(s->a, "the job has ended, and the state to go on from is not known: %s", why));
}

/* Flink keeps the checkpoints of jobs that have ended for jobstore.expiration-time, as long as its
 * JobManager lives. */
static void read_state(struct job_stop *s)
{
    /* One that came while it ran still says nothing of its last state. */
    struct stop_memory *m = s->memory;
    const struct outcome *o = m->ended >= 0 ? job_outcome(s, ACT_READ_STATE) : NULL;
    const char *began_with = JV_STRING(s->status, "upgradeSavepointPath");
    jv left = jv_get(s->status, END_STATE);

    if (jv_present(left)) {
        found_end(s, JV_STRING(left, "location"));
        return;
    }
    s->progress = "looking for the last state of the job";
    if (m->ended < 0)
        m->ended = s->now;
    if (o && o->ok && o->text) {
        found_end(s, o->text);
        return;
    }
    if (o && o->ok) { /* which does not change any more */
        m->no_checkpoint = true;
        m->had_some = o->found;
    }
    s->no_checkpoint = m->no_checkpoint;
    /* What high availability kept was told as restored, if it was there. */
    if (m->no_checkpoint && !m->had_some && !str_eq(began_with, RESTORE_LAST_STATE)) {
        /* One that never got as far as a checkpoint is where it began. */
        found_end(s, str_empty(began_with) ? NULL : began_with);
        return;
    }
    if (m->no_checkpoint)
        unknown_state(s, "its last checkpoint was discarded, or has no path outside of the "
                         "JobManager");
    else if (o && o->error.code == ERR_NOT_FOUND)
        unknown_state(s, "Flink does not know the job any more");
    else if (!s->reachable)
        s->progress = "waiting for the JobManager, which knows the last state of the job";
    if (s->now - s->memory->ended < CACHED_MS)
        plan_wake(s->plan, s->memory->ended + CACHED_MS);
    else if (s->reachable && due(s, &s->memory->sent, AGAIN_MS))
        job_ask(s, ACT_READ_STATE);
}

/* ---- a savepoint ---- */

static jv snapshot_info(const struct job_stop *s)
{
    return jv_get(s->status, "savepointInfo");
}

/* The id that is recorded, NULL: none was triggered for this. */
static const char *recorded_trigger(jv status)
{
    jv info = jv_get(status, "savepointInfo");
    const char *id = JV_STRING(info, "triggerId");

    return str_eq(JV_STRING(info, "triggerType"), "UPGRADE") && flink_id_valid(id) ? id : NULL;
}

bool job_stop_begun(jv status, const struct stop_memory *m, enum job_state state)
{
    if (recorded_trigger(status))
        return true;
    return !job_ended_itself(state) &&
           (cancel_requested(status) ||
            (m->sent >= 0 && str_eq(m->job_id, JV_STRING(status, "jobId"))));
}

bool job_saves_at_end(struct arena *a, const struct conf *conf, jv spec)
{
    struct conf asked = CONF_INIT(a);
    struct error err;

    return flink_option_on(conf, SAVES_KEY) ||
           (!conf_add_jv(&asked, jv_get(spec, "flinkConfiguration"), "", &err) &&
            flink_option_on(&asked, SAVES_KEY));
}

bool job_can_be_saved(jv status, const struct obs_job *job, bool ran)
{
    return job ? recorded_trigger(status) || !job_state_terminal(job->job.state) : ran;
}

static const char *format_name(const struct job_stop *s)
{
    return flink_option_choice(s->conf, OPTION "savepoint.format.type");
}

jv savepoint_untriggered(struct arena *a, jv info)
{
    static const char *const keys[] = {"triggerId", "triggerTimestamp", "triggerType",
                                       "formatType"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        info = jv_set(a, info, keys[i], ABSENT);
    return info;
}

jv job_untriggered(struct arena *a, jv status)
{
    return recorded_trigger(status)
               ? jv_set(a, status, "savepointInfo",
                        savepoint_untriggered(a, jv_get(status, "savepointInfo")))
               : status;
}

static void record_trigger(struct job_stop *s)
{
    jv info = jv_merge(
        s->a, snapshot_info(s).type == JV_OBJ ? snapshot_info(s) : EMPTY_OBJ,
        jv_dup(s->a, OBJ({"triggerId", STR(s->fresh_id)}, {"triggerTimestamp", INT(s->wall)},
                         {"triggerType", STR("UPGRADE")}, {"formatType", STR(format_name(s))})));

    s->progress = "taking a savepoint";
    s->memory->sent = s->memory->taking_since = -1;
    s->memory->partial = !job_runs_whole(s->job);
    s->new_status = jv_set(s->a, s->status, "savepointInfo", info);
}

static void savepoint_failed(struct job_stop *s, const char *why)
{
    struct stop_memory *m = s->memory;

    m->failures++;
    m->retry_at = s->now + backoff_ms(m->failures, RETRY_MS, RETRY_MAX_MS);
    m->sent = -1;
    plan_wake(s->plan, m->retry_at);
    s->trouble = (struct obs_cause){
        "SavepointError", arena_printf(s->a, "the savepoint failed, the job goes on as it was: %s",
                                       str_clean(s->a, why, 1000))};
    s->new_status = job_untriggered(s->a, s->status);
}

static void send_stop(struct job_stop *s, const char *trigger)
{
    struct stop_args *args = arena_new(s->a, struct stop_args);
    struct error err;
    bool drain;

    if (conf_bool(s->conf, OPTION "job.drain-on-savepoint-deletion", false, &drain, &err))
        drain = false;
    *args = (struct stop_args){
        .trigger = trigger,
        .directory = conf_lookup(s->conf, SAVEPOINT_DIR_KEY),
        .format = format_name(s),
        .drain = drain,
    };
    job_ask(s, ACT_STOP_JOB)->stop = args;
}

/* A savepoint was triggered: how is it? */
static void follow_savepoint(struct job_stop *s, const char *trigger)
{
    const struct outcome *stop = about_trigger(s, ACT_STOP_JOB, trigger),
                         *look = about_trigger(s, ACT_FIND_SAVEPOINT, trigger);
    bool forgotten = look && look->ok && !look->found;
    const char *late =
        job_taken_for_too_long(s->a, s->conf, look, s->now, &s->memory->taking_since);

    s->progress = "taking a savepoint";
    if (look && look->found && !look->ok) { /* Flink says that it failed */
        savepoint_failed(s, look->error.text);
        return;
    }
    if (look && look->ok && look->text && terminal(s)) {
        s->saved = true;
        found_end(s, look->text);
        return;
    }
    if (stop && !stop->ok && stop->error.http >= 400 && stop->error.http < 500) {
        savepoint_failed(s, stop->error.text);
        return;
    }
    if (late) {
        savepoint_failed(s, late);
        return;
    }
    if (forgotten && terminal(s)) {
        read_state(s);
        return;
    }
    if (forgotten && s->job && s->job->job.state == JOB_RUNNING)
        send_stop(s, trigger);
    else if (forgotten) /* it was never taken, and now it cannot be */
        s->new_status = job_untriggered(s->a, s->status);
    else if (s->reachable && due(s, &s->memory->looked, job_look_ms(&s->memory->failing, s->now))) {
        struct stop_args *args = arena_new(s->a, struct stop_args);

        *args = (struct stop_args){.trigger = trigger};
        job_ask(s, ACT_FIND_SAVEPOINT)->stop = args;
    }
}

bool job_falls_back(const struct conf *conf)
{
    struct error err;
    bool v;

    return conf_bool(conf, OPTION "job.upgrade.last-state-fallback.enabled", true, &v, &err) || v;
}

static void stop_with_savepoint(struct job_stop *s)
{
    enum job_state state = s->job ? s->job->job.state : JOB_UNKNOWN;

    if (state == JOB_CANCELLING || state == JOB_FAILING)
        s->progress = "waiting for the job to end";
    else if (state != JOB_RUNNING && !s->last &&
             (job_falls_back(s->conf) || cancel_requested(s->status)))
        cancel(s);
    else if (state != JOB_RUNNING)
        s->progress = "waiting for the job to run, to take a savepoint";
    else if (s->now < s->memory->retry_at && !(s->memory->partial && job_runs_whole(s->job)))
        plan_wake(s->plan, s->memory->retry_at);
    else
        record_trigger(s);
}

/* Cancelled, unless that would throw away more than the user allows. */
static void stop_with_last_state(struct job_stop *s)
{
    switch (job_checkpoint_age(s)) {
    case CHECKPOINT_UNKNOWN:
        s->progress = "looking at how old the last checkpoint is";
        break;
    case CHECKPOINT_COMES:
        s->progress = "waiting for a checkpoint: the last one is older than is allowed";
        break;
    case CHECKPOINT_OLD:
        stop_with_savepoint(s);
        break;
    case CHECKPOINT_YOUNG:
        cancel(s);
    }
}

/* ---- the whole ---- */

static bool patience_over(struct job_stop *s)
{
    struct stop_memory *m = s->memory;

    if (m->since < 0)
        m->since = s->now;
    if (s->now - m->since >= PATIENCE_MS)
        return true;
    plan_wake(s->plan, m->since + PATIENCE_MS);
    return false;
}

/* The JobManager of an application goes with its job, so there it need not be waited for. */
static bool can_just_go(struct job_stop *s)
{
    return terminal(s) ||
           (s->kind == KIND_FLINKDEPLOYMENT && (!s->job || !s->reachable || patience_over(s)));
}

static void stop_stateless(struct job_stop *s)
{
    if (can_just_go(s))
        found_end(s, NULL);
    else
        cancel(s);
}

struct stop_memory stop_memory_initial(void)
{
    return (struct stop_memory){.sent = -1,
                                .looked = -1,
                                .since = -1,
                                .taking_since = -1,
                                .ended = -1,
                                .failing = {.since = -1}};
}

struct stop_memory stop_memory_copy(struct arena *a, const struct stop_memory *m)
{
    struct stop_memory copy = *m;

    copy.job_id = m->job_id ? arena_strdup(a, m->job_id) : NULL;
    copy.trouble = obs_cause_copy(a, m->trouble);
    copy.failing = failing_notes_copy(a, m->failing);
    return copy;
}

/* A JobManager that answers to nothing at all is told otherwise. */
static void tell_failing(struct job_stop *s)
{
    static const enum action_type types[] = {ACT_STOP_JOB, ACT_FIND_SAVEPOINT, ACT_CANCEL_JOB,
                                             ACT_READ_STATE};
    const char *error;

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        failing_note(&s->memory->failing, job_outcome(s, types[i]), s->now);
    error = failing_for_long(&s->memory->failing, s->now);
    if (error && s->reachable && s->progress && !s->ended)
        s->progress = arena_printf(s->a, "%s: %s", s->progress, str_clean(s->a, error, 1000));
}

void job_stop(struct job_stop *s)
{
    const char *trigger = recorded_trigger(s->status);

    s->new_status = ABSENT;
    if (!str_eq(s->memory->job_id, s->job_id)) {
        *s->memory = stop_memory_initial();
        s->memory->job_id = s->job_id;
    }
    if (!terminal(s)) { /* or it runs again, under another JobManager */
        s->memory->ended = -1;
        s->memory->no_checkpoint = false;
    }
    if (s->redeploy && terminal(s))
        found_end(s, NULL);
    else if (trigger && terminal(s) && s->memory->ended >= 0 && !stateful(s))
        found_end(s, NULL); /* the savepoint was forgotten, and its state is not wanted any more */
    else if (terminal(s) && s->memory->ended >= 0 && (trigger || job_outcome(s, ACT_READ_STATE)))
        read_state(s);
    else if (trigger && !stateful(s) && s->kind == KIND_FLINKDEPLOYMENT && can_just_go(s))
        found_end(s, NULL);
    else if (trigger) /* whatever is asked for by now */
        follow_savepoint(s, trigger);
    else if (!stateful(s))
        stop_stateless(s);
    else if (terminal(s))
        read_state(s);
    else if (!s->job)
        s->progress = "waiting for the job to be found in Flink";
    else if (s->mode == UPGRADE_SAVEPOINT)
        stop_with_savepoint(s);
    else
        stop_with_last_state(s);
    tell_failing(s);
    /* It stays told until it is overcome. */
    if (s->trouble.reason)
        s->memory->trouble = s->trouble;
    s->trouble = s->memory->trouble;
}

static jv saved_as(const struct job_stop *s)
{
    return jv_dup(s->a, OBJ({"timeStamp", jv_get(snapshot_info(s), "triggerTimestamp")},
                            {"location", STR(s->restore_path)}, {"triggerType", STR("UPGRADE")},
                            {"formatType", STR(format_name(s))}));
}

jv job_stopped_with(struct job_stop *s, jv status)
{
    jv info = savepoint_untriggered(s->a, snapshot_info(s));

    if (s->saved && !s->registers && !s->last)
        info = savepoint_remembered(s->a, info, saved_as(s));
    if (s->saved)
        info = jv_set(s->a, info, "lastSavepoint", saved_as(s));
    if (jv_present(snapshot_info(s)))
        status = jv_set(s->a, status, "savepointInfo", info);
    if (s->saved && s->registers && !s->last)
        status = job_registers(s->a, status, s->name, s->restore_path, format_name(s),
                               jv_int64_or(jv_get(snapshot_info(s), "triggerTimestamp"), s->wall));
    return status;
}
