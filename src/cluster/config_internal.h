/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of building a cluster's configuration. */
#ifndef CLUSTER_CONFIG_INTERNAL_H
#define CLUSTER_CONFIG_INTERNAL_H

#include "flinkop/cluster_config.h"

/* ---- config.c: typed reads that report under the user's field ---- */

const char *config_path(struct problems *p, const char *key);
int64_t config_int(struct problems *p, const struct conf *c, const char *key, int64_t fallback,
                   int64_t min, int64_t max);
double config_double(struct problems *p, const struct conf *c, const char *key, double fallback);
int64_t config_duration(struct problems *p, const struct conf *c, const char *key,
                        int64_t fallback);

/* ---- config_resources.c ---- */

struct component {
    const char *path;   /* in the spec */
    const char *prefix; /* of its kubernetes.* keys */
    const char *memory_key;
    const struct component_spec *spec;
};

/** Writes the spec's resources as the configuration keys they stand for. */
void apply_resources(struct problems *p, struct conf *conf, const struct component *c);
/** The size of a pod whose process takes `memory` bytes. */
struct pod_size pod_size(struct problems *p, const struct conf *conf, const struct component *c,
                         int64_t memory, double default_cpu);
/** {name in Kubernetes: amount} of Flink's external resources; ABSENT: none. */
jv external_resources(struct problems *p, const struct conf *conf);

/* ---- config_job.c ---- */

/** What this version cannot do yet with the job of an application; its parallelism. */
void choose_job(struct problems *p, struct cluster_config *c);
/** How many TaskManagers there are in mode standalone (api-contract §4.2). */
void choose_replicas(struct cluster_config *c);
/** What an application's Flink must know, put into the configuration that it gets. */
void enforce_job(struct conf *conf, const struct cluster_config *c);

/* ---- config_policy.c ---- */

/** Whose allocator, and its policy: spec.allocator, else Flink's options. */
void choose_policy(struct problems *p, struct cluster_config *c);
/** Limits in CPU and memory, when the size of a TaskManager is known. */
void limit_totals(struct problems *p, struct cluster_config *c);
/** What of the policy Flink must know, put into the configuration that it gets. */
void enforce_policy(struct conf *conf, const struct cluster_config *c);

#endif
