/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the many small things that stay: what is known of each object, each cluster's own
 * books. Taken from malloc they would lie scattered between what a burst of calls (TLS, JSON) has
 * used for a moment, and every page with one of them would stay resident. Here each size has pages
 * of its own, and a page that is empty is given back (Bonwick, "The Slab Allocator", USENIX 1994).
 */
#ifndef FLINKOP_SLAB_H
#define FLINKOP_SLAB_H

#include <stddef.h>

#include "flinkop/macros.h"

/** size bytes, aligned for anything; never NULL. */
void *slab_alloc(size_t size) MUST_CHECK;
/** The same, zeroed. */
void *slab_calloc(size_t size) MUST_CHECK;
/** size: what was asked for. p may be NULL. */
void slab_free(void *p, size_t size);

/** Gives back to the system what is kept for the next burst. */
void slab_trim(void);

/** The same for strings, whose length is their size. NULL stays NULL. */
char *slab_strdup(const char *s) MUST_CHECK;
void slab_strfree(char *s);
/** Replaces *slot by a copy of s (NULL allowed) and frees what was there. */
void slab_str_replace(char **slot, const char *s);

#endif
