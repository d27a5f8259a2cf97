/* SPDX-License-Identifier: Apache-2.0 */
/* flink-operator validate: the operator's own checks, without a cluster. */
#include <stdio.h>

#include "cli.h"
#include "defaults.h"
#include "flinkop/arena.h"
#include "flinkop/cluster_config.h"
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

/* Problems of one document; kinds that are not ours are none of our business. */
static bool check(struct problems *p, const struct manifest *m, const struct flink_defaults *d)
{
    const char *kind = JV_STRING(m->object, "kind");
    const char *ns = str_or(JV_STRING(m->object, "metadata", "namespace"), "default");
    const char *name = str_or_empty(JV_STRING(m->object, "metadata", "name"));
    jv spec = jv_get(m->object, "spec");

    if (str_eq(kind, "FlinkDeployment")) {
        struct deployment_spec s;
        struct cluster_config c;

        cluster_config_read(p, ns, name, spec, true, d, &s, &c);
    } else if (str_eq(kind, "FlinkSessionJob")) {
        struct session_job_spec s;
        struct conf conf;

        if (str_empty(name))
            problem_add(p, "metadata.name", "must be given");
        session_job_read(p, ns, spec, true, d, NULL, &s, &conf);
    } else {
        return false;
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
                   JV_STRING(in.list[i].object, "kind"),
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
        "Check FlinkDeployments and FlinkSessionJobs in files; exit code 1 if one is not valid.",
    .run = run,
    .options = table,
    .n_options = ARRAY_SIZE(table),
};
