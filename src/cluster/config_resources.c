/* SPDX-License-Identifier: Apache-2.0 */
/* CPU, memory and other resources of the two kinds of pods: spec.*.resource, spec.*.resources and
 * Flink's options for them. */
#include <limits.h>
#include <string.h>

#include "config_internal.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/str.h"

/* No machine has more; products of these still fit 64 bits. */
#define CPU_MAX 1000000
#define MEMORY_MAX ((int64_t)1 << 50)
#define FACTOR_MAX 1000

/* ---- the spec's resources, written as the configuration keys they stand for ---- */

static double read_cpu(struct problems *p, const char *path, const char *text)
{
    struct error err;
    double v = 0;

    if (quantity_parse(text, &v, &err))
        problem_add(p, path, "%s", err.text);
    else if (v <= 0 || v > CPU_MAX)
        problem_add(p, path, "must be more than 0 and at most %d, found \"%s\"", CPU_MAX, text);
    return v;
}

static int64_t read_memory(struct problems *p, const char *path, const char *text)
{
    struct error err;
    int64_t v = 0;

    if (memory_size_parse(text, &v, &err))
        problem_add(p, path, "%s", err.text);
    else if (v <= 0 || v > MEMORY_MAX)
        problem_add(p, path, "must be more than 0 and at most 1Pi, found \"%s\"", text);
    return v;
}

static void set_key(struct conf *conf, const struct component *c, const char *key, double v)
{
    conf_setf(conf, arena_printf(conf->a, "kubernetes.%s.%s", c->prefix, key), "%.10g", v);
}

/* One of cpu and memory out of a ResourceRequirements: the request (else the limit) is the size,
 * the limit over it the factor. */
static void apply_requirement(struct problems *p, struct conf *conf, const struct component *c,
                              const char *what)
{
    jv resources = c->spec->resources;
    const char *request = JV_STRING(resources, "requests", what);
    const char *limit = JV_STRING(resources, "limits", what);
    const char *path =
        arena_printf(p->a, "%s.resources.%s.%s", c->path, request ? "requests" : "limits", what);
    const char *limit_path = arena_printf(p->a, "%s.resources.limits.%s", c->path, what);
    size_t before = p->n;
    double size, top;

    if (!request && !limit)
        return;
    if (!strcmp(what, "cpu")) {
        size = read_cpu(p, path, request ? request : limit);
        top = limit ? read_cpu(p, limit_path, limit) : size;
    } else {
        size = (double)read_memory(p, path, request ? request : limit);
        top = limit ? (double)read_memory(p, limit_path, limit) : size;
    }
    if (p->n > before)
        return;
    if (top < size) {
        problem_add(p, limit_path, "must not be less than the request (%s), found \"%s\"", request,
                    limit);
        return;
    }
    if (!strcmp(what, "cpu"))
        set_key(conf, c, "cpu.amount", size);
    else
        conf_setf(conf, c->memory_key, "%lld b", (long long)size);
    if (limit)
        set_key(conf, c, arena_printf(p->a, "%s.limit-factor", what), top / size);
}

void apply_resources(struct problems *p, struct conf *conf, const struct component *c)
{
    const struct resource_spec *r = &c->spec->resource;
    jv resources = c->spec->resources;

    if (jv_len(jv_get(resources, "requests")) || jv_len(jv_get(resources, "limits"))) {
        apply_requirement(p, conf, c, "cpu");
        apply_requirement(p, conf, c, "memory");
        return;
    }
    if (r->cpu) {
        double cpu = read_cpu(p, arena_printf(p->a, "%s.resource.cpu", c->path), r->cpu);

        if (cpu > 0)
            set_key(conf, c, "cpu.amount", cpu);
    }
    if (r->memory) {
        int64_t memory =
            read_memory(p, arena_printf(p->a, "%s.resource.memory", c->path), r->memory);

        if (memory > 0)
            conf_setf(conf, c->memory_key, "%lld b", (long long)memory);
    }
}

/* Other members of requests and limits go to the container as they are. */
static jv other_requirements(struct arena *a, jv resources)
{
    static const char *const kinds[] = {"requests", "limits"};
    struct jv_list both = JV_LIST(a);

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct jv_list list = JV_LIST(a);

        jv_foreach_kv (kv, jv_get(resources, kinds[i]))
            if (strcmp(kv->key, "cpu") && strcmp(kv->key, "memory"))
                jv_list_put(&list, kv->key, kv->value);
        if (list.n)
            jv_list_put(&both, kinds[i], jv_list_obj(&list));
    }
    if (jv_len(jv_get(resources, "claims")))
        jv_list_put(&both, "claims", jv_get(resources, "claims"));
    return both.n ? jv_list_obj(&both) : ABSENT;
}

#define EXTERNAL "external-resource."

/* Those that have a name in Kubernetes are asked for, as by Flink's own TaskManager pods
 * (KubernetesUtils#getResourceRequirements); the others are a matter of Flink's drivers. */
jv external_resources(struct problems *p, const struct conf *conf)
{
    struct jv_list list = JV_LIST(p->a);
    struct error err;
    jv names;

    if (conf_list(conf, "external-resources", &names, &err)) {
        problem_add(p, config_path(p, "external-resources"), "%s", err.text);
        return ABSENT;
    }
    jv_foreach (name, names) {
        const char *amount = arena_printf(p->a, EXTERNAL "%s.amount", name->s);
        const char *key =
            conf_get(conf, arena_printf(p->a, EXTERNAL "%s.kubernetes.config-key", name->s));

        if (!str_eq(name->s, "none") && !str_empty(key))
            jv_list_put(&list, key, INT(config_int(p, conf, amount, 1, 1, INT_MAX)));
    }
    jv all = list.n ? jv_list_obj(&list) : ABSENT;

    return jv_dup(p->a, OBJ({"requests", all}, {"limits", all}));
}

static void check_size(struct problems *p, const char *path, double v, double min, double max)
{
    if (v < min || v > max)
        problem_add(p, path, "must be between %g and %g, found %g", min, max, v);
}

struct pod_size pod_size(struct problems *p, const struct conf *conf, const struct component *c,
                         int64_t memory, double default_cpu)
{
    const char *cpu = arena_printf(p->a, "kubernetes.%s.cpu.amount", c->prefix);
    const char *cpu_factor = arena_printf(p->a, "kubernetes.%s.cpu.limit-factor", c->prefix);
    const char *memory_factor = arena_printf(p->a, "kubernetes.%s.memory.limit-factor", c->prefix);
    struct pod_size s = {
        .cpu = config_double(p, conf, cpu, default_cpu),
        .memory = memory,
        .cpu_limit_factor = config_double(p, conf, cpu_factor, 1),
        .memory_limit_factor = config_double(p, conf, memory_factor, 1),
        .ephemeral_storage = c->spec->resource.ephemeral_storage,
        .extra = other_requirements(p->a, c->spec->resources),
    };

    if (s.cpu <= 0) /* -1: as many as slots, the way Flink reads it */
        s.cpu = default_cpu;
    check_size(p, config_path(p, cpu), s.cpu, 0, CPU_MAX);
    check_size(p, config_path(p, cpu_factor), s.cpu_limit_factor, 1, FACTOR_MAX);
    check_size(p, config_path(p, memory_factor), s.memory_limit_factor, 1, FACTOR_MAX);
    check_size(p, config_path(p, c->memory_key), (double)memory, 0, (double)MEMORY_MAX);
    if (s.ephemeral_storage)
        read_memory(p, arena_printf(p->a, "%s.resource.ephemeralStorage", c->path),
                    s.ephemeral_storage);
    return s;
}
