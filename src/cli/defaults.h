/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's configuration file: config.yaml or flink-conf.yaml in a directory. */
#ifndef CLI_DEFAULTS_H
#define CLI_DEFAULTS_H

#include <stddef.h>

struct error;
struct operator_config;

/** Reads it in that directory; without one, or with dir NULL, nothing is configured. namespaces: as
 * in operator_config_read(), whose result the caller holds. What the operator would warn of at its
 * start goes to stderr. NULL and err: it cannot be read, there is no such directory, or the
 * operator would not start with it. */
struct operator_config *cli_config(const char *dir, const char *namespaces, struct error *err);
/** Its text, malloc'd, with its name; "" and no name (NULL) where there is none. NULL and err: it
 * cannot be read. */
char *cli_defaults_text(const char *dir, const char **ret_name, size_t *ret_len, struct error *err);

#endif
