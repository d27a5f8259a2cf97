/* SPDX-License-Identifier: Apache-2.0 */
/* The field tables of FlinkDeployment.spec and FlinkSessionJob.spec. */
#include <ctype.h>
#include <string.h>

#include "config_check.h"
#include "flinkop/arena.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/jar_uri.h"
#include "flinkop/str.h"
#include "kube_rules.h"
#include "spec_internal.h"
#include "status.h"

#define CLUSTER_NAME_MAX                                                     \
    45 /* KubernetesClusterDescriptor: a service name has 63, minus suffixes \
        */

#define PARALLELISM_MAX 32768 /* Flink's own limit */

static const char *const modes[] = {"native", "standalone", NULL};
static const char *const allocators[] = {"Operator", "Flink", NULL};
static const char *const pull_policies[] = {"IfNotPresent", "Always", "Never"};
static const char *const job_states[] = {"running", "suspended", NULL};
static const char *const upgrade_modes[] = {"stateless", "last-state", "savepoint", NULL};

#define AT(type, field) offsetof(struct type, field)

/* Kubernetes' ResourceRequirements. */
struct requirements {
    jv requests, limits, claims;
};

struct claim {
    const char *name, *request;
};

/* Rows name what they need; the rest is zero. */
static const struct json_field resource_fields[] = {
    {"cpu", FIELD_NUMBER, AT(resource_spec, cpu)},
    {"memory", FIELD_TEXT, AT(resource_spec, memory)},
    {"ephemeralStorage", FIELD_TEXT, AT(resource_spec, ephemeral_storage)},
    {0},
};
static const struct json_field claim_fields[] = {
    {"name", FIELD_STRING, AT(claim, name)},
    {"request", FIELD_STRING, AT(claim, request)},
    {0},
};
static const struct json_field requirements_fields[] = {
    {"requests", FIELD_OBJECT, AT(requirements, requests)},
    {"limits", FIELD_OBJECT, AT(requirements, limits)},
    {"claims", FIELD_ARRAY, AT(requirements, claims)},
    {0},
};
static const struct json_field budget_fields[] = {
    {"maxUnavailable", FIELD_INT64, AT(component_spec, max_unavailable), .max = 1000000},
    {0},
};
/* clang-format off */
#define COMPONENT_FIELDS                                                                \
    {"resource", FIELD_STRUCT, AT(component_spec, resource), .fields = resource_fields}, \
    {"resources", FIELD_OBJECT, AT(component_spec, resources)},                          \
    {"replicas", FIELD_INT64, AT(component_spec, replicas), .min = 1, .max = 1000000},   \
    {"podTemplate", FIELD_OBJECT, AT(component_spec, pod_template)}
/* clang-format on */
static const struct json_field jobmanager_fields[] = {
    COMPONENT_FIELDS,
    {"podDisruptionBudget", FIELD_STRUCT, .fields = budget_fields},
    {0},
};
static const struct json_field taskmanager_fields[] = {COMPONENT_FIELDS, {0}};
static const struct json_field allocator_fields[] = {
    {"type", FIELD_CHOICE, AT(allocator_spec, type), .choices = allocators},
    {"minTaskManagers", FIELD_INT64, AT(allocator_spec, min_taskmanagers), .max = 1000000},
    {"maxTaskManagers", FIELD_INT64, AT(allocator_spec, max_taskmanagers), .max = 1000000},
    {"spareTaskManagers", FIELD_INT64, AT(allocator_spec, spare_taskmanagers), .max = 1000000},
    {"idleTimeout", FIELD_DURATION, AT(allocator_spec, idle_timeout), .max = DURATION_MAX_MS},
    {"startTimeout", FIELD_DURATION, AT(allocator_spec, start_timeout), .max = DURATION_MAX_MS},
    {"pendingTimeout", FIELD_DURATION, AT(allocator_spec, pending_timeout), .max = DURATION_MAX_MS},
    {0},
};
static const struct json_field job_fields[] = {
    {"jarURI", FIELD_STRING, AT(job_spec, jar_uri)},
    {"entryClass", FIELD_STRING, AT(job_spec, entry_class)},
    {"args", FIELD_ARRAY, AT(job_spec, args)},
    {"parallelism", FIELD_INT64, AT(job_spec, parallelism)},
    {"state", FIELD_CHOICE, AT(job_spec, state), .choices = job_states},
    {"upgradeMode", FIELD_CHOICE, AT(job_spec, upgrade_mode), .choices = upgrade_modes},
    {"allowNonRestoredState", FIELD_BOOL, AT(job_spec, allow_non_restored_state)},
    {"initialSavepointPath", FIELD_STRING, AT(job_spec, initial_savepoint_path)},
    {"savepointTriggerNonce", FIELD_NONCE},
    {"checkpointTriggerNonce", FIELD_NONCE},
    {"savepointRedeployNonce", FIELD_NONCE},
    {"autoscalerResetNonce", FIELD_NONCE},
    {0},
};
static const struct json_field deployment_fields[] = {
    {"image", FIELD_STRING, AT(deployment_spec, image)},
    {"imagePullPolicy", FIELD_STRING, AT(deployment_spec, image_pull_policy)},
    {"serviceAccount", FIELD_STRING, AT(deployment_spec, service_account)},
    {"flinkVersion", FIELD_STRING, AT(deployment_spec, version_name)},
    {"mode", FIELD_CHOICE, AT(deployment_spec, mode), .choices = modes},
    {"flinkConfiguration", FIELD_IGNORED},
    {"podTemplate", FIELD_OBJECT, AT(deployment_spec, pod_template)},
    {"jobManager", FIELD_STRUCT, AT(deployment_spec, jm), .fields = jobmanager_fields},
    {"taskManager", FIELD_STRUCT, AT(deployment_spec, tm), .fields = taskmanager_fields},
    {"logConfiguration", FIELD_OBJECT, AT(deployment_spec, log_configuration)},
    {"allocator", FIELD_STRUCT, AT(deployment_spec, allocator), .fields = allocator_fields},
    {"job", FIELD_STRUCT, AT(deployment_spec, job), .fields = job_fields},
    {"ingress", FIELD_STRUCT, AT(deployment_spec, ingress), .fields = ingress_fields},
    {"exposure", FIELD_STRUCT, AT(deployment_spec, exposure), .fields = exposure_fields},
    {"restartNonce", FIELD_NONCE},
    {0},
};
static const struct json_field session_job_fields[] = {
    {"deploymentName", FIELD_STRING, AT(session_job_spec, deployment_name)},
    {"job", FIELD_STRUCT, AT(session_job_spec, job), .fields = job_fields},
    {"flinkConfiguration", FIELD_IGNORED},
    {"restartNonce", FIELD_NONCE},
    {0},
};

/* Keys that name the cluster: the operator sets them (§2.15 rule 5). */
static const char *const forbidden_keys[] = {"kubernetes.namespace", "kubernetes.cluster-id",
                                             "high-availability.cluster-id"};

static const char *const log_files[] = {"log4j-console.properties", "logback-console.xml"};

void cluster_name_check(struct problems *p, const char *path, const char *name)
{
    size_t n = strlen(name);
    bool ok = n && n <= CLUSTER_NAME_MAX && islower((unsigned char)name[0]) && name[n - 1] != '-';

    for (size_t i = 0; i < n && ok; i++)
        ok = islower((unsigned char)name[i]) || isdigit((unsigned char)name[i]) || name[i] == '-';
    if (!ok)
        problem_add(p, path,
                    "must be at most %d lower-case letters, digits and '-', starting with a letter "
                    "and not ending with '-', found \"%s\"",
                    CLUSTER_NAME_MAX, str_clean(p->a, name, 80));
}

static void read_conf(struct problems *p, jv v, struct conf *ret)
{
    struct error err;

    *ret = CONF_INIT(p->a);
    if (!jv_present(v))
        return;
    if (conf_add_jv(ret, v, "spec.flinkConfiguration", &err)) {
        problem_add_error(p, "spec.flinkConfiguration", &err);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(forbidden_keys); i++)
        if (conf_get(ret, forbidden_keys[i]))
            problem_add(p, arena_printf(p->a, "spec.flinkConfiguration.%s", forbidden_keys[i]),
                        "is set by the operator; remove it");
}

bool reactive_asked(const struct conf *conf)
{
    const char *mode = conf_lookup(conf, "scheduler-mode");

    return mode && !strcasecmp(mode, "reactive");
}

static void check_version(struct problems *p, struct deployment_spec *s)
{
    const char *path = "spec.flinkVersion";

    if (!s->version_name) {
        problem_add(p, path, "must be set to one of %s", flink_versions_supported());
        return;
    }
    s->version = flink_version_find(s->version_name);
    if (s->version && s->version->supported)
        return;
    problem_add(p, path, "%s is %s; supported are %s", jv_describe(p->a, STR(s->version_name)),
                s->version ? "no longer supported" : "not a known Flink version",
                flink_versions_supported());
}

static void check_logging(struct problems *p, jv files)
{
    jv_foreach_kv (kv, files) {
        const char *path =
            arena_printf(p->a, "spec.logConfiguration.%s", str_clean(p->a, kv->key, 80));

        if (str_index(log_files, ARRAY_SIZE(log_files), kv->key) < 0)
            problem_add(p, path, "is not a file that can be given; allowed are %s and %s",
                        log_files[0], log_files[1]);
        else if (kv->value.type != JV_STR)
            problem_add(p, path, "must be a string, found %s", jv_describe(p->a, kv->value));
    }
}

/* Requests and limits; those of CPU and memory are read with the configuration. */
static void check_requirements(struct problems *p, const char *path, jv resources, bool strict)
{
    struct requirements r = {0};
    size_t i = 0;

    json_map(p, path, resources, requirements_fields, strict, &r);
    quantities_check(p, arena_printf(p->a, "%s.requests", path), r.requests, strict);
    quantities_check(p, arena_printf(p->a, "%s.limits", path), r.limits, strict);
    jv_foreach (item, r.claims) {
        const char *at = arena_printf(p->a, "%s.claims[%zu]", path, i++);
        struct claim claim = {0};

        if (!jv_present(*item))
            problem_add(p, at, "must be a mapping, found %s", jv_describe(p->a, *item));
        json_map(p, at, *item, claim_fields, strict, &claim);
        if (item->type == JV_OBJ && str_empty(claim.name))
            problem_add(p, arena_printf(p->a, "%s.name", at), "must be given");
    }
}

static void check_component(struct problems *p, const char *path, const struct component_spec *s,
                            bool strict)
{
    if (jv_present(s->resources))
        check_requirements(p, arena_printf(p->a, "%s.resources", path), s->resources, strict);
    pod_template_check(p, arena_printf(p->a, "%s.podTemplate", path), s->pod_template, strict);
}

static void check_allocator(struct problems *p, const struct allocator_spec *s)
{
    if (s->min_taskmanagers.set && s->max_taskmanagers.set &&
        s->min_taskmanagers.v > s->max_taskmanagers.v)
        problem_add(p, "spec.allocator.minTaskManagers",
                    "must not be larger than maxTaskManagers (%lld), found %lld",
                    (long long)s->max_taskmanagers.v, (long long)s->min_taskmanagers.v);
}

/* 0 is the incumbent's default, and goes with a number of TaskManagers (§2.15 rule 16). */
static void read_parallelism(struct problems *p, struct job_spec *job, bool follows)
{
    long long n = job->parallelism.v;

    if (!job->parallelism.set || (n > 0 && n <= PARALLELISM_MAX))
        return;
    job->parallelism.set = false;
    if (n || !follows)
        problem_add(p, "spec.job.parallelism", "must be between 1 and %d, found %lld",
                    PARALLELISM_MAX, n);
}

static void check_job_args(struct problems *p, jv args)
{
    size_t i = 0;

    jv_foreach (arg, args) {
        if (arg->type != JV_STR)
            problem_add(p, arena_printf(p->a, "spec.job.args[%zu]", i),
                        "must be a string, found %s", jv_describe(p->a, *arg));
        i++;
    }
}

void deployment_spec_read(struct problems *p, jv spec, bool strict, struct deployment_spec *ret)
{
    *ret = (struct deployment_spec){.conf = CONF_INIT(p->a)};
    if (!spec_shape_check(p, spec))
        return;
    json_map(p, "spec", spec, deployment_fields, strict, ret);
    read_conf(p, jv_get(spec, "flinkConfiguration"), &ret->conf);
    check_version(p, ret);
    if (ret->image_pull_policy &&
        str_index(pull_policies, ARRAY_SIZE(pull_policies), ret->image_pull_policy) < 0)
        problem_add(p, "spec.imagePullPolicy",
                    "must be one of IfNotPresent, Always, Never, found %s",
                    jv_describe(p->a, STR(ret->image_pull_policy)));
    pod_template_check(p, "spec.podTemplate", ret->pod_template, strict);
    check_component(p, "spec.jobManager", &ret->jm, strict);
    check_component(p, "spec.taskManager", &ret->tm, strict);
    check_logging(p, ret->log_configuration);
    check_allocator(p, &ret->allocator);
    if (ret->mode == MODE_STANDALONE && jv_len(jv_get(spec, "allocator")))
        problem_add(p, "spec.allocator",
                    "has no effect in mode standalone, where spec.taskManager.replicas is the "
                    "number of TaskManagers; leave it out");
    ingress_spec_read(p, jv_get(spec, "ingress"), strict, &ret->ingress);
    if (jv_get(jv_get(spec, "jobManager"), "podDisruptionBudget").type == JV_OBJ &&
        !ret->jm.max_unavailable.set)
        problem_add(p, "spec.jobManager.podDisruptionBudget.maxUnavailable",
                    "must be given; 0 keeps a JobManager from being evicted");
    exposure_spec_read(p, jv_get(spec, "exposure"), &ret->exposure);
    ret->application = jv_present(jv_get(spec, "job"));
    read_parallelism(p, &ret->job, ret->tm.replicas.set);
    check_job_args(p, ret->job.args);
}

/* The JAR of an application is had by Flink itself. */
static void check_application(struct problems *p, const struct deployment_spec *s)
{
    const char *uri = s->job.jar_uri;

    if (!str_empty(uri))
        jar_uri_check_application(p, "spec.job.jarURI", uri, s->version);
}

void deployment_spec_check(struct problems *p, const struct deployment_spec *s)
{
    if (s->application && s->version)
        check_application(p, s);
    exposure_spec_check(p, &s->exposure);
}

void session_job_spec_read(struct problems *p, jv spec, bool strict, struct session_job_spec *ret)
{
    *ret = (struct session_job_spec){.conf = CONF_INIT(p->a)};
    if (!spec_shape_check(p, spec))
        return;
    json_map(p, "spec", spec, session_job_fields, strict, ret);
    read_conf(p, jv_get(spec, "flinkConfiguration"), &ret->conf);
    if (!ret->deployment_name)
        problem_add(p, "spec.deploymentName", "must name the FlinkDeployment to run in");
    else
        cluster_name_check(p, "spec.deploymentName", ret->deployment_name);
    if (!jv_present(jv_get(spec, "job")))
        problem_add(p, "spec.job", "must be given");
    read_parallelism(p, &ret->job, false);
    check_job_args(p, ret->job.args);
}

/* Keys for the operator, and what it reads of how checkpoints are taken and kept. */
static bool is_for_jobs(const char *key)
{
    static const char *const prefixes[] = {"kubernetes.operator.", "execution.checkpointing.",
                                           "state.checkpoints."};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (str_has_prefix(key, prefixes[i]))
            return true;
    return str_eq(key, AUTOSCALER_KEY);
}

jv session_job_options(struct arena *a, jv spec)
{
    struct conf conf = CONF_INIT(a);
    struct jv_list list = JV_LIST(a);
    struct error err;

    if (conf_add_jv(&conf, jv_get(spec, "flinkConfiguration"), "", &err))
        return ABSENT;
    flink_options_drop_system(&conf);
    for (size_t i = 0; i < conf.n; i++)
        if (is_for_jobs(conf.entries[i].key))
            jv_list_put(&list, conf.entries[i].key, STR(conf.entries[i].value));
    return list.n ? jv_list_obj(&list) : ABSENT;
}

jv session_job_options_of(struct arena *a, jv cr)
{
    return session_job_options(a, recorded_spec(a, cr));
}

void session_job_read(struct problems *p, const char *ns, jv spec, bool strict,
                      const struct flink_defaults *defaults, const struct flink_version *version,
                      jv options, struct session_job_spec *ret, struct conf *ret_conf)
{
    size_t before = p->n;
    struct conf cluster = CONF_INIT(p->a);
    struct error err;

    session_job_spec_read(p, spec, strict, ret);
    *ret_conf = CONF_INIT(p->a);
    if (flink_defaults_for(p->a, defaults, ns, version, ret_conf, &err))
        problem_add(p, "operator configuration", "%s", err.text);
    if (!conf_add_jv(&cluster, options, "", &err))
        conf_merge(ret_conf, &cluster);
    flink_options_drop_system(&ret->conf);
    conf_merge(ret_conf, &ret->conf);
    session_job_keys_check(p, &ret->conf);
    if (p->n > before)
        return;
    if (str_empty(ret->job.jar_uri))
        problem_add(p, "spec.job.jarURI", "must be given");
    else
        jar_uri_check(p, "spec.job.jarURI", ret->job.jar_uri, jar_allowed_schemes(ret_conf));
}
