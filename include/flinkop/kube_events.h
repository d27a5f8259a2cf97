/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes Events about our resources. The same event again raises `count` instead of making a
 * new one; each object may cause 25 in a burst and then one every 5 minutes (client-go's spam
 * filter); a refusal (403) is logged once and otherwise ignored: events are never worth a failure.
 */
#ifndef FLINKOP_KUBE_EVENTS_H
#define FLINKOP_KUBE_EVENTS_H

#include <stdbool.h>

#include "flinkop/kube_resource.h"

struct kube_client;
struct kube_events;

struct kube_event {
    enum kube_kind kind; /* of the object it is about */
    const char *ns, *name, *uid;
    bool warning;          /* type Warning, else Normal */
    const char *reason;    /* CamelCase */
    const char *message;   /* cut at 1024 bytes as the API wants */
    const char *component; /* "Operator", "JobManagerDeployment", "Job" … (api-contract §2.16) */
};

struct kube_events *kube_events_new(struct kube_client *c);
void kube_events_free(struct kube_events *e);
/** Queues it; never fails. Everything is copied. */
void kube_events_emit(struct kube_events *e, const struct kube_event *event);

#endif
