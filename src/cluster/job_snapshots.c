/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   a new nonce, or the time has come ──record the name──► FlinkStateSnapshot made ──► the nonce
 *                                                                                      is recorded
 *
 * The name of the resource is chosen and recorded before it is made, so whoever comes after a crash
 * makes the same one, and that it exists already is a success. A nonce counts as handled when its
 * snapshot is there, and not before: while the job does not run it waits, and the status says so.
 */
#include "job_snapshots.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/json.h"
#include "flinkop/label_selector.h"
#include "flinkop/schedule.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

#define OPTION "kubernetes.operator."
#define NAME_MAX 253
#define SHORTEST_MS 1000  /* between two periodic ones */
#define FUTURE_MS 3600000 /* what was taken later than that from now was by another clock */

const struct snapshot_type snapshot_types[2] = {
    {"savepoint", "savepointTriggerNonce", "savepointInfo", "lastSavepoint",
     "lastPeriodicSavepointTimestamp", PERIODIC_SAVEPOINT_KEY,
     OPTION "savepoint.trigger.grace-period", "SavepointError", false, ACT_TAKE_SAVEPOINT,
     ACT_FIND_SAVEPOINT},
    {"checkpoint", "checkpointTriggerNonce", "checkpointInfo", "lastCheckpoint",
     "lastPeriodicCheckpointTimestamp", PERIODIC_CHECKPOINT_KEY,
     OPTION "checkpoint.trigger.grace-period", "CheckpointError", true, ACT_TAKE_CHECKPOINT,
     ACT_FIND_CHECKPOINT},
};
#define UPGRADE_REQUEST "upgrade"

struct snapshot_notes snapshot_notes_initial(void)
{
    return (struct snapshot_notes){
        .looked = {-1, -1}, .taking_since = {-1, -1}, .failing = {{.since = -1}, {.since = -1}}};
}

struct snapshot_notes snapshot_notes_copy(struct arena *a, const struct snapshot_notes *m)
{
    struct snapshot_notes copy = *m;

    for (size_t i = 0; i < ARRAY_SIZE(copy.unsent); i++) {
        copy.request[i] = m->request[i] ? arena_strdup(a, m->request[i]) : NULL;
        copy.unsent[i] = m->unsent[i] ? arena_strdup(a, m->unsent[i]) : NULL;
        copy.failing[i] = failing_notes_copy(a, m->failing[i]);
    }
    copy.disposing = m->disposing ? arena_strdup(a, m->disposing) : NULL;
    return copy;
}

bool snapshots_are_resources(const struct conf *conf, const struct snapshot_list *list)
{
    return !list->absent && flink_option_on(conf, OPTION "snapshot.resource.enabled");
}

jv spec_with_nonces(struct arena *a, jv spec, jv nonces)
{
    jv_foreach_kv (kv, nonces)
        spec = JV_SET_PATH(a, spec, kv->value, "job", kv->key);
    return spec;
}

/* ---- what is recorded of it ---- */

/* What the status has no room for is remembered, as long as this process lives. */
static jv remembered_request(const struct job_snapshots *s, const struct snapshot_type *t)
{
    const char *text = s->memory->request[t->checkpoint];
    struct error err;
    jv request;

    return text && !json_parse(s->a, text, strlen(text), &request, &err) ? request : ABSENT;
}

/* As the status has it: only what is written there stands. */
jv snapshot_request(const struct job_snapshots *s, const char *slot)
{
    for (size_t i = 0; s->memory->pruned && i < ARRAY_SIZE(snapshot_types); i++)
        if (str_eq(slot, snapshot_types[i].word))
            return remembered_request(s, &snapshot_types[i]);
    return JV_PATH(s->cr, "status", "jobStatus", SNAPSHOT_REQUESTS, slot);
}

static jv status_with(struct arena *a, jv status, const char *slot, jv request)
{
    jv all = jv_set(a, jv_get(status, SNAPSHOT_REQUESTS), slot, request);

    return jv_set(a, status, SNAPSHOT_REQUESTS, jv_len(all) ? jv_dup(a, all) : ABSENT);
}

void snapshot_set_request(struct job_snapshots *s, const char *slot, jv request)
{
    const char *name = JV_STRING(request, "name");
    bool named = name && !str_eq(name, JV_STRING(snapshot_request(s, slot), "name"));

    for (size_t i = 0; i < ARRAY_SIZE(snapshot_types); i++)
        if (str_eq(slot, snapshot_types[i].word))
            s->memory->request[i] = jv_present(request) ? json_text(s->a, request) : NULL;
    if (s->memory->pruned && named) /* no answer to a status brings us back */
        plan_wake(s->plan, s->now);
    if (!s->memory->pruned &&
        !jv_equal(jv_get(jv_get(s->status, SNAPSHOT_REQUESTS), slot), request))
        s->status = status_with(s->a, s->status, slot, request);
}

static void look_for_pruning(struct job_snapshots *s)
{
    struct snapshot_notes *m = s->memory;
    bool there = jv_present(JV_PATH(s->cr, "status", "jobStatus", SNAPSHOT_REQUESTS));

    m->pruned = status_prunes(m->pruned, m->put, there, s->outcomes, s->n_outcomes);
}

/* The name of a resource of ours, which may be a long one. */
static const char *snapshot_name(struct arena *a, const char *cr_name, const char *word,
                                 const char *why, int64_t wall)
{
    const char *end = arena_printf(a, "-%s-%s-%lld", word, why, (long long)wall);

    return arena_printf(a, "%.*s%s", (int)(NAME_MAX - strlen(end)), cr_name, end);
}

static const char *cr_name(const struct job_snapshots *s)
{
    return JV_STRING(s->cr, "metadata", "name");
}

jv job_registers(struct arena *a, jv status, const char *name, const char *path, const char *format,
                 int64_t taken_ms)
{
    return status_with(
        a, status, UPGRADE_REQUEST,
        OBJ({"triggerType", STR("UPGRADE")},
            {"name", STR(snapshot_name(a, name, "savepoint", UPGRADE_REQUEST, taken_ms))},
            {"path", STR(path)}, {"formatType", STR(format)}));
}

/* ---- making the resource ---- */

/* A FlinkDeployment and a FlinkSessionJob may have one name, and ask in the same millisecond. */
static const char *another_name(const struct job_snapshots *s, jv request, bool checkpoint)
{
    const char *type = JV_STRING(request, "triggerType");
    const char *why = str_eq(type, "MANUAL")     ? "manual"
                      : str_eq(type, "PERIODIC") ? "periodic"
                                                 : UPGRADE_REQUEST;

    return snapshot_name(s->a, cr_name(s), snapshot_types[checkpoint].word, why, s->wall);
}

static jv savepoint_part(const struct job_snapshots *s, jv request)
{
    const char *path = JV_STRING(request, "path");
    const char *format = flink_option_choice(s->conf, OPTION "savepoint.format.type");

    return jv_dup(s->a, OBJ({"formatType", STR(str_or(JV_STRING(request, "formatType"), format))},
                            {"disposeOnDelete",
                             BOOL(flink_option_on(s->conf, OPTION "savepoint.dispose-on-delete"))},
                            {"alreadyExists", IF(path, BOOL(true))}, {"path", STR(path)}));
}

static jv snapshot_body(const struct job_snapshots *s, jv request, bool checkpoint)
{
    jv seen = label_selector_seen(s->a, s->selector, JV_PATH(s->cr, "metadata", "labels"));
    jv labels = OBJ({"snapshot.trigger-type", jv_get(request, "triggerType")});

    return jv_dup(s->a,
                  OBJ({"apiVersion", STR("flink.apache.org/v1beta1")},
                      {"kind", STR(kube_resource(KIND_FLINKSTATESNAPSHOT)->kind)},
                      {"metadata", OBJ({"name", jv_get(request, "name")},
                                       {"namespace", JV_PATH(s->cr, "metadata", "namespace")},
                                       {"labels", jv_merge(s->a, seen, labels)})},
                      {"spec", OBJ({"jobReference", OBJ({"kind", STR(kube_resource(s->kind)->kind)},
                                                        {"name", STR(cr_name(s))})},
                                   {"savepoint", IF(!checkpoint, savepoint_part(s, request))},
                                   {"checkpoint", IF(checkpoint, EMPTY_OBJ)})}));
}

static const struct outcome *creation(const struct job_snapshots *s, const char *name)
{
    for (size_t i = 0; i < s->n_outcomes; i++)
        if (s->outcomes[i].type == ACT_CREATE && s->outcomes[i].kind == KIND_FLINKSTATESNAPSHOT &&
            str_eq(s->outcomes[i].name, name))
            return &s->outcomes[i];
    return NULL;
}

static bool is_ours(const struct job_snapshots *s, const char *name)
{
    for (size_t i = 0; i < s->list->n; i++)
        if (str_eq(s->list->items[i]->meta.name, name))
            return true;
    return false;
}

void snapshot_tell(struct job_snapshots *s, bool warning, const char *reason, const char *message)
{
    plan_event(s->plan, s->kind, s->cr, warning, "Snapshot", reason, message);
}

static void tell_refused(struct job_snapshots *s, const char *slot, jv request,
                         const struct outcome *o, const char *reason)
{
    struct obs_cause why = refusal_of(s->a, o);

    if (!why.reason || str_eq(why.message, JV_STRING(request, "message")))
        return;
    snapshot_tell(s, true, reason, why.message);
    snapshot_set_request(s, slot, jv_set(s->a, request, "message", STR(why.message)));
}

/* Makes the resource of a request that is recorded; true when it is there. */
static bool made(struct job_snapshots *s, const char *slot, jv request, bool checkpoint)
{
    const char *name = JV_STRING(request, "name"), *ns = JV_STRING(s->cr, "metadata", "namespace");
    const struct outcome *o = creation(s, name);
    bool others = o && o->ok && o->found && !is_ours(s, name);

    if (o && o->ok && !others)
        return true;
    if (others) {
        snapshot_set_request(
            s, slot, jv_set(s->a, request, "name", STR(another_name(s, request, checkpoint))));
        return false;
    }
    if (o)
        tell_refused(s, slot, request, o, snapshot_types[checkpoint].error);
    plan_add(s->plan, ACT_CREATE, KIND_FLINKSTATESNAPSHOT, ns, name)->body =
        snapshot_body(s, request, checkpoint);
    return false;
}

/* ---- a nonce ---- */

/* The one that asks for a snapshot, ABSENT: none does. One that is taken away asks for nothing. */
jv snapshot_asking_nonce(const struct job_snapshots *s, const struct snapshot_type *t)
{
    jv nonce = JV_PATH(s->asked, "job", t->nonce), was = JV_PATH(s->recorded, "job", t->nonce);

    return jv_present(nonce) && !jv_equal(nonce, was) ? nonce : ABSENT;
}

static void wait_for_job(struct job_snapshots *s, const struct snapshot_type *t, jv nonce)
{
    jv before = snapshot_request(s, t->word);

    if (!s->memory->pruned && !jv_equal(jv_get(before, "triggerNonce"), nonce))
        snapshot_tell(s, false, "SnapshotPending",
                      arena_printf(s->a, "the %s that spec.job.%s %s asks for waits: %s", t->word,
                                   t->nonce, jv_scalar_text(s->a, nonce), s->waits));
    snapshot_set_request(
        s, t->word,
        OBJ({"triggerType", STR("MANUAL")}, {"triggerNonce", nonce}, {"message", STR(s->waits)}));
}

static void request(struct job_snapshots *s, const struct snapshot_type *t, const char *why,
                    jv nonce)
{
    bool manual = jv_present(nonce);

    snapshot_set_request(
        s, t->word,
        OBJ({"triggerType", STR(manual ? "MANUAL" : "PERIODIC")}, {"triggerNonce", nonce},
            {"name", STR(snapshot_name(s->a, cr_name(s), t->word, why, s->wall))}));
}

/* ---- periodic ones ---- */

/* When the last one was asked for, as far as anybody remembers; else its time begins with the
 * resource. */
static int64_t last_periodic(const struct job_snapshots *s, const struct snapshot_type *t)
{
    int64_t last = 0, latest = s->wall + FUTURE_MS;
    int64_t told = jv_int64_or(jv_get(jv_get(s->status, t->info), t->last_periodic), 0);

    if (!rfc3339_parse(str_or_empty(JV_STRING(s->cr, "metadata", "creationTimestamp")), &last))
        last = 0;
    if (told <= latest)
        last = MAX(last, told);
    for (size_t i = 0; i < s->list->n; i++) {
        const struct obs_snapshot *v = s->list->items[i];

        if (v->trigger == SNAPSHOT_PERIODIC && v->checkpoint == t->checkpoint &&
            v->meta.created_ms <= latest)
            last = MAX(last, v->meta.created_ms);
    }
    return last;
}

/* One is not asked for while the one before is still to come: they would only pile up. */
static bool one_is_due(const struct job_snapshots *s, const struct snapshot_type *t)
{
    for (size_t i = 0; i < s->list->n; i++) {
        const struct obs_snapshot *v = s->list->items[i];

        if (v->trigger == SNAPSHOT_PERIODIC && v->checkpoint == t->checkpoint && !v->settled &&
            !v->meta.deleted_ms)
            return true;
    }
    return false;
}

const char *snapshot_lacks(const struct snapshot_type *t, const struct conf *conf,
                           const struct flink_version *version)
{
    if (!t->checkpoint && !conf_lookup(conf, SAVEPOINT_DIR_KEY))
        return "needs " SAVEPOINT_DIR_KEY;
    if (t->checkpoint && version && !flink_at_least(version, 1, 17))
        return "needs Flink 1.17 or later, which takes a checkpoint when it is asked to";
    return NULL;
}

/* The interval, as one of the operator or of a former version may be; false: there is none. */
static bool interval_of(struct job_snapshots *s, const struct snapshot_type *t,
                        struct schedule *ret)
{
    const char *text = flink_option_text(s->conf, t->interval), *bad = NULL;
    struct error err;

    if (str_empty(text))
        return false;
    if (schedule_parse(text, ret, &err))
        bad = str_clean(s->a, err.text, 500);
    else if (s->kind == KIND_FLINKDEPLOYMENT && schedule_next(ret, 0) >= 0)
        bad = snapshot_lacks(t, s->conf, s->version);
    if (bad && !s->memory->warned[t->checkpoint])
        snapshot_tell(
            s, true, t->error,
            arena_printf(s->a, "no periodic %s is taken: %s: %s", t->word, t->interval, bad));
    s->memory->warned[t->checkpoint] = bad != NULL;
    return !bad;
}

static bool time_has_come(struct job_snapshots *s, const struct snapshot_type *t)
{
    struct schedule schedule;
    int64_t next;

    if (!interval_of(s, t, &schedule))
        return false;
    if (schedule.interval_ms)
        schedule.interval_ms = MAX(schedule.interval_ms, SHORTEST_MS);
    next = schedule_next(&schedule, last_periodic(s, t));
    if (next < 0 || s->waits || s->partial || one_is_due(s, t)) /* which ends this wait, too */
        return false;
    if (next > s->wall)
        plan_wake(s->plan, s->now + next - s->wall);
    return next <= s->wall;
}

static void record_time(struct job_snapshots *s, const struct snapshot_type *t)
{
    jv info = jv_get(s->status, t->info);

    s->status = jv_set(s->a, s->status, t->info,
                       jv_dup(s->a, jv_set(s->a, info, t->last_periodic, INT(s->wall))));
}

/* ---- the whole ---- */

void snapshot_handled(struct job_snapshots *s, const struct snapshot_type *t, jv nonce)
{
    if (jv_present(nonce))
        s->handled = jv_dup(s->a, jv_set(s->a, s->handled, t->nonce, nonce));
}

/* What is to be taken now becomes a resource, or is asked for at once; false: not yet. */
static bool begin(struct job_snapshots *s, const struct snapshot_type *t, jv nonce)
{
    if (!snapshots_are_resources(s->conf, s->list))
        return snapshot_begin_directly(s, t, nonce);
    request(s, t, jv_present(nonce) ? "manual" : "periodic", nonce);
    return true;
}

/* A periodic one that has failed and is tried again, without a resource that would do that. */
static bool is_pending(const struct job_snapshots *s, jv now)
{
    return !snapshots_are_resources(s->conf, s->list) && !s->waits &&
           str_eq(JV_STRING(now, "triggerType"), "PERIODIC");
}

static void look_after(struct job_snapshots *s, const struct snapshot_type *t)
{
    jv now = snapshot_request(s, t->word), nonce;

    if (snapshot_follow_directly(s, t))
        return;
    if (snapshots_are_resources(s->conf, s->list) && !str_empty(JV_STRING(now, "name"))) {
        if (!made(s, t->word, now, t->checkpoint))
            return;
        snapshot_handled(s, t, jv_get(now, "triggerNonce"));
        snapshot_set_request(s, t->word, ABSENT);
        return; /* what else is asked for is recorded in the next pass */
    }
    nonce = snapshot_asking_nonce(s, t);
    if (jv_present(nonce) && s->waits) {
        wait_for_job(s, t, nonce);
    } else if (jv_present(nonce)) {
        (void)begin(s, t, nonce);
    } else if (is_pending(s, now)) {
        (void)begin(s, t, ABSENT);
    } else if (time_has_come(s, t)) {
        if (begin(s, t, ABSENT))
            record_time(s, t);
    } else {
        snapshot_set_request(s, t->word, ABSENT);
    }
}

void job_snapshots(struct job_snapshots *s)
{
    jv upgrade = snapshot_request(s, UPGRADE_REQUEST);

    s->handled = ABSENT;
    look_for_pruning(s);
    job_snapshots_learn_disposal(s);
    for (size_t i = 0; i < ARRAY_SIZE(snapshot_types); i++)
        look_after(s, &snapshot_types[i]);
    if (str_empty(JV_STRING(upgrade, "name")))
        upgrade = ABSENT;
    if (jv_present(upgrade) && !snapshots_are_resources(s->conf, s->list))
        snapshot_set_request(s, UPGRADE_REQUEST, ABSENT); /* the path is in the status, too */
    else if (jv_present(upgrade) && made(s, UPGRADE_REQUEST, upgrade, false))
        snapshot_set_request(s, UPGRADE_REQUEST, ABSENT);
    s->memory->put = jv_present(jv_get(s->status, SNAPSHOT_REQUESTS));
    if (s->found)
        job_snapshots_tidy(s);
}
