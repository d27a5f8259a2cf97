/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of options against the list of the contract and the table of deploy/README.md; that
 * each which is honoured names a test of its effect; and the effects that are shown nowhere else.
 */
#include <stdio.h>
#include <string.h>

#include "../../src/cluster/status.h"
#include "flinkop/cluster_config.h"
#include "flinkop/desired.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

#define CONTRACT "tests/golden/flink/options.tsv"
#define README "deploy/README.md"
#define OPTION "kubernetes.operator."

/* What tests write of a key: they have the beginning that many share as a constant. */
static const char *telling_part(struct arena *a, const char *key)
{
    static const char *const shared[] = {OPTION "user.artifacts.", OPTION "default-configuration.",
                                         OPTION "cluster.health-check.",
                                         OPTION "savepoint.history.", OPTION};

    for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
        if (str_has_prefix(key, shared[i])) {
            key += strlen(shared[i]);
            break;
        }
    return arena_strndup(a, key, strcspn(key, "<"));
}

static void check_evidence(const struct flink_option *o, const char *test)
{
    cleanup_arena struct arena a = {0};

    ck_assert_msg((o->fate == OPTION_HONOURED) == !str_empty(test),
                  "%s: a test of its effect is named in " CONTRACT
                  " where it is honoured, and only there",
                  o->key);
    if (str_empty(test))
        return;
    cleanup_free char *text = file_text(arena_printf(&a, "tests/%s", test));

    ck_assert_msg(strstr(text, telling_part(&a, o->key)) != NULL, "tests/%s does not have %s", test,
                  o->key);
}

static void check_row(char *line, size_t *ret_honoured)
{
    const char *key = strsep(&line, "\t"), *deflt = strsep(&line, "\t"),
               *scope = strsep(&line, "\t"), *test = strsep(&line, "\t");
    const struct flink_option *o = flink_option_named(key);
    bool none = str_eq(deflt, "(none)") || str_eq(deflt, "(empty)") || str_eq(deflt, "");

    ck_assert_msg(o != NULL, "%s: what becomes of it?", key);
    if (str_eq(scope, "older name")) {
        ck_assert_msg(!str_eq(o->key, key), "%s is no older name", key);
        return;
    }
    ck_assert_msg(str_eq(o->key, key), "%s has no row of its own, only %s", key, o->key);
    if (!str_eq(scope, "ours")) {
        ck_assert_msg(str_eq(none ? "" : deflt, str_or_empty(o->deflt)), "%s: default %s", key,
                      str_or_empty(o->deflt));
        ck_assert_msg((o->scope == OPTION_OF_RESOURCES) == str_eq(scope, "R"), "%s: scope", key);
    }
    check_evidence(o, test);
    *ret_honoured += o->fate == OPTION_HONOURED;
}

START_TEST(every_option_of_the_contract_has_a_row_and_what_is_honoured_a_test)
{
    cleanup_free char *text = file_text(CONTRACT);
    size_t n, honoured = 0, all = 0;
    const struct flink_option *options = flink_options(&n);

    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        if (*line && *line != '#')
            check_row(line, &honoured);
    for (size_t i = 0; i < n; i++) {
        all += options[i].fate == OPTION_HONOURED;
        ck_assert_msg(options[i].fate == OPTION_HONOURED || *options[i].note,
                      "%s: why is it not applicable?", options[i].key);
    }
    ck_assert_uint_eq(honoured, all);
}
END_TEST

START_TEST(the_table_of_the_readme_is_this_one)
{
    cleanup_free char *text = file_text(README);
    cleanup_strbuf struct strbuf table = STRBUF_INIT(1 << 18);

    flink_options_write(&table, true);
    ck_assert_msg(strstr(text, table.buf) != NULL, README " is stale: make options");
}
END_TEST

/* ---- effects ---- */

static const struct {
    const char *pattern, *message;
    bool found;
} patterns[] = {
    {"timed? ?out", "it has timed out", true},
    {"^it", "it has", true},
    {"a\\.b", "a.b", true},
    {"a\\.b", "axb", false},
    {"code \\d+", "code 42", true},
    {"code [\\d_]+$", "code 4_2", true},
    {"\\D", "42", false},
    {"\\w+ \\w+", "two words", true},
    {"[{]", "a {", true},
    {"(a|b)c", "bc", true},
    /* not taken */
    {"a{2,3}", "aaa", false},
    {"(a)\\1", "aa", false},
    {"(?i)a", "a", false},
    {"a++", "aa", false},
    {"((((a+)+)+)+)+", "aa", false},
    {"(a+)+b", "aab", true},
    {"[+*]+", "+*", true},
    {"\\++", "++", true},
    {"a\\", "a\\", false},
    {"[a", "a", false},
};

START_TEST(patterns_give_labels)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    jv error = OBJ({"type", STR("T")}, {"message", STR(patterns[_i].message)});

    /* Below the key, so that nothing needs quotes. */
    conf_setf(&c, arena_printf(&a, ERROR_LABELS_KEY ".%s", patterns[_i].pattern), "label");
    const char *text = error_form(&a, &c, json_text(&a, error));

    ck_assert_msg((strstr(text, "\"labels\":[\"label\"]") != NULL) == patterns[_i].found, "%s",
                  text);
}
END_TEST

START_TEST(patterns_are_known_to_be_usable_or_not)
{
    ck_assert(error_pattern_valid("a.*b"));
    ck_assert(!error_pattern_valid("(a)\\1"));
    ck_assert(!error_pattern_valid("a{1,255}"));
    ck_assert(!error_pattern_valid("(a"));
}
END_TEST

START_TEST(errors_have_the_length_that_is_asked_for)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    char long_text[5001];
    jv v;

    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = 0;
    const char *text = error_text(&a, "T", NULL, long_text);
    struct error err;

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(
            json_parse(&a, error_form(&a, &c, text), strlen(error_form(&a, &c, text)), &v, &err),
            0);
        ck_assert_uint_eq(strlen(JV_STRING(v, "message")), i ? 4000 : 2048);
        conf_set(&c, OPTION "exception.field.max.length", "4000");
    }
    ck_assert_str_eq(error_form(&a, &c, "Job Not Found"), "Job Not Found");
    ck_assert_ptr_null(error_form(&a, &c, NULL));
}
END_TEST

/* The JobManager's Deployment of a cluster with this option and pod template. */
static jv jobmanager(struct arena *a, const char *key, const char *value, const char *template)
{
    const struct flink_defaults *d;
    struct problems p = PROBLEMS_INIT(a);
    const char *text = arena_printf(a, "%s: %s\n", key, value);
    struct deployment_spec *spec = arena_new(a, struct deployment_spec);
    struct cluster_config *c = arena_new(a, struct cluster_config);
    struct error err;

    ck_assert_int_eq(flink_defaults_read(a, "flink-conf.yaml", text, strlen(text), &d, &err), 0);
    jv json_spec = json(
        a, arena_printf(a,
                        "{'image':'flink:1.20','flinkVersion':'v1_20','jobManager':{'resource':{"
                        "'memory':'1g','cpu':1},'podTemplate':{'spec':{'containers':[%s]}}},"
                        "'podTemplate':{'spec':{'containers':[{'name':'flink-main-container'},"
                        "{'name':'aside','image':'x:1'}]}},"
                        "'taskManager':{'resource':{'memory':'1g','cpu':1}}}",
                        template));
    cluster_config_read(&p, "team", "demo", json_spec, false, d, spec, c);
    ck_assert_msg(!p.n, "%s", problems_text(&p));
    return desired_jobmanager(
        a, &(struct desired_input){
               .config = c, .cr = {"v1", "FlinkDeployment", "demo", "uid"}, .spec_hash = "hash"});
}

START_TEST(the_startup_probe_can_be_left_out)
{
    static const char key[] = OPTION "jm-deployment.startup.probe.enabled";
    cleanup_arena struct arena a = {0};

    for (int on = 0; on < 2; on++) {
        jv d = jobmanager(&a, key, on ? "true" : "false", "{'name':'flink-main-container'}");
        jv main = jv_at(JV_PATH(d, "spec", "template", "spec", "containers"), 0);

        ck_assert_int_eq(jv_present(jv_get(main, "startupProbe")), on);
    }
}
END_TEST

START_TEST(templates_are_merged_by_name_where_that_is_asked_for)
{
    static const char key[] = OPTION "pod-template.merge-arrays-by-name";
    cleanup_arena struct arena a = {0};
    jv d = jobmanager(&a, key, "true", "{'name':'aside','image':'y:2'}");
    jv list = JV_PATH(d, "spec", "template", "spec", "containers");

    ck_assert_uint_eq(jv_len(list), 2);
    jv_foreach (c, list)
        ck_assert(str_eq(JV_STRING(*c, "name"), "aside") == str_eq(JV_STRING(*c, "image"), "y:2"));
    /* By position else: the first one gets the name and image. */
    d = jobmanager(&a, key, "false",
                   "{'name':'flink-main-container'},{'name':'other','image':'y:2'}");
    list = JV_PATH(d, "spec", "template", "spec", "containers");
    ck_assert_str_eq(JV_STRING(jv_at(list, 1), "name"), "other");
}
END_TEST

void suite_options(TCase *tc)
{
    T(every_option_of_the_contract_has_a_row_and_what_is_honoured_a_test);
    T(the_table_of_the_readme_is_this_one);
    tcase_add_loop_test(tc, patterns_give_labels, 0, ARRAY_SIZE(patterns));
    T(patterns_are_known_to_be_usable_or_not);
    T(errors_have_the_length_that_is_asked_for);
    T(the_startup_probe_can_be_left_out);
    T(templates_are_merged_by_name_where_that_is_asked_for);
}
