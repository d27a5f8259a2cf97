/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List and watch one kind: a state machine LIST -> WATCH -> (BACKOFF) -> ... with the rules and
 * numbers of client-go's reflector:
 *   - lists in pages, consistently (never resourceVersion=0), split item by item as they stream in;
 *   - watches with bookmarks and timeoutSeconds random in [300, 600]; a normal end resumes from the
 *     last resourceVersion without a list;
 *   - 410, as HTTP status or as an ERROR event in the stream, lists again; so does a resource
 *     version too large or an unknown ERROR;
 *   - failures back off from 0.8 s to 30 s, doubled, with jitter, forgotten after 2 min of health;
 *   - a stream without a byte for 150 s, in which two bookmarks should have come, is given up and
 *     resumed on another connection; TCP keep-alive and TCP_USER_TIMEOUT find half-open ones within
 *     a minute;
 *   - a line has a cap; one that is too long or malformed is an error of that watch, never a crash.
 *
 * The receiver does mark and sweep: between list_begin and list_end every object that exists is
 * given at least once through `object`; what was not given is gone (deleted while we did not look).
 * A list that cannot be finished starts over with another list_begin.
 *
 * Metrics: watch_last_event_timestamp_seconds{kind,namespace} (bookmarks count, so it moves every
 * minute on a healthy watch) and watch_relists_total{kind,namespace}.
 */
#ifndef FLINKOP_KUBE_WATCH_H
#define FLINKOP_KUBE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/jv.h"
#include "flinkop/kube_resource.h"

struct error;
struct kube_client;
struct kube_watch;

struct kube_watch_spec {
    enum kube_kind kind;
    const char *ns;             /* NULL: all namespaces */
    const char *label_selector; /* NULL: all */
    const char *field_selector; /* NULL: all */
    bool metadata_only;         /* ask for PartialObjectMetadata */
    bool patient;               /* once its back-off is at its cap, ask for what is forbidden every
                                   10 min only */
    int page_size;              /* 0: 500 */
    /* For tests: back-off, Retry-After and the stall limit are multiplied by this; 0: 1. */
    double time_scale;
};

struct kube_watch_sink {
    /* Any callback but the first may stop the watch. */
    /** A list is about to be asked for, also once more after a failure, or after 410. It will show
     * all that was written until now. */
    void (*list_begin)(void *arg);
    /** The object exists in this form. initial: it comes from a list, whose items mostly lack
     * apiVersion and kind. It lives until return. */
    void (*object)(void *arg, jv object, bool initial);
    /** It was deleted; the object is its last form. */
    void (*deleted)(void *arg, jv object);
    /** The list is complete, and of that version: the receiver is in step from here on. */
    void (*list_end)(void *arg, const char *resource_version);
    /** Told once per change: true when it cannot list or watch (err says why), false when it can
     * again; and once more when ERR_NOT_FOUND comes or goes: the server does not have the kind. */
    void (*trouble)(void *arg, bool in_trouble, const struct error *err);
    void *arg;
};

/** Starts at once. Everything is copied. */
struct kube_watch *kube_watch_start(struct kube_client *c, const struct kube_watch_spec *spec,
                                    const struct kube_watch_sink *sink);
void kube_watch_stop(struct kube_watch *w);
/** Ends the wait after a failure, if there is one. */
void kube_watch_hurry(struct kube_watch *w);
/** Whether the first list is complete. */
bool kube_watch_synced(const struct kube_watch *w);
/** Monotonic time of the last byte from the server. */
int64_t kube_watch_last_byte(const struct kube_watch *w);

/* Where a watch stands, for people. */
struct kube_watch_info {
    const char *resource_version; /* to go on from; NULL: a list is needed first */
    bool listing, synced, in_trouble;
    int lists;       /* complete ones, the first included */
    int64_t started; /* the request under way, or the last one */
    int64_t last_byte;
};
/** Its strings live until the next turn. */
struct kube_watch_info kube_watch_info(const struct kube_watch *w);

#endif
