/* SPDX-License-Identifier: Apache-2.0 */
/* Actions that Flink carries out, or is asked about first. */
#include <string.h>

#include "executor_internal.h"
#include "flinkop/flink_reply.h"
#include "flinkop/json.h"
#include "flinkop/log.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "submit.h"

#define LOOK_TIMEOUT_MS 3000

static bool endpoint(struct op *op, struct flink_endpoint *ret)
{
    struct executor *x = op->e->x;

    if (x->jobmanager(x->arg, op->act->ns, op->act->cluster, ret))
        return true;
    op_fail(op, ERR_UNREACHABLE, "no JobManager runs");
    return false;
}

static void ask(struct op *op, const char *method, const char *path, flink_done_fn done)
{
    struct flink_endpoint e;

    if (!endpoint(op, &e))
        return;
    if (op->asked && strcmp(op->asked, e.pod) != 0) {
        op_fail(op, ERR_UNREACHABLE, "another JobManager runs by now");
        return;
    }
    op->asked = arena_strdup(&op->e->a, e.pod);
    op->flink = flink_send(op->e->x->flink, &e, method, path, NULL,
                           op_is_look(op) ? LOOK_TIMEOUT_MS : 0, done, op);
}

static void post(struct op *op, const char *path, jv body, flink_done_fn done)
{
    struct flink_endpoint e;

    if (endpoint(op, &e))
        op->flink =
            flink_send(op->e->x->flink, &e, "POST", path, json_text(&op->e->a, body), 0, done, op);
}

static void touched(struct op *op)
{
    op->e->x->touched(op->e->x->arg, op->act->ns, op->act->cluster,
                      op->act->type == ACT_RESCALE_JOB);
}

/* ---- the look right before a TaskManager is taken away ---- */

static void keep(struct op *op, const char *why)
{
    log_info("kept", KV("taskmanager", op->act->name), KV("because", why));
    op->outcome.found = true;
    touched(op);
    op_ok(op);
}

static void on_slots(void *arg, const struct flink_answer *answer);

/* One that starts again has given its slots back, and takes any that are free. */
static void on_jobs(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct flink_job *jobs = NULL;
    struct error err = *answer->err;
    size_t n = 0;

    op->flink = NULL;
    if (err.code != ERR_NONE || flink_decode_jobs(&op->e->a, answer->body, &jobs, &n, &err)) {
        op_end(op, &err);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (flink_job_waits(&jobs[i])) {
            keep(op, "a job does not run as a whole");
            return;
        }
    op->settled = true;
    ask(op, "GET", "/taskmanagers", on_slots); /* none has taken it before that */
}

static void on_slots(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct flink_taskmanager *tms = NULL, *tm = NULL;
    struct error err = *answer->err;
    size_t n = 0;

    op->flink = NULL;
    if (err.code != ERR_NONE ||
        flink_decode_taskmanagers(&op->e->a, answer->body, &tms, &n, &err)) {
        op_end(op, &err);
        return;
    }
    for (size_t i = 0; i < n && !tm; i++)
        tm = strcmp(tms[i].id, op->act->name) ? NULL : &tms[i];
    if (tm && tm->free_slots < tm->slots)
        keep(op, "it is in use again");
    else if (tm && !op->settled)
        ask(op, "GET", "/jobs/overview", on_jobs);
    else
        op_delete(op);
}

/* ---- savepoints and checkpoints ---- */

static void on_asked(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct error err = *answer->err;
    char id[FLINK_ID_LEN + 1];

    if (err.code == ERR_NONE && !flink_decode_trigger(answer->body, id, &err))
        op->outcome.text = arena_strdup(&op->e->a, id);
    op_end(op, &err);
}

static void take(struct op *op)
{
    const struct stop_args *s = op->act->stop;
    struct arena *a = &op->e->a;

    if (op->act->type == ACT_TAKE_CHECKPOINT)
        post(op, arena_printf(a, "/jobs/%s/checkpoints", op->act->job_id),
             OBJ({"triggerId", STR(s->trigger)}, {"checkpointType", STR(s->format)}), on_asked);
    else
        post(op, arena_printf(a, "/jobs/%s/savepoints", op->act->job_id),
             OBJ({"triggerId", STR(s->trigger)}, {"target-directory", STR(s->directory)},
                 {"formatType", STR(s->format)}, {"cancel-job", BOOL(false)}),
             on_asked);
}

/* Flink's look-up of what takes its time; false: it has ended. */
static bool operation(struct op *op, const struct flink_answer *answer, struct flink_operation *ret)
{
    struct error err = *answer->err;

    op->flink = NULL;
    *ret = (struct flink_operation){0};
    if (err.code == ERR_NOT_FOUND) { /* it does not know of it */
        op_ok(op);
        return false;
    }
    if (err.code == ERR_NONE && !flink_decode_operation(&op->e->a, answer->body, ret, &err)) {
        op->outcome.found = true;
        if (ret->failure)
            error_set(&err, ERR_SERVER, "%s", ret->failure);
    }
    if (err.code != ERR_NONE)
        op_end(op, &err);
    return err.code == ERR_NONE;
}

static void on_disposal(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct flink_operation found;

    if (!operation(op, answer, &found))
        return;
    op->outcome.done = found.done;
    op_ok(op);
}

/* It is complete; Flink may not tell of it yet, or not any more. */
static void on_checkpoint_path(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct error err = *answer->err;

    op->outcome.done = true;
    if (err.code == ERR_NONE)
        op->outcome.text = flink_decode_checkpoint_path(&op->e->a, answer->body);
    else if (err.code != ERR_NOT_FOUND) {
        op->outcome.found = false; /* that it failed would be said otherwise */
        op_end(op, &err);
        return;
    }
    op_ok(op);
}

static void on_checkpoint(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct flink_operation found;

    if (!operation(op, answer, &found))
        return;
    if (!found.done || found.checkpoint_id < 0)
        op_ok(op);
    else
        ask(op, "GET",
            arena_printf(&op->e->a, "/jobs/%s/checkpoints/details/%lld", op->act->job_id,
                         (long long)found.checkpoint_id),
            on_checkpoint_path);
}

/* ---- answers about a job ---- */

/* Who takes anything for a yes waits for a job that is not there. */
static void on_found(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct error err = *answer->err;

    op->outcome.found = err.code == ERR_NONE &&
                        !flink_decode_job_there(answer->body, op->act->job_id, &err);
    if (err.code == ERR_NOT_FOUND)
        op_ok(op);
    else
        op_end(op, &err);
}

static void on_cancelled(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;

    touched(op);
    op->outcome.found = answer->err->code != ERR_NOT_FOUND;
    if (answer->err->code == ERR_NOT_FOUND || answer->err->code == ERR_CONFLICT)
        op_ok(op); /* it has ended */
    else
        op_end(op, answer->err);
}

static void on_job_error(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct error err = *answer->err;
    const char *root = NULL;
    int64_t when;

    if (err.code == ERR_NONE &&
        !flink_decode_exceptions(&op->e->a, answer->body, &root, &when, &err))
        op->outcome.text = root;
    op_end(op, &err);
}

static void on_exceptions(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct arena *a = &op->e->a;
    struct jv_list list = JV_LIST(a);
    struct error err = *answer->err;
    struct flink_exception *found;
    size_t n;

    if (err.code == ERR_NONE &&
        !flink_decode_exception_history(a, answer->body, &found, &n, &err)) {
        for (size_t i = 0; i < n; i++)
            jv_list_add(&list,
                        jv_dup(a, OBJ({"ms", INT(found[i].ms)}, {"text", STR(found[i].text)},
                                      {"stack", STR(found[i].stack)}, {"task", STR(found[i].task)},
                                      {"taskManager", STR(found[i].taskmanager)})));
        op->outcome.text = json_text(a, jv_list_arr(&list));
    }
    op_end(op, &err);
}

static void on_done(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;

    touched(op);
    op_end(op, answer->err);
}

static void stop(struct op *op)
{
    const struct stop_args *s = op->act->stop;

    post(op, arena_printf(&op->e->a, "/jobs/%s/stop", op->act->job_id),
         OBJ({"triggerId", STR(s->trigger)}, {"targetDirectory", STR(s->directory)},
             {"formatType", STR(s->format)}, {"drain", BOOL(s->drain)}),
         on_done);
}

static void on_savepoint(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct flink_operation found;
    struct error err = {.code = ERR_NONE};

    if (!op_is_look(op) && answer->err->code != ERR_NOT_FOUND) /* it ends the job */
        touched(op);
    if (!operation(op, answer, &found))
        return;
    op->outcome.text = found.location;
    if (found.done && !found.location)
        error_set(&err, ERR_PARSE, "Flink tells no path of the savepoint");
    op_end(op, &err);
}

/* A job without checkpoints has no list of them either, and Flink says that with a 404, too. */
#define NO_CHECKPOINTS "Checkpointing has not been enabled"

static void on_state(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct error err = *answer->err;
    struct flink_checkpoints c;

    op->outcome.taken_ms = op->outcome.checkpoint_ms = op->outcome.pending_ms = -1;
    if (err.code == ERR_NOT_FOUND && strstr(err.text, NO_CHECKPOINTS)) {
        op_ok(op);
        return;
    }
    if (err.code == ERR_NONE && !flink_decode_checkpoints(&op->e->a, answer->body, &c, &err)) {
        const struct flink_snapshot *last = c.latest.id >= 0 ? &c.latest : &c.restored;

        op->outcome.found = last->id >= 0;
        op->outcome.text = last->path;
        op->outcome.taken_ms = c.latest.id >= 0 ? c.latest.trigger_ms : -1;
        op->outcome.checkpoint_ms = c.checkpoint_ms;
        op->outcome.pending_ms = c.pending_ms;
    }
    op_end(op, &err);
}

static void on_health(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct error err = *answer->err;
    struct flink_health health = {-1, -1};

    if (err.code == ERR_NONE && flink_decode_health(answer->body, &health, &err))
        health = (struct flink_health){-1, -1};
    op->outcome.restarts = health.restarts;
    op->outcome.checkpoints = health.checkpoints;
    op_end(op, &err);
}

/* Asked for once more after an answer that was lost, it is there. */
static void on_requirements(void *arg, const struct flink_answer *answer)
{
    struct op *op = arg;
    struct arena *a = &op->e->a;
    struct error err = *answer->err;
    struct flink_requirement *now = NULL;
    struct flink_endpoint e;
    size_t n = 0;

    if (err.code != ERR_NONE || flink_decode_requirements(a, answer->body, &now, &n, &err)) {
        op_end(op, &err);
        return;
    }
    jv body = flink_rescaled_requirements(a, now, n, op->act->body);

    op->outcome.found = jv_present(body);
    if (!op->outcome.found) {
        touched(op);
        op_ok(op);
    } else if (endpoint(op, &e)) {
        op->flink = flink_send(op->e->x->flink, &e, "PUT",
                               arena_printf(a, "/jobs/%s/resource-requirements", op->act->job_id),
                               json_text(a, body), 0, on_done, op);
    }
}

static void on_submitted(void *arg, const struct error *err, const char *jar_id)
{
    struct op *op = arg;

    op->outcome.text = jar_id ? arena_strdup(&op->e->a, jar_id) : NULL;
    touched(op);
    op_end(op, err);
}

static void submit(struct op *op)
{
    struct flink_endpoint e;

    if (endpoint(op, &e))
        op->submission =
            submission_start(op->e->x, &e, op->act->job_id, op->act->submit, on_submitted, op);
}

void op_start_flink(struct op *op)
{
    struct arena *a = &op->e->a;
    const char *job = str_or_empty(op->act->job_id);

    switch (op->act->type) {
    case ACT_RELEASE:
        ask(op, "GET", "/taskmanagers", on_slots);
        break;
    case ACT_FIND_JOB:
        ask(op, "GET", arena_printf(a, "/jobs/%s", job), on_found);
        break;
    case ACT_CANCEL_JOB:
        ask(op, "PATCH", arena_printf(a, "/jobs/%s?mode=cancel", job), on_cancelled);
        break;
    case ACT_JOB_ERROR:
        ask(op, "GET", arena_printf(a, "/jobs/%s/exceptions?maxExceptions=1", job), on_job_error);
        break;
    case ACT_READ_EXCEPTIONS:
        ask(op, "GET",
            arena_printf(a, "/jobs/%s/exceptions?maxExceptions=%lld", job,
                         (long long)jv_int64_or(jv_get(op->act->body, "limit"), 1)),
            on_exceptions);
        break;
    case ACT_SUBMIT_JOB:
        submit(op);
        break;
    case ACT_STOP_JOB:
        stop(op);
        break;
    case ACT_FIND_SAVEPOINT:
        ask(op, "GET", arena_printf(a, "/jobs/%s/savepoints/%s", job, op->act->stop->trigger),
            on_savepoint);
        break;
    case ACT_RESCALE_JOB:
        ask(op, "GET", arena_printf(a, "/jobs/%s/resource-requirements", job), on_requirements);
        break;
    case ACT_READ_STATE:
        ask(op, "GET", arena_printf(a, "/jobs/%s/checkpoints", job), on_state);
        break;
    case ACT_TAKE_SAVEPOINT:
    case ACT_TAKE_CHECKPOINT:
        take(op);
        break;
    case ACT_FIND_CHECKPOINT:
        ask(op, "GET", arena_printf(a, "/jobs/%s/checkpoints/%s", job, op->act->stop->trigger),
            on_checkpoint);
        break;
    case ACT_DISPOSE:
        post(op, "/savepoint-disposal", OBJ({"savepoint-path", STR(op->act->stop->path)}),
             on_asked);
        break;
    case ACT_FIND_DISPOSAL:
        ask(op, "GET", arena_printf(a, "/savepoint-disposal/%s", op->act->stop->trigger),
            on_disposal);
        break;
    case ACT_READ_HEALTH:
        ask(op, "GET", arena_printf(a, "/jobs/%s/metrics?get=" FLINK_HEALTH_METRICS, job),
            on_health);
        break;
    default:
        BUG("action %d is not about Flink", op->act->type);
    }
}
