/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another parallelism for vertices of a running job (api-contract §2.12). The adaptive scheduler
 * takes it while the job runs on: first Flink gets it, then it is recorded, then the ConfigMap gets
 * it for a JobManager that starts again. Whoever comes after a crash in between asks Flink once
 * more, which has it already. Where Flink says no, the change takes another run as any other one.
 *
 * A JobManager that runs on was started with another spec than the recorded one. The hash of that
 * stays in the status, and that of each further run is made of the one before: so each run has
 * another one, even if its spec, id and state are those of a former run.
 */
#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/flink_version.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "job_words.h"

#define OPTION "kubernetes.operator.job.upgrade.inplace-scaling.enabled"
#define STARTED_HASH "startedSpecHash" /* in status */
#define RETRY_MS 1000
#define RETRY_MAX_MS 10000
#define PATIENCE_MS 60000 /* for a JobManager that does not answer */

void judge_hashes(struct cluster_pass *p)
{
    const char *started = JV_STRING(p->status, STARTED_HASH);

    p->target_hash = started ? started
                             : application_hash(p->a, p->target, p->job_id, p->restore_path);
    p->config_hash = started ? deployment_spec_hash(p->a, p->target) : NULL;
}

jv rescale_status(struct cluster_pass *p, jv status)
{
    const char *started = JV_STRING(p->status, STARTED_HASH);

    if (p->rescaled)
        return jv_set(p->a, status, STARTED_HASH, STR(p->target_hash));
    if (!p->record_id || !started)
        return status;
    const char *run = application_hash(p->a, p->target, p->record_id, p->record_restore);

    return jv_set(p->a, status, STARTED_HASH,
                  STR(json_hash(p->a, OBJ({"after", STR(started)}, {"run", STR(run)}))));
}

/* ---- whether ---- */

/* The adaptive scheduler takes it since 1.18. */
static bool may_rescale(const struct cluster_pass *p)
{
    bool enabled;
    struct error err;

    return !conf_bool(&p->pending_conf, OPTION, true, &enabled, &err) && enabled &&
           flink_at_least(p->spec.version, 1, 18) &&
           str_eq(conf_lookup(&p->config.conf, "jobmanager.scheduler"), "adaptive") &&
           str_eq(str_or(JV_STRING(p->recorded, "mode"), "native"), "native");
}

/* {"<vertex>": n}; ABSENT: none that can be read */
static jv overrides_of(struct cluster_pass *p, const struct conf *conf)
{
    struct jv_list list = JV_LIST(p->a);
    struct error err;
    jv map;
    int n;

    if (conf_map(conf, FLINK_OVERRIDES_KEY, &map, &err))
        return ABSENT;
    jv_foreach_kv (kv, map)
        if (str_to_int(str_or_empty(jv_string(kv->value)), &n))
            jv_list_put(&list, kv->key, INT(n));
    return list.n ? jv_list_obj(&list) : ABSENT;
}

/* What a vertex had without an override, only a new run of main() knows. */
static bool takes_some_away(jv before, jv after)
{
    jv_foreach_kv (kv, before)
        if (!jv_present(jv_get(after, kv->key)))
            return true;
    return false;
}

void judge_rescaling(struct cluster_pass *p)
{
    jv wanted = overrides_of(p, &p->pending_conf);

    if (p->never_ran || !may_rescale(p) || job_redeploys(p->recorded, p->pending) ||
        !deployment_only_rescales(p->a, p->recorded, p->pending) ||
        takes_some_away(overrides_of(p, &p->config.conf), wanted))
        return;
    p->overrides = jv_dup(p->a, wanted);
}

/* ---- how ---- */

/* Flink has the job, or may have it: what it says of it is not known at present. */
static bool may_run(const struct cluster_pass *p)
{
    switch (p->job_state) {
    case JOB_INITIALIZING:
    case JOB_CREATED:
    case JOB_RUNNING:
    case JOB_RESTARTING:
        return true;
    case JOB_RECONCILING:
        return !jobmanager_known(p) || !p->s->flink->reachable;
    default:
        return false;
    }
}

static void tell_scaling(struct cluster_pass *p, bool warning, const char *message)
{
    plan_event(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, warning, "Job", "Scaling", message);
}

/* It is tried again while nobody has answered; a proxy's word and that of a JobManager that does
 * not lead (503) are none. */
static void failed(struct cluster_pass *p, const struct error *err)
{
    struct rescale_notes *m = &p->plan.memory.rescale;
    bool answered = err->http && err->http != 502 && err->http != 503 && err->http != 504;

    m->retry_at = p->s->now + backoff_ms(++m->failures, RETRY_MS, RETRY_MAX_MS);
    if (!answered && p->s->now - m->since < PATIENCE_MS)
        return;
    m->given_up = true;
    tell_scaling(p, true,
                 arena_printf(p->a, "the job cannot be rescaled in place, so it is upgraded: %s",
                              str_clean(p->a, err->text, 500)));
}

static void succeeded(struct cluster_pass *p, bool changed)
{
    if (changed)
        tell_scaling(p, false, "In-place scaling triggered");
    p->target = as_recorded(p, p->pending);
    p->pending = ABSENT;
    p->rescaled = true;
}

bool rescale(struct cluster_pass *p)
{
    struct rescale_notes *m = &p->plan.memory.rescale;

    if (!jv_present(p->overrides) || !may_run(p))
        return false;
    struct job_stop job = application_stop(p, UPGRADE_LAST_STATE);
    const char *hash = deployment_spec_hash(p->a, p->pending);
    bool same = str_eq(m->spec_hash, hash);
    const struct outcome *o = same ? job_outcome(&job, ACT_RESCALE_JOB) : NULL;

    if (!same)
        *m = (struct rescale_notes){.spec_hash = hash, .since = p->s->now};
    if (o && o->ok) {
        succeeded(p, o->found);
        return true;
    }
    if (o)
        failed(p, &o->error);
    if (m->given_up || p->s->now - m->since >= PATIENCE_MS)
        return false;
    bool there = p->job && p->s->flink->reachable;

    p->progress = there ? "rescaling the job while it runs"
                        : "waiting for the JobManager, to rescale the job while it runs";
    if (there && p->s->now >= m->retry_at)
        job_ask(&job, ACT_RESCALE_JOB)->body = p->overrides;
    plan_wake(&p->plan, m->retry_at > p->s->now ? m->retry_at : m->since + PATIENCE_MS);
    return true;
}
