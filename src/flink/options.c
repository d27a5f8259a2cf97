/* SPDX-License-Identifier: Apache-2.0 */
/* Options found in their table (options_table.c), read and checked. */
#include <stdlib.h>
#include <string.h>

#include "conf_internal.h"
#include "flinkop/address.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

static int by_key(const void *key, const void *option)
{
    return strcmp(key, ((const struct flink_option *)option)->key);
}

const struct flink_option *flink_option_find(const char *key)
{
    size_t n;
    const struct flink_option *options = flink_options(&n);

    return bsearch(key, options, n, sizeof(*options), by_key);
}

/* "<…>" in a pattern stands for any text that is not empty. */
static bool fits(const char *pattern, const char *name)
{
    size_t literal = strcspn(pattern, "<");

    if (strncmp(pattern, name, literal) != 0)
        return false;
    if (!pattern[literal])
        return !name[literal];
    const char *rest = strchr(pattern + literal, '>') + 1;

    for (name += literal; *name; name++)
        if (fits(rest, name + 1))
            return true;
    return false;
}

static bool is_named(const struct flink_option *o, const char *name)
{
    char room[CONF_NAME_ROOM];
    const char *each;

    for (size_t i = 0; (each = conf_name(o->key, i, room)); i++) {
        const char *member = o->type == FLINK_OPTION_MAP ? str_skip_prefix(name, each) : NULL;

        if (fits(each, name) || (member && member[0] == '.' && member[1]))
            return true;
    }
    return false;
}

const struct flink_option *flink_option_named(const char *name)
{
    const struct flink_option *found = flink_option_find(name);
    size_t n;
    const struct flink_option *options = flink_options(&n);

    for (size_t k = 0; !found && k < n; k++)
        if (is_named(&options[k], name))
            found = &options[k];
    return found;
}

const char *flink_option_older_name(const struct flink_option *o, size_t i,
                                    char room[FLINK_OPTION_ROOM])
{
    return conf_name(o->key, i + 1, room);
}

bool flink_option_is_ours(const char *name)
{
    static const char *const prefixes[] = {"kubernetes.operator.", "job.autoscaler.",
                                           "autoscaler.standalone."};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (str_has_prefix(name, prefixes[i]))
            return true;
    return false;
}

static const char *default_of(const char *key, enum flink_option_type type)
{
    const struct flink_option *o = flink_option_find(key);

    if (!o || o->type != type)
        BUG("%s is no option of this type", key);
    return o->deflt;
}

int flink_option_bool(const struct conf *c, const char *key, bool *ret, struct error *err)
{
    const char *deflt = default_of(key, FLINK_OPTION_BOOL);

    return conf_bool(c, key, str_eq(deflt, "true"), ret, err);
}

int flink_option_int(const struct conf *c, const char *key, int64_t *ret, struct error *err)
{
    const char *deflt = default_of(key, FLINK_OPTION_INT);
    int64_t fallback = -1;

    if (deflt && !str_to_int64(deflt, &fallback))
        BUG("%s", key);
    return conf_int(c, key, fallback, ret, err);
}

int flink_option_duration(const struct conf *c, const char *key, int64_t *ret, struct error *err)
{
    const char *deflt = default_of(key, FLINK_OPTION_DURATION);
    int64_t fallback = -1;

    if (deflt && duration_parse(deflt, &fallback, NULL))
        BUG("%s", key);
    return conf_duration(c, key, fallback, ret, err);
}

bool flink_option_on(const struct conf *c, const char *key)
{
    struct error err;
    bool on;

    return !flink_option_bool(c, key, &on, &err) && on;
}

int64_t flink_option_ms(const struct conf *c, const char *key)
{
    const char *deflt = default_of(key, FLINK_OPTION_DURATION);
    struct error err;
    int64_t ms;

    if (c && !flink_option_duration(c, key, &ms, &err))
        return ms;
    if (!deflt || duration_parse(deflt, &ms, NULL))
        BUG("%s has no default", key);
    return ms;
}

const char *flink_option_text(const struct conf *c, const char *key)
{
    const char *deflt = default_of(key, FLINK_OPTION_TEXT);

    return str_or(conf_lookup(c, key), deflt);
}

/* The first is the default. */
static const struct {
    const char *key, *words[2];
} choices[] = {
    {"kubernetes.operator.checkpoint.type", {"FULL", "INCREMENTAL"}},
    {"kubernetes.operator.savepoint.format.type", {"CANONICAL", "NATIVE"}},
};

/* One of the words in ret, as Flink finds constants of an enum; -1: the text is none of them. */
static int choose(const struct conf *c, const char *key, const char **ret, struct error *err)
{
    const char *text = conf_lookup(c, key);
    size_t i = 0;

    while (strcmp(choices[i].key, key) != 0)
        if (++i == ARRAY_SIZE(choices))
            BUG("%s is no choice", key);
    *ret = choices[i].words[0];
    if (!text || !strcasecmp(text, *ret))
        return 0;
    if (strcasecmp(text, choices[i].words[1]) != 0)
        return error_set(err, ERR_INVALID, "%s: found \"%.100s\", must be %s or %s", key, text,
                         *ret, choices[i].words[1]);
    *ret = choices[i].words[1];
    return 0;
}

const char *flink_option_choice(const struct conf *c, const char *key)
{
    const char *word;

    (void)!choose(c, key, &word, NULL);
    return word;
}

static int check_addresses(const struct conf *c, const char *key, struct error *err)
{
    cleanup_arena struct arena a = {0};
    struct address_list list;

    return address_list_parse(&a, conf_words(c, key, ""), &list, err) ? error_wrap(err, "%s", key)
                                                                      : 0;
}

static int check(const struct conf *c, const struct flink_option *o, struct error *err)
{
    const char *word;
    int64_t i;
    double d;
    bool b;
    jv v;

    switch (o->type) {
    case FLINK_OPTION_BOOL:
        return conf_bool(c, o->key, false, &b, err);
    case FLINK_OPTION_INT:
        return conf_int(c, o->key, 0, &i, err);
    case FLINK_OPTION_NUMBER:
        return conf_double(c, o->key, 0, &d, err);
    case FLINK_OPTION_DURATION:
        return conf_duration(c, o->key, 0, &i, err);
    case FLINK_OPTION_MAP:
        return conf_map(c, o->key, &v, err);
    case FLINK_OPTION_ADDRESSES:
        return check_addresses(c, o->key, err);
    case FLINK_OPTION_CHOICE:
        return choose(c, o->key, &word, err);
    case FLINK_OPTION_TEXT:
        break;
    }
    return 0;
}

int flink_options_check(const struct conf *c, struct error *err)
{
    size_t n;
    const struct flink_option *options = flink_options(&n);

    for (size_t k = 0; k < n; k++)
        if (check(c, &options[k], err))
            return -1;
    return 0;
}

void flink_options_drop_system(struct conf *user)
{
    size_t n;
    const struct flink_option *options = flink_options(&n);
    char room[CONF_NAME_ROOM];
    const char *name;

    for (size_t k = 0; k < n; k++)
        for (size_t i = 0;
             options[k].scope != OPTION_OF_RESOURCES && (name = conf_name(options[k].key, i, room));
             i++)
            conf_remove(user, name);
}
