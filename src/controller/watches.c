/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is watched. Cluster objects are found by their labels; of Services and ConfigMaps only the
 * metadata matters. Kinds that expose clusters, and the Secrets and ConfigMaps that pods refer to
 * (of them, too, only the metadata: their content is never asked for), are watched in a namespace
 * only while a cluster in it asks for one: the list that such a watch begins with also tells
 * whether the API server has the kind at all, and one that it does not have is looked for again at
 * the watch's back-off (every 30 to 60 s), so that a definition that comes later is found. Who may
 * not watch what pods refer to asks again every 10 min, and when another cluster asks for it.
 * FlinkStateSnapshots are always watched, and looked for in the same way: who upgrades the operator
 * may apply their definition later.
 *
 * A namespace is worked on when all that is watched in it has been listed. One that may not be read
 * holds up nobody else.
 */
#include <string.h>

#include "controller_internal.h"
#include "flinkop/desired.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_watch.h"
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
    struct kube_watch *watch; /* NULL: nobody asks for it */
    struct store *store;
    char *ns; /* NULL: all */
    uint64_t mark;
    /* on demand */
    size_t askers;
    bool absent; /* the API server does not have the kind */
    /* all */
    char *error;    /* why it cannot be watched, NULL: it can */
    bool forbidden; /* that is because we lack the right */
};

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

static struct watcher *watchers_of(const struct controller *c, size_t scope)
{
    return &c->watchers[scope * ARRAY_SIZE(watched)];
}

/* What everything in its namespace waits for. */
static bool is_due(const struct watcher *w)
{
    return !on_demand(w) && !is_missing(w) && !kube_watch_synced(w->watch);
}

/* What came in by now was not worked on. */
static void enqueue_all(struct controller *c, const char *ns)
{
    for (size_t i = 0; i < ARRAY_SIZE(controlled); i++) {
        const struct stored *s;
        void *at = NULL;

        while ((s = store_next(c->stores[controlled[i]], &at)))
            if (!ns || str_eq(s->meta->ns, ns))
                enqueue(c, controlled[i], s->key, PRIORITY_LOW);
    }
}

static void look_whether_in_step(struct watcher *of)
{
    struct controller *c = of->c;
    size_t scope = (size_t)(of - c->watchers) / ARRAY_SIZE(watched);
    const struct watcher *w = watchers_of(c, scope);

    if (c->in_step[scope])
        return;
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
        if (is_due(&w[i]))
            return;
    c->in_step[scope] = true;
    enqueue_all(c, of->ns);
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
    store_observe(w->store, object, loop_now(w->c->loop));
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

    store_list_end(w->store, w->mark, w->ns, resource_version, loop_now(w->c->loop));
    if (on_demand(w))
        tell_askers(w);
    look_whether_in_step(w);
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
        look_whether_in_step(w);
}

/* ---- on demand ---- */

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
    w->watch = kube_watch_start(w->c->kube, &own, &sink);
}

static void watch_stop(struct watcher *w)
{
    kube_watch_stop(TAKE_PTR(w->watch));
    str_replace(&w->error, NULL);
    w->absent = w->forbidden = false;
}

/* key: "namespace/name" */
static bool covers(const struct watcher *w, const char *key)
{
    const char *rest = w->ns ? str_skip_prefix(key, w->ns) : "/";

    return rest && *rest == '/';
}

void watches_ask(struct controller *c, struct target *t, unsigned kinds)
{
    unsigned before = t->asked;

    t->asked = kinds;
    for (size_t i = 0; i < c->n_watchers && before != kinds; i++) {
        struct watcher *w = &c->watchers[i];

        if (!on_demand(w) || !covers(w, t->key) || !((before ^ kinds) & bit(w)))
            continue;
        if (kinds & bit(w)) {
            if (!w->askers++)
                watch_start(w);
            else
                kube_watch_hurry(w->watch);
        } else if (!--w->askers) {
            watch_stop(w);
            store_list_end(w->store, store_list_begin(w->store), w->ns, NULL, 0);
        }
    }
}

enum kind_served watches_served(const struct controller *c, enum kube_kind kind, const char *key,
                                const char **ret_error)
{
    *ret_error = NULL;
    for (size_t i = 0; i < c->n_watchers; i++) {
        const struct watcher *w = &c->watchers[i];

        if (w->spec->kind != kind || !covers(w, key) || !w->watch)
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

/* ---- the whole ---- */

void watches_init(struct controller *c, const char *const *namespaces)
{
    static const char *const everywhere[] = {NULL, NULL};
    size_t n_ns = 0;

    if (!namespaces || !namespaces[0])
        namespaces = everywhere;
    while (n_ns == 0 || namespaces[n_ns])
        n_ns++;
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
        c->stores[watched[i].kind] = store_new(watched[i].kind, store_changed, c);
    c->in_step = xcalloc(n_ns, sizeof(*c->in_step));
    c->n_watchers = n_ns * ARRAY_SIZE(watched);
    c->watchers = xcalloc(c->n_watchers, sizeof(*c->watchers));
    for (size_t i = 0; i < c->n_watchers; i++) {
        struct watcher *w = &c->watchers[i];

        *w = (struct watcher){.c = c, .spec = &watched[i % ARRAY_SIZE(watched)]};
        w->store = c->stores[w->spec->kind];
        w->ns = xstrdup_or_null(namespaces[i / ARRAY_SIZE(watched)]);
        if (!on_demand(w))
            watch_start(w);
    }
}

void watches_release(struct controller *c)
{
    for (size_t i = 0; i < c->n_watchers; i++) {
        watch_stop(&c->watchers[i]);
        free(c->watchers[i].ns);
    }
    free(c->watchers);
    free(c->in_step);
}

void watches_each(const struct controller *c,
                  void (*fn)(void *arg, const struct watch_state *state), void *arg)
{
    for (size_t i = 0; i < c->n_watchers; i++) {
        const struct watcher *w = &c->watchers[i];

        if (w->watch)
            fn(arg,
               &(struct watch_state){w->spec->kind, w->ns, kube_watch_info(w->watch), w->error});
    }
}

bool watches_in_step(const struct controller *c, const char *key)
{
    for (size_t i = 0; i < c->n_watchers / ARRAY_SIZE(watched); i++)
        if (covers(watchers_of(c, i), key))
            return c->in_step[i];
    return false;
}

bool controller_synced(const struct controller *c)
{
    for (size_t i = 0; i < c->n_watchers; i++)
        if (is_due(&c->watchers[i]))
            return false;
    return true;
}

const char *controller_blind(const struct controller *c)
{
    for (size_t i = 0; i < c->n_watchers; i++)
        if (!on_demand(&c->watchers[i]) && c->watchers[i].forbidden)
            return c->watchers[i].error;
    return NULL;
}

int64_t controller_silence(const struct controller *c)
{
    int64_t oldest = loop_now(c->loop);

    for (size_t i = 0; i < c->n_watchers; i++)
        if (!on_demand(&c->watchers[i]) && kube_watch_synced(c->watchers[i].watch))
            oldest = MIN(oldest, kube_watch_last_byte(c->watchers[i].watch));
    return loop_now(c->loop) - oldest;
}
