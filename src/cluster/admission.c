/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/admission.h"

#include "flinkop/arena.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/label_selector.h"
#include "flinkop/resource_check.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "status.h"

#define API_VERSION "admission.k8s.io/v1"
#define UID_MAX 128
#define MESSAGE_MAX ((size_t)32 << 10)
#define STATUS_INVALID 422

struct question {
    struct arena *a;
    jv request, object, old;
    enum kube_kind kind;
    const char *uid;
};

/* ---- reading ---- */

/* Where the object holds what the parser does not take, the rest of it counts all the same. */
static int parse(struct arena *a, const char *text, size_t len, jv *ret, const char **ret_lost,
                 struct error *err)
{
    cleanup_strbuf struct strbuf tame = STRBUF_INIT(len * 6 + 1);
    struct error ignored;

    *ret_lost = NULL;
    if (!json_parse(a, text, len, ret, &ignored))
        return 0;
    *ret_lost = json_tame(a, text, len, 3, "object", "spec", &tame);
    return json_parse(a, tame.buf, tame.len, ret, err);
}

static int read_kind(struct question *q, struct error *err)
{
    jv kind = jv_get(q->request, "kind");
    const char *api = arena_printf(q->a, "%s/%s", str_or_empty(JV_STRING(kind, "group")),
                                   str_or_empty(JV_STRING(kind, "version")));
    const struct kube_resource *res = kube_resource_of(api, JV_STRING(kind, "kind"));

    if (!res || res->id > KIND_FLINKSTATESNAPSHOT)
        return error_set(err, ERR_INVALID,
                         "request.kind: must be FlinkDeployment, FlinkSessionJob or "
                         "FlinkStateSnapshot of flink.apache.org/v1beta1, found %s",
                         jv_describe(q->a, jv_get(kind, "kind")));
    q->kind = res->id;
    return 0;
}

static int read_question(struct question *q, const char *text, size_t len, struct error *err)
{
    const char *lost;
    jv review;

    if (parse(q->a, text, len, &review, &lost, err))
        return error_wrap(err, "not an AdmissionReview");
    if (!str_eq(JV_STRING(review, "apiVersion"), API_VERSION) ||
        !str_eq(JV_STRING(review, "kind"), "AdmissionReview"))
        return error_set(err, ERR_INVALID,
                         "must be an AdmissionReview of " API_VERSION ", found kind %s of %s",
                         jv_describe(q->a, jv_get(review, "kind")),
                         jv_describe(q->a, jv_get(review, "apiVersion")));
    q->request = jv_get(review, "request");
    q->uid = jv_get(q->request, "uid").type == JV_STR ? JV_STRING(q->request, "uid") : NULL;
    if (str_empty(q->uid) || !str_eq(str_clean(q->a, q->uid, UID_MAX), q->uid))
        return error_set(err, ERR_INVALID, "request.uid: must be the uid of the request, found %s",
                         jv_describe(q->a, jv_get(q->request, "uid")));
    if (read_kind(q, err))
        return -1;
    q->object = jv_get(q->request, "object");
    q->old = jv_get(q->request, "oldObject");
    if (lost && q->object.type == JV_OBJ)
        q->object = jv_set(q->a, q->object, KUBE_UNREADABLE, STR(lost));
    return 0;
}

/* ---- deciding ---- */

static bool is_served(const struct question *q, const struct admission_rules *rules)
{
    const char *ns = JV_STRING(q->request, "namespace");

    for (const char *const *n = rules->namespaces; n && *n; n++)
        if (str_eq(*n, ns))
            return true;
    return !rules->namespaces || !*rules->namespaces;
}

static bool is_selected(const struct question *q, const struct admission_rules *rules)
{
    return label_selector_matches(rules->selector, JV_PATH(q->object, "metadata", "labels"));
}

static bool changes_spec(const struct question *q)
{
    return !jv_equal(jv_get(q->object, "spec"), jv_get(q->old, "spec")) ||
           q->object.type != JV_OBJ || q->old.type != JV_OBJ;
}

/* Whether there is nothing to look at. */
static bool passes(const struct question *q, const struct admission_rules *rules)
{
    const char *operation = JV_STRING(q->request, "operation");
    bool update = str_eq(operation, "UPDATE");

    if ((!update && !str_eq(operation, "CREATE")) ||
        !str_empty(JV_STRING(q->request, "subResource")) || !is_served(q, rules) ||
        !is_selected(q, rules))
        return true;
    return update &&
           (!changes_spec(q) || jv_present(JV_PATH(q->object, "metadata", "deletionTimestamp")));
}

static void look(struct question *q, struct problems *p, const struct admission_rules *rules)
{
    jv recorded = recorded_spec(q->a, q->old);

    if (q->object.type != JV_OBJ) {
        problem_add(p, "object", "must be a mapping, found %s", jv_describe(q->a, q->object));
        return;
    }
    resource_check(p, q->kind, q->object, recorded, /* strict= */ false, rules->defaults);
}

/* ---- answering ---- */

static const char *all_problems(const struct problems *p)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(MESSAGE_MAX);

    for (size_t i = 0; i < MIN(p->n, (size_t)PROBLEMS_MAX) && !sb.overflow; i++)
        strbuf_addf(&sb, "%s%s: %s", i ? "; " : "", p->items[i].path, p->items[i].text);
    if (p->n > PROBLEMS_MAX)
        strbuf_addf(&sb, "; and %zu more", p->n - PROBLEMS_MAX);
    return str_clean(p->a, sb.buf, MESSAGE_MAX);
}

/* A metav1.Status as the API server itself says that something is invalid: kubectl shows the
 * causes, one a line. */
static jv refusal(const struct question *q, const struct problems *p, const char *message)
{
    struct jv_list causes = JV_LIST(q->a);

    for (size_t i = 0; i < MIN(p->n, (size_t)PROBLEMS_MAX); i++)
        jv_list_add(&causes, jv_dup(q->a, OBJ({"reason", STR("FieldValueInvalid")},
                                              {"message", STR(p->items[i].text)},
                                              {"field", STR(p->items[i].path)})));
    return jv_dup(q->a, OBJ({"status", STR("Failure")}, {"message", STR(message)},
                            {"reason", STR("Invalid")}, {"code", INT(STATUS_INVALID)},
                            {"details", OBJ({"name", JV_PATH(q->object, "metadata", "name")},
                                            {"group", JV_PATH(q->request, "kind", "group")},
                                            {"kind", JV_PATH(q->request, "kind", "kind")},
                                            {"causes", jv_list_arr(&causes)})}));
}

int admission_answer(struct arena *a, const char *text, size_t len,
                     const struct admission_rules *rules, struct strbuf *ret,
                     struct admission_verdict *ret_verdict, struct error *err)
{
    struct problems *p = arena_new(a, struct problems);
    struct question q = {.a = a};
    jv warnings = ABSENT;

    p->a = a;
    if (read_question(&q, text, len, err))
        return -1;
    if (!passes(&q, rules)) {
        look(&q, p, rules);
        warnings = resource_warnings(a, q.kind, q.object, rules->defaults);
    }
    const char *message = p->n ? all_problems(p) : NULL;

    *ret_verdict = (struct admission_verdict){.allowed = !message,
                                              .kind = kube_resource(q.kind)->kind,
                                              .ns = JV_STRING(q.request, "namespace"),
                                              .name = JV_STRING(q.object, "metadata", "name"),
                                              .message = message};
    json_write(ret, OBJ({"apiVersion", STR(API_VERSION)}, {"kind", STR("AdmissionReview")},
                        {"response", OBJ({"uid", STR(q.uid)}, {"allowed", BOOL(!message)},
                                         {"status", message ? refusal(&q, p, message) : ABSENT},
                                         {"warnings", warnings})}));
    return 0;
}
