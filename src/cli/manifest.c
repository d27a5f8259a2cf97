/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli.h"
#include "defaults.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/file.h"
#include "flinkop/json.h"
#include "flinkop/json_map.h"
#include "flinkop/kube_resource.h"
#include "flinkop/mem.h"
#include "flinkop/operator_config.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/strmap.h"
#include "flinkop/yaml.h"

#define FILE_MAX (16 * 1024 * 1024)

struct manifests {
    struct arena *a;
    struct manifest *items;
    size_t n, room;
};

static void add(struct manifests *m, jv object, const char *file, int line)
{
    if (str_eq(JV_STRING(object, "kind"), "List")) {
        jv_foreach (item, jv_get(object, "items"))
            add(m, *item, file, line);
        return;
    }
    if (m->n == m->room) {
        struct manifest *bigger = arena_new_array(m->a, struct manifest, m->room * 2 + 8);

        if (m->n)
            memcpy(bigger, m->items, m->n * sizeof(*bigger));
        m->items = bigger;
        m->room = m->room * 2 + 8;
    }
    m->items[m->n++] = (struct manifest){object, file, line};
}

/* JSON is read as JSON (kubectl does so, too): YAML knows no pairs of \\u escapes. Its parser lets
 * keys stand twice, so they are looked for here; the path of one, or NULL. */
static const char *find_twice(struct arena *a, const char *path, jv v)
{
    CLEANUP(strmap_release) struct strmap seen = {0};
    const char *twice = NULL;
    size_t i = 0;

    jv_foreach_kv (kv, v) {
        const char *at = arena_printf(a, "%s%s%s", path, *path ? "." : "", kv->key);

        twice = strmap_put(&seen, kv->key, &seen) ? at : find_twice(a, at, kv->value);
        if (twice)
            return twice;
    }
    jv_foreach (item, v) {
        twice = find_twice(a, arena_printf(a, "%s[%zu]", path, i++), *item);
        if (twice)
            return twice;
    }
    return NULL;
}

/* Text that begins as JSON and is, as far as it can be read. */
static bool read_json(struct arena *a, const char *text, size_t len, struct yaml_doc *ret)
{
    cleanup_strbuf struct strbuf tame = STRBUF_INIT(len * 6 + 1);
    struct error ignored;

    *ret = (struct yaml_doc){.line = 1};
    if (text[strspn(text, " \t\r\n")] != '{')
        return false;
    if (!json_parse(a, text, len, &ret->value, &ignored))
        return true;

    const char *lost = json_tame(a, text, len, 1, NULL, "spec", &tame);

    if (!lost || json_parse(a, tame.buf, tame.len, &ret->value, &ignored))
        return false;
    ret->value = jv_set(a, ret->value, KUBE_UNREADABLE, STR(lost));
    return true;
}

#define API_GROUP "flink.apache.org/"
#define API_VERSION API_GROUP "v1beta1"

/* Kinds of the API that this operator does not have yet. */
static const char *const other_kinds[] = {"FlinkBlueGreenDeployment"};

bool cli_is_ours(struct problems *p, jv object)
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

bool cli_unreadable(struct problems *p, const struct manifest *m)
{
    const char *lost = JV_STRING(m->object, KUBE_UNREADABLE);
    struct error err;

    if (!lost)
        return false;
    error_set(&err, ERR_INVALID, "%s", lost);
    problem_add_error(p, "spec", &err);
    return true;
}

static int read_documents(struct arena *a, const char *text, size_t len, struct yaml_doc **ret,
                          size_t *ret_n, struct error *err)
{
    struct yaml_doc *doc = arena_new(a, struct yaml_doc);

    if (!read_json(a, text, len, doc))
        return yaml_parse_all(a, text, len, ret, ret_n, err);
    const char *twice = find_twice(a, "", doc->value);

    if (twice)
        return error_set(err, ERR_PARSE, "%.400s: stands twice in the same mapping", twice);
    *ret = doc;
    *ret_n = 1;
    return 0;
}

static int read_manifests(struct arena *a, const char *const *files, int n_files,
                          struct manifest **ret, size_t *ret_n, struct error *err)
{
    struct manifests m = {.a = a};

    for (int i = 0; i < n_files; i++) {
        const char *name = strcmp(files[i], "-") ? files[i] : "(standard input)";
        size_t len, n = 0;
        cleanup_free char *text = file_read_any(files[i], FILE_MAX, &len, err);
        struct yaml_doc *docs;

        if (!text)
            return -1;
        if (read_documents(a, text, len, &docs, &n, err))
            return error_wrap(err, "%s", name);
        for (size_t k = 0; k < n; k++)
            add(&m, docs[k].value, name, docs[k].line);
    }
    *ret = m.items;
    *ret_n = m.n;
    return 0;
}

int cli_read(const struct command *c, int argc, char **argv, void *options, const char **conf_dir,
             struct arena *a, struct cli_input *ret)
{
    const char **args = arena_new_array(a, const char *, (size_t)argc + 1);
    struct error err;
    int n_args = 0, rc = cli_options(c, argc, argv, options, args, &n_args);

    if (rc >= 0)
        return rc;
    if (!n_args) {
        cli_error("%s needs a file: -f FILE (- is standard input)", c->name);
        return EXIT_USAGE;
    }
    ret->config = cli_config(*conf_dir, NULL, &err);
    if (!ret->config || read_manifests(a, args, n_args, &ret->list, &ret->n, &err)) {
        operator_config_let_go(ret->config);
        cli_error("%s", err.text);
        return err.code == ERR_PARSE || err.code == ERR_INVALID ? EXIT_INVALID : EXIT_INTERNAL;
    }
    return -1;
}
