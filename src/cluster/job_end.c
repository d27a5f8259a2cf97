/* SPDX-License-Identifier: Apache-2.0 */
#include "job_end.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/cluster_config.h"
#include "flinkop/desired.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

/* The first time at once; what fails again and again is run some hundred times a day. */
#define RETRY_MS 10000
#define RETRY_MAX_MS 600000
#define CALM_MS RETRY_MAX_MS /* one that ran for so long has not failed in vain */

bool job_keep_end(struct job_stop *s)
{
    struct stop_memory *m = s->memory;
    enum job_state state = s->job ? s->job->job.state : JOB_UNKNOWN;
    bool known = str_eq(m->job_id, s->job_id);

    if (!job_state_terminal(state) || jv_present(jv_get(s->status, END_STATE)))
        return false;
    /* The CRD is of a former version and does not have the field. */
    m->told |= known && m->recorded && status_written(s->outcomes, s->n_outcomes);
    if (known && (m->told || m->no_checkpoint))
        return false;
    job_stop(s);
    m->trouble = s->trouble = (struct obs_cause){0};
    if (s->ended) {
        m->recorded = true;
        s->new_status = jv_set(s->a, s->status, END_STATE,
                               jv_dup(s->a, OBJ({"location", STR(s->restore_path)})));
    }
    return !m->no_checkpoint;
}

bool job_restarts(const struct conf *conf)
{
    return flink_option_on(conf, RESTART_KEY);
}

void job_restart_forget(struct restart_notes *m)
{
    m->counted = false;
}

static int64_t ran_for(const struct obs_job *job)
{
    return job && job->job.start_ms > 0 && job->job.end_ms > 0 ? job->job.end_ms - job->job.start_ms
                                                               : 0;
}

bool job_restart_due(struct restart_notes *m, struct plan *plan, const struct obs_job *job,
                     int64_t now, int64_t wall)
{
    if (!m->counted) {
        if (ran_for(job) >= CALM_MS)
            m->failures = 0;
        int64_t wait = m->failures ? backoff_ms(m->failures, RETRY_MS, RETRY_MAX_MS) : 0;

        m->counted = true;
        m->failures++;
        m->at = now + wait;
        m->at_wall = wall + wait;
    }
    if (now >= m->at)
        return true;
    plan_wake(plan, m->at);
    return false;
}

const char *job_failed_text(struct arena *a, const char *cause, const struct restart_notes *m)
{
    char at[RFC3339_MAX];

    if (!m->counted)
        return cause;
    rfc3339_format(m->at_wall, at);
    return arena_printf(a, "%s. It is run again at %s: it has failed %d times, each time soon",
                        cause, at, m->failures);
}

void job_tell_restart(struct plan *plan, enum kube_kind kind, jv cr, const char *path,
                      const struct restart_notes *m)
{
    const char *from = !path ? "from nothing"
                       : str_eq(path, RESTORE_LAST_STATE)
                           ? "from what high availability keeps"
                           : arena_printf(plan->a, "from %s", str_line(plan->a, path));

    plan_event(plan, kind, cr, false, "Job", "RestartFailedJob",
               arena_printf(plan->a, "The job has failed and is run again %s%s", from,
                            m->failures > 1
                                ? arena_printf(plan->a, " (restart %d in a row)", m->failures)
                                : ""));
}
