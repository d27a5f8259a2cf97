/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"
#include "unit.h"

#define LAYERS "kubernetes.operator.default-configuration."

static const char flat[] = "taskmanager.numberOfTaskSlots: 1\n"
                           "a: file\n"
                           "kubernetes.operator.reconciler.reschedule.interval: 15 s\n"
                           "kubernetes.operator.health.probe.port: 9000\n" //
    LAYERS "namespace.data-team.a: namespace\n"                            //
    LAYERS "namespace.data.a: another namespace\n"                         //
    LAYERS "namespace.data-team.b: namespace\n"                            //
    LAYERS "flink-version.v1_18+.b: since 1.18\n"                          //
    LAYERS "flink-version.v1_20+.b: since 1.20\n"                          //
    LAYERS "flink-version.v2_0+.b: since 2.0\n"                            //
    LAYERS "flink-version.v1_20.c: 1.20\n"                                 //
    LAYERS "flink-version.v1_20+.c: since 1.20\n"                          //
    LAYERS "flink-version.v1_99+.d: unknown\n"                             //
    LAYERS "flink-version.v1_18.d: 1.18\n";

static const struct {
    const char *ns, *version, *a, *b, *c, *d;
} layers[] = {
    {"other", "v1_17", "file", NULL, NULL, NULL},
    {"data-team", "v1_17", "namespace", "namespace", NULL, NULL},
    {"data-team", "v1_18", "namespace", "since 1.18", NULL, "1.18"},
    {"data-team", "v1_19", "namespace", "since 1.18", NULL, NULL},
    {"data-team", "v1_20", "namespace", "since 1.20", "1.20", NULL},
    {"data-team", "v2_2", "namespace", "since 2.0", "since 1.20", NULL},
    {"data-team", NULL, "namespace", "namespace", NULL, NULL},
    {NULL, "v1_20", "file", "since 1.20", "1.20", NULL},
};

START_TEST(layers_lie_on_each_other)
{
    cleanup_arena struct arena a = {0};
    const struct flink_defaults *d;
    struct error err = {0};
    struct conf c;

    ck_assert_int_eq(flink_defaults_read(&a, "flink-conf.yaml", flat, strlen(flat), &d, &err), 0);
    ck_assert_int_eq(
        flink_defaults_for(&a, d, layers[_i].ns, flink_version_find(layers[_i].version), &c, &err),
        0);
    ck_assert(str_eq(conf_get(&c, "a"), layers[_i].a));
    ck_assert(str_eq(conf_get(&c, "b"), layers[_i].b));
    ck_assert(str_eq(conf_get(&c, "c"), layers[_i].c));
    ck_assert(str_eq(conf_get(&c, "d"), layers[_i].d));
    ck_assert_str_eq(conf_get(&c, "taskmanager.numberOfTaskSlots"), "1");
    for (size_t i = 0; i < c.n; i++)
        ck_assert(!str_has_prefix(c.entries[i].key, LAYERS));
}
END_TEST

START_TEST(the_file_may_be_yaml_and_may_be_absent)
{
    static const char yaml[] =
        "kubernetes:\n  operator:\n    default-configuration:\n      flink-version:\n"
        "        v1_20+: {x.y: 1}\n";
    cleanup_arena struct arena a = {0};
    const struct flink_version *v = flink_version_find("v2_0");
    const struct flink_defaults *d;
    struct error err = {0};
    struct conf c;

    ck_assert_int_eq(flink_defaults_read(&a, "config.yaml", yaml, strlen(yaml), &d, &err), 0);
    ck_assert_int_eq(flink_defaults_for(&a, d, "ns", v, &c, &err), 0);
    ck_assert_str_eq(conf_get(&c, "x.y"), "1");
    ck_assert_int_eq(flink_defaults_for(&a, NULL, "ns", v, &c, &err), 0);
    ck_assert_uint_eq(c.n, 0);
    ck_assert_ptr_null(flink_defaults_option(NULL, "x"));
    ck_assert_int_eq(flink_defaults_read(&a, "config.yaml", "a: [", 4, &d, &err), -1);
    assert_error(&err, ERR_PARSE, "config.yaml: line");
}
END_TEST

START_TEST(options_have_defaults_and_older_names)
{
    cleanup_arena struct arena a = {0};
    const struct flink_defaults *d;
    struct error err = {0};
    int64_t n;
    bool b;

    ck_assert_int_eq(flink_defaults_read(&a, "flink-conf.yaml", flat, strlen(flat), &d, &err), 0);
    struct conf c = flink_defaults_conf(d), none = flink_defaults_conf(NULL);

    ck_assert_str_eq(flink_defaults_option(d, "kubernetes.operator.health.probe.port"), "9000");
    ck_assert_int_eq(flink_option_duration(&c, "kubernetes.operator.reconcile.interval", &n, &err),
                     0);
    ck_assert_int_eq(n, 15000);
    ck_assert_int_eq(
        flink_option_duration(&none, "kubernetes.operator.reconcile.interval", &n, &err), 0);
    ck_assert_int_eq(n, 60000);
    ck_assert_int_eq(flink_option_duration(&c, "kubernetes.operator.retry.max.interval", &n, &err),
                     0);
    ck_assert_int_eq(n, -1);
    ck_assert_int_eq(flink_option_int(&c, "kubernetes.operator.health.probe.port", &n, &err), 0);
    ck_assert_int_eq(n, 9000);
    ck_assert_int_eq(
        flink_option_bool(&none, "kubernetes.operator.snapshot.resource.enabled", &b, &err), 0);
    ck_assert(b);
    ck_assert_str_eq(flink_option_text(&c, "kubernetes.operator.user.artifacts.allowed-schemes"),
                     "https");
}
END_TEST

/* ConfigurationUtils#convertToEnum */
START_TEST(names_of_constants_may_be_in_any_case)
{
    static const char *const keys[] = {"kubernetes.operator.savepoint.format.type",
                                       "kubernetes.operator.checkpoint.type"};
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err;

    ck_assert_str_eq(flink_option_choice(&c, keys[0]), "CANONICAL");
    ck_assert_str_eq(flink_option_choice(&c, keys[1]), "FULL");
    conf_set(&c, keys[0], "native");
    conf_set(&c, keys[1], "Incremental");
    ck_assert_int_eq(flink_options_check(&c, &err), 0);
    ck_assert_str_eq(flink_option_choice(&c, keys[0]), "NATIVE");
    ck_assert_str_eq(flink_option_choice(&c, keys[1]), "INCREMENTAL");
    conf_set(&c, keys[0], "fast");
    ck_assert_int_ne(flink_options_check(&c, &err), 0);
    ck_assert_str_eq(flink_option_choice(&c, keys[0]), "CANONICAL");
}
END_TEST

START_TEST(users_cannot_lift_what_the_administrator_set)
{
    static const char text[] = "kubernetes.operator.user.artifacts.allowed-schemes: http\n"
                               "kubernetes.operator.reconciler.reschedule.interval: 1 ms\n"
                               "kubernetes.operator.job.restart.failed: true\n"
                               "rest.port: 8081\n";
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};

    conf_add_flat_text(&c, text);
    flink_options_drop_system(&c);
    ck_assert_uint_eq(c.n, 2);
    ck_assert_str_eq(c.entries[0].key, "kubernetes.operator.job.restart.failed");
    ck_assert_int_eq(flink_options_check(&c, &err), 0);
    conf_set(&c, "kubernetes.operator.job.restart.failed", "perhaps");
    ck_assert_int_eq(flink_options_check(&c, &err), -1);
    assert_error(
        &err, ERR_INVALID,
        "kubernetes.operator.job.restart.failed: found \"perhaps\", must be true or false");
}
END_TEST

START_TEST(the_table_is_in_order_and_parses)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    size_t n;
    const struct flink_option *o = flink_options(&n);

    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(!i || strcmp(o[i - 1].key, o[i].key) < 0, "%s", o[i].key);
        ck_assert_ptr_eq(flink_option_find(o[i].key), &o[i]);
        if (o[i].deflt)
            conf_set(&c, o[i].key, o[i].deflt);
    }
    ck_assert_int_eq(flink_options_check(&c, &err), 0);
    ck_assert_ptr_null(flink_option_find("kubernetes.operator.nope"));
}
END_TEST

void suite_flink_defaults(TCase *tc)
{
    tcase_add_loop_test(tc, layers_lie_on_each_other, 0, ARRAY_SIZE(layers));
    T(the_file_may_be_yaml_and_may_be_absent);
    T(options_have_defaults_and_older_names);
    T(names_of_constants_may_be_in_any_case);
    T(users_cannot_lift_what_the_administrator_set);
    T(the_table_is_in_order_and_parses);
}
