/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application whose job gets another parallelism while it runs (job_rescale.c): then that is
 * recorded, then the ConfigMap gets it for a JobManager that starts again.
 *
 * A JobManager that runs on was started with another spec than the recorded one. The hash of that
 * stays in the status, and that of each further run is made of the one before: so each run has
 * another one, even if its spec, id and state are those of a former run (one that failed before it
 * began, and is run again with what high availability keeps).
 */
#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/flink_version.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "job_words.h"

const char *started_hash(const struct cluster_pass *p)
{
    return p->recording ? NULL : started_from(p);
}

void judge_hashes(struct cluster_pass *p)
{
    const char *started = started_from(p);

    p->target_hash =
        started ? started
                : application_hash(p->a, spec_hash(p, p->target), p->job_id, p->restore_path);
    p->config_hash = started ? spec_hash(p, p->target) : NULL;
}

jv rescale_status(struct cluster_pass *p, jv status)
{
    const char *started = started_from(p);

    if (p->restarts_for_changes)
        return jv_set(p->a, status, STARTED_HASH,
                      STR(json_hash(p->a, OBJ({"after", STR(p->target_hash)},
                                              {"changed", STR(p->changed)}))));
    if (!p->application)
        return jv_set(p->a, status, STARTED_HASH, p->recording ? ABSENT : STR(started));
    if (p->rescaled)
        return jv_set(p->a, status, STARTED_HASH, STR(p->target_hash));
    if (!p->record_id)
        return jv_set(p->a, status, STARTED_HASH, STR(started));
    const char *run =
        application_hash(p->a, spec_hash(p, p->target), p->record_id, p->record_restore);

    if (!started && !p->taken_back && !str_eq(run, p->target_hash))
        return status;
    return jv_set(p->a, status, STARTED_HASH,
                  STR(json_hash(p->a, OBJ({"after", STR(p->target_hash)}, {"run", STR(run)}))));
}

bool can_be_rescaled(const struct cluster_pass *p)
{
    return p->usable && !is_standalone(p) && flink_at_least(p->spec.version, 1, 18) &&
           str_eq(conf_lookup(&p->config.conf, "jobmanager.scheduler"), "adaptive");
}

void judge_rescaling(struct cluster_pass *p)
{
    struct job_stop job = application_stop(p, UPGRADE_LAST_STATE);

    /* An adopted JobManager that starts again reads a configuration that is not ours to write. */
    if (!p->never_ran && !p->adopted && can_be_rescaled(p) &&
        !job_redeploys(p->recorded, p->pending) &&
        deployment_only_rescales(p->a, p->recorded, p->pending))
        p->overrides = jv_dup(p->a, job_overrides(&job, &p->config.conf, &p->pending_conf));
}

bool rescale(struct cluster_pass *p)
{
    struct job_stop job = application_stop(p, UPGRADE_LAST_STATE);
    enum rescaling r = job_rescale(&job, p->cr, p->overrides, &p->plan.memory.rescale);

    if (r == RESCALING_NOT)
        return false;
    p->new_job_status = job.new_status;
    if (r == RESCALING_WAITS) {
        p->progress = job.progress;
        return true;
    }
    p->target = as_recorded(p, p->pending);
    p->pending = ABSENT;
    p->rescaled = !p->taken_back;
    return true;
}
