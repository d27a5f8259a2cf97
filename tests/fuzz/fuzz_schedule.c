/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and cron expressions: refused with what would be right, or a next time that is later,
 * soon found, and the same however often it is asked for. */
#include <stdint.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/schedule.h"
#include "must.h"

#define NOW INT64_C(1800000000000)
#define STEPS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    const char *text = arena_strndup(&a, (const char *)data, size);
    struct error err = {0};
    struct schedule s, again;

    if (schedule_parse(text, &s, &err)) {
        must(err.code && *err.text);
        must_be_text(str_clean(&a, err.text, 500)); /* as who tells it does */
        return 0;
    }
    must(!err.code && !schedule_parse(text, &again, NULL) && s.interval_ms >= 0);
    for (int64_t at = NOW, i = 0; i < STEPS; i++) {
        int64_t next = schedule_next(&s, at);

        must(next == schedule_next(&again, at));
        if (next < 0)
            break;
        must(next > at && (s.interval_ms || next % 1000 == 0));
        must(s.interval_ms || schedule_next(&s, next - 1) == next);
        at = next;
    }
    return 0;
}
