/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller of FlinkDeployments and FlinkSessionJobs: watches, stores, work queues, probes and
 * the executor, wired around the pure reconcile functions.
 */
#ifndef FLINKOP_CONTROLLER_H
#define FLINKOP_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct controller;
struct jv_list;
struct kube_client;
struct loop;
struct operator_config;

enum flink_access_option { ACCESS_AUTO, ACCESS_DIRECT, ACCESS_PROXY };

struct controller_options {
    struct loop *loop;
    struct kube_client *kube;
    struct operator_config *config; /* the controller holds it */
    int flink_access;               /* enum flink_access_option */
    const char *flink_tls;          /* folder with what TLS to JobManagers needs, or NULL */
    const char *operator_ns;        /* where our own pod runs, NULL: not known */
};

/** Copies what it needs and starts watching. */
struct controller *controller_new(const struct controller_options *o);
/** Another configuration counts from now on. What is under way ends as it was planned; nothing that
 * runs is restarted because defaults are others. */
void controller_configure(struct controller *c, struct operator_config *config);
/** Stops at once; what is under way is abandoned, which is always safe. */
void controller_free(struct controller *c);
/** Stops taking new work and calls done(arg) when what is under way has ended. */
void controller_drain(struct controller *c, void (*done)(void *arg), void *arg);

/** All watches have their first list. */
bool controller_synced(const struct controller *c);
/** The first thing that it must see and is not allowed to list or watch, in the API server's words;
 * NULL: there is none. */
const char *controller_blind(const struct controller *c);
/** The longest time in ms since a watch that has its list last heard from the server. */
int64_t controller_silence(const struct controller *c);

/** Adds what an engineer wants to see: the members "workQueues", "plans", "probes", "watches" and
 * "stores" of an object, in the arena. Names and numbers only, nothing of specs; long lists are
 * cut, "leftOut" says by how many. */
void controller_dump(struct controller *c, struct arena *a, struct jv_list *ret);

#endif
