/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the API server and their answers, as text. */
#include <string.h>

#include "flinkop/admission.h"
#include "flinkop/label_selector.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"
#include "unit.h"

#define CLUSTER                                                                            \
    "'image':'flink:1.20','flinkVersion':'v1_20','jobManager':{'resource':{'memory':'1g'," \
    "'cpu':1}},'taskManager':{'resource':{'memory':'1g','cpu':1}}"
#define NO_IMAGE "'flinkVersion':'v1_20','image':'no image'"
static struct {
    struct arena a;
    struct strbuf answer;
    struct admission_verdict verdict;
    struct admission_rules rules;
    struct error err;
} t;

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    t.answer = STRBUF_INIT((size_t)1 << 20);
}

static void teardown(void)
{
    strbuf_release(&t.answer);
    arena_free(&t.a);
}

/* ' for " */
static char *quoted(const char *text)
{
    char *copy = arena_strdup(&t.a, text);

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    return copy;
}

static int answer_text(const char *text)
{
    strbuf_reset(&t.answer);
    t.err = (struct error){0};
    return admission_answer(&t.a, text, strlen(text), &t.rules, &t.answer, &t.verdict, &t.err);
}

/* The response to a question; object and old as members of an object, NULL: null. */
static jv respond(const char *kind, const char *operation, const char *object, const char *old,
                  const char *more)
{
    const char *objects[2] = {object, old};

    for (int i = 0; i < 2; i++)
        objects[i] = objects[i] ? arena_printf(&t.a,
                                               "{'apiVersion':'flink.apache.org/v1beta1','kind':"
                                               "'%s','metadata':{'name':'demo','namespace':'team'"
                                               "},%s}",
                                               kind, objects[i])
                                : "null";
    const char *text = arena_printf(
        &t.a,
        "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'u-1','kind'"
        ":{'group':'flink.apache.org','version':'v1beta1','kind':'%s'},'operation':'%s',"
        "'namespace':'team','name':'demo',%s'object':%s,'oldObject':%s}}",
        kind, operation, more ? more : "", objects[0], objects[1]);
    jv review;

    if (answer_text(quoted(text)))
        ck_abort_msg("%s", t.err.text);
    ck_assert_int_eq(json_parse(&t.a, t.answer.buf, t.answer.len, &review, &t.err), 0);
    ck_assert_str_eq(JV_STRING(review, "apiVersion"), "admission.k8s.io/v1");
    ck_assert_str_eq(JV_STRING(review, "kind"), "AdmissionReview");
    ck_assert_str_eq(JV_STRING(review, "response", "uid"), "u-1");
    return jv_get(review, "response");
}

static jv create(const char *kind, const char *object)
{
    return respond(kind, "CREATE", object, NULL, NULL);
}

static void passes(jv response)
{
    if (!jv_bool_or(jv_get(response, "allowed"), false))
        ck_abort_msg("%s", json_text(&t.a, response));
    ck_assert(t.verdict.allowed && !t.verdict.message);
}

static void refuses(jv response, const char *words)
{
    const char *message = JV_STRING(response, "status", "message");

    ck_assert(!jv_bool_or(jv_get(response, "allowed"), true));
    if (!message || !strstr(message, words))
        ck_abort_msg("expected \"%s\", found %s", words, message ? message : "nothing");
    ck_assert_str_eq(t.verdict.message, message);
}

START_TEST(what_is_valid_passes)
{
    assert_json(create("FlinkDeployment", "'spec':{" CLUSTER "}"), "{'uid':'u-1','allowed':true}");
    passes(create("FlinkSessionJob",
                  "'spec':{'deploymentName':'demo','job':{'jarURI':'https://a.example/b.jar'}}"));
    passes(create("FlinkStateSnapshot",
                  "'spec':{'jobReference':{'kind':'FlinkSessionJob','name':'a'},'savepoint':{}}"));
    ck_assert_str_eq(t.verdict.kind, "FlinkStateSnapshot");
    ck_assert_str_eq(t.verdict.ns, "team");
    ck_assert_str_eq(t.verdict.name, "demo");
}
END_TEST

START_TEST(what_the_label_selector_leaves_out_is_let_through)
{
    static const char spec[] = "'spec':{" NO_IMAGE "}";

    ck_assert(!label_selector_parse(&t.a, "team=red", &t.rules.selector, &t.err));
    ck_assert(jv_bool_or(jv_get(create("FlinkDeployment", spec), "allowed"), false));
    ck_assert(!label_selector_parse(&t.a, "!team", &t.rules.selector, &t.err));
    ck_assert(!jv_bool_or(jv_get(create("FlinkDeployment", spec), "allowed"), true));
}
END_TEST

START_TEST(what_is_not_is_refused_with_every_field)
{
    jv r = create("FlinkDeployment",
                  "'spec':{'flinkVersion':'v1_20','image':'no image','serviceAccount':'No name',"
                  "'jobManager':{'resource':{'memory':'1g'}},"
                  "'taskManager':{'resource':{'memory':'1g'}}}");

    refuses(r, "spec.image: must be a container image such as flink:1.20, found \"no image\"; "
               "spec.serviceAccount: must be");
    assert_json(jv_get(jv_get(r, "status"), "code"), "422");
    ck_assert_str_eq(JV_STRING(r, "status", "reason"), "Invalid");
    ck_assert_str_eq(JV_STRING(r, "status", "details", "kind"), "FlinkDeployment");
    ck_assert_str_eq(JV_STRING(r, "status", "details", "group"), "flink.apache.org");
    jv causes = JV_PATH(r, "status", "details", "causes");

    ck_assert_uint_eq(jv_len(causes), 2);
    ck_assert_str_eq(JV_STRING(jv_at(causes, 0), "field"), "spec.image");
    ck_assert_str_eq(JV_STRING(jv_at(causes, 0), "reason"), "FieldValueInvalid");
    refuses(create("FlinkSessionJob", "'spec':{'deploymentName':'demo','job':{}}"),
            "spec.job.jarURI: must be given");
    refuses(create("FlinkStateSnapshot", "'spec':{'savepoint':{}}"), "spec.jobReference: must be");
    refuses(create("FlinkDeployment", "'a':1"), "spec: ");
}
END_TEST

START_TEST(what_leaves_the_spec_alone_always_passes)
{
    static const char bad[] = "'spec':{" NO_IMAGE "}";

    refuses(create("FlinkDeployment", bad), "spec.");
    passes(respond("FlinkDeployment", "UPDATE", bad, bad, NULL));
    refuses(
        respond("FlinkDeployment", "UPDATE", "'spec':{" NO_IMAGE ",'mode':'native'}", bad, NULL),
        "spec.");
    passes(respond("FlinkDeployment", "UPDATE", bad, "'spec':{" CLUSTER "}",
                   "'subResource':'status',"));
    passes(respond("FlinkDeployment", "DELETE", NULL, bad, NULL));
}
END_TEST

START_TEST(what_is_being_deleted_passes)
{
    const char *text = quoted(
        "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'u','kind':{"
        "'group':'flink.apache.org','version':'v1beta1','kind':'FlinkDeployment'},'operation':"
        "'UPDATE','namespace':'team','object':{'metadata':{'deletionTimestamp':'2026-01-01T00:00:"
        "00Z'},'spec':{'a':1}},'oldObject':{'spec':{}}}}");

    ck_assert_int_eq(answer_text(text), 0);
    ck_assert(t.verdict.allowed);
}
END_TEST

START_TEST(what_cannot_change_is_compared_with_what_is_recorded)
{
    const char *recorded =
        "'status':{'reconciliationStatus':{'state':'DEPLOYED','lastReconciledSpec':"
        "'{\\\"spec\\\":{\\\"deploymentName\\\":\\\"one\\\",\\\"job\\\":{\\\"jarURI\\\":"
        "\\\"https://a.example/b.jar\\\"}}}'}},'spec':{'deploymentName':'one','job':{'jarURI':"
        "'https://a.example/b.jar'}}";

    refuses(respond("FlinkSessionJob", "UPDATE",
                    "'spec':{'deploymentName':'two','job':{'jarURI':'https://a.example/b.jar'}}",
                    recorded, NULL),
            "spec.deploymentName: cannot change from \"one\" to \"two\"");
    passes(respond("FlinkSessionJob", "UPDATE",
                   "'spec':{'deploymentName':'one','job':{'jarURI':'https://a.example/c.jar'}}",
                   recorded, NULL));
    recorded = "'status':{'reconciliationStatus':{'state':'DEPLOYED','lastReconciledSpec':"
               "'{\\\"spec\\\":{\\\"mode\\\":\\\"native\\\"}}'}},'spec':{" CLUSTER "}";
    refuses(respond("FlinkDeployment", "UPDATE", "'spec':{" CLUSTER ",'mode':'standalone'}",
                    recorded, NULL),
            "spec.mode: cannot change from native to standalone");
    refuses(respond("FlinkDeployment", "UPDATE",
                    "'spec':{" CLUSTER ",'job':{'jarURI':'local:///a.jar','parallelism':1}}",
                    recorded, NULL),
            "spec.job: a session cluster cannot become");
}
END_TEST

START_TEST(what_is_in_other_namespaces_passes)
{
    static const char *const others[] = {"a", "b", NULL}, *const ours[] = {"a", "team", NULL};

    t.rules.namespaces = others;
    passes(create("FlinkDeployment", "'spec':{" NO_IMAGE "}"));
    t.rules.namespaces = ours;
    refuses(create("FlinkDeployment", "'spec':{" NO_IMAGE "}"), "spec.");
}
END_TEST

/* A parser that takes no NUL still tells which field has it, and whose. */
START_TEST(what_cannot_be_read_is_refused_and_can_be_mended)
{
    static const char nul[] = "'spec':{" CLUSTER ",'podTemplate':{'spec':{'x':'\\u0000'}}}";

    refuses(create("FlinkDeployment", nul), "spec.podTemplate.spec.x: holds a NUL character");
    passes(respond("FlinkDeployment", "UPDATE", nul, nul, NULL));
    passes(respond("FlinkDeployment", "UPDATE", "'spec':{" CLUSTER "}", nul, NULL));
}
END_TEST

START_TEST(options_without_an_effect_are_warned_about)
{
    jv r = create("FlinkDeployment",
                  "'spec':{" CLUSTER
                  ",'flinkConfiguration':{'kubernetes.operator.nonsense':'secret',"
                  "'kubernetes.operator.user.artifacts.allowed-schemes':'http',"
                  "'kubernetes.operator.job.restart.failed':'true','a.b':'c'}}");

    passes(r);
    jv warnings = jv_get(r, "warnings");

    ck_assert_uint_eq(jv_len(warnings), 2);
    ck_assert_str_eq(jv_string(jv_at(warnings, 0)),
                     "spec.flinkConfiguration.kubernetes.operator.nonsense: is no option of this "
                     "operator");
    ck_assert_str_eq(jv_string(jv_at(warnings, 1)),
                     "spec.flinkConfiguration.kubernetes.operator.user.artifacts.allowed-schemes: "
                     "has no effect here, only in the operator's own configuration");
}
END_TEST

START_TEST(what_is_no_question_is_an_error)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "not an AdmissionReview"},
        {"{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','requ", "not an Admission"},
        {"[]", "must be an AdmissionReview"},
        {"{'apiVersion':'v1','kind':'Pod'}", "found kind \"Pod\" of \"v1\""},
        {"{'apiVersion':'admission.k8s.io/v1beta1','kind':'AdmissionReview'}", "must be an Adm"},
        {"{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview'}", "request.uid"},
        {"{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':1}}",
         "request.uid: must be the uid of the request, found 1"},
        {"{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'u','kind':"
         "{'group':'','version':'v1','kind':'Pod'}}}",
         "request.kind: must be FlinkDeployment, FlinkSessionJob or FlinkStateSnapshot of "
         "flink.apache.org/v1beta1, found \"Pod\""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ck_assert_int_eq(answer_text(quoted(cases[i].text)), -1);
        if (!strstr(t.err.text, cases[i].words))
            ck_abort_msg("%zu: %s", i, t.err.text);
        ck_assert_uint_eq(t.answer.len, 0);
    }
}
END_TEST

void suite_admission(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(what_is_valid_passes);
    T(what_the_label_selector_leaves_out_is_let_through);
    T(what_is_not_is_refused_with_every_field);
    T(what_leaves_the_spec_alone_always_passes);
    T(what_is_being_deleted_passes);
    T(what_cannot_change_is_compared_with_what_is_recorded);
    T(what_is_in_other_namespaces_passes);
    T(what_cannot_be_read_is_refused_and_can_be_mended);
    T(options_without_an_effect_are_warned_about);
    T(what_is_no_question_is_an_error);
}
