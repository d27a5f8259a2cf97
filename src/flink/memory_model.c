/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process memory model, after ProcessMemoryUtils, TaskExecutorFlinkMemoryUtils and
 * JobManagerFlinkMemoryUtils (the same in 1.15 to 2.3 but for the legacy options, see
 * memory_legacy.c). What users set decides which way it is derived:
 *
 *     the explicit parts (TaskManager: task heap and managed; JobManager: heap)
 *         -> Flink's total -> the process
 *     flink.size
 *         -> the parts of Flink; -> the process
 *     process.size
 *         -> minus metaspace and overhead = Flink's total -> its parts
 *
 * Options that a way does not need are not read, so a bad value there is no error, as in Flink.
 */
#include <stddef.h>

#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/flink_memory.h"
#include "memory_internal.h"

#define MI ((int64_t)1 << 20)
#define GI ((int64_t)1 << 30)
#define REQUIRED (-1) /* no default: asked for only when it is set */

/* What TaskManager and JobManager have in common. */
struct family {
    const char *name, *prefix, *process, *flink;
    const char *explicit_keys[2];
    const char *metaspace, *overhead_min, *overhead_max, *overhead_fraction;
    /* Both fill the parts of Flink's memory and return their sum. */
    int64_t (*from_explicit)(struct memory_reader *r, void *parts);
    int64_t (*from_flink)(struct memory_reader *r, int64_t flink, void *parts);
};

struct process {
    int64_t process, flink, metaspace, overhead;
};

static struct memory_range overhead_range(struct memory_reader *r, const struct family *f)
{
    return memory_range(r, f->overhead_min, 192 * MI, f->overhead_max, GI, f->overhead_fraction,
                        0.1F);
}

/* Flink's total is known: what comes around it. */
static void wrap_flink(struct memory_reader *r, const struct family *f, struct process *p)
{
    p->metaspace = memory_get(r, f->metaspace, 256 * MI);
    int64_t inner = memory_add(r, p->flink, p->metaspace);
    struct memory_range range = overhead_range(r, f);

    if (!memory_has(r, f->process)) {
        p->overhead = memory_share_of_rest(r, inner, &range);
        p->process = memory_add(r, inner, p->overhead);
        return;
    }
    p->process = memory_get(r, f->process, REQUIRED);
    p->overhead = p->process - inner;
    if (p->overhead < 0) {
        memory_fail(r,
                    "%s: found %s, must be at least %s, the sum of Flink's memory (%s) and %s (%s)",
                    f->process, MEMORY_TEXT(p->process), MEMORY_TEXT(inner), MEMORY_TEXT(p->flink),
                    f->metaspace, MEMORY_TEXT(p->metaspace));
        return;
    }
    if (p->overhead < range.min || p->overhead > range.max)
        memory_fail(r,
                    "%s: found %s, which leaves %s of JVM overhead beside Flink's memory (%s) and "
                    "metaspace (%s); %s and %s want %s to %s",
                    f->process, MEMORY_TEXT(p->process), MEMORY_TEXT(p->overhead),
                    MEMORY_TEXT(p->flink), MEMORY_TEXT(p->metaspace), f->overhead_min,
                    f->overhead_max, MEMORY_TEXT(range.min), MEMORY_TEXT(range.max));
}

static void from_process(struct memory_reader *r, const struct family *f, struct process *p,
                         void *parts)
{
    p->process = memory_get(r, f->process, REQUIRED);
    p->metaspace = memory_get(r, f->metaspace, 256 * MI);
    struct memory_range range = overhead_range(r, f);
    p->overhead = memory_share(r, p->process, &range);
    int64_t outer = memory_add(r, p->metaspace, p->overhead);

    r->total = f->process;
    if (outer > p->process) {
        r->too_small = !r->failed;
        memory_fail(r, "metaspace (%s) and JVM overhead (%s) alone are more",
                    MEMORY_TEXT(p->metaspace), MEMORY_TEXT(p->overhead));
        return;
    }
    p->flink = p->process - outer;
    f->from_flink(r, p->flink, parts);
}

static void derive(struct memory_reader *r, const struct family *f, struct process *p, void *parts)
{
    const char *second = f->explicit_keys[1];

    if (memory_has(r, f->explicit_keys[0]) && (!second || memory_has(r, second))) {
        p->flink = f->from_explicit(r, parts);
        wrap_flink(r, f, p);
    } else if (memory_has(r, f->flink)) {
        p->flink = memory_get(r, f->flink, REQUIRED);
        r->total = f->flink;
        f->from_flink(r, p->flink, parts);
        wrap_flink(r, f, p);
    } else if (memory_has(r, f->process)) {
        from_process(r, f, p, parts);
    } else {
        memory_fail(r, "%s or %s must be set: the %s has no memory size", f->process, f->flink,
                    f->name);
    }
}

/* The smallest whole number of MiB for the total with which everything else works; 0: none. */
static int64_t smallest_total(const struct memory_reader *failed, const struct family *f,
                              void *parts)
{
    int64_t low = 0, high = (int64_t)1 << 22; /* MiB: 4 TiB */

    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        struct memory_reader r = {
            .c = failed->c, .assumed = failed->total, .assumed_value = middle * MI};
        struct process p = {0};

        derive(&r, f, &p, parts);
        if (r.failed && !r.too_small)
            return 0;
        *(r.failed ? &low : &high) = middle;
    }
    return high == (int64_t)1 << 22 ? 0 : high * MI;
}

/* `spare` takes the parts of the trials, which must not show in the result. */
static int derive_checked(const struct conf *c, const struct family *f, struct process *p,
                          void *parts, void *spare, struct error *err)
{
    struct error why;
    struct memory_reader r = {.c = c, .prefix = f->prefix, .err = &why};

    derive(&r, f, p, parts);
    if (!r.failed)
        return 0;
    if (!r.too_small)
        return error_set(err, ERR_INVALID, "%s", why.text);
    int64_t found = memory_get(&(struct memory_reader){.c = c}, r.total, REQUIRED);
    int64_t least = smallest_total(&r, f, spare);

    if (!least)
        return error_set(err, ERR_INVALID, "%s: found %s, too small: %s", r.total,
                         MEMORY_TEXT(found), why.text);
    return error_set(err, ERR_INVALID, "%s: found %s, must be at least %s: %s", r.total,
                     MEMORY_TEXT(found), MEMORY_TEXT(least), why.text);
}

/* ---- TaskManager ---- */

#define TM "taskmanager.memory."
#define TASK_HEAP TM "task.heap.size"
#define MANAGED TM "managed.size"

static void tm_fixed_parts(struct memory_reader *r, struct tm_memory *m)
{
    m->framework_heap = memory_get(r, TM "framework.heap.size", 128 * MI);
    m->framework_off_heap = memory_get(r, TM "framework.off-heap.size", 128 * MI);
    m->task_off_heap = memory_get(r, TM "task.off-heap.size", 0);
}

static int64_t tm_sum(struct memory_reader *r, const struct tm_memory *m)
{
    const int64_t parts[] = {m->framework_heap, m->framework_off_heap,
                             m->task_heap,      m->task_off_heap,
                             m->network,        m->managed};
    int64_t sum = 0;

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        sum = memory_add(r, sum, parts[i]);
    return sum;
}

static struct memory_range network_range(struct memory_reader *r)
{
    return memory_range(r, TM "network.min", 64 * MI, TM "network.max", INT64_MAX,
                        TM "network.fraction", 0.1F);
}

static int64_t managed_of(struct memory_reader *r, int64_t flink)
{
    if (memory_has(r, MANAGED))
        return memory_get(r, MANAGED, REQUIRED);
    struct memory_range range =
        memory_range(r, NULL, 0, NULL, INT64_MAX, TM "managed.fraction", 0.4F);
    return memory_share(r, flink, &range);
}

/* The part that is left over takes the rest; false when there is less than nothing. */
static bool take_rest(struct memory_reader *r, int64_t flink, int64_t sum,
                      const struct tm_memory *m, int64_t *ret)
{
    if (r->failed)
        return false;
    if (sum <= flink) {
        *ret = flink - sum;
        return true;
    }
    r->too_small = true;
    memory_fail(r,
                "framework heap (%s) and off-heap (%s), task heap (%s) and off-heap (%s), managed "
                "(%s) and network memory (%s) are more than the %s that Flink has",
                MEMORY_TEXT(m->framework_heap), MEMORY_TEXT(m->framework_off_heap),
                MEMORY_TEXT(m->task_heap), MEMORY_TEXT(m->task_off_heap), MEMORY_TEXT(m->managed),
                MEMORY_TEXT(m->network), MEMORY_TEXT(flink));
    return false;
}

/* Network memory is the rest and must still be what its own options allow. */
static void network_from_rest(struct memory_reader *r, int64_t flink, struct tm_memory *m)
{
    if (!take_rest(r, flink, tm_sum(r, m), m, &m->network))
        return;
    struct memory_range range = network_range(r);

    if (m->network < range.min || m->network > range.max)
        memory_fail(r,
                    "%s: found %s, which leaves %s of network memory beside the other parts; %s "
                    "and %s want %s to %s",
                    r->total, MEMORY_TEXT(flink), MEMORY_TEXT(m->network), TM "network.min",
                    TM "network.max", MEMORY_TEXT(range.min), MEMORY_TEXT(range.max));
}

static int64_t tm_from_explicit(struct memory_reader *r, void *parts)
{
    struct tm_memory *m = parts;

    *m = (struct tm_memory){0};
    tm_fixed_parts(r, m);
    m->task_heap = memory_get(r, TASK_HEAP, REQUIRED);
    m->managed = memory_get(r, MANAGED, REQUIRED);
    if (memory_has(r, TM "flink.size")) {
        int64_t flink = memory_get(r, TM "flink.size", REQUIRED);

        r->total = TM "flink.size";
        network_from_rest(r, flink, m);
        return flink;
    }
    struct memory_range range = network_range(r);

    m->network = memory_share_of_rest(r, tm_sum(r, m), &range);
    return tm_sum(r, m);
}

static int64_t tm_from_flink(struct memory_reader *r, int64_t flink, void *parts)
{
    struct tm_memory *m = parts;

    *m = (struct tm_memory){0};
    tm_fixed_parts(r, m);
    if (memory_has(r, TASK_HEAP)) {
        m->task_heap = memory_get(r, TASK_HEAP, REQUIRED);
        m->managed = managed_of(r, flink);
        network_from_rest(r, flink, m);
        return flink;
    }
    m->managed = managed_of(r, flink);
    struct memory_range range = network_range(r);

    m->network = memory_share(r, flink, &range);
    take_rest(r, flink, tm_sum(r, m), m, &m->task_heap);
    return flink;
}

int tm_memory_derive(const struct conf *c, struct tm_memory *ret, struct error *err)
{
    static const struct family tm = {
        .name = "TaskManager",
        .prefix = "taskmanager",
        .process = TM "process.size",
        .flink = TM "flink.size",
        .explicit_keys = {TASK_HEAP, MANAGED},
        .metaspace = TM "jvm-metaspace.size",
        .overhead_min = TM "jvm-overhead.min",
        .overhead_max = TM "jvm-overhead.max",
        .overhead_fraction = TM "jvm-overhead.fraction",
        .from_explicit = tm_from_explicit,
        .from_flink = tm_from_flink,
    };
    struct tm_memory m, spare;
    struct process p = {0};

    if (derive_checked(c, &tm, &p, &m, &spare, err))
        return -1;
    m.process = p.process;
    m.flink = p.flink;
    m.metaspace = p.metaspace;
    m.overhead = p.overhead;
    *ret = m;
    return 0;
}

/* ---- JobManager ---- */

#define JM "jobmanager.memory."
#define HEAP JM "heap.size"
#define OFF_HEAP JM "off-heap.size"

static int64_t jm_from_explicit(struct memory_reader *r, void *parts)
{
    struct jm_memory *m = parts;

    m->heap = memory_get(r, HEAP, REQUIRED);
    m->off_heap = memory_get(r, OFF_HEAP, 128 * MI);
    if (!memory_has(r, JM "flink.size"))
        return memory_add(r, m->heap, m->off_heap);
    int64_t flink = memory_get(r, JM "flink.size", REQUIRED);

    if (!memory_has(r, OFF_HEAP))
        m->off_heap = flink - m->heap;
    if (m->heap > flink)
        memory_fail(r, "%s: found %s, must not be more than %s (%s)", HEAP, MEMORY_TEXT(m->heap),
                    JM "flink.size", MEMORY_TEXT(flink));
    else if (m->off_heap != flink - m->heap)
        memory_fail(r, "%s: found %s, must be the sum of %s (%s) and %s (%s)", JM "flink.size",
                    MEMORY_TEXT(flink), HEAP, MEMORY_TEXT(m->heap), OFF_HEAP,
                    MEMORY_TEXT(m->off_heap));
    return flink;
}

static int64_t jm_from_flink(struct memory_reader *r, int64_t flink, void *parts)
{
    struct jm_memory *m = parts;

    m->off_heap = memory_get(r, OFF_HEAP, 128 * MI);
    m->heap = flink - m->off_heap;
    if (m->heap <= 0) {
        r->too_small |= !r->failed;
        memory_fail(r, "off-heap memory (%s) leaves no heap in the %s that Flink has",
                    MEMORY_TEXT(m->off_heap), MEMORY_TEXT(flink));
    }
    return flink;
}

int jm_memory_derive(const struct conf *c, struct jm_memory *ret, struct error *err)
{
    static const struct family jm = {
        .name = "JobManager",
        .prefix = "jobmanager",
        .process = JM "process.size",
        .flink = JM "flink.size",
        .explicit_keys = {HEAP},
        .metaspace = JM "jvm-metaspace.size",
        .overhead_min = JM "jvm-overhead.min",
        .overhead_max = JM "jvm-overhead.max",
        .overhead_fraction = JM "jvm-overhead.fraction",
        .from_explicit = jm_from_explicit,
        .from_flink = jm_from_flink,
    };
    struct jm_memory m = {0}, spare;
    struct process p = {0};

    if (derive_checked(c, &jm, &p, &m, &spare, err) ||
        conf_bool(c, JM "enable-jvm-direct-memory-limit", false, &m.limit_direct, err))
        return -1;
    m.process = p.process;
    m.flink = p.flink;
    m.metaspace = p.metaspace;
    m.overhead = p.overhead;
    *ret = m;
    return 0;
}
