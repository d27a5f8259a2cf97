/* SPDX-License-Identifier: Apache-2.0 */
/* Times as org.quartz.CronExpression has them. */
#include "flinkop/clock.h"
#include "flinkop/macros.h"
#include "flinkop/schedule.h"
#include "unit.h"

static const struct {
    const char *text, *after, *next; /* next NULL: never */
} times[] = {
    {"0 0 3 * * ?", "2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"},
    {"0 0 3 * * ?", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"},
    {"0 0 3 * * ?", "2026-12-31T03:00:00.500Z", "2027-01-01T03:00:00Z"},
    {"* * * * * ?", "2026-01-01T23:59:59.999Z", "2026-01-02T00:00:00Z"},
    {"*/15 * * * * ?", "2026-01-01T00:00:01Z", "2026-01-01T00:00:15Z"},
    {"5/20 * * ? * *", "2026-01-01T00:00:45Z", "2026-01-01T00:01:05Z"},
    {"/30 * * ? * *", "2026-01-01T00:00:31Z", "2026-01-01T00:01:00Z"},
    {"0 10-30/10 9-17 ? * MON-FRI", "2026-01-02T17:30:00Z", "2026-01-05T09:10:00Z"},
    {"0 0 22-2 * * ?", "2026-01-01T02:00:00Z", "2026-01-01T22:00:00Z"},
    {"0 0 22-2 * * ?", "2026-01-01T23:30:00Z", "2026-01-02T00:00:00Z"},
    {"0 0 0 ? * FRI-MON", "2026-01-05T00:00:00Z", "2026-01-09T00:00:00Z"}, /* 5th: a Monday */
    {"0 0 0 1 NOV-FEB ?", "2026-02-01T00:00:00Z", "2026-11-01T00:00:00Z"},
    {"0 0 0 1,15 * ?", "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z"},
    {"0 0 0 ? jan sun,wed", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
    {"0 0 0 ? * 1", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
    {"\t0 0  0 29 2 ? ", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
    {"0 0 0 29 2 ?", "2096-02-29T00:00:00Z", NULL}, /* 2100 is no leap year, and beyond */
    {"0 0 0 31 * ?", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"},
    {"0 0 0 30 2 ?", "2026-01-01T00:00:00Z", NULL},
    {"0 0 0 L * ?", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z"},
    {"0 0 0 L * ?", "2028-02-01T00:00:00Z", "2028-02-29T00:00:00Z"},
    {"0 0 0 L-3 * ?", "2026-02-01T00:00:00Z", "2026-02-25T00:00:00Z"},
    {"0 0 0 L-29 * ?", "2026-02-01T00:00:00Z", "2026-03-02T00:00:00Z"},
    {"0 0 0 LW * ?", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z"},   /* 31st: a Saturday */
    {"0 0 0 L-1W * ?", "2026-05-01T00:00:00Z", "2026-05-29T00:00:00Z"}, /* 30th: a Saturday */
    {"0 0 0 15W * ?", "2026-02-01T00:00:00Z", "2026-02-16T00:00:00Z"},  /* a Sunday */
    {"0 0 0 1W * ?", "2026-07-31T00:00:00Z", "2026-08-03T00:00:00Z"},   /* 1st: a Saturday */
    {"0 0 0 1W * ?", "2026-01-31T00:00:00Z", "2026-02-02T00:00:00Z"},   /* 1st: a Sunday */
    {"0 0 0 31W 5 ?", "2026-01-01T00:00:00Z", "2026-05-29T00:00:00Z"},  /* a Sunday */
    {"0 0 0 31W 6 ?", "2026-01-01T00:00:00Z", "2026-06-30T00:00:00Z"},
    {"0 0 0 ? * L", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"},
    {"0 0 0 ? * 6L", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z"},
    {"0 0 0 ? * FRIL", "2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"},
    {"0 0 0 ? * FRI#2", "2026-01-01T00:00:00Z", "2026-01-09T00:00:00Z"},
    {"0 0 0 ? * 5#5", "2026-01-01T00:00:00Z", "2026-01-29T00:00:00Z"},
    {"0 0 0 ? * 5#5", "2026-01-29T00:00:00Z", "2026-04-30T00:00:00Z"},
    {"0 0 0 1 1 ? 2030", "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"},
    {"0 0 0 1 1 ? 2030-2034/2", "2030-01-01T00:00:00Z", "2032-01-01T00:00:00Z"},
    {"0 0 0 1 1 ? 2020,2021", "2026-01-01T00:00:00Z", NULL},
    {"0 0 0 1 1 ? *", "2099-01-01T00:00:00Z", NULL},
    {"30 m", "2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z"},
    {"PT30M", "2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z"},
    {"1 d", "2026-12-31T12:00:00Z", "2027-01-01T12:00:00Z"},
    {"0", "2026-01-01T00:00:00Z", NULL},
};

START_TEST(the_next_time_is_found)
{
    struct schedule s;
    struct error err = {0};
    int64_t after, next = -1;

    ck_assert_msg(!schedule_parse(times[_i].text, &s, &err), "%s: %s", times[_i].text, err.text);
    ck_assert(rfc3339_parse(times[_i].after, &after));
    if (times[_i].next)
        ck_assert(rfc3339_parse(times[_i].next, &next));
    ck_assert_msg(schedule_next(&s, after) == next, "%s after %s: %lld", times[_i].text,
                  times[_i].after, (long long)schedule_next(&s, after));
}
END_TEST

static const struct {
    const char *text, *words;
} wrong[] = {
    {"", "it is no duration"},
    {"often", "it is no duration, and a cron expression has 6 or 7 fields"},
    {"0 3 * * *", "6 or 7 fields"}, /* as of crontab(5) */
    {"0 0 3 * * ? * *", "6 or 7 fields"},
    {"0 0 3 * * *", "must be '?', and only one"},
    {"0 0 3 ? * ?", "must be '?', and only one"},
    {"60 0 3 * * ?", "\"seconds\" may have numbers from 0 to 59"},
    {"0 0 24 * * ?", "\"hours\""},
    {"0 0 3 0 * ?", "\"day of the month\" may have"},
    {"0 0 3 32 * ?", "\"day of the month\" may have"},
    {"0 0 3 1 13 ?", "\"month\" may have numbers or names from 1 to 12"},
    {"0 0 3 1 JANUARY ?", "\"month\""},
    {"0 0 3 ? * 0", "\"day of the week\""},
    {"0 0 3 ? * 8", "\"day of the week\""},
    {"0 0 3 1 1 ? 1969", "\"year\""},
    {"0 0 3 1 1 ? 2030-2029", "\"year\""},
    {"0/0 0 3 * * ?", "steps"},
    {"0/60 0 3 * * ?", "steps"},
    {"0- 0 3 * * ?", "ranges"},
    {"1,,2 0 3 * * ?", "lists"},
    {"? 0 3 * * ?", "\"seconds\""},
    {"0 0 3 L-31 * ?", "L-3, LW or 15W"},
    {"0 0 3 LX * ?", "L-3, LW or 15W"},
    {"0 0 3 1,15W * ?", "alone"},
    {"0 0 3 ? * 6#6", "6L or 6#3"},
    {"0 0 3 ? * MON,FRIL", "alone"},
    {"99999999999 0 3 * * ?", "\"seconds\""},
    {"-5 s", "must be a duration such as"},
};

START_TEST(what_is_wrong_is_named)
{
    struct schedule s;
    struct error err = {0};

    ck_assert_msg(schedule_parse(wrong[_i].text, &s, &err), "%s", wrong[_i].text);
    assert_error(&err, ERR_INVALID, wrong[_i].words);
    assert_error(&err, ERR_INVALID, "must be a duration such as");
}
END_TEST

START_TEST(one_that_is_too_long_is_refused)
{
    char text[1000];
    struct schedule s;
    struct error err = {0};

    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = i % 2 ? ',' : '1';
    text[sizeof(text) - 1] = 0;
    ck_assert(schedule_parse(text, &s, &err));
    assert_error(&err, ERR_INVALID, "too long");
}
END_TEST

void suite_schedule(TCase *tc)
{
    tcase_add_loop_test(tc, the_next_time_is_found, 0, ARRAY_SIZE(times));
    tcase_add_loop_test(tc, what_is_wrong_is_named, 0, ARRAY_SIZE(wrong));
    T(one_that_is_too_long_is_refused);
}
