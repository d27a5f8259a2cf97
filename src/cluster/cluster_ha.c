/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Flink's Kubernetes high availability keeps of a cluster: ConfigMaps without an owner, which
 * outlive the JobManager so that the next one goes on where it was (flink-internals §4). They hold
 * the checkpoints of each job, and the graphs of jobs, which must go before a changed job can take
 * a job's place. They are listed when a decision hangs on them, never watched: leaders renew them
 * every few seconds.
 */
#include <string.h>

#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/flink_version.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "job_words.h"

#define CALM_MS 10000 /* when the answer was no good */

/* Who may write there: every JobManager, and whether it runs. */
static const char *jobmanagers(struct cluster_pass *p)
{
    const char *all = "";

    for (size_t i = 0; i < p->s->n_jm_pods; i++) {
        const struct obs_pod *pod = p->s->jm_pods[i];

        all = arena_printf(p->a, "%s%s/%d/%d ", all, str_or_empty(pod->meta.uid), pod->restarts,
                           pod->main_running);
    }
    return all;
}

/* What Flink keeps, as ACT_READ_HA tells it; false while that is being asked. */
static bool read_items(struct cluster_pass *p, int64_t every, jv *ret)
{
    struct ha_notes *m = &p->plan.memory.ha;
    const char *now = jobmanagers(p);
    struct error err;
    jv v;

    for (size_t i = 0; i < p->s->n_outcomes && str_eq(m->asker, now); i++) {
        const struct outcome *o = &p->s->outcomes[i];

        if (o->type != ACT_READ_HA || !o->ok || !o->text ||
            json_parse(p->a, o->text, strlen(o->text), &v, &err))
            continue;
        m->told = m->asked;
        *ret = v;
        return true;
    }
    p->asks_ha = true;
    if (p->plan.memory.refused.cause.reason)
        every = MAX(every, CALM_MS);
    if (m->asked < 0 || p->s->now - m->asked >= every) {
        m->asked = p->s->now;
        m->asker = now;
        plan_add(&p->plan, ACT_READ_HA, KIND_CONFIGMAP, p->meta.ns, p->meta.name);
    }
    plan_wake(&p->plan, m->asked + every);
    return false;
}

/* "<cluster>-<job id>-config-map" */
static bool is_of_job(const struct cluster_pass *p, jv item)
{
    return p->job_id && str_eq(JV_STRING(item, "name"),
                               arena_printf(p->a, "%s-%s-config-map", p->meta.name, p->job_id));
}

static enum ha_kept kept_of_job(const struct cluster_pass *p, jv items)
{
    jv_foreach (item, items)
        if (is_of_job(p, *item))
            return jv_int64_or(jv_get(*item, "checkpoints"), 0) > 0 ? HA_CHECKPOINT : HA_JOB;
    return HA_NOTHING;
}

/* Of the ConfigMap that is the lock, once somebody has had it. */
static bool lock_record(struct arena *a, jv item, jv *ret)
{
    const char *text = JV_STRING(item, "leader");
    struct error err;

    return text && !json_parse(a, text, strlen(text), ret, &err);
}

#define MANY 1000

/* The clients of Flink before 1.18 (fabric8's up to 5.12) begin the count anew with every holder
 * and add to it with every renewal: there a record only tells that there was one. */
static int count_leaders(struct cluster_pass *p, jv items)
{
    jv record;

    jv_foreach (item, items)
        if (lock_record(p->a, *item, &record))
            return flink_at_least(p->spec.version, 1, 18)
                       ? 1 + (int)MIN(MAX(jv_int64_or(jv_get(record, "leaderTransitions"), 1), 0),
                                      MANY)
                       : MANY;
    return 0;
}

enum ha_kept ha_keeps(struct cluster_pass *p)
{
    struct ha_notes *m = &p->plan.memory.ha;
    jv items;

    if (!str_eq(m->asker, jobmanagers(p)))
        ha_forget(p);
    if (read_items(p, m->kept == HA_UNKNOWN ? HA_AGAIN_MS : CALM_MS, &items)) {
        m->kept = kept_of_job(p, items);
        m->leaders = count_leaders(p, items);
    }
    return m->kept;
}

bool ha_has_begun(const struct cluster_pass *p)
{
    enum ha_kept kept = p->plan.memory.ha.kept;

    return kept == HA_JOB || kept == HA_CHECKPOINT;
}

void ha_forget(struct cluster_pass *p)
{
    p->plan.memory.ha.kept = HA_UNKNOWN;
}

static void remove_item(struct cluster_pass *p, jv item)
{
    plan_add(&p->plan, ACT_DELETE, KIND_CONFIGMAP, p->meta.ns, JV_STRING(item, "name"))->uid =
        JV_STRING(item, "uid");
}

/* What takes the graphs of former jobs out of an item; ABSENT if there are none. */
static jv without_graphs(struct arena *a, jv item)
{
    struct jv_list gone = JV_LIST(a);

    jv_foreach (key, jv_get(item, "graphs"))
        jv_list_put(&gone, jv_string(*key), NULLV);
    return IF(jv_len(jv_get(item, "graphs")) > 0, jv_list_obj(&gone));
}

/* What takes the lock from a JobManager that is gone; ABSENT if nobody has it. One that is killed
 * does not give it back: the next one would wait until it runs out, 15 s after the last renewal. A
 * record without a holder is free to be taken (client-go's and fabric8's leader election); the
 * record itself stays, for without one Flink takes the ConfigMap for another's. A JobManager that
 * lives although its pod is gone (deleted by force) would run on until its next renewal, 5 s at
 * most, where without this the other one would stand by. */
static jv without_leader(struct arena *a, jv item)
{
    jv record;

    if (!lock_record(a, item, &record) || str_empty(JV_STRING(record, "holderIdentity")))
        return ABSENT;
    record = jv_set(a, record, "holderIdentity", STR(""));
    return jv_dup(a, OBJ({HA_LEADER_ANNOTATION, STR(json_text(a, record))}));
}

/* Makes what is kept fit for the next JobManager; true if there was something to do. Of an
 * unchanged run the graphs are what Flink recovers the job from. */
static bool pass_on(struct cluster_pass *p, jv item)
{
    jv leader = p->plan.memory.ha.contested ? ABSENT : without_leader(p->a, item);
    jv graphs = p->never_ran ? without_graphs(p->a, item) : ABSENT;
    struct action *patch;

    if (!jv_present(leader) && !jv_present(graphs))
        return false;
    patch = plan_add(&p->plan, ACT_PATCH, KIND_CONFIGMAP, p->meta.ns, JV_STRING(item, "name"));
    /* With its version: who renews the lock in this moment is not gone. */
    patch->body =
        jv_dup(p->a, OBJ({"metadata", OBJ({"resourceVersion", STR(JV_STRING(item, "version"))},
                                          {"annotations", leader})},
                         {"data", graphs}));
    return true;
}

/* The state to go on from is not there any more. A job that has ended needs none: its result says
 * so to Flink. */
static bool lost(const struct cluster_pass *p, jv items)
{
    enum ha_kept kept = kept_of_job(p, items);
    bool stateful = p->spec.job.upgrade_mode == UPGRADE_LAST_STATE ||
                    p->spec.job.upgrade_mode == UPGRADE_SAVEPOINT;

    if (job_state_terminal(p->job_state) || !p->goes_on || !p->config.ha)
        return false;
    if (str_eq(p->restore_path, RESTORE_LAST_STATE))
        return !p->config.ha_kubernetes || kept != HA_CHECKPOINT;
    return p->config.ha_kubernetes && kept == HA_NOTHING && (p->never_ran || stateful);
}

bool ha_has_started(const struct cluster_pass *p)
{
    /* The incumbent does not tell: its JobManager may have had the job. */
    return p->job_id && (p->adopted || str_eq(JV_STRING(p->status, STARTED_JOB), p->job_id));
}

/* The lock was renewed between the look and the write: whoever did that lives and keeps it. */
static bool was_contested(const struct cluster_pass *p)
{
    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];

        if (o->type == ACT_PATCH && o->kind == KIND_CONFIGMAP && !o->ok &&
            o->error.code == ERR_CONFLICT)
            return true;
    }
    return false;
}

bool ha_ready_to_start(struct cluster_pass *p)
{
    struct ha_notes *m = &p->plan.memory.ha;
    bool changed = false, known;
    jv items;

    known = m->ready && ha_has_started(p);
    m->ready = false;
    m->contested = !known && (m->contested || was_contested(p));
    if (known)
        return true;
    known = read_items(p, m->lost ? CALM_MS : HA_AGAIN_MS, &items);
    if (known)
        m->lost = lost(p, items);
    if (m->lost)
        p->stop_trouble =
            job_state_lost(p->a, jv_get(p->status, "jobStatus"),
                           "high availability has not kept the state that the job is to go on "
                           "from; it may have ended while it was stopped");
    if (!known || m->lost)
        return false;
    jv_foreach (item, items) {
        /* What is left of a time with high availability is not even looked at without. */
        if (p->config.ha_kubernetes && (is_of_job(p, *item) || p->goes_on || ha_has_started(p))) {
            changed |= pass_on(p, *item);
            continue;
        }
        remove_item(p, *item);
        changed = true;
    }
    p->starts_job = !changed && p->config.ha && !ha_has_started(p);
    m->ready = p->starts_job;
    return !changed && !p->starts_job;
}

bool ha_gone(struct cluster_pass *p)
{
    jv items;

    if (!read_items(p, HA_AGAIN_MS, &items))
        return false;
    jv_foreach (item, items)
        remove_item(p, *item);
    return !jv_len(items);
}
