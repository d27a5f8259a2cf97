/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flinkop/flink_conf.h"
#include "flinkop/flink_version.h"
#include "flinkop/strbuf.h"
#include "unit.h"

static struct conf conf_of(struct arena *a, const char *json_text)
{
    struct conf c = CONF_INIT(a);
    struct error err = {0};

    if (conf_add_jv(&c, json(a, json_text), "spec.flinkConfiguration", &err))
        ck_abort_msg("%s", err.text);
    return c;
}

/* The configuration as one JSON object. */
static jv conf_jv(struct arena *a, const struct conf *c)
{
    struct jv_list list = JV_LIST(a);

    for (size_t i = 0; i < c->n; i++)
        jv_list_put(&list, c->entries[i].key, STR(c->entries[i].value));
    return jv_list_obj(&list);
}

START_TEST(keys_are_sorted_and_unique)
{
    cleanup_arena struct arena a = {0}, b = {0};
    struct conf c = CONF_INIT(&a), over = CONF_INIT(&a);

    conf_set(&c, "b", "1");
    conf_set(&c, "a.b", "2");
    conf_setf(&c, "b", "%d", 3);
    conf_set(&c, "a", "4");
    assert_json(conf_jv(&a, &c), "{'a':'4','a.b':'2','b':'3'}");
    ck_assert_str_eq(conf_get(&c, "a.b"), "2");
    ck_assert_ptr_null(conf_get(&c, "a."));
    conf_set(&over, "b", "9");
    conf_set(&over, "aa", "8");
    conf_merge(&c, &over);
    struct conf copy = conf_dup(&b, &c);
    conf_remove(&c, "a");
    conf_remove(&c, "nope");
    conf_remove_prefix(&c, "a");
    assert_json(conf_jv(&a, &c), "{'b':'9'}");
    assert_json(conf_jv(&a, &copy), "{'a':'4','a.b':'2','aa':'8','b':'9'}");
    for (int i = 0; i < 500; i++)
        conf_setf(&copy, arena_printf(&a, "k%d", i * 7919 % 500), "%d", i);
    ck_assert_uint_eq(copy.n, 504);
    for (size_t i = 1; i < copy.n; i++)
        ck_assert_int_lt(strcmp(copy.entries[i - 1].key, copy.entries[i].key), 0);
}
END_TEST

static const struct {
    const char *in, *out;
} shapes[] = {
    {"{'a.b':'x','a':{'c':2,'d':{'e':true}}}", "{'a.b':'x','a.c':'2','a.d.e':'true'}"},
    {"{'n':2,'f':1.50,'big':12345678901234567890,'s':'2','no':null}",
     "{'big':'12345678901234567890','f':'1.50','n':'2','s':'2'}"},
    {"{'a':{'b':1},'a.b':2}", "{'a.b':'2'}"},
    {"{'l':['x',1,null,false],'none':[],'one':['x']}", "{'l':'x;1;false','none':'','one':'x'}"},
    {"{'l':['a;b','it\\u0027s','plain, with comma']}",
     "{'l':'\\u0027a;b\\u0027;\\u0027it\\u0027\\u0027s\\u0027;plain, with comma'}"},
    {"{'t':[{'key':'a','operator':'Exists'},{'key':'b:c'}]}",
     "{'t':'key:a,operator:Exists;"
     "\\u0027\\u0027\\u0027key:\\u0027\\u0027\\u0027\\u0027b:c\\u0027\\u0027\\u0027\\u0027\\u0027"
     "\\u0027\\u0027'}"},
    {"{' a ':'x\\n','b':' y\\r\\n\\n','c':'1\\n2'}", "{'a':'x','b':' y','c':'1\\n2'}"},
    {"{}", "{}"},
    {"null", "{}"},
};

START_TEST(a_users_configuration_is_flattened)
{
    cleanup_arena struct arena a = {0};
    struct conf c = conf_of(&a, shapes[_i].in);
    jv expected = json(&a, shapes[_i].out);
    jv found = conf_jv(&a, &c);

    ck_assert_msg(jv_equal(found, expected), "%s", json_text(&a, found));
}
END_TEST

static const struct {
    const char *in, *error;
} refused[] = {
    {"[1]", "spec.flinkConfiguration: must be a mapping"},
    {"'x'", "spec.flinkConfiguration: must be a mapping"},
    {"{'':1}", "an empty key"},
    {"{'a':{'b':[[1]]}}", "spec.flinkConfiguration.a.b: a list in a list"},
    {"{'a':[{'b':{'c':1}}]}", "spec.flinkConfiguration.a: an element of a list"},
};

START_TEST(what_flink_cannot_mean_is_refused)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};

    ck_assert_int_eq(conf_add_jv(&c, json(&a, refused[_i].in), "spec.flinkConfiguration", &err),
                     -1);
    assert_error(&err, ERR_INVALID, refused[_i].error);
}
END_TEST

START_TEST(the_number_of_keys_is_bounded)
{
    cleanup_arena struct arena a = {0};
    struct jv_list list = JV_LIST(&a);
    struct conf c = CONF_INIT(&a);
    struct error err = {0};

    for (int i = 0; i <= CONF_MAX_ENTRIES; i++)
        jv_list_put(&list, arena_printf(&a, "k%d", i), INT(i));
    ck_assert_int_eq(conf_add_jv(&c, jv_list_obj(&list), "spec.flinkConfiguration", &err), -1);
    assert_error(&err, ERR_TOO_LARGE, "more than 4096 keys");
    char *key = arena_calloc(&a, 1, CONF_MAX_KEY + 2);
    memset(key, 'k', CONF_MAX_KEY + 1);
    c = CONF_INIT(&a);
    ck_assert_int_eq(conf_add_jv(&c, OBJ({key, INT(1)}), "spec.flinkConfiguration", &err), -1);
    assert_error(&err, ERR_TOO_LARGE, "a key of more than 1000 bytes");
}
END_TEST

START_TEST(flat_text_is_read_as_flink_1_does)
{
    static const char text[] = "# comment\r\n"
                               "a: 1\n"
                               "b:2\n"
                               "  c  :  x y  # tail\n"
                               "d: \"q#uoted\"\n"
                               "e: p: q: r\n"
                               "e.f:: g\n"
                               ": nokey\n"
                               "novalue: \n"
                               "novalue2:\t\n"
                               "h: 'single'\\n\n"
                               "a: 2\r"
                               "i\t: \t j\n"
                               "last: line";
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);

    conf_add_flat_text(&c, text);
    jv expected = json(&a, "{'a':'2','c':'x y','d':'\\\"q','e':'p: q: r','e.f:':'g',"
                           "'h':'\\u0027single\\u0027\\\\n','i':'j','last':'line'}");
    ck_assert_msg(jv_equal(conf_jv(&a, &c), expected), "%s", json_text(&a, conf_jv(&a, &c)));
}
END_TEST

START_TEST(yaml_text_may_be_nested)
{
    static const char text[] = "a:\n  b: 1\n  c: {d: yes, e: [u, v]}\na.f: 0.10\n";
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};

    ck_assert_int_eq(conf_add_yaml_text(&c, text, strlen(text), &err), 0);
    assert_json(conf_jv(&a, &c), "{'a.b':'1','a.c.d':'true','a.c.e':'u;v','a.f':'0.1'}");
    ck_assert_int_eq(conf_add_yaml_text(&c, "a: [", 4, &err), -1);
    assert_error(&err, ERR_PARSE, "line");
    ck_assert_int_eq(conf_add_yaml_text(&c, "- x", 3, &err), -1);
    assert_error(&err, ERR_INVALID, "config.yaml: must be a mapping");
}
END_TEST

START_TEST(older_names_count)
{
    cleanup_arena struct arena a = {0};
    struct conf c = conf_of(&a, "{'state.checkpoints.dir':'s3://c','state.backend':'rocksdb',"
                                "'recovery.mode':'zookeeper','high-availability':'kubernetes',"
                                "'kubernetes.operator.job.autoscaler.enabled':'true',"
                                "'kubernetes.operator.reconciler.reschedule.interval':'15 s'}");
    const char *name;

    ck_assert_str_eq(conf_lookup(&c, "execution.checkpointing.dir"), "s3://c");
    ck_assert_str_eq(conf_lookup_name(&c, "state.backend.type", &name), "rocksdb");
    ck_assert_str_eq(name, "state.backend");
    ck_assert_str_eq(conf_lookup(&c, "high-availability.type"), "zookeeper");
    ck_assert_str_eq(conf_lookup(&c, "job.autoscaler.enabled"), "true");
    ck_assert_str_eq(conf_lookup(&c, "kubernetes.operator.reconcile.interval"), "15 s");
    ck_assert_ptr_null(conf_lookup(&c, "rest.port"));
    conf_default(&c, "state.backend.type", "hashmap");
    ck_assert_ptr_null(conf_get(&c, "state.backend.type"));
    conf_default(&c, "rest.port", "8081");
    ck_assert_str_eq(conf_get(&c, "rest.port"), "8081");
    conf_set(&c, "state.backend.type", "hashmap");
    ck_assert_str_eq(conf_lookup(&c, "state.backend.type"), "hashmap");
}
END_TEST

START_TEST(values_have_types)
{
    cleanup_arena struct arena a = {0};
    struct conf c = conf_of(&a, "{'i':' 42 ','b':'TRUE','d':'1.5e1','t':'5 min','m':'2 gb'}");
    struct error err = {0};
    int64_t i;
    double d;
    bool b;

    ck_assert_int_eq(conf_int(&c, "i", 0, &i, &err), 0);
    ck_assert_int_eq(i, 42);
    ck_assert_int_eq(conf_int(&c, "absent", 7, &i, &err), 0);
    ck_assert_int_eq(i, 7);
    ck_assert_int_eq(conf_bool(&c, "b", false, &b, &err), 0);
    ck_assert(b);
    ck_assert_int_eq(conf_double(&c, "d", 0, &d, &err), 0);
    ck_assert_double_eq(d, 15);
    ck_assert_int_eq(conf_duration(&c, "t", 0, &i, &err), 0);
    ck_assert_int_eq(i, 300000);
    ck_assert_int_eq(conf_memory(&c, "m", -1, &i, &err), 0);
    ck_assert_int_eq(i, 2147483648);
    ck_assert_int_eq(conf_memory(&c, "absent", -1, &i, &err), 0);
    ck_assert_int_eq(i, -1);
}
END_TEST

START_TEST(a_bad_value_names_key_value_and_what_is_right)
{
    cleanup_arena struct arena a = {0};
    struct conf c = conf_of(&a,
                            "{'i':'1.5','b':'yes','d':'NaN','t':'-1 s','m':'1Gi','web.port':'x',"
                            "'db.password':'hunter2'}");
    struct error err = {0};
    int64_t i;
    double d;
    bool b;

    ck_assert_int_eq(conf_int(&c, "i", 0, &i, &err), -1);
    assert_error(&err, ERR_INVALID, "i: found \"1.5\", must be a whole number");
    ck_assert_int_eq(conf_bool(&c, "b", 0, &b, &err), -1);
    assert_error(&err, ERR_INVALID, "b: found \"yes\", must be true or false");
    ck_assert_int_eq(conf_double(&c, "d", 0, &d, &err), -1);
    assert_error(&err, ERR_INVALID, "d: found \"NaN\", must be a number");
    ck_assert_int_eq(conf_duration(&c, "t", 0, &i, &err), -1);
    assert_error(&err, ERR_INVALID, "t: found \"-1 s\", must be a duration");
    ck_assert_int_eq(conf_memory(&c, "m", 0, &i, &err), -1);
    assert_error(&err, ERR_INVALID, "m: \"1Gi\" is not a memory size of Flink");
    ck_assert_int_eq(conf_int(&c, "rest.port", 0, &i, &err), -1);
    assert_error(&err, ERR_INVALID, "web.port: found \"x\"");
    ck_assert_int_eq(conf_int(&c, "db.password", 0, &i, &err), -1);
    assert_error(&err, ERR_INVALID, "db.password: found \"******\"");
}
END_TEST

/* Cases of Flink's StructuredOptionsSplitterTest and ConfigurationTest, in their meaning. */
static const struct {
    const char *text, *json; /* NULL: refused */
} lists[] = {
    {"a;b;c", "['a','b','c']"},
    {" a ; b ;c", "['a','b','c']"},
    {"'A;B';C", "['A;B','C']"},
    {"\"AB'D\";B;C", "['AB\\u0027D','B','C']"},
    {"\"AB'\"\"D;B\";C", "['AB\\u0027\\\"D;B','C']"},
    {"'A''B';C", "['A\\u0027B','C']"},
    {"A'B;C", "['A\\u0027B','C']"},
    {"a;;b", "['a','','b']"},
    {";a;", "['a']"},
    {";;", "['']"},
    {"", "[]"},
    {"'a'x;b", NULL},
    {"'a' 'b'", NULL},
    {"'a;b", NULL},
    {"[a, 'b;c', 3]", "['a','b;c','3']"},
    {"[a", "['[a']"},
};

START_TEST(lists_are_read_as_in_flink)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    jv v;

    conf_set(&c, "l", lists[_i].text);
    int rc = conf_list(&c, "l", &v, &err);

    ck_assert_int_eq(rc, lists[_i].json ? 0 : -1);
    if (rc)
        assert_error(&err, ERR_INVALID, "l: found");
    else
        ck_assert_msg(jv_equal(v, json(&a, lists[_i].json)), "%s", json_text(&a, v));
}
END_TEST

START_TEST(a_list_comes_back_as_it_was)
{
    static const char *const text = "'a';'';' b;c ';'it''s \"#\"';'[x, y]';'- z\n: '";
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    jv list = json(&a, "['a','',' b;c ','it\\u0027s \\\"#\\\"','[x, y]','- z\\n: ']"), v;

    ck_assert_str_eq(conf_list_text(&a, list), text);
    conf_set(&c, "l", text);
    ck_assert_int_eq(conf_list(&c, "l", &v, &err), 0);
    ck_assert_msg(jv_equal(v, list), "%s", json_text(&a, v));
    ck_assert_str_eq(conf_list_text(&a, ABSENT), "");
}
END_TEST

static const struct {
    const char *text, *json;
} maps[] = {
    {"a:b,c:d", "{'a':'b','c':'d'}"},
    {" a : b , c : d ", "{'a':'b','c':'d'}"},
    {"'a:x':\"b,y\"", NULL},
    {"\"'a:x':b\"", "{'a:x':'b'}"},
    {"'a:\"\"b,y\"\"'", NULL},
    {"a:b:c", NULL},
    {"a", NULL},
    {"a:", NULL},
    {"a:b,a:c", NULL},
    {"", "{}"},
    {"{a: b, c: 3}", "{'a':'b','c':'3'}"},
};

START_TEST(maps_are_read_as_in_flink)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    jv v;

    conf_set(&c, "m", maps[_i].text);
    int rc = conf_map(&c, "m", &v, &err);

    ck_assert_msg(rc == (maps[_i].json ? 0 : -1), "%s: %s", maps[_i].text, err.text);
    if (rc)
        assert_error(&err, ERR_INVALID, "must be a map like");
    else
        ck_assert_msg(jv_equal(v, json(&a, maps[_i].json)), "%s", json_text(&a, v));
}
END_TEST

START_TEST(maps_may_be_spread_over_keys)
{
    cleanup_arena struct arena a = {0};
    struct conf c = conf_of(
        &a, "{'kubernetes':{'jobmanager':{'labels':{'team':'x','a.b/c':'y'},'labelsx':'z'}},"
            "'exact':'k:v','exact.k':'w'}");
    struct error err = {0};
    jv v;

    ck_assert_int_eq(conf_map(&c, "kubernetes.jobmanager.labels", &v, &err), 0);
    assert_json(v, "{'a.b/c':'y','team':'x'}");
    ck_assert_int_eq(conf_map(&c, "exact", &v, &err), 0);
    assert_json(v, "{'k':'v'}");
    ck_assert_int_eq(conf_map(&c, "absent", &v, &err), 0);
    ck_assert_int_eq(v.type, JV_ABSENT);
}
END_TEST

START_TEST(lists_of_maps_survive_the_way_through_text)
{
    static const char *const tolerations =
        "[{'key':'a','operator':'Exists'},{'key':'b:c','value':'it\\u0027s, \\\"so; so\\\"'}]";
    cleanup_arena struct arena a = {0};
    struct conf c = conf_of(&a, arena_printf(&a, "{'t':%s}", tolerations));
    struct error err = {0};
    jv v;

    ck_assert_int_eq(conf_map_list(&c, "t", &v, &err), 0);
    ck_assert_msg(jv_equal(v, json(&a, tolerations)), "%s", json_text(&a, v));
    conf_set(&c, "t", "key:a,operator:Exists;effect");
    ck_assert_int_eq(conf_map_list(&c, "t", &v, &err), -1);
    assert_error(&err, ERR_INVALID, "t: found \"effect\", must be a list of maps");
    conf_set(&c, "t", "[{key: a}, {key: b}]");
    ck_assert_int_eq(conf_map_list(&c, "t", &v, &err), 0);
    assert_json(v, "[{'key':'a'},{'key':'b'}]");
}
END_TEST

START_TEST(flat_files_never_gain_keys)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(10000);
    struct conf back = CONF_INIT(&a),
                c = conf_of(&a, "{'a':'1\\nkubernetes.cluster-id: evil','b: c':'d','e#f':'g',"
                                "'h\\ni: j':'k','ok':'v: w','empty':'','p':'x#y'}");
    struct error err = {0};

    conf_write_flat(&sb, &c);
    ck_assert_str_eq(sb.buf, "a: 1 kubernetes.cluster-id: evil\nok: v: w\np: x#y\n");
    conf_add_flat_text(&back, sb.buf);
    assert_json(conf_jv(&a, &back), "{'a':'1 kubernetes.cluster-id: evil','ok':'v: w','p':'x'}");
    ck_assert_int_eq(conf_check_flat(&c, "spec.flinkConfiguration", &err), -1);
    assert_error(&err, ERR_INVALID, "spec.flinkConfiguration.a: a line break");
    conf_remove(&c, "a");
    ck_assert_int_eq(conf_check_flat(&c, "spec.flinkConfiguration", &err), -1);
    assert_error(&err, ERR_INVALID, "cannot be part of a key");
    struct conf hash = conf_of(&a, "{'p':'x#y'}"), fine = conf_of(&a, "{'p':'x: y'}");
    ck_assert_int_eq(conf_check_flat(&hash, "spec.flinkConfiguration", &err), -1);
    assert_error(&err, ERR_INVALID, "spec.flinkConfiguration.p: '#' would start a comment");
    ck_assert_int_eq(conf_check_flat(&fine, "spec.flinkConfiguration", &err), 0);
}
END_TEST

START_TEST(yaml_files_quote_what_is_not_plainly_a_string)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(10000);
    struct conf c = conf_of(&a,
                            "{'a':'1','a.b':'true','c':'x: y #z','d':'','e':'plain text',"
                            "'env.java.opts.all':'-Da=\\\"b c\\\"','env.log.max':'5','f':'~',"
                            "'env.stdout-err.redirect-to-file':'true','g':'\\u007f\\u0085é\\n'}");

    conf_write_yaml(&sb, &c);
    ck_assert_str_eq(sb.buf, "a: \"1\"\na.b: \"true\"\nc: \"x: y #z\"\nd: \"\"\ne: plain text\n"
                             "env.java.opts.all: \"-Da=\\\"b c\\\"\"\nenv.log.max: 5\n"
                             "env.stdout-err.redirect-to-file: true\nf: \"~\"\n"
                             "g: \"\\x7f\\x85é\"\n");
    strbuf_reset(&sb);
    struct conf none = CONF_INIT(&a);
    conf_write_yaml(&sb, &none);
    ck_assert_str_eq(sb.buf, "{}\n");
}
END_TEST

START_TEST(versions_are_known)
{
    const struct flink_version *v = flink_version_find("v1_20");
    size_t n;

    ck_assert_ptr_nonnull(v);
    ck_assert(flink_at_least(v, 1, 20) && flink_at_least(v, 1, 9) && !flink_at_least(v, 2, 0));
    ck_assert_ptr_null(flink_version_find("v9_9"));
    ck_assert_ptr_null(flink_version_find(NULL));
    v = flink_versions(&n);
    ck_assert_uint_eq(n, 13);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(v[i].conf_file, v[i].major < 2 ? "flink-conf.yaml" : "config.yaml");
        ck_assert_int_eq(v[i].supported, flink_at_least(&v[i], 1, 15));
        ck_assert_int_eq(v[i].java_opts != NULL, flink_at_least(&v[i], 1, 18));
        ck_assert_int_eq(v[i].java_opts != NULL, v[i].java_opts_key != NULL);
        ck_assert(!i || flink_at_least(&v[i], v[i - 1].major, v[i - 1].minor));
    }
    ck_assert_str_eq(flink_versions_supported(),
                     "v1_15, v1_16, v1_17, v1_18, v1_19, v1_20, v2_0, v2_1, v2_2, v2_3, v2_4");
}
END_TEST

void suite_flink_conf(TCase *tc)
{
    T(keys_are_sorted_and_unique);
    tcase_add_loop_test(tc, a_users_configuration_is_flattened, 0, ARRAY_SIZE(shapes));
    tcase_add_loop_test(tc, what_flink_cannot_mean_is_refused, 0, ARRAY_SIZE(refused));
    T(the_number_of_keys_is_bounded);
    T(flat_text_is_read_as_flink_1_does);
    T(yaml_text_may_be_nested);
    T(older_names_count);
    T(values_have_types);
    T(a_bad_value_names_key_value_and_what_is_right);
    tcase_add_loop_test(tc, lists_are_read_as_in_flink, 0, ARRAY_SIZE(lists));
    T(a_list_comes_back_as_it_was);
    tcase_add_loop_test(tc, maps_are_read_as_in_flink, 0, ARRAY_SIZE(maps));
    T(maps_may_be_spread_over_keys);
    T(lists_of_maps_survive_the_way_through_text);
    T(flat_files_never_gain_keys);
    T(yaml_files_quote_what_is_not_plainly_a_string);
    T(versions_are_known);
}
