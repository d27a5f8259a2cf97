/* SPDX-License-Identifier: Apache-2.0 */
/* What json_parse takes, json_tame leaves as it is; and whatever it is given, it ends. */
#include <stdint.h>

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/kube_resource.h"
#include "flinkop/strbuf.h"
#include "kube/kube_split.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int depth_of(jv v)
{
    int most = 0;

    jv_foreach_kv (kv, v) {
        int one = depth_of(kv->value);

        most = MAX(most, one);
    }
    jv_foreach (item, v) {
        int one = depth_of(*item);

        most = MAX(most, one);
    }
    return most + (v.type == JV_OBJ || v.type == JV_ARR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf tame = STRBUF_INIT(size * 6 + 1);
    const char *text = (const char *)data;
    const char *lost = json_tame(&a, text, size, 1, NULL, "spec", &tame);
    jv plain, tamed, object;
    bool parses = !json_parse(&a, text, size, &plain, NULL);
    bool tames = !json_parse(&a, tame.buf, tame.len, &tamed, NULL);

    must(!tame.overflow && (tames || !parses));
    if (lost) {
        must(str_has_prefix(lost, "spec") && strstr(lost, ": "));
        must_be_text(lost);
    }
    if (parses && depth_of(plain) <= JSON_TAME_DEPTH)
        must(!lost && !strcmp(json_text(&a, plain), json_text(&a, tamed)));
    if (tames)
        must(depth_of(tamed) <= JSON_TAME_DEPTH);
    if (!kube_object_parse(&a, text, size, &object, NULL))
        must(parses || tames);
    return 0;
}
