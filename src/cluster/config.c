/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From spec and defaults to the effective configuration. Three layers: operator defaults, the
 * user's flinkConfiguration, what the spec's own fields say. On top goes what the operator
 * enforces; each such key says why.
 */
#include <string.h>

#include "config_check.h"
#include "config_internal.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/exposure.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_keys.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"

/* ---- typed reads that report under the user's field ---- */

const char *config_path(struct problems *p, const char *key)
{
    return arena_printf(p->a, "spec.flinkConfiguration.%s", key);
}

int64_t config_int(struct problems *p, const struct conf *c, const char *key, int64_t fallback,
                   int64_t min, int64_t max)
{
    struct error err;
    int64_t v = fallback;

    if (conf_int(c, key, fallback, &v, &err)) {
        problem_add(p, config_path(p, key), "%s", err.text);
    } else if (v < min || v > max) {
        problem_add(p, config_path(p, key), "must be between %lld and %lld, found %lld",
                    (long long)min, (long long)max, (long long)v);
        v = fallback;
    }
    return v;
}

double config_double(struct problems *p, const struct conf *c, const char *key, double fallback)
{
    struct error err;
    double v = fallback;

    if (conf_double(c, key, fallback, &v, &err))
        problem_add(p, config_path(p, key), "%s", err.text);
    return v;
}

int64_t config_duration(struct problems *p, const struct conf *c, const char *key, int64_t fallback)
{
    struct error err;
    int64_t v = fallback;

    if (conf_duration(c, key, fallback, &v, &err))
        problem_add(p, config_path(p, key), "%s", err.text);
    else if (v > DURATION_MAX_MS)
        problem_add(p, config_path(p, key), "must be at most 36500 d, found \"%s\"",
                    str_clean(p->a, conf_lookup(c, key), 80));
    return v;
}

static bool config_bool(struct problems *p, const struct conf *c, const char *key, bool fallback)
{
    struct error err;
    bool v = fallback;

    if (conf_bool(c, key, fallback, &v, &err))
        problem_add(p, config_path(p, key), "%s", err.text);
    return v;
}

/* As SecurityOptions and SSLUtils of Flink have it. */
static void choose_tls(struct problems *p, struct cluster_config *ret)
{
    bool all = config_bool(p, &ret->conf, "security.ssl.enabled", false);

    ret->rest_tls = config_bool(p, &ret->conf, "security.ssl.rest.enabled", all);
    ret->rest_mutual =
        config_bool(p, &ret->conf, "security.ssl.rest.authentication-enabled", false) &&
        ret->rest_tls;
}

/* ---- memory: the message names the field that the size came from ---- */

/* A size that could not be read would only be told twice. */
static bool is_told(const struct problems *p, const char *component)
{
    const char *const sources[] = {component, "spec.flinkConfiguration", "operator configuration"};

    for (size_t i = 0; i < MIN(p->n, (size_t)PROBLEMS_MAX); i++)
        for (size_t k = 0; k < ARRAY_SIZE(sources); k++)
            if (str_has_prefix(p->items[i].path, sources[k]))
                return true;
    return p->n > PROBLEMS_MAX;
}

static void derive_memory(struct problems *p, struct cluster_config *c)
{
    const char *hint = " (set spec.%s.resource.memory)";
    struct error err;

    if (!is_told(p, "spec.jobManager") && jm_memory_derive(&c->conf, &c->jm_memory, &err))
        problem_add(p, "spec.jobManager", "memory: %s%s", err.text,
                    c->spec->jm.resource.memory ? "" : arena_printf(p->a, hint, "jobManager"));
    if (!is_told(p, "spec.taskManager") && tm_memory_derive(&c->conf, &c->tm_memory, &err))
        problem_add(p, "spec.taskManager", "memory: %s%s", err.text,
                    c->spec->tm.resource.memory ? "" : arena_printf(p->a, hint, "taskManager"));
}

static void check_ha(struct problems *p, struct cluster_config *c)
{
    const char *type = conf_lookup(&c->conf, HA_TYPE_KEY);

    c->ha = type && strcasecmp(type, "none");
    c->ha_kubernetes =
        c->ha && (!strcasecmp(type, "kubernetes") || strstr(type, "KubernetesHaServicesFactory"));
    c->jm_replicas =
        (int)(c->spec->jm.replicas.set
                  ? c->spec->jm.replicas.v
                  : config_int(p, &c->conf, "kubernetes.jobmanager.replicas", 1, 1, 1000));
    if (c->jm_replicas > 1 && !c->ha)
        problem_add(p, "spec.jobManager.replicas",
                    "must be 1 unless " HA_TYPE_KEY " is set, found %d", c->jm_replicas);
}

/* What the configuration of Flink 1.x can say that 2.x no longer understands, and the other way
 * round: its flink-conf.yaml cannot hold every value. */
static void check_legacy(struct problems *p, struct cluster_config *c)
{
    struct error err;

    if (conf_check_flat(&c->spec->conf, "spec.flinkConfiguration", &err) ||
        memory_conf_legacy(&c->conf, &err))
        problem_add_error(p, "spec.flinkConfiguration", &err);
}

/* Keys that cannot have their effect here are better refused than left without one. */
static void check_keys(struct problems *p, struct cluster_config *c)
{
    size_t n;
    const struct flink_key *keys = flink_keys(&n);

    for (size_t i = 0; i < n; i++)
        if (keys[i].treatment == KEY_REFUSED && conf_get(&c->conf, keys[i].key))
            problem_add(p, config_path(p, keys[i].key), "is not supported: %s", keys[i].note);
}

static void choose_image(struct problems *p, struct cluster_config *c)
{
    const char *from_conf = conf_lookup(&c->conf, "kubernetes.container.image.ref");

    c->image = c->spec->image ? c->spec->image : from_conf;
    if (!c->image && c->spec->version) {
        c->image =
            arena_printf(p->a, "flink:%d.%d", c->spec->version->major, c->spec->version->minor);
        c->image_note = "the spec names no image";
    }
    c->conf_dir = str_or(conf_get(&c->conf, "kubernetes.flink.conf.dir"), "/opt/flink/conf");
}

/* ---- what Flink gets to see ---- */

static const char *const hidden_prefixes[] = {"kubernetes.operator.", "job.autoscaler."};
/* Addresses a pod must choose itself (as Flink's own client drops them, flink-internals §1.1). */
static const char *const hidden_keys[] = {
    "kubernetes.config.file", "rest.bind-address", "jobmanager.bind-host",
    "taskmanager.bind-host",  "taskmanager.host",
};

static struct conf flink_conf(struct arena *a, const struct cluster_config *c)
{
    struct conf conf = conf_dup(a, &c->conf);
    const struct flink_version *v = c->spec->version;

    for (size_t i = 0; i < ARRAY_SIZE(hidden_prefixes); i++)
        conf_remove_prefix(&conf, hidden_prefixes[i]);
    for (size_t i = 0; i < ARRAY_SIZE(hidden_keys); i++)
        conf_remove(&conf, hidden_keys[i]);
    conf_set(&conf, "kubernetes.cluster-id", c->name);
    conf_set(&conf, "kubernetes.namespace", c->ns);
    if (c->ha)
        conf_set(&conf, "high-availability.cluster-id", c->name);
    conf_setf(&conf, "jobmanager.rpc.address", "%s.%s", c->name, c->ns);
    conf_setf(&conf, "jobmanager.rpc.port", "%d", PORT_JM_RPC);
    conf_setf(&conf, "blob.server.port", "%d", PORT_BLOB);
    conf_setf(&conf, "taskmanager.rpc.port", "%d", PORT_TM_RPC);
    conf_setf(&conf, "taskmanager.data.port", "%d", PORT_TM_DATA);
    conf_setf(&conf, "rest.port", "%d", c->rest_port);
    conf_setf(&conf, "rest.bind-port", "%d", c->rest_port);
    conf_setf(&conf, "taskmanager.numberOfTaskSlots", "%d", c->alloc.slots);
    /* A fixed place, so that JARs of the image can be linked into it (launch.sh). */
    conf_default(&conf, "web.upload.dir", "/tmp/flink-operator/upload");
    if (v->java_opts)
        conf_default(&conf, v->java_opts_key, v->java_opts);
    enforce_policy(&conf, c);
    enforce_job(&conf, c);
    return conf;
}

/* ---- the whole ---- */

void cluster_config_build(struct problems *p, const char *ns, const char *name,
                          const struct deployment_spec *spec, const struct conf *defaults,
                          struct cluster_config *ret)
{
    const struct component jm = {"spec.jobManager", "jobmanager", "jobmanager.memory.process.size",
                                 &spec->jm};
    const struct component tm = {"spec.taskManager", "taskmanager",
                                 "taskmanager.memory.process.size", &spec->tm};
    size_t before = p->n;

    *ret = (struct cluster_config){.ns = ns, .name = name, .spec = spec};
    cluster_name_check(p, "metadata.name", name);
    ret->conf = conf_dup(p->a, defaults);
    conf_merge(&ret->conf, &spec->conf);
    if (spec->version->major < 2)
        check_legacy(p, ret);
    apply_resources(p, &ret->conf, &jm);
    apply_resources(p, &ret->conf, &tm);
    check_keys(p, ret);
    choose_policy(p, ret);
    check_ha(p, ret);
    choose_job(p, ret);
    choose_replicas(ret);
    choose_image(p, ret);
    cluster_config_check(p, ret);
    if (!str_empty(spec->ingress.template))
        ingress_url_read(p, spec->ingress.template, ns, name, &ret->ingress);
    ret->rest_port = (int)config_int(p, &ret->conf, "rest.port", PORT_REST, 1, 65535);
    choose_tls(p, ret);
    derive_memory(p, ret);
    if (p->n > before || is_told(p, jm.path) || is_told(p, tm.path))
        return;
    ret->jm = pod_size(p, &ret->conf, &jm, ret->jm_memory.process, 1);
    ret->tm = pod_size(p, &ret->conf, &tm, ret->tm_memory.process, ret->alloc.slots);
    ret->tm.extra = jv_merge(p->a, ret->tm.extra, external_resources(p, &ret->conf));
    limit_totals(p, ret);
    ret->flink = flink_conf(p->a, ret);
}

void cluster_config_read(struct problems *p, const char *ns, const char *name, jv spec, bool strict,
                         const struct flink_defaults *defaults, struct deployment_spec *ret_spec,
                         struct cluster_config *ret)
{
    struct conf conf = CONF_INIT(p->a);
    struct error err;

    deployment_spec_read(p, spec, strict, ret_spec);
    flink_options_drop_system(&ret_spec->conf);
    if (flink_defaults_for(p->a, defaults, ns, ret_spec->version, &conf, &err))
        problem_add(p, "operator configuration", "%s", err.text);
    deployment_spec_check(p, ret_spec);
    if (ret_spec->version && ret_spec->version->supported)
        cluster_config_build(p, ns, name, ret_spec, &conf, ret);
}
