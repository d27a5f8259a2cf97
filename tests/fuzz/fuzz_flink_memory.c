/* SPDX-License-Identifier: Apache-2.0 */
/* The memory model on any settings: what it derives adds up, what it refuses it explains. Each line
 * of the input is one setting, "<number of the key><value>", such as "A4g". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/flink_memory.h"
#include "flinkop/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = {
    "taskmanager.memory.process.size",
    "taskmanager.memory.flink.size",
    "taskmanager.memory.task.heap.size",
    "taskmanager.memory.managed.size",
    "taskmanager.memory.managed.fraction",
    "taskmanager.memory.task.off-heap.size",
    "taskmanager.memory.framework.heap.size",
    "taskmanager.memory.framework.off-heap.size",
    "taskmanager.memory.network.min",
    "taskmanager.memory.network.max",
    "taskmanager.memory.network.fraction",
    "taskmanager.memory.jvm-metaspace.size",
    "taskmanager.memory.jvm-overhead.min",
    "taskmanager.memory.jvm-overhead.max",
    "taskmanager.memory.jvm-overhead.fraction",
    "jobmanager.memory.process.size",
    "jobmanager.memory.flink.size",
    "jobmanager.memory.heap.size",
    "jobmanager.memory.off-heap.size",
    "jobmanager.memory.jvm-metaspace.size",
    "jobmanager.memory.jvm-overhead.min",
    "jobmanager.memory.jvm-overhead.max",
    "jobmanager.memory.jvm-overhead.fraction",
    "taskmanager.heap.size",
    "taskmanager.heap.mb",
    "taskmanager.network.numberOfBuffers",
    "taskmanager.memory.segment-size",
    "jobmanager.heap.mb",
};

static void must(bool cond)
{
    if (!cond)
        abort();
}

static void derive(const struct conf *c)
{
    struct error err = {0};
    struct tm_memory t;
    struct jm_memory j;

    if (!tm_memory_derive(c, &t, &err)) {
        must(t.framework_heap >= 0 && t.task_heap >= 0 && t.framework_off_heap >= 0 &&
             t.task_off_heap >= 0 && t.network >= 0 && t.managed >= 0 && t.metaspace >= 0 &&
             t.overhead >= 0);
        must(t.flink == t.framework_heap + t.task_heap + t.framework_off_heap + t.task_off_heap +
                            t.network + t.managed);
        must(t.process == t.flink + t.metaspace + t.overhead);
    } else {
        must(err.code == ERR_INVALID && strstr(err.text, "memory."));
    }
    if (!jm_memory_derive(c, &j, &err)) {
        must(j.heap >= 0 && j.off_heap >= 0 && j.metaspace >= 0 && j.overhead >= 0);
        must(j.flink == j.heap + j.off_heap && j.process == j.flink + j.metaspace + j.overhead);
    } else {
        must(err.code == ERR_INVALID && strstr(err.text, "memory."));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    struct conf c = CONF_INIT(&a);
    char **lines = str_split(&a, arena_strndup(&a, (const char *)data, size), '\n', NULL);

    for (size_t i = 0; lines[i] && i < 40; i++)
        conf_set(&c, keys[(unsigned char)(lines[i][0] - 'A') % ARRAY_SIZE(keys)], lines[i] + 1);
    derive(&c);
    if (!memory_conf_legacy(&c, NULL))
        derive(&c);
    return 0;
}
