/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. Deadlines and intervals use the monotonic clock, what is shown to people uses wall time;
 * both are int64 milliseconds. The domain never asks a clock, it is given `now`.
 */
#ifndef FLINKOP_CLOCK_H
#define FLINKOP_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct error;

int64_t clock_mono_ms(void);
/** The same in microseconds. */
int64_t clock_mono_us(void);
/** Monotonic, and goes on while the machine sleeps: for promises to others. */
int64_t clock_boot_ms(void);
/** Milliseconds since the epoch. */
int64_t clock_wall_ms(void);

#define RFC3339_MAX 32
/** "2026-01-31T09:08:07Z" (seconds, as metav1.Time) of epoch milliseconds. */
void rfc3339_format(int64_t wall_ms, char out[RFC3339_MAX]);
/** As metav1.MicroTime, for Events and Leases: "2026-01-31T09:08:07.123000Z". */
void rfc3339_format_micro(int64_t wall_ms, char out[RFC3339_MAX]);
/** Reads RFC 3339 with optional fraction and offset; false if it is none. */
bool rfc3339_parse(const char *s, int64_t *ret_wall_ms) MUST_CHECK;

/**
 * Reads a duration as Flink does (org.apache.flink.util.TimeUtils#parseDuration): a number and a
 * unit (d, h, min, m, s, ms, µs, ns or their long names), blanks between them allowed; a bare
 * number is milliseconds; also ISO-8601 ("PT1M30S"). The result is in milliseconds, rounded up so
 * that a positive duration never becomes 0.
 */
int duration_parse(const char *s, int64_t *ret_ms, struct error *err) MUST_CHECK;
/** Shortest exact form of Flink's syntax, e.g. "30 s", "5 min", "1500 ms". */
void duration_format(int64_t ms, char *out, size_t size);

/** How long to wait after so many failures in a row (1 or more): first, doubled with each, at most
 * `most`; all in ms. */
int64_t backoff_ms(int failures, int64_t first, int64_t most);

#endif
