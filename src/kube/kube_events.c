/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/kube_events.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/slab.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"

/* client-go, tools/record/events_cache.go */
#define BURST 25
#define FOR_NEW 5 /* of these: what is told again and again must not hide what is new */
#define REFILL_MS 300000
#define SIMILAR_MAX 10
#define SIMILAR_WINDOW_MS 600000
#define CACHE_MAX 4096
#define MESSAGE_MAX 1024
#define COMBINED "(combined from similar events): "

#define MAX_CALLS 8
static const int64_t retry_ms[] = {2000, 4000, 8000, 16000};
#define MAX_TRIES ((int)ARRAY_SIZE(retry_ms) + 1)

/* What one object may cause. */
struct budget {
    double tokens;
    int64_t at; /* when they were counted */
};

/* Different messages of one reason about one object. */
struct similar {
    uint64_t seen[SIMILAR_MAX]; /* hashes of messages */
    int n;
    int64_t at; /* the last one */
};

/* To look is a patch without a count, whose answer shows it: reading events is a right that we do
 * not ask for. */
enum entry_step { STEP_CREATE, STEP_LOOK, STEP_COUNT };

#define KEY_MAX 17 /* maps go by the hash of what something is about, which is long */

/* One Event object. Thousands are remembered, and little of each while there is nothing to send. */
struct entry {
    struct kube_events *events;
    char key[KEY_MAX];
    enum kube_kind kind;
    bool warning;
    int64_t first, last; /* wall ms */
    struct arena a;      /* of what is to be sent: */
    const char *ns, *name, *object, *uid, *reason, *component;
    char *message;
    int count;   /* on the server */
    int pending; /* occurrences not told yet … */
    int told;    /* … and how many of them the call under way tells */
    enum entry_step step;
    int tries;
    struct kube_request *request;
    struct timer *retry; /* NULL: never needed */
    struct entry *next;  /* in the queue */
    bool queued;
};

struct kube_events {
    struct kube_client *client;
    struct loop *loop;
    struct strmap entries, budgets, similars;
    struct entry *queue, **last;
    int calls;
    bool refused; /* said so in the log */
};

static void pump(struct kube_events *e);

/* ---- entries ---- */

static bool entry_idle(const struct entry *n)
{
    return !n->queued && !n->request && !n->pending;
}

static void entry_rest(struct entry *n)
{
    timer_free(TAKE_PTR(n->retry));
    str_replace(&n->message, NULL);
    arena_free(&n->a);
}

static void entry_free(struct entry *n)
{
    kube_drop(n->request);
    entry_rest(n);
    slab_free(n, sizeof(*n));
}

/* Forgets the oldest event that nothing waits for; maps are in order of insertion. False when there
 * is no room and none to be made. */
static bool make_room(struct kube_events *e)
{
    struct strmap_entry *it;

    if (e->entries.count < CACHE_MAX)
        return true;
    strmap_foreach (it, &e->entries) {
        struct entry *n = it->value;

        if (!entry_idle(n))
            continue;
        strmap_remove(&e->entries, n->key);
        entry_free(n);
        return true;
    }
    return false;
}

/* The value of a key, made and zeroed if it is new; the oldest one goes when there are too many.
 * size: of all values of this map. */
static void *remember(struct strmap *m, const char *key, size_t size, bool *ret_new)
{
    void *value = strmap_get(m, key);
    struct strmap_entry *oldest = strmap_next(m, NULL);

    *ret_new = !value;
    if (value)
        return value;
    if (m->count >= CACHE_MAX)
        slab_free(strmap_remove(m, oldest->key), size);
    value = slab_calloc(size);
    strmap_put(m, key, value);
    return value;
}

static void enqueue(struct entry *n)
{
    struct kube_events *e = n->events;

    if (n->queued || n->request)
        return;
    n->queued = true;
    n->next = NULL;
    *e->last = n;
    e->last = &n->next;
}

static void on_retry(void *arg)
{
    struct entry *n = arg;

    enqueue(n);
    pump(n->events);
}

static char *entry_name(struct arena *a, const char *component, const char *key)
{
    char *name = arena_printf(a, "%s.%s", component, key);

    for (char *p = name; *p; p++) /* names of objects are lower-case */
        *p = isalnum((unsigned char)*p) || *p == '.' ? (char)tolower((unsigned char)*p) : '-';
    return name;
}

static struct entry *entry_new(struct kube_events *e, const char *key)
{
    struct entry *n = slab_calloc(sizeof(*n));

    n->events = e;
    memcpy(n->key, key, KEY_MAX);
    arena_init_small(&n->a, 300);
    strmap_put(&e->entries, key, n);
    return n;
}

/* What was given up before is not what is to be told now. */
static void entry_wake(struct entry *n, const struct kube_event *ev)
{
    n->first = clock_wall_ms();
    n->ns = arena_strdup(&n->a, ev->ns);
    n->name = entry_name(&n->a, ev->component, n->key);
    n->object = arena_strdup(&n->a, ev->name);
    n->uid = arena_strdup(&n->a, str_or_empty(ev->uid));
    n->reason = arena_strdup(&n->a, ev->reason);
    n->component = arena_strdup(&n->a, ev->component);
    n->kind = ev->kind;
    n->warning = ev->warning;
}

/* ---- sending ---- */

static char *create_body(struct arena *a, const struct entry *n)
{
    char first[RFC3339_MAX], last[RFC3339_MAX];
    const struct kube_resource *res = kube_resource(n->kind);

    rfc3339_format(n->first, first);
    rfc3339_format(n->last, last);
    return json_text(
        a, OBJ({"apiVersion", STR("v1")}, {"kind", STR("Event")},
               {"metadata", OBJ({"name", STR(n->name)}, {"namespace", STR(n->ns)})},
               {"involvedObject",
                OBJ({"apiVersion", STR(res->api_version)}, {"kind", STR(res->kind)},
                    {"namespace", STR(n->ns)}, {"name", STR(n->object)}, {"uid", STR(n->uid)})},
               {"type", STR(n->warning ? "Warning" : "Normal")}, {"reason", STR(n->reason)},
               {"message", STR(n->message)}, {"count", INT(n->pending)},
               {"firstTimestamp", STR(first)}, {"lastTimestamp", STR(last)},
               {"source", OBJ({"component", STR(n->component)})},
               {"reportingComponent", STR(n->component)}, {"reportingInstance", STR("")}));
}

static char *count_body(struct arena *a, const struct entry *n, int count)
{
    char last[RFC3339_MAX];

    rfc3339_format(n->last, last);
    return json_text(a, OBJ({"count", IF(count, INT(count))}, {"lastTimestamp", STR(last)},
                            {"message", STR(n->message)}));
}

/* Made by a call whose answer was lost, or that came twice: what it counts has been told. */
static bool is_made_now(const struct entry *n, jv object)
{
    const char *first = JV_STRING(object, "firstTimestamp");
    int64_t at;

    return first && rfc3339_parse(first, &at) && at / 1000 == n->first / 1000;
}

static void delivered(struct entry *n, const struct kube_reply *reply)
{
    n->tries = 0;
    if (n->step == STEP_LOOK) {
        n->count = (int)MIN(MAX(jv_int64_or(jv_get(reply->object, "count"), 1), 0), 1000000000);
        if (is_made_now(n, reply->object))
            n->pending -= MIN(n->count, n->pending);
    } else {
        n->count += n->told;
        n->pending -= n->told;
    }
    n->step = STEP_COUNT;
    if (n->pending)
        enqueue(n);
}

static void begin_anew(struct entry *n)
{
    n->step = STEP_CREATE;
    n->first = n->last;
}

/* An Event of ours from before a restart exists, or that of a call whose answer was lost; or ours
 * has expired on the server. */
static bool find_other_step(struct entry *n, enum errc code)
{
    if (n->step == STEP_CREATE && code == ERR_EXISTS)
        n->step = STEP_LOOK;
    else if (n->step != STEP_CREATE && code == ERR_NOT_FOUND)
        begin_anew(n);
    else
        return false;
    n->count = 0;
    return ++n->tries < MAX_TRIES;
}

static void failed(struct entry *n, const struct error *err)
{
    struct kube_events *e = n->events;

    if (find_other_step(n, err->code)) {
        enqueue(n);
        return;
    }
    if (error_is_transient(err) && n->tries + 1 < MAX_TRIES) {
        if (!n->retry)
            n->retry = timer_new(e->loop, on_retry, n);
        timer_start(n->retry, MAX(retry_ms[n->tries], (int64_t)err->retry_after_ms));
        n->tries++;
        return;
    }
    /* Nobody can write to a namespace that is being deleted, and nobody would read it. */
    if (strcmp(err->reason, "NamespaceTerminating") != 0 && !e->refused) {
        e->refused = err->code == ERR_FORBIDDEN;
        log_warn("event not delivered", KV("error", err->text));
    }
    n->pending = 0;
    n->tries = 0;
}

static void on_done(void *arg, const struct kube_reply *reply)
{
    struct entry *n = arg;
    struct kube_events *e = n->events;

    n->request = NULL;
    e->calls--;
    if (reply->err->code)
        failed(n, reply->err);
    else
        delivered(n, reply);
    if (entry_idle(n))
        entry_rest(n);
    pump(e);
}

static void send(struct entry *n)
{
    cleanup_arena struct arena a = {0};
    struct kube_call call = {.kind = KIND_EVENT, .ns = n->ns, .name = n->name};

    switch (n->step) {
    case STEP_CREATE:
        call.verb = KUBE_CREATE;
        call.body = create_body(&a, n);
        break;
    case STEP_LOOK:
        call.verb = KUBE_MERGE_PATCH;
        call.body = count_body(&a, n, 0);
        break;
    case STEP_COUNT:
        call.verb = KUBE_MERGE_PATCH;
        call.body = count_body(&a, n, n->count + n->pending);
        break;
    }
    n->told = n->pending;
    n->events->calls++;
    n->request = kube_send(n->events->client, &call, on_done, n);
}

static void pump(struct kube_events *e)
{
    while (e->queue && e->calls < MAX_CALLS) {
        struct entry *n = e->queue;

        e->queue = n->next;
        if (!e->queue)
            e->last = &e->queue;
        n->queued = false;
        send(n);
    }
}

/* ---- what is let through ---- */

static bool within_budget(struct kube_events *e, const char *object, bool is_new, int64_t now)
{
    bool fresh;
    struct budget *b = remember(&e->budgets, object, sizeof(*b), &fresh);

    if (fresh)
        *b = (struct budget){BURST, now};
    b->tokens = MIN(b->tokens + (double)(now - b->at) / REFILL_MS, (double)BURST);
    b->at = now;
    if (b->tokens < (is_new ? 1 : 1 + FOR_NEW))
        return false;
    b->tokens -= 1;
    return true;
}

/* Whether this message is one too many of its kind. */
static bool is_one_of_many(struct kube_events *e, const char *kind, const char *message,
                           int64_t now)
{
    bool fresh;
    struct similar *s = remember(&e->similars, kind, sizeof(*s), &fresh);
    uint64_t hash = hash_str(message);

    if (now - s->at > SIMILAR_WINDOW_MS)
        s->n = 0;
    s->at = now;
    for (int i = 0; i < s->n; i++)
        if (s->seen[i] == hash)
            return false;
    if (s->n == SIMILAR_MAX)
        return true;
    s->seen[s->n++] = hash;
    return false;
}

static const char *key_of(struct arena *a, const char *text)
{
    return arena_printf(a, "%016llx", (unsigned long long)hash_str(text));
}

void kube_events_emit(struct kube_events *e, const struct kube_event *ev)
{
    cleanup_arena struct arena a = {0};
    int64_t now = loop_now(e->loop);
    const char *object = arena_printf(&a, "%s|%d|%s|%s|%s", ev->component, (int)ev->kind, ev->ns,
                                      ev->name, str_or_empty(ev->uid));
    const char *kind = arena_printf(&a, "%s|%d|%s", object, ev->warning, ev->reason);
    const char *message = str_clean(&a, ev->message, MESSAGE_MAX - sizeof(COMBINED) - 3);
    const char *key = key_of(&a, arena_printf(&a, "%s|%s", kind, message));

    if (is_one_of_many(e, key_of(&a, kind), message, now)) {
        key = key_of(&a, kind);
        message = arena_printf(&a, COMBINED "%s", message);
    }
    struct entry *n = strmap_get(&e->entries, key);

    if (!within_budget(e, key_of(&a, object), !n, now)) {
        log_debug("event left out", KV("reason", ev->reason), KV("name", ev->name));
        return;
    }
    if (!n && make_room(e))
        n = entry_new(e, key);
    if (!n) {
        log_debug("event left out, too many wait", KV("reason", ev->reason));
        return;
    }
    if (entry_idle(n))
        entry_wake(n, ev);
    str_replace(&n->message, message);
    n->last = clock_wall_ms();
    n->pending++;
    if (!n->retry || !timer_active(n->retry))
        enqueue(n);
    pump(e);
}

/* ---- life ---- */

struct kube_events *kube_events_new(struct kube_client *c)
{
    struct kube_events *e = xcalloc(1, sizeof(*e));

    e->client = c;
    e->loop = kube_client_loop(c);
    e->last = &e->queue;
    return e;
}

void kube_events_free(struct kube_events *e)
{
    struct strmap_entry *it;

    if (!e)
        return;
    strmap_foreach (it, &e->entries)
        entry_free(it->value);
    strmap_foreach (it, &e->budgets)
        slab_free(it->value, sizeof(struct budget));
    strmap_foreach (it, &e->similars)
        slab_free(it->value, sizeof(struct similar));
    strmap_release(&e->entries);
    strmap_release(&e->budgets);
    strmap_release(&e->similars);
    free(e);
}
