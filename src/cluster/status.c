/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/json.h"
#include "flinkop/resource_check.h"
#include "flinkop/str.h"
#include "job_words.h"

#define ERROR_MESSAGE_MAX 32768 /* error_form() cuts it as is configured */
#define CONDITION_MESSAGE_MAX 2048

static jv spec_in(struct arena *a, const char *text)
{
    struct error err;
    jv v;

    if (!text || json_parse(a, text, strlen(text), &v, &err) || v.type != JV_OBJ)
        return ABSENT;
    if (jv_present(jv_get(v, "resource_metadata")) || jv_present(jv_get(v, "spec")))
        v = jv_get(v, "spec");
    else
        v = jv_set(a, v, "apiVersion", ABSENT); /* the oldest form: the spec itself */
    return IF(jv_len(v) > 0, v);                /* nothing was ever made of an empty one */
}

jv recorded_spec(struct arena *a, jv cr)
{
    return spec_in(a, JV_STRING(cr, "status", "reconciliationStatus", "lastReconciledSpec"));
}

jv stable_spec(struct arena *a, jv cr)
{
    return spec_in(a, JV_STRING(cr, "status", "reconciliationStatus", "lastStableSpec"));
}

#define RECORD "status.reconciliationStatus.lastReconciledSpec"
#define NOT_AN_ID "status.jobStatus.jobId: is not the id of a job"
#define NO_PATH "status.jobStatus.upgradeSavepointPath: is missing"

/* The incumbent takes the record of a first deployment away when that has failed; its job has never
 * run (AbstractFlinkDeploymentObserver, clearLastReconciledSpecIfFirstDeploy). */
static bool begun_anew(jv record, jv job)
{
    return str_eq(JV_STRING(record, "state"), "UPGRADING") &&
           !jv_present(jv_get(record, "lastStableSpec")) && !jv_present(jv_get(job, "startTime"));
}

const char *record_lost(struct arena *a, jv status, jv recorded, bool has_id, enum started started)
{
    jv record = jv_get(status, "reconciliationStatus"), id = JV_PATH(status, "jobStatus", "jobId");
    bool named = flink_id_valid(jv_string(id));
    bool runs = (str_eq(JV_STRING(record, "state"), "DEPLOYED") ||
                 str_eq(JV_STRING(record, "state"), "ROLLED_BACK")) &&
                !str_eq(JV_STRING(recorded, "job", "state"), "suspended");
    const char *wrong = NULL;

    if (!jv_present(recorded) && jv_present(jv_get(record, "lastReconciledSpec")))
        wrong = RECORD ": cannot be read";
    else if (!jv_present(recorded) && (named || started != STARTED_AS_RECORDED) &&
             !begun_anew(record, jv_get(status, "jobStatus")))
        wrong = RECORD ": is missing";
    else if (jv_present(recorded) && has_id && !named && (runs || jv_present(id)))
        wrong = NOT_AN_ID;
    else if (jv_present(recorded) && started != STARTED_AS_RECORDED)
        wrong = "status.jobStatus.jobId: is not the id of the job that was started";
    if (!wrong)
        return NULL;
    return arena_printf(
        a,
        "%s, and nothing else tells what runs; it goes on, and nothing is done. Put "
        "that back, or %sdelete the resource and create it anew, with the job's state "
        "as spec.job.initialSavepointPath",
        wrong,
        has_id && !named           ? "cancel the job in Flink, "
        : started == STARTED_BY_US ? "the spec that it was started with, or "
                                   : "");
}

/* Of an application the record says how its next run is restored: it has an id as soon as that is
 * about to begin, and before that if high availability is to know it by that. */
static const char *run_lost(jv status, jv recorded)
{
    const char *state = JV_STRING(status, "reconciliationStatus", "state");
    const char *mode = JV_STRING(recorded, "job", "upgradeMode");
    bool begins = str_eq(state, "UPGRADING") || str_eq(state, "ROLLING_BACK");
    bool waits = str_eq(JV_STRING(recorded, "job", "state"), "suspended") &&
                 !str_eq(state, "ROLLED_BACK");

    if (!flink_id_valid(JV_STRING(status, "jobStatus", "jobId")) &&
        (begins || (waits && str_eq(mode, "last-state"))))
        return NOT_AN_ID;
    if (waits && str_eq(mode, "savepoint") && !job_restore_path(jv_get(status, "jobStatus")))
        return NO_PATH;
    return NULL;
}

bool left_savepoint(jv job)
{
    jv last = JV_PATH(job, "savepointInfo", "lastSavepoint");
    int64_t began;

    return str_eq(JV_STRING(last, "triggerType"), "UPGRADE") &&
           !str_empty(JV_STRING(last, "location")) &&
           str_to_int64(str_or_empty(JV_STRING(job, "startTime")), &began) &&
           jv_int64_or(jv_get(last, "timeStamp"), 0) >= began;
}

/* Of a FlinkSessionJob it says what the user asks for, and many a job has rightly left nothing. */
static const char *end_lost(jv status, jv recorded)
{
    const char *mode = JV_STRING(recorded, "job", "upgradeMode");
    jv job = jv_get(status, "jobStatus");

    if (!str_eq(JV_STRING(recorded, "job", "state"), "suspended") ||
        !str_eq(JV_STRING(status, "reconciliationStatus", "state"), "DEPLOYED") || !mode ||
        str_eq(mode, "stateless") || job_restore_path(job) || !left_savepoint(job))
        return NULL;
    return NO_PATH;
}

const char *state_lost(struct arena *a, enum kube_kind kind, jv status, jv recorded)
{
    const char *wrong = NULL;

    if (status_is_ours(status) && jv_present(jv_get(recorded, "job")))
        wrong = (kind == KIND_FLINKDEPLOYMENT ? run_lost : end_lost)(status, recorded);
    if (!wrong)
        return NULL;
    return arena_printf(a,
                        "%s, and nothing else tells what the next run of the job goes on from; "
                        "nothing is done. Put that back, or " HOW_TO_RESTORE "%s",
                        wrong, job_last_seen(a, jv_get(status, "jobStatus")));
}

const char *record_text(struct arena *a, jv spec, bool first_deployment)
{
    return json_text(a, OBJ({"spec", spec}, {"resource_metadata",
                                             OBJ({"apiVersion", STR("flink.apache.org/v1beta1")},
                                                 {"firstDeployment", BOOL(first_deployment)})}));
}

static jv find_condition(jv list, const char *type)
{
    jv_foreach (c, list)
        if (str_eq(JV_STRING(*c, "type"), type))
            return *c;
    return ABSENT;
}

jv conditions_write(struct arena *a, jv old, const struct condition *c, size_t n,
                    int64_t generation, int64_t wall)
{
    struct jv_list list = JV_LIST(a);
    char now[RFC3339_MAX];

    rfc3339_format(wall, now);
    for (size_t i = 0; i < n; i++) {
        const char *status = c[i].status ? "True" : "False";
        jv before = find_condition(old, c[i].type);
        const char *since = JV_STRING(before, "lastTransitionTime");

        if (!str_eq(JV_STRING(before, "status"), status) || str_empty(since))
            since = now;
        jv_list_add(&list,
                    jv_dup(a, OBJ({"type", STR(c[i].type)}, {"status", STR(status)},
                                  {"observedGeneration", INT(generation)},
                                  {"lastTransitionTime", STR(since)}, {"reason", STR(c[i].reason)},
                                  {"message", STR(str_clean(a, str_or_empty(c[i].message),
                                                            CONDITION_MESSAGE_MAX))})));
    }
    return jv_list_arr(&list);
}

bool autoscaling_condition(struct arena *a, jv spec, bool autoscaled, struct condition *ret)
{
    if (!spec_autoscales(a, spec, autoscaled))
        return false;
    *ret = (struct condition){"Autoscaling", false, "NotSupported", AUTOSCALER_FROZEN};
    return true;
}

#define BLUE_GREEN_KIND "FlinkBlueGreenDeployment"

bool blue_green_condition(jv cr, struct condition *ret)
{
    jv_foreach (owner, JV_PATH(cr, "metadata", "ownerReferences")) {
        if (!str_eq(JV_STRING(*owner, "kind"), BLUE_GREEN_KIND))
            continue;
        *ret = (struct condition){
            "BlueGreen", false, "NotSupported",
            "this operator does nothing with a " BLUE_GREEN_KIND
            " yet: its two clusters go on as they are, and what is changed there reaches neither"};
        return true;
    }
    return false;
}

const char *error_text(struct arena *a, const char *type, const char *reason, const char *message)
{
    return json_text(
        a, OBJ({"type", STR(type)}, {"message", STR(str_clean(a, message, ERROR_MESSAGE_MAX))},
               {"additionalMetadata", IF(reason, OBJ({"reason", STR(str_or_empty(reason))}))},
               {"throwableList", EMPTY_ARR}));
}

const char *error_message(struct arena *a, const char *text)
{
    struct error err;
    jv v;

    if (text && !json_parse(a, text, strlen(text), &v, &err) && JV_STRING(v, "message"))
        return JV_STRING(v, "message");
    return text;
}

/* ---- what the API server does not want ---- */

/* Trying again will not help until something changes; a failure that passes is not worth telling.
 */
static bool is_refusal(const struct outcome *o)
{
    switch (o->error.code) {
    case ERR_FORBIDDEN:
        return true;
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_TOO_LARGE:
        return o->type != ACT_RELEASE; /* Flink may have said so */
    case ERR_CONFLICT:                 /* somebody else's object has the name */
        return o->type == ACT_APPLY && o->fresh;
    case ERR_SERVER: /* an admission webhook that cannot be asked */
        return strstr(o->error.text, "webhook") != NULL;
    default:
        return false;
    }
}

static const char *refusal_reason(const struct error *err)
{
    if (strstr(err->text, "exceeded quota"))
        return "QuotaExceeded";
    return err->code == ERR_FORBIDDEN ? "Forbidden" : "ApplyFailed";
}

struct obs_cause refusal_of(struct arena *a, const struct outcome *o)
{
    if (o->ok || !is_refusal(o))
        return (struct obs_cause){0};
    return (struct obs_cause){refusal_reason(&o->error), str_clean(a, o->error.text, 1000)};
}

bool status_written(const struct outcome *outcomes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (outcomes[i].type == ACT_STATUS && outcomes[i].ok)
            return true;
    return false;
}

bool status_prunes(bool pruned, bool put, bool there, const struct outcome *outcomes, size_t n)
{
    return !there && (pruned || (put && status_written(outcomes, n)));
}

void tell_unwritten(struct plan *p, enum kube_kind kind, jv cr, const struct outcome *outcomes,
                    size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (outcomes[i].type == ACT_STATUS && !outcomes[i].ok &&
            outcomes[i].error.code == ERR_FORBIDDEN)
            plan_event(p, kind, cr, true, "Operator", "Forbidden",
                       str_clean(p->a, outcomes[i].error.text, 1000));
}

void tell_without_effect(struct plan *p, enum kube_kind kind, jv cr)
{
    struct jv_list warnings = JV_LIST(p->a);
    const char *text = NULL;

    if (jv_equal(JV_PATH(cr, "status", "observedGeneration"),
                 JV_PATH(cr, "metadata", "generation")))
        return;
    add_option_warnings(&warnings, jv_get(cr, "spec"));
    jv_foreach (w, jv_list_arr(&warnings))
        text = arena_printf(p->a, "%s%s%s", str_or_empty(text), text ? "; " : "", jv_string(*w));
    if (text)
        plan_event(p, kind, cr, true, "Operator", "OptionWithoutEffect",
                   str_clean(p->a, text, 1000));
}

/* ---- actions ---- */

struct action *plan_add(struct plan *p, enum action_type type, enum kube_kind kind, const char *ns,
                        const char *name)
{
    if (p->n == p->room) {
        struct action *bigger = arena_new_array(p->a, struct action, p->room * 2 + 8);

        if (p->n)
            memcpy(bigger, p->actions, p->n * sizeof(*bigger));
        p->actions = bigger;
        p->room = p->room * 2 + 8;
    }
    p->actions[p->n] =
        (struct action){.type = type, .kind = kind, .ns = ns, .name = name, .body = ABSENT};
    return &p->actions[p->n++];
}

void plan_drop(struct plan *p, size_t from, size_t to)
{
    if (from < to)
        memmove(p->actions + from, p->actions + to, (p->n - to) * sizeof(*p->actions));
    p->n -= to - from;
}

void plan_wake(struct plan *p, int64_t when)
{
    p->next = MIN(p->next, when);
}

static struct action *about(struct plan *p, enum action_type type, enum kube_kind kind, jv cr)
{
    struct action *act = plan_add(p, type, kind, JV_STRING(cr, "metadata", "namespace"),
                                  JV_STRING(cr, "metadata", "name"));

    act->uid = JV_STRING(cr, "metadata", "uid");
    return act;
}

void plan_status(struct plan *p, enum kube_kind kind, jv cr, jv status)
{
    jv diff = jv_merge_diff(p->a, jv_get(cr, "status"), status);

    if (diff.type == JV_ABSENT)
        return;
    about(p, ACT_STATUS, kind, cr)->body = jv_dup(
        p->a, OBJ({"metadata",
                   OBJ({"resourceVersion", STR(JV_STRING(cr, "metadata", "resourceVersion"))})},
                  {"status", diff}));
}

bool has_finalizer(jv cr, const char *finalizer)
{
    jv_foreach (f, JV_PATH(cr, "metadata", "finalizers"))
        if (str_eq(jv_string(*f), finalizer))
            return true;
    return false;
}

void plan_finalizer(struct plan *p, enum kube_kind kind, jv cr, const char *finalizer, bool on)
{
    struct jv_list list = JV_LIST(p->a);

    jv_foreach (f, JV_PATH(cr, "metadata", "finalizers"))
        if (!str_eq(jv_string(*f), finalizer))
            jv_list_add(&list, *f);
    if (on)
        jv_list_add(&list, STR(finalizer));
    about(p, ACT_PATCH, kind, cr)->body = jv_dup(
        p->a,
        OBJ({"metadata", OBJ({"resourceVersion", STR(JV_STRING(cr, "metadata", "resourceVersion"))},
                             {"finalizers", jv_list_arr(&list)})}));
}

void plan_event(struct plan *p, enum kube_kind kind, jv cr, bool warning, const char *component,
                const char *reason, const char *message)
{
    struct action *act = about(p, ACT_EVENT, kind, cr);

    act->warning = warning;
    act->component = component;
    act->reason = reason;
    act->message = message;
}

void plan_warnings(struct plan *p, enum kube_kind kind, jv cr, const char *component,
                   const char *reason, jv texts)
{
    jv_foreach (text, texts)
        plan_event(p, kind, cr, true, component, reason, jv_string(*text));
}
