/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/kube_review.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/hash.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/strmap.h"

#define ALLOWED_MS 60000
#define REFUSED_MS 10000
#define DEADLINE_MS 8000
#define MAX_KNOWN 256 /* answers */
#define MAX_ASKED 8   /* under way */
#define PER_SECOND 20
#define TOKEN_MAX 8192

/* Somebody who waits for an answer. */
struct kube_review {
    struct kube_review *next, **link;
    kube_review_fn fn;
    void *arg;
};

/* With its answer, when that is there. */
struct question {
    struct kube_reviews *all;
    char key[SHA256_HEX_LEN + 1];
    char *verb, *path;
    struct kube_request *request; /* NULL: it has been answered */
    int64_t until;                /* of what is under way, of the answer */
    enum review_verdict verdict;
    char *text;
    struct kube_review *waiting;
};

struct kube_reviews {
    struct kube_client *client;
    struct strmap questions; /* by key */
    size_t asked;            /* under way */
    int64_t second;          /* when `begun` was counted from */
    int begun;
    bool in_trouble; /* and that is in the log */
};

static int64_t now(const struct kube_reviews *r)
{
    return loop_now(kube_client_loop(r->client));
}

/* ---- questions ---- */

static void question_free(struct question *q)
{
    kube_drop(q->request);
    for (struct kube_review *w = q->waiting, *next; w; w = next) {
        next = w->next;
        kube_review_drop(w);
    }
    strmap_remove(&q->all->questions, q->key);
    free(q->verb);
    free(q->path);
    free(q->text);
    free(q);
}

/* The oldest answers make room; what has run out goes with them. */
static void make_room(struct kube_reviews *r)
{
    struct strmap_entry *e;

    strmap_foreach (e, &r->questions) {
        struct question *q = e->value;

        if (!q->request && (q->until <= now(r) || r->questions.count >= MAX_KNOWN))
            question_free(q);
    }
}

/* What may take long to be read, or is no token at all, is not sent. */
static bool plausible(const char *token)
{
    size_t n = strlen(token);

    return n && n <= TOKEN_MAX &&
           strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789-._~+/=") == n; /* RFC 6750 §2.1 */
}

static void key_of(const char *token, const char *verb, const char *path,
                   char key[SHA256_HEX_LEN + 1])
{
    char *text = xasprintf("%s %s %s", token, verb, path);

    sha256_hex(text, strlen(text), key);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
}

/* ---- answers ---- */

static void answered(struct question *q, enum review_verdict verdict, const char *text)
{
    struct kube_reviews *r = q->all;
    struct kube_review *list = q->waiting, *w;
    cleanup_free char *copy = xstrdup(text);

    q->request = NULL;
    q->verdict = verdict;
    str_replace(&q->text, text);
    q->until = now(r) + (verdict == REVIEW_ALLOWED ? ALLOWED_MS : REFUSED_MS);
    r->asked--;
    /* Those who are told may ask again, and drop others. */
    if (list)
        list->link = &list;
    q->waiting = NULL;
    if (verdict == REVIEW_UNKNOWN)
        question_free(q);
    while ((w = list)) {
        kube_review_fn fn = w->fn;
        void *arg = w->arg;

        list = w->next;
        if (list)
            list->link = &list;
        free(w);
        fn(arg, verdict, copy);
    }
}

/* Nobody else could tell that rights are missing. */
static void failed(struct question *q, const struct error *err)
{
    if (!q->all->in_trouble)
        log_error("cannot find out who asks for metrics", KV("error", err->text));
    q->all->in_trouble = true;
    answered(q, REVIEW_UNKNOWN, err->text);
}

static void on_access(void *arg, const struct kube_reply *reply)
{
    struct question *q = arg;

    if (reply->err->code) {
        failed(q, reply->err);
        return;
    }
    jv status = jv_get(reply->object, "status");
    bool allowed = jv_bool_or(jv_get(status, "allowed"), false) &&
                   !jv_bool_or(jv_get(status, "denied"), false);
    cleanup_free char *user = TAKE_PTR(q->text);

    q->all->in_trouble = false;
    answered(q, allowed ? REVIEW_ALLOWED : REVIEW_DENIED, user);
}

static void send(struct question *q, enum kube_kind kind, jv spec, kube_done_fn done)
{
    const struct kube_resource *res = kube_resource(kind);
    cleanup_strbuf struct strbuf body = STRBUF_INIT((size_t)1 << 20);

    json_write(&body, OBJ({"apiVersion", STR(res->api_version)}, {"kind", STR(res->kind)},
                          {"spec", spec}));
    q->request =
        kube_send(q->all->client,
                  &(struct kube_call){.verb = KUBE_CREATE,
                                      .kind = kind,
                                      .body = body.buf,
                                      .timeout_ms = MAX(q->until - now(q->all), (int64_t)1)},
                  done, q);
    OPENSSL_cleanse(body.buf, body.len); /* a token is in it */
}

static void on_user(void *arg, const struct kube_reply *reply)
{
    struct question *q = arg;

    if (reply->err->code) {
        failed(q, reply->err);
        return;
    }
    jv status = jv_get(reply->object, "status"), user = jv_get(status, "user");
    const char *name = str_or_empty(JV_STRING(user, "username"));

    if (!jv_bool_or(jv_get(status, "authenticated"), false) || !*name) {
        q->all->in_trouble = false;
        answered(q, REVIEW_STRANGER, "");
        return;
    }
    q->text = xstrdup(name);
    send(q, KIND_SUBJECTACCESSREVIEW,
         OBJ({"user", STR(q->text)}, {"uid", jv_get(user, "uid")},
             {"groups", jv_get(user, "groups")}, {"extra", jv_get(user, "extra")},
             {"nonResourceAttributes", OBJ({"path", STR(q->path)}, {"verb", STR(q->verb)})}),
         on_access);
}

/* ---- asking ---- */

/* Whether one more may be asked, or why not. */
static const char *too_much(struct kube_reviews *r)
{
    if (now(r) - r->second >= 1000) {
        r->second = now(r);
        r->begun = 0;
    }
    if (r->asked >= MAX_ASKED)
        return "too many callers are being reviewed";
    return r->begun >= PER_SECOND ? "too many unknown callers in a second" : NULL;
}

static struct question *ask(struct kube_reviews *r, const char *token, const char *verb,
                            const char *path, const char *key)
{
    struct question *q = xcalloc(1, sizeof(*q));

    make_room(r);
    *q = (struct question){
        .all = r, .verb = xstrdup(verb), .path = xstrdup(path), .until = now(r) + DEADLINE_MS};
    snprintf(q->key, sizeof(q->key), "%s", key);
    strmap_put(&r->questions, key, q);
    r->asked++;
    r->begun++;
    send(q, KIND_TOKENREVIEW, OBJ({"token", STR(token)}), on_user);
    return q;
}

struct kube_review *kube_review(struct kube_reviews *r, const char *token, const char *verb,
                                const char *path, kube_review_fn fn, void *arg)
{
    char key[SHA256_HEX_LEN + 1];
    struct question *q;
    const char *busy;

    if (!plausible(token)) {
        fn(arg, REVIEW_STRANGER, "");
        return NULL;
    }
    key_of(token, verb, path, key);
    q = strmap_get(&r->questions, key);
    if (q && !q->request && q->until > now(r)) {
        cleanup_free char *text = xstrdup(q->text);

        fn(arg, q->verdict, text);
        return NULL;
    }
    if (q && !q->request)
        question_free(TAKE_PTR(q));
    busy = q ? NULL : too_much(r);
    if (busy) {
        fn(arg, REVIEW_UNKNOWN, busy);
        return NULL;
    }
    if (!q)
        q = ask(r, token, verb, path, key);
    struct kube_review *w = xcalloc(1, sizeof(*w));

    *w = (struct kube_review){.next = q->waiting, .link = &q->waiting, .fn = fn, .arg = arg};
    if (w->next)
        w->next->link = &w->next;
    q->waiting = w;
    return w;
}

void kube_review_drop(struct kube_review *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    free(w);
}

/* ---- life ---- */

struct kube_reviews *kube_reviews_new(struct kube_client *c)
{
    struct kube_reviews *r = xcalloc(1, sizeof(*r));

    r->client = c;
    return r;
}

void kube_reviews_free(struct kube_reviews *r)
{
    struct strmap_entry *e;

    if (!r)
        return;
    strmap_foreach (e, &r->questions)
        question_free(e->value);
    strmap_release(&r->questions);
    free(r);
}
