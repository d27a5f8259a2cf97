/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of the webhook: an authority and what it has signed, made together and for the
 * same time (EC P-256). The authority's key is thrown away when it has signed that one certificate:
 * nobody can steal it, and a renewal is another authority anyway. Text in PEM; pure but for random
 * numbers.
 */
#ifndef SERVER_CERTIFICATE_H
#define SERVER_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct error;

/** As in a Secret of type kubernetes.io/tls; malloc'd. */
struct certificate {
    char *ca;   /* who is to be trusted: its own authority first, then former ones */
    char *cert; /* tls.crt */
    char *key;  /* tls.key */
};
/** Wipes the key. */
void certificate_release(struct certificate *c);

/** For SERVICE.NS.svc and SERVICE.NS.svc.cluster.local, from a moment before `wall` (epoch ms),
 * because clocks differ, for `life` ms after that. */
struct certificate certificate_make(const char *service, const char *ns, int64_t wall,
                                    int64_t life);

/* When it counts, epoch ms. */
struct certificate_life {
    int64_t begin, end;
};

/** Whether a server can use it under those names, and who asks can trust it by `ca`; the time does
 * not matter here. ERR_INVALID says what is wrong, and nothing of the key. */
int certificate_check(const struct certificate *c, const char *service, const char *ns,
                      struct certificate_life *ret, struct error *err) MUST_CHECK;

/** Its time has come: two thirds of its life are over, or it has not begun. */
bool certificate_is_due(const struct certificate_life *l, int64_t wall);
/** Nobody accepts it now. */
bool certificate_is_over(const struct certificate_life *l, int64_t wall);

/** The certificates of `first`, then those of `second` (NULL: none), each once, without those that
 * are over and what is no certificate; four at most. malloc'd PEM. */
char *certificate_bundle(const char *first, const char *second, int64_t wall);

#endif
