/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's configuration while it runs: read at the start and again at intervals
 * (kubernetes.operator.dynamic.config.check.interval). A file that is wrong is told, and what
 * counted before goes on counting.
 *
 * Metrics: flink_operator_config_last_reload_successful and
 * flink_operator_config_last_reload_success_timestamp_seconds.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "flinkop/macros.h"

struct error;
struct loop;
struct operator_config;
struct settings;

/** Reads the file in this directory. namespaces: a list that counts instead of the configured one;
 * NULL or "": none. NULL and err: it is wrong. Strings are borrowed. */
struct settings *settings_read(const char *dir, const char *namespaces,
                               struct error *err) MUST_CHECK;
/** What counts now; lives until the next turn, or as long as it is held. */
struct operator_config *settings_now(const struct settings *s);
/** Why the file as it is now does not count; NULL: it does. */
const char *settings_error(const struct settings *s);
/** Looks at the file from now on, and calls changed(arg) when something else counts. */
void settings_follow(struct settings *s, struct loop *loop, void (*changed)(void *arg), void *arg);
/** NULL is allowed. */
void settings_free(struct settings *s);

#endif
