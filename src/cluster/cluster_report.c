/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status of a FlinkDeployment: the fields that the API has always had (api-contract §1.6), the
 * conditions that tools wait for, and one sentence that names the first useful cause. It is written
 * only when it differs, and events tell what is new in it.
 */
#include <string.h>

#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "job_snapshots.h"
#include "job_words.h"
#include "status.h"

static const struct {
    const char *name, *reason, *message; /* of the condition `Running` of a session cluster */
} jm_texts[] = {
    [JM_MISSING] = {"MISSING", "JobManagerDeploymentMissing", "JobManager deployment not found"},
    [JM_DEPLOYING] = {"DEPLOYING", "JobManagerIsDeploying", "JobManager process is starting up"},
    [JM_DEPLOYED_NOT_READY] = {"DEPLOYED_NOT_READY", "DeployedNotReady",
                               "JobManager is running but not ready yet to receive REST API calls"},
    [JM_READY] = {"READY", "JobManagerReady",
                  "JobManager is running and ready to receive REST API calls"},
    [JM_ERROR] = {"ERROR", "Error", "JobManager deployment failed"},
};

const char *jm_status_name(enum jm_status s)
{
    return jm_texts[s].name;
}

/* What it is there for is done or goes on. */
static bool job_well(const struct cluster_pass *p)
{
    return !jv_present(p->pending) && (job_runs_whole(p->job) || p->job_state == JOB_FINISHED);
}

static bool ready(const struct cluster_pass *p)
{
    if (p->rolled_back)
        return false;
    if (p->suspended || (p->over && p->job_state == JOB_FINISHED && !jv_present(p->pending)))
        return p->down && !p->invalid && !p->meta.deleted_ms;
    if (p->application && !job_well(p))
        return false;
    return p->jm == JM_READY && p->up_to_date && !p->no_service && !p->invalid &&
           !refusal(p)->reason && !p->former && !p->meta.deleted_ms;
}

/* It runs again as it did before, which is not what is asked for. */
static bool tells_rollback(const struct cluster_pass *p)
{
    return p->rolled_back && job_well(p) && (p->over || (p->jm == JM_READY && p->up_to_date));
}

/* ---- conditions ---- */

/* Until the JobManager is there or a job asks there is nothing to tell, and a new cluster gets by
 * with two writes to its status. */
static bool tells_allocation(const struct cluster_pass *p)
{
    bool asked = !is_standalone(p) && (p->alloc.desired || p->s->n_tm_pods);

    return p->has_alloc &&
           (p->jm == JM_READY || asked || jv_present(jv_get(p->status, "allocator")));
}

static struct condition taskmanagers_condition(struct cluster_pass *p)
{
    const struct alloc_result *r = &p->alloc;
    struct condition c = {.type = "TaskManagersReady", .status = true, .reason = "AsNeeded"};

    if (r->problem.reason) {
        c.status = false;
        c.reason = r->problem.reason;
        c.message = r->problem.message;
    } else if (r->live < r->desired) {
        c.status = false;
        c.reason = "Starting";
        c.message = arena_printf(p->a, "%d of %d TaskManagers have registered%s%s", r->live,
                                 r->desired,
                                 r->memory.start_failures ? "; before, one failed: " : "",
                                 r->memory.start_failures ? r->memory.start_cause.message : "");
    } else {
        c.message = arena_printf(p->a, "%d TaskManagers with %d slots, %d needed", r->live,
                                 r->slots_total, r->slots_needed);
    }
    return c;
}

#define JM_GONE                                                                                              \
    "Missing JobManager deployment: somebody has deleted it, and it is not made again because " RECOVERY_KEY \
    " is false; to have it again, leave that out or change the spec"

/* Why what is asked for is not taken. */
static const char *invalid_reason(const struct cluster_pass *p)
{
    if (p->unsupported_version)
        return "UnsupportedFlinkVersion";
    return p->asking ? "RollingOut" : str_or(p->refused, "ValidationError");
}

struct obs_cause describe(struct cluster_pass *p)
{
    const struct obs_cause *refused = refusal(p);

    if (p->meta.deleted_ms && refused->reason)
        return (struct obs_cause){"DeletionBlocked", refused->message};
    if (p->meta.deleted_ms)
        return (struct obs_cause){p->blocked ? "DeletionBlocked" : "Deleting",
                                  str_or(p->blocked, str_or(p->progress, "deleting"))};
    if (p->invalid)
        return (struct obs_cause){invalid_reason(p), p->invalid};
    if (refused->reason)
        return *refused;
    if (p->missing)
        return (struct obs_cause){JOB_MISSING, JM_GONE};
    if (p->stop_trouble.reason)
        return p->stop_trouble;
    if (p->jm == JM_ERROR)
        return p->cause;
    if (!p->up_to_date && p->progress)
        return (struct obs_cause){"RollingOut", p->progress};
    if (p->jm != JM_READY && p->cause.reason)
        return p->cause;
    if (p->jm == JM_DEPLOYED_NOT_READY)
        return (struct obs_cause){jm_texts[p->jm].reason,
                                  p->serves
                                      ? "the JobManager answers, but its pod is not Ready, so no "
                                        "Service leads to it"
                                      : arena_printf(p->a, "the JobManager does not answer: %s",
                                                     str_or_empty(p->s->flink->error))};
    if (p->former && p->jm == JM_READY)
        return (struct obs_cause){
            "FormerJobManager",
            arena_printf(p->a,
                         "the former JobManager pod %s may still run: jobs are submitted when it "
                         "has ended, so that none runs twice%s",
                         p->former->meta.name,
                         p->former_stuck ? "; if its node is lost, delete the Node or, by force, "
                                           "the pod"
                                         : "")};
    if (p->progress)
        return (struct obs_cause){"RollingOut", p->progress};
    if (tells_rollback(p))
        return (struct obs_cause){"RolledBack", rolled_back_text()};
    if (p->application && (p->suspended || p->over || p->jm == JM_READY))
        return describe_job(p);
    return (struct obs_cause){jm_texts[p->jm].reason, jm_texts[p->jm].message};
}

/* As it has always been (api-contract §1.6). */
static struct condition running_condition(const struct cluster_pass *p)
{
    struct obs_cause job;

    if (!p->application)
        return (struct condition){"Running", p->jm == JM_READY, jm_texts[p->jm].reason,
                                  jm_texts[p->jm].message};
    if (p->job_state == JOB_UNKNOWN)
        return (struct condition){"Running", false, "Suspended", "the job has never run"};
    job = job_state_cause(p->a, NULL, p->job_state, NULL);
    return (struct condition){"Running", p->job_state == JOB_RUNNING, job.reason, job.message};
}

static jv conditions(struct cluster_pass *p)
{
    struct obs_cause why = describe(p);
    bool ok = ready(p);
    bool failed = p->application && !p->recording && !p->runs_again && p->job_state == JOB_FAILED;
    bool stalled = (p->invalid && !p->asking) || refusal(p)->reason || p->jm == JM_ERROR ||
                   p->blocked || p->former_stuck || failed || p->job_missing || p->missing ||
                   tells_rollback(p) || str_eq(p->stop_trouble.reason, UPGRADE_FAILED);
    struct condition list[9] = {
        {"Ready", ok, why.reason, why.message},
        {"Reconciling", !ok && !stalled, why.reason, why.message},
        {"Stalled", stalled, why.reason, why.message},
        running_condition(p),
    };
    size_t n = 4;

    if (tells_allocation(p))
        list[n++] = taskmanagers_condition(p);
    if (p->exposed.type)
        list[n++] = p->exposed;
    n += references_condition(p, &list[n]);
    n += p->application && autoscaling_condition(p->a, p->target, p->autoscaled, &list[n]);
    n += blue_green_condition(p->cr, &list[n]);
    return conditions_write(p->a, jv_get(p->status, "conditions"), list, n, p->meta.generation,
                            p->s->wall);
}

/* ---- error ---- */

/* NULL: nothing is wrong. */
static const char *error(struct cluster_pass *p)
{
    const struct obs_cause *refused = refusal(p);

    if (p->refused)
        return error_text(p->a, ERROR_PREFIX "ReconciliationException", p->refused, p->invalid);
    if (p->invalid && !p->asking)
        return error_text(p->a, ERROR_PREFIX "ValidationException", NULL, p->invalid);
    if (refused->reason)
        return error_text(p->a, ERROR_PREFIX "ReconciliationException", refused->reason,
                          refused->message);
    if (p->missing)
        return error_text(p->a, ERROR_PREFIX "MissingJobManagerException", NULL, JM_GONE);
    if (str_eq(p->stop_trouble.reason, JOB_MISSING))
        return JOB_NOT_FOUND;
    if (p->stop_trouble.reason)
        return job_trouble_error(p->a, &p->stop_trouble);
    if (p->application && !p->recording && p->job_state == JOB_FAILED)
        return p->failure ? error_text(p->a, JOB_FAILURE_TYPE, NULL, p->failure)
                          : job_failure_told(JV_STRING(p->status, "error"));
    if (p->jm != JM_ERROR)
        return NULL;
    return error_text(p->a, ERROR_PREFIX "DeploymentFailedException", p->cause.reason,
                      p->cause.message);
}

/* ---- reconciliation ---- */

/* What is recorded has been seen to do what it is there for. */
bool works(const struct cluster_pass *p)
{
    if (p->suspended)
        return p->down;
    return p->jm == JM_READY && p->up_to_date && !refusal(p)->reason &&
           (!p->application || job_well(p));
}

/* What runs from a state that the user has chosen is not left for another one by itself. */
static bool chosen_state(const struct cluster_pass *p)
{
    return p->application && jv_present(p->recorded) && p->recording &&
           job_redeploys(p->recorded, p->target);
}

static jv reconciliation(struct cluster_pass *p, const char **ret_state)
{
    jv old = jv_get(p->status, "reconciliationStatus");
    const char *state = str_or(JV_STRING(old, "state"), "UPGRADING");
    const char *text = JV_STRING(old, "lastReconciledSpec");
    const char *stable = JV_STRING(old, "lastStableSpec");
    jv stamp = jv_get(old, "reconciliationTimestamp");

    *ret_state = state;
    if (p->lost) /* what cannot be read may be put back */
        return old;
    if (keeps_failed(p)) {
        *ret_state = rollback_state(p);
        if (jv_present(p->nonces))
            text = record_text(
                p->a,
                spec_with_nonces(p->a, jv_present(p->failed) ? p->failed : p->recorded, p->nonces),
                false);
        old = jv_set(p->a, old, "lastReconciledSpec", STR(text));
        return jv_set(
            p->a,
            jv_set(p->a, old, "reconciliationTimestamp", p->recording ? INT(p->s->wall) : stamp),
            "state", STR(*ret_state));
    }
    if (jv_present(p->failed)) /* what ran before is asked for */
        state = job_upgrading(p) ? "UPGRADING" : "DEPLOYED";
    if (p->held && (!jv_equal(p->target, p->recorded) || jv_present(p->failed))) {
        bool was_stable = stable && str_eq(stable, text);

        text = record_text(p->a, p->target, !jv_present(p->recorded));
        stamp = INT(p->s->wall);
        /* Nothing that restarts: as stable as before. */
        if ((!p->recording && !p->deployed && was_stable) || chosen_state(p))
            stable = text;
    }
    if (p->recording)
        state = p->record_suspended ? "DEPLOYED" : "UPGRADING";
    else if (p->application ? p->deployed
                            : p->jm == JM_READY && p->up_to_date && !refusal(p)->reason)
        state = "DEPLOYED";
    if (!p->recording && !strcmp(state, "DEPLOYED") && works(p))
        stable = text;
    *ret_state = state;
    return jv_dup(p->a, OBJ({"reconciliationTimestamp", stamp}, {"lastReconciledSpec", STR(text)},
                            {"lastStableSpec", STR(stable)}, {"state", STR(state)}));
}

static const char *lifecycle(const struct cluster_pass *p, const char *state, jv recon, bool failed)
{
    const char *last = JV_STRING(recon, "lastReconciledSpec");

    if (p->meta.deleted_ms)
        return "DELETING";
    if (!last)
        return failed ? "FAILED" : "CREATED";
    if (!strcmp(state, "UPGRADING") || !strcmp(state, "ROLLING_BACK"))
        return state;
    if (p->suspended || p->record_suspended)
        return "SUSPENDED";
    if (p->application && p->job_state == JOB_FAILED)
        return "FAILED";
    if (!strcmp(state, "ROLLED_BACK"))
        return state;
    return str_eq(last, JV_STRING(recon, "lastStableSpec")) ? "STABLE" : "DEPLOYED";
}

/* ---- what runs ---- */

#define HEALTH_INFO "ClusterHealthInfo" /* in clusterInfo, JSON as text */

static jv cluster_info(struct cluster_pass *p)
{
    const struct obs_flink *f = p->s->flink;
    jv old = jv_get(p->status, "clusterInfo");
    int tms = p->has_alloc ? p->alloc.live : 0;

    if (p->jm != JM_READY || !f->version)
        return jv_present(old) ? old : EMPTY_OBJ;
    double cpu = p->config.jm.cpu * p->config.jm_replicas + p->config.tm.cpu * tms;
    int64_t memory = p->config.jm.memory * p->config.jm_replicas + p->config.tm.memory * tms;

    return jv_dup(p->a, OBJ({"flink-version", STR(f->version)}, {"flink-revision", STR(f->commit)},
                            {"total-cpu", STR(arena_printf(p->a, "%.10g", cpu))},
                            {"total-memory", STR(arena_printf(p->a, "%lld", (long long)memory))}));
}

/* As it was said last, while that is looked at. */
static jv with_health(struct cluster_pass *p, jv info)
{
    const char *was = JV_STRING(p->status, "clusterInfo", HEALTH_INFO);

    return jv_set(p->a, info, HEALTH_INFO,
                  STR(p->health_told         ? p->health_told
                      : health_is_checked(p) ? was
                                             : NULL));
}

/* For the scale subresource (api-contract §1.6): of an application while its job runs, in mode
 * standalone what there is. */
static jv taskmanagers(struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->tm_deployment;
    jv old = jv_get(p->status, "taskManager");
    int slots = p->config.alloc.slots, replicas = 0;
    bool there;

    if (is_standalone(p)) {
        if (p->jm != JM_READY && !p->suspended && jv_present(old))
            return old;
        there = d && p->jm == JM_READY;
        replicas = there ? d->status_replicas : 0;
    } else if (p->application) {
        there = p->job_state == JOB_RUNNING && !p->record_id;
        replicas = there ? (p->config.job_parallelism + slots - 1) / slots : 0;
    } else {
        return old;
    }
    return jv_dup(
        p->a,
        OBJ({"labelSelector",
             STR(there ? arena_printf(p->a, "component=taskmanager,app=%s", p->meta.name) : "")},
            {"replicas", INT(replicas)}));
}

static enum allocator_type in_force(const struct cluster_pass *p)
{
    if (is_standalone(p))
        return ALLOCATOR_NONE;
    return p->flinks_own ? ALLOCATOR_FLINK : ALLOCATOR_OPERATOR;
}

static jv allocator(struct cluster_pass *p)
{
    const struct alloc_result *r = &p->alloc;
    jv old = jv_get(p->status, "allocator");

    if (!tells_allocation(p)) {
        if (!p->s->n_tm_pods)
            return old;
        /* The names of pods that go are never given again. */
        old = jv_set(p->a, old, "attempt", INT(p->attempt));
        return jv_set(p->a, old, "lastIndex", INT(p->last_index));
    }
    const char *note = p->flinks_own ? p->config.allocator_note : NULL;

    return jv_dup(p->a,
                  OBJ({"type", STR(allocator_name(in_force(p)))}, {"attempt", INT(p->attempt)},
                      {"lastIndex", INT(p->last_index)}, {"jobManager", STR(p->alloc_instance)},
                      {"taskManagers", OBJ({"live", INT(r->live)}, {"starting", INT(r->starting)},
                                           {"desired", INT(r->desired)})},
                      {"slots", OBJ({"total", INT(r->slots_total)}, {"free", INT(r->slots_free)},
                                    {"needed", INT(r->slots_needed)})},
                      {"message", STR(r->problem.message ? r->problem.message : note)}));
}

/* ---- events: what is new against the status as it was ---- */

static bool tells_already(const struct cluster_pass *p, const struct condition *c)
{
    jv_foreach (old, jv_get(p->status, "conditions"))
        if (str_eq(JV_STRING(*old, "type"), c->type))
            return str_eq(JV_STRING(*old, "message"), c->message);
    return false;
}

/* More than a wish to suspend or to resume. */
static bool spec_changes(struct cluster_pass *p)
{
    return !str_eq(spec_hash(p, p->target), p->recorded_hash);
}

/* What had its JobManager, and gets it again. */
static bool is_recovered(const struct cluster_pass *p)
{
    const char *was = JV_STRING(p->status, "jobManagerDeploymentStatus");

    return !p->s->deployment && p->jm == JM_DEPLOYING && !p->recording && is_deployed(p) &&
           !jv_present(p->pending) &&
           (str_eq(was, jm_status_name(JM_READY)) ||
            str_eq(was, jm_status_name(JM_DEPLOYED_NOT_READY)));
}

static void tell(struct cluster_pass *p, const char *error_now)
{
    const char *before = JV_STRING(p->status, "error");
    const char *alloc_before = JV_STRING(p->status, "allocator", "message");
    struct condition references;
    struct plan *plan = &p->plan;
    jv cr = p->cr;

    if (p->application)
        tell_job(p);
    if (p->recorded_again)
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Operator", "StatusRestored",
                   "The status did not tell of the job that runs: it is recorded again, as its "
                   "Deployment tells it");
    if (is_recovered(p))
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Job", "RecoverDeployment",
                   "Recovering lost deployment");
    if (p->recording && !p->record_suspended && !jv_present(p->recorded))
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, false, "JobManagerDeployment", "Submit",
                   "Starting deployment");
    else if ((p->recording || p->rescaled) && !p->rolls_back && jv_present(p->recorded) &&
             spec_changes(p))
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, false, "JobManagerDeployment", "SpecChanged",
                   arena_printf(p->a,
                                "%s change(s) detected (Diff: %s), starting "
                                "reconciliation.",
                                p->rescaled ? "SCALE" : "UPGRADE",
                                spec_diff_text(p->a, "FlinkDeploymentSpec", p->recorded,
                                               as_recorded(p, p->target))));
    if (p->recording && p->usable && !p->invalid) {
        struct jv_list advice = JV_LIST(p->a);

        deployment_advice(&advice, &p->config);
        plan_warnings(plan, KIND_FLINKDEPLOYMENT, cr, "Operator", ADVICE, jv_list_arr(&advice));
    }
    if (p->recording && p->config.allocator_note)
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, false, "Operator", "AllocatorFlink",
                   arena_printf(p->a, "TaskManagers are left to Flink's own allocator: %s",
                                p->config.allocator_note));
    if (error_now && !str_eq(error_now, before)) {
        if (p->invalid && !p->asking)
            plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Operator", invalid_reason(p),
                       p->invalid);
        else if (refusal(p)->reason)
            plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Operator", refusal(p)->reason,
                       refusal(p)->message);
        else if (p->missing)
            plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "JobManagerDeployment", JOB_MISSING,
                       JM_GONE);
        else if (p->stop_trouble.reason)
            plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Job", p->stop_trouble.reason,
                       p->stop_trouble.message);
        else if (p->application && p->job_state == JOB_FAILED)
            plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Job", "Error",
                       error_message(p->a, error_now));
        else
            plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "JobManagerDeployment",
                       p->cause.reason, p->cause.message);
    }
    if (!answer_comes(p))
        tell_without_effect(plan, KIND_FLINKDEPLOYMENT, cr);
    if (p->blocked && !strstr(json_text(p->a, jv_get(p->status, "conditions")), p->blocked))
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Operator", "CleanupFailed", p->blocked);
    if (p->exposed_trouble && !tells_already(p, &p->exposed))
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Operator", p->exposed.reason,
                   p->exposed.message);
    if (references_condition(p, &references) && !tells_already(p, &references))
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Operator", references.reason,
                   references.message);
    if (p->has_alloc && p->alloc.problem.reason && !str_eq(p->alloc.problem.message, alloc_before))
        plan_event(plan, KIND_FLINKDEPLOYMENT, cr, true, "Operator", p->alloc.problem.reason,
                   p->alloc.problem.message);
}

void report(struct cluster_pass *p)
{
    struct conf defaults = flink_defaults_conf(p->s->defaults);
    bool silent = answer_comes(p);
    const char *state,
        *error_now = silent ? JV_STRING(p->status, "error")
                            : error_form(p->a, p->usable ? &p->config.conf : &defaults, error(p));
    jv recon, status;

    /* The finalizer's patch changes the resourceVersion that a status patch would carry, unless it
     * is refused. */
    if (p->usable && !p->meta.deleted_ms && !p->held && !refusal(p)->reason)
        return;
    if (p->undecided && !p->meta.deleted_ms && (p->adopted || jv_equal(p->target, p->recorded)))
        return;
    recon = reconciliation(p, &state);
    status = jv_merge(
        p->a, p->status.type == JV_OBJ ? p->status : EMPTY_OBJ,
        jv_dup(p->a, OBJ({"jobManagerDeploymentStatus", STR(jm_status_name(p->jm))},
                         {"lifecycleState", STR(lifecycle(p, state, recon, error_now))},
                         {"observedGeneration", silent ? jv_get(p->status, "observedGeneration")
                                                       : INT(p->meta.generation)},
                         {"clusterInfo", EMPTY_OBJ}, {"jobStatus", EMPTY_OBJ})));
    if (p->application)
        status = jv_set(p->a, status, "jobStatus", cluster_job_status(p));
    else if (jv_present(jv_get(p->recorded, "job"))) /* nothing of it can be used */
        status = JV_SET_PATH(p->a, status, STR(job_begins_with(p->recorded, p->status)),
                             "jobStatus", "upgradeSavepointPath");
    status = jv_set(p->a, status, "taskManager", taskmanagers(p));
    if (p->starts_job)
        status = jv_set(p->a, status, STARTED_JOB, STR(p->job_id));
    status = references_status(p, rescale_status(p, status));
    status = jv_set(p->a, status, "clusterInfo", with_health(p, cluster_info(p)));
    status = jv_set(p->a, status, "error", STR(error_now));
    status = jv_set(p->a, status, "reconciliationStatus", recon);
    status = jv_set(p->a, status, "allocator", allocator(p));
    status = jv_set(p->a, status, "endpoints", endpoints(p));
    if (!silent)
        status = jv_set(p->a, status, "conditions", conditions(p));
    if (p->jm == JM_READY && p->up_to_date) {
        status = jv_set(p->a, status, "runningImage", STR(p->s->deployment->image));
        status = jv_set(p->a, status, "runningSpecHash", STR(p->target_hash));
    }
    tell(p, error_now);
    plan_status(&p->plan, KIND_FLINKDEPLOYMENT, p->cr, status);
}
