/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's own configuration, a label selector and the patterns for labels of errors, from
 * any bytes: the text up to the first NUL is the file, the next one a selector, the next one a
 * pattern.
 */
#include <stdint.h>
#include <string.h>

#include "cluster/status.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/json.h"
#include "flinkop/label_selector.h"
#include "flinkop/operator_config.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The part up to the next NUL. */
static const char *part(struct arena *a, const uint8_t **data, size_t *size)
{
    size_t n = strnlen((const char *)*data, *size);
    const char *text = arena_strndup(a, (const char *)*data, n);

    n += n < *size;
    *data += n;
    *size -= n;
    return text;
}

static void check_config(const char *text)
{
    struct error err = {0};
    struct operator_config *c =
        operator_config_read("flink-conf.yaml", text, strlen(text), NULL, &err);

    if (!c) {
        must(err.code && *err.text);
        return;
    }
    must(c->lease.duration >= c->lease.deadline + 5000 && c->flink_timeout_ms >= 100);
    must((c->selector == NULL) == (c->selector_text == NULL));
    must(operator_config_same_namespaces(c, c) && !operator_config_needs_restart(c, c, 0));
    for (size_t i = 0; c->remarks[i]; i++)
        must_be_text(c->remarks[i]);
    operator_config_let_go(c);
}

static void check_selector(struct arena *a, const char *text)
{
    jv labels = OBJ({"a", STR("b")}, {"team", STR("red")}, {"x.y/z", STR("")});
    const struct label_selector *s;
    struct error err = {0};

    if (label_selector_parse(a, text, &s, &err)) {
        must_be_text(err.text);
        return;
    }
    must(label_selector_matches(s, labels) ==
         label_selector_matches(s, label_selector_seen(a, s, labels)));
}

static void check_pattern(struct arena *a, const char *pattern)
{
    struct conf c = CONF_INIT(a);
    jv error = OBJ({"type", STR("T")}, {"message", STR("a job timed out: code 42 {x}")}), v;
    struct error err;

    (void)error_pattern_valid(pattern);
    conf_setf(&c, arena_printf(a, ERROR_LABELS_KEY ".%s", pattern), "label");
    const char *text = error_form(a, &c, json_text(a, error));

    must(!json_parse(a, text, strlen(text), &v, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};

    check_config(part(&a, &data, &size));
    check_selector(&a, part(&a, &data, &size));
    check_pattern(&a, part(&a, &data, &size));
    return 0;
}
