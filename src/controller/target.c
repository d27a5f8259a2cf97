/* SPDX-License-Identifier: Apache-2.0 */
/* Resources under control: their memory, their probe, and where their JobManager is. */
#include <string.h>

#include "controller_internal.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/slab.h"
#include "flinkop/str.h"

/* ---- the JobManager of a cluster ---- */

static const struct obs_pod *jobmanager_pod(struct controller *c, const char *key)
{
    const struct obs_pod *best = NULL;
    size_t n;
    const struct stored *const *pods = store_by_index(c->stores[KIND_POD], key, &n);

    for (size_t i = 0; i < n; i++) {
        const struct obs_pod *pod = pods[i]->view;

        if (!str_eq(pod->meta.component, "jobmanager") || pod->meta.deleted_ms ||
            !pod->main_running || str_empty(pod->ip))
            continue;
        if (!best || pod->meta.created_ms > best->meta.created_ms)
            best = pod;
    }
    return best;
}

static bool jobmanager_of(struct controller *c, const char *key, struct flink_endpoint *ret)
{
    const struct obs_pod *pod = jobmanager_pod(c, key);
    struct target *t = strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, key);

    if (!pod || !t || !t->rest_port)
        return false;
    cleanup_free char *jm = xasprintf("%s/%d", pod->meta.uid, pod->restarts);

    slab_str_replace(&t->jm, jm);
    *ret = (struct flink_endpoint){.ns = pod->meta.ns,
                                   .pod = pod->meta.name,
                                   .ip = pod->ip,
                                   .port = t->rest_port,
                                   .instance = t->jm,
                                   .cluster = t->rest_tls ? strchr(t->key, '/') + 1 : NULL};
    return true;
}

static bool probe_target(void *arg, struct flink_endpoint *ret, const char **ret_jm)
{
    struct target *t = arg;

    if (!jobmanager_of(t->c, t->key, ret))
        return false;
    *ret_jm = ret->instance;
    return true;
}

const struct obs_flink *target_flink(struct target *t)
{
    static const struct obs_flink nothing_known;
    const struct obs_flink *told = probe_result(t->probe);
    struct flink_endpoint e;
    const char *jm;

    return told->known && probe_target(t, &e, &jm) && str_eq(jm, told->jm) ? told : &nothing_known;
}

/* What a former process has recorded counts until its first plan. */
jv target_job_options(struct arena *a, const struct target *t, const struct stored *cluster)
{
    struct error err;
    jv options;

    if (!t || !t->planned)
        return cluster ? session_job_options_of(a, stored_object(a, cluster)) : ABSENT;
    if (!t->job_options || json_parse(a, t->job_options, strlen(t->job_options), &options, &err))
        return ABSENT;
    return options;
}

bool target_keep_job_options(struct target *t, jv options)
{
    cleanup_arena struct arena a = {0};
    const char *text = jv_present(options) ? json_text(&a, options) : NULL;

    if (str_eq(t->job_options, text))
        return false;
    slab_str_replace(&t->job_options, text);
    return true;
}

static void probe_changed(void *arg)
{
    struct target *t = arg;

    enqueue(t->c, KIND_FLINKDEPLOYMENT, t->key, PRIORITY_NORMAL);
    enqueue_jobs_of(t->c, t->key);
    enqueue_snapshots_in(t->c, t->key);
}

bool target_jobmanager(void *arg, const char *ns, const char *cluster, struct flink_endpoint *ret)
{
    cleanup_free char *key = xasprintf("%s/%s", ns, str_or_empty(cluster));

    return jobmanager_of(arg, key, ret);
}

void target_touched(void *arg, const char *ns, const char *cluster, bool rescaled)
{
    struct controller *c = arg;
    cleanup_free char *key = xasprintf("%s/%s", ns, str_or_empty(cluster));
    struct target *t = strmap_get(&c->kinds[KIND_FLINKDEPLOYMENT].targets, key);

    if (t)
        probe_soon(t->probe, rescaled);
}

void enqueue_jobs_of(struct controller *c, const char *cluster_key)
{
    size_t n;
    const struct stored *const *jobs =
        store_by_index(c->stores[KIND_FLINKSESSIONJOB], cluster_key, &n);

    for (size_t i = 0; i < n; i++)
        enqueue(c, KIND_FLINKSESSIONJOB, jobs[i]->key, PRIORITY_NORMAL);
}

/* ---- life ---- */

struct target *target_get(struct controller *c, enum kube_kind kind, const char *key)
{
    struct target *t = strmap_get(&c->kinds[kind].targets, key);

    if (t)
        return t;
    t = slab_calloc(sizeof(*t));
    *t = (struct target){.c = c, .kind = kind, .key = slab_strdup(key)};
    arena_init_small(&t->outcome_arena, 1000);
    if (kind == KIND_FLINKSESSIONJOB) {
        t->job = job_memory_initial();
    } else if (kind == KIND_FLINKSTATESNAPSHOT) {
        t->snapshot = snapshot_memory_initial();
    } else {
        t->cluster = cluster_memory_initial();
        t->probe = probe_new(c->loop, c->flink, &c->probes,
                             &(struct probe_owner){probe_target, probe_changed, t});
    }
    strmap_put(&c->kinds[kind].targets, key, t);
    return t;
}

void target_free(struct target *t)
{
    execution_free(t->running);
    operator_config_let_go(t->config);
    probe_free(t->probe);
    arena_free(&t->memory_arena);
    arena_free(&t->outcome_arena);
    slab_strfree(t->summary);
    slab_strfree(t->shortage);
    slab_strfree(t->flink_version);
    slab_strfree(t->job_options);
    slab_strfree(t->jm);
    slab_strfree(t->ready_jm);
    slab_strfree(t->submits_to);
    slab_strfree(t->references);
    slab_strfree(t->key);
    slab_free(t, sizeof(*t));
}

void target_drop(struct controller *c, struct target *t)
{
    watches_ask(c, t, 0);
    workqueue_remove(c->kinds[t->kind].queue, t->key);
    strmap_remove(&c->kinds[t->kind].targets, t->key);
    target_free(t);
}
