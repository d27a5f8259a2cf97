/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to work towards. A spec that is not valid changes nothing: the recorded one goes on counting
 * and the status says what is wrong.
 */
#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/flink_reply.h"
#include "flinkop/flink_version.h"
#include "flinkop/resource_check.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

static const char *judge_spec(struct cluster_pass *p, jv spec, bool taken)
{
    struct problems *problems = arena_new(p->a, struct problems);
    struct deployment_spec *kept = arena_new(p->a, struct deployment_spec);

    problems->a = p->a;
    problems->taken = taken;
    cluster_config_read(problems, p->meta.ns, p->meta.name, spec, false, p->s->defaults, kept,
                        &p->config);
    p->target = spec;
    p->usable = !problems->n;
    p->spec = *kept;
    p->config.spec = kept;
    return problems_text(problems);
}

const char *judge_as(struct cluster_pass *p, jv spec)
{
    return judge_spec(p, spec, true);
}

const char *judge_recorded(struct cluster_pass *p)
{
    const char *mode = JV_STRING(p->cr, "spec", "job", "upgradeMode"), *invalid;

    if (jv_present(jv_get(p->recorded, "job")) && mode)
        invalid = judge_as(p, JV_SET_PATH(p->a, p->recorded, STR(mode), "job", "upgradeMode"));
    else
        invalid = judge_as(p, p->recorded);
    if (invalid && jv_present(jv_get(p->recorded, "job")))
        invalid =
            judge_as(p, JV_SET_PATH(p->a, p->recorded, STR("stateless"), "job", "upgradeMode"));
    p->target = p->recorded;
    return invalid;
}

/* The JobManager was made from the spec of this hash, or has its configuration where what it was
 * started with is another one. */
static bool is_marked_with(const struct cluster_pass *p, const char *hash)
{
    const struct obs_meta *d = &p->s->deployment->meta, *configmap = p->s->configmap;
    const char *id = JV_STRING(p->status, "jobStatus", "jobId");

    if (str_eq(d->spec_hash, JV_STRING(p->status, STARTED_HASH)))
        return configmap && str_eq(configmap->config_hash, hash);
    if (jv_present(jv_get(p->recorded, "job")))
        hash = application_hash(p->a, hash, flink_id_valid(id) ? id : NULL,
                                job_begins_with(p->recorded, p->status));
    return str_eq(d->spec_hash, hash);
}

/* What a former version of this operator has made stays as it is, and so does what it is compared
 * with: the pass goes by the hash of that version. Where both versions mark it alike it is by that
 * of this one, to which another form of the same spec is no change. */
static void judge_marks(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;
    char *former;

    if (!jv_present(p->recorded))
        return;
    p->recorded_hash = deployment_spec_hash(p->a, p->recorded);
    if (!d || !d->ours || is_marked_with(p, p->recorded_hash))
        return;
    former = deployment_spec_hash_as_written(p->a, p->recorded);
    p->as_written = is_marked_with(p, former);
    if (p->as_written)
        p->recorded_hash = former;
}

const char *spec_hash(const struct cluster_pass *p, jv spec)
{
    return p->as_written ? deployment_spec_hash_as_written(p->a, spec)
                         : deployment_spec_hash(p->a, spec);
}

/* Nothing is made of what is recorded, and nothing instead of it. */
static void leave_alone(struct cluster_pass *p, const char *why)
{
    p->lost = true;
    p->invalid = why;
    p->recorded = p->target = ABSENT;
    p->usable = false;
}

void judge(struct cluster_pass *p)
{
    jv current = jv_get(p->cr, "spec");
    const char *lost_state;
    enum started started;
    bool chosen;

    p->autoscaled = autoscaled_below(p->a, p->s->defaults, p->meta.ns,
                                     JV_STRING(current, "flinkVersion"), ABSENT);
    p->recorded = recorded_spec(p->a, p->cr);
    started = judge_record(p, current);
    current = spec_to_release(p, current);
    judge_rollback(p);
    judge_adoption(p);
    judge_marks(p);
    p->invalid = JV_STRING(p->cr, KUBE_UNREADABLE);
    if (!p->invalid)
        p->invalid =
            judge_spec(p, spec_to_record(p->a, p->recorded, current, p->autoscaled), false);
    /* The incumbent does not give every application's job an id. */
    const char *lost = jv_present(jv_get(current, "job"))
                           ? record_lost(p->a, p->status, p->recorded, false, started)
                           : NULL;

    p->lost = lost != NULL;
    p->invalid = str_or(lost, p->invalid);
    if (lost)
        p->recorded = ABSENT;
    p->unsupported_version = p->spec.version && !p->spec.version->supported;
    /* What else is wrong with it may come from that. */
    if (jv_present(p->recorded) && !p->unsupported_version && !JV_STRING(p->cr, KUBE_UNREADABLE))
        p->invalid = str_or(
            deployment_change_check(p->a, p->recorded, current, p->usable ? &p->config : NULL),
            p->invalid);
    lost_state = state_lost(p->a, KIND_FLINKDEPLOYMENT, p->status,
                            jv_present(p->failed) ? p->failed : p->recorded);
    chosen = job_redeploys(p->recorded, current);
    if (lost_state && (p->invalid || !chosen)) {
        leave_alone(p, chosen ? p->invalid : lost_state);
        return;
    }
    if (p->invalid && !jv_present(p->recorded)) {
        p->target = ABSENT;
        p->usable = false;
        return;
    }
    p->rolled_back = !p->invalid && asks_for_failed(p, current);
    if (!p->invalid && !p->rolled_back) {
        p->target_hash = spec_hash(p, p->target);
        rehearse(p);
    }
    if (lost_state && p->invalid) {
        leave_alone(p, p->invalid);
        return;
    }
    if (p->invalid || p->rolled_back) {
        (void)judge_recorded(p); /* it was valid once */
        p->target_hash = spec_hash(p, p->target);
    }
    p->recording = !jv_present(p->recorded) ||
                   (!p->as_deployed && !str_eq(p->target_hash, p->recorded_hash));
    p->application = p->usable && p->spec.application;
    if (p->application)
        judge_job(p);
    else
        p->target_hash = str_or(started_hash(p), p->target_hash);
}
