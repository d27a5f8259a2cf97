/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application whose job has ended by itself. Where its state is, is recorded; a job that has
 * failed is run again where that is asked for (job_end.c); and after a while its JobManager is
 * taken away, in the order in which one is suspended. That it is to go is recorded before, so it
 * stays away: without high availability the next one would run the job anew.
 */
#include <string.h>

#include "application.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "job_end.h"
#include "job_words.h"
#include "status.h"

static bool is_recorded_as_ended(const struct cluster_pass *p)
{
    enum job_state state =
        job_state_parse(str_or_empty(JV_STRING(p->status, "jobStatus", "state")));

    return job_state_terminal(state) && !job_upgrading(p);
}

/* A job that has ended is no reason to make a JobManager that somebody has taken away (api-contract
 * §2.7). */
bool is_over(const struct cluster_pass *p)
{
    return !p->never_ran && is_recorded_as_ended(p) &&
           (!p->s->deployment || jv_bool_or(JV_PATH(p->status, "jobStatus", SHUT_DOWN), false));
}

/* ---- where its state is ---- */

static bool keep_end(struct cluster_pass *p)
{
    struct job_stop end = application_stop(p, UPGRADE_LAST_STATE);
    bool under_way;

    if (wants_stateless(p, jv_get(p->cr, "spec")))
        return false;
    end.memory = &p->plan.memory.end;
    under_way = job_keep_end(&end);
    p->new_job_status = end.new_status;
    return under_way;
}

/* ---- another run ---- */

/* Why it failed is told first, by the JobManager that knows it, unless there is something else to
 * tell. */
static bool cause_is_told(const struct cluster_pass *p)
{
    return !p->job || p->invalid || job_failure_told(JV_STRING(p->status, "error"));
}

static bool to_be_run_again(struct cluster_pass *p)
{
    struct restart_notes *m = &p->plan.memory.restart;

    if (p->job_state != JOB_FAILED || !job_restarts(&p->config.conf)) {
        job_restart_forget(m);
        return false;
    }
    return (m->counted || cause_is_told(p)) &&
           job_restart_due(m, &p->plan, p->job, p->s->now, p->s->wall);
}

/* ---- its JobManager ---- */

/* It can tell of nothing more. Whether it runs at all is known only when it was asked. */
static bool can_go(const struct cluster_pass *p)
{
    return (p->job_state != JOB_FAILED || cause_is_told(p)) &&
           (!p->jm_instance || jobmanager_known(p));
}

static void shut_down(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;
    jv js = jv_get(p->status, "jobStatus");
    int64_t since, ttl;
    struct error err;

    m->shut_down_told |= m->shut_down_recorded && status_written(p->s->outcomes, p->s->n_outcomes);
    m->shut_down_recorded = false;
    /* The CRD is of a former version and does not have the field. */
    if (m->shut_down_told || jv_bool_or(jv_get(js, SHUT_DOWN), false))
        return;
    if (flink_option_duration(&p->config.conf, SHUTDOWN_KEY, &ttl, &err))
        return;
    if (!str_to_int64(str_or_empty(JV_STRING(js, "updateTime")), &since))
        since = 0;
    since = MIN(MAX(since, (int64_t)0), p->s->wall);
    int64_t left = since + MIN(ttl, LONGEST_MS) - p->s->wall;

    if (p->s->deployment && left > 0) {
        plan_wake(&p->plan, p->s->now + left);
        return;
    }
    if (!can_go(p))
        return;
    m->shut_down_recorded = true;
    p->new_job_status = jv_set(p->a, js, SHUT_DOWN, BOOL(true));
}

void ask_for_another(struct cluster_pass *p)
{
    bool recorded = p->invalid || p->rolled_back;

    p->pending_conf = p->config.conf;
    p->pending_ha = p->config.ha_kubernetes;
    p->pending = recorded
                     ? p->recorded
                     : spec_to_record(p->a, p->recorded, spec_to_release(p, jv_get(p->cr, "spec")),
                                      p->autoscaled);
}

void look_after_health(struct cluster_pass *p)
{
    if (!p->unchanged || p->suspended || jv_present(p->pending))
        return;
    p->unwell = job_unwell(p);
    if (p->unwell)
        ask_for_another(p);
}

void look_after_end(struct cluster_pass *p)
{
    struct cluster_memory *m = &p->plan.memory;

    if (!p->unchanged || p->suspended || jv_present(p->pending) ||
        !job_state_terminal(p->job_state)) {
        job_restart_forget(&m->restart);
        m->shut_down_recorded = m->shut_down_told = false;
        return;
    }
    if (to_be_run_again(p)) {
        p->runs_again = true;
        ask_for_another(p);
        return;
    }
    /* While another run is to come its JobManager can tell of this one. */
    if (!keep_end(p) && !m->restart.counted && is_recorded_as_ended(p))
        shut_down(p);
}
