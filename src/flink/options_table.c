/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of the incumbent (api-contract §3), and our own, one table: what becomes of each. The
 * names that some had earlier are in conf_keys.c. `flink-operator options` prints it, and
 * deploy/README.md has it (make options); tests/golden/flink/options.tsv names the test of each
 * that is honoured.
 */
#include "conf_internal.h"
#include "flinkop/flink_defaults.h"

#define OPERATOR "kubernetes.operator."
#define AUTOSCALER "job.autoscaler."
#define STANDALONE "autoscaler.standalone."

#define OURS "an option of this operator only"
#define NO_AUTOSCALER "the autoscaler is not done yet"
#define NO_BLUE_GREEN "FlinkBlueGreenDeployments are not done yet"
#define NO_JAVA_METRICS \
    "metrics have the names of controller-runtime and client-go, and are always there"
#define NO_LOOP "work begins when something changes, and nothing is gone through again at intervals"
#define NO_STANDALONE "of another process, the standalone autoscaler"

/* The columns are short so that a row is a line. */
#define FLAG FLINK_OPTION_BOOL
#define COUNT FLINK_OPTION_INT
#define NUMBER FLINK_OPTION_NUMBER
#define DURATION FLINK_OPTION_DURATION
#define TEXT FLINK_OPTION_TEXT
#define CHOICE FLINK_OPTION_CHOICE
#define MAP FLINK_OPTION_MAP
#define ADDRESSES FLINK_OPTION_ADDRESSES
#define RESOURCE OPTION_OF_RESOURCES
#define SYSTEM OPTION_OF_OPERATOR
#define START OPTION_AT_START
#define HONOURED OPTION_HONOURED
#define MOOT OPTION_MOOT

/* Sorted by key. */
/* clang-format off */
static const struct flink_option options[] = {
    {STANDALONE "control-loop.interval", TEXT, "10 s", SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "control-loop.parallelism", TEXT, "100", SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "event-handler.type", TEXT, "LOGGING", SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "fetcher.flink-cluster.host", TEXT, "localhost", SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "fetcher.flink-cluster.port", TEXT, "8081", SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "jdbc.event-handler.ttl", TEXT, "90 d", SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "jdbc.password-env-variable", TEXT, "JDBC_PWD", SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "jdbc.url", TEXT, NULL, SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "jdbc.username", TEXT, NULL, SYSTEM, MOOT, NO_STANDALONE},
    {STANDALONE "state-store.type", TEXT, "MEMORY", SYSTEM, MOOT, NO_STANDALONE},
    {AUTOSCALER "backlog-processing.lag-threshold", TEXT, "5 min", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "catch-up.duration", TEXT, "30 min", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "enabled", TEXT, "false", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "excluded.periods", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "flink.rest-client.timeout", TEXT, "10 s", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "history.max.age", TEXT, "1 d", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "history.max.count", TEXT, "3", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "memory.gc-pressure.threshold", TEXT, "1.0", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "memory.heap-usage.threshold", TEXT, "1.0", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "memory.tuning.enabled", TEXT, "false", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "memory.tuning.maximize-managed-memory", TEXT, "false", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "memory.tuning.overhead", TEXT, "0.2", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "memory.tuning.scale-down-compensation.enabled", TEXT, "true", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "metrics.busy-time.aggregator", TEXT, "MAX", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "metrics.custom-evaluator.<name>.<parameter>", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "metrics.custom-evaluator.<name>.class", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "metrics.custom-evaluators", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "metrics.window", TEXT, "15 min", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "observed-scalability.coefficient-min", TEXT, "0.5", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "observed-scalability.enabled", TEXT, "false", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "observed-scalability.min-observations", TEXT, "3", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "observed-true-processing-rate.lag-threshold", TEXT, "30 s", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "observed-true-processing-rate.min-observations", TEXT, "2", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "observed-true-processing-rate.switch-threshold", TEXT, "0.15", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "quota.cpu", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "quota.memory", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "restart.time", TEXT, "5 min", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "restart.time-tracking.enabled", TEXT, "false", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "restart.time-tracking.limit", TEXT, "15 min", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scale-down.interval", TEXT, "1 h", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scale-down.max-factor", TEXT, "0.6", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scale-up.max-factor", TEXT, "100000.0", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.custom-executor.<name>.<parameter>", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.custom-executor.<name>.class", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.custom-executors", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.effectiveness.detection.enabled", TEXT, "false", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.effectiveness.threshold", TEXT, "0.1", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.enabled", TEXT, "true", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.event.interval", TEXT, "30 min", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.parallelism-alignment.mode", TEXT, "BALANCED", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.parallelism-alignment.mode.<name>.<parameter>", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "scaling.parallelism-alignment.mode.<name>.class", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "stabilization.interval", TEXT, "5 min", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "target.utilization.boundary", TEXT, "0.3", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "utilization.max", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "utilization.min", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "utilization.target", TEXT, "0.7", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "vertex.exclude.ids", TEXT, NULL, RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "vertex.max-parallelism", TEXT, "200", RESOURCE, MOOT, NO_AUTOSCALER},
    {AUTOSCALER "vertex.min-parallelism", TEXT, "1", RESOURCE, MOOT, NO_AUTOSCALER},
    {OPERATOR "bluegreen.abort.grace-period", TEXT, "10 min", RESOURCE, MOOT, NO_BLUE_GREEN},
    {OPERATOR "bluegreen.deployment-deletion.delay", TEXT, "0 ms", RESOURCE, MOOT, NO_BLUE_GREEN},
    {OPERATOR "bluegreen.reconciliation.reschedule-interval", TEXT, "15 s", RESOURCE, MOOT, NO_BLUE_GREEN},
    {OPERATOR "checkpoint.trigger.grace-period", DURATION, "1 min", RESOURCE, HONOURED, ""},
    {OPERATOR "checkpoint.type", CHOICE, "FULL", RESOURCE, HONOURED, ""},
    {OPERATOR "cluster.health-check.checkpoint-progress.enabled", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "cluster.health-check.checkpoint-progress.window", DURATION, NULL, RESOURCE, HONOURED, ""},
    {OPERATOR "cluster.health-check.enabled", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "cluster.health-check.restarts.threshold", COUNT, "64", RESOURCE, HONOURED, ""},
    {OPERATOR "cluster.health-check.restarts.window", DURATION, "2 min", RESOURCE, HONOURED, ""},
    {OPERATOR "cluster.resource-view.refresh-interval", TEXT, "-1 min", SYSTEM, MOOT, "it is for the autoscaler, which is not done yet"},
    {OPERATOR "config.cache.size", TEXT, "1000", SYSTEM, MOOT, "nothing is cached: a configuration is made anew from the spec each time"},
    {OPERATOR "config.cache.timeout", TEXT, "10 min", SYSTEM, MOOT, "nothing is cached: a configuration is made anew from the spec each time"},
    {OPERATOR "default-configuration.flink-version.<version>.<key>", TEXT, NULL, SYSTEM, HONOURED, "a layer of defaults: for a version of Flink; v1_20+ for it and those after it"},
    {OPERATOR "default-configuration.namespace.<namespace>.<key>", TEXT, NULL, SYSTEM, HONOURED, "a layer of defaults: for the clusters in a namespace"},
    {OPERATOR "deployment.readiness.timeout", DURATION, "5 min", RESOURCE, HONOURED, ""},
    {OPERATOR "deployment.rollback.enabled", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "dynamic.config.check.interval", DURATION, "5 min", SYSTEM, HONOURED, "at least 100 ms"},
    {OPERATOR "dynamic.config.enabled", FLAG, "true", SYSTEM, HONOURED, ""},
    {OPERATOR "dynamic.namespaces.enabled", FLAG, "false", SYSTEM, HONOURED, "with dynamic.config.enabled"},
    {OPERATOR "events.exceptions.limit-per-reconciliation", COUNT, "10", SYSTEM, HONOURED, ""},
    {OPERATOR "events.exceptions.stacktrace-lines", COUNT, "5", SYSTEM, HONOURED, ""},
    {OPERATOR "exception.field.max.length", COUNT, "2048", SYSTEM, HONOURED, "at least 100"},
    {OPERATOR "exception.label.mapper", MAP, NULL, RESOURCE, HONOURED, ""},
    {OPERATOR "exception.stacktrace.enabled", FLAG, "false", SYSTEM, MOOT, "errors here are no Java exceptions; those of jobs are told as Events (events.exceptions.*)"},
    {OPERATOR "exception.stacktrace.max.length", COUNT, "2048", SYSTEM, MOOT, "errors here are no Java exceptions; those of jobs are told as Events (events.exceptions.*)"},
    {OPERATOR "exception.throwable.list.max.count", COUNT, "2", SYSTEM, MOOT, "errors here are no Java exceptions; those of jobs are told as Events (events.exceptions.*)"},
    {OPERATOR "exposure.controller-namespaces", TEXT, "ingress-nginx,nginx-ingress,traefik,haproxy-controller,kong,projectcontour,istio-system,kube-system", RESOURCE, HONOURED, OURS},
    {OPERATOR "flink.client.cancel.timeout", DURATION, "1 min", SYSTEM, HONOURED, ""},
    {OPERATOR "flink.client.timeout", DURATION, "10 s", SYSTEM, HONOURED, "probes and look-ups have shorter ones of their own"},
    {OPERATOR "health.canary.resource.timeout", DURATION, "1 min", SYSTEM, MOOT, "/healthz looks at the watches themselves, and needs no canary"},
    {OPERATOR "health.probe.enabled", FLAG, "true", SYSTEM, MOOT, "always on: the port has the metrics, too"},
    {OPERATOR "health.probe.port", COUNT, "8085", START, HONOURED, "or --port"},
    {OPERATOR "ingress.manage", FLAG, "true", SYSTEM, HONOURED, ""},
    {OPERATOR "jm-deployment-recovery.enabled", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "jm-deployment.shutdown-ttl", DURATION, "1 d", RESOURCE, HONOURED, ""},
    {OPERATOR "jm-deployment.startup.probe.enabled", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "job.drain-on-savepoint-deletion", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "job.restart.failed", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "job.savepoint-on-deletion", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "job.submission.timeout", DURATION, "10 min", SYSTEM, HONOURED, ""},
    {OPERATOR "job.upgrade.ignore-pending-savepoint", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "job.upgrade.inplace-scaling.enabled", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "job.upgrade.last-state-fallback.enabled", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "job.upgrade.last-state.job-cancel.enabled", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "job.upgrade.last-state.max.allowed.checkpoint.age", DURATION, NULL, RESOURCE, HONOURED, ""},
    {OPERATOR "josdk.metrics.enabled", TEXT, "true", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "jvm.metrics.enabled", TEXT, "true", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "kubernetes.client.metrics.enabled", TEXT, "true", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "kubernetes.client.metrics.http.response.code.groups.enabled", TEXT, "false", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "kubernetes.client.metrics.slow.request.threshold", TEXT, "5 s", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "label.selector", TEXT, NULL, SYSTEM, HONOURED, "equality and sets, of all custom resources"},
    {OPERATOR "leader-election.enabled", FLAG, "false", START, HONOURED, "or --leader-elect"},
    {OPERATOR "leader-election.lease-duration", DURATION, "15 s", START, HONOURED, "in whole seconds; at least 5 s more than renew-deadline"},
    {OPERATOR "leader-election.lease-name", TEXT, NULL, START, HONOURED, "or --lease; flink-operator where it is not set"},
    {OPERATOR "leader-election.renew-deadline", DURATION, "10 s", START, HONOURED, ""},
    {OPERATOR "leader-election.retry-period", DURATION, "2 s", START, HONOURED, "and half of it between two looks of those that wait"},
    {OPERATOR "metrics.histogram.sample.size", TEXT, "1000", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "metrics.reporter.<name>.<parameter>", TEXT, NULL, SYSTEM, MOOT, "it names Java classes; /metrics is for Prometheus"},
    {OPERATOR "metrics.scope.k8soperator.resource", TEXT, "<host>.k8soperator.<namespace>.<name>.resource.<resourcens>.<resourcename>.<resourcetype>", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "metrics.scope.k8soperator.resourcens", TEXT, "<host>.k8soperator.<namespace>.<name>.namespace.<resourcens>.<resourcetype>", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "metrics.scope.k8soperator.system", TEXT, "<host>.k8soperator.<namespace>.<name>.system", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "observer.progress-check.interval", DURATION, "10 s", SYSTEM, MOOT, "a JobManager is asked several times a second while something is in progress"},
    {OPERATOR "observer.rest-ready.delay", DURATION, "10 s", SYSTEM, MOOT, "a JobManager counts as ready when it answers"},
    {OPERATOR "periodic.checkpoint.interval", TEXT, "", RESOURCE, HONOURED, ""},
    {OPERATOR "periodic.savepoint.interval", TEXT, "", RESOURCE, HONOURED, ""},
    {OPERATOR "plugins.listeners.<listener-name>.class", TEXT, NULL, RESOURCE, MOOT, "it names Java classes; Events, conditions and metrics tell the same"},
    {OPERATOR "pod-template.merge-arrays-by-name", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "rate-limiter.limit", COUNT, "5", SYSTEM, MOOT, NO_LOOP "; what fails backs off (retry.*)"},
    {OPERATOR "rate-limiter.refresh-period", DURATION, "15 s", SYSTEM, MOOT, NO_LOOP "; what fails backs off (retry.*)"},
    {OPERATOR "reconcile.interval", DURATION, "1 min", SYSTEM, MOOT, NO_LOOP},
    {OPERATOR "reconcile.parallelism", COUNT, "50", SYSTEM, MOOT, "one thread does it; up to 64 clusters have calls under way"},
    {OPERATOR "references.on-change", TEXT, "report", RESOURCE, HONOURED, OURS},
    {OPERATOR "resource.cleanup.timeout", DURATION, "5 min", SYSTEM, HONOURED, ""},
    {OPERATOR "resource.deletion.propagation", TEXT, "Foreground", SYSTEM, MOOT, "always as Foreground: the finalizer stays until nothing of the cluster runs"},
    {OPERATOR "resource.lifecycle.metrics.enabled", TEXT, "true", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "resource.lifecycle.namespace.histograms.enabled", TEXT, "true", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "resource.metrics.enabled", TEXT, "true", SYSTEM, MOOT, NO_JAVA_METRICS},
    {OPERATOR "retry.initial.interval", DURATION, "5 s", SYSTEM, HONOURED, "where it is set, else 5 ms"},
    {OPERATOR "retry.interval.multiplier", NUMBER, "1.5", SYSTEM, HONOURED, "where it is set, else 2"},
    {OPERATOR "retry.max.attempts", COUNT, "15", SYSTEM, MOOT, "what fails is tried again until it works or is changed"},
    {OPERATOR "retry.max.interval", DURATION, NULL, SYSTEM, HONOURED, "where it is set, else 1 min"},
    {OPERATOR "savepoint.cleanup.enabled", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "savepoint.dispose-on-delete", FLAG, "false", RESOURCE, HONOURED, ""},
    {OPERATOR "savepoint.format.type", CHOICE, "CANONICAL", RESOURCE, HONOURED, ""},
    {OPERATOR "savepoint.history.max.age", DURATION, "1 d", RESOURCE, HONOURED, ""},
    {OPERATOR "savepoint.history.max.age.threshold", DURATION, NULL, SYSTEM, HONOURED, ""},
    {OPERATOR "savepoint.history.max.count", COUNT, "10", RESOURCE, HONOURED, ""},
    {OPERATOR "savepoint.history.max.count.threshold", COUNT, NULL, SYSTEM, HONOURED, ""},
    {OPERATOR "savepoint.trigger.grace-period", DURATION, "1 min", RESOURCE, HONOURED, ""},
    {OPERATOR "session.deletion.block-on-session-jobs", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "session.deletion.block-on-unmanaged-jobs", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "session.deletion.block-timeout", DURATION, "1 h", RESOURCE, HONOURED, OURS},
    {OPERATOR "snapshot.resource.enabled", FLAG, "true", RESOURCE, HONOURED, ""},
    {OPERATOR "startup.stop-on-informer-error", FLAG, "true", SYSTEM, MOOT, "such a namespace is told by /readyz and the log, and the others are served"},
    {OPERATOR "termination.timeout", DURATION, "10 s", SYSTEM, HONOURED, ""},
    {OPERATOR "user.artifacts.allowed-networks", ADDRESSES, "", SYSTEM, HONOURED, OURS},
    {OPERATOR "user.artifacts.allowed-schemes", TEXT, "https", SYSTEM, HONOURED, ""},
    {OPERATOR "user.artifacts.base.dir", TEXT, "/opt/flink/artifacts", SYSTEM, MOOT, "JARs are streamed to the JobManager; nothing is kept on disk"},
    {OPERATOR "user.artifacts.disallow-restricted-hosts", FLAG, "true", SYSTEM, HONOURED, ""},
    {OPERATOR "user.artifacts.http.header", MAP, NULL, RESOURCE, HONOURED, ""},
    {OPERATOR "watched.namespaces", TEXT, "JOSDK_ALL_NAMESPACES", SYSTEM, HONOURED, "or --namespace, WATCH_NAMESPACES, which win"},
};
/* clang-format on */

const struct flink_option *flink_options(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(options);
    return options;
}
