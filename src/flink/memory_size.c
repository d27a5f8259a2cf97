/* SPDX-License-Identifier: Apache-2.0 */
/* Memory sizes and Kubernetes quantities. All arithmetic is on integers of 128 bits. */
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "flinkop/error.h"
#include "flinkop/flink_memory.h"
#include "flinkop/macros.h"

typedef unsigned __int128 u128;

enum outcome { OK, NO_NUMBER, NEGATIVE, TOO_LARGE, BAD_UNIT };

static int refuse(enum outcome why, const char *text, const char *what, const char *examples,
                  struct error *err)
{
    switch (why) {
    case NEGATIVE:
        return error_set(err, ERR_INVALID, "\"%.64s\" is negative; it must be 0 or more", text);
    case TOO_LARGE:
        return error_set(err, ERR_INVALID, "\"%.64s\" is too large, it does not fit 64 bits", text);
    default:
        return error_set(err, ERR_INVALID,
                         "\"%.64s\" is not %s; write a number and a unit, such as %s", text, what,
                         examples);
    }
}

static const char *skip_blanks(const char *s)
{
    while (*s && (unsigned char)*s <= ' ')
        s++;
    return s;
}

/* ---- Flink's MemorySize ---- */

/* MemorySize.MemoryUnit */
static const struct {
    const char *label;
    int shift;
} units[] = {
    {"", 0},   {"b", 0},          {"bytes", 0}, {"k", 10},         {"kb", 10},
    {"m", 20}, {"mb", 20},        {"g", 30},    {"gb", 30},        {"kibibytes", 10},
    {"t", 40}, {"mebibytes", 20}, {"tb", 40},   {"gibibytes", 30}, {"tebibytes", 40},
};

static enum outcome parse_flink(const char *text, int64_t *ret)
{
    const char *s = skip_blanks(text);
    u128 value = 0;
    bool large = false;

    if (*s == '-')
        return NEGATIVE;
    if (!isdigit((unsigned char)*s))
        return NO_NUMBER;
    for (; isdigit((unsigned char)*s); s++) {
        value = value * 10 + (unsigned)(*s - '0');
        large |= value > INT64_MAX;
        if (large)
            value = 0;
    }
    s = skip_blanks(s);
    size_t len = strlen(s);

    while (len && (unsigned char)s[len - 1] <= ' ')
        len--;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strlen(units[i].label) != len || strncasecmp(units[i].label, s, len) != 0)
            continue;
        value <<= units[i].shift;
        if (large || value > INT64_MAX)
            return TOO_LARGE;
        *ret = (int64_t)value;
        return OK;
    }
    return BAD_UNIT;
}

int memory_size_parse_flink(const char *text, int64_t *ret_bytes, struct error *err)
{
    enum outcome why = parse_flink(text, ret_bytes);

    return why ? refuse(why, text, "a memory size of Flink", "\"1024m\" or \"2g\"", err) : 0;
}

/* ---- Kubernetes quantities: apimachinery's resource.Quantity ---- */

static const struct {
    const char *label;
    int power; /* of 2 for labels that end in 'i', else of 10 */
} suffixes[] = {
    {"Ki", 10}, {"Mi", 20}, {"Gi", 30}, {"Ti", 40}, {"Pi", 50}, {"Ei", 60}, {"n", -9}, {"u", -6},
    {"m", -3},  {"", 0},    {"k", 3},   {"M", 6},   {"G", 9},   {"T", 12},  {"P", 15}, {"E", 18},
};

/* digits * 10^exponent * 2^shift */
struct quantity {
    u128 digits; /* below 10^18 */
    int exponent, shift;
};

#define MAX_DIGITS 18
#define MAX_EXPONENT 1000

static enum outcome parse_exponent(const char *s, struct quantity *q)
{
    char *end;

    if (!isdigit((unsigned char)s[*s == '-' || *s == '+']))
        return BAD_UNIT;
    long e = strtol(s, &end, 10);
    if (*end)
        return BAD_UNIT;
    q->exponent += (int)MAX(MIN(e, (long)MAX_EXPONENT), (long)-MAX_EXPONENT);
    return OK;
}

static enum outcome parse_suffix(const char *s, struct quantity *q)
{
    if ((*s == 'e' || *s == 'E') && s[1] && s[1] != 'i')
        return parse_exponent(s + 1, q);
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        if (strcmp(suffixes[i].label, s) != 0)
            continue;
        if (s[0] && s[1] == 'i')
            q->shift = suffixes[i].power;
        else
            q->exponent += suffixes[i].power;
        return OK;
    }
    return BAD_UNIT;
}

static enum outcome parse_quantity(const char *s, struct quantity *q)
{
    int kept = 0;
    bool point = false, any = false;

    *q = (struct quantity){0};
    if (*s == '-')
        return NEGATIVE;
    if (*s == '+')
        s++;
    for (; isdigit((unsigned char)*s) || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        any = true;
        if (kept == MAX_DIGITS) { /* what follows is too small to matter */
            q->exponent += !point && q->exponent < MAX_EXPONENT;
            continue;
        }
        q->digits = q->digits * 10 + (unsigned)(*s - '0');
        kept += q->digits != 0;
        q->exponent -= point && q->exponent > -MAX_EXPONENT;
    }
    return any ? parse_suffix(s, q) : NO_NUMBER;
}

/* The whole number that is not below it. */
static enum outcome quantity_bytes(const struct quantity *q, int64_t *ret)
{
    u128 v = q->digits << q->shift; /* 60 + 60 bits */
    bool rest = false;

    for (int e = q->exponent; e > 0 && v; e--) {
        if (v > INT64_MAX)
            return TOO_LARGE;
        v *= 10;
    }
    for (int e = q->exponent; e < 0 && v; e++) {
        rest |= v % 10 != 0;
        v /= 10;
    }
    v += rest;
    if (v > INT64_MAX)
        return TOO_LARGE;
    *ret = (int64_t)v;
    return OK;
}

/* The incumbent's tolerance (ResourceConfigUtils#parseResourceMemoryString): no blanks, any case, a
 * "b" at the end. */
static bool normalise(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; *text; text++) {
        if (isspace((unsigned char)*text))
            continue;
        if (n + 1 >= size)
            return false;
        out[n++] = (char)toupper((unsigned char)*text);
    }
    if (n && out[n - 1] == 'B')
        n--;
    if (n && out[n - 1] == 'I')
        out[n - 1] = 'i';
    else if (n && out[n - 1] == 'K')
        out[n - 1] = 'k';
    out[n] = 0;
    return true;
}

int memory_size_parse(const char *text, int64_t *ret_bytes, struct error *err)
{
    enum outcome why = parse_flink(text, ret_bytes);
    struct quantity q;
    char plain[64];

    if (why == NO_NUMBER || why == BAD_UNIT) {
        why = normalise(text, plain, sizeof(plain)) ? parse_quantity(plain, &q) : BAD_UNIT;
        if (!why)
            why = quantity_bytes(&q, ret_bytes);
    }
    return why ? refuse(why, text, "a memory size", "\"2048m\", \"2g\" or \"2Gi\"", err) : 0;
}

int quantity_parse(const char *text, double *ret, struct error *err)
{
    struct quantity q;
    enum outcome why = parse_quantity(text, &q);
    char plain[48];

    if (!why) {
        snprintf(plain, sizeof(plain), "%llue%d", (unsigned long long)q.digits, q.exponent);
        double v = ldexp(strtod(plain, NULL), q.shift); /* strtod: the nearest one, as Go's */

        if (isfinite(v)) {
            *ret = v;
            return 0;
        }
        why = TOO_LARGE;
    }
    return refuse(why, text, "a quantity", "\"500m\", \"2\" or \"1.5\"", err);
}

void memory_size_to_mi(int64_t bytes, char out[24])
{
    int64_t mi = bytes <= 0 ? 0 : (bytes >> 20) + ((bytes & 0xfffff) != 0);

    snprintf(out, 24, "%lldMi", (long long)mi);
}
