/* SPDX-License-Identifier: Apache-2.0 */
/* Names, labels, annotations, quantities (apimachinery's validation package). */
#include "kube_rules.h"

#include <ctype.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/error.h"
#include "flinkop/exposure.h"
#include "flinkop/flink_memory.h"
#include "flinkop/str.h"

#define NAME_MAX_LEN 63
#define OBJECT_NAME_MAX 253
#define ANNOTATIONS_MAX ((size_t)256 << 10)

bool dns_label_valid(const char *name)
{
    return !strchr(name, '.') && strlen(name) <= NAME_MAX_LEN &&
           host_name_valid(name, /* wildcard= */ false);
}

bool object_name_valid(const char *name)
{
    bool edge = true; /* of a part, where no '-' may stand */

    if (!*name || strlen(name) > OBJECT_NAME_MAX)
        return false;
    for (; *name; name++) {
        bool word = islower((unsigned char)*name) || isdigit((unsigned char)*name);

        if (!word && (edge || (*name != '-' && (*name != '.' || name[-1] == '-'))))
            return false;
        edge = *name == '.';
    }
    return !edge && name[-1] != '-';
}

void object_name_check(struct problems *p, const char *path, const char *name, const char *what)
{
    if (!object_name_valid(name))
        problem_add(
            p, path,
            "must be the name of a %s: at most 253 lower-case letters, digits, '-' and '.', "
            "found %s",
            what, jv_describe(p->a, STR(name)));
}

/* [A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])? of at most 63 */
static bool is_name(const char *s)
{
    size_t n = strlen(s);

    if (!n || n > NAME_MAX_LEN || !isalnum((unsigned char)*s) || !isalnum((unsigned char)s[n - 1]))
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("-_.", *s))
            return false;
    return true;
}

/* "name" or "dns.prefix/name"; the prefix of an annotation may have capitals. */
static bool is_qualified(struct arena *a, const char *key, bool any_case)
{
    const char *slash = strchr(key, '/');

    if (!slash)
        return is_name(key);
    char *prefix = arena_strndup(a, key, (size_t)(slash - key));

    for (char *c = prefix; any_case && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return object_name_valid(prefix) && is_name(slash + 1);
}

bool label_key_valid(struct arena *a, const char *key)
{
    return is_qualified(a, key, /* any_case= */ false);
}

bool label_value_valid(const char *value)
{
    return !*value || is_name(value);
}

/* Whether key and type of a member are right; its path goes to ret_path. */
static bool check_member(struct problems *p, const char *path, const jkv *kv, bool any_case,
                         const char **ret_path)
{
    *ret_path = arena_printf(p->a, "%s.%s", path, str_clean(p->a, kv->key, 80));
    if (!is_qualified(p->a, kv->key, any_case)) {
        problem_add(p, *ret_path,
                    "must be a key such as \"team\" or \"example.com/team\": at most 63 letters, "
                    "digits, '-', '_' and '.'");
        return false;
    }
    if (kv->value.type == JV_STR)
        return true;
    problem_add(p, *ret_path, "must be a string, found %s", jv_describe(p->a, kv->value));
    return false;
}

static bool is_mapping(struct problems *p, const char *path, jv map)
{
    if (map.type != JV_OBJ && jv_present(map))
        problem_add(p, path, "must be a mapping, found %s", jv_describe(p->a, map));
    return map.type == JV_OBJ;
}

void labels_check(struct problems *p, const char *path, jv map)
{
    const char *at;

    if (!is_mapping(p, path, map))
        return;
    jv_foreach_kv (kv, map)
        if (check_member(p, path, kv, false, &at) && !label_value_valid(kv->value.s))
            problem_add(p, at,
                        "must be at most 63 letters, digits, '-', '_' and '.', with a letter or "
                        "digit at both ends, found %s",
                        jv_describe(p->a, kv->value));
}

void annotations_check(struct problems *p, const char *path, jv map)
{
    size_t bytes = 0;
    const char *at;

    if (!is_mapping(p, path, map))
        return;
    jv_foreach_kv (kv, map)
        if (check_member(p, path, kv, true, &at))
            bytes += strlen(kv->key) + strlen(kv->value.s);
    if (bytes > ANNOTATIONS_MAX)
        problem_add(p, path, "must have at most %zu bytes in all, found %zu", ANNOTATIONS_MAX,
                    bytes);
}

void quantities_check(struct problems *p, const char *path, jv map, bool strict)
{
    struct error err;
    int64_t whole;
    double v;

    if (!is_mapping(p, path, map))
        return;
    jv_foreach_kv (kv, map) {
        const char *at = arena_printf(p->a, "%s.%s", path, str_clean(p->a, kv->key, 80));
        const char *text = jv_string(kv->value);

        if (!is_qualified(p->a, kv->key, false))
            problem_add(p, at, "must be the name of a resource, such as cpu or example.com/gpu");
        else if (!text || (strict && kv->value.type == JV_NUM && !jv_int64(kv->value, &whole)))
            problem_add(p, at, "must be a quantity such as 2, \"500m\" or \"1Gi\", found %s",
                        jv_describe(p->a, kv->value));
        else if (quantity_parse(text, &v, &err))
            problem_add(p, at, "%s", err.text);
    }
}
