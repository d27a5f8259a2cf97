/* SPDX-License-Identifier: Apache-2.0 */
/* The definitions in crds/: the API server's rules for structural schemas, and our own. */
#include <string.h>

#include "flinkop/cluster_spec.h"
#include "flinkop/file.h"
#include "flinkop/mem.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "unit.h"

static const char *const files[] = {"crds/flinkdeployments.flink.apache.org-v1.yml",
                                    "crds/flinksessionjobs.flink.apache.org-v1.yml",
                                    "crds/flinkstatesnapshots.flink.apache.org-v1.yml"};

static jv read_crd(struct arena *a, const char *path)
{
    struct error err = {0};
    size_t len = 0;
    cleanup_free char *text = file_read(path, 1 << 20, &len, &err);
    jv v;

    if (!text || yaml_parse(a, text, len, &v, &err))
        ck_abort_msg("%s: %s", path, err.text);
    return v;
}

static jv schema_of(jv crd)
{
    return JV_PATH(jv_at(JV_PATH(crd, "spec", "versions"), 0), "schema", "openAPIV3Schema");
}

static bool contains(jv list, const char *word)
{
    jv_foreach (item, list)
        if (str_eq(jv_string(*item), word))
            return true;
    return false;
}

static void check_schema(struct arena *a, jv s, const char *path, bool spec);

static void check_array(struct arena *a, jv s, const char *path, bool spec)
{
    jv items = jv_get(s, "items");

    ck_assert_msg(items.type == JV_OBJ, "%s: a list without items", path);
    check_schema(a, items, arena_printf(a, "%s[]", path), spec);
    if (!str_eq(JV_STRING(s, "x-kubernetes-list-type"), "map"))
        return;
    jv_foreach (key, jv_get(s, "x-kubernetes-list-map-keys"))
        ck_assert_msg(contains(jv_get(items, "required"), jv_string(*key)) &&
                          JV_STRING(items, "properties", jv_string(*key), "type"),
                      "%s: list key %s must be required and typed", path, jv_string(*key));
}

/* https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions,
 * "Specifying a structural schema"; `spec`: what users write, which must come back unchanged. */
static void check_schema(struct arena *a, jv s, const char *path, bool spec)
{
    static const char *const known[] = {"type",
                                        "description",
                                        "properties",
                                        "items",
                                        "enum",
                                        "nullable",
                                        "minimum",
                                        "anyOf",
                                        "required",
                                        "additionalProperties",
                                        "x-kubernetes-preserve-unknown-fields",
                                        "x-kubernetes-int-or-string",
                                        "x-kubernetes-list-type",
                                        "x-kubernetes-list-map-keys",
                                        "maxLength",
                                        "x-kubernetes-validations"};
    const char *type = JV_STRING(s, "type"), *text = JV_STRING(s, "description");
    bool int_or_string = jv_bool_or(jv_get(s, "x-kubernetes-int-or-string"), false);

    jv_foreach_kv (kv, s)
        ck_assert_msg(str_index(known, ARRAY_SIZE(known), kv->key) >= 0, "%s: %s", path, kv->key);
    ck_assert_msg((type != NULL) != int_or_string, "%s has no type", path);
    ck_assert_msg(int_or_string == jv_present(jv_get(s, "anyOf")), "%s: anyOf", path);
    ck_assert_msg(!spec || !jv_present(jv_get(s, "required")), "%s: required", path);
    ck_assert_msg(!text || (strlen(text) < 200 && !str_has_suffix(text, "\n")), "%s: %s", path,
                  text);
    ck_assert_msg(!jv_present(jv_get(s, "properties")) ||
                      !jv_present(jv_get(s, "additionalProperties")),
                  "%s: properties and additionalProperties", path);
    jv_foreach_kv (kv, jv_get(s, "properties")) {
        const char *at = arena_printf(a, "%s.%s", path, kv->key);

        check_schema(a, kv->value, at, spec || !strcmp(at, ".spec"));
    }
    if (jv_present(jv_get(s, "additionalProperties")))
        check_schema(a, jv_get(s, "additionalProperties"), arena_printf(a, "%s{}", path), spec);
    if (str_eq(type, "array"))
        check_array(a, s, path, spec);
    if (str_eq(type, "object"))
        ck_assert_msg(jv_present(jv_get(s, "properties")) ||
                          jv_present(jv_get(s, "additionalProperties")) ||
                          jv_bool_or(jv_get(s, "x-kubernetes-preserve-unknown-fields"), false) ||
                          !strcmp(path, ".metadata"),
                      "%s: an object that would be emptied", path);
}

START_TEST(schemas_are_structural_and_promise_nothing)
{
    cleanup_arena struct arena a = {0};
    jv crd = read_crd(&a, files[_i]), version = jv_at(JV_PATH(crd, "spec", "versions"), 0);

    check_schema(&a, schema_of(crd), "", false);
    ck_assert_uint_eq(jv_len(JV_PATH(crd, "spec", "versions")), 1);
    ck_assert_str_eq(JV_STRING(version, "name"), "v1beta1");
    ck_assert(jv_bool_or(jv_get(version, "served"), false));
    ck_assert(jv_bool_or(jv_get(version, "storage"), false));
    ck_assert_int_eq(JV_PATH(version, "subresources", "status").type, JV_OBJ);
    const char *plural = JV_STRING(crd, "spec", "names", "plural");
    ck_assert_str_eq(JV_STRING(crd, "metadata", "name"),
                     arena_printf(&a, "%s.flink.apache.org", plural));
    ck_assert_str_eq(JV_STRING(crd, "spec", "scope"), "Namespaced");
}
END_TEST

/* `kubectl apply` keeps the whole object in an annotation of at most 262144 bytes. */
START_TEST(definitions_are_small)
{
    cleanup_arena struct arena a = {0};

    ck_assert_uint_lt(strlen(json_text(&a, read_crd(&a, files[_i]))), 100000);
}
END_TEST

START_TEST(names_are_those_that_users_type)
{
    cleanup_arena struct arena a = {0};
    jv deployment = read_crd(&a, files[0]), job = read_crd(&a, files[1]);
    jv snapshot = read_crd(&a, files[2]);

    assert_json(JV_PATH(deployment, "spec", "names"),
                "{'kind':'FlinkDeployment','listKind':'FlinkDeploymentList','plural':"
                "'flinkdeployments','singular':'flinkdeployment','shortNames':['flinkdep']}");
    assert_json(JV_PATH(job, "spec", "names"),
                "{'kind':'FlinkSessionJob','listKind':'FlinkSessionJobList','plural':"
                "'flinksessionjobs','singular':'flinksessionjob','shortNames':['sessionjob']}");
    assert_json(JV_PATH(snapshot, "spec", "names"),
                "{'kind':'FlinkStateSnapshot','listKind':'FlinkStateSnapshotList','plural':"
                "'flinkstatesnapshots','singular':'flinkstatesnapshot','shortNames':['flinksnp']}");
    assert_json(JV_PATH(jv_at(JV_PATH(deployment, "spec", "versions"), 0), "subresources", "scale"),
                "{'specReplicasPath':'.spec.taskManager.replicas','statusReplicasPath':"
                "'.status.taskManager.replicas','labelSelectorPath':"
                "'.status.taskManager.labelSelector'}");
}
END_TEST

/* The columns of plain `kubectl get` are an interface too. */
START_TEST(columns_are_those_that_scripts_know)
{
    static const char *const names[][4] = {
        {"Job Status", "Lifecycle State"},
        {"Job Status", "Lifecycle State"},
        {"Path", "Result Timestamp", "Snapshot State"},
    };
    cleanup_arena struct arena a = {0};
    jv version = jv_at(JV_PATH(read_crd(&a, files[_i]), "spec", "versions"), 0);
    size_t shown = 0;

    jv_foreach (c, jv_get(version, "additionalPrinterColumns"))
        if (!jv_int64_or(jv_get(*c, "priority"), 0)) {
            ck_assert_ptr_nonnull(names[_i][shown]);
            ck_assert_str_eq(JV_STRING(*c, "name"), names[_i][shown++]);
        }
    ck_assert_ptr_null(names[_i][shown]);
}
END_TEST

START_TEST(both_files_tell_jobs_alike)
{
    static const char *const shared[] = {"jobStatus", "reconciliationStatus", "lifecycleState",
                                         "observedGeneration", "error"};
    cleanup_arena struct arena a = {0};
    jv one = schema_of(read_crd(&a, files[0])), two = schema_of(read_crd(&a, files[1]));

    for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
        ck_assert_msg(jv_equal(JV_PATH(one, "properties", "status", "properties", shared[i]),
                               JV_PATH(two, "properties", "status", "properties", shared[i])),
                      "status.%s", shared[i]);
    jv job1 = JV_PATH(one, "properties", "spec", "properties", "job", "properties");
    jv job2 = JV_PATH(two, "properties", "spec", "properties", "job", "properties");
    ck_assert_uint_eq(jv_len(job1), jv_len(job2));
    jv_foreach_kv (kv, job1)
        ck_assert_msg(str_eq(JV_STRING(kv->value, "type"), JV_STRING(job2, kv->key, "type")), "%s",
                      kv->key);
}
END_TEST

/* ---- `validate` is as strict as the API server ---- */

struct trial {
    const char *keys[16]; /* from the spec on; "[]" is the first item of a list */
    size_t n;
    int file; /* of the definition */
};

/* A spec with nothing but this value there. */
static jv spec_with(struct arena *a, const struct trial *t, jv v)
{
    for (size_t i = t->n; i-- > 0;) {
        struct jv_list list = JV_LIST(a);

        jv_list_put(&list, t->keys[i], v);
        v = strcmp(t->keys[i], "[]") ? jv_list_obj(&list) : jv_list_arr(&list);
    }
    return v;
}

static const char *trial_path(struct arena *a, const struct trial *t)
{
    const char *path = "spec";

    for (size_t i = 0; i < t->n; i++)
        path = strcmp(t->keys[i], "[]") ? arena_printf(a, "%s.%s", path, t->keys[i])
                                        : arena_printf(a, "%s[0]", path);
    return path;
}

static bool is_refused(struct arena *a, const struct trial *t, jv v)
{
    struct problems p = PROBLEMS_INIT(a);
    struct session_job_spec job;
    struct deployment_spec deployment;
    struct snapshot_spec snapshot;

    if (t->file == 2)
        snapshot_spec_read(&p, spec_with(a, t, v), true, &snapshot);
    else if (t->file == 1)
        session_job_spec_read(&p, spec_with(a, t, v), true, &job);
    else
        deployment_spec_read(&p, spec_with(a, t, v), true, &deployment);
    for (size_t i = 0; i < MIN(p.n, (size_t)PROBLEMS_MAX); i++)
        if (!strcmp(p.items[i].path, trial_path(a, t)))
            return true;
    return false;
}

static void try_values(struct arena *a, const struct trial *t, jv schema)
{
    const struct {
        const char *type;
        jv v;
    } values[] = {
        {"string", STR("x")}, {"integer", INT(7)},   {"number", {.type = JV_NUM, .s = "1.5"}},
        {"boolean", BOOL(1)}, {"object", EMPTY_OBJ}, {"array", EMPTY_ARR}};
    const char *type = JV_STRING(schema, "type");
    bool any = jv_bool_or(jv_get(schema, "x-kubernetes-int-or-string"), false);

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        bool fits = any ? i <= 1
                        : str_eq(type, values[i].type) || (str_eq(type, "number") && i == 1);

        ck_assert_msg(fits || is_refused(a, t, jv_dup(a, values[i].v)), "%s: %s is not refused",
                      trial_path(a, t), values[i].type);
    }
    ck_assert_msg(!jv_present(jv_get(schema, "enum")) || is_refused(a, t, STR("of no such kind")),
                  "%s: not refused", trial_path(a, t));
}

static void try_schema(struct arena *a, struct trial t, jv schema)
{
    jv items = jv_get(schema, "items"), more = jv_get(schema, "additionalProperties");
    size_t at = t.n++;

    ck_assert_uint_lt(at, ARRAY_SIZE(t.keys));
    jv_foreach_kv (kv, jv_get(schema, "properties")) {
        /* Application clusters are refused as a whole. */
        if (!at && !t.file && !strcmp(kv->key, "job"))
            continue;
        t.keys[at] = kv->key;
        try_values(a, &t, kv->value);
        try_schema(a, t, kv->value);
    }
    if (jv_present(items) || jv_present(more)) {
        t.keys[at] = jv_present(items) ? "[]" : "cpu";
        try_values(a, &t, jv_present(items) ? items : more);
        try_schema(a, t, jv_present(items) ? items : more);
    }
}

START_TEST(validate_refuses_what_the_definitions_refuse)
{
    cleanup_arena struct arena a = {0};
    jv schema = schema_of(read_crd(&a, files[_i]));

    try_schema(&a, (struct trial){.file = _i}, JV_PATH(schema, "properties", "spec"));
}
END_TEST

START_TEST(kustomize_lists_every_file)
{
    cleanup_arena struct arena a = {0};
    jv list = jv_get(read_crd(&a, "crds/kustomization.yaml"), "resources");

    ck_assert_uint_eq(jv_len(list), ARRAY_SIZE(files));
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        ck_assert(contains(list, str_skip_prefix(files[i], "crds/")));
}
END_TEST

void suite_crds(TCase *tc)
{
    tcase_add_loop_test(tc, schemas_are_structural_and_promise_nothing, 0, ARRAY_SIZE(files));
    tcase_add_loop_test(tc, definitions_are_small, 0, ARRAY_SIZE(files));
    T(names_are_those_that_users_type);
    tcase_add_loop_test(tc, columns_are_those_that_scripts_know, 0, ARRAY_SIZE(files));
    T(both_files_tell_jobs_alike);
    tcase_add_loop_test(tc, validate_refuses_what_the_definitions_refuse, 0, ARRAY_SIZE(files));
    T(kustomize_lists_every_file);
}
