/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, quantities, durations, lists and maps: the small texts that users type. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/flink_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
    if (!cond)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    const char *text = arena_strndup(&a, (const char *)data, size);
    struct conf c = CONF_INIT(&a);
    struct error err = {0};
    int64_t flink = -1, api = -1, ms = -1;
    char mi[24];
    double d = -1;
    jv v;

    if (!memory_size_parse_flink(text, &flink, &err))
        must(flink >= 0 && !memory_size_parse(text, &api, &err) && api == flink);
    else
        must(err.code == ERR_INVALID && *err.text);
    if (!memory_size_parse(text, &api, &err)) {
        must(api >= 0);
        memory_size_to_mi(api, mi);
    }
    if (!quantity_parse(text, &d, &err))
        must(d >= 0 && isfinite(d));
    if (!duration_parse(text, &ms, &err))
        must(ms >= 0);
    conf_set(&c, "k", text);
    if (!conf_list(&c, "k", &v, &err))
        must(v.type == JV_ARR);
    if (!conf_map(&c, "k", &v, &err))
        must(v.type == JV_OBJ);
    if (!conf_map_list(&c, "k", &v, &err))
        must(v.type == JV_ARR);
    return 0;
}
