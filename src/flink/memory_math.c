/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/str.h"
#include "memory_internal.h"

typedef unsigned __int128 u128;

#define MI ((int64_t)1 << 20)

void memory_fail(struct memory_reader *r, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;

    if (r->failed)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    error_set(r->err, ERR_INVALID, "%s", text);
    r->failed = true;
}

bool memory_has(const struct memory_reader *r, const char *key)
{
    return conf_lookup(r->c, key) != NULL;
}

int64_t memory_get(struct memory_reader *r, const char *key, int64_t deflt)
{
    struct error err;
    int64_t v = 0;

    if (r->failed)
        return 0;
    if (r->assumed && !strcmp(key, r->assumed))
        return r->assumed_value;
    if (conf_memory(r->c, key, deflt, &v, &err)) {
        memory_fail(r, "%s", err.text);
        return 0;
    }
    return v;
}

/* Float.parseFloat also takes a type letter at the end. */
static bool parse_float(const char *text, float *ret)
{
    char plain[64], *end;
    size_t n = strlen(text);

    if (n && strchr("fFdD", text[n - 1]))
        n--;
    if (!n || n >= sizeof(plain) || strspn(text, "0123456789+-.eE") < n)
        return false;
    memcpy(plain, text, n);
    plain[n] = 0;
    *ret = strtof(plain, &end);
    return !*end;
}

double memory_float(struct memory_reader *r, const char *key, float deflt)
{
    const char *name, *found = conf_lookup_name(r->c, key, &name);
    char *text;
    float v = deflt;

    if (r->failed || !found)
        return (double)deflt;
    text = str_trim(r->c->a, found);
    if (!parse_float(text, &v))
        memory_fail(r, "%s: found \"%.64s\", must be a number", name, text);
    return (double)v + 0.0; /* -0.0 becomes 0.0 */
}

struct memory_range memory_range(struct memory_reader *r, const char *min_key, int64_t min,
                                 const char *max_key, int64_t max, const char *fraction_key,
                                 float fraction)
{
    struct memory_range range = {
        .min = min_key ? memory_get(r, min_key, min) : min,
        .max = max_key ? memory_get(r, max_key, max) : max,
        .fraction = memory_float(r, fraction_key, fraction),
    };

    if (range.min > range.max)
        memory_fail(r, "%s: found %s, must not be more than %s (%s)", min_key,
                    MEMORY_TEXT(range.min), max_key, MEMORY_TEXT(range.max));
    if (!(range.fraction >= 0 && range.fraction < 1))
        memory_fail(r, "%s: found %g, must be at least 0 and less than 1", fraction_key,
                    range.fraction);
    return range;
}

int64_t memory_add(struct memory_reader *r, int64_t a, int64_t b)
{
    int64_t sum = 0;

    if (__builtin_add_overflow(a, b, &sum)) {
        memory_fail(r, "%s.memory.*: the sizes add up to more than 64 bits can hold", r->prefix);
        return 0;
    }
    return sum;
}

/* The shortest decimal digits that mean v, as Double#toString finds them: v = digits * 10^exponent.
 * Flink multiplies with these digits (BigDecimal#valueOf), so a product of doubles would differ. */
static uint64_t shortest_decimal(double v, int *ret_exponent)
{
    char text[40];

    for (int precision = 0; precision <= 16; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, v);
        if (strtod(text, NULL) == v) /* NOLINT: the exact value is meant */
            break;
    }
    uint64_t digits = 0;
    int exponent = 0;
    const char *p = text;

    for (; *p && *p != 'e'; p++) {
        if (*p == '.')
            continue;
        digits = digits * 10 + (unsigned)(*p - '0');
        exponent -= p > text;
    }
    *ret_exponent = exponent + (int)strtol(p + 1, NULL, 10);
    return digits;
}

/* MemorySize#multiply: exact, then the fraction is cut off. */
static int64_t multiply(struct memory_reader *r, int64_t base, double factor)
{
    int exponent;
    u128 v = shortest_decimal(factor, &exponent);

    if (r->failed)
        return 0;
    v *= (u128)base; /* 57 + 63 bits */
    for (; exponent < 0 && v; exponent++)
        v /= 10;
    for (; exponent > 0 && v && v <= INT64_MAX; exponent--)
        v *= 10;
    if (v > INT64_MAX) {
        memory_fail(r, "%s.memory.*: %s times %g is more than 64 bits can hold", r->prefix,
                    MEMORY_TEXT(base), factor);
        return 0;
    }
    return (int64_t)v;
}

static int64_t cut(int64_t v, const struct memory_range *range)
{
    return MAX(MIN(v, range->max), range->min);
}

int64_t memory_share(struct memory_reader *r, int64_t base, const struct memory_range *range)
{
    return cut(multiply(r, base, range->fraction), range);
}

int64_t memory_share_of_rest(struct memory_reader *r, int64_t base,
                             const struct memory_range *range)
{
    if (r->failed)
        return 0;
    return cut(multiply(r, base, range->fraction / (1 - range->fraction)), range);
}

const char *memory_text(int64_t bytes, char out[MEMORY_TEXT_MAX])
{
    if (bytes % MI == 0)
        snprintf(out, MEMORY_TEXT_MAX, "%" PRId64 " mb", bytes / MI);
    else if (bytes < MI)
        snprintf(out, MEMORY_TEXT_MAX, "%" PRId64 " bytes", bytes);
    else
        snprintf(out, MEMORY_TEXT_MAX, "%.1f mb", (double)bytes / (double)MI);
    return out;
}
