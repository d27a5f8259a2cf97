/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes. A TaskManager registers with whatever JobManager its cluster's Service leads to, tries
 * again when that one is gone, and gives up after minutes. A JobManager notices a TaskManager's
 * orderly end at once, its death seconds later.
 */
#include "flink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flinkop/desired.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "nodes.h"

#define LONELY_MS 300000 /* taskmanager.registration.timeout */
#define MAX_PROCESSES 2000

static struct jm *jms[MAX_PROCESSES];
static struct tm *tms[MAX_PROCESSES];
static int n_jms, n_tms, next_id;

/* ---- finding ---- */

struct jm *jm_next(struct jm *prev)
{
    int i = 0;

    if (prev)
        while (jms[i++] != prev)
            ;
    return i < n_jms ? jms[i] : NULL;
}

struct tm *tm_next(struct tm *prev)
{
    int i = 0;

    if (prev)
        while (tms[i++] != prev)
            ;
    return i < n_tms ? tms[i] : NULL;
}

struct jm *jm_by_id(int id)
{
    for (int i = 0; i < n_jms; i++)
        if (jms[i]->id == id)
            return jms[i];
    return NULL;
}

struct jm *jm_by_pod(int pod)
{
    for (int i = 0; i < n_jms; i++)
        if (jms[i]->pod == pod)
            return jms[i];
    return NULL;
}

struct jm *jm_by_ip(const char *ip)
{
    for (int i = 0; i < n_jms; i++)
        if (str_eq(jms[i]->ip, ip))
            return jms[i];
    return NULL;
}

static struct tm *tm_by_id(int id)
{
    for (int i = 0; i < n_tms; i++)
        if (tms[i]->id == id)
            return tms[i];
    return NULL;
}

struct tm *tm_by_pod(int pod)
{
    for (int i = 0; i < n_tms; i++)
        if (tms[i]->pod == pod)
            return tms[i];
    return NULL;
}

struct reg *reg_of(const struct tm *tm)
{
    for (int i = 0; tm->jm && i < tm->jm->n_regs; i++)
        if (tm->jm->regs[i]->tm == tm)
            return tm->jm->regs[i];
    return NULL;
}

/* ---- registration ---- */

static void forget(struct jm *jm, struct reg *reg)
{
    int i = 0;

    jobs_lost(jm, reg);
    while (jm->regs[i] != reg)
        i++;
    jm->regs[i] = jm->regs[--jm->n_regs];
    free(reg->id);
    free(reg);
    jobs_kick(jm);
}

/* The JobManager misses the heartbeats of one that has died. */
static void missed(void *arg)
{
    for (int i = 0; i < n_jms; i++)
        for (int k = 0; k < jms[i]->n_regs; k++)
            if (jms[i]->regs[k]->number == sim_id_of(arg)) {
                forget(jms[i], jms[i]->regs[k]);
                return;
            }
}

static void leave(struct tm *tm, bool orderly)
{
    struct reg *reg = reg_of(tm);

    tm->jm = NULL;
    if (!reg)
        return;
    reg->tm = NULL;
    sim_after(orderly ? between(R_FLINK, 30, 150) : between(R_FLINK, 3 * SECOND, 20 * SECOND),
              missed, sim_id(reg->number));
}

static struct jm *leader(const char *cluster)
{
    struct jm *found = NULL;
    int n = 0;

    if (!api_get(KIND_SERVICE, cluster)) /* the name does not resolve */
        return NULL;
    for (int i = 0; i < n_jms; i++)
        if (jms[i]->up && !jms[i]->stopping && (!jms[i]->app || jms[i]->app->leads) &&
            !strcmp(jms[i]->cluster, cluster) && !any(R_FLINK, ++n))
            found = jms[i];
    return found;
}

static void seek(void *arg)
{
    struct tm *tm = tm_by_id(sim_id_of(arg));
    struct jm *jm = tm ? leader(tm->cluster) : NULL;

    if (!tm || tm->jm || tm->stopping)
        return;
    if (sim.now - tm->lonely_since > LONELY_MS) {
        flink_process_crash(tm->pod, 1, "Error");
        return;
    }
    if (!jm || jm->n_regs == MAX_REGS) {
        sim_after(between(R_FLINK, 400, 1200), seek, arg);
        return;
    }
    check_registration(jm, tm);
    for (int i = 0; i < jm->n_regs; i++) /* its own former registration, if still there */
        if (!strcmp(jm->regs[i]->id, tm->name)) {
            forget(jm, jm->regs[i]);
            break;
        }
    struct reg *reg = xcalloc(1, sizeof(*reg));

    *reg = (struct reg){.tm = tm,
                        .number = ++next_id,
                        .id = xstrdup(tm->name),
                        .slots = tm->slots,
                        .idle_since = sim.now};
    jm->regs[jm->n_regs++] = reg;
    tm->jm = jm;
    TRACE("taskmanager %s registers with %s", tm->name, jm->name);
    jobs_kick(jm);
}

/* ---- starting ---- */

static int slots_of(const struct object *pod)
{
    static const char key[] = "taskmanager.numberOfTaskSlots=";
    int n = 1;

    jv_foreach (c, JV_PATH(pod->at->v, "spec", "containers"))
        jv_foreach (arg, jv_get(*c, "args"))
            if (jv_string(*arg) && str_has_prefix(jv_string(*arg), key) &&
                !str_to_int(jv_string(*arg) + strlen(key), &n))
                sim_fail("%s: slots \"%s\"", pod->name, jv_string(*arg));
    return n;
}

static void rest_up(void *arg)
{
    struct jm *jm = jm_by_id(sim_id_of(arg));

    if (!jm || jm->stopping)
        return;
    jm->up = true;
    TRACE("jobmanager %s is up", jm->name);
    kubelet_process_ready(jm->pod);
    if (jm->app)
        app_up(jm);
}

static const char *image_tag(const struct object *pod)
{
    const char *image = JV_STRING(jv_at(JV_PATH(pod->at->v, "spec", "containers"), 0), "image");

    return str_or_empty(strchr(str_or(image, ":"), ':'));
}

static bool is_native(const struct object *pod)
{
    jv args = jv_get(jv_at(JV_PATH(pod->at->v, "spec", "containers"), 0), "args");

    return str_eq(jv_string(jv_at(args, 1)), "kubernetes-application");
}

static void start_jm(struct object *pod, const struct object *configmap, const char *hash)
{
    struct jm *jm = xcalloc(1, sizeof(*jm));

    CHECK(n_jms < MAX_PROCESSES, "too many JobManagers");
    *jm = (struct jm){.id = ++next_id,
                      .pod = pod->id,
                      .name = xstrdup(pod->name),
                      .uid = xstrdup(pod->uid),
                      .cluster = xstrdup(str_or_empty(object_label(pod, LABEL_APP))),
                      .hash = xstrdup_or_null(hash),
                      .ip = xstrdup(pod_of(pod)->ip),
                      .groups_told = strcmp(image_tag(pod), ":1.18") != 0,
                      .app = app_new(pod, configmap),
                      .adaptive = flink_adaptive(configmap),
                      .native = is_native(pod)};
    jms[n_jms++] = jm;
    check_jobmanager(jm, pod);
    if (jm->native)
        native_start(jm);
    sim_after(between(R_FLINK, 2 * SECOND, 7 * SECOND), rest_up, sim_id(jm->id));
}

static void start_tm(struct object *pod, const char *hash)
{
    struct tm *tm = xcalloc(1, sizeof(*tm));

    CHECK(n_tms < MAX_PROCESSES, "too many TaskManagers");
    *tm = (struct tm){.id = ++next_id,
                      .pod = pod->id,
                      .name = xstrdup(pod->name),
                      .cluster = xstrdup(str_or_empty(object_label(pod, LABEL_APP))),
                      .hash = xstrdup_or_null(hash),
                      .slots = slots_of(pod),
                      .lonely_since = sim.now};
    tms[n_tms++] = tm;
    sim_after(between(R_FLINK, 2 * SECOND, 6 * SECOND), seek, sim_id(tm->id));
}

void flink_process_start(struct object *pod)
{
    cleanup_arena struct arena a = {0};
    const struct object *configmap =
        api_get(KIND_CONFIGMAP,
                arena_printf(&a, "flink-config-%s", str_or_empty(object_label(pod, LABEL_APP))));
    const char *hash = configmap ? object_hash(configmap) : NULL; /* what it reads */

    if (is_jobmanager(pod))
        start_jm(pod, configmap, hash);
    else
        start_tm(pod, hash);
}

/* ---- ending ---- */

static void jm_end(struct jm *jm)
{
    int i = 0;

    jobs_vanish(jm);
    for (int k = 0; k < jm->n_regs; k++) {
        struct reg *reg = jm->regs[k];

        if (reg->tm) { /* it notices and looks for the next one */
            reg->tm->jm = NULL;
            reg->tm->lonely_since = sim.now;
            sim_after(between(R_FLINK, 200, 5 * SECOND), seek, sim_id(reg->tm->id));
        }
        free(reg->id);
        free(reg);
    }
    while (jms[i] != jm)
        i++;
    jms[i] = jms[--n_jms];
    free(jm->name);
    free(jm->uid);
    free(jm->cluster);
    free(jm->hash);
    free(jm->ip);
    free(jm->jars);
    free(jm->deleted_jars);
    free(jm->app);
    free(jm);
}

static void tm_end(struct tm *tm, bool orderly)
{
    int i = 0;

    leave(tm, orderly);
    while (tms[i] != tm)
        i++;
    tms[i] = tms[--n_tms];
    free(tm->name);
    free(tm->cluster);
    free(tm->hash);
    free(tm);
}

void flink_process_kill(int pod)
{
    struct jm *jm = jm_by_pod(pod);
    struct tm *tm = tm_by_pod(pod);

    if (jm)
        jm_end(jm);
    if (tm)
        tm_end(tm, false);
}

void flink_process_crash(int pod, int code, const char *reason)
{
    if (!jm_by_pod(pod) && !tm_by_pod(pod))
        return;
    flink_process_kill(pod);
    kubelet_process_ended(pod, code, reason);
}

static void stopped(void *arg)
{
    int pod = sim_id_of(arg);
    struct tm *tm = tm_by_pod(pod);

    if (!tm && !jm_by_pod(pod))
        return;
    if (tm)
        tm_end(tm, true);
    flink_process_kill(pod);
    kubelet_process_ended(pod, 143, "Error");
}

void flink_process_stop(int pod, int64_t ms)
{
    struct jm *jm = jm_by_pod(pod);
    struct tm *tm = tm_by_pod(pod);

    if (jm)
        jm->stopping = true;
    if (jm && jm->app) /* the first that a JobManager ends */
        jobs_vanish(jm);
    if (tm) {
        tm->stopping = true;
        leave(tm, true);
    }
    sim_after(ms, stopped, sim_id(pod));
}

void flink_release(void)
{
    while (n_jms)
        jm_end(jms[0]);
    while (n_tms) {
        tms[0]->jm = NULL;
        tm_end(tms[0], false);
    }
    app_release();
}
