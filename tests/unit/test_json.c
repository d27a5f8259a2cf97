/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

START_TEST(literals_leave_absent_members_out)
{
    const char *account = NULL;

    assert_json(OBJ({"a", INT(1)}, {"account", STR(account)},
                    {"list", ARR(STR("x"), IF(false, INT(2)), NULLV, BOOL(true))},
                    {"o", OBJ({"e", EMPTY_OBJ}, {"f", EMPTY_ARR})}),
                "{'a':1,'list':['x',null,true],'o':{'e':{},'f':[]}}");
}
END_TEST

START_TEST(text_survives_a_round_trip)
{
    static const char *const texts[] = {
        "{'nonce':9007199254740993,'f':1.50,'e':-1e-7,'z':0}",
        "['',{'':[]},null,true,false,'a\\\\b\\n\\u0001\xc3\xa9']",
        "12345678901234567890123",
        "'\xf0\x9f\x98\x80'",
    };
    cleanup_arena struct arena a = {0};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_json(json(&a, texts[i]), texts[i]);
}
END_TEST

START_TEST(numbers_keep_their_place)
{
    cleanup_arena struct arena a = {0};
    jv v = json(&a, "{'s':'12 -3 [4','a':[1,{'b':2.0},'5'],'c':-6,'d':'\\'7','e':8}");

    assert_json(JV_PATH(v, "a"), "[1,{'b':2.0},'5']");
    assert_json(jv_get(v, "c"), "-6");
    assert_json(jv_get(v, "e"), "8");
}
END_TEST

START_TEST(malformed_text_is_refused)
{
    static const char *const texts[] = {
        "",    "{",         "[1,]",    "{\"a\" 1}",   "01",    "1.",
        "-",   "+1",        ".5",      "1e",          "[1 2]", "nul",
        "tru", "{}x",       "\"\\x\"", "\"a",         "[1",    "{\"a\":}",
        "1 2", "\"\\u00\"", "[1-2]",   "\"\\u0000\"", "--1",   "\"\\ud8\\udead\"",
    };
    cleanup_arena struct arena a = {0};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct error err = {0};
        jv v;

        if (!json_parse(&a, texts[i], strlen(texts[i]), &v, &err))
            ck_abort_msg("accepted %s", texts[i]);
        assert_error(&err, ERR_PARSE, "malformed JSON at byte");
    }
}
END_TEST

START_TEST(depth_and_size_have_caps)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(10 << 20);
    struct error err = {0};
    jv v;

    for (int i = 0; i < 100000; i++)
        strbuf_addc(&sb, '[');
    ck_assert_int_eq(json_parse(&a, sb.buf, sb.len, &v, &err), -1);
    assert_error(&err, ERR_PARSE, "nested too deeply");
    strbuf_reset(&sb);
    strbuf_addc(&sb, '[');
    for (int i = 0; i < JSON_MAX_VALUES; i++)
        strbuf_adds(&sb, "1,");
    ck_assert_int_eq(json_parse(&a, sb.buf, sb.len, &v, &err), -1);
    assert_error(&err, ERR_TOO_LARGE, "more than 400000 values");
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_replaced)
{
    assert_json(STR("a\xff"
                    "b\xc3"),
                "'a\\ufffdb\\ufffd'");
}
END_TEST

START_TEST(look_ups_are_exact_and_total)
{
    cleanup_arena struct arena a = {0};
    jv v = json(&a, "{'App':'x','app':{'n':3,'s':'3'},'l':[10,20]}");
    int64_t n;

    ck_assert_str_eq(JV_STRING(v, "App"), "x");
    ck_assert(jv_int64(JV_PATH(v, "app", "n"), &n) && n == 3);
    ck_assert(!jv_int64(JV_PATH(v, "app", "s"), &n));
    ck_assert_int_eq(JV_PATH(v, "App", "n", "deep").type, JV_ABSENT);
    ck_assert_int_eq(jv_int64_or(jv_at(jv_get(v, "l"), 1), 0), 20);
    ck_assert_int_eq(jv_at(jv_get(v, "l"), 2).type, JV_ABSENT);
    ck_assert_uint_eq(jv_len(jv_get(v, "l")), 2);
    ck_assert_ptr_null(jv_string(ABSENT));
}
END_TEST

START_TEST(equality_ignores_member_order_only)
{
    cleanup_arena struct arena a = {0};

    ck_assert(
        jv_equal(json(&a, "{'a':1,'b':[1,2]}"), OBJ({"b", ARR(INT(1), INT(2))}, {"a", INT(1)})));
    ck_assert(!jv_equal(json(&a, "[1,2]"), json(&a, "[2,1]")));
    ck_assert(!jv_equal(json(&a, "[1]"), json(&a, "[1,1]")));
    ck_assert(!jv_equal(json(&a, "1"), json(&a, "1.0")));
    ck_assert(!jv_equal(json(&a, "1"), json(&a, "'1'")));
    ck_assert(!jv_equal(json(&a, "{'a':1}"), json(&a, "{'b':1}")));
}
END_TEST

START_TEST(values_are_changed_by_making_new_ones)
{
    cleanup_arena struct arena a = {0};
    jv v = json(&a, "{'a':1,'b':{'c':2,'d':[1]}}");

    assert_json(jv_set(&a, v, "a", ABSENT), "{'b':{'c':2,'d':[1]}}");
    assert_json(JV_SET_PATH(&a, v, INT(5), "b", "x", "y"),
                "{'a':1,'b':{'c':2,'d':[1],'x':{'y':5}}}");
    assert_json(jv_merge(&a, v, json(&a, "{'b':{'d':[2],'e':null},'f':0}")),
                "{'a':1,'b':{'c':2,'d':[2],'e':null},'f':0}");
    assert_json(jv_append(&a, JV_PATH(v, "b", "d"), STR("z")), "[1,'z']");
    assert_json(v, "{'a':1,'b':{'c':2,'d':[1]}}");
}
END_TEST

START_TEST(merge_diff_is_what_rfc7386_needs)
{
    cleanup_arena struct arena a = {0};
    jv from = json(&a, "{'same':1,'gone':2,'o':{'x':1,'y':2},'l':[1]}");
    jv to = json(&a, "{'same':1,'o':{'x':1,'y':3},'l':[1,2],'new':{'n':0}}");

    assert_json(jv_merge_diff(&a, from, to), "{'gone':null,'o':{'y':3},'l':[1,2],'new':{'n':0}}");
    ck_assert_int_eq(jv_merge_diff(&a, from, from).type, JV_ABSENT);
}
END_TEST

START_TEST(a_copy_outlives_its_literal)
{
    cleanup_arena struct arena a = {0};
    jv kept;
    {
        char name[] = "temporary";
        kept = jv_dup(&a, OBJ({"n", STR(name)}, {"l", ARR(INT(1), STR(NULL))}));
        memset(name, 'x', sizeof(name) - 1);
    }
    assert_json(kept, "{'n':'temporary','l':[1]}");
    ck_assert_str_eq(json_hash(&a, kept),
                     json_hash(&a, OBJ({"n", STR("temporary")}, {"l", ARR(INT(1))})));
}
END_TEST

void suite_json(TCase *tc)
{
    T(literals_leave_absent_members_out);
    T(text_survives_a_round_trip);
    T(numbers_keep_their_place);
    T(malformed_text_is_refused);
    T(depth_and_size_have_caps);
    T(bytes_that_are_not_utf8_are_replaced);
    T(look_ups_are_exact_and_total);
    T(equality_ignores_member_order_only);
    T(values_are_changed_by_making_new_ones);
    T(merge_diff_is_what_rfc7386_needs);
    T(a_copy_outlives_its_literal);
}
