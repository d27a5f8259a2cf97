/* SPDX-License-Identifier: Apache-2.0 */
/* The job of an application cluster, as far as Flink's configuration is concerned. */
#include <strings.h>

#include "config_internal.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/schedule.h"
#include "flinkop/str.h"
#include "job_snapshots.h"

#define ZOOKEEPER_KEY "high-availability.zookeeper.quorum"
#define PARALLELISM_KEY "parallelism.default"
#define HEALTH "kubernetes.operator.cluster.health-check."

/* spec.job.parallelism, else all slots of spec.taskManager.replicas (api-contract §2.4), else what
 * the configuration says. */
static int parallelism(struct problems *p, const struct cluster_config *c)
{
    const struct deployment_spec *s = c->spec;

    if (s->job.parallelism.set)
        return (int)s->job.parallelism.v;
    if (s->tm.replicas.set)
        return (int)MIN(s->tm.replicas.v * c->alloc.slots, 32768);
    return (int)config_int(p, &c->conf, PARALLELISM_KEY, 1, 1, 32768);
}

/* Another one's promises are not known. */
static void check_ha(struct problems *p, const struct cluster_config *c)
{
    const char *type = conf_lookup(&c->conf, HA_TYPE_KEY);

    if (c->ha && !c->ha_kubernetes && strcasecmp(type, "zookeeper"))
        problem_add(p, config_path(p, HA_TYPE_KEY),
                    "must be kubernetes, zookeeper or NONE for an application cluster, found %s",
                    jv_describe(p->a, STR(type)));
    else if (c->ha && !c->ha_kubernetes && str_empty(conf_lookup(&c->conf, ZOOKEEPER_KEY)))
        problem_add(p, config_path(p, ZOOKEEPER_KEY),
                    "must name the servers (\"zk-0.zk:2181,…\") with " HA_TYPE_KEY ": zookeeper");
}

#define CHECKPOINT_DIR "execution.checkpointing.dir"

/* A job whose state is kept (api-contract §2.15, 11 and 12). Without high availability nothing but
 * a JobManager that runs knows a last state. */
static void check_state(struct problems *p, const struct cluster_config *c)
{
    int mode = c->spec->job.upgrade_mode;

    if (mode != UPGRADE_LAST_STATE && mode != UPGRADE_SAVEPOINT)
        return;
    if (mode == UPGRADE_LAST_STATE && !c->ha)
        problem_add(p, "spec.job.upgradeMode",
                    "last-state needs " HA_TYPE_KEY ": kubernetes (and a "
                    "serviceAccount that may keep ConfigMaps), or zookeeper");
    if (!conf_lookup(&c->conf, CHECKPOINT_DIR))
        problem_add(p, "spec.job.upgradeMode", "needs flinkConfiguration." CHECKPOINT_DIR);
    if (mode == UPGRADE_SAVEPOINT && !conf_lookup(&c->conf, SAVEPOINT_DIR_KEY))
        problem_add(p, "spec.job.upgradeMode",
                    "savepoint needs flinkConfiguration." SAVEPOINT_DIR_KEY);
    if (mode == UPGRADE_LAST_STATE && conf_lookup(&c->conf, CHECKPOINT_AGE_KEY) &&
        !conf_lookup(&c->conf, SAVEPOINT_DIR_KEY))
        problem_add(p, config_path(p, CHECKPOINT_AGE_KEY),
                    "needs " SAVEPOINT_DIR_KEY
                    ": a savepoint is taken instead of a checkpoint that is older");
}

/* Periodic snapshots (api-contract §2.15, 14). What is no interval is told elsewhere; so is one of
 * the operator, which does not make every cluster wrong. */
static void check_periodic(struct problems *p, const struct cluster_config *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(snapshot_types) && !p->taken; i++) {
        const struct snapshot_type *t = &snapshot_types[i];
        const char *text = str_or_empty(conf_lookup(&c->spec->conf, t->interval)), *lacks;
        struct schedule schedule;

        if (!*text || schedule_parse(text, &schedule, NULL) || schedule_next(&schedule, 0) < 0)
            continue;
        lacks = snapshot_lacks(t, &c->conf, c->spec->version);
        if (lacks)
            problem_add(p, config_path(p, t->interval), "%s", lacks);
    }
}

/* PackagedProgramUtils#isPython */
static bool is_python(const struct job_spec *j)
{
    static const char *const options[] = {"-py", "-pym", "--python", "--pyModule"};

    jv_foreach (arg, j->args)
        if (str_index(options, ARRAY_SIZE(options), str_or_empty(jv_string(*arg))) >= 0)
            return true;
    return str_eq(j->entry_class, "org.apache.flink.client.python.PythonDriver") ||
           str_eq(j->entry_class, "org.apache.flink.client.python.PythonGatewayServer");
}

/* KubernetesApplicationClusterEntrypoint of Flink 1.x ends when it is given none. */
static void check_jar(struct problems *p, const struct cluster_config *c)
{
    const struct job_spec *j = &c->spec->job;

    if (c->allocator == ALLOCATOR_FLINK && c->spec->version->major < 2 && str_empty(j->jar_uri) &&
        !conf_get(&c->conf, "pipeline.jars") && !is_python(j))
        problem_add(p, "spec.job.jarURI",
                    "must be given where Flink's own allocator makes the TaskManagers, before "
                    "Flink 2.0");
}

void choose_replicas(struct cluster_config *c)
{
    const struct opt_int64 *asked = &c->spec->tm.replicas;
    int slots = c->alloc.slots;

    if (c->allocator != ALLOCATOR_NONE)
        return;
    c->tm_replicas = asked->set             ? (int)asked->v
                     : c->spec->application ? (c->job_parallelism + slots - 1) / slots
                                            : 1;
    c->alloc.min = c->alloc.max = c->tm_replicas;
    c->alloc.max_field = "spec.taskManager.replicas";
    if (c->reactive)
        c->job_parallelism = (int)MIN((int64_t)c->tm_replicas * slots, 32768);
}

/* What an option of the operator needs beside it (api-contract §2.15, 6 and 7). */
static void check_options(struct problems *p, const struct cluster_config *c)
{
    struct error err;
    bool recovers;

    if (flink_option_on(&c->conf, ROLLBACK_KEY) && !c->ha)
        problem_add(p, config_path(p, ROLLBACK_KEY),
                    "needs " HA_TYPE_KEY ": kubernetes, which keeps what the former spec goes on "
                    "from");
    if (flink_option_on(&c->conf, HEALTH "enabled") &&
        !flink_option_bool(&c->conf, RECOVERY_KEY, &recovers, &err) && !recovers)
        problem_add(p, config_path(p, HEALTH "enabled"),
                    "needs " RECOVERY_KEY ": a job that is not well is taken away and made again");
}

void choose_job(struct problems *p, struct cluster_config *c)
{
    check_options(p, c);
    if (!c->spec->application)
        return;
    c->job_parallelism = parallelism(p, c);
    c->reactive = c->allocator == ALLOCATOR_NONE && reactive_asked(&c->conf);
    check_ha(p, c);
    check_state(p, c);
    check_periodic(p, c);
    check_jar(p, c);
}

void enforce_job(struct conf *conf, const struct cluster_config *c)
{
    if (!c->spec->application)
        return;
    if (!c->reactive) /* it would change with every scaling, and mean nothing */
        conf_setf(conf, PARALLELISM_KEY, "%d", c->job_parallelism);
    conf_default(conf, "pipeline.name", c->name);
    /* A JobManager that ends with its job would be started again by its Deployment, and the job
     * with it. */
    conf_set(conf, "execution.shutdown-on-application-finish", "false");
    conf_default(conf, "execution.checkpointing.externalized-checkpoint-retention",
                 "RETAIN_ON_CANCELLATION");
    /* Where JARs are fetched to, writable for any user id. */
    conf_default(conf, "user.artifacts.base-dir", "/tmp/flink-operator/artifacts");
    if (c->spec->job.upgrade_mode == UPGRADE_LAST_STATE)
        conf_default(conf, "execution.checkpointing.interval", "5 min");
    if (c->ha) {
        /* What main() throws is a failed job, not a JobManager that tries again for ever; and a
         * JobManager that takes over must find that the job has ended. */
        conf_set(conf, "execution.submit-failed-job-on-application-error", "true");
        conf_set(conf, "job-result-store.delete-on-commit", "false");
    }
    /* Who cancels it in the UI would see it as failed here: it belongs to the resource. */
    conf_default(conf, "web.cancel.enable", "false");
}
