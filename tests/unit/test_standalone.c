/* SPDX-License-Identifier: Apache-2.0 */
/* Mode standalone: how many TaskManagers there are, and whose change restarts nothing. */
#include "flinkop/cluster_config.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "unit.h"

#define REACTIVE "'flinkConfiguration': {'scheduler-mode': 'REACTIVE'}"

static jv spec_of(struct arena *a, const char *members)
{
    return json(a, arena_printf(a, "{%s}", members));
}

START_TEST(another_number_alone_restarts_nothing)
{
    static const struct {
        const char *before, *after;
        bool restarts;
    } rows[] = {
        /* a session cluster */
        {"'mode': 'standalone'", "'mode': 'standalone', 'taskManager': {'replicas': 2}", false},
        {"'mode': 'standalone', 'taskManager': {'replicas': 3, 'resource': {'cpu': 1}}",
         "'mode': 'standalone', 'taskManager': {'replicas': 2, 'resource': {'cpu': 1}}", false},
        {"'mode': 'standalone', 'taskManager': {'replicas': 3, 'resource': {'cpu': 1}}",
         "'mode': 'standalone', 'taskManager': {'replicas': 3, 'resource': {'cpu': 2}}", true},
        {"'mode': 'standalone', 'jobManager': {'replicas': 1}",
         "'mode': 'standalone', 'jobManager': {'replicas': 2}", true},
        /* where an allocator makes them */
        {"'mode': 'native', 'taskManager': {'replicas': 3}",
         "'mode': 'native', 'taskManager': {'replicas': 2}", false},
        {"'job': {'parallelism': 2}, 'taskManager': {'replicas': 3}", "'job': {'parallelism': 2}",
         false},
        {"'job': {'jarURI': 'a'}, 'taskManager': {'replicas': 3}",
         "'job': {'jarURI': 'a'}, 'taskManager': {'replicas': 2}", true},
        /* an application */
        {"'mode': 'standalone', 'job': {'parallelism': 2}",
         "'mode': 'standalone', 'job': {'parallelism': 3}", true},
        {"'mode': 'standalone', 'job': {'parallelism': 2}",
         "'mode': 'standalone', 'job': {'parallelism': 2}, 'taskManager': {'replicas': 3}", false},
        {"'mode': 'standalone', 'job': {'jarURI': 'a'}, 'taskManager': {'replicas': 2}",
         "'mode': 'standalone', 'job': {'jarURI': 'a'}, 'taskManager': {'replicas': 3}", true},
        /* in Flink's reactive mode */
        {"'mode': 'standalone', 'job': {'parallelism': 2}, " REACTIVE,
         "'mode': 'standalone', 'job': {'parallelism': 3}, " REACTIVE, false},
        {"'mode': 'standalone', 'job': {'jarURI': 'a'}, " REACTIVE,
         "'mode': 'standalone', 'job': {'jarURI': 'a'}, 'taskManager': {'replicas': 3}, " REACTIVE,
         false},
        {"'mode': 'standalone', 'job': {'jarURI': 'a'}, " REACTIVE,
         "'mode': 'standalone', 'job': {'jarURI': 'b'}, " REACTIVE, true},
        {"'job': {'parallelism': 2}, " REACTIVE, "'job': {'parallelism': 3}, " REACTIVE, true},
        {"'mode': 'standalone', 'job': {'parallelism': 2}, " REACTIVE,
         "'mode': 'standalone', 'job': {'parallelism': 2}", true},
    };
    cleanup_arena struct arena a = {0};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *before = deployment_spec_hash(&a, spec_of(&a, rows[i].before)),
                   *after = deployment_spec_hash(&a, spec_of(&a, rows[i].after));

        ck_assert_msg(!str_eq(before, after) == rows[i].restarts, "%s\nto %s", rows[i].before,
                      rows[i].after);
    }
}
END_TEST

static struct cluster_config config_of(struct arena *a, const char *members)
{
    struct problems *p = arena_new(a, struct problems);
    struct deployment_spec *spec = arena_new(a, struct deployment_spec);
    const struct flink_defaults *defaults;
    struct cluster_config config;
    struct error err;
    jv resource = json(a, "{'resource': {'memory': '1g', 'cpu': 1}}");
    jv base = OBJ({"flinkVersion", STR("v1_20")}, {"jobManager", resource},
                  {"taskManager", resource}, {"mode", STR("standalone")},
                  {"flinkConfiguration", OBJ({"taskmanager.numberOfTaskSlots", INT(2)})});

    p->a = a;
    ck_assert(!flink_defaults_read(a, "flink-conf.yaml", "", 0, &defaults, &err));
    cluster_config_read(p, "team", "demo", jv_merge(a, jv_dup(a, base), spec_of(a, members)), true,
                        defaults, spec, &config);
    ck_assert_msg(!p->n, "%s: %s", members, problems_text(p));
    return config;
}

START_TEST(the_number_of_taskmanagers)
{
    static const struct {
        const char *members;
        int replicas;
        const char *parallelism; /* as Flink gets it; NULL: not at all */
    } rows[] = {
        {"'taskManager': {}", 1, NULL},
        {"'taskManager': {'replicas': 4}", 4, NULL},
        {"'job': {'parallelism': 2}", 1, "2"},
        {"'job': {'parallelism': 3}", 2, "3"},
        {"'job': {'parallelism': 3}, 'taskManager': {'replicas': 4}", 4, "3"},
        {"'job': {}, 'taskManager': {'replicas': 4}", 4, "8"},
        {"'job': {}, 'flinkConfiguration': {'parallelism.default': 5}", 3, "5"},
        {"'job': {'parallelism': 3}, " REACTIVE, 2, NULL},
    };
    cleanup_arena struct arena a = {0};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct cluster_config c = config_of(&a, rows[i].members);
        const char *told = conf_get(&c.flink, "parallelism.default");

        ck_assert_int_eq(c.allocator, ALLOCATOR_NONE);
        ck_assert_msg(c.tm_replicas == rows[i].replicas && c.alloc.min == c.alloc.max &&
                          c.alloc.max == rows[i].replicas,
                      "%s: %d TaskManagers", rows[i].members, c.tm_replicas);
        ck_assert_msg(str_eq(told, rows[i].parallelism), "%s: parallelism %s", rows[i].members,
                      str_or(told, "(none)"));
    }
}
END_TEST

START_TEST(what_only_flinks_allocator_can_do_elsewhere_is_passed_on)
{
    cleanup_arena struct arena a = {0};
    struct cluster_config c = config_of(
        &a, "'flinkConfiguration': {'cluster.fine-grained-resource-management.enabled': true}");

    ck_assert_int_eq(c.allocator, ALLOCATOR_NONE);
    ck_assert_ptr_null(c.allocator_note);
    ck_assert_str_eq(conf_get(&c.flink, "cluster.fine-grained-resource-management.enabled"),
                     "true");
}
END_TEST

void suite_standalone(TCase *tc)
{
    T(another_number_alone_restarts_nothing);
    T(the_number_of_taskmanagers);
    T(what_only_flinks_allocator_can_do_elsewhere_is_passed_on);
}
