/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to work towards. A spec that is not valid changes nothing: the recorded one goes on counting
 * and the status says what is wrong.
 */
#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

/* Of a job that is stopped with what high availability keeps of it: only the same version of Flink
 * can read that, and only the same kind of high availability. */
static const char *check_kept(const struct cluster_pass *p, jv current)
{
    const char *was = JV_STRING(p->recorded, "flinkVersion"),
               *is = JV_STRING(current, "flinkVersion");

    if (!str_eq(JV_STRING(p->recorded, "job", "state"), "suspended") ||
        !str_eq(JV_STRING(p->recorded, "job", "upgradeMode"), "last-state") ||
        str_eq(str_or(JV_STRING(current, "job", "upgradeMode"), "stateless"), "stateless") ||
        job_redeploys(p->recorded, current))
        return NULL;
    if (!str_eq(was, is))
        return arena_printf(
            p->a,
            "spec.flinkVersion: cannot change from %s to %s while the job is stopped with what "
            "high availability keeps, which only the former version can read; let it run first",
            str_or_empty(was), str_or_empty(is));
    if (p->usable && !p->config.ha_kubernetes)
        return "spec.flinkConfiguration." HA_TYPE_KEY
               ": must be kubernetes while the job is stopped "
               "with what that keeps of it; let it run first";
    return NULL;
}

/* Rules that compare with what is deployed (api-contract §2.15, 26–29). */
static const char *check_change(struct cluster_pass *p, jv current)
{
    bool was_app = jv_present(jv_get(p->recorded, "job")),
         is_app = jv_present(jv_get(current, "job"));
    const char *was = str_or(JV_STRING(p->recorded, "mode"), "native"),
               *is = str_or(JV_STRING(current, "mode"), "native");

    if (was_app != is_app)
        return was_app ? "spec.job: an application cluster cannot become a session cluster; delete "
                         "and create it anew"
                       : "spec.job: a session cluster cannot become an application cluster; delete "
                         "and create it anew";
    if (!str_eq(was, is))
        return arena_printf(
            p->a, "spec.mode: cannot change from %s to %s; delete and create it anew", was, is);
    return is_app ? check_kept(p, current) : NULL;
}

const char *judge_as(struct cluster_pass *p, jv spec)
{
    struct problems *problems = arena_new(p->a, struct problems);
    struct deployment_spec *kept = arena_new(p->a, struct deployment_spec);

    problems->a = p->a;
    cluster_config_read(problems, p->meta.ns, p->meta.name, spec, false, p->s->defaults, kept,
                        &p->config);
    p->target = spec;
    p->usable = !problems->n;
    p->spec = *kept;
    p->config.spec = kept;
    return problems_text(problems);
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

void judge(struct cluster_pass *p)
{
    jv current = jv_get(p->cr, "spec");

    p->recorded = recorded_spec(p->a, p->cr);
    judge_rollback(p);
    p->invalid = JV_STRING(p->cr, KUBE_UNREADABLE);
    if (!p->invalid)
        p->invalid = judge_as(p, spec_to_record(p->a, p->recorded, current));
    /* The incumbent does not give every application's job an id. */
    const char *lost =
        jv_present(jv_get(current, "job")) ? record_lost(p->a, p->cr, p->recorded, false) : NULL;

    p->lost = lost != NULL;
    p->invalid = str_or(lost, p->invalid);
    p->unsupported_version = p->spec.version && !p->spec.version->supported;
    /* What else is wrong with it may come from that. */
    if (jv_present(p->recorded) && !p->unsupported_version && !JV_STRING(p->cr, KUBE_UNREADABLE))
        p->invalid = str_or(check_change(p, current), p->invalid);
    if (p->invalid && !jv_present(p->recorded)) {
        p->target = ABSENT;
        p->usable = false;
        return;
    }
    p->rolled_back = !p->invalid && asks_for_failed(p, current);
    if (p->invalid || p->rolled_back)
        (void)judge_recorded(p); /* it was valid once */
    p->target_hash = deployment_spec_hash(p->a, p->target);
    p->recording = !jv_present(p->recorded) ||
                   !str_eq(p->target_hash, deployment_spec_hash(p->a, p->recorded));
    p->application = p->usable && p->spec.application;
    if (p->application)
        judge_job(p);
    else
        p->target_hash = str_or(started_hash(p), p->target_hash);
}
