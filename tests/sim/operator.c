/* SPDX-License-Identifier: Apache-2.0 */
#include "operator.h"
#include "action_names.h"

#include <stdio.h>
#include <string.h>

#include "api.h"
#include "check.h"
#include "flinkop/controller.h"
#include "flinkop/loop.h"
#include "flinkop/metrics.h"
#include "flinkop/operator_config.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

static struct {
    struct loop *loop;
    struct controller *controller;
    struct operator_config *config;
    uint64_t passes;
} proc;

/* ---- its life ---- */

void operator_start(void)
{
    static const char conf[] = "kubernetes.operator.user.artifacts.allowed-schemes: https\n";
    struct error err;

    if (proc.controller)
        return;
    TRACE("operator starts");
    if (!proc.config)
        proc.config = operator_config_read("flink-conf.yaml", conf, strlen(conf), NULL, &err);
    if (!proc.config)
        sim_fail("%s", err.text);
    check_operator_started();
    check_exceptions_life();
    check_names_forgotten();
    proc.loop = loop_new();
    proc.controller = controller_new(&(struct controller_options){
        .loop = proc.loop, .kube = (struct kube_client *)&proc, .config = proc.config});
}

void operator_kill(void)
{
    if (!proc.controller)
        return;
    TRACE("operator dies");
    controller_free(TAKE_PTR(proc.controller));
    loop_free(TAKE_PTR(proc.loop));
    metrics_release();
}

bool operator_runs(void)
{
    return proc.controller != NULL;
}

bool operator_synced(void)
{
    return proc.controller && controller_synced(proc.controller);
}

uint64_t operator_passes(void)
{
    return proc.passes;
}

void operator_release(void)
{
    operator_kill();
    operator_config_let_go(proc.config);
    memset(&proc, 0, sizeof(proc));
}

/* ---- its passes (reconcile_… by the linker's --wrap) ---- */

static void trace_plan(const char *kind, jv cr, const struct plan *plan)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(4000);

    for (size_t i = 0; i < plan->n; i++) {
        const struct action *act = &plan->actions[i];

        strbuf_addf(&sb, "%s%s", i ? ", " : "", action_names[act->type]);
        if (act->type == ACT_EVENT)
            strbuf_addf(&sb, " %s \"%.120s\"", act->reason, act->message);
        else if (act->job_id)
            strbuf_addf(&sb, " %.8s", act->job_id);
        else if (act->type != ACT_STATUS && act->type != ACT_PATCH)
            strbuf_addf(&sb, " %s %s", kind_name((int)act->kind), act->name);
    }
    if (plan->n)
        trace("pass %s %s: %s", kind, JV_STRING(cr, "metadata", "name"), sb.buf);
}

struct plan __real_reconcile_cluster(struct arena *a, const struct cluster_snapshot *s);
struct plan __wrap_reconcile_cluster(struct arena *a, const struct cluster_snapshot *s);
struct job_plan __real_reconcile_session_job(struct arena *a, const struct job_snapshot *s);
struct job_plan __wrap_reconcile_session_job(struct arena *a, const struct job_snapshot *s);
struct snapshot_plan __real_reconcile_snapshot(struct arena *a, const struct snapshot_situation *s);
struct snapshot_plan __wrap_reconcile_snapshot(struct arena *a, const struct snapshot_situation *s);

struct plan __wrap_reconcile_cluster(struct arena *a, const struct cluster_snapshot *s)
{
    struct plan plan = __real_reconcile_cluster(a, s);

    proc.passes++;
    check_pass(s->cr, s->flink, &plan);
    if (sim.tracing)
        trace_plan("cluster", s->cr, &plan);
    return plan;
}

struct job_plan __wrap_reconcile_session_job(struct arena *a, const struct job_snapshot *s)
{
    struct job_plan plan = __real_reconcile_session_job(a, s);

    proc.passes++;
    check_pass(s->cr, s->flink, &plan.plan);
    if (sim.tracing)
        trace_plan("job", s->cr, &plan.plan);
    return plan;
}

struct snapshot_plan __wrap_reconcile_snapshot(struct arena *a, const struct snapshot_situation *s)
{
    struct snapshot_plan plan = __real_reconcile_snapshot(a, s);

    proc.passes++;
    if (sim.tracing)
        trace_plan("snapshot", s->cr, &plan.plan);
    return plan;
}
