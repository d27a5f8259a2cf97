/* SPDX-License-Identifier: Apache-2.0 */
/* Savepoints and checkpoints that users ask for, in each of the ways that there are. */
#include <string.h>

#include "check.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "users.h"

#define OPTION "kubernetes.operator."
#define SAVEPOINTS_KEY OPTION "periodic.savepoint.interval"
#define CHECKPOINTS_KEY OPTION "periodic.checkpoint.interval"

static int dice(int n)
{
    return any(R_USER, n);
}

struct user_habits user_random_habits(void)
{
    return (struct user_habits){
        .savepoints = dice(3) ? 0 : USER_SHORTEST_S + dice(60),
        .checkpoints = dice(3) ? 0 : USER_SHORTEST_S + dice(60),
        .kept = dice(2) ? 0 : 1 + dice(3),
        .age = dice(4) ? 0 : 30 + dice(90),
        .direct = !dice(3),
        .disposes = dice(3) > 0,
    };
}

static jv seconds(struct arena *a, int n, jv gone)
{
    return n ? STR(arena_printf(a, "%d s", n)) : gone;
}

jv user_habits_conf(struct arena *a, const struct user_habits *h, jv gone)
{
    return jv_dup(a, OBJ({SAVEPOINTS_KEY, seconds(a, h->savepoints, gone)},
                         {CHECKPOINTS_KEY, seconds(a, h->checkpoints, gone)},
                         {USER_KEPT_KEY, h->kept ? STR(arena_printf(a, "%d", h->kept)) : gone},
                         {USER_AGE_KEY, seconds(a, h->age, gone)},
                         {"state.savepoints.dir", STR("s3://state")},
                         {OPTION "snapshot.resource.enabled", h->direct ? STR("false") : gone},
                         {OPTION "savepoint.dispose-on-delete", h->disposes ? STR("true") : gone}));
}

static void patch(int kind, const char *name, jv body)
{
    struct version *v = NULL;
    struct error err;

    if (!api_patch(BY_USER, kind, name, NULL, body, &v, &err))
        version_unref(v);
}

static bool has_habits(jv spec)
{
    jv conf = jv_get(spec, "flinkConfiguration");

    return jv_present(jv_get(conf, SAVEPOINTS_KEY)) || jv_present(jv_get(conf, CHECKPOINTS_KEY));
}

/* What was rolled back to has them as long as it runs, and what is recorded while another
 * specification is bad. */
static void drop_habits(const struct object *o)
{
    cleanup_arena struct arena a = {0};
    bool recorded = has_habits(check_recorded_spec(&a, o));
    bool back = check_rolled_back(o) && recorded;
    jv conf = OBJ({SAVEPOINTS_KEY, NULLV}, {CHECKPOINTS_KEY, NULLV},
                  {USER_ROLLBACK_KEY, back ? NULLV : ABSENT});

    if (o->deleted || !user_has_job(o) || !(recorded || has_habits(jv_get(o->at->v, "spec"))))
        return;
    if (!user_spec_valid(o) && recorded) {
        user_delete(o->kind, o->name, NULL);
        return;
    }
    if (!back && !has_habits(jv_get(o->at->v, "spec")))
        return;
    TRACE("user: takes no more savepoints of %s", o->name);
    patch(o->kind, o->name,
          OBJ({"spec",
               OBJ({"flinkConfiguration", conf}, {"restartNonce", back ? INT(sim.now) : ABSENT})}));
}

void user_drop_habits(void)
{
    static const int kinds[] = {KIND_FLINKDEPLOYMENT, KIND_FLINKSESSIONJOB};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        void *at = NULL;
        struct object *o;

        while ((o = api_next(kinds[i], &at)))
            drop_habits(o);
    }
}

static struct object *any_with_job(void)
{
    struct object *o = user_any_of(dice(2) ? KIND_FLINKSESSIONJOB : KIND_FLINKDEPLOYMENT);

    return o && user_has_job(o) ? o : NULL;
}

void user_ask_for_snapshot(void)
{
    const struct object *o = any_with_job();
    bool checkpoint = !dice(3);
    const char *nonce = checkpoint ? "checkpointTriggerNonce" : "savepointTriggerNonce";

    if (!o)
        return;
    TRACE("user: wants a %s of %s", checkpoint ? "checkpoint" : "savepoint", o->name);
    patch(o->kind, o->name, OBJ({"spec", OBJ({"job", OBJ({nonce, INT(sim.now)})})}));
}

/* Of any job, one that is not there, too. */
void user_make_snapshot(void)
{
    cleanup_arena struct arena a = {0};
    const struct object *o = any_with_job();
    const char *name = arena_printf(&a, "backup-%lld", (long long)sim.now);
    bool checkpoint = !dice(3);
    jv job = OBJ({"kind", STR(kind_name(o ? o->kind : KIND_FLINKSESSIONJOB))},
                 {"name", STR(o ? o->name : "j9")});
    jv savepoint = OBJ({"path", STR("s3://state")}, {"disposeOnDelete", BOOL(dice(2))});
    struct version *v = NULL;
    struct error err;

    TRACE("user: creates FlinkStateSnapshot %s, a %s of %s", name,
          checkpoint ? "checkpoint" : "savepoint", o ? o->name : "j9");
    if (!api_create(
            BY_USER, KIND_FLINKSTATESNAPSHOT,
            OBJ({"apiVersion", STR("flink.apache.org/v1beta1")},
                {"kind", STR(kind_name(KIND_FLINKSTATESNAPSHOT))},
                {"metadata", OBJ({"name", STR(name)})},
                {"spec", OBJ({"jobReference", job}, {"savepoint", IF(!checkpoint, savepoint)},
                             {"checkpoint", IF(checkpoint, EMPTY_OBJ)},
                             {"backoffLimit", IF(dice(2), INT(dice(3)))})}),
            &v, &err))
        version_unref(v);
}

void user_delete_snapshot(void)
{
    const struct object *o = user_any_of(KIND_FLINKSTATESNAPSHOT);

    if (o)
        user_delete(KIND_FLINKSTATESNAPSHOT, o->name, NULL);
}
