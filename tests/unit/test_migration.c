/* SPDX-License-Identifier: Apache-2.0 */
/* What `migrate` says of the situations of the golden cases takeover-*, and what is in the way. */
#include <string.h>

#include "flinkop/file.h"
#include "flinkop/mem.h"
#include "flinkop/migration.h"
#include "flinkop/str.h"
#include "golden_situation.h"

#define FOLDER "tests/golden/reconcile/takeover-"

static const struct {
    const char *file, *verdict;
    const char *note; /* a part of one; NULL: there is none */
} cases[] = {
    {"01-native-session", "adopted", "until the next change that restarts it"},
    {"03-native-last-state-1-7", "adopted", "spec.allocator.type: Flink keeps it so"},
    {"04-native-savepoint-1-0", "adopted", "until the next change"},
    {"05-standalone-last-state", "adopted", NULL},
    {"06-standalone-session-1-7", "adopted", NULL},
    {"07-native-stateless-0-1", "adopted", "until the next change"},
    {"09-written-otherwise", "adopted", "until the next change"},
    {"11-rolled-back", "adopted", "until the next change"},
    {"12-deployment-gone", "continued", NULL},
    {"26-change-both-at-once", "changed", "image : flink:1.20 -> flink:1.20-new"},
    {"27-change-session", "changed", "image : flink:1.20 -> flink:1.20-new"},
    {"30-upgrading-savepoint", "continued", NULL},
    {"31-upgrading-savepoint-left", "continued", "until the next change"},
    {"35-upgrading-deployed", "adopted", "until the next change"},
    {"37-first-recorded", "continued", NULL},
    {"40-suspended-last-state", "suspended", NULL},
    {"42-resumed", "continued", NULL},
    {"50-job", "adopted", "its JAR is of the image (local://)"},
    {"53-job-change", "changed", "job.parallelism : 2 -> 4"},
    {"54-job-upgrading", "continued", "its JAR is of the image (local://)"},
    {"56-job-suspended", "suspended", "its JAR is of the image (local://)"},
    {"57-job-resumed", "changed", "job.state : suspended -> null"},
    {"60-autoscaler", "adopted", "does not scale by itself yet"},
    {"62-autoscaler-off", "changed", "pipeline.jobvertex-parallelism-overrides"},
    {"63-autoscaler-job", "adopted", "does not scale by itself yet"},
    {"64-autoscaler-of-operator", "changed", "image : flink:1.20 -> flink:1.20-new"},
};

static jv object_of(const struct situation *s, const char *kind)
{
    return situation_object(s, kind, "demo");
}

static struct takeover_verdict verdict(struct situation *s, jv cr)
{
    struct takeover_verdict v;

    takeover_judge(s->a, cr, object_of(s, "Deployment"), situation_defaults(s), &v);
    return v;
}

static void read_case(struct situation *s, const char *name)
{
    const char *path = arena_printf(s->a, FOLDER "%s.yaml", name);
    struct yaml_doc *docs;
    struct error err;
    size_t len, n;
    cleanup_free char *text = file_read(path, 4 << 20, &len, &err);

    if (!text || yaml_parse_all(s->a, text, len, &docs, &n, &err))
        ck_abort_msg("%s: %s", path, err.text);
    s->doc = situation_expand(s->a, docs[0].value);
}

static bool says(const struct takeover_verdict *v, const char *words)
{
    jv_foreach (n, v->notes)
        if (strstr(jv_string(*n), words))
            return true;
    return false;
}

START_TEST(each_resource_has_its_verdict)
{
    cleanup_arena struct arena a = {0};
    struct situation s = {.a = &a};

    read_case(&s, cases[_i].file);
    struct takeover_verdict v = verdict(&s, jv_at(jv_get(s.doc, "objects"), 0));

    if (strcmp(takeover_name(v.what), cases[_i].verdict) ||
        (cases[_i].note ? !says(&v, cases[_i].note) : jv_len(v.notes) > 0))
        ck_abort_msg("%s: %s, %s", cases[_i].file, takeover_name(v.what), json_text(&a, v.notes));
}
END_TEST

START_TEST(its_cluster_may_ask_for_the_autoscaler)
{
    cleanup_arena struct arena a = {0};
    struct situation s = {.a = &a};
    const char *record =
        "{\"spec\":{\"flinkConfiguration\":{\"job.autoscaler.enabled\":\"true\"}}}";
    jv cluster =
        OBJ({"status", OBJ({"reconciliationStatus", OBJ({"lastReconciledSpec", STR(record)})})});
    struct takeover_verdict with, without;

    read_case(&s, "65-autoscaler-of-cluster");
    jv cr = jv_at(jv_get(s.doc, "objects"), 0);

    takeover_judge(&a, cr, cluster, NULL, &with);
    takeover_judge(&a, cr, ABSENT, NULL, &without);
    ck_assert_str_eq(takeover_name(with.what), "adopted");
    ck_assert_str_eq(takeover_name(without.what), "changed");
}
END_TEST

START_TEST(what_cannot_be_taken_is_told)
{
    cleanup_arena struct arena a = {0};
    struct situation s = {.a = &a};
    struct takeover_verdict v;
    jv cr;

    read_case(&s, "03-native-last-state-1-7");
    cr = jv_at(jv_get(s.doc, "objects"), 0);
    v = verdict(&s, JV_SET_PATH(&a, cr, STR("v9_9"), "spec", "flinkVersion"));
    ck_assert_str_eq(takeover_name(v.what), "refused");
    ck_assert(says(&v, "spec.flinkVersion: "));
    v = verdict(&s, JV_SET_PATH(&a, cr, STR("nonsense"), "status", "reconciliationStatus",
                                "lastReconciledSpec"));
    ck_assert_str_eq(takeover_name(v.what), "refused");
    ck_assert(says(&v, "lastReconciledSpec: cannot be read"));
    v = verdict(&s, JV_SET_PATH(&a, cr, STR("1"), "spec", "flinkConfiguration",
                                "kubernetes.operator.reconcile.interval"));
    ck_assert(says(&v, "kubernetes.operator.reconcile.interval: has no effect with this"));
    v = verdict(&s,
                JV_SET_PATH(&a, cr, STR("2026-01-01T00:00:00Z"), "metadata", "deletionTimestamp"));
    ck_assert_str_eq(takeover_name(v.what), "deleted");
    v = verdict(
        &s, JV_SET_PATH(&a, cr, STR("done"), "metadata", "annotations", "flink-operator/release"));
    ck_assert_str_eq(takeover_name(v.what), "released");
    v = verdict(&s, JV_SET_PATH(&a, jv_set(&a, cr, "spec", ABSENT), STR("true"), "metadata",
                                "labels", "flink.apache.org/canary"));
    ck_assert_str_eq(takeover_name(v.what), "not-done");
    ck_assert(says(&v, "a canary, by which the other operator watches itself"));
    v = verdict(&s, jv_set(&a, cr, "kind", STR("FlinkBlueGreenDeployment")));
    ck_assert_str_eq(takeover_name(v.what), "not-done");
    ck_assert(says(&v, "blue/green is not done by this operator yet"));
    v = verdict(&s, jv_set(&a, cr, "status", ABSENT)); /* nobody knows its job */
    ck_assert_str_eq(takeover_name(v.what), "refused");
    ck_assert(says(&v, "lastReconciledSpec: is missing"));
}
END_TEST

START_TEST(snapshots)
{
    cleanup_arena struct arena a = {0};
    struct situation s = {.a = &a, .doc = EMPTY_OBJ};
    jv cr = json(&a, "{'apiVersion':'flink.apache.org/v1beta1','kind':'FlinkStateSnapshot',"
                     "'metadata':{'name':'a','namespace':'team'},'spec':{'jobReference':{'kind':"
                     "'FlinkDeployment','name':'demo'},'savepoint':{}}}");

    ck_assert_str_eq(takeover_name(verdict(&s, cr).what), "new");
    cr = jv_set(&a, cr, "status", json(&a, "{'state':'IN_PROGRESS'}"));
    ck_assert_str_eq(takeover_name(verdict(&s, cr).what), "continued");
    cr = jv_set(&a, cr, "status", json(&a, "{'state':'COMPLETED'}"));
    ck_assert_str_eq(takeover_name(verdict(&s, cr).what), "adopted");
}
END_TEST

/* ---- in the way ---- */

#define NOW_TEXT "2026-01-01T00:00:10.000000Z"
#define NOW INT64_C(1767225615000)

static const struct {
    const char *object, *words; /* NULL: it does no harm */
} objects[] = {
    {"{'kind':'Deployment','metadata':{'name':'flink-kubernetes-operator','namespace':'ops'},"
     "'spec':{'replicas':1},'status':{'replicas':1,'readyReplicas':1}}",
     "Deployment ops/flink-kubernetes-operator controls the same resources (1 ready, 1 wanted): "
     "kubectl scale -n ops deployment/flink-kubernetes-operator --replicas=0"},
    {"{'kind':'Deployment','metadata':{'name':'renamed','namespace':'ops'},'spec':{'replicas':2,"
     "'template':{'spec':{'containers':[{'image':'ghcr.io/apache/flink-kubernetes-operator:1'}]}}}}",
     "Deployment ops/renamed"},
    {"{'kind':'Deployment','metadata':{'name':'flink-kubernetes-operator','namespace':'ops'},"
     "'spec':{'replicas':0},'status':{'replicas':1}}",
     "0 ready, 0 wanted"},
    {"{'kind':'Deployment','metadata':{'name':'flink-kubernetes-operator','namespace':'ops'},"
     "'spec':{'replicas':0}}",
     NULL},
    {"{'kind':'Deployment','metadata':{'name':'other','namespace':'ops'},'spec':{'replicas':1}}",
     NULL},
    {"{'kind':'Lease','metadata':{'name':'any','namespace':'ops'},'spec':{'holderIdentity':"
     "'flink-kubernetes-operator-7c-x','leaseDurationSeconds':15,'renewTime':'" NOW_TEXT "'}}",
     "Lease ops/any is held by flink-kubernetes-operator-7c-x"},
    {"{'kind':'Lease','metadata':{'name':'any','namespace':'ops'},'spec':{'holderIdentity':"
     "'flink-kubernetes-operator-7c-x','leaseDurationSeconds':4,'renewTime':'" NOW_TEXT "'}}",
     NULL},
    {"{'kind':'Lease','metadata':{'name':'node','namespace':'kube-node-lease'},'spec':{"
     "'holderIdentity':'node','leaseDurationSeconds':40,'renewTime':'" NOW_TEXT "'}}",
     NULL},
    {"{'kind':'ValidatingWebhookConfiguration','metadata':{'name':'flink-operator-ops'},'webhooks'"
     ":[{'failurePolicy':'Fail','clientConfig':{'service':{'name':"
     "'flink-operator-webhook-service'}}}]}",
     "every change of its resources is refused (failurePolicy Fail): kubectl delete "
     "validatingwebhookconfiguration flink-operator-ops"},
    {"{'kind':'MutatingWebhookConfiguration','metadata':{'name':'flink-operator-ops'},'webhooks'"
     ":[{'failurePolicy':'Ignore','clientConfig':{'service':{'name':"
     "'flink-operator-webhook-service'}}}]}",
     "asks the other operator: kubectl delete mutatingwebhookconfiguration flink-operator-ops"},
    {"{'kind':'ValidatingWebhookConfiguration','metadata':{'name':'flink-operator'},'webhooks':[{"
     "'clientConfig':{'service':{'name':'flink-operator-webhook'}}}]}",
     NULL},
};

START_TEST(what_is_in_the_way_is_named)
{
    cleanup_arena struct arena a = {0};
    const char *found = takeover_obstacle(&a, json(&a, objects[_i].object), NOW);

    if (objects[_i].words ? !found || !strstr(found, objects[_i].words) : found != NULL)
        ck_abort_msg("%d: %s", _i, found ? found : "nothing");
}
END_TEST

START_TEST(a_definition_without_room_is_told)
{
    cleanup_arena struct arena a = {0};
    jv status = OBJ({"properties", OBJ({"startedSpecHash", EMPTY_OBJ})});
    jv schema = OBJ({"openAPIV3Schema", OBJ({"properties", OBJ({"status", status})})});
    jv ours =
        OBJ({"spec", OBJ({"versions", ARR(OBJ({"name", STR("v1beta1")}, {"schema", schema}))})});

    ck_assert_ptr_null(takeover_definition(ours));
    ck_assert_ptr_nonnull(
        takeover_definition(json(&a, "{'spec':{'versions':[{'name':'v1beta1'}]}}")));
}
END_TEST

void suite_migration(TCase *tc)
{
    tcase_add_loop_test(tc, each_resource_has_its_verdict, 0, ARRAY_SIZE(cases));
    T(its_cluster_may_ask_for_the_autoscaler);
    T(what_cannot_be_taken_is_told);
    T(snapshots);
    tcase_add_loop_test(tc, what_is_in_the_way_is_named, 0, ARRAY_SIZE(objects));
    T(a_definition_without_room_is_told);
}
