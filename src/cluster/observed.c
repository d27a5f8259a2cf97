/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections of Kubernetes objects, and the search for the one cause worth telling: the waiting
 * reason of a container before the phase of its pod, the end of the log before an exit code.
 */
#include "flinkop/observed.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/desired.h"
#include "flinkop/hash.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define MESSAGE_MAX 1000
#define LOG_MAX 8192   /* the kubelet gives 4 KiB at most, */
#define LOG_WHOLE 2000 /* of a log 2 KiB */

static int64_t time_of(jv v)
{
    int64_t ms;

    return v.type == JV_STR && rfc3339_parse(v.s, &ms) ? ms : 0;
}

static const char *copy(struct arena *a, const char *s)
{
    return s ? arena_strdup(a, s) : NULL;
}

static const char *copy_message(struct arena *a, const char *s)
{
    return s ? str_clean(a, s, MESSAGE_MAX) : "";
}

struct obs_cause obs_cause_copy(struct arena *a, struct obs_cause c)
{
    return (struct obs_cause){c.reason ? arena_strdup(a, c.reason) : NULL,
                              c.message ? arena_strdup(a, c.message) : NULL};
}

bool object_is_canary(jv object)
{
    const char *text = JV_STRING(object, "metadata", "labels", "flink.apache.org/canary");

    return text && !strcasecmp(text, "true");
}

void obs_meta_read(struct arena *a, jv object, struct obs_meta *ret)
{
    jv m = jv_get(object, "metadata"), labels = jv_get(m, "labels"),
       annotations = jv_get(m, "annotations");
    int64_t generation = 0;

    if (!str_to_int64(str_or_empty(JV_STRING(annotations, ANNOTATION_GENERATION)), &generation))
        generation = 0;
    *ret = (struct obs_meta){
        .ns = copy(a, JV_STRING(m, "namespace")),
        .name = copy(a, JV_STRING(m, "name")),
        .uid = copy(a, JV_STRING(m, "uid")),
        .resource_version = copy(a, JV_STRING(m, "resourceVersion")),
        .generation = jv_int64_or(jv_get(m, "generation"), 0),
        .created_ms = time_of(jv_get(m, "creationTimestamp")),
        .deleted_ms = time_of(jv_get(m, "deletionTimestamp")),
        .app = copy(a, JV_STRING(labels, LABEL_APP)),
        .component = copy(a, JV_STRING(labels, LABEL_COMPONENT)),
        .spec_hash = copy(a, JV_STRING(annotations, ANNOTATION_SPEC_HASH)),
        .config_hash = copy(a, JV_STRING(annotations, ANNOTATION_CONFIG_HASH)),
        .cr_generation = generation,
        .owner_uid = copy(a, JV_STRING(jv_at(jv_get(m, "ownerReferences"), 0), "uid")),
        .force_delete = str_eq(JV_STRING(annotations, ANNOTATION_FORCE_DELETE), "true"),
        .releases = str_eq(JV_STRING(annotations, ANNOTATION_RELEASE), RELEASE_ASKED),
        .released = str_eq(JV_STRING(annotations, ANNOTATION_RELEASE), RELEASE_DONE),
        .canary = object_is_canary(object),
    };
}

bool obs_forced(const struct obs_meta *m)
{
    return m->deleted_ms && m->force_delete;
}

static jv condition(jv object, const char *type)
{
    jv_foreach (c, JV_PATH(object, "status", "conditions"))
        if (str_eq(JV_STRING(*c, "type"), type))
            return *c;
    return ABSENT;
}

static bool condition_is(jv object, const char *type, const char *status)
{
    return str_eq(JV_STRING(condition(object, type), "status"), status);
}

/* ---- pods ---- */

/* Waiting reasons that mean trouble; others (ContainerCreating, PodInitializing) are on the way. */
static const char *const trouble[] = {
    "CrashLoopBackOff",           "ImagePullBackOff",     "ErrImagePull",
    "InvalidImageName",           "ErrImageNeverPull",    "RunContainerError",
    "CreateContainerConfigError", "CreateContainerError", "PreCreateHookError",
};

/* "at some.Class.method(File.java:12)", "... 12 more": of a stack trace the lines that do not tell
 * what happened. */
static bool is_stack_frame(const char *line)
{
    return str_has_prefix(line, "at ") || str_has_prefix(line, "... ");
}

/* The end of a log, without stack frames. Of more than LOG_WHOLE the kubelet gives the last part,
 * which begins within a line: in a stack trace, with the end of a frame. "" if nothing is left. */
static const char *log_end(struct arena *a, const char *log)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(LOG_MAX);
    char **lines = str_split(a, str_or_empty(log), '\n', NULL);
    bool cut = log && strlen(log) >= LOG_WHOLE;
    size_t len;

    for (; *lines; lines++)
        if (!is_stack_frame(*lines) && (sb.len || !cut || strchr(*lines, ' ')))
            strbuf_addf(&sb, "%s%s", sb.len ? "\n" : "", *lines);
    len = sb.len;
    return len ? copy_message(a, sb.buf + (len > MESSAGE_MAX ? len - MESSAGE_MAX : 0)) : "";
}

/* How a container ended, in words: kubelet's reason, the code, and the end of its log, which the
 * message is because of terminationMessagePolicy. */
static const char *ended_text(struct arena *a, jv terminated)
{
    const char *reason = str_or(JV_STRING(terminated, "reason"), "Error");
    int64_t code = jv_int64_or(jv_get(terminated, "exitCode"), -1);
    const char *log = log_end(a, JV_STRING(terminated, "message"));

    if (!strcmp(reason, "OOMKilled")) /* its log knows nothing of it */
        log =
            "it used more memory than its limit and was killed; give it more (resource.memory) or "
            "let it take less";
    return arena_printf(a, "%s (exit code %lld)%s%s", reason, (long long)code, *log ? ": " : "",
                        log);
}

static struct obs_cause container_cause(struct arena *a, jv status)
{
    const char *name = str_or(JV_STRING(status, "name"), "?");
    jv waiting = JV_PATH(status, "state", "waiting"), now = JV_PATH(status, "state", "terminated"),
       last = JV_PATH(status, "lastState", "terminated");
    const char *reason = JV_STRING(waiting, "reason");
    struct obs_cause none = {0};

    if (reason && str_index(trouble, ARRAY_SIZE(trouble), reason) >= 0) {
        bool oom = str_eq(JV_STRING(last, "reason"), "OOMKilled");
        const char *text = !strcmp(reason, "CrashLoopBackOff") && jv_present(last)
                               ? ended_text(a, last)
                               : copy_message(a, JV_STRING(waiting, "message"));

        return (struct obs_cause){oom ? "OOMKilled" : arena_strdup(a, reason),
                                  arena_printf(a, "container %s: %s", name, text)};
    }
    /* Running again but not ready yet: why it restarted is still the news. */
    if (!jv_present(now) && jv_int64_or(jv_get(status, "restartCount"), 0) > 0 &&
        jv_present(last) && !jv_bool_or(jv_get(status, "ready"), false))
        return (struct obs_cause){
            str_eq(JV_STRING(last, "reason"), "OOMKilled") ? "OOMKilled" : "CrashLoopBackOff",
            arena_printf(a, "container %s: %s", name, ended_text(a, last))};
    if (jv_present(now) && jv_int64_or(jv_get(now, "exitCode"), 0) != 0)
        return (struct obs_cause){arena_strdup(a, str_or(JV_STRING(now, "reason"), "Error")),
                                  arena_printf(a, "container %s: %s", name, ended_text(a, now))};
    return none;
}

static struct obs_cause pod_cause(struct arena *a, jv pod)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    jv scheduled = condition(pod, "PodScheduled");
    const char *reason = JV_STRING(pod, "status", "reason");

    if (str_eq(JV_STRING(scheduled, "status"), "False"))
        return (struct obs_cause){copy(a, str_or(JV_STRING(scheduled, "reason"), "Unschedulable")),
                                  copy_message(a, JV_STRING(scheduled, "message"))};
    /* What ails the main container counts more than what has become of a sidecar. */
    jv_foreach (status, JV_PATH(pod, "status", "containerStatuses"))
        if (str_eq(JV_STRING(*status, "name"), MAIN_CONTAINER)) {
            struct obs_cause cause = container_cause(a, *status);

            if (cause.reason)
                return cause;
        }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        jv_foreach (status, JV_PATH(pod, "status", lists[i])) {
            struct obs_cause cause = container_cause(a, *status);

            if (cause.reason)
                return cause;
        }
    if (reason) /* Evicted, NodeLost, Preempting … */
        return (struct obs_cause){copy(a, reason),
                                  copy_message(a, JV_STRING(pod, "status", "message"))};
    return (struct obs_cause){0};
}

static int64_t ran_ms(jv terminated)
{
    int64_t from = time_of(jv_get(terminated, "startedAt")),
            to = time_of(jv_get(terminated, "finishedAt"));

    return from && to ? to - from : -1;
}

void obs_pod_read(struct arena *a, jv object, struct obs_pod *ret)
{
    jv status = jv_get(object, "status"), main = ABSENT;
    const char *phase = str_or(JV_STRING(status, "phase"), "Pending");
    bool never = str_eq(JV_STRING(object, "spec", "restartPolicy"), "Never");

    *ret = (struct obs_pod){
        .ip = copy(a, JV_STRING(status, "podIP")),
        .phase = arena_strdup(a, phase),
        .scheduled = condition_is(object, "PodScheduled", "True"),
        .ready = condition_is(object, "Ready", "True"),
        .exit_code = -1,
        .ran_ms = -1,
        .cause = pod_cause(a, object),
    };
    obs_meta_read(a, object, &ret->meta);
    jv_foreach (c, jv_get(status, "containerStatuses"))
        if (str_eq(JV_STRING(*c, "name"), MAIN_CONTAINER))
            main = *c;
    jv now = JV_PATH(main, "state", "terminated"), last = JV_PATH(main, "lastState", "terminated");
    jv ended = jv_present(now) ? now : last;

    ret->main_running = jv_present(JV_PATH(main, "state", "running"));
    ret->running_ms = time_of(JV_PATH(main, "state", "running", "startedAt"));
    ret->main_started = jv_bool_or(jv_get(main, "started"), false);
    ret->restarts = (int)jv_int64_or(jv_get(main, "restartCount"), 0);
    if (jv_present(ended)) {
        ret->exit_code = (int)jv_int64_or(jv_get(ended, "exitCode"), -1);
        ret->ran_ms = ran_ms(ended);
    }
    ret->dead = !strcmp(phase, "Failed") || !strcmp(phase, "Succeeded") ||
                (never && jv_present(now));
}

/* ---- deployments ---- */

static bool is_one_of(const char *const words[], const char *s, size_t len)
{
    for (; *words; words++)
        if (strlen(*words) == len && !memcmp(*words, s, len))
            return true;
    return false;
}

/* Kubernetes reads $$ as $. */
static const char *as_kubernetes_reads(struct arena *a, const char *arg)
{
    char *text = arena_strdup(a, arg), *to = text;

    for (; *arg; arg++) {
        *to++ = *arg;
        arg += arg[0] == '$' && arg[1] == '$';
    }
    *to = 0;
    return text;
}

/* The value of an option of the JobManager, as "--option", "value" or "key=value"; NULL: none. What
 * comes after the second "--" is the job's own. */
static const char *jobmanager_option(struct arena *a, jv args, const char *const names[])
{
    int ends = 0;

    for (size_t i = 0; i < jv_len(args) && ends < 2; i++) {
        const char *arg = str_or_empty(jv_string(jv_at(args, i)));
        size_t len = strcspn(arg, "=");
        const char *value = arg[len] ? arg + len + 1 : jv_string(jv_at(args, i + 1));

        ends += str_eq(arg, "--");
        if (value && is_one_of(names, arg, len))
            return as_kubernetes_reads(a, value);
    }
    return NULL;
}

/* desired_jobmanager.c: add_job(), add_flinks_job() */
static void job_read(struct arena *a, jv args, struct obs_deployment *ret)
{
    static const char *const id[] = {"--job-id", "$internal.pipeline.job-id", NULL},
                             *const path[] = {"--fromSavepoint", "execution.state-recovery.path",
                                              "execution.savepoint.path", NULL};

    ret->job_id = jobmanager_option(a, args, id);
    ret->job_path = jobmanager_option(a, args, path);
}

void obs_deployment_read(struct arena *a, jv object, struct obs_deployment *ret)
{
    jv spec = jv_get(object, "spec"), status = jv_get(object, "status");
    jv failure = condition(object, "ReplicaFailure");

    *ret = (struct obs_deployment){
        .observed_generation = jv_int64_or(jv_get(status, "observedGeneration"), 0),
        .replicas = (int)jv_int64_or(jv_get(spec, "replicas"), 1),
        .status_replicas = (int)jv_int64_or(jv_get(status, "replicas"), 0),
        .ready_replicas = (int)jv_int64_or(jv_get(status, "readyReplicas"), 0),
    };
    obs_meta_read(a, object, &ret->meta);
    ret->ours = ret->meta.spec_hash != NULL;
    ret->flinks_allocator =
        ret->ours
            ? str_eq(JV_STRING(object, "metadata", "annotations", ANNOTATION_ALLOCATOR), "Flink")
            : str_eq(JV_STRING(object, "metadata", "labels", LABEL_TYPE), TYPE_NATIVE);
    ret->halted = copy(a, JV_STRING(object, "metadata", "annotations", ANNOTATION_HALTED));
    jv_foreach (c, JV_PATH(spec, "template", "spec", "containers"))
        if (str_eq(JV_STRING(*c, "name"), MAIN_CONTAINER)) {
            ret->image = copy(a, JV_STRING(*c, "image"));
            job_read(a, jv_get(*c, "args"), ret);
        }
    if (str_eq(JV_STRING(failure, "status"), "True"))
        ret->cause = (struct obs_cause){copy(a, str_or(JV_STRING(failure, "reason"), "Failed")),
                                        copy_message(a, JV_STRING(failure, "message"))};
}

jv deployment_labels_lost(struct arena *a, jv object)
{
    jv labels = JV_PATH(object, "metadata", "labels");
    struct jv_list lost = JV_LIST(a);

    jv_foreach_kv (l, JV_PATH(object, "spec", "selector", "matchLabels"))
        if (!str_eq(JV_STRING(labels, l->key), jv_string(l->value)))
            jv_list_put(&lost, l->key, l->value);
    return IF(lost.n > 0, jv_list_obj(&lost));
}

/* ---- what exposes a cluster ---- */

/* One router's word about a Route. */
static void router_read(struct arena *a, jv router, struct obs_exposure *ret)
{
    jv_foreach (c, jv_get(router, "conditions")) {
        if (!str_eq(JV_STRING(*c, "type"), "Admitted") || ret->admitted)
            continue;
        if (str_eq(JV_STRING(*c, "status"), "True")) {
            ret->admitted = true;
            ret->address = copy(a, JV_STRING(router, "host"));
        } else if (str_eq(JV_STRING(*c, "status"), "False")) {
            ret->cause = (struct obs_cause){copy(a, str_or(JV_STRING(*c, "reason"), "NotAdmitted")),
                                            copy_message(a, JV_STRING(*c, "message"))};
        }
    }
}

/* The members in which the three kinds differ have different names. */
void obs_exposure_read(struct arena *a, jv object, struct obs_exposure *ret)
{
    jv meta = jv_get(object, "metadata"), owner = jv_at(jv_get(meta, "ownerReferences"), 0);
    jv balancer = jv_at(JV_PATH(object, "status", "loadBalancer", "ingress"), 0);

    *ret = (struct obs_exposure){
        .host = copy(a, JV_STRING(object, "spec", "host")),
        .host_generated =
            str_eq(JV_STRING(meta, "annotations", "openshift.io/host.generated"), "true"),
        .admitted = jv_present(balancer),
        .address = copy(a, str_or(JV_STRING(balancer, "hostname"), JV_STRING(balancer, "ip"))),
    };
    obs_meta_read(a, object, &ret->meta);
    if (str_eq(JV_STRING(owner, "kind"), "FlinkDeployment"))
        ret->owner = copy(a, JV_STRING(owner, "name"));
    jv_foreach (router, JV_PATH(object, "status", "ingress"))
        router_read(a, *router, ret);
    if (ret->admitted)
        ret->cause = (struct obs_cause){0};
}

const struct obs_job *obs_flink_job(const struct obs_flink *f, const char *id)
{
    for (size_t i = 0; id && i < f->n_jobs; i++)
        if (!strcmp(f->jobs[i].job.id, id))
            return &f->jobs[i];
    return NULL;
}

uint64_t obs_flink_fingerprint(const struct obs_flink *f)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(64 << 20);

    strbuf_addf(&sb, "%d %d %s %s %s\n", f->known, f->reachable, str_or_empty(f->jm),
                str_or_empty(f->error), str_or_empty(f->version));
    for (size_t i = 0; i < f->n_jobs; i++) {
        const struct obs_job *j = &f->jobs[i];

        strbuf_addf(&sb, "%s %d %d %d %d %lld", j->job.id, j->job.state, j->has_detail,
                    j->slots_needed, j->job.tasks_total, (long long)j->job.last_modification_ms);
        for (size_t k = 0; k < TASKS_STATES; k++)
            strbuf_addf(&sb, " %d", j->job.tasks[k]);
        strbuf_addc(&sb, '\n');
    }
    for (size_t i = 0; i < f->n_tms; i++)
        strbuf_addf(&sb, "%s %d %d\n", f->tms[i].id, f->tms[i].slots, f->tms[i].free_slots);
    return hash_bytes(sb.buf, sb.len);
}
