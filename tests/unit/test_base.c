/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "flinkop/clock.h"
#include "flinkop/file.h"
#include "flinkop/hash.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/strmap.h"
#include "unit.h"

START_TEST(arena_keeps_what_it_gave)
{
    cleanup_arena struct arena a = {0};
    char *strings[2000];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2000; i++)
            strings[i] = arena_printf(&a, "%d-%0*d", i, i % 100, 0);
        char *big = arena_alloc(&a, 1 << 20);
        memset(big, 'x', 1 << 20);
        for (int i = 0; i < 2000; i++)
            ck_assert_int_eq(atoi(strings[i]), i);
        arena_reset(&a);
        ck_assert_uint_eq(a.total, 0);
    }
}
END_TEST

START_TEST(strbuf_stops_at_its_cap)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(10);

    strbuf_addf(&sb, "%s-%d", "abc", 42);
    ck_assert_str_eq(sb.buf, "abc-42");
    strbuf_adds(&sb, "7890");
    ck_assert(!sb.overflow);
    strbuf_addc(&sb, 'x');
    ck_assert(sb.overflow);
    ck_assert_str_eq(sb.buf, "abc-427890");
    strbuf_reset(&sb);
    strbuf_adds(&sb, "abcdef");
    strbuf_consume(&sb, 4);
    ck_assert_str_eq(sb.buf, "ef");
    size_t len;
    cleanup_free char *taken = strbuf_detach(&sb, &len);
    ck_assert_str_eq(taken, "ef");
    ck_assert_uint_eq(len, 2);
    ck_assert_str_eq(sb.buf, "");
}
END_TEST

START_TEST(strmap_keeps_order_and_survives_churn)
{
    struct strmap m = {0};
    struct strmap_entry *e;
    char key[32];
    intptr_t i = 0;

    for (i = 1; i <= 5000; i++) {
        snprintf(key, sizeof(key), "key-%ld", (long)i);
        ck_assert_ptr_null(strmap_put(&m, key, (void *)i));
    }
    for (i = 1; i <= 5000; i += 2) {
        snprintf(key, sizeof(key), "key-%ld", (long)i);
        ck_assert_ptr_eq(strmap_remove(&m, key), (void *)i);
    }
    ck_assert_uint_eq(m.count, 2500);
    ck_assert_ptr_null(strmap_get(&m, "key-1"));
    ck_assert_ptr_eq(strmap_get(&m, "key-2"), (void *)2);
    i = 2;
    strmap_foreach (e, &m) {
        ck_assert_ptr_eq(e->value, (void *)i);
        i += 2;
        strmap_remove(&m, e->key);
    }
    ck_assert_uint_eq(m.count, 0);
    for (int round = 0; round < 20000; round++) {
        ck_assert_ptr_null(strmap_put(&m, "again", &m));
        ck_assert_ptr_eq(strmap_remove(&m, "again"), &m);
    }
    ck_assert_uint_lt(m.room, 20000);
    strmap_release(&m);
}
END_TEST

START_TEST(errors_wrap_and_tell_what_can_be_retried)
{
    struct error err = {0};

    ck_assert_int_eq(error_set(&err, ERR_TIMEOUT, "after %d s", 5), -1);
    error_wrap(&err, "apply %s", "x");
    assert_error(&err, ERR_TIMEOUT, "apply x: after 5 s");
    ck_assert(error_is_transient(&err));
    error_set(&err, ERR_INVALID, "no");
    ck_assert(!error_is_transient(&err));
    ck_assert_str_eq(errc_name(ERR_TOO_LARGE), "TooLarge");
}
END_TEST

START_TEST(numbers_are_parsed_whole_or_not_at_all)
{
    int64_t i;
    int n;
    double d;
    bool b;

    ck_assert(str_to_int64("9223372036854775807", &i) && i == INT64_MAX);
    ck_assert(!str_to_int64("9223372036854775808", &i));
    ck_assert(!str_to_int64("", &i) && !str_to_int64("1x", &i) && !str_to_int64(" 1", &i));
    ck_assert(!str_to_int("2147483648", &n) && str_to_int("-3", &n) && n == -3);
    ck_assert(str_to_double("1e3", &d) && d == 1000.0);
    ck_assert(!str_to_double("nan", &d) && !str_to_double("0x1p3", &d) &&
              !str_to_double("1e999", &d));
    ck_assert(str_to_bool("True", &b) && b && !str_to_bool("yes", &b));
}
END_TEST

START_TEST(text_of_others_is_cleaned)
{
    cleanup_arena struct arena a = {0};

    ck_assert_str_eq(str_clean(&a, "ok\n\ttext", 100), "ok\n\ttext");
    ck_assert_str_eq(str_clean(&a,
                               "a\x01"
                               "b\x7f"
                               "c\xff\xc3\xa9",
                               100),
                     "a?b?c?\xc3\xa9");
    ck_assert_str_eq(str_clean(&a, "abcdef", 3), "abc...");
    ck_assert_str_eq(str_clean(&a, "ab\xc3\xa9", 3), "ab...");
    ck_assert_uint_eq(utf8_len("\xed\xa0\x80", 3), 0); /* a surrogate */
    ck_assert_uint_eq(utf8_len("\xe0\x80\x80", 3), 0); /* overlong */
    ck_assert_uint_eq(utf8_len("\xf0\x9f\x98\x80", 4), 4);
}
END_TEST

START_TEST(strings_split_and_trim)
{
    cleanup_arena struct arena a = {0};
    size_t n;
    char **parts = str_split(&a, " a, ,b ,", ',', &n);

    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(parts[0], "a");
    ck_assert_str_eq(parts[1], "b");
    ck_assert_ptr_null(parts[2]);
    ck_assert_str_eq(str_trim(&a, "\t x y \n"), "x y");
}
END_TEST

static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
} durations[] = {
    {"30 s", 30000},
    {"30s", 30000},
    {"5min", 300000},
    {"5 m", 300000},
    {"1 d", 86400000},
    {"2 hours", 7200000},
    {"1500", 1500},
    {"250ms", 250},
    {" 7 s ", 7000},
    {"1 us", -1},
    {"1 µs", 1},
    {"1500 ns", 1},
    {"0 ns", 0},
    {"0", 0},
    {"PT1M30S", 90000},
    {"P1DT2H", 93600000},
    {"pt0.5s", 500},
    {"36500 d", 3153600000000},
    {"", -1},
    {"-1 s", -1},
    {"s", -1},
    {"1 x", -1},
    {"PT", -1},
    {"P1Y", -1},
    {"1.5 s", -1},
    {"99999999999999999999 d", -1},
    {"999999999999999 d", -1},
    {"PT5", -1},
    {"PT1S1M", -1},
};

START_TEST(durations_follow_flinks_syntax)
{
    struct error err = {0};
    int64_t ms = -1;
    int rc = duration_parse(durations[_i].text, &ms, &err);

    if (durations[_i].ms < 0) {
        ck_assert_msg(rc, "\"%s\" was taken as %lld", durations[_i].text, (long long)ms);
        assert_error(&err, ERR_INVALID, "is not a duration");
    } else {
        ck_assert_msg(!rc, "%s", err.text);
        ck_assert_int_eq(ms, durations[_i].ms);
    }
}
END_TEST

START_TEST(durations_print_in_their_shortest_form)
{
    char text[32];

    duration_format(30000, text, sizeof(text));
    ck_assert_str_eq(text, "30 s");
    duration_format(300000, text, sizeof(text));
    ck_assert_str_eq(text, "5 min");
    duration_format(1500, text, sizeof(text));
    ck_assert_str_eq(text, "1500 ms");
    duration_format(0, text, sizeof(text));
    ck_assert_str_eq(text, "0 s");
}
END_TEST

START_TEST(rfc3339_goes_both_ways)
{
    char text[RFC3339_MAX];
    int64_t ms;

    rfc3339_format(1767225599123, text);
    ck_assert_str_eq(text, "2025-12-31T23:59:59Z");
    rfc3339_format_micro(1767225599123, text);
    ck_assert_str_eq(text, "2025-12-31T23:59:59.123000Z");
    ck_assert(rfc3339_parse(text, &ms) && ms == 1767225599123);
    ck_assert(rfc3339_parse("2026-01-01T01:59:59+02:00", &ms) && ms == 1767225599000);
    ck_assert(!rfc3339_parse("2026-01-01", &ms));
    ck_assert(!rfc3339_parse("2026-01-01T00:00:00", &ms));
    ck_assert(!rfc3339_parse("2026-01-01T00:00:00Zx", &ms));
}
END_TEST

START_TEST(sha256_is_the_standard_one)
{
    char hex[SHA256_HEX_LEN + 1];

    sha256_hex("abc", 3, hex); /* FIPS 180-2, appendix B.1 */
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    random_hex(hex, 16);
    ck_assert_uint_eq(strlen(hex), 32);
    ck_assert_uint_eq(strspn(hex, "0123456789abcdef"), 32);
}
END_TEST

START_TEST(files_are_read_whole_with_a_cap)
{
    struct error err = {0};
    size_t len;
    cleanup_free char *text = file_read("/proc/self/cmdline", 1 << 16, &len, &err);

    ck_assert_ptr_nonnull(text);
    ck_assert_uint_gt(len, 0);
    ck_assert_ptr_null(file_read("/nonexistent/file", 10, NULL, &err));
    assert_error(&err, ERR_NOT_FOUND, "/nonexistent/file");
    ck_assert_ptr_null(file_read("/proc/self/cmdline", 1, NULL, &err));
    assert_error(&err, ERR_TOO_LARGE, "larger than 1 bytes");
}
END_TEST

START_TEST(what_is_no_file_holds_nobody_up)
{
    char dir[SCRATCH_ROOM];
    struct error err = {0};

    scratch_make(dir);
    cleanup_free char *fifo = xasprintf("%s/fifo", dir);

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_ptr_null(file_read(fifo, 10, NULL, &err));
    assert_error(&err, ERR_INVALID, "fifo is not a regular file");
    ck_assert_ptr_null(file_read(dir, 10, NULL, &err));
    assert_error(&err, ERR_INVALID, "is not a regular file");
    scratch_remove(dir);
}
END_TEST

void suite_base(TCase *tc)
{
    T(arena_keeps_what_it_gave);
    T(strbuf_stops_at_its_cap);
    T(strmap_keeps_order_and_survives_churn);
    T(errors_wrap_and_tell_what_can_be_retried);
    T(numbers_are_parsed_whole_or_not_at_all);
    T(text_of_others_is_cleaned);
    T(strings_split_and_trim);
    tcase_add_loop_test(tc, durations_follow_flinks_syntax, 0, ARRAY_SIZE(durations));
    T(durations_print_in_their_shortest_form);
    T(rfc3339_goes_both_ways);
    T(sha256_is_the_standard_one);
    T(files_are_read_whole_with_a_cap);
    T(what_is_no_file_holds_nobody_up);
}
