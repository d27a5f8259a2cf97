/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flink's memory sizes and its process memory model, computed here exactly as Flink's start scripts
 * do it (BashJavaUtils; TaskExecutorProcessUtils and JobManagerProcessUtils), so that a
 * specification which would only crash-loop is refused with a reason, and pods start without
 * forking a JVM for the arithmetic.
 */
#ifndef FLINKOP_FLINK_MEMORY_H
#define FLINKOP_FLINK_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct conf;
struct error;

/**
 * A memory size as Flink reads it in its configuration (org.apache.flink.configuration.MemorySize):
 * "2048m", "2g", "1 gb", "512 mebibytes", all binary; a bare number is bytes.
 */
int memory_size_parse_flink(const char *text, int64_t *ret_bytes, struct error *err) MUST_CHECK;
/**
 * A memory size as the API accepts it: Flink's syntax first, so that "2G" and "2g" are 2 GiB, else
 * a Kubernetes quantity ("1Gi", "1.5Gi", "2e9") in any case and with a "b" at its end, as in the
 * incumbent. Parts of a byte are rounded up.
 */
int memory_size_parse(const char *text, int64_t *ret_bytes, struct error *err) MUST_CHECK;
/** A CPU or other Kubernetes quantity as a number ("500m" = 0.5, "2", "1.5", "1e3", "1Ki"). */
int quantity_parse(const char *text, double *ret, struct error *err) MUST_CHECK;
/** A quantity for pods: whole Mi, rounded up. */
void memory_size_to_mi(int64_t bytes, char out[24]);

/** Bytes. */
struct tm_memory {
    int64_t process, flink;
    int64_t framework_heap, task_heap, framework_off_heap, task_off_heap;
    int64_t network, managed;
    int64_t metaspace, overhead;
};
struct jm_memory {
    int64_t process, flink;
    int64_t heap, off_heap;
    int64_t metaspace, overhead;
    bool limit_direct; /* jobmanager.memory.enable-jvm-direct-memory-limit */
};

/**
 * Derives all parts from taskmanager.memory.* / jobmanager.memory.* of the configuration; any
 * combination that Flink accepts, with the same bytes. ERR_INVALID names the key, what was found,
 * and what it must be at least (or at most).
 */
int tm_memory_derive(const struct conf *c, struct tm_memory *ret, struct error *err) MUST_CHECK;
int jm_memory_derive(const struct conf *c, struct jm_memory *ret, struct error *err) MUST_CHECK;

/**
 * Flink 1.x still understands taskmanager.heap.size, jobmanager.heap.size (both also as .mb) and
 * taskmanager.network.numberOfBuffers, Flink 2.x ignores them. This rewrites them for a 1.x cluster
 * into the options that the two functions above read.
 */
int memory_conf_legacy(struct conf *c, struct error *err) MUST_CHECK;

struct strbuf;
/** "-Xmx… -Xms… -XX:MaxDirectMemorySize=… -XX:MaxMetaspaceSize=…" as the start scripts print it. */
void tm_memory_jvm_args(struct strbuf *sb, const struct tm_memory *m);
void jm_memory_jvm_args(struct strbuf *sb, const struct jm_memory *m);
/** The dynamic properties that go with them: calls add(arg, key, value) for each, in the order of
 * TaskExecutorProcessUtils#generateDynamicConfigsStr. cpu_cores and slots are part of that set;
 * external-resources, which is too, is not a matter of memory and left to the caller. */
void tm_memory_properties(const struct tm_memory *m, double cpu_cores, int slots,
                          void (*add)(void *arg, const char *key, const char *value), void *arg);
void jm_memory_properties(const struct jm_memory *m,
                          void (*add)(void *arg, const char *key, const char *value), void *arg);

#endif
