/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election by a Lease (coordination.k8s.io/v1), by the rules of client-go
 * (tools/leaderelection): who finds that the record has not changed for as long as it says takes
 * it; nobody's wall clock is believed. The holder renews it every 2 s and gives up after 10 s
 * without success, while others wait for 15 s (or other times: see kube_lease_times).
 *
 * A fence goes with it: asked right before a write is sent, it is open only while the last renewal
 * was *sent* less than 10 s ago. So a holder that was stopped or cut off writes nothing any more
 * when another one may have begun; what it had sent before that and arrives later meets the
 * resourceVersion or UID it carries.
 */
#ifndef FLINKOP_KUBE_LEASE_H
#define FLINKOP_KUBE_LEASE_H

#include <stdint.h>

#include "flinkop/macros.h"

struct http_fence;
struct kube_client;
struct kube_lease;

/* In ms. */
struct kube_lease_times {
    int64_t duration; /* others wait for so long; whole seconds; 15 s */
    int64_t deadline; /* it is given up so long after the last renewal was sent; 10 s */
    int64_t retry;    /* between two renewals; those who wait look twice as often; 2 s */
};

struct kube_lease_options {
    struct kube_client *kube;
    const char *ns, *name;
    const char *identity;          /* of this process, and of no other one ever */
    struct kube_lease_times times; /* all 0: client-go's */
    void (*acquired)(void *arg);
    /** It must not go on: another one may have begun. Called once at most. */
    void (*lost)(void *arg);
    void *arg;
};

/** Copies what it is given and begins to look at the Lease. Callbacks come in later turns. */
struct kube_lease *kube_lease_new(const struct kube_lease_options *o) MUST_CHECK;
/** Without giving it back. NULL is allowed. */
void kube_lease_free(struct kube_lease *l);
/** Open while it is held; lives as long as the Lease. */
const struct http_fence *kube_lease_fence(const struct kube_lease *l);
/** Who holds it as far as is known, NULL: nobody has answered yet; "" nobody holds it. */
const char *kube_lease_holder(const struct kube_lease *l);
/** Why the last call about it failed, NULL: it did not. */
const char *kube_lease_error(const struct kube_lease *l);
/** Gives it back, so that another one need not wait until it runs out, and calls done(arg): when
 * that is answered, or could not be done within 2 s. A renewal under way is waited for: its answer
 * tells which version to write to. Nothing else is called any more. */
void kube_lease_release(struct kube_lease *l, void (*done)(void *arg), void *arg);

#endif
