/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work queue of a controller (client-go's semantics): keys are deduplicated, a key is never
 * handed out twice at the same time, one that is added while it is worked on comes again
 * afterwards, failures back off per key, 5 ms to 1000 s doubled (here with a lower cap, given by
 * the caller), and high priorities go first: an edit by a user does not wait behind the 5,000 keys
 * of a first list. Among those of one priority the namespaces ("namespace/name") take turns: the
 * 5,000 keys of one do not come before those of another.
 *
 * Pure data structure: time is given, nothing is scheduled in here.
 */
#ifndef FLINKOP_WORKQUEUE_H
#define FLINKOP_WORKQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct workqueue;

enum workqueue_priority { PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH };

struct workqueue_options {
    const char *name;       /* label of the metrics */
    int64_t backoff_min_ms; /* 0: 5 ms */
    int64_t backoff_max_ms; /* 0: 1000 s */
};

struct workqueue *workqueue_new(const struct workqueue_options *o) MUST_CHECK;
/** From now on failures back off like this; 0: 5 ms, 1000 s, doubled. */
void workqueue_set_backoff(struct workqueue *q, int64_t min_ms, int64_t max_ms, double factor);
/** NULL is allowed. */
void workqueue_free(struct workqueue *q);

/** Ready at once. A key already waiting keeps the higher priority. */
void workqueue_add(struct workqueue *q, const char *key, enum workqueue_priority p, int64_t now);
/** Ready at `when` (monotonic ms) unless it becomes ready earlier; the earliest time wins. A later
 * workqueue_get of the key for another reason does not cancel it. */
void workqueue_add_at(struct workqueue *q, const char *key, int64_t when);
/** Ready after the key's back-off, which doubles with every call until workqueue_forget, and not
 * before at_least_ms (what a Retry-After has asked for; 0: nothing has) within the same limit. */
void workqueue_add_backoff(struct workqueue *q, const char *key, int64_t at_least_ms, int64_t now);
/** Ends the back-off of a key that succeeded. */
void workqueue_forget(struct workqueue *q, const char *key);
/** Failures in a row. */
unsigned workqueue_failures(const struct workqueue *q, const char *key);

/** The next ready key, highest priority first, each namespace in turn, oldest first; NULL if none.
 * It counts as worked on until workqueue_done. The string lives until then. most: namespaces of
 * which so many are worked on are passed over. */
const char *workqueue_get(struct workqueue *q, int64_t now, size_t most);
void workqueue_done(struct workqueue *q, const char *key, int64_t now);
/** Drops everything about a key whose object is gone (not while it is worked on: then at done). A
 * later workqueue_add is a new start. */
void workqueue_remove(struct workqueue *q, const char *key);

/** When the next key becomes ready: `now` if workqueue_get with the same `most` has one, INT64_MAX
 * if none will. */
int64_t workqueue_next(const struct workqueue *q, int64_t now, size_t most);
/** Ready keys. */
size_t workqueue_depth(const struct workqueue *q);

enum workqueue_state { WORKQUEUE_WORKING, WORKQUEUE_READY, WORKQUEUE_WAITING };

/* What is known of a key, for people. */
struct workqueue_item {
    const char *key;
    enum workqueue_state state;
    enum workqueue_priority priority; /* of one that is ready */
    int64_t since;                    /* when it became so; not of one that waits */
    int64_t when;                     /* when it becomes ready (once more), INT64_MAX: not known */
    unsigned failures;                /* in a row */
    bool again;                       /* added while it is worked on */
};

/** Calls fn for the keys that are worked on, those that are ready in the order in which they will
 * be handed out, then for those that wait for their time; of these the ones that have failed first.
 */
void workqueue_each(const struct workqueue *q,
                    void (*fn)(void *arg, const struct workqueue_item *item), void *arg);
/** Keys about which anything is known. */
size_t workqueue_items(const struct workqueue *q);

/**
 * Metrics have client-go's names: workqueue_adds_total, _retries_total, _queue_duration_seconds and
 * _work_duration_seconds are kept as things happen. This sets the gauges (_depth,
 * _unfinished_work_seconds, _longest_running_processor_seconds); call it before each scrape.
 */
void workqueue_observe(const struct workqueue *q, int64_t now);

#endif
