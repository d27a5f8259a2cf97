/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics in Prometheus' text format. A module declares its metrics as static structs and touches
 * them; a metric is registered when it is first touched.
 *
 *     static struct metric requests = METRIC_COUNTER("rest_client_requests_total",
 *                                                    "HTTP requests by status and method.",
 *                                                    "code", "method");
 *     metric_add(&requests, 1, "200", "GET");
 *
 * Adding 0 makes a series that rate() and absent() can see before the first event.
 *
 * Labels are positional and NULL-free; series are created on demand, up to a cap per metric (a
 * label with unbounded values is a bug that must not eat the memory).
 */
#ifndef FLINKOP_METRICS_H
#define FLINKOP_METRICS_H

#include <stddef.h>

#include "flinkop/macros.h"
#include "flinkop/strmap.h"

struct strbuf;

enum metric_type { METRIC_TYPE_COUNTER, METRIC_TYPE_GAUGE, METRIC_TYPE_HISTOGRAM };

#define METRIC_MAX_LABELS 6
#define METRIC_MAX_SERIES 20000

struct metric {
    const char *name, *help;
    enum metric_type type;
    const double *buckets; /* histogram: upper bounds, ends with 0 */
    const char *labels[METRIC_MAX_LABELS + 1];
    struct metric *next;  /* in the registry */
    struct strmap series; /* label text -> values */
    int registered;
};

#define METRIC_COUNTER(n, h, ...)                                                        \
    {                                                                                    \
        .name = (n), .help = (h), .type = METRIC_TYPE_COUNTER, .labels = { __VA_ARGS__ } \
    }
#define METRIC_GAUGE(n, h, ...)                                                        \
    {                                                                                  \
        .name = (n), .help = (h), .type = METRIC_TYPE_GAUGE, .labels = { __VA_ARGS__ } \
    }
#define METRIC_HISTOGRAM(n, h, b, ...)                                                       \
    {                                                                                        \
        .name = (n), .help = (h), .type = METRIC_TYPE_HISTOGRAM, .buckets = (b), .labels = { \
            __VA_ARGS__                                                                      \
        }                                                                                    \
    }

/** Seconds, from a millisecond to a minute: fits API calls and reconciles. */
extern const double metric_seconds_buckets[];

/** The label values follow in the order of the labels; as many as there are labels. */
void metric_add(struct metric *m, double by, ...);
void metric_set(struct metric *m, double value, ...);
void metric_observe(struct metric *m, double value, ...);
/** Drops the series with these label values, if there is one. */
void metric_drop(struct metric *m, ...);
/** Drops all series of a metric: gauges that a collector fills anew at each scrape. */
void metric_clear(struct metric *m);

/** fn(arg) runs before each scrape to set gauges that are cheaper to compute than to maintain. */
void metrics_on_scrape(void (*fn)(void *arg), void *arg);

/** From now on process_*, too, as Prometheus' client libraries name it. */
void metrics_of_process(void);

/** Appends everything registered, in order of first use. */
void metrics_write(struct strbuf *sb);
/** Forgets all series, metrics and collectors; for tests and for a clean exit. */
void metrics_release(void);

#endif
