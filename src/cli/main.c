/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "flinkop/error.h"

static const struct command *const commands[] = {&command_run, &command_render, &command_validate,
                                                 &command_version};

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

static void help(FILE *out)
{
    fputs("flink-operator: a Kubernetes operator for Apache Flink\n\nusage: flink-operator COMMAND "
          "[options]\n\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->help);
    fputs("\nflink-operator COMMAND --help tells more.\n", out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(stdout);
        return EXIT_OK;
    }
    const char *name = !strcmp(argv[1], "--version") ? "version" : argv[1];

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i]->run(argc - 2, argv + 2);
    cli_error("unknown command \"%s\"; see flink-operator --help", argv[1]);
    return EXIT_USAGE;
}
