/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's options as the incumbent knows them (api-contract §3.1), one table; the names that
 * options had earlier are in conf_keys.c. */
#include <stdlib.h>
#include <string.h>

#include "conf_internal.h"
#include "flinkop/address.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define OPERATOR "kubernetes.operator."
#define BOOL_(key, deflt, per)                      \
    {                                               \
        OPERATOR key, FLINK_OPTION_BOOL, deflt, per \
    }
#define INT_(key, deflt, per)                      \
    {                                              \
        OPERATOR key, FLINK_OPTION_INT, deflt, per \
    }
#define TIME_(key, deflt, per)                          \
    {                                                   \
        OPERATOR key, FLINK_OPTION_DURATION, deflt, per \
    }
#define TEXT_(key, deflt, per)                      \
    {                                               \
        OPERATOR key, FLINK_OPTION_TEXT, deflt, per \
    }

/* Whether a resource may set an option of its own. */
enum { SYSTEM = false, RESOURCE = true };

/* Sorted by key. */
static const struct flink_option options[] = {
    TIME_("checkpoint.trigger.grace-period", "1 min", RESOURCE),
    TEXT_("checkpoint.type", "FULL", RESOURCE),
    BOOL_("cluster.health-check.checkpoint-progress.enabled", "true", RESOURCE),
    TIME_("cluster.health-check.checkpoint-progress.window", NULL, RESOURCE),
    BOOL_("cluster.health-check.enabled", "false", RESOURCE),
    INT_("cluster.health-check.restarts.threshold", "64", RESOURCE),
    TIME_("cluster.health-check.restarts.window", "2 min", RESOURCE),
    TIME_("deployment.readiness.timeout", "5 min", RESOURCE),
    BOOL_("deployment.rollback.enabled", "false", RESOURCE),
    TIME_("dynamic.config.check.interval", "5 min", SYSTEM),
    BOOL_("dynamic.config.enabled", "true", SYSTEM),
    BOOL_("dynamic.namespaces.enabled", "false", SYSTEM),
    INT_("events.exceptions.limit-per-reconciliation", "10", SYSTEM),
    INT_("events.exceptions.stacktrace-lines", "5", SYSTEM),
    INT_("exception.field.max.length", "2048", SYSTEM),
    {OPERATOR "exception.label.mapper", FLINK_OPTION_MAP, NULL, RESOURCE},
    BOOL_("exception.stacktrace.enabled", "false", SYSTEM),
    INT_("exception.stacktrace.max.length", "2048", SYSTEM),
    INT_("exception.throwable.list.max.count", "2", SYSTEM),
    TEXT_("exposure.controller-namespaces",
          "ingress-nginx,nginx-ingress,traefik,haproxy-controller,kong,projectcontour,"
          "istio-system,kube-system",
          RESOURCE),
    TIME_("flink.client.cancel.timeout", "1 min", SYSTEM),
    TIME_("flink.client.timeout", "10 s", SYSTEM),
    TIME_("health.canary.resource.timeout", "1 min", SYSTEM),
    BOOL_("health.probe.enabled", "true", SYSTEM),
    INT_("health.probe.port", "8085", SYSTEM),
    BOOL_("ingress.manage", "true", SYSTEM),
    BOOL_("jm-deployment-recovery.enabled", "true", RESOURCE),
    TIME_("jm-deployment.shutdown-ttl", "1 d", RESOURCE),
    BOOL_("jm-deployment.startup.probe.enabled", "true", RESOURCE),
    BOOL_("job.drain-on-savepoint-deletion", "false", RESOURCE),
    BOOL_("job.restart.failed", "false", RESOURCE),
    BOOL_("job.savepoint-on-deletion", "false", RESOURCE),
    TIME_("job.submission.timeout", "10 min", SYSTEM),
    BOOL_("job.upgrade.ignore-pending-savepoint", "false", RESOURCE),
    BOOL_("job.upgrade.inplace-scaling.enabled", "true", RESOURCE),
    BOOL_("job.upgrade.last-state-fallback.enabled", "true", RESOURCE),
    BOOL_("job.upgrade.last-state.job-cancel.enabled", "false", RESOURCE),
    TIME_("job.upgrade.last-state.max.allowed.checkpoint.age", NULL, RESOURCE),
    TEXT_("label.selector", NULL, SYSTEM),
    BOOL_("leader-election.enabled", "false", SYSTEM),
    TIME_("leader-election.lease-duration", "15 s", SYSTEM),
    TEXT_("leader-election.lease-name", NULL, SYSTEM),
    TIME_("leader-election.renew-deadline", "10 s", SYSTEM),
    TIME_("leader-election.retry-period", "2 s", SYSTEM),
    TIME_("observer.progress-check.interval", "10 s", SYSTEM),
    TIME_("observer.rest-ready.delay", "10 s", SYSTEM),
    TEXT_("periodic.checkpoint.interval", "", RESOURCE),
    TEXT_("periodic.savepoint.interval", "", RESOURCE),
    BOOL_("pod-template.merge-arrays-by-name", "false", RESOURCE),
    INT_("rate-limiter.limit", "5", SYSTEM),
    TIME_("rate-limiter.refresh-period", "15 s", SYSTEM),
    TIME_("reconcile.interval", "1 min", SYSTEM),
    INT_("reconcile.parallelism", "50", SYSTEM),
    TEXT_("references.on-change", "report", RESOURCE),
    TIME_("resource.cleanup.timeout", "5 min", SYSTEM),
    TEXT_("resource.deletion.propagation", "Foreground", SYSTEM),
    TIME_("retry.initial.interval", "5 s", SYSTEM),
    {OPERATOR "retry.interval.multiplier", FLINK_OPTION_NUMBER, "1.5", SYSTEM},
    INT_("retry.max.attempts", "15", SYSTEM),
    TIME_("retry.max.interval", NULL, SYSTEM),
    BOOL_("savepoint.cleanup.enabled", "true", RESOURCE),
    BOOL_("savepoint.dispose-on-delete", "false", RESOURCE),
    TEXT_("savepoint.format.type", "CANONICAL", RESOURCE),
    TIME_("savepoint.history.max.age", "1 d", RESOURCE),
    TIME_("savepoint.history.max.age.threshold", NULL, SYSTEM),
    INT_("savepoint.history.max.count", "10", RESOURCE),
    INT_("savepoint.history.max.count.threshold", NULL, SYSTEM),
    TIME_("savepoint.trigger.grace-period", "1 min", RESOURCE),
    BOOL_("session.deletion.block-on-session-jobs", "true", RESOURCE),
    BOOL_("session.deletion.block-on-unmanaged-jobs", "true", RESOURCE),
    TIME_("session.deletion.block-timeout", "1 h", RESOURCE),
    BOOL_("snapshot.resource.enabled", "true", RESOURCE),
    BOOL_("startup.stop-on-informer-error", "true", SYSTEM),
    TIME_("termination.timeout", "10 s", SYSTEM),
    {OPERATOR "user.artifacts.allowed-networks", FLINK_OPTION_ADDRESSES, "", SYSTEM},
    TEXT_("user.artifacts.allowed-schemes", "https", SYSTEM),
    TEXT_("user.artifacts.base.dir", "/opt/flink/artifacts", SYSTEM),
    BOOL_("user.artifacts.disallow-restricted-hosts", "true", SYSTEM),
    {OPERATOR "user.artifacts.http.header", FLINK_OPTION_MAP, NULL, RESOURCE},
    TEXT_("watched.namespaces", "JOSDK_ALL_NAMESPACES", SYSTEM),
};

const struct flink_option *flink_options(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(options);
    return options;
}

static int by_key(const void *key, const void *option)
{
    return strcmp(key, ((const struct flink_option *)option)->key);
}

const struct flink_option *flink_option_find(const char *key)
{
    return bsearch(key, options, ARRAY_SIZE(options), sizeof(*options), by_key);
}

const struct flink_option *flink_option_named(const char *name)
{
    const struct flink_option *found = flink_option_find(name);
    char room[CONF_NAME_ROOM];
    const char *older;

    for (size_t k = 0; !found && k < ARRAY_SIZE(options); k++)
        for (size_t i = 1; !found && (older = conf_name(options[k].key, i, room)); i++)
            found = strcmp(older, name) != 0 ? NULL : &options[k];
    return found;
}

static const char *default_of(const char *key, enum flink_option_type type)
{
    const struct flink_option *o = flink_option_find(key);

    if (!o || o->type != type)
        BUG("%s is no option of this type", key);
    return o->deflt;
}

int flink_option_bool(const struct conf *c, const char *key, bool *ret, struct error *err)
{
    const char *deflt = default_of(key, FLINK_OPTION_BOOL);

    return conf_bool(c, key, str_eq(deflt, "true"), ret, err);
}

int flink_option_int(const struct conf *c, const char *key, int64_t *ret, struct error *err)
{
    const char *deflt = default_of(key, FLINK_OPTION_INT);
    int64_t fallback = -1;

    if (deflt && !str_to_int64(deflt, &fallback))
        BUG("%s", key);
    return conf_int(c, key, fallback, ret, err);
}

int flink_option_duration(const struct conf *c, const char *key, int64_t *ret, struct error *err)
{
    const char *deflt = default_of(key, FLINK_OPTION_DURATION);
    int64_t fallback = -1;

    if (deflt && duration_parse(deflt, &fallback, NULL))
        BUG("%s", key);
    return conf_duration(c, key, fallback, ret, err);
}

bool flink_option_on(const struct conf *c, const char *key)
{
    struct error err;
    bool on;

    return !flink_option_bool(c, key, &on, &err) && on;
}

int64_t flink_option_ms(const struct conf *c, const char *key)
{
    const char *deflt = default_of(key, FLINK_OPTION_DURATION);
    struct error err;
    int64_t ms;

    if (c && !flink_option_duration(c, key, &ms, &err))
        return ms;
    if (!deflt || duration_parse(deflt, &ms, NULL))
        BUG("%s has no default", key);
    return ms;
}

const char *flink_option_text(const struct conf *c, const char *key)
{
    const char *deflt = default_of(key, FLINK_OPTION_TEXT);

    return str_or(conf_lookup(c, key), deflt);
}

static int check_addresses(const struct conf *c, const char *key, struct error *err)
{
    cleanup_arena struct arena a = {0};
    struct address_list list;

    return address_list_parse(&a, str_or_empty(conf_lookup(c, key)), &list, err)
               ? error_wrap(err, "%s", key)
               : 0;
}

int flink_options_check(const struct conf *c, struct error *err)
{
    int64_t i;
    double d;
    bool b;
    jv v;

    for (size_t k = 0; k < ARRAY_SIZE(options); k++) {
        const char *key = options[k].key;
        int rc = 0;

        switch (options[k].type) {
        case FLINK_OPTION_BOOL:
            rc = conf_bool(c, key, false, &b, err);
            break;
        case FLINK_OPTION_INT:
            rc = conf_int(c, key, 0, &i, err);
            break;
        case FLINK_OPTION_NUMBER:
            rc = conf_double(c, key, 0, &d, err);
            break;
        case FLINK_OPTION_DURATION:
            rc = conf_duration(c, key, 0, &i, err);
            break;
        case FLINK_OPTION_MAP:
            rc = conf_map(c, key, &v, err);
            break;
        case FLINK_OPTION_ADDRESSES:
            rc = check_addresses(c, key, err);
            break;
        case FLINK_OPTION_TEXT:
            break;
        }
        if (rc)
            return -1;
    }
    return 0;
}

void flink_options_drop_system(struct conf *user)
{
    char room[CONF_NAME_ROOM];
    const char *name;

    for (size_t k = 0; k < ARRAY_SIZE(options); k++)
        for (size_t i = 0; !options[k].per_resource && (name = conf_name(options[k].key, i, room));
             i++)
            conf_remove(user, name);
}
