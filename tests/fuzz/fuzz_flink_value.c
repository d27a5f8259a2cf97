/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, quantities, durations, lists and maps: the small texts that users type. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/flink_memory.h"
#include "flinkop/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
    if (!cond)
        abort();
}

/* Rounded up to a whole Mi it is read as that. */
static void mi_comes_back(int64_t bytes)
{
    int64_t back;
    char mi[24];

    memory_size_to_mi(bytes, mi);
    if (bytes > INT64_MAX - (1 << 20))
        return;
    must(!memory_size_parse(mi, &back, NULL));
    must(back >= bytes && back - bytes < 1 << 20 && back % (1 << 20) == 0);
}

static void quantity_comes_back(double d)
{
    double back;
    char text[40];

    snprintf(text, sizeof(text), "%.17g", d);
    must(!quantity_parse(text, &back, NULL) && fabs(back - d) <= d * 1e-12);
}

static void duration_comes_back(int64_t ms)
{
    int64_t back;
    char text[40];

    duration_format(ms, text, sizeof(text));
    must(!duration_parse(text, &back, NULL) && back == ms);
}

/* A list as users write it in YAML means the same as its text. */
static void list_comes_back(struct arena *a, jv list)
{
    struct conf c = CONF_INIT(a);
    jv back;

    jv_foreach (item, list) {
        const char *s = jv_string(*item);

        /* Flink drops blanks at the edges, and what is empty. */
        if (!s || !*s || strchr(" \t\r\n\v\f\x1c\x1d\x1e\x1f", *s) ||
            strchr(" \t\r\n\v\f\x1c\x1d\x1e\x1f", s[strlen(s) - 1]) || *s == '[')
            return;
    }
    if (!jv_len(list) || conf_add_jv(&c, OBJ({"k", list}), "", NULL))
        return;
    must(!conf_list(&c, "k", &back, NULL) && jv_equal(back, list));
}

/* Each next time of an interval is a later one. */
static void times_go_on(const char *text)
{
    struct schedule s;
    struct error err = {0};
    int64_t at = 1767225600000;

    if (schedule_parse(text, &s, &err)) {
        must(err.code == ERR_INVALID && *err.text);
        return;
    }
    for (int i = 0; i < 3 && at >= 0; i++) {
        int64_t next = schedule_next(&s, at);

        must(next == -1 || next > at);
        at = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    const char *text = arena_strndup(&a, (const char *)data, size);
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    int64_t flink = -1, api = -1, ms = -1;
    double d = -1;
    jv v;

    if (!memory_size_parse_flink(text, &flink, &err))
        must(flink >= 0 && !memory_size_parse(text, &api, &err) && api == flink);
    else
        must(err.code == ERR_INVALID && *err.text);
    if (!memory_size_parse(text, &api, &err)) {
        must(api >= 0);
        mi_comes_back(api);
    }
    if (!quantity_parse(text, &d, &err)) {
        must(d >= 0 && isfinite(d));
        quantity_comes_back(d);
    }
    if (!duration_parse(text, &ms, &err)) {
        must(ms >= 0);
        duration_comes_back(ms);
    }
    times_go_on(text);
    conf_set(&c, "k", text);
    if (!conf_list(&c, "k", &v, &err)) {
        must(v.type == JV_ARR);
        list_comes_back(&a, v);
    }
    if (!conf_map(&c, "k", &v, &err))
        must(v.type == JV_OBJ);
    if (!conf_map_list(&c, "k", &v, &err))
        must(v.type == JV_ARR);
    return 0;
}
