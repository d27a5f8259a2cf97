/* SPDX-License-Identifier: Apache-2.0 */
/* The status and the labels of a FlinkStateSnapshot, and what is new in it as events. */
#include <ctype.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "snapshot_internal.h"
#include "status.h"

#define LABEL_MAX 63

const char *snapshot_word(const struct snapshot_pass *p)
{
    return p->spec.checkpoint ? "checkpoint" : "savepoint";
}

const char *snapshot_error(const struct snapshot_pass *p)
{
    return p->spec.checkpoint ? "CheckpointError" : "SavepointError";
}

void snapshot_event(struct snapshot_pass *p, bool warning, const char *reason, const char *message)
{
    plan_event(&p->out.plan, KIND_FLINKSTATESNAPSHOT, p->cr, warning, "Snapshot", reason, message);
}

/* ---- labels ---- */

/* Those with which the incumbent lets people select. Of what is recorded: what is not yet, may
 * never be. A name may be too long for one. */
jv snapshot_labels(struct snapshot_pass *p)
{
    jv now = JV_PATH(p->cr, "metadata", "labels");
    enum kube_kind kind = snapshot_job_kind(&p->spec);
    const char *name = p->spec.name;
    const struct {
        const char *key, *value;
    } labels[] = {
        {"snapshot.type", p->spec.checkpoint ? "CHECKPOINT" : "SAVEPOINT"},
        {"snapshot.trigger-type", str_or(JV_STRING(now, "snapshot.trigger-type"), "MANUAL")},
        {"snapshot.state",
         snapshot_state_name(snapshot_state_parse(JV_STRING(p->cr, "status", "state")))},
        {"job-reference.kind", kind == KIND_COUNT ? NULL : kube_resource(kind)->kind},
        {"job-reference.name", str_empty(name) || strlen(name) > LABEL_MAX ? NULL : name},
    };
    struct jv_list list = JV_LIST(p->a);

    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        if (labels[i].value && !str_eq(labels[i].value, JV_STRING(now, labels[i].key)))
            jv_list_put(&list, labels[i].key, STR(labels[i].value));
    return list.n ? jv_list_obj(&list) : ABSENT;
}

/* ---- the status ---- */

#define VALIDATION ERROR_PREFIX "ValidationException"

static bool not_valid(const struct snapshot_pass *p)
{
    return p->trouble.reason && (!strcmp(p->trouble.reason, "ValidationError") ||
                                 !strcmp(p->trouble.reason, "TargetNotFound"));
}

/* Of failures it stays until one comes to be; what was wrong with the spec goes with that. */
static const char *error(struct snapshot_pass *p)
{
    const char *text = JV_STRING(p->status, "error");

    if (not_valid(p))
        return error_text(p->a, VALIDATION, NULL, p->trouble.message);
    if (p->trouble.reason)
        return error_text(p->a, ERROR_PREFIX "ReconciliationException", p->trouble.reason,
                          p->trouble.message);
    return text && strstr(text, VALIDATION) ? NULL : text;
}

static struct obs_cause summary(struct snapshot_pass *p, const char *error_now)
{
    const char *told = error_message(p->a, error_now);

    if (p->meta.deleted_ms && p->out.memory.refused.reason)
        return (struct obs_cause){"DeletionBlocked", p->out.memory.refused.message};
    if (p->meta.deleted_ms)
        return (struct obs_cause){"Deleting", str_or(p->progress, "deleting")};
    switch (p->state) {
    case SNAPSHOT_COMPLETED:
        return (struct obs_cause){"Completed",
                                  p->path ? arena_printf(p->a, "the %s is at %s", snapshot_word(p),
                                                         str_line(p->a, p->path))
                                          : "Flink does not tell its path"};
    case SNAPSHOT_FAILED:
        return (struct obs_cause){"Failed", str_or(told, "it failed")};
    case SNAPSHOT_ABANDONED:
        return (struct obs_cause){"Abandoned", str_or(told, "it was abandoned")};
    default:
        break;
    }
    if (p->trouble.reason)
        return p->trouble;
    if (p->progress)
        return (struct obs_cause){"Waiting", p->progress};
    if (p->state == SNAPSHOT_PENDING && told)
        return (struct obs_cause){snapshot_error(p),
                                  arena_printf(p->a, "%s; it will be tried again", told)};
    return (struct obs_cause){"Taking", arena_printf(p->a, "taking a %s", snapshot_word(p))};
}

static jv conditions(struct snapshot_pass *p, const char *error_now)
{
    struct obs_cause why = summary(p, error_now);
    bool here = !p->meta.deleted_ms;
    bool ok = here && p->state == SNAPSHOT_COMPLETED;
    bool stalled = p->out.memory.refused.reason ||
                   (here && (p->trouble.reason || p->state == SNAPSHOT_FAILED ||
                             p->state == SNAPSHOT_ABANDONED));
    const struct condition list[] = {
        {"Ready", ok, why.reason, why.message},
        {"Reconciling", !ok && !stalled, why.reason, why.message},
        {"Stalled", stalled, why.reason, why.message},
    };

    return conditions_write(p->a, jv_get(p->status, "conditions"), list, ARRAY_SIZE(list),
                            p->meta.generation, p->s->wall);
}

void snapshot_report(struct snapshot_pass *p)
{
    struct conf options = flink_defaults_conf(p->s->defaults);
    const char *before = JV_STRING(p->cr, "status", "error"),
               *error_now = error_form(p->a, &options, error(p));
    jv status = jv_set(p->a, p->status, "state", STR(snapshot_state_name(p->state)));

    status = jv_set(p->a, status, "error", STR(error_now));
    status = jv_set(p->a, status, "observedGeneration", INT(p->meta.generation));
    status = jv_set(p->a, status, "conditions", conditions(p, error_now));
    if (p->trouble.reason && !str_eq(before, error_now))
        snapshot_event(p, true, not_valid(p) ? "ValidationError" : p->trouble.reason,
                       p->trouble.message);
    plan_status(&p->out.plan, KIND_FLINKSTATESNAPSHOT, p->cr, status);
}
