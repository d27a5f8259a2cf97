/* SPDX-License-Identifier: Apache-2.0 */
/* A TaskManager pod of our own allocator, and the Deployment that makes them in mode standalone. */
#include <stdio.h>
#include <string.h>

#include "desired_internal.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define NAME_INFIX "-taskmanager-"

const char *desired_taskmanagers_name(struct arena *a, const char *cluster)
{
    return arena_printf(a, "%s-taskmanager", cluster);
}

const char *taskmanager_pod_name(struct arena *a, const char *cluster, int attempt, int index)
{
    return arena_printf(a, "%s" NAME_INFIX "%d-%d", cluster, attempt, index);
}

bool taskmanager_pod_parse(const char *cluster, const char *pod, int *ret_attempt, int *ret_index)
{
    const char *rest = str_skip_prefix(pod, cluster);
    int used = 0;

    rest = rest ? str_skip_prefix(rest, NAME_INFIX) : NULL;
    return rest && sscanf(rest, "%9d-%9d%n", ret_attempt, ret_index, &used) == 2 && !rest[used] &&
           *ret_attempt > 0 && *ret_index > 0;
}

static void add_property(void *arg, const char *key, const char *value)
{
    struct jv_list *list = arg;

    jv_list_add(list, STR("-D"));
    jv_list_add(list, STR(arena_printf(list->a, "%s=%s", key, value)));
}

static jv taskmanager_args(struct arena *a, const struct cluster_config *c, const char *pod_name)
{
    struct jv_list args = JV_LIST(a);

    jv_list_add(&args, STR("taskmanager"));
    /* The id under which the JobManager lists it: pod and TaskManager are matched by it. */
    add_property(&args, "taskmanager.resource-id", pod_name);
    add_property(&args, "taskmanager.host", "$(_POD_IP_ADDRESS)");
    tm_memory_properties(&c->tm_memory, c->tm.cpu, c->alloc.slots, add_property, &args);
    return jv_list_arr(&args);
}

static jv taskmanager_env(struct arena *a, const struct cluster_config *c)
{
    cleanup_strbuf struct strbuf jvm = STRBUF_INIT(4096);

    tm_memory_jvm_args(&jvm, &c->tm_memory);
    /* The JobManager's name may not resolve yet when we start beside it: ask again in a second, not
     * in the ten that Java remembers a failure. */
    strbuf_adds(&jvm, " -Dsun.net.inetaddr.negative.ttl=1");
    return jv_dup(
        a, ARR(OBJ({"name", STR("FLINK_TM_JVM_MEM_OPTS")}, {"value", STR(jvm.buf)}),
               OBJ({"name", STR("_POD_NODE_ID")},
                   {"valueFrom", OBJ({"fieldRef", OBJ({"apiVersion", STR("v1")},
                                                      {"fieldPath", STR("spec.nodeName")})})})));
}

static struct pod_role taskmanager_role(struct arena *a, const struct cluster_config *c,
                                        const char *pod_name)
{
    return (struct pod_role){
        .component = COMPONENT_TM,
        .type_label = TYPE_OPERATOR,
        .env_prefix = "containerized.taskmanager.env.",
        .java_opts_key = "env.java.opts.taskmanager",
        .java_opts_env = "FLINK_ENV_JAVA_OPTS_TM",
        .spec = &c->spec->tm,
        .size = &c->tm,
        .ports = jv_dup(a, ARR(OBJ({"name", STR("taskmanager-rpc")},
                                   {"containerPort", INT(PORT_TM_RPC)}, {"protocol", STR("TCP")}))),
        .env = taskmanager_env(a, c),
        .args = taskmanager_args(a, c, pod_name),
        /* A TaskManager that ends is replaced by a new pod, never restarted in place. */
        .pod_fixed = jv_dup(a, OBJ({"restartPolicy", STR("Never")})),
    };
}

jv desired_taskmanager(struct arena *a, const struct desired_input *in, const char *pod_name,
                       const struct owner *deployment)
{
    const struct cluster_config *c = in->config;
    struct pod_role role = taskmanager_role(a, c, pod_name);
    jv pod = pod_build(a, in, &role);
    jv metadata =
        jv_merge(a, jv_get(pod, "metadata"),
                 jv_dup(a, OBJ({"name", STR(pod_name)}, {"namespace", STR(c->ns)},
                               {"ownerReferences", ARR(owner_reference(deployment, a, true))})));

    return jv_dup(a, OBJ({"apiVersion", STR("v1")}, {"kind", STR("Pod")}, {"metadata", metadata},
                         {"spec", jv_get(pod, "spec")}));
}

jv desired_taskmanagers(struct arena *a, const struct desired_input *in,
                        const struct owner *deployment)
{
    const struct cluster_config *c = in->config;
    struct pod_role role = taskmanager_role(a, c, "$(_POD_NAME)");
    jv name = OBJ({"name", STR("_POD_NAME")},
                  {"valueFrom", OBJ({"fieldRef", OBJ({"apiVersion", STR("v1")},
                                                     {"fieldPath", STR("metadata.name")})})});
    jv labels = cluster_labels(a, in, TYPE_STANDALONE, COMPONENT_TM);
    jv more = conf_map_or_absent(&c->conf, "kubernetes.taskmanager.labels");
    jv annotations = conf_map_or_absent(&c->conf, "kubernetes.taskmanager.annotations");

    role.type_label = TYPE_STANDALONE;
    role.env = jv_append(a, role.env, jv_dup(a, name));
    role.pod_fixed = jv_dup(a, OBJ({"restartPolicy", STR("Always")}));
    return jv_dup(
        a, OBJ({"apiVersion", STR("apps/v1")}, {"kind", STR("Deployment")},
               {"metadata", OBJ({"name", STR(desired_taskmanagers_name(a, c->name))},
                                {"namespace", STR(c->ns)}, {"labels", jv_merge(a, more, labels)},
                                {"annotations", spec_hash_annotations(a, in, annotations)},
                                {"ownerReferences", ARR(owner_reference(deployment, a, true))})},
               {"spec",
                OBJ({"replicas", INT(c->tm_replicas)}, {"selector", OBJ({"matchLabels", labels})},
                    {"template", pod_build(a, in, &role)})}));
}
