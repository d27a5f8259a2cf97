/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is parsed or refused; what was parsed comes back the same when it is written and read.
 */
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf first = STRBUF_INIT((size_t)64 << 20);
    cleanup_strbuf struct strbuf second = STRBUF_INIT((size_t)64 << 20);
    cleanup_strbuf struct strbuf third = STRBUF_INIT((size_t)64 << 20);
    struct error err = {0};
    jv v, again;

    if (json_parse(&a, (const char *)data, size, &v, &err)) {
        BUG_ON(err.code != ERR_PARSE && err.code != ERR_TOO_LARGE);
        return 0;
    }
    json_write(&first, v);
    BUG_ON(json_parse(&a, first.buf, first.len, &again, &err));
    json_write(&second, again); /* bytes that are no UTF-8 were replaced the first time */
    BUG_ON(json_parse(&a, second.buf, second.len, &again, &err));
    json_write(&third, again);
    BUG_ON(strcmp(second.buf, third.buf) != 0);
    (void)jv_equal(v, jv_dup(&a, v)); /* not itself when a key stands twice */
    return 0;
}
