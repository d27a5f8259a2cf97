/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands share. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>

#include "flinkop/jv.h"
#include "flinkop/option.h"

struct arena;
struct error;

/* Exit codes: what a script can tell apart. */
enum { EXIT_OK = 0, EXIT_INVALID = 1, EXIT_USAGE = 2, EXIT_INTERNAL = 3 };

struct command {
    const char *name, *args, *help;
    int (*run)(int argc, char **argv);
    const struct option_spec *options;
    size_t n_options;
};

extern const struct command command_run, command_render, command_validate, command_version;

/** Parses argv with the command's table; prints errors and --help. Returns -1 to go on, else the
 * exit code. */
int cli_options(const struct command *c, int argc, char **argv, void *ret, const char **args,
                int *ret_nargs);
/** "flink-operator: text" on stderr. */
void cli_error(const char *fmt, ...) PRINTF(1, 2);

/* One document of a manifest. */
struct manifest {
    jv object;
    const char *file;
    int line;
};
/** Reads all documents of the files ("-": standard input); Lists are taken apart. */
int cli_manifests(struct arena *a, const char *const *files, int n_files, struct manifest **ret,
                  size_t *ret_n, struct error *err);

#endif
