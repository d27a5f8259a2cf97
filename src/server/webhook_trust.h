/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the API server comes to trust the webhook. One pair of certificate and key is in a Secret,
 * and every replica looks at that; who leads makes it, renews it, and keeps the caBundle of the
 * ValidatingWebhookConfiguration right.
 *
 * A renewal is two steps, so that whatever is shown is trusted all the time: the new authority is
 * put beside the former one in the caBundle; when that has had time to get around, the new pair is
 * put into the Secret. The former authority stays in the bundle until what it has signed has run
 * out anyway, so nobody need tell that he shows the new one. Nothing in between is remembered: who
 * comes after a crash finds the former pair in the Secret and begins again.
 */
#ifndef SERVER_WEBHOOK_TRUST_H
#define SERVER_WEBHOOK_TRUST_H

#include <stdint.h>

#include "certificate.h"

struct kube_client;
struct webhook_trust;

struct webhook_trust_options {
    struct kube_client *kube;
    const char *ns, *service;  /* whose names are in the certificate; the Secret is SERVICE-tls */
    const char *configuration; /* name of the ValidatingWebhookConfiguration */
    int64_t life_ms;
    /** This pair is to be shown from now on. */
    void (*use)(void *arg, const struct certificate *c);
    void *arg;
};

/** Copies what it is given and begins to look. */
struct webhook_trust *webhook_trust_new(const struct webhook_trust_options *o) MUST_CHECK;
/** From now on it is the one that makes and renews. */
void webhook_trust_lead(struct webhook_trust *t);
/** Why there is no pair yet; NULL: there is one. */
const char *webhook_trust_waits(const struct webhook_trust *t);
/** NULL is allowed. */
void webhook_trust_free(struct webhook_trust *t);

#endif
