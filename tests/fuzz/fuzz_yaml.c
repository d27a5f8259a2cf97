/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is parsed or refused; what was parsed is written as YAML that means the same. */
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"
#include "flinkop/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    struct yaml_doc *docs;
    size_t n;

    if (yaml_parse_all(&a, (const char *)data, size, &docs, &n, &err)) {
        BUG_ON(err.code != ERR_PARSE);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        cleanup_strbuf struct strbuf text = STRBUF_INIT((size_t)256 << 20);
        cleanup_strbuf struct strbuf before = STRBUF_INIT((size_t)256 << 20);
        cleanup_strbuf struct strbuf after = STRBUF_INIT((size_t)256 << 20);
        jv again = ABSENT;

        json_write(&before, docs[i].value);
        if (before.len > 100000) /* aliases make much of little */
            continue;
        yaml_write(&text, docs[i].value);
        if (yaml_parse(&a, text.buf, text.len, &again, &err))
            BUG("%s in:\n%s", err.text, text.buf);
        json_write(&after, again);
        if (strcmp(before.buf, after.buf) != 0)
            BUG("%s became %s through\n%s", before.buf, after.buf, text.buf);
    }
    return 0;
}
