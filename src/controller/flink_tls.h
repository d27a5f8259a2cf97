/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator shows to, and asks of, JobManagers whose REST endpoint speaks TLS: PEM files in
 * a folder, named as in a Secret of type kubernetes.io/tls: ca.crt, and for mutual authentication
 * tls.crt and tls.key. Without ca.crt the system's authorities count. A folder of a namespace's
 * name in it counts for that namespace alone. They are read anew when they are older than ten
 * seconds, so that a rotation needs no restart.
 *
 * Calls go to a pod's address, which no certificate names: it has to be of the authority, and for a
 * name of the cluster's REST Service.
 */
#ifndef CONTROLLER_FLINK_TLS_H
#define CONTROLLER_FLINK_TLS_H

#include "flinkop/error.h"
#include "flinkop/macros.h"

struct flink_tls;
struct http_tls;
struct loop;

#define FLINK_TLS_NAMES 4

/** dir NULL: there is none, the system's authorities count, and no certificate is shown. */
struct flink_tls *flink_tls_new(struct loop *loop, const char *dir);
void flink_tls_free(struct flink_tls *t);

/** Borrowed until the next turn; NULL without a folder. -1 when its files cannot be used: err says
 * which one. */
int flink_tls_get(struct flink_tls *t, const char *ns, struct http_tls **ret,
                  struct error *err) MUST_CHECK;
/** Adds to an error of such a call what would be right. */
void flink_tls_explain(struct flink_tls *t, const char *ns, const char *cluster, struct error *err);

struct flink_tls_names {
    char *text[FLINK_TLS_NAMES];
    const char *list[FLINK_TLS_NAMES + 1]; /* NULL-terminated */
};
/** Names that a certificate of this cluster may be for. */
void flink_tls_names(struct flink_tls_names *ret, const char *ns, const char *cluster);
void flink_tls_names_release(struct flink_tls_names *names);

#endif
