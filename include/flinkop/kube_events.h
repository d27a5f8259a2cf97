/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes Events about our resources, with the rules of client-go's recorder. The same event
 * again raises `count` instead of making a new one, also across a restart, because its name follows
 * from its content, and one whose answer was lost counts once; from the 11th message of one reason
 * within 10 minutes on they are combined into one; each object may cause 25 in a burst, the last 5
 * of them only by what was not told before, and then one every 5 minutes. What cannot be delivered
 * is tried some times and then let go; a refusal (403) is logged once: events are never worth a
 * failure.
 */
#ifndef FLINKOP_KUBE_EVENTS_H
#define FLINKOP_KUBE_EVENTS_H

#include <stdbool.h>

#include "flinkop/kube_resource.h"
#include "flinkop/macros.h"

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

/** The client is borrowed and must outlive it. */
struct kube_events *kube_events_new(struct kube_client *c) MUST_CHECK;
/** Gives up what is not delivered yet. NULL is allowed. */
void kube_events_free(struct kube_events *e);
/** Queues it; never fails. Everything is copied; reason and message should be clean UTF-8. */
void kube_events_emit(struct kube_events *e, const struct kube_event *event);

#endif
