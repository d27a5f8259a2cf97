/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applications: JobManagers that run one job by themselves. With Kubernetes high availability they
 * keep what outlives them (flink-internals §4): in <cluster>-cluster-config-map who leads and the
 * graph of a job that has not ended, in <cluster>-<job id>-config-map its last checkpoint, and in
 * the storage directory that a job has ended. Only the leader runs the job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/desired.h"
#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/plan.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"
#include "nodes.h"

#define LEASE_MS (15 * SECOND)
#define RENEW_MS (5 * SECOND)

static struct strmap results; /* "<cluster>/<job id>" of jobs that have ended */

/* ---- what is kept ---- */

static const char *lock_name(struct arena *a, const char *cluster)
{
    return arena_printf(a, "%s-cluster-config-map", cluster);
}

static const char *job_name(struct arena *a, const struct jm *jm)
{
    return arena_printf(a, "%s-%s-config-map", jm->cluster, jm->app->wish.jid);
}

static const char *graph_key(struct arena *a, const struct jm *jm)
{
    return arena_printf(a, "%s-%s", jm->groups_told ? "executionPlan" : "jobGraph",
                        jm->app->wish.jid);
}

static const char *result_key(struct arena *a, const struct jm *jm)
{
    return arena_printf(a, "%s/%s", jm->cluster, jm->app->wish.jid);
}

static void write_kept(const char *cluster, const char *name, jv annotations, jv data)
{
    bool there = api_get(KIND_HA, name) != NULL;
    jv labels = OBJ({LABEL_APP, STR(cluster)}, {LABEL_TYPE, STR(TYPE_NATIVE)});
    jv body = OBJ(
        {"apiVersion", STR("v1")}, {"kind", STR("ConfigMap")},
        {"metadata", OBJ({"name", STR(name)}, {"labels", labels}, {"annotations", annotations})},
        {"data", data});
    struct version *v = NULL;
    struct error err;

    if (there ? api_patch(BY_SYSTEM, KIND_HA, name, NULL, body, &v, &err)
              : api_create(BY_SYSTEM, KIND_HA, body, &v, &err))
        sim_fail("%s: %s", name, err.text);
    version_unref(v);
}

static void remove_kept(const char *name)
{
    struct object *o = api_get(KIND_HA, name);

    if (o)
        api_remove(o);
}

static int64_t number_in(const char *name, const char *key)
{
    const struct object *o = api_get(KIND_HA, name);
    const char *text = o ? JV_STRING(o->at->v, "data", key) : NULL;
    int64_t n = -1;

    CHECK(!text || str_to_int64(text, &n), "%s: %s is %s", name, key, text);
    return n;
}

void app_checkpoint(struct fjob *j)
{
    cleanup_arena struct arena a = {0};
    const struct app *app = j->jm->app;

    if (!app || !app->ha || !app->leads || j->checkpoint < 0 || strcmp(app->wish.jid, j->jid))
        return;
    write_kept(j->jm->cluster, job_name(&a, j->jm), ABSENT,
               OBJ({"checkpointID-1", STR(arena_printf(&a, "%lld", (long long)j->checkpoint))}));
}

void app_ended(struct fjob *j)
{
    cleanup_arena struct arena a = {0};
    const struct app *app = j->jm->app;

    if (!app || !app->ha || strcmp(app->wish.jid, j->jid))
        return;
    strmap_put(&results, result_key(&a, j->jm), &results);
    remove_kept(job_name(&a, j->jm));
    write_kept(j->jm->cluster, lock_name(&a, j->jm->cluster), ABSENT,
               OBJ({graph_key(&a, j->jm), NULLV}));
}

void app_keep_all(const char *cluster)
{
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        for (int i = 0; i < jm->n_jobs && !strcmp(jm->cluster, cluster); i++)
            if (!job_state_terminal(jm->jobs[i]->state)) {
                job_checkpoint(jm->jobs[i]);
                app_checkpoint(jm->jobs[i]);
            }
}

static const char *graph_text(struct arena *a, const struct jm *jm, int parallelism)
{
    return arena_printf(a, "%s/%d", str_or_empty(jm->hash), parallelism);
}

static void keep_graph(const struct jm *jm, int parallelism)
{
    cleanup_arena struct arena a = {0};

    write_kept(jm->cluster, lock_name(&a, jm->cluster), ABSENT,
               OBJ({graph_key(&a, jm), STR(graph_text(&a, jm, parallelism))}));
}

void app_rescaled(struct fjob *j)
{
    const struct app *app = j->jm->app;

    if (app && app->ha && app->leads && !strcmp(app->wish.jid, j->jid))
        keep_graph(j->jm, j->parallelism);
}

/* ---- its job ---- */

/* Where the job begins: the graph that is kept is of this very run, or the job is submitted anew;
 * either way with the last checkpoint that is kept. */
static int64_t recover(struct jm *jm, int *parallelism)
{
    cleanup_arena struct arena a = {0};
    const struct object *lock = api_get(KIND_HA, lock_name(&a, jm->cluster));
    const char *graph = lock ? JV_STRING(lock->at->v, "data", graph_key(&a, jm)) : NULL;
    int64_t kept = number_in(job_name(&a, jm), "checkpointID-1");

    if (graph)
        CHECK(str_to_int(str_or_empty(strrchr(graph, '/')) + 1, parallelism) &&
                  str_eq(graph, graph_text(&a, jm, *parallelism)),
              "JobManager %s runs the job of another specification", jm->name);
    keep_graph(jm, *parallelism);
    if (kept < 0)
        write_kept(jm->cluster, job_name(&a, jm), ABSENT, ABSENT);
    return kept < 0 ? jm->app->wish.base : kept;
}

static void run_main(void *arg)
{
    cleanup_arena struct arena a = {0};
    struct jm *jm = jm_by_id(sim_id_of(arg));
    struct job_wish wish;

    if (!jm || jm->stopping)
        return;
    if (strmap_get(&results, result_key(&a, jm))) {
        TRACE("flink %s: its job %.8s has ended", jm->cluster, jm->app->wish.jid);
        return;
    }
    wish = jm->app->wish;
    if (jm->app->ha && !wish.stillborn)
        wish.base = recover(jm, &wish.parallelism);
    (void)job_submit(jm, &wish);
}

/* ---- who leads ---- */

static void serve(struct jm *jm)
{
    jm->app->leads = true;
    TRACE("jobmanager %s leads", jm->name);
    sim_after(skewed(R_FLINK, 200, 5 * SECOND), run_main, sim_id(jm->id));
}

/* Holder and last renewal; the holder is empty when the lock is free. */
static const char *holder(struct arena *a, const char *cluster, int64_t *ret_renewed,
                          int64_t *ret_transitions)
{
    const struct object *o = api_get(KIND_HA, lock_name(a, cluster));
    const char *text = o ? JV_STRING(o->at->v, "metadata", "annotations", HA_LEADER_ANNOTATION)
                         : NULL;
    struct error err;
    jv record;

    *ret_renewed = 0;
    *ret_transitions = -1;
    if (!text)
        return "";
    if (json_parse(a, text, strlen(text), &record, &err))
        sim_fail("%s: the leader is said to be %s", o->name, text);
    *ret_renewed = jv_int64_or(jv_get(record, "renewTime"), 0);
    *ret_transitions = jv_int64_or(jv_get(record, "leaderTransitions"), -1);
    CHECK(*ret_transitions >= 0, "%s: the leader is said to be %s", o->name, text);
    return str_or_empty(JV_STRING(record, "holderIdentity"));
}

static const char *identity(struct arena *a, const struct jm *jm)
{
    return arena_printf(a, "jm-%d", jm->id);
}

static void write_lock(struct jm *jm, int64_t transitions)
{
    cleanup_arena struct arena a = {0};
    jv record = OBJ({"holderIdentity", STR(identity(&a, jm))}, {"renewTime", INT(sim.now)},
                    {"leaderTransitions", INT(transitions)});

    write_kept(jm->cluster, lock_name(&a, jm->cluster),
               OBJ({HA_LEADER_ANNOTATION, STR(json_text(&a, record))}), ABSENT);
}

static void renew(void *arg)
{
    cleanup_arena struct arena a = {0};
    struct jm *jm = jm_by_id(sim_id_of(arg));
    int64_t renewed, transitions;

    if (!jm || jm->stopping)
        return;
    if (!str_eq(holder(&a, jm->cluster, &renewed, &transitions), identity(&a, jm))) {
        TRACE("jobmanager %s does not lead any more", jm->name);
        flink_process_crash(jm->pod, 2, "Error");
        return;
    }
    write_lock(jm, transitions);
    sim_after(RENEW_MS, renew, arg);
}

static void contend(void *arg)
{
    cleanup_arena struct arena a = {0};
    struct jm *jm = jm_by_id(sim_id_of(arg));
    int64_t renewed, transitions;

    if (!jm || jm->stopping)
        return;
    if (*holder(&a, jm->cluster, &renewed, &transitions) && sim.now < renewed + LEASE_MS) {
        sim_after(between(R_FLINK, SECOND, RENEW_MS), contend, arg);
        return;
    }
    write_lock(jm, transitions + 1);
    sim_after(RENEW_MS, renew, arg);
    serve(jm);
}

void app_up(struct jm *jm)
{
    if (jm->app->ha)
        contend(sim_id(jm->id));
    else
        serve(jm);
}

/* ---- what its arguments say ---- */

static const char *after(jv args, const char *option)
{
    bool now = false;

    jv_foreach (arg, args) {
        if (now)
            return jv_string(*arg);
        now = str_eq(jv_string(*arg), option);
    }
    return NULL;
}

static int number_after(jv args, const char *option, int fallback)
{
    const char *text = after(args, option);
    int n = fallback;

    CHECK(!text || str_to_int(text, &n), "%s %s", option, text);
    return n;
}

static const char *property(jv args, const char *name)
{
    jv_foreach (arg, args) {
        const char *text = str_skip_prefix(str_or_empty(jv_string(*arg)), name);

        if (text && *text == '=')
            return text + 1;
    }
    return NULL;
}

/* Of StandaloneApplicationClusterEntryPoint as an option, else as a property. */
static const char *told(jv args, const char *option, const char *key)
{
    return str_or(after(args, option), property(args, key));
}

/* The job's own arguments. */
static jv job_args(struct arena *a, jv args)
{
    const char *text = property(args, "$internal.application.program-args");
    struct conf conf = CONF_INIT(a);
    struct error err;

    if (!text)
        return args; /* they stand behind the entrypoint's */
    conf_set(&conf, "args", text);
    CHECK(!conf_list(&conf, "args", &args, &err), "%s", err.text);
    return args;
}

int job_overridden(const char *overrides, int fallback)
{
    cleanup_arena struct arena a = {0};
    int n = fallback;

    if (overrides) {
        overrides += FLINK_ID_LEN + 1;
        CHECK(str_to_int(arena_strndup(&a, overrides, strcspn(overrides, ",\n")), &n),
              "overrides: %s", overrides);
    }
    return n;
}

bool flink_adaptive(const struct object *configmap)
{
    const char *conf = configmap ? JV_STRING(configmap->at->v, "data", "flink-conf.yaml") : NULL;

    return conf && strstr(conf, "jobmanager.scheduler: adaptive");
}

struct app *app_new(const struct object *pod, const struct object *configmap)
{
    cleanup_arena struct arena a = {0};
    jv args = jv_get(jv_at(JV_PATH(pod->at->v, "spec", "containers"), 0), "args");
    const char *jid = told(args, "--job-id", "$internal.pipeline.job-id"),
               *kind = told(args, "--job-classname", "$internal.application.main"),
               *path = told(args, "--fromSavepoint", "execution.state-recovery.path");
    const char *conf =
        configmap ? str_or_empty(JV_STRING(configmap->at->v, "data", "flink-conf.yaml")) : "";
    const char *overrides = strstr(conf, FLINK_OVERRIDES_KEY ": ");
    struct app *app;

    if (!jid)
        return NULL;
    overrides = overrides ? overrides + strlen(FLINK_OVERRIDES_KEY ": ") : NULL;
    app = xcalloc(1, sizeof(*app));
    snprintf(app->jid, sizeof(app->jid), "%s", jid);
    app->ha = property(args, "job-result-store.storage-path") != NULL;
    app->wish = (struct job_wish){
        .jid = app->jid,
        .parallelism =
            job_overridden(overrides, number_after(job_args(&a, args), "--parallelism", 1)),
        .second = str_eq(kind, "Wide"),
        .batch = str_eq(kind, "Batch"),
        .ours = true,
        .adaptive = flink_adaptive(configmap),
        .stillborn = str_eq(kind, "Bad"),
        .base = state_of_path(str_or(path, property(args, "execution.savepoint.path"))),
        .work = str_eq(kind, "Batch") ? between(R_FLINK, 20, 200) * SECOND : -1,
    };
    return app;
}

void app_release(void)
{
    strmap_release(&results);
}
