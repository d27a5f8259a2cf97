/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spec in the form in which it is compared. The incumbent records what its classes make of it
 * (api-contract §1.6): defaults are written out (replicas 1, parallelism 0), a CPU is a Java double
 * ("1.0"), every quantity is a text. What its autoscaler has changed stands in the recorded spec
 * only.
 */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"
#include "spec_internal.h"

/* 1.0 and 1.50, as numbers: 1 and 1.5. */
static jv plain_number(struct arena *a, jv v)
{
    const char *text = v.type == JV_NUM ? v.s : NULL;
    size_t len = text ? strlen(text) : 0;

    if (!text || !strchr(text, '.') || strpbrk(text, "eE"))
        return v;
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    return (jv){.type = JV_NUM, .s = arena_strndup(a, text, len)};
}

static bool is_number(jv v, int64_t n)
{
    int64_t found;

    return jv_int64(v, &found) && found == n;
}

/* Members whose values, or whose members' values, are quantities. */
static const char *const quantities[] = {"limits", "requests"};

static jv quantity(struct arena *a, jv v)
{
    return v.type == JV_NUM || v.type == JV_INT ? STR(jv_scalar_text(a, v)) : v;
}

static jv quantities_as_text(struct arena *a, jv v)
{
    struct jv_list list = JV_LIST(a);

    if (v.type == JV_ARR) {
        jv_foreach (item, v)
            jv_list_add(&list, quantities_as_text(a, *item));
        return jv_list_arr(&list);
    }
    if (v.type != JV_OBJ)
        return v;
    jv_foreach_kv (kv, v) {
        struct jv_list inner = JV_LIST(a);

        if (!strcmp(kv->key, "sizeLimit")) {
            jv_list_put(&list, kv->key, quantity(a, kv->value));
            continue;
        }
        if (str_index(quantities, ARRAY_SIZE(quantities), kv->key) < 0 ||
            kv->value.type != JV_OBJ) {
            jv_list_put(&list, kv->key, quantities_as_text(a, kv->value));
            continue;
        }
        jv_foreach_kv (q, kv->value)
            jv_list_put(&inner, q->key, quantity(a, q->value));
        jv_list_put(&list, kv->key, jv_list_obj(&inner));
    }
    return jv_list_obj(&list);
}

static jv component_form(struct arena *a, jv component, bool jobmanager)
{
    jv cpu = JV_PATH(component, "resource", "cpu");

    if (component.type != JV_OBJ)
        return component;
    if (jobmanager && is_number(jv_get(component, "replicas"), 1))
        component = jv_set(a, component, "replicas", ABSENT);
    if (cpu.type == JV_NUM)
        component = JV_SET_PATH(a, component, plain_number(a, cpu), "resource", "cpu");
    return quantities_as_text(a, component);
}

jv spec_compared_form(struct arena *a, jv spec)
{
    static const char *const components[] = {"jobManager", "taskManager"};

    for (size_t i = 0; i < ARRAY_SIZE(components); i++)
        if (jv_present(jv_get(spec, components[i])))
            spec = jv_set(a, spec, components[i],
                          component_form(a, jv_get(spec, components[i]), i == 0));
    if (jv_present(jv_get(spec, "podTemplate")))
        spec = jv_set(a, spec, "podTemplate", quantities_as_text(a, jv_get(spec, "podTemplate")));
    if (is_number(JV_PATH(spec, "job", "parallelism"), 0))
        spec = JV_SET_PATH(a, spec, ABSENT, "job", "parallelism");
    return spec;
}

/* ---- what the incumbent's autoscaler has left ---- */

static const char *configured(struct arena *a, jv spec, const char *key)
{
    struct conf conf = CONF_INIT(a);
    struct error err;

    if (conf_add_jv(&conf, jv_get(spec, "flinkConfiguration"), "", &err))
        return NULL;
    return conf_lookup(&conf, key);
}

static bool is_on(const char *text)
{
    return text && !strcasecmp(text, "true");
}

/* Few have it there, and the layers take time to put together. */
static bool mentions_autoscaler(const struct conf *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_has_suffix(c->entries[i].key, AUTOSCALER_KEY))
            return true;
    return false;
}

bool autoscaled_below(struct arena *a, const struct flink_defaults *defaults, const char *ns,
                      const char *version, jv options)
{
    struct conf conf = flink_defaults_conf(defaults), cluster = CONF_INIT(a);
    const struct flink_version *v = version ? flink_version_find(version) : NULL;
    struct error err;

    if (!conf_add_jv(&cluster, options, "", &err) && conf_lookup(&cluster, AUTOSCALER_KEY))
        return is_on(conf_lookup(&cluster, AUTOSCALER_KEY));
    return mentions_autoscaler(&conf) && !flink_defaults_for(a, defaults, ns, v, &conf, &err) &&
           is_on(conf_lookup(&conf, AUTOSCALER_KEY));
}

bool spec_autoscales(struct arena *a, jv spec, bool autoscaled)
{
    const char *on = configured(a, spec, AUTOSCALER_KEY);

    return on ? is_on(on) : autoscaled;
}

const char *spec_overrides(struct arena *a, jv spec)
{
    return configured(a, spec, FLINK_OVERRIDES_KEY);
}

jv spec_keep_overrides(struct arena *a, jv recorded, jv current, bool autoscaled)
{
    const char *overrides;

    if (!spec_autoscales(a, current, autoscaled) || spec_overrides(a, current))
        return current;
    overrides = spec_overrides(a, recorded);
    if (!overrides)
        return current;
    return jv_set(
        a, current, "flinkConfiguration",
        jv_set(a, jv_get(current, "flinkConfiguration"), FLINK_OVERRIDES_KEY, STR(overrides)));
}
