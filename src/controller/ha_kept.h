/* SPDX-License-Identifier: Apache-2.0 */
/* What the domain gets to see of the ConfigMaps of Flink's high availability. */
#ifndef CONTROLLER_HA_KEPT_H
#define CONTROLLER_HA_KEPT_H

#include "flinkop/jv.h"

struct arena;

/** Of a list of ConfigMaps those that Flink has made for this cluster, as JSON: an array of their
 * {name, uid, version, leader, graphs, checkpoints}. */
const char *ha_kept_text(struct arena *a, jv configmaps, const char *cluster);

#endif
