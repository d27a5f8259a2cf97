/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from strings to pointers. Keys are copied; values belong to the caller. Iteration follows
 * the order of insertion, so that everything computed from a map is the same in every run.
 */
#ifndef FLINKOP_STRMAP_H
#define FLINKOP_STRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct strmap_entry {
    char *key; /* NULL: removed */
    uint64_t hash;
    void *value;
};

struct strmap {
    struct strmap_entry *entries; /* in insertion order, with holes */
    size_t used;                  /* entries in use or removed */
    size_t count;                 /* live entries */
    size_t room;
    uint32_t *index; /* open addressing; 0 = free, else entry number + 1 */
    size_t index_size;
};

/** `struct strmap m = {0};` is an empty map. */
void strmap_release(struct strmap *m);
void *strmap_get(const struct strmap *m, const char *key);
/** Stores value (not NULL) and returns the value it replaced, or NULL. */
void *strmap_put(struct strmap *m, const char *key, void *value);
/** Removes the key and returns its value, or NULL. Safe inside strmap_foreach for that entry. */
void *strmap_remove(struct strmap *m, const char *key);

struct strmap_entry *strmap_next(const struct strmap *m, struct strmap_entry *prev);
/** `struct strmap_entry *e; strmap_foreach(e, &map) use(e->key, e->value);`
 * Entries must not be added inside. */
#define strmap_foreach(e, m) for ((e) = strmap_next((m), NULL); (e); (e) = strmap_next((m), (e)))

#endif
