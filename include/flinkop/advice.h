/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is no mistake, and yet seldom what was meant: `validate` and the webhook warn of it, and an
 * event tells it when such a spec is taken. Sentences that begin with a path. Pure.
 */
#ifndef FLINKOP_ADVICE_H
#define FLINKOP_ADVICE_H

#include <stdbool.h>

#include "flinkop/jv.h"

struct cluster_config;
struct conf;
struct job_spec;

/* The reason of the events. */
#define ADVICE "SpecWarning"

/** What the configuration of a cluster settles for the state of its jobs. */
struct state_settings {
    bool known;         /* else nothing of it is */
    bool savepoint_dir; /* execution.checkpointing.savepoint-dir */
    bool interval;      /* execution.checkpointing.interval */
};
struct state_settings state_settings_of(const struct conf *conf);

/** Adds to a list of texts; of a configuration without problems. */
void deployment_advice(struct jv_list *ret, const struct cluster_config *c);
/** `conf`: the operator's defaults with the job's own. */
void session_job_advice(struct jv_list *ret, const struct job_spec *job, const struct conf *conf,
                        const struct state_settings *cluster);

#endif
