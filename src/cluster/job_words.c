/* SPDX-License-Identifier: Apache-2.0 */
#include "job_words.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "status.h"

#define CHECKPOINT_TIMEOUT_KEY "execution.checkpointing.timeout"
#define CHECKPOINT_TIMEOUT_MS 600000 /* Flink's default */
#define TAKEN_MS 3600000             /* nothing is waited for less long */
#define FAILING_MS 5000              /* one that is carried out by then is not told of */
#define LOOK_MS 500
#define LOOK_MAX_MS 10000

bool job_flink_answered(const struct error *err)
{
    return err->http && err->http != 502 && err->http != 503 && err->http != 504;
}

bool job_ended_itself(enum job_state state)
{
    return state == JOB_FINISHED || state == JOB_FAILED;
}

bool job_redeploys(jv recorded, jv spec)
{
    jv was = JV_PATH(recorded, "job", "savepointRedeployNonce");
    jv nonce = JV_PATH(spec, "job", "savepointRedeployNonce");

    return !jv_present(recorded) || (jv_present(nonce) && !jv_equal(nonce, was));
}

const char *job_restore_path(jv status)
{
    const char *path = JV_STRING(status, "upgradeSavepointPath");

    return str_empty(path) ? NULL : path;
}

bool job_runs_whole(const struct obs_job *job)
{
    const struct flink_job *j = job ? &job->job : NULL;

    if (!j || j->state != JOB_RUNNING)
        return false;
    /* A batch job runs one part after the other. */
    if (job->batch)
        return j->tasks[TASKS_RUNNING] + j->tasks[TASKS_FINISHED] > 0;
    return flink_job_runs_whole(j);
}

/* Why a job that Flink has does not run, as far as its cluster knows. */
static bool waits_for_slots(const struct flink_job *j, const char *shortage)
{
    return shortage && (j->tasks[TASKS_SCHEDULED] > 0 || j->state == JOB_CREATED);
}

/* "Running" of RUNNING. */
static const char *capitalised(struct arena *a, const char *name)
{
    char *word = arena_strdup(a, name);

    for (char *c = word + (*word != 0); *c; c++)
        *c = (char)(*c | 0x20);
    return *word ? word : "Unknown";
}

struct obs_cause job_state_cause(struct arena *a, const struct obs_job *job, enum job_state state,
                                 const char *shortage)
{
    const struct flink_job *j = job ? &job->job : NULL;
    const char *word = capitalised(a, job_state_name(state));

    if (!j || job_state_terminal(j->state) || job_runs_whole(job))
        return (struct obs_cause){word, arena_printf(a, "Job status %s", job_state_name(state))};

    const char *run =
        arena_printf(a, "%d of %d tasks run", j->tasks[TASKS_RUNNING], j->tasks_total);

    if (waits_for_slots(j, shortage))
        return (struct obs_cause){"WaitingForSlots", arena_printf(a, "%s: %s", run, shortage)};
    return (struct obs_cause){word, run};
}

const char *job_trouble_error(struct arena *a, const struct obs_cause *trouble)
{
    const char *type = strcmp(trouble->reason, UPGRADE_FAILED) ? "ReconciliationException"
                                                               : "UpgradeFailureException";

    return error_text(a, arena_printf(a, ERROR_PREFIX "%s", type), trouble->reason,
                      trouble->message);
}

const char *job_failure_told(const char *error)
{
    return error && strstr(error, JOB_FAILURE_TYPE) ? error : NULL;
}

#define CACHED_MS 10000 /* web.refresh-interval is 3 s */
#define ASK_AGAIN_MS 1000

static void ask_for_failure(struct plan *plan, const struct failure_look *l)
{
    struct action *act = plan_add(plan, ACT_JOB_ERROR, l->kind, l->ns, l->name);

    act->cluster = l->cluster;
    act->job_id = l->job_id;
}

const char *job_failure(struct plan *plan, const struct failure_look *l)
{
    const struct outcome *o = NULL;
    int64_t since;

    for (size_t i = 0; i < l->n_outcomes; i++)
        if (l->outcomes[i].type == ACT_JOB_ERROR && l->outcomes[i].ok &&
            str_eq(l->outcomes[i].job_id, l->job_id))
            o = &l->outcomes[i];
    if (!o) {
        ask_for_failure(plan, l);
        return NULL;
    }
    if (o->text)
        return o->text;
    if (!str_eq(JV_STRING(l->status, "state"), "FAILED") ||
        !str_to_int64(str_or_empty(JV_STRING(l->status, "updateTime")), &since))
        since = l->wall;
    if (l->wall - since >= CACHED_MS)
        return "Flink tells no cause";
    plan_wake(plan, l->now + ASK_AGAIN_MS);
    return NULL;
}

const char *job_last_seen(struct arena *a, jv status)
{
    const char *path = JV_STRING(status, LAST_CHECKPOINT, "location");

    return path ? arena_printf(a, ". The newest checkpoint that was seen: %s", path) : "";
}

struct obs_cause job_state_lost(struct arena *a, jv status, const char *why)
{
    return (struct obs_cause){
        UPGRADE_FAILED, arena_printf(a, "%s. " MANUAL_RESTORE "%s", why, job_last_seen(a, status))};
}

static jv without_end(struct arena *a, jv js)
{
    return jv_set(a, jv_set(a, js, END_STATE, ABSENT), SHUT_DOWN, ABSENT);
}

jv job_status_write(struct arena *a, jv old, const struct obs_job *job, const char *state,
                    int64_t wall)
{
    const struct flink_job *j = job ? &job->job : NULL;
    jv js = old;

    if (j)
        js = jv_set(a, js, "jobName", STR(str_clean(a, j->name, 500)));
    if (j && j->start_ms > 0)
        js = jv_set(a, js, "startTime", STR(arena_printf(a, "%lld", (long long)j->start_ms)));
    if (j && job_state_terminal(j->state))
        js = jv_set(a, js, REQUESTED_PARALLELISM, ABSENT);
    if (j && job_ended_itself(j->state))
        js = jv_set(a, js, CANCEL_REQUESTED, ABSENT);
    if (j && !job_state_terminal(j->state)) /* it runs again, under another JobManager */
        js = without_end(a, js);
    if (!str_eq(state, JV_STRING(js, "state")))
        js = jv_set(a, js, "updateTime", STR(arena_printf(a, "%lld", (long long)wall)));
    return jv_set(a, js, "state", STR(state));
}

jv job_status_begin(struct arena *a, jv old, const char *id)
{
    jv js = jv_set(a, old, "jobId", STR(id));

    /* One that goes on under the same id goes on from there, too. */
    if (!str_eq(id, JV_STRING(old, "jobId")))
        js = jv_set(a, js, LAST_CHECKPOINT, ABSENT);
    return jv_set(a, js, "startTime", ABSENT);
}

jv job_status_leave(struct arena *a, jv old, const char *restore)
{
    jv js = jv_set(a, jv_set(a, old, REQUESTED_PARALLELISM, ABSENT), CANCEL_REQUESTED, ABSENT);

    js = without_end(a, js);
    return jv_set(a, js, "upgradeSavepointPath", STR(restore));
}

const char *job_taken_for_too_long(struct arena *a, const struct conf *conf,
                                   const struct outcome *look, int64_t now, int64_t *since)
{
    struct error err;
    int64_t ms;

    if (look && !(look->ok && look->found && !look->text && !look->done))
        *since = -1;
    else if (look && *since < 0)
        *since = now;
    if (*since < 0)
        return NULL;
    if (conf_duration(conf, CHECKPOINT_TIMEOUT_KEY, CHECKPOINT_TIMEOUT_MS, &ms, &err))
        ms = CHECKPOINT_TIMEOUT_MS;
    ms = MAX(2 * MIN(ms, DURATION_MAX_MS / 2), TAKEN_MS);
    return now - *since < ms ? NULL
                             : arena_printf(a,
                                            "after %lld minutes Flink still says that it is being "
                                            "taken",
                                            (long long)(ms / 60000));
}

const struct outcome *job_outcome_of(const struct outcome *outcomes, size_t n,
                                     enum action_type type, const char *job_id, const char *trigger)
{
    for (size_t i = 0; i < n; i++)
        if (outcomes[i].type == type && str_eq(outcomes[i].job_id, job_id) &&
            (!trigger || str_eq(outcomes[i].trigger, trigger)))
            return &outcomes[i];
    return NULL;
}

struct failing_notes failing_notes_copy(struct arena *a, struct failing_notes m)
{
    return (struct failing_notes){m.since, m.error ? arena_strdup(a, m.error) : NULL};
}

int64_t job_look_ms(const struct failing_notes *m, int64_t now)
{
    int64_t failing = m->since < 0 ? 0 : now - m->since;

    return MIN(MAX(failing / 4, (int64_t)LOOK_MS), (int64_t)LOOK_MAX_MS);
}

/* That what was asked for is not known yet says nothing of whether it can be asked for. */
void failing_note(struct failing_notes *m, const struct outcome *o, int64_t now)
{
    bool asked_again = o && o->ok && !o->found &&
                       (o->type == ACT_FIND_SAVEPOINT || o->type == ACT_FIND_CHECKPOINT);

    if (o && o->ok && !asked_again) {
        m->since = -1;
    } else if (o && !o->ok && !o->found && error_is_transient(&o->error) &&
               (o->error.http < 400 || o->error.http >= 500)) {
        m->error = o->error.text;
        m->since = m->since < 0 ? now : m->since;
    }
}

const char *failing_for_long(const struct failing_notes *m, int64_t now)
{
    return m->since >= 0 && now - m->since >= FAILING_MS ? m->error : NULL;
}
