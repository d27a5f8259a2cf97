/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "flinkop/flink_memory.h"
#include "unit.h"

#define MI ((int64_t)1 << 20)
#define GI ((int64_t)1 << 30)
#define TI ((int64_t)1 << 40)
#define FAILS (-1)

static const struct {
    const char *text;
    int64_t flink, api; /* FAILS: refused */
} sizes[] = {
    {"0", 0, 0},
    {"1024", 1024, 1024},
    {"1b", 1, 1},
    {"7 bytes", 7, 7},
    {"1k", 1024, 1024},
    {"1KB", 1024, 1024},
    {"1 kibibytes", 1024, 1024},
    {"2048m", 2048 * MI, 2048 * MI},
    {"2048 MB", 2048 * MI, 2048 * MI},
    {"1mebibytes", MI, MI},
    {"2g", 2 * GI, 2 * GI},
    {"2G", 2 * GI, 2 * GI},
    {"\t 2 \t gb \n", 2 * GI, 2 * GI},
    {"1gibibytes", GI, GI},
    {"1t", TI, TI},
    {"1tb", TI, TI},
    {"2tebibytes", 2 * TI, 2 * TI},
    {"9223372036854775807", INT64_MAX, INT64_MAX},
    {"8388607t", 8388607 * TI, 8388607 * TI},
    {"000000000000000000000001m", MI, MI},
    /* Kubernetes quantities */
    {"1Gi", FAILS, GI},
    {"1gib", FAILS, GI},
    {"1 GI", FAILS, GI},
    {"1.5Gi", FAILS, 3 * GI / 2},
    {"1.5g", FAILS, 1500000000},
    {"1.5GB", FAILS, 1500000000},
    {".5Ki", FAILS, 512},
    {"5.Ki", FAILS, 5120},
    {"+1Ki", FAILS, 1024},
    {"1e3", FAILS, 1000},
    {"1E3", FAILS, 1000},
    {"1.5e3", FAILS, 1500},
    {"1500e-3", FAILS, 2},
    {"1E", FAILS, 1000000000000000000},
    {"1.5K", FAILS, 1500},
    {"7Ei", FAILS, 7 * TI *MI},
    {"1n", FAILS, FAILS}, /* any case: N is no suffix */
    {"0.0000000000001", FAILS, 1},
    {"0e999999999999", FAILS, 0},
    /* refused */
    {"", FAILS, FAILS},
    {"  ", FAILS, FAILS},
    {"m", FAILS, FAILS},
    {"1 x", FAILS, FAILS},
    {"1gg", FAILS, FAILS},
    {"1g b", FAILS, 1000000000}, /* the incumbent drops blanks */
    {"-1g", FAILS, FAILS},
    {"-1", FAILS, FAILS},
    {"NaN", FAILS, FAILS},
    {"Infinity", FAILS, FAILS},
    {"0x10", FAILS, FAILS},
    {"1,5g", FAILS, FAILS},
    {"1.2.3", FAILS, FAILS},
    {".", FAILS, FAILS},
    {"1e", FAILS, 1000000000000000000},
    {"1e+", FAILS, FAILS},
    {"٣g", FAILS, FAILS}, /* ARABIC-INDIC DIGIT THREE */
    {"９g", FAILS, FAILS},
    {"9223372036854775808", FAILS, FAILS},
    {"8388608t", FAILS, FAILS},
    {"99999999999999999999999999999999999999999999g", FAILS, FAILS},
    {"8Ei", FAILS, FAILS},
    {"1e19", FAILS, FAILS},
    {"1e999999999999", FAILS, FAILS},
};

START_TEST(memory_sizes_mean_what_they_mean_to_flink)
{
    struct error err = {0};
    int64_t v = 0;

    int rc = memory_size_parse_flink(sizes[_i].text, &v, &err);
    ck_assert_msg(rc ? sizes[_i].flink == FAILS : v == sizes[_i].flink, "%s: %lld %s",
                  sizes[_i].text, (long long)v, err.text);
    rc = memory_size_parse(sizes[_i].text, &v, &err);
    ck_assert_msg(rc ? sizes[_i].api == FAILS : v == sizes[_i].api, "%s: %lld %s", sizes[_i].text,
                  (long long)v, err.text);
    ck_assert(!rc || err.code == ERR_INVALID);
}
END_TEST

static const struct {
    const char *text;
    double v; /* negative: refused */
} quantities[] = {
    {"1", 1},
    {"500m", 0.5},
    {"0.1", 0.1},
    {"1.5", 1.5},
    {"2.", 2},
    {"100u", 1e-4},
    {"1n", 1e-9},
    {"1k", 1000},
    {"1Ki", 1024},
    {"1e-1", 0.1},
    {"+3", 3},
    {"1E2", 100},
    {"12e6", 12e6},
    {"0", 0},
    {"0.30000000000000004", 0.3},
    {"123456789012345678901", 123456789012345678901.0},
    {"", -1},
    {" 1", -1},
    {"1 ", -1},
    {"-1", -1},
    {"-0", -1},
    {"NaN", -1},
    {"inf", -1},
    {"1K", -1},
    {"1ki", -1},
    {"1mm", -1},
    {"0x1", -1},
    {"1e", -1},
    {"1.2.3", -1},
    {"m", -1},
    {"1e1000", -1},
    {"1\n", -1},
};

START_TEST(quantities_mean_what_they_mean_to_kubernetes)
{
    struct error err = {0};
    double v = 0;

    int rc = quantity_parse(quantities[_i].text, &v, &err);
    ck_assert_msg(rc ? quantities[_i].v < 0 : fabs(v - quantities[_i].v) <= 1e-15 * fabs(v),
                  "%s: %.17g %s", quantities[_i].text, v, err.text);
}
END_TEST

START_TEST(refusals_say_why)
{
    struct error err = {0};
    int64_t i;
    double d;

    ck_assert_int_eq(memory_size_parse("-1g", &i, &err), -1);
    assert_error(&err, ERR_INVALID, "\"-1g\" is negative");
    ck_assert_int_eq(memory_size_parse("8Ei", &i, &err), -1);
    assert_error(&err, ERR_INVALID, "\"8Ei\" is too large");
    ck_assert_int_eq(memory_size_parse("lots", &i, &err), -1);
    assert_error(&err, ERR_INVALID,
                 "\"lots\" is not a memory size; write a number and a unit, such as \"2048m\"");
    ck_assert_int_eq(quantity_parse("half", &d, &err), -1);
    assert_error(&err, ERR_INVALID, "\"half\" is not a quantity");
}
END_TEST

START_TEST(pods_get_whole_mebibytes)
{
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {{0, "0Mi"},
                 {1, "1Mi"},
                 {MI, "1Mi"},
                 {MI + 1, "2Mi"},
                 {2 * GI, "2048Mi"},
                 {-5, "0Mi"},
                 {INT64_MAX, "8796093022208Mi"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[24];

        memory_size_to_mi(cases[i].bytes, out);
        ck_assert_str_eq(out, cases[i].text);
    }
}
END_TEST

void suite_flink_size(TCase *tc)
{
    tcase_add_loop_test(tc, memory_sizes_mean_what_they_mean_to_flink, 0, ARRAY_SIZE(sizes));
    tcase_add_loop_test(tc, quantities_mean_what_they_mean_to_kubernetes, 0,
                        ARRAY_SIZE(quantities));
    T(refusals_say_why);
    T(pods_get_whole_mebibytes);
}
