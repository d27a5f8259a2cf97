/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flink-operator migrate --check: what would become of the resources that another operator has had
 * so far. It only reads: lists, one after the other, page by page.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "defaults.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/desired.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/migration.h"
#include "flinkop/operator_config.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"

#define PAGE 500

struct options {
    bool check;
    const char *kubeconfig, *context, *namespaces, *conf_dir;
    int output;
};

static const char *const outputs[] = {"text", "json", NULL};

static const struct option_spec table[] = {
    {"check", NULL, NULL, OPT_BOOL, offsetof(struct options, check),
     .help = "Only look, and tell; there is nothing else that this command does"},
    {"kubeconfig", NULL, "FILE", OPT_STRING, offsetof(struct options, kubeconfig),
     .help =
         "Kubeconfig; without it the pod's service account, else $KUBECONFIG or ~/.kube/config"},
    {"context", NULL, "NAME", OPT_STRING, offsetof(struct options, context),
     .help = "Context of the kubeconfig instead of its current one"},
    {"namespace", "WATCH_NAMESPACES", "NS[,NS...]", OPT_STRING,
     offsetof(struct options, namespaces),
     .help = "Namespaces to look at; empty: kubernetes.operator.watched.namespaces, else all"},
    {"conf-dir", "FLINK_CONF_DIR", "DIR", OPT_STRING, offsetof(struct options, conf_dir),
     .help = "Operator configuration that this operator is going to have"},
    {"output", NULL, NULL, OPT_CHOICE, offsetof(struct options, output), "text", .choices = outputs,
     .help = "A line for each resource, or one JSON object", .letter = 'o'},
};

/* What is listed, in this order. */
static const struct look {
    enum kube_kind kind;
    bool everywhere;      /* in all namespaces, or it has none */
    bool optional;        /* that it is not served, or not shown to us, is told and no more */
    bool served;          /* those that the operator's label selector takes */
    const char *selector; /* labels */
    const char *field;
} looks[] = {
    {KIND_DEFINITION, true, true, false, NULL, "metadata.name=flinkdeployments.flink.apache.org"},
    {KIND_LEASE, true, true, false, NULL, NULL},
    {KIND_WEBHOOKS, true, true, false, NULL, NULL},
    {KIND_MUTATINGWEBHOOKS, true, true, false, NULL, NULL},
    {KIND_DEPLOYMENT, true, true, false, NULL, NULL},
    {KIND_DEPLOYMENT, false, false, false, "component=jobmanager", NULL},
    {KIND_FLINKDEPLOYMENT, false, false, true, NULL, NULL},
    {KIND_FLINKSESSIONJOB, false, false, true, NULL, NULL},
    {KIND_FLINKSTATESNAPSHOT, false, true, true, NULL, NULL},
    {KIND_FLINKBLUEGREEN, false, true, false, NULL, NULL},
};

struct migration {
    struct arena a;
    struct loop *loop;
    struct kube_client *kube;
    struct operator_config *config; /* held */
    size_t at, ns;                  /* which list is under way, of which namespace */
    struct arena page;
    struct strmap jobmanagers; /* "namespace/name" → jv *, in the arena */
    struct strmap clusters;    /* the same of FlinkDeployments, what their jobs need to know */
    struct jv_list obstacles, unseen, resources;
    size_t refused;
    struct error err; /* why it could not be found out */
    bool failed;
};

static void send(struct migration *m, const char *continue_token);

static void keep(struct migration *m, struct strmap *map, const char *ns, const char *name,
                 jv object)
{
    jv *kept = arena_new(&m->a, jv);

    *kept = jv_dup(&m->a, object);
    strmap_put(map, arena_printf(&m->page, "%s/%s", ns, name), kept);
}

static void keep_cluster(struct migration *m, const char *ns, const char *name, jv object)
{
    jv record = JV_PATH(object, "status", "reconciliationStatus", "lastReconciledSpec");

    keep(m, &m->clusters, ns, name,
         OBJ({"spec", OBJ({"flinkVersion", JV_PATH(object, "spec", "flinkVersion")})},
             {"status", OBJ({"reconciliationStatus", OBJ({"lastReconciledSpec", record})})}));
}

/* What its verdict goes by beside itself. */
static jv other_of(struct migration *m, const char *ns, const char *name, jv object)
{
    bool job = str_eq(JV_STRING(object, "kind"), "FlinkSessionJob");
    const jv *other;

    if (job)
        name = str_or_empty(JV_STRING(object, "spec", "deploymentName"));
    other =
        strmap_get(job ? &m->clusters : &m->jobmanagers, arena_printf(&m->page, "%s/%s", ns, name));
    return other ? *other : ABSENT;
}

static void add_resource(struct migration *m, jv object)
{
    const char *ns = JV_STRING(object, "metadata", "namespace"),
               *name = JV_STRING(object, "metadata", "name");
    struct takeover_verdict v;

    takeover_judge(&m->page, object, other_of(m, ns, name, object), m->config->defaults, &v);
    if (str_eq(JV_STRING(object, "kind"), "FlinkDeployment"))
        keep_cluster(m, ns, name, object);
    m->refused += v.what == TAKEOVER_REFUSED;
    jv_list_add(&m->resources,
                jv_dup(&m->a, OBJ({"kind", STR(JV_STRING(object, "kind"))}, {"namespace", STR(ns)},
                                  {"name", STR(name)}, {"verdict", STR(takeover_name(v.what))},
                                  {"text", STR(takeover_text(v.what))}, {"notes", v.notes})));
}

/* Items of a list name neither their kind nor its version. */
static jv as_object(struct migration *m, const struct kube_resource *res, jv item)
{
    return jv_merge(
        &m->page, item,
        jv_dup(&m->page, OBJ({"apiVersion", STR(res->api_version)}, {"kind", STR(res->kind)})));
}

static void add_item(struct migration *m, const struct look *look, jv item)
{
    jv object = as_object(m, kube_resource(look->kind), item);
    const char *text;

    if (look->kind == KIND_DEPLOYMENT && look->selector) {
        keep(m, &m->jobmanagers, JV_STRING(object, "metadata", "namespace"),
             JV_STRING(object, "metadata", "name"), object);
        return;
    }
    if (!look->everywhere) {
        add_resource(m, object);
        return;
    }
    text = look->kind == KIND_DEFINITION ? takeover_definition(object)
                                         : takeover_obstacle(&m->page, object, clock_wall_ms());
    if (text)
        jv_list_add(&m->obstacles, STR(arena_strdup(&m->a, text)));
}

static void next(struct migration *m)
{
    const char *const *namespaces = m->config->namespaces;

    if (!looks[m->at].everywhere && namespaces[0] && namespaces[m->ns + 1]) {
        m->ns++;
    } else {
        m->at++;
        m->ns = 0;
    }
    if (m->at == ARRAY_SIZE(looks))
        loop_stop(m->loop);
    else
        send(m, NULL);
}

static bool may_be_unseen(const struct look *look, const struct error *err)
{
    return look->optional && (err->code == ERR_NOT_FOUND || err->code == ERR_FORBIDDEN);
}

static void got(void *arg, const struct kube_reply *reply)
{
    struct migration *m = arg;
    const struct look *look = &looks[m->at];
    const char *more;

    if (reply->err->code == ERR_FORBIDDEN && may_be_unseen(look, reply->err))
        jv_list_add(&m->unseen, STR(arena_strdup(&m->a, reply->err->text)));
    if (reply->err->code) {
        if (may_be_unseen(look, reply->err)) {
            next(m);
            return;
        }
        m->err = *reply->err;
        m->failed = true;
        loop_stop(m->loop);
        return;
    }
    jv_foreach (item, jv_get(reply->object, "items"))
        add_item(m, look, *item);
    more = JV_STRING(reply->object, "metadata", "continue");
    if (str_empty(more))
        next(m);
    else
        send(m, more);
    arena_reset(&m->page);
}

static void send(struct migration *m, const char *continue_token)
{
    const struct look *look = &looks[m->at];

    kube_send(m->kube,
              &(struct kube_call){.verb = KUBE_LIST,
                                  .kind = look->kind,
                                  .ns = look->everywhere ? NULL : m->config->namespaces[m->ns],
                                  .limit = PAGE,
                                  .continue_token = continue_token,
                                  .label_selector = look->served ? m->config->selector_text
                                                                 : look->selector,
                                  .field_selector = look->field,
                                  .max_body = (size_t)256 << 20},
              got, m);
}

/* ---- telling ---- */

static void print_text(struct migration *m)
{
    jv_foreach (text, jv_list_arr(&m->obstacles))
        printf("in the way: %s\n", jv_string(*text));
    jv_foreach (text, jv_list_arr(&m->unseen))
        printf("not looked at: %s\n", jv_string(*text));
    jv_foreach (r, jv_list_arr(&m->resources)) {
        printf("%s %s/%s: %s", JV_STRING(*r, "kind"), JV_STRING(*r, "namespace"),
               JV_STRING(*r, "name"), JV_STRING(*r, "text"));
        jv_foreach (n, jv_get(*r, "notes"))
            printf("; %s", jv_string(*n));
        printf("\n");
    }
    fprintf(stderr, "%zu resources, %zu refused, %zu in the way\n", m->resources.n, m->refused,
            m->obstacles.n);
}

static void print_json(struct migration *m)
{
    puts(json_text(&m->a, OBJ({"obstacles", jv_list_arr(&m->obstacles)},
                              {"notLookedAt", jv_list_arr(&m->unseen)},
                              {"resources", jv_list_arr(&m->resources)})));
}

static int look_at_all(struct migration *m, const struct options *o, struct error *err)
{
    const struct kube_config_options ko = {.kubeconfig = o->kubeconfig, .context = o->context};
    struct kube_config *config;

    m->loop = loop_new();
    config = kube_config_load(m->loop, &ko, err);
    if (config) {
        m->kube = kube_client_new(m->loop, config);
        send(m, NULL);
        loop_run(m->loop);
        if (m->failed)
            *err = m->err;
    }
    kube_client_free(m->kube);
    kube_config_free(config);
    loop_free(m->loop);
    return config && !m->failed ? 0 : -1;
}

static int run(int argc, char **argv)
{
    struct migration m = {0};
    struct options o = {0};
    const char **args = arena_new_array(&m.a, const char *, (size_t)argc + 1);
    struct error err;
    int n_args = 0, rc;

    rc = cli_options(&command_migrate, argc, argv, &o, args, &n_args);
    if (rc < 0 && (n_args || !o.check)) {
        cli_error(n_args ? "migrate takes no arguments" : "migrate: --check is missing");
        rc = EXIT_USAGE;
    }
    if (rc >= 0) {
        arena_free(&m.a);
        return rc;
    }
    log_setup(LOG_ERROR, LOG_TEXT);
    mem_init();
    m.obstacles = m.unseen = m.resources = JV_LIST(&m.a);
    m.config = cli_config(o.conf_dir, o.namespaces, &err);
    rc = EXIT_INTERNAL;
    if (!m.config || look_at_all(&m, &o, &err)) {
        cli_error("%s", err.text);
    } else {
        (o.output ? print_json : print_text)(&m);
        rc = m.obstacles.n || m.refused ? EXIT_INVALID : EXIT_OK;
    }
    operator_config_let_go(m.config);
    strmap_release(&m.jobmanagers);
    strmap_release(&m.clusters);
    arena_free(&m.page);
    arena_free(&m.a);
    return rc;
}

const struct command command_migrate = {
    .name = "migrate",
    .args = "",
    .help = "Tell what would become of the resources of another operator. Exit code 0: all of them "
            "are taken over; 1: that operator, or something of it, is in the way, or a spec would "
            "be refused; 2: wrong usage; 3: what has to be known could not be read. What may be "
            "left out (\"not looked at\") does not count.",
    .run = run,
    .options = table,
    .n_options = ARRAY_SIZE(table),
};
