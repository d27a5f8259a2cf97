/* SPDX-License-Identifier: Apache-2.0 */
/*
 * So many may do something at a time; the others wait in line, and are let in as soon as a place is
 * free, in the order in which they came.
 */
#ifndef CONTROLLER_PLACES_H
#define CONTROLLER_PLACES_H

#include <stdbool.h>
#include <stddef.h>

struct guest {
    struct guest *next, **link; /* in the line; link NULL: it does not wait */
    void *arg;                  /* for `enter` */
};

struct places {
    size_t most, taken;
    void (*enter)(void *arg); /* its turn has come: it takes the place, or lets it be */
    struct guest *first, **last;
};

void places_init(struct places *p, size_t most, void (*enter)(void *arg));
/** True when a place is free: it is taken by `++taken` of whoever makes use of it. Else the guest
 * waits, and must not ask again before it has entered or left. */
bool places_ask(struct places *p, struct guest *g);
/** No longer waits. One that does not wait is allowed. */
void places_leave(struct places *p, struct guest *g);
/** Gives a place back, and lets others enter. */
void places_free(struct places *p);

#endif
