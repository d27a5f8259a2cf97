/* SPDX-License-Identifier: Apache-2.0 */
/* What a world goes through. */
#ifndef TESTS_SIM_SCENARIOS_H
#define TESTS_SIM_SCENARIOS_H

#include "sim.h"

struct totals {
    uint64_t worlds, passes, events, races, releases;
    int64_t ms; /* of virtual time */
};

/** A world from its beginning to its end; sim_fail when a promise is broken. Adds to totals. */
void world_run(uint64_t seed, unsigned enabled, struct totals *totals);

#endif
