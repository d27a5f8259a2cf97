/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the API server knows who has a token, and lets them do something with a path: a
 * TokenReview (authentication.k8s.io/v1), then a SubjectAccessReview (authorization.k8s.io/v1) with
 * nonResourceAttributes, as controller-runtime's WithAuthenticationAndAuthorization does
 * (pkg/metrics/filters). Our own account needs `create` on tokenreviews and subjectaccessreviews.
 *
 * A yes counts for a minute, a no for ten seconds; a question that is under way is not asked twice.
 * Answers are kept by a hash of the token, path and verb, tokens are not. At most 8 questions are
 * under way, and 20 a second are begun; each is answered or given up within 8 s.
 */
#ifndef FLINKOP_KUBE_REVIEW_H
#define FLINKOP_KUBE_REVIEW_H

#include "flinkop/macros.h"

struct kube_client;
struct kube_review;
struct kube_reviews;

enum review_verdict {
    REVIEW_ALLOWED,
    REVIEW_STRANGER, /* nobody has this token */
    REVIEW_DENIED,
    REVIEW_UNKNOWN, /* the API server cannot be asked, or must not be so often */
};

/** text: the user's name for REVIEW_ALLOWED and REVIEW_DENIED, why not for REVIEW_UNKNOWN. */
typedef void (*kube_review_fn)(void *arg, enum review_verdict verdict, const char *text);

/** The client is borrowed and must outlive it. */
struct kube_reviews *kube_reviews_new(struct kube_client *c) MUST_CHECK;
/** Calls nobody any more. NULL is allowed. */
void kube_reviews_free(struct kube_reviews *r);

/** Asks, and calls fn once: before this returns if the answer is known (then NULL is returned),
 * else in a later turn, unless it is dropped. verb: as Kubernetes calls the method of a request to
 * what is no resource, "get", "put". */
struct kube_review *kube_review(struct kube_reviews *r, const char *token, const char *verb,
                                const char *path, kube_review_fn fn, void *arg) MUST_CHECK;
/** What is under way goes on, for the next one who asks. */
void kube_review_drop(struct kube_review *w);

#endif
