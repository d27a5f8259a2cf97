/* SPDX-License-Identifier: Apache-2.0 */
/* A FlinkSessionJob as its cluster needs to see it. */
#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/jar_uri.h"
#include "flinkop/plan.h"
#include "flinkop/str.h"
#include "status.h"

/* What keeps it from running lies in itself: no TaskManager needs to wait for it. */
static bool failing(jv status, enum job_state state)
{
    jv_foreach (c, jv_get(status, "conditions"))
        if (str_eq(JV_STRING(*c, "type"), "Ready") &&
            str_eq(JV_STRING(*c, "reason"), "ValidationError"))
            return true;
    return !str_empty(JV_STRING(status, "error")) && !job_state_terminal(state);
}

/* The API server does not wait for our verdict: what cannot become a job asks for no TaskManager in
 * the meantime. */
static bool possible(struct arena *a, jv cr)
{
    struct problems p = PROBLEMS_INIT(a);
    struct session_job_spec s;

    if (JV_STRING(cr, KUBE_UNREADABLE))
        return false;
    session_job_spec_read(&p, jv_get(cr, "spec"), false, &s);
    if (!p.n && str_empty(s.job.jar_uri))
        return false;
    if (!p.n)
        jar_uri_check(&p, "spec.job.jarURI", s.job.jar_uri, "http,https");
    return !p.n;
}

static bool wants_state(jv spec)
{
    const char *mode = JV_STRING(spec, "job", "upgradeMode");

    return str_eq(mode, LAST_STATE) || str_eq(mode, SAVEPOINT);
}

void obs_session_job_read(struct arena *a, jv cr, struct obs_session_job *ret)
{
    cleanup_arena struct arena scratch = {0}; /* what `a` gets stays with the job */
    jv spec = jv_get(cr, "spec"), status = jv_get(cr, "status");
    jv recorded = recorded_spec(&scratch, cr);
    enum job_state state = job_state_parse(str_or_empty(JV_STRING(status, "jobStatus", "state")));
    bool deployed = str_eq(JV_STRING(status, "reconciliationStatus", "state"), "DEPLOYED");
    bool same = jv_present(recorded) &&
                jv_equal(session_job_restart_part(&scratch, spec_to_record(&scratch, recorded, spec,
                                                                           /* autoscaled= */ true)),
                         session_job_restart_part(&scratch, recorded)) &&
                !str_eq(JV_STRING(recorded, "job", "state"), "suspended");

    *ret = (struct obs_session_job){
        /* It cannot move: where it was recorded, there it is. */
        .deployment_name =
            str_or(JV_STRING(recorded, "deploymentName"), JV_STRING(spec, "deploymentName")),
        .job_id = JV_STRING(status, "jobStatus", "jobId"),
        .parallelism = (int)jv_int64_or(JV_PATH(spec, "job", "parallelism"), 0),
        .suspended = str_eq(JV_STRING(spec, "job", "state"), "suspended"),
        .ended = deployed && same && job_state_terminal(state),
        .stateful = wants_state(spec) && !job_state_terminal(state),
        .failing = failing(status, state) || !possible(&scratch, cr),
        .finalized = has_finalizer(cr, FINALIZER_JOB),
    };
    obs_meta_read(a, cr, &ret->meta);
    ret->deployment_name = ret->deployment_name ? arena_strdup(a, ret->deployment_name) : NULL;
    ret->job_id = str_empty(ret->job_id) ? NULL : arena_strdup(a, ret->job_id);
    ret->stateful &= ret->job_id != NULL;
}
