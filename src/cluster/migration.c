/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/migration.h"

#include <string.h>

#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/observed.h"
#include "flinkop/resource_check.h"
#include "flinkop/snapshot.h"
#include "flinkop/str.h"
#include "job_words.h"
#include "status.h"

static const struct {
    const char *name, *text;
} words[TAKEOVER_COUNT] = {
    [TAKEOVER_ADOPTED] = {"adopted", "goes on as it runs"},
    [TAKEOVER_CHANGED] = {"changed", "is taken over as it runs, and then changed as its spec asks"},
    [TAKEOVER_CONTINUED] = {"continued", "the step that is recorded is carried out"},
    [TAKEOVER_REPLACED] = {"replaced", "is stopped, and made anew"},
    [TAKEOVER_SUSPENDED] = {"suspended", "stays suspended"},
    [TAKEOVER_NEW] = {"new", "was never deployed, and is now"},
    [TAKEOVER_OURS] = {"ours", "is this operator's already"},
    [TAKEOVER_RELEASED] =
        {"released",
         "has been handed back, and is left alone until its annotation " ANNOTATION_RELEASE
         " is taken away"},
    [TAKEOVER_DELETED] = {"deleted", "its deletion goes on"},
    [TAKEOVER_REFUSED] = {"refused", "its spec is not taken, and what runs goes on"},
    [TAKEOVER_NOT_DONE] = {"not-done", "is left alone"},
};

const char *takeover_name(enum takeover t)
{
    return words[t].name;
}

const char *takeover_text(enum takeover t)
{
    return words[t].text;
}

static void note(struct takeover_verdict *v, struct arena *a, const char *text)
{
    if (text)
        v->notes = jv_append(a, v->notes, STR(text));
}

/* ---- resources ---- */

static enum takeover cluster_takeover(const struct cluster_pass *p, const struct obs_deployment *d)
{
    bool suspended = str_eq(JV_STRING(p->recorded, "job", "state"), "suspended");

    if (p->meta.deleted_ms)
        return TAKEOVER_DELETED;
    if (p->meta.released)
        return TAKEOVER_RELEASED;
    if (p->invalid)
        return TAKEOVER_REFUSED;
    if (!jv_present(p->recorded))
        return d ? TAKEOVER_REPLACED : TAKEOVER_NEW;
    if (d && d->ours)
        return TAKEOVER_OURS;
    if (p->suspended)
        return TAKEOVER_SUSPENDED;
    if (p->adopted)
        return p->recording || jv_present(p->pending) ? TAKEOVER_CHANGED : TAKEOVER_ADOPTED;
    if (!d || job_upgrading(p) || suspended)
        return TAKEOVER_CONTINUED;
    return TAKEOVER_REPLACED;
}

static const char *allocator_note(const struct cluster_pass *p, const struct obs_deployment *d)
{
    if (!p->usable || !d || d->ours || is_standalone(p) || !d->flinks_allocator)
        return NULL;
    if (p->config.allocator == ALLOCATOR_FLINK)
        return "Flink's own resource manager makes its TaskManagers, also after a change";
    return "Flink's own resource manager makes its TaskManagers until the next change that "
           "restarts it, then this operator does; spec.allocator.type: Flink keeps it so";
}

static void judge_cluster(struct arena *a, jv cr, jv deployment, const struct flink_defaults *d,
                          struct takeover_verdict *v)
{
    struct cluster_memory memory = cluster_memory_initial();
    struct obs_flink flink = {0};
    struct obs_deployment *live = NULL;

    if (jv_present(deployment)) {
        live = arena_new(a, struct obs_deployment);
        obs_deployment_read(a, deployment, live);
    }
    const struct cluster_snapshot s = {.cr = cr,
                                       .defaults = d,
                                       .deployment = live,
                                       .fresh_job_id = "",
                                       .flink = &flink,
                                       .memory = &memory};
    struct cluster_pass p = {.a = a,
                             .s = &s,
                             .cr = cr,
                             .only_judged = true,
                             .status = jv_get(cr, "status"),
                             .plan = {.a = a, .next = INT64_MAX, .memory = memory}};

    obs_meta_read(a, cr, &p.meta);
    judge(&p);
    v->what = cluster_takeover(&p, live);
    note(v, a, p.invalid);
    if (v->what == TAKEOVER_CHANGED)
        note(v, a,
             spec_diff_text(a, "FlinkDeploymentSpec", p.recorded,
                            jv_present(p.pending) ? p.pending : p.target));
    if (v->what == TAKEOVER_REPLACED)
        note(v, a, "what runs is not marked as what the status records");
    note(v, a, allocator_note(&p, live));
}

/* launch.sh shows Flink the JARs of the image; the incumbent's JobManagers have no such script. */
static const char *jar_note(jv cr)
{
    if (status_is_ours(jv_get(cr, "status")) ||
        !str_has_prefix(str_or_empty(JV_STRING(cr, "spec", "job", "jarURI")), "local://"))
        return NULL;
    return "its JAR is of the image (local://), which a JobManager that another operator has started "
           "does not show: before the job is changed, change spec.restartNonce of its cluster";
}

static enum takeover job_takeover(struct arena *a, jv cr, jv recorded, bool autoscaled)
{
    jv spec = jv_get(cr, "spec");
    const char *state = JV_STRING(cr, "status", "reconciliationStatus", "state");
    bool suspended = str_eq(JV_STRING(recorded, "job", "state"), "suspended");

    if (!jv_present(recorded))
        return TAKEOVER_NEW;
    if (str_eq(state, "UPGRADING"))
        return TAKEOVER_CONTINUED;
    if (suspended && str_eq(JV_STRING(spec, "job", "state"), "suspended"))
        return TAKEOVER_SUSPENDED;
    return suspended == str_eq(JV_STRING(spec, "job", "state"), "suspended") &&
                   jv_equal(
                       session_job_restart_part(a, spec_to_record(a, recorded, spec, autoscaled)),
                       session_job_restart_part(a, recorded))
               ? TAKEOVER_ADOPTED
               : TAKEOVER_CHANGED;
}

static void judge_session_job(struct arena *a, jv cr, jv cluster, const struct flink_defaults *d,
                              struct takeover_verdict *v)
{
    bool autoscaled = autoscaled_below(a, d, JV_STRING(cr, "metadata", "namespace"),
                                       JV_STRING(cluster, "spec", "flinkVersion"),
                                       session_job_options_of(a, cluster));
    struct problems problems = PROBLEMS_INIT(a);
    jv recorded = recorded_spec(a, cr);
    const char *lost = record_lost(a, jv_get(cr, "status"), recorded, true, STARTED_AS_RECORDED);

    resource_check(&problems, KIND_FLINKSESSIONJOB, cr, recorded, false, d);
    if (jv_present(JV_PATH(cr, "metadata", "deletionTimestamp")))
        v->what = TAKEOVER_DELETED;
    else
        v->what = lost || problems.n ? TAKEOVER_REFUSED : job_takeover(a, cr, recorded, autoscaled);
    note(v, a, str_or(lost, problems_text(&problems)));
    if (v->what == TAKEOVER_CHANGED)
        note(v, a, spec_diff_text(a, "FlinkSessionJobSpec", recorded, jv_get(cr, "spec")));
    if (v->what != TAKEOVER_REFUSED && v->what != TAKEOVER_DELETED)
        note(v, a, jar_note(cr));
}

static void judge_snapshot(struct arena *a, jv cr, const struct flink_defaults *d,
                           struct takeover_verdict *v)
{
    static const char *const under_way[] = {"TRIGGER_PENDING", "IN_PROGRESS"};
    struct problems problems = PROBLEMS_INIT(a);
    const char *state = JV_STRING(cr, "status", "state");

    resource_check(&problems, KIND_FLINKSTATESNAPSHOT, cr, ABSENT, false, d);
    note(v, a, problems_text(&problems));
    if (jv_present(JV_PATH(cr, "metadata", "deletionTimestamp")))
        v->what = TAKEOVER_DELETED;
    else if (problems.n)
        v->what = TAKEOVER_REFUSED;
    else if (!state)
        v->what = TAKEOVER_NEW;
    else
        v->what = str_index(under_way, ARRAY_SIZE(under_way), state) >= 0 ? TAKEOVER_CONTINUED
                                                                          : TAKEOVER_ADOPTED;
}

void takeover_judge(struct arena *a, jv cr, jv other, const struct flink_defaults *defaults,
                    struct takeover_verdict *ret)
{
    const char *kind = str_or_empty(JV_STRING(cr, "kind"));
    const struct kube_resource *res = kube_resource_of("flink.apache.org/v1beta1", kind);

    *ret = (struct takeover_verdict){TAKEOVER_NOT_DONE, EMPTY_ARR};
    if (object_is_canary(cr))
        note(ret, a, "a canary, by which the other operator watches itself; it may be deleted");
    else if (!strcmp(kind, "FlinkDeployment"))
        judge_cluster(a, cr, other, defaults, ret);
    else if (!strcmp(kind, "FlinkSessionJob"))
        judge_session_job(a, cr, other, defaults, ret);
    else if (!strcmp(kind, "FlinkStateSnapshot"))
        judge_snapshot(a, cr, defaults, ret);
    else
        note(ret, a,
             "blue/green is not done by this operator yet: the two FlinkDeployments that there are "
             "go on by themselves, and no change of this one reaches them; to have changes, apply "
             "them to the active one");
    if (res && ret->what != TAKEOVER_NOT_DONE)
        jv_foreach (warning, resource_warnings(a, res->id, cr, defaults))
            note(ret, a, jv_string(*warning));
}

/* ---- obstacles ---- */

#define INCUMBENT "flink-kubernetes-operator"
#define WEBHOOK_SERVICE "flink-operator-webhook-service"

static const char *shown(struct arena *a, jv object)
{
    jv m = jv_get(object, "metadata");
    const char *ns = JV_STRING(m, "namespace");

    return arena_printf(a, "%s %s%s%s", str_or_empty(JV_STRING(object, "kind")), str_or_empty(ns),
                        ns ? "/" : "", str_or_empty(JV_STRING(m, "name")));
}

static bool runs_incumbent(jv deployment)
{
    if (str_eq(JV_STRING(deployment, "metadata", "name"), INCUMBENT))
        return true;
    jv_foreach (c, JV_PATH(deployment, "spec", "template", "spec", "containers"))
        if (strstr(str_or_empty(JV_STRING(*c, "image")), INCUMBENT))
            return true;
    return false;
}

static const char *deployment_obstacle(struct arena *a, jv d)
{
    int64_t wanted = jv_int64_or(JV_PATH(d, "spec", "replicas"), 1),
            ready = jv_int64_or(JV_PATH(d, "status", "readyReplicas"), 0);

    if (!runs_incumbent(d) || (!wanted && !jv_int64_or(JV_PATH(d, "status", "replicas"), 0)))
        return NULL;
    return arena_printf(a,
                        "%s controls the same resources (%lld ready, %lld wanted): kubectl scale "
                        "-n %s deployment/%s --replicas=0",
                        shown(a, d), (long long)ready, (long long)wanted,
                        JV_STRING(d, "metadata", "namespace"), JV_STRING(d, "metadata", "name"));
}

static const char *lease_obstacle(struct arena *a, jv lease, int64_t now)
{
    jv spec = jv_get(lease, "spec");
    const char *holder = JV_STRING(spec, "holderIdentity");
    int64_t renewed, seconds = jv_int64_or(jv_get(spec, "leaseDurationSeconds"), 0);

    if (!holder || !str_has_prefix(holder, INCUMBENT) ||
        !rfc3339_parse(str_or_empty(JV_STRING(spec, "renewTime")), &renewed) ||
        now - renewed > seconds * 1000)
        return NULL;
    return arena_printf(a, "%s is held by %s, which still works: wait until it has ended",
                        shown(a, lease), holder);
}

static bool asks_incumbent(jv webhook)
{
    return str_eq(JV_STRING(webhook, "clientConfig", "service", "name"), WEBHOOK_SERVICE);
}

static const char *webhook_obstacle(struct arena *a, jv object)
{
    bool mutating = str_has_prefix(str_or_empty(JV_STRING(object, "kind")), "Mutating"),
         fails = false, asks = false;

    jv_foreach (w, jv_get(object, "webhooks")) {
        asks |= asks_incumbent(*w);
        fails |= asks_incumbent(*w) &&
                 !str_eq(JV_STRING(*w, "failurePolicy"), "Ignore"); /* Fail is the default */
    }
    if (!asks)
        return NULL;
    return arena_printf(a, "%s asks the other operator%s: kubectl delete %s %s", shown(a, object),
                        fails ? ", and when that does not answer every change of its resources is "
                                "refused (failurePolicy Fail)"
                              : "",
                        mutating ? "mutatingwebhookconfiguration"
                                 : "validatingwebhookconfiguration",
                        JV_STRING(object, "metadata", "name"));
}

const char *takeover_obstacle(struct arena *a, jv object, int64_t now)
{
    const char *kind = str_or_empty(JV_STRING(object, "kind"));

    if (!strcmp(kind, "Deployment"))
        return deployment_obstacle(a, object);
    return !strcmp(kind, "Lease") ? lease_obstacle(a, object, now) : webhook_obstacle(a, object);
}

const char *takeover_definition(jv crd)
{
    jv_foreach (version, JV_PATH(crd, "spec", "versions"))
        if (str_eq(JV_STRING(*version, "name"), "v1beta1") &&
            jv_present(JV_PATH(*version, "schema", "openAPIV3Schema", "properties", "status",
                               "properties", STARTED_HASH)))
            return NULL;
    return "CustomResourceDefinition flinkdeployments.flink.apache.org is another operator's: apply "
           "this operator's first (kubectl apply --server-side --force-conflicts -k crds)";
}
