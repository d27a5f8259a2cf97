/* SPDX-License-Identifier: Apache-2.0 */
/* The status of a FlinkSessionJob, and what is new in it as events. */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "job_end.h"
#include "job_internal.h"
#include "job_snapshots.h"
#include "job_stop.h"
#include "job_words.h"
#include "status.h"

#define SILENT_MS 10000 /* a JobManager that is back by then was not away */

/* Its JobManager is gone or does not answer, or does not know the job. */
static bool nobody_tells(const struct job_pass *p, struct obs_cause trouble)
{
    bool answers = p->s->flink->known && p->s->flink->reachable;

    if (p->record_id || p->record_suspended || p->deploying || !p->job_id ||
        p->state == JOB_UNKNOWN || job_state_terminal(p->state))
        return false;
    return !p->s->cluster_ready ? !answers : str_eq(trouble.reason, JOB_MISSING);
}

/* What is told of it then is what the incumbent tells (api-contract §2.2); what is decided goes by
 * what Flink tells, and by whether the job has ended. */
static enum job_state state_to_tell(struct job_pass *p, struct obs_cause trouble)
{
    int64_t *since = &p->out.memory.silent_since;

    if (!nobody_tells(p, trouble)) {
        *since = -1;
        return p->state;
    }
    if (*since < 0)
        *since = p->s->now;
    if (p->s->now - *since >= SILENT_MS || str_eq(trouble.reason, JOB_MISSING))
        return JOB_RECONCILING;
    plan_wake(&p->out.plan, *since + SILENT_MS);
    return p->state;
}

static jv job_status(struct job_pass *p)
{
    jv js = jv_present(p->new_status) ? p->new_status : jv_get(p->status, "jobStatus");
    const struct obs_job *job = p->record_id ? NULL : p->job;
    const char *state = p->told == JOB_UNKNOWN ? NULL : job_state_name(p->told);
    bool never_ran = p->record_suspended && !job_state_terminal(p->state);

    /* What it has left is not wanted any more, and must not look like lost (state_lost). */
    never_ran |= p->record_suspended && !p->record_restore && left_savepoint(js);
    if (p->record_id) /* from here on the status is about the new one */
        state = job_state_name(JOB_RECONCILING);
    if (never_ran)
        state = NULL;
    if (p->record_id || never_ran)
        js = job_untriggered(p->a, job_status_begin(p->a, js, p->record_id));
    if (p->record_id || p->record_suspended)
        js = job_status_leave(p->a, js, p->record_restore);
    else /* of a former release of the incumbent */
        js = jv_set(p->a, js, "upgradeSavepointPath", STR(job_begins_with(p->recorded, p->status)));
    return job_status_write(p->a, js, job, state, p->s->wall);
}

static jv reconciliation(struct job_pass *p, const char **ret_state)
{
    jv old = jv_get(p->status, "reconciliationStatus");
    const char *state = str_or(JV_STRING(old, "state"), "UPGRADING");
    const char *text = JV_STRING(old, "lastReconciledSpec");
    const char *stable = JV_STRING(old, "lastStableSpec");
    jv stamp = jv_get(old, "reconciliationTimestamp");
    jv target = spec_with_nonces(p->a, p->target, p->nonces);

    *ret_state = state;
    if (p->lost) /* what cannot be read may be put back */
        return old;
    if (p->record_id || p->record_suspended ||
        (!p->invalid && !p->changed && jv_present(p->recorded) && !p->meta.deleted_ms &&
         !p->suspend && !jv_equal(target, p->recorded))) {
        bool same_job = !p->record_id && !p->record_suspended;

        text = record_text(p->a, target, !jv_present(p->recorded));
        stamp = INT(p->s->wall);
        if (same_job && stable)
            stable = text;
    } else if (jv_present(p->nonces)) {
        text = record_text(p->a, spec_with_nonces(p->a, p->recorded, p->nonces), false);
        stable = str_eq(stable, JV_STRING(old, "lastReconciledSpec")) ? text : stable;
    }
    if (p->record_id)
        state = "UPGRADING";
    else if (p->record_suspended || p->deployed)
        state = "DEPLOYED";
    if (!strcmp(state, "DEPLOYED") && !p->record_id &&
        (job_runs_whole(p->job) || p->state == JOB_FINISHED || p->record_suspended))
        stable = text;
    *ret_state = state;
    return jv_dup(p->a, OBJ({"reconciliationTimestamp", stamp}, {"lastReconciledSpec", STR(text)},
                            {"lastStableSpec", STR(stable)}, {"state", STR(state)}));
}

static const char *lifecycle(const struct job_pass *p, const char *state, jv recon)
{
    const char *last = JV_STRING(recon, "lastReconciledSpec");

    if (p->meta.deleted_ms)
        return "DELETING";
    if (!last)
        return p->invalid ? "FAILED" : "CREATED";
    if (!strcmp(state, "UPGRADING"))
        return "UPGRADING";
    if (p->suspend && !p->progress &&
        (p->record_suspended || job_state_terminal(p->state) || !p->job_id))
        return "SUSPENDED";
    if (p->state == JOB_FAILED)
        return "FAILED";
    return str_eq(last, JV_STRING(recon, "lastStableSpec")) ? "STABLE" : "DEPLOYED";
}

/* ---- the cause ---- */

/* A failed submission stays in the status while the next attempt is under way. */
static struct obs_cause standing_trouble(struct job_pass *p)
{
    const char *before = JV_STRING(p->status, "error");
    struct obs_cause none = {0};

    if (p->trouble.reason)
        return p->trouble;
    if (p->deploying && before && p->out.memory.submit_failures && !p->record_id)
        return (struct obs_cause){"SubmitFailed", error_message(p->a, before)};
    return none;
}

static const char *error(struct job_pass *p, struct obs_cause trouble)
{
    const char *before = JV_STRING(p->status, "error");

    if (p->invalid)
        return error_text(p->a, ERROR_PREFIX "ValidationException", NULL, p->invalid);
    if (trouble.reason && !strcmp(trouble.reason, JOB_MISSING)) /* a plain string, §1.7 */
        return p->record_id ? NULL : trouble.message;
    if (trouble.reason && strcmp(trouble.reason, "ClusterNotFound"))
        return job_trouble_error(p->a, &trouble);
    if (p->state == JOB_FAILED && !p->record_id)
        return p->failure ? error_text(p->a, JOB_FAILURE_TYPE, NULL, p->failure)
                          : job_failure_told(before);
    return NULL;
}

/* status.error stays as the API has always had it. */
#define LOST_STATE \
    JOB_NOT_FOUND  \
    ": its JobManager has lost it, and only you know where its state is; " HOW_TO_RESTORE

static struct obs_cause summary(struct job_pass *p, struct obs_cause trouble)
{
    const char *before = error_message(p->a, job_failure_told(JV_STRING(p->status, "error")));
    const char *cause = str_or(p->failure, str_or(before, "the job failed"));

    if (p->meta.deleted_ms && p->out.memory.refused.reason)
        return (struct obs_cause){"DeletionBlocked", p->out.memory.refused.message};
    if (p->meta.deleted_ms)
        return (struct obs_cause){"Deleting", str_or(p->progress, "deleting")};
    if (p->invalid)
        return (struct obs_cause){"ValidationError", p->invalid};
    if (trouble.reason && !strcmp(trouble.reason, JOB_MISSING) && !p->record_id && !p->stateless)
        return (struct obs_cause){
            trouble.reason, arena_printf(p->a, LOST_STATE "%s",
                                         job_last_seen(p->a, jv_get(p->status, "jobStatus")))};
    if (trouble.reason && !p->record_id)
        return trouble;
    if (p->state == JOB_FAILED && !p->record_id && !p->runs_again)
        return (struct obs_cause){"Failed", job_failed_text(p->a, cause, &p->out.memory.restart)};
    if (p->progress)
        return (struct obs_cause){"Waiting", p->progress};
    if (p->record_id || p->deploying)
        return (struct obs_cause){"Submitting", "submitting the job"};
    if (p->suspend)
        return (struct obs_cause){"Suspended", "the job is suspended"};
    return job_state_cause(p->a, p->job, p->state, p->s->cluster_shortage);
}

static jv conditions(struct job_pass *p, struct obs_cause trouble)
{
    struct obs_cause why = summary(p, trouble);
    bool taken = !p->changed || p->record_suspended;
    bool here = !p->record_id && !p->deploying && !p->invalid && !p->meta.deleted_ms && taken &&
                !p->progress;
    bool ok = here && (p->suspend ? job_state_terminal(p->state) || !p->job_id
                                  : job_runs_whole(p->job) || p->state == JOB_FINISHED);
    bool stalled = p->invalid || p->out.memory.refused.reason ||
                   (!p->record_id && !p->runs_again && p->state == JOB_FAILED) ||
                   (trouble.reason && (!strcmp(trouble.reason, "SubmitFailed") ||
                                       !strcmp(trouble.reason, UPGRADE_FAILED))) ||
                   (trouble.reason && !strcmp(trouble.reason, JOB_MISSING) && !p->record_id);
    struct condition list[4] = {
        {"Ready", ok, why.reason, why.message},
        {"Reconciling", !ok && !stalled, why.reason, why.message},
        {"Stalled", stalled, why.reason, why.message},
    };

    size_t n = 3;

    n += autoscaling_condition(p->a, p->target, p->autoscaled, &list[n]);
    return conditions_write(p->a, jv_get(p->status, "conditions"), list, n, p->meta.generation,
                            p->s->wall);
}

/* ---- events ---- */

static void tell(struct job_pass *p, struct obs_cause trouble, const char *error_now)
{
    const char *was = JV_STRING(p->status, "jobStatus", "state");
    const char *is = job_state_name(p->told);
    struct plan *plan = &p->out.plan;

    if (p->rescaled || (p->record_id && jv_present(p->recorded) && p->changed))
        plan_event(plan, KIND_FLINKSESSIONJOB, p->cr, false, "Job", "SpecChanged",
                   arena_printf(p->a,
                                "%s change(s) detected (Diff: %s), starting "
                                "reconciliation.",
                                p->rescaled ? "SCALE" : "UPGRADE",
                                spec_diff_text(p->a, "FlinkSessionJobSpec", p->recorded, p->spec)));
    if (p->record_id && p->runs_again)
        job_tell_restart(plan, KIND_FLINKSESSIONJOB, p->cr, p->record_restore,
                         &p->out.memory.restart);
    if (p->record_id)
        plan_event(plan, KIND_FLINKSESSIONJOB, p->cr, false, "Job", "Submit",
                   "Starting deployment");
    else if (p->state != JOB_UNKNOWN && p->job && !str_eq(was, is))
        plan_event(
            plan, KIND_FLINKSESSIONJOB, p->cr, false, "Job", "JobStatusChanged",
            arena_printf(p->a, "Job status changed from %s to %s", str_or(was, "RECONCILING"), is));
    if (p->deployed && !p->invalid) {
        struct jv_list advice = JV_LIST(p->a);

        session_job_advice(&advice, &p->wanted.job, &p->conf, &p->s->cluster_keeps);
        plan_warnings(plan, KIND_FLINKSESSIONJOB, p->cr, "Job", ADVICE, jv_list_arr(&advice));
    }
    if (p->record_suspended && jv_present(p->recorded) &&
        !str_eq(JV_STRING(p->recorded, "job", "state"), "suspended"))
        plan_event(plan, KIND_FLINKSESSIONJOB, p->cr, false, "Job", "Suspended",
                   "Suspending existing deployment.");
    if (p->record_id && trouble.reason)
        plan_event(plan, KIND_FLINKSESSIONJOB, p->cr, true, "Job", trouble.reason, trouble.message);
    tell_without_effect(plan, KIND_FLINKSESSIONJOB, p->cr);
    if (!error_now || str_eq(error_now, JV_STRING(p->status, "error")))
        return;
    plan_event(plan, KIND_FLINKSESSIONJOB, p->cr, true, "Job",
               p->invalid       ? "ValidationError"
               : trouble.reason ? trouble.reason
                                : "Error",
               error_message(p->a, error_now));
}

void report_job(struct job_pass *p)
{
    struct obs_cause trouble = standing_trouble(p);
    const char *state, *error_now = error_form(p->a, &p->conf, error(p, trouble));

    p->told = state_to_tell(p, trouble);
    jv recon = reconciliation(p, &state);
    jv status = p->status.type == JV_OBJ ? p->status : EMPTY_OBJ;

    status = jv_merge(p->a, status,
                      jv_dup(p->a, OBJ({"lifecycleState", STR(lifecycle(p, state, recon))},
                                       {"observedGeneration", INT(p->meta.generation)})));
    status = jv_set(p->a, status, "jobStatus", job_status(p));
    if (p->record_id || p->record_suspended)
        status = jv_set(p->a, status, "submittedTo", ABSENT);
    else if (p->submitted_to)
        status = jv_set(p->a, status, "submittedTo", STR(p->submitted_to));
    status = jv_set(p->a, status, "error", STR(error_now));
    status = jv_set(p->a, status, "reconciliationStatus", recon);
    status = jv_set(p->a, status, "conditions", conditions(p, trouble));
    tell(p, trouble, error_now);
    plan_status(&p->out.plan, KIND_FLINKSESSIONJOB, p->cr, status);
}
