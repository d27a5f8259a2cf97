/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the controller share. */
#ifndef CONTROLLER_INTERNAL_H
#define CONTROLLER_INTERNAL_H

#include "executor.h"
#include "flinkop/arena.h"
#include "flinkop/controller.h"
#include "flinkop/kube_resource.h"
#include "flinkop/kube_watch.h"
#include "flinkop/operator_config.h"
#include "flinkop/plan.h"
#include "flinkop/snapshot.h"
#include "flinkop/strmap.h"
#include "flinkop/workqueue.h"
#include "probe.h"
#include "store.h"

struct scope;

/* A FlinkDeployment, FlinkSessionJob or FlinkStateSnapshot. */
struct target {
    struct controller *c;
    enum kube_kind kind;
    char *key;
    struct arena memory_arena;
    union {
        struct cluster_memory cluster;
        struct job_memory job;
        struct snapshot_memory snapshot;
    };
    struct arena outcome_arena; /* of the last execution, for the next pass */
    struct outcome *outcomes;
    size_t n_outcomes;
    struct execution *running;
    struct operator_config *config; /* that its plan was made with */
    bool unsure;                    /* a status was not answered: what is recorded is not known */
    bool comes_back;                /* its last plan asks for another pass */
    bool releasing;                 /* TaskManagers, by what is running */
    /* Executions until the status tells of a submission: its own, and the one that writes it. */
    int submitting;
    size_t *place; /* what the execution counts in */
    char reconcile_id[17];
    int64_t started;

    /* FlinkSessionJob */
    char *submits_to; /* key of the cluster, by what is running; NULL: to none */
    bool held;        /* until one of its cluster's submissions has ended */

    bool begins; /* FlinkStateSnapshot: that it is in progress is being recorded */

    /* FlinkDeployment */
    struct probe *probe;
    int rest_port;
    bool rest_tls;
    bool planned, rescales, undecided, ended; /* as its last plan says */
    struct state_settings keeps;              /* so, too */
    char *ready_jm;     /* so, too: the JobManager that it is ready with, NULL: it is not */
    size_t submissions; /* of jobs to it, under way */
    unsigned asked;     /* optional kinds that are watched for it */
    char *references;   /* what its pods refer to, as in its plan */
    struct cluster_counts counts;
    char *summary;
    char *shortage; /* why jobs do not get their slots, NULL: they do */
    char *flink_version;
    char *job_options; /* JSON of what it says for its FlinkSessionJobs; NULL: nothing */
    char *jm;          /* who is asked by the probe in this turn */
};

struct kind_control {
    const char *name; /* label `controller` of the metrics */
    struct workqueue *queue;
    struct strmap targets; /* key -> struct target */
    size_t in_flight;      /* executions, without those that… */
    size_t on_flink;       /* …wait for Flink */
};

struct controller {
    struct loop *loop;
    struct kube_client *kube;
    struct operator_config *config; /* held */
    const char *operator_ns;
    struct flink_client *flink;
    struct probe_pool probes;
    struct executor executor;
    struct store *stores[KIND_COUNT];
    struct scope **scopes; /* what is watched, a namespace each */
    size_t n_scopes;
    struct kind_control kinds[KIND_COUNT];
    struct timer *timer; /* for the next delayed key */
    bool listing;        /* what changes right now comes from a list */
    bool pumping;        /* a pump is deferred */
    bool draining;
    size_t in_flight; /* of all kinds */
    void (*drained)(void *arg);
    void *drained_arg;
};

/** Its name where each store or watch has one of its own. */
static inline const char *view_name(enum kube_kind kind)
{
    switch (kind) {
    case KIND_ANY_CONFIGMAP:
        return "AnyConfigMap";
    case KIND_ANY_FLINKDEPLOYMENT:
        return "AnyFlinkDeployment";
    case KIND_ANY_FLINKSESSIONJOB:
        return "AnyFlinkSessionJob";
    default:
        return kube_resource(kind)->kind;
    }
}

/* The kinds that are reconciled. */
extern const enum kube_kind controlled[3];

/* ---- controller.c ---- */

/** store_change_fn of all stores; arg is the controller. */
void store_changed(void *arg, enum kube_kind kind, const struct stored *old,
                   const struct stored *now);

/* ---- watches.c ---- */

/** Makes the stores and starts watching. */
void watches_init(struct controller *c);
void watches_release(struct controller *c);
/** Another configuration counts: namespaces and the label selector are made so, and everything is
 * looked at again. */
void watches_change(struct controller *c, const struct operator_config *was);
/** Whether this target's namespace is watched. */
bool watches_cover(const struct controller *c, const char *key);
/** Takes all that is known of the namespace of this key, which is not watched, out of the stores.
 */
void watches_forget(struct controller *c, const char *key);
enum presence {
    NOT_PRESENT,
    PRESENT,
    PRESENT_SOON, /* its own watch is about to tell */
    LEFT_OUT,     /* by the label selector */
};
/** Whether there is such a FlinkDeployment or FlinkSessionJob, though the label selector may leave
 * it out. */
enum presence watches_presence(const struct controller *c, enum kube_kind kind, const char *ns,
                               const char *name);
/** Whether all that is watched in this target's namespace has been listed. */
bool watches_in_step(const struct controller *c, const char *key);
/** From now on this target needs these optional kinds (1U << kind) to be watched. */
void watches_ask(struct controller *c, struct target *t, unsigned kinds);
/** Whether the API server has a kind that the target with this key has asked for; ret_error: why
 * that is not known, or why its objects may be listed but not watched, or NULL. */
enum kind_served watches_served(const struct controller *c, enum kube_kind kind, const char *key,
                                const char **ret_error);
/** Why nothing is done in a FlinkDeployment that the label selector leaves out. */
const char *left_out_text(const struct controller *c, struct arena *a, const char *name);
struct watch_state {
    enum kube_kind kind;
    const char *ns; /* NULL: all */
    struct kube_watch_info info;
    const char *error; /* why it cannot be watched, NULL: it can */
};
/** For each watch that there is right now. */
void watches_each(const struct controller *c,
                  void (*fn)(void *arg, const struct watch_state *state), void *arg);

/** What is known of those that the pods of this cluster may refer to. */
void watches_references(const struct controller *c, struct arena *a, const struct stored *cr,
                        struct reference_view *ret);
/** A Secret or ConfigMap has changed: who refers to it looks at it. */
void references_changed(struct controller *c, enum kube_kind kind, const struct obs_meta *m);

/* ---- reconcile.c ---- */

/** Metrics of a controller at which nothing has happened. */
void reconcile_metrics_begin(enum kube_kind kind, const char *name);
/** Hands the key out soon, if there is such a resource. */
void enqueue(struct controller *c, enum kube_kind kind, const char *key,
             enum workqueue_priority priority);
/** Reconciles what is ready, in the next turn. */
void pump_soon(struct controller *c);

/* ---- snapshots.c ---- */

/** Random hex digits for a job, or a savepoint, in case that one is needed. */
const char *fresh_id(struct arena *a);
struct snapshot_plan plan_snapshot(struct controller *c, struct target *t, const struct stored *cr,
                                   jv object, struct arena *a);
/** Those of the job of a resource with this key. */
struct snapshot_list snapshots_of(struct arena *a, const struct controller *c, enum kube_kind kind,
                                  const char *key);
/** The FlinkStateSnapshots of a job's resource that are not settled. */
void enqueue_snapshots_of(struct controller *c, enum kube_kind kind, const char *key);
/** Those of a cluster, and of the jobs in it. */
void enqueue_snapshots_in(struct controller *c, const char *cluster_key);
/** One of them has changed. */
void snapshot_changed(struct controller *c, const struct stored *old, const struct stored *now,
                      enum workqueue_priority priority);

/* ---- controller_metrics.c ---- */

/** Fills the gauges that are computed at each scrape; arg is the controller. */
void controller_scrape(void *arg);

/* ---- target.c ---- */

/** Hands out the FlinkSessionJobs of a cluster soon. */
void enqueue_jobs_of(struct controller *c, const char *cluster_key);
struct target *target_get(struct controller *c, enum kube_kind kind, const char *key);
void target_free(struct target *t);
void target_drop(struct controller *c, struct target *t);
/** What the JobManager of a cluster says: nothing is known while none runs, or another one than was
 * asked last. Never NULL. */
const struct obs_flink *target_flink(struct target *t);
/** What a session cluster says for the jobs in it, as session_job_options() gives it. t, cluster:
 * NULL if there is none. */
jv target_job_options(struct arena *a, const struct target *t, const struct stored *cluster);
/** Keeps what its last plan says of that; true if it is another than before. */
bool target_keep_job_options(struct target *t, jv options);
/** executor.jobmanager and executor.touched */
bool target_jobmanager(void *arg, const char *ns, const char *cluster, struct flink_endpoint *ret);
void target_touched(void *arg, const char *ns, const char *cluster, bool rescaled);

#endif
