/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kubernetes objects of a cluster as they should be, from its configuration alone. Pure: the
 * same input gives the same bytes. Names, labels and ports are the incumbent's (api-contract §4.1).
 */
#ifndef FLINKOP_DESIRED_H
#define FLINKOP_DESIRED_H

#include "flinkop/cluster_config.h"

/* Labels of a cluster's objects. JobManager objects carry the type that Flink's own integration, or
 * the incumbent in mode standalone, gives them (selectors are immutable, and takers-over look for
 * it); the pods of our allocator carry one of their own, so that Flink's resource manager never
 * adopts them. */
#define LABEL_TYPE "type"
#define LABEL_APP "app"
#define LABEL_COMPONENT "component"
/* Of a FlinkSessionJob: the name of its cluster. */
#define LABEL_TARGET_SESSION "target.session"
#define TYPE_NATIVE "flink-native-kubernetes"
#define TYPE_STANDALONE "flink-standalone-kubernetes"
#define TYPE_OPERATOR "flink-operator-kubernetes"
#define COMPONENT_JM "jobmanager"
#define COMPONENT_TM "taskmanager"
#define COMPONENT_INGRESS "ingress" /* of spec.ingress */
#define COMPONENT_UI "ui"           /* of spec.exposure */

#define MAIN_CONTAINER "flink-main-container"

#define ANNOTATION_GENERATION "flinkdeployment.flink.apache.org/generation"
/* Hash of the spec that an object was made from. Equal means up to date, whatever a newer operator
 * would write: upgrading the operator restarts and rewrites nothing. */
#define ANNOTATION_SPEC_HASH "flink-operator/spec-hash"
/* On the ConfigMap: hash of the spec that its configuration is of, where the JobManager was started
 * with another one and need not be started again. */
#define ANNOTATION_CONFIG_HASH "flink-operator/config-hash"
/* On the JobManager Deployment: whose allocator makes its TaskManagers, "Operator", "Flink" or
 * "None". */
#define ANNOTATION_ALLOCATOR "flink-operator/allocator"
/* The id of the job for which this Deployment was scaled to zero because it had not begun. */
#define ANNOTATION_HALTED "flink-operator/halted-job-id"
/* The user's, of a custom resource: "true" ends whatever its deletion waits for. */
#define ANNOTATION_FORCE_DELETE "flink-operator/force-delete"

/* The user's, of a FlinkDeployment: RELEASE_ASKED hands it back to another operator, as soon as
 * that can take it over; then this operator writes RELEASE_DONE and leaves it alone, with its jobs.
 */
#define ANNOTATION_RELEASE "flink-operator/release"
#define RELEASE_ASKED "true"
#define RELEASE_DONE "done"

/* Instead of a path: what high availability keeps (api-contract §1.6). */
#define RESTORE_LAST_STATE "KUBERNETES_OPERATOR_LAST_STATE"

/** Whose objects these are. */
struct owner {
    const char *api_version, *kind, *name, *uid;
};

struct desired_input {
    const struct cluster_config *config;
    struct owner cr;
    int64_t generation;       /* of the CR when the spec was recorded */
    const char *spec_hash;    /* deployment_spec_hash of that spec, and of what follows */
    const char *config_hash;  /* ANNOTATION_CONFIG_HASH, NULL: none */
    const char *job_id;       /* of an application */
    const char *restore_path; /* what it starts from, NULL: nothing, or RESTORE_LAST_STATE */
    const char *operator_ns;  /* namespace of the operator's own pod, NULL: not known */
};

/** Name of the configuration's ConfigMap, "flink-config-<cluster>". */
const char *desired_configmap_name(struct arena *a, const char *cluster);

/** ConfigMap with the configuration, logging and the start script; owned by the CR, because it
 * must be there before the Deployment that owns the rest. */
jv desired_configmap(struct arena *a, const struct desired_input *in);
/** The JobManager Deployment, owned by the CR. */
jv desired_jobmanager(struct arena *a, const struct desired_input *in);
/** Headless Service for RPC and BLOB (`<cluster>`), owned by the JobManager Deployment. */
jv desired_internal_service(struct arena *a, const struct desired_input *in,
                            const struct owner *deployment);
/** Service `<cluster>-rest`, owned by the JobManager Deployment. */
jv desired_rest_service(struct arena *a, const struct desired_input *in,
                        const struct owner *deployment);
/** One TaskManager pod, owned by the JobManager Deployment. */
jv desired_taskmanager(struct arena *a, const struct desired_input *in, const char *pod_name,
                       const struct owner *deployment);

/** Name of the Deployment of mode standalone, "<cluster>-taskmanager". */
const char *desired_taskmanagers_name(struct arena *a, const char *cluster);
/** All TaskManagers of a cluster in mode standalone: a Deployment, owned by the JobManager's. */
jv desired_taskmanagers(struct arena *a, const struct desired_input *in,
                        const struct owner *deployment);

/** "Operator", "Flink" or "None". */
const char *allocator_name(enum allocator_type t);

/** "<cluster>-taskmanager-<attempt>-<index>" */
const char *taskmanager_pod_name(struct arena *a, const char *cluster, int attempt, int index);
/** Reads such a name; false if it is none of this cluster. */
bool taskmanager_pod_parse(const char *cluster, const char *pod, int *ret_attempt, int *ret_index);

/* ---- pod templates (pod_template.c) ---- */

/** `over` on `base` as the incumbent merges templates: mappings deeply, scalars replace, lists by
 * index, or by the members' `name` if by_name is set and all members have one. */
jv pod_template_merge(struct arena *a, jv base, jv over, bool by_name);
/** Lists of named members: all of first, then those of second whose `key` is not taken. */
jv named_union(struct arena *a, jv first, jv second, const char *key);

#endif
