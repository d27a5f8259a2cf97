/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "flinkop/option.h"
#include "flinkop/str.h"
#include "unit.h"

struct opts {
    bool verbose;
    const char *file;
    int port;
    int64_t wait;
    int color;
};

static const char *const colors[] = {"red", "green", NULL};
static const struct option_spec table[] = {
    {"verbose", "T_VERBOSE", NULL, OPT_BOOL, offsetof(struct opts, verbose), .help = "Say more"},
    {"file", "T_FILE", "PATH", OPT_STRING, offsetof(struct opts, file), .help = "Input",
     .letter = 'f'},
    {"port", NULL, "N", OPT_INT, offsetof(struct opts, port), "80", 1, 65535, .help = "Port"},
    {"wait", NULL, "DURATION", OPT_DURATION, offsetof(struct opts, wait), "30 s", .help = "Wait"},
    {"word", NULL, "WORD", OPT_WORD, .help = "One more word", .letter = 'w'},
    {"color", NULL, NULL, OPT_CHOICE, offsetof(struct opts, color), "red", .choices = colors,
     .help = "Color"},
};

static int parse(struct opts *o, int *n, struct error *err, int argc, const char **argv)
{
    static const char *args[16];

    *o = (struct opts){0};
    return options_parse(table, ARRAY_SIZE(table), argc, (char **)(void *)argv, o, args, n, err);
}
#define PARSE(...)                                                                     \
    parse(&o, &n, &err, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
          (const char *[]){__VA_ARGS__})

START_TEST(flags_beat_the_environment_beats_defaults)
{
    struct error err = {0};
    struct opts o;
    int n;

    setenv("T_FILE", "from-env", 1);
    ck_assert_int_eq(PARSE("--verbose", "x", "--port=8080", "--color", "green"), 0);
    ck_assert(o.verbose && o.port == 8080 && o.wait == 30000 && o.color == 1 && n == 1);
    ck_assert_str_eq(o.file, "from-env");
    ck_assert_int_eq(PARSE("--file", "flag", "--verbose=false", "--", "--port"), 0);
    ck_assert_str_eq(o.file, "flag");
    ck_assert(!o.verbose && o.port == 80 && n == 1);
    ck_assert_int_eq(PARSE("-f", "short", "-"), 0);
    ck_assert_str_eq(o.file, "short");
    ck_assert_int_eq(n, 1);
    unsetenv("T_FILE");
}
END_TEST

START_TEST(an_option_that_is_a_word_may_be_there_several_times)
{
    struct error err = {0};
    struct opts o;
    int n;

    ck_assert_int_eq(PARSE("-w", "a", "b", "--word", "c", "--word=d"), 0);
    ck_assert_int_eq(n, 4);
    ck_assert_int_eq(PARSE("-w"), -1);
}
END_TEST

START_TEST(bad_options_say_what_would_be_right)
{
    struct error err = {0};
    struct opts o;
    int n;

    ck_assert_int_eq(PARSE("--prot", "1"), -1);
    assert_error(&err, ERR_INVALID, "unknown option --prot");
    ck_assert_int_eq(PARSE("-x"), -1);
    assert_error(&err, ERR_INVALID, "unknown option -x");
    ck_assert_int_eq(PARSE("--port", "x"), -1);
    assert_error(&err, ERR_INVALID, "--port: \"x\" is not a whole number");
    ck_assert_int_eq(PARSE("--port", "70000"), -1);
    assert_error(&err, ERR_INVALID, "out of range (1 to 65535)");
    ck_assert_int_eq(PARSE("--wait", "soon"), -1);
    assert_error(&err, ERR_INVALID, "--wait: \"soon\" is not a duration");
    ck_assert_int_eq(PARSE("--color", "blue"), -1);
    assert_error(&err, ERR_INVALID, "\"blue\" is not one of red, green");
    ck_assert_int_eq(PARSE("--file"), -1);
    assert_error(&err, ERR_INVALID, "--file needs a value (PATH)");
    setenv("T_VERBOSE", "perhaps", 1);
    ck_assert_int_eq(PARSE("x"), -1);
    assert_error(&err, ERR_INVALID, "T_VERBOSE: \"perhaps\" is neither true nor false");
    unsetenv("T_VERBOSE");
}
END_TEST

START_TEST(help_says_how_to_turn_off_what_is_on)
{
    static const struct option_spec on[] = {
        {"quiet", NULL, NULL, OPT_BOOL, .deflt = "true", .help = "Say less"},
        {"verbose", NULL, NULL, OPT_BOOL, .help = "Say more"},
    };
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    options_help(out, on, ARRAY_SIZE(on));
    fclose(out);
    ck_assert_str_eq(text, "  --quiet\n        Say less (default true; --quiet=false)\n"
                           "  --verbose\n        Say more\n");
    free(text);
}
END_TEST

void suite_option(TCase *tc)
{
    T(flags_beat_the_environment_beats_defaults);
    T(an_option_that_is_a_word_may_be_there_several_times);
    T(bad_options_say_what_would_be_right);
    T(help_says_how_to_turn_off_what_is_on);
}
