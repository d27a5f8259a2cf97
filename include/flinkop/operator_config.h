/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator's own configuration says, read and checked as a whole: a text that is wrong
 * anywhere gives none, so that a former one can go on counting. Whoever uses one holds it: another
 * may take its place at any time.
 */
#ifndef FLINKOP_OPERATOR_CONFIG_H
#define FLINKOP_OPERATOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/kube_lease.h"
#include "flinkop/macros.h"

struct error;
struct flink_defaults;
struct label_selector;

/* What is tried again after a failure waits for so long, in ms; 0: not set. */
struct backoff_limits {
    int64_t min, max;
    double factor;
};

struct operator_config {
    const struct flink_defaults *defaults;
    const char *const *namespaces;         /* to serve, ends with NULL; none: all */
    const char *selector_text;             /* NULL: all resources */
    const struct label_selector *selector; /* the same */
    const char *lease_name;                /* NULL: not set */
    int port;                              /* of /healthz; -1: not set */
    bool elects;
    struct kube_lease_times lease;
    struct backoff_limits backoff;
    int64_t flink_timeout_ms;   /* of a call to a JobManager */
    int64_t submission_ms;      /* of the call that runs a job */
    int64_t drain_ms;           /* what is under way may take so long at the end */
    int64_t check_ms;           /* the file is looked at so often; 0: never again */
    bool moves_namespaces;      /* another list of namespaces counts at once */
    const char *const *remarks; /* what has no effect, a sentence each; ends with NULL */
};

/**
 * Reads the text of a configuration file (file_name as in flink_defaults_read). namespaces: a list
 * with commas that counts instead of the configured one; NULL or "": none. The caller holds the
 * result; NULL: it is wrong, err tells where.
 */
struct operator_config *operator_config_read(const char *file_name, const char *text, size_t len,
                                             const char *namespaces, struct error *err) MUST_CHECK;
/** Returns the same, held once more; NULL is allowed. */
struct operator_config *operator_config_hold(struct operator_config *c);
/** It goes when nobody holds it any more. NULL is allowed. */
void operator_config_let_go(struct operator_config *c);
/** Whether both serve the same namespaces. */
bool operator_config_same_namespaces(const struct operator_config *a,
                                     const struct operator_config *b);
/** The i-th option of those that count at the start only whose value differs; NULL: no more. */
const char *operator_config_needs_restart(const struct operator_config *was,
                                          const struct operator_config *is, size_t i);

#endif
