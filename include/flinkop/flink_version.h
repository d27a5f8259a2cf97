/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between the versions of Flink, as one table. */
#ifndef FLINKOP_FLINK_VERSION_H
#define FLINKOP_FLINK_VERSION_H

#include <stdbool.h>
#include <stddef.h>

struct flink_version {
    const char *name; /* as in spec.flinkVersion: "v1_20" */
    int major, minor;
    bool supported; /* the operator runs it; older ones are known and refused */
    bool deprecated;
    const char *conf_file; /* "flink-conf.yaml" or "config.yaml" */
    /* JVM options that the image's own configuration file would have given and that our mounted
     * one hides; NULL if none. */
    const char *java_opts;
    /* Where they go: env.java.default-opts.all, which Flink puts before the user's own
     * env.java.opts.all; 1.18 has only the latter, and a user's value replaces them there. */
    const char *java_opts_key;
    bool has_slot_sharing_group; /* REST tells vertices[].slotSharingGroupId */
    /* adaptive scheduler: name of "wait for resources at submission" */
    const char *resource_wait_key;
    bool fetches_jars; /* the entrypoints of applications do; the standalone one has --jars */
};

/** NULL for an unknown name. */
const struct flink_version *flink_version_find(const char *name);
/** The whole table, oldest first. */
const struct flink_version *flink_versions(size_t *ret_n);
bool flink_at_least(const struct flink_version *v, int major, int minor);
/** "v1_13, v1_14, …" of all supported ones, for messages. */
const char *flink_versions_supported(void);

#endif
