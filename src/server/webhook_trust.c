/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook_trust.h"

#include <openssl/crypto.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/base64.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_events.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"

#define LOOK_MOST_MS 30000
#define LOOK_LEAST_MS 1000
#define TIMEOUT_MS 5000
#define TEXT_MAX ((size_t)64 << 10) /* of each member of the Secret */

static struct metric expiry =
    METRIC_GAUGE("flink_operator_webhook_certificate_expiration_timestamp_seconds",
                 "When the certificate that the webhook shows runs out.", NULL);

struct webhook_trust {
    struct webhook_trust_options options; /* its strings ours */
    char *secret;
    int64_t look_ms;   /* between two looks */
    int64_t settle_ms; /* until all API servers know another caBundle */
    bool leads;
    struct kube_events *events;
    struct kube_request *request;
    struct timer *timer;
    /* in force */
    bool have;
    struct certificate pair;
    struct certificate_life life;
    /* in the Secret */
    char *version; /* its resourceVersion; NULL: there is none… */
    bool missing;  /* …which was seen */
    char *sealed;  /* its uid when it is immutable, else NULL */
    /* to be in force */
    bool making;
    struct certificate next;
    int64_t trusted_since; /* monotonic ms; -1: it is not yet */
    char *trouble;         /* as it was told; NULL: none */
};

static void look(void *arg);

/* ---- waiting ---- */

static void look_again(struct webhook_trust *t, int64_t ms)
{
    timer_start(t->timer, ms);
}

static void next_time(struct webhook_trust *t)
{
    look_again(t, t->have ? t->look_ms : LOOK_LEAST_MS);
}

/* NULL: there is none any more. */
static void tell(struct webhook_trust *t, const char *trouble)
{
    if (trouble && !str_eq(trouble, t->trouble))
        log_error("webhook", KV("error", trouble));
    else if (!trouble && t->trouble)
        log_info("webhook in order again");
    str_replace(&t->trouble, trouble);
}

static void failed(struct webhook_trust *t, const struct error *err)
{
    tell(t, err->text);
    next_time(t);
}

static bool in_time(const struct webhook_trust *t)
{
    return t->have && !certificate_is_over(&t->life, clock_wall_ms());
}

/* ---- a pair in force, and another one ---- */

static struct certificate copy_of(const struct certificate *c)
{
    return (struct certificate){xstrdup(c->ca), xstrdup(c->cert), xstrdup(c->key)};
}

static void adopt(struct webhook_trust *t, const struct certificate *c,
                  const struct certificate_life *life)
{
    char until[RFC3339_MAX];

    if (t->have && str_eq(c->cert, t->pair.cert) && str_eq(c->key, t->pair.key) &&
        str_eq(c->ca, t->pair.ca))
        return;
    struct certificate fresh = copy_of(c);

    certificate_release(&t->pair);
    t->pair = fresh;
    t->life = *life;
    t->have = true;
    rfc3339_format(life->end, until);
    log_info("webhook: certificate", KV("secret", t->secret), KV("until", &until[0]));
    metric_set(&expiry, (double)life->end / 1000);
    t->options.use(t->options.arg, &t->pair);
}

static void forget_next(struct webhook_trust *t)
{
    certificate_release(&t->next);
    t->making = false;
    t->trusted_since = -1;
}

static void make_next(struct webhook_trust *t, const char *why)
{
    int64_t wall = clock_wall_ms();

    t->next = certificate_make(t->options.service, t->options.ns, wall, t->options.life_ms);
    char *bundle = certificate_bundle(t->next.ca, in_time(t) ? t->pair.ca : NULL, wall);

    free(t->next.ca);
    t->next.ca = bundle;
    t->making = true;
    t->trusted_since = -1;
    log_info("webhook: another certificate", KV("why", why));
}

/* ---- the Secret, written ---- */

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct webhook_trust *t = arg;
    struct certificate_life life;
    struct error err;

    t->request = NULL;
    if (reply->err->code == ERR_CONFLICT || reply->err->code == ERR_EXISTS) {
        forget_next(t);
        look_again(t, LOOK_LEAST_MS);
        return;
    }
    if (reply->err->code) {
        failed(t, reply->err);
        return;
    }
    if (certificate_check(&t->next, t->options.service, t->options.ns, &life, &err))
        BUG("what was made is not valid: %s", err.text);
    adopt(t, &t->next, &life);
    forget_next(t);
    next_time(t);
}

static void write_secret(struct webhook_trust *t);

static void on_deleted(void *arg, const struct kube_reply *reply)
{
    struct webhook_trust *t = arg;
    struct error err = *reply->err;

    t->request = NULL;
    if (err.code && err.code != ERR_NOT_FOUND) {
        error_wrap(&err, "Secret %s/%s is immutable and has to be replaced: delete it",
                   t->options.ns, t->secret);
        failed(t, &err);
        return;
    }
    str_replace(&t->version, NULL);
    str_replace(&t->sealed, NULL);
    write_secret(t);
}

/* Somebody has set `immutable`: nothing but another one takes its place. Of that one we know
 * nothing, so only the one that was looked at is deleted. */
static void replace_secret(struct webhook_trust *t)
{
    t->request = kube_send(t->options.kube,
                           &(struct kube_call){.verb = KUBE_DELETE,
                                               .kind = KIND_SECRET,
                                               .ns = t->options.ns,
                                               .name = t->secret,
                                               .uid = t->sealed,
                                               .timeout_ms = TIMEOUT_MS},
                           on_deleted, t);
}

static jv encoded(struct arena *a, const char *text)
{
    char *base64 = base64_encode(text, strlen(text));
    jv v = STR(arena_strdup(a, base64));

    OPENSSL_cleanse(base64, strlen(base64));
    free(base64);
    return v;
}

static void write_secret(struct webhook_trust *t)
{
    if (t->sealed) {
        replace_secret(t);
        return;
    }
    cleanup_arena struct arena a = {0};
    jv data = OBJ({"ca.crt", encoded(&a, t->next.ca)}, {"tls.crt", encoded(&a, t->next.cert)},
                  {"tls.key", encoded(&a, t->next.key)});
    jv fresh = OBJ({"apiVersion", STR("v1")}, {"kind", STR("Secret")},
                   {"type", STR("kubernetes.io/tls")}, {"metadata", OBJ({"name", STR(t->secret)})},
                   {"data", data});
    jv patch = OBJ({"metadata", OBJ({"resourceVersion", STR(t->version)})}, {"data", data});
    char *body = json_text(&a, t->version ? patch : fresh);

    t->request = kube_send(t->options.kube,
                           &(struct kube_call){.verb = t->version ? KUBE_MERGE_PATCH : KUBE_CREATE,
                                               .kind = KIND_SECRET,
                                               .ns = t->options.ns,
                                               .name = t->secret,
                                               .body = body,
                                               .timeout_ms = TIMEOUT_MS},
                           on_written, t);
    OPENSSL_cleanse(body, strlen(body));
}

/* ---- the caBundle ---- */

/* The API server trusts what is wanted, or there is none that could. */
static void trusted(struct webhook_trust *t)
{
    int64_t now = clock_mono_ms();

    if (!t->making) {
        tell(t, NULL);
        next_time(t);
        return;
    }
    if (t->trusted_since < 0)
        t->trusted_since = now;
    if (in_time(t) && now - t->trusted_since < t->settle_ms)
        look_again(t, t->trusted_since + t->settle_ms - now);
    else
        write_secret(t);
}

/* What is shown is trusted no longer by this: it stays until it runs out. */
static void not_trusted(struct webhook_trust *t, const struct error *err)
{
    failed(t, err);
    if (t->making && !in_time(t))
        write_secret(t);
}

static void on_applied(void *arg, const struct kube_reply *reply)
{
    struct webhook_trust *t = arg;

    t->request = NULL;
    if (reply->err->code) {
        not_trusted(t, reply->err);
        return;
    }
    log_info("webhook: caBundle written", KV("configuration", t->options.configuration));
    trusted(t);
}

/* Only this field of each is ours; all else, and which there are, is whoever installs it to say. */
static void apply_bundle(struct webhook_trust *t, struct arena *a, jv configuration,
                         const char *bundle)
{
    const struct kube_resource *res = kube_resource(KIND_WEBHOOKS);
    struct jv_list list = JV_LIST(a);

    jv_foreach (w, jv_get(configuration, "webhooks"))
        jv_list_add(&list, jv_dup(a, OBJ({"name", jv_get(*w, "name")},
                                         {"clientConfig", OBJ({"caBundle", STR(bundle)})})));
    t->request =
        kube_send(t->options.kube,
                  &(struct kube_call){
                      .verb = KUBE_APPLY,
                      .kind = KIND_WEBHOOKS,
                      .name = t->options.configuration,
                      .body = json_text(
                          a, OBJ({"apiVersion", STR(res->api_version)}, {"kind", STR(res->kind)},
                                 {"metadata", OBJ({"name", STR(t->options.configuration)})},
                                 {"webhooks", jv_list_arr(&list)})),
                      .timeout_ms = TIMEOUT_MS},
                  on_applied, t);
}

static void on_configuration(void *arg, const struct kube_reply *reply)
{
    struct webhook_trust *t = arg;
    cleanup_arena struct arena a = {0};
    bool right = true;

    t->request = NULL;
    if (reply->err->code) {
        not_trusted(t, reply->err);
        return;
    }
    cleanup_free char *pem =
        certificate_bundle(t->making ? t->next.ca : t->pair.ca, NULL, clock_wall_ms());
    cleanup_free char *bundle = base64_encode(pem, strlen(pem));

    jv_foreach (w, jv_get(reply->object, "webhooks"))
        right = right && str_eq(JV_STRING(*w, "clientConfig", "caBundle"), bundle);
    if (right)
        trusted(t);
    else
        apply_bundle(t, &a, reply->object, bundle);
}

/* ---- the Secret, read ---- */

static char *member(jv secret, const char *name, struct error *err)
{
    const char *text = JV_STRING(secret, "data", name);
    char *decoded = text && strlen(text) <= TEXT_MAX ? base64_decode(text, NULL) : NULL;

    if (!decoded)
        error_set(err, ERR_INVALID, "%s is missing", name);
    return decoded;
}

static int read_pair(const struct webhook_trust *t, jv secret, struct certificate *ret,
                     struct certificate_life *life, struct error *err)
{
    ret->ca = member(secret, "ca.crt", err);
    ret->cert = ret->ca ? member(secret, "tls.crt", err) : NULL;
    ret->key = ret->cert ? member(secret, "tls.key", err) : NULL;
    if (!ret->key || certificate_check(ret, t->options.service, t->options.ns, life, err))
        return -1;
    if (certificate_is_over(life, clock_wall_ms()))
        return error_set(err, ERR_INVALID, "the certificate in tls.crt is not valid at this time");
    return 0;
}

/* Somebody has put something else there. */
static void tell_broken(struct webhook_trust *t, jv secret, const char *why)
{
    cleanup_free char *text =
        xasprintf("Secret %s/%s: %s; it is made anew", t->options.ns, t->secret, why);

    log_warn("webhook", KV("error", text));
    kube_events_emit(t->events, &(struct kube_event){.kind = KIND_SECRET,
                                                     .ns = t->options.ns,
                                                     .name = t->secret,
                                                     .uid = JV_STRING(secret, "metadata", "uid"),
                                                     .warning = true,
                                                     .reason = "WebhookCertificate",
                                                     .message = text,
                                                     .component = "Operator"});
}

/* Why another pair has to be made; NULL: not now. */
static const char *why_another(const struct webhook_trust *t, const struct error *wrong)
{
    if (!t->version)
        return "there is none";
    if (wrong->code)
        return "the one that there is cannot be used";
    return certificate_is_due(&t->life, clock_wall_ms()) ? "two thirds of its life are over" : NULL;
}

static void lead_on(struct webhook_trust *t, jv secret, const struct error *wrong)
{
    const char *why = t->making ? NULL : why_another(t, wrong);

    if (why && wrong->code && t->version)
        tell_broken(t, secret, wrong->text);
    if (why)
        make_next(t, why);
    t->request = kube_send(t->options.kube,
                           &(struct kube_call){.verb = KUBE_GET,
                                               .kind = KIND_WEBHOOKS,
                                               .name = t->options.configuration,
                                               .timeout_ms = TIMEOUT_MS},
                           on_configuration, t);
}

static void on_secret(void *arg, const struct kube_reply *reply)
{
    struct webhook_trust *t = arg;
    struct certificate found = {NULL};
    struct certificate_life life;
    struct error wrong = {0};

    t->request = NULL;
    if (reply->err->code && reply->err->code != ERR_NOT_FOUND) {
        failed(t, reply->err);
        return;
    }
    str_replace(&t->version, JV_STRING(reply->object, "metadata", "resourceVersion"));
    str_replace(&t->sealed, jv_bool_or(jv_get(reply->object, "immutable"), false)
                                ? JV_STRING(reply->object, "metadata", "uid")
                                : NULL);
    t->missing = reply->err->code == ERR_NOT_FOUND;
    if (reply->err->code)
        error_set(&wrong, ERR_NOT_FOUND, "Secret %s/%s is not there yet", t->options.ns, t->secret);
    else if (!read_pair(t, reply->object, &found, &life, &wrong))
        adopt(t, &found, &life);
    certificate_release(&found);
    if (t->leads) {
        lead_on(t, reply->object, &wrong);
        return;
    }
    if (!wrong.code)
        tell(t, NULL);
    next_time(t);
}

static void look(void *arg)
{
    struct webhook_trust *t = arg;

    if (t->request)
        return;
    t->request = kube_send(t->options.kube,
                           &(struct kube_call){.verb = KUBE_GET,
                                               .kind = KIND_SECRET,
                                               .ns = t->options.ns,
                                               .name = t->secret,
                                               .timeout_ms = TIMEOUT_MS},
                           on_secret, t);
}

/* ---- life ---- */

struct webhook_trust *webhook_trust_new(const struct webhook_trust_options *o)
{
    struct webhook_trust *t = xcalloc(1, sizeof(*t));

    t->options = *o;
    t->options.ns = xstrdup(o->ns);
    t->options.service = xstrdup(o->service);
    t->options.configuration = xstrdup(o->configuration);
    t->secret = xasprintf("%s-tls", o->service);
    t->look_ms = MAX(MIN(o->life_ms / 60, (int64_t)LOOK_MOST_MS), (int64_t)LOOK_LEAST_MS);
    t->settle_ms = t->look_ms;
    t->trusted_since = -1;
    t->events = kube_events_new(o->kube);
    t->timer = timer_new(kube_client_loop(o->kube), look, t);
    look_again(t, 0);
    return t;
}

void webhook_trust_lead(struct webhook_trust *t)
{
    t->leads = true;
    look_again(t, 0);
}

const char *webhook_trust_waits(const struct webhook_trust *t)
{
    /* Who leads makes it. One that waited for that would keep a roll-out from ending that begins
     * with a leader of before, who makes none. */
    if (t->have || (t->missing && !t->leads))
        return NULL;
    return str_or(t->trouble, "waiting for the certificate of the webhook");
}

void webhook_trust_free(struct webhook_trust *t)
{
    if (!t)
        return;
    kube_drop(t->request);
    timer_free(t->timer);
    kube_events_free(t->events);
    certificate_release(&t->pair);
    certificate_release(&t->next);
    free(t->version);
    free(t->sealed);
    free(t->trouble);
    free(t->secret);
    free((char *)(uintptr_t)t->options.ns);
    free((char *)(uintptr_t)t->options.service);
    free((char *)(uintptr_t)t->options.configuration);
    free(t);
}
