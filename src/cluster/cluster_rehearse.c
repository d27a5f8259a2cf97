/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a change ends what runs, the API server is asked, by dry runs, whether it takes what comes
 * then: only that knows all of its rules, its admission, and what is missing in the namespace. A
 * specification that it would refuse is like one that is not valid: what is recorded goes on
 * counting. It is asked again at times, because what is missing may come.
 */
#include <string.h>

#include "application.h"
#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "status.h"

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 300000
#define ASKING "asking the API server whether it takes what is asked for"

/* The change ends a JobManager, or one that is about to come, for another one. */
static bool replaces(const struct cluster_pass *p)
{
    const struct obs_deployment *d = p->s->deployment;
    bool stays_down = p->spec.application && p->spec.job.state == JOB_DESIRED_SUSPENDED;
    bool was_down = str_eq(JV_STRING(p->recorded, "job", "state"), "suspended") &&
                    !job_upgrading(p);

    return d && !d->meta.deleted_ms && !p->meta.deleted_ms && jv_present(p->recorded) &&
           has_finalizer(p->cr, FINALIZER_CLUSTER) && !p->as_deployed && !stays_down && !was_down &&
           !str_eq(p->target_hash, p->recorded_hash);
}

/* ---- what is asked about ---- */

/* The JobManager's pod as its ReplicaSet would make it, in the form of a TaskManager's: what is
 * not asked of Deployments is asked of pods (classes of priority, limit ranges, pod security). */
static jv jobmanager_pod(struct arena *a, jv deployment, jv taskmanager, const char *name)
{
    jv template = JV_PATH(deployment, "spec", "template");
    jv pod = jv_set(a, taskmanager, "spec", jv_get(template, "spec"));

    pod = JV_SET_PATH(a, pod, STR(name), "metadata", "name");
    pod = JV_SET_PATH(a, pod, JV_PATH(template, "metadata", "labels"), "metadata", "labels");
    return JV_SET_PATH(a, pod, JV_PATH(template, "metadata", "annotations"), "metadata",
                       "annotations");
}

/* What would be made of p->config, by the names that it is asked about. A pod only where the
 * operator makes pods itself: elsewhere there may be rules against pods that it makes. */
struct cast {
    jv deployment, taskmanagers, jm_pod, tm_pod; /* ABSENT: it is not asked about */
};

static struct cast cast_of(struct cluster_pass *p)
{
    struct desired_input in = desired_of(p);
    struct owner owner = deployment_owner(p);
    struct cast c = {ABSENT, ABSENT, ABSENT, ABSENT};
    jv deployment;

    in.config_hash = NULL;
    in.spec_hash = p->plan.memory.rehearsal.of;
    in.job_id = p->s->fresh_job_id;
    in.restore_path = NULL;
    deployment = desired_jobmanager(p->a, &in);
    if (p->s->deployment->ours) /* else it is not changed, but replaced */
        c.deployment = deployment;
    if (p->config.allocator == ALLOCATOR_NONE &&
        (!p->s->tm_deployment || p->s->tm_deployment->ours))
        c.taskmanagers = desired_taskmanagers(p->a, &in, &owner);
    if (p->config.allocator == ALLOCATOR_OPERATOR) {
        c.tm_pod = desired_taskmanager(
            p->a, &in, arena_printf(p->a, "%s-taskmanager-dry-run", p->meta.name), &owner);
        c.jm_pod = jobmanager_pod(p->a, deployment, c.tm_pod,
                                  arena_printf(p->a, "%s-jobmanager-dry-run", p->meta.name));
    }
    return c;
}

/* What runs cannot be kept where it cannot be read any more: *ret is empty then. */
static bool cast_of_recorded(struct cluster_pass *p, struct cast *ret)
{
    struct deployment_spec spec = p->spec;
    struct cluster_config config = p->config;
    jv target = p->target;
    bool usable = p->usable, readable = !judge_recorded(p);

    if (readable)
        *ret = cast_of(p);
    p->spec = spec;
    p->config = config;
    p->target = target;
    p->usable = usable;
    return readable;
}

static void ask_about(struct cluster_pass *p, enum kube_kind kind, jv body, jv recorded)
{
    const char *name = JV_STRING(body, "metadata", "name");

    if (jv_present(body) && !jv_equal(body, recorded))
        plan_add(&p->plan, ACT_REHEARSE, kind, p->meta.ns, name)->body = body;
}

/* Only about what differs: what is there already has been taken. */
static void ask(struct cluster_pass *p)
{
    struct cast now = cast_of(p), recorded;
    size_t before = p->plan.n;

    if (cast_of_recorded(p, &recorded)) {
        ask_about(p, KIND_DEPLOYMENT, now.deployment, recorded.deployment);
        ask_about(p, KIND_DEPLOYMENT, now.taskmanagers, recorded.taskmanagers);
        ask_about(p, KIND_POD, now.jm_pod, recorded.jm_pod);
        ask_about(p, KIND_POD, now.tm_pod, recorded.tm_pod);
    }
    p->plan.memory.rehearsal.taken = p->plan.n == before;
}

/* ---- what was answered ---- */

/* What says nothing of the specification, but of room, of rights, or of webhooks that cannot be
 * asked in a dry run; and a pod that has the name is one that was taken. */
static bool is_beside_the_point(const struct error *err)
{
    static const char *const texts[] = {
        "exceeded quota",     "cannot create resource",   "cannot patch resource",
        "blockOwnerDeletion", "does not support dry run",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (strstr(err->text, texts[i]))
            return true;
    return err->code == ERR_EXISTS;
}

static bool is_refused(const struct error *err)
{
    return err->code == ERR_FORBIDDEN || err->code == ERR_INVALID || err->code == ERR_TOO_LARGE;
}

static void learn(struct cluster_pass *p, struct rehearsal_notes *m)
{
    int64_t wait = 0;
    bool answered = false, failed = false;
    const char *trouble = NULL;

    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];

        answered |= o->type == ACT_REHEARSE;
        if (o->type != ACT_REHEARSE || o->ok || is_beside_the_point(&o->error))
            continue;
        if (!is_refused(&o->error))
            trouble = str_clean(p->a, o->error.text, 1000);
        else if (!failed || !m->refused.reason)
            m->refused = refusal_of(p->a, o);
        failed = true;
        wait = MAX(wait, (int64_t)o->error.retry_after_ms);
    }
    if (!answered)
        return;
    if (!failed) {
        *m = (struct rehearsal_notes){.of = m->of, .taken = true};
        return;
    }
    wait = MAX(wait, MIN((int64_t)RETRY_MIN_MS << MIN(m->failures, 10), (int64_t)RETRY_MAX_MS));
    m->trouble = trouble;
    m->retry_at = p->s->now + wait;
    m->failures++;
}

void rehearse(struct cluster_pass *p)
{
    struct rehearsal_notes *m = &p->plan.memory.rehearsal;

    if (p->only_judged || !replaces(p)) {
        *m = (struct rehearsal_notes){0};
        return;
    }
    if (!str_eq(m->of, p->target_hash))
        *m = (struct rehearsal_notes){.of = p->target_hash};
    else
        learn(p, m);
    if (!m->taken && p->s->now >= m->retry_at)
        ask(p);
    if (m->taken)
        return;
    if (m->retry_at > p->s->now)
        plan_wake(&p->plan, m->retry_at);
    p->refused = m->refused.reason;
    p->asking = !p->refused;
    p->invalid = p->refused   ? m->refused.message
                 : m->trouble ? arena_printf(p->a, ASKING ": %s", m->trouble)
                              : ASKING;
}

bool answer_comes(const struct cluster_pass *p)
{
    return p->asking && !p->plan.memory.rehearsal.trouble;
}
