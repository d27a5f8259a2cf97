/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flinkop/strbuf.h"
#include "unit.h"

static const struct {
    const char *yaml, *json;
} cases[] = {
    {"a: 1\nb: [x, 'y', \"z\"]\n", "{'a':1,'b':['x','y','z']}"},
    {"a: yes\nb: 'yes'\nc: On\nd: ~\ne:\nf: null\ng: \"null\"",
     "{'a':true,'b':'yes','c':true,'d':null,'e':null,'f':null,'g':'null'}"},
    {"[0644, 0x1F, 0o17, 1_000, -5, 1e3, .5, 1.50, 0, -0]",
     "[420,31,15,1000,-5,1e+03,0.5,1.5,0,0]"},
    {"[1.2.3, 1g, 12:30, 2048m, .inf, 0x, 0xzz, '1', -, +]",
     "['1.2.3','1g','12:30','2048m','.inf','0x','0xzz','1','-','+']"},
    {"[9007199254740993, 123456789012345678901234567890]",
     "[9007199254740993,123456789012345678901234567890]"},
    {"null Null: null Null", "{'null Null':'null Null'}"},
    {"a: &x {k: 1}\nb: *x\nc:\n  <<: *x\n  k: 2\n  m: 3\n",
     "{'a':{'k':1},'b':{'k':1},'c':{'k':2,'m':3}}"},
    {"a: |\n  one\n  two\nb: >-\n  one\n  two\n", "{'a':'one\\ntwo\\n','b':'one two'}"},
    {"{\"json\": [1, \"two\", null, {\"x\": true}]}", "{'json':[1,'two',null,{'x':true}]}"},
    {"a: !!str 12\nb: !!int '3'", "{'a':'12','b':3}"},
    {"8081: port\ntrue: x", "{'8081':'port','true':'x'}"},
};

START_TEST(yaml_means_what_it_means_to_kubectl)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    jv v;

    if (yaml_parse(&a, cases[_i].yaml, strlen(cases[_i].yaml), &v, &err))
        ck_abort_msg("%s", err.text);
    assert_json(v, cases[_i].json);
}
END_TEST

static const struct {
    const char *yaml, *error;
} refused[] = {
    {"a: 1\nb: 2\na: 3\n", "line 3, column 1: a: stands twice"},
    {"a: [1\nb: 2", "line"},
    {"a: *nope", "unknown alias *nope"},
    {"? [x]\n: y", "a key must be a plain word"},
    {"a: !custom x", "tag !custom is not supported"},
    {"a: \"x\\0y\"", "NUL"},
    {"<<: 3", "\"<<\" must be followed by a mapping"},
    {"a: 1\n---\nb: 2", "line 3: a second document"},
    {"\tx: 1", "line 1"},
};

START_TEST(bad_yaml_is_refused_with_its_place)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    jv v;

    ck_assert_int_eq(yaml_parse(&a, refused[_i].yaml, strlen(refused[_i].yaml), &v, &err), -1);
    assert_error(&err, ERR_PARSE, refused[_i].error);
}
END_TEST

START_TEST(documents_are_separated)
{
    static const char text[] = "# nothing\n---\na: 1\n---\n---\n# empty\n---\nb: 2\n...\n";
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    struct yaml_doc *docs;
    size_t n;

    ck_assert_int_eq(yaml_parse_all(&a, text, strlen(text), &docs, &n, &err), 0);
    ck_assert_uint_eq(n, 2);
    assert_json(docs[1].value, "{'b':2}");
    ck_assert_int_eq(docs[1].line, 8);
}
END_TEST

START_TEST(expansion_is_bounded)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);
    struct error err = {0};
    jv v;

    strbuf_adds(&sb, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        strbuf_addf(&sb, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                    i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    ck_assert_int_eq(yaml_parse(&a, sb.buf, sb.len, &v, &err), -1);
    assert_error(&err, ERR_PARSE, "more than 400000 values");
    strbuf_reset(&sb);
    for (int i = 0; i < 5000; i++)
        strbuf_addc(&sb, '[');
    ck_assert_int_eq(yaml_parse(&a, sb.buf, sb.len, &v, &err), -1);
    assert_error(&err, ERR_PARSE, "nested more than 200 levels");
}
END_TEST

START_TEST(what_is_written_reads_back_the_same)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);
    struct error err = {0};
    jv back,
        v = json(
            &a,
            "{'a':{'b':[1,'two',[],{},{'k':'v','l':[{'m':null}]},[1,[2]]]},"
            "'s':['yes','0x1','','- x','a: b','a#b','#c','*d','1.0','~','true ','x ','é','a\\nb\\n','a\\n\\n b','k:'],"
            "'t':'line one\\n  two\\n','bool':true,'n':-1.5,'':'empty','a b':1,'x: y':2}");

    yaml_write(&sb, v);
    if (yaml_parse(&a, sb.buf, sb.len, &back, &err))
        ck_abort_msg("%s in\n%s", err.text, sb.buf);
    ck_assert_msg(jv_equal(v, back), "%s", sb.buf);
}
END_TEST

void suite_yaml(TCase *tc)
{
    tcase_add_loop_test(tc, yaml_means_what_it_means_to_kubectl, 0, ARRAY_SIZE(cases));
    tcase_add_loop_test(tc, bad_yaml_is_refused_with_its_place, 0, ARRAY_SIZE(refused));
    T(documents_are_separated);
    T(expansion_is_bounded);
    T(what_is_written_reads_back_the_same);
}
