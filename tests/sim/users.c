/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/arena.h"
#include "flinkop/str.h"
#include "nodes.h"

static const char *const cluster_names[] = {"ant", "bee", "cat"};
static const char *const application_names[] = {"dog", "elk"};
static const char *const job_names[] = {"j1", "j2", "j3", "j4", "j5", "j6"};

/* A pod that the operator need not have seen when its Deployment goes: nothing tells of it any
 * more, so another one may come beside it. */
static void forget_young_pods(const char *deployment)
{
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_POD, &at)))
        if (is_jobmanager(o) && str_eq(object_label(o, LABEL_APP), deployment))
            pod_of(o)->meddled |= sim.now - o->created < MINUTE;
}

void user_delete(int kind, const char *name, const char *propagation)
{
    struct version *last = NULL;
    struct error err;

    TRACE("user: deletes %s %s%s", kind_name(kind), name,
          str_eq(propagation, "Foreground") ? " in the foreground" : "");
    if (kind == KIND_DEPLOYMENT)
        forget_young_pods(name);
    if (!api_delete(BY_USER, kind, name, NULL, NULL, propagation, &last, &err))
        version_unref(last);
}

/* The cluster that the job is recorded for; NULL: none yet. */
static const char *home_of(struct arena *a, const struct object *o)
{
    return JV_STRING(check_recorded_spec(a, o), "deploymentName");
}

/* ---- at random ---- */

static int dice(int n)
{
    return any(R_USER, n);
}

static const char *any_cluster(void)
{
    return cluster_names[dice(ARRAY_SIZE(cluster_names))];
}

/* Something of it is there to be kept. */
static bool runs(const char *name)
{
    cleanup_arena struct arena a = {0};
    const struct object *cr = api_get(KIND_FLINKDEPLOYMENT, name);

    return cr && jv_present(check_recorded_spec(&a, cr)) && api_get(KIND_DEPLOYMENT, name);
}

static void random_cluster(const char *name)
{
    static const char *const tags[] = {"1.20", "1.20.1", "1.18", "bad"};
    struct user_cluster c = {
        .name = name,
        .tag = tags[dice(dice(4) ? 2 : 4)],
        .slots = 1 + dice(3),
        .max = dice(3) ? 0 : 2 + dice(8),
        .min = dice(4) ? 0 : 1 + dice(2),
        .spare = dice(4) ? 0 : 1,
        .replicas = dice(6),
        .adaptive = dice(3) > 0,
        .nonce = dice(3) ? 0 : 1 + dice(1000),
        .invalid = !dice(10),
        .refused = runs(name) && !dice(8),
        .ingress = !dice(3),
        .route = !dice(3),
        .policy = !dice(3),
        .references = user_random_references(),
    };

    user_apply_cluster(&c);
}

static void random_job(const char *name, const char *cluster)
{
    static const char *const classes[] = {"Plain", "Wide", "Plain", "Batch", "Bad"};
    static const char *const modes[] = {"stateless", "savepoint", "last-state"};
    /* More than a JobManager keeps. */
    static const char *const jars[] = {
        "local:///opt/flink/usrlib/job.jar", "https://repository/plain.jar",
        "https://repository/1.jar",          "https://repository/2.jar",
        "https://repository/3.jar",          "https://repository/4.jar",
        "https://repository/5.jar",          "https://repository/6.jar",
        "https://repository/7.jar",          "https://repository/8.jar",
        "https://repository/9.jar",          "https://repository/10.jar",
        "https://repository/11.jar",         "https://repository/12.jar"};
    struct user_job j = {
        .name = name,
        .cluster = cluster,
        .entry_class = classes[dice(dice(5) ? 3 : 5)],
        .jar = dice(10) ? jars[dice(2) * dice(ARRAY_SIZE(jars))] : "https://repository/missing.jar",
        .mode = modes[dice(ARRAY_SIZE(modes))],
        .parallelism = 1 + dice(5),
        .override = dice(2) ? 0 : 1 + dice(5),
        .nonce = dice(3) ? 0 : 1 + dice(1000),
        .suspended = !dice(6),
        .invalid = !dice(12),
        .restarts = !dice(3),
        .habits = user_random_habits(),
    };

    user_apply_job(&j);
}

static void random_application(const char *name)
{
    static const char *const tags[] = {"1.20", "1.20.1", "1.18", "bad"};
    static const char *const classes[] = {"Plain", "Wide", "Plain", "Batch", "Bad"};
    static const char *const modes[] = {"stateless", "savepoint", "last-state", "last-state"};
    struct user_application u = {
        .name = name,
        .tag = tags[dice(dice(4) ? 2 : 4)],
        .entry_class = classes[dice(dice(5) ? 3 : 5)],
        .mode = modes[dice(ARRAY_SIZE(modes))],
        .slots = 1 + dice(3),
        .parallelism = 1 + dice(5),
        .nonce = dice(3) ? 0 : 1 + dice(1000),
        .suspended = !dice(6),
        .refused = runs(name) && !dice(8),
        .unavailable = !dice(8),
        .cancels = !dice(4),
        .restarts = !dice(3),
        .checked = !dice(3),
        .ttl = dice(3) ? 0 : 1 + dice(60),
        .max_age = dice(4) ? 0 : dice(10),
        .ingress = !dice(4),
        .route = !dice(4),
        .native = !dice(3),
        .adaptive = dice(3) > 0,
        .habits = user_random_habits(),
        .references = user_random_references(),
    };

    u.rolls_back = !u.unavailable && !dice(3);
    if (!u.unavailable && dice(2))
        u.override = 1 + dice(5);
    user_apply_application(&u);
}

void user_create_something(void)
{
    const char *name;

    if (!dice(4)) {
        name = application_names[dice(ARRAY_SIZE(application_names))];
        if (!api_get(KIND_FLINKDEPLOYMENT, name))
            random_application(name);
    } else if (dice(3)) {
        name = job_names[dice(ARRAY_SIZE(job_names))];
        if (!api_get(KIND_FLINKSESSIONJOB, name))
            random_job(name, any_cluster());
    } else {
        name = any_cluster();
        if (!api_get(KIND_FLINKDEPLOYMENT, name))
            random_cluster(name);
    }
}

bool user_has_job(const struct object *cr)
{
    return jv_present(JV_PATH(cr->at->v, "spec", "job"));
}

struct object *user_any_of(int kind)
{
    struct object *o, *found = NULL;
    void *at = NULL;
    int n = 0;

    while ((o = api_next(kind, &at)))
        if (!dice(++n))
            found = o;
    return found;
}

void user_change_cluster(void)
{
    struct object *o = user_any_of(KIND_FLINKDEPLOYMENT);

    if (o && user_has_job(o))
        random_application(o->name);
    else if (o)
        random_cluster(o->name);
}

void user_scale_something(void)
{
    struct object *o = user_any_of(KIND_FLINKDEPLOYMENT);
    int n = 1 + dice(6);
    struct version *v = NULL;
    struct error err;

    /* Too few for the job of an application would only keep it from running. */
    if (!o || !user_is_standalone(o->name) || user_has_job(o))
        return;
    TRACE("user: scales %s to %d", o->name, n);
    if (!api_patch(BY_USER, o->kind, o->name, NULL,
                   OBJ({"spec", OBJ({"taskManager", OBJ({"replicas", INT(n)})})}), &v, &err))
        version_unref(v);
}

static void set_state(const struct object *o, const char *state)
{
    struct version *v = NULL;
    struct error err;

    TRACE("user: wants %s to be %s", o->name, state);
    if (!api_patch(BY_USER, o->kind, o->name, NULL,
                   OBJ({"spec", OBJ({"job", OBJ({"state", STR(state)})})}), &v, &err))
        version_unref(v);
}

/* To another cluster, which is not allowed, or back. */
static void move_job(const struct object *o, const char *home)
{
    const char *other = any_cluster();
    bool invalid = strcmp(other, home) != 0;
    struct version *v = NULL;
    struct error err;

    if (!user_spec_valid(o) && str_has_prefix(JV_STRING(o->at->v, "spec", "job", "jarURI"), "ftp:"))
        return;
    TRACE("user: moves %s to %s", o->name, other);
    if (!api_patch(
            BY_USER, o->kind, o->name, NULL,
            OBJ({"metadata", OBJ({"annotations", OBJ({SIM_INVALID, invalid ? STR("") : NULLV})})},
                {"spec", OBJ({"deploymentName", STR(other)})}),
            &v, &err))
        version_unref(v);
}

void user_change_job(void)
{
    cleanup_arena struct arena a = {0};
    struct object *o = user_any_of(dice(3) ? KIND_FLINKSESSIONJOB : KIND_FLINKDEPLOYMENT);
    const char *home = o ? home_of(&a, o) : NULL;
    bool suspended = o && str_eq(JV_STRING(o->at->v, "spec", "job", "state"), "suspended");

    if (!o || !user_has_job(o))
        return;
    if (o->kind == KIND_FLINKDEPLOYMENT || dice(2))
        set_state(o, suspended ? "running" : "suspended");
    else if (home && !dice(8))
        move_job(o, home);
    else
        random_job(o->name, str_or(home, JV_STRING(o->at->v, "spec", "deploymentName")));
}

static void override(const struct object *o, jv text)
{
    struct version *v = NULL;
    struct error err;

    TRACE("user: wants vertices of %s to be %s", o->name, str_or(jv_string(text), "as they were"));
    if (!api_patch(BY_USER, o->kind, o->name, NULL,
                   OBJ({"spec", OBJ({"flinkConfiguration", OBJ({FLINK_OVERRIDES_KEY, text})})}), &v,
                   &err))
        version_unref(v);
}

static void take_back(void *id)
{
    cleanup_arena struct arena a = {0};
    const struct object *o = api_by_id(sim_id_of(id));
    const char *was =
        o ? JV_STRING(check_recorded_spec(&a, o), "flinkConfiguration", FLINK_OVERRIDES_KEY) : NULL;

    if (o && !o->deleted && !sim.calm)
        override(o, was ? STR(was) : NULLV);
}

/* Without high availability a JobManager that starts again while it is rescaled may have read the
 * former parallelism, and the operator does not look. */
void user_rescale(void)
{
    cleanup_arena struct arena a = {0};
    struct object *o = user_any_of(dice(2) ? KIND_FLINKSESSIONJOB : KIND_FLINKDEPLOYMENT);
    const char *ha = o ? JV_STRING(o->at->v, "spec", "flinkConfiguration", "high-availability.type")
                       : NULL;

    if (!o || !user_has_job(o) || (o->kind == KIND_FLINKDEPLOYMENT && !ha))
        return;
    override(o, STR(user_overrides(&a, 1 + dice(5))));
    if (!dice(3))
        sim_after(between(R_USER, 10, 3 * SECOND), take_back, sim_id(o->id));
}

void user_delete_something(void)
{
    struct object *o = user_any_of(dice(3) ? KIND_FLINKSESSIONJOB : KIND_FLINKDEPLOYMENT);

    if (o)
        user_delete(o->kind, o->name, dice(5) ? "Background" : "Foreground");
}

/* Nobody deletes snapshots with their job. */
static void delete_left_snapshots(void)
{
    void *at = NULL;
    struct object *o;

    while ((o = api_next(KIND_FLINKSTATESNAPSHOT, &at))) {
        jv job = JV_PATH(o->at->v, "spec", "jobReference");
        int kind = str_eq(JV_STRING(job, "kind"), kind_name(KIND_FLINKDEPLOYMENT))
                       ? KIND_FLINKDEPLOYMENT
                       : KIND_FLINKSESSIONJOB;

        if (!o->deleted && !api_get(kind, JV_STRING(job, "name")))
            user_delete(KIND_FLINKSTATESNAPSHOT, o->name, NULL);
    }
}

/* A cluster that is being deleted waits for its FlinkSessionJobs and for jobs of others. */
void user_help_deletions(void)
{
    void *at = NULL;
    struct object *o;

    delete_left_snapshots();
    while ((o = api_next(KIND_FLINKSESSIONJOB, &at))) {
        cleanup_arena struct arena a = {0};
        const char *home = str_or(home_of(&a, o), JV_STRING(o->at->v, "spec", "deploymentName"));
        const struct object *cr = api_get(KIND_FLINKDEPLOYMENT, home);

        if (cr && cr->deleted && !o->deleted)
            user_delete(KIND_FLINKSESSIONJOB, o->name, NULL);
    }
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm)) {
        const struct object *cr = api_get(KIND_FLINKDEPLOYMENT, jm->cluster);

        for (int i = 0; i < jm->n_jobs && cr && cr->deleted; i++)
            if (!jm->jobs[i]->ours || check_is_given_up(jm->jobs[i]->jid))
                job_cancel(jm->jobs[i]);
    }
}

static bool restore_wanted(const struct object *o)
{
    const char *mode = JV_STRING(o->at->v, "spec", "job", "upgradeMode");
    const char *error = str_or_empty(JV_STRING(o->at->v, "status", "error"));

    return !o->deleted && user_spec_valid(o) && !str_eq(mode, "stateless") &&
           (strstr(error, "Job Not Found") || strstr(error, "Manual restore required"));
}

static void restore_jobs(int kind)
{
    void *at = NULL;
    struct object *o;

    while ((o = api_next(kind, &at))) {
        cleanup_arena struct arena a = {0};
        struct version *v = NULL;
        struct error err;

        if (!restore_wanted(o))
            continue;
        const char *path = arena_printf(&a, "s3://state/x/%lld", (long long)check_state_of(o->uid));

        TRACE("user: restores %s from %s", o->name, path);
        if (!api_patch(BY_USER, o->kind, o->name, NULL,
                       OBJ({"spec", OBJ({"job", OBJ({"initialSavepointPath", STR(path)},
                                                    {"savepointRedeployNonce", INT(sim.now)})})}),
                       &v, &err))
            version_unref(v);
    }
}

void user_restore_jobs(void)
{
    restore_jobs(KIND_FLINKSESSIONJOB);
    restore_jobs(KIND_FLINKDEPLOYMENT);
}

/* What fails each time would be run again, less and less often, for ever. */
static void leave_failed(int kind)
{
    void *at = NULL;
    struct object *o;

    while ((o = api_next(kind, &at))) {
        jv conf = OBJ({USER_RESTARTS_KEY, NULLV});
        struct version *v = NULL;
        struct error err;

        if (o->deleted || user_spec_works(o) || !user_restarts(jv_get(o->at->v, "spec")))
            continue;
        TRACE("user: leaves %s as it fails", o->name);
        if (!api_patch(BY_USER, o->kind, o->name, NULL,
                       OBJ({"spec", OBJ({"flinkConfiguration", conf})}), &v, &err))
            version_unref(v);
    }
}

/* What is recorded counts as long as what is asked for is bad, also that it is run again. And what
 * was asked for while nothing was there is recorded, although it is refused. */
static bool fails_for_ever(const struct object *o)
{
    cleanup_arena struct arena a = {0};
    jv recorded = check_recorded_spec(&a, o);

    return !user_spec_valid(o) && (user_restarts(recorded) || user_asks_for_refused(recorded));
}

void user_be_reasonable(void)
{
    void *at = NULL;
    struct object *o;

    while ((o = api_next(KIND_FLINKSESSIONJOB, &at)))
        if (!o->deleted && fails_for_ever(o))
            user_delete(KIND_FLINKSESSIONJOB, o->name, NULL);
    at = NULL;
    leave_failed(KIND_FLINKDEPLOYMENT);
    leave_failed(KIND_FLINKSESSIONJOB);
    user_drop_habits();
    user_make_references();
    /* A job of a cluster that was never made waits for ever, which is right but never at rest. */
    while ((o = api_next(KIND_FLINKDEPLOYMENT, &at))) {
        if (o->deleted || user_spec_works(o) || (!dice(2) && !fails_for_ever(o)))
            continue;
        if (user_has_job(o))
            user_apply_application(&(struct user_application){
                .name = o->name,
                .tag = "1.20",
                .entry_class = "Plain",
                .mode = JV_STRING(o->at->v, "spec", "job", "upgradeMode"),
                .slots = 2,
                .parallelism = 2,
                .native = str_eq(JV_STRING(o->at->v, "spec", "allocator", "type"), "Flink")});
        else
            user_apply_cluster(&(struct user_cluster){.name = o->name, .tag = "1.20", .slots = 2});
    }
}
