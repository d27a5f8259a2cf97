/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/arena.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/desired.h"
#include "flinkop/str.h"
#include "nodes.h"

#define SAVED_KEY "kubernetes.operator.job.savepoint-on-deletion"

static const char *const cluster_names[] = {"ant", "bee", "cat"};
static const char *const application_names[] = {"dog", "elk"};
static const char *const job_names[] = {"j1", "j2", "j3", "j4", "j5", "j6"};

#define RESTARTS_KEY "kubernetes.operator.job.restart.failed"
#define HEALTH_KEY "kubernetes.operator.cluster.health-check."

/* The mode of a cluster cannot change, so it goes by the name. */
bool user_is_standalone(const char *cluster)
{
    return !strcmp(cluster, "cat") || !strcmp(cluster, "elk");
}

static jv annotation(const struct object *o, const char *key)
{
    return JV_PATH(o->at->v, "metadata", "annotations", key);
}

bool user_spec_valid(const struct object *cr)
{
    return !jv_present(annotation(cr, SIM_INVALID));
}

bool user_spec_works(const struct object *cr)
{
    return user_spec_valid(cr) && !jv_present(annotation(cr, SIM_BROKEN));
}

#define REFUSED "refused" /* no scheduler has this name, and the API server knows that */

bool user_is_refused(jv body)
{
    jv spec = jv_get(body, "spec"), template = JV_PATH(spec, "template", "spec");

    return str_eq(JV_STRING(jv_present(template) ? template : spec, "schedulerName"), REFUSED);
}

bool user_asks_for_refused(jv spec)
{
    return user_is_refused(JV_PATH(spec, "jobManager", "podTemplate"));
}

/* spec.jobManager */
static jv jobmanager(struct arena *a, bool refused, jv gone)
{
    jv template = OBJ({"spec", OBJ({"schedulerName", STR(REFUSED)})});

    return jv_dup(a, OBJ({"resource", OBJ({"memory", STR("1g")}, {"cpu", INT(1)})},
                         {"podTemplate", refused ? template : gone}));
}

/* ---- applying ---- */

static void apply(int kind, const char *name, jv spec, bool invalid, bool broken)
{
    cleanup_arena struct arena a = {0};
    const char *api = "flink.apache.org/v1beta1";
    /* null takes an annotation away; a create must not have it */
    bool there = api_get(kind, name) != NULL;
    jv marks = OBJ({SIM_INVALID, invalid ? STR("")
                                 : there ? NULLV
                                         : ABSENT},
                   {SIM_BROKEN, broken  ? STR("")
                                : there ? NULLV
                                        : ABSENT});
    jv body = OBJ({"apiVersion", STR(api)}, {"kind", STR(kind_name(kind))},
                  {"metadata", OBJ({"name", STR(name)}, {"annotations", marks})}, {"spec", spec});
    struct version *v = NULL;
    struct error err;

    TRACE("user: %s %s %s%s%s", there ? "changes" : "creates", kind_name(kind), name,
          invalid ? ", badly" : "", broken ? ", it cannot work" : "");
    if (there ? api_patch(BY_USER, kind, name, NULL, body, &v, &err)
              : api_create(BY_USER, kind, body, &v, &err))
        TRACE("user: refused: %s", err.text);
    else
        version_unref(v);
}

/* Of the vertices of its first slot sharing group. */
static const char *overrides(struct arena *a, int parallelism)
{
    return arena_printf(a, "%032x:%d,%032x:%d", 1, parallelism, 2, parallelism);
}

void user_apply_cluster(const struct user_cluster *c)
{
    cleanup_arena struct arena a = {0};
    const char *version = strcmp(c->tag, "1.18") ? "v1_20" : "v1_18";
    bool there = api_get(KIND_FLINKDEPLOYMENT, c->name) != NULL;
    jv gone = there ? NULLV : ABSENT;
    jv ingress = OBJ({"template", STR(c->slots % 2 ? "{{name}}.example.com" : "/{{name}}")});
    jv exposure = OBJ({"type", STR(c->route ? "Auto" : "None")},
                      {"auth", OBJ({"type", STR("None")})}, {"networkPolicy", BOOL(c->policy)});
    jv allocator = OBJ({"maxTaskManagers", c->max ? INT(c->max) : gone},
                       {"minTaskManagers", INT(c->min)}, {"spareTaskManagers", INT(c->spare)});
    jv more = user_references_conf(&a, &c->references, gone);
    jv configuration = OBJ({"taskmanager.numberOfTaskSlots", STR(arena_printf(&a, "%d", c->slots))},
                           {"jobmanager.scheduler", c->adaptive ? STR("adaptive") : gone});
    bool standalone = user_is_standalone(c->name);
    jv spec =
        OBJ({"image", STR(arena_printf(&a, "flink:%s", c->tag))},
            {"flinkVersion", STR(c->invalid ? "v1_13" : version)},
            {"flinkConfiguration", jv_merge(&a, configuration, more)},
            {"podTemplate", user_references_template(&a, &c->references, gone)},
            {"serviceAccount", STR("flink")}, {"jobManager", jobmanager(&a, c->refused, gone)},
            {"taskManager", OBJ({"resource", OBJ({"memory", STR("1g")}, {"cpu", INT(1)})},
                                {"replicas", standalone && c->replicas ? INT(c->replicas) : gone})},
            {"mode", IF(standalone, STR("standalone"))}, {"ingress", c->ingress ? ingress : gone},
            {"exposure", c->route || c->policy ? exposure : gone},
            {"allocator", IF(!standalone, allocator)},
            {"restartNonce", c->nonce ? INT(c->nonce) : ABSENT});

    apply(KIND_FLINKDEPLOYMENT, c->name, spec, c->invalid || c->refused, !strcmp(c->tag, "bad"));
}

void user_apply_application(const struct user_application *u)
{
    cleanup_arena struct arena a = {0};
    const char *version = strcmp(u->tag, "1.18") ? "v1_20" : "v1_18";
    bool there = api_get(KIND_FLINKDEPLOYMENT, u->name) != NULL;
    /* Without high availability a JobManager that is replaced begins anew: what is refused. Mode
     * savepoint is taken, and may lose state by that, so nobody here asks for it. */
    bool bad = strcmp(u->mode, "stateless") != 0 && u->unavailable;
    bool standalone = user_is_standalone(u->name), wide = !strcmp(u->entry_class, "Wide");
    jv gone = there ? NULLV : ABSENT;
    jv exposure =
        OBJ({"type", STR(u->route ? "Auto" : "None")}, {"auth", OBJ({"type", STR("None")})});
    jv configuration = OBJ(
        {"taskmanager.numberOfTaskSlots", STR(arena_printf(&a, "%d", u->slots))},
        {"jobstore.expiration-time", INT(FLINK_FORGETS_MS / SECOND)},
        {"high-availability.type", u->unavailable ? gone : STR("kubernetes")},
        {"high-availability.storageDir", u->unavailable ? gone : STR("s3://state/ha")},
        {"state.checkpoints.dir", STR("s3://state")}, {"state.savepoints.dir", STR("s3://state")},
        {"kubernetes.operator.job.upgrade.last-state.max.allowed.checkpoint.age",
         u->max_age ? STR(arena_printf(&a, "%d s", u->max_age)) : gone},
        {"jobmanager.scheduler", u->adaptive ? STR("adaptive") : gone},
        {FLINK_OVERRIDES_KEY, u->override ? STR(overrides(&a, u->override)) : gone},
        {"kubernetes.operator.job.upgrade.last-state.job-cancel.enabled",
         u->cancels ? STR("true") : gone},
        {SAVED_KEY, u->nonce % 2 ? STR("true") : gone},
        {RESTARTS_KEY, u->restarts ? STR("true") : gone},
        {USER_ROLLBACK_KEY, u->rolls_back ? STR("true") : gone},
        {"kubernetes.operator.deployment.readiness.timeout", u->rolls_back ? STR("1 min") : gone},
        {HEALTH_KEY "enabled", u->checked ? STR("true") : gone},
        {HEALTH_KEY "restarts.threshold", u->checked ? STR("1") : gone},
        {SIM_TTL_KEY, u->ttl ? STR(arena_printf(&a, "%d s", u->ttl)) : gone});
    jv more = jv_merge(&a, user_habits_conf(&a, &u->habits, gone),
                       user_references_conf(&a, &u->references, gone));
    jv args = ARR(STR("--parallelism"), STR(arena_printf(&a, "%d", u->parallelism)));
    jv job = OBJ({"jarURI", STR("local:///opt/flink/usrlib/job.jar")},
                 {"entryClass", STR(u->entry_class)}, {"parallelism", INT(u->parallelism)},
                 {"args", args}, {"upgradeMode", STR(bad ? "last-state" : u->mode)},
                 {"state", STR(u->suspended ? "suspended" : "running")});
    jv spec =
        OBJ({"image", STR(arena_printf(&a, "flink:%s", u->tag))}, {"flinkVersion", STR(version)},
            {"flinkConfiguration", jv_merge(&a, configuration, more)},
            {"podTemplate", user_references_template(&a, &u->references, gone)},
            {"serviceAccount", STR("flink")}, {"jobManager", jobmanager(&a, u->refused, gone)},
            {"mode", IF(standalone, STR("standalone"))},
            {"taskManager", OBJ({"resource", OBJ({"memory", STR("1g")}, {"cpu", INT(1)})},
                                {"replicas", standalone && wide ? INT(2 * u->parallelism) : gone})},
            {"ingress", u->ingress ? OBJ({"template", STR("/{{name}}")}) : gone},
            {"exposure", u->route ? exposure : gone}, {"job", job},
            {"allocator", IF(!standalone, OBJ({"type", STR(u->native ? "Flink" : "Operator")}))},
            {"restartNonce", u->nonce ? INT(u->nonce) : ABSENT});

    apply(KIND_FLINKDEPLOYMENT, u->name, spec, bad || u->refused,
          !strcmp(u->tag, "bad") || !strcmp(u->entry_class, "Bad"));
}

bool user_rolls_back(jv spec)
{
    return str_eq(JV_STRING(spec, "flinkConfiguration", USER_ROLLBACK_KEY), "true");
}

bool user_restarts(jv spec)
{
    return str_eq(JV_STRING(spec, "flinkConfiguration", RESTARTS_KEY), "true");
}

bool user_asks_for(jv spec, int kind)
{
    jv exposure = jv_get(spec, "exposure");

    if (kind == KIND_INGRESS)
        return jv_present(jv_get(spec, "ingress"));
    if (kind == KIND_PODDISRUPTIONBUDGET)
        return jv_present(JV_PATH(spec, "jobManager", "podDisruptionBudget"));
    return kind == KIND_ROUTE ? str_eq(JV_STRING(exposure, "type"), "Auto")
                              : jv_bool_or(jv_get(exposure, "networkPolicy"), false);
}

void user_apply_job(const struct user_job *j)
{
    cleanup_arena struct arena a = {0};
    bool there = api_get(KIND_FLINKSESSIONJOB, j->name) != NULL;
    jv gone = there ? NULLV : ABSENT;
    jv override = j->override ? STR(overrides(&a, j->override)) : gone;
    jv configuration = OBJ({FLINK_OVERRIDES_KEY, override},
                           {SAVED_KEY, j->nonce % 2 ? STR("true") : gone},
                           {RESTARTS_KEY, j->restarts ? STR("true") : gone});
    jv spec = OBJ(
        {"deploymentName", STR(j->cluster)},
        {"flinkConfiguration", jv_merge(&a, configuration, user_habits_conf(&a, &j->habits, gone))},
        {"job", OBJ({"jarURI", STR(j->invalid ? "ftp://nowhere/job.jar" : j->jar)},
                    {"entryClass", STR(j->entry_class)}, {"parallelism", INT(j->parallelism)},
                    {"upgradeMode", STR(j->mode)},
                    {"state", STR(j->suspended ? "suspended" : "running")})},
        {"restartNonce", j->nonce ? INT(j->nonce) : ABSENT});

    apply(KIND_FLINKSESSIONJOB, j->name, spec, j->invalid,
          !strcmp(j->entry_class, "Bad") || strstr(j->jar, "missing"));
}

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
    override(o, STR(overrides(&a, 1 + dice(5))));
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
        jv conf = OBJ({RESTARTS_KEY, NULLV});
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
