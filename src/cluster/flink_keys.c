/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/flink_keys.h"

#include <string.h>

#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/macros.h"

#define K "kubernetes."
#define RM "resourcemanager."
#define SM "slotmanager."
#define NO_FILE "the file would be one of the operator's own pod; write it into "

static const struct flink_key keys[] = {
    {"cluster.fine-grained-resource-management.enabled", KEY_DELEGATED,
     "REST does not tell the sizes of slots that jobs ask for"},
    {"containerized.master.env.<name>", KEY_HONOURED, "environment of the JobManager"},
    {"containerized.taskmanager.env.<name>", KEY_HONOURED, "environment of the TaskManagers"},
    {"execution.batch.speculative.enabled", KEY_DELEGATED,
     "only Flink knows the nodes that it blocks"},
    {"external-resource.<resource_name>.amount", KEY_HONOURED,
     "requests and limits of the TaskManagers"},
    {"external-resource.<resource_name>.driver-factory.class", KEY_PASSED, "in the TaskManager"},
    {"external-resource.<resource_name>.kubernetes.config-key", KEY_HONOURED,
     "name of that resource in Kubernetes"},
    {"external-resource.<resource_name>.param.<param>", KEY_PASSED, "in the TaskManager"},
    {"external-resources", KEY_HONOURED, "requests and limits of the TaskManagers"},
    {K "artifacts.local-upload-enabled", KEY_MOOT, "uploads by Flink's command line client"},
    {K "artifacts.local-upload-overwrite", KEY_MOOT, "uploads by Flink's command line client"},
    {K "artifacts.local-upload-target", KEY_MOOT, "uploads by Flink's command line client"},
    {K "client.io-pool.size", KEY_PASSED, "Kubernetes high availability"},
    {K "client.user-agent", KEY_PASSED, "Kubernetes high availability"},
    {K "cluster-id", KEY_SET, "metadata.name; refused where a user sets it"},
    {K "config.file", KEY_MOOT, "how Flink's command line client reaches the API server"},
    {K "container.image.pull-policy", KEY_HONOURED, "below spec.imagePullPolicy"},
    {K "container.image.pull-secrets", KEY_HONOURED, "imagePullSecrets of both pods"},
    {K "container.image.ref", KEY_HONOURED, "below spec.image"},
    {K "context", KEY_MOOT, "how Flink's command line client reaches the API server"},
    {K "decorator.hadoop-conf-mount.enabled", KEY_HONOURED, "false: no Hadoop volume"},
    {K "decorator.kerberos-mount.enabled", KEY_MOOT,
     "it mounts files of the client's machine; use kubernetes.secrets"},
    {K "entry.path", KEY_HONOURED, "the image's entrypoint"},
    {K "env.secretKeyRef", KEY_HONOURED, "environment of both pods"},
    {K "flink.conf.dir", KEY_HONOURED, "where the configuration is mounted"},
    {K "flink.log.dir", KEY_HONOURED, "FLINK_LOG_DIR of both pods"},
    {K "hadoop.conf.config-map.name", KEY_HONOURED, "volume and HADOOP_CONF_DIR of both pods"},
    {K "hostnetwork.enabled", KEY_HONOURED, "hostNetwork and dnsPolicy of both pods"},
    {K "internal-service.annotations", KEY_HONOURED, "of the Service for RPC"},
    {K "internal-service.labels", KEY_HONOURED, "of the Service for RPC"},
    {K "jobmanager.annotations", KEY_HONOURED, "of the Deployment and its pods"},
    {K "jobmanager.cpu.amount", KEY_HONOURED, "below spec.jobManager.resource.cpu"},
    {K "jobmanager.cpu.limit-factor", KEY_HONOURED, "limit over request"},
    {K "jobmanager.entrypoint.args", KEY_HONOURED, "added to the command"},
    {K "jobmanager.labels", KEY_HONOURED, "of the Deployment and its pods"},
    {K "jobmanager.memory.limit-factor", KEY_HONOURED, "limit over request"},
    {K "jobmanager.node-selector", KEY_HONOURED, "nodeSelector"},
    {K "jobmanager.owner.reference", KEY_HONOURED, "owners of the Deployment beside the resource"},
    {K "jobmanager.replicas", KEY_HONOURED, "below spec.jobManager.replicas"},
    {K "jobmanager.service-account", KEY_HONOURED, "wins over spec.serviceAccount"},
    {K "jobmanager.tolerations", KEY_HONOURED, "tolerations"},
    {K "namespace", KEY_SET, "metadata.namespace; refused where a user sets it"},
    {K "node-name-label", KEY_DELEGATED, "only Flink knows the nodes that it blocks"},
    {K "pod-template-file", KEY_REFUSED, NO_FILE "spec.podTemplate"},
    {K "pod-template-file.default", KEY_REFUSED, NO_FILE "spec.podTemplate"},
    {K "pod-template-file.jobmanager", KEY_REFUSED, NO_FILE "spec.jobManager.podTemplate"},
    {K "pod-template-file.taskmanager", KEY_REFUSED, NO_FILE "spec.taskManager.podTemplate"},
    {K "rest-service.annotations", KEY_HONOURED, "of the Service for REST"},
    {K "rest-service.exposed.node-port-address-type", KEY_MOOT,
     "what Flink's command line client prints"},
    {K "rest-service.exposed.type", KEY_HONOURED, "type of the Service for REST"},
    {K "rest-service.labels", KEY_HONOURED, "of the Service for REST"},
    {K "secrets", KEY_HONOURED, "volumes of both pods"},
    {K "service-account", KEY_HONOURED, "below spec.serviceAccount"},
    {K "taskmanager.annotations", KEY_HONOURED, "of the pods"},
    {K "taskmanager.cpu.amount", KEY_HONOURED, "below spec.taskManager.resource.cpu"},
    {K "taskmanager.cpu.limit-factor", KEY_HONOURED, "limit over request"},
    {K "taskmanager.entrypoint.args", KEY_HONOURED, "added to the command"},
    {K "taskmanager.labels", KEY_HONOURED, "of the pods"},
    {K "taskmanager.memory.limit-factor", KEY_HONOURED, "limit over request"},
    {K "taskmanager.node-selector", KEY_HONOURED, "nodeSelector"},
    {K "taskmanager.service-account", KEY_HONOURED, "wins over spec.serviceAccount"},
    {K "taskmanager.tolerations", KEY_HONOURED, "tolerations"},
    {K "transactional-operation.initial-retry-delay", KEY_PASSED, "Kubernetes high availability"},
    {K "transactional-operation.max-retries", KEY_PASSED, "Kubernetes high availability"},
    {K "transactional-operation.max-retry-delay", KEY_PASSED, "Kubernetes high availability"},
    {"local.number-resourcemanager", KEY_MOOT, "Flink inside one JVM"},
    {RM "job.timeout", KEY_PASSED, "in the JobManager"},
    {RM "previous-worker.recovery.timeout", KEY_MOOT,
     "TaskManagers of a former JobManager count from the first moment"},
    {RM "rpc.port", KEY_PASSED, "in the JobManager"},
    {RM "standalone.start-up-time", KEY_SET, "0: an idle cluster would refuse jobs"},
    {RM "start-worker.max-failure-rate", KEY_TRANSLATED,
     "so many failed starts in a row are replaced at once"},
    {RM "start-worker.retry-interval", KEY_TRANSLATED,
     "first waiting time after a failure; it doubles"},
    {RM "taskmanager-registration.timeout", KEY_TRANSLATED, "below spec.allocator.startTimeout"},
    {RM "taskmanager-release.wait.result.consumed", KEY_MOOT,
     "while a batch job runs no TaskManager is released"},
    {RM "taskmanager-timeout", KEY_TRANSLATED, "below spec.allocator.idleTimeout"},
    {SM "declare-needed-resource.delay", KEY_PASSED, "in the JobManager"},
    {SM "max-total-resource.cpu", KEY_TRANSLATED, "limit of TaskManagers"},
    {SM "max-total-resource.memory", KEY_TRANSLATED, "limit of TaskManagers"},
    {SM "min-total-resource.cpu", KEY_TRANSLATED, "TaskManagers to keep"},
    {SM "min-total-resource.memory", KEY_TRANSLATED, "TaskManagers to keep"},
    {SM "number-of-slots.max", KEY_TRANSLATED, "below spec.allocator.maxTaskManagers"},
    {SM "number-of-slots.min", KEY_TRANSLATED, "below spec.allocator.minTaskManagers"},
    {SM "redundant-taskmanager-num", KEY_TRANSLATED, "below spec.allocator.spareTaskManagers"},
    {SM "requirement-check.delay", KEY_PASSED, "in the JobManager"},
    {SM "taskmanager-timeout", KEY_TRANSLATED, "older name of " RM "taskmanager-timeout"},
};

const struct flink_key *flink_keys(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(keys);
    return keys;
}

const char *key_treatment_name(enum key_treatment t)
{
    static const char *const names[] = {
        [KEY_HONOURED] = "honoured",   [KEY_TRANSLATED] = "translated",
        [KEY_PASSED] = "passed on",    [KEY_SET] = "set",
        [KEY_MOOT] = "moot",           [KEY_REFUSED] = "refused",
        [KEY_DELEGATED] = "delegated",
    };

    return names[t];
}

const struct flink_key *flink_keys_delegated(const struct conf *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct error err;
        bool on;

        if (keys[i].treatment != KEY_DELEGATED || !conf_lookup(c, keys[i].key))
            continue;
        /* A switch that is off asks for nothing; any other text does. */
        if (conf_bool(c, keys[i].key, true, &on, &err) || on)
            return &keys[i];
    }
    return NULL;
}

const struct flink_key *flink_key_find(const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!strcmp(keys[i].key, key))
            return &keys[i];
    return NULL;
}
