/* SPDX-License-Identifier: Apache-2.0 */
/* What makes pods of Deployments, and what runs them. */
#ifndef TESTS_SIM_NODES_H
#define TESTS_SIM_NODES_H

#include "api.h"

/* ---- deployments.c: Deployment and ReplicaSet controllers ---- */

void deployments_changed(struct object *o, const struct version *old, enum change what);

/* ---- kubelet.c ---- */

/* The main container of a pod is one process at a time, known by the pod's number. */
struct pod {
    int id;
    char ip[32];
    bool scheduled, unschedulable;
    const char *waiting, *waiting_message; /* why the container does not run; NULL: it is made */
    bool running, started;
    bool evicting, evicted;
    int restarts, crashes;
    int64_t started_at;
    struct {
        bool set;
        int code;
        const char *reason;
        int64_t from, to;
    } last;               /* how it ended last */
    bool ended;           /* for good */
    int64_t silent_until; /* the kubelet does nothing about it until then */
    bool meddled; /* somebody else than the operator made it go, so another may come beside it */
    bool deleting;
};
struct pod *pod_of(const struct object *o);
/** Failed or Succeeded. */
bool pod_finished(const struct object *o);
/** There is no such image. */
bool pod_cannot_start(const struct object *o);

void kubelet_changed(struct object *o, enum change what, enum actor by);
/** The process has ended; exit code 137 with reason OOMKilled, 143 after a SIGTERM … */
void kubelet_process_ended(int pod, int code, const char *reason);
/** Its startup probe succeeds. */
void kubelet_process_ready(int pod);
void kubelet_evict(struct object *o);
void kubelet_silence(struct object *o, int64_t ms);

bool is_jobmanager(const struct object *pod);
bool is_taskmanager(const struct object *pod);

#endif
