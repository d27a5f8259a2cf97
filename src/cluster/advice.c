/* SPDX-License-Identifier: Apache-2.0 */
/* What is no mistake, and yet seldom what was meant: nothing is refused for it, but it is told. */
#include "flinkop/advice.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/cluster_config.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"

#define INTERVAL_KEY "execution.checkpointing.interval"

static void add(struct jv_list *ret, const char *text)
{
    jv_list_add(ret, STR(text));
}

/* "flink:1.20.1-java17", from whatever registry: other images have versions of their own. */
static bool version_in_tag(const char *image, int *ret_major, int *ret_minor)
{
    const char *slash = strrchr(image, '/'), *name = slash ? slash + 1 : image;
    const char *tag = str_skip_prefix(name, "flink:");
    char end;
    int n;

    if (!tag)
        return false;
    n = sscanf(tag, "%3d.%3d%c", ret_major, ret_minor, &end);
    return n == 2 || (n == 3 && strchr(".-_@", end));
}

static void check_image(struct jv_list *ret, const struct cluster_config *c)
{
    const struct flink_version *v = c->spec->version;
    int major, minor;

    if (!version_in_tag(c->image, &major, &minor) || (major == v->major && minor == v->minor))
        return;
    add(ret, arena_printf(ret->a,
                          "spec.flinkVersion: %s does not fit spec.image, %s, which has Flink "
                          "%d.%d: what the operator writes and asks is for another version",
                          v->name, str_clean(ret->a, c->image, 200), major, minor));
}

static bool names_account(const struct cluster_config *c)
{
    return c->spec->service_account ||
           conf_lookup(&c->conf, "kubernetes.jobmanager.service-account");
}

/* Who has given rights to the account `default` may leave it out. */
static void check_account(struct jv_list *ret, const struct cluster_config *c)
{
    const char *what = c->allocator == ALLOCATOR_FLINK ? "make pods, as Flink's own allocator does"
                       : c->ha_kubernetes              ? "keep ConfigMaps, as " HA_TYPE_KEY " does"
                                                       : NULL;

    if (!what || names_account(c))
        return;
    add(ret, arena_printf(ret->a,
                          "spec.serviceAccount: is not given, so the pods have the account "
                          "\"default\", which mostly must not %s; deploy/flink-account makes one "
                          "that may",
                          what));
}

/* As Flink has it: a JobManager runs main() with the arguments that it was started with. */
static void check_state(struct jv_list *ret, const struct cluster_config *c)
{
    if (c->spec->application && c->spec->job.upgrade_mode == UPGRADE_SAVEPOINT && !c->ha)
        add(ret, "spec.job.upgradeMode: savepoint without high availability: a change takes the "
                 "job's state along, but a JobManager that is replaced (its node is drained, it "
                 "crashes) begins the job anew, from the savepoint of the last change or from "
                 "nothing; " HA_TYPE_KEY ": kubernetes keeps its last checkpoint");
}

void deployment_advice(struct jv_list *ret, const struct cluster_config *c)
{
    check_image(ret, c);
    check_account(ret, c);
    check_state(ret, c);
}

struct state_settings state_settings_of(const struct conf *conf)
{
    return (struct state_settings){
        .known = true,
        .savepoint_dir = conf_lookup(conf, SAVEPOINT_DIR_KEY) != NULL,
        .interval = conf_lookup(conf, INTERVAL_KEY) != NULL,
    };
}

void session_job_advice(struct jv_list *ret, const struct job_spec *job, const struct conf *conf,
                        const struct state_settings *cluster)
{
    struct state_settings own = state_settings_of(conf);
    const char *where = cluster->known ? "neither here nor in the cluster's configuration"
                                       : "here; unless the cluster's configuration does";

    if (job->upgrade_mode == UPGRADE_SAVEPOINT && !own.savepoint_dir && !cluster->savepoint_dir)
        add(ret, arena_printf(ret->a,
                              "spec.job.upgradeMode: savepoint, but nothing says where to, %s: set "
                              "flinkConfiguration." SAVEPOINT_DIR_KEY
                              ", or a change will find no place for the job's state",
                              where));
    if (job->upgrade_mode == UPGRADE_LAST_STATE && !own.interval && !cluster->interval)
        add(ret, arena_printf(ret->a,
                              "spec.job.upgradeMode: last-state, but nothing asks for checkpoints, "
                              "%s: set flinkConfiguration." INTERVAL_KEY
                              ", or, if main() does not, a change begins the job anew",
                              where));
}
