/* SPDX-License-Identifier: Apache-2.0 */
/* A resource as YAML: read, judged, and a first pass over it. What is refused says where and why,
 * and changes nothing; what is accepted makes objects that are JSON. */
#include <stdint.h>

#include "cluster/status.h"
#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/snapshot.h"
#include "flinkop/yaml.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NS "ns"
#define UID "00000000-0000-0000-0000-000000000001"

/* The resource as the API server would have it. */
static jv stored(struct arena *a, jv doc)
{
    const char *name = JV_STRING(doc, "metadata", "name");
    jv finalizers = JV_PATH(doc, "metadata", "finalizers"), status = jv_get(doc, "status");

    return jv_dup(a,
                  OBJ({"metadata", OBJ({"name", STR(str_or(name, "demo"))}, {"namespace", STR(NS)},
                                       {"uid", STR(UID)}, {"resourceVersion", STR("1")},
                                       {"generation", INT(2)}, {"finalizers", finalizers})},
                      {"spec", jv_get(doc, "spec")}, {"status", status}));
}

/* Written and read again it is the same. */
static void must_be_json(struct arena *a, jv v)
{
    const char *text = json_text(a, v);
    jv back;

    must(!json_parse(a, text, strlen(text), &back, NULL));
    must(!strcmp(json_text(a, back), text));
}

static void must_be_object(struct arena *a, jv v, const char *kind)
{
    must_be_json(a, v);
    must(str_eq(JV_STRING(v, "kind"), kind) && !str_empty(JV_STRING(v, "metadata", "name")) &&
         str_eq(JV_STRING(v, "metadata", "namespace"), NS));
}

/* The main container is there once, and it is ours. */
static void must_be_pod(jv pod, const struct cluster_config *c)
{
    int mains = 0;

    jv_foreach (container, JV_PATH(pod, "spec", "containers")) {
        must(!str_empty(JV_STRING(*container, "name")) &&
             !str_empty(JV_STRING(*container, "image")));
        if (!str_eq(JV_STRING(*container, "name"), MAIN_CONTAINER))
            continue;
        mains++;
        must(str_eq(JV_STRING(*container, "image"), c->image));
        must(JV_STRING(*container, "resources", "requests", "memory") != NULL);
    }
    must(mains == 1);
    must(str_eq(JV_STRING(pod, "metadata", "labels", LABEL_APP), c->name));
}

static void make_objects(struct arena *a, jv cr, const struct cluster_config *c)
{
    const char *name = JV_STRING(cr, "metadata", "name");
    const struct desired_input in = {
        .config = c,
        .cr = {"flink.apache.org/v1beta1", "FlinkDeployment", name, UID},
        .generation = 2,
        .spec_hash = deployment_spec_hash(a, jv_get(cr, "spec")),
    };
    const struct owner owner = {"apps/v1", "Deployment", name, UID};
    jv deployment = desired_jobmanager(a, &in);
    jv pod = desired_taskmanager(a, &in, taskmanager_pod_name(a, name, 1, 1), &owner);
    jv pods = desired_taskmanagers(a, &in, &owner);

    must_be_object(a, deployment, "Deployment");
    must_be_pod(JV_PATH(deployment, "spec", "template"), c);
    must_be_object(a, pod, "Pod");
    must_be_pod(pod, c);
    must_be_object(a, pods, "Deployment");
    must_be_pod(JV_PATH(pods, "spec", "template"), c);
    must_be_object(a, desired_configmap(a, &in), "ConfigMap");
    must_be_object(a, desired_internal_service(a, &in, &owner), "Service");
    must_be_object(a, desired_rest_service(a, &in, &owner), "Service");
    for (enum exposure e = 0; e < EXPOSURE_COUNT; e++)
        must_be_json(a, desired_exposure(a, e, &in));
}

/* What is recorded is read as it was, and is no change. */
static void record_comes_back(struct arena *a, jv spec)
{
    const char *text = record_text(a, spec, true);
    jv cr = OBJ({"status", OBJ({"reconciliationStatus", OBJ({"lastReconciledSpec", STR(text)})})});
    jv back = recorded_spec(a, cr);

    must(jv_equal(back, spec) || !jv_len(spec));
    must(!strcmp(deployment_spec_hash(a, back), deployment_spec_hash(a, spec)));
    must(!strcmp(spec_diff_text(a, "S", spec, back), "S[]"));
}

static void must_be_plan(struct arena *a, const struct plan *plan, bool refused, bool recorded)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct action *act = &plan->actions[i];

        must_be_json(a, act->body);
        if (refused && !recorded) /* nothing is done about it but telling */
            must(act->type == ACT_STATUS || act->type == ACT_EVENT);
    }
}

static void reconcile(struct arena *a, jv cr, bool job, bool refused)
{
    struct cluster_memory cluster_memory = cluster_memory_initial();
    struct job_memory job_memory = job_memory_initial();
    const struct obs_flink flink = {0};
    bool recorded = jv_present(recorded_spec(a, cr));

    if (job) {
        const struct job_snapshot s = {.cr = cr,
                                       .cluster_text = "waiting",
                                       .flink = &flink,
                                       .memory = &job_memory,
                                       .fresh_job_id = "0123456789abcdef0123456789abcdef",
                                       .now = 1000000,
                                       .wall = 1700000000000};
        struct job_plan plan = reconcile_session_job(a, &s);

        must_be_plan(a, &plan.plan, refused, recorded);
    } else {
        const struct cluster_snapshot s = {.cr = cr,
                                           .flink = &flink,
                                           .memory = &cluster_memory,
                                           .now = 1000000,
                                           .wall = 1700000000000};
        struct plan plan = reconcile_cluster(a, &s);

        must_be_plan(a, &plan, refused, recorded);
        must(*plan.summary);
    }
}

/* The same for a FlinkStateSnapshot, whose job may be any. */
static void snapshot(struct arena *a, jv cr)
{
    struct problems strict = PROBLEMS_INIT(a), lenient = PROBLEMS_INIT(a);
    const struct snapshot_memory memory = snapshot_memory_initial();
    const struct obs_flink flink = {0};
    struct snapshot_spec spec;

    snapshot_spec_read(&strict, jv_get(cr, "spec"), true, &spec);
    snapshot_spec_read(&lenient, jv_get(cr, "spec"), false, &spec);
    must_be_told(&strict, "spec", "metadata");
    must_be_told(&lenient, "spec", "metadata");
    must(strict.n || !lenient.n);
    const struct snapshot_situation s = {.cr = cr,
                                         .target = cr,
                                         .flink = &flink,
                                         .memory = &memory,
                                         .fresh_id = "0123456789abcdef0123456789abcdef",
                                         .now = 1000000,
                                         .wall = 1700000000000};
    struct snapshot_plan plan = reconcile_snapshot(a, &s);

    for (size_t i = 0; i < plan.plan.n; i++)
        must_be_json(a, plan.plan.actions[i].body);
}

/* Reads the spec; whether it is right. */
static bool read_spec(struct arena *a, jv cr, bool job, bool strict, struct cluster_config *c,
                      struct deployment_spec *s)
{
    struct problems *p = arena_new(a, struct problems);
    const char *name = JV_STRING(cr, "metadata", "name");
    struct session_job_spec j;
    struct conf conf;

    p->a = a;
    if (job)
        session_job_read(p, NS, jv_get(cr, "spec"), strict, NULL, NULL, ABSENT, &j, &conf);
    else
        cluster_config_read(p, NS, name, jv_get(cr, "spec"), strict, NULL, s, c);
    must_be_told(p, "spec", "metadata");
    return !p->n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    struct deployment_spec s;
    struct cluster_config c;
    struct yaml_doc *docs;
    size_t n;

    if (yaml_parse_all(&a, (const char *)data, size, &docs, &n, NULL) || !n ||
        docs[0].value.type != JV_OBJ)
        return 0;
    bool job = str_eq(JV_STRING(docs[0].value, "kind"), "FlinkSessionJob");
    jv cr = stored(&a, docs[0].value), spec = jv_get(cr, "spec");
    if (str_eq(JV_STRING(docs[0].value, "kind"), "FlinkStateSnapshot")) {
        snapshot(&a, cr);
        return 0;
    }
    bool strict = read_spec(&a, cr, job, true, &c, &s);
    bool accepted = read_spec(&a, cr, job, false, &c, &s);

    must(!strict || accepted);
    if (accepted)
        record_comes_back(&a, spec);
    if (accepted && !job)
        make_objects(&a, cr, &c);
    reconcile(&a, cr, job, !accepted);
    return 0;
}
