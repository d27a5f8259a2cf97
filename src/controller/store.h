/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we know of one kind of objects: each projected to the few fields that decisions need, custom
 * resources also as compact text without managedFields. Whole objects are never kept.
 *
 * Watches fill it; so do the answers to our own writes (write-through), so that the next pass is
 * not planned on what was before them. Until the watch has caught up with such an answer, older
 * versions that it still delivers are ignored.
 */
#ifndef CONTROLLER_STORE_H
#define CONTROLLER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/jv.h"
#include "flinkop/kube_resource.h"
#include "flinkop/observed.h"

struct store;

struct stored {
    char *key; /* "namespace/name" */
    /* "namespace/cluster" it belongs to, of a FlinkStateSnapshot "Kind/namespace/name" of the job's
     * resource; NULL: none */
    const char *index;
    const struct obs_meta *meta; /* part of view */
    void *view;                  /* struct obs_…, by kind */
    const void *packed;          /* compact JSON of custom resources, deflated, else NULL */
    size_t packed_len, len;      /* of that; of the JSON */
};

/** The compact JSON of a custom resource. */
char *stored_text(struct arena *a, const struct stored *s) MUST_CHECK;
/** The same, parsed. */
jv stored_object(struct arena *a, const struct stored *s);

/** Told after the store has changed: `old` is NULL for a new object, `now` for one that is gone. */
typedef void (*store_change_fn)(void *arg, enum kube_kind kind, const struct stored *old,
                                const struct stored *now);

struct store *store_new(enum kube_kind kind, store_change_fn changed, void *arg);
void store_free(struct store *st);

const struct stored *store_get(const struct store *st, const char *ns, const char *name);
/** Whether one of this name is there, or has gone after store_burials() was `since`. */
bool store_had(const struct store *st, const char *ns, const char *name, size_t since);
/** Grows with each object that goes. */
size_t store_burials(const struct store *st);
const struct stored *store_get_key(const struct store *st, const char *key);
/** All pods, FlinkSessionJobs or FlinkStateSnapshots with this index; ret_n may be 0. Valid until
 * the store changes. */
const struct stored *const *store_by_index(const struct store *st, const char *index,
                                           size_t *ret_n);
size_t store_count(const struct store *st);
/** Memory for the objects themselves, without what finds them. */
size_t store_bytes(const struct store *st);
/** `void *at = NULL; const struct stored *s; while ((s = store_next(st, &at)))` */
const struct stored *store_next(const struct store *st, void **cursor);

/** From a watch (list: 0), or from a list, as store_list_begin() has it. An older version than the
 * known one is not believed, but for that of a list that began after our last write of it. */
void store_observe(struct store *st, jv object, uint64_t list);
/** From the answer to a write of ours. */
void store_write_through(struct store *st, jv object);
/** It is gone; ignored if another object has that name by now. uid may be NULL. */
void store_forget(struct store *st, const char *ns, const char *name, const char *uid);

/** Mark and sweep around a list of one namespace (NULL: all): begins when it is asked for, and ends
 * with the version that it is of. What was written later than that cannot be in it, and stays.
 * NULL: nothing stays that was there when it began. */
uint64_t store_list_begin(struct store *st);
void store_list_end(struct store *st, uint64_t mark, const char *ns, const char *resource_version);

#endif
