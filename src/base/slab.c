/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/slab.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "flinkop/mem.h"

#define ALIGN alignof(max_align_t)
#define FINE_MAX 256    /* sizes up to here in steps of ALIGN, then in eighths of a power of two */
#define SIZE_LIMIT 2048 /* what is larger is left to malloc */
#define STEPS 8         /* to twice the size */
#define CLASSES (FINE_MAX / ALIGN + STEPS * 3)
#define SLAB_BYTES ((size_t)16 << 10) /* aligned to that, so that a piece finds its slab */
#define REGION_BYTES ((size_t)1 << 20)
#define KEEP_EMPTY 16

struct piece {
    struct piece *next;
};

struct slab {
    struct slab *prev, *next; /* of its class, while it has room */
    struct piece *free;
    uint32_t class, used;
    uint32_t fresh; /* what begins here was never given out */
};

static struct {
    struct slab *with_room[CLASSES];
    struct slab *empty; /* of no class, linked by next */
    size_t n_empty;
    uintptr_t region, region_end; /* what is left of the one mapped last */
    size_t slabs;
} heap;

static size_t class_of(size_t size)
{
    size_t class = FINE_MAX / ALIGN, base = FINE_MAX;

    if (size <= FINE_MAX)
        return size ? (size - 1) / ALIGN : 0;
    for (; size > 2 * base; base *= 2)
        class += STEPS;
    return class + (size - base - 1) / (base / STEPS);
}

static size_t piece_size(size_t class)
{
    size_t coarse = class - FINE_MAX / ALIGN, base;

    if (class < FINE_MAX / ALIGN)
        return (class + 1) * ALIGN;
    base = (size_t)FINE_MAX << coarse / STEPS;
    return base + (coarse % STEPS + 1) * (base / STEPS);
}

/* ---- slabs ---- */

static void map_region(void)
{
    void *p = mmap(NULL, REGION_BYTES + SLAB_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        BUG("out of memory");
    heap.region = ((uintptr_t)p + SLAB_BYTES - 1) & ~(SLAB_BYTES - 1);
    heap.region_end = heap.region + REGION_BYTES;
}

static struct slab *slab_new(size_t class)
{
    struct slab *s = heap.empty;

    if (s) {
        heap.empty = s->next;
        heap.n_empty--;
    } else {
        if (heap.region == heap.region_end)
            map_region();
        s = (struct slab *)heap.region; // NOLINT(performance-no-int-to-ptr)
        heap.region += SLAB_BYTES;
        heap.slabs++;
    }
    *s =
        (struct slab){.class = (uint32_t) class, .fresh = sizeof(*s) + (-sizeof(*s) & (ALIGN - 1))};
    return s;
}

static void slab_drop(struct slab *s)
{
    if (heap.n_empty < KEEP_EMPTY) {
        s->next = heap.empty;
        heap.empty = s;
        heap.n_empty++;
        return;
    }
    munmap(s, SLAB_BYTES);
    heap.slabs--;
}

void slab_trim(void)
{
    while (heap.empty) {
        struct slab *s = heap.empty;

        heap.empty = s->next;
        munmap(s, SLAB_BYTES);
        heap.slabs--;
    }
    heap.n_empty = 0;
}

static void list_add(struct slab *s)
{
    struct slab **head = &heap.with_room[s->class];

    s->prev = NULL;
    s->next = *head;
    if (*head)
        (*head)->prev = s;
    *head = s;
}

static void list_remove(struct slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        heap.with_room[s->class] = s->next;
    if (s->next)
        s->next->prev = s->prev;
}

static bool has_room(const struct slab *s)
{
    return s->free || s->fresh + piece_size(s->class) <= SLAB_BYTES;
}

/* ---- pieces ---- */

/* Under ASan all of it is malloc's, which finds what is wrong with the use of it. */
static bool left_to_malloc(size_t size)
{
#if defined(__SANITIZE_ADDRESS__) && !defined(SLAB_UNDER_ASAN)
    return size || true;
#else
    return size > SIZE_LIMIT;
#endif
}

void *slab_alloc(size_t size)
{
    size_t class = class_of(MIN(size, SIZE_LIMIT));
    struct slab *s = heap.with_room[class];
    struct piece *p;

    if (left_to_malloc(size))
        return xmalloc(size);
    if (!s) {
        s = slab_new(class);
        list_add(s);
    }
    p = s->free;
    if (p) {
        s->free = p->next;
    } else {
        p = (struct piece *)((char *)s + s->fresh);
        s->fresh += (uint32_t)piece_size(class);
    }
    s->used++;
    if (!has_room(s))
        list_remove(s);
    return p;
}

void *slab_calloc(size_t size)
{
    return memset(slab_alloc(size), 0, size);
}

void slab_free(void *p, size_t size)
{
    struct piece *piece = p;
    struct slab *s;
    bool had_room;

    if (!p || left_to_malloc(size)) {
        free(p);
        return;
    }
    s = (struct slab *)((uintptr_t)p & ~(SLAB_BYTES - 1)); // NOLINT(performance-no-int-to-ptr)
    BUG_ON(s->class != class_of(size) || !s->used);
    had_room = has_room(s);
    piece->next = s->free;
    s->free = piece;
    if (!had_room)
        list_add(s);
    if (--s->used)
        return;
    list_remove(s);
    slab_drop(s);
}

/* ---- strings ---- */

char *slab_strdup(const char *s)
{
    return s ? memcpy(slab_alloc(strlen(s) + 1), s, strlen(s) + 1) : NULL;
}

void slab_strfree(char *s)
{
    if (s)
        slab_free(s, strlen(s) + 1);
}

void slab_str_replace(char **slot, const char *s)
{
    char *copy = slab_strdup(s);

    slab_strfree(*slot);
    *slot = copy;
}
