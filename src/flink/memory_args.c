/* SPDX-License-Identifier: Apache-2.0 */
/* The derived memory as the arguments that Flink's start scripts get from BashJavaUtils. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/flink_memory.h"
#include "flinkop/strbuf.h"

static void add_jvm_args(struct strbuf *sb, int64_t heap, bool limit_direct, int64_t direct,
                         int64_t metaspace)
{
    strbuf_addf(sb, "-Xmx%" PRId64 " -Xms%" PRId64, heap, heap);
    if (limit_direct)
        strbuf_addf(sb, " -XX:MaxDirectMemorySize=%" PRId64, direct);
    strbuf_addf(sb, " -XX:MaxMetaspaceSize=%" PRId64, metaspace);
}

void tm_memory_jvm_args(struct strbuf *sb, const struct tm_memory *m)
{
    add_jvm_args(sb, m->framework_heap + m->task_heap, true,
                 m->framework_off_heap + m->task_off_heap + m->network, m->metaspace);
}

void jm_memory_jvm_args(struct strbuf *sb, const struct jm_memory *m)
{
    add_jvm_args(sb, m->heap, m->limit_direct, m->off_heap, m->metaspace);
}

struct property {
    const char *key;
    int64_t bytes;
};

static void add_sizes(const struct property *p, size_t n,
                      void (*add)(void *arg, const char *key, const char *value), void *arg)
{
    for (size_t i = 0; i < n; i++) {
        char value[32];

        snprintf(value, sizeof(value), "%" PRId64 "b", p[i].bytes);
        add(arg, p[i].key, value);
    }
}

/* Double#toString for numbers of a usual size: as few decimals as needed, at least one. */
static void format_double(double v, char out[32])
{
    for (int decimals = 1; decimals <= 17; decimals++) {
        snprintf(out, 32, "%.*f", decimals, v);
        if (strtod(out, NULL) == v) /* NOLINT: the exact value is meant */
            break;
    }
}

void tm_memory_properties(const struct tm_memory *m, double cpu_cores, int slots,
                          void (*add)(void *arg, const char *key, const char *value), void *arg)
{
    const struct property sizes[] = {
        {"taskmanager.memory.framework.heap.size", m->framework_heap},
        {"taskmanager.memory.framework.off-heap.size", m->framework_off_heap},
        {"taskmanager.memory.task.heap.size", m->task_heap},
        {"taskmanager.memory.task.off-heap.size", m->task_off_heap},
        {"taskmanager.memory.network.min", m->network},
        {"taskmanager.memory.network.max", m->network},
        {"taskmanager.memory.managed.size", m->managed},
        {"taskmanager.memory.jvm-metaspace.size", m->metaspace},
        {"taskmanager.memory.jvm-overhead.min", m->overhead},
        {"taskmanager.memory.jvm-overhead.max", m->overhead},
    };
    char text[32];

    format_double(cpu_cores, text);
    add(arg, "taskmanager.cpu.cores", text);
    add_sizes(sizes, ARRAY_SIZE(sizes), add, arg);
    snprintf(text, sizeof(text), "%d", slots);
    add(arg, "taskmanager.numberOfTaskSlots", text);
}

void jm_memory_properties(const struct jm_memory *m,
                          void (*add)(void *arg, const char *key, const char *value), void *arg)
{
    const struct property sizes[] = {
        {"jobmanager.memory.heap.size", m->heap},
        {"jobmanager.memory.off-heap.size", m->off_heap},
        {"jobmanager.memory.jvm-metaspace.size", m->metaspace},
        {"jobmanager.memory.jvm-overhead.min", m->overhead},
        {"jobmanager.memory.jvm-overhead.max", m->overhead},
    };

    add_sizes(sizes, ARRAY_SIZE(sizes), add, arg);
}
