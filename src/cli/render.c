/* SPDX-License-Identifier: Apache-2.0 */
/* flink-operator render: the objects that the operator would create, by the same functions. */
#include <stdio.h>

#include "cli.h"
#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/exposure.h"
#include "flinkop/operator_config.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/yaml.h"

struct options {
    const char *conf_dir;
    bool taskmanager;
};

static const struct option_spec table[] = {
    {"file", NULL, "FILE", OPT_WORD, .help = "Manifest with FlinkDeployments; - is standard input",
     .letter = 'f'},
    {"conf-dir", "FLINK_CONF_DIR", "DIR", OPT_STRING, offsetof(struct options, conf_dir),
     .help = "Operator configuration that gives the defaults"},
    {"taskmanager", NULL, NULL, OPT_BOOL, offsetof(struct options, taskmanager), "true",
     .help = "Also the first TaskManager that a job would get"},
};

/* Objects get their uid from the API server; references to it show this instead. */
#define NO_UID "00000000-0000-0000-0000-000000000000"

/* note: NULL if there is nothing to say about it. */
static void print(jv object, const char *note)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(64 * 1024 * 1024);

    yaml_write(&sb, object);
    printf("---\n%s%s%s%s", note ? "# " : "", str_or_empty(note), note ? "\n" : "", sb.buf);
}

/* Whether spec.exposure becomes a Route or an Ingress may depend on the API server: then both are
 * shown. */
static void print_exposure(struct arena *a, const struct desired_input *in)
{
    const struct deployment_spec *s = in->config->spec;
    const struct exposure_spec *e = &s->exposure;
    bool either = e->type == EXPOSE_AUTO;
    const struct {
        bool asked;
        const char *note;
    } rows[EXPOSURE_COUNT] = {
        [EXPOSURE_INGRESS] = {s->ingress.template != NULL},
        [EXPOSURE_UI_ROUTE] = {either || e->type == EXPOSE_ROUTE,
                               either ? "where the API server has Routes" : NULL},
        [EXPOSURE_UI_INGRESS] = {(either && e->host) || e->type == EXPOSE_INGRESS,
                                 either ? "where the API server has no Routes" : NULL},
        [EXPOSURE_BUDGET] = {s->jm.max_unavailable.set},
        [EXPOSURE_POLICY] = {e->network_policy.set && e->network_policy.v,
                             "the operator's own pod is let in, too"},
    };

    for (enum exposure k = 0; k < EXPOSURE_COUNT; k++)
        if (rows[k].asked)
            print(desired_exposure(a, k, in), rows[k].note);
}

static bool render(struct arena *a, const struct manifest *m, const struct flink_defaults *d,
                   const struct options *o)
{
    struct problems p = PROBLEMS_INIT(a);
    const char *ns = str_or(JV_STRING(m->object, "metadata", "namespace"), "default");
    const char *name = str_or_empty(JV_STRING(m->object, "metadata", "name"));
    jv spec = jv_get(m->object, "spec");
    struct deployment_spec s = {0};
    struct cluster_config c;

    if (!cli_unreadable(&p, m))
        cluster_config_read(&p, ns, name, spec, false, d, &s, &c);
    for (size_t k = 0; k < MIN(p.n, (size_t)PROBLEMS_MAX); k++)
        fprintf(stderr, "%s:%d: FlinkDeployment %s: %s: %s\n", m->file, m->line, name,
                p.items[k].path, p.items[k].text);
    if (p.n)
        return false;
    const struct desired_input in = {
        .config = &c,
        .cr = {"flink.apache.org/v1beta1", "FlinkDeployment", name,
               str_or(JV_STRING(m->object, "metadata", "uid"), NO_UID)},
        .generation = jv_int64_or(JV_PATH(m->object, "metadata", "generation"), 1),
        .spec_hash = deployment_spec_hash(a, spec),
    };
    const struct owner deployment = {"apps/v1", "Deployment", name, NO_UID};

    print(desired_configmap(a, &in), NULL);
    print(desired_jobmanager(a, &in), NULL);
    print(desired_internal_service(a, &in, &deployment), NULL);
    print(desired_rest_service(a, &in, &deployment), NULL);
    print_exposure(a, &in);
    if (s.mode == MODE_STANDALONE)
        print(desired_taskmanagers(a, &in, &deployment), NULL);
    else if (o->taskmanager)
        print(desired_taskmanager(a, &in, taskmanager_pod_name(a, name, 1, 1), &deployment), NULL);
    return true;
}

static int run(int argc, char **argv)
{
    cleanup_arena struct arena a = {0};
    struct options o = {0};
    struct cli_input in;
    size_t rendered = 0;
    bool ok = true;

    int rc = cli_read(&command_render, argc, argv, &o, &o.conf_dir, &a, &in);

    if (rc >= 0)
        return rc;
    for (size_t i = 0; i < in.n; i++) {
        struct problems p = PROBLEMS_INIT(&a);

        if (!cli_is_ours(&p, in.list[i].object))
            continue;
        for (size_t k = 0; k < p.n; k++)
            cli_error("%s:%d: %s: %s", in.list[i].file, in.list[i].line, p.items[k].path,
                      p.items[k].text);
        ok &= !p.n;
        if (p.n || !str_eq(JV_STRING(in.list[i].object, "kind"), "FlinkDeployment"))
            continue;
        rendered++;
        ok &= render(&a, &in.list[i], in.config->defaults, &o);
    }
    if (ok && !rendered)
        cli_error("render: no FlinkDeployment in what was given");
    operator_config_let_go(in.config);
    return ok && rendered ? EXIT_OK : EXIT_INVALID;
}

const struct command command_render = {
    .name = "render",
    .args = " -f FILE",
    .help = "Print the objects that the operator would create for the FlinkDeployments of a file.",
    .run = run,
    .options = table,
    .n_options = ARRAY_SIZE(table),
};
