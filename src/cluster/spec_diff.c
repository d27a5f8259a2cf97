/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changed between two specs, and whether it needs a restart (api-contract §2.11). Comparing is
 * done on normalised values: nulls are absent, the configuration is flat, so a spec recorded by
 * the incumbent (with all its nulls and nesting) equals the user's own.
 */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/error.h"
#include "flinkop/flink_keys.h"
#include "flinkop/jar_uri.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "spec_internal.h"

/* Members of spec whose change is applied in place. restartNonce has a rule of its own. */
static const char *const in_place[] = {"ingress", "exposure", "monitoring", "dependsOn"};
/* Of spec.allocator while it is the operator's: it reads them itself. */
static const char *const in_place_allocator[] = {
    "minTaskManagers", "maxTaskManagers", "spareTaskManagers", "idleTimeout", "startTimeout"};
static const char *const in_place_job[] = {"upgradeMode",
                                           "allowNonRestoredState",
                                           "initialSavepointPath",
                                           "savepointTriggerNonce",
                                           "checkpointTriggerNonce",
                                           "autoscalerResetNonce",
                                           "state"};
/* Keys of flinkConfiguration that the running cluster does not see. */
static const char *const in_place_keys[] = {"job.autoscaler", "parallelism.default",
                                            "kubernetes.operator"};

static jv without_nulls(struct arena *a, jv v)
{
    struct jv_list list = JV_LIST(a);

    switch (v.type) {
    case JV_OBJ:
        jv_foreach_kv (kv, v) {
            jv inner = without_nulls(a, kv->value);
            bool empty = inner.type == JV_NULL ||
                         ((inner.type == JV_OBJ || inner.type == JV_ARR) && !jv_len(inner));

            if (!empty)
                jv_list_put(&list, kv->key, inner);
        }
        return jv_list_obj(&list);
    case JV_ARR:
        jv_foreach (item, v)
            jv_list_add(&list, without_nulls(a, *item));
        return jv_list_arr(&list);
    default:
        return v;
    }
}

static bool key_in_place(const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(in_place_keys); i++)
        if (str_has_prefix(key, in_place_keys[i]))
            return true;
    return false;
}

/* parallel: parallelism.default is the parallelism of an application. */
static jv flat_configuration(struct arena *a, const struct conf *conf, bool parallel)
{
    struct jv_list list = JV_LIST(a);

    for (size_t i = 0; i < conf->n; i++)
        if (!key_in_place(conf->entries[i].key) ||
            (parallel && !strcmp(conf->entries[i].key, "parallelism.default")))
            jv_list_put(&list, conf->entries[i].key, STR(conf->entries[i].value));
    return list.n ? jv_list_obj(&list) : ABSENT;
}

static jv drop(struct arena *a, jv obj, const char *const keys[], size_t n)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach_kv (kv, obj)
        if (str_index(keys, n, kv->key) < 0)
            jv_list_put(&list, kv->key, kv->value);
    return list.n ? jv_list_obj(&list) : ABSENT;
}

/* What of it Flink has in its configuration: all of it where the allocator is Flink's. */
static jv allocator_part(struct arena *a, jv allocator, bool delegated)
{
    if (delegated || str_eq(JV_STRING(allocator, "type"), "Flink"))
        return allocator;
    allocator = drop(a, allocator, in_place_allocator, ARRAY_SIZE(in_place_allocator));
    if (str_eq(JV_STRING(allocator, "type"), "Operator")) /* the default */
        allocator = jv_set(a, allocator, "type", ABSENT);
    return jv_len(allocator) ? allocator : ABSENT;
}

static const char *const in_place_jobmanager[] = {"podDisruptionBudget"};

/* In mode standalone TaskManagers are added and taken away in place, unless their number is what
 * the parallelism of an application follows from; with Flink's reactive scheduler it is the other
 * way round. Where an allocator makes them, that number means nothing else. */
static jv without_replicas(struct arena *a, jv spec, bool reactive)
{
    jv job = jv_get(spec, "job");

    if (!jv_present(job) || reactive || jv_present(jv_get(job, "parallelism")))
        spec = JV_SET_PATH(a, spec, ABSENT, "taskManager", "replicas");
    if (jv_present(job) && reactive)
        spec = JV_SET_PATH(a, spec, ABSENT, "job", "parallelism");
    return without_nulls(a, spec);
}

static jv restart_part(struct arena *a, jv spec, const char *const keys[], size_t n)
{
    jv part = drop(a, without_nulls(a, spec), keys, n);
    jv configuration = jv_get(part, "flinkConfiguration");
    struct conf conf = CONF_INIT(a);
    struct error err;
    /* A configuration that cannot be read is compared as it stands. */
    bool readable = !conf_add_jv(&conf, configuration, "", &err);
    bool reactive = str_eq(JV_STRING(part, "mode"), "standalone") && readable &&
                    reactive_asked(&conf);
    bool parallel = n && jv_present(jv_get(part, "job")) && !reactive &&
                    !jv_present(JV_PATH(part, "job", "parallelism"));

    if (n && jv_get(part, "jobManager").type == JV_OBJ)
        part = jv_set(a, part, "jobManager",
                      drop(a, jv_get(part, "jobManager"), in_place_jobmanager,
                           ARRAY_SIZE(in_place_jobmanager)));
    part = without_replicas(a, part, reactive);
    if (str_eq(JV_STRING(part, "mode"), "native")) /* the default */
        part = jv_set(a, part, "mode", ABSENT);
    if (jv_get(part, "allocator").type == JV_OBJ)
        part = jv_set(
            a, part, "allocator",
            allocator_part(a, jv_get(part, "allocator"), readable && flink_keys_delegated(&conf)));
    if (jv_get(part, "job").type == JV_OBJ)
        part = jv_set(a, part, "job",
                      drop(a, jv_get(part, "job"), in_place_job, ARRAY_SIZE(in_place_job)));
    return jv_dup(a, jv_set(a, part, "flinkConfiguration",
                            readable ? flat_configuration(a, &conf, parallel) : configuration));
}

jv deployment_spec_restart_part(struct arena *a, jv spec)
{
    return restart_part(a, spec_compared_form(a, spec), in_place, ARRAY_SIZE(in_place));
}

static jv without_overrides(struct arena *a, jv part)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach_kv (kv, jv_get(part, "flinkConfiguration"))
        if (!str_has_prefix(kv->key, FLINK_OVERRIDES_KEY))
            jv_list_put(&list, kv->key, kv->value);
    return jv_set(a, part, "flinkConfiguration", list.n ? jv_list_obj(&list) : ABSENT);
}

static bool equal_but_overrides(struct arena *a, jv before, jv after)
{
    return jv_equal(without_overrides(a, before), without_overrides(a, after));
}

bool deployment_only_rescales(struct arena *a, jv before, jv after)
{
    return equal_but_overrides(a, deployment_spec_restart_part(a, before),
                               deployment_spec_restart_part(a, after));
}

jv session_job_restart_part(struct arena *a, jv spec)
{
    return restart_part(a, spec_compared_form(a, spec), NULL, 0);
}

bool session_job_only_rescales(struct arena *a, jv before, jv after)
{
    return equal_but_overrides(a, session_job_restart_part(a, before),
                               session_job_restart_part(a, after));
}

static const char *const trigger_nonces[] = {"savepointTriggerNonce", "checkpointTriggerNonce"};

jv spec_keep_trigger_nonces(struct arena *a, jv recorded, jv spec)
{
    if (!jv_present(jv_get(recorded, "job")) || !jv_present(jv_get(spec, "job")))
        return spec;
    for (size_t i = 0; i < ARRAY_SIZE(trigger_nonces); i++)
        spec = JV_SET_PATH(a, spec, jv_get(jv_get(recorded, "job"), trigger_nonces[i]), "job",
                           trigger_nonces[i]);
    return spec;
}

/* A number that is taken away asks for nothing, and the same one put back neither. */
jv spec_to_record(struct arena *a, jv recorded, jv current, bool autoscaled)
{
    jv nonce = jv_get(recorded, "restartNonce");
    jv again = JV_PATH(recorded, "job", "savepointRedeployNonce");

    current = spec_keep_trigger_nonces(a, recorded, current);
    current = spec_keep_overrides(a, recorded, current, autoscaled);
    if (jv_present(again) && jv_present(jv_get(current, "job")) &&
        !jv_present(JV_PATH(current, "job", "savepointRedeployNonce")))
        current = JV_SET_PATH(a, current, again, "job", "savepointRedeployNonce");

    if (jv_present(jv_get(current, "restartNonce")) || !jv_present(nonce))
        return current;
    return jv_set(a, current, "restartNonce", nonce);
}

/* Members sorted by key, so that a hash does not depend on the order the API server gave. */
static jv sorted(struct arena *a, jv v)
{
    struct jv_list list = JV_LIST(a);

    if (v.type == JV_ARR) {
        jv_foreach (item, v)
            jv_list_add(&list, sorted(a, *item));
        return jv_list_arr(&list);
    }
    if (v.type != JV_OBJ)
        return v;
    jv_foreach_kv (kv, v) {
        size_t i = list.n;

        jv_list_put(&list, kv->key, ABSENT);
        while (i && strcmp(list.items[i - 1].key, kv->key) > 0) {
            list.items[i] = list.items[i - 1];
            i--;
        }
        list.items[i] = (jkv){kv->key, sorted(a, kv->value)};
    }
    return jv_list_obj(&list);
}

char *deployment_spec_hash(struct arena *a, jv spec)
{
    return json_hash(a, sorted(a, deployment_spec_restart_part(a, spec)));
}

char *deployment_spec_hash_as_written(struct arena *a, jv spec)
{
    return json_hash(a, sorted(a, restart_part(a, spec, in_place, ARRAY_SIZE(in_place))));
}

char *application_hash(struct arena *a, const char *spec_hash, const char *job_id,
                       const char *restore_path)
{
    return json_hash(
        a, OBJ({"spec", STR(spec_hash)}, {"job", STR(job_id)}, {"restore", STR(restore_path)}));
}

char *spec_part_hash(struct arena *a, jv part)
{
    return json_hash(a, sorted(a, without_nulls(a, part)));
}

#define DIFF_MAX 10 /* changes that are spelled out */
#define VALUE_MAX 60

struct diff {
    struct arena *a;
    const char *text;
    size_t n;
};

static void diff_add(struct diff *d, const char *path, jv before, jv after)
{
    const char *values[2];

    for (int k = 0; k < 2; k++) {
        jv v = k ? after : before;
        const char *text = jv_present(v) ? jv_scalar_text(d->a, v) : "null";

        if (text && str_has_suffix(path, "jarURI"))
            text = jar_uri_shown(d->a, text);
        values[k] = text && conf_is_sensitive(path) ? "******"
                    : text                          ? str_clean(d->a, text, VALUE_MAX)
                    : v.type == JV_ARR              ? "[…]"
                                                    : "{…}";
    }
    if (d->n < DIFF_MAX)
        d->text = arena_printf(d->a, "%s%s%s : %s -> %s", d->text, d->n ? ", " : "", path,
                               values[0], values[1]);
    d->n++;
}

static void diff_walk(struct diff *d, const char *path, jv before, jv after)
{
    if (jv_equal(before, after))
        return;
    if (before.type != JV_OBJ || after.type != JV_OBJ) {
        diff_add(d, path, before, after);
        return;
    }
    jv_foreach_kv (kv, before)
        diff_walk(d, arena_printf(d->a, "%s%s%s", path, *path ? "." : "", kv->key), kv->value,
                  jv_get(after, kv->key));
    jv_foreach_kv (kv, after)
        if (jv_get(before, kv->key).type == JV_ABSENT)
            diff_walk(d, arena_printf(d->a, "%s%s%s", path, *path ? "." : "", kv->key), ABSENT,
                      kv->value);
}

const char *spec_diff_text(struct arena *a, const char *type, jv before, jv after)
{
    struct diff d = {.a = a, .text = ""};

    diff_walk(&d, "", without_nulls(a, spec_compared_form(a, before)),
              without_nulls(a, spec_compared_form(a, after)));
    if (!d.n) /* nothing but the form */
        diff_walk(&d, "", without_nulls(a, before), without_nulls(a, after));
    if (d.n > DIFF_MAX)
        d.text = arena_printf(a, "%s, and %zu more", d.text, d.n - DIFF_MAX);
    return arena_printf(a, "%s[%s]", type, d.text);
}
