/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to an AdmissionReview (admission.k8s.io/v1), as text to text: whether a
 * FlinkDeployment, FlinkSessionJob or FlinkStateSnapshot may be written, by the checks that the
 * operator makes anyway (resource_check.h). Nothing is ever changed in it. Pure.
 *
 * What does not change the spec is let through, and so is whatever is being deleted: a resource
 * that is not valid must be able to go, with its finalizers. So is what is not in a namespace that
 * this operator serves, or does not match its label selector, what is no create or update, and any
 * subresource.
 */
#ifndef FLINKOP_ADMISSION_H
#define FLINKOP_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "flinkop/macros.h"

struct arena;
struct error;
struct flink_defaults;
struct label_selector;
struct strbuf;

struct admission_rules {
    const struct flink_defaults *defaults; /* may be NULL */
    const char *const *namespaces;         /* that are served, ends with NULL; none: all */
    const struct label_selector *selector; /* of the resources that are served, NULL: all */
};

/* What was asked and answered, for the log; strings in the arena. */
struct admission_verdict {
    bool allowed;
    const char *kind, *ns, *name;
    const char *message; /* why not; NULL: it is allowed */
};

/** Appends the answer. ERR_INVALID, ERR_PARSE or ERR_TOO_LARGE: it is no such question, and there
 * is none. */
int admission_answer(struct arena *a, const char *text, size_t len,
                     const struct admission_rules *rules, struct strbuf *ret,
                     struct admission_verdict *ret_verdict, struct error *err) MUST_CHECK;

#endif
