/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What JobManager and TaskManager pods have in common. A pod is the user's template, with the
 * spec's fields and Flink's kubernetes.* options laid over it; where both speak, the spec wins, as
 * with Flink's own decorators. Names of containers, volumes and variables: api-contract §4.1.
 */
#include <math.h>
#include <string.h>

#include "desired_internal.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/jar_uri.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define CONFIG_VOLUME "flink-config-volume"
#define HADOOP_VOLUME "hadoop-config-volume"
#define HADOOP_DIR "/opt/hadoop/conf"
/* The message of a container that died is the end of its log when it wrote none: that is how the
 * cause gets into the status. */
#define LOG_TELLS "FallbackToLogsOnError"

jv conf_map_or_absent(const struct conf *c, const char *key)
{
    struct error err;
    jv v = ABSENT;

    return conf_map(c, key, &v, &err) ? ABSENT : v;
}

static jv conf_list_or_absent(const struct conf *c, const char *key)
{
    struct error err;
    jv v = ABSENT;

    return conf_list(c, key, &v, &err) ? ABSENT : v;
}

jv conf_maps_or_absent(const struct conf *c, const char *key)
{
    struct error err;
    jv v = ABSENT;

    return conf_map_list(c, key, &v, &err) ? ABSENT : v;
}

/* "kubernetes.<component>.<rest>" */
static const char *role_key(struct arena *a, const struct pod_role *role, const char *rest)
{
    return arena_printf(a, "kubernetes.%s.%s", role->component, rest);
}

const char *type_label(const struct cluster_config *c)
{
    return c->allocator == ALLOCATOR_NONE ? TYPE_STANDALONE : TYPE_NATIVE;
}

jv cluster_labels(struct arena *a, const struct desired_input *in, const char *type,
                  const char *component)
{
    return jv_dup(a, OBJ({LABEL_APP, STR(in->config->name)}, {LABEL_COMPONENT, STR(component)},
                         {LABEL_TYPE, STR(type)}));
}

jv owner_reference(const struct owner *o, struct arena *a, bool controller)
{
    return jv_dup(a, OBJ({"apiVersion", STR(o->api_version)}, {"kind", STR(o->kind)},
                         {"name", STR(o->name)}, {"uid", STR(o->uid)},
                         {"controller", BOOL(controller)}, {"blockOwnerDeletion", BOOL(true)}));
}

jv spec_hash_annotations(struct arena *a, const struct desired_input *in, jv more)
{
    return jv_merge(a, more.type == JV_OBJ ? more : EMPTY_OBJ,
                    jv_dup(a, OBJ({ANNOTATION_SPEC_HASH, STR(in->spec_hash)})));
}

/* ---- resources ---- */

static jv cpu_quantity(struct arena *a, double cpu)
{
    int64_t milli = (int64_t)ceil(cpu * 1000 - 1e-6);

    return STR(milli % 1000 ? arena_printf(a, "%lldm", (long long)milli)
                            : arena_printf(a, "%lld", (long long)(milli / 1000)));
}

static jv memory_quantity(struct arena *a, double bytes)
{
    char text[24];

    memory_size_to_mi((int64_t)ceil(bytes), text);
    return STR(arena_strdup(a, text));
}

static jv ephemeral_quantity(struct arena *a, const char *text)
{
    struct error err;
    int64_t bytes;

    return text && !memory_size_parse(text, &bytes, &err) ? memory_quantity(a, (double)bytes)
                                                          : ABSENT;
}

/* All but CPU and memory. */
static jv other_resources(struct arena *a, const struct pod_size *s)
{
    jv storage = OBJ({"ephemeral-storage", ephemeral_quantity(a, s->ephemeral_storage)});

    return jv_merge(a, jv_dup(a, OBJ({"requests", storage}, {"limits", storage})), s->extra);
}

static jv container_resources(struct arena *a, const struct pod_size *s)
{
    jv ours = jv_dup(
        a, OBJ({"requests", OBJ({"cpu", cpu_quantity(a, s->cpu)},
                                {"memory", memory_quantity(a, (double)s->memory)})},
               {"limits",
                OBJ({"cpu", cpu_quantity(a, s->cpu * s->cpu_limit_factor)},
                    {"memory", memory_quantity(a, (double)s->memory * s->memory_limit_factor)})}));

    return jv_merge(a, ours, other_resources(a, s));
}

/* ---- environment ---- */

static jv env_value(struct arena *a, const char *name, const char *value)
{
    return value ? jv_dup(a, OBJ({"name", STR(name)}, {"value", STR(value)})) : ABSENT;
}

static jv env_field(struct arena *a, const char *name, const char *path)
{
    return jv_dup(a, OBJ({"name", STR(name)},
                         {"valueFrom", OBJ({"fieldRef", OBJ({"apiVersion", STR("v1")},
                                                            {"fieldPath", STR(path)})})}));
}

/* kubernetes.env.secretKeyRef: "env:NAME,secret:S,key:K;…" */
static void add_secret_env(struct jv_list *list, const struct conf *conf)
{
    struct arena *a = list->a;

    jv_foreach (m, conf_maps_or_absent(conf, "kubernetes.env.secretKeyRef"))
        jv_list_add(list, jv_dup(a, OBJ({"name", jv_get(*m, "env")},
                                        {"valueFrom",
                                         OBJ({"secretKeyRef", OBJ({"name", jv_get(*m, "secret")},
                                                                  {"key", jv_get(*m, "key")})})})));
}

/* Name of the ConfigMap with Hadoop's configuration, NULL if none is mounted. */
static const char *hadoop_configmap(const struct conf *conf)
{
    if (str_eq(conf_get(conf, "kubernetes.decorator.hadoop-conf-mount.enabled"), "false"))
        return NULL;
    return conf_get(conf, "kubernetes.hadoop.conf.config-map.name");
}

/* The options of the scripts that launch.sh stands for, in their own variables. */
static void add_script_env(struct jv_list *list, const struct conf *conf,
                           const struct pod_role *role)
{
    static const struct {
        const char *env, *key;
    } options[] = {
        {"FLINK_LOG_DIR", "env.log.dir"},
        {"STD_REDIRECT_TO_FILE", "env.stdout-err.redirect-to-file"},
        {"ROOT_LOG_LEVEL", "env.log.level"},
        {"MAX_LOG_FILE_NUMBER", "env.log.max"},
        {"JAVA_HOME", "env.java.home"},
        {"YARN_CONF_DIR", "env.yarn.conf.dir"},
        {"HBASE_CONF_DIR", "env.hbase.conf.dir"},
    };
    struct arena *a = list->a;
    const char *log_dir = conf_get(conf, "kubernetes.flink.log.dir");
    const char *defaults = conf_lookup(conf, "env.java.default-opts.all");
    const char *all = conf_lookup(conf, "env.java.opts.all");
    const char *role_defaults =
        conf_lookup(conf, arena_printf(a, "env.java.default-opts.%s", role->component));
    const char *role_opts = conf_lookup(conf, role->java_opts_key);

    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        jv_list_add(list, env_value(a, options[i].env,
                                    i == 0 && log_dir ? log_dir : conf_get(conf, options[i].key)));
    jv_list_add(list, env_value(a, "HADOOP_CONF_DIR",
                                hadoop_configmap(conf) ? HADOOP_DIR
                                                       : conf_get(conf, "env.hadoop.conf.dir")));
    if (defaults || all)
        jv_list_add(list, env_value(a, "FLINK_ENV_JAVA_OPTS",
                                    str_trim(a, arena_printf(a, "%s %s", str_or_empty(defaults),
                                                             str_or_empty(all)))));
    if (role_defaults || role_opts)
        jv_list_add(list,
                    env_value(a, role->java_opts_env,
                              str_trim(a, arena_printf(a, "%s %s", str_or_empty(role_defaults),
                                                       str_or_empty(role_opts)))));
    jv_list_add(list, env_value(a, "FLINK_ENTRYPOINT_ARGS",
                                conf_get(conf, role_key(a, role, "entrypoint.args"))));
}

static jv container_env(struct arena *a, const struct desired_input *in, const struct conf *conf,
                        const struct pod_role *role, jv from_template)
{
    const struct deployment_spec *s = in->config->spec;
    struct jv_list list = JV_LIST(a);
    size_t prefix = strlen(role->env_prefix);

    jv_list_add(&list, env_field(a, "_POD_IP_ADDRESS", "status.podIP"));
    /* The entrypoint would put the pod's own name here. */
    jv_list_add(&list, env_value(a, "JOB_MANAGER_RPC_ADDRESS",
                                 arena_printf(a, "%s.%s", in->config->name, in->config->ns)));
    if (s->application && in->config->allocator != ALLOCATOR_FLINK)
        jv_list_add(&list,
                    env_value(a, "FLINK_JOB_JAR", jar_uri_linked(s->job.jar_uri, s->version)));
    jv_foreach (item, role->env)
        jv_list_add(&list, *item);
    for (size_t i = 0; i < conf->n; i++)
        if (str_has_prefix(conf->entries[i].key, role->env_prefix))
            jv_list_add(&list, env_value(a, conf->entries[i].key + prefix, conf->entries[i].value));
    add_secret_env(&list, conf);
    add_script_env(&list, &in->config->flink, role);
    return named_union(a, jv_list_arr(&list), from_template, "name");
}

/* ---- volumes ---- */

struct volumes {
    struct jv_list volumes, mounts;
};

static void add_volume(struct volumes *v, jv volume, const char *path)
{
    struct arena *a = v->volumes.a;

    jv_list_add(&v->volumes, volume);
    jv_list_add(&v->mounts,
                jv_dup(a, OBJ({"name", jv_get(volume, "name")}, {"mountPath", STR(path)})));
}

static struct volumes pod_volumes(struct arena *a, const struct desired_input *in,
                                  const struct conf *conf, const struct pod_role *role)
{
    struct volumes v = {JV_LIST(a), JV_LIST(a)};
    const char *hadoop = hadoop_configmap(conf);

    add_volume(&v,
               jv_dup(a, OBJ({"name", STR(CONFIG_VOLUME)},
                             {"configMap",
                              OBJ({"name", STR(desired_configmap_name(a, in->config->name))})})),
               in->config->conf_dir);
    if (hadoop)
        add_volume(
            &v,
            jv_dup(a, OBJ({"name", STR(HADOOP_VOLUME)}, {"configMap", OBJ({"name", STR(hadoop)})})),
            HADOOP_DIR);
    jv_foreach_kv (kv, conf_map_or_absent(conf, "kubernetes.secrets")) {
        const char *name = arena_printf(a, "%s-volume", kv->key);

        add_volume(
            &v, jv_dup(a, OBJ({"name", STR(name)}, {"secret", OBJ({"secretName", STR(kv->key)})})),
            kv->value.s);
    }
    jv_foreach (item, role->volumes)
        jv_list_add(&v.volumes, *item);
    jv_foreach (item, role->mounts)
        jv_list_add(&v.mounts, *item);
    return v;
}

/* ---- the pod ---- */

static jv main_container(struct arena *a, const struct desired_input *in, const struct conf *conf,
                         const struct pod_role *role, const struct volumes *v, jv template)
{
    const struct deployment_spec *spec = in->config->spec;
    const char *policy = spec->image_pull_policy;
    const char *entry = conf_get(conf, "kubernetes.entry.path");
    const char *launcher = arena_printf(a, "%s/launch.sh", in->config->conf_dir);
    bool host_network = str_eq(conf_get(conf, "kubernetes.hostnetwork.enabled"), "true");
    /* What a template may decide otherwise. */
    jv defaults = OBJ(
        {"terminationMessagePolicy", STR(LOG_TELLS)},
        {"imagePullPolicy",
         STR(str_or(conf_get(conf, "kubernetes.container.image.pull-policy"), "IfNotPresent"))});
    jv ours = OBJ(
        {"name", STR(MAIN_CONTAINER)}, {"image", STR(in->config->image)},
        {"imagePullPolicy", STR(policy)}, {"command", ARR(STR("bash"), STR(launcher))},
        {"args", jv_concat(a, ARR(STR(str_or(entry, "/docker-entrypoint.sh"))), role->args)},
        {"env", container_env(a, in, conf, role, jv_get(template, "env"))},
        {"ports",
         IF(!host_network, named_union(a, role->ports, jv_get(template, "ports"), "name"))},
        {"resources",
         jv_merge(a, jv_get(template, "resources"), container_resources(a, role->size))},
        {"volumeMounts",
         named_union(a, jv_list_arr(&v->mounts), jv_get(template, "volumeMounts"), "mountPath")});

    return jv_merge(a, jv_merge(a, jv_dup(a, defaults), template), jv_dup(a, ours));
}

/* The main container wherever it stands, else as the first one. */
static jv main_of(jv template)
{
    jv_foreach (item, template)
        if (str_eq(JV_STRING(*item, "name"), MAIN_CONTAINER))
            return *item;
    return EMPTY_OBJ;
}

/* The template's containers with `completed` in the place of the main one. */
static jv containers(struct arena *a, jv template, jv completed)
{
    struct jv_list list = JV_LIST(a);

    if (!jv_len(main_of(template)))
        jv_list_add(&list, completed);
    jv_foreach (item, template)
        jv_list_add(&list, str_eq(JV_STRING(*item, "name"), MAIN_CONTAINER) ? completed : *item);
    return jv_list_arr(&list);
}

static jv pull_secrets(struct arena *a, const struct conf *conf)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach (item, conf_list_or_absent(conf, "kubernetes.container.image.pull-secrets"))
        jv_list_add(&list, jv_dup(a, OBJ({"name", *item})));
    return jv_list_arr(&list);
}

/* kubernetes.<role>.tolerations: "key:k,operator:Equal,value:v,effect:NoSchedule;…" */
static jv tolerations(struct arena *a, const struct conf *conf, const struct pod_role *role)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach (item, conf_maps_or_absent(conf, role_key(a, role, "tolerations"))) {
        int64_t seconds;
        jv m = *item;

        if (str_to_int64(str_or_empty(JV_STRING(m, "tolerationSeconds")), &seconds))
            m = jv_set(a, m, "tolerationSeconds", INT(seconds));
        jv_list_add(&list, m);
    }
    return jv_list_arr(&list);
}

static const char *service_account(struct arena *a, const struct desired_input *in,
                                   const struct conf *conf, const struct pod_role *role)
{
    const char *own = conf_get(conf, role_key(a, role, "service-account"));

    if (own)
        return own;
    return str_or(in->config->spec->service_account, conf_get(conf, "kubernetes.service-account"));
}

static jv pod_spec(struct arena *a, const struct desired_input *in, const struct pod_role *role,
                   jv template)
{
    const struct conf *conf = &in->config->conf;
    struct volumes v = pod_volumes(a, in, conf, role);
    bool host_network = str_eq(conf_get(conf, "kubernetes.hostnetwork.enabled"), "true");
    const char *account = service_account(a, in, conf, role);
    const char *scheduler = conf_get(conf, role_key(a, role, "scheduler-name"));
    jv of_template = jv_get(template, "containers");
    /* No token in pods that run user code, unless Flink itself needs it. */
    jv defaults = jv_dup(
        a,
        OBJ({"automountServiceAccountToken", BOOL(in->config->ha_kubernetes || role->makes_pods)},
            {"enableServiceLinks", BOOL(false)},
            {"dnsPolicy", STR(host_network ? "ClusterFirstWithHostNet" : "ClusterFirst")}));
    jv ours = OBJ(
        {"serviceAccountName", STR(account)}, {"hostNetwork", IF(host_network, BOOL(true))},
        {"schedulerName", STR(scheduler)},
        {"containers",
         containers(a, of_template, main_container(a, in, conf, role, &v, main_of(of_template)))},
        {"volumes", named_union(a, jv_list_arr(&v.volumes), jv_get(template, "volumes"), "name")},
        {"imagePullSecrets",
         named_union(a, pull_secrets(a, conf), jv_get(template, "imagePullSecrets"), "name")},
        {"nodeSelector", conf_map_or_absent(conf, role_key(a, role, "node-selector"))});
    jv spec = jv_merge(a, jv_merge(a, defaults, template), jv_dup(a, ours));
    jv all = jv_concat(a, jv_get(template, "tolerations"), tolerations(a, conf, role));

    if (jv_len(all))
        spec = jv_set(a, spec, "tolerations", all);
    return jv_merge(a, spec, role->pod_fixed);
}

static jv users_template(struct arena *a, const struct cluster_config *c,
                         const struct component_spec *spec)
{
    const char *by_name = "kubernetes.operator.pod-template.merge-arrays-by-name";

    return pod_template_merge(a, c->spec->pod_template, spec->pod_template,
                              str_eq(conf_get(&c->conf, by_name), "true"));
}

jv pod_build(struct arena *a, const struct desired_input *in, const struct pod_role *role)
{
    const struct conf *conf = &in->config->conf;
    jv template = users_template(a, in->config, role->spec);
    jv labels = jv_merge(a, JV_PATH(template, "metadata", "labels"),
                         conf_map_or_absent(conf, role_key(a, role, "labels")));
    jv annotations = jv_merge(a, JV_PATH(template, "metadata", "annotations"),
                              conf_map_or_absent(conf, role_key(a, role, "annotations")));

    labels = jv_merge(a, labels.type == JV_OBJ ? labels : EMPTY_OBJ,
                      cluster_labels(a, in, role->type_label, role->component));
    return jv_dup(a,
                  OBJ({"metadata", OBJ({"labels", labels},
                                       {"annotations", spec_hash_annotations(a, in, annotations)})},
                      {"spec", pod_spec(a, in, role, jv_get(template, "spec"))}));
}

jv taskmanager_template(struct arena *a, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    jv template = users_template(a, c, &c->spec->tm);
    jv of_template = JV_PATH(template, "spec", "containers");
    jv main = jv_merge(a, OBJ({"terminationMessagePolicy", STR(LOG_TELLS)}), main_of(of_template));
    jv ours =
        OBJ({"name", STR(MAIN_CONTAINER)},
            {"resources", jv_merge(a, jv_get(main, "resources"), other_resources(a, &c->tm))});
    jv defaults = OBJ({"automountServiceAccountToken", BOOL(c->ha_kubernetes)},
                      {"enableServiceLinks", BOOL(false)});
    jv spec = jv_merge(a, jv_dup(a, defaults), jv_get(template, "spec"));
    jv annotations = JV_PATH(template, "metadata", "annotations");

    main = jv_merge(a, main, jv_dup(a, ours));
    return jv_dup(a,
                  OBJ({"apiVersion", STR("v1")}, {"kind", STR("Pod")},
                      {"metadata", OBJ({"labels", JV_PATH(template, "metadata", "labels")},
                                       {"annotations", spec_hash_annotations(a, in, annotations)})},
                      {"spec", jv_set(a, spec, "containers", containers(a, of_template, main))}));
}
