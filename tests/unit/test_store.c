/* SPDX-License-Identifier: Apache-2.0 */
/* The store under the orders in which watches and answers can come. */
#include <stdlib.h>
#include <string.h>

#include "../../src/controller/store.h"
#include "flinkop/desired.h"
#include "flinkop/json.h"
#include "flinkop/plan.h"
#include "flinkop/str.h"
#include "unit.h"

static struct arena a;
static struct store *st;
static int changes, removals;

static void changed(void *arg, enum kube_kind kind, const struct stored *old,
                    const struct stored *now)
{
    (void)arg;
    ck_assert_int_eq(kind, KIND_POD);
    ck_assert(old || now);
    changes += now != NULL;
    removals += now == NULL;
}

static void setup(void)
{
    st = store_new(KIND_POD, changed, NULL);
    changes = removals = 0;
}

static void teardown(void)
{
    store_free(st);
    arena_free(&a);
}

static jv pod(const char *name, const char *uid, const char *version)
{
    return jv_dup(&a, OBJ({"metadata", OBJ({"namespace", STR("ns")}, {"name", STR(name)},
                                           {"uid", STR(uid)}, {"resourceVersion", STR(version)},
                                           {"labels", OBJ({"app", STR("c")})})},
                          {"status", OBJ({"podIP", STR(version)})}));
}

static const char *version_of(const char *name)
{
    const struct stored *s = store_get(st, "ns", name);

    return s ? s->meta->resource_version : NULL;
}

START_TEST(objects_are_projected_and_grouped)
{
    size_t n;

    store_observe(st, pod("a", "u1", "1"), 0);
    store_observe(st, pod("b", "u2", "2"), 0);
    store_observe(st, pod("a", "u1", "3"), 0);
    store_observe(st, pod("a", "u1", "3"), 0); /* nothing new */
    ck_assert_int_eq(changes, 3);
    const struct stored *const *list = store_by_index(st, "ns/c", &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(((const struct obs_pod *)store_get(st, "ns", "a")->view)->ip, "3");
    ck_assert(list[0] != list[1]);
    store_forget(st, "ns", "a", "u1");
    list = store_by_index(st, "ns/c", &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(list[0]->key, "ns/b");
    store_forget(st, "ns", "b", NULL);
    ck_assert_ptr_null(store_by_index(st, "ns/c", &n));
    ck_assert_int_eq(removals, 2);
}
END_TEST

START_TEST(older_news_than_our_own_write_is_not_believed)
{
    store_observe(st, pod("a", "u1", "1"), 0);
    store_write_through(st, pod("a", "u1", "5"));
    store_observe(st, pod("a", "u1", "3"), 0); /* written before ours, told after */
    ck_assert_str_eq(version_of("a"), "5");
    store_observe(st, pod("a", "u1", "5"), 0);
    store_observe(st, pod("a", "u1", "7"), 0);
    ck_assert_str_eq(version_of("a"), "7");
}
END_TEST

START_TEST(an_answer_that_the_watch_has_overtaken_changes_nothing)
{
    store_observe(st, pod("a", "u1", "1"), 0);
    store_observe(st, pod("a", "u1", "5"), 0);  /* our write, seen by the watch first */
    store_observe(st, pod("a", "u1", "16"), 0); /* and many by others after it */
    store_write_through(st, pod("a", "u1", "5"));
    ck_assert_str_eq(version_of("a"), "16");
}
END_TEST

START_TEST(a_list_that_skips_the_version_of_our_write_is_believed)
{
    store_observe(st, pod("a", "u1", "1"), 0);
    store_write_through(st, pod("a", "u1", "5"));
    store_observe(st, pod("a", "u1", "19"), 0);
    ck_assert_str_eq(version_of("a"), "19");
}
END_TEST

/* Seen under load: events came 23 s late, took the record of a submission back, and the job ran
 * twice. */
START_TEST(a_watch_never_goes_back_behind_our_own_write)
{
    uint64_t list = store_list_begin(st);

    store_observe(st, pod("a", "u1", "1"), list);
    store_list_end(st, list, NULL, NULL);
    store_write_through(st, pod("a", "u1", "5"));
    for (const char *const *late = (const char *const[]){"2", "3", "4", NULL}; *late; late++) {
        store_observe(st, pod("a", "u1", *late), 0);
        ck_assert_str_eq(version_of("a"), "5");
    }
}
END_TEST

START_TEST(a_list_that_was_asked_for_before_our_write_is_not_believed)
{
    store_observe(st, pod("a", "u1", "1"), 0);
    uint64_t list = store_list_begin(st);

    store_write_through(st, pod("a", "u1", "500"));
    store_observe(st, pod("a", "u1", "499"), list);
    store_list_end(st, list, NULL, NULL);
    ck_assert_str_eq(version_of("a"), "500");
}
END_TEST

START_TEST(a_control_plane_restored_from_a_backup_is_believed_when_it_is_listed)
{
    store_observe(st, pod("a", "u1", "1"), 0);
    store_write_through(st, pod("a", "u1", "500"));
    store_write_through(st, pod("b", "u2", "501"));
    uint64_t list = store_list_begin(st);

    store_observe(st, pod("a", "u1", "499"), list);
    store_list_end(st, list, NULL, NULL);
    ck_assert_str_eq(version_of("a"), "499");
    ck_assert_ptr_null(version_of("b"));
    store_observe(st, pod("a", "u1", "500"), 0);
    ck_assert_str_eq(version_of("a"), "500");
}
END_TEST

START_TEST(an_answer_after_the_deletion_raises_no_dead)
{
    store_observe(st, pod("a", "u1", "1"), 0);
    store_forget(st, "ns", "a", "u1");
    store_write_through(st, pod("a", "u1", "2")); /* taking the last finalizer off, answered late */
    ck_assert_ptr_null(version_of("a"));
    store_observe(st, pod("a", "u2", "3"), 0); /* a new one of that name */
    ck_assert_str_eq(version_of("a"), "3");
    store_forget(st, "ns", "a", "u1"); /* late news of the old one */
    ck_assert_str_eq(version_of("a"), "3");
}
END_TEST

START_TEST(names_that_went_lately_are_known)
{
    size_t before = store_burials(st);

    ck_assert(!store_had(st, "ns", "a", before));
    store_observe(st, pod("a", "u1", "1"), 0);
    ck_assert(store_had(st, "ns", "a", before));
    store_forget(st, "ns", "a", "u1");
    ck_assert(store_had(st, "ns", "a", before));
    ck_assert(!store_had(st, "ns", "a", store_burials(st)));
    ck_assert(!store_had(st, "ns", "b", before));
    ck_assert(!store_had(st, "other", "a", before));
}
END_TEST

START_TEST(taking_the_last_finalizer_off_ends_it)
{
    jv dying = JV_SET_PATH(&a, pod("a", "u1", "1"), STR("2026-01-01T00:00:00Z"), "metadata",
                           "deletionTimestamp");
    jv graceful = JV_SET_PATH(&a, dying, INT(30), "metadata", "deletionGracePeriodSeconds");

    store_observe(st, pod("a", "u1", "1"), 0);
    store_write_through(st, JV_SET_PATH(&a, graceful, STR("2"), "metadata", "resourceVersion"));
    ck_assert_str_eq(version_of("a"), "2");
    store_write_through(st, dying);
    ck_assert_ptr_null(version_of("a"));
    store_observe(st, pod("a", "u2", "3"), 0);
    store_write_through(st, dying);
    ck_assert_str_eq(version_of("a"), "3");
}
END_TEST

START_TEST(a_list_sweeps_what_it_does_not_show)
{
    store_observe(st, pod("a", "u1", "1"), 0);
    store_observe(st, pod("b", "u2", "2"), 0);
    uint64_t mark = store_list_begin(st);
    store_observe(st, pod("b", "u2", "2"), 0);
    store_write_through(st, pod("c", "u3", "9")); /* made meanwhile */
    store_list_end(st, mark, "ns", NULL);
    ck_assert_ptr_null(version_of("a"));
    ck_assert_str_eq(version_of("b"), "2");
    ck_assert_str_eq(version_of("c"), "9");
    mark = store_list_begin(st);
    store_list_end(st, mark, "elsewhere", NULL);
    ck_assert_uint_eq(store_count(st), 2);
    store_list_end(st, mark, NULL, NULL);
    ck_assert_uint_eq(store_count(st), 0);
}
END_TEST

START_TEST(a_list_does_not_sweep_what_was_written_after_it)
{
    uint64_t list = store_list_begin(st);

    store_write_through(st, pod("a", "u1", "9"));
    store_write_through(st, pod("b", "u2", "11"));
    store_write_through(st, pod("c", "u3", "7"));
    store_observe(st, pod("c", "u3", "7"), list);
    store_list_end(st, list, "ns", "10");
    ck_assert_ptr_null(version_of("a")); /* made and deleted while the list was on its way */
    ck_assert_str_eq(version_of("b"), "11");
    ck_assert_str_eq(version_of("c"), "7");
    store_list_end(st, store_list_begin(st), "ns", NULL); /* it has gone since */
    ck_assert_uint_eq(store_count(st), 0);
}
END_TEST

static void changed_cr(void *arg, enum kube_kind kind, const struct stored *old,
                       const struct stored *now)
{
    (void)arg, (void)kind, (void)old, (void)now;
}

/* n bytes that repeat after so many; without a repetition deflate makes them longer. */
static const char *noise(size_t n, size_t period)
{
    char *s = arena_alloc(&a, n + 1);
    uint32_t x = 1;

    for (size_t i = 0; i < n; i++) {
        x = i % period ? x * 1664525 + 1013904223 : 1;
        s[i] = (char)(' ' + (x >> 24) % 90);
        if (s[i] == '"' || s[i] == '\\')
            s[i] = '.';
    }
    s[n] = 0;
    return s;
}

START_TEST(text_of_custom_resources_comes_back_as_it_was)
{
    static const struct {
        size_t len, period;
    } texts[] = {{0, 1}, {1, 1}, {100, 100}, {5000, 7}, {70000, 70000}, {1 << 20, 300000}};
    struct store *crs = store_new(KIND_FLINKDEPLOYMENT, changed_cr, NULL);

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        jv cr =
            jv_dup(&a, OBJ({"metadata", OBJ({"name", STR("a")}, {"namespace", STR("ns")},
                                            {"resourceVersion", STR(arena_printf(&a, "%zu", i))})},
                           {"spec", OBJ({"image", STR(noise(texts[i].len, texts[i].period))})}));
        const char *text = json_text(&a, cr);

        store_observe(crs, cr, 0);
        const struct stored *s = store_get(crs, "ns", "a");
        ck_assert_str_eq(stored_text(&a, s), text);
        ck_assert_uint_eq(s->len, strlen(text));
    }
    store_free(crs);
}
END_TEST

static void ignore(void *arg, enum kube_kind kind, const struct stored *old,
                   const struct stored *now)
{
    (void)arg, (void)kind, (void)old, (void)now;
}

/* What a JobManager keeps has the labels of its cluster; one of our own may be called the same. */
START_TEST(what_high_availability_keeps_is_not_stored)
{
    struct store *maps = store_new(KIND_CONFIGMAP, ignore, NULL);
    jv labels = OBJ({"app", STR("c")});
    jv flinks =
        OBJ({"metadata", OBJ({"name", STR("c-cluster-config-map")}, {"namespace", STR("ns")},
                             {"resourceVersion", STR("1")}, {"labels", labels})});
    jv ours =
        OBJ({"metadata", OBJ({"name", STR("flink-config-a-config-map")}, {"namespace", STR("ns")},
                             {"resourceVersion", STR("2")}, {"labels", labels},
                             {"annotations", OBJ({ANNOTATION_SPEC_HASH, STR("1")})})});

    store_observe(maps, flinks, 0);
    store_write_through(maps, flinks);
    ck_assert_uint_eq(store_count(maps), 0);
    store_observe(maps, ours, 0);
    ck_assert_uint_eq(store_count(maps), 1);
    store_free(maps);
}
END_TEST

START_TEST(the_memory_of_objects_is_counted)
{
    store_observe(st, pod("a", "u1", "1"), 0);
    size_t one = store_bytes(st);

    ck_assert_uint_gt(one, sizeof(struct obs_pod));
    ck_assert_uint_lt(one, sizeof(struct obs_pod) + 1000);
    store_observe(st, pod("b", "u2", "2"), 0);
    ck_assert_uint_eq(store_bytes(st), 2 * one);
    store_observe(st, pod("a", "u1", "3"), 0);
    store_write_through(st, pod("a", "u1", "4"));
    ck_assert_uint_eq(store_bytes(st), 2 * one);
    store_forget(st, "ns", "a", NULL);
    ck_assert_uint_eq(store_bytes(st), one);
    store_list_end(st, store_list_begin(st), NULL, NULL);
    ck_assert_uint_eq(store_bytes(st), 0);
}
END_TEST

START_TEST(a_session_job_keeps_nothing_of_how_it_was_read)
{
    struct store *jobs = store_new(KIND_FLINKSESSIONJOB, ignore, NULL);
    const char *args = "one, two, three and many more arguments of a job that nobody shortens";
    jv spec = OBJ({"deploymentName", STR("c")},
                  {"job", OBJ({"jarURI", STR("local:///a.jar")},
                              {"args", ARR(STR(args), STR(args), STR(args), STR(args))})});
    const char *record = json_text(&a, OBJ({"spec", spec}, {"resource_metadata", EMPTY_OBJ}));

    store_observe(
        jobs,
        OBJ({"metadata", OBJ({"namespace", STR("ns")}, {"name", STR("j")}, {"uid", STR("u")},
                             {"resourceVersion", STR("1")})},
            {"spec", spec},
            {"status", OBJ({"reconciliationStatus", OBJ({"lastReconciledSpec", STR(record)})})}),
        0);
    const struct stored *s = store_get(jobs, "ns", "j");

    ck_assert_uint_lt(store_bytes(jobs), s->packed_len + sizeof(struct obs_session_job) + 600);
    store_free(jobs);
}
END_TEST

void suite_store(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(objects_are_projected_and_grouped);
    T(older_news_than_our_own_write_is_not_believed);
    T(an_answer_that_the_watch_has_overtaken_changes_nothing);
    T(a_list_that_skips_the_version_of_our_write_is_believed);
    T(a_watch_never_goes_back_behind_our_own_write);
    T(a_list_that_was_asked_for_before_our_write_is_not_believed);
    T(a_control_plane_restored_from_a_backup_is_believed_when_it_is_listed);
    T(an_answer_after_the_deletion_raises_no_dead);
    T(names_that_went_lately_are_known);
    T(taking_the_last_finalizer_off_ends_it);
    T(a_list_sweeps_what_it_does_not_show);
    T(a_list_does_not_sweep_what_was_written_after_it);
    T(text_of_custom_resources_comes_back_as_it_was);
    T(what_high_availability_keeps_is_not_stored);
    T(the_memory_of_objects_is_counted);
    T(a_session_job_keeps_nothing_of_how_it_was_read);
}
