/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's own configuration, as a whole: read, refused, compared; and label selectors. */
#include <stdio.h>
#include <string.h>

#include "../../src/cli/settings.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/jar_uri.h"
#include "flinkop/label_selector.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/operator_config.h"
#include "flinkop/str.h"
#include "unit.h"

#define OPTION "kubernetes.operator."

static struct operator_config *read_text(const char *text, const char *namespaces,
                                         struct error *err)
{
    return operator_config_read("flink-conf.yaml", text, strlen(text), namespaces, err);
}

static struct operator_config *must_read(const char *text, const char *namespaces)
{
    struct error err = {0};
    struct operator_config *c = read_text(text, namespaces, &err);

    ck_assert_msg(c != NULL, "%s", err.text);
    return c;
}

START_TEST(nothing_is_configured)
{
    struct operator_config *c = must_read("", NULL);

    ck_assert_ptr_null(c->namespaces[0]);
    ck_assert_ptr_null(c->selector);
    ck_assert_ptr_null(c->selector_text);
    ck_assert_ptr_null(c->remarks[0]);
    ck_assert_ptr_null(c->lease_name);
    ck_assert(!c->elects && !c->moves_namespaces);
    ck_assert_int_eq(c->port, -1);
    ck_assert_int_eq(c->lease.duration, 15000);
    ck_assert_int_eq(c->lease.deadline, 10000);
    ck_assert_int_eq(c->lease.retry, 2000);
    ck_assert_int_eq(c->flink_timeout_ms, 10000);
    ck_assert_int_eq(c->submission_ms, 600000);
    ck_assert_int_eq(c->drain_ms, 10000);
    ck_assert_int_eq(c->check_ms, 300000);
    ck_assert_int_eq(c->backoff.min, 0); /* the incumbent's defaults are not ours */
    ck_assert_int_eq(c->backoff.max, 0);
    ck_assert(c->backoff.factor == 0);
    operator_config_let_go(c);
}
END_TEST

/* As the incumbent's documentation writes it, as its parser reads it, and as a list of YAML. */
START_TEST(lists_count_in_each_form)
{
    static const char *const forms[] = {"a,b", "a, b", "a;b", "a; b", "[a, b]", "\n- a\n- b"};
    static const char *const keys[] = {OPTION "user.artifacts.allowed-schemes",
                                       OPTION "user.artifacts.allowed-networks"};

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        cleanup_arena struct arena a = {0};
        struct error err = {0};
        const char *text = arena_printf(&a, "%s: %s\n%s: %s\n" OPTION "watched.namespaces: %s\n",
                                        keys[0], forms[i], keys[1], forms[i], forms[i]);
        struct operator_config *c =
            operator_config_read("config.yaml", text, strlen(text), NULL, &err);

        ck_assert_msg(c != NULL, "%s: %s", forms[i], err.text);
        ck_assert_str_eq(c->namespaces[0], "a");
        ck_assert_str_eq(c->namespaces[1], "b");
        ck_assert_ptr_null(c->namespaces[2]);
        const struct conf conf = flink_defaults_conf(c->defaults);

        size_t n;
        char **schemes = str_split(&a, jar_allowed_schemes(&conf), ',', &n);

        ck_assert_uint_eq(n, 2);
        ck_assert_str_eq(schemes[0], "a");
        ck_assert_str_eq(schemes[1], "b");
        operator_config_let_go(c);
    }
}
END_TEST

/* Flink leaves them out; who wrote them is told. */
START_TEST(lines_that_are_none_are_told)
{
    struct operator_config *c = must_read("\xef\xbb\xbf" OPTION "job.restart.failed: true\r\n"
                                          "# a comment\r\n"
                                          "\r\n" OPTION "label.selector:team=red\r\n"
                                          "nested:\r\n"
                                          "  key: value # is one\r\n",
                                          NULL);

    ck_assert_str_eq(flink_defaults_option(c->defaults, OPTION "job.restart.failed"), "true");
    ck_assert_ptr_nonnull(strstr(c->remarks[0], "line 4: is no \"key: value\""));
    ck_assert_ptr_nonnull(strstr(c->remarks[1], "line 5: "));
    ck_assert_ptr_null(c->remarks[2]);
    operator_config_let_go(c);
}
END_TEST

START_TEST(what_is_set_counts)
{
    struct operator_config *c =
        must_read(OPTION "leader-election.enabled: true\n"                       //
                  OPTION "leader-election.lease-name: mine\n"                    //
                  OPTION "leader-election.lease-duration: 20500 ms\n"            //
                  OPTION "observer.flink.client.timeout: 3 s\n" /* older name */ //
                  OPTION "job.submission.timeout: 1 min\n"                       //
                  OPTION "termination.timeout: 3 s\n"                            //
                  OPTION "health.probe.port: 9000\n"                             //
                  OPTION "retry.initial.interval: 1 s\n"                         //
                  OPTION "retry.max.interval: 10 s\n"                            //
                  OPTION "retry.interval.multiplier: 1.5\n"                      //
                  OPTION "dynamic.config.enabled: false\n"                       //
                  OPTION "dynamic.namespaces.enabled: true\n"                    //
                  OPTION "watched.namespaces: b, a,b\n"                          //
                  OPTION "label.selector: team = red,!old\n",
                  NULL);

    ck_assert(c->elects && c->moves_namespaces);
    ck_assert_str_eq(c->lease_name, "mine");
    ck_assert_int_eq(c->lease.duration, 21000);
    ck_assert_int_eq(c->flink_timeout_ms, 3000);
    ck_assert_int_eq(c->submission_ms, 60000);
    ck_assert_int_eq(c->drain_ms, 3000);
    ck_assert_int_eq(c->port, 9000);
    ck_assert_int_eq(c->backoff.min, 1000);
    ck_assert_int_eq(c->backoff.max, 10000);
    ck_assert(c->backoff.factor == 1.5);
    ck_assert_int_eq(c->check_ms, 0);
    ck_assert_str_eq(c->namespaces[0], "b");
    ck_assert_str_eq(c->namespaces[1], "a");
    ck_assert_ptr_null(c->namespaces[2]);
    ck_assert_str_eq(c->selector_text, "team = red,!old");
    operator_config_let_go(c);
    c = must_read(OPTION "watched.namespaces: a\n", "x,y");
    ck_assert_str_eq(c->namespaces[1], "y");
    operator_config_let_go(c);
    c = must_read(OPTION "watched.namespaces: a\n", "JOSDK_ALL_NAMESPACES");
    ck_assert_ptr_null(c->namespaces[0]);
    operator_config_let_go(c);
}
END_TEST

static const struct {
    const char *text, *words;
} wrong[] = {
    {"flink.client.timeout: 1 ms", "flink.client.timeout: found 1 ms, must be from 100 ms to"},
    {"flink.client.timeout: soon", "flink.client.timeout: found \"soon\""},
    {"dynamic.config.check.interval: 10 ms", "check.interval: found 10 ms"},
    {"retry.interval.multiplier: 0.5", "multiplier: found 0.5, must be from 1 to 100"},
    {"retry.initial.interval: 1 min\n" OPTION "retry.max.interval: 1 s", "is longer than"},
    {"leader-election.lease-duration: 14 s", "must be at least 5 s longer than renew-deadline"},
    {"leader-election.retry-period: 6 s", "must be at least twice retry-period"},
    {"leader-election.enabled: yes", "leader-election.enabled: found \"yes\""},
    {"health.probe.port: 65536", "health.probe.port: found 65536"},
    {"watched.namespaces: a,B", "watched.namespaces: \"B\" is not the name of a namespace"},
    {"label.selector: a in b", "label.selector: \"a in b\": expected \"(\" at \"b\""},
    {"savepoint.format.type: fast", "format.type: found \"fast\", must be CANONICAL or NATIVE"},
    {"checkpoint.type: canonical", "found \"canonical\", must be FULL or INCREMENTAL"},
    {"job.restart.failed: perhaps", "job.restart.failed: found \"perhaps\""},
    {"default-configuration.namespace.a.kubernetes.operator.job.restart.failed: no",
     "default-configuration.namespace.a.kubernetes.operator.job.restart.failed: kubernetes"},
};

START_TEST(wrong_values_are_refused_by_name)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};

    ck_assert_ptr_null(read_text(arena_printf(&a, OPTION "%s\n", wrong[_i].text), NULL, &err));
    assert_error(&err, ERR_INVALID, wrong[_i].words);
}
END_TEST

START_TEST(what_has_no_effect_is_told)
{
    static const char text[] = OPTION
        "reconcile.interval: 15 s\n"                                                   //
        OPTION "reconciler.max.parallelism: 10\n"                                      //
        OPTION "no.such.option: 1\n"                                                   //
        OPTION "job.autoscaler.enabled: true\n"                                        //
        OPTION "metrics.reporter.prom.factory.class: x\n"                              //
        OPTION "default-configuration.flink-version.v1_20+.kubernetes.operator.x: 1\n" //
        OPTION
        "default-configuration.namespace.a.kubernetes.operator.flink.client.timeout: 1 s\n" OPTION
        "default-configuration.namespace.a.taskmanager.numberOfTaskSlots: 1\n" //
        OPTION "default-configuration.flink-version.v1_99.rest.port: 1\n"      //
        OPTION "default-configuration.flink-version.v1_20 +.rest.port: 1\n"    //
        OPTION "default-configuration.flink-version.v1_20.rest.port: 1\n"      //
        OPTION "user.artifacts.http.header.Authorization: x\n"                 //
        OPTION "job.restart.failed: true\n"
        "rest.port: 8082\n";
    static const char *const told[] = {
        "namespace.a.kubernetes.operator.flink.client.timeout: has no effect in a layer",
        "v1_20+.kubernetes.operator.x: is no option of this operator",
        "job.autoscaler.enabled: the autoscaler is not done yet",
        "metrics.reporter.prom.factory.class: it names Java classes",
        "no.such.option: is no option of this operator",
        "reconcile.interval: work begins when something changes",
        "reconciler.max.parallelism: one thread",
        "v1_99.rest.port: names no version of Flink",
        "v1_20 +.rest.port: names no version of Flink",
    };
    struct operator_config *c = must_read(text, NULL);
    size_t n = 0;

    for (; c->remarks[n]; n++)
        continue;
    ck_assert_uint_eq(n, ARRAY_SIZE(told));
    for (size_t i = 0; i < n; i++) {
        bool found = false;

        for (size_t k = 0; k < n; k++)
            found |= strstr(c->remarks[k], told[i]) != NULL;
        ck_assert_msg(found, "nobody tells: %s", told[i]);
    }
    operator_config_let_go(c);
}
END_TEST

START_TEST(two_are_compared)
{
    struct operator_config *was = must_read(OPTION "watched.namespaces: a,b\n", NULL);
    struct operator_config *is = must_read(OPTION "watched.namespaces: b,a\n" //
                                           OPTION "leader-election.lease-name: x\n" OPTION
                                                  "health.probe.port: 1\n",
                                           NULL);
    struct operator_config *other = must_read(OPTION "watched.namespaces: a\n", NULL);

    ck_assert(operator_config_same_namespaces(was, is));
    ck_assert(!operator_config_same_namespaces(was, other));
    ck_assert(!operator_config_same_namespaces(other, was));
    ck_assert_str_eq(operator_config_needs_restart(was, is, 0), OPTION "health.probe.port");
    ck_assert_str_eq(operator_config_needs_restart(was, is, 1),
                     OPTION "leader-election.lease-name");
    ck_assert_ptr_null(operator_config_needs_restart(was, is, 2));
    ck_assert_ptr_eq(operator_config_hold(was), was);
    operator_config_let_go(was);
    ck_assert_str_eq(was->namespaces[0], "a"); /* it is still held */
    operator_config_let_go(was);
    operator_config_let_go(is);
    operator_config_let_go(other);
}
END_TEST

/* ---- label selectors ---- */

static const struct {
    const char *selector, *labels;
    bool matches;
} matching[] = {
    {"", "{}", true},
    {"  ", "{'a':'b'}", true},
    {"a=b", "{'a':'b'}", true},
    {"a == b", "{'a':'b','c':'d'}", true},
    {"a=b", "{'a':'c'}", false},
    {"a=b", "{}", false},
    {"a=", "{'a':''}", true},
    {"a=", "{}", false},
    {"a!=b", "{'a':'c'}", true},
    {"a!=b", "{'a':'b'}", false},
    {"a!=b", "{}", true},
    {"a in (b, c)", "{'a':'c'}", true},
    {"a in (b,c)", "{'a':'d'}", false},
    {"a in (b,)", "{'a':''}", true},
    {"a notin (b,c)", "{'a':'c'}", false},
    {"a notin (b,c)", "{'a':'d'}", true},
    {"a notin (b,c)", "{}", true},
    {"example.com/a", "{'example.com/a':'x'}", true},
    {"a", "{'b':'x'}", false},
    {"!a", "{'b':'x'}", true},
    {"! a", "{'a':'x'}", false},
    {"a=b,c in (d,e),!f", "{'a':'b','c':'e'}", true},
    {"a=b,c in (d,e),!f", "{'a':'b','c':'e','f':''}", false},
    {"in in (in),notin notin (notin)", "{'in':'in','notin':'x'}", true},
};

START_TEST(selectors_match)
{
    cleanup_arena struct arena a = {0};
    const struct label_selector *s;
    struct error err = {0};
    jv labels = json(&a, matching[_i].labels);

    ck_assert_msg(!label_selector_parse(&a, matching[_i].selector, &s, &err), "%s", err.text);
    ck_assert_int_eq(label_selector_matches(s, labels), matching[_i].matches);
    /* What has the labels that it looks at, and no others, fares the same. */
    ck_assert_int_eq(label_selector_matches(s, label_selector_seen(&a, s, labels)),
                     matching[_i].matches);
}
END_TEST

static const struct {
    const char *selector, *words;
} broken[] = {
    {"a>1", "expected \",\" at \">1\""},
    {"a b", "expected \"in\", \"notin\", \"=\" or \"!=\" at \"b\""},
    {"a in", "expected \"(\" at its end"},
    {"a in (b", "expected \",\" or \")\" at its end"},
    {"a in (b c)", "expected \",\" or \")\" at \"c)\""},
    {"a=b,", "expected the key of a label at its end"},
    {",a", "expected the key of a label at \",a\""},
    {"=b", "expected the key of a label at \"=b\""},
    {"-a", "expected the key of a label at \"-a\""},
    {"a=-b", "expected the value of a label at \"-b\""},
    {"A.b/c/d=e", "expected the key of a label"},
    {"!a=b", "expected \",\" at \"=b\""},
    {"a=b c", "expected \",\" at \"c\""},
};

START_TEST(broken_selectors_are_refused_where_they_break)
{
    cleanup_arena struct arena a = {0};
    const struct label_selector *s;
    struct error err = {0};

    ck_assert_int_eq(label_selector_parse(&a, broken[_i].selector, &s, &err), -1);
    assert_error(&err, ERR_INVALID, broken[_i].words);
}
END_TEST

START_TEST(a_selector_has_a_largest_size)
{
    cleanup_arena struct arena a = {0};
    const struct label_selector *s;
    struct error err = {0};
    char text[5001];

    memset(text, ',', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    ck_assert_int_eq(label_selector_parse(&a, text, &s, &err), -1);
    assert_error(&err, ERR_INVALID, "4096 at most");
}
END_TEST

/* ---- the file while the operator runs ---- */

#define OFTEN OPTION "dynamic.config.check.interval: 100 ms\n"

static void stop(void *arg)
{
    loop_stop(arg);
}

static void counted(void *arg)
{
    int *n = arg;

    ++*n;
}

START_TEST(a_file_that_is_gone_takes_nothing_away)
{
    char dir[SCRATCH_ROOM];
    struct loop *loop = loop_new();
    struct timer *timer = timer_new(loop, stop, loop);
    struct error err = {0};
    int changes = 0;

    scratch_make(dir);
    cleanup_free char *path = xasprintf("%s/config.yaml", dir);

    scratch_write(dir, "config.yaml", OFTEN OPTION "label.selector: team=a\n");
    struct settings *s = settings_read(dir, NULL, &err);

    ck_assert_msg(s != NULL, "%s", err.text);
    settings_follow(s, loop, counted, &changes);
    ck_assert_int_eq(remove(path), 0);
    timer_start(timer, 250);
    loop_run(loop);
    ck_assert_int_eq(changes, 0);
    ck_assert_str_eq(settings_now(s)->selector_text, "team=a");
    ck_assert(strstr(str_or_empty(settings_error(s)), "no config.yaml and no flink-conf.yaml"));
    scratch_write(dir, "config.yaml", OFTEN);
    timer_start(timer, 250);
    loop_run(loop);
    ck_assert_int_eq(changes, 1);
    ck_assert_ptr_null(settings_now(s)->selector_text);
    ck_assert_ptr_null(settings_error(s));
    settings_free(s);
    timer_free(timer);
    loop_free(loop);
    metrics_release();
    scratch_remove(dir);
}
END_TEST

void suite_operator_config(TCase *tc)
{
    T(nothing_is_configured);
    T(lists_count_in_each_form);
    T(lines_that_are_none_are_told);
    T(what_is_set_counts);
    tcase_add_loop_test(tc, wrong_values_are_refused_by_name, 0, ARRAY_SIZE(wrong));
    T(what_has_no_effect_is_told);
    T(two_are_compared);
    tcase_add_loop_test(tc, selectors_match, 0, ARRAY_SIZE(matching));
    tcase_add_loop_test(tc, broken_selectors_are_refused_where_they_break, 0, ARRAY_SIZE(broken));
    T(a_selector_has_a_largest_size);
    T(a_file_that_is_gone_takes_nothing_away);
}
