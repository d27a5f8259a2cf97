/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's own configuration, in the incumbent's form (api-contract §2.14): options of the
 * operator, and defaults for all clusters in layers, later ones winning:
 *
 *   the file itself
 *   kubernetes.operator.default-configuration.namespace.<ns>.<key>
 *   kubernetes.operator.default-configuration.flink-version.v1_18+.<key>   this version and later
 *   kubernetes.operator.default-configuration.flink-version.v1_20.<key>    this version only
 */
#ifndef FLINKOP_FLINK_DEFAULTS_H
#define FLINKOP_FLINK_DEFAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "flinkop/flink_conf.h"
#include "flinkop/macros.h"

struct flink_defaults;
struct flink_version;

/** From the text of flink-conf.yaml (flat) or config.yaml (`yaml`). Lives in the arena. NULL with
 * ERR_PARSE for YAML that cannot be read. */
struct flink_defaults *flink_defaults_parse(struct arena *a, const char *text, size_t len,
                                            bool yaml, struct error *err) MUST_CHECK;

/** What a cluster in this namespace starts from; version may be NULL (then no version's layers).
 * The layers themselves are not in the result. */
struct conf flink_defaults_for(struct arena *a, const struct flink_defaults *d, const char *ns,
                               const struct flink_version *version);

/** An option of the operator as text, or NULL. */
const char *flink_defaults_option(const struct flink_defaults *d, const char *key);

#endif
