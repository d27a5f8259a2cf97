/* SPDX-License-Identifier: Apache-2.0 */
/* What json_parse would refuse is made into what it takes, and what was lost is told. */
#include <string.h>

#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

static struct arena a;

static void teardown(void)
{
    arena_free(&a);
}

static const char *repeat(const char *s, size_t n)
{
    char *text = arena_alloc(&a, strlen(s) * n + 1), *to = text;

    while (n--)
        to = stpcpy(to, s);
    *to = 0;
    return text;
}

/* The tamed value of the text between prefix and suffix. */
static jv tame(const char *text, const char **ret_lost)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(16 << 20);
    struct error err = {0};
    jv v;

    *ret_lost = json_tame(&a, text, strlen(text), 1, NULL, "spec", &sb);
    ck_assert(!sb.overflow);
    if (json_parse(&a, sb.buf, sb.len, &v, &err))
        ck_abort_msg("%s in %.300s", err.text, sb.buf);
    return v;
}

static const struct {
    const char *text, *lost, *becomes;
} small[] = {
    {"{\"spec\":{\"a\":[\"x\",{\"b\":\"c\\u0000d\"}]}}", "spec.a[1].b: holds a NUL character",
     "{'spec':{'a':['x',{'b':'c\xef\xbf\xbd"
     "d'}]}}"},
    {"{\"spec\":{\"a\\u0000\":1}}", "spec.a\\u0000: holds a NUL character",
     "{'spec':{'a\xef\xbf\xbd':1}}"},
    {"{\"spec\":\"\\ud83d\"}", "spec: holds half of a surrogate pair", "{'spec':'\xef\xbf\xbd'}"},
    {"{\"spec\":\"\\udE00x\"}", "spec: holds half of a surrogate pair", "{'spec':'\xef\xbf\xbdx'}"},
    {"{\"spec\":\"\\ud83d\\ude80 \\\\u0000 \\\"\"}", NULL, NULL}, /* nothing is wrong with it */
    {"{\"metadata\":{\"x\":\"\\u0000\"},\"spec\":{}}", NULL,
     "{'metadata':{'x':'\xef\xbf\xbd'},'spec':{}}"},
    {"{\"a\":{\"spec\":\"\\u0000\"}}", NULL, "{'a':{'spec':'\xef\xbf\xbd'}}"},
};

START_TEST(characters_that_cannot_be_held_are_replaced_and_told)
{
    const char *lost, *text = small[_i].text;
    jv v = tame(text, &lost);

    ck_assert_msg(str_eq(lost, small[_i].lost), "%s", str_or_empty(lost));
    if (small[_i].becomes)
        assert_json(v, small[_i].becomes);
    else
        ck_assert(jv_equal(v, json(&a, text)));
}
END_TEST

START_TEST(what_is_nested_too_deep_becomes_null)
{
    const char *text = arena_printf(&a, "{\"spec\":{\"t\":%s1%s},\"status\":{\"x\":[2]}}",
                                    repeat("{\"a\":", 5000), repeat("}", 5000));
    const char *lost;
    jv v = tame(text, &lost);
    int depth = 0;

    ck_assert_msg(strstr(lost, "spec.t.a.a.a") && strstr(lost, "nested more than 500 levels"), "%s",
                  lost);
    assert_json(jv_get(v, "status"), "{'x':[2]}");
    for (v = JV_PATH(v, "spec", "t"); v.type == JV_OBJ; v = jv_get(v, "a"))
        depth++;
    ck_assert_int_eq(depth, 498);
    ck_assert_int_eq(v.type, JV_NULL);
}
END_TEST

START_TEST(lists_end_when_there_are_too_many_values)
{
    const char *text =
        arena_printf(&a, "{\"spec\":{\"l\":[0%s],\"m\":{\"x\":[[1%s]]}},\"status\":{\"x\":[2,3]}}",
                     repeat(",0", 350000), repeat(",{}", 100000));
    const char *lost;
    jv v = tame(text, &lost);

    ck_assert_str_eq(lost, "spec.l[99998]: there are more than 100000 values up to here");
    ck_assert_uint_le(jv_len(JV_PATH(v, "spec", "l")), 100001);
    assert_json(jv_get(v, "status"), "{'x':[2,3]}");
}
END_TEST

START_TEST(what_is_no_json_stays_none)
{
    static const char *const texts[] = {
        "",    "{",      "\"", "\"\\", "]]]", "{\"spec\":[,", "[\"\\ud83d\\u", "{\"spec\":{\"a\"",
        ",,,", "\\u0000"};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1000);
    struct error err = {0};
    jv v;

    (void)json_tame(&a, texts[_i], strlen(texts[_i]), 1, NULL, "spec", &sb);
    ck_assert(json_parse(&a, sb.buf, sb.len, &v, &err) != 0);
}
END_TEST

void suite_json_tame(TCase *tc)
{
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_loop_test(tc, characters_that_cannot_be_held_are_replaced_and_told, 0,
                        ARRAY_SIZE(small));
    T(what_is_nested_too_deep_becomes_null);
    T(lists_end_when_there_are_too_many_values);
    tcase_add_loop_test(tc, what_is_no_json_stays_none, 0, 10);
}
