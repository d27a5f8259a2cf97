/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the outside can ask the process: /healthz (does it work), /readyz (has it its first view of
 * the cluster), /metrics (Prometheus). Any other path answers as /healthz, since probes of the
 * incumbent's deployments ask port 8085 for whatever they like.
 */
#ifndef FLINKOP_HEALTH_H
#define FLINKOP_HEALTH_H

#include <stdbool.h>

#include "flinkop/macros.h"

struct error;
struct health;
struct loop;
struct strbuf;

/** Says why not, by appending a sentence, and returns false; or returns true. */
typedef bool (*health_fn)(void *arg, struct strbuf *why);

struct health_checks {
    health_fn live, ready;
    void *arg;
};

struct health *health_new(struct loop *loop, int port, const struct health_checks *checks,
                          struct error *err) MUST_CHECK;
int health_port(const struct health *h);
void health_free(struct health *h);

#endif
