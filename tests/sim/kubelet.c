/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   pending ──node──► scheduled ──image, volumes──► running ──probe──► ready
 *                          ▲                           │
 *                          └── back-off, Deployment ───┤ the process ends
 *                                                      ▼
 *                                                 failed, a TaskManager of the operator
 *
 * A deleted pod's process gets SIGTERM; the object goes when the process has ended.
 */
#include <stdio.h>
#include <stdlib.h>

#include "flink.h"
#include "flinkop/clock.h"
#include "flinkop/desired.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "nodes.h"

#define CRASH_BACKOFF_MS 10000
#define CRASH_BACKOFF_MAX_MS 80000 /* 5 min in a real kubelet: only makes runs longer */
#define CRASH_FORGET_MS 600000
#define GRACE_MS 30000

static int next_ip;

struct pod *pod_of(const struct object *o)
{
    return o->model;
}

bool pod_finished(const struct object *o)
{
    const char *phase = JV_STRING(o->at->v, "status", "phase");

    return str_eq(phase, "Failed") || str_eq(phase, "Succeeded");
}

bool is_jobmanager(const struct object *pod)
{
    return pod->kind == KIND_POD && str_eq(object_label(pod, LABEL_COMPONENT), COMPONENT_JM);
}

bool is_taskmanager(const struct object *pod)
{
    return pod->kind == KIND_POD && str_eq(object_label(pod, LABEL_COMPONENT), COMPONENT_TM);
}

static bool restarts(const struct object *pod)
{
    return !str_eq(JV_STRING(pod->at->v, "spec", "restartPolicy"), "Never");
}

static struct object *find(const void *arg)
{
    struct object *o = api_by_id(sim_id_of(arg));

    return o && o->kind == KIND_POD ? o : NULL;
}

static void later(struct object *o, int64_t lo, int64_t hi, sim_fn fn)
{
    int64_t ms = skewed(R_NODE, lo, hi);

    if (pod_of(o)->silent_until > sim.now)
        ms += pod_of(o)->silent_until - sim.now;
    sim_after(ms, fn, sim_id(o->id));
}

/* ---- status ---- */

static const char *stamp(struct arena *a, int64_t at)
{
    char text[RFC3339_MAX];

    rfc3339_format(SIM_EPOCH + at, text);
    return arena_strdup(a, text);
}

static jv terminated(struct arena *a, const struct pod *p)
{
    if (!p->last.set)
        return ABSENT;
    return jv_dup(a, OBJ({"exitCode", INT(p->last.code)}, {"reason", STR(p->last.reason)},
                         {"message", STR("the end of its log")},
                         {"startedAt", STR(stamp(a, p->last.from))},
                         {"finishedAt", STR(stamp(a, p->last.to))}));
}

static jv container_status(struct arena *a, const struct pod *p)
{
    bool waits = !p->running && !p->ended;
    jv state =
        OBJ({"running", IF(p->running, OBJ({"startedAt", STR(stamp(a, p->started_at))}))},
            {"terminated", IF(!p->running && p->ended, terminated(a, p))},
            {"waiting", IF(waits, OBJ({"reason", STR(str_or(p->waiting, "ContainerCreating"))},
                                      {"message", STR(p->waiting_message)}))});
    return jv_dup(a,
                  OBJ({"name", STR(MAIN_CONTAINER)}, {"state", state},
                      {"lastState", p->last.set && !p->ended ? OBJ({"terminated", terminated(a, p)})
                                                             : EMPTY_OBJ},
                      {"ready", BOOL(p->running && p->started)}, {"started", BOOL(p->started)},
                      {"restartCount", INT(p->restarts)}));
}

static const char *phase_of(const struct pod *p)
{
    if (p->evicted || (p->ended && p->last.code))
        return "Failed";
    if (p->ended)
        return "Succeeded";
    return p->running || p->last.set ? "Running" : "Pending";
}

static void publish(struct object *o)
{
    cleanup_arena struct arena a = {0};
    const struct pod *p = pod_of(o);
    bool made = p->scheduled && !p->evicted;
    jv scheduled = OBJ({"type", STR("PodScheduled")},
                       {"status", STR(p->scheduled ? "True" : "False")},
                       {"reason", IF(p->unschedulable, STR("Unschedulable"))},
                       {"message", IF(p->unschedulable, STR("0/3 nodes are available: 3 "
                                                            "Insufficient cpu."))});
    jv ready =
        OBJ({"type", STR("Ready")}, {"status", STR(p->running && p->started ? "True" : "False")});

    api_set_status(
        o, OBJ({"phase", STR(phase_of(p))}, {"podIP", IF(*p->ip, STR(p->ip))},
               {"reason", IF(p->evicted, STR("Evicted"))},
               {"message", IF(p->evicted, STR("The node was low on resource: memory."))},
               {"conditions", p->scheduled || p->unschedulable ? ARR(scheduled, ready) : EMPTY_ARR},
               {"containerStatuses", made ? ARR(container_status(&a, p)) : ABSENT}));
}

/* ---- starting ---- */

static bool configured(const struct object *o)
{
    cleanup_arena struct arena a = {0};

    return api_get(KIND_CONFIGMAP,
                   arena_printf(&a, "flink-config-%s", str_or_empty(object_label(o, LABEL_APP))));
}

static const char *image_of(const struct object *o)
{
    jv_foreach (c, JV_PATH(o->at->v, "spec", "containers"))
        if (str_eq(JV_STRING(*c, "name"), MAIN_CONTAINER))
            return str_or_empty(JV_STRING(*c, "image"));
    return "";
}

bool pod_cannot_start(const struct object *o)
{
    return str_has_suffix(image_of(o), ":bad");
}

static void run(void *arg)
{
    struct object *o = find(arg);
    struct pod *p = o ? pod_of(o) : NULL;

    if (!o || o->deleted || p->ended || p->evicted || p->running)
        return;
    if (p->silent_until > sim.now || !configured(o)) {
        later(o, 1000, 2000, run);
        return;
    }
    if (p->last.set)
        p->restarts++;
    p->running = true;
    p->started = is_taskmanager(o);
    p->waiting = NULL;
    p->started_at = sim.now;
    if (!*p->ip) {
        int n = ++next_ip;

        snprintf(p->ip, sizeof(p->ip), "10.%d.%d.%d", n >> 16, (n >> 8) & 255, n & 255);
    }
    TRACE("pod %s runs (restarts %d)", o->name, p->restarts);
    publish(o);
    flink_process_start(o);
}

static void pull(void *arg)
{
    struct object *o = find(arg);
    struct pod *p = o ? pod_of(o) : NULL;

    if (!o || o->deleted || p->evicted)
        return;
    if (pod_cannot_start(o) || fault(FAULT_NODE, 0.05)) {
        bool first = !str_eq(p->waiting, "ErrImagePull");

        p->waiting = first ? "ErrImagePull" : "ImagePullBackOff";
        p->waiting_message = "Back-off pulling image";
        publish(o);
        later(o, 5000, 20000, pull);
        return;
    }
    p->waiting = p->waiting_message = NULL;
    run(arg);
}

static void bind(void *arg)
{
    static const char *const node[] = {"spec", "nodeName", NULL};
    struct object *o = find(arg);
    struct pod *p = o ? pod_of(o) : NULL;

    if (!o || o->deleted || p->evicted)
        return;
    if (fault(FAULT_NODE, 0.05)) {
        p->unschedulable = true;
        publish(o);
        later(o, 2000, 120000, bind);
        return;
    }
    p->unschedulable = false;
    p->scheduled = true;
    api_set_member(o, node, STR("node-1"));
    publish(o);
    later(o, 50, fault(FAULT_NODE, 0.1) ? 60000 : 2000, pull);
}

/* ---- ending ---- */

static void gone(void *arg)
{
    struct object *o = find(arg);

    if (o) {
        TRACE("pod %s is gone", o->name);
        api_remove(o);
    }
}

static void stop(void *arg)
{
    struct object *o = find(arg);
    struct pod *p = o ? pod_of(o) : NULL;

    if (!o)
        return;
    if (p->silent_until > sim.now)
        later(o, 0, 100, stop);
    else if (p->running)
        flink_process_stop(o->id,
                           fault(FAULT_POD, 0.1) ? GRACE_MS : skewed(R_NODE, 50, 3 * SECOND));
    else
        later(o, 10, 500, gone);
}

static int64_t crash_backoff(struct pod *p)
{
    int64_t ms = CRASH_BACKOFF_MS;

    if (sim.now - p->started_at > CRASH_FORGET_MS)
        p->crashes = 0;
    if (!p->crashes++)
        return 100;
    for (int i = 2; i < p->crashes && ms < CRASH_BACKOFF_MAX_MS; i++)
        ms *= 2;
    return MIN(ms, (int64_t)CRASH_BACKOFF_MAX_MS);
}

void kubelet_process_ended(int pod, int code, const char *reason)
{
    struct object *o = find(sim_id(pod));
    struct pod *p = o ? pod_of(o) : NULL;

    if (!o)
        return;
    TRACE("pod %s: its process ended (%s, %d)", o->name, reason, code);
    p->running = p->started = false;
    p->last.set = true;
    p->last.code = code;
    p->last.reason = reason;
    p->last.from = p->started_at;
    p->last.to = sim.now;
    p->evicted |= p->evicting;
    if (o->deleted || p->evicted || !restarts(o)) {
        p->ended = true;
    } else {
        int64_t ms = crash_backoff(p);

        p->waiting = ms > SECOND ? "CrashLoopBackOff" : NULL;
        p->waiting_message = "back-off restarting failed container";
        later(o, ms, ms + ms / 10, run);
    }
    publish(o);
    if (o->deleted)
        later(o, 20, 800, gone);
}

void kubelet_process_ready(int pod)
{
    struct object *o = find(sim_id(pod));

    if (!o || !pod_of(o)->running)
        return;
    pod_of(o)->started = true;
    publish(o);
}

void kubelet_evict(struct object *o)
{
    struct pod *p = pod_of(o);

    if (o->deleted || p->evicted || p->ended)
        return;
    TRACE("fault: pod %s is evicted", o->name);
    if (p->running) { /* it ends first */
        p->evicting = true;
        flink_process_stop(o->id, skewed(R_NODE, 50, 3 * SECOND));
        return;
    }
    p->evicted = true;
    publish(o);
}

void kubelet_silence(struct object *o, int64_t ms)
{
    TRACE("fault: the kubelet forgets pod %s for %lld ms", o->name, (long long)ms);
    pod_of(o)->silent_until = sim.now + ms;
}

/* ---- what the API server says ---- */

void kubelet_changed(struct object *o, enum change what, enum actor by)
{
    struct pod *p = pod_of(o);

    if (what == CREATED) {
        o->model = p = xcalloc(1, sizeof(*p));
        p->id = o->id;
        later(o, 10, 500, bind);
    } else if (what == REMOVED) {
        flink_process_kill(o->id);
        free(p);
        o->model = NULL;
    } else if (o->deleted && !p->deleting) {
        p->deleting = true;
        p->meddled |= by == BY_USER;
        later(o, 5, 200, stop);
    }
}
