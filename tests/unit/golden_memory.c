/* SPDX-License-Identifier: Apache-2.0 */
/* `memory:` of a golden case: what passes before the one of the case have noted. */
#include "flinkop/str.h"
#include "golden_situation.h"

/* That the job has ended was seen before, if the case says so. */
static struct stop_memory stopped_before(struct situation *s, jv cr)
{
    struct stop_memory stop = stop_memory_initial();

    stop.job_id = JV_STRING(cr, "status", "jobStatus", "jobId");
    stop.taking_since = jv_int64_or(JV_PATH(s->doc, "memory", "takingSince"), -1);
    stop.failing.since = jv_int64_or(JV_PATH(s->doc, "memory", "failingSince"), -1);
    if (jv_bool_or(JV_PATH(s->doc, "memory", "savepointFailed"), false)) {
        stop.retry_at = s->now + 250000;
        stop.failures = 5;
        stop.partial = jv_bool_or(JV_PATH(s->doc, "memory", "ranInPart"), false);
    }
    if (!jv_bool_or(JV_PATH(s->doc, "memory", "endSeen"), false))
        return stop;
    stop.ended = s->now - 5000;
    stop.sent = jv_bool_or(JV_PATH(s->doc, "memory", "stopSent"), false) ? s->now - 5000 : -1;
    stop.no_checkpoint = jv_bool_or(JV_PATH(s->doc, "memory", "noCheckpoint"), false);
    return stop;
}

/* The newest checkpoint that was seen of the job. */
static struct checkpoint_notes seen_before(struct situation *s, jv cr)
{
    struct checkpoint_notes notes = checkpoint_notes_initial();

    notes.path = JV_STRING(s->doc, "memory", "checkpoint");
    notes.taken_ms = s->wall - 5000;
    if (notes.path)
        notes.job_id = JV_STRING(cr, "status", "jobStatus", "jobId");
    return notes;
}

/* `memory: {health: {ago, restarts, checkpoints}}`: what was told so long ago. */
static struct health_notes healthy_before(const struct situation *s, jv cr)
{
    jv h = JV_PATH(s->doc, "memory", "health");
    int64_t ago = jv_int64_or(jv_get(h, "ago"), 0);
    struct health_notes notes = health_notes_initial();

    if (!jv_present(h))
        return notes;
    notes.asker = arena_printf(s->a, "%s %s", JV_STRING(cr, "status", "jobStatus", "jobId"),
                               str_or_empty(s->flink.jm));
    notes.asked = s->now - 100;
    notes.since = s->now - ago;
    notes.grown = s->now - jv_int64_or(jv_get(h, "grownAgo"), ago);
    notes.restarts = jv_int64_or(jv_get(h, "restarts"), 0);
    notes.checkpoints = jv_int64_or(jv_get(h, "checkpoints"), 0);
    return notes;
}

/* `memory: {exceptionTold: TIME}`: of the recorded job, and it was put into the status. */
static struct exception_notes exceptions_before(struct situation *s, jv cr)
{
    struct exception_notes notes = exception_notes_initial();

    notes.told = jv_int64_or(JV_PATH(s->doc, "memory", "exceptionTold"), -1);
    notes.put = notes.told >= 0;
    if (notes.put)
        notes.job_id = JV_STRING(cr, "status", "jobStatus", "jobId");
    return notes;
}

/* `memory: {snapshotRequest: {…}, snapshotRetryAt, takingSince, failingSince, disposing}`: what the
 * status has no room for. */
static struct snapshot_notes snapshots_before(struct situation *s)
{
    struct snapshot_notes notes = snapshot_notes_initial();
    jv m = jv_get(s->doc, "memory"), request = jv_get(m, "snapshotRequest");

    notes.put = jv_present(request);
    notes.request[0] = jv_present(request) ? json_text(s->a, request) : NULL;
    notes.retry_at[0] = jv_int64_or(jv_get(m, "snapshotRetryAt"), 0);
    notes.taking_since[0] = jv_int64_or(jv_get(m, "takingSince"), -1);
    notes.failing[0].since = jv_int64_or(jv_get(m, "failingSince"), -1);
    notes.disposing = JV_STRING(m, "disposing");
    return notes;
}

struct cluster_memory situation_cluster_memory(struct situation *s, jv cr)
{
    struct cluster_memory memory = cluster_memory_initial();
    jv m = jv_get(s->doc, "memory");

    memory.stop = stopped_before(s, cr);
    memory.health = healthy_before(s, cr);
    memory.checkpoints = seen_before(s, cr);
    memory.exceptions = exceptions_before(s, cr);
    memory.job_ended = jv_int64_or(jv_get(m, "jobEnded"), -1);
    memory.restart.failures = (int)jv_int64_or(jv_get(m, "restarts"), 0);
    memory.references.put = jv_bool_or(jv_get(m, "referencesPut"), false);
    return memory;
}

struct job_memory situation_job_memory(struct situation *s, jv cr)
{
    struct job_memory memory = job_memory_initial();
    jv m = jv_get(s->doc, "memory");

    memory.stop = stopped_before(s, cr);
    memory.checkpoints = seen_before(s, cr);
    memory.looked_for = JV_STRING(m, "lookedFor");
    memory.lost_id = JV_STRING(m, "lostId");
    memory.lost_since = jv_int64_or(jv_get(m, "lostSince"), -1);
    memory.silent_since = jv_int64_or(jv_get(m, "silentSince"), -1);
    memory.submit_failures = (int)jv_int64_or(jv_get(m, "submitFailures"), 0);
    memory.sure_id = JV_STRING(m, "sureId");
    memory.unsure_since = jv_int64_or(jv_get(m, "unsureSince"), 0);
    memory.sure_before = jv_bool_or(jv_get(m, "sureBefore"), false);
    memory.unsent_id = JV_STRING(m, "unsentId");
    memory.retry_at = jv_int64_or(jv_get(m, "retryAt"), 0);
    memory.deleting_since = jv_int64_or(jv_get(m, "deletingSince"), -1);
    memory.restart.failures = (int)jv_int64_or(jv_get(m, "restarts"), 0);
    memory.snapshots = snapshots_before(s);
    return memory;
}

struct snapshot_memory situation_snapshot_memory(struct situation *s)
{
    struct snapshot_memory memory = snapshot_memory_initial();
    jv m = jv_get(s->doc, "memory");

    memory.unsent = JV_STRING(m, "unsentId");
    memory.retry_at = jv_int64_or(jv_get(m, "retryAt"), -1);
    memory.waiting_since = jv_int64_or(jv_get(m, "waitingSince"), -1);
    memory.complete_since = jv_int64_or(jv_get(m, "completeSince"), -1);
    memory.taking_since = jv_int64_or(jv_get(m, "takingSince"), -1);
    memory.failing.since = jv_int64_or(jv_get(m, "failingSince"), -1);
    memory.deleting_since = jv_int64_or(jv_get(m, "deletingSince"), -1);
    memory.sent = memory.deleting_since;
    memory.disposal = JV_STRING(m, "disposal");
    memory.disposals = (int)jv_int64_or(jv_get(m, "disposals"), 0);
    memory.trouble = JV_STRING(m, "trouble");
    return memory;
}
