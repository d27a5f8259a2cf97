/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about savepoints and checkpoints that somebody asks for, and about what is kept of them.
 */
#include <string.h>

#include "check.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"
#include "users.h"

static const int owners[] = {KIND_FLINKDEPLOYMENT, KIND_FLINKSESSIONJOB};

static const struct type {
    const char *word, *nonce, *info;
    bool checkpoint;
} types[] = {{"savepoint", "savepointTriggerNonce", "savepointInfo", false},
             {"checkpoint", "checkpointTriggerNonce", "checkpointInfo", true}};

static int there, gone;

static struct {
    struct strmap asked;    /* "kind/name type" with one for a nonce that is not recorded yet */
    struct strmap periodic; /* "uid type": when the last one was asked for */
    struct strmap disposed; /* paths whose files are gone */
} state;

/* ---- what a FlinkStateSnapshot is ---- */

static const struct type *type_of(const struct object *o)
{
    return &types[jv_present(JV_PATH(o->at->v, "spec", "checkpoint"))];
}

static bool triggered_by(const struct object *o, const char *what)
{
    return str_eq(object_label(o, "snapshot.trigger-type"), what);
}

static const struct object *job_of(const struct object *o)
{
    jv job = JV_PATH(o->at->v, "spec", "jobReference");
    bool session = str_eq(JV_STRING(job, "kind"), kind_name(KIND_FLINKSESSIONJOB));

    return api_get(session ? KIND_FLINKSESSIONJOB : KIND_FLINKDEPLOYMENT, JV_STRING(job, "name"));
}

static bool has_ended(const struct object *o)
{
    static const char *const ends[] = {"COMPLETED", "FAILED", "ABANDONED"};

    return str_index(ends, ARRAY_SIZE(ends),
                     str_or_empty(JV_STRING(o->at->v, "status", "state"))) >= 0;
}

bool check_is_of_resource(const char *trigger)
{
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_FLINKSTATESNAPSHOT, &at)))
        if (str_eq(JV_STRING(o->at->v, "status", "triggerId"), trigger))
            return true;
    return false;
}

/* ---- one for each nonce ---- */

static const char *asked_key(struct arena *a, const char *kind, const char *name,
                             const struct type *t)
{
    return arena_printf(a, "%s/%s %s", kind, name, t->word);
}

/* In the text of a status as it is, whatever runs by now; ABSENT: nothing is recorded. */
static jv recorded(struct arena *a, jv cr)
{
    const char *text = JV_STRING(cr, "status", "reconciliationStatus", "lastReconciledSpec");
    struct error err;
    jv v;

    return text && !json_parse(a, text, strlen(text), &v, &err) ? jv_get(v, "spec") : ABSENT;
}

static const char *key_of(struct arena *a, const struct object *o)
{
    jv job = JV_PATH(o->at->v, "spec", "jobReference");

    return asked_key(a, JV_STRING(job, "kind"), JV_STRING(job, "name"), type_of(o));
}

static void check_asked(const struct object *o)
{
    cleanup_arena struct arena a = {0};
    const char *key = key_of(&a, o);

    CHECK(strmap_get(&state.asked, key) != &there, "a second %s for one nonce: %s", key, o->name);
    strmap_put(&state.asked, key, &there);
}

/* One that is deleted before its maker knows that it was made is made again. */
void check_snapshot_gone(const struct object *o)
{
    cleanup_arena struct arena a = {0};
    const char *key = key_of(&a, o);

    if (triggered_by(o, "MANUAL") && strmap_get(&state.asked, key))
        strmap_put(&state.asked, key, &gone);
}

/* Never sooner than the shortest interval that users ask for, but for the clock's whole seconds.
 * When it was asked for stands in its name; one that was deleted before its maker knew of it is
 * made again. */
static void check_interval(const struct object *o, const struct type *t)
{
    cleanup_arena struct arena a = {0};
    const struct object *cr = job_of(o);
    const char *key = cr ? arena_printf(&a, "%s %s", cr->uid, t->word) : NULL;
    int64_t at, before;

    if (!cr)
        return;
    CHECK(str_to_int64(strrchr(o->name, '-') + 1, &at), "a periodic %s by the name %s", t->word,
          o->name);
    before = (intptr_t)strmap_put(&state.periodic, key, (void *)(intptr_t)at);
    CHECK(!before || at == before || at - before >= USER_SHORTEST_S * SECOND - SECOND,
          "%s is made %lld ms after the periodic %s before it", o->name, (long long)(at - before),
          t->word);
}

void check_snapshot_made(const struct object *o, enum actor by)
{
    if (by == BY_OPERATOR && triggered_by(o, "MANUAL"))
        check_asked(o);
    if (triggered_by(o, "PERIODIC"))
        check_interval(o, type_of(o));
}

/* Without a resource, by the status. */
static bool asked_directly(jv cr, const struct type *t)
{
    return str_eq(JV_STRING(cr, "status", "jobStatus", t->info, "triggerType"), "MANUAL");
}

/* A nonce is recorded when what it asks for has been made, and not before. */
static void check_nonce(const struct object *o, const struct version *old, const struct type *t)
{
    cleanup_arena struct arena a = {0};
    const char *key = asked_key(&a, kind_name(o->kind), o->name, t);
    jv was = recorded(&a, old->v), is = recorded(&a, o->at->v);

    if (!jv_present(was) || !jv_present(is) ||
        jv_equal(JV_PATH(was, "job", t->nonce), JV_PATH(is, "job", t->nonce)))
        return;
    CHECK(strmap_get(&state.asked, key) || asked_directly(old->v, t),
          "%s has recorded a nonce, and made no %s for it", key, t->word);
    strmap_remove(&state.asked, key);
}

void check_handled(const struct object *o, const struct version *old, enum change what)
{
    cleanup_arena struct arena a = {0};

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (what == REMOVED || !old)
            strmap_remove(&state.asked, asked_key(&a, kind_name(o->kind), o->name, &types[i]));
        else
            check_nonce(o, old, &types[i]);
}

/* ---- what is kept ---- */

/* The job begins with it, or goes back to it as long as it has no checkpoint of its own. */
static bool begins_with(const struct object *cr, const char *path)
{
    cleanup_arena struct arena a = {0};
    jv js = JV_PATH(cr->at->v, "status", "jobStatus");

    return str_eq(path, JV_STRING(js, "upgradeSavepointPath")) ||
           str_eq(path, JV_STRING(js, "endState", "location")) ||
           str_eq(path, JV_STRING(check_recorded_spec(&a, cr), "job", "initialSavepointPath"));
}

void check_snapshot_dropped(const struct object *o)
{
    const struct object *cr = job_of(o);
    const char *path = JV_STRING(o->at->v, "status", "path");

    CHECK(triggered_by(o, "UPGRADE") || triggered_by(o, "PERIODIC"),
          "the operator deletes %s, which somebody has asked for", o->name);
    CHECK(has_ended(o), "the operator deletes %s, which has not ended", o->name);
    CHECK(!path || !cr || !begins_with(cr, path), "the operator deletes %s, with which %s begins",
          o->name, cr->name);
}

bool check_disposes(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
        void *at = NULL;
        struct object *o;

        while ((o = api_next(owners[i], &at)))
            CHECK(o->deleted || !begins_with(o, path),
                  "the files of %s are deleted, with which %s begins", path, o->name);
    }
    return !strmap_get(&state.disposed, path);
}

void check_disposed(const char *path)
{
    strmap_put(&state.disposed, path, &state);
}

void check_begins_with(const char *path)
{
    CHECK(!path || !strmap_get(&state.disposed, path),
          "a job begins with %s, whose files were deleted", path);
}

/* ---- at rest ---- */

static int number(jv conf, const char *key, int fallback)
{
    const char *text = JV_STRING(conf, key);
    int n = fallback;

    return text && str_to_int(text, &n) ? n : fallback;
}

/* One that will go, because there are more than are asked for, or because of its age. */
static const char *history_settled(struct arena *a, const struct object *cr, const struct type *t)
{
    jv conf = JV_PATH(cr->at->v, "spec", "flinkConfiguration");
    int limit = t->checkpoint ? 1 : number(conf, USER_KEPT_KEY, 10), n = 0;
    bool ages = !t->checkpoint && jv_present(jv_get(conf, USER_AGE_KEY));
    const struct object *last = NULL, *may_go = NULL;
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_FLINKSTATESNAPSHOT, &at)))
        if (job_of(o) == cr && type_of(o) == t && !o->deleted &&
            (triggered_by(o, "PERIODIC") || triggered_by(o, "UPGRADE"))) {
            n++;
            if (str_eq(JV_STRING(o->at->v, "status", "state"), "COMPLETED") &&
                (!last || o->id > last->id))
                last = o;
        }
    at = NULL;
    while ((o = api_next(KIND_FLINKSTATESNAPSHOT, &at)))
        if (job_of(o) == cr && type_of(o) == t && !o->deleted && o != last &&
            !begins_with(cr, str_or_empty(JV_STRING(o->at->v, "status", "path"))) &&
            (triggered_by(o, "PERIODIC") || triggered_by(o, "UPGRADE")))
            may_go = o;
    if (may_go && (n > limit || ages))
        return arena_printf(a, "%s keeps %d %ss, %d are asked for, %s may go", cr->name, n, t->word,
                            limit, may_go->name);
    return NULL;
}

/* The same without resources: savepoints only, those for nonces by themselves. */
static const char *list_settled(struct arena *a, const struct object *cr)
{
    jv conf = JV_PATH(cr->at->v, "spec", "flinkConfiguration");
    jv list = JV_PATH(cr->at->v, "status", "jobStatus", "savepointInfo", "savepointHistory");
    int limit = number(conf, USER_KEPT_KEY, 10), n[2] = {0}, free[2] = {0};
    int64_t i = 0;

    jv_foreach (one, list) {
        bool manual = str_eq(JV_STRING(*one, "triggerType"), "MANUAL");
        const char *path = str_or_empty(JV_STRING(*one, "location"));

        n[manual]++;
        free[manual] += ++i < (int64_t)jv_len(list) && !begins_with(cr, path);
    }
    for (int manual = 0; manual < 2; manual++)
        if (free[manual] &&
            (n[manual] > limit || (!manual && jv_present(jv_get(conf, USER_AGE_KEY)))))
            return arena_printf(a, "%s has a history of %d, %d are asked for", cr->name, n[manual],
                                limit);
    return NULL;
}

static bool runs(const struct object *cr)
{
    jv status = jv_get(cr->at->v, "status");
    bool ready = false;

    jv_foreach (c, jv_get(status, "conditions"))
        ready |= str_eq(JV_STRING(*c, "type"), "Ready") && str_eq(JV_STRING(*c, "status"), "True");
    return ready && !cr->deleted && user_spec_works(cr) && !check_rolled_back(cr) &&
           str_eq(JV_STRING(status, "lifecycleState"), "STABLE") &&
           str_eq(JV_STRING(status, "jobStatus", "state"), "RUNNING");
}

static const char *job_settled(struct arena *a, const struct object *cr)
{
    jv spec = jv_get(cr->at->v, "spec"), was = check_recorded_spec(a, cr);

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        const struct type *t = &types[i];
        jv nonce = JV_PATH(spec, "job", t->nonce);
        const char *wrong = history_settled(a, cr, t);

        if (jv_present(nonce) && !jv_equal(nonce, JV_PATH(was, "job", t->nonce)))
            return arena_printf(a, "the %s that %s asks for is not made", t->word, cr->name);
        if (asked_directly(cr->at->v, t))
            return arena_printf(a, "the %s that %s asks for is under way", t->word, cr->name);
        if (wrong)
            return wrong;
    }
    return list_settled(a, cr);
}

const char *check_snapshots_settled(struct arena *a)
{
    const char *wrong;
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_FLINKSTATESNAPSHOT, &at))) {
        if (o->deleted)
            return arena_printf(a, "%s is being deleted", o->name);
        if (!has_ended(o))
            return arena_printf(a, "%s is under way", o->name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
        for (at = NULL; (o = api_next(owners[i], &at));)
            if (runs(o) && jv_present(JV_PATH(o->at->v, "spec", "job")) &&
                (wrong = job_settled(a, o)))
                return wrong;
    return NULL;
}

void check_snapshots_release(void)
{
    strmap_release(&state.asked);
    strmap_release(&state.periodic);
    strmap_release(&state.disposed);
}
