/* SPDX-License-Identifier: Apache-2.0 */
/* The JobManager: its Deployment, its Services and the ConfigMap that its pods mount. */
#include <limits.h>
#include <string.h>

#include "desired_internal.h"
#include "files.h"
#include "flinkop/arena.h"
#include "flinkop/flink_version.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define HA_ID_KEY "high-availability.cluster-id"
/* etcd takes objects of up to 1.5 MiB; the configuration came out of one. */
#define CONF_TEXT_MAX (4 * 1024 * 1024)

const char *desired_configmap_name(struct arena *a, const char *cluster)
{
    return arena_printf(a, "flink-config-%s", cluster);
}

static jv port(struct arena *a, const char *name, int number)
{
    return jv_dup(
        a, OBJ({"name", STR(name)}, {"containerPort", INT(number)}, {"protocol", STR("TCP")}));
}

/* ---- ConfigMap ---- */

/* What ZooKeeper keeps is of one run: so nothing of another one, or of a cluster of this name in
 * another namespace, meets the next JobManager. */
static const char *zookeeper_id(struct arena *a, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;

    return c->spec->application && c->ha && !c->ha_kubernetes
               ? arena_printf(a, "%s/%s/%s", c->ns, c->name, str_or_empty(in->job_id))
               : NULL;
}

static struct conf flink_conf(struct arena *a, const struct desired_input *in)
{
    struct conf conf = in->config->flink;
    const char *id = zookeeper_id(a, in);

    if (id) {
        conf = conf_dup(a, &conf);
        conf_set(&conf, HA_ID_KEY, id);
    }
    return conf;
}

static const char *conf_text(struct arena *a, const struct desired_input *in)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(CONF_TEXT_MAX);
    struct conf conf = flink_conf(a, in);

    if (in->config->spec->version->major >= 2)
        conf_write_yaml(&sb, &conf);
    else
        conf_write_flat(&sb, &conf);
    return arena_strndup(a, sb.buf, sb.len);
}

static const char *log_file(const struct cluster_config *c, const char *name, const char *deflt)
{
    return str_or(JV_STRING(c->spec->log_configuration, name), deflt);
}

/* Where Flink's resource manager looks for the template of its TaskManagers. */
#define TEMPLATE_VOLUME "pod-template-volume"
#define TEMPLATE_DIR "/opt/flink/pod-template"
#define TEMPLATE_FILE "taskmanager-pod-template.yaml"

jv desired_configmap(struct arena *a, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    jv hashes = spec_hash_annotations(a, in, OBJ({ANNOTATION_CONFIG_HASH, STR(in->config_hash)}));
    const char *template = NULL;

    if (c->allocator == ALLOCATOR_FLINK)
        template = json_text(a, taskmanager_template(a, in));

    return jv_dup(
        a, OBJ({"apiVersion", STR("v1")}, {"kind", STR("ConfigMap")},
               {"metadata",
                OBJ({"name", STR(desired_configmap_name(a, c->name))}, {"namespace", STR(c->ns)},
                    {"labels", cluster_labels(a, in, type_label(in->config), NULL)},
                    {"annotations", hashes},
                    {"ownerReferences", ARR(owner_reference(&in->cr, a, true))})},
               {"data",
                OBJ({c->spec->version->conf_file, STR(conf_text(a, in))},
                    {"launch.sh", STR(file_launch_sh)},
                    {"log4j-console.properties",
                     STR(log_file(c, "log4j-console.properties", file_log4j_console))},
                    {"log4j-cli.properties", STR(file_log4j_cli)}, {TEMPLATE_FILE, STR(template)},
                    {"logback-console.xml",
                     STR(log_file(c, "logback-console.xml", file_logback_console))})}));
}

/* ---- Deployment ---- */

static void add_property(void *arg, const char *key, const char *value)
{
    struct jv_list *list = arg;

    jv_list_add(list, STR("-D"));
    jv_list_add(list, STR(arena_printf(list->a, "%s=%s", key, value)));
}

/* Kubernetes expands $(NAME) in arguments; $$ is how it writes one $. */
static const char *not_expanded(struct arena *a, const char *arg)
{
    char *text = arena_alloc(a, 2 * strlen(arg) + 1), *to = text;

    for (; *arg; arg++) {
        if (*arg == '$')
            *to++ = '$';
        *to++ = *arg;
    }
    *to = 0;
    return text;
}

static void add_option(struct jv_list *args, const char *option, const char *value)
{
    if (str_empty(value))
        return;
    jv_list_add(args, STR(option));
    jv_list_add(args, STR(not_expanded(args->a, value)));
}

/* What StandaloneApplicationClusterEntryPoint takes. "--" ends it: what follows is the job's, even
 * if it looks like one of Flink's own options. */
static void add_job(struct jv_list *args, const struct desired_input *in)
{
    const struct job_spec *j = &in->config->spec->job;

    jv_list_add(args, STR("--"));
    add_option(args, "--job-id", in->job_id);
    if (in->config->spec->version->fetches_jars)
        add_option(args, "--jars", j->jar_uri);
    add_option(args, "--job-classname", j->entry_class);
    if (!str_eq(in->restore_path, RESTORE_LAST_STATE))
        add_option(args, "--fromSavepoint", in->restore_path);
    if (j->allow_non_restored_state.v)
        jv_list_add(args, STR("--allowNonRestoredState"));
    jv_list_add(args, STR("--"));
    jv_foreach (arg, j->args)
        jv_list_add(args, STR(not_expanded(args->a, str_or_empty(jv_string(*arg)))));
}

static void add_given(struct jv_list *args, const char *key, const char *value)
{
    if (!str_empty(value))
        add_property(args, key, not_expanded(args->a, value));
}

/* What Flink's own client writes into the configuration for KubernetesApplicationClusterEntrypoint
 * (ApplicationConfiguration, PipelineOptionsInternal). Here it is given in the command, because
 * flink-conf.yaml has no room for '#' and line breaks. */
static void add_flinks_job(struct jv_list *args, const struct desired_input *in)
{
    const struct deployment_spec *s = in->config->spec;
    const struct job_spec *j = &s->job;
    bool renamed = flink_at_least(s->version, 1, 20);

    add_given(args, "$internal.pipeline.job-id", in->job_id);
    if (!str_empty(j->jar_uri))
        add_given(args, "pipeline.jars", conf_list_text(args->a, ARR(STR(j->jar_uri))));
    add_given(args, "$internal.application.main", j->entry_class);
    add_given(args, "$internal.application.program-args", conf_list_text(args->a, j->args));
    if (!str_eq(in->restore_path, RESTORE_LAST_STATE))
        add_given(args, renamed ? "execution.state-recovery.path" : "execution.savepoint.path",
                  in->restore_path);
    if (j->allow_non_restored_state.v)
        add_given(args,
                  renamed ? "execution.state-recovery.ignore-unclaimed-state"
                          : "execution.savepoint.ignore-unclaimed-state",
                  "true");
}

static const char *role_name(const struct cluster_config *c)
{
    bool flinks = c->allocator == ALLOCATOR_FLINK;

    if (c->spec->application)
        return flinks ? "kubernetes-application" : "application";
    return flinks ? "kubernetes-session" : "jobmanager";
}

static jv jobmanager_args(struct arena *a, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    struct jv_list args = JV_LIST(a);

    jv_list_add(&args, STR(role_name(c)));
    jm_memory_properties(&c->jm_memory, add_property, &args);
    if (c->ha) /* TaskManagers find the leader's address in the HA store */
        add_property(&args, "jobmanager.rpc.address", "$(_POD_IP_ADDRESS)");
    if (c->spec->application &&
        c->ha) /* of each run its own: results of others mean nothing to it */
        add_property(
            &args, "job-result-store.storage-path",
            arena_printf(a, "%s/job-result-store/%s/%s",
                         str_or_empty(conf_lookup(&c->conf, "high-availability.storageDir")),
                         c->name, str_or_empty(in->job_id)));
    if (zookeeper_id(a, in)) /* the kubelet may be late with the ConfigMap */
        add_property(&args, HA_ID_KEY, zookeeper_id(a, in));
    if (c->spec->application && c->allocator == ALLOCATOR_FLINK)
        add_flinks_job(&args, in);
    else if (c->spec->application)
        add_job(&args, in);
    return jv_list_arr(&args);
}

static jv jobmanager_env(struct arena *a, const struct cluster_config *c)
{
    cleanup_strbuf struct strbuf jvm = STRBUF_INIT(4096);

    jm_memory_jvm_args(&jvm, &c->jm_memory);
    return jv_dup(a, ARR(OBJ({"name", STR("FLINK_JM_JVM_MEM_OPTS")}, {"value", STR(jvm.buf)}),
                         OBJ({"name", STR("FLINK_WEB_UPLOAD_DIR")},
                             {"value", STR(conf_get(&c->flink, "web.upload.dir"))})));
}

/* Never fails the pod: it only tells when REST answers, so that Services send no one there before
 * (api-contract §2.7). */
static jv startup_probe(struct arena *a, const struct cluster_config *c)
{
    const char *enabled =
        conf_get(&c->conf, "kubernetes.operator.jm-deployment.startup.probe.enabled");

    if (str_eq(enabled, "false"))
        return ABSENT;
    jv get = OBJ({"path", STR("/config")}, {"port", STR("rest")},
                 {"scheme", IF(c->rest_tls, STR("HTTPS"))});

    /* The kubelet has no certificate that it could show. */
    return jv_dup(a, OBJ({"httpGet", IF(!c->rest_mutual, get)},
                         {"tcpSocket", IF(c->rest_mutual, OBJ({"port", STR("rest")}))},
                         {"periodSeconds", INT(1)}, {"failureThreshold", INT(INT_MAX)}));
}

static void add_template_volume(struct arena *a, const struct cluster_config *c,
                                struct pod_role *role)
{
    jv file = OBJ({"key", STR(TEMPLATE_FILE)}, {"path", STR(TEMPLATE_FILE)});

    role->volumes =
        jv_dup(a, ARR(OBJ({"name", STR(TEMPLATE_VOLUME)},
                          {"configMap", OBJ({"name", STR(desired_configmap_name(a, c->name))},
                                            {"items", ARR(file)})})));
    role->mounts =
        jv_dup(a, ARR(OBJ({"name", STR(TEMPLATE_VOLUME)}, {"mountPath", STR(TEMPLATE_DIR)})));
}

static jv jobmanager_pod(struct arena *a, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    struct pod_role role = {
        .component = COMPONENT_JM,
        .type_label = type_label(c),
        .env_prefix = "containerized.master.env.",
        .java_opts_key = "env.java.opts.jobmanager",
        .java_opts_env = "FLINK_ENV_JAVA_OPTS_JM",
        .spec = &c->spec->jm,
        .size = &c->jm,
        .ports =
            jv_dup(a, ARR(port(a, "rest", c->rest_port), port(a, "jobmanager-rpc", PORT_JM_RPC),
                          port(a, "blobserver", PORT_BLOB))),
        .env = jobmanager_env(a, c),
        .args = jobmanager_args(a, in),
        .makes_pods = c->allocator == ALLOCATOR_FLINK,
    };

    if (role.makes_pods)
        add_template_volume(a, c, &role);
    jv pod = pod_build(a, in, &role), spec = jv_get(pod, "spec");
    struct jv_list containers = JV_LIST(a);

    jv_foreach (item, jv_get(spec, "containers")) {
        jv container = *item;

        if (str_eq(JV_STRING(container, "name"), MAIN_CONTAINER) &&
            !jv_present(jv_get(container, "startupProbe")))
            container = jv_set(a, container, "startupProbe", startup_probe(a, c));
        jv_list_add(&containers, container);
    }
    pod = JV_SET_PATH(a, pod, jv_list_arr(&containers), "spec", "containers");
    return JV_SET_PATH(a, pod, STR(arena_printf(a, "%lld", (long long)in->generation)), "metadata",
                       "annotations", ANNOTATION_GENERATION);
}

const char *allocator_name(enum allocator_type t)
{
    static const char *const names[] = {
        [ALLOCATOR_OPERATOR] = "Operator", [ALLOCATOR_FLINK] = "Flink", [ALLOCATOR_NONE] = "None"};

    return names[t];
}

/* The custom resource, and whom kubernetes.jobmanager.owner.reference names beside it. */
static jv jobmanager_owners(struct arena *a, const struct desired_input *in)
{
    static const char *const flags[] = {"controller", "blockOwnerDeletion"};
    struct jv_list list = JV_LIST(a);

    jv_list_add(&list, owner_reference(&in->cr, a, false));
    jv_foreach (item,
                conf_maps_or_absent(&in->config->conf, "kubernetes.jobmanager.owner.reference")) {
        jv owner = *item;

        for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
            if (jv_present(jv_get(owner, flags[i])))
                owner =
                    jv_set(a, owner, flags[i], BOOL(str_eq(JV_STRING(owner, flags[i]), "true")));
        jv_list_add(&list, owner);
    }
    return jv_list_arr(&list);
}

jv desired_jobmanager(struct arena *a, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    jv labels = cluster_labels(a, in, type_label(in->config), COMPONENT_JM);
    jv annotations = jv_merge(
        a, conf_map_or_absent(&c->conf, "kubernetes.jobmanager.annotations"),
        jv_dup(a,
               OBJ({ANNOTATION_GENERATION, STR(arena_printf(a, "%lld", (long long)in->generation))},
                   {ANNOTATION_ALLOCATOR, STR(allocator_name(c->allocator))})));

    return jv_dup(
        a, OBJ({"apiVersion", STR("apps/v1")}, {"kind", STR("Deployment")},
               {"metadata",
                OBJ({"name", STR(c->name)}, {"namespace", STR(c->ns)},
                    {"labels",
                     jv_merge(a, conf_map_or_absent(&c->conf, "kubernetes.jobmanager.labels"),
                              labels)},
                    {"annotations", spec_hash_annotations(a, in, annotations)},
                    {"ownerReferences", jobmanager_owners(a, in)})},
               {"spec",
                OBJ({"replicas", INT(c->jm_replicas)}, {"selector", OBJ({"matchLabels", labels})},
                    /* Two JobManagers without HA would be two clusters of one name. */
                    {"strategy", OBJ({"type", STR("Recreate")})},
                    {"template", jobmanager_pod(a, in)})}));
}

/* ---- Services ---- */

/* which: "internal-service" or "rest-service" */
static jv service(struct arena *a, const struct desired_input *in, const struct owner *deployment,
                  const char *name, const char *which, jv spec)
{
    const struct conf *conf = &in->config->conf;
    jv labels = conf_map_or_absent(conf, arena_printf(a, "kubernetes.%s.labels", which));
    jv annotations = conf_map_or_absent(conf, arena_printf(a, "kubernetes.%s.annotations", which));

    return jv_dup(
        a, OBJ({"apiVersion", STR("v1")}, {"kind", STR("Service")},
               {"metadata",
                OBJ({"name", STR(name)}, {"namespace", STR(in->config->ns)},
                    {"labels",
                     jv_merge(a, labels, cluster_labels(a, in, type_label(in->config), NULL))},
                    {"annotations", spec_hash_annotations(a, in, annotations)},
                    {"ownerReferences", ARR(owner_reference(deployment, a, true))})},
               {"spec", spec}));
}

jv desired_internal_service(struct arena *a, const struct desired_input *in,
                            const struct owner *deployment)
{
    return service(
        a, in, deployment, in->config->name, "internal-service",
        OBJ({"clusterIP", STR("None")},
            /* TaskManagers that start beside the JobManager look its name up before it is ready. */
            {"publishNotReadyAddresses", BOOL(true)},
            {"selector", cluster_labels(a, in, type_label(in->config), COMPONENT_JM)},
            {"ports", ARR(OBJ({"name", STR("jobmanager-rpc")}, {"port", INT(PORT_JM_RPC)},
                              {"protocol", STR("TCP")}),
                          OBJ({"name", STR("blobserver")}, {"port", INT(PORT_BLOB)},
                              {"protocol", STR("TCP")}))}));
}

jv desired_rest_service(struct arena *a, const struct desired_input *in,
                        const struct owner *deployment)
{
    const struct cluster_config *c = in->config;
    const char *type =
        str_or(conf_get(&c->conf, "kubernetes.rest-service.exposed.type"), "ClusterIP");
    bool headless = str_eq(type, "Headless_ClusterIP");

    return service(
        a, in, deployment, arena_printf(a, "%s-rest", c->name), "rest-service",
        OBJ({"type", STR(headless ? "ClusterIP" : type)}, {"clusterIP", IF(headless, STR("None"))},
            {"selector", cluster_labels(a, in, type_label(in->config), COMPONENT_JM)},
            {"ports", ARR(OBJ({"name", STR("rest")}, {"port", INT(c->rest_port)},
                              {"targetPort", INT(c->rest_port)}, {"protocol", STR("TCP")}))}));
}
