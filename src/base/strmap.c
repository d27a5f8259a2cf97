/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/strmap.h"

#include <string.h>

#include "flinkop/hash.h"
#include "flinkop/mem.h"
#include "flinkop/slab.h"

#define REMOVED UINT32_MAX

void strmap_release(struct strmap *m)
{
    for (size_t i = 0; i < m->used; i++)
        slab_strfree(m->entries[i].key);
    free(m->entries);
    free(m->index);
    *m = (struct strmap){0};
}

/* The index slot that holds the key, or NULL. */
static uint32_t *find(const struct strmap *m, const char *key, uint64_t hash)
{
    if (!m->index_size)
        return NULL;
    for (size_t i = hash & (m->index_size - 1);; i = (i + 1) & (m->index_size - 1)) {
        uint32_t at = m->index[i];

        if (!at)
            return NULL;
        if (at != REMOVED && m->entries[at - 1].hash == hash &&
            !strcmp(m->entries[at - 1].key, key))
            return &m->index[i];
    }
}

void *strmap_get(const struct strmap *m, const char *key)
{
    const uint32_t *slot = find(m, key, hash_str(key));

    return slot ? m->entries[*slot - 1].value : NULL;
}

static void index_add(struct strmap *m, size_t entry)
{
    size_t i = m->entries[entry].hash & (m->index_size - 1);

    while (m->index[i] && m->index[i] != REMOVED)
        i = (i + 1) & (m->index_size - 1);
    m->index[i] = (uint32_t)entry + 1;
}

/* Squeezes out removed entries and makes the index at least twice as large as the entries. */
static void rebuild(struct strmap *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->used; i++)
        if (m->entries[i].key)
            m->entries[n++] = m->entries[i];
    m->used = n;
    m->room = MAX((size_t)8, n * 2);
    m->entries = xreallocarray(m->entries, m->room, sizeof(*m->entries));
    m->index_size = 16;
    while (m->index_size < m->room * 2)
        m->index_size *= 2;
    free(m->index);
    m->index = xcalloc(m->index_size, sizeof(*m->index));
    for (size_t i = 0; i < n; i++)
        index_add(m, i);
}

void *strmap_put(struct strmap *m, const char *key, void *value)
{
    uint64_t hash = hash_str(key);
    const uint32_t *slot = find(m, key, hash);

    BUG_ON(!value);
    if (slot) {
        struct strmap_entry *e = &m->entries[*slot - 1];
        void *old = e->value;

        e->value = value;
        return old;
    }
    if (m->used == m->room)
        rebuild(m);
    m->entries[m->used] =
        (struct strmap_entry){.key = slab_strdup(key), .hash = hash, .value = value};
    index_add(m, m->used++);
    m->count++;
    return NULL;
}

void *strmap_remove(struct strmap *m, const char *key)
{
    uint32_t *slot = find(m, key, hash_str(key));

    if (!slot)
        return NULL;
    struct strmap_entry *e = &m->entries[*slot - 1];
    void *old = e->value;

    *slot = REMOVED;
    slab_strfree(e->key);
    *e = (struct strmap_entry){0};
    m->count--;
    return old;
}

struct strmap_entry *strmap_next(const struct strmap *m, struct strmap_entry *prev)
{
    size_t i = prev ? (size_t)(prev - m->entries) + 1 : 0;

    while (i < m->used && !m->entries[i].key)
        i++;
    return i < m->used ? &m->entries[i] : NULL;
}
