/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flink's memory sizes and its process memory model, computed here exactly as Flink's start scripts
 * do it (BashJavaUtils; TaskExecutorProcessUtils and JobManagerProcessUtils), so that a
 * specification which would only crash-loop is refused with a reason, and pods start without
 * forking a JVM for the arithmetic.
 */
#ifndef FLINKOP_FLINK_MEMORY_H
#define FLINKOP_FLINK_MEMORY_H

#include <stdint.h>

#include "flinkop/macros.h"

struct conf;
struct error;

/**
 * A memory size as the API accepts it: Flink's MemorySize syntax first ("2048m", "2g", "1 gb",
 * binary units, bare number = bytes), else a Kubernetes quantity ("1Gi", "1500M", "1.5Gi").
 */
int memory_size_parse(const char *text, int64_t *ret_bytes, struct error *err) MUST_CHECK;
/** A CPU or other Kubernetes quantity as a number ("500m" = 0.5, "2", "1.5"). */
int quantity_parse(const char *text, double *ret, struct error *err) MUST_CHECK;
/** A quantity for pods: whole Mi, rounded up; out has room for 24 bytes. */
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
    int limit_direct; /* jobmanager.memory.enable-jvm-direct-memory-limit */
};

/**
 * Derives all parts from taskmanager.memory.* / jobmanager.memory.* of the configuration.
 * ERR_INVALID names the key, what was found, and what it must be at least (or at most).
 */
int tm_memory_derive(const struct conf *c, struct tm_memory *ret, struct error *err) MUST_CHECK;
int jm_memory_derive(const struct conf *c, struct jm_memory *ret, struct error *err) MUST_CHECK;

/** "-Xmx… -Xms… -XX:MaxDirectMemorySize=… -XX:MaxMetaspaceSize=…" as the start scripts print it. */
struct strbuf;
void tm_memory_jvm_args(struct strbuf *sb, const struct tm_memory *m);
void jm_memory_jvm_args(struct strbuf *sb, const struct jm_memory *m);
/** The dynamic properties that go with them: calls add(arg, key, value) for each, in the order of
 * TaskExecutorProcessUtils#generateDynamicConfigsStr. cpu_cores and slots are part of that set. */
void tm_memory_properties(const struct tm_memory *m, double cpu_cores, int slots,
                          void (*add)(void *arg, const char *key, const char *value), void *arg);
void jm_memory_properties(const struct jm_memory *m,
                          void (*add)(void *arg, const char *key, const char *value), void *arg);

#endif
