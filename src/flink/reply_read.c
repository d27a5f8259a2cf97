/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_reply.h"
#include "flinkop/json_map.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "reply_internal.h"

static void add_place(struct strbuf *sb, const struct place *at)
{
    if (!at)
        return;
    add_place(sb, at->up);
    if (at->key)
        strbuf_addf(sb, "%s%.64s", sb->len ? "." : "", at->key);
    else
        strbuf_addf(sb, "[%zu]", at->index);
}

void decode_fail(struct decoder *d, const struct place *at, const char *what, jv found)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(300);
    cleanup_arena struct arena a = {0};

    if (d->failed)
        return;
    add_place(&sb, at);
    error_set(d->err, ERR_PARSE, "%s: %s%sexpected %s, found %s", d->endpoint, sb.buf,
              sb.len ? ": " : "", what, jv_describe(&a, found));
    d->failed = true;
}

int decode_end(const struct decoder *d)
{
    return d->failed ? -1 : 0;
}

jv decode_object(struct decoder *d, const struct place *up, jv v)
{
    if (v.type == JV_OBJ)
        return v;
    decode_fail(d, up, "an object", v);
    return EMPTY_OBJ;
}

size_t decode_list(struct decoder *d, const struct place *up, jv obj, const char *key, size_t max,
                   jv *ret)
{
    jv v = jv_get(obj, key);
    size_t n = jv_len(v);

    *ret = EMPTY_ARR;
    if (v.type != JV_ARR)
        decode_fail(d, AT(up, key), "a list", v);
    if (d->failed)
        return 0;
    if (n > max) {
        error_set(d->err, ERR_TOO_LARGE, "%s: %s has %zu elements, more than %zu are not read",
                  d->endpoint, key, n, max);
        d->failed = true;
        return 0;
    }
    *ret = v;
    return n;
}

int64_t decode_number(struct decoder *d, const struct place *up, jv obj, const char *key,
                      int64_t min)
{
    jv v = jv_get(obj, key);
    int64_t n;

    if (jv_int64(v, &n) && n >= min)
        return n;
    decode_fail(d, AT(up, key), min == 0 ? "a number of 0 or more" : "a whole number", v);
    return MAX(min, 0);
}

int decode_count(struct decoder *d, const struct place *up, jv obj, const char *key)
{
    if (jv_get(obj, key).type == JV_ABSENT)
        return 0;
    int64_t n = decode_number(d, up, obj, key, 0);

    if (n > INT_MAX)
        decode_fail(d, AT(up, key), "a number of a usual size", jv_get(obj, key));
    return d->failed ? 0 : (int)n;
}

int64_t decode_time(struct decoder *d, const struct place *up, jv obj, const char *key)
{
    return jv_present(jv_get(obj, key)) ? decode_number(d, up, obj, key, -1) : -1;
}

const char *decode_text(struct decoder *d, struct arena *a, const struct place *up, jv obj,
                        const char *key)
{
    jv v = jv_get(obj, key);

    if (v.type == JV_STR)
        return str_clean(a, v.s, FLINK_MAX_NAME);
    decode_fail(d, AT(up, key), "a text", v);
    return "";
}

const char *decode_optional(struct decoder *d, struct arena *a, const struct place *up, jv obj,
                            const char *key)
{
    return jv_present(jv_get(obj, key)) ? decode_text(d, a, up, obj, key) : NULL;
}

bool flink_id_valid(const char *s)
{
    return s && strspn(s, "0123456789abcdef") == FLINK_ID_LEN && !s[FLINK_ID_LEN];
}

void decode_id(struct decoder *d, const struct place *up, jv obj, const char *key, char *ret)
{
    jv v = jv_get(obj, key);

    *ret = 0;
    if (v.type == JV_STR && flink_id_valid(v.s))
        memcpy(ret, v.s, FLINK_ID_LEN + 1);
    else
        decode_fail(d, AT(up, key), "an id of 32 hex digits", v);
}
