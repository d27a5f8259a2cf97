/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which older names a key has. Flink reads a missing key from its "deprecated" and "fallback" keys
 * in this order; so do we, for what the operator itself looks at and for every default it sets.
 *
 * Source: ConfigOption#fallbackKeys of every option class in flink-dist 1.18.1, 1.20.5 and 2.2.1
 * (the union, newest first), without those of libraries (pekko, SQL, Python) that no operator
 * reads; KubernetesOperatorConfigOptions of the incumbent for kubernetes.operator.*.
 */
#include <stdio.h>
#include <string.h>

#include "conf_internal.h"
#include "flinkop/str.h"

#define OPERATOR "kubernetes.operator."
#define CHECKPOINTING "execution.checkpointing."
#define RECOVERY "execution.state-recovery."
#define HA "high-availability."
#define ADAPTIVE "jobmanager.adaptive-scheduler."

static const struct {
    const char *key;
    const char *older[3]; /* the first that is set counts */
} names[] = {
    {"blob.service.cleanup.interval", {"library-cache-manager.cleanup.interval"}},
    {"classloader.parent-first-patterns.default", {"classloader.parent-first-patterns"}},
    {"cleanup-strategy.type", {"cleanup-strategy"}},
    {"env.java.opts.all", {"env.java.opts"}},
    {"execution.buffer-timeout.interval", {"execution.buffer-timeout"}},
    {CHECKPOINTING "aligned-checkpoint-timeout", {CHECKPOINTING "alignment-timeout"}},
    {CHECKPOINTING "checkpoints-after-tasks-finish",
     {CHECKPOINTING "checkpoints-after-tasks-finish.enabled"}},
    {CHECKPOINTING "create-subdir", {"state.checkpoints.create-subdir"}},
    {CHECKPOINTING "data-inline-threshold",
     {"state.storage.fs.memory-threshold", "state.backend.fs.memory-threshold"}},
    {CHECKPOINTING "dir", {"state.checkpoints.dir", "state.backend.fs.checkpointdir"}},
    {CHECKPOINTING "incremental", {"state.backend.incremental"}},
    {CHECKPOINTING "local-backup.dirs", {"taskmanager.state.local.root-dirs"}},
    {CHECKPOINTING "local-backup.enabled", {RECOVERY "from-local", "state.backend.local-recovery"}},
    {CHECKPOINTING "num-retained", {"state.checkpoints.num-retained"}},
    {CHECKPOINTING "savepoint-dir", {"state.savepoints.dir", "savepoints.state.backend.fs.dir"}},
    {CHECKPOINTING "storage", {"state.checkpoint-storage"}},
    {CHECKPOINTING "unaligned.enabled", {CHECKPOINTING "unaligned"}},
    {CHECKPOINTING "write-buffer-size",
     {"state.storage.fs.write-buffer-size", "state.backend.fs.write-buffer-size"}},
    {"execution.program-config.enabled", {"execution.allow-client-job-configurations"}},
    {RECOVERY "claim-mode", {"execution.savepoint-restore-mode"}},
    {RECOVERY "from-local", {"state.backend.local-recovery"}},
    {RECOVERY "ignore-unclaimed-state", {"execution.savepoint.ignore-unclaimed-state"}},
    {RECOVERY "path", {"execution.savepoint.path"}},
    {HA "cluster-id", {HA "zookeeper.path.namespace", "recovery.zookeeper.path.namespace"}},
    {HA "job.delay", {"recovery.job.delay"}},
    {HA "jobmanager.port", {"recovery.jobmanager.port"}},
    {HA "storageDir", {HA "zookeeper.storageDir", "recovery.zookeeper.storageDir"}},
    {HA "type", {"recovery.mode", "high-availability"}},
    {HA "zookeeper.client.connection-timeout", {"recovery.zookeeper.client.connection-timeout"}},
    {HA "zookeeper.client.max-retry-attempts", {"recovery.zookeeper.client.max-retry-attempts"}},
    {HA "zookeeper.client.retry-wait", {"recovery.zookeeper.client.retry-wait"}},
    {HA "zookeeper.client.session-timeout", {"recovery.zookeeper.client.session-timeout"}},
    {HA "zookeeper.path.execution-plans",
     {"recovery.zookeeper.path.jobgraphs", HA "zookeeper.path.jobgraphs"}},
    {HA "zookeeper.path.jobgraphs", {"recovery.zookeeper.path.jobgraphs"}},
    {HA "zookeeper.path.root", {"recovery.zookeeper.path.root"}},
    {HA "zookeeper.quorum", {"recovery.zookeeper.quorum"}},
    {"io.tmp.dirs", {"taskmanager.tmp.dirs"}},
    {ADAPTIVE "executing.cooldown-after-rescaling", {ADAPTIVE "scaling-interval.min"}},
    {ADAPTIVE "submission.resource-stabilization-timeout",
     {ADAPTIVE "resource-stabilization-timeout"}},
    {ADAPTIVE "submission.resource-wait-timeout", {ADAPTIVE "resource-wait-timeout"}},
    {"jobmanager.execution.attempts-history-size", {"job-manager.max-attempts-history-size"}},
    {"kubernetes.container.image.ref", {"kubernetes.container.image"}},
    {"kubernetes.jobmanager.cpu.amount", {"kubernetes.jobmanager.cpu"}},
    {"kubernetes.jobmanager.service-account", {"kubernetes.service-account"}},
    {OPERATOR "flink.client.cancel.timeout", {OPERATOR "reconciler.flink.cancel.job.timeout"}},
    {OPERATOR "flink.client.timeout", {OPERATOR "observer.flink.client.timeout"}},
    {OPERATOR "jm-deployment-recovery.enabled",
     {OPERATOR "reconciler.jm-deployment-recovery.enabled"}},
    {OPERATOR "reconcile.interval", {OPERATOR "reconciler.reschedule.interval"}},
    {OPERATOR "reconcile.parallelism", {OPERATOR "reconciler.max.parallelism"}},
    {OPERATOR "resource.cleanup.timeout", {OPERATOR "reconciler.flink.cluster.shutdown.timeout"}},
    {OPERATOR "savepoint.trigger.grace-period",
     {OPERATOR "observer.savepoint.trigger.grace-period"}},
    {OPERATOR "session.deletion.block-on-unmanaged-jobs",
     {OPERATOR "session.block-on-unmanaged-jobs"}},
    {"kubernetes.pod-template-file.default", {"kubernetes.pod-template-file"}},
    {"kubernetes.pod-template-file.jobmanager",
     {"kubernetes.pod-template-file", "kubernetes.pod-template-file.default"}},
    {"kubernetes.pod-template-file.taskmanager",
     {"kubernetes.pod-template-file", "kubernetes.pod-template-file.default"}},
    {"kubernetes.taskmanager.cpu.amount", {"kubernetes.taskmanager.cpu"}},
    {"kubernetes.taskmanager.service-account", {"kubernetes.service-account"}},
    {"pekko.ask.timeout", {"akka.ask.timeout"}},
    {"pekko.framesize", {"akka.framesize"}},
    {"pekko.tcp.timeout", {"akka.tcp.timeout"}},
    {"pipeline.operator-chaining.enabled", {"pipeline.operator-chaining"}},
    {"process.jobmanager.working-dir", {"process.working-dir"}},
    {"process.taskmanager.working-dir", {"process.working-dir"}},
    {"resourcemanager.taskmanager-registration.timeout", {"taskmanager.registration.timeout"}},
    {"resourcemanager.taskmanager-timeout", {"slotmanager.taskmanager-timeout"}},
    {"rest.address", {"jobmanager.rpc.address"}},
    {"rest.bind-address", {"web.address", "jobmanager.web.address"}},
    {"rest.bind-port", {"rest.port", "web.port", "jobmanager.web.port"}},
    {"rest.port", {"web.port"}},
    {"restart-strategy.type", {"restart-strategy"}},
    {"security.kerberos.login.keytab", {"security.keytab"}},
    {"security.kerberos.login.principal", {"security.principal"}},
    {"state.backend.rocksdb.localdir", {"state.backend.rocksdb.checkpointdir"}},
    {"state.backend.type", {"state.backend"}},
    {"state.changelog.enabled", {"state.backend.changelog.enabled"}},
    {"state.changelog.storage", {"state.backend.changelog.storage"}},
    {"state.checkpoints.dir", {"state.backend.fs.checkpointdir"}},
    {"state.savepoints.dir", {"savepoints.state.backend.fs.dir"}},
    {"taskmanager.memory.managed.size", {"taskmanager.memory.size"}},
    {"taskmanager.memory.network.fraction", {"taskmanager.network.memory.fraction"}},
    {"taskmanager.memory.network.max", {"taskmanager.network.memory.max"}},
    {"taskmanager.memory.network.min", {"taskmanager.network.memory.min"}},
    {"taskmanager.registration.timeout", {"taskmanager.maxRegistrationDuration"}},
    {"taskmanager.slot.timeout", {"pekko.ask.timeout"}},
    {"web.log.path", {"jobmanager.web.log.path"}},
    {"web.refresh-interval", {"jobmanager.web.refresh-interval"}},
    {"web.submit.enable", {"jobmanager.web.submit.enable"}},
    {"web.tmpdir", {"jobmanager.web.tmpdir"}},
    {"web.upload.dir", {"jobmanager.web.upload.dir"}},
};

/* The autoscaler's options may also be written below the operator's own prefix. */
static const char autoscaler[] = "job.autoscaler.";

const char *conf_name(const char *key, size_t i, char room[CONF_NAME_ROOM])
{
    if (!i)
        return key;
    if (str_has_prefix(key, autoscaler)) {
        int n = snprintf(room, CONF_NAME_ROOM, OPERATOR "%s", key);

        return i == 1 && n < CONF_NAME_ROOM ? room : NULL;
    }
    for (size_t k = 0; k < ARRAY_SIZE(names); k++)
        if (!strcmp(names[k].key, key))
            return i <= ARRAY_SIZE(names[k].older) ? names[k].older[i - 1] : NULL;
    return NULL;
}

const char *conf_lookup_name(const struct conf *c, const char *key, const char **ret_found)
{
    char room[CONF_NAME_ROOM];
    const char *name;

    for (size_t i = 0; (name = conf_name(key, i, room)); i++) {
        const struct conf_entry *e = conf_find(c, name);

        if (!e)
            continue;
        if (ret_found)
            *ret_found = e->key;
        return e->value;
    }
    return NULL;
}

const char *conf_lookup(const struct conf *c, const char *key)
{
    return conf_lookup_name(c, key, NULL);
}

bool conf_is_sensitive(const char *key)
{
    static const char *const words[] = {
        "password",   "secret",      "fs.azure.account.key", "apikey",
        "api-key",    "auth-params", "service-key",          "token",
        "basic-auth", "jaas.config", "http-headers",         "http.header",
    };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasestr(key, words[i]))
            return true;
    return false;
}
