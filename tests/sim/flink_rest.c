/* SPDX-License-Identifier: Apache-2.0 */
/* What a JobManager's REST API says, in the shapes of tests/golden/flink/replies. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

/* Ended jobs are listed for a while. */
static bool listed(const struct fjob *j)
{
    return !job_state_terminal(j->state) || sim.now - j->ended < FLINK_FORGETS_MS;
}

/* ---- jobs ---- */

static int width(const struct fjob *j)
{
    return j->parallelism * 2 + j->second; /* two vertices in the first group, one in the second */
}

/* In which state all of its tasks are. */
static const char *task_state(const struct fjob *j)
{
    switch (j->state) {
    case JOB_FINISHED:
        return "finished";
    case JOB_CANCELLING:
        return "canceling";
    case JOB_FAILED:
    case JOB_CANCELED:
    case JOB_RESTARTING:
        return "canceled";
    case JOB_RUNNING:
        return j->running ? "running" : j->deploying ? "deploying" : "scheduled";
    default:
        return "created";
    }
}

static jv overview_of(struct arena *a, const struct fjob *j)
{
    static const char *const states[] = {"created",     "scheduled",   "deploying", "running",
                                         "finished",    "canceling",   "canceled",  "failed",
                                         "reconciling", "initializing"};
    int total = j->state == JOB_INITIALIZING ? 0 : width(j);
    struct jv_list tasks = JV_LIST(a);

    jv_list_put(&tasks, "total", INT(total));
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        jv_list_put(&tasks, states[i], INT(strcmp(states[i], task_state(j)) ? 0 : total));
    return jv_dup(a, OBJ({"jid", STR(j->jid)}, {"name", STR("a job")},
                         {"state", STR(job_state_name(j->state))},
                         {"start-time", INT(SIM_EPOCH + j->started)},
                         {"end-time", INT(j->ended ? SIM_EPOCH + j->ended : -1)},
                         {"last-modification", INT(SIM_EPOCH + MAX(j->started, j->modified))},
                         {"tasks", jv_list_obj(&tasks)}));
}

static jv jobs(struct jm *jm, struct arena *a)
{
    struct jv_list list = JV_LIST(a);

    for (int i = 0; i < jm->n_jobs; i++)
        if (listed(jm->jobs[i]))
            jv_list_add(&list, overview_of(a, jm->jobs[i]));
    return jv_dup(a, OBJ({"jobs", jv_list_arr(&list)}));
}

static jv vertex(struct arena *a, const struct fjob *j, int n, int group, int parallelism)
{
    char *state = arena_strdup(a, task_state(j));

    for (char *c = state; *c; c++)
        *c = (char)(*c & ~0x20);
    return jv_dup(
        a, OBJ({"id", STR(arena_printf(a, "%032x", n))},
               {"slotSharingGroupId", IF(j->jm->groups_told, STR(arena_printf(a, "%032x", group)))},
               {"name", STR("a vertex")}, {"maxParallelism", INT(128)},
               {"parallelism", INT(parallelism)}, {"status", STR(state)},
               {"tasks", OBJ({state, INT(parallelism)})}));
}

static jv detail(struct arena *a, const struct fjob *j)
{
    struct jv_list vertices = JV_LIST(a);

    if (j->state != JOB_INITIALIZING) {
        jv_list_add(&vertices, vertex(a, j, 1, 1, j->parallelism));
        jv_list_add(&vertices, vertex(a, j, 2, 1, j->parallelism));
        if (j->second)
            jv_list_add(&vertices, vertex(a, j, 3, 2, j->second));
    }
    return jv_merge(a, overview_of(a, j),
                    jv_dup(a, OBJ({"job-type", STR(j->batch ? "BATCH" : "STREAMING")},
                                  {"vertices", jv_list_arr(&vertices)},
                                  {"plan", OBJ({"jid", STR(j->jid)}, {"name", STR("a job")},
                                               {"nodes", EMPTY_ARR})})));
}

static jv exceptions(struct arena *a, const struct fjob *j)
{
    struct jv_list list = JV_LIST(a);

    for (int i = 0; i < j->n_thrown; i++) {
        const char *stack =
            arena_printf(a, "java.lang.RuntimeException: " CHECK_THROWN "%d\n\tat Main.main",
                         j->thrown[i].number);

        jv_list_add(&list, jv_dup(a, OBJ({"exceptionName", STR("java.lang.RuntimeException")},
                                         {"stacktrace", STR(stack)},
                                         {"timestamp", INT(SIM_EPOCH + j->thrown[i].at)})));
    }
    return jv_dup(a, OBJ({"exceptionHistory",
                          OBJ({"entries", jv_list_arr(&list)}, {"truncated", BOOL(false)})}));
}

/* ---- state ---- */

#define FORGET_TRIGGER_MS (5 * MINUTE) /* rest.async.store-duration */

static const char *path_of(struct arena *a, const struct fjob *j, int64_t state)
{
    return arena_printf(a, "s3://state/%s/%lld", j->jid, (long long)state);
}

/* What was asked for while the job runs on: never the same as another one. */
static const char *path_of_asked(struct arena *a, const struct fjob *j, const struct asked *one)
{
    return arena_printf(a, "s3://state/%s-%.8s/%lld", j->jid, one->trigger, (long long)one->state);
}

int64_t state_of_path(const char *path)
{
    check_begins_with(path);
    const char *number = path ? strrchr(path, '/') : NULL;
    int64_t state = 0;

    CHECK(!path || (number && str_to_int64(number + 1, &state)), "a job begins with %s", path);
    return state;
}

static jv snapshot(struct arena *a, const struct fjob *j, int id, int64_t state)
{
    return state < 0 ? NULLV
                     : jv_dup(a, OBJ({"id", INT(id)}, {"external_path", STR(path_of(a, j, state))},
                                     {"trigger_timestamp", INT(SIM_EPOCH + j->checkpoint_at)},
                                     {"discarded", BOOL(false)}));
}

static jv checkpoints(struct arena *a, struct fjob *j)
{
    int64_t last = job_checkpoint(j);

    return jv_dup(a, OBJ({"counts", OBJ({"completed", INT(last >= 0)}, {"failed", INT(0)},
                                        {"in_progress", INT(0)})},
                         {"latest", OBJ({"completed", snapshot(a, j, 1, last)},
                                        {"savepoint", snapshot(a, j, 2, j->saved)},
                                        {"restored", snapshot(a, j, 0, j->base ? j->base : -1)})}));
}

/* How the savepoint or checkpoint with this trigger is; false: nobody knows of it. */
static bool operation(struct arena *a, const struct fjob *j, const char *trigger, jv *ret)
{
    const struct asked *one = job_asked(j, trigger);
    bool stops = !one;
    int64_t done = stops ? j->trigger_done : one->done <= sim.now ? one->done : -1;
    int64_t state = stops ? j->saved : one->state;
    jv failure = OBJ({"class", STR("java.util.concurrent.CompletionException")},
                     {"stack-trace", STR("java.lang.RuntimeException: no savepoint")});
    const char *path = stops || state < 0 ? path_of(a, j, state) : path_of_asked(a, j, one);
    jv result = one && one->checkpoint ? OBJ({"checkpointId", INT(one->id)})
                                       : OBJ({"location", STR(path)});

    if ((stops && strcmp(j->trigger, trigger) != 0) ||
        (done >= 0 && sim.now - done > FORGET_TRIGGER_MS))
        return false;
    if (done < 0)
        *ret = jv_dup(a, OBJ({"status", OBJ({"id", STR("IN_PROGRESS")})}));
    else
        *ret = jv_dup(a, OBJ({"status", OBJ({"id", STR("COMPLETED")})},
                             {"operation", state < 0 ? OBJ({"failure-cause", failure}) : result}));
    return true;
}

/* Where a checkpoint is: a little later than that it is (web.refresh-interval). */
static jv checkpoint_detail(struct arena *a, const struct fjob *j, const char *id)
{
    int wanted = 0;

    CHECK(str_to_int(id, &wanted) && wanted > 0 && wanted <= j->last_asked,
          "there was no checkpoint %s", id);
    for (int i = 0; i < j->n_asked; i++)
        if (j->asked[i].id == wanted && sim.now - j->asked[i].done >= 3 * SECOND)
            return jv_dup(a, OBJ({"id", INT(wanted)}, {"status", STR("COMPLETED")},
                                 {"external_path", STR(path_of_asked(a, j, &j->asked[i]))}));
    return EMPTY_OBJ;
}

/* ---- files of savepoints ---- */

static jv dispose(struct jm *jm, struct arena *a, const char *path)
{
    struct disposal *d;
    bool there = check_disposes(path), breaks = fault(FAULT_JOB, 0.1);

    if (jm->n_disposals == MAX_ASKED)
        memmove(jm->disposals, jm->disposals + 1, sizeof(*d) * (size_t)--jm->n_disposals);
    d = &jm->disposals[jm->n_disposals++];
    *d = (struct disposal){.done = sim.now + skewed(R_FLINK, 10, 5 * SECOND),
                           .failure = breaks   ? "java.io.IOException: slow down"
                                      : !there ? "java.io.FileNotFoundException: Cannot find "
                                                 "checkpoint or savepoint file/directory"
                                               : NULL};
    snprintf(d->id, sizeof(d->id), "%016llx%016llx", (unsigned long long)rnd(R_FLINK),
             (unsigned long long)rnd(R_FLINK));
    if (!breaks)
        check_disposed(path);
    return jv_dup(a, OBJ({"request-id", STR(d->id)}));
}

/* ABSENT: nobody knows of it. */
static jv disposal(const struct jm *jm, struct arena *a, const char *id)
{
    for (int i = 0; i < jm->n_disposals; i++) {
        const struct disposal *d = &jm->disposals[i];
        bool done = d->done <= sim.now;
        jv failure = OBJ({"class", STR("java.util.concurrent.CompletionException")},
                         {"stack-trace", STR(d->failure)});
        jv operation = d->failure ? OBJ({"failure-cause", failure}) : EMPTY_OBJ;

        if (!strcmp(d->id, id))
            return jv_dup(a, OBJ({"status", OBJ({"id", STR(done ? "COMPLETED" : "IN_PROGRESS")})},
                                 {"operation", IF(done, operation)}));
    }
    return ABSENT;
}

/* ---- what it needs ---- */

static jv requirements(struct arena *a, const struct fjob *j)
{
    struct jv_list list = JV_LIST(a);

    for (int i = 1; i <= 2 + (j->second > 0); i++) {
        int upper = i < 3 ? j->parallelism : j->second;

        jv_list_put(&list, arena_printf(a, "%032x", i),
                    jv_dup(a, OBJ({"parallelism",
                                   OBJ({"lowerBound", INT(1)}, {"upperBound", INT(upper)})})));
    }
    return jv_list_obj(&list);
}

static int on_requirements(struct fjob *j, const char *method, jv body, struct arena *a, jv *ret,
                           const char **ret_error)
{
    jv wanted = JV_PATH(body, "00000000000000000000000000000001", "parallelism");
    int64_t lower = jv_int64_or(jv_get(wanted, "lowerBound"), 0);
    int64_t upper = jv_int64_or(jv_get(wanted, "upperBound"), 0);

    if (!j->adaptive || job_state_terminal(j->state)) {
        *ret_error = "java.lang.UnsupportedOperationException";
        return 500;
    }
    *ret = requirements(a, j);
    if (strcmp(method, "PUT"))
        return 200;
    CHECK(jv_len(body) == jv_len(*ret), "not all vertices of job %.8s are told of", j->jid);
    CHECK(lower > 0 && lower <= upper, "job %.8s shall run with %lld to %lld subtasks", j->jid,
          (long long)lower, (long long)upper);
    job_set_parallelism(j, (int)upper);
    return 200;
}

/* ---- TaskManagers ---- */

static jv taskmanagers(struct jm *jm, struct arena *a)
{
    struct jv_list list = JV_LIST(a);

    for (int i = 0; i < jm->n_regs; i++) {
        const struct reg *reg = jm->regs[i];

        jv_list_add(&list, jv_dup(a, OBJ({"id", STR(reg->id)}, {"path", STR("x")},
                                         {"slotsNumber", INT(reg->slots)},
                                         {"freeSlots", INT(reg->slots - reg->used)},
                                         {"timeSinceLastHeartbeat", INT(sim_wall())})));
    }
    return jv_dup(a, OBJ({"taskmanagers", jv_list_arr(&list)}));
}

static jv overview(struct jm *jm, struct arena *a)
{
    return jv_dup(a, OBJ({"taskmanagers", INT(jm->n_regs)}, {"slots-total", INT(0)},
                         {"slots-available", INT(0)}, {"jobs-running", INT(0)},
                         {"jobs-finished", INT(0)}, {"jobs-cancelled", INT(0)},
                         {"jobs-failed", INT(0)}, {"flink-version", STR("1.20.1")},
                         {"flink-commit", STR("abc")}));
}

/* ---- its metrics ---- */

static jv metric(struct arena *a, const char *name, int64_t n)
{
    return jv_dup(a, OBJ({"id", STR(name)}, {"value", STR(arena_printf(a, "%lld", (long long)n))}));
}

static jv metrics(struct arena *a, struct fjob *j)
{
    struct jv_list list = JV_LIST(a);

    jv_list_add(&list, metric(a, "numRestarts", j->restarts));
    jv_list_add(&list,
                metric(a, "numberOfCompletedCheckpoints", MAX(job_checkpoint(j), 0) / SECOND));
    return jv_list_arr(&list);
}

/* ---- the routes ---- */

static int on_job(struct jm *jm, const char *method, const char *path, jv body, struct arena *a,
                  jv *ret, const char **ret_error)
{
    const char *jid = arena_strndup(a, path, MIN(strlen(path), (size_t)FLINK_ID_LEN));
    const char *rest = path + strlen(jid);
    struct fjob *j = job_find(jm, jid);

    if (!j || !listed(j)) {
        *ret_error = arena_printf(a, "NotFoundException: Job %s not found", jid);
        return 404;
    }
    if (!strcmp(method, "PATCH")) {
        if (job_state_terminal(j->state)) {
            *ret_error = "Job has already ended";
            return 409;
        }
        j->cancelled |= j->state != JOB_CANCELLING;
        job_cancel(j);
        *ret = EMPTY_OBJ;
        return 202;
    }
    if (!strcmp(rest, "/stop")) {
        job_save(j, str_or_empty(JV_STRING(body, "triggerId")));
        *ret = jv_dup(a, OBJ({"request-id", STR(JV_STRING(body, "triggerId"))}));
        return 202;
    }
    if (!strcmp(method, "POST") &&
        (!strcmp(rest, "/savepoints") || !strcmp(rest, "/checkpoints"))) {
        job_take(j, str_or_empty(JV_STRING(body, "triggerId")), !strcmp(rest, "/checkpoints"));
        *ret = jv_dup(a, OBJ({"request-id", STR(JV_STRING(body, "triggerId"))}));
        return 202;
    }
    if (!strcmp(rest, "/resource-requirements"))
        return on_requirements(j, method, body, a, ret, ret_error);
    if (str_has_prefix(rest, "/checkpoints/details/")) {
        *ret = checkpoint_detail(a, j, rest + strlen("/checkpoints/details/"));
        return 200;
    }
    if (str_has_prefix(rest, "/savepoints/") || str_has_prefix(rest, "/checkpoints/")) {
        if (operation(a, j, strrchr(rest, '/') + 1, ret))
            return 200;
        *ret_error = "There is no savepoint operation with this id";
        return 404;
    }
    *ret = str_has_prefix(rest, "/exceptions")    ? exceptions(a, j)
           : str_has_prefix(rest, "/metrics")     ? metrics(a, j)
           : str_has_prefix(rest, "/checkpoints") ? checkpoints(a, j)
                                                  : detail(a, j);
    return 200;
}

int flink_rest(struct jm *jm, const char *method, const char *path, jv body, struct arena *a,
               jv *ret_body, const char **ret_error)
{
    const char *job = str_skip_prefix(path, "/jobs/");

    *ret_body = EMPTY_OBJ;
    if (!strcmp(path, "/overview"))
        *ret_body = overview(jm, a);
    else if (!strcmp(path, "/jobs/overview"))
        *ret_body = jobs(jm, a);
    else if (!strcmp(path, "/taskmanagers"))
        *ret_body = taskmanagers(jm, a);
    else if (!strcmp(path, "/savepoint-disposal"))
        *ret_body = dispose(jm, a, str_or_empty(JV_STRING(body, "savepoint-path")));
    else if (str_has_prefix(path, "/savepoint-disposal/")) {
        *ret_body = disposal(jm, a, path + strlen("/savepoint-disposal/"));
        *ret_error = "There is no savepoint disposal with this id";
        return jv_present(*ret_body) ? 200 : 404;
    } else if (job)
        return on_job(jm, method, job, body, a, ret_body, ret_error);
    else
        sim_fail("the operator asks Flink %s %s", method, path);
    return 200;
}
