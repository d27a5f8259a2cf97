/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promises (DESIGN §2, §6), checked as things happen (check.c, check_flink.c) and when the
 * world has come to rest (check_calm.c). Breaking one ends the run with sim_fail.
 */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "api.h"
#include "flinkop/kube_client.h"
#include "flinkop/plan.h"

struct fjob;
struct jm;
struct kube_event;
struct tm;

/** The spec in reconciliationStatus.lastReconciledSpec of a status, ABSENT if there is none. */
bool check_rolled_back(const struct object *cr);
jv check_spec_in(struct arena *a, jv status);
jv check_recorded_spec(struct arena *a, const struct object *cr);

/** What objects that are made of a spec bear; NULL: there is no spec. */
const char *check_hash(struct arena *a, const struct object *cr, jv spec);
/** That of what its JobManager is to be started with: another one while its job has been rescaled.
 */
const char *check_started_hash(struct arena *a, const struct object *cr, jv spec);

void check_reset(void);
void check_release(void);
void check_operator_started(void);
void check_names_forgotten(void);
void check_name(const char *cluster, const char *name, int pod);
/** The operator plans this for a resource, by what it knows of it and of Flink. */
void check_pass(jv cr, const struct obs_flink *flink, const struct plan *plan);

/* ---- Kubernetes ---- */

/* What the operator knew when it sent a deletion. */
struct delete_context {
    int64_t rechecked; /* when Flink gave the answer that the deletion follows from; 0: none */
    int64_t settled;   /* and the one that all jobs run as a whole; 0: none */
};
struct delete_context check_send(enum kube_verb verb, int kind, const char *name);
/** A write of the operator is about to be carried out. */
void check_write(enum kube_verb verb, int kind, const char *name, const char *subresource, jv body,
                 const struct delete_context *context);
void check_changed(struct object *o, const struct version *old, enum change what, enum actor by);
void check_event(const struct kube_event *event);
/** The operator has told that this may be left of a cluster that is deleted. */
bool check_may_be_left(const struct object *o);

/* ---- Flink ---- */

/** A job is there. */
void check_job(const struct fjob *j);
/** The operator sends this submission. */
void check_submit(const char *jid);
/** The operator stops a job with this savepoint; jid may have more behind it. */
void check_stop(const char *jid, const char *trigger);
/** How often it has done so. */
int check_stops(void);
/** A job that has finished by itself does not run again unless something else is asked for. */
void check_again(jv cr, const struct obs_flink *flink, const struct plan *plan);
/** It has ended, whatever the way. */
void check_ended(const struct fjob *j);
/** A run of a job has this state from now on. final: it was stopped with it, and nothing has come
 * after. */
void check_state(const char *jid, int64_t state, bool final);
/** The state that a FlinkSessionJob must not fall behind. */
int64_t check_state_of(const char *uid);
/** The operator has learned whether this JobManager has the job. */
void check_found(const char *jid, bool found);
/** The operator has got the TaskManagers of a cluster, as they were at `when`. */
void check_taskmanagers(const char *cluster, int64_t when);
/** The same of an answer about its jobs. */
void check_jobs(const char *cluster, int64_t when);
/** A FlinkSessionJob or FlinkDeployment was written. */
void check_recorded(const struct object *job, enum change what);
/** Uid of the resource that recorded this id; NULL: none did. */
const char *check_owner(const char *jid);
/** The deletion of its FlinkSessionJob ended without it, as this event's text says. */
void check_given_up(const char *text);
bool check_is_given_up(const char *jid);
/** A TaskManager that was taken since the last look, so long ago, is being deleted; settled: when
 * all jobs were seen to run as a whole, 0: nobody has looked. */
void check_race(const struct tm *tm, int64_t ms, int64_t settled);
void check_flink_release(void);
void check_registration(const struct jm *jm, const struct tm *tm);
/** A JobManager's process starts. */
void check_jobmanager(const struct jm *jm, const struct object *pod);

/* ---- snapshots (check_snapshots.c) ---- */

/** A FlinkStateSnapshot is there. */
void check_snapshot_made(const struct object *o, enum actor by);
void check_snapshot_gone(const struct object *o);
/** The operator deletes one, because of its history. */
void check_snapshot_dropped(const struct object *o);
/** A FlinkSessionJob or FlinkDeployment was written: which nonces count as handled. */
void check_handled(const struct object *o, const struct version *old, enum change what);
/** A FlinkStateSnapshot asks for it, not the status of its job. */
bool check_is_of_resource(const char *trigger);
/** Flink is asked to delete the files of a savepoint; false: they are gone already. */
bool check_disposes(const char *path);
void check_disposed(const char *path);
/** A run of a job begins with this, NULL: with nothing. */
void check_begins_with(const char *path);
/** What is not as it is to be with all of them, at rest. */
const char *check_snapshots_settled(struct arena *a);
void check_snapshots_release(void);

/* ---- what pods refer to (check_references.c) ---- */

/** A JobManager's process starts. */
void check_started(const char *cluster);
/** The status of a FlinkDeployment was written: what it says of restarts. */
void check_restarts(const struct object *o, const struct version *old);
/** From here on it counts how often JobManagers start… */
void check_note_starts(void);
/** …and that was once for each that is to start because of other content, and for no other. */
void check_starts(bool content);
/** It is about to be restarted. */
bool check_will_restart(const struct object *cr);
void check_references_release(void);

/* ---- what throws jobs back (check_exceptions.c) ---- */

#define CHECK_THROWN "on purpose, number " /* in its text, before its number */
/** A job is thrown back: the number of the exception. */
int check_thrown(const struct fjob *j);
/** Another operator, which knows only what is recorded. */
void check_exceptions_life(void);
/** An event that tells one. */
void check_exception(const struct kube_event *event);
/** Every streaming job that runs is thrown back now… */
void check_note_exceptions(void);
/** …and each of these has been told, and that is recorded. */
void check_exceptions_told(void);
void check_exceptions_release(void);

/* ---- at rest ---- */

/** Everything is as specified, or a sentence about what is not (in the arena). */
const char *check_settled(struct arena *a);
/** Nothing is left. */
const char *check_empty(struct arena *a);

struct check_counts {
    uint64_t races; /* a TaskManager was taken between the last look and its deletion */
    uint64_t releases;
};
extern struct check_counts check_counts;

#endif
