/* SPDX-License-Identifier: Apache-2.0 */
#include "executor_internal.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_events.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "ha_kept.h"
#include "store.h"
#include "submit.h"

static const struct {
    const char *word, *done;
    bool asks_flink;
} verbs[] = {
    [ACT_APPLY] = {"apply", "applied"},
    [ACT_CREATE] = {"create", "created"},
    [ACT_REHEARSE] = {"rehearse", "rehearsed"},
    [ACT_DELETE] = {"delete", "deleted"},
    [ACT_PATCH] = {"patch", "patched"},
    [ACT_STATUS] = {"patch status", "status patched"},
    [ACT_LOOK_UP] = {"look up", "looked up"},
    [ACT_RELABEL] = {"relabel", "relabelled"},
    [ACT_EVENT] = {"event", "event"},
    [ACT_RELEASE] = {"release", "released", true},
    [ACT_FIND_JOB] = {"look job up", "job looked up", true},
    [ACT_SUBMIT_JOB] = {"submit job", "job submitted", true},
    [ACT_CANCEL_JOB] = {"cancel job", "job cancelled", true},
    [ACT_JOB_ERROR] = {"read job error", "job error read", true},
    [ACT_STOP_JOB] = {"stop job", "job stopped", true},
    [ACT_FIND_SAVEPOINT] = {"look savepoint up", "savepoint looked up", true},
    [ACT_READ_STATE] = {"read last state", "last state read", true},
    [ACT_READ_EXCEPTIONS] = {"read exceptions", "exceptions read", true},
    [ACT_READ_HEALTH] = {"read job metrics", "job metrics read", true},
    [ACT_READ_HA] = {"read high availability", "high availability read"},
    [ACT_READ_REFERENCE] = {"read content", "content read"},
    [ACT_RESCALE_JOB] = {"rescale job", "job rescaled", true},
    [ACT_TAKE_SAVEPOINT] = {"take savepoint", "savepoint asked for", true},
    [ACT_TAKE_CHECKPOINT] = {"take checkpoint", "checkpoint asked for", true},
    [ACT_FIND_CHECKPOINT] = {"look checkpoint up", "checkpoint looked up", true},
    [ACT_DISPOSE] = {"dispose of savepoint", "savepoint disposal asked for", true},
    [ACT_FIND_DISPOSAL] = {"look disposal up", "disposal looked up", true},
};

const char *action_word(enum action_type type)
{
    return verbs[type].word;
}

bool action_asks_flink(enum action_type type)
{
    return verbs[type].asks_flink;
}

static struct store *store_of(const struct op *op)
{
    return op->e->x->stores[op->act->kind];
}

/* ---- ends ---- */

/* A pod whose creation was not answered, but which has come, and perhaps gone, meanwhile. */
static bool made_after_all(const struct op *op)
{
    const struct action *act = op->act;

    return act->type == ACT_CREATE && error_is_transient(&op->outcome.error) &&
           store_had(store_of(op), act->ns, act->name, op->burials);
}

bool op_is_look(const struct op *op)
{
    switch (op->act->type) {
    case ACT_REHEARSE:
    case ACT_READ_STATE:
    case ACT_READ_HEALTH:
    case ACT_READ_EXCEPTIONS:
    case ACT_READ_REFERENCE:
    case ACT_FIND_CHECKPOINT:
    case ACT_FIND_DISPOSAL:
        return true;
    case ACT_FIND_SAVEPOINT: /* a savepoint may take minutes, and hold up nobody */
        return op->act->kind == KIND_FLINKSTATESNAPSHOT;
    default:
        return false;
    }
}

static void finish(void *arg)
{
    struct execution *e = arg;
    struct outcome *outcomes = arena_new_array(&e->a, struct outcome, e->n + 1);
    bool failed = false;
    size_t n = 0;

    for (size_t i = 0; i < e->n; i++) {
        if (e->ops[i].act->type == ACT_EVENT)
            continue;
        if (!e->ops[i].outcome.ok && made_after_all(&e->ops[i]))
            e->ops[i].outcome.ok = true;
        outcomes[n++] = e->ops[i].outcome;
        failed |= !e->ops[i].outcome.ok && !op_is_look(&e->ops[i]);
    }
    e->done(e->arg, outcomes, n, failed);
    execution_free(e);
}

void op_end(struct op *op, const struct error *err)
{
    struct execution *e = op->e;
    struct outcome *o = &op->outcome;

    op->kube = NULL;
    op->flink = NULL;
    op->submission = NULL;
    op->ended = true;
    o->ok = err->code == ERR_NONE;
    o->error = *err;
    if (op_is_look(op))
        log_debug(verbs[op->act->type].done, KV("object", str_or_empty(op->act->name)),
                  KV("error", o->ok ? "" : err->text));
    else if (o->ok)
        log_info(verbs[op->act->type].done, KV("kind", kube_resource(op->act->kind)->kind),
                 KV("object", str_or_empty(op->act->name)),
                 KV_INT("ms", loop_now(e->x->loop) - op->started));
    else
        log_warn("failed", KV("action", verbs[op->act->type].done),
                 KV("kind", kube_resource(op->act->kind)->kind),
                 KV("object", str_or_empty(op->act->name)), KV("error", err->text));
    BUG_ON(!e->pending);
    if (!--e->pending)
        loop_defer(e->x->loop, e, finish, e);
}

void op_ok(struct op *op)
{
    op_end(op, &(struct error){.code = ERR_NONE});
}

void op_fail(struct op *op, enum errc code, const char *text)
{
    struct error err;

    error_set(&err, code, "%s", text);
    op_end(op, &err);
}

/* ---- Kubernetes ---- */

static void on_looked_up(void *arg, const struct kube_reply *reply)
{
    struct op *op = arg;
    jv items = jv_get(reply->object, "items");

    op->kube = NULL;
    jv_foreach (item, items)
        store_write_through(store_of(op), *item);
    if (reply->err->code == ERR_NONE && items.type == JV_ARR && !jv_len(items) &&
        str_has_suffix(str_or_empty(JV_STRING(reply->object, "kind")), "List"))
        store_forget(store_of(op), op->act->ns, op->act->name, op->act->uid);
    op_end(op, reply->err);
}

/* The name of a pod is never used twice: one that exists is the one we made. Its watch may be late,
 * and a pod that is not known would be made once more. Of a FlinkStateSnapshot its plan sees whose
 * it is. */
static void look_up(struct op *op, kube_done_fn then)
{
    op->kube = kube_send(op->e->x->kube,
                         &(struct kube_call){.verb = KUBE_LIST,
                                             .kind = op->act->kind,
                                             .ns = op->act->ns,
                                             .limit = 1,
                                             .field_selector = arena_printf(
                                                 &op->e->a, "metadata.name=%s", op->act->name)},
                         then, op);
}

/* ---- a Deployment that its watch does not tell of ---- */

/* The watch tells of it now, and the next plan sees it. */
static void on_relabelled(void *arg, const struct kube_reply *reply)
{
    struct op *op = arg;
    struct error err = *reply->err;

    op->kube = NULL;
    if (err.code == ERR_NOT_FOUND || err.code == ERR_CONFLICT ||
        (err.code == ERR_NONE && op->unseen)) /* to be planned again, and not worth telling */
        error_set(&err, ERR_CANCELLED, "it had lost labels by which it is watched");
    op_end(op, &err);
}

static void in_the_way(struct op *op, jv owner)
{
    const struct error *said = op->unseen;
    struct error err;
    const char *whose = jv_present(owner) ? arena_printf(&op->e->a, "to %s %s",
                                                         str_or_empty(JV_STRING(owner, "kind")),
                                                         str_or_empty(JV_STRING(owner, "name")))
                                          : "to nobody";

    error_set(&err, said ? said->code : ERR_INVALID,
              "Deployment %s is in the way, which belongs %s%s%s", op->act->name, whose,
              said ? ": " : "", said ? said->text : "");
    op_end(op, &err);
}

static void on_unseen(void *arg, const struct kube_reply *reply)
{
    struct op *op = arg;
    jv item = jv_at(jv_get(reply->object, "items"), 0),
       lost = deployment_labels_lost(&op->e->a, item);
    jv owner = jv_at(JV_PATH(item, "metadata", "ownerReferences"), 0);
    bool there = reply->err->code == ERR_NONE &&
                 str_eq(JV_STRING(item, "metadata", "name"), op->act->name) &&
                 !jv_present(JV_PATH(item, "metadata", "deletionTimestamp"));

    op->kube = NULL;
    if (there && !str_eq(JV_STRING(owner, "uid"), op->owner)) {
        in_the_way(op, owner);
    } else if (!there || !jv_present(lost)) {
        op_end(op, op->unseen ? op->unseen : reply->err);
    } else {
        jv version = JV_PATH(item, "metadata", "resourceVersion");
        jv meta = OBJ({"resourceVersion", version}, {"labels", lost});

        op->kube =
            kube_send(op->e->x->kube,
                      &(struct kube_call){.verb = KUBE_MERGE_PATCH,
                                          .kind = op->act->kind,
                                          .ns = op->act->ns,
                                          .name = op->act->name,
                                          .body = json_text(&op->e->a, OBJ({"metadata", meta}))},
                      on_relabelled, op);
    }
}

/* Watches are by labels: what has lost one is there all the same, and is not to be made. */
static bool may_be_unseen(const struct op *op, const struct error *err)
{
    const struct action *act = op->act;

    return act->type == ACT_APPLY && act->kind == KIND_DEPLOYMENT && act->fresh &&
           err->code == ERR_CONFLICT;
}

static void look_for_unseen(struct op *op, const struct error *err)
{
    jv owner = jv_at(JV_PATH(op->act->body, "metadata", "ownerReferences"), 0);

    op->unseen = arena_new(&op->e->a, struct error);
    *op->unseen = *err;
    op->owner = JV_STRING(owner, "uid");
    look_up(op, on_unseen);
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct op *op = arg;
    struct error err = *reply->err;
    struct store *st = store_of(op);

    op->kube = NULL;
    if (err.code == ERR_NONE && st && JV_STRING(reply->object, "metadata", "resourceVersion"))
        store_write_through(st, reply->object);
    if (op->act->type == ACT_CREATE && err.code == ERR_EXISTS) {
        op->outcome.found = true;
        look_up(op, on_looked_up);
        return;
    }
    if (may_be_unseen(op, &err)) {
        look_for_unseen(op, &err);
        return;
    }
    /* What is to be deleted or changed and is not there needs nothing more. */
    if (err.code == ERR_NOT_FOUND && !strcmp(err.reason, "NotFound") &&
        op->act->type != ACT_CREATE && op->act->type != ACT_APPLY) {
        if (st)
            store_forget(st, op->act->ns, op->act->name, op->act->uid);
        err.code = ERR_NONE;
    }
    if (err.code == ERR_CONFLICT && !op->act->version &&
        (op->act->type == ACT_DELETE || op->act->type == ACT_RELEASE))
        err.code = ERR_NONE; /* another one has the name */
    kube_name_right(op->act->body, op->act->ns, &err);
    op_end(op, &err);
}

static void send(struct op *op, struct kube_call *call)
{
    call->kind = op->act->kind;
    call->ns = op->act->ns;
    call->name = op->act->name;
    op->burials = store_of(op) ? store_burials(store_of(op)) : 0;
    op->kube = kube_send(op->e->x->kube, call, on_written, op);
}

static void write_object(struct op *op, enum kube_verb verb, const char *subresource)
{
    send(op, &(struct kube_call){.verb = verb,
                                 .subresource = subresource,
                                 .yield = op->act->fresh,
                                 .body = json_text(&op->e->a, op->act->body)});
}

static void on_rehearsed(void *arg, const struct kube_reply *reply)
{
    struct op *op = arg;

    op->kube = NULL;
    op_end(op, reply->err);
}

/* Nothing of it is stored: there is no such object. */
static void rehearse(struct op *op)
{
    const struct action *act = op->act;

    op->kube =
        kube_send(op->e->x->kube,
                  &(struct kube_call){.verb = act->kind == KIND_POD ? KUBE_CREATE : KUBE_APPLY,
                                      .kind = act->kind,
                                      .ns = act->ns,
                                      .name = act->name,
                                      .query = "dryRun=All",
                                      .body = json_text(&op->e->a, act->body)},
                  on_rehearsed, op);
}

void op_delete(struct op *op)
{
    send(op, &(struct kube_call){.verb = KUBE_DELETE,
                                 .uid = op->act->uid,
                                 .version = op->act->version,
                                 .propagation = op->act->propagation});
}

static void emit(struct op *op)
{
    const struct action *act = op->act;

    kube_events_emit(op->e->x->events, &(struct kube_event){.kind = act->kind,
                                                            .ns = act->ns,
                                                            .name = act->name,
                                                            .uid = act->uid,
                                                            .warning = act->warning,
                                                            .reason = act->reason,
                                                            .message = act->message,
                                                            .component = act->component});
    op->ended = true;
    op->outcome.ok = true;
    if (!--op->e->pending)
        loop_defer(op->e->x->loop, op->e, finish, op->e);
}

/* ---- what high availability keeps ---- */

/* Nothing in it must not be what is only no list: a state would count as lost, or as never kept. */
static void on_ha(void *arg, const struct kube_reply *reply)
{
    struct op *op = arg;

    op->kube = NULL;
    if (reply->err->code == ERR_NONE &&
        !str_eq(JV_STRING(reply->object, "kind"), "ConfigMapList")) {
        op_fail(op, ERR_PARSE, "the answer is no list of ConfigMaps");
        return;
    }
    if (reply->err->code == ERR_NONE)
        op->outcome.text = ha_kept_text(&op->e->a, reply->object, op->act->name);
    op_end(op, reply->err);
}

static void read_ha(struct op *op)
{
    struct arena *a = &op->e->a;

    op->kube =
        kube_send(op->e->x->kube,
                  &(struct kube_call){.verb = KUBE_LIST,
                                      .kind = KIND_CONFIGMAP,
                                      .ns = op->act->ns,
                                      .limit = 500,
                                      .label_selector = arena_printf(
                                          a, "app=%s,type=flink-native-kubernetes", op->act->name)},
                  on_ha, op);
}

/* ---- what Secrets and ConfigMaps have in them ---- */

/* It is gone with the answer; what stays is a hash. */
static void on_reference(void *arg, const struct kube_reply *reply)
{
    struct op *op = arg;
    jv item = jv_at(jv_get(reply->object, "items"), 0);

    op->kube = NULL;
    if (reply->err->code == ERR_NONE && str_eq(JV_STRING(item, "metadata", "name"), op->act->name))
        op->outcome.text = reference_content(&op->e->a, item);
    op_end(op, reply->err);
}

static void start(struct op *op)
{
    switch (op->act->type) {
    case ACT_APPLY:
        write_object(op, KUBE_APPLY, NULL);
        break;
    case ACT_CREATE:
        write_object(op, KUBE_CREATE, NULL);
        break;
    case ACT_REHEARSE:
        rehearse(op);
        break;
    case ACT_PATCH:
        write_object(op, KUBE_MERGE_PATCH, NULL);
        break;
    case ACT_STATUS:
        write_object(op, KUBE_MERGE_PATCH, "status");
        break;
    case ACT_LOOK_UP:
        look_up(op, on_looked_up);
        break;
    case ACT_RELABEL:
        op->owner = op->act->uid;
        look_up(op, on_unseen);
        break;
    case ACT_READ_REFERENCE:
        look_up(op, on_reference);
        break;
    case ACT_DELETE:
        op_delete(op);
        break;
    case ACT_EVENT:
        emit(op);
        break;
    case ACT_READ_HA:
        read_ha(op);
        break;
    default:
        BUG_ON(!action_asks_flink(op->act->type));
        op_start_flink(op);
    }
}

/* ---- the whole ---- */

/* Plans borrow from the snapshot, and so from the stores; what is carried out over many turns of
 * the loop owns its strings. Bodies and submit arguments are in the plan's arena already. */
static void own_strings(struct arena *a, struct action *act)
{
    const char **strings[] = {&act->ns,          &act->name,   &act->uid,     &act->version,
                              &act->propagation, &act->reason, &act->message, &act->component,
                              &act->cluster,     &act->job_id};

    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        if (*strings[i])
            *strings[i] = arena_strdup(a, *strings[i]);
}

struct execution *execution_start(struct executor *x, struct arena *arena, const struct plan *plan,
                                  execution_done_fn done, void *arg)
{
    struct execution *e = xcalloc(1, sizeof(*e));

    *e = (struct execution){.x = x, .a = *arena, .n = plan->n, .done = done, .arg = arg};
    *arena = (struct arena){0};
    e->ops = xcalloc(e->n + 1, sizeof(*e->ops));
    e->pending = e->n;
    for (size_t i = 0; i < e->n; i++) {
        struct action *act = &plan->actions[i];
        const char *trigger = act->stop ? act->stop->trigger : NULL;

        own_strings(&e->a, act);
        e->ops[i] = (struct op){.e = e, .act = act, .started = loop_now(x->loop)};
        e->ops[i].outcome =
            (struct outcome){.type = act->type,
                             .kind = act->kind,
                             .name = act->name,
                             .job_id = act->job_id,
                             .trigger = trigger ? arena_strdup(&e->a, trigger) : NULL,
                             .fresh = act->fresh};
    }
    if (!e->n)
        loop_defer(x->loop, e, finish, e);
    for (size_t i = 0; i < e->n; i++)
        start(&e->ops[i]);
    return e;
}

#define GIVEN_UP "given up because the resource is being deleted"

void execution_hurry(struct execution *e, bool all)
{
    for (size_t i = 0; i < e->n; i++) {
        struct op *op = &e->ops[i];

        if (all && op->flink) {
            flink_drop(op->flink);
            op->flink = NULL;
            op_fail(op, ERR_TIMEOUT, GIVEN_UP);
        }
        if (!op->submission)
            continue;
        /* Once the job was asked for, it may still come. */
        enum errc code = submission_sent(op->submission) ? ERR_TIMEOUT : ERR_CANCELLED;

        submission_free(op->submission);
        op_fail(op, code, GIVEN_UP);
    }
}

void execution_free(struct execution *e)
{
    if (!e)
        return;
    loop_undefer(e->x->loop, e);
    for (size_t i = 0; i < e->n; i++) {
        if (e->ops[i].ended)
            continue;
        if (e->ops[i].kube)
            kube_drop(e->ops[i].kube);
        flink_drop(e->ops[i].flink);
        submission_free(e->ops[i].submission);
    }
    free(e->ops);
    arena_free(&e->a);
    free(e);
}
