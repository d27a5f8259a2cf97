/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/label_selector.h"
#include "flinkop/mem.h"
#include "flinkop/plan.h"
#include "flinkop/slab.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/strmap.h"
#include "store_text.h"

#define TEXT_MAX (4 * 1024 * 1024)
#define KEEP_ROOM (64 * 1024) /* of a buffer between two uses */
#define GRAVES 512
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

struct entry {
    struct stored s;
    struct arena arena; /* all that s points to */
    uint64_t written;   /* it is our own write: lists that had begun by then may be older */
    uint64_t mark;      /* the last list when it was seen */
    uint64_t listed;    /* the last one that had it as it is, where we have written it */
    size_t position;    /* in the group of its index */
};

struct group {
    const struct stored **items;
    size_t n, room;
};

struct store {
    enum kube_kind kind;
    store_change_fn changed;
    void *arg;
    struct strmap entries; /* key -> struct entry */
    struct strmap groups;  /* index -> struct group */
    size_t bytes;          /* of the entries with what they point to */
    uint64_t mark;
    struct arena scratch;
    struct strbuf text, packed; /* of the object that is being put */
    /* Hashes of the uids and keys that went last: an answer to a write of ours that comes after the
     * watch has told of the deletion must not bring the object back. */
    uint64_t graves[GRAVES];
    size_t next_grave;
};

struct store *store_new(enum kube_kind kind, store_change_fn changed, void *arg)
{
    struct store *st = xcalloc(1, sizeof(*st));

    *st = (struct store){.kind = kind, .changed = changed, .arg = arg};
    strbuf_init(&st->text, TEXT_MAX);
    strbuf_init(&st->packed, TEXT_MAX + KEEP_ROOM);
    return st;
}

static size_t entry_bytes(const struct entry *e)
{
    return sizeof(*e) + e->arena.total;
}

static void entry_free(struct store *st, struct entry *e)
{
    st->bytes -= entry_bytes(e);
    arena_free(&e->arena);
    slab_free(e, sizeof(*e));
}

static void group_free(struct group *g)
{
    slab_free(g->items, g->room * sizeof(*g->items));
    slab_free(g, sizeof(*g));
}

void store_free(struct store *st)
{
    struct strmap_entry *e;

    if (!st)
        return;
    strmap_foreach (e, &st->entries)
        entry_free(st, e->value);
    strmap_foreach (e, &st->groups)
        group_free(e->value);
    strmap_release(&st->entries);
    strmap_release(&st->groups);
    arena_free(&st->scratch);
    strbuf_release(&st->text);
    strbuf_release(&st->packed);
    free(st);
}

/* ---- projections ---- */

static bool keeps_text(enum kube_kind kind)
{
    return kind == KIND_FLINKDEPLOYMENT || kind == KIND_FLINKSESSIONJOB ||
           kind == KIND_FLINKSTATESNAPSHOT;
}

static void project_exposure(struct entry *e, jv object)
{
    struct obs_exposure *v = arena_new(&e->arena, struct obs_exposure);

    obs_exposure_read(&e->arena, object, v);
    e->s.view = v;
    e->s.meta = &v->meta;
    if (v->owner)
        e->s.index = arena_printf(&e->arena, "%s/%s", str_or_empty(v->meta.ns), v->owner);
}

static void project_labelled(struct entry *e, jv object)
{
    struct obs_labelled *v = arena_new(&e->arena, struct obs_labelled);

    obs_labelled_read(&e->arena, object, v);
    e->s.view = v;
    e->s.meta = &v->meta;
}

static void project(struct store *st, struct entry *e, const char *key, jv object)
{
    struct arena *a = &e->arena;

    e->s.key = arena_strdup(a, key);
    if (keeps_text(st->kind)) {
        e->s.packed = arena_strndup(a, st->packed.buf, st->packed.len);
        e->s.packed_len = st->packed.len;
        e->s.len = st->text.len;
    }
    switch (st->kind) {
    case KIND_POD: {
        struct obs_pod *v = arena_new(a, struct obs_pod);

        obs_pod_read(a, object, v);
        e->s.view = v;
        e->s.meta = &v->meta;
        break;
    }
    case KIND_DEPLOYMENT: {
        struct obs_deployment *v = arena_new(a, struct obs_deployment);

        obs_deployment_read(a, object, v);
        e->s.view = v;
        e->s.meta = &v->meta;
        break;
    }
    case KIND_INGRESS:
    case KIND_ROUTE:
    case KIND_NETWORKPOLICY:
    case KIND_PODDISRUPTIONBUDGET:
        project_exposure(e, object);
        return;
    case KIND_SECRET:
    case KIND_ANY_CONFIGMAP: {
        struct obs_reference *v = arena_new(a, struct obs_reference);

        obs_reference_read(a, object, v);
        e->s.view = v;
        e->s.meta = &v->meta;
        break;
    }
    case KIND_ANY_FLINKDEPLOYMENT:
    case KIND_ANY_FLINKSESSIONJOB:
        project_labelled(e, object);
        return;
    case KIND_FLINKSESSIONJOB: {
        struct obs_session_job *v = arena_new(a, struct obs_session_job);

        obs_session_job_read(a, object, v);
        e->s.view = v;
        e->s.meta = &v->meta;
        if (v->deployment_name)
            e->s.index = arena_printf(a, "%s/%s", str_or_empty(v->meta.ns), v->deployment_name);
        break;
    }
    case KIND_FLINKSTATESNAPSHOT: {
        struct obs_snapshot *v = arena_new(a, struct obs_snapshot);

        obs_snapshot_read(a, object, v);
        e->s.view = v;
        e->s.meta = &v->meta;
        if (v->job_kind != KIND_COUNT && v->job_name)
            e->s.index = arena_printf(a, "%s/%s/%s", kube_resource(v->job_kind)->kind,
                                      str_or_empty(v->meta.ns), v->job_name);
        break;
    }
    default: {
        struct obs_meta *v = arena_new(a, struct obs_meta);

        obs_meta_read(a, object, v);
        e->s.view = v;
        e->s.meta = v;
    }
    }
    if (!keeps_text(st->kind) && e->s.meta->app)
        e->s.index = arena_printf(a, "%s/%s", str_or_empty(e->s.meta->ns), e->s.meta->app);
}

/* Without what is large and concerns others only. */
static void compact(struct strbuf *sb, jv object)
{
    cleanup_arena struct arena a = {.block = 2000};
    jv metadata = jv_get(object, "metadata"), annotations = jv_get(metadata, "annotations");

    if (jv_present(jv_get(annotations, LAST_APPLIED)))
        metadata =
            jv_set(&a, metadata, "annotations", jv_set(&a, annotations, LAST_APPLIED, ABSENT));
    metadata = jv_set(&a, metadata, "managedFields", ABSENT);
    strbuf_reset(sb);
    json_write(sb, jv_set(&a, object, "metadata", metadata));
}

/* Objects are many and stay: each gets one block of the size that a trial has shown. */
static void fill(struct store *st, struct entry *e, const char *key, jv object)
{
    struct entry trial = {.arena = st->scratch};

    if (keeps_text(st->kind)) {
        compact(&st->text, object);
        strbuf_reset(&st->packed);
        text_pack(&st->packed, st->text.buf, st->text.len);
    }
    project(st, &trial, key, object);
    arena_init_small(&e->arena, trial.arena.total);
    project(st, e, key, object);
    st->scratch = trial.arena;
    arena_reset(&st->scratch);
    if (st->text.room > KEEP_ROOM)
        strbuf_release(&st->text);
    if (st->packed.room > KEEP_ROOM)
        strbuf_release(&st->packed);
}

char *stored_text(struct arena *a, const struct stored *s)
{
    return text_unpack(a, s->packed, s->packed_len, s->len);
}

jv stored_object(struct arena *a, const struct stored *s)
{
    struct error err;
    jv object;

    if (json_parse(a, stored_text(a, s), s->len, &object, &err))
        BUG("stored %s: %s", s->key, err.text); /* we wrote that text ourselves */
    return object;
}

/* ---- the index ---- */

/* Of the other kinds there is one for each cluster, found by its name. */
static bool is_indexed(enum kube_kind kind)
{
    return kind == KIND_POD || kind == KIND_FLINKSESSIONJOB || kind == KIND_FLINKSTATESNAPSHOT;
}

static void group_grow(struct group *g)
{
    size_t room = g->room ? g->room * 2 : 2;
    const struct stored **items = slab_alloc(room * sizeof(*items));

    if (g->n)
        memcpy(items, g->items, g->n * sizeof(*items));
    slab_free(g->items, g->room * sizeof(*items));
    g->items = items;
    g->room = room;
}

static void group_add(struct store *st, struct entry *e)
{
    struct group *g;

    if (!e->s.index || !is_indexed(st->kind))
        return;
    g = strmap_get(&st->groups, e->s.index);
    if (!g) {
        g = slab_calloc(sizeof(*g));
        strmap_put(&st->groups, e->s.index, g);
    }
    if (g->n == g->room)
        group_grow(g);
    e->position = g->n;
    g->items[g->n++] = &e->s;
}

static void group_remove(struct store *st, struct entry *e)
{
    struct group *g = e->s.index ? strmap_get(&st->groups, e->s.index) : NULL;

    if (!g)
        return;
    struct entry *last = strmap_get(&st->entries, g->items[g->n - 1]->key);

    g->items[e->position] = &last->s;
    last->position = e->position;
    if (--g->n)
        return;
    strmap_remove(&st->groups, e->s.index);
    group_free(g);
}

const struct stored *const *store_by_index(const struct store *st, const char *index, size_t *ret_n)
{
    BUG_ON(!is_indexed(st->kind));
    const struct group *g = strmap_get(&st->groups, index);

    *ret_n = g ? g->n : 0;
    return g ? g->items : NULL;
}

/* ---- reading ---- */

const struct stored *store_get_key(const struct store *st, const char *key)
{
    struct entry *e = strmap_get(&st->entries, key);

    return e ? &e->s : NULL;
}

static bool key_put(const char *ns, const char *name, char *key, size_t size)
{
    return (size_t)snprintf(key, size, "%s/%s", ns, name) < size;
}

const struct stored *store_get(const struct store *st, const char *ns, const char *name)
{
    char key[512];

    return key_put(ns, name, key, sizeof(key)) ? store_get_key(st, key) : NULL;
}

size_t store_count(const struct store *st)
{
    return st->entries.count;
}

size_t store_bytes(const struct store *st)
{
    return st->bytes;
}

const struct stored *store_next(const struct store *st, void **cursor)
{
    struct strmap_entry *at = strmap_next(&st->entries, *cursor);

    *cursor = at;
    return at ? &((struct entry *)at->value)->s : NULL;
}

/* ---- writing ---- */

/* What is written while a list is under way is as good as given by it. */
static void put(struct store *st, const char *key, jv object, struct entry *old, uint64_t written)
{
    struct entry *e = slab_calloc(sizeof(*e));

    fill(st, e, key, object);
    st->bytes += entry_bytes(e);
    e->mark = st->mark;
    e->written = written;
    if (old)
        group_remove(st, old);
    strmap_put(&st->entries, key, e);
    group_add(st, e);
    st->changed(st->arg, st->kind, old ? &old->s : NULL, &e->s);
    if (old)
        entry_free(st, old);
}

static bool key_of(jv object, char *key, size_t size)
{
    const char *ns = JV_STRING(object, "metadata", "namespace");
    const char *name = JV_STRING(object, "metadata", "name");

    return ns && name && key_put(ns, name, key, size);
}

/* Versions of one resource are decimal numbers that grow with every write (Kubernetes' API
 * concepts, "Resource versions"). A server that gives something else is taken at its word. */
static bool is_older(const char *version, const char *than)
{
    int64_t a, b;

    return str_to_int64(version, &a) && str_to_int64(than, &b) && a < b;
}

/* Flink's high availability renews its ConfigMaps, which have the labels of the cluster, every few
 * seconds; only Flink before 2.0 marks them so that the watch leaves them out. No pod refers to
 * what a leader renews. */
static bool is_flinks(const struct store *st, jv object)
{
    jv m = jv_get(object, "metadata");

    if (st->kind == KIND_ANY_CONFIGMAP)
        return JV_STRING(m, "annotations", HA_LEADER_ANNOTATION) != NULL;
    return st->kind == KIND_CONFIGMAP &&
           str_has_suffix(str_or_empty(JV_STRING(m, "name")), "-config-map") &&
           !JV_STRING(m, "annotations", ANNOTATION_SPEC_HASH);
}

/* since: as store_burials() told; 0: as far back as is known. */
static bool is_buried(const struct store *st, const char *uid_or_key, size_t since)
{
    size_t first = st->next_grave - MIN(st->next_grave, (size_t)GRAVES);
    uint64_t hash = hash_str(uid_or_key);

    for (size_t i = MAX(since, first); i < st->next_grave; i++)
        if (st->graves[i % GRAVES] == hash)
            return true;
    return false;
}

static void bury(struct store *st, const char *uid_or_key)
{
    st->graves[st->next_grave++ % GRAVES] = hash_str(uid_or_key);
}

/* A watch knows that it is there: it has come back to what is watched. */
static void exhume(struct store *st, const char *uid)
{
    uint64_t hash = hash_str(uid);

    for (size_t i = 0; i < MIN(st->next_grave, (size_t)GRAVES); i++)
        if (st->graves[i] == hash)
            st->graves[i] = 0;
}

void store_observe(struct store *st, jv object, uint64_t list)
{
    const char *version = str_or_empty(JV_STRING(object, "metadata", "resourceVersion"));
    char key[512];
    struct entry *old;

    if (!key_of(object, key, sizeof(key)) || is_flinks(st, object))
        return;
    old = strmap_get(&st->entries, key);
    if (old) {
        const char *known = old->s.meta->resource_version;

        old->mark = st->mark;
        old->listed = MAX(old->listed, list);
        /* A stream goes forward, however late it is, and reaches our own write. A list shows what
         * is true when it is asked for: an older version in one that was asked for after our write
         * is a control plane that was restored from a backup. */
        if (str_eq(version, known) || (list <= old->written && is_older(version, known)))
            return;
    }
    if (!old)
        exhume(st, str_or_empty(JV_STRING(object, "metadata", "uid")));
    put(st, key, object, old, 0);
}

size_t store_burials(const struct store *st)
{
    return st->next_grave;
}

bool store_had(const struct store *st, const char *ns, const char *name, size_t since)
{
    char key[512];

    return key_put(ns, name, key, sizeof(key)) &&
           (store_get_key(st, key) || is_buried(st, key, since));
}

static void drop(struct store *st, struct entry *e)
{
    bury(st, str_or_empty(e->s.meta->uid));
    bury(st, e->s.key);
    group_remove(st, e);
    strmap_remove(&st->entries, e->s.key);
    st->changed(st->arg, st->kind, &e->s, NULL);
    entry_free(st, e);
}

/* Taking the last finalizer off something that is being deleted ends it with that very write; the
 * answer shows it one last time. Pods have their grace period instead. */
static bool is_final(jv object)
{
    jv m = jv_get(object, "metadata");

    return jv_present(jv_get(m, "deletionTimestamp")) && !jv_len(jv_get(m, "finalizers")) &&
           jv_int64_or(jv_get(m, "deletionGracePeriodSeconds"), 0) == 0;
}

void store_write_through(struct store *st, jv object)
{
    const char *version = JV_STRING(object, "metadata", "resourceVersion");
    const char *uid = str_or_empty(JV_STRING(object, "metadata", "uid"));
    char key[512];
    struct entry *old;

    if (!version || !key_of(object, key, sizeof(key)) || is_buried(st, uid, 0) ||
        is_flinks(st, object))
        return;
    old = strmap_get(&st->entries, key);
    if (is_final(object)) {
        if (old && str_eq(uid, old->s.meta->uid))
            drop(st, old);
        return;
    }
    if (old && (str_eq(version, old->s.meta->resource_version) ||
                is_older(version, old->s.meta->resource_version)))
        return; /* nothing changed by it, or the watch was faster */
    put(st, key, object, old, st->mark);
}

void store_forget(struct store *st, const char *ns, const char *name, const char *uid)
{
    const struct stored *s = store_get(st, ns, name);

    if (s && (!uid || str_eq(uid, s->meta->uid)))
        drop(st, strmap_get(&st->entries, s->key));
}

uint64_t store_list_begin(struct store *st)
{
    return ++st->mark;
}

void store_list_end(struct store *st, uint64_t mark, const char *ns, const char *resource_version)
{
    struct strmap_entry *at;

    strmap_foreach (at, &st->entries) {
        struct entry *e = at->value;

        /* Written since it was asked for, and older than the list: it has come and gone. */
        bool gone = e->written >= mark && e->listed < mark &&
                    is_older(e->s.meta->resource_version, resource_version);

        if ((gone || e->mark < mark) && (!ns || str_eq(ns, e->s.meta->ns)))
            drop(st, e);
    }
}
