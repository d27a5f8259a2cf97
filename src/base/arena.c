/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "flinkop/mem.h"
#include "flinkop/slab.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define BLOCK_SIZE (MEM_PAGES - sizeof(struct arena_block)) /* with its head just the pages */
#define ALIGN alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_init_small(struct arena *a, size_t block)
{
    *a = (struct arena){.block = block};
}

static size_t block_size(const struct arena *a)
{
    return a->block ? a->block : BLOCK_SIZE;
}

static struct arena_block *block_new(size_t size)
{
    struct arena_block *b = size == BLOCK_SIZE ? mem_pages_get() : slab_alloc(sizeof(*b) + size);

    *b = (struct arena_block){.size = size};
    ASAN_POISON_MEMORY_REGION(b->data, size);
    return b;
}

static void block_free(struct arena_block *b)
{
    ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
    if (b->size == BLOCK_SIZE)
        mem_pages_put(b);
    else
        slab_free(b, sizeof(*b) + b->size);
}

/* Bytes to leave out so that what follows is aligned. */
static size_t gap(const struct arena_block *b, size_t align)
{
    return -b->used & (align - 1);
}

static void *take(struct arena *a, size_t size, size_t align)
{
    struct arena_block *b = a->head;

    if (size > SIZE_MAX / 2)
        BUG("arena_alloc(%zu)", size);
    if (!b || b->size - b->used < size + gap(b, align)) {
        struct arena_block *fresh = block_new(MAX(size, block_size(a)));

        /* A big object gets a block of its own behind the head, which keeps its free room. */
        if (b && size > block_size(a) / 2) {
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->head = fresh;
        }
        b = fresh;
    }
    size_t pad = gap(b, align);
    void *p = b->data + b->used + pad;

    b->used += pad + size;
    a->total += pad + size;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return take(a, size, ALIGN);
}

void arena_free(struct arena *a)
{
    while (a->head) {
        struct arena_block *b = a->head;

        a->head = b->next;
        block_free(b);
    }
    a->total = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;

    while (a->head) {
        struct arena_block *b = a->head;

        a->head = b->next;
        if (!keep && b->size == block_size(a))
            keep = b;
        else
            block_free(b);
    }
    if (keep) {
        ASAN_POISON_MEMORY_REGION(keep->data, keep->size);
        keep->used = 0;
        keep->next = NULL;
    }
    a->head = keep;
    a->total = 0;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / 2 / size)
        BUG("arena_calloc(%zu, %zu)", n, size);
    return memset(arena_alloc(a, n * size), 0, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = take(a, n + 1, 1);

    memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;

    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        BUG("bad format %s", fmt);
    char *text = take(a, (size_t)n + 1, 1);

    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *text = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return text;
}
