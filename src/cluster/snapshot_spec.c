/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of FlinkStateSnapshot.spec, and the resource as those beside it see it. */
#include "flinkop/arena.h"
#include "flinkop/cluster_spec.h"
#include "flinkop/str.h"
#include "snapshot_internal.h"
#include "spec_internal.h"

static const char *const job_kinds[] = {"FlinkDeployment", "FlinkSessionJob", NULL};
static const char *const formats[] = {"CANONICAL", "NATIVE", "UNKNOWN", NULL};

#define AT(field) offsetof(struct snapshot_spec, field)

static const struct json_field reference_fields[] = {
    {"kind", FIELD_CHOICE, AT(kind), .choices = job_kinds},
    {"name", FIELD_STRING, AT(name)},
    {0},
};
static const struct json_field savepoint_fields[] = {
    {"path", FIELD_STRING, AT(path)},
    {"formatType", FIELD_CHOICE, AT(format), .choices = formats},
    {"disposeOnDelete", FIELD_BOOL, AT(dispose_on_delete)},
    {"alreadyExists", FIELD_BOOL, AT(already_exists)},
    {0},
};
static const struct json_field checkpoint_fields[] = {{0}};
static const struct json_field snapshot_fields[] = {
    {"backoffLimit", FIELD_INT64, AT(backoff_limit), .min = INT32_MIN, .max = INT32_MAX},
    {"jobReference", FIELD_STRUCT, 0, .fields = reference_fields},
    {"savepoint", FIELD_STRUCT, 0, .fields = savepoint_fields},
    {"checkpoint", FIELD_STRUCT, 0, .fields = checkpoint_fields},
    {0},
};

static void check_reference(struct problems *p, const struct snapshot_spec *s)
{
    if (!s->kind || str_empty(s->name))
        problem_add(p, "spec.jobReference",
                    "must be given with kind and name, unless the savepoint exists already");
    else if (snapshot_job_kind(s) == KIND_FLINKDEPLOYMENT)
        cluster_name_check(p, "spec.jobReference.name", s->name);
    else if (!object_name_valid(s->name))
        problem_add(p, "spec.jobReference.name",
                    "must be at most 253 lower-case letters, digits, '-' and '.', found %s",
                    jv_describe(p->a, STR(s->name)));
}

void snapshot_spec_read(struct problems *p, jv spec, bool strict, struct snapshot_spec *ret)
{
    size_t before = p->n;

    *ret = (struct snapshot_spec){0};
    if (!spec_shape_check(p, spec))
        return;
    json_map(p, "spec", spec, snapshot_fields, strict, ret);
    if (str_empty(ret->path))
        ret->path = NULL;
    ret->checkpoint = jv_present(jv_get(spec, "checkpoint"));
    if (p->n > before)
        return;
    bool exists = ret->already_exists.set && ret->already_exists.v;

    if (ret->checkpoint == jv_present(jv_get(spec, "savepoint")))
        problem_add(p, "spec", "exactly one of savepoint and checkpoint must be given");
    else if (!exists)
        check_reference(p, ret);
    if (exists && !ret->path)
        problem_add(p, "spec.savepoint.path", "must name the savepoint that exists already");
    if (!exists && ret->format == SNAPSHOT_UNKNOWN)
        problem_add(p, "spec.savepoint.formatType",
                    "UNKNOWN is for a savepoint that exists already");
}

enum kube_kind snapshot_job_kind(const struct snapshot_spec *s)
{
    static const enum kube_kind kinds[] = {KIND_COUNT, KIND_FLINKDEPLOYMENT, KIND_FLINKSESSIONJOB};

    return kinds[s->kind];
}

/* ---- states ---- */

static const char *const states[] = {
    [SNAPSHOT_PENDING] = "TRIGGER_PENDING", [SNAPSHOT_TAKING] = "IN_PROGRESS",
    [SNAPSHOT_COMPLETED] = "COMPLETED",     [SNAPSHOT_FAILED] = "FAILED",
    [SNAPSHOT_ABANDONED] = "ABANDONED",
};

enum snapshot_state snapshot_state_parse(const char *name)
{
    int i = str_index(states, ARRAY_SIZE(states), name);

    return i < 0 ? SNAPSHOT_PENDING : (enum snapshot_state)i;
}

const char *snapshot_state_name(enum snapshot_state s)
{
    return states[s];
}

bool snapshot_state_final(enum snapshot_state s)
{
    return s >= SNAPSHOT_COMPLETED;
}

static enum snapshot_trigger trigger_of(jv cr)
{
    const char *label = JV_STRING(cr, "metadata", "labels", "snapshot.trigger-type");

    return str_eq(label, "PERIODIC")  ? SNAPSHOT_PERIODIC
           : str_eq(label, "UPGRADE") ? SNAPSHOT_OF_UPGRADE
                                      : SNAPSHOT_ON_DEMAND;
}

void obs_snapshot_read(struct arena *a, jv cr, struct obs_snapshot *ret)
{
    jv job = JV_PATH(cr, "spec", "jobReference");
    const char *kind = JV_STRING(job, "kind"), *name = JV_STRING(job, "name");
    const char *cluster = JV_STRING(cr, "status", "clusterName");
    enum snapshot_state state = snapshot_state_parse(JV_STRING(cr, "status", "state"));
    const char *path = JV_STRING(cr, "status", "path");

    *ret = (struct obs_snapshot){
        .job_kind = str_eq(kind, job_kinds[0])   ? KIND_FLINKDEPLOYMENT
                    : str_eq(kind, job_kinds[1]) ? KIND_FLINKSESSIONJOB
                                                 : KIND_COUNT,
        .job_name = str_empty(name) ? NULL : arena_strdup(a, name),
        .cluster = str_empty(cluster) ? NULL : arena_strdup(a, cluster),
        .checkpoint = jv_present(JV_PATH(cr, "spec", "checkpoint")),
        .in_progress = state == SNAPSHOT_TAKING,
        .completed = state == SNAPSHOT_COMPLETED,
        .trigger = trigger_of(cr),
    };
    if (ret->trigger != SNAPSHOT_ON_DEMAND && !str_empty(path))
        ret->path = arena_strdup(a, path);
    obs_meta_read(a, cr, &ret->meta);
    ret->settled = snapshot_state_final(state) && !ret->meta.deleted_ms;
}
