/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The specs of our custom resources as structs. Reading collects every problem with its field path;
 * what it could read is there all the same. Strings are borrowed from the JSON, everything lives in
 * the arena of the problems. Fields and rules: api-contract §1.1–1.3, §2.15; `allocator`: DESIGN
 * §5.
 */
#ifndef FLINKOP_CLUSTER_SPEC_H
#define FLINKOP_CLUSTER_SPEC_H

#include <stdbool.h>

#include "flinkop/flink_conf.h"
#include "flinkop/json_map.h"
#include "flinkop/jv.h"

struct flink_defaults;
struct flink_version;

/** Longer waits than a hundred years mean nothing, and sums with them overflow. */
#define DURATION_MAX_MS INT64_C(3153600000000)

struct resource_spec {
    const char *cpu, *memory, *ephemeral_storage; /* as written; NULL if not */
};

struct component_spec {
    struct resource_spec resource;
    jv resources; /* a Kubernetes ResourceRequirements; wins over `resource` */
    struct opt_int64 replicas;
    jv pod_template;
    struct opt_int64
        max_unavailable; /* of jobManager.podDisruptionBudget; not set: there is none */
};

enum allocator_type {
    ALLOCATOR_UNSET,
    ALLOCATOR_OPERATOR,
    ALLOCATOR_FLINK,
    ALLOCATOR_NONE, /* mode standalone: a fixed number; cannot be asked for by itself */
};

struct allocator_spec {
    int type; /* enum allocator_type */
    struct opt_int64 min_taskmanagers, max_taskmanagers, spare_taskmanagers;
    struct opt_int64 idle_timeout, start_timeout, pending_timeout; /* ms */
};

struct ingress_spec {
    jv section;           /* spec.ingress as written; not present: no Ingress */
    const char *template; /* of host and path */
    const char *class_name;
    jv annotations, labels, tls;
};

enum expose_as {
    EXPOSE_UNSET, /* there is no such section */
    EXPOSE_AUTO,  /* a Route where the API server has them, else an Ingress */
    EXPOSE_ROUTE,
    EXPOSE_INGRESS,
    EXPOSE_NONE,
};
enum exposure_auth { AUTH_UNSET, AUTH_NONE, AUTH_OPENSHIFT_OAUTH, AUTH_OIDC };
enum tls_termination { TLS_UNSET, TLS_EDGE, TLS_REENCRYPT, TLS_PASSTHROUGH };
enum insecure_policy { INSECURE_UNSET, INSECURE_REDIRECT, INSECURE_ALLOW, INSECURE_NONE };

struct exposure_spec {
    jv section; /* spec.exposure as written */
    int type;   /* enum expose_as */
    const char *host, *class_name;
    bool has_tls;
    int termination; /* enum tls_termination */
    int insecure;    /* what becomes of plain HTTP: enum insecure_policy */
    const char *tls_secret;
    struct opt_int64 timeout; /* ms */
    jv labels, annotations;
    int auth; /* enum exposure_auth */
    struct opt_int64 network_policy;
};

enum job_desired { JOB_DESIRED_UNSET, JOB_DESIRED_RUNNING, JOB_DESIRED_SUSPENDED };
enum upgrade_mode { UPGRADE_UNSET, UPGRADE_STATELESS, UPGRADE_LAST_STATE, UPGRADE_SAVEPOINT };

struct job_spec {
    const char *jar_uri, *entry_class, *initial_savepoint_path;
    jv args;
    struct opt_int64 parallelism;
    int state;        /* enum job_desired */
    int upgrade_mode; /* enum upgrade_mode */
    struct opt_int64 allow_non_restored_state;
};

enum cluster_mode { MODE_UNSET, MODE_NATIVE, MODE_STANDALONE };

struct deployment_spec {
    const char *image, *image_pull_policy, *service_account, *version_name;
    const struct flink_version *version; /* NULL if unknown (then there is a problem) */
    int mode;                            /* enum cluster_mode */
    struct conf conf;                    /* flinkConfiguration, flattened */
    jv pod_template;
    struct component_spec jm, tm;
    jv log_configuration;
    struct allocator_spec allocator;
    bool application;    /* it has a job; else it is a session cluster */
    struct job_spec job; /* of an application cluster */
    struct ingress_spec ingress;
    struct exposure_spec exposure;
};

struct session_job_spec {
    const char *deployment_name;
    struct conf conf;
    struct job_spec job;
};

/** `strict`: fields that the API does not have are problems (validate -f; a stored object cannot
 * have any). Checks types, enums and the rules that need nothing but the spec. */
void deployment_spec_read(struct problems *p, jv spec, bool strict, struct deployment_spec *ret);
void session_job_spec_read(struct problems *p, jv spec, bool strict, struct session_job_spec *ret);

/**
 * All of a FlinkSessionJob's rules: reads the spec, merges the operator's defaults (for a cluster
 * of this version, NULL if not known), its cluster's options (session_job_options(), ABSENT if not
 * known) and its own configuration into ret_conf, checks the JAR's URI against the allowed schemes.
 */
void session_job_read(struct problems *p, const char *ns, jv spec, bool strict,
                      const struct flink_defaults *defaults, const struct flink_version *version,
                      jv options, struct session_job_spec *ret, struct conf *ret_conf);

/** What the spec of a session cluster (ABSENT: none was recorded) says for the jobs in it, which
 * counts below their own configuration (api-contract §2.9): an object of strings, ABSENT: nothing.
 */
jv session_job_options(struct arena *a, jv spec);
/** The same of what is recorded of a FlinkDeployment. */
jv session_job_options_of(struct arena *a, jv cr);

/** Flink's reactive mode: the job takes all the slots that there are. */
bool reactive_asked(const struct conf *conf);

/** What the API allows but this version cannot do yet, refused rather than half done. */
void deployment_spec_check(struct problems *p, const struct deployment_spec *s);

/** Rule 1 of §2.15: [a-z]([-a-z0-9]{0,43}[a-z0-9])?, since pods get the name with a suffix. */
void cluster_name_check(struct problems *p, const char *path, const char *name);

/** Whether it can be the name of an object: a DNS subdomain of at most 253 characters. */
bool object_name_valid(const char *name);

/* Flink's map from vertices to their parallelism, where it is not the job's. */
#define FLINK_OVERRIDES_KEY "pipeline.jobvertex-parallelism-overrides"

/**
 * The part of a FlinkDeployment spec whose change needs a new JobManager, normalised (nulls and
 * defaults out, configuration flat): equal values mean "no restart". Its hash marks the pods.
 */
jv deployment_spec_restart_part(struct arena *a, jv spec);
char *deployment_spec_hash(struct arena *a, jv spec);
/** The hash by which former versions of this operator marked what they made: of numbers and
 * quantities as they are written. It goes on counting for what runs. */
char *deployment_spec_hash_as_written(struct arena *a, jv spec);
/** That of an application, which gets a new JobManager for each run of its job: the id of the run
 * and what it starts from (NULL: nothing) count, too. spec_hash: one of those above. */
char *application_hash(struct arena *a, const char *spec_hash, const char *job_id,
                       const char *restore_path);
/** Nothing but FLINK_OVERRIDES_KEY differs. */
bool deployment_only_rescales(struct arena *a, jv before, jv after);
/** The hash of any part of a spec: nulls and the order of members do not count. */
char *spec_part_hash(struct arena *a, jv part);
/** The same for a FlinkSessionJob: a change means cancel and submit anew. */
jv session_job_restart_part(struct arena *a, jv spec);
bool session_job_only_rescales(struct arena *a, jv before, jv after);
/** What is recorded as reconciled: `current`, but a nonce that was taken away keeps its last value,
 * because only a new value asks for a restart, and those that ask for snapshots the one that was
 * handled last. The parallelism that the incumbent's autoscaler has found stays as well.
 * `recorded` may be absent. autoscaled: autoscaled_below(). */
jv spec_to_record(struct arena *a, jv recorded, jv current, bool autoscaled);
#define AUTOSCALER_KEY "job.autoscaler.enabled"
/** Whether what counts below the own configuration of a resource asks for the autoscaler: that of
 * the operator, for the version of Flink with this name (may be NULL), and the options of a
 * FlinkSessionJob's cluster (session_job_options(), ABSENT: none). */
bool autoscaled_below(struct arena *a, const struct flink_defaults *defaults, const char *ns,
                      const char *version, jv options);
/** Whether it asks for the autoscaler, which is not done here, or lets what is below it do so. */
bool spec_autoscales(struct arena *a, jv spec, bool autoscaled);
/* What becomes of what that has done elsewhere. */
#define AUTOSCALER_FROZEN                                            \
    AUTOSCALER_KEY                                                   \
    " is true, and this operator does not scale by itself yet: the " \
    "parallelism that vertices have (" FLINK_OVERRIDES_KEY           \
    ") stays until the spec names another one there, or asks for the autoscaler no more"
/** Its FLINK_OVERRIDES_KEY, NULL: none. */
const char *spec_overrides(struct arena *a, jv spec);
/** A spec with the nonces that ask for snapshots as they are in the recorded one. */
jv spec_keep_trigger_nonces(struct arena *a, jv recorded, jv spec);

/** "FlinkDeploymentSpec[image : a -> b, …]" for the SpecChanged event, cut to a sane length. */
const char *spec_diff_text(struct arena *a, const char *type, jv before, jv after);

#endif
