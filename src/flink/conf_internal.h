/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the configuration share among themselves. */
#ifndef FLINK_CONF_INTERNAL_H
#define FLINK_CONF_INTERNAL_H

#include "flinkop/flink_conf.h"

/** The entry with exactly this key, or NULL. */
const struct conf_entry *conf_find(const struct conf *c, const char *key);
/** The first entry whose key is not below `key`; c->n if there is none. */
size_t conf_lower_bound(const struct conf *c, const char *key);

#define CONF_NAME_ROOM 256
/** The i-th name under which a key may stand, the key itself first; NULL: there are no more. room
 * is used when the name must be made. */
const char *conf_name(const char *key, size_t i, char room[CONF_NAME_ROOM]);

#endif
