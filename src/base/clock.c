/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "flinkop/error.h"
#include "flinkop/str.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_mono_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_boot_ms(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

static void format(int64_t wall_ms, const char *fraction, char out[RFC3339_MAX])
{
    time_t sec = (time_t)(wall_ms / 1000);
    struct tm tm;

    gmtime_r(&sec, &tm);
    size_t n = strftime(out, RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, RFC3339_MAX - n, "%sZ", fraction);
}

void rfc3339_format(int64_t wall_ms, char out[RFC3339_MAX])
{
    format(wall_ms, "", out);
}

void rfc3339_format_micro(int64_t wall_ms, char out[RFC3339_MAX])
{
    char fraction[16];

    snprintf(fraction, sizeof(fraction), ".%03u000", (unsigned)(wall_ms % 1000));
    format(wall_ms, fraction, out);
}

bool rfc3339_parse(const char *s, int64_t *ret_wall_ms)
{
    struct tm tm = {0};
    const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t fraction_ms = 0, scale = 100, offset = 0;

    if (!p)
        return false;
    if (*p == '.') {
        for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
            fraction_ms += (*p - '0') * scale;
    }
    if (*p == '+' || *p == '-') {
        int h, m, n = 0;

        if (sscanf(p + 1, "%2d:%2d%n", &h, &m, &n) != 2 || n != 5)
            return false;
        offset = (h * 60 + m) * (*p == '-' ? -60 : 60);
        p += 6;
    } else if (*p++ != 'Z') {
        return false;
    }
    if (*p)
        return false;
    *ret_wall_ms = ((int64_t)timegm(&tm) - offset) * 1000 + fraction_ms;
    return true;
}

/* Nanoseconds of each unit label of TimeUtils.TimeUnit. */
static const struct {
    const char *label;
    int64_t ns;
} units[] = {
    {"d", 86400000000000},
    {"day", 86400000000000},
    {"days", 86400000000000},
    {"h", 3600000000000},
    {"hour", 3600000000000},
    {"hours", 3600000000000},
    {"m", 60000000000},
    {"min", 60000000000},
    {"minute", 60000000000},
    {"minutes", 60000000000},
    {"s", 1000000000},
    {"sec", 1000000000},
    {"secs", 1000000000},
    {"second", 1000000000},
    {"seconds", 1000000000},
    {"", 1000000},
    {"ms", 1000000},
    {"milli", 1000000},
    {"millis", 1000000},
    {"millisecond", 1000000},
    {"milliseconds", 1000000},
    {"µs", 1000},
    {"micro", 1000},
    {"micros", 1000},
    {"microsecond", 1000},
    {"microseconds", 1000},
    {"ns", 1},
    {"nano", 1},
    {"nanos", 1},
    {"nanosecond", 1},
    {"nanoseconds", 1},
};

static int bad_duration(const char *s, struct error *err)
{
    return error_set(err, ERR_INVALID,
                     "\"%.64s\" is not a duration; write a number and a unit, such as \"30 s\", "
                     "\"5 min\" or \"1 d\"",
                     s);
}

/* ISO-8601 durations of whole days, hours, minutes and (fractions of) seconds. */
static int parse_iso(const char *s, int64_t *ret_ms, struct error *err)
{
    static const char date_units[] = "D", time_units[] = "HMS";
    const char *p = s + 1, *allowed = date_units;
    double total_ms = 0;
    bool any = false;

    for (; *p; p++) {
        char *end;

        if (toupper((unsigned char)*p) == 'T' && allowed == date_units) {
            allowed = time_units;
            continue;
        }
        if (!isdigit((unsigned char)*p))
            return bad_duration(s, err);
        double n = strtod(p, &end);
        char unit = (char)toupper((unsigned char)*end);
        const char *at = unit ? strchr(allowed, unit) : NULL;

        if (!at)
            return bad_duration(s, err);
        total_ms += n * (unit == 'D' ? 86400e3 : unit == 'H' ? 3600e3 : unit == 'M' ? 60e3 : 1e3);
        allowed = unit == 'D' ? allowed : at + 1;
        any = true;
        p = end;
    }
    if (!any || total_ms > 9e15)
        return bad_duration(s, err);
    *ret_ms = (int64_t)total_ms;
    return 0;
}

int duration_parse(const char *s, int64_t *ret_ms, struct error *err)
{
    const char *text = s;

    while (isspace((unsigned char)*s))
        s++;
    if (*s == 'P' || *s == 'p')
        return parse_iso(s, ret_ms, err);

    size_t digits = strspn(s, "0123456789");
    if (!digits || digits > 18)
        return bad_duration(text, err);
    int64_t n = strtoll(s, NULL, 10);
    const char *unit = s + digits;

    while (isspace((unsigned char)*unit))
        unit++;
    size_t len = strlen(unit);
    while (len && isspace((unsigned char)unit[len - 1]))
        len--;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        int64_t ns;

        if (strlen(units[i].label) != len || strncasecmp(units[i].label, unit, len))
            continue;
        if (units[i].ns >= 1000000) {
            if (__builtin_mul_overflow(n, units[i].ns / 1000000, ret_ms))
                return bad_duration(text, err);
        } else {
            if (__builtin_mul_overflow(n, units[i].ns, &ns))
                return bad_duration(text, err);
            *ret_ms = ns / 1000000 + (ns % 1000000 != 0);
        }
        return 0;
    }
    return bad_duration(text, err);
}

void duration_format(int64_t ms, char *out, size_t size)
{
    static const struct {
        int64_t ms;
        const char *label;
    } steps[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        if (ms % steps[i].ms || (!ms && steps[i].ms != 1000))
            continue;
        snprintf(out, size, "%lld %s", (long long)(ms / steps[i].ms), steps[i].label);
        return;
    }
}

int64_t backoff_ms(int failures, int64_t first, int64_t most)
{
    int64_t ms = first;

    while (--failures > 0 && ms < most)
        ms *= 2;
    return MIN(ms, most);
}
