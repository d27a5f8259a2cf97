/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a FlinkStateSnapshot. */
#ifndef CLUSTER_SNAPSHOT_INTERNAL_H
#define CLUSTER_SNAPSHOT_INTERNAL_H

#include "flinkop/snapshot.h"

enum snapshot_state {
    SNAPSHOT_PENDING,
    SNAPSHOT_TAKING,
    SNAPSHOT_COMPLETED,
    SNAPSHOT_FAILED,
    SNAPSHOT_ABANDONED
};

/** An unknown word, or none, is SNAPSHOT_PENDING. */
enum snapshot_state snapshot_state_parse(const char *name);
const char *snapshot_state_name(enum snapshot_state s);
/** It stays so. */
bool snapshot_state_final(enum snapshot_state s);

struct snapshot_pass {
    struct arena *a;
    const struct snapshot_situation *s;
    struct snapshot_plan out;
    jv cr, status; /* status: as it is to be */
    struct obs_meta meta;
    struct snapshot_spec spec;
    const char *invalid; /* why the spec is not taken */

    enum snapshot_state state;           /* as it is to be */
    const char *trigger, *job_id, *path; /* recorded */
    const char *cluster;

    const char *progress;     /* what is waited for */
    bool quiet;               /* …and is not worth a write yet */
    struct obs_cause trouble; /* why it does not come to be */
};

/** Plans an action about its job, or its cluster. */
struct action *snapshot_ask(struct snapshot_pass *p, enum action_type type,
                            const struct stop_args *args);
/** How such an action of the pass before ended, NULL: there was none. */
const struct outcome *snapshot_outcome(const struct snapshot_pass *p, enum action_type type);
/** True when the last request is so long ago; counts from now then. */
bool snapshot_due(struct snapshot_pass *p, int64_t *sent, int64_t ms);
/** Its cluster's JobManager answers. */
bool snapshot_reachable(const struct snapshot_pass *p);

/* ---- snapshot_take.c ---- */

/** Records that it is about to be taken, or what that waits for. */
void snapshot_begin(struct snapshot_pass *p);
/** Takes it, and looks how it is. */
void snapshot_follow(struct snapshot_pass *p);
/** It exists, at this path; NULL: Flink does not tell where. */
void snapshot_complete(struct snapshot_pass *p, const char *path);

/* ---- snapshot_finalize.c ---- */

void snapshot_finalize(struct snapshot_pass *p);

/* ---- snapshot_report.c ---- */

/** Labels that differ from what is there, ABSENT: none. */
jv snapshot_labels(struct snapshot_pass *p);
void snapshot_report(struct snapshot_pass *p);
/** An event about it. */
void snapshot_event(struct snapshot_pass *p, bool warning, const char *reason, const char *message);
/** "savepoint" or "checkpoint" */
const char *snapshot_word(const struct snapshot_pass *p);
/** The reason of what tells that it failed. */
const char *snapshot_error(const struct snapshot_pass *p);

#endif
