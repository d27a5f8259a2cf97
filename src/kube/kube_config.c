/* SPDX-License-Identifier: Apache-2.0 */
/* Reading kubeconfig files and the service account of a pod. */
#include "flinkop/kube_config.h"
#include "flinkop/base64.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flinkop/arena.h"
#include "flinkop/file.h"
#include "flinkop/json.h"
#include "flinkop/jv.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/yaml.h"
#include "kube_config_internal.h"

#define FILE_MAX ((size_t)4 << 20)
#define MAX_FILES 16
#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* A kubeconfig file, or one named entry of it. */
struct part {
    const char *file;
    const char *where; /* "FILE: users[name=x].user", for messages */
    jv v;
};

struct files {
    struct arena *a;
    struct part part[MAX_FILES];
    size_t n;
};

/* ---- looking things up ---- */

static int read_file(struct files *f, const char *path, bool must_exist, struct error *err)
{
    struct error why = {0};
    size_t len;
    cleanup_free char *text = file_read_any(path, FILE_MAX, &len, &why);
    jv v;

    if (!text && why.code == ERR_NOT_FOUND && !must_exist)
        return 0;
    if (!text) {
        *err = why;
        return error_wrap(err, "kubeconfig");
    }
    if (yaml_parse(f->a, text, len, &v, err))
        return error_wrap(err, "kubeconfig %s", path);
    if (v.type != JV_OBJ && v.type != JV_ABSENT)
        return error_set(err, ERR_INVALID, "kubeconfig %s: not a mapping", path);
    if (f->n == MAX_FILES)
        return error_set(err, ERR_INVALID, "more than %d kubeconfig files", MAX_FILES);
    f->part[f->n++] = (struct part){arena_strdup(f->a, path), NULL, v};
    return 0;
}

/* The entry of this name in a list such as "users"; the first file that has it wins. */
static int find_entry(const struct files *f, const char *list, const char *member, const char *name,
                      struct part *ret, struct error *err)
{
    for (size_t i = 0; i < f->n; i++) {
        jv_foreach (e, jv_get(f->part[i].v, list)) {
            if (!str_eq(JV_STRING(*e, "name"), name))
                continue;
            *ret = (struct part){
                .file = f->part[i].file,
                .where = arena_printf(f->a, "kubeconfig %s: %s[name=%s].%s", f->part[i].file, list,
                                      name, member),
                .v = jv_get(*e, member),
            };
            if (ret->v.type != JV_OBJ)
                return error_set(err, ERR_INVALID, "%s is missing", ret->where);
            return 0;
        }
    }
    return error_set(err, ERR_INVALID, "kubeconfig %s: no entry \"%s\" in %s",
                     f->n ? f->part[0].file : "", name, list);
}

/* A member that must be a string if it is there; "" counts as absent, as everywhere in kubectl. */
static int get_string(const struct part *p, const char *key, const char **ret, struct error *err)
{
    jv v = jv_get(p->v, key);

    *ret = NULL;
    if (!jv_present(v))
        return 0;
    if (v.type != JV_STR)
        return error_set(err, ERR_INVALID, "%s.%s must be a string", p->where, key);
    *ret = *v.s ? v.s : NULL;
    return 0;
}

static int get_bool(const struct part *p, const char *key, bool *ret, struct error *err)
{
    jv v = jv_get(p->v, key);

    if (jv_present(v) && v.type != JV_BOOL)
        return error_set(err, ERR_INVALID, "%s.%s must be true or false", p->where, key);
    *ret = jv_bool_or(v, false);
    return 0;
}

/* A path relative to the folder of the file it stands in. */
static char *resolve_path(const struct part *p, const char *path)
{
    const char *slash = strrchr(p->file, '/');

    if (*path == '/' || !slash)
        return xstrdup(path);
    return xasprintf("%.*s/%s", (int)(slash - p->file), p->file, path);
}

/* "KEY-data" inline as base64, or "KEY" as a path; the data wins, as in kubectl. */
static int get_material(const struct part *p, const char *key, struct material *ret,
                        struct error *err)
{
    cleanup_free char *data_key = xasprintf("%s-data", key);
    const char *data, *path;

    if (get_string(p, data_key, &data, err) || get_string(p, key, &path, err))
        return -1;
    if (data) {
        ret->text = base64_decode(data, NULL);
        if (!ret->text)
            return error_set(err, ERR_INVALID, "%s.%s is not base64", p->where, data_key);
    } else if (path) {
        ret->path = resolve_path(p, path);
    }
    return 0;
}

/* ---- cluster ---- */

static char *server_url(const char *server, bool tls)
{
    size_t n = strlen(server);

    while (n && server[n - 1] == '/')
        n--;
    return xasprintf("%s%.*s",
                     strstr(server, "://") ? ""
                     : tls                 ? "https://"
                                           : "http://",
                     (int)n, server);
}

static int read_cluster(struct kube_config *c, const struct part *p, struct error *err)
{
    const char *server, *name, *proxy;

    if (get_string(p, "server", &server, err) || get_string(p, "tls-server-name", &name, err) ||
        get_string(p, "proxy-url", &proxy, err) ||
        get_bool(p, "insecure-skip-tls-verify", &c->insecure, err) ||
        get_material(p, "certificate-authority", &c->ca, err))
        return -1;
    if (!server)
        return error_set(err, ERR_INVALID, "%s.server is missing", p->where);
    bool ca = c->ca.path || c->ca.text;

    if (c->insecure && ca)
        return error_set(err, ERR_INVALID,
                         "%s has both insecure-skip-tls-verify and a certificate authority",
                         p->where);
    c->server = server_url(server, c->insecure || ca);
    if (!str_has_prefix(c->server, "https://") && !str_has_prefix(c->server, "http://"))
        return error_set(err, ERR_INVALID, "%s.server is neither http nor https: %s", p->where,
                         server);
    c->server_name = xstrdup_or_null(name);
    c->proxy = xstrdup_or_null(proxy);
    return 0;
}

/* ---- user ---- */

static int read_exec_list(const struct part *p, const char *key, jv *ret, struct error *err)
{
    *ret = jv_get(p->v, key);
    if (jv_present(*ret) && ret->type != JV_ARR)
        return error_set(err, ERR_INVALID, "%s.%s must be a list", p->where, key);
    return 0;
}

static int read_exec_args(struct exec_spec *s, const struct part *p, struct error *err)
{
    jv args, env;
    size_t n = 0;

    if (read_exec_list(p, "args", &args, err) || read_exec_list(p, "env", &env, err))
        return -1;
    s->argv = xcalloc(jv_len(args) + 2, sizeof(*s->argv));
    s->env = xcalloc(jv_len(env) + 1, sizeof(*s->env));
    s->argv[n++] = xstrdup(s->command);
    jv_foreach (arg, args) {
        if (arg->type != JV_STR)
            return error_set(err, ERR_INVALID, "%s.args[%zu] must be a string", p->where, n - 1);
        s->argv[n++] = xstrdup(arg->s);
    }
    n = 0;
    jv_foreach (e, env) {
        const char *name = JV_STRING(*e, "name"), *value = JV_STRING(*e, "value");

        if (str_empty(name) || strchr(name, '=') || !value)
            return error_set(err, ERR_INVALID, "%s.env[%zu] needs a name and a value", p->where, n);
        s->env[n++] = xasprintf("%s=%s", name, value);
    }
    return 0;
}

/* We are never interactive, so a plugin that insists on a terminal cannot work. */
static int check_interactive(const struct part *p, const char *version, const char *mode,
                             struct error *err)
{
    if (!mode && !strcmp(version, "client.authentication.k8s.io/v1"))
        return error_set(err, ERR_INVALID, "%s.interactiveMode is missing", p->where);
    if (mode && strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0)
        return error_set(err, ERR_INVALID,
                         "%s.interactiveMode is \"%s\", only Never and "
                         "IfAvailable work without a terminal",
                         p->where, mode);
    return 0;
}

static int read_exec(struct kube_config *c, struct arena *a, const struct part *user,
                     struct error *err)
{
    struct part p = {user->file, arena_printf(a, "%s.exec", user->where), jv_get(user->v, "exec")};
    const char *version, *command, *mode, *hint;

    if (!jv_present(p.v))
        return 0;
    if (get_string(&p, "apiVersion", &version, err) || get_string(&p, "command", &command, err) ||
        get_string(&p, "interactiveMode", &mode, err) || get_string(&p, "installHint", &hint, err))
        return -1;
    if (!command)
        return error_set(err, ERR_INVALID, "%s.command is missing", p.where);
    if (!version || (strcmp(version, "client.authentication.k8s.io/v1") != 0 &&
                     strcmp(version, "client.authentication.k8s.io/v1beta1") != 0))
        return error_set(err, ERR_INVALID,
                         "%s.apiVersion must be client.authentication.k8s.io/v1 or v1beta1, not %s",
                         p.where, str_or(version, "empty"));
    if (check_interactive(&p, version, mode, err))
        return -1;
    c->exec = xcalloc(1, sizeof(*c->exec));
    c->exec->api_version = xstrdup(version);
    c->exec->install_hint = xstrdup_or_null(hint);
    c->exec->where = xstrdup(p.where);
    /* With a slash it is a path from the file's folder, else looked for in $PATH. */
    c->exec->command = strchr(command, '/') ? resolve_path(&p, command) : xstrdup(command);
    if (get_bool(&p, "provideClusterInfo", &c->exec->provide_cluster_info, err))
        return -1;
    return read_exec_args(c->exec, &p, err);
}

static int read_user(struct kube_config *c, struct arena *a, const struct part *p,
                     struct error *err)
{
    const char *token, *token_file, *name, *password;

    if (get_material(p, "client-certificate", &c->cert, err) ||
        get_material(p, "client-key", &c->key, err) || get_string(p, "token", &token, err) ||
        get_string(p, "tokenFile", &token_file, err) || get_string(p, "username", &name, err) ||
        get_string(p, "password", &password, err) || read_exec(c, a, p, err))
        return -1;
    if (jv_present(jv_get(p->v, "auth-provider")))
        return error_set(err, ERR_INVALID,
                         "%s.auth-provider is not supported (Kubernetes dropped it); use exec",
                         p->where);
    if (!(c->cert.path || c->cert.text) != !(c->key.path || c->key.text))
        return error_set(err, ERR_INVALID, "%s has only one of client-certificate and client-key",
                         p->where);
    if (token_file)
        c->token.path = resolve_path(p, token_file);
    else
        c->token.text = xstrdup_or_null(token);
    if (name && (token || token_file))
        return error_set(err, ERR_INVALID, "%s has both a token and a username", p->where);
    if (name) {
        cleanup_free char *pair = xasprintf("%s:%s", name, str_or_empty(password));
        cleanup_free char *encoded = base64_encode(pair, strlen(pair));

        c->basic = xasprintf("Basic %s", encoded);
    }
    return 0;
}

/* The part of a cluster's extensions that is meant for exec plugins. */
static void read_exec_extension(struct kube_config *c, struct arena *a, const struct part *cluster)
{
    jv_foreach (e, jv_get(cluster->v, "extensions"))
        if (c->exec && str_eq(JV_STRING(*e, "name"), "client.authentication.k8s.io/exec"))
            c->exec->cluster_config = xstrdup(json_text(a, jv_get(*e, "extension")));
}

/* ---- files ---- */

static const char *current_context(const struct files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const char *name = JV_STRING(f->part[i].v, "current-context");

        if (!str_empty(name))
            return name;
    }
    return NULL;
}

int kube_config_from_files(struct kube_config *c, const char *const *paths, bool must_exist,
                           const char *context, struct error *err)
{
    cleanup_arena struct arena a = {0};
    struct files f = {.a = &a};
    struct part ctx = {0}, cluster = {0}, user = {0};
    const char *cluster_name, *user_name, *ns;

    for (size_t i = 0; paths[i]; i++)
        if (read_file(&f, paths[i], must_exist, err))
            return -1;
    if (!f.n)
        return error_set(err, ERR_NOT_FOUND, "no kubeconfig file: %s does not exist",
                         str_or(paths[0], "$KUBECONFIG"));
    if (str_empty(context))
        context = current_context(&f);
    if (!context)
        return error_set(err, ERR_INVALID, "kubeconfig %s: current-context is not set",
                         f.part[0].file);
    if (find_entry(&f, "contexts", "context", context, &ctx, err) ||
        get_string(&ctx, "cluster", &cluster_name, err) ||
        get_string(&ctx, "user", &user_name, err) || get_string(&ctx, "namespace", &ns, err))
        return -1;
    if (!cluster_name)
        return error_set(err, ERR_INVALID, "%s.cluster is missing", ctx.where);
    c->ns = xstrdup(str_or(ns, "default"));
    if (find_entry(&f, "clusters", "cluster", cluster_name, &cluster, err) ||
        read_cluster(c, &cluster, err))
        return -1;
    if (!user_name) /* anonymous */
        return 0;
    if (find_entry(&f, "users", "user", user_name, &user, err) || read_user(c, &a, &user, err))
        return -1;
    read_exec_extension(c, &a, &cluster);
    return 0;
}

int kube_config_from_pod(struct kube_config *c, const char *dir, struct error *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    cleanup_free char *ns_path = xasprintf("%s/namespace", dir);
    cleanup_arena struct arena a = {0};

    if (str_empty(host) || str_empty(port))
        return error_set(err, ERR_INVALID,
                         "KUBERNETES_SERVICE_HOST and _PORT are not set: not in a pod");
    c->in_cluster = true;
    c->server = xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
    c->ca.path = xasprintf("%s/ca.crt", dir);
    c->token.path = xasprintf("%s/token", dir);
    cleanup_free char *ns = file_read(ns_path, 1024, NULL, NULL);

    c->ns = xstrdup(ns ? str_trim(&a, ns) : "default");
    return 0;
}

static bool in_pod(const char *dir)
{
    cleanup_free char *token = xasprintf("%s/token", dir);

    return !str_empty(getenv("KUBERNETES_SERVICE_HOST")) && !access(token, R_OK);
}

static int load(struct kube_config *c, const struct kube_config_options *o, struct error *err)
{
    const char *dir = str_or(o->service_account_dir, SERVICE_ACCOUNT_DIR);
    const char *env = getenv("KUBECONFIG"), *home = getenv("HOME");
    cleanup_arena struct arena a = {0};

    if (!str_empty(o->kubeconfig))
        return kube_config_from_files(c, (const char *const[]){o->kubeconfig, NULL},
                                      /* must_exist= */ true, o->context, err);
    if (in_pod(dir))
        return kube_config_from_pod(c, dir, err);
    if (!str_empty(env)) {
        const char *const *paths = (const char *const *)str_split(&a, env, ':', NULL);

        return kube_config_from_files(c, paths, /* must_exist= */ false, o->context, err);
    }
    return kube_config_from_files(
        c, (const char *const[]){arena_printf(&a, "%s/.kube/config", str_or_empty(home)), NULL},
        /* must_exist= */ false, o->context, err);
}

struct kube_config *kube_config_load(struct loop *loop, const struct kube_config_options *o,
                                     struct error *err)
{
    struct kube_config *c = xcalloc(1, sizeof(*c));

    c->loop = loop;
    c->exec_timeout_ms = o->exec_timeout_ms;
    if (load(c, o, err) || kube_auth_init(c, err)) {
        kube_config_free(c);
        return NULL;
    }
    return c;
}

static void material_release(struct material *m)
{
    free(m->path);
    wipe_free(m->text);
}

void kube_config_free(struct kube_config *c)
{
    if (!c)
        return;
    kube_auth_release(c);
    material_release(&c->ca);
    material_release(&c->cert);
    material_release(&c->key);
    material_release(&c->token);
    exec_spec_free(c->exec);
    wipe_free(c->basic);
    free(c->server);
    free(c->server_name);
    free(c->ns);
    free(c->proxy);
    free(c);
}

const char *kube_config_server(const struct kube_config *c)
{
    return c->server;
}

const char *kube_config_namespace(const struct kube_config *c)
{
    return c->ns;
}

const char *kube_config_proxy(const struct kube_config *c)
{
    return c->proxy;
}

bool kube_config_in_cluster(const struct kube_config *c)
{
    return c->in_cluster;
}
