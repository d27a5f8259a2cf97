/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application whose new spec does not come to run within deployment.readiness.timeout goes back
 * to the one that ran before (api-contract §2.6).
 *
 *   UPGRADING or DEPLOYED ──time is up──► ROLLING_BACK ──runs──► ROLLED_BACK
 *                                               │
 *                                               └── another spec: UPGRADING
 *                                                   the stable one: DEPLOYED
 *
 * lastReconciledSpec stays the one that did not work, so that asking for it once more changes
 * nothing, and what runs is lastStableSpec. Everything else goes as if the user had asked for that:
 * what it goes on from comes from the same table, and is recorded before.
 */
#include <string.h>

#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

#define READINESS_KEY "kubernetes.operator.deployment.readiness.timeout"

static const char *recorded_state(const struct cluster_pass *p)
{
    return str_or_empty(JV_STRING(p->status, "reconciliationStatus", "state"));
}

bool job_upgrading(const struct cluster_pass *p)
{
    return !strcmp(recorded_state(p), "UPGRADING") || !strcmp(recorded_state(p), "ROLLING_BACK");
}

bool is_deployed(const struct cluster_pass *p)
{
    return !strcmp(recorded_state(p), "DEPLOYED") || !strcmp(recorded_state(p), "ROLLED_BACK");
}

/* How it is restored is not in it: its text stays as it was when it ran. */
static jv as_run(struct cluster_pass *p, jv stable)
{
    const char *path = JV_STRING(p->status, "jobStatus", "upgradeSavepointPath");
    const char *mode = str_empty(path)                     ? STATELESS
                       : !strcmp(path, RESTORE_LAST_STATE) ? LAST_STATE
                                                           : SAVEPOINT;

    stable =
        JV_SET_PATH(p->a, stable, STR(job_upgrading(p) ? "suspended" : "running"), "job", "state");
    return JV_SET_PATH(p->a, stable, STR(mode), "job", "upgradeMode");
}

/* The incumbent tells with the spec what a run goes on from, before 1.10 nowhere else; a path may
 * be of an earlier run. */
static void adopt_path(struct cluster_pass *p)
{
    const char *mode = JV_STRING(p->failed, "job", "upgradeMode");
    const char *path = str_eq(mode, LAST_STATE)  ? RESTORE_LAST_STATE
                       : str_eq(mode, SAVEPOINT) ? job_begins_with(p->failed, p->status)
                                                 : NULL;

    if (!status_is_ours(p->status))
        p->status = JV_SET_PATH(p->a, p->status, STR(path), "jobStatus", "upgradeSavepointPath");
}

void judge_rollback(struct cluster_pass *p)
{
    jv stable;

    if (strcmp(recorded_state(p), "ROLLING_BACK") && strcmp(recorded_state(p), "ROLLED_BACK"))
        return;
    stable = stable_spec(p->a, p->cr);
    if (!jv_present(jv_get(stable, "job")) || !jv_present(p->recorded))
        return;
    p->failed = p->recorded;
    adopt_path(p);
    p->recorded = spec_keep_trigger_nonces(p->a, p->failed, as_run(p, stable));
}

bool asks_for_failed(struct cluster_pass *p, jv current)
{
    jv asked;

    if (!jv_present(p->failed) || str_eq(JV_STRING(current, "job", "state"), "suspended"))
        return false;
    asked = spec_to_record(p->a, p->failed, current, p->autoscaled);
    return str_eq(spec_hash(p, asked), spec_hash(p, p->failed));
}

/* The stable one, if going back to it can be thought of; ABSENT: it cannot. */
static jv way_back(struct cluster_pass *p)
{
    jv recon = jv_get(p->status, "reconciliationStatus"), stable = stable_spec(p->a, p->cr);
    const char *mode = str_or(JV_STRING(p->cr, "spec", "job", "upgradeMode"), STATELESS);

    if (!jv_present(jv_get(stable, "job")) ||
        str_eq(JV_STRING(recon, "lastReconciledSpec"), JV_STRING(recon, "lastStableSpec")) ||
        str_eq(JV_STRING(stable, "job", "state"), "suspended") ||
        !str_eq(JV_STRING(stable, "flinkVersion"), JV_STRING(p->recorded, "flinkVersion")))
        return ABSENT;
    stable = JV_SET_PATH(p->a, stable, STR(mode), "job", "upgradeMode");
    /* A state that the user has chosen is not left again. */
    if (job_redeploys(p->recorded, stable) || str_eq(spec_hash(p, stable), p->recorded_hash))
        return ABSENT;
    return stable;
}

static bool time_is_up(struct cluster_pass *p)
{
    int64_t since = jv_int64_or(
        JV_PATH(p->status, "reconciliationStatus", "reconciliationTimestamp"), p->s->wall);
    int64_t timeout;
    struct error err;

    if (flink_option_duration(&p->config.conf, READINESS_KEY, &timeout, &err))
        return false;
    since = MIN(MAX(since, (int64_t)0), p->s->wall);
    int64_t left = since + MIN(timeout, LONGEST_MS) - p->s->wall;

    if (left > 0)
        plan_wake(&p->plan, p->s->now + left);
    return left <= 0;
}

/* Its configuration counts for what the next run goes on from, and that of what runs for all else.
 */
static bool judge_way_back(struct cluster_pass *p, jv stable)
{
    bool good = !judge_as(p, stable) && p->config.ha;

    p->pending_conf = p->config.conf;
    p->pending_ha = p->config.ha_kubernetes;
    (void)judge_recorded(p);
    p->target = as_recorded(p, p->recorded);
    return good && p->usable;
}

static bool cancelled_by_others(const struct cluster_pass *p)
{
    return p->job_state == JOB_CANCELED &&
           !job_stop_begun(jv_get(p->status, "jobStatus"), &p->plan.memory.stop, p->job_state);
}

void look_after_rollback(struct cluster_pass *p)
{
    jv stable;

    if (!p->unchanged || p->suspended || p->invalid || jv_present(p->failed) ||
        !flink_option_on(&p->config.conf, ROLLBACK_KEY))
        return;
    /* Who has cancelled it does not want another one. */
    if (works(p) || cancelled_by_others(p) || p->job_state == JOB_FINISHED)
        return;
    stable = way_back(p);
    if (!jv_present(stable) || !time_is_up(p) || !judge_way_back(p, stable))
        return;
    p->rolls_back = true;
    p->pending = stable;
}

/* ---- what is recorded and told of it ---- */

bool keeps_failed(const struct cluster_pass *p)
{
    return p->rolls_back ||
           (jv_present(p->failed) && (p->rolled_back || p->invalid || jv_present(p->pending)));
}

const char *rollback_state(const struct cluster_pass *p)
{
    if (p->rolls_back && !p->recording)
        return recorded_state(p);
    if (p->recording)
        return "ROLLING_BACK";
    return p->deployed ? "ROLLED_BACK" : recorded_state(p);
}

const char *rolled_back_text(void)
{
    return "the spec did not come to run within " READINESS_KEY
           ", and the one that ran before runs again; change the spec";
}
