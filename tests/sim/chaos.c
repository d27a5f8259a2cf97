/* SPDX-License-Identifier: Apache-2.0 */
/* What befalls the world, as a table: how often, and what. */
#include <stdio.h>
#include <string.h>

#include "flink.h"
#include "flinkop/str.h"
#include "nodes.h"
#include "operator.h"
#include "users.h"

static struct object *any_pod(void)
{
    struct object *o, *found = NULL;
    void *at = NULL;
    int n = 0;

    while ((o = api_next(KIND_POD, &at)))
        if (!any(R_FAULT, ++n))
            found = o;
    return found;
}

static struct jm *any_jm(void)
{
    struct jm *found = NULL;
    int n = 0;

    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        if (jm->up && !any(R_FAULT, ++n))
            found = jm;
    return found;
}

static struct fjob *any_job(void)
{
    struct jm *jm = any_jm();

    return jm && jm->n_jobs ? jm->jobs[any(R_FAULT, jm->n_jobs)] : NULL;
}

/* ---- what happens ---- */

static void operator_again(void *arg)
{
    (void)arg;
    operator_start();
}

static void operator_crash(void)
{
    operator_kill();
    sim_after(skewed(R_FAULT, 200, 120 * SECOND), operator_again, NULL);
}

static void stall(void)
{
    watch_stall(skewed(R_FAULT, 200, 60 * SECOND));
}

static void lag(void)
{
    watch_lag(skewed(R_FAULT, 200, 40 * SECOND), between(R_FAULT, 5 * SECOND, 120 * SECOND));
}

static void quota_ends(void *arg)
{
    (void)arg;
    if (quota_exhausted)
        TRACE("fault: there is room in the quota again");
    quota_exhausted = false;
}

static void quota(void)
{
    TRACE("fault: the quota is exhausted");
    quota_exhausted = true;
    sim_after(between(R_FAULT, 5 * SECOND, 90 * SECOND), quota_ends, NULL);
}

static void crash(void)
{
    struct object *o = any_pod();

    if (o && pod_of(o)->running) {
        TRACE("fault: %s crashes", o->name);
        if (any(R_FAULT, 2))
            flink_process_crash(o->id, 137, "OOMKilled");
        else
            flink_process_crash(o->id, 1, "Error");
    }
}

static void evict(void)
{
    struct object *o = any_pod();

    if (o)
        kubelet_evict(o);
}

static void silence(void)
{
    struct object *o = any_pod();

    if (o)
        kubelet_silence(o, skewed(R_FAULT, 5 * SECOND, 400 * SECOND));
}

static void hang(void)
{
    struct jm *jm = any_jm();

    if (!jm)
        return;
    jm->hung_until = sim.now + skewed(R_FAULT, SECOND, 120 * SECOND);
    TRACE("fault: JobManager %s hangs for %lld ms", jm->name,
          (long long)(jm->hung_until - sim.now));
}

static void fail_job(void)
{
    struct fjob *j = any_job();

    if (j)
        job_fail(j, any(R_FAULT, 2));
}

static void cancel_job(void)
{
    struct fjob *j = any_job();

    if (j) {
        TRACE("somebody cancels job %.8s", j->jid);
        job_cancel(j);
    }
}

/* Through Flink's own client. */
static void submit_job(void)
{
    struct jm *jm = any_jm();
    char jid[FLINK_ID_LEN + 1];
    struct job_wish wish = {.jid = jid,
                            .parallelism = 1 + any(R_FAULT, 4),
                            .batch = !any(R_FAULT, 3),
                            .work = between(R_FAULT, 5, 400) * SECOND};

    snprintf(jid, sizeof(jid), "eeeeeeeeeeeeeeee%016llx", (unsigned long long)rnd(R_FAULT));
    if (jm) {
        TRACE("somebody submits job %.8s", jid);
        job_submit(jm, &wish);
    }
}

static void meddle(void)
{
    static const int kinds[] = {KIND_POD,     KIND_POD,       KIND_POD,
                                KIND_SERVICE, KIND_CONFIGMAP, KIND_DEPLOYMENT};
    int kind = kinds[any(R_FAULT, ARRAY_SIZE(kinds))];
    struct object *o, *found = NULL;
    void *at = NULL;
    int n = 0;

    while ((o = api_next(kind, &at)))
        if (!any(R_FAULT, ++n))
            found = o;
    if (found)
        user_delete(kind, found->name,
                    kind != KIND_DEPLOYMENT ? NULL
                    : any(R_FAULT, 2)       ? "Background"
                                            : "Foreground");
}

static const struct row {
    enum fault fault;
    int seconds; /* on the average between two */
    void (*happen)(void);
} rows[] = {
    {FAULT_LIFE, 20, user_create_something},
    {FAULT_LIFE, 90, user_delete_something},
    {FAULT_LIFE, 60, user_help_deletions},
    {FAULT_SPEC, 60, user_change_cluster},
    {FAULT_SPEC, 30, user_change_job},
    {FAULT_SPEC, 20, user_scale_something},
    {FAULT_SPEC, 40, user_rescale},
    {FAULT_SPEC, 30, user_ask_for_snapshot},
    {FAULT_SPEC, 60, user_meddle_with_references},
    {FAULT_LIFE, 60, user_make_snapshot},
    {FAULT_LIFE, 60, user_delete_snapshot},
    {FAULT_CRASH, 60, operator_crash},
    {FAULT_WATCH, 30, watch_break},
    {FAULT_WATCH, 20, stall},
    {FAULT_WATCH, 10, lag},
    {FAULT_QUOTA, 240, quota},
    {FAULT_POD, 60, crash},
    {FAULT_POD, 200, evict},
    {FAULT_NODE, 120, silence},
    {FAULT_REST, 90, hang},
    {FAULT_JOB, 60, fail_job},
    {FAULT_JOB, 60, cancel_job},
    {FAULT_JOB, 60, submit_job},
    {FAULT_MEDDLE, 60, meddle},
};

/* ---- when ---- */

static void arm(const struct row *row);

static void happen(void *arg)
{
    const struct row *row = &rows[sim_id_of(arg)];

    if (sim.calm)
        return;
    arm(row);
    if (faulty(row->fault))
        row->happen();
}

static void arm(const struct row *row)
{
    sim_after(between(R_FAULT, 10, row->seconds * 2 * SECOND), happen, sim_id((int)(row - rows)));
}

void chaos_start(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        arm(&rows[i]);
}

void chaos_end(void)
{
    struct object *o;
    void *at = NULL;

    sim.calm = true;
    TRACE("---- calm from here on ----");
    quota_exhausted = false;
    while ((o = api_next(KIND_POD, &at)))
        pod_of(o)->silent_until = 0;
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        jm->hung_until = 0;
    user_be_reasonable();
    operator_start();
}
