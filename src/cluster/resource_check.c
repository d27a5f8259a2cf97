/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/resource_check.h"

#include "flinkop/arena.h"
#include "flinkop/cluster_config.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "job_words.h"

#define WARNINGS_MAX 10
#define OPERATOR_PREFIX "kubernetes.operator."

/* ---- one resource by itself ---- */

/* The name of a FlinkDeployment has a rule of its own. */
static void check_metadata(struct problems *p, jv metadata, bool name_too)
{
    static const char *const maps[] = {"labels", "annotations"};
    jv name = jv_get(metadata, "name");

    if (metadata.type != JV_OBJ && jv_present(metadata))
        problem_add(p, "metadata", "must be a mapping, found %s", jv_describe(p->a, metadata));
    if (name_too && (name.type != JV_STR || !object_name_valid(name.s)))
        problem_add(p, "metadata.name",
                    "must be at most 253 lower-case letters, digits, '-' and '.', found %s",
                    jv_describe(p->a, name));
    for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
        jv_foreach_kv (kv, jv_get(metadata, maps[i]))
            if (kv->value.type != JV_STR)
                problem_add(
                    p, arena_printf(p->a, "metadata.%s.%s", maps[i], str_clean(p->a, kv->key, 80)),
                    "must be a string, found %s", jv_describe(p->a, kv->value));
}

/* A text that may begin with a path. */
static void add_text(struct problems *p, const char *text)
{
    struct error err;

    if (!text)
        return;
    error_set(&err, ERR_INVALID, "%s", text);
    problem_add_error(p, "spec", &err);
}

static void check_deployment(struct problems *p, jv object, jv recorded, bool strict,
                             const struct flink_defaults *defaults)
{
    const char *ns = str_or(JV_STRING(object, "metadata", "namespace"), "default");
    const char *name = str_or_empty(JV_STRING(object, "metadata", "name"));
    jv spec = jv_get(object, "spec");
    struct deployment_spec s;
    struct cluster_config c;
    size_t before = p->n;

    cluster_config_read(p, ns, name, spec_to_record(p->a, recorded, spec), strict, defaults, &s,
                        &c);
    /* What else is wrong may come from a version that is not known. */
    if (jv_present(recorded) && (!s.version || s.version->supported))
        add_text(p, deployment_change_check(p->a, recorded, spec, p->n == before ? &c : NULL));
}

static void check_spec(struct problems *p, enum kube_kind kind, jv object, jv recorded, bool strict,
                       const struct flink_defaults *defaults)
{
    jv spec = jv_get(object, "spec");
    size_t before = p->n;

    if (kind == KIND_FLINKDEPLOYMENT) {
        check_deployment(p, object, recorded, strict, defaults);
    } else if (kind == KIND_FLINKSESSIONJOB) {
        struct session_job_spec s;
        struct conf conf;

        session_job_read(p, str_or(JV_STRING(object, "metadata", "namespace"), "default"), spec,
                         strict, defaults, NULL, ABSENT, &s, &conf);
        if (jv_present(recorded) && p->n == before)
            add_text(p, session_job_change_check(p->a, recorded, spec));
    } else {
        struct snapshot_spec s;

        snapshot_spec_read(p, spec, strict, &s);
    }
}

void resource_check(struct problems *p, enum kube_kind kind, jv object, jv recorded, bool strict,
                    const struct flink_defaults *defaults)
{
    const char *unreadable = JV_STRING(object, KUBE_UNREADABLE);

    check_metadata(p, jv_get(object, "metadata"), kind != KIND_FLINKDEPLOYMENT);
    if (unreadable)
        add_text(p, unreadable);
    else
        check_spec(p, kind, object, recorded, strict, defaults);
}

/* ---- beside the recorded spec ---- */

/* Of a job that is stopped with what high availability keeps of it: only the same version of Flink
 * can read that, and only the same kind of high availability. */
static const char *check_kept(struct arena *a, jv recorded, jv current,
                              const struct cluster_config *config)
{
    const char *was = JV_STRING(recorded, "flinkVersion"), *is = JV_STRING(current, "flinkVersion");

    if (!str_eq(JV_STRING(recorded, "job", "state"), "suspended") ||
        !str_eq(JV_STRING(recorded, "job", "upgradeMode"), "last-state") ||
        str_eq(str_or(JV_STRING(current, "job", "upgradeMode"), "stateless"), "stateless") ||
        job_redeploys(recorded, current))
        return NULL;
    if (!str_eq(was, is))
        return arena_printf(
            a,
            "spec.flinkVersion: cannot change from %s to %s while the job is stopped with what "
            "high availability keeps, which only the former version can read; let it run first",
            str_or_empty(was), str_or_empty(is));
    if (config && !config->ha_kubernetes)
        return "spec.flinkConfiguration." HA_TYPE_KEY
               ": must be kubernetes while the job is stopped "
               "with what that keeps of it; let it run first";
    return NULL;
}

const char *deployment_change_check(struct arena *a, jv recorded, jv current,
                                    const struct cluster_config *config)
{
    bool was_app = jv_present(jv_get(recorded, "job")), is_app = jv_present(jv_get(current, "job"));
    const char *was = str_or(JV_STRING(recorded, "mode"), "native"),
               *is = str_or(JV_STRING(current, "mode"), "native");

    if (was_app != is_app)
        return was_app ? "spec.job: an application cluster cannot become a session cluster; delete "
                         "and create it anew"
                       : "spec.job: a session cluster cannot become an application cluster; delete "
                         "and create it anew";
    if (!str_eq(was, is))
        return arena_printf(a, "spec.mode: cannot change from %s to %s; delete and create it anew",
                            was, is);
    return is_app ? check_kept(a, recorded, current, config) : NULL;
}

const char *session_job_change_check(struct arena *a, jv recorded, jv current)
{
    const char *was = JV_STRING(recorded, "deploymentName"),
               *is = JV_STRING(current, "deploymentName");

    if (str_eq(was, is))
        return NULL;
    return arena_printf(a,
                        "spec.deploymentName: cannot change from \"%s\" to \"%s\"; delete "
                        "and create the job anew",
                        str_or_empty(was), str_or_empty(is));
}

/* ---- what has no effect ---- */

jv resource_warnings(struct arena *a, enum kube_kind kind, jv object)
{
    struct jv_list list = JV_LIST(a);
    struct conf own = CONF_INIT(a);
    struct error err;

    if (kind == KIND_FLINKSTATESNAPSHOT ||
        conf_add_jv(&own, JV_PATH(object, "spec", "flinkConfiguration"), "", &err))
        return ABSENT;
    for (size_t i = 0; i < own.n && list.n < WARNINGS_MAX; i++) {
        const char *key = own.entries[i].key;
        const struct flink_option *option = flink_option_named(key);

        if (!str_has_prefix(key, OPERATOR_PREFIX) || (option && option->per_resource))
            continue;
        jv_list_add(&list,
                    STR(arena_printf(a, "spec.flinkConfiguration.%s: %s", str_clean(a, key, 100),
                                     option ? "has no effect here, only in the operator's own "
                                              "configuration"
                                            : "is no option of this operator")));
    }
    return list.n ? jv_list_arr(&list) : ABSENT;
}
