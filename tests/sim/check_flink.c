/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about jobs: none is lost, none runs twice. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"
#include "nodes.h"

/* A job id that a FlinkSessionJob has recorded. */
struct known {
    char *uid, *name;   /* of the FlinkSessionJob */
    int64_t sent;       /* when it was submitted last; -1 never */
    int64_t looked_for; /* when the operator learned last that Flink does not have it; -1: does not
                           know */
    bool given_up;      /* it has said that it could not cancel it in time */
};

static struct strmap ids;

void check_recorded(const struct object *job, enum change what)
{
    const char *jid = JV_STRING(job->at->v, "status", "jobStatus", "jobId");
    struct known *k = str_empty(jid) ? NULL : strmap_get(&ids, jid);

    if (str_empty(jid) || what == REMOVED)
        return;
    if (!k) {
        k = xcalloc(1, sizeof(*k));
        *k = (struct known){xstrdup(job->uid), xstrdup(job->name), -1, -1, false};
        strmap_put(&ids, jid, k);
    }
    CHECK(!strcmp(k->uid, job->uid), "job id %s is recorded by two FlinkSessionJobs", jid);
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

const char *check_owner(const char *jid)
{
    const struct known *k = strmap_get(&ids, jid);

    return k ? k->uid : NULL;
}

void check_job(const struct fjob *job)
{
    const char *uid = check_owner(job->jid);

    if (!job->ours)
        return;
    CHECK(uid, "job %s came from nowhere", job->jid);
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        for (int i = 0; i < jm->n_jobs; i++) {
            const struct fjob *other = jm->jobs[i];

            if (other != job && !job_state_terminal(other->state))
                CHECK(!str_eq(check_owner(other->jid), uid),
                      "%s runs twice: as %.8s in %s and "
                      "as %.8s in %s",
                      ((struct known *)strmap_get(&ids, job->jid))->name, other->jid, jm->name,
                      job->jid, job->jm->name);
        }
}

/* Somebody took a slot between the last look and the deletion. */
void check_race(const struct tm *tm, int64_t ms)
{
    const struct jm *jm = tm->jm;

    for (int i = 0; i < jm->n_jobs; i++)
        for (int k = 0; k < jm->jobs[i]->n_parts; k++)
            if (jm->jobs[i]->parts[k].reg->tm == tm)
                CHECK(!jm->jobs[i]->ours,
                      "TaskManager %s is deleted under job %.8s, which the "
                      "operator itself submitted, %lld ms after the look",
                      tm->name, jm->jobs[i]->jid, (long long)ms);
}

void check_registration(const struct jm *jm, const struct tm *tm)
{
    check_name(jm->cluster, tm->name, tm->pod);
    CHECK(str_eq(jm->hash, tm->hash), "TaskManager %s registers with %s of another specification",
          tm->name, jm->name);
}

void check_jobmanager(const struct jm *jm, const struct object *pod)
{
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
}
