/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting a FlinkStateSnapshot: the files of its savepoint go first, if that is asked for. Any
 * JobManager of the job's cluster can delete them; the job need not run (the incumbent's must).
 * A cluster that is gone, or a deadline, ends the wait, and what is left behind is told.
 */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "snapshot_internal.h"
#include "status.h"

#define LOOK_MS 500
#define AGAIN_MS 10000
/* FileNotFoundException of AbstractFsCheckpointStorageAccess.resolveCheckpointPointer */
#define NOT_THERE "Cannot find checkpoint or savepoint file"

static int64_t cleanup_timeout(const struct snapshot_pass *p)
{
    struct conf conf = flink_defaults_conf(p->s->defaults);

    return flink_option_ms(&conf, "kubernetes.operator.resource.cleanup.timeout");
}

static void let_go(struct snapshot_pass *p)
{
    plan_finalizer(&p->out.plan, KIND_FLINKSTATESNAPSHOT, p->cr, FINALIZER_SNAPSHOT, false);
    p->out.plan.gone = true;
}

static void leave_behind(struct snapshot_pass *p, const char *why)
{
    snapshot_event(
        p, true, "CleanupFailed",
        arena_printf(p->a, "the savepoint is left behind at %s: %s", str_line(p->a, p->path), why));
    let_go(p);
}

/* What somebody else has made goes only where that is written. */
static bool disposes(const struct snapshot_pass *p)
{
    const struct opt_int64 *wish = &p->spec.dispose_on_delete;
    bool existed = p->spec.already_exists.set && p->spec.already_exists.v;

    return !p->spec.checkpoint && (wish->set ? wish->v : !existed);
}

/* Nobody is left, or will be, who could delete them; NULL: somebody may be. */
static const char *nobody_left(const struct snapshot_pass *p)
{
    jv target = p->s->target;

    if (!p->cluster)
        return "it is not known in which FlinkDeployment it was taken";
    if (!p->s->cluster_exists)
        return arena_printf(p->a, "FlinkDeployment %s is gone", p->cluster);
    if (p->s->cluster_ended)
        return arena_printf(p->a, "FlinkDeployment %s is being deleted", p->cluster);
    if (str_eq(JV_STRING(target, "kind"), "FlinkDeployment") && !p->s->flink->known &&
        str_eq(JV_STRING(target, "status", "lifecycleState"), "SUSPENDED"))
        return arena_printf(p->a, "FlinkDeployment %s is suspended", p->cluster);
    return NULL;
}

/* Its target begins with it, or goes back to it as long as it has no checkpoint of its own. */
static const char *needed(const struct snapshot_pass *p)
{
    jv js = JV_PATH(p->s->target, "status", "jobStatus"),
       job = JV_PATH(p->s->target, "spec", "job");

    if (str_eq(p->path, JV_STRING(js, "upgradeSavepointPath")) ||
        str_eq(p->path, JV_STRING(js, END_STATE, "location")) ||
        str_eq(p->path, JV_STRING(job, "initialSavepointPath")))
        return "its job begins with it";
    return NULL;
}

/* What came of the last request; true: the files are gone. */
static bool disposed(struct snapshot_pass *p)
{
    struct snapshot_memory *m = &p->out.memory;
    const struct outcome *asked = snapshot_outcome(p, ACT_DISPOSE),
                         *look = snapshot_outcome(p, ACT_FIND_DISPOSAL);

    if (asked && asked->ok)
        m->disposal = asked->text;
    else if (asked)
        m->trouble = str_clean(p->a, asked->error.text, 1000);
    if (!look || (!look->ok && !look->found)) /* it could not be asked */
        return false;
    m->disposal = look->ok && look->found ? m->disposal : NULL;
    if (look->ok)
        return look->done;
    m->trouble = str_clean(p->a, look->error.text, 1000);
    if (!strstr(look->error.text, NOT_THERE))
        return false;
    if (m->disposals < 2) /* else the first request, of which nothing was heard, has done it */
        snapshot_event(
            p, false, "Cleanup",
            arena_printf(p->a, "there is no savepoint at %s any more", str_line(p->a, p->path)));
    return true;
}

static void dispose(struct snapshot_pass *p, int64_t deadline)
{
    struct snapshot_memory *m = &p->out.memory;
    struct stop_args args = {.trigger = m->disposal, .path = p->path};

    p->progress = m->trouble ? arena_printf(p->a, "deleting the savepoint: %s", m->trouble)
                             : "deleting the savepoint";
    plan_wake(&p->out.plan, deadline);
    if (!snapshot_reachable(p)) {
        p->progress = "waiting for the JobManager, to delete the savepoint";
    } else if (m->disposal) {
        if (snapshot_due(p, &m->looked, LOOK_MS))
            snapshot_ask(p, ACT_FIND_DISPOSAL, &args);
    } else if (snapshot_due(p, &m->sent, AGAIN_MS)) {
        m->disposals++;
        m->looked = p->s->now;
        snapshot_ask(p, ACT_DISPOSE, &args);
    }
}

/* Its end is waited for, because its files are to go, too. */
static void wait_for_end(struct snapshot_pass *p, int64_t deadline)
{
    const char *gone = nobody_left(p);

    if (gone || p->s->now >= deadline) {
        snapshot_event(p, true, "CleanupFailed",
                       arena_printf(p->a,
                                    "a %s was being taken (Flink's id of it is %s) and may be "
                                    "left behind: %s",
                                    snapshot_word(p), p->trigger,
                                    gone ? gone : "it did not end in time"));
        let_go(p);
        return;
    }
    plan_wake(&p->out.plan, deadline);
    snapshot_follow(p);
    if (p->state != SNAPSHOT_TAKING && p->state != SNAPSHOT_COMPLETED)
        let_go(p);
}

void snapshot_finalize(struct snapshot_pass *p)
{
    struct snapshot_memory *m = &p->out.memory;
    const char *gone;

    if (!has_finalizer(p->cr, FINALIZER_SNAPSHOT)) {
        p->out.plan.gone = true;
        return;
    }
    if (m->deleting_since < 0) {
        m->deleting_since = p->s->now;
        m->sent = m->looked = -1;
    }
    int64_t deadline = m->deleting_since + cleanup_timeout(p);

    if (disposes(p) && p->state == SNAPSHOT_TAKING && p->trigger && !p->meta.force_delete) {
        wait_for_end(p, deadline);
        return;
    }
    if (!disposes(p) || p->state != SNAPSHOT_COMPLETED || !p->path || disposed(p)) {
        let_go(p);
        return;
    }
    gone = str_or(needed(p), nobody_left(p));
    if (p->meta.force_delete) {
        dispose(p, deadline);
        leave_behind(p, "the annotation " ANNOTATION_FORCE_DELETE
                        " asks not to wait until it is gone");
    } else if (gone) {
        leave_behind(p, gone);
    } else if (p->s->now >= deadline) {
        leave_behind(p, str_or(m->trouble, "its JobManager did not answer in time"));
    } else {
        dispose(p, deadline);
    }
}
