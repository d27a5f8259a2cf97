/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/log.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"

static char *double_quotes(const char *text)
{
    char *copy = xstrdup(text);

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    return copy;
}

jv json(struct arena *a, const char *text)
{
    cleanup_free char *quoted = double_quotes(text);
    struct error err = {0};
    jv v;

    if (json_parse(a, quoted, strlen(quoted), &v, &err))
        ck_abort_msg("%s in %s", err.text, quoted);
    return v;
}

void assert_json(jv v, const char *expected)
{
    cleanup_free char *quoted = double_quotes(expected);
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);

    json_write(&sb, v);
    ck_assert_str_eq(sb.buf, quoted);
}

void assert_error(const struct error *err, enum errc code, const char *words)
{
    if (err->code != code || !strstr(err->text, words))
        ck_abort_msg("expected %s with \"%s\", got %s: %s", errc_name(code), words,
                     errc_name(err->code), err->text);
}

int main(void)
{
    SRunner *runner = NULL;

    log_setup(LOG_ERROR, LOG_TEXT);
#define ADD_SUITE(name)                   \
    {                                     \
        Suite *s = suite_create(#name);   \
        TCase *tc = tcase_create(#name);  \
        tcase_set_timeout(tc, 120);       \
        suite_##name(tc);                 \
        suite_add_tcase(s, tc);           \
        if (runner)                       \
            srunner_add_suite(runner, s); \
        else                              \
            runner = srunner_create(s);   \
    }
    SUITES(ADD_SUITE)
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);

    srunner_free(runner);
    printf("%d passed, %d failed\n", run - failed, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
