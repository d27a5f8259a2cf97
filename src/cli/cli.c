/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "flinkop/error.h"

void cli_error(const char *fmt, ...)
{
    va_list ap;

    fputs("flink-operator: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static void help_command(FILE *out, const struct command *c)
{
    fprintf(out, "usage: flink-operator %s%s%s\n\n%s\n", c->name, c->n_options ? " [options]" : "",
            c->args, c->help);
    if (c->n_options)
        fputs("\nOptions (a flag beats its variable):\n", out);
    options_help(out, c->options, c->n_options);
}

int cli_options(const struct command *c, int argc, char **argv, void *ret, const char **args,
                int *ret_nargs)
{
    struct error err;

    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            help_command(stdout, c);
            return EXIT_OK;
        }
    if (options_parse(c->options, c->n_options, argc, argv, ret, args, ret_nargs, &err)) {
        cli_error("%s", err.text);
        return EXIT_USAGE;
    }
    return -1;
}
