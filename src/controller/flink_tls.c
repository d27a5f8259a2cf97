/* SPDX-License-Identifier: Apache-2.0 */
#include "flink_tls.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flinkop/file.h"
#include "flinkop/http.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"

#define REREAD_MS 10000
#define PEM_MAX ((size_t)256 << 10)

/* What counts for a namespace. */
struct material {
    char *folder;
    struct http_tls *tls;
    bool has_ca, shows; /* an authority; a certificate of ours */
    struct error error;
    int64_t read_at;
};

struct flink_tls {
    struct loop *loop;
    char *dir;
    struct strmap by_ns; /* struct material */
};

/* ---- reading ---- */

static char *read_pem(const char *folder, const char *name, struct error *err)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);

    return file_read(path, PEM_MAX, NULL, err);
}

/* That of the namespace, if it has one. */
static char *folder_of(const struct flink_tls *t, const char *ns)
{
    cleanup_free char *own = xasprintf("%s/%s/ca.crt", t->dir, ns);

    return access(own, F_OK) ? xstrdup(t->dir) : xasprintf("%s/%s", t->dir, ns);
}

/* err stays empty when there is no client's certificate. */
static void read_client(struct material *m, char **ret_cert, char **ret_key)
{
    struct error absent = {0};

    *ret_cert = read_pem(m->folder, "tls.crt", &absent);
    if (!*ret_cert && absent.code == ERR_NOT_FOUND)
        return;
    if (!*ret_cert)
        m->error = absent;
    else
        *ret_key = read_pem(m->folder, "tls.key", &m->error);
}

static void read_material(const struct flink_tls *t, const char *ns, struct material *m)
{
    cleanup_free char *ca = NULL, *cert = NULL;
    char *key = NULL;

    http_tls_unref(m->tls);
    free(m->folder);
    *m = (struct material){.folder = folder_of(t, ns), .read_at = loop_now(t->loop)};
    ca = read_pem(m->folder, "ca.crt", &m->error);
    if (m->error.code == ERR_NOT_FOUND) /* those of the system count */
        m->error = (struct error){0};
    m->has_ca = ca != NULL;
    if (m->error.code == ERR_NONE)
        read_client(m, &cert, &key);
    if (m->error.code == ERR_NONE)
        m->tls = http_tls_new(&(struct http_tls_options){
            .ca_pem = ca, .client_cert_pem = cert, .client_key_pem = key});
    else
        error_wrap(&m->error, "--flink-tls");
    m->shows = cert != NULL;
    if (key)
        OPENSSL_cleanse(key, strlen(key));
    free(key);
}

static struct material *material(struct flink_tls *t, const char *ns)
{
    struct material *m = strmap_get(&t->by_ns, ns);

    if (!m) {
        m = xcalloc(1, sizeof(*m));
        strmap_put(&t->by_ns, ns, m);
    } else if (loop_now(t->loop) - m->read_at < REREAD_MS) {
        return m;
    }
    read_material(t, ns, m);
    return m;
}

int flink_tls_get(struct flink_tls *t, const char *ns, struct http_tls **ret, struct error *err)
{
    *ret = NULL;
    if (!t->dir)
        return 0;
    struct material *m = material(t, ns);

    if (m->error.code != ERR_NONE) {
        *err = m->error;
        err->code = ERR_UNREACHABLE; /* not a byte was sent, and the files may come */
        return -1;
    }
    *ret = m->tls;
    return 0;
}

/* ---- names ---- */

void flink_tls_names(struct flink_tls_names *ret, const char *ns, const char *cluster)
{
    static const char *const tails[FLINK_TLS_NAMES] = {"", ".%s", ".%s.svc",
                                                       ".%s.svc.cluster.local"};

    *ret = (struct flink_tls_names){.text = {NULL}};
    for (size_t i = 0; i < FLINK_TLS_NAMES; i++) {
        cleanup_free char *tail = xasprintf(tails[i], ns);

        ret->text[i] = xasprintf("%s-rest%s", cluster, tail);
        ret->list[i] = ret->text[i];
    }
}

void flink_tls_names_release(struct flink_tls_names *names)
{
    for (size_t i = 0; i < FLINK_TLS_NAMES; i++)
        free(names->text[i]);
}

/* ---- what would be right ---- */

static void add(struct error *err, const char *text)
{
    size_t n = strlen(err->text);

    snprintf(err->text + n, sizeof(err->text) - n, "; %s", text);
}

static void explain_trust(const struct material *m, const char *ns, const char *cluster,
                          struct error *err)
{
    cleanup_free char *authority =
        !m ? xstrdup("one of the system's authorities (there is no --flink-tls)")
        : m->has_ca
            ? xasprintf("the authority in %s/ca.crt", m->folder)
            : xasprintf("one of the system's authorities (there is no %s/ca.crt)", m->folder);
    cleanup_free char *text = xasprintf("Flink's certificate has to be valid now, of %s, for "
                                        "%s-rest or %s-rest.%s (also .svc behind that)",
                                        authority, cluster, cluster, ns);

    add(err, text);
}

void flink_tls_explain(struct flink_tls *t, const char *ns, const char *cluster, struct error *err)
{
    const struct material *m = t->dir ? material(t, ns) : NULL;

    if (!strcmp(err->reason, HTTP_UNTRUSTED)) {
        explain_trust(m, ns, cluster, err);
    } else if (strstr(err->text, " alert ")) {
        cleanup_free char *text =
            m && m->shows
                ? xasprintf("Flink does not accept the certificate in %s/tls.crt", m->folder)
                : xstrdup("Flink asks for a client's certificate: --flink-tls needs tls.crt and "
                          "tls.key");

        add(err, text);
    }
}

/* ---- life ---- */

struct flink_tls *flink_tls_new(struct loop *loop, const char *dir)
{
    struct flink_tls *t = xcalloc(1, sizeof(*t));

    t->loop = loop;
    t->dir = str_empty(dir) ? NULL : xstrdup(dir);
    return t;
}

void flink_tls_free(struct flink_tls *t)
{
    struct strmap_entry *e;

    strmap_foreach (e, &t->by_ns) {
        struct material *m = e->value;

        http_tls_unref(m->tls);
        free(m->folder);
        free(m);
    }
    strmap_release(&t->by_ns);
    free(t->dir);
    free(t);
}
