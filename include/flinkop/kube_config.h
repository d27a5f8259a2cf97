/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to reach the API server and who we are: a kubeconfig file (client certificates, token,
 * tokenFile, exec plugin; data or files; contexts) or the pod's service account.
 *
 * Credentials change while we run. kube_config_auth gives the current ones, re-reading what lives
 * in files at most once a minute (https://kubernetes.io/docs/concepts/security/service-accounts:
 * projected tokens are rotated by the kubelet) and running an exec plugin again before its
 * credential expires. kube_config_refresh asks for that now, after a 401.
 */
#ifndef FLINKOP_KUBE_CONFIG_H
#define FLINKOP_KUBE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct error;
struct http_tls;
struct loop;
struct kube_config;

struct kube_config_options {
    const char *kubeconfig; /* path; NULL: in-cluster if in a pod, else $KUBECONFIG, else
                               ~/.kube/config. $KUBECONFIG may name several files: the first one
                               that has the context's parts wins, as kubectl merges them. */
    const char *context;    /* NULL: current-context */
    /* Where the service account is mounted; NULL: the usual place. For tests. */
    const char *service_account_dir;
    int64_t exec_timeout_ms; /* of an exec plugin; 0: 60 s */
};

/** Errors name the file and the field (ERR_INVALID, or ERR_NOT_FOUND for a file that is missing).
 * An exec plugin is not run yet. */
struct kube_config *kube_config_load(struct loop *loop, const struct kube_config_options *o,
                                     struct error *err) MUST_CHECK;
void kube_config_free(struct kube_config *c);

/** "https://host:port", perhaps with a path; no slash at the end. */
const char *kube_config_server(const struct kube_config *c);
/** Namespace of the context or the pod's own; "default" if there is none. */
const char *kube_config_namespace(const struct kube_config *c);
const char *kube_config_proxy(const struct kube_config *c);
bool kube_config_in_cluster(const struct kube_config *c);

struct kube_auth {
    const char *authorization; /* value of the header, or NULL; valid until fn returns */
    struct http_tls *tls;      /* borrowed */
    unsigned generation;       /* raised whenever the credentials change */
};

/**
 * Calls fn with the current credentials, at once if they are known, else (an exec plugin has to
 * run) in a later turn; err is set when there are none to be had. Pending calls of one `owner` can
 * be dropped.
 */
typedef void (*kube_auth_fn)(void *arg, const struct kube_auth *auth, const struct error *err);
void kube_config_auth(struct kube_config *c, const void *owner, kube_auth_fn fn, void *arg);
void kube_config_auth_drop(struct kube_config *c, const void *owner);
/** The server answered 401 to the credentials of this generation: unless they have changed since,
 * they are read anew before the next use, or an exec plugin is run again (not more often than every
 * 10 s: a server that refuses everybody must not make us start processes without end). */
void kube_config_refresh(struct kube_config *c, unsigned generation);
/** The server's certificate was not accepted by the authority of this generation: files are read
 * anew before the next use. */
void kube_config_reread(struct kube_config *c, unsigned generation);

#endif
