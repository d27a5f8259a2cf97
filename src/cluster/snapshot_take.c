/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking it. A job that only restarts, is being changed, or whose JobManager does not answer, is
 * waited for, up to a deadline; one that has ended, is suspended or is gone abandons it.
 */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/cluster_config.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"
#include "job_end.h"
#include "job_snapshots.h"
#include "job_words.h"
#include "snapshot_internal.h"
#include "status.h"

#define BUSY_MS 5000       /* another one is being taken */
#define QUIET_MS 5000      /* a wait that is over by then is not told; as after a restart of ours */
#define PATIENCE_MS 600000 /* for a job that does not run, or a JobManager that does not answer */
#define RETRY_MS 10000     /* after a failure, doubled up to the maximum */
#define RETRY_MAX_MS 3600000
#define CACHED_MS 10000 /* Flink tells of a checkpoint only after web.refresh-interval, 3 s */

static const char *now_text(const struct snapshot_pass *p)
{
    char *text = arena_alloc(p->a, RFC3339_MAX);

    rfc3339_format(p->s->wall, text);
    return text;
}

static void set(struct snapshot_pass *p, const char *key, jv v)
{
    p->status = jv_set(p->a, p->status, key, jv_dup(p->a, v));
}

/* ---- how it ends ---- */

static void end(struct snapshot_pass *p, enum snapshot_state state)
{
    p->state = state;
    set(p, "resultTimestamp", STR(now_text(p)));
}

void snapshot_complete(struct snapshot_pass *p, const char *path)
{
    end(p, SNAPSHOT_COMPLETED);
    set(p, "path", STR(path));
    set(p, "error", ABSENT);
    if (!p->trigger)
        set(p, "triggerTimestamp", STR(now_text(p)));
    p->path = path;
}

static void abandon(struct snapshot_pass *p, const char *why)
{
    const char *text = arena_printf(p->a, "the %s of %s was abandoned: %s", snapshot_word(p),
                                    str_or_empty(p->spec.name), why);

    end(p, SNAPSHOT_ABANDONED);
    set(p, "error", STR(text)); /* a plain string, as the incumbent's */
    snapshot_event(p, true, "SnapshotAbandoned", text);
}

static int failures(const struct snapshot_pass *p)
{
    int64_t n = jv_int64_or(jv_get(p->status, "failures"), 0);

    return (int)MIN(MAX(n, 0), INT32_MAX - 1);
}

static void failed(struct snapshot_pass *p, const char *cause, bool for_good)
{
    int n = failures(p) + 1;
    const struct opt_int64 *limit = &p->spec.backoff_limit;
    const char *text =
        arena_printf(p->a, "the %s failed: %s", snapshot_word(p), str_clean(p->a, cause, 1500));

    for_good |= limit->set && limit->v >= 0 && n > limit->v;
    set(p, "failures", INT(n));
    set(p, "error", STR(error_text(p->a, ERROR_PREFIX "ReconciliationException", NULL, text)));
    set(p, "triggerId", ABSENT);
    snapshot_event(p, true, snapshot_error(p), text);
    if (for_good) {
        end(p, SNAPSHOT_FAILED);
        return;
    }
    p->state = SNAPSHOT_PENDING;
    p->out.memory.retry_at = p->s->now + backoff_ms(n, RETRY_MS, RETRY_MAX_MS);
}

/* ---- its job ---- */

enum job_view { VIEW_RUNS, VIEW_WAITS, VIEW_OVER };

struct job_look {
    enum job_view view;
    const char *why; /* it does not run */
};

static struct job_look waits(const char *why)
{
    return (struct job_look){VIEW_WAITS, why};
}

static struct job_look over(const char *why)
{
    return (struct job_look){VIEW_OVER, why};
}

/* The options of its job; of what cannot be read nothing counts. */
static struct conf options_of_job(const struct snapshot_pass *p)
{
    const struct flink_version *version =
        p->s->flink_version_name ? flink_version_find(p->s->flink_version_name) : NULL;
    struct conf conf = CONF_INIT(p->a), own = CONF_INIT(p->a);
    struct error err;

    if (flink_defaults_for(p->a, p->s->defaults, p->meta.ns, version, &conf, &err) ||
        conf_add_jv(&own, p->s->cluster_options, "", &err))
        return CONF_INIT(p->a);
    conf_merge(&conf, &own);
    own = CONF_INIT(p->a);
    if (conf_add_jv(&own, jv_get(recorded_spec(p->a, p->s->target), "flinkConfiguration"), "",
                    &err))
        return CONF_INIT(p->a);
    conf_merge(&conf, &own);
    return conf;
}

/* A FAILED job is run again if its configuration says so. */
static bool runs_again(const struct snapshot_pass *p)
{
    struct conf conf = options_of_job(p);

    return job_restarts(&conf);
}

/* What its resource says, as far as that is final. */
static struct job_look look_at_resource(const struct snapshot_pass *p)
{
    jv target = p->s->target, status = jv_get(target, "status"), js = jv_get(status, "jobStatus");
    const char *word = JV_STRING(js, "state");
    enum job_state state = job_state_parse(str_or_empty(word));
    const char *record = JV_STRING(status, "reconciliationStatus", "state");
    bool settled =
        (str_eq(record, "DEPLOYED") || str_eq(record, "ROLLED_BACK")) &&
        jv_equal(jv_get(status, "observedGeneration"), JV_PATH(target, "metadata", "generation"));

    if (jv_present(JV_PATH(target, "metadata", "deletionTimestamp")))
        return over("its resource is being deleted");
    if (settled && str_eq(JV_STRING(status, "lifecycleState"), "SUSPENDED"))
        return over("the job is suspended");
    if (settled && job_state_terminal(state) && !(state == JOB_FAILED && runs_again(p)))
        return over(arena_printf(p->a, "the job has ended as %s", word));
    if (!settled || jv_bool_or(jv_get(js, CANCEL_REQUESTED), false))
        return waits("the job is being changed");
    if (!str_empty(JV_STRING(js, "savepointInfo", "triggerId")))
        return waits("another savepoint of the job is being taken");
    if (p->spec.checkpoint && !str_empty(JV_STRING(js, "checkpointInfo", "triggerId")))
        return waits("another checkpoint of the job is being taken");
    return (struct job_look){VIEW_RUNS, NULL};
}

static struct job_look look_at_job(const struct snapshot_pass *p)
{
    jv target = p->s->target;
    const char *id = JV_STRING(target, "status", "jobStatus", "jobId");
    const struct obs_job *job;

    if (!jv_present(target))
        return over("its resource is not there");
    struct job_look found = look_at_resource(p);

    if (found.view != VIEW_RUNS)
        return found;
    if (!snapshot_reachable(p))
        return waits("its JobManager does not answer");
    job = obs_flink_job(p->s->flink, id);
    if (!job)
        return waits("Flink does not know the job");
    return job_runs_whole(job) ? found : waits("not all of the job runs");
}

/* False: it does not run. Then either that was waited for for too long, or it will be. */
static bool runs(struct snapshot_pass *p)
{
    struct job_look found = look_at_job(p);
    int64_t *since = &p->out.memory.waiting_since;

    if (found.view == VIEW_RUNS) {
        *since = -1;
        return true;
    }
    if (found.view == VIEW_OVER) {
        abandon(p, found.why);
        return false;
    }
    if (*since < 0)
        *since = p->s->now;
    if (p->s->now - *since >= PATIENCE_MS) {
        abandon(p, arena_printf(p->a, "after %d minutes, %s", PATIENCE_MS / 60000, found.why));
        return false;
    }
    p->quiet = p->s->now - *since < QUIET_MS;
    plan_wake(&p->out.plan, *since + (p->quiet ? QUIET_MS : PATIENCE_MS));
    p->progress = arena_printf(p->a, "waiting: %s", found.why);
    return false;
}

/* ---- beginning ---- */

static void target_missing(struct snapshot_pass *p)
{
    p->trouble = (struct obs_cause){
        "TargetNotFound",
        arena_printf(p->a, "spec.jobReference: there is no %s \"%s\" in namespace %s",
                     kube_resource(snapshot_job_kind(&p->spec))->kind, p->spec.name, p->meta.ns)};
}

static bool is_session_cluster(const struct snapshot_pass *p)
{
    return snapshot_job_kind(&p->spec) == KIND_FLINKDEPLOYMENT &&
           !jv_present(JV_PATH(p->s->target, "spec", "job"));
}

/* True while the next attempt has to wait. */
static bool backs_off(struct snapshot_pass *p)
{
    struct snapshot_memory *m = &p->out.memory;

    if (!failures(p))
        return false;
    if (m->retry_at < 0) /* nobody remembers when that was */
        m->retry_at = p->s->now + backoff_ms(failures(p), RETRY_MS, RETRY_MAX_MS);
    if (p->s->now >= m->retry_at)
        return false;
    plan_wake(&p->out.plan, m->retry_at);
    return true;
}

/* From the answer to this on its id stands. */
static void record(struct snapshot_pass *p)
{
    struct snapshot_memory *m = &p->out.memory;

    p->out.begins = true;
    p->state = SNAPSHOT_TAKING;
    p->trigger = p->s->fresh_id;
    set(p, "triggerId", STR(p->trigger));
    set(p, "triggerTimestamp", STR(now_text(p)));
    set(p, "resultTimestamp", ABSENT);
    set(p, "jobId", JV_PATH(p->s->target, "status", "jobStatus", "jobId"));
    set(p, "clusterName", STR(p->cluster));
    m->unsent = p->trigger;
    m->looked = m->complete_since = m->taking_since = m->failing.since = -1;
}

/* Its end brings us back, unless it never begins. */
static void wait_for_other(struct snapshot_pass *p)
{
    p->progress =
        arena_printf(p->a, "waiting for FlinkStateSnapshot %s, of the same job", p->s->busy);
    plan_wake(&p->out.plan, p->s->now + BUSY_MS);
}

void snapshot_begin(struct snapshot_pass *p)
{
    const struct flink_version *version =
        p->s->flink_version_name ? flink_version_find(p->s->flink_version_name) : NULL;

    if (!jv_present(p->s->target)) {
        target_missing(p);
        return;
    }
    if (is_session_cluster(p)) {
        p->trouble = (struct obs_cause){
            "ValidationError", "spec.jobReference: must name a job; this FlinkDeployment is a "
                               "session cluster, name one of its FlinkSessionJobs"};
        return;
    }
    if (backs_off(p) || !runs(p))
        return;
    if (p->spec.checkpoint && version && !flink_at_least(version, 1, 17))
        failed(p, "only Flink 1.17 and later take one when they are asked to", true);
    else if (p->s->busy)
        wait_for_other(p);
    else
        record(p);
}

/* ---- following ---- */

/* Of a FlinkSessionJob its own configuration counts; Flink knows that of the cluster. */
static const char *directory(const struct snapshot_pass *p)
{
    struct conf conf = CONF_INIT(p->a);
    struct error err;

    if (p->spec.path || snapshot_job_kind(&p->spec) != KIND_FLINKSESSIONJOB ||
        conf_add_jv(&conf, jv_get(recorded_spec(p->a, p->s->target), "flinkConfiguration"), "",
                    &err))
        return p->spec.path;
    return conf_lookup(&conf, SAVEPOINT_DIR_KEY);
}

static void take(struct snapshot_pass *p)
{
    struct stop_args args = {.trigger = p->trigger};

    p->out.memory.unsent = NULL;
    p->out.memory.looked = p->s->now;
    plan_wake(&p->out.plan, p->s->now + job_look_ms(&p->out.memory.failing, p->s->now));
    if (p->spec.checkpoint) {
        struct conf conf = options_of_job(p);

        args.format = checkpoint_type(&conf);
        snapshot_ask(p, ACT_TAKE_CHECKPOINT, &args);
        return;
    }
    args.directory = directory(p);
    args.format = p->spec.format == SNAPSHOT_NATIVE ? "NATIVE" : "CANONICAL";
    snapshot_ask(p, ACT_TAKE_SAVEPOINT, &args);
}

/* Of the run that there is by now: what was asked for of a former one, and is not known in Flink,
 * will not come any more. */
static bool another_run(struct snapshot_pass *p)
{
    const char *id = JV_STRING(p->s->target, "status", "jobStatus", "jobId");

    if (!flink_id_valid(id) || str_eq(p->job_id, id))
        return false;
    p->state = SNAPSHOT_PENDING;
    set(p, "triggerId", ABSENT);
    p->progress = "another run of the job has begun";
    return true;
}

/* Flink has not been asked for it, or knows nothing of it any more. */
static void take_again(struct snapshot_pass *p)
{
    p->out.memory.unsent = p->trigger;
    if (p->meta.deleted_ms) { /* nobody wants it any more */
        p->state = SNAPSHOT_ABANDONED;
        return;
    }
    if (!another_run(p) && runs(p))
        take(p);
}

static void look_how_it_is(struct snapshot_pass *p)
{
    const struct stop_args args = {.trigger = p->trigger};

    if (!snapshot_reachable(p)) {
        runs(p);
        return;
    }
    p->out.memory.waiting_since = -1;
    if (snapshot_due(p, &p->out.memory.looked, job_look_ms(&p->out.memory.failing, p->s->now)))
        snapshot_ask(p, p->spec.checkpoint ? ACT_FIND_CHECKPOINT : ACT_FIND_SAVEPOINT, &args);
}

/* Where a checkpoint is, Flink tells a little later than that it is. */
static void completed_somewhere(struct snapshot_pass *p)
{
    int64_t *since = &p->out.memory.complete_since;

    if (*since < 0)
        *since = p->s->now;
    if (p->s->now - *since < CACHED_MS) {
        look_how_it_is(p);
        return;
    }
    snapshot_event(p, true, "CheckpointError",
                   "the checkpoint is complete, but Flink does not tell its path: it has none "
                   "outside of the JobManager, or is not among the last "
                   "web.checkpoints.history any more");
    snapshot_complete(p, NULL);
}

static void look_failed(struct snapshot_pass *p, const char *cause)
{
    struct job_look job = look_at_job(p);

    if (job.view == VIEW_OVER)
        abandon(p, arena_printf(p->a, "%s (%s)", job.why, str_clean(p->a, cause, 1000)));
    else
        failed(p, cause, false);
}

/* Flink did not take the request, and would not take it a second time. 404: it does not know the
 * job, which look_at_job finds out. 5xx: it may have taken it all the same. */
static bool refused(const struct outcome *o)
{
    return o && !o->ok && o->error.http >= 400 && o->error.http < 500 && o->error.http != 404;
}

void snapshot_follow(struct snapshot_pass *p)
{
    const struct outcome *look =
        snapshot_outcome(p, p->spec.checkpoint ? ACT_FIND_CHECKPOINT : ACT_FIND_SAVEPOINT);
    const struct outcome *took =
        snapshot_outcome(p, p->spec.checkpoint ? ACT_TAKE_CHECKPOINT : ACT_TAKE_SAVEPOINT);
    struct conf conf = options_of_job(p);
    const char *late = job_taken_for_too_long(p->a, &conf, look, p->s->now,
                                              &p->out.memory.taking_since),
               *fails;

    failing_note(&p->out.memory.failing, took, p->s->now);
    failing_note(&p->out.memory.failing, look, p->s->now);
    fails = failing_for_long(&p->out.memory.failing, p->s->now);
    if (!p->job_id || !p->cluster) {
        take_again(p);
        return;
    }
    if (look && look->found && !look->ok) /* Flink says so */
        look_failed(p, look->error.text);
    else if (refused(took))
        look_failed(p, took->error.text);
    else if (late)
        look_failed(p, late);
    else if (look && look->ok && look->text)
        snapshot_complete(p, look->text);
    else if (look && look->ok && look->done)
        completed_somewhere(p);
    else if ((look && look->ok && !look->found) || str_eq(p->out.memory.unsent, p->trigger))
        take_again(p);
    else
        look_how_it_is(p);
    if (fails && p->state == SNAPSHOT_TAKING && !p->progress)
        p->progress =
            arena_printf(p->a, "taking a %s: %s", snapshot_word(p), str_clean(p->a, fails, 1000));
}
