/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this operator would do first with resources that another one has had so far, and what stands
 * in its way. Pure: `flink-operator migrate` reads, this judges, with what each pass begins with.
 */
#ifndef FLINKOP_MIGRATION_H
#define FLINKOP_MIGRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/jv.h"

struct arena;
struct flink_defaults;

enum takeover {
    TAKEOVER_ADOPTED,   /* what runs goes on as it is */
    TAKEOVER_CHANGED,   /* the same, but its spec asks for a change, which begins at once */
    TAKEOVER_CONTINUED, /* the step that is recorded and not done is done */
    TAKEOVER_REPLACED,  /* what runs is not what is recorded: it is stopped, and made anew */
    TAKEOVER_SUSPENDED, /* nothing runs, and that stays so */
    TAKEOVER_NEW,       /* nothing was ever deployed: it is now */
    TAKEOVER_OURS,      /* it is this operator's already */
    TAKEOVER_RELEASED,  /* it has been handed back, and is left alone */
    TAKEOVER_DELETED,   /* its deletion goes on */
    TAKEOVER_REFUSED,   /* the spec is not taken; what runs goes on */
    TAKEOVER_NOT_DONE,  /* a kind that this operator does nothing with */
    TAKEOVER_COUNT
};

struct takeover_verdict {
    enum takeover what;
    jv notes; /* sentences: why, and what else is worth knowing; never ABSENT */
};

/** "adopted": one word for scripts. */
const char *takeover_name(enum takeover t);
/** The same as a sentence. */
const char *takeover_text(enum takeover t);

/** cr: a resource of the group flink.apache.org, as the API server has it. other: the Deployment
 * of its JobManager (kind FlinkDeployment), or the FlinkDeployment in which it runs (kind
 * FlinkSessionJob); ABSENT: there is none. Everything in the arena. */
void takeover_judge(struct arena *a, jv cr, jv other, const struct flink_defaults *defaults,
                    struct takeover_verdict *ret);

/**
 * What has to go before this operator may work: a sentence that names it and says how, NULL: this
 * object does no harm. For Deployments (any whose pods run the incumbent), Leases that such a pod
 * holds, and webhook configurations that ask it. now: epoch ms, by which a Lease counts.
 */
const char *takeover_obstacle(struct arena *a, jv object, int64_t now);

/** What the definition of FlinkDeployments lacks, NULL: nothing. Without what this operator records
 * of a cluster that it has taken over, it must not be started. */
const char *takeover_definition(jv crd);

#endif
