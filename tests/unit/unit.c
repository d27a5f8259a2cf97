/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/file.h"
#include "flinkop/kube_config.h"
#include "flinkop/log.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
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

void scratch_make(char dir[SCRATCH_ROOM])
{
    snprintf(dir, SCRATCH_ROOM, "/tmp/flinkop-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

char *file_text(const char *path)
{
    struct error err = {0};
    char *text = file_read(path, 1 << 20, NULL, &err);

    ck_assert_msg(text != NULL, "%s: %s", path, err.text);
    return text;
}

void scratch_write(const char *dir, const char *name, const char *text)
{
    cleanup_free char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

void scratch_remove(const char *dir)
{
    cleanup_free char *rm = xasprintf("rm -rf %s", dir);

    ck_assert_int_eq(system(rm), 0);
}

struct kube_config *load_kubeconfig(struct loop *loop, const char *dir, const char *text)
{
    cleanup_free char *path = xasprintf("%s/config", dir);
    struct error err = {0};

    scratch_write(dir, "config", text);
    struct kube_config *config =
        kube_config_load(loop, &(struct kube_config_options){.kubeconfig = path}, &err);

    if (!config)
        ck_abort_msg("%s", err.text);
    return config;
}

char *open_kubeconfig(const char *url)
{
    return xasprintf("current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n"
                     "clusters: [{name: k, cluster: {server: '%s'}}]\n",
                     url);
}

int main(int argc, char **argv)
{
    SRunner *runner = NULL;

    if (argc > 1 && str_eq(argv[1], "--list")) {
#define PRINT_SUITE(name) puts(#name);
        SUITES(PRINT_SUITE)
        return EXIT_SUCCESS;
    }
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
