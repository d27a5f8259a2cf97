/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flinkop/kube_client.h on the model API server: a call travels, is carried out, its answer
 * travels. On both ways it can be lost.
 */
#include "flinkop/kube_client.h"

#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "check.h"
#include "flink.h"
#include "flinkop/desired.h"
#include "flinkop/json.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_events.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "operator.h"
#include "users.h"

#define TIMEOUT_MS 15000

struct kube_counts kube_counts;
bool quota_exhausted;

struct kube_request {
    struct kube_request *next, **link;
    struct arena a;
    enum kube_verb verb;
    int kind;
    const char *name, *subresource, *uid, *version, *propagation, *selector;
    jv body;
    struct delete_context context;
    kube_done_fn done;
    void *arg;
    struct sim_event *event;
    bool dry;        /* nothing comes of it */
    bool travelling; /* not yet there */
    bool dropped;    /* nobody waits for the answer */
    bool silent;     /* the answer gets lost */
    struct error err;
    struct version *answer;
};

static const char *const verbs[] = {
    [KUBE_LIST] = "list",         [KUBE_CREATE] = "create", [KUBE_APPLY] = "apply",
    [KUBE_MERGE_PATCH] = "patch", [KUBE_DELETE] = "delete",
};

static struct kube_request *requests;

static void request_free(struct kube_request *r)
{
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    version_unref(r->answer);
    arena_free(&r->a);
    free(r);
}

static const char *what(struct kube_request *r)
{
    return arena_printf(&r->a, "%s %s %s%s%s", verbs[r->verb], kind_name(r->kind),
                        str_or_empty(r->name), r->subresource ? " " : "",
                        str_or_empty(r->subresource));
}

/* ---- the way back ---- */

static void answer(void *arg)
{
    struct kube_request *r = arg;
    struct kube_reply reply = {
        .err = &r->err, .object = r->answer ? r->answer->v : ABSENT, .text = ""};

    if (r->err.code)
        TRACE("operator <- %s: %s", what(r), r->err.text);
    r->done(r->arg, &reply);
    request_free(r);
}

static void answer_after(struct kube_request *r, int64_t ms)
{
    if (r->dropped)
        request_free(r);
    else
        r->event = sim_after(ms, answer, r);
}

static void fail(struct kube_request *r, int64_t ms, enum errc code, int http, const char *text)
{
    version_unref(TAKE_PTR(r->answer));
    error_set(&r->err, code, "%s: %s", what(r), text);
    r->err.http = http;
    answer_after(r, ms);
}

/* ---- carried out ---- */

/* A status patch without what is long and seldom the point. */
static const char *gist(struct arena *a, jv body)
{
    jv status = jv_get(body, "status"), conditions = jv_get(status, "conditions");

    status = jv_set(a, status, "reconciliationStatus", ABSENT);
    if (jv_present(conditions))
        status = jv_set(a, status, "conditions", jv_get(jv_at(conditions, 0), "message"));
    return json_text(a, status);
}

/* The selector is "metadata.name=<name>". */
static struct version *list_one(struct kube_request *r)
{
    const char *name = str_skip_prefix(r->selector, "metadata.name=");

    CHECK(name, "the operator lists %s by %s", kind_name(r->kind), r->selector);
    return api_list(r->kind, NULL, name);
}

/* The selector is "app=<cluster>,…". */
static struct version *list_kept(struct kube_request *r)
{
    const char *app = str_skip_prefix(r->selector, LABEL_APP "=");
    char *cluster = app ? arena_strndup(&r->a, app, strcspn(app, ",")) : NULL;

    CHECK(cluster, "the operator lists %s by %s", kind_name(r->kind), r->selector);
    app_keep_all(cluster);
    return api_list(KIND_HA, LABEL_APP, cluster);
}

/* Rules of the API server that its model does not have. */
static bool may_not_be(struct kube_request *r)
{
    if (r->verb == KUBE_CREATE && r->kind == KIND_POD && quota_exhausted) {
        r->err.http = 403;
        error_set(&r->err, ERR_FORBIDDEN,
                  "pods \"%s\" is forbidden: exceeded quota: compute, requested: "
                  "pods=1, used: pods=10, limited: pods=10",
                  r->name);
    } else if ((r->verb == KUBE_CREATE || r->verb == KUBE_APPLY) && user_is_refused(r->body)) {
        r->err.http = 422;
        error_set(&r->err, ERR_INVALID, "%s \"%s\" is invalid: schedulerName: Invalid value",
                  kind_name(r->kind), r->name);
    }
    return r->err.code != ERR_NONE;
}

static int carry_out(struct kube_request *r)
{
    enum actor by = BY_OPERATOR;

    if (r->verb == KUBE_LIST) {
        r->answer = r->kind == KIND_HA ? list_kept(r) : list_one(r);
        return 0;
    }

    if (may_not_be(r))
        return -1;
    if (r->dry)
        return 0;
    if (!r->version || !api_get(r->kind, r->name) ||
        str_eq(r->version, object_version(api_get(r->kind, r->name))))
        check_write(r->verb, r->kind, r->name, r->subresource, r->body, &r->context);
    switch (r->verb) {
    case KUBE_CREATE:
        return api_create(by, r->kind, r->body, &r->answer, &r->err);
    case KUBE_APPLY:
        return api_apply(by, r->kind, r->name, r->body, &r->answer, &r->err);
    case KUBE_MERGE_PATCH:
        return api_patch(by, r->kind, r->name, r->subresource, r->body, &r->answer, &r->err);
    default:
        return api_delete(by, r->kind, r->name, r->uid, r->version, r->propagation, &r->answer,
                          &r->err);
    }
}

static void arrive(void *arg)
{
    struct kube_request *r = arg;
    int64_t back = skewed(R_LATENCY, 1, 40);

    r->event = NULL;
    r->travelling = false;
    if (fault(FAULT_SLOW, 0.03))
        back += between(R_FAULT, 100, 8000);
    if (fault(FAULT_API, 0.01)) {
        fail(r, back, ERR_SERVER, 500, "etcdserver: leader changed");
        return;
    }
    if (fault(FAULT_API, 0.005)) {
        fail(r, back, ERR_THROTTLED, 429, "too many requests");
        return;
    }
    if (r->verb == KUBE_CREATE && fault(FAULT_API, 0.005)) {
        fail(r, back, ERR_FORBIDDEN, 403, "admission webhook denied the request");
        return;
    }
    if (r->verb == KUBE_MERGE_PATCH && fault(FAULT_API, 0.01)) {
        fail(r, back, ERR_CONFLICT, 409, "please apply your changes to the latest version");
        return;
    }
    if (carry_out(r))
        TRACE("operator: %s refused: %s", what(r), r->err.text);
    else
        TRACE("operator: %s%s%.300s", what(r), r->subresource ? " " : "",
              r->subresource ? gist(&r->a, r->body) : "");
    if (r->silent)
        fail(r, chance(R_FAULT, 0.5) ? TIMEOUT_MS : back, ERR_TIMEOUT, 0, "no answer");
    else
        answer_after(r, back);
}

/* ---- the way there ---- */

static void count(const struct kube_request *r)
{
    struct kube_counts *c = &kube_counts;

    if (r->dry)
        return;
    switch (r->verb) {
    case KUBE_LIST:
        break;
    case KUBE_APPLY:
        c->applies++;
        break;
    case KUBE_CREATE:
        c->creates++;
        break;
    case KUBE_DELETE:
        c->deletes++;
        break;
    case KUBE_MERGE_PATCH:
        r->subresource ? c->status_patches++ : c->patches++;
        break;
    default:
        sim_fail("the operator reads %s %s", kind_name(r->kind), str_or_empty(r->name));
    }
}

/* Which ConfigMaps the operator means. */
static int model_kind(const struct kube_call *call)
{
    bool kept = call->kind == KIND_CONFIGMAP &&
                (call->verb == KUBE_LIST || str_has_suffix(call->name, "-config-map"));

    return kept ? KIND_HA : (int)call->kind;
}

static const char *copy(struct arena *a, const char *s)
{
    return s ? arena_strdup(a, s) : NULL;
}

struct kube_request *kube_send(struct kube_client *c, const struct kube_call *call,
                               kube_done_fn done, void *arg)
{
    struct kube_request *r = xcalloc(1, sizeof(*r));
    int64_t there = skewed(R_LATENCY, 1, 40);
    struct error err;

    (void)c;
    r->next = requests;
    r->link = &requests;
    if (r->next)
        r->next->link = &r->next;
    requests = r;
    r->verb = call->verb;
    r->kind = model_kind(call);
    r->name = copy(&r->a, call->name);
    r->subresource = copy(&r->a, call->subresource);
    r->uid = copy(&r->a, call->uid);
    r->version = copy(&r->a, call->version);
    r->propagation = copy(&r->a, call->propagation);
    r->selector = copy(&r->a, str_or(call->label_selector, call->field_selector));
    r->done = done;
    r->arg = arg;
    r->body = ABSENT;
    if (call->body && json_parse(&r->a, call->body, strlen(call->body), &r->body, &err))
        sim_fail("%s: %s", what(r), err.text);
    r->dry = call->query && strstr(call->query, "dryRun=All");
    r->context = check_send(call->verb, r->kind, r->name);
    count(r);
    if (fault(FAULT_SLOW, 0.03))
        there += between(R_FAULT, 100, 8000);
    if (fault(FAULT_API, 0.01)) {
        fail(r, there, ERR_UNREACHABLE, 0, "connection refused");
        return r;
    }
    if (fault(FAULT_API, 0.01)) {
        fail(r, TIMEOUT_MS, ERR_TIMEOUT, 0, "no answer");
        return r;
    }
    r->silent = fault(FAULT_API, 0.01);
    r->travelling = true;
    r->event = sim_after(there, arrive, r);
    return r;
}

void kube_drop(struct kube_request *r)
{
    if (!r)
        return;
    if (r->travelling && chance(R_FAULT, 0.5)) { /* on the wire already: it gets there soon */
        r->dropped = true;
        sim_cancel(r->event);
        r->event = sim_after(between(R_FAULT, 0, 50), arrive, r);
        return;
    }
    sim_cancel(r->event);
    request_free(r);
}

void kube_requests_release(void)
{
    while (requests)
        request_free(requests);
}

/* ---- events of Kubernetes: counted, not kept ---- */

struct kube_events *kube_events_new(struct kube_client *c)
{
    return (struct kube_events *)c;
}

void kube_events_free(struct kube_events *e)
{
    (void)e;
}

void kube_events_emit(struct kube_events *e, const struct kube_event *event)
{
    (void)e;
    check_event(event);
}

/* ---- in the cluster: Flink is reached directly ---- */

struct kube_config *kube_client_config(struct kube_client *c)
{
    (void)c;
    return NULL;
}

bool kube_config_in_cluster(const struct kube_config *c)
{
    (void)c;
    return true;
}

/* JARs come from elsewhere. */
bool kube_client_is_server(const struct kube_client *c, const struct ip *ip)
{
    (void)c;
    (void)ip;
    return false;
}
