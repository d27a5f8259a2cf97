/* SPDX-License-Identifier: Apache-2.0 */
/* flink-operator validate: the operator's own checks, without a cluster. */
#include <stdio.h>

#include "cli.h"
#include "defaults.h"
#include "flinkop/arena.h"
#include "flinkop/kube_resource.h"
#include "flinkop/resource_check.h"
#include "flinkop/str.h"

struct options {
    const char *conf_dir;
};

static const struct option_spec table[] = {
    {"file", NULL, "FILE", OPT_WORD,
     .help = "Manifest to check (YAML or JSON, several documents); - is standard input",
     .letter = 'f'},
    {"conf-dir", "FLINK_CONF_DIR", "DIR", OPT_STRING, offsetof(struct options, conf_dir),
     .help = "Operator configuration to check against"},
};

#define API_GROUP "flink.apache.org/"
#define API_VERSION API_GROUP "v1beta1"

/* Kinds of the API that this operator does not have yet. */
static const char *const other_kinds[] = {"FlinkBlueGreenDeployment"};

/* Whether a document is for us. A kind of our group that is misspelled is, too. */
static bool check_kind(struct problems *p, jv object)
{
    const char *api = str_or_empty(JV_STRING(object, "apiVersion"));
    const char *kind = str_or_empty(JV_STRING(object, "kind"));
    bool known = str_eq(kind, "FlinkDeployment") || str_eq(kind, "FlinkSessionJob") ||
                 str_eq(kind, "FlinkStateSnapshot");

    if (!known && (!str_has_prefix(api, API_GROUP) ||
                   str_index(other_kinds, ARRAY_SIZE(other_kinds), kind) >= 0))
        return false;
    if (!known)
        problem_add(p, "kind",
                    "must be FlinkDeployment, FlinkSessionJob or FlinkStateSnapshot, found %s",
                    jv_describe(p->a, jv_get(object, "kind")));
    if (!str_eq(api, API_VERSION))
        problem_add(p, "apiVersion", "must be " API_VERSION ", found %s",
                    jv_describe(p->a, jv_get(object, "apiVersion")));
    return true;
}

/* Problems of one document; kinds that are not ours are none of our business. */
static bool check(struct problems *p, const struct manifest *m, const struct flink_defaults *d)
{
    if (!check_kind(p, m->object))
        return false;
    if (!p->n)
        resource_check(p, kube_resource_of(API_VERSION, JV_STRING(m->object, "kind"))->id,
                       m->object, ABSENT, true, d);
    return true;
}

/* Of our group, and nothing that this operator acts on. */
static void tell_unserved(const struct manifest *m)
{
    const char *kind = JV_STRING(m->object, "kind");

    if (str_has_prefix(str_or_empty(JV_STRING(m->object, "apiVersion")), API_GROUP))
        fprintf(stderr, "%s:%d: %s %s: not served by this operator\n", m->file, m->line, kind,
                str_or(JV_STRING(m->object, "metadata", "name"), "(no name)"));
}

/* What is no mistake, and has no effect. */
static void warn(struct arena *a, const struct manifest *m)
{
    const struct kube_resource *res = kube_resource_of(API_VERSION, JV_STRING(m->object, "kind"));

    if (!res)
        return;
    jv_foreach (w, resource_warnings(a, res->id, m->object))
        fprintf(stderr, "%s:%d: %s %s: warning: %s\n", m->file, m->line, res->kind,
                str_or(JV_STRING(m->object, "metadata", "name"), "(no name)"), jv_string(*w));
}

static int run(int argc, char **argv)
{
    cleanup_arena struct arena a = {0};
    struct options o = {0};
    struct cli_input in;
    size_t bad = 0, checked = 0;

    int rc = cli_read(&command_validate, argc, argv, &o, &o.conf_dir, &a, &in);

    if (rc >= 0)
        return rc;
    for (size_t i = 0; i < in.n; i++) {
        struct problems p = PROBLEMS_INIT(&a);

        if (!check(&p, &in.list[i], in.defaults)) {
            tell_unserved(&in.list[i]);
            continue;
        }
        checked++;
        warn(&a, &in.list[i]);
        bad += p.n > 0;
        for (size_t k = 0; k < MIN(p.n, (size_t)PROBLEMS_MAX); k++)
            printf("%s:%d: %s %s: %s: %s\n", in.list[i].file, in.list[i].line,
                   str_or(JV_STRING(in.list[i].object, "kind"), "(no kind)"),
                   str_or(JV_STRING(in.list[i].object, "metadata", "name"), "(no name)"),
                   p.items[k].path, p.items[k].text);
    }
    fprintf(stderr, "%zu checked, %zu with problems\n", checked, bad);
    return bad ? EXIT_INVALID : EXIT_OK;
}

const struct command command_validate = {
    .name = "validate",
    .args = " -f FILE [-f FILE...]",
    .help =
        "Check FlinkDeployments, FlinkSessionJobs and FlinkStateSnapshots in files; exit code 1 if "
        "one is not valid.",
    .run = run,
    .options = table,
    .n_options = ARRAY_SIZE(table),
};
