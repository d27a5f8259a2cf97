/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about what throws jobs back, as events tell it: none twice, and none that is recorded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flink.h"
#include "flinkop/kube_events.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"

/* One exception: of which job, and who has told it. */
struct thrown {
    char jid[FLINK_ID_LEN + 1];
    int job; /* number */
    int64_t wall;
    int life;     /* the operator's, in which it was told last; 0: it was not */
    bool is_told; /* it has to be told before all is at rest again */
};

static struct {
    struct strmap thrown; /* by number */
    int n, life;
} state;

static const char *key_of(struct arena *a, int number)
{
    return arena_printf(a, "%d", number);
}

int check_thrown(const struct fjob *j)
{
    cleanup_arena struct arena a = {0};
    struct thrown *t = xcalloc(1, sizeof(*t));

    memcpy(t->jid, j->jid, sizeof(t->jid));
    t->job = j->id;
    t->wall = sim_wall();
    strmap_put(&state.thrown, key_of(&a, ++state.n), t);
    return state.n;
}

void check_exceptions_life(void)
{
    state.life++;
}

static int64_t recorded_until(const struct object *cr)
{
    int64_t ms;

    return str_to_int64(str_or_empty(JV_STRING(cr->at->v, "status", "jobStatus", "exceptionTime")),
                        &ms)
               ? ms
               : -1;
}

void check_exception(const struct kube_event *event)
{
    cleanup_arena struct arena a = {0};
    const char *text = strstr(event->message, CHECK_THROWN);
    struct thrown *t =
        text ? strmap_get(&state.thrown, key_of(&a, atoi(text + strlen(CHECK_THROWN)))) : NULL;
    const struct object *cr = api_get((int)event->kind, event->name);

    if (!t)
        return;
    CHECK(t->life != state.life, "an exception of job %.8s is told twice: %s", t->jid,
          event->message);
    CHECK(!t->life || !cr || recorded_until(cr) < t->wall,
          "an exception of job %.8s is told again, although it is recorded: %s", t->jid,
          event->message);
    t->life = state.life;
}

void check_note_exceptions(void)
{
    for (struct jm *jm = jm_next(NULL); jm; jm = jm_next(jm))
        for (int i = 0; i < jm->n_jobs; i++) {
            cleanup_arena struct arena a = {0};
            struct fjob *j = jm->jobs[i];
            const struct object *cr = api_by_uid(check_owner(j->jid));
            struct thrown *t;

            if (!j->ours || !j->running || j->batch || j->work >= 0 || !cr ||
                !str_eq(JV_STRING(cr->at->v, "status", "jobStatus", "jobId"), j->jid))
                continue;
            job_fail(j, false);
            t = strmap_get(&state.thrown, key_of(&a, state.n));
            t->is_told = true;
        }
}

void check_exceptions_told(void)
{
    struct strmap_entry *e;

    strmap_foreach (e, &state.thrown) {
        struct thrown *t = e->value;
        const struct object *cr = api_by_uid(check_owner(t->jid));

        /* Another JobManager, or run, knows nothing of it. */
        if (!t->is_told || !job_by_id(t->job) || !cr ||
            !str_eq(JV_STRING(cr->at->v, "status", "jobStatus", "jobId"), t->jid))
            continue;
        CHECK(t->life, "an exception of job %.8s, of %s, is not told", t->jid, cr->name);
        CHECK(recorded_until(cr) >= t->wall, "that an exception of %s was told is not recorded",
              cr->name);
        t->is_told = false;
    }
}

void check_exceptions_release(void)
{
    struct strmap_entry *e;

    strmap_foreach (e, &state.thrown)
        free(e->value);
    strmap_release(&state.thrown);
    memset(&state, 0, sizeof(state));
}
