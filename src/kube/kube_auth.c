/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The credentials in force. What lives in files is read again at most once a minute, after a 401,
 * and after the server's certificate was not accepted; what an exec plugin gives holds until it
 * expires. Whenever something changed a new TLS context and header are made and the generation is
 * raised; when new material is bad (a file half written, a key that does not belong to its
 * certificate yet) the old ones stay.
 */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/file.h"
#include "flinkop/http.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "kube_config_internal.h"

#define REREAD_MS 60000
#define MATERIAL_MAX ((size_t)1 << 20)
#define EXPIRY_MARGIN_MS 10000 /* a credential is renewed this long before its end */
#define EXEC_RERUN_MS 10000    /* after a refusal by the server, not more often than this */
#define EXEC_RETRY_MS 5000     /* after a failure of the plugin itself */

struct auth_waiter {
    struct auth_waiter *next;
    const void *owner;
    kube_auth_fn fn;
    void *arg;
};

/* ---- material ---- */

int material_read(struct material *m, const char *what, bool *changed, struct error *err)
{
    if (!m->path)
        return 0;
    char *text = file_read(m->path, MATERIAL_MAX, NULL, err);

    if (!text)
        return error_wrap(err, "%s", what);
    if (str_eq(text, m->text)) {
        wipe_free(text);
        return 0;
    }
    wipe_free(m->text);
    m->text = text;
    *changed = true;
    return 0;
}

/* "Bearer TOKEN"; a token with blanks or line breaks in it would be a header of its own. */
static char *bearer(const char *token, struct error *err)
{
    cleanup_arena struct arena a = {0};
    char *trimmed = str_trim(&a, token), *header;

    for (const char *p = trimmed; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f) {
            error_set(err, ERR_INVALID, "the bearer token has blanks or control characters in it");
            return NULL;
        }
    if (!*trimmed) {
        error_set(err, ERR_INVALID, "the bearer token is empty");
        return NULL;
    }
    header = xasprintf("Bearer %s", trimmed);
    memset(trimmed, 0, strlen(trimmed));
    return header;
}

/* Makes the header and the TLS context from what was read. */
static int rebuild(struct kube_config *c, struct error *err)
{
    const struct exec_result *x = c->exec_valid ? &c->exec_result : NULL;
    const char *token = x && x->token ? x->token : c->token.text;
    bool from_exec = x && x->cert;
    const char *cert = from_exec ? x->cert : c->cert.text, *key = from_exec ? x->key : c->key.text;
    char *header = NULL;

    if (c->ca.text && pem_check_certificates(c->ca.text, "certificate authority", err))
        return -1;
    if (cert && pem_check_pair(cert, key, "client certificate", err))
        return -1;
    if (token) {
        header = bearer(token, err);
        if (!header)
            return -1;
    } else if (c->basic) {
        header = xstrdup(c->basic);
    }
    wipe_free(c->authorization);
    c->authorization = header;
    http_tls_unref(c->tls);
    c->tls = http_tls_new(&(struct http_tls_options){.ca_pem = c->ca.text,
                                                     .client_cert_pem = cert,
                                                     .client_key_pem = key,
                                                     .server_name = c->server_name,
                                                     .insecure = c->insecure});
    c->generation++;
    c->dirty = false;
    return 0;
}

static int read_files(struct kube_config *c, struct error *err)
{
    int rc = 0;

    c->read_at = loop_now(c->loop);
    rc |= material_read(&c->ca, "certificate authority", &c->dirty, err);
    rc |= material_read(&c->cert, "client certificate", &c->dirty, err);
    rc |= material_read(&c->key, "client key", &c->dirty, err);
    rc |= material_read(&c->token, "token", &c->dirty, err);
    return rc || !c->dirty ? rc : rebuild(c, err);
}

int kube_auth_init(struct kube_config *c, struct error *err)
{
    c->dirty = true;
    return read_files(c, err) ? error_wrap(err, "credentials for %s", c->server) : 0;
}

static void reread_if_due(struct kube_config *c)
{
    struct error err = {0};

    if (c->read_at >= 0 && loop_now(c->loop) - c->read_at < REREAD_MS)
        return;
    if (read_files(c, &err))
        log_debug("credentials not renewed", KV("error", err.text));
}

/* ---- exec plugin ---- */

static bool exec_usable(const struct kube_config *c)
{
    const struct exec_result *r = &c->exec_result;

    return c->exec_valid && (!r->expires || clock_wall_ms() < r->expires - EXPIRY_MARGIN_MS);
}

static void give(const struct kube_config *c, kube_auth_fn fn, void *arg, const struct error *err)
{
    const struct kube_auth auth = {c->authorization, c->tls, c->generation};

    fn(arg, err ? NULL : &auth, err);
}

/* Serves one waiter a turn: it may drop others, and even free the configuration. */
static void serve_waiter(void *arg)
{
    struct kube_config *c = arg;
    struct auth_waiter *w = c->waiters;

    if (!w)
        return;
    struct auth_waiter copy = *w;

    c->waiters = w->next;
    free(w);
    if (c->waiters)
        loop_defer(c->loop, c, serve_waiter, c);
    give(c, copy.fn, copy.arg, c->failed.code ? &c->failed : NULL);
}

static void on_exec_done(struct kube_config *c, struct exec_result *result, const struct error *err)
{
    c->run = NULL;
    c->exec_at = loop_now(c->loop);
    c->failed = *err;
    if (!err->code) {
        exec_result_clear(&c->exec_result);
        c->exec_result = *result;
        c->exec_valid = true;
        if (rebuild(c, &c->failed)) {
            error_wrap(&c->failed, "%s", c->exec->where);
            c->exec_valid = false;
        }
    }
    loop_defer(c->loop, c, serve_waiter, c);
}

static void wait_for_exec(struct kube_config *c, const void *owner, kube_auth_fn fn, void *arg)
{
    struct auth_waiter *w = xcalloc(1, sizeof(*w)), **end = &c->waiters;

    *w = (struct auth_waiter){.owner = owner, .fn = fn, .arg = arg};
    while (*end)
        end = &(*end)->next;
    *end = w;
    if (!c->run)
        c->run = exec_start(c, on_exec_done);
}

/* ---- what others call ---- */

void kube_config_auth(struct kube_config *c, const void *owner, kube_auth_fn fn, void *arg)
{
    int64_t since = loop_now(c->loop) - c->exec_at;

    reread_if_due(c);
    if (!c->exec || (!c->waiters && exec_usable(c)))
        give(c, fn, arg, NULL);
    else if (!c->waiters && c->failed.code && since < EXEC_RETRY_MS)
        give(c, fn, arg, &c->failed);
    else
        wait_for_exec(c, owner, fn, arg);
}

void kube_config_auth_drop(struct kube_config *c, const void *owner)
{
    struct auth_waiter **slot = &c->waiters;

    while (*slot) {
        struct auth_waiter *w = *slot;

        if (w->owner != owner) {
            slot = &w->next;
            continue;
        }
        *slot = w->next;
        free(w);
    }
}

void kube_config_reread(struct kube_config *c, unsigned generation)
{
    if (generation == c->generation)
        c->read_at = -1;
}

void kube_config_refresh(struct kube_config *c, unsigned generation)
{
    if (generation != c->generation)
        return;
    kube_config_reread(c, generation);
    if (c->exec && loop_now(c->loop) - c->exec_at >= EXEC_RERUN_MS)
        c->exec_valid = false;
}

void kube_auth_release(struct kube_config *c)
{
    loop_undefer(c->loop, c);
    exec_cancel(c->run);
    exec_result_clear(&c->exec_result);
    while (c->waiters)
        kube_config_auth_drop(c, c->waiters->owner);
    wipe_free(c->authorization);
    http_tls_unref(c->tls);
}
