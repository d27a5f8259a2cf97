/* SPDX-License-Identifier: Apache-2.0 */
/* An administrator's label selector (the first line), and the labels of a resource (a line
 * "key=value" each), which anybody may have written. Of those only what the selector looks at
 * counts. */
#include <stdint.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/label_selector.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *cut(char *text, char at)
{
    char *end = strchr(text, at);

    if (!end)
        return text + strlen(text);
    *end = '\0';
    return end + 1;
}

static jv read_labels(struct arena *a, char *lines)
{
    jv labels = ABSENT;

    for (size_t n = 0; *lines && n < 100; n++) {
        char *line = lines, *value;

        lines = cut(line, '\n');
        value = cut(line, '=');
        labels = jv_set(a, labels, line, STR(value));
    }
    return labels;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    char *text = arena_strndup(&a, (const char *)data, size), *lines = cut(text, '\n');
    jv labels = read_labels(&a, lines), seen;
    const struct label_selector *s, *spaced;
    struct error err = {0};
    bool matches;

    if (label_selector_parse(&a, text, &s, &err)) {
        must(!s && err.code == ERR_INVALID && *err.text);
        must_be_text(err.text);
        return 0;
    }
    matches = label_selector_matches(s, labels);
    must(s || (matches && !text[strspn(text, " \t\r\n")]));
    seen = label_selector_seen(&a, s, labels);
    must(jv_len(seen) <= jv_len(labels));
    must(label_selector_matches(s, seen) == matches);
    if (strlen(text) > 4000) /* near its limit */
        return 0;
    /* Blanks around it mean nothing, and a requirement more leaves out no less. */
    must(!label_selector_parse(&a, arena_printf(&a, " %s\t", text), &spaced, &err));
    must(label_selector_matches(spaced, labels) == matches);
    if (!s)
        return 0;
    must(!label_selector_parse(&a, arena_printf(&a, "%s,!one-more", text), &spaced, &err));
    must(label_selector_matches(spaced, labels) ==
         (matches && !jv_present(jv_get(labels, "one-more"))));
    must(!label_selector_parse(&a, arena_printf(&a, "%s , one-more in (a,)", text), &spaced, &err));
    must(matches || !label_selector_matches(spaced, labels));
    return 0;
}
