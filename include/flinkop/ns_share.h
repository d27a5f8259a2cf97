/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that namespaces share: calls of one that take long (an admission webhook that does
 * not answer, a hundred pods at once) leave the others some. Half of them is for whoever comes; of
 * the other half those namespaces get some that have fewer than a quarter of all. The rest waits in
 * line, in the order in which it came.
 */
#ifndef FLINKOP_NS_SHARE_H
#define FLINKOP_NS_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#include "flinkop/strmap.h"

struct ns_share_ns;

struct ns_share_guest {
    struct ns_share_guest *next, **link; /* in the line; link NULL: it does not wait */
    struct ns_share_ns *ns;              /* NULL: it has no place, and does not wait for one */
    void (*enter)(void *arg);            /* its turn has come */
    void *arg;
};

struct ns_share {
    size_t most, taken;
    struct strmap namespaces; /* that have a place, or wait for one */
    struct ns_share_guest *first, **last;
};

void ns_share_init(struct ns_share *s, size_t most);
/** Nobody may wait or have a place any more. */
void ns_share_release(struct ns_share *s);
/** From here on nobody who waits is let in. */
void ns_share_close(struct ns_share *s);
/** True: it has a place. False: it waits, and enter(arg) is called when it has one. ns "": for what
 * is in no namespace. */
bool ns_share_ask(struct ns_share *s, struct ns_share_guest *g, const char *ns);
/** Gives a place back, or waits no longer; whoever may is let in before this returns. One that has
 * never asked is allowed. */
void ns_share_leave(struct ns_share *s, struct ns_share_guest *g);

#endif
