/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose job it is that runs in Flink: the first half of an id that is given to a job is made of the
 * uid of its FlinkSessionJob. So where the status was wiped, or tells another id, the job that runs
 * is found, and neither doubled nor left behind; no note in the resource or in memory would be
 * there after that and a restart.
 */
#include "flinkop/arena.h"
#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "job_internal.h"

#define OWN_LEN (FLINK_ID_LEN / 2)

static const char *own_half(struct arena *a, const char *uid)
{
    return arena_printf(a, "%016llx", (unsigned long long)hash_str(str_or_empty(uid)));
}

const char *own_job_id(struct arena *a, const char *uid, const char *random)
{
    return arena_printf(a, "%s%s", own_half(a, uid), random + OWN_LEN);
}

static bool is_own(const struct job_pass *p, const char *id)
{
    return str_has_prefix(str_or_empty(id), own_half(p->a, p->meta.uid));
}

/* One that has not ended, under another id than this. */
static const struct obs_job *own_job(const struct job_pass *p, const char *id)
{
    const struct obs_flink *f = p->s->flink;

    for (size_t i = 0; f->known && i < f->n_jobs; i++) {
        const struct flink_job *j = &f->jobs[i].job;

        if (is_own(p, j->id) && !str_eq(j->id, id) && !job_state_terminal(j->state))
            return &f->jobs[i];
    }
    return NULL;
}

static void take(struct job_pass *p, const struct obs_job *job)
{
    jv js = jv_set(p->a, jv_get(p->status, "jobStatus"), "jobId", STR(job->job.id));

    p->status = jv_set(p->a, p->status, "jobStatus", jv_dup(p->a, js));
}

static bool first_deployment(const struct job_pass *p)
{
    const char *text = JV_STRING(p->status, "reconciliationStatus", "lastReconciledSpec");
    struct error err;
    jv v;

    return text && !json_parse(p->a, text, strlen(text), &v, &err) &&
           jv_bool_or(JV_PATH(v, "resource_metadata", "firstDeployment"), false);
}

/* The next one is recorded before it runs: a status that tells of this one was put back. */
static bool has_ended(const struct job_pass *p, const char *id)
{
    const struct obs_job *job = obs_flink_job(p->s->flink, id);

    return job && job_state_terminal(job->job.state);
}

void own_job_recorded(struct job_pass *p)
{
    jv record = jv_get(p->status, "reconciliationStatus");
    const char *id = JV_STRING(p->status, "jobStatus", "jobId");
    const struct obs_job *job = own_job(p, id);
    /* Its status was wiped before its JobManager was asked. */
    bool begins = str_eq(JV_STRING(record, "state"), "UPGRADING") && first_deployment(p);

    if (!job || (is_own(p, id) && !begins && !has_ended(p, id)))
        return;
    if (begins)
        p->status = jv_set(p->a, p->status, "reconciliationStatus", ABSENT);
    take(p, job);
}

bool take_own_job(struct job_pass *p)
{
    const struct obs_job *job = own_job(p, p->job_id);

    if (!job)
        return false;
    take(p, job);
    p->job_id = job->job.id;
    p->job = job;
    p->state = job->job.state;
    return true;
}
