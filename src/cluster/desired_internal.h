/* SPDX-License-Identifier: Apache-2.0 */
/* What the builders of this folder share. */
#ifndef CLUSTER_DESIRED_INTERNAL_H
#define CLUSTER_DESIRED_INTERNAL_H

#include "flinkop/desired.h"

/* What tells a JobManager's pod from a TaskManager's. */
struct pod_role {
    const char *component; /* label, and infix of the kubernetes.* keys */
    const char *type_label;
    const char *env_prefix; /* of the keys that become environment variables */
    const char *java_opts_key, *java_opts_env;
    const struct component_spec *spec;
    const struct pod_size *size;
    jv ports, env, args;
    jv volumes, mounts; /* beside those of both */
    jv pod_fixed;       /* members of the pod spec that a template may not replace */
    bool makes_pods;    /* Flink's own allocator runs in it */
};

/** {metadata: {labels, annotations}, spec: …}: template, configuration and role put together. */
jv pod_build(struct arena *a, const struct desired_input *in, const struct pod_role *role);

/** The type label of all that is not a pod of our allocator. */
const char *type_label(const struct cluster_config *c);
/** {type, app} and, if given, component. */
jv cluster_labels(struct arena *a, const struct desired_input *in, const char *type,
                  const char *component);
jv owner_reference(const struct owner *o, struct arena *a, bool controller);
jv spec_hash_annotations(struct arena *a, const struct desired_input *in, jv more);

/** The pod template that Flink's own resource manager makes TaskManagers from, as a Pod without
 * what Flink itself puts there. */
jv taskmanager_template(struct arena *a, const struct desired_input *in);

/** A map option ("k:v,k:v") as an object, ABSENT if unset or malformed (reported by validation). */
jv conf_map_or_absent(const struct conf *c, const char *key);
jv conf_maps_or_absent(const struct conf *c, const char *key);

#endif
