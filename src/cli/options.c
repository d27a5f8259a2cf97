/* SPDX-License-Identifier: Apache-2.0 */
/* flink-operator options: what becomes of each option of the operator's configuration. */
#include <stddef.h>
#include <stdio.h>

#include "cli.h"
#include "flinkop/arena.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/strbuf.h"

#define TEXT_MAX ((size_t)256 << 10)

struct options {
    bool markdown;
};

static const struct option_spec table[] = {
    {"markdown", NULL, NULL, OPT_BOOL, offsetof(struct options, markdown),
     .help = "As a table in Markdown, as deploy/README.md has it"},
};

static int run(int argc, char **argv)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(TEXT_MAX);
    cleanup_arena struct arena a = {0};
    struct options o = {0};
    const char **args = arena_new_array(&a, const char *, (size_t)argc + 1);
    int n_args = 0, rc = cli_options(&command_options, argc, argv, &o, args, &n_args);

    if (rc >= 0)
        return rc;
    if (n_args) {
        cli_error("options takes no arguments, found \"%s\"", args[0]);
        return EXIT_USAGE;
    }
    flink_options_write(&sb, o.markdown);
    fwrite(sb.buf, 1, sb.len, stdout);
    return EXIT_OK;
}

const struct command command_options = {
    .name = "options",
    .args = "",
    .help =
        "What becomes of each option of the Apache operator, and those of this one only: key, default, "
        "where it is set, whether it is honoured, and what there is to know (separated by tabs).",
    .run = run,
    .options = table,
    .n_options = ARRAY_SIZE(table),
};
