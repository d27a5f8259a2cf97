/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct command *const commands[] = {&command_run,     &command_migrate,
                                                 &command_render,  &command_validate,
                                                 &command_options, &command_version};

static void help(FILE *out)
{
    fputs("flink-operator: a Kubernetes operator for Apache Flink\n\nusage: flink-operator COMMAND "
          "[options]\n\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->help);
    fputs("\nflink-operator COMMAND --help tells more.\n", out);
}

static int run(const char *name, int argc, char **argv)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i]->run(argc, argv);
    cli_error("unknown command \"%s\"; see flink-operator --help", name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static char help_flag[] = "--help";

    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "help") && argc > 2)
        return run(argv[2], 1, (char *[]){help_flag});
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(stdout);
        return EXIT_OK;
    }
    return run(!strcmp(argv[1], "--version") ? "version" : argv[1], argc - 2, argv + 2);
}
