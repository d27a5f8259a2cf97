/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena hands out memory that is all given back at once: one per reconcile, one per decoded
 * watch event. Objects in it need no free and must not outlive arena_reset or arena_free. Under
 * ASan memory is poisoned until it is handed out, so a use after reset is found.
 */
#ifndef FLINKOP_ARENA_H
#define FLINKOP_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "flinkop/macros.h"

struct arena_block;

struct arena {
    struct arena_block *head; /* the block that allocations come from */
    size_t total;             /* bytes handed out since the last reset */
    size_t block;             /* size of a block; 0: 16 KiB */
};

/** An empty arena needs no memory; `struct arena a = {0};` does the same. */
void arena_init(struct arena *a);
/** For many small arenas that live long: blocks of this size (bytes). */
void arena_init_small(struct arena *a, size_t block);
/** Gives everything back but keeps one block for the next use. */
void arena_reset(struct arena *a);
/** Gives everything back. The arena may be used again. */
void arena_free(struct arena *a);

/** Memory for any type, not zeroed. Never NULL. */
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;
/** n zeroed elements of the given size. */
void *arena_calloc(struct arena *a, size_t n, size_t size) MUST_CHECK;
char *arena_strdup(struct arena *a, const char *s) MUST_CHECK;
char *arena_strndup(struct arena *a, const char *s, size_t n) MUST_CHECK;
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3) MUST_CHECK;
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) MUST_CHECK;

#define arena_new(a, type) ((type *)arena_calloc((a), 1, sizeof(type)))
#define arena_new_array(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))

/** `cleanup_arena struct arena a = {0};`: freed at the end of the scope. */
#define cleanup_arena CLEANUP(arena_free)

#endif
