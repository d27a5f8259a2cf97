/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose allocator serves a cluster, by which policy, and what of that Flink must know.
 */
#include <limits.h>
#include <math.h>

#include "config_internal.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_keys.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"

/* Defaults of Flink's options that the operator acts on (flink-internals §2). */
#define IDLE_TIMEOUT_MS 30000
#define START_TIMEOUT_MS 300000
#define PENDING_TIMEOUT_MS 300000
/* Ours: Flink's ten failures a minute and three seconds fit a resource manager that hears of a
 * failure at once, not pods that take a minute to fail. */
#define FREE_FAILURES 2
#define CREATE_RETRY_MS 3000
#define START_RETRY_MS 10000

#define IDLE_KEY "resourcemanager.taskmanager-timeout"
#define REGISTRATION_KEY "resourcemanager.taskmanager-registration.timeout"
#define RATE_KEY "resourcemanager.start-worker.max-failure-rate"
#define RETRY_KEY "resourcemanager.start-worker.retry-interval"
#define PENDING_KEY "slot.request.timeout"
#define SLOTS_MAX_KEY "slotmanager.number-of-slots.max"
#define SLOTS_MIN_KEY "slotmanager.number-of-slots.min"
#define SPARE_KEY "slotmanager.redundant-taskmanager-num"

/* ---- whose ---- */

static void choose_allocator(struct problems *p, struct cluster_config *c)
{
    const struct flink_key *key = flink_keys_delegated(&c->conf);
    int asked = c->spec->allocator.type;

    c->allocator = asked == ALLOCATOR_UNSET ? ALLOCATOR_OPERATOR : asked;
    if (c->spec->mode == MODE_STANDALONE) {
        c->allocator = ALLOCATOR_NONE;
        return;
    }
    if (!key || asked == ALLOCATOR_FLINK)
        return;
    if (asked == ALLOCATOR_OPERATOR)
        problem_add(p, "spec.allocator.type",
                    "Operator does not go with flinkConfiguration.%s (%s); leave one of them out, "
                    "or set the type to Flink",
                    key->key, key->note);
    c->allocator = ALLOCATOR_FLINK;
    c->allocator_note = arena_printf(p->a, "%s is set: %s", key->key, key->note);
}

/* ---- by which policy ---- */

static void add_start_retries(struct problems *p, const struct conf *conf, struct alloc_policy *a)
{
    double rate = config_double(p, conf, RATE_KEY, FREE_FAILURES);

    if (!(rate > 0))
        problem_add(p, config_path(p, RATE_KEY), "must be more than 0, found %g", rate);
    a->free_failures = (int)MAX(1, MIN(rate, 1000));
    a->create_retry_ms = config_duration(p, conf, RETRY_KEY, CREATE_RETRY_MS);
    a->start_retry_ms = config_duration(p, conf, RETRY_KEY, START_RETRY_MS);
}

static void add_policy(struct problems *p, struct cluster_config *c)
{
    const struct allocator_spec *s = &c->spec->allocator;
    const struct conf *conf = &c->conf;
    struct alloc_policy *a = &c->alloc;
    int64_t max_slots = config_int(p, conf, SLOTS_MAX_KEY, INT_MAX, 1, INT_MAX);
    int64_t min_slots = config_int(p, conf, SLOTS_MIN_KEY, 0, 0, INT_MAX);
    int64_t spare = config_int(p, conf, SPARE_KEY, 0, 0, INT_MAX);

    a->max_field = "spec.allocator.maxTaskManagers";
    a->slots = (int)config_int(p, conf, "taskmanager.numberOfTaskSlots", 1, 1, 100000);
    a->max = (int)(max_slots == INT_MAX ? INT_MAX : max_slots / a->slots);
    a->min = (int)((min_slots + a->slots - 1) / a->slots);
    a->spare = (int)spare;
    a->idle_ms = config_duration(p, conf, IDLE_KEY, IDLE_TIMEOUT_MS);
    a->start_ms = config_duration(p, conf, REGISTRATION_KEY, START_TIMEOUT_MS);
    add_start_retries(p, conf, a);
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
    a->min = MIN(a->min, a->max);
}

void choose_policy(struct problems *p, struct cluster_config *c)
{
    choose_allocator(p, c);
    add_policy(p, c);
}

/* What a TaskManager counts in slotmanager.*-total-resource.memory
 * (WorkerResourceSpec#getTotalMemSize). */
static double counted_memory(const struct tm_memory *m)
{
    return (double)(m->task_heap + m->task_off_heap + m->network + m->managed);
}

static double total_memory(struct problems *p, const struct conf *conf, const char *key)
{
    struct error err;
    int64_t v = -1;

    if (conf_memory(conf, key, -1, &v, &err))
        problem_add(p, config_path(p, key), "%s", err.text);
    return (double)v;
}

/* A total of -1 is none. */
static void limit(struct alloc_policy *a, double each, double max, double min)
{
    if (max >= 0 && max / each < INT_MAX)
        a->max = MIN(a->max, (int)floor(max / each + 1e-9));
    if (min >= 0)
        a->min = MAX(a->min, (int)MIN(ceil(min / each - 1e-9), INT_MAX));
}

void limit_totals(struct problems *p, struct cluster_config *c)
{
    const struct allocator_spec *s = &c->spec->allocator;
    const struct conf *conf = &c->conf;
    struct alloc_policy *a = &c->alloc, before = *a;

    if (c->allocator == ALLOCATOR_NONE)
        return;
    limit(a, c->tm.cpu, config_double(p, conf, "slotmanager.max-total-resource.cpu", -1),
          config_double(p, conf, "slotmanager.min-total-resource.cpu", -1));
    limit(a, counted_memory(&c->tm_memory),
          total_memory(p, conf, "slotmanager.max-total-resource.memory"),
          total_memory(p, conf, "slotmanager.min-total-resource.memory"));
    if (s->max_taskmanagers.set)
        a->max = before.max;
    if (s->min_taskmanagers.set)
        a->min = before.min;
    a->min = MIN(a->min, a->max);
}

/* ---- what Flink must know ---- */

/* Flink 1.x reads several durations as plain milliseconds, 2.x reads a bare number so too. */
static void set_ms(struct conf *conf, const char *key, int64_t ms)
{
    conf_setf(conf, key, "%lld", (long long)ms);
}

static void set_opt_ms(struct conf *conf, const char *key, const struct opt_int64 *ms)
{
    if (ms->set)
        set_ms(conf, key, ms->v);
}

static void enforce_operators(struct conf *conf, const struct cluster_config *c)
{
    const struct opt_int64 *pending = &c->spec->allocator.pending_timeout;
    const struct flink_version *v = c->spec->version;
    struct error err;
    int64_t ms = PENDING_TIMEOUT_MS;

    /* `flink run` inside a pod talks to this cluster over REST. */
    conf_set(conf, "execution.target", "remote");
    /* Without this the resource manager fails every request once its start-up period is over, and
     * an idle cluster refuses the first job that comes later (flink-internals §0.1). */
    set_ms(conf, "resourcemanager.standalone.start-up-time", 0);
    /* How long a job may wait for slots; then it fails with Flink's own text. */
    if (pending->set)
        ms = pending->v;
    else if (conf_duration(conf, PENDING_KEY, ms, &ms, &err))
        ms = PENDING_TIMEOUT_MS; /* reported when the configuration was built */
    set_ms(conf, PENDING_KEY, ms);
    if (v->resource_wait_key && !c->reactive && !conf_lookup(conf, v->resource_wait_key))
        set_ms(conf, v->resource_wait_key, ms);
    /* A TaskManager that is gone is noticed within seconds. The address of a pod that has died
     * does not answer, not even with a refusal: heartbeats that wait for a connection fail, and are
     * counted, only when that times out (flink-internals §3.5). */
    conf_default(conf, "heartbeat.interval", "3000");
    conf_default(conf, "heartbeat.timeout", "20000");
    conf_default(conf, flink_at_least(v, 1, 18) ? "pekko.tcp.timeout" : "akka.tcp.timeout", "5 s");
    /* TaskManagers are started beside the JobManager: they ask again soon. */
    conf_default(conf, "cluster.registration.error-delay", "500");
}

/* Flink's resource manager makes the pods: what a client would have told it (api-contract §4.1). */
static void enforce_flinks(struct conf *conf, const struct cluster_config *c)
{
    const struct deployment_spec *spec = c->spec;
    const struct allocator_spec *s = &spec->allocator;
    long long slots = c->alloc.slots;

    conf_set(conf, "execution.target",
             spec->application ? "kubernetes-application" : "kubernetes-session");
    conf_setf(conf, "kubernetes.internal.jobmanager.entrypoint.class",
              "org.apache.flink.kubernetes.entrypoint.Kubernetes%sClusterEntrypoint",
              spec->application ? "Application" : "Session");
    conf_set(conf, "internal.cluster.execution-mode", "NORMAL");
    conf_set(conf, "kubernetes.container.image.ref", c->image);
    if (spec->image_pull_policy)
        conf_set(conf, "kubernetes.container.image.pull-policy", spec->image_pull_policy);
    if (spec->service_account)
        conf_set(conf, "kubernetes.service-account", spec->service_account);
    conf_setf(conf, "kubernetes.jobmanager.replicas", "%d", c->jm_replicas);
    if (s->max_taskmanagers.set)
        conf_setf(conf, SLOTS_MAX_KEY, "%lld", MIN(s->max_taskmanagers.v * slots, INT_MAX));
    if (s->min_taskmanagers.set)
        conf_setf(conf, SLOTS_MIN_KEY, "%lld", MIN(s->min_taskmanagers.v * slots, INT_MAX));
    if (s->spare_taskmanagers.set)
        conf_setf(conf, SPARE_KEY, "%lld", (long long)s->spare_taskmanagers.v);
    set_opt_ms(conf, IDLE_KEY, &s->idle_timeout);
    set_opt_ms(conf, REGISTRATION_KEY, &s->start_timeout);
    set_opt_ms(conf, PENDING_KEY, &s->pending_timeout);
}

void enforce_policy(struct conf *conf, const struct cluster_config *c)
{
    if (c->allocator == ALLOCATOR_FLINK)
        enforce_flinks(conf, c);
    else
        enforce_operators(conf, c);
}
