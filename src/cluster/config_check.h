/* SPDX-License-Identifier: Apache-2.0 */
/* Values of Flink's kubernetes.* keys and pod templates: what would otherwise be dropped, or
 * refused by the API server when the cluster is already being replaced. */
#ifndef CLUSTER_CONFIG_CHECK_H
#define CLUSTER_CONFIG_CHECK_H

#include "flinkop/cluster_config.h"

/** Adds a problem for each; needs spec, name and conf of c. */
void cluster_config_check(struct problems *p, const struct cluster_config *c);
/** The same for what a FlinkSessionJob says itself. */
void session_job_keys_check(struct problems *p, const struct conf *own);

#endif
