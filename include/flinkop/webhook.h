/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The validating admission webhook: POST /validate, by TLS, answered by the operator's own checks
 * (admission.h). Every replica serves it; its certificate is one that the operator makes itself and
 * renews without a restart (webhook_trust.h in src/server).
 */
#ifndef FLINKOP_WEBHOOK_H
#define FLINKOP_WEBHOOK_H

#include <stdint.h>

#include "flinkop/macros.h"

struct error;
struct kube_client;
struct operator_config;
struct webhook;

struct webhook_options {
    struct kube_client *kube;       /* borrowed */
    int port;                       /* 0: any free one */
    const char *configuration;      /* name of the ValidatingWebhookConfiguration */
    const char *ns, *service;       /* of the Service through which the API server asks */
    int64_t life_ms;                /* of a certificate */
    struct operator_config *config; /* the webhook holds it */
};

/** ERR_INTERNAL names the port when it cannot be bound. */
struct webhook *webhook_new(const struct webhook_options *o, struct error *err) MUST_CHECK;
int webhook_port(const struct webhook *w);
/** Its rules are those of another configuration from now on. */
void webhook_configure(struct webhook *w, struct operator_config *config);
/** This process leads from now on. */
void webhook_lead(struct webhook *w);
/** Why nobody can ask it yet; NULL: it serves. */
const char *webhook_waits(const struct webhook *w);
/** NULL is allowed. */
void webhook_free(struct webhook *w);

#endif
