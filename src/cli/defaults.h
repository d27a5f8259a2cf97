/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DEFAULTS_H
#define CLI_DEFAULTS_H

#include "flinkop/error.h"

struct arena;
struct flink_defaults;

/** The operator's configuration out of a directory (config.yaml, else flink-conf.yaml, as in the
 * incumbent's image); none at all for NULL or a directory without either. NULL on errors. */
const struct flink_defaults *cli_defaults(struct arena *a, const char *dir, struct error *err);

#endif
