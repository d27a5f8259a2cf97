/* SPDX-License-Identifier: Apache-2.0 */
/* What users ask for, as resources, and what is known of such a resource. */
#include "users.h"

#include <string.h>

#include "flink.h"
#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/str.h"

#define SAVED_KEY "kubernetes.operator.job.savepoint-on-deletion"
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

const char *user_overrides(struct arena *a, int parallelism)
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
        {FLINK_OVERRIDES_KEY, u->override ? STR(user_overrides(&a, u->override)) : gone},
        {"kubernetes.operator.job.upgrade.last-state.job-cancel.enabled",
         u->cancels ? STR("true") : gone},
        {SAVED_KEY, u->nonce % 2 ? STR("true") : gone},
        {USER_RESTARTS_KEY, u->restarts ? STR("true") : gone},
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
    return str_eq(JV_STRING(spec, "flinkConfiguration", USER_RESTARTS_KEY), "true");
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
    jv override = j->override ? STR(user_overrides(&a, j->override)) : gone;
    jv configuration = OBJ({FLINK_OVERRIDES_KEY, override},
                           {SAVED_KEY, j->nonce % 2 ? STR("true") : gone},
                           {USER_RESTARTS_KEY, j->restarts ? STR("true") : gone});
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
