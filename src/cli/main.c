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
