/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/json_map.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/str.h"

#define PATH_MAX_LEN 1000
#define TEXT_MAX 1500

void problem_add(struct problems *p, const char *path, const char *fmt, ...)
{
    va_list ap;

    if (p->n < PROBLEMS_MAX) {
        va_start(ap, fmt);
        const char *text = arena_vprintf(p->a, fmt, ap);

        va_end(ap);
        /* Keys and values of others go into a status and onto terminals. */
        p->items[p->n] =
            (struct problem){str_clean(p->a, path, PATH_MAX_LEN), str_clean(p->a, text, TEXT_MAX)};
    }
    p->n++;
}

void problem_add_error(struct problems *p, const char *path, const struct error *err)
{
    const char *end = str_has_prefix(err->text, path) ? strstr(err->text, ": ") : NULL;

    if (end)
        problem_add(p, arena_strndup(p->a, err->text, (size_t)(end - err->text)), "%s", end + 2);
    else
        problem_add(p, path, "%s", err->text);
}

const char *problems_text(const struct problems *p)
{
    if (!p->n)
        return NULL;
    const char *first = arena_printf(p->a, "%s: %s", p->items[0].path, p->items[0].text);

    if (p->n == 1)
        return first;
    return arena_printf(p->a, "%s (and %zu more problem%s)", first, p->n - 1, p->n > 2 ? "s" : "");
}

const char *jv_describe(struct arena *a, jv v)
{
    switch (v.type) {
    case JV_STR:
        return arena_printf(a, "\"%s\"", str_clean(a, v.s, 80));
    case JV_NUM:
        return str_clean(a, v.s, 40);
    case JV_INT:
    case JV_BOOL:
        return jv_scalar_text(a, v);
    case JV_OBJ:
        return "a mapping";
    case JV_ARR:
        return "a list";
    default:
        return "nothing";
    }
}

static void wrong_type(struct problems *p, const char *path, const char *wanted, jv found)
{
    problem_add(p, path, "must be %s, found %s", wanted, jv_describe(p->a, found));
}

static void check_range(struct problems *p, const char *path, const struct json_field *f, jv v,
                        int64_t n)
{
    if (f->max > f->min && (n < f->min || n > f->max))
        problem_add(p, path, "must be between %lld and %lld, found %s", (long long)f->min,
                    (long long)f->max, jv_describe(p->a, v));
}

static void read_int(struct problems *p, const char *path, const struct json_field *f, jv v,
                     struct opt_int64 *ret)
{
    if (!jv_int64(v, &ret->v)) {
        wrong_type(p, path, "a whole number", v);
        return;
    }
    ret->set = true;
    check_range(p, path, f, v, ret->v);
}

static void read_text(struct problems *p, const char *path, enum jv_type wanted, jv v, bool strict,
                      const char **ret)
{
    if (v.type == wanted || (!strict && jv_string(v)))
        *ret = jv_string(v);
    else
        wrong_type(p, path, wanted == JV_NUM ? "a number" : "a string", v);
}

static void read_duration(struct problems *p, const char *path, const struct json_field *f, jv v,
                          bool strict, struct opt_int64 *ret)
{
    const char *text = strict && v.type != JV_STR ? NULL : jv_string(v);
    struct error err;

    if (!text) {
        wrong_type(p, path, "a duration such as \"30s\"", v);
    } else if (duration_parse(text, &ret->v, &err)) {
        problem_add(p, path, "%s", err.text);
    } else {
        ret->set = true;
        check_range(p, path, f, v, ret->v);
    }
}

static void read_choice(struct problems *p, const char *path, const struct json_field *f, jv v,
                        int *ret)
{
    const char *text = v.type == JV_STR ? v.s : NULL, *all = "";

    for (int i = 0; f->choices[i]; i++) {
        if (text && !strcmp(text, f->choices[i])) {
            *ret = i + 1;
            return;
        }
        all = arena_printf(p->a, "%s%s%s", all, i ? ", " : "", f->choices[i]);
    }
    problem_add(p, path, "must be one of %s, found %s", all, jv_describe(p->a, v));
}

static void read_field(struct problems *p, const char *path, const struct json_field *f, jv v,
                       bool strict, void *to)
{
    switch (f->type) {
    case FIELD_STRING:
        if (v.type == JV_STR)
            *(const char **)to = v.s;
        else
            wrong_type(p, path, "a string", v);
        break;
    case FIELD_TEXT:
    case FIELD_NUMBER:
        read_text(p, path, f->type == FIELD_NUMBER ? JV_NUM : JV_STR, v, strict, to);
        break;
    case FIELD_INT64:
        read_int(p, path, f, v, to);
        break;
    case FIELD_BOOL:
        if (v.type == JV_BOOL)
            *(struct opt_int64 *)to = (struct opt_int64){true, v.b};
        else
            wrong_type(p, path, "true or false", v);
        break;
    case FIELD_CHOICE:
        read_choice(p, path, f, v, to);
        break;
    case FIELD_DURATION:
        read_duration(p, path, f, v, strict, to);
        break;
    case FIELD_OBJECT:
    case FIELD_ARRAY:
        if (v.type == (f->type == FIELD_OBJECT ? JV_OBJ : JV_ARR))
            *(jv *)to = v;
        else
            wrong_type(p, path, f->type == FIELD_OBJECT ? "a mapping" : "a list", v);
        break;
    case FIELD_ANY:
        *(jv *)to = v;
        break;
    case FIELD_STRUCT:
        json_map(p, path, v, f->fields, strict, to);
        break;
    case FIELD_NONCE:
        read_int(p, path, f, v, &(struct opt_int64){0});
        break;
    case FIELD_IGNORED:
        break;
    }
}

void json_map(struct problems *p, const char *path, jv obj, const struct json_field *fields,
              bool strict, void *ret)
{
    if (!jv_present(obj))
        return;
    if (obj.type != JV_OBJ) {
        wrong_type(p, path, "a mapping", obj);
        return;
    }
    for (const struct json_field *f = fields; f->name; f++) {
        jv v = jv_get(obj, f->name);

        if (jv_present(v))
            read_field(p, arena_printf(p->a, "%s.%s", path, f->name), f, v, strict,
                       (char *)ret + f->offset);
    }
    if (!strict)
        return;
    jv_foreach_kv (kv, obj) {
        const struct json_field *f = fields;

        while (f->name && strcmp(f->name, kv->key))
            f++;
        if (!f->name)
            problem_add(p, arena_printf(p->a, "%s.%s", path, str_clean(p->a, kv->key, 80)),
                        "is not a known field");
    }
}
