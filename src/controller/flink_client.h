/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to a JobManager's REST API: directly at the pod's address, or, outside the cluster, through
 * the API server's proxy. Every call has a deadline, every answer a cap; redirects are not
 * followed. Probes, what jobs are brought with (which may take minutes) and all other calls have
 * connections of their own, each in all and for each JobManager: none waits for another's.
 */
#ifndef CONTROLLER_FLINK_CLIENT_H
#define CONTROLLER_FLINK_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "flinkop/error.h"
#include "flinkop/http.h"
#include "flinkop/jv.h"

struct arena;
struct kube_client;
struct loop;
struct flink_client;
struct flink_call;

enum flink_access { FLINK_ACCESS_AUTO, FLINK_ACCESS_DIRECT, FLINK_ACCESS_PROXY };

/* One JobManager, by pod: what it answers is about that process and no other. */
struct flink_endpoint {
    const char *ns, *pod, *ip;
    int port;
    const char *instance; /* of the process: "<pod uid>/<restarts>" */
    const char *cluster;  /* it speaks TLS, with a certificate for this cluster; NULL: plain HTTP */
};

struct flink_answer {
    const struct error *err; /* code ERR_NONE for a 2xx; else Flink's own words in the text */
    jv body;                 /* parsed; ABSENT if empty or not JSON; lives until return */
    struct arena *a;         /* of the body */
};
typedef void (*flink_done_fn)(void *arg, const struct flink_answer *answer);

/** tls_dir: flink_tls.h, NULL: none. */
struct flink_client *flink_client_new(struct loop *loop, struct kube_client *kube,
                                      enum flink_access access, const char *tls_dir);
void flink_client_free(struct flink_client *c);
/** Of calls that have none of their own (10 s until it is called), from now on. */
void flink_client_set_timeout(struct flink_client *c, int64_t ms);

/** Sends; done comes in a later turn, exactly once. body: JSON text or NULL. timeout_ms 0: the
 * client's. */
struct flink_call *flink_send(struct flink_client *c, const struct flink_endpoint *e,
                              const char *method, const char *path, const char *body,
                              int64_t timeout_ms, flink_done_fn done, void *arg);
/** GET by a probe. */
struct flink_call *flink_probe(struct flink_client *c, const struct flink_endpoint *e,
                               const char *path, int64_t timeout_ms, flink_done_fn done, void *arg);
/** POST that runs a job: main() may take its time. */
struct flink_call *flink_run(struct flink_client *c, const struct flink_endpoint *e,
                             const char *path, const char *body, int64_t timeout_ms,
                             flink_done_fn done, void *arg);
/** POST of one file as multipart/form-data. */
struct flink_call *flink_upload(struct flink_client *c, const struct flink_endpoint *e,
                                const char *path, const struct http_part *part,
                                int64_t idle_timeout_ms, flink_done_fn done, void *arg);
/** Continues an upload whose source said HTTP_WAIT. */
void flink_resume(struct flink_call *call);
/** Ends it without a callback. NULL is allowed. */
void flink_drop(struct flink_call *call);

#endif
