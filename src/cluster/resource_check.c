/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/resource_check.h"

#include "flinkop/advice.h"
#include "flinkop/arena.h"
#include "flinkop/cluster_config.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/observed.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

#define WARNINGS_MAX 10

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

    spec = spec_to_record(
        p->a, recorded, spec,
        autoscaled_below(p->a, defaults, ns, JV_STRING(spec, "flinkVersion"), ABSENT));
    cluster_config_read(p, ns, name, spec, strict, defaults, &s, &c);
    /* What else is wrong may come from a version that is not known. */
    if (jv_present(recorded) && (!s.version || s.version->supported))
        add_text(p, deployment_change_check(p->a, recorded, jv_get(object, "spec"),
                                            p->n == before ? &c : NULL));
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
    if (object_is_canary(object))
        return;
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

/* Of a nonce that asks for something now (13, 30). */
static const char *check_nonces(jv recorded, jv current, const struct conf *conf)
{
    jv nonce = JV_PATH(current, "job", "savepointTriggerNonce");

    if (jv_present(recorded) && job_redeploys(recorded, current) &&
        str_empty(JV_STRING(current, "job", "initialSavepointPath")))
        return "spec.job.savepointRedeployNonce: needs initialSavepointPath, the state to begin "
               "with";
    if (jv_present(nonce) && conf && !conf_lookup(conf, SAVEPOINT_DIR_KEY) &&
        !jv_equal(nonce, JV_PATH(recorded, "job", "savepointTriggerNonce")))
        return "spec.job.savepointTriggerNonce: needs flinkConfiguration." SAVEPOINT_DIR_KEY;
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
    if (!is_app)
        return NULL;
    return str_or(check_kept(a, recorded, current, config),
                  check_nonces(recorded, current, config ? &config->conf : NULL));
}

const char *session_job_change_check(struct arena *a, jv recorded, jv current)
{
    const char *was = JV_STRING(recorded, "deploymentName"),
               *is = JV_STRING(current, "deploymentName");

    if (str_eq(was, is)) /* where savepoints go, the cluster may say */
        return check_nonces(recorded, current, NULL);
    return arena_printf(a,
                        "spec.deploymentName: cannot change from \"%s\" to \"%s\"; delete "
                        "and create the job anew",
                        str_or_empty(was), str_or_empty(is));
}

/* ---- what is no mistake ---- */

static const char *without_effect(struct arena *a, const struct flink_option *o)
{
    if (!o)
        return "is no option of this operator";
    if (o->fate == OPTION_MOOT)
        return arena_printf(a, "has no effect with this operator: %s", o->note);
    return o->scope == OPTION_OF_RESOURCES
               ? NULL
               : "has no effect here, only in the operator's own configuration";
}

static void add_patterns(struct jv_list *list, const struct conf *own)
{
    struct error err;
    jv map;

    if (conf_map(own, ERROR_LABELS_KEY, &map, &err))
        return;
    jv_foreach_kv (kv, map)
        if (list->n < WARNINGS_MAX && !error_pattern_valid(kv->key))
            jv_list_add(list, STR(arena_printf(list->a,
                                               "spec.flinkConfiguration." ERROR_LABELS_KEY
                                               ": \"%s\" is not a POSIX extended regular "
                                               "expression without repetition counts and "
                                               "back-references, and gives no label",
                                               str_clean(list->a, kv->key, 100))));
}

void add_option_warnings(struct jv_list *list, jv spec)
{
    struct arena *a = list->a;
    struct conf own = CONF_INIT(a);
    struct error err;

    if (conf_add_jv(&own, jv_get(spec, "flinkConfiguration"), "", &err))
        return;
    for (size_t i = 0; i < own.n && list->n < WARNINGS_MAX; i++) {
        const char *key = own.entries[i].key;
        const char *why = flink_option_is_ours(key) ? without_effect(a, flink_option_named(key))
                                                    : NULL;

        if (why && !str_eq(key, AUTOSCALER_KEY)) /* a sentence of its own, if it is true */
            jv_list_add(list, STR(arena_printf(a, "spec.flinkConfiguration.%s: %s",
                                               str_clean(a, key, 100), why)));
    }
    add_patterns(list, &own);
}

static void add_deployment_advice(struct jv_list *list, const char *ns, jv object,
                                  const struct flink_defaults *defaults)
{
    struct problems *ignored = arena_new(list->a, struct problems);
    struct deployment_spec s;
    struct cluster_config c;

    ignored->a = list->a;
    cluster_config_read(ignored, ns, str_or_empty(JV_STRING(object, "metadata", "name")),
                        jv_get(object, "spec"), false, defaults, &s, &c);
    if (s.version && s.version->deprecated && s.version->supported)
        jv_list_add(
            list, STR(arena_printf(list->a,
                                   "spec.flinkVersion: %s is deprecated, as in the Apache operator",
                                   s.version->name)));
    if (!ignored->n)
        deployment_advice(list, &c);
}

static void add_session_job_advice(struct jv_list *list, const char *ns, jv object,
                                   const struct flink_defaults *defaults)
{
    static const struct state_settings not_known = {0};
    struct problems *ignored = arena_new(list->a, struct problems);
    struct session_job_spec s;
    struct conf conf;

    ignored->a = list->a;
    session_job_read(ignored, ns, jv_get(object, "spec"), false, defaults, NULL, ABSENT, &s, &conf);
    if (!ignored->n)
        session_job_advice(list, &s.job, &conf, &not_known);
}

jv resource_warnings(struct arena *a, enum kube_kind kind, jv object,
                     const struct flink_defaults *defaults)
{
    const char *ns = str_or(JV_STRING(object, "metadata", "namespace"), "default");
    struct jv_list list = JV_LIST(a);
    jv spec = jv_get(object, "spec");

    if (kind == KIND_FLINKSTATESNAPSHOT || JV_STRING(object, KUBE_UNREADABLE) ||
        object_is_canary(object))
        return ABSENT;
    add_option_warnings(&list, spec);
    if (spec_autoscales(a, spec, false))
        jv_list_add(&list, STR("spec.flinkConfiguration." AUTOSCALER_KEY ": " AUTOSCALER_FROZEN));
    if (kind == KIND_FLINKDEPLOYMENT)
        add_deployment_advice(&list, ns, object, defaults);
    else
        add_session_job_advice(&list, ns, object, defaults);
    return list.n ? jv_list_arr(&list) : ABSENT;
}
