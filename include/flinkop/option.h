/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table per command describes its options; parsing, the environment and --help all come from
 * it. A flag beats its environment variable, which beats the default.
 */
#ifndef FLINKOP_OPTION_H
#define FLINKOP_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flinkop/macros.h"

struct error;

enum option_type {
    OPT_BOOL,     /* bool *; --name, --name=true|false */
    OPT_STRING,   /* const char **; borrowed from argv or the environment */
    OPT_INT,      /* int *; within [min, max] */
    OPT_DURATION, /* int64_t * in milliseconds; within [min, max] */
    OPT_CHOICE,   /* int *; index into choices */
    OPT_WORD,     /* nothing: the value joins the words that are not options, each time */
};

struct option_spec {
    const char *name;    /* without the dashes */
    const char *env;     /* NULL: no variable */
    const char *metavar; /* what --help calls the value; NULL for OPT_BOOL */
    enum option_type type;
    size_t offset;              /* of the field in the options struct */
    const char *deflt;          /* as text; NULL leaves the field as it is (zeroed by the caller) */
    int64_t min, max;           /* OPT_INT, OPT_DURATION; both 0 = no bounds but >= 0 */
    const char *const *choices; /* OPT_CHOICE, NULL-terminated */
    const char *help;
    char letter; /* short form, "-f"; 0: none */
};

/**
 * Fills the options struct `ret` from defaults, environment and argv[0..argc). Words that are not
 * options go to args (room for argc), their number to ret_nargs; "--" ends the options.
 * Errors name the flag or variable, what was found and what would be right (ERR_INVALID).
 */
int options_parse(const struct option_spec *table, size_t n, int argc, char **argv, void *ret,
                  const char **args, int *ret_nargs, struct error *err) MUST_CHECK;

/** Prints one entry per option with its variable and default. */
void options_help(FILE *out, const struct option_spec *table, size_t n);

#endif
