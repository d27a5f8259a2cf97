/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the first document of a golden case: a situation, and planning on it. */
#ifndef TESTS_UNIT_GOLDEN_SITUATION_H
#define TESTS_UNIT_GOLDEN_SITUATION_H

#include "flinkop/plan.h"
#include "flinkop/snapshot.h"
#include "unit.h"

struct situation {
    struct arena *a;
    jv doc;
    int64_t now, wall;
    struct obs_flink flink;
    struct outcome *outcomes;
    size_t n_outcomes;
    const struct cluster_memory *carried; /* of a pass before, NULL: none */
};

/** The document with its shorthands written out: a recorded spec "current" is the object's own
 * spec, a spec-hash "current" is the hash of the first object's spec, or, of an application, of
 * what is recorded of it. */
jv situation_expand(struct arena *a, jv doc);
/** Reads s->doc: times, Flink's answers, outcomes. */
void situation_read(struct situation *s);
/** The first object of that kind, and of that name unless it is NULL. */
jv situation_object(const struct situation *s, const char *kind, const char *name);
const struct flink_defaults *situation_defaults(struct situation *s);
/** What former passes have noted, by the case's `memory` (golden_memory.c). Of a cluster, what
 * depends on another pass is left as it is at first: high availability. */
struct cluster_memory situation_cluster_memory(struct situation *s, jv cr);
struct job_memory situation_job_memory(struct situation *s, jv cr);
struct snapshot_memory situation_snapshot_memory(struct situation *s);
/** Plans on the first object, by its kind; cr: it, or as it is by then. */
struct plan situation_plan(struct situation *s, jv cr);

#endif
