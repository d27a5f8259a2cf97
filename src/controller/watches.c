/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is watched. Cluster objects are found by their labels; of Services and ConfigMaps only the
 * metadata matters. Kinds that expose clusters, and the Secrets and ConfigMaps that pods refer to
 * (of them, too, only the metadata; content is read apart, ACT_READ_REFERENCE), are watched in a
 * namespace only while a cluster in it asks for one: the list that such a watch begins with also
 * tells whether the API server has the kind at all, and one that it does not have is looked for
 * again at the watch's back-off (every 30 to 60 s), so that a definition that comes later is found.
 * Who may not watch what pods refer to asks again every 10 min, and when another cluster asks for
 * it. FlinkStateSnapshots are always watched, and looked for in the same way: who upgrades the
 * operator may apply their definition later.
 *
 * A label selector counts for all three kinds of custom resources. While there is one,
 * FlinkDeployments and FlinkSessionJobs are watched a second time without it, only the metadata:
 * what others refer to and is left out is there all the same.
 *
 * Namespaces and selector may change at any time (watches_change). What is not watched any more
 * leaves the stores, and its targets are dropped when what they do has ended; nothing is written
 * for that.
 *
 * A namespace is worked on when all that is watched in it has been listed. One that may not be read
 * holds up nobody else.
 */
#include <string.h>

#include "controller_internal.h"
#include "flinkop/desired.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_watch.h"
#include "flinkop/label_selector.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

/* Others have labels of these names, too. */
#define OURS "app,type in (" TYPE_NATIVE "," TYPE_STANDALONE "," TYPE_OPERATOR ")"
#define OUR_PODS OURS ",component in (jobmanager,taskmanager)"
/* Those of Flink's high availability have the labels of the cluster, too, and change every few
 * seconds (KubernetesUtils.getConfigMapLabels). What Flink 2 does not mark so any more the store
 * leaves out. */
#define OUR_CONFIGMAPS OURS ",configmap-type!=high-availability"

#define NO_LEADERS "configmap-type!=high-availability"
/* Helm's are many, and no pod refers to them. */
#define NO_RELEASES "type!=helm.sh/release.v1"

static const struct kube_watch_spec watched[] = {
    {.kind = KIND_FLINKDEPLOYMENT},
    {.kind = KIND_FLINKSESSIONJOB},
    {.kind = KIND_FLINKSTATESNAPSHOT},
    {.kind = KIND_ANY_FLINKDEPLOYMENT, .metadata_only = true},
    {.kind = KIND_ANY_FLINKSESSIONJOB, .metadata_only = true},
    {.kind = KIND_DEPLOYMENT, .label_selector = OUR_PODS},
    {.kind = KIND_POD, .label_selector = OUR_PODS},
    {.kind = KIND_SERVICE, .label_selector = OURS, .metadata_only = true},
    {.kind = KIND_CONFIGMAP, .label_selector = OUR_CONFIGMAPS, .metadata_only = true},
    {.kind = KIND_SECRET, .field_selector = NO_RELEASES, .metadata_only = true, .patient = true},
    {.kind = KIND_ANY_CONFIGMAP,
     .label_selector = NO_LEADERS,
     .metadata_only = true,
     .patient = true},
    {.kind = KIND_INGRESS, .label_selector = EXPOSURE_SELECTOR},
    {.kind = KIND_ROUTE, .label_selector = EXPOSURE_SELECTOR},
    {.kind = KIND_NETWORKPOLICY, .label_selector = EXPOSURE_SELECTOR, .metadata_only = true},
    {.kind = KIND_PODDISRUPTIONBUDGET, .label_selector = BUDGET_SELECTOR, .metadata_only = true},
};

struct watcher {
    struct controller *c;
    const struct kube_watch_spec *spec;
    struct kube_watch *watch; /* NULL: it is not needed */
    struct store *store;
    struct scope *scope;
    const char *ns; /* of the scope */
    uint64_t mark;
    /* on demand */
    size_t askers;
    bool absent; /* the API server does not have the kind */
    /* all */
    char *error;    /* why it cannot be watched, NULL: it can */
    bool forbidden; /* that is because we lack the right */
};

/* A namespace, or all of them. */
struct scope {
    struct controller *c;
    char *ns;     /* NULL: all */
    bool in_step; /* all that has to be has been listed */
    struct watcher watchers[ARRAY_SIZE(watched)];
};

#define scopes_foreach(sc, c)                       \
    for (struct scope **sc##_at = (c)->scopes, *sc; \
         sc##_at < (c)->scopes + (c)->n_scopes && ((sc) = *sc##_at); sc##_at++)
#define watchers_foreach(w, sc) \
    for (struct watcher *w = (sc)->watchers; (w) < (sc)->watchers + ARRAY_SIZE(watched); (w)++)

static bool on_demand(const struct watcher *w)
{
    return exposure_has_kind(w->spec->kind) || reference_has_kind(w->spec->kind);
}

/* Nothing waits for it: the API server does not have the kind. */
static bool is_missing(const struct watcher *w)
{
    return w->absent && w->spec->kind == KIND_FLINKSTATESNAPSHOT;
}

static unsigned bit(const struct watcher *w)
{
    return 1U << w->spec->kind;
}

/* What everything in its namespace waits for. */
static bool is_due(const struct watcher *w)
{
    return w->watch && !on_demand(w) && !is_missing(w) && !kube_watch_synced(w->watch);
}

static bool is_in(const char *key, const char *ns)
{
    const char *rest = ns ? str_skip_prefix(key, ns) : "/";

    return rest && *rest == '/';
}

static struct scope *scope_of(const struct controller *c, const char *key)
{
    scopes_foreach(sc, c) if (is_in(key, sc->ns)) return sc;
    return NULL;
}

/* What came in by now was not worked on; nor was what has gone. */
static void enqueue_all(struct controller *c, const char *ns)
{
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        enum kube_kind kind = controlled[i];
        struct strmap_entry *e;
        const struct stored *s;
        void *at = NULL;

        while ((s = store_next(c->stores[kind], &at)))
            if (is_in(s->key, ns))
                enqueue(c, kind, s->key, PRIORITY_LOW);
        strmap_foreach (e, &c->kinds[kind].targets) {
            const struct target *t = e->value;

            if (is_in(t->key, ns) && !store_get_key(c->stores[kind], t->key))
                enqueue(c, kind, t->key, PRIORITY_LOW);
        }
    }
}

static void look_whether_in_step(struct scope *sc)
{
    if (sc->in_step)
        return;
    watchers_foreach(w, sc) if (is_due(w)) return;
    sc->in_step = true;
    enqueue_all(sc->c, sc->ns);
}

/* What its askers waited for is known, or has changed. */
static void tell_askers(struct watcher *w)
{
    struct strmap_entry *e;

    strmap_foreach (e, &w->c->kinds[KIND_FLINKDEPLOYMENT].targets) {
        const struct target *t = e->value;

        if (t->asked & bit(w))
            enqueue(w->c, KIND_FLINKDEPLOYMENT, t->key, PRIORITY_NORMAL);
    }
}

void references_changed(struct controller *c, enum kube_kind kind, const struct obs_meta *m)
{
    size_t len = strlen(m->ns);
    struct strmap_entry *e;

    strmap_foreach (e, &c->kinds[KIND_FLINKDEPLOYMENT].targets) {
        const struct target *t = e->value;

        if (t->references && !strncmp(t->key, m->ns, len) && t->key[len] == '/' &&
            references_name(t->references, kind, m->name))
            enqueue(c, KIND_FLINKDEPLOYMENT, t->key, PRIORITY_NORMAL);
    }
}

/* ---- what a watch tells ---- */

static void on_list_begin(void *arg)
{
    struct watcher *w = arg;

    w->mark = store_list_begin(w->store);
}

static void on_object(void *arg, jv object, bool initial)
{
    struct watcher *w = arg;

    w->c->listing = initial;
    store_observe(w->store, object, initial ? w->mark : 0);
    w->c->listing = false;
}

static void on_deleted(void *arg, jv object)
{
    struct watcher *w = arg;

    store_forget(w->store, str_or_empty(JV_STRING(object, "metadata", "namespace")),
                 str_or_empty(JV_STRING(object, "metadata", "name")),
                 JV_STRING(object, "metadata", "uid"));
}

static void on_list_end(void *arg, const char *resource_version)
{
    struct watcher *w = arg;

    store_list_end(w->store, w->mark, w->ns, resource_version);
    if (on_demand(w))
        tell_askers(w);
    look_whether_in_step(w->scope);
}

static void on_trouble(void *arg, bool in_trouble, const struct error *err)
{
    struct watcher *w = arg;
    const struct kube_resource *res = kube_resource(w->spec->kind);
    const struct log_kv where[] = {KV("resource", res->plural),
                                   KV("namespace", str_or(w->ns, "(all)"))};

    w->absent = in_trouble && err->code == ERR_NOT_FOUND;
    w->forbidden = in_trouble && err->code == ERR_FORBIDDEN;
    str_replace(&w->error, in_trouble ? err->text : NULL);
    if (in_trouble && w->absent && (on_demand(w) || is_missing(w)))
        log_info("the API server does not have this kind", where[0], where[1]);
    else if (in_trouble && reference_has_kind(w->spec->kind))
        log_warn("changes of what pods refer to are not noticed", where[0], where[1],
                 KV("error", err->text));
    else if (in_trouble)
        log_error("cannot watch", where[0], where[1], KV("error", err->text));
    else
        log_info("watching again", where[0], where[1]);
    if (on_demand(w))
        tell_askers(w);
    if (is_missing(w))
        look_whether_in_step(w->scope);
}

/* ---- on demand ---- */

static bool selects(enum kube_kind kind)
{
    return kind == KIND_FLINKDEPLOYMENT || kind == KIND_FLINKSESSIONJOB ||
           kind == KIND_FLINKSTATESNAPSHOT;
}

static bool looks_beyond(enum kube_kind kind)
{
    return kind == KIND_ANY_FLINKDEPLOYMENT || kind == KIND_ANY_FLINKSESSIONJOB;
}

static void watch_start(struct watcher *w)
{
    struct kube_watch_spec own = *w->spec;
    const struct kube_watch_sink sink = {.list_begin = on_list_begin,
                                         .object = on_object,
                                         .deleted = on_deleted,
                                         .list_end = on_list_end,
                                         .trouble = on_trouble,
                                         .arg = w};

    own.ns = w->ns;
    if (selects(w->spec->kind))
        own.label_selector = w->c->config->selector_text;
    w->watch = kube_watch_start(w->c->kube, &own, &sink);
}

static void watch_stop(struct watcher *w)
{
    kube_watch_stop(TAKE_PTR(w->watch));
    str_replace(&w->error, NULL);
    w->absent = w->forbidden = false;
}

/* Nothing of it stays in its store. */
static void forget_all(struct watcher *w)
{
    store_list_end(w->store, store_list_begin(w->store), w->ns, NULL);
}

void watches_ask(struct controller *c, struct target *t, unsigned kinds)
{
    struct scope *sc = scope_of(c, t->key);
    unsigned before = t->asked;

    t->asked = kinds;
    if (!sc || before == kinds)
        return;
    watchers_foreach(w, sc)
    {
        if (!on_demand(w) || !((before ^ kinds) & bit(w)))
            continue;
        if (kinds & bit(w)) {
            if (!w->askers++)
                watch_start(w);
            else
                kube_watch_hurry(w->watch);
        } else if (!--w->askers) {
            watch_stop(w);
            forget_all(w);
        }
    }
}

enum kind_served watches_served(const struct controller *c, enum kube_kind kind, const char *key,
                                const char **ret_error)
{
    struct scope *sc = scope_of(c, key);

    *ret_error = NULL;
    if (!sc)
        return SERVED_UNKNOWN;
    watchers_foreach(w, sc)
    {
        if (w->spec->kind != kind || !w->watch)
            continue;
        if (w->absent)
            return SERVED_NO;
        *ret_error = w->forbidden || !kube_watch_synced(w->watch) ? w->error : NULL;
        if (kube_watch_synced(w->watch))
            return SERVED_YES;
    }
    return SERVED_UNKNOWN;
}

/* ---- what pods refer to ---- */

struct finder {
    const struct controller *c;
    const char *ns;
};

static const struct obs_reference *find_reference(void *arg, enum kube_kind kind, const char *name)
{
    const struct finder *f = arg;
    const struct stored *s = store_get(f->c->stores[kind], f->ns, name);

    return s ? s->view : NULL;
}

void watches_references(const struct controller *c, struct arena *a, const struct stored *cr,
                        struct reference_view *ret)
{
    struct finder *f = arena_new(a, struct finder);

    *f = (struct finder){c, cr->meta->ns};
    for (size_t i = 0; i < REFERENCE_KINDS; i++)
        ret->served[i] = watches_served(c, reference_kinds[i], cr->key, &ret->error[i]);
    ret->get = find_reference;
    ret->arg = f;
}

/* ---- namespaces and the selector ---- */

static bool is_needed(const struct watcher *w)
{
    return looks_beyond(w->spec->kind) ? w->c->config->selector != NULL
                                       : !on_demand(w) || w->askers;
}

static void scope_open(struct controller *c, const char *ns)
{
    struct scope *sc = xcalloc(1, sizeof(*sc));
    struct strmap_entry *e;

    *sc = (struct scope){.c = c, .ns = xstrdup_or_null(ns)};
    c->scopes = xreallocarray(c->scopes, c->n_scopes + 1, sizeof(struct scope *));
    c->scopes[c->n_scopes++] = sc;
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
        sc->watchers[i] = (struct watcher){.c = c,
                                           .spec = &watched[i],
                                           .store = c->stores[watched[i].kind],
                                           .scope = sc,
                                           .ns = sc->ns};
    strmap_foreach (e, &c->kinds[KIND_FLINKDEPLOYMENT].targets) {
        const struct target *t = e->value;

        watchers_foreach(w, sc)
            w->askers += is_in(t->key, ns) && on_demand(w) && (t->asked & bit(w));
    }
    watchers_foreach(w, sc) if (is_needed(w)) watch_start(w);
}

static void scope_free(struct scope *sc)
{
    watchers_foreach(w, sc) watch_stop(w);
    free(sc->ns);
    free(sc);
}

/* What was known of it goes; of what is watched by another scope from now on, too: that lists it
 * anew. */
static void scope_close(struct controller *c, size_t i)
{
    struct scope *sc = c->scopes[i];

    c->scopes[i] = c->scopes[--c->n_scopes];
    watchers_foreach(w, sc)
    {
        watch_stop(w);
        forget_all(w);
    }
    enqueue_all(c, sc->ns);
    scope_free(sc);
}

static bool is_listed(const char *const *list, const char *ns)
{
    if (!*list)
        return !ns;
    for (; *list; list++)
        if (str_eq(*list, ns))
            return true;
    return false;
}

static void change_selector(struct scope *sc)
{
    watchers_foreach(w, sc)
    {
        if (!selects(w->spec->kind) && !looks_beyond(w->spec->kind))
            continue;
        watch_stop(w);
        if (is_needed(w))
            watch_start(w);
        else
            forget_all(w);
    }
    sc->in_step = false;
}

static const char *const *namespaces_of(const struct controller *c)
{
    static const char *const everywhere[] = {NULL, NULL};

    return *c->config->namespaces ? c->config->namespaces : everywhere;
}

static void open_missing(struct controller *c)
{
    const char *const *list = namespaces_of(c);

    do {
        bool there = false;

        scopes_foreach(sc, c) there |= str_eq(sc->ns, *list);
        if (!there)
            scope_open(c, *list);
    } while (*list && *++list);
}

void watches_change(struct controller *c, const struct operator_config *was)
{
    for (size_t i = c->n_scopes; i-- > 0;)
        if (!is_listed(c->config->namespaces, c->scopes[i]->ns))
            scope_close(c, i);
    if (!str_eq(was->selector_text, c->config->selector_text)) {
        scopes_foreach(sc, c) change_selector(sc);
    }
    open_missing(c);
    scopes_foreach(sc, c)
    {
        if (sc->in_step)
            enqueue_all(c, sc->ns);
    }
}

void watches_forget(struct controller *c, const char *key)
{
    cleanup_free char *ns = xstrdup(key);

    ns[strcspn(ns, "/")] = 0;
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++) {
        struct store *st = c->stores[watched[i].kind];

        store_list_end(st, store_list_begin(st), ns, NULL);
    }
}

enum presence watches_presence(const struct controller *c, enum kube_kind kind, const char *ns,
                               const char *name)
{
    enum kube_kind any = kind == KIND_FLINKDEPLOYMENT ? KIND_ANY_FLINKDEPLOYMENT
                                                      : KIND_ANY_FLINKSESSIONJOB;
    const struct stored *s = store_get(c->stores[any], ns, name);
    const struct obs_labelled *view = s ? s->view : NULL;

    if (store_get(c->stores[kind], ns, name))
        return PRESENT;
    if (!view || !c->config->selector)
        return NOT_PRESENT;
    return label_selector_matches(c->config->selector, view->labels) ? PRESENT_SOON : LEFT_OUT;
}

const char *left_out_text(const struct controller *c, struct arena *a, const char *name)
{
    return arena_printf(a,
                        "FlinkDeployment %s does not match the operator's label selector \"%s\", "
                        "so nothing is done",
                        name, c->config->selector_text);
}

/* ---- the whole ---- */

void watches_init(struct controller *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
        c->stores[watched[i].kind] = store_new(watched[i].kind, store_changed, c);
    open_missing(c);
}

void watches_release(struct controller *c)
{
    scopes_foreach(sc, c) scope_free(sc);
    free(c->scopes);
}

void watches_each(const struct controller *c,
                  void (*fn)(void *arg, const struct watch_state *state), void *arg)
{
    scopes_foreach(sc, c) watchers_foreach(w, sc) if (w->watch)
        fn(arg, &(struct watch_state){w->spec->kind, w->ns, kube_watch_info(w->watch), w->error});
}

bool watches_cover(const struct controller *c, const char *key)
{
    return scope_of(c, key) != NULL;
}

bool watches_in_step(const struct controller *c, const char *key)
{
    const struct scope *sc = scope_of(c, key);

    return sc && sc->in_step;
}

bool controller_synced(const struct controller *c)
{
    scopes_foreach(sc, c) watchers_foreach(w, sc) if (is_due(w)) return false;
    return true;
}

const char *controller_blind(const struct controller *c)
{
    scopes_foreach(sc, c)
        watchers_foreach(w, sc) if (!on_demand(w) && w->forbidden) return w->error;
    return NULL;
}

int64_t controller_silence(const struct controller *c)
{
    int64_t oldest = loop_now(c->loop);

    scopes_foreach(sc, c)
        watchers_foreach(w, sc) if (w->watch && !on_demand(w) && kube_watch_synced(w->watch))
            oldest = MIN(oldest, kube_watch_last_byte(w->watch));
    return loop_now(c->loop) - oldest;
}
