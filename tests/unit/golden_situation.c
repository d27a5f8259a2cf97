/* SPDX-License-Identifier: Apache-2.0 */
#include "golden_situation.h"

#include <string.h>

#include "action_names.h"
#include "flinkop/clock.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_reply.h"
#include "flinkop/str.h"

/* ---- the situation ---- */

jv situation_object(const struct situation *s, const char *kind, const char *name)
{
    jv_foreach (o, jv_get(s->doc, "objects"))
        if (str_eq(JV_STRING(*o, "kind"), kind) &&
            (!name || str_eq(JV_STRING(*o, "metadata", "name"), name)))
            return *o;
    return ABSENT;
}

static void read_details(struct situation *s, struct obs_job *job)
{
    jv body = jv_get(JV_PATH(s->doc, "flink", "details"), job->job.id);
    struct flink_job_detail d;
    struct error err;

    if (!jv_present(body))
        return;
    ck_assert_msg(!flink_decode_job_detail(s->a, body, &d, &err), "%s", err.text);
    job->has_detail = d.n_vertices > 0;
    job->batch = d.batch;
    job->slots_needed = job_slots(&d, &job->slots_needed_max);
}

static void read_flink(struct situation *s)
{
    jv f = jv_get(s->doc, "flink");
    const char *trouble = JV_STRING(f, "unreachable");
    struct flink_job *jobs = NULL;
    struct flink_overview overview;
    struct error err;

    if (!jv_present(f))
        return;
    s->flink.known = JV_STRING(f, "jm") != NULL;
    s->flink.jm = JV_STRING(f, "jm");
    s->flink.reachable = !trouble;
    s->flink.error = trouble;
    s->flink.at = jv_int64_or(jv_get(f, "at"), s->now - 100);
    s->flink.since = jv_int64_or(jv_get(f, "since"), 1);
    if (jv_present(jv_get(f, "overview"))) {
        ck_assert_msg(!flink_decode_overview(s->a, jv_get(f, "overview"), &overview, &err), "%s",
                      err.text);
        s->flink.version = overview.version;
        s->flink.commit = overview.commit;
    }
    if (jv_present(jv_get(f, "jobs")))
        ck_assert_msg(!flink_decode_jobs(s->a, jv_get(f, "jobs"), &jobs, &s->flink.n_jobs, &err),
                      "%s", err.text);
    s->flink.jobs = arena_new_array(s->a, struct obs_job, s->flink.n_jobs + 1);
    for (size_t i = 0; i < s->flink.n_jobs; i++) {
        s->flink.jobs[i].job = jobs[i];
        read_details(s, &s->flink.jobs[i]);
    }
    if (jv_present(jv_get(f, "taskmanagers")))
        ck_assert_msg(!flink_decode_taskmanagers(s->a, jv_get(f, "taskmanagers"), &s->flink.tms,
                                                 &s->flink.n_tms, &err),
                      "%s", err.text);
}

/* That of an outcome which names none is the recorded one. */
static const char *trigger_of(const struct situation *s, enum action_type type, jv outcome)
{
    bool checkpoint = type == ACT_FIND_CHECKPOINT || type == ACT_TAKE_CHECKPOINT;
    jv cr = jv_at(jv_get(s->doc, "objects"), 0);

    return str_or(JV_STRING(outcome, "trigger"),
                  JV_STRING(cr, "status", "jobStatus",
                            checkpoint ? "checkpointInfo" : "savepointInfo", "triggerId"));
}

static void read_outcomes(struct situation *s)
{
    jv list = jv_get(s->doc, "outcomes");

    s->outcomes = arena_new_array(s->a, struct outcome, jv_len(list) + 1);
    jv_foreach (o, list) {
        struct outcome *out = &s->outcomes[s->n_outcomes++];
        int type = str_index(action_names, ARRAY_SIZE(action_names), JV_STRING(*o, "action"));
        const struct kube_resource *res =
            kube_resource_of(str_or(JV_STRING(*o, "apiVersion"), "v1"), JV_STRING(*o, "kind"));
        const char *error = JV_STRING(*o, "error");

        ck_assert_msg(type >= 0, "unknown action %s", str_or_empty(JV_STRING(*o, "action")));
        *out = (struct outcome){.type = (enum action_type)type,
                                .kind = res ? res->id : KIND_FLINKSESSIONJOB,
                                .name = JV_STRING(*o, "name"),
                                .job_id = JV_STRING(*o, "jobId"),
                                .trigger = trigger_of(s, (enum action_type)type, *o),
                                .fresh = jv_bool_or(jv_get(*o, "fresh"), false),
                                .ok = !error,
                                .found = jv_bool_or(jv_get(*o, "found"), false),
                                .done = jv_bool_or(jv_get(*o, "done"), false),
                                .text = JV_STRING(*o, "text"),
                                .taken_ms = jv_int64_or(jv_get(*o, "takenMs"), -1),
                                .checkpoint_ms = jv_int64_or(jv_get(*o, "takenMs"), -1),
                                .restarts = jv_int64_or(jv_get(*o, "restarts"), -1),
                                .checkpoints = jv_int64_or(jv_get(*o, "checkpoints"), -1),
                                .pending_ms = jv_int64_or(jv_get(*o, "pendingMs"), -1)};
        if (!error)
            continue;
        error_set(&out->error, ERR_SERVER, "%s", error);
        out->error.http = (int)jv_int64_or(jv_get(*o, "http"), 0);
        for (int code = ERR_NONE; code <= ERR_INTERNAL; code++)
            if (str_eq(errc_name((enum errc)code), JV_STRING(*o, "code")))
                out->error.code = (enum errc)code;
    }
}

/* What the Deployment was made for, going by its arguments, if that is the spec as it is. */
static const char *started_hash(struct arena *a, jv objects)
{
    struct obs_deployment d = {0};

    jv_foreach (o, objects)
        if (str_eq(JV_STRING(*o, "kind"), "Deployment"))
            obs_deployment_read(a, *o, &d);
    return application_hash(a, deployment_spec_hash(a, jv_get(jv_at(objects, 0), "spec")), d.job_id,
                            d.job_path);
}

/* Marks are "current", "as-written": by a former version, or "as-started". */
static jv expand(struct arena *a, jv object, jv objects, const char *hash, const char *former)
{
    static const char *const recorded[] = {"status", "reconciliationStatus", "lastReconciledSpec",
                                           NULL};
    static const char *const annotation[] = {"metadata", "annotations", "flink-operator/spec-hash",
                                             NULL};

    if (str_eq(jv_string(jv_path(object, recorded)), "current"))
        object = jv_set_path(
            a, object, recorded,
            STR(json_text(
                a, OBJ({"spec", jv_get(object, "spec")},
                       {"resource_metadata", OBJ({"apiVersion", STR("flink.apache.org/v1beta1")},
                                                 {"firstDeployment", BOOL(true)})}))));
    if (str_eq(jv_string(jv_path(object, annotation)), "current"))
        object = jv_set_path(a, object, annotation, STR(hash));
    if (str_eq(jv_string(jv_path(object, annotation)), "as-written"))
        object = jv_set_path(a, object, annotation, STR(former));
    if (str_eq(jv_string(jv_path(object, annotation)), "as-started"))
        object = jv_set_path(a, object, annotation, STR(started_hash(a, objects)));
    return object;
}

/* Where the case is about a rehearsal, what runs is what is recorded. */
static jv spec_that_runs(struct arena *a, jv doc, jv cr)
{
    const char *text = JV_STRING(cr, "status", "reconciliationStatus", "lastReconciledSpec");
    jv recorded;
    struct error err;

    if (!jv_present(jv_get(doc, "rehearsal")))
        return jv_get(cr, "spec");
    ck_assert_msg(!json_parse(a, text, strlen(text), &recorded, &err), "%s", err.text);
    return jv_get(recorded, "spec");
}

static char *recorded_hash(struct arena *a, jv cr, char *(*spec_hash)(struct arena *, jv))
{
    jv recon = JV_PATH(cr, "status", "reconciliationStatus");
    const char *text = str_has_prefix(str_or_empty(JV_STRING(recon, "state")), "ROLL")
                           ? JV_STRING(recon, "lastStableSpec")
                           : JV_STRING(recon, "lastReconciledSpec");
    const char *started = JV_STRING(cr, "status", "startedSpecHash");
    jv js = JV_PATH(cr, "status", "jobStatus"), recorded = ABSENT;
    struct error err;

    if (started)
        return arena_strdup(a, started);
    if (text && *text == '{')
        ck_assert_msg(!json_parse(a, text, strlen(text), &recorded, &err), "%s", err.text);
    return application_hash(a, spec_hash(a, jv_get(recorded, "spec")), JV_STRING(js, "jobId"),
                            JV_STRING(js, "upgradeSavepointPath"));
}

jv situation_expand(struct arena *a, jv doc)
{
    jv objects = jv_get(doc, "objects");
    jv cr = jv_at(objects, 0);
    bool application = jv_present(JV_PATH(cr, "spec", "job"));
    char *hash = application ? recorded_hash(a, cr, deployment_spec_hash)
                             : deployment_spec_hash(a, spec_that_runs(a, doc, cr));
    char *former = application ? recorded_hash(a, cr, deployment_spec_hash_as_written) : NULL;
    struct jv_list list = JV_LIST(a);

    jv_foreach (o, objects)
        jv_list_add(&list, expand(a, *o, objects, hash, former));
    return jv_set(a, doc, "objects", jv_list_arr(&list));
}

void situation_read(struct situation *s)
{
    s->now = jv_int64_or(jv_get(s->doc, "now"), 1000000);
    ck_assert(rfc3339_parse(str_or(JV_STRING(s->doc, "wall"), "2026-01-01T00:00:00Z"), &s->wall));
    read_flink(s);
    read_outcomes(s);
}

/* ---- snapshots, built from the objects as the stores would ---- */

static const struct obs_meta *meta(struct situation *s, const char *kind, const char *name)
{
    jv o = situation_object(s, kind, name);
    struct obs_meta *m = arena_new(s->a, struct obs_meta);

    if (!jv_present(o))
        return NULL;
    obs_meta_read(s->a, o, m);
    return m;
}

/* `served: {Route: false}`: whether the API server has an optional kind, or, as text, why that is
 * not known; "" is not yet. It has all that are not named. */
static void add_exposure(struct situation *s, const char *cluster, struct cluster_snapshot *snap)
{
    for (enum exposure e = 0; e < EXPOSURE_COUNT; e++) {
        const char *kind = kube_resource(exposure_kind(e))->kind;
        jv served = jv_get(jv_get(s->doc, "served"), kind);
        jv o = situation_object(s, kind, exposure_name(s->a, e, cluster));
        struct obs_exposure *object = arena_new(s->a, struct obs_exposure);
        struct exposure_view *v = &snap->exposure[e];

        if (served.type == JV_STR) {
            v->error = *served.s ? served.s : NULL;
            continue;
        }
        v->served = jv_bool_or(served, true) ? SERVED_YES : SERVED_NO;
        if (v->served == SERVED_NO || !jv_present(o))
            continue;
        obs_exposure_read(s->a, o, object);
        v->object = object;
    }
}

static const struct obs_reference *find_reference(void *arg, enum kube_kind kind, const char *name)
{
    struct situation *s = arg;
    struct obs_reference *r = arena_new(s->a, struct obs_reference);
    jv o = situation_object(s, kube_resource(kind)->kind, name);

    if (!jv_present(o))
        return NULL;
    obs_reference_read(s->a, o, r);
    return r;
}

/* `served: {Secret: "…"}` as above; Secrets and ConfigMaps of any name are among the objects. */
static void add_references(struct situation *s, struct cluster_snapshot *snap)
{
    struct reference_view *v = &snap->references;

    for (size_t i = 0; i < REFERENCE_KINDS; i++) {
        jv served = jv_get(jv_get(s->doc, "served"), kube_resource(reference_kinds[i])->kind);

        v->served[i] = served.type == JV_STR ? SERVED_UNKNOWN : SERVED_YES;
        v->error[i] = served.type == JV_STR && *served.s ? served.s : NULL;
    }
    v->get = find_reference;
    v->arg = s;
}

static void add_pods(struct situation *s, struct cluster_snapshot *snap)
{
    jv objects = jv_get(s->doc, "objects");
    const struct obs_pod **jm = arena_new_array(s->a, const struct obs_pod *, jv_len(objects) + 1);
    const struct obs_pod **tm = arena_new_array(s->a, const struct obs_pod *, jv_len(objects) + 1);

    jv_foreach (o, objects) {
        struct obs_pod *pod = arena_new(s->a, struct obs_pod);

        if (!str_eq(JV_STRING(*o, "kind"), "Pod"))
            continue;
        obs_pod_read(s->a, *o, pod);
        if (str_eq(pod->meta.component, "jobmanager"))
            jm[snap->n_jm_pods++] = pod;
        else
            tm[snap->n_tm_pods++] = pod;
    }
    snap->jm_pods = jm;
    snap->tm_pods = tm;
}

static void add_jobs(struct situation *s, struct cluster_snapshot *snap)
{
    jv objects = jv_get(s->doc, "objects");
    const struct obs_session_job **jobs =
        arena_new_array(s->a, const struct obs_session_job *, jv_len(objects) + 1);

    jv_foreach (o, objects) {
        struct obs_session_job *job = arena_new(s->a, struct obs_session_job);

        if (!str_eq(JV_STRING(*o, "kind"), "FlinkSessionJob"))
            continue;
        obs_session_job_read(s->a, *o, job);
        jobs[snap->n_jobs++] = job;
    }
    snap->jobs = jobs;
}

const struct flink_defaults *situation_defaults(struct situation *s)
{
    const char *text = str_or_empty(JV_STRING(s->doc, "operatorConfiguration"));
    const struct flink_defaults *d;
    struct error err;

    ck_assert_msg(!flink_defaults_read(s->a, "flink-conf.yaml", text, strlen(text), &d, &err), "%s",
                  err.text);
    return d;
}

/* What a change brings has been taken by the API server in a dry run before, unless the case is
 * about that: `rehearsal: asks` is the pass that asks, `rehearsal: asked` the one after it. */
static struct plan reconcile_rehearsed(struct situation *s, const struct cluster_snapshot *snap)
{
    const char *about = str_or_empty(JV_STRING(s->doc, "rehearsal"));
    struct cluster_snapshot then = *snap;
    struct cluster_memory memory = *snap->memory;
    struct rehearsal_notes notes;

    then.n_outcomes = strcmp(about, "asked") ? snap->n_outcomes : 0;
    struct plan plan = reconcile_cluster(s->a, &then);

    notes = plan.memory.rehearsal;
    if (!notes.of || !strcmp(about, "asks"))
        return plan;
    memory.rehearsal = notes;
    memory.rehearsal.taken |= strcmp(about, "asked") != 0;
    then.memory = &memory;
    then.n_outcomes = snap->n_outcomes;
    return reconcile_cluster(s->a, &then);
}

/* An answer about high availability that counts is one that was asked for in this situation. */
static struct ha_notes asked_before(struct situation *s, const struct cluster_snapshot *now)
{
    struct outcome *others = arena_new_array(s->a, struct outcome, s->n_outcomes + 1);
    struct cluster_snapshot before = *now;

    before.outcomes = others;
    before.n_outcomes = 0;
    for (size_t i = 0; i < s->n_outcomes; i++)
        if (s->outcomes[i].type != ACT_READ_HA)
            others[before.n_outcomes++] = s->outcomes[i];
    return before.n_outcomes < s->n_outcomes ? reconcile_rehearsed(s, &before).memory.ha
                                             : now->memory->ha;
}

static const struct obs_deployment *deployment_of(struct situation *s, const char *name)
{
    struct obs_deployment *d = arena_new(s->a, struct obs_deployment);
    jv o = situation_object(s, "Deployment", name);

    if (!jv_present(o))
        return NULL;
    obs_deployment_read(s->a, o, d);
    return d;
}

/* `served: {FlinkStateSnapshot: false}`: the API server does not have the kind. */
static struct snapshot_list snapshots_of(struct situation *s, jv cr)
{
    jv objects = jv_get(s->doc, "objects");
    const struct obs_snapshot **list =
        arena_new_array(s->a, const struct obs_snapshot *, jv_len(objects) + 1);
    struct snapshot_list ret = {.items = list};

    ret.absent = !jv_bool_or(JV_PATH(s->doc, "served", "FlinkStateSnapshot"), true);
    jv_foreach (o, objects) {
        struct obs_snapshot *view = arena_new(s->a, struct obs_snapshot);

        if (!str_eq(JV_STRING(*o, "kind"), "FlinkStateSnapshot"))
            continue;
        obs_snapshot_read(s->a, *o, view);
        if (str_eq(view->job_name, JV_STRING(cr, "metadata", "name")) &&
            str_eq(JV_STRING(*o, "spec", "jobReference", "kind"), JV_STRING(cr, "kind")))
            list[ret.n++] = view;
    }
    return ret;
}

static struct plan plan_cluster(struct situation *s, jv cr)
{
    const char *name = JV_STRING(cr, "metadata", "name");
    struct cluster_memory memory = cluster_memory_initial();
    struct cluster_snapshot snap = {
        .cr = cr,
        .defaults = situation_defaults(s),
        .deployment = deployment_of(s, name),
        .tm_deployment = deployment_of(s, arena_printf(s->a, "%s-taskmanager", name)),
        .configmap = meta(s, "ConfigMap", arena_printf(s->a, "flink-config-%s", name)),
        .internal_service = meta(s, "Service", name),
        .rest_service = meta(s, "Service", arena_printf(s->a, "%s-rest", name)),
        .fresh_job_id = "0123456789abcdef0123456789abcdef",
        .operator_ns = JV_STRING(s->doc, "operatorNamespace"),
        .flink = &s->flink,
        .snapshots = snapshots_of(s, cr),
        .outcomes = s->outcomes,
        .n_outcomes = s->n_outcomes,
        .memory = &memory,
        .now = s->now,
        .wall = s->wall,
    };

    add_exposure(s, name, &snap);
    add_references(s, &snap);
    add_pods(s, &snap);
    add_jobs(s, &snap);
    if (s->carried) {
        snap.memory = s->carried;
        snap.n_outcomes = 0;
        return reconcile_rehearsed(s, &snap);
    }
    /* Waiting times need a first look: the case says how long ago that was. */
    int64_t before = jv_int64_or(jv_get(s->doc, "firstLook"), 0);
    snap.now -= before;
    memory = situation_cluster_memory(s, cr);
    memory.ha = asked_before(s, &snap);
    memory.ha.put = jv_bool_or(JV_PATH(s->doc, "memory", "startPut"), false);
    if (before) {
        memory = reconcile_rehearsed(s, &snap).memory;
        snap.now += before;
    }
    return reconcile_rehearsed(s, &snap);
}

static struct plan plan_job(struct situation *s, jv cr)
{
    jv cluster = jv_get(s->doc, "cluster");
    struct job_memory memory = situation_job_memory(s, cr);
    struct job_snapshot snap = {
        .cr = cr,
        .defaults = situation_defaults(s),
        .cluster_exists = jv_present(cluster),
        .cluster_ready = jv_bool_or(jv_get(cluster, "ready"), false),
        .cluster_releasing = jv_bool_or(jv_get(cluster, "releasing"), false),
        .cluster_busy = jv_bool_or(jv_get(cluster, "busy"), false),
        .cluster_rescales = jv_bool_or(jv_get(cluster, "rescales"), false),
        .cluster_ended = jv_bool_or(jv_get(cluster, "ended"), false),
        .cluster_text = str_or(JV_STRING(cluster, "text"), "waiting for the cluster"),
        .cluster_shortage = JV_STRING(cluster, "shortage"),
        .cluster_options = jv_get(cluster, "options"),
        .flink_version_name = JV_STRING(cluster, "flinkVersion"),
        .flink = &s->flink,
        .snapshots = snapshots_of(s, cr),
        .outcomes = s->outcomes,
        .n_outcomes = s->n_outcomes,
        .memory = &memory,
        .fresh_job_id = "0123456789abcdef0123456789abcdef",
        .now = s->now,
        .wall = s->wall,
    };
    int64_t before = jv_int64_or(jv_get(s->doc, "firstLook"), 0);

    if (before) {
        snap.now -= before;
        memory = reconcile_session_job(s->a, &snap).memory;
        snap.now += before;
    }
    struct job_plan found = reconcile_session_job(s->a, &snap);

    ck_assert_int_eq(found.held, jv_bool_or(jv_get(s->doc, "held"), false));
    return found.plan;
}

/* The job's resource is one of the other objects; `cluster` is about the one in which it runs. */
static struct plan plan_snapshot(struct situation *s, jv cr)
{
    jv job = JV_PATH(cr, "spec", "jobReference"), cluster = jv_get(s->doc, "cluster");
    const char *name = JV_STRING(job, "name");
    jv target = name ? situation_object(s, str_or_empty(JV_STRING(job, "kind")), name) : ABSENT;
    struct snapshot_memory memory = situation_snapshot_memory(s);
    struct snapshot_situation snap = {
        .cr = cr,
        .defaults = situation_defaults(s),
        .target = target,
        .cluster = JV_STRING(cluster, "name"),
        .cluster_exists = jv_present(cluster) && !jv_bool_or(jv_get(cluster, "gone"), false),
        .cluster_ended = jv_bool_or(jv_get(cluster, "ended"), false),
        .cluster_options = jv_get(cluster, "options"),
        .flink_version_name = JV_STRING(cluster, "flinkVersion"),
        .flink = &s->flink,
        .busy = JV_STRING(s->doc, "busy"),
        .fresh_id = "0123456789abcdef0123456789abcdef",
        .outcomes = s->outcomes,
        .n_outcomes = s->n_outcomes,
        .memory = &memory,
        .now = s->now,
        .wall = s->wall,
    };

    struct snapshot_plan found = reconcile_snapshot(s->a, &snap);

    ck_assert_int_eq(found.begins, jv_bool_or(jv_get(s->doc, "begins"), false));
    return found.plan;
}

struct plan situation_plan(struct situation *s, jv cr)
{
    const char *kind = JV_STRING(cr, "kind");

    if (str_eq(kind, "FlinkDeployment"))
        return plan_cluster(s, cr);
    return str_eq(kind, "FlinkStateSnapshot") ? plan_snapshot(s, cr) : plan_job(s, cr);
}
