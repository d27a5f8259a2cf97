/* SPDX-License-Identifier: Apache-2.0 */
/* Memory options of Flink 1.9 that 1.x still maps to today's (MemoryBackwardsCompatibilityUtils;
 * TaskExecutorFlinkMemoryUtils#isUsingLegacyNetworkConfigs). Flink 2.0 dropped them. */
#include <inttypes.h>
#include <limits.h>

#include "flinkop/error.h"
#include "flinkop/flink_conf.h"
#include "flinkop/flink_memory.h"

#define TM "taskmanager.memory."

static const struct {
    const char *key, *legacy, *legacy_mb;
} heaps[] = {
    {TM "flink.size", "taskmanager.heap.size", "taskmanager.heap.mb"},
    {"jobmanager.memory.heap.size", "jobmanager.heap.size", "jobmanager.heap.mb"},
};

static int legacy_heap(struct conf *c, size_t i, struct error *err)
{
    int64_t bytes, mb;

    if (conf_lookup(c, heaps[i].key))
        return 0;
    if (conf_memory(c, heaps[i].legacy, -1, &bytes, err) ||
        conf_int(c, heaps[i].legacy_mb, -1, &mb, err))
        return -1;
    if (bytes >= 0) {
        conf_setf(c, heaps[i].key, "%" PRId64 "b", bytes);
    } else if (conf_get(c, heaps[i].legacy_mb)) {
        if (mb < 0 || mb > INT_MAX)
            return error_set(err, ERR_INVALID, "%s: found %" PRId64 ", must be 0 or more",
                             heaps[i].legacy_mb, mb);
        conf_setf(c, heaps[i].key, "%" PRId64 "b", mb << 20);
    }
    return 0;
}

/* A number of buffers stands for exactly that much network memory. */
static int legacy_network(struct conf *c, struct error *err)
{
    static const char buffers_key[] = "taskmanager.network.numberOfBuffers";
    int64_t buffers, segment;

    if (!conf_get(c, buffers_key) || conf_lookup(c, TM "network.min") ||
        conf_lookup(c, TM "network.max") || conf_lookup(c, TM "network.fraction"))
        return 0;
    if (conf_int(c, buffers_key, 0, &buffers, err) ||
        conf_memory(c, TM "segment-size", 32768, &segment, err))
        return -1;
    if (buffers < 0 || buffers > INT_MAX)
        return error_set(err, ERR_INVALID, "%s: found %" PRId64 ", must be 0 or more", buffers_key,
                         buffers);
    if (segment < 4096 || segment > INT_MAX || (segment & (segment - 1)))
        return error_set(err, ERR_INVALID,
                         "%ssegment-size: found %" PRId64
                         " bytes, must be a power of 2 of at least 4096",
                         TM, segment);
    conf_setf(c, TM "network.min", "%" PRId64 "b", buffers * segment);
    conf_setf(c, TM "network.max", "%" PRId64 "b", buffers * segment);
    return 0;
}

int memory_conf_legacy(struct conf *c, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(heaps); i++)
        if (legacy_heap(c, i, err))
            return -1;
    return legacy_network(c, err);
}
