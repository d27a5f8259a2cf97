/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything about a cluster that follows from its spec and the operator's defaults: the Flink
 * configuration that is mounted, memory, CPU, slots, limits. Pure; lives in the arena.
 */
#ifndef FLINKOP_CLUSTER_CONFIG_H
#define FLINKOP_CLUSTER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/cluster_spec.h"
#include "flinkop/flink_memory.h"

/** Ports inside the pods; pinned so that NetworkPolicies can name them. */
enum {
    PORT_REST = 8081,
    PORT_JM_RPC = 6123,
    PORT_BLOB = 6124,
    PORT_TM_DATA = 6121,
    PORT_TM_RPC = 6122,
};

struct pod_size {
    double cpu;
    int64_t memory; /* bytes */
    double cpu_limit_factor, memory_limit_factor;
    const char *ephemeral_storage; /* NULL: not set */
    jv extra;                      /* requests and limits of other resources, as given */
};

struct flink_defaults;

struct alloc_policy {
    int slots;               /* per TaskManager */
    int min, max;            /* TaskManagers; max INT_MAX = no limit */
    const char *max_field;   /* where a user would raise that limit */
    int spare;               /* more than needed while jobs run */
    int64_t idle_ms;         /* a TaskManager is released after this long without a used slot */
    int64_t start_ms;        /* a pod that has not registered by then is replaced */
    int free_failures;       /* so many starts in a row that failed are replaced at once… */
    int64_t start_retry_ms;  /* …and the next one after this long, then twice as long, … */
    int64_t create_retry_ms; /* the same when the API server takes no pod */
};

/** Where spec.ingress leads. */
struct ingress_url {
    const char *host, *path; /* NULL: the template has none */
    bool https;
};

struct cluster_config {
    const char *ns, *name;
    const struct deployment_spec *spec;
    struct conf conf;  /* all layers merged, operator keys included */
    struct conf flink; /* as Flink shall see it: without those, with what the operator enforces */
    struct jm_memory jm_memory;
    struct tm_memory tm_memory;
    struct pod_size jm, tm;
    int jm_replicas;
    int job_parallelism; /* of an application: what Flink is told, or would take by itself */
    bool reactive;       /* …or it is not told, because it takes what there is */
    int tm_replicas;     /* TaskManagers in mode standalone, else 0 */
    int rest_port;
    bool rest_tls, rest_mutual; /* REST by TLS; and who asks has to show a certificate */
    bool ha, ha_kubernetes;
    int allocator;              /* enum allocator_type, not ALLOCATOR_UNSET */
    const char *allocator_note; /* why it is Flink's although nobody asked for it, else NULL */
    struct alloc_policy alloc;
    struct ingress_url ingress; /* if the spec has one */
    const char *image, *conf_dir;
    const char *image_note; /* where the image came from when the spec has none, else NULL */
};

#define RECOVERY_KEY "kubernetes.operator.jm-deployment-recovery.enabled"
#define ROLLBACK_KEY "kubernetes.operator.deployment.rollback.enabled"
#define RESTART_KEY "kubernetes.operator.job.restart.failed"
#define SHUTDOWN_KEY "kubernetes.operator.jm-deployment.shutdown-ttl"
#define REFERENCES_KEY "kubernetes.operator.references.on-change"
#define HA_TYPE_KEY "high-availability.type"
#define SAVEPOINT_DIR_KEY "execution.checkpointing.savepoint-dir"
#define CHECKPOINT_AGE_KEY "kubernetes.operator.job.upgrade.last-state.max.allowed.checkpoint.age"

/**
 * Builds it; problems (with the path of the field a user would change) are added to p, and the
 * result is only usable when none were. `defaults` is the operator's configuration for this
 * namespace and version, below the user's own.
 */
void cluster_config_build(struct problems *p, const char *ns, const char *name,
                          const struct deployment_spec *spec, const struct conf *defaults,
                          struct cluster_config *ret);

/**
 * All of it from the JSON of a spec: reads it into ret_spec, looks up the operator's defaults for
 * the namespace and version, refuses what this version cannot do, builds the configuration.
 * The result is only usable when no problems were added.
 */
void cluster_config_read(struct problems *p, const char *ns, const char *name, jv spec, bool strict,
                         const struct flink_defaults *defaults, struct deployment_spec *ret_spec,
                         struct cluster_config *ret);

#endif
