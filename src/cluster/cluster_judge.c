/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to work towards. A spec that is not valid changes nothing: the recorded one goes on counting
 * and the status says what is wrong.
 */
#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"
#include "status.h"

/* Reads a spec and builds its configuration; the first problem as text, or NULL. */
static const char *build(struct cluster_pass *p, jv spec, struct deployment_spec *ret_spec,
                         struct cluster_config *ret_config)
{
    struct problems *problems = arena_new(p->a, struct problems);

    problems->a = p->a;
    cluster_config_read(problems, p->meta.ns, p->meta.name, spec, false, p->s->defaults, ret_spec,
                        ret_config);
    return problems_text(problems);
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
    return NULL;
}

void judge(struct cluster_pass *p)
{
    struct deployment_spec current_spec = {0};
    struct cluster_config *current_config = arena_new(p->a, struct cluster_config);
    struct deployment_spec *kept = arena_new(p->a, struct deployment_spec);
    jv current = jv_get(p->cr, "spec");

    p->recorded = recorded_spec(p->a, p->cr);
    p->invalid = JV_STRING(p->cr, KUBE_UNREADABLE);
    if (!p->invalid)
        p->invalid = build(p, current, &current_spec, current_config);
    p->unsupported_version = current_spec.version && !current_spec.version->supported;
    if (!p->invalid && jv_present(p->recorded))
        p->invalid = check_change(p, current);

    if (!p->invalid) {
        p->target = spec_to_record(p->a, p->recorded, current);
        *kept = current_spec;
        p->config = *current_config;
        p->usable = true;
    } else if (jv_present(p->recorded)) {
        p->target = p->recorded;
        p->usable = !build(p, p->recorded, kept, current_config);
        p->config = *current_config;
    } else {
        p->target = ABSENT;
        return;
    }
    p->spec = *kept;
    p->config.spec = kept;
    p->target_hash = deployment_spec_hash(p->a, p->target);
    p->recording = !jv_present(p->recorded) ||
                   !str_eq(p->target_hash, deployment_spec_hash(p->a, p->recorded));
}
