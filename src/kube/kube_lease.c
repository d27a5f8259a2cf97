/* SPDX-License-Identifier: Apache-2.0 */
/*
 *            ┌── look ──► somebody's, and it changes ──┐
 *   waiting ─┴────────── given back, or ran out ──► take ──► leading ── renew every 2 s ──► …
 *                                                              │
 *                              10 s without success, or somebody else's ──► lost
 *
 * Every write carries the resourceVersion that was read, so of two who take it one fails.
 */
#include "flinkop/kube_lease.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/hash.h"
#include "flinkop/http.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"

/* client-go's and controller-runtime's defaults. */
#define LEASE_MS 15000
#define DEADLINE_MS 10000
#define RENEW_MS 2000
#define RELEASE_MS 2000
#define RELEASED_S 1     /* leaseDurationSeconds of a record that is given back, as client-go's */
#define LEASE_MAX_S 3600 /* of a record that others wrote */

static struct metric master =
    METRIC_GAUGE("leader_election_master_status",
                 "Gauge of if the reporting system is master of the relevant lease, 0 indicates "
                 "backup, 1 indicates master. 'name' is the string used to identify the lease.",
                 "name");

struct kube_lease {
    struct kube_client *kube;
    struct loop *loop;
    char *ns, *name, *identity;
    void (*acquired)(void *arg);
    void (*lost)(void *arg);
    void *arg;
    struct http_fence fence;
    struct kube_lease_times times;

    struct timer *timer;  /* for the next look or renewal */
    struct timer *expiry; /* when it counts as lost, or the release as failed */
    struct kube_request *request;
    int64_t sent; /* the request under way */

    /* The record as it was last seen. */
    char *holder, *version, *spec, *since;
    char *error;     /* of the last call, NULL: it succeeded */
    int64_t changed; /* when it was seen to change */
    int64_t lasts_ms;
    int transitions;

    bool leading;
    int64_t renewed; /* while leading: when the last successful renewal was sent */
    void (*released)(void *arg);
    void *released_arg;
};

static void act(void *arg);
static void give_back(struct kube_lease *l);

/* ---- what is known ---- */

static bool is_open(void *arg)
{
    const struct kube_lease *l = arg;

    return l->leading && clock_boot_ms() - l->renewed < l->times.deadline;
}

const struct http_fence *kube_lease_fence(const struct kube_lease *l)
{
    return &l->fence;
}

const char *kube_lease_holder(const struct kube_lease *l)
{
    return l->spec ? l->holder : NULL;
}

const char *kube_lease_error(const struct kube_lease *l)
{
    return l->error;
}

static bool is_ours(const struct kube_lease *l)
{
    return str_eq(l->holder, l->identity);
}

/* As its holder gave it back. One that a user has emptied keeps its holder's time: that one goes on
 * writing until its next renewal. */
static bool is_given_back(const struct kube_lease *l)
{
    return str_empty(l->holder) && l->lasts_ms == RELEASED_S * 1000;
}

static void remember(struct kube_lease *l, jv lease)
{
    cleanup_arena struct arena a = {0};
    jv spec = jv_get(lease, "spec");
    const char *text = json_text(&a, spec);
    const char *holder = str_or_empty(JV_STRING(spec, "holderIdentity"));
    bool stands_by = !l->leading && !str_empty(holder) && !str_eq(holder, l->identity);
    int64_t seconds = jv_int64_or(jv_get(spec, "leaseDurationSeconds"), LEASE_MS / 1000);

    if (!str_eq(l->spec, text))
        l->changed = clock_boot_ms();
    if (stands_by && !str_eq(l->holder, holder))
        log_info("standing by", KV("lease", l->name), KV("holder", holder));
    str_replace(&l->spec, text);
    str_replace(&l->holder, holder);
    str_replace(&l->since, JV_STRING(spec, "acquireTime"));
    str_replace(&l->version, JV_STRING(lease, "metadata", "resourceVersion"));
    l->lasts_ms = MIN(MAX(seconds, (int64_t)1), (int64_t)LEASE_MAX_S) * 1000;
    l->transitions = (int)MIN(MAX(jv_int64_or(jv_get(spec, "leaseTransitions"), 0), (int64_t)0),
                              (int64_t)INT32_MAX - 1);
}

/* Somebody has deleted it. Its holder may not know yet, so that goes on counting. */
static void gone(struct kube_lease *l)
{
    str_replace(&l->version, NULL);
    if (!l->spec) {
        str_replace(&l->spec, "");
        str_replace(&l->holder, "");
    }
}

/* ---- steps ---- */

static void again(struct kube_lease *l)
{
    int64_t ms = l->times.retry;

    /* Others look more often: how late they see the last renewal is how late they take over. */
    if (!l->leading) {
        ms = (int64_t)((double)ms / 2 * (1 - random_unit() / 5)); /* not all at once */
        int64_t left = l->changed + l->lasts_ms - clock_boot_ms();

        if (left > 0)
            ms = MIN(ms, left);
    }
    timer_start(l->timer, ms);
}

static void end(struct kube_lease *l)
{
    timer_stop(l->timer);
    timer_stop(l->expiry);
    kube_drop(TAKE_PTR(l->request));
}

static void lose(struct kube_lease *l, const char *why)
{
    l->leading = false;
    metric_set(&master, 0, l->name);
    end(l);
    log_error("leadership lost", KV("lease", l->name), KV("because", why),
              KV("holder", str_or_empty(l->holder)));
    l->lost(l->arg);
}

/* Timers stand still as the process does; what counts is the clock. */
static void on_expiry(void *arg)
{
    struct kube_lease *l = arg;

    if (l->released) {
        end(l);
        l->released(l->released_arg);
    } else if (is_open(l)) {
        timer_start(l->expiry, l->renewed + l->times.deadline - clock_boot_ms());
    } else {
        lose(l, "it could not be renewed");
    }
}

static void renewed(struct kube_lease *l)
{
    bool first = !l->leading;

    l->renewed = l->sent;
    l->leading = true;
    timer_start(l->expiry, MAX(l->renewed + l->times.deadline - clock_boot_ms(), (int64_t)0));
    again(l);
    if (!first)
        return;
    metric_set(&master, 1, l->name);
    log_info("leading", KV("lease", l->name), KV("identity", l->identity));
    l->acquired(l->arg);
}

static void send(struct kube_lease *l, enum kube_verb verb, const char *body, kube_done_fn done)
{
    l->sent = clock_boot_ms();
    l->request = kube_send(l->kube,
                           &(struct kube_call){.verb = verb,
                                               .kind = KIND_LEASE,
                                               .ns = l->ns,
                                               .name = l->name,
                                               .body = body,
                                               .timeout_ms = l->times.deadline / 2},
                           done, l);
}

/* Why it is not known, or not taken; told when it changes. */
static void trouble(struct kube_lease *l, const struct error *err)
{
    if (err && !str_eq(l->error, err->text))
        log_warn("no lease", KV("error", err->text));
    str_replace(&l->error, err ? err->text : NULL);
}

static void on_taken(void *arg, const struct kube_reply *reply)
{
    struct kube_lease *l = arg;
    bool patched = l->version != NULL;

    l->request = NULL;
    if (reply->err->code == ERR_NONE)
        remember(l, reply->object);
    if (l->released) {
        give_back(l);
        return;
    }
    if (reply->err->code == ERR_NONE) {
        trouble(l, NULL);
        renewed(l);
        return;
    }
    trouble(l, reply->err);
    str_replace(&l->version, NULL); /* to be read again */
    if (patched && (reply->err->code == ERR_CONFLICT || reply->err->code == ERR_NOT_FOUND))
        act(l);
    else
        again(l);
}

static jv record(struct kube_lease *l, struct arena *a, const char *holder)
{
    char now[RFC3339_MAX];
    bool same = is_ours(l) || !*holder;

    rfc3339_format_micro(clock_wall_ms(), now);
    return jv_dup(
        a, OBJ({"holderIdentity", STR(holder)},
               {"leaseDurationSeconds", INT(*holder ? l->times.duration / 1000 : RELEASED_S)},
               {"acquireTime", STR(same && l->since ? l->since : now)}, {"renewTime", STR(now)},
               {"leaseTransitions", INT(l->transitions + !same)}));
}

/* Takes it, or renews it. */
static void take(struct kube_lease *l)
{
    cleanup_arena struct arena a = {0};
    jv meta = OBJ({"name", STR(l->name)}, {"namespace", STR(l->ns)},
                  {"resourceVersion", STR(l->version)});
    jv lease = OBJ({"apiVersion", STR("coordination.k8s.io/v1")}, {"kind", STR("Lease")},
                   {"metadata", meta}, {"spec", record(l, &a, l->identity)});

    send(l, l->version ? KUBE_MERGE_PATCH : KUBE_CREATE, json_text(&a, lease), on_taken);
}

static void on_looked(void *arg, const struct kube_reply *reply)
{
    struct kube_lease *l = arg;

    l->request = NULL;
    if (reply->err->code == ERR_NONE) {
        remember(l, reply->object);
    } else if (reply->err->code == ERR_NOT_FOUND) {
        gone(l);
    } else {
        trouble(l, reply->err);
        again(l);
        return;
    }
    trouble(l, NULL);
    if (l->leading && !is_ours(l) && l->version) {
        lose(l, "somebody else has it");
        return;
    }
    if (is_ours(l) || is_given_back(l) || clock_boot_ms() - l->changed >= l->lasts_ms)
        take(l);
    else
        again(l);
}

static void act(void *arg)
{
    struct kube_lease *l = arg;

    if (l->leading && l->version)
        take(l);
    else
        send(l, KUBE_GET, NULL, on_looked);
}

/* ---- life ---- */

struct kube_lease *kube_lease_new(const struct kube_lease_options *o)
{
    struct kube_lease *l = xcalloc(1, sizeof(*l));

    *l = (struct kube_lease){.kube = o->kube,
                             .loop = kube_client_loop(o->kube),
                             .ns = xstrdup(o->ns),
                             .name = xstrdup(o->name),
                             .identity = xstrdup(o->identity),
                             .acquired = o->acquired,
                             .lost = o->lost,
                             .arg = o->arg,
                             .times = o->times};
    if (!l->times.duration)
        l->times = (struct kube_lease_times){LEASE_MS, DEADLINE_MS, RENEW_MS};
    l->fence = (struct http_fence){is_open, l};
    l->timer = timer_new(l->loop, act, l);
    l->expiry = timer_new(l->loop, on_expiry, l);
    timer_start(l->timer, 0);
    metric_set(&master, 0, l->name);
    return l;
}

void kube_lease_free(struct kube_lease *l)
{
    if (!l)
        return;
    kube_drop(l->request);
    timer_free(l->timer);
    timer_free(l->expiry);
    loop_undefer(l->loop, l);
    free(l->ns);
    free(l->name);
    free(l->identity);
    free(l->holder);
    free(l->version);
    free(l->spec);
    free(l->since);
    free(l->error);
    free(l);
}

static void on_released(void *arg, const struct kube_reply *reply)
{
    struct kube_lease *l = arg;

    l->request = NULL;
    if (reply->err->code != ERR_NONE)
        log_warn("lease not given back", KV("error", reply->err->text));
    end(l);
    l->released(l->released_arg);
}

static void give_back(struct kube_lease *l)
{
    cleanup_arena struct arena a = {0};

    send(l, KUBE_MERGE_PATCH,
         json_text(&a, OBJ({"metadata", OBJ({"resourceVersion", STR(l->version)})},
                           {"spec", record(l, &a, "")})),
         on_released);
}

void kube_lease_release(struct kube_lease *l, void (*done)(void *arg), void *arg)
{
    bool held = is_open(l) && l->version;

    timer_stop(l->timer);
    l->leading = false;
    metric_set(&master, 0, l->name);
    l->released = done;
    l->released_arg = arg;
    if (!held) {
        end(l);
        loop_defer(l->loop, l, done, arg);
        return;
    }
    timer_start(l->expiry, RELEASE_MS);
    if (!l->request) /* else when the renewal under way has told the next version */
        give_back(l);
}
