/* SPDX-License-Identifier: Apache-2.0 */
/* What the status of both kinds has in common. */
#ifndef CLUSTER_STATUS_H
#define CLUSTER_STATUS_H

#include "flinkop/jv.h"
#include "flinkop/plan.h"

/* ---- the recorded spec (api-contract §1.6) ---- */

/** The spec in status.reconciliationStatus.lastReconciledSpec; ABSENT if there is none or it cannot
 * be read. Older forms of it are understood. */
jv recorded_spec(struct arena *a, jv cr);
/** The same of the one that was seen to run last, in status.reconciliationStatus.lastStableSpec. */
jv stable_spec(struct arena *a, jv cr);
/* What the Deployment of an application says against the record. */
enum started {
    STARTED_AS_RECORDED, /* nothing, or there is none */
    STARTED_BY_OTHERS,   /* it has been made, and nothing is recorded */
    STARTED_BY_US,       /* it was made from something else */
};
/** Why nothing may be done with a job: it has run, or may have, and the record of how cannot be
 * read, so that another run would be a second one, or one without its state. NULL: that is not so.
 * recorded: of recorded_spec; has_id: what runs has been given an id. */
const char *record_lost(struct arena *a, jv status, jv recorded, bool has_id, enum started started);
/** Why no other run of a job may begin: it is to go on from a state, and the status, which is ours,
 * does not tell any more from which; who puts that back mends it, or chooses one (job_redeploys).
 * NULL: that is not so. recorded: of recorded_spec; kind: of the resource. */
const char *state_lost(struct arena *a, enum kube_kind kind, jv status, jv recorded);
/** The last run of a FlinkSessionJob was ended with a savepoint: it was taken since that began.
 * job: status.jobStatus */
bool left_savepoint(jv job);
/** The text to record. */
const char *record_text(struct arena *a, jv spec, bool first_deployment);

/* ---- conditions ---- */

struct condition {
    const char *type;
    bool status;
    const char *reason, *message;
};
/** metav1.Conditions; lastTransitionTime is kept while the status of a type does not change. */
jv conditions_write(struct arena *a, jv old, const struct condition *c, size_t n,
                    int64_t generation, int64_t wall);

/** Tells who asks for the autoscaler that there is none; false: nobody does. */
bool autoscaling_condition(struct arena *a, jv spec, bool autoscaled, struct condition *ret);

/** Tells what is one of the two clusters of a FlinkBlueGreenDeployment; false: it is none. */
bool blue_green_condition(jv cr, struct condition *ret);

/* ---- errors ---- */

#define ERROR_PREFIX "org.apache.flink.kubernetes.operator.exception."
/** status.error as the incumbent writes it: {"type", "message", "additionalMetadata", …} as text.
 */
const char *error_text(struct arena *a, const char *type, const char *reason, const char *message);
#define ERROR_FIELD_MAX 2048 /* kubernetes.operator.exception.field.max.length */
#define ERROR_LABELS_KEY "kubernetes.operator.exception.label.mapper"
struct conf;
/** Such a text as the options in c want it: how long type and message are, and
 * additionalMetadata.labels. Anything else, and NULL, as it is. */
const char *error_form(struct arena *a, const struct conf *c, const char *text);
/** Whether a pattern of exception.label.mapper can match anything here. */
bool error_pattern_valid(const char *pattern);
/** The "message" in such a text, or the text itself. */
const char *error_message(struct arena *a, const char *text);

/** An Event about what has no effect in a spec that no status tells of yet. */
void tell_without_effect(struct plan *p, enum kube_kind kind, jv cr);

/* ---- writing ---- */

/** Adds ACT_STATUS with the difference between the CR's status and `status`, if there is any.
 * The patch carries the resourceVersion. */
void plan_status(struct plan *p, enum kube_kind kind, jv cr, jv status);
/** Adds a patch that puts the finalizer on or takes it off. */
void plan_finalizer(struct plan *p, enum kube_kind kind, jv cr, const char *finalizer, bool on);
bool has_finalizer(jv cr, const char *finalizer);
/** Whether the status that the pass before has planned was written. */
bool status_written(const struct outcome *outcomes, size_t n);
/** Whether a CustomResourceDefinition of a former version has no room for what we put into the
 * status. pruned: what was known of that; put: the pass before has put it there; there: it is. */
bool status_prunes(bool pruned, bool put, bool there, const struct outcome *outcomes, size_t n);
/** Why a write that failed will not be taken until something changes; reason NULL: it may be taken
 * the next time. */
struct obs_cause refusal_of(struct arena *a, const struct outcome *o);
/** An event about a status that must not be written: where else could that be told? */
void tell_unwritten(struct plan *p, enum kube_kind kind, jv cr, const struct outcome *outcomes,
                    size_t n);
/** Event about the CR. */
void plan_event(struct plan *p, enum kube_kind kind, jv cr, bool warning, const char *component,
                const char *reason, const char *message);
/** A warning for each of a list of texts. */
void plan_warnings(struct plan *p, enum kube_kind kind, jv cr, const char *component,
                   const char *reason, jv texts);

#endif
