/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli.h"
#include "flinkop/arena.h"
#include "flinkop/flink_version.h"

static int run(int argc, char **argv)
{
    cleanup_arena struct arena a = {0};
    const char **args = arena_new_array(&a, const char *, (size_t)argc + 1);
    int n = 0;
    int rc = argc ? cli_options(&command_version, argc, argv, NULL, args, &n) : -1;

    if (rc >= 0)
        return rc;
    if (n) {
        cli_error("version takes no arguments, found \"%s\"", args[0]);
        return EXIT_USAGE;
    }
    printf("flink-operator %s\nFlink %s\n", FLINKOP_VERSION, flink_versions_supported());
    return EXIT_OK;
}

const struct command command_version = {
    .name = "version",
    .args = "",
    .help = "Print the version and the Flink versions it knows.",
    .run = run};
