/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands share. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>

#include "flinkop/jv.h"
#include "flinkop/option.h"

struct arena;
struct operator_config;

/* Exit codes: what a script can tell apart. */
enum { EXIT_OK = 0, EXIT_INVALID = 1, EXIT_USAGE = 2, EXIT_INTERNAL = 3 };

struct command {
    const char *name, *args, *help;
    int (*run)(int argc, char **argv);
    const struct option_spec *options;
    size_t n_options;
};

extern const struct command command_run, command_migrate, command_render, command_validate,
    command_options, command_version;

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

/* What commands that work on files without a cluster begin with. */
struct cli_input {
    struct operator_config *config; /* held */
    struct manifest *list;
    size_t n;
};
/** Reads options into `options` (of which `conf_dir` is a member), the operator's
 * configuration and all documents of the files ("-": standard input; Lists are taken apart) into
 * the arena. Prints errors. Returns -1 to go on, else the exit code, and ret holds nothing. */
int cli_read(const struct command *c, int argc, char **argv, void *options, const char **conf_dir,
             struct arena *a, struct cli_input *ret);

struct problems;
/** Whether a document is for us: a kind of our group that is misspelled is, too, and that is a
 * problem then. */
bool cli_is_ours(struct problems *p, jv object);
/** Whether its spec holds what cannot be read, such as a NUL character; then that is the problem.
 */
bool cli_unreadable(struct problems *p, const struct manifest *m);

#endif
