/* SPDX-License-Identifier: Apache-2.0 */
/* flink-operator validate: the operator's own checks, without a cluster. */
#include <stdio.h>

#include "cli.h"
#include "defaults.h"
#include "flinkop/arena.h"
#include "flinkop/cluster_config.h"
#include "flinkop/kube_resource.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"

struct options {
    const char *file, *conf_dir;
};

static const struct option_spec table[] = {
    {"file", NULL, "FILE", OPT_STRING, offsetof(struct options, file),
     .help = "Manifest to check (YAML or JSON, several documents); - is standard input",
     .letter = 'f'},
    {"conf-dir", "FLINK_CONF_DIR", "DIR", OPT_STRING, offsetof(struct options, conf_dir),
     .help = "Operator configuration to check against"},
};

#define API_GROUP "flink.apache.org/"
#define API_VERSION API_GROUP "v1beta1"

/* Kinds of the API that this operator does not have yet. */
static const char *const other_kinds[] = {"FlinkBlueGreenDeployment"};

/* The name of a FlinkDeployment has a rule of its own. */
static void check_metadata(struct problems *p, jv metadata, bool name_too)
{
    static const char *const maps[] = {"labels", "annotations"};
    jv name = jv_get(metadata, "name");

    if (metadata.type != JV_OBJ && jv_present(metadata))
        problem_add(p, "metadata", "must be a mapping, found %s", jv_describe(p->a, metadata));
    if (name_too && (name.type != JV_STR || !object_name_valid(name.s)))
        problem_add(p, "metadata.name",
                    "must be at most 253 lower-case letters, digits, '-' and '.', found %s",
                    jv_describe(p->a, name));
    for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
        jv_foreach_kv (kv, jv_get(metadata, maps[i]))
            if (kv->value.type != JV_STR)
                problem_add(
                    p, arena_printf(p->a, "metadata.%s.%s", maps[i], str_clean(p->a, kv->key, 80)),
                    "must be a string, found %s", jv_describe(p->a, kv->value));
}

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
    const char *kind = JV_STRING(m->object, "kind");
    const char *ns = str_or(JV_STRING(m->object, "metadata", "namespace"), "default");
    const char *name = str_or_empty(JV_STRING(m->object, "metadata", "name"));
    jv spec = jv_get(m->object, "spec");

    if (!check_kind(p, m->object))
        return false;
    if (p->n)
        return true;
    check_metadata(p, jv_get(m->object, "metadata"), !str_eq(kind, "FlinkDeployment"));
    if (cli_unreadable(p, m))
        return true;
    if (str_eq(kind, "FlinkDeployment")) {
        struct deployment_spec s;
        struct cluster_config c;

        cluster_config_read(p, ns, name, spec, true, d, &s, &c);
    } else if (str_eq(kind, "FlinkSessionJob")) {
        struct session_job_spec s;
        struct conf conf;

        session_job_read(p, ns, spec, true, d, NULL, &s, &conf);
    } else if (str_eq(kind, "FlinkStateSnapshot")) {
        struct snapshot_spec s;

        snapshot_spec_read(p, spec, true, &s);
    }
    return true;
}

static int run(int argc, char **argv)
{
    cleanup_arena struct arena a = {0};
    struct options o = {0};
    struct cli_input in;
    size_t bad = 0, checked = 0;

    int rc = cli_read(&command_validate, argc, argv, &o, &o.file, &o.conf_dir, &a, &in);

    if (rc >= 0)
        return rc;
    for (size_t i = 0; i < in.n; i++) {
        struct problems p = PROBLEMS_INIT(&a);

        if (!check(&p, &in.list[i], in.defaults))
            continue;
        checked++;
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
    .args = " -f FILE",
    .help =
        "Check FlinkDeployments, FlinkSessionJobs and FlinkStateSnapshots in files; exit code 1 if "
        "one is not valid.",
    .run = run,
    .options = table,
    .n_options = ARRAY_SIZE(table),
};
