/* SPDX-License-Identifier: Apache-2.0 */
/* Against what real Flinks said: tests/golden/flink, recorded by the `generate` in there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/flink_conf.h"
#include "flinkop/flink_memory.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

#define GOLDEN "tests/golden/flink/"

static char *read_file(struct arena *a, const char *path)
{
    cleanup_free char *text = file_text(path);

    return arena_strdup(a, text);
}

static jv read_json(struct arena *a, const char *path)
{
    const char *text = read_file(a, path);
    struct error err = {0};
    jv v;

    if (json_parse(a, text, strlen(text), &v, &err))
        ck_abort_msg("%s: %s", path, err.text);
    return v;
}

static jv conf_jv(struct arena *a, const struct conf *c)
{
    struct jv_list list = JV_LIST(a);

    for (size_t i = 0; i < c->n; i++)
        jv_list_put(&list, c->entries[i].key, STR(c->entries[i].value));
    return jv_list_obj(&list);
}

/* ---- memory ---- */

/* The line's columns: role, settings, versions, ok or error, then what came out. */
enum { ROLE, SETTINGS, VERSIONS, OUTCOME, JVM_ARGS, VALUES, COLUMNS };

static struct conf settings_conf(struct arena *a, char *const column[], bool legacy)
{
    const char *prefix = !strcmp(column[ROLE], "tm") ? "taskmanager" : "jobmanager";
    struct conf c = CONF_INIT(a);
    char **words = str_split(a, column[SETTINGS], ' ', NULL);

    for (size_t i = 0; words[i]; i++) {
        char *equals = strchr(words[i], '=');

        *equals = 0;
        /* flink-conf.yaml has no empty values: Flink 1.x skips the line */
        if (equals[1] || !legacy)
            conf_set(&c, arena_printf(a, "%s.%s", prefix, words[i]), equals + 1);
    }
    return c;
}

static void add_value(void *arg, const char *key UNUSED, const char *value)
{
    struct strbuf *sb = arg;

    strbuf_addf(sb, "%s%s", sb->len ? " " : "", value);
}

static int derive(struct arena *a, char *const column[], bool legacy, struct strbuf *jvm,
                  struct strbuf *values, struct error *err)
{
    struct conf c = settings_conf(a, column, legacy);
    struct tm_memory tm;
    struct jm_memory jm;

    if (legacy && memory_conf_legacy(&c, err))
        return -1;
    if (!strcmp(column[ROLE], "jm")) {
        if (jm_memory_derive(&c, &jm, err))
            return -1;
        jm_memory_jvm_args(jvm, &jm);
        jm_memory_properties(&jm, add_value, values);
        ck_assert_int_eq(jm.process, jm.flink + jm.metaspace + jm.overhead);
        ck_assert_int_eq(jm.flink, jm.heap + jm.off_heap);
        return 0;
    }
    double cores;
    int64_t slots;

    if (tm_memory_derive(&c, &tm, err))
        return -1;
    ck_assert_int_eq(conf_int(&c, "taskmanager.numberOfTaskSlots", 1, &slots, err), 0);
    ck_assert_int_eq(conf_double(&c, "taskmanager.cpu.cores", (double)slots, &cores, err), 0);
    tm_memory_jvm_args(jvm, &tm);
    tm_memory_properties(&tm, cores, (int)slots, add_value, values);
    ck_assert_int_eq(tm.process, tm.flink + tm.metaspace + tm.overhead);
    ck_assert_int_eq(tm.flink, tm.framework_heap + tm.task_heap + tm.framework_off_heap +
                                   tm.task_off_heap + tm.network + tm.managed);
    return 0;
}

static void check_vector(const char *line, int *ret_cases, int *ret_wrong)
{
    cleanup_arena struct arena a = {0};
    char *copy = arena_strdup(&a, line), *column[COLUMNS] = {0};

    for (int i = 0; i < COLUMNS && copy; i++)
        column[i] = strsep(&copy, "\t");
    if (!strncmp(column[OUTCOME], "error", 5))
        column[OUTCOME] = arena_strndup(&a, column[OUTCOME], 5);
    for (int legacy = 0; legacy <= 1; legacy++) {
        cleanup_strbuf struct strbuf jvm = STRBUF_INIT(1000), values = STRBUF_INIT(1000);
        struct error err = {0};
        bool recorded = legacy ? strstr(column[VERSIONS], "1.") == column[VERSIONS]
                               : strstr(column[VERSIONS], "2.") != NULL;

        if (!recorded)
            continue;
        ++*ret_cases;
        int rc = derive(&a, column, legacy, &jvm, &values, &err);
        bool right = !strcmp(column[OUTCOME], "ok")
                         ? !rc && str_eq(jvm.buf, column[JVM_ARGS]) &&
                               str_eq(values.buf, column[VALUES])
                         : rc && err.code == ERR_INVALID && strchr(err.text, '.');

        if (right)
            continue;
        ++*ret_wrong;
        fprintf(stderr, "%s\n  here: %s %s %s %s\n", line, rc ? "error" : "ok", err.text, jvm.buf,
                values.buf);
    }
}

START_TEST(memory_is_what_bash_java_utils_says)
{
    cleanup_arena struct arena a = {0};
    char *text = read_file(&a, GOLDEN "memory.tsv"), *line;
    int cases = 0, wrong = 0;

    while ((line = strsep(&text, "\n")))
        if (*line && *line != '#')
            check_vector(line, &cases, &wrong);
    ck_assert_int_gt(cases, 1000);
    ck_assert_int_eq(wrong, 0);
}
END_TEST

static const struct {
    const char *conf, *error;
} refusals[] = {
    {"{}", "taskmanager.memory.process.size or taskmanager.memory.flink.size must be set"},
    {"{'taskmanager.memory.process.size':'512m'}",
     "taskmanager.memory.process.size: found 512 mb, must be at least 982 mb: "},
    {"{'taskmanager.memory.process.size':'200m'}",
     "must be at least 982 mb: metaspace (256 mb) and JVM overhead (192 mb) alone are more"},
    {"{'taskmanager.memory.flink.size':'256m'}",
     "taskmanager.memory.flink.size: found 256 mb, must be at least"},
    {"{'taskmanager.memory.process.size':'2g','taskmanager.memory.managed.size':'1500m'}",
     "taskmanager.memory.process.size: found 2048 mb, must be at least"},
    {"{'taskmanager.memory.process.size':'2g','taskmanager.memory.managed.fraction':'0.9',"
     "'taskmanager.memory.network.fraction':'0.5'}",
     "taskmanager.memory.process.size: found 2048 mb, too small: framework heap (128 mb)"},
    {"{'taskmanager.memory.process.size':'1Gi'}",
     "taskmanager.memory.process.size: \"1Gi\" is not"},
    {"{'taskmanager.memory.process.size':'4g','taskmanager.memory.network.min':'1g',"
     "'taskmanager.memory.network.max':'512m'}",
     "taskmanager.memory.network.min: found 1024 mb, must not be more than "
     "taskmanager.memory.network.max (512 mb)"},
    {"{'taskmanager.memory.process.size':'4g','taskmanager.memory.jvm-overhead.fraction':'1'}",
     "taskmanager.memory.jvm-overhead.fraction: found 1, must be at least 0 and less than 1"},
    {"{'taskmanager.memory.process.size':'2g','taskmanager.memory.flink.size':'2g'}",
     "taskmanager.memory.process.size: found 2048 mb, must be at least 2304 mb, the sum of"},
    {"{'taskmanager.memory.process.size':'4g','taskmanager.memory.flink.size':'2g'}",
     "which leaves 1792 mb of JVM overhead"},
};

START_TEST(refused_memory_names_key_found_and_bound)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    struct tm_memory m;

    ck_assert_int_eq(conf_add_jv(&c, json(&a, refusals[_i].conf), "c", &err), 0);
    ck_assert_int_eq(tm_memory_derive(&c, &m, &err), -1);
    assert_error(&err, ERR_INVALID, refusals[_i].error);
}
END_TEST

START_TEST(the_bound_is_the_smallest_that_works)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    struct tm_memory tm;
    struct jm_memory jm;

    conf_set(&c, "taskmanager.memory.process.size", "982m");
    ck_assert_int_eq(tm_memory_derive(&c, &tm, &err), 0);
    conf_set(&c, "taskmanager.memory.process.size", "981m");
    ck_assert_int_eq(tm_memory_derive(&c, &tm, &err), -1);
    conf_set(&c, "jobmanager.memory.process.size", "1m");
    ck_assert_int_eq(jm_memory_derive(&c, &jm, &err), -1);
    assert_error(&err, ERR_INVALID,
                 "jobmanager.memory.process.size: found 1 mb, must be at least 577 mb");
    conf_set(&c, "jobmanager.memory.process.size", "577m");
    ck_assert_int_eq(jm_memory_derive(&c, &jm, &err), 0);
    conf_set(&c, "jobmanager.memory.heap.size", "1g");
    conf_set(&c, "jobmanager.memory.flink.size", "2g");
    conf_set(&c, "jobmanager.memory.off-heap.size", "512m");
    ck_assert_int_eq(jm_memory_derive(&c, &jm, &err), -1);
    assert_error(&err, ERR_INVALID,
                 "jobmanager.memory.flink.size: found 2048 mb, must be the sum of "
                 "jobmanager.memory.heap.size (1024 mb)");
}
END_TEST

/* ---- configuration files ---- */

static const char *const read_files[] = {"nasty.flat", "breaks.flat", "values.flat", "mark.flat",
                                         "nested.yaml"};

START_TEST(files_are_read_as_flink_reads_them)
{
    cleanup_arena struct arena a = {0};
    const char *path = arena_printf(&a, GOLDEN "conf/%s", read_files[_i]);
    const char *text = read_file(&a, path);
    jv expected = read_json(&a, arena_printf(&a, "%s.read", path));
    struct conf c = CONF_INIT(&a);
    struct error err = {0};

    if (str_has_suffix(path, ".flat"))
        conf_add_flat_text(&c, text);
    else if (conf_add_yaml_text(&c, text, strlen(text), &err))
        ck_abort_msg("%s", err.text);
    ck_assert_msg(jv_equal(conf_jv(&a, &c), expected), "%s", json_text(&a, conf_jv(&a, &c)));
}
END_TEST

/* What we write is the file that Flink was asked about; GOLDEN_UPDATE=1 writes that file anew. */
static void check_written(struct arena *a, const char *path, const struct strbuf *sb)
{
    if (getenv("GOLDEN_UPDATE")) {
        FILE *out = fopen(path, "w");

        ck_assert_ptr_nonnull(out);
        fwrite(sb->buf, 1, sb->len, out);
        fclose(out);
    }
    ck_assert_str_eq(sb->buf, read_file(a, path));
}

START_TEST(flink_2_reads_back_what_was_written)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(100000);
    jv values = read_json(&a, GOLDEN "conf/values.json");
    struct conf c = CONF_INIT(&a);

    jv_foreach_kv (kv, values)
        conf_set(&c, kv->key, jv_string(kv->value));
    conf_write_yaml(&sb, &c);
    check_written(&a, GOLDEN "conf/values.yaml", &sb);
    jv read = read_json(&a, GOLDEN "conf/values.yaml.read");
    jv_foreach_kv (kv, values)
        ck_assert_msg(jv_equal(jv_get(read, kv->key), kv->value), "%s: %s", kv->key,
                      json_text(&a, jv_get(read, kv->key)));
    ck_assert_uint_eq(jv_len(read), jv_len(values));
}
END_TEST

START_TEST(flink_1_reads_back_what_its_file_can_hold)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(100000);
    jv values = read_json(&a, GOLDEN "conf/values.json");
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    size_t same = 0;

    jv_foreach_kv (kv, values)
        conf_set(&c, kv->key, jv_string(kv->value));
    conf_write_flat(&sb, &c);
    check_written(&a, GOLDEN "conf/values.flat", &sb);
    jv read = read_json(&a, GOLDEN "conf/values.flat.read");
    jv_foreach_kv (kv, values) {
        struct conf one = CONF_INIT(&a);
        const char *got = JV_STRING(read, kv->key), *want = str_trim(&a, jv_string(kv->value));

        conf_set(&one, kv->key, jv_string(kv->value));
        if (conf_check_flat(&one, "c", &err) || !*want)
            continue;
        ck_assert_msg(str_eq(got, want), "%s: \"%s\" \"%s\"", kv->key, got, want);
        same++;
    }
    ck_assert_uint_gt(same, 70);
    jv_foreach_kv (kv, read) /* nothing came in by the back door */
        ck_assert_msg(jv_get(values, kv->key).type == JV_STR, "%s", kv->key);
}
END_TEST

void suite_flink_golden(TCase *tc)
{
    T(memory_is_what_bash_java_utils_says);
    tcase_add_loop_test(tc, refused_memory_names_key_found_and_bound, 0, ARRAY_SIZE(refusals));
    T(the_bound_is_the_smallest_that_works);
    tcase_add_loop_test(tc, files_are_read_as_flink_reads_them, 0, ARRAY_SIZE(read_files));
    T(flink_2_reads_back_what_was_written);
    T(flink_1_reads_back_what_its_file_can_hold);
}
