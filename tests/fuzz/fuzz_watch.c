/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says how the rest is cut; all cuts give the same lines, and each line is an event
 * with what the watch relies on, or refused. */
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "kube/kube_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_line(void *arg, const char *text, size_t len)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    struct watch_event e;

    BUG_ON(!len || memchr(text, '\n', len));
    strbuf_add(arg, text, len);
    strbuf_addc(arg, '\n');
    if (watch_event_parse(&a, text, len, &e, &err)) {
        BUG_ON(err.code != ERR_PARSE && err.code != ERR_TOO_LARGE);
        return true;
    }
    BUG_ON(e.object.type != JV_OBJ);
    BUG_ON(e.type != WATCH_ERROR && str_empty(e.resource_version));
    BUG_ON(e.type < WATCH_BOOKMARK && str_empty(JV_STRING(e.object, "metadata", "name")));
    return true;
}

static void split(const char *data, size_t size, size_t piece, struct strbuf *out)
{
    struct line_split s;
    struct error err = {0};
    int rc = 0;

    line_split_init(&s, 2048);
    for (size_t i = 0; i < size && !rc;) {
        size_t n = MIN(piece, size - i);
        char *copy = xmalloc(n);

        memcpy(copy, data + i, n);
        rc = line_split_feed(&s, copy, n, on_line, out, &err);
        free(copy);
        i += n;
    }
    line_split_release(&s);
    strbuf_adds(out, rc ? err.text : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_strbuf struct strbuf whole = STRBUF_INIT((size_t)64 << 20);
    cleanup_strbuf struct strbuf cut = STRBUF_INIT((size_t)64 << 20);

    if (size < 2)
        return 0;
    split((const char *)data + 1, size - 1, size, &whole);
    split((const char *)data + 1, size - 1, 1 + data[0], &cut);
    BUG_ON(whole.len != cut.len || memcmp(whole.buf, cut.buf, whole.len) != 0);
    return 0;
}
