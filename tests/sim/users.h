/* SPDX-License-Identifier: Apache-2.0 */
/* What users do, and everything else that happens without the operator's doing. */
#ifndef TESTS_SIM_USERS_H
#define TESTS_SIM_USERS_H

#include "api.h"

/* ---- users_snapshots.c ---- */

#define USER_SHORTEST_S 20 /* between two periodic ones, and so is a configuration's shortest */
#define USER_KEPT_KEY "kubernetes.operator.savepoint.history.max.count"
#define USER_AGE_KEY "kubernetes.operator.savepoint.history.max.age"

/* What is taken of a job while it runs, and what is kept of that; in s; 0: nothing is said. */
struct user_habits {
    int savepoints, checkpoints; /* the interval of each */
    int kept, age;
    bool direct;   /* without resources */
    bool disposes; /* files go with the resource */
};
struct user_habits user_random_habits(void);
/** As configuration; gone: what stands there for a key without a value. */
jv user_habits_conf(struct arena *a, const struct user_habits *h, jv gone);
/** Nothing is taken any more unless somebody asks. */
void user_drop_habits(void);

/** Another nonce, of a savepoint or a checkpoint. */
void user_ask_for_snapshot(void);
void user_make_snapshot(void);
void user_delete_snapshot(void);

/* ---- users_references.c ---- */

/* What pods refer to: a Secret and a ConfigMap that all of them share; what is to become of a
 * change. */
struct user_references {
    const char *on_change; /* NULL: nothing is said */
    bool secret, configmap;
};
struct user_references user_random_references(void);
/** As configuration, and as a pod template. */
jv user_references_conf(struct arena *a, const struct user_references *r, jv gone);
jv user_references_template(struct arena *a, const struct user_references *r, jv gone);
/** Whether a spec says so of a change. */
bool user_restarts_for_changes(jv spec);
bool user_refers(jv spec);
/** How often content of one of them has changed. */
int user_contents(void);
/** When the last of these was, in ms of the simulator; a watch that is late brings it later. */
int64_t user_contents_at(void);
/** Makes those that are missing. */
void user_make_references(void);
void user_delete_references(void);
/** Other content, or other labels alone, of both. */
void user_change_references(bool content);
/** Something of that, of one of them. */
void user_meddle_with_references(void);

/* ---- users_specs.c ---- */

/* How users mark what they mean: the simulator's own annotations. */
#define SIM_INVALID "sim/invalid" /* the specification is bad, and it is meant to be */
#define SIM_BROKEN "sim/broken"   /* it is valid, but cannot work (no such image, no such JAR) */

#define USER_ROLLBACK_KEY "kubernetes.operator.deployment.rollback.enabled"
#define USER_RESTARTS_KEY "kubernetes.operator.job.restart.failed"
#define SIM_TTL_KEY "kubernetes.operator.jm-deployment.shutdown-ttl"

struct user_cluster {
    const char *name, *tag; /* tag: of the image */
    int slots, max, min, spare, nonce;
    int replicas; /* in mode standalone; 0: not said */
    bool invalid;
    bool refused;                /* by the API server, while there is something to be kept */
    bool adaptive;               /* Flink's scheduler of that name */
    bool ingress, route, policy; /* how it is exposed */
    struct user_references references;
};
/** Creates or changes it. */
void user_apply_cluster(const struct user_cluster *c);

struct user_application {
    const char *name, *tag, *entry_class, *mode;
    int slots, parallelism, nonce;
    int max_age;                 /* of the checkpoint to go on from, in s; 0: any */
    bool refused;                /* as of a cluster */
    bool suspended, unavailable; /* unavailable: without high availability */
    bool cancels;                /* the job, to go on from its last state */
    bool restarts;               /* a job that has failed */
    bool rolls_back;             /* what does not come to run, to what ran before */
    bool checked;                /* and taken away when it restarts too often */
    int ttl;                     /* of the JobManager of a job that has ended, in s; 0: a day */
    bool native;                 /* by Flink's own allocation */
    bool ingress, route;
    bool adaptive; /* Flink's scheduler of that name */
    int override;  /* parallelism instead of that one; 0: none */
    struct user_habits habits;
    struct user_references references;
};
void user_apply_application(const struct user_application *u);

struct user_job {
    const char *name, *cluster, *entry_class, *jar, *mode;
    int parallelism, nonce;
    int override; /* parallelism instead of that one; 0: none */
    bool suspended, invalid;
    bool restarts; /* a job that has failed */
    struct user_habits habits;
};
void user_apply_job(const struct user_job *j);

/** Another parallelism of the vertices of a job's first slot sharing group. */
const char *user_overrides(struct arena *a, int parallelism);

bool user_spec_valid(const struct object *cr);
bool user_spec_works(const struct object *cr);
/** Of what the operator makes, and of a spec: the API server would not take it. */
bool user_is_refused(jv body);
bool user_asks_for_refused(jv spec);
/** Whether it goes back to what ran before when it does not come to run. */
bool user_rolls_back(jv spec);
/** Whether a job of this spec that has failed is to be run again. */
bool user_restarts(jv spec);
bool user_is_standalone(const char *cluster);
/** Whether a spec of theirs asks for an object of this kind that exposes the cluster. */
bool user_asks_for(jv spec, int kind);
/* ---- users.c ---- */

/** It is an application, or a FlinkSessionJob. */
bool user_has_job(const struct object *cr);
/** Each of a kind with the same chance; NULL: there is none. */
struct object *user_any_of(int kind);
void user_delete(int kind, const char *name, const char *propagation);

void user_create_something(void);
void user_change_cluster(void);
/** kubectl scale, of a cluster in mode standalone. */
void user_scale_something(void);
void user_change_job(void);
void user_rescale(void);
void user_delete_something(void);
/** Deletes and cancels what keeps clusters from being deleted. */
void user_help_deletions(void);
/** Says where jobs go on from whose state the operator does not know. */
void user_restore_jobs(void);
/** Takes back what cannot work, so that everything can come to rest. */
void user_be_reasonable(void);

/* ---- chaos.c ---- */

/** Everything that happens by itself from here on, until sim.calm. */
void chaos_start(void);
/** Ends what would never end by itself: quotas, silent kubelets, JobManagers that hang. */
void chaos_end(void);

#endif
