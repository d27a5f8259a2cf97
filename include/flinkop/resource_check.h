/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole resource looked at, as `flink-operator validate` and the webhook do; each pass of the
 * operator makes the same checks, without `strict`, of what is stored. Pure.
 */
#ifndef FLINKOP_RESOURCE_CHECK_H
#define FLINKOP_RESOURCE_CHECK_H

#include <stdbool.h>

#include "flinkop/json_map.h"
#include "flinkop/jv.h"
#include "flinkop/kube_resource.h"

struct cluster_config;
struct flink_defaults;

/** Adds what is wrong with a FlinkDeployment, FlinkSessionJob or FlinkStateSnapshot: its metadata
 * and its spec, by itself and beside the spec that is recorded as reconciled (ABSENT: none is).
 * `strict` as in deployment_spec_read. */
void resource_check(struct problems *p, enum kube_kind kind, jv object, jv recorded, bool strict,
                    const struct flink_defaults *defaults);

/* ---- rules that compare with the recorded spec (api-contract §2.15) ---- */

/** 13, 26 to 30, and what a job that is stopped with its state forbids; `config` is that of
 * `current`, NULL: it is not usable. The first one as "path: text" in the arena, NULL: none. */
const char *deployment_change_check(struct arena *a, jv recorded, jv current,
                                    const struct cluster_config *config);
/** The cluster of a job cannot change; 30. */
const char *session_job_change_check(struct arena *a, jv recorded, jv current);

/** Options of the operator in the resource's own configuration that it does not know, that have no
 * effect, or that only its administrator sets: a sentence each. */
void add_option_warnings(struct jv_list *list, jv spec);
/** What is no mistake: these; versions of Flink that are deprecated; advice.h. A list of sentences
 * in the arena, ABSENT: nothing. */
jv resource_warnings(struct arena *a, enum kube_kind kind, jv object,
                     const struct flink_defaults *defaults);

#endif
