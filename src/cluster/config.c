/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From spec and defaults to the effective configuration. Three layers: operator defaults, the
 * user's flinkConfiguration, what the spec's own fields say. On top goes what the operator
 * enforces; each such key says why.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/cluster_config.h"
#include "flinkop/error.h"
#include "flinkop/exposure.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"

/* Defaults of Flink's options that the operator acts on (flink-internals §2). */
#define IDLE_TIMEOUT_MS 30000
#define START_TIMEOUT_MS 300000
#define PENDING_TIMEOUT_MS 300000

/* ---- typed reads that report under the user's field ---- */

static const char *conf_path(struct problems *p, const char *key)
{
    return arena_printf(p->a, "spec.flinkConfiguration.%s", key);
}

static int64_t get_int(struct problems *p, const struct conf *c, const char *key, int64_t fallback,
                       int64_t min, int64_t max)
{
    struct error err;
    int64_t v = fallback;

    if (conf_int(c, key, fallback, &v, &err)) {
        problem_add(p, conf_path(p, key), "%s", err.text);
    } else if (v < min || v > max) {
        problem_add(p, conf_path(p, key), "must be between %lld and %lld, found %lld",
                    (long long)min, (long long)max, (long long)v);
        v = fallback;
    }
    return v;
}

static double get_double(struct problems *p, const struct conf *c, const char *key, double fallback)
{
    struct error err;
    double v = fallback;

    if (conf_double(c, key, fallback, &v, &err))
        problem_add(p, conf_path(p, key), "%s", err.text);
    return v;
}

static int64_t get_duration(struct problems *p, const struct conf *c, const char *key,
                            int64_t fallback)
{
    struct error err;
    int64_t v = fallback;

    if (conf_duration(c, key, fallback, &v, &err))
        problem_add(p, conf_path(p, key), "%s", err.text);
    return v;
}

/* ---- the spec's resources, written as the configuration keys they stand for ---- */

struct component {
    const char *path;   /* in the spec */
    const char *prefix; /* of its kubernetes.* keys */
    const char *memory_key;
    const struct component_spec *spec;
};

static double read_cpu(struct problems *p, const char *path, const char *text)
{
    struct error err;
    double v = 0;

    if (quantity_parse(text, &v, &err))
        problem_add(p, path, "%s", err.text);
    else if (v <= 0)
        problem_add(p, path, "must be more than 0, found \"%s\"", text);
    return v;
}

static int64_t read_memory(struct problems *p, const char *path, const char *text)
{
    struct error err;
    int64_t v = 0;

    if (memory_size_parse(text, &v, &err))
        problem_add(p, path, "%s", err.text);
    else if (v <= 0)
        problem_add(p, path, "must be more than 0, found \"%s\"", text);
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

static void apply_resources(struct problems *p, struct conf *conf, const struct component *c)
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

static struct pod_size pod_size(struct problems *p, const struct conf *conf,
                                const struct component *c, int64_t memory, double default_cpu)
{
    const char *cpu = arena_printf(p->a, "kubernetes.%s.cpu.amount", c->prefix);
    const char *cpu_factor = arena_printf(p->a, "kubernetes.%s.cpu.limit-factor", c->prefix);
    const char *memory_factor = arena_printf(p->a, "kubernetes.%s.memory.limit-factor", c->prefix);
    struct pod_size s = {
        .cpu = get_double(p, conf, cpu, default_cpu),
        .memory = memory,
        .cpu_limit_factor = get_double(p, conf, cpu_factor, 1),
        .memory_limit_factor = get_double(p, conf, memory_factor, 1),
        .ephemeral_storage = c->spec->resource.ephemeral_storage,
        .extra = other_requirements(p->a, c->spec->resources),
    };

    if (s.cpu <= 0) /* -1: as many as slots, the way Flink reads it */
        s.cpu = default_cpu;
    if (s.cpu_limit_factor < 1)
        problem_add(p, conf_path(p, cpu_factor), "must be at least 1, found %g",
                    s.cpu_limit_factor);
    if (s.memory_limit_factor < 1)
        problem_add(p, conf_path(p, memory_factor), "must be at least 1, found %g",
                    s.memory_limit_factor);
    if (s.ephemeral_storage)
        read_memory(p, arena_printf(p->a, "%s.resource.ephemeralStorage", c->path),
                    s.ephemeral_storage);
    return s;
}

/* ---- the allocator's policy: its own fields, else Flink's options ---- */

static void add_policy(struct problems *p, struct cluster_config *c)
{
    const struct allocator_spec *s = &c->spec->allocator;
    const struct conf *conf = &c->conf;
    struct alloc_policy *a = &c->alloc;
    int64_t max_slots = get_int(p, conf, "slotmanager.number-of-slots.max", INT_MAX, 1, INT_MAX);
    int64_t min_slots = get_int(p, conf, "slotmanager.number-of-slots.min", 0, 0, INT_MAX);
    int64_t spare = get_int(p, conf, "slotmanager.redundant-taskmanager-num", 0, 0, INT_MAX);

    a->slots = (int)get_int(p, conf, "taskmanager.numberOfTaskSlots", 1, 1, 100000);
    a->max = (int)(max_slots == INT_MAX ? INT_MAX : max_slots / a->slots);
    a->min = (int)((min_slots + a->slots - 1) / a->slots);
    a->spare = (int)spare;
    a->idle_ms = get_duration(p, conf, "resourcemanager.taskmanager-timeout", IDLE_TIMEOUT_MS);
    a->start_ms =
        get_duration(p, conf, "resourcemanager.taskmanager-registration.timeout", START_TIMEOUT_MS);
    if (s->max_taskmanagers.set)
        a->max = (int)s->max_taskmanagers.v;
    if (s->min_taskmanagers.set)
        a->min = (int)s->min_taskmanagers.v;
    if (s->spare_taskmanagers.set)
        a->spare = (int)s->spare_taskmanagers.v;
    if (s->idle_timeout.set)
        a->idle_ms = s->idle_timeout.v;
    if (s->start_timeout.set)
        a->start_ms = s->start_timeout.v;
    if (a->min > a->max)
        a->min = a->max;
}

/* ---- memory: the message names the field that the size came from ---- */

static void derive_memory(struct problems *p, struct cluster_config *c)
{
    const char *hint = " (set spec.%s.resource.memory)";
    struct error err;

    if (jm_memory_derive(&c->conf, &c->jm_memory, &err))
        problem_add(p, "spec.jobManager", "memory: %s%s", err.text,
                    c->spec->jm.resource.memory ? "" : arena_printf(p->a, hint, "jobManager"));
    if (tm_memory_derive(&c->conf, &c->tm_memory, &err))
        problem_add(p, "spec.taskManager", "memory: %s%s", err.text,
                    c->spec->tm.resource.memory ? "" : arena_printf(p->a, hint, "taskManager"));
}

static void check_ha(struct problems *p, struct cluster_config *c)
{
    const char *type = conf_lookup(&c->conf, "high-availability.type");

    c->ha = type && strcasecmp(type, "none");
    c->ha_kubernetes =
        c->ha && (!strcasecmp(type, "kubernetes") || strstr(type, "KubernetesHaServicesFactory"));
    c->jm_replicas =
        (int)(c->spec->jm.replicas.set
                  ? c->spec->jm.replicas.v
                  : get_int(p, &c->conf, "kubernetes.jobmanager.replicas", 1, 1, 1000));
    if (c->jm_replicas > 1 && !c->ha)
        problem_add(p, "spec.jobManager.replicas",
                    "must be 1 unless high-availability.type is set, found %d", c->jm_replicas);
}

/* What the configuration of Flink 1.x can say that 2.x no longer understands, and the other way
 * round: its flink-conf.yaml cannot hold every value. */
static void check_legacy(struct problems *p, struct cluster_config *c)
{
    struct error err;

    if (conf_check_flat(&c->spec->conf, "spec.flinkConfiguration", &err) ||
        memory_conf_legacy(&c->conf, &err))
        problem_add(p, "spec.flinkConfiguration", "%s", err.text);
}

static void choose_image(struct problems *p, struct cluster_config *c)
{
    const char *from_conf = conf_lookup(&c->conf, "kubernetes.container.image.ref");

    c->image = c->spec->image ? c->spec->image : from_conf;
    if (!c->image && c->spec->version) {
        c->image =
            arena_printf(p->a, "flink:%d.%d", c->spec->version->major, c->spec->version->minor);
        c->image_note = "the spec names no image";
    }
    c->conf_dir = str_or(conf_get(&c->conf, "kubernetes.flink.conf.dir"), "/opt/flink/conf");
}

/* ---- what Flink gets to see ---- */

static const char *const hidden_prefixes[] = {"kubernetes.operator.", "job.autoscaler."};
/* Addresses a pod must choose itself (as Flink's own client drops them, flink-internals §1.1). */
static const char *const hidden_keys[] = {
    "kubernetes.config.file", "rest.bind-address", "jobmanager.bind-host",
    "taskmanager.bind-host",  "taskmanager.host",
};

/* Flink 1.x reads several durations as plain milliseconds, 2.x reads a bare number so too. */
static void set_ms(struct conf *conf, const char *key, int64_t ms)
{
    conf_setf(conf, key, "%lld", (long long)ms);
}

static void enforce_allocation(struct conf *conf, const struct cluster_config *c)
{
    const struct opt_int64 *pending = &c->spec->allocator.pending_timeout;
    const struct flink_version *v = c->spec->version;
    struct error err;
    int64_t ms = PENDING_TIMEOUT_MS;

    /* Without this the resource manager fails every request once its start-up period is over, and
     * an idle cluster refuses the first job that comes later (flink-internals §0.1). */
    set_ms(conf, "resourcemanager.standalone.start-up-time", 0);
    /* How long a job may wait for slots; then it fails with Flink's own text. */
    if (pending->set)
        ms = pending->v;
    else if (conf_duration(conf, "slot.request.timeout", ms, &ms, &err))
        ms = PENDING_TIMEOUT_MS; /* reported when the configuration was built */
    set_ms(conf, "slot.request.timeout", ms);
    if (v->resource_wait_key && !conf_lookup(conf, v->resource_wait_key))
        set_ms(conf, v->resource_wait_key, ms);
    /* A TaskManager that is gone is noticed within seconds (flink-internals §3.5). */
    conf_default(conf, "heartbeat.interval", "3000");
    conf_default(conf, "heartbeat.timeout", "20000");
    /* TaskManagers are started beside the JobManager: they ask again soon. */
    conf_default(conf, "cluster.registration.error-delay", "500");
}

static struct conf flink_conf(struct arena *a, const struct cluster_config *c)
{
    struct conf conf = conf_dup(a, &c->conf);
    const struct flink_version *v = c->spec->version;

    for (size_t i = 0; i < ARRAY_SIZE(hidden_prefixes); i++)
        conf_remove_prefix(&conf, hidden_prefixes[i]);
    for (size_t i = 0; i < ARRAY_SIZE(hidden_keys); i++)
        conf_remove(&conf, hidden_keys[i]);
    conf_set(&conf, "kubernetes.cluster-id", c->name);
    conf_set(&conf, "kubernetes.namespace", c->ns);
    if (c->ha)
        conf_set(&conf, "high-availability.cluster-id", c->name);
    conf_setf(&conf, "jobmanager.rpc.address", "%s.%s", c->name, c->ns);
    conf_setf(&conf, "jobmanager.rpc.port", "%d", PORT_JM_RPC);
    conf_setf(&conf, "blob.server.port", "%d", PORT_BLOB);
    conf_setf(&conf, "taskmanager.rpc.port", "%d", PORT_TM_RPC);
    conf_setf(&conf, "taskmanager.data.port", "%d", PORT_TM_DATA);
    conf_setf(&conf, "rest.port", "%d", c->rest_port);
    conf_setf(&conf, "rest.bind-port", "%d", c->rest_port);
    conf_setf(&conf, "taskmanager.numberOfTaskSlots", "%d", c->alloc.slots);
    /* `flink run` inside a pod talks to this cluster over REST. */
    conf_set(&conf, "execution.target", "remote");
    /* A fixed place, so that JARs of the image can be linked into it (launch.sh). */
    conf_default(&conf, "web.upload.dir", "/tmp/flink-operator/upload");
    if (v->java_opts)
        conf_default(&conf, v->java_opts_key, v->java_opts);
    enforce_allocation(&conf, c);
    return conf;
}

/* ---- the whole ---- */

void cluster_config_build(struct problems *p, const char *ns, const char *name,
                          const struct deployment_spec *spec, const struct conf *defaults,
                          struct cluster_config *ret)
{
    const struct component jm = {"spec.jobManager", "jobmanager", "jobmanager.memory.process.size",
                                 &spec->jm};
    const struct component tm = {"spec.taskManager", "taskmanager",
                                 "taskmanager.memory.process.size", &spec->tm};
    size_t before = p->n;

    *ret = (struct cluster_config){.ns = ns, .name = name, .spec = spec};
    cluster_name_check(p, "metadata.name", name);
    ret->conf = conf_dup(p->a, defaults);
    conf_merge(&ret->conf, &spec->conf);
    if (spec->version->major < 2)
        check_legacy(p, ret);
    apply_resources(p, &ret->conf, &jm);
    apply_resources(p, &ret->conf, &tm);
    add_policy(p, ret);
    check_ha(p, ret);
    choose_image(p, ret);
    if (!str_empty(spec->ingress.template))
        ingress_url_read(p, spec->ingress.template, ns, name, &ret->ingress);
    ret->rest_port = (int)get_int(p, &ret->conf, "rest.port", PORT_REST, 1, 65535);
    if (p->n > before) /* sizes that do not parse would only repeat the problem */
        return;
    derive_memory(p, ret);
    ret->jm = pod_size(p, &ret->conf, &jm, ret->jm_memory.process, 1);
    ret->tm = pod_size(p, &ret->conf, &tm, ret->tm_memory.process, ret->alloc.slots);
    ret->flink = flink_conf(p->a, ret);
}

void cluster_config_read(struct problems *p, const char *ns, const char *name, jv spec, bool strict,
                         const struct flink_defaults *defaults, struct deployment_spec *ret_spec,
                         struct cluster_config *ret)
{
    struct conf conf = CONF_INIT(p->a);
    size_t before = p->n;
    struct error err;

    deployment_spec_read(p, spec, strict, ret_spec);
    flink_options_drop_system(&ret_spec->conf);
    if (flink_defaults_for(p->a, defaults, ns, ret_spec->version, &conf, &err))
        problem_add(p, "operator configuration", "%s", err.text);
    deployment_spec_check(p, ret_spec);
    if (p->n == before)
        cluster_config_build(p, ns, name, ret_spec, &conf, ret);
}
