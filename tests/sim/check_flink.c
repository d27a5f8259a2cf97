/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about jobs: none is lost, none runs twice. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"
#include "nodes.h"
#include "operator.h"

/* A job id that a resource has recorded. */
struct known {
    char *uid, *name;   /* of the resource */
    int64_t sent;       /* when it was submitted last; -1 never */
    int64_t looked_for; /* when the operator learned last that Flink does not have it; -1: does not
                           know */
    bool given_up;      /* it has said that it could not cancel it in time */
};

static struct strmap ids;

static void check_restore(const struct object *cr);
static void check_suspended(const struct object *cr);
static void note_mode(const struct object *cr);

/* The state of the job of a resource, through all of its runs, by uid. */
struct durable {
    int64_t state;
    bool final;
    bool waived; /* it was stateless at some time since its last run began; of a FlinkSessionJob:
                    when that began, and it has not been seen since it is not any more */
};

static struct strmap states;
static int stops;

void check_recorded(const struct object *job, enum change what)
{
    const char *jid = JV_STRING(job->at->v, "status", "jobStatus", "jobId");
    struct known *k = str_empty(jid) ? NULL : strmap_get(&ids, jid);

    if (what == REMOVED)
        return;
    note_mode(job);
    check_suspended(job);
    if (str_empty(jid))
        return;
    if (!k) {
        k = xcalloc(1, sizeof(*k));
        *k = (struct known){xstrdup(job->uid), xstrdup(job->name), -1, -1, false};
        strmap_put(&ids, jid, k);
        check_restore(job);
    }
    CHECK(!strcmp(k->uid, job->uid), "job id %s is recorded by two resources", jid);
}

void check_operator_started(void)
{
    struct strmap_entry *e;

    strmap_foreach (e, &ids)
        ((struct known *)e->value)->looked_for = -1;
}

void check_found(const char *jid, bool found)
{
    struct known *k = strmap_get(&ids, jid);

    if (k && !found)
        k->looked_for = sim.now;
}

void check_submit(const char *jid)
{
    struct known *k = strmap_get(&ids, jid);

    CHECK(k, "job %s is submitted before its id is recorded", jid);
    CHECK(k->looked_for >= 0, "job %.8s of %s is submitted without having been looked for", jid,
          k->name);
    CHECK(k->looked_for > k->sent, "job %.8s of %s is submitted again without another look", jid,
          k->name);
    k->sent = sim.now;
}

void check_given_up(const char *text)
{
    struct strmap_entry *e;

    strmap_foreach (e, &ids)
        if (strstr(text, e->key))
            ((struct known *)e->value)->given_up = true;
}

bool check_is_given_up(const char *jid)
{
    const struct known *k = strmap_get(&ids, jid);

    return k && k->given_up;
}

/* ---- state ---- */

static struct durable *durable_of(const char *uid)
{
    struct durable *d = strmap_get(&states, uid);

    if (!d) {
        d = xcalloc(1, sizeof(*d));
        strmap_put(&states, uid, d);
    }
    return d;
}

void check_state(const char *jid, int64_t state, bool final)
{
    const char *uid = check_owner(jid);
    const struct object *cr = uid ? api_by_uid(uid) : NULL;
    struct durable *d = uid ? durable_of(uid) : NULL;

    /* A run that is not the recorded one has nothing to say any more. */
    if (!cr || !str_eq(JV_STRING(cr->at->v, "status", "jobStatus", "jobId"), jid))
        return;
    if (state >= d->state)
        *d = (struct durable){state, final || (d->final && state == d->state), d->waived};
}

/* In a JobManager that is stopped because it had no job yet, one may begin and end while the
 * operator is away: it leaves nothing that another one finds, and what it has done is lost. */
void check_ended(const struct fjob *j)
{
    const struct object *pod = api_get(KIND_POD, j->jm->name);
    const char *uid = check_owner(j->jid);

    if (j->jm->app && uid && pod && pod->deleted && !operator_runs())
        durable_of(uid)->waived = true;
}

int64_t check_state_of(const char *uid)
{
    return durable_of(uid)->state;
}

void check_stop(const char *jid, const char *trigger)
{
    cleanup_arena struct arena a = {0};
    const char *uid = check_owner(arena_strndup(&a, jid, FLINK_ID_LEN));
    const struct object *cr = uid ? api_by_uid(uid) : NULL;
    const char *id = cr ? JV_STRING(cr->at->v, "status", "jobStatus", "savepointInfo", "triggerId")
                        : NULL;

    stops++;
    CHECK(!cr || str_eq(id, trigger),
          "job %.8s is stopped with savepoint %.8s, which is not recorded", jid, trigger);
}

/* What is recorded of a spec, but for how far that is and how the job is restored. */
static jv asked_for(struct arena *a, jv status)
{
    static const char *const not_asked[] = {"state", "upgradeMode"};
    jv spec = check_spec_in(a, status);

    for (size_t i = 0; i < ARRAY_SIZE(not_asked) && jv_present(spec); i++)
        spec = JV_SET_PATH(a, spec, ABSENT, "job", not_asked[i]);
    return spec;
}

void check_again(jv cr, const struct obs_flink *flink, const struct plan *plan)
{
    cleanup_arena struct arena a = {0};
    jv status = jv_get(cr, "status"), job = jv_get(status, "jobStatus");
    const struct obs_job *known = flink->known ? obs_flink_job(flink, JV_STRING(job, "jobId"))
                                               : NULL;

    if (!known || known->job.state != JOB_FINISHED || JV_STRING(job, "savepointInfo", "triggerId"))
        return;
    if (!str_eq(JV_STRING(status, "reconciliationStatus", "state"), "DEPLOYED") ||
        str_eq(JV_STRING(check_spec_in(&a, status), "job", "state"), "suspended"))
        return;
    for (size_t i = 0; i < plan->n; i++) {
        jv next = jv_get(plan->actions[i].body, "status"), spec = asked_for(&a, next);

        if (plan->actions[i].type == ACT_STATUS && JV_STRING(next, "jobStatus", "jobId"))
            CHECK(jv_present(spec) && !jv_equal(spec, asked_for(&a, status)),
                  "job %.8s of %s has finished, and runs again", known->job.id,
                  JV_STRING(cr, "metadata", "name"));
    }
}

int check_stops(void)
{
    return stops;
}

/* The mode of the recorded spec; NULL: none. */
static const char *recorded_mode(struct arena *a, const struct object *cr)
{
    jv spec = check_recorded_spec(a, cr);

    return jv_present(spec) ? str_or(JV_STRING(spec, "job", "upgradeMode"), "stateless") : NULL;
}

static bool asks_for_stateless(const struct object *cr)
{
    return str_eq(JV_STRING(cr->at->v, "spec", "job", "upgradeMode"), "stateless");
}

/* What an application has recorded as its mode is how its job is restored, not what was asked for.
 */
static bool is_application(const struct object *cr)
{
    return cr->kind == KIND_FLINKDEPLOYMENT;
}

static void note_mode(const struct object *cr)
{
    cleanup_arena struct arena a = {0};

    if (is_application(cr) && asks_for_stateless(cr))
        durable_of(cr->uid)->waived = true;
    else if (!is_application(cr) && !str_eq(recorded_mode(&a, cr), "stateless") &&
             !str_eq(JV_STRING(cr->at->v, "status", "jobStatus", "state"), "RECONCILING"))
        durable_of(cr->uid)->waived = false;
}

/* Whether the next run must go on from the state of the former one. */
static bool stateful(const struct object *cr)
{
    cleanup_arena struct arena a = {0};

    return !durable_of(cr->uid)->waived &&
           (is_application(cr) || !str_eq(recorded_mode(&a, cr), "stateless"));
}

/* By the mode that counts for a run that begins. */
static bool was_stateless(const struct object *cr)
{
    cleanup_arena struct arena a = {0};

    return is_application(cr) ? asks_for_stateless(cr) : str_eq(recorded_mode(&a, cr), "stateless");
}

/* A job with state begins where its resource says. */
static void check_begins(const struct fjob *job, const char *uid)
{
    const struct object *cr = api_by_uid(uid);
    struct durable *d = durable_of(uid);
    const struct app *app = job->jm->app;
    bool keeps = !app || app->ha; /* else it is of a time before state was asked for */
    bool wanted = cr && keeps && stateful(cr) && !asks_for_stateless(cr);
    /* One from nothing is recorded in its place: it only starts again before it is stopped. */
    bool replaced = cr && d->waived &&
                    !str_eq(JV_STRING(cr->at->v, "status", "jobStatus", "jobId"), job->jid);

    CHECK(job->base == d->state || !wanted, "job %.8s begins with %lld instead of %lld", job->jid,
          (long long)job->base, (long long)d->state);
    *d = (struct durable){job->base, d->final && d->state == job->base,
                          !keeps || replaced || (cr && was_stateless(cr))};
}

/* What the next run goes on from is recorded: all of the state of the former one, unless that is
 * not wanted. */
static void check_restore(const struct object *cr)
{
    cleanup_arena struct arena a = {0};
    struct durable *d = durable_of(cr->uid);
    jv status = jv_get(cr->at->v, "status");
    const char *mode = recorded_mode(&a, cr);
    const char *path = JV_STRING(status, "jobStatus", "upgradeSavepointPath");
    const char *number = path ? strrchr(path, '/') : NULL;
    int64_t state = 0;

    CHECK(mode, "%s has recorded an id, and no specification", cr->name);
    CHECK(!str_eq(path, RESTORE_LAST_STATE), "%s goes on under another id", cr->name);
    CHECK(!path || (number && str_to_int64(number + 1, &state)), "%s has recorded the path %s",
          cr->name, path);
    if (stateful(cr))
        CHECK(state >= d->state && (!d->final || state == d->state),
              "%s goes on from %lld, and had %lld", cr->name, (long long)state,
              (long long)d->state);
    *d = (struct durable){state, d->final && state == d->state, d->waived};
}

/* Who suspends a stateless job does not want its state. */
static void check_suspended(const struct object *cr)
{
    cleanup_arena struct arena a = {0};

    if (str_eq(JV_STRING(check_recorded_spec(&a, cr), "job", "state"), "suspended") &&
        str_eq(recorded_mode(&a, cr), "stateless") && (!is_application(cr) || !stateful(cr)))
        *durable_of(cr->uid) = (struct durable){.waived = durable_of(cr->uid)->waived};
}

const char *check_owner(const char *jid)
{
    const struct known *k = strmap_get(&ids, jid);

    return k ? k->uid : NULL;
}

static bool meddled(const struct jm *jm)
{
    const struct object *pod = api_by_id(jm->pod);

    return !pod || pod_of(pod)->meddled;
}

/* Without high availability nothing keeps two JobManagers of an application apart when somebody
 * makes the one appear beside the other. */
static bool excused(const struct jm *jm, const struct jm *other)
{
    return jm != other && jm->app && !jm->app->ha && (meddled(jm) || meddled(other));
}

void check_job(const struct fjob *job)
{
    const char *uid = check_owner(job->jid);

    if (!job->ours)
        return;
    CHECK(uid, "job %s came from nowhere", job->jid);
    check_begins(job, uid);
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        for (int i = 0; i < jm->n_jobs; i++) {
            const struct fjob *other = jm->jobs[i];

            if (other != job && !job_state_terminal(other->state) && !excused(job->jm, jm))
                CHECK(!str_eq(check_owner(other->jid), uid),
                      "%s runs twice: as %.8s in %s and "
                      "as %.8s in %s",
                      ((struct known *)strmap_get(&ids, job->jid))->name, other->jid, jm->name,
                      job->jid, job->jm->name);
        }
}

/* Somebody took a slot between the last look and the deletion: another's job, or one that has
 * failed after it. A job that waits for more slots loses nothing with it. */
void check_race(const struct tm *tm, int64_t ms, int64_t settled)
{
    const struct jm *jm = tm->jm;

    for (int i = 0; i < jm->n_jobs; i++)
        for (int k = 0; k < jm->jobs[i]->n_parts; k++)
            if (jm->jobs[i]->parts[k].reg->tm == tm && jm->jobs[i]->have >= jm->jobs[i]->need)
                CHECK(!jm->jobs[i]->ours || (settled && jm->jobs[i]->failed > settled),
                      "TaskManager %s is deleted under job %.8s, which the "
                      "operator itself submitted, %lld ms after the look",
                      tm->name, jm->jobs[i]->jid, (long long)ms);
}

void check_registration(const struct jm *jm, const struct tm *tm)
{
    if (!jm->native) /* which counts anew when it starts */
        check_name(jm->cluster, tm->name, tm->pod);
    CHECK(str_eq(jm->hash, tm->hash), "TaskManager %s registers with %s of another specification",
          tm->name, jm->name);
}

void check_jobmanager(const struct jm *jm, const struct object *pod)
{
    check_started(jm->cluster);
    CHECK(str_eq(jm->hash, object_hash(pod)),
          "JobManager %s starts with the configuration of another specification", jm->name);
    for (struct jm *other = jm_next(NULL); other; other = jm_next(other)) {
        const struct object *its = api_by_id(other->pod);

        if (other != jm && !strcmp(other->cluster, jm->cluster))
            CHECK(its && pod_of(its)->meddled, "JobManager %s starts while %s runs", jm->name,
                  other->name);
    }
}

void check_flink_release(void)
{
    struct strmap_entry *e;

    strmap_foreach (e, &ids) {
        struct known *k = e->value;

        free(k->uid);
        free(k->name);
        free(k);
    }
    strmap_release(&ids);
    strmap_foreach (e, &states)
        free(e->value);
    strmap_release(&states);
}
