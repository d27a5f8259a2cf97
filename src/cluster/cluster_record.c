/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application whose status was wiped, or changed by hand, while its JobManager runs. The
 * Deployment tells what that was started with: the id of the job and the path it began from in its
 * arguments, and their hash, with that of the spec, in its annotation. What fits to the hash is
 * what runs, and is recorded again; nothing else is done about it. Where nothing fits, what runs
 * is left alone (record_lost).
 *
 * Only while the run counts as deployed, or nothing is recorded: on the way to another run the
 * Deployment is that of the one before.
 */
#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

/* What is recorded is a spec, with this id and this path. */
static bool made_for(const struct cluster_pass *p, jv spec, const char *id, const char *path)
{
    const char *made = p->s->deployment->meta.spec_hash;

    return str_eq(made, application_hash(p->a, deployment_spec_hash(p->a, spec), id, path)) ||
           str_eq(made,
                  application_hash(p->a, deployment_spec_hash_as_written(p->a, spec), id, path));
}

/* Its arguments do not tell nothing from what high availability keeps. */
static bool runs(const struct cluster_pass *p, jv spec, const char **ret_path)
{
    const struct obs_deployment *d = p->s->deployment;

    *ret_path = str_or(d->job_path, RESTORE_LAST_STATE);
    if (made_for(p, spec, d->job_id, *ret_path))
        return true;
    *ret_path = d->job_path;
    return made_for(p, spec, d->job_id, *ret_path);
}

static void record_run(struct cluster_pass *p, const char *path, const char *started)
{
    const char *id = p->s->deployment->job_id;

    p->status = JV_SET_PATH(p->a, p->status, STR(id), "jobStatus", "jobId");
    p->status = JV_SET_PATH(p->a, p->status, STR(path), "jobStatus", "upgradeSavepointPath");
    p->status = jv_set(p->a, p->status, STARTED_HASH, STR(started));
    p->status = jv_set(p->a, p->status, STARTED_JOB, STR(id));
    p->recorded_again = true;
}

/* What is asked for is what runs: the mode in the record tells how that was restored. */
static void record_spec(struct cluster_pass *p, jv spec, const char *path)
{
    const char *mode = !path                              ? STATELESS
                       : str_eq(path, RESTORE_LAST_STATE) ? LAST_STATE
                                                          : SAVEPOINT;

    spec = JV_SET_PATH(p->a, spec, STR("running"), "job", "state");
    p->recorded = JV_SET_PATH(p->a, spec, STR(mode), "job", "upgradeMode");
    p->status =
        jv_set(p->a, p->status, "reconciliationStatus",
               jv_dup(p->a, OBJ({"reconciliationTimestamp", INT(p->s->wall)},
                                {"lastReconciledSpec", STR(record_text(p->a, p->recorded, false))},
                                {"state", STR("DEPLOYED")})));
    record_run(p, path, NULL);
}

/* The recorded run is the one that the Deployment was made for, unless somebody changed the status.
 */
static enum started judge_run(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;
    bool rolled_back = str_eq(JV_STRING(p->status, "reconciliationStatus", "state"), "ROLLED_BACK");
    jv run = rolled_back ? stable_spec(p->a, p->cr) : p->recorded;
    const char *started = JV_STRING(p->status, STARTED_HASH), *path;
    const char *begins_with = job_begins_with(run, p->status);
    bool its_id = str_eq(JV_STRING(p->status, "jobStatus", "jobId"), d->job_id);
    bool its_hash = str_eq(started, d->meta.spec_hash);

    if (!is_deployed(p) || !jv_present(jv_get(run, "job")) ||
        str_eq(JV_STRING(run, "job", "state"), "suspended") ||
        (its_id && (its_hash || (!started && made_for(p, run, d->job_id, begins_with)))))
        return STARTED_AS_RECORDED;
    if (runs(p, run, &path))
        record_run(p, path, NULL);
    else if (its_hash)
        record_run(p, str_or(d->job_path, begins_with), started);
    else if (!its_id)
        return STARTED_BY_US;
    return STARTED_AS_RECORDED;
}

enum started judge_record(struct cluster_pass *p, jv current)
{
    const struct obs_deployment *d = p->s->deployment;
    const char *path;

    if (!d || d->meta.deleted_ms || !str_eq(d->meta.owner_uid, p->meta.uid))
        return STARTED_AS_RECORDED;
    if (d->ours && flink_id_valid(d->job_id) && jv_present(p->recorded))
        return judge_run(p);
    if (d->ours && flink_id_valid(d->job_id) && runs(p, current, &path))
        record_spec(p, current, path);
    if (jv_present(p->recorded))
        return STARTED_AS_RECORDED;
    return d->ours ? STARTED_BY_US : STARTED_BY_OTHERS;
}
