/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/option.h"

#include <stdlib.h>
#include <string.h>

#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/str.h"

static int check_range(const struct option_spec *o, const char *source, const char *text,
                       int64_t value, struct error *err)
{
    int64_t max = o->min || o->max ? o->max : INT64_MAX;

    if (value >= o->min && value <= max)
        return 0;
    return error_set(err, ERR_INVALID, "%s: %s is out of range (%lld to %lld)", source, text,
                     (long long)o->min, (long long)max);
}

static int set_choice(const struct option_spec *o, const char *source, const char *text, int *ret,
                      struct error *err)
{
    char all[256] = "";

    for (int i = 0; o->choices[i]; i++) {
        size_t used = strlen(all);

        if (!strcmp(o->choices[i], text)) {
            *ret = i;
            return 0;
        }
        snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", o->choices[i]);
    }
    return error_set(err, ERR_INVALID, "%s: \"%s\" is not one of %s", source, text, all);
}

static int set_value(const struct option_spec *o, const char *source, const char *text, void *ret,
                     struct error *err)
{
    void *field = (char *)ret + o->offset;

    switch (o->type) {
    case OPT_BOOL:
        if (!str_to_bool(text, field))
            return error_set(err, ERR_INVALID, "%s: \"%s\" is neither true nor false", source,
                             text);
        return 0;
    case OPT_STRING:
        *(const char **)field = text;
        return 0;
    case OPT_INT:
        if (!str_to_int(text, field))
            return error_set(err, ERR_INVALID, "%s: \"%s\" is not a whole number", source, text);
        return check_range(o, source, text, *(int *)field, err);
    case OPT_DURATION:
        if (duration_parse(text, field, err))
            return error_wrap(err, "%s", source);
        return check_range(o, source, text, *(int64_t *)field, err);
    case OPT_CHOICE:
        return set_choice(o, source, text, field, err);
    case OPT_WORD:
        break; /* options_parse knows the words */
    }
    return 0;
}

static int from_defaults(const struct option_spec *table, size_t n, void *ret, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *env = table[i].env ? getenv(table[i].env) : NULL;

        if (table[i].deflt && set_value(&table[i], table[i].name, table[i].deflt, ret, err))
            return -1;
        if (!str_empty(env) && set_value(&table[i], table[i].env, env, ret, err))
            return -1;
    }
    return 0;
}

/* The option that a word names, "--name" or "-n". */
static const struct option_spec *find(const struct option_spec *table, size_t n, const char *word,
                                      size_t len)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = table[i].name;

        if (word[1] != '-' ? len == 2 && word[1] == table[i].letter
                           : strlen(name) == len - 2 && !strncmp(name, word + 2, len - 2))
            return &table[i];
    }
    return NULL;
}

int options_parse(const struct option_spec *table, size_t n, int argc, char **argv, void *ret,
                  const char **args, int *ret_nargs, struct error *err)
{
    int nargs = 0;

    if (from_defaults(table, n, ret, err))
        return -1;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *value = NULL;
        const struct option_spec *o = NULL;
        char source[80];

        if (!strcmp(word, "--")) {
            while (++i < argc)
                args[nargs++] = argv[i];
            break;
        }
        if (word[0] != '-' || !word[1]) { /* "-" alone is standard input */
            args[nargs++] = word;
            continue;
        }
        const char *equals = strchr(word, '=');

        o = find(table, n, word, equals ? (size_t)(equals - word) : strlen(word));
        if (!o)
            return error_set(err, ERR_INVALID, "unknown option %s; see --help", word);
        snprintf(source, sizeof(source), "--%s", o->name);
        if (equals)
            value = equals + 1;
        else if (o->type == OPT_BOOL)
            value = "true";
        else if (++i < argc)
            value = argv[i];
        else
            return error_set(err, ERR_INVALID, "%s needs a value (%s)", source, o->metavar);
        if (o->type == OPT_WORD)
            args[nargs++] = value;
        else if (set_value(o, source, value, ret, err))
            return -1;
    }
    *ret_nargs = nargs;
    return 0;
}

void options_help(FILE *out, const struct option_spec *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct option_spec *o = &table[i];

        fputs("  ", out);
        if (o->letter)
            fprintf(out, "-%c, ", o->letter);
        fprintf(out, "--%s", o->name);
        if (o->type == OPT_CHOICE) {
            for (int c = 0; o->choices[c]; c++)
                fprintf(out, "%s%s", c ? "|" : " ", o->choices[c]);
        } else if (o->metavar) {
            fprintf(out, " %s", o->metavar);
        }
        fprintf(out, "\n        %s", o->help);
        if (!str_empty(o->deflt) && o->type != OPT_BOOL)
            fprintf(out, " (default %s)", o->deflt);
        if (str_eq(o->deflt, "true") && o->type == OPT_BOOL)
            fprintf(out, " (default true; --%s=false)", o->name);
        if (o->env)
            fprintf(out, " [$%s]", o->env);
        fputc('\n', out);
    }
}
