/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured logs on stderr, one line a message: JSON (default in a cluster) or text, with keys and
 * values. Library modules never log above debug: each error is logged once, by whoever acts on it.
 *
 *     log_info("applied", KV("kind", kind), KV_INT("ms", took));
 *
 * A scope adds its keys (namespace, name, reconcileID …) to every line until it is taken away, so
 * that code deep inside a reconcile need not carry them. Secrets are never given to the log.
 */
#ifndef FLINKOP_LOG_H
#define FLINKOP_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_JSON, LOG_TEXT };

struct log_kv {
    const char *key;
    const char *str; /* NULL: the number counts */
    int64_t num;
};

#define KV(k, v) ((struct log_kv){.key = (k), .str = (v) ? (v) : ""})
#define KV_INT(k, v) ((struct log_kv){.key = (k), .num = (v)})

void log_setup(enum log_level level, enum log_format format);
enum log_level log_level(void);
const char *log_level_name(enum log_level level);
/** While the process runs: the change itself is logged, unless both levels leave that out. */
void log_change_level(enum log_level level);
bool log_enabled(enum log_level level);
bool log_level_parse(const char *name, enum log_level *ret);
bool log_format_parse(const char *name, enum log_format *ret);

/** The array must live until the scope is replaced; n = 0 ends it. */
void log_set_scope(const struct log_kv *kv, size_t n);

void log_write(enum log_level level, const char *msg, const struct log_kv *kv, size_t n);

/* The first element is a dummy so that a call without keys is legal C. */
#define LOG_KVS(...) ((const struct log_kv[]){{0}, ##__VA_ARGS__})
#define LOG_AT(level, msg, ...)                                                  \
    do {                                                                         \
        if (log_enabled(level))                                                  \
            log_write(level, msg, LOG_KVS(__VA_ARGS__) + 1,                      \
                      sizeof(LOG_KVS(__VA_ARGS__)) / sizeof(struct log_kv) - 1); \
    } while (0)
#define log_error(msg, ...) LOG_AT(LOG_ERROR, msg, ##__VA_ARGS__)
#define log_warn(msg, ...) LOG_AT(LOG_WARN, msg, ##__VA_ARGS__)
#define log_info(msg, ...) LOG_AT(LOG_INFO, msg, ##__VA_ARGS__)
#define log_debug(msg, ...) LOG_AT(LOG_DEBUG, msg, ##__VA_ARGS__)

#endif
