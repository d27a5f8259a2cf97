/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the outside can ask the process.
 *
 * The health port, plain: /healthz (does it work), /readyz (has it its first view of the cluster),
 * /metrics (Prometheus). Any other path answers as /healthz, since probes of the incumbent's
 * deployments ask port 8085 for whatever they like.
 *
 * The secure port, if there is one, by TLS: /metrics, /debug (JSON) and /debug/log-level, each only
 * for who brings a token and may `get` (the log level: also `put`) that path, by kube_review.h.
 * Then the health port has no /metrics.
 */
#ifndef FLINKOP_HEALTH_H
#define FLINKOP_HEALTH_H

#include <stdbool.h>

#include "flinkop/macros.h"

struct error;
struct health;
struct kube_client;
struct loop;
struct strbuf;

/** Says why not, by appending a sentence, and returns false; or returns true. */
typedef bool (*health_fn)(void *arg, struct strbuf *why);

struct health_options {
    int port; /* 0: any free one */
    health_fn live, ready;
    void (*debug)(void *arg, struct strbuf *ret); /* appends the JSON text of /debug */
    void *arg;
    bool local_debug; /* /debug on the health port as well, for callers of this machine */
    /* the secure port */
    const char *cert_file, *key_file; /* NULL: there is none */
    int secure_port;                  /* 0: any free one */
    struct kube_client *kube;         /* who asks the API server; borrowed */
};

struct health *health_new(struct loop *loop, const struct health_options *o,
                          struct error *err) MUST_CHECK;
int health_port(const struct health *h);
/** 0: there is none. */
int health_secure_port(const struct health *h);
void health_free(struct health *h);

#endif
