/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about restarts because of Secrets and ConfigMaps that have changed. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"
#include "users.h"

#define UNSEEN_MS 15000 /* a watch, a read and a write, each of which may be slow */

/* Of a FlinkDeployment, by uid. */
struct starts {
    int n, noted;
    bool counts;  /* it was at rest when that was noted */
    int contents; /* changes of content when it was restarted last for one… */
    bool late;    /* …of which one may have come too late to be seen before */
};

static struct strmap all;

static struct starts *of(const struct object *cr)
{
    struct starts *s = strmap_get(&all, cr->uid);

    if (!s) {
        s = xcalloc(1, sizeof(*s));
        strmap_put(&all, cr->uid, s);
    }
    return s;
}

static jv condition(const struct object *cr, const char *type)
{
    jv_foreach (c, JV_PATH(cr->at->v, "status", "conditions"))
        if (str_eq(JV_STRING(*c, "type"), type))
            return *c;
    return ABSENT;
}

void check_started(const char *cluster)
{
    const struct object *cr = api_get(KIND_FLINKDEPLOYMENT, cluster);

    if (cr)
        of(cr)->n++;
}

/* Of a session cluster only a restart for a change gives what it was started with another name
 * while its spec stays. */
void check_restarts(const struct object *o, const struct version *old)
{
    cleanup_arena struct arena a = {0};
    const char *was = JV_STRING(old->v, "status", "startedSpecHash");
    const char *is = JV_STRING(o->at->v, "status", "startedSpecHash");
    struct starts *s = of(o);

    if (user_has_job(o) || !is || str_eq(was, is))
        return;
    CHECK(user_restarts_for_changes(check_recorded_spec(&a, o)),
          "%s is restarted for a change, and is not to be", o->name);
    CHECK(s->contents != user_contents() || s->late, "%s is restarted a second time for one change",
          o->name);
    s->contents = user_contents();
    s->late = sim.now - user_contents_at() < UNSEEN_MS;
}

bool check_will_restart(const struct object *cr)
{
    return strstr(str_or_empty(JV_STRING(condition(cr, "ReferencesCurrent"), "message")),
                  "it is restarted with that") != NULL;
}

static bool at_rest(const struct object *o)
{
    const char *state = JV_STRING(o->at->v, "status", "jobStatus", "state");

    return !o->deleted && user_spec_works(o) && !check_rolled_back(o) &&
           str_eq(JV_STRING(condition(o, "Ready"), "status"), "True") &&
           (!user_has_job(o) || str_eq(state, "RUNNING"));
}

void check_note_starts(void)
{
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_FLINKDEPLOYMENT, &at))) {
        of(o)->noted = of(o)->n;
        of(o)->counts = at_rest(o);
    }
}

/* A session cluster whose jobs would lose their state says so, and is not restarted. */
static bool keeps_state(const struct object *cr)
{
    cleanup_arena struct arena a = {0};
    struct object *o;
    void *at = NULL;

    if (!strstr(str_or_empty(JV_STRING(condition(cr, "ReferencesCurrent"), "message")),
                "it is not restarted with that: without"))
        return false;
    while ((o = api_next(KIND_FLINKSESSIONJOB, &at)))
        if (str_eq(JV_STRING(o->at->v, "spec", "deploymentName"), cr->name) ||
            str_eq(JV_STRING(check_recorded_spec(&a, o), "deploymentName"), cr->name))
            return true;
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        for (int i = 0; i < jm->n_jobs && !strcmp(jm->cluster, cr->name); i++)
            if (!job_state_terminal(jm->jobs[i]->state))
                return true;
    return false;
}

void check_starts(bool content)
{
    struct object *o;
    void *at = NULL;

    while ((o = api_next(KIND_FLINKDEPLOYMENT, &at))) {
        jv spec = jv_get(o->at->v, "spec");
        int wanted = content && user_refers(spec) && user_restarts_for_changes(spec) &&
                     !keeps_state(o);

        CHECK(!of(o)->counts || of(o)->n - of(o)->noted == wanted,
              "the JobManager of %s has started %d times after other %s, and not %d", o->name,
              of(o)->n - of(o)->noted, content ? "content" : "labels", wanted);
    }
}

void check_references_release(void)
{
    struct strmap_entry *e;

    strmap_foreach (e, &all)
        free(e->value);
    strmap_release(&all);
}
