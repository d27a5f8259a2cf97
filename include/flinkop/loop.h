/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: one thread, libuv below. Everything that waits registers a timer or lets curl and
 * libwebsockets wait on the same loop; nothing blocks.
 *
 * Ownership: a timer belongs to whoever made it and may be freed inside its own callback. libuv
 * gives handle memory back only in its close callback; that discipline is kept in here.
 */
#ifndef FLINKOP_LOOP_H
#define FLINKOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct loop;
struct timer;
struct uv_loop_s; /* uv_loop_t of <uv.h> */

typedef void (*loop_fn)(void *arg);

struct loop *loop_new(void) MUST_CHECK;
/** Closes what is still open and frees; pending deferred calls are dropped. NULL is allowed. What
 * others put on the loop (http_client, http_server) must be freed before. */
void loop_free(struct loop *loop);
struct uv_loop_s *loop_uv(struct loop *loop);

/** Runs until loop_stop; at once if that was called before. */
void loop_run(struct loop *loop);
/** Ends loop_run after this turn. May be called in a callback or before loop_run. */
void loop_stop(struct loop *loop);

/** Calls fn(arg) in the next turn, in order. For work that a library forbids in its callbacks and
 * to break recursion. `owner` lets loop_undefer drop what is pending for a thing being freed. */
void loop_defer(struct loop *loop, const void *owner, loop_fn fn, void *arg);
void loop_undefer(struct loop *loop, const void *owner);

struct timer *timer_new(struct loop *loop, loop_fn fn, void *arg) MUST_CHECK;
/** Fires once after ms (0 = next turn), replacing an earlier start. */
void timer_start(struct timer *t, int64_t ms);
void timer_stop(struct timer *t);
bool timer_active(const struct timer *t);
/** NULL is allowed. */
void timer_free(struct timer *t);

/** Calls fn(arg) whenever the signal arrives, until loop_free. */
void loop_on_signal(struct loop *loop, int signo, loop_fn fn, void *arg);

/** Cached monotonic time of this turn in milliseconds (clock_mono_ms's clock). */
int64_t loop_now(struct loop *loop);

#endif
