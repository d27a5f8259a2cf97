/* SPDX-License-Identifier: Apache-2.0 */
/* flink-operator validate: the operator's own checks, without a cluster. */
#include <stdio.h>

#include "cli.h"
#include "flinkop/arena.h"
#include "flinkop/kube_resource.h"
#include "flinkop/operator_config.h"
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

static enum kube_kind kind_of(const struct manifest *m)
{
    return kube_resource_of(JV_STRING(m->object, "apiVersion"), JV_STRING(m->object, "kind"))->id;
}

/* Problems of one document; kinds that are not ours are none of our business. */
static bool check(struct problems *p, const struct manifest *m, const struct flink_defaults *d)
{
    if (!cli_is_ours(p, m->object))
        return false;
    if (!p->n)
        resource_check(p, kind_of(m), m->object, ABSENT, true, d);
    return true;
}

static const char *title(struct arena *a, const struct manifest *m)
{
    return arena_printf(a, "%s:%d: %s %s", m->file, m->line,
                        str_or(JV_STRING(m->object, "kind"), "(no kind)"),
                        str_or(JV_STRING(m->object, "metadata", "name"), "(no name)"));
}

static void print_problems(const struct problems *p, const struct manifest *m)
{
    for (size_t k = 0; k < MIN(p->n, (size_t)PROBLEMS_MAX); k++)
        printf("%s: %s: %s\n", title(p->a, m), p->items[k].path, p->items[k].text);
    if (p->n > PROBLEMS_MAX)
        printf("%s: and %zu more\n", title(p->a, m), p->n - PROBLEMS_MAX);
}

static void print_warnings(struct arena *a, const struct manifest *m,
                           const struct flink_defaults *d)
{
    jv_foreach (warning, resource_warnings(a, kind_of(m), m->object, d))
        fprintf(stderr, "%s: warning: %s\n", title(a, m), jv_string(*warning));
}

/* Of our group, and nothing that this operator acts on. */
static void tell_unserved(const struct manifest *m)
{
    const char *kind = JV_STRING(m->object, "kind");

    if (str_has_prefix(str_or_empty(JV_STRING(m->object, "apiVersion")), API_GROUP))
        fprintf(stderr, "%s:%d: %s %s: not served by this operator\n", m->file, m->line, kind,
                str_or(JV_STRING(m->object, "metadata", "name"), "(no name)"));
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

        if (!check(&p, &in.list[i], in.config->defaults)) {
            tell_unserved(&in.list[i]);
            continue;
        }
        checked++;
        bad += p.n > 0;
        print_problems(&p, &in.list[i]);
        if (!p.n)
            print_warnings(&a, &in.list[i], in.config->defaults);
    }
    fprintf(stderr, "%zu checked, %zu with problems\n", checked, bad);
    operator_config_let_go(in.config);
    return bad || !checked ? EXIT_INVALID : EXIT_OK;
}

const struct command command_validate = {
    .name = "validate",
    .args = " -f FILE [-f FILE...]",
    .help =
        "Check FlinkDeployments, FlinkSessionJobs and FlinkStateSnapshots in files; exit code 1 if "
        "one is not valid, or if there is none. What is valid but may not be meant is warned about.",
    .run = run,
    .options = table,
    .n_options = ARRAY_SIZE(table),
};
