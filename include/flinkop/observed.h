/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What exists, as plain data: Kubernetes objects projected to the few fields that decisions need,
 * and what Flink says. Filled at the edge, read by the pure domain. Strings and lists belong to the
 * arena of the projection.
 */
#ifndef FLINKOP_OBSERVED_H
#define FLINKOP_OBSERVED_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/error.h"
#include "flinkop/flink_reply.h"
#include "flinkop/jv.h"

struct arena;

/* ---- Kubernetes ---- */

struct obs_meta {
    const char *ns, *name, *uid, *resource_version;
    int64_t generation;
    int64_t created_ms;          /* epoch, 0 unknown */
    int64_t deleted_ms;          /* when deletion was asked for (deletionTimestamp), 0 if not */
    const char *app, *component; /* labels, NULL if missing */
    const char *spec_hash;       /* our annotation, NULL if it is not ours */
    const char *config_hash;     /* ANNOTATION_CONFIG_HASH, NULL if missing */
    int64_t cr_generation;       /* ANNOTATION_GENERATION, 0 if missing */
    const char *owner_uid;       /* of the first owner reference */
    bool force_delete;           /* ANNOTATION_FORCE_DELETE */
    bool releases, released;     /* ANNOTATION_RELEASE: it is to be handed back, and has been */
    bool canary;                 /* object_is_canary() */
};

/* One reason why something does not work, the way Kubernetes says it. */
struct obs_cause {
    const char *reason, *message; /* reason NULL: nothing wrong */
};
/** With both texts in this arena. */
struct obs_cause obs_cause_copy(struct arena *a, struct obs_cause c);

struct obs_pod {
    struct obs_meta meta;
    const char *ip, *phase;
    bool scheduled, ready;
    bool main_running, main_started; /* of the main container; started: startup probe passed */
    int64_t running_ms;              /* since when it runs (epoch ms), 0: not known */
    bool dead;      /* the main container has ended for good, or the pod failed (sidecars do not
                       count) */
    int restarts;   /* of the main container */
    int exit_code;  /* of its last end, -1 if it never ended */
    int64_t ran_ms; /* how long it ran before it ended, -1 unknown */
    struct obs_cause cause; /* the first useful one: see pod_cause */
};

struct obs_deployment {
    struct obs_meta meta;
    int64_t observed_generation;
    int replicas; /* wanted */
    int status_replicas, ready_replicas;
    const char *image;      /* of the main container */
    bool ours;              /* made by this operator (it has our annotation) */
    bool flinks_allocator;  /* Flink's own allocator makes its TaskManagers */
    const char *halted;     /* ANNOTATION_HALTED, NULL: none */
    const char *job_id;     /* as desired_jobmanager() tells it to an application; NULL: none… */
    const char *job_path;   /* …with what it begins from a path */
    struct obs_cause cause; /* ReplicaFailure: quota, service account, admission */
};

/* A Route, Ingress or NetworkPolicy: what opens or closes the way to a cluster. */
struct obs_exposure {
    struct obs_meta meta;
    const char *owner;      /* name of the FlinkDeployment that it belongs to, NULL: to none */
    const char *host;       /* spec.host of a Route, NULL if it has none */
    bool host_generated;    /* that host was chosen by the API server */
    bool admitted;          /* a router or an Ingress controller has taken it… */
    const char *address;    /* …and leads there from this host or address */
    struct obs_cause cause; /* why it was not taken, if somebody says so */
};

/** Whether the incumbent watches itself by it (api-contract §2.18): a resource without content,
 * that this operator lets be. */
bool object_is_canary(jv object);
void obs_meta_read(struct arena *a, jv object, struct obs_meta *ret);
/** Its deletion waits for nobody, as the user asks: not even for another operator. */
bool obs_forced(const struct obs_meta *m);
void obs_exposure_read(struct arena *a, jv object, struct obs_exposure *ret);
void obs_pod_read(struct arena *a, jv object, struct obs_pod *ret);
void obs_deployment_read(struct arena *a, jv object, struct obs_deployment *ret);
/** What a Deployment has lost of the labels that it gives to its pods, which it was made with
 * itself; ABSENT: nothing. */
jv deployment_labels_lost(struct arena *a, jv object);

/* ---- Flink, as the last probe of a JobManager found it ---- */

struct obs_job {
    struct flink_job job;
    bool has_detail; /* vertices were read for this state of the tasks */
    bool batch, has_blocking_edge;
    bool adaptive; /* it has resource requirements: slots_needed comes from them */
    int slots_needed, slots_needed_max; /* to run all of it (job_slots) */
};

struct obs_flink {
    bool known;        /* a complete answer was had from the JobManager that runs now */
    int64_t at;        /* monotonic ms of that answer */
    bool reachable;    /* the last probe succeeded */
    int64_t since;     /* monotonic ms since when `reachable` has this value */
    const char *error; /* why it did not */
    const char *jm;    /* which JobManager answered: "<pod uid>/<restarts>" */
    const char *version, *commit;
    struct obs_job *jobs;
    size_t n_jobs;
    struct flink_taskmanager *tms;
    size_t n_tms;
};

const struct obs_job *obs_flink_job(const struct obs_flink *f, const char *id);
/** Changes when anything does that decisions look at. */
uint64_t obs_flink_fingerprint(const struct obs_flink *f);

#endif
