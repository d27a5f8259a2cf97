/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says how the rest is cut into pieces; all cuts give the same items and verdict. */
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "kube/kube_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool collect(void *arg, const char *text, size_t len)
{
    BUG_ON(!len || *text != '{');
    strbuf_add(arg, text, len);
    strbuf_addc(arg, 0);
    return true;
}

/* Pieces are copied to the byte, so that ASan sees a read behind one. */
static void split(const char *data, size_t size, size_t piece, struct strbuf *out)
{
    cleanup_arena struct arena a = {0};
    struct list_split s;
    struct error err = {0};
    jv rest;
    int rc = 0;

    list_split_init(&s, 4096);
    for (size_t i = 0; i < size && !rc;) {
        size_t n = MIN(piece, size - i);
        char *copy = xmalloc(n);

        memcpy(copy, data + i, n);
        rc = list_split_feed(&s, copy, n, collect, out, &err);
        free(copy);
        i += n;
    }
    if (!rc)
        rc = list_split_end(&s, &a, &rest, &err);
    list_split_release(&s);
    strbuf_adds(out, rc ? err.text : json_text(&a, rest));
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
