/* SPDX-License-Identifier: Apache-2.0 */
/* A lying Flink: every decoder on the same text. Seeds: tests/golden/flink/replies. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_reply.h"
#include "flinkop/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
    if (!cond)
        abort();
}

/* Cut, without control characters other than tab and line break. */
static void must_be_clean(const char *s, size_t max)
{
    if (!s)
        return;
    must(strlen(s) <= max + 3);
    for (; *s; s++)
        must((unsigned char)*s >= ' ' || *s == '\n' || *s == '\t');
}

static void decode_jobs(struct arena *a, jv v)
{
    struct flink_job_detail d;
    struct flink_job *jobs;
    struct flink_requirement *r;
    size_t n;

    if (!flink_decode_jobs(a, v, &jobs, &n, NULL))
        for (size_t i = 0; i < n; i++) {
            must(flink_id_valid(jobs[i].id) && jobs[i].tasks_total >= 0);
            must_be_clean(jobs[i].name, FLINK_MAX_NAME);
        }
    if (!flink_decode_job_detail(a, v, &d, NULL))
        for (size_t i = 0; i < d.n_vertices; i++)
            must(flink_id_valid(d.vertices[i].id) && d.vertices[i].parallelism >= 0);
    if (!flink_decode_requirements(a, v, &r, &n, NULL))
        for (size_t i = 0; i < n; i++)
            must(r[i].lower >= 0 && r[i].lower <= r[i].upper);
}

static void decode_operations(struct arena *a, jv v)
{
    struct flink_exception *e;
    struct flink_operation o;
    struct flink_checkpoints c;
    struct flink_health h;
    char id[FLINK_ID_LEN + 1];
    const char *jar;
    struct flink_jar *jars;
    size_t n;

    if (!flink_decode_health(v, &h, NULL))
        must(h.restarts >= -1 && h.checkpoints >= -1);
    if (!flink_decode_exception_history(a, v, &e, &n, NULL))
        for (size_t i = 0; i < n; i++) {
            must_be_clean(e[i].text, FLINK_MAX_ERROR);
            must_be_clean(e[i].stack, FLINK_MAX_STACK);
        }
    if (!flink_decode_operation(a, v, &o, NULL)) {
        must_be_clean(o.failure, FLINK_MAX_ERROR);
        must(!o.failure || !o.location);
    }
    (void)flink_decode_checkpoints(a, v, &c, NULL);
    if (!flink_decode_trigger(v, id, NULL) || !flink_decode_run(v, id, NULL))
        must(flink_id_valid(id));
    if (!flink_decode_upload(a, v, &jar, NULL))
        must(*jar && !strchr(jar, '/'));
    (void)flink_decode_jars(a, v, &jars, &n, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    struct flink_taskmanager *tms;
    struct flink_overview o;
    struct flink_config c;
    const char *trace = arena_strndup(&a, (const char *)data, size);
    size_t n;
    jv v;

    must_be_clean(flink_error_text(&a, (const char *)data, size, 500), FLINK_MAX_ERROR);
    must_be_clean(flink_trace_text(&a, trace), FLINK_MAX_ERROR);
    if (json_parse(&a, (const char *)data, size, &v, NULL))
        return 0;
    decode_jobs(&a, v);
    decode_operations(&a, v);
    if (!flink_decode_taskmanagers(&a, v, &tms, &n, NULL))
        for (size_t i = 0; i < n; i++)
            must(tms[i].free_slots >= 0 && tms[i].free_slots <= tms[i].slots);
    (void)(flink_decode_overview(&a, v, &o, NULL) || flink_decode_config(&a, v, &c, NULL));
    return 0;
}
