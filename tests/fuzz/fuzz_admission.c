/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is posted to the webhook: an answer with the uid that was asked with, or an error; no
 * more than the input had can come back. */
#include <stdint.h>

#include "flinkop/admission.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/strbuf.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf answer = STRBUF_INIT((size_t)16 << 20);
    static const char *const ours[] = {"team", "default", NULL};
    const struct admission_rules rules = {.namespaces = size % 2 ? ours : NULL};
    struct admission_verdict verdict = {0};
    struct error err = {0};
    jv asked, review;

    if (admission_answer(&a, (const char *)data, size, &rules, &answer, &verdict, &err)) {
        must(err.code && *err.text && !answer.len);
        must_be_text(err.text);
        return 0;
    }
    must(!err.code && !answer.overflow);
    must(!json_parse(&a, answer.buf, answer.len, &review, &err));
    jv response = jv_get(review, "response");

    if (!json_parse(&a, (const char *)data, size, &asked, &err))
        must(str_eq(JV_STRING(asked, "request", "uid"), JV_STRING(response, "uid")));
    must(jv_get(response, "allowed").type == JV_BOOL);
    must(jv_bool_or(jv_get(response, "allowed"), false) == verdict.allowed);
    must(verdict.allowed == !verdict.message && verdict.kind);
    if (verdict.message) {
        must_be_text(verdict.message);
        must(str_eq(JV_STRING(response, "status", "message"), verdict.message));
    }
    jv_foreach (warning, jv_get(response, "warnings"))
        must_be_text(jv_string(*warning));
    return 0;
}
