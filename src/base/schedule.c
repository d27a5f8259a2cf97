/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/schedule.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "flinkop/clock.h"
#include "flinkop/error.h"

#define TEXT_MAX 200 /* nobody writes a longer one */
#define FIELDS_MAX 7
#define DAY_S 86400
#define SHOWN 60 /* characters of a wrong text */

enum field { SECONDS, MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS, YEARS };

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                          "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

static const struct {
    const char *name;
    int min, max;
    const char *const *words;
} fields[] = {
    [SECONDS] = {"seconds", 0, 59},
    [MINUTES] = {"minutes", 0, 59},
    [HOURS] = {"hours", 0, 23},
    [DAYS] = {"day of the month", 1, 31},
    [MONTHS] = {"month", 1, 12, month_names},
    [WEEKDAYS] = {"day of the week", 1, 7, weekday_names},
    [YEARS] = {"year", SCHEDULE_FIRST_YEAR, SCHEDULE_LAST_YEAR},
};

/* ---- reading ---- */

/* A number or a name; NULL: there is none of them. */
static const char *read_value(const char *s, enum field f, int *ret)
{
    int n = 0;

    if (isdigit((unsigned char)*s)) {
        while (isdigit((unsigned char)*s) && n < 100000)
            n = n * 10 + *s++ - '0';
        *ret = n;
        return s;
    }
    for (int i = 0; fields[f].words && i <= fields[f].max - fields[f].min; i++)
        if (!strncasecmp(s, fields[f].words[i], 3)) {
            *ret = i + fields[f].min;
            return s + 3;
        }
    return NULL;
}

static bool in_range(enum field f, int n)
{
    return n >= fields[f].min && n <= fields[f].max;
}

static void count(struct schedule *s, enum field f, int n)
{
    uint64_t *const sets[] = {&s->seconds, &s->minutes, &s->hours,
                              &s->days,    &s->months,  &s->weekdays};

    if (f == YEARS)
        s->years[n - SCHEDULE_FIRST_YEAR] = true;
    else
        *sets[f] |= UINT64_C(1) << n;
}

static int wrong(enum field f, const char *part, struct error *err)
{
    return error_set(err, ERR_INVALID,
                     "the field \"%s\" may have numbers%s from %d to %d, '*', lists (1,2), ranges "
                     "(1-5) and steps (0/15), found \"%.*s\"",
                     fields[f].name, fields[f].words ? " or names" : "", fields[f].min,
                     fields[f].max, SHOWN, part);
}

/* "*", "a", "a-b", each with "/step"; "a/step" goes up to the end. A range may go over the end of
 * its field, as from NOV to FEB. */
static int read_part(struct schedule *s, enum field f, const char *part, struct error *err)
{
    int min = fields[f].min, max = fields[f].max, from = min, to = max, step = 1;
    const char *p = part;

    if (*p == '*') {
        p++;
    } else if (*p != '/') {
        p = read_value(p, f, &from);
        to = from;
        if (p && *p == '-')
            p = read_value(p + 1, f, &to);
        else if (p && *p == '/')
            to = max;
    }
    if (p && *p == '/') {
        p = isdigit((unsigned char)p[1]) ? read_value(p + 1, SECONDS, &step) : NULL;
        if (p && (step < 1 || step > max))
            p = NULL;
    }
    if (!p || *p || !in_range(f, from) || !in_range(f, to) || (f == YEARS && to < from))
        return wrong(f, part, err);
    if (to < from)
        to += max - min + 1;
    for (int n = from; n <= to; n += step)
        count(s, f, n > max ? n - (max - min + 1) : n);
    return 0;
}

/* "L", "L-3", "LW", "L-3W", "15W"; false: it is none of them. */
static bool read_special_day(struct schedule *s, const char *text)
{
    const char *p = text;
    int n = 0;

    if (toupper((unsigned char)*p) == 'L') {
        s->last = true;
        p++;
        if (*p == '-') {
            p = read_value(p + 1, DAYS, &s->before_last);
            if (!p || s->before_last > 30)
                return false;
        }
    } else {
        p = isdigit((unsigned char)*p) ? read_value(p, DAYS, &n) : NULL;
        if (!p || !in_range(DAYS, n) || toupper((unsigned char)*p) != 'W')
            return false;
        count(s, DAYS, n);
    }
    s->on_work_day = toupper((unsigned char)*p) == 'W';
    return !p[s->on_work_day];
}

/* "L" (Saturday), "6L", "FRIL", "6#3", "FRI#3"; false: it is none of them. */
static bool read_special_weekday(struct schedule *s, const char *text)
{
    const char *p;
    int n;

    if (!strcasecmp(text, "L")) {
        count(s, WEEKDAYS, 7);
        return true;
    }
    p = read_value(text, WEEKDAYS, &n);
    if (!p || !in_range(WEEKDAYS, n))
        return false;
    if (toupper((unsigned char)*p) == 'L' && !p[1])
        s->last = true;
    else if (*p == '#' && p[1] >= '1' && p[1] <= '5' && !p[2])
        s->nth = p[1] - '0';
    else
        return false;
    count(s, WEEKDAYS, n);
    return true;
}

static int read_field(struct schedule *s, enum field f, char *text, struct error *err)
{
    char *rest = text, *part;

    if (f == DAYS && (strchr("Ll", *text) || strpbrk(text, "Ww")))
        return read_special_day(s, text) ? 0
                                         : error_set(err, ERR_INVALID,
                                                     "the field \"day of the month\" may be L, "
                                                     "L-3, LW or 15W, alone, found \"%.*s\"",
                                                     SHOWN, text);
    if (f == WEEKDAYS && (strpbrk(text, "Ll#")))
        return read_special_weekday(s, text) ? 0
                                             : error_set(err, ERR_INVALID,
                                                         "the field \"day of the week\" may be "
                                                         "L, 6L or 6#3, alone, found \"%.*s\"",
                                                         SHOWN, text);
    while ((part = strsep(&rest, ",")))
        if (read_part(s, f, part, err))
            return -1;
    return 0;
}

static int read_cron(char *text, struct schedule *s, struct error *err)
{
    char *parts[FIELDS_MAX + 1], *rest = text, *part;
    size_t n = 0;

    while ((part = strsep(&rest, " \t")) && n <= FIELDS_MAX)
        if (*part)
            parts[n++] = part;
    if (n < FIELDS_MAX - 1 || n > FIELDS_MAX)
        return error_set(err, ERR_INVALID,
                         "it is no duration, and a cron expression has 6 or 7 "
                         "fields");
    bool no_day = !strcmp(parts[DAYS], "?"), no_weekday = !strcmp(parts[WEEKDAYS], "?");

    if (no_day == no_weekday)
        return error_set(err, ERR_INVALID,
                         "one of the fields \"day of the month\" and \"day of the week\" must be "
                         "'?', and only one");
    s->by_weekday = no_day;
    for (size_t i = 0; i < n; i++)
        if (strcmp(parts[i], "?") || (i != DAYS && i != WEEKDAYS))
            if (read_field(s, (enum field)i, parts[i], err))
                return -1;
    if (n < FIELDS_MAX)
        memset(s->years, true, sizeof(s->years));
    return 0;
}

int schedule_parse(const char *text, struct schedule *ret, struct error *err)
{
    struct error why = {0};
    char room[TEXT_MAX + 1];
    size_t len = strlen(text);

    *ret = (struct schedule){0};
    if (!duration_parse(text, &ret->interval_ms, NULL))
        return 0;
    if (len <= TEXT_MAX) {
        memcpy(room, text, len + 1);
        if (!read_cron(room, ret, &why))
            return 0;
    }
    *ret = (struct schedule){0};
    return error_set(err, ERR_INVALID,
                     "must be a duration such as \"30 min\", or a cron expression (seconds minutes "
                     "hours day-of-month month day-of-week [year], in UTC) such as \"0 0 3 * * "
                     "?\", found \"%.*s\": %s",
                     SHOWN, text, len > TEXT_MAX ? "it is too long" : why.text);
}

/* ---- the calendar: proleptic Gregorian, days since the epoch ---- */

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 || year % 400 == 0);
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && leap(year));
}

static bool has(uint64_t set, int n)
{
    return set >> n & 1;
}

/* 1 is Sunday; the epoch was a Thursday. */
static int weekday_of(int64_t day)
{
    return (int)((day + 4) % 7) + 1;
}

/* The Monday to Friday that is nearest to this day of a month, in the same month. */
static int work_day(int day, int days, int64_t first)
{
    int weekday = weekday_of(first + day - 1);

    if (weekday == 7)
        return day > 1 ? day - 1 : day + 2;
    if (weekday == 1)
        return day < days ? day + 1 : day - 2;
    return day;
}

/* The days of a month that count, as bits; first: its first day. */
static uint64_t days_of(const struct schedule *s, int year, int month, int64_t first)
{
    int days = month_days(year, month);
    uint64_t set = 0;

    for (int d = 1; d <= days; d++) {
        bool counts;

        if (s->by_weekday)
            counts = has(s->weekdays, weekday_of(first + d - 1)) && (!s->last || d + 7 > days) &&
                     (!s->nth || (d - 1) / 7 + 1 == s->nth);
        else
            counts = s->last ? d == days - s->before_last : has(s->days, d);
        if (counts)
            set |= UINT64_C(1) << d;
    }
    if (!s->on_work_day)
        return set;
    /* "31W" is the last of a shorter month. */
    int day = 0;

    for (int d = 1; d <= 31; d++)
        if (has(s->last ? set : s->days, d))
            day = d < days ? d : days;
    return day ? UINT64_C(1) << work_day(day, days, first) : 0;
}

/* The first second of a day at or after this one, -1: none. */
static int second_of(const struct schedule *s, int from)
{
    for (int h = from / 3600; h < 24; h++) {
        int m = h == from / 3600 ? from / 60 % 60 : 0;

        for (; has(s->hours, h) && m < 60; m++) {
            bool now = h * 60 + m == from / 60;

            for (int sec = now ? from % 60 : 0; has(s->minutes, m) && sec < 60; sec++)
                if (has(s->seconds, sec))
                    return h * 3600 + m * 60 + sec;
        }
    }
    return -1;
}

static int64_t next_by_cron(const struct schedule *s, int64_t after)
{
    int64_t from = after / 1000 + 1, today = from / DAY_S, first = 0;

    for (int year = SCHEDULE_FIRST_YEAR; year <= SCHEDULE_LAST_YEAR; year++)
        for (int month = 1; month <= 12; month++) {
            int64_t begin = first;
            int days = month_days(year, month);
            uint64_t set = 0;

            first += days;
            if (first <= today || !s->years[year - SCHEDULE_FIRST_YEAR] || !has(s->months, month))
                continue;
            set = days_of(s, year, month, begin);
            for (int d = 1; d <= days; d++) {
                int64_t day = begin + d - 1;
                int second;

                if (day < today || !has(set, d))
                    continue;
                second = second_of(s, day == today ? (int)(from % DAY_S) : 0);
                if (second >= 0)
                    return (day * DAY_S + second) * 1000;
            }
        }
    return -1;
}

int64_t schedule_next(const struct schedule *s, int64_t after)
{
    if (after < 0)
        after = 0;
    if (s->interval_ms)
        return after > INT64_MAX - s->interval_ms ? -1 : after + s->interval_ms;
    return s->seconds ? next_by_cron(s, after) : -1;
}
