/* SPDX-License-Identifier: Apache-2.0 */
#include "config_check.h"

#include <ctype.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_reply.h"
#include "flinkop/schedule.h"
#include "flinkop/str.h"
#include "job_snapshots.h"
#include "kube_rules.h"

#define IMAGE_MAX 1000
#define MAX_PARALLELISM 32768 /* Flink's own limit */

enum form {
    FORM_FLAG,
    FORM_DURATION,
    FORM_LABELS,      /* a map of labels */
    FORM_ANNOTATIONS, /* a map of annotations */
    FORM_TOLERATIONS, /* a list of maps */
    FORM_SECRET_ENV,  /* a list of maps */
    FORM_SECRETS,     /* a map from Secrets to paths */
    FORM_VERTICES,    /* a map from vertices of a job to their parallelism */
    FORM_NAMES,       /* a list of names of objects */
    FORM_NAME,        /* of an object */
    FORM_PATH,
    FORM_CHOICE,
    FORM_SCHEDULE, /* a duration or a cron expression */
};

static const char *const pull_policies[] = {"IfNotPresent", "Always", "Never", NULL};
static const char *const service_types[] = {"ClusterIP", "NodePort", "LoadBalancer",
                                            "Headless_ClusterIP", NULL};
static const char *const reference_policies[] = {"report", "restart", "ignore", NULL};

static const struct row {
    const char *key;
    enum form form;
    const char *const *choices;
} rows[] = {
    {"kubernetes.jobmanager.labels", FORM_LABELS},
    {"kubernetes.taskmanager.labels", FORM_LABELS},
    {"kubernetes.jobmanager.annotations", FORM_ANNOTATIONS},
    {"kubernetes.taskmanager.annotations", FORM_ANNOTATIONS},
    {"kubernetes.internal-service.annotations", FORM_ANNOTATIONS},
    {"kubernetes.rest-service.annotations", FORM_ANNOTATIONS},
    {"kubernetes.jobmanager.node-selector", FORM_LABELS},
    {"kubernetes.taskmanager.node-selector", FORM_LABELS},
    {"kubernetes.jobmanager.tolerations", FORM_TOLERATIONS},
    {"kubernetes.taskmanager.tolerations", FORM_TOLERATIONS},
    {"kubernetes.env.secretKeyRef", FORM_SECRET_ENV},
    {"kubernetes.secrets", FORM_SECRETS},
    {"kubernetes.container.image.pull-secrets", FORM_NAMES},
    {"kubernetes.container.image.pull-policy", FORM_CHOICE, pull_policies},
    {"kubernetes.rest-service.exposed.type", FORM_CHOICE, service_types},
    {"kubernetes.hostnetwork.enabled", FORM_FLAG},
    {"kubernetes.jobmanager.service-account", FORM_NAME}, /* and kubernetes.service-account */
    {"kubernetes.taskmanager.service-account", FORM_NAME},
    {"kubernetes.hadoop.conf.config-map.name", FORM_NAME},
    {"kubernetes.flink.conf.dir", FORM_PATH},
    {"kubernetes.flink.log.dir", FORM_PATH},
    {"slot.request.timeout", FORM_DURATION},
    {FLINK_OVERRIDES_KEY, FORM_VERTICES},
    {PERIODIC_SAVEPOINT_KEY, FORM_SCHEDULE},
    {PERIODIC_CHECKPOINT_KEY, FORM_SCHEDULE},
    {REFERENCES_KEY, FORM_CHOICE, reference_policies},
};

/* A problem of a key; texts of errors begin with it themselves. */
static void problem_of(struct problems *p, const char *key, const char *text)
{
    const char *rest = str_skip_prefix(text, key);

    rest = rest ? str_skip_prefix(rest, ": ") : NULL;
    problem_add(p, arena_printf(p->a, "spec.flinkConfiguration.%s", str_clean(p->a, key, 200)),
                "%s", str_or(rest, text));
}

static void check_choice(struct problems *p, const struct row *r, const char *key, const char *text)
{
    const char *all = "";

    for (size_t i = 0; r->choices[i]; i++) {
        if (!strcmp(r->choices[i], text))
            return;
        all = arena_printf(p->a, "%s%s%s", all, i ? ", " : "", r->choices[i]);
    }
    problem_of(
        p, key,
        arena_printf(p->a, "must be one of %s, found %s", all, jv_describe(p->a, STR(text))));
}

/* "key:k,operator:Equal,value:v,effect:NoSchedule,tolerationSeconds:60" */
static const char *bad_toleration(struct arena *a, jv m)
{
    static const char *const known[] = {"key", "operator", "value", "effect", "tolerationSeconds"};
    const char *seconds = JV_STRING(m, "tolerationSeconds");
    int64_t n;

    jv_foreach_kv (kv, m)
        if (str_index(known, ARRAY_SIZE(known), kv->key) < 0)
            return arena_printf(a,
                                "\"%s\" is no part of a toleration; its parts are key, operator, "
                                "value, effect and tolerationSeconds",
                                str_clean(a, kv->key, 80));
    if (seconds && !str_to_int64(seconds, &n))
        return arena_printf(a, "tolerationSeconds must be a whole number, found \"%s\"",
                            str_clean(a, seconds, 80));
    return NULL;
}

/* "env:NAME,secret:S,key:K" */
static const char *bad_secret_env(struct arena *a, jv m)
{
    static const char *const needed[] = {"env", "secret", "key"};

    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (str_empty(JV_STRING(m, needed[i])))
            return arena_printf(a,
                                "each must be like \"env:NAME,secret:SECRET,key:KEY\", but one has "
                                "no \"%s\"",
                                needed[i]);
    return NULL;
}

static void check_map_list(struct problems *p, const struct row *r, const char *key, jv list)
{
    jv_foreach (m, list) {
        const char *bad = r->form == FORM_TOLERATIONS ? bad_toleration(p->a, *m)
                                                      : bad_secret_env(p->a, *m);

        if (bad)
            problem_of(p, key, bad);
    }
}

static void check_vertex(struct problems *p, const char *key, const char *vertex, jv parallelism)
{
    int n;

    if (!flink_id_valid(vertex))
        problem_of(p, key,
                   arena_printf(p->a,
                                "must map vertex ids (32 hex digits, as the UI and GET /jobs/<id> "
                                "of Flink show them) to their parallelism, found %s",
                                jv_describe(p->a, STR(vertex))));
    else if (!str_to_int(str_or_empty(jv_string(parallelism)), &n) || n < 1 || n > MAX_PARALLELISM)
        problem_of(p, key,
                   arena_printf(p->a,
                                "the parallelism of vertex %s must be a whole number from 1 to "
                                "%d, found %s",
                                vertex, MAX_PARALLELISM, jv_describe(p->a, parallelism)));
}

static void check_map(struct problems *p, const struct row *r, const char *key, jv map)
{
    const char *path = arena_printf(p->a, "spec.flinkConfiguration.%s", key);

    if (r->form == FORM_LABELS)
        labels_check(p, path, map);
    else if (r->form == FORM_ANNOTATIONS)
        annotations_check(p, path, map);
    else if (r->form == FORM_VERTICES)
        jv_foreach_kv (kv, map)
            check_vertex(p, key, kv->key, kv->value);
    else
        jv_foreach_kv (kv, map) {
            const char *at = arena_printf(p->a, "%s.%s", path, str_clean(p->a, kv->key, 80));

            object_name_check(p, at, kv->key, "Secret");
            if (kv->value.type != JV_STR || *kv->value.s != '/')
                problem_add(p, at, "must be followed by a path such as /etc/keys, found %s",
                            jv_describe(p->a, kv->value));
        }
}

static void check_names(struct problems *p, const char *key, jv list)
{
    size_t i = 0;

    jv_foreach (name, list)
        object_name_check(p, arena_printf(p->a, "spec.flinkConfiguration.%s[%zu]", key, i++),
                          str_or_empty(jv_string(*name)), "Secret");
}

static void check_schedule(struct problems *p, const char *key, const char *text)
{
    struct schedule schedule;
    struct error err;

    if (*text && schedule_parse(text, &schedule, &err))
        problem_of(p, key, str_clean(p->a, err.text, 500));
}

static void check_text(struct problems *p, const struct row *r, const char *key, const char *text)
{
    text = str_trim(p->a, text);
    if (r->form == FORM_SCHEDULE)
        check_schedule(p, key, text);
    else if (r->form == FORM_CHOICE)
        check_choice(p, r, key, text);
    else if (r->form == FORM_NAME)
        object_name_check(p, arena_printf(p->a, "spec.flinkConfiguration.%s", key), text,
                          strstr(key, "account") ? "ServiceAccount" : "ConfigMap");
    else if (*text != '/')
        problem_of(p, key,
                   arena_printf(p->a, "must be a path from the root, found %s",
                                jv_describe(p->a, STR(text))));
}

static void check_row(struct problems *p, const struct row *r, const struct conf *c)
{
    const char *name = r->key, *text = conf_lookup_name(c, r->key, &name);
    struct error err = {0};
    int64_t ms;
    bool flag;
    jv v = ABSENT;
    int rc = 0;

    switch (r->form) {
    case FORM_FLAG:
        rc = conf_bool(c, r->key, false, &flag, &err);
        break;
    case FORM_DURATION:
        rc = conf_duration(c, r->key, 0, &ms, &err);
        break;
    case FORM_LABELS:
    case FORM_ANNOTATIONS:
    case FORM_SECRETS:
    case FORM_VERTICES:
        rc = conf_map(c, r->key, &v, &err);
        check_map(p, r, name, rc ? ABSENT : v);
        break;
    case FORM_TOLERATIONS:
    case FORM_SECRET_ENV:
        rc = conf_map_list(c, r->key, &v, &err);
        check_map_list(p, r, name, rc ? ABSENT : v);
        break;
    case FORM_NAMES:
        rc = conf_list(c, r->key, &v, &err);
        check_names(p, name, rc ? ABSENT : v);
        break;
    default:
        if (text)
            check_text(p, r, name, text);
    }
    if (rc)
        problem_of(p, name, err.text);
}

/* The API server's rule of before 1.32. */
static bool is_env_name(const char *s)
{
    if (!*s || isdigit((unsigned char)*s))
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("_-.", *s))
            return false;
    return true;
}

static void check_env(struct problems *p, const struct conf *c)
{
    static const char *const prefixes[] = {"containerized.master.env.",
                                           "containerized.taskmanager.env."};

    for (size_t k = 0; k < ARRAY_SIZE(prefixes); k++)
        for (size_t i = 0; i < c->n; i++) {
            const char *name = str_skip_prefix(c->entries[i].key, prefixes[k]);

            if (name && !is_env_name(name))
                problem_of(p, c->entries[i].key,
                           "must end with the name of an environment variable: letters, digits, "
                           "'_', '-' and '.', not starting with a digit");
        }
}

/* Options of the operator that a resource sets for itself. */
static void check_options(struct problems *p, const struct conf *own)
{
    struct error err;

    if (flink_options_check(own, &err))
        problem_of(p, arena_strndup(p->a, err.text, strcspn(err.text, ":")), err.text);
}

void session_job_keys_check(struct problems *p, const struct conf *own)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].form == FORM_VERTICES || rows[i].form == FORM_SCHEDULE)
            check_row(p, &rows[i], own);
    check_options(p, own);
}

/* ---- fields of the spec ---- */

static void check_image(struct problems *p, const char *image)
{
    const char *s = str_or_empty(image);

    while (isalnum((unsigned char)*s) || (*s && strchr("-_./:@[]", *s)))
        s++;
    if (image && (*s || s == image || s - image > IMAGE_MAX))
        problem_add(p, "spec.image", "must be a container image such as flink:1.20, found %s",
                    jv_describe(p->a, STR(image)));
}

static void check_templates(struct problems *p, const struct cluster_config *c)
{
    const struct deployment_spec *s = c->spec;
    const struct {
        const char *path;
        jv template;
    } parts[] = {{"spec.jobManager.podTemplate", s->jm.pod_template},
                 {"spec.taskManager.podTemplate", s->tm.pod_template}};
    bool by_name =
        str_eq(conf_get(&c->conf, "kubernetes.operator.pod-template.merge-arrays-by-name"), "true");

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        bool own = jv_present(parts[i].template);

        if (own || !i) /* once is enough for what both share */
            pod_template_whole_check(
                p, own ? parts[i].path : "spec.podTemplate",
                pod_template_merge(p->a, s->pod_template, parts[i].template, by_name));
    }
}

void cluster_config_check(struct problems *p, const struct cluster_config *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].form != FORM_SCHEDULE) /* without one, only nothing periodic is taken */
            check_row(p, &rows[i], &c->conf);
        else if (!p->taken)
            check_row(p, &rows[i], &c->spec->conf);
    check_env(p, &c->conf);
    check_options(p, &c->spec->conf);
    check_image(p, c->spec->image);
    if (c->spec->service_account)
        object_name_check(p, "spec.serviceAccount", c->spec->service_account, "ServiceAccount");
    check_templates(p, c);
}
