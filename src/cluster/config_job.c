/* SPDX-License-Identifier: Apache-2.0 */
/* The job of an application cluster, as far as Flink's configuration is concerned. */
#include "config_internal.h"
#include "flinkop/arena.h"

#define PARALLELISM_KEY "parallelism.default"

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

void choose_job(struct problems *p, struct cluster_config *c)
{
    if (!c->spec->application)
        return;
    c->job_parallelism = parallelism(p, c);
    if (c->ha)
        problem_add(p, config_path(p, "high-availability.type"),
                    "is not supported by this version for application clusters; leave it out");
    if (c->allocator == ALLOCATOR_FLINK)
        problem_add(p, "spec.allocator.type",
                    "Flink's own allocator is not supported by this version for application "
                    "clusters%s%s",
                    c->allocator_note ? ": " : "; use Operator",
                    c->allocator_note ? c->allocator_note : "");
}

void enforce_job(struct conf *conf, const struct cluster_config *c)
{
    if (!c->spec->application)
        return;
    conf_setf(conf, PARALLELISM_KEY, "%d", c->job_parallelism);
    conf_default(conf, "pipeline.name", c->name);
    /* A JobManager that ends with its job would be started again by its Deployment, and the job
     * with it. */
    conf_set(conf, "execution.shutdown-on-application-finish", "false");
    conf_default(conf, "execution.checkpointing.externalized-checkpoint-retention",
                 "RETAIN_ON_CANCELLATION");
    /* Where JARs are fetched to, writable for any user id. */
    conf_default(conf, "user.artifacts.base-dir", "/tmp/flink-operator/artifacts");
    /* Who cancels it in the UI would see it as failed here: it belongs to the resource. */
    conf_default(conf, "web.cancel.enable", "false");
}
