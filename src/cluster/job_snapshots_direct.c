/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Savepoints and checkpoints that are no resources (snapshot.resource.enabled is false, or the API
 * server does not have the kind): asked for here, and told in status.jobStatus.savepointInfo and
 * checkpointInfo (api-contract §1.6).
 *
 *   record an id ──► ask for it under that id, look ──► lastSavepoint, savepointHistory
 *        ▲                       │
 *        └── failed, tried again ┴──► given up when its time is over
 *
 * As for a FlinkStateSnapshot, a second request under one id takes no second one.
 */
#include "flinkop/arena.h"
#include "flinkop/cluster_config.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_reply.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "job_snapshots.h"
#include "job_stop.h"
#include "job_words.h"

#define OPTION "kubernetes.operator."
#define RETRY_MS 5000 /* after a failure */
#define BUSY_MS 5000

/* The id that is recorded, NULL: none is under way, or it is that of an upgrade. */
static const char *recorded_trigger(jv info)
{
    const char *id = JV_STRING(info, "triggerId"), *type = JV_STRING(info, "triggerType");

    return flink_id_valid(id) && (str_eq(type, "MANUAL") || str_eq(type, "PERIODIC")) ? id : NULL;
}

bool job_snapshot_under_way(jv status, const struct conf *conf)
{
    return recorded_trigger(jv_get(status, snapshot_types[0].info)) &&
           !flink_option_on(conf, OPTION "job.upgrade.ignore-pending-savepoint");
}

static void set_info(struct job_snapshots *s, const struct snapshot_type *t, jv info)
{
    s->status = jv_set(s->a, s->status, t->info, jv_dup(s->a, info));
}

const char *checkpoint_type(const struct conf *conf)
{
    return flink_option_choice(conf, OPTION "checkpoint.type");
}

static const char *format_of(const struct job_snapshots *s, const struct snapshot_type *t)
{
    return t->checkpoint ? checkpoint_type(s->conf)
                         : flink_option_choice(s->conf, OPTION "savepoint.format.type");
}

/* ---- beginning ---- */

/* Both may be asked for in one pass, and one id is not given twice. */
static const char *id_of(const struct job_snapshots *s, const struct snapshot_type *t)
{
    const char *id = s->fresh_id;

    return t->checkpoint ? arena_printf(s->a, "%s%.*s", id + FLINK_ID_LEN / 2, FLINK_ID_LEN / 2, id)
                         : id;
}

/* As a resource, which somebody else has made. */
static bool one_is_taken(const struct job_snapshots *s, const struct snapshot_type *t)
{
    for (size_t i = 0; i < s->list->n; i++)
        if (s->list->items[i]->checkpoint == t->checkpoint && s->list->items[i]->in_progress)
            return true;
    return false;
}

/* From the answer to this status on its id stands. */
bool snapshot_begin_directly(struct job_snapshots *s, const struct snapshot_type *t, jv nonce)
{
    jv before = snapshot_request(s, t->word), info = jv_get(s->status, t->info);
    bool again = jv_equal(jv_get(before, "triggerNonce"), nonce) &&
                 jv_present(jv_get(before, "requestedTimestamp"));
    const char *why = jv_present(nonce) ? "MANUAL" : "PERIODIC", *id = id_of(s, t);

    if (s->now < s->memory->retry_at[t->checkpoint]) {
        plan_wake(s->plan, s->memory->retry_at[t->checkpoint]);
        return false;
    }
    if (one_is_taken(s, t)) { /* its end brings us back */
        plan_wake(s->plan, s->now + BUSY_MS);
        return false;
    }
    snapshot_set_request(
        s, t->word,
        OBJ({"triggerType", STR(why)}, {"triggerNonce", nonce},
            {"requestedTimestamp", again ? jv_get(before, "requestedTimestamp") : INT(s->wall)}));
    set_info(s, t,
             jv_merge(s->a, info.type == JV_OBJ ? info : EMPTY_OBJ,
                      OBJ({"triggerId", STR(id)}, {"triggerTimestamp", INT(s->wall)},
                          {"triggerType", STR(why)}, {"formatType", STR(format_of(s, t))})));
    s->memory->unsent[t->checkpoint] = id;
    s->memory->looked[t->checkpoint] = s->memory->taking_since[t->checkpoint] = -1;
    s->memory->failing[t->checkpoint].since = -1;
    return true;
}

/* ---- how it ends ---- */

jv savepoint_remembered(struct arena *a, jv info, jv savepoint)
{
    return jv_set(a, info, SAVEPOINT_HISTORY,
                  jv_append(a, jv_get(info, SAVEPOINT_HISTORY), savepoint));
}

/* The nonce for which it is taken; what another operator has begun says it nowhere. */
static jv nonce_of(const struct job_snapshots *s, const struct snapshot_type *t, jv info)
{
    jv nonce = jv_get(snapshot_request(s, t->word), "triggerNonce");

    if (!str_eq(JV_STRING(info, "triggerType"), "MANUAL"))
        return ABSENT;
    return jv_present(nonce) ? nonce : snapshot_asking_nonce(s, t);
}

/* Of the one that is followed: the status as it was, for a change of the job may have put its own
 * there in this pass. */
static jv followed(const struct job_snapshots *s, const struct snapshot_type *t)
{
    return JV_PATH(s->cr, "status", "jobStatus", t->info);
}

static bool still_recorded(const struct job_snapshots *s, const struct snapshot_type *t)
{
    return str_eq(JV_STRING(s->status, t->info, "triggerId"),
                  JV_STRING(followed(s, t), "triggerId"));
}

/* Unless another one has taken its place. */
static void set_followed(struct job_snapshots *s, const struct snapshot_type *t, jv info)
{
    if (still_recorded(s, t))
        set_info(s, t, info);
}

static void over(struct job_snapshots *s, const struct snapshot_type *t, jv info)
{
    snapshot_handled(s, t, nonce_of(s, t, followed(s, t)));
    snapshot_set_request(s, t->word, ABSENT);
    set_followed(s, t, info);
}

static void complete(struct job_snapshots *s, const struct snapshot_type *t, const char *path)
{
    jv info = followed(s, t), nonce = nonce_of(s, t, info);
    jv made =
        jv_dup(s->a, OBJ({"timeStamp", jv_get(info, "triggerTimestamp")},
                         {"location", IF(!t->checkpoint, STR(path))},
                         {"triggerType", jv_get(info, "triggerType")},
                         {"formatType", jv_get(info, "formatType")}, {"triggerNonce", nonce}));

    info = jv_set(s->a, savepoint_untriggered(s->a, info), t->last, made);
    if (!t->checkpoint)
        info = savepoint_remembered(s->a, info, made);
    if (!still_recorded(s, t)) /* but it is told of */
        set_info(s, t, savepoint_remembered(s->a, jv_get(s->status, t->info), made));
    over(s, t, info);
}

static void failed(struct job_snapshots *s, const struct snapshot_type *t, const char *cause)
{
    jv info = followed(s, t);
    int64_t since = jv_int64_or(jv_get(snapshot_request(s, t->word), "requestedTimestamp"),
                                jv_int64_or(jv_get(info, "triggerTimestamp"), 0));
    int64_t grace = flink_option_ms(s->conf, t->grace);
    bool gives_up = s->wall - since >= grace || s->wall < since;

    snapshot_tell(s, true, t->error,
                  arena_printf(s->a, "the %s failed: %s (%s)", t->word,
                               str_clean(s->a, cause, 1000),
                               gives_up ? "it is not tried again" : "it is tried again"));
    if (gives_up) {
        over(s, t, savepoint_untriggered(s->a, info));
        return;
    }
    set_followed(s, t, savepoint_untriggered(s->a, info));
    s->memory->retry_at[t->checkpoint] = s->now + RETRY_MS;
    plan_wake(s->plan, s->now + RETRY_MS);
}

/* ---- following ---- */

static const struct outcome *outcome_of(const struct job_snapshots *s, enum action_type type,
                                        const char *trigger)
{
    return job_outcome_of(s->outcomes, s->n_outcomes, type, s->job_id, trigger);
}

void snapshot_ask_directly(struct job_snapshots *s, enum action_type type,
                           const struct stop_args *args)
{
    struct action *act = plan_add(s->plan, type, s->kind, JV_STRING(s->cr, "metadata", "namespace"),
                                  JV_STRING(s->cr, "metadata", "name"));
    struct stop_args *own = arena_new(s->a, struct stop_args);

    *own = *args;
    act->stop = own;
    act->cluster = s->cluster;
    act->job_id = s->job_id;
}

static int64_t pause_ms(const struct job_snapshots *s, const struct snapshot_type *t)
{
    return job_look_ms(&s->memory->failing[t->checkpoint], s->now);
}

static void take(struct job_snapshots *s, const struct snapshot_type *t, const char *trigger)
{
    s->memory->unsent[t->checkpoint] = NULL;
    s->memory->looked[t->checkpoint] = s->now;
    plan_wake(s->plan, s->now + pause_ms(s, t));
    snapshot_ask_directly(
        s, t->take,
        &(struct stop_args){
            .trigger = trigger,
            .directory = t->checkpoint ? NULL : conf_lookup(s->conf, SAVEPOINT_DIR_KEY),
            .format = JV_STRING(s->status, t->info, "formatType"),
        });
}

static void look(struct job_snapshots *s, const struct snapshot_type *t, const char *trigger)
{
    int64_t *looked = &s->memory->looked[t->checkpoint];

    if (!s->reachable)
        return;
    if (*looked < 0 || s->now - *looked >= pause_ms(s, t)) {
        *looked = s->now;
        snapshot_ask_directly(s, t->find, &(struct stop_args){.trigger = trigger});
    }
    plan_wake(s->plan, *looked + pause_ms(s, t));
}

/* Flink did not take the request, and would not take it a second time. */
static bool refused(const struct outcome *o)
{
    return o && !o->ok && o->error.http >= 400 && o->error.http < 500 && o->error.http != 404;
}

/* Told once of each that is asked for. */
static void tell_failing(struct job_snapshots *s, const struct snapshot_type *t, const char *fails)
{
    jv request = snapshot_request(s, t->word);
    const char *text = arena_printf(s->a, "taking a %s: %s", t->word, str_clean(s->a, fails, 1000));

    if (jv_present(jv_get(request, "message")))
        return;
    snapshot_tell(s, true, t->error, text);
    snapshot_set_request(s, t->word, jv_set(s->a, request, "message", STR(text)));
}

bool snapshot_follow_directly(struct job_snapshots *s, const struct snapshot_type *t)
{
    struct failing_notes *failing = &s->memory->failing[t->checkpoint];
    jv info = followed(s, t);
    const char *trigger = recorded_trigger(info), *late, *fails;
    const struct outcome *found, *took;
    bool in_vain;

    if (!trigger || !s->job_id)
        return false;
    found = outcome_of(s, t->find, trigger);
    took = outcome_of(s, t->take, trigger);
    late = job_taken_for_too_long(s->a, s->conf, found, s->now,
                                  &s->memory->taking_since[t->checkpoint]);
    failing_note(failing, took, s->now);
    failing_note(failing, found, s->now);
    if (!s->reachable) /* which is told otherwise */
        failing->since = -1;
    fails = failing_for_long(failing, s->now);
    in_vain = fails && s->now - failing->since >= flink_option_ms(s->conf, t->grace);
    if (fails && !in_vain)
        tell_failing(s, t, fails);
    if (found && found->found && !found->ok)
        failed(s, t, found->error.text);
    else if (refused(took))
        failed(s, t, took->error.text);
    else if (late)
        failed(s, t, late);
    else if (in_vain)
        failed(s, t, fails);
    else if (found && found->ok && (found->text || found->done))
        complete(s, t, found->text);
    else if ((found && found->ok && !found->found) ||
             str_eq(s->memory->unsent[t->checkpoint], trigger)) {
        if (s->waits) /* a change may wait for it; it is asked for anew after that */
            set_followed(s, t, savepoint_untriggered(s->a, info));
        else
            take(s, t, trigger);
    } else {
        look(s, t, trigger);
    }
    return true;
}
