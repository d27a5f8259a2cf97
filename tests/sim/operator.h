/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's process: the real controller, started and killed. */
#ifndef TESTS_SIM_OPERATOR_H
#define TESTS_SIM_OPERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/plan.h"

/* ---- operator.c ---- */

void operator_start(void);
/** It dies; what it had sent may or may not come to pass. */
void operator_kill(void);
bool operator_runs(void);
bool operator_synced(void);
/** Passes of reconcile since the world began. */
uint64_t operator_passes(void);
void operator_release(void);

/* ---- seam_kube.c, seam_watch.c: the API server as the operator sees it ---- */

struct object;
struct version;
enum change;

struct kube_counts {
    int applies, creates, deletes, patches, status_patches;
};
extern struct kube_counts kube_counts;
static inline int kube_writes(const struct kube_counts *c)
{
    return c->applies + c->creates + c->deletes + c->patches + c->status_patches;
}

void kube_requests_release(void);

/** While set, creating pods is refused. */
extern bool quota_exhausted;

/** Tells the watches. */
void watches_tell(int kind, struct version *v, bool gone);
/** A watch of any kind loses its place and lists again, stalls for so long, or is so late for so
 * long. */
void watch_break(void);
void watch_stall(int64_t ms);
void watch_lag(int64_t lag, int64_t ms);
bool watches_stalled(void);

#endif
