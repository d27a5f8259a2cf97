/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about configuration and credentials share. */
#ifndef KUBE_CONFIG_INTERNAL_H
#define KUBE_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/error.h"
#include "flinkop/kube_config.h"
#include "flinkop/macros.h"

struct exec_run;

/* A credential that stands in the configuration or in a file that is read again and again. */
struct material {
    char *path; /* NULL: inline */
    char *text; /* as last read; NULL: none */
};

/* An exec plugin (client.authentication.k8s.io/v1, v1beta1). */
struct exec_spec {
    char *api_version, *command, *install_hint, *where; /* where: file and user, for messages */
    char **argv;                                        /* with the command, ends with NULL */
    char **env;                                         /* "NAME=value", ends with NULL */
    bool provide_cluster_info;
    char *cluster_config; /* JSON of the cluster's extension, or NULL */
};

struct exec_result {
    char *token, *cert, *key; /* PEM; NULL: none */
    int64_t expires;          /* wall ms, 0: never */
};

struct kube_config {
    struct loop *loop;
    char *server, *ns, *proxy, *server_name;
    bool insecure, in_cluster;
    struct material ca, cert, key, token;
    char *basic; /* "Basic …" from username and password */
    struct exec_spec *exec;
    int64_t exec_timeout_ms;

    /* kube_auth.c: what is in force */
    char *authorization;
    struct http_tls *tls;
    unsigned generation;
    int64_t read_at; /* monotonic; -1: must be read before the next use */
    bool dirty;      /* something was read that is not in force yet */
    struct exec_run *run;
    struct exec_result exec_result;
    bool exec_valid;     /* exec_result counts */
    int64_t exec_at;     /* monotonic, end of the last run; 0: none yet */
    struct error failed; /* of the last run, code ERR_NONE if it was good */
    struct auth_waiter *waiters;
};

/* Loading: kubeconfig files (`paths` ends with NULL; `must_exist`: else missing ones are skipped)
 * or the service account of a pod. */
int kube_config_from_files(struct kube_config *c, const char *const *paths, bool must_exist,
                           const char *context, struct error *err) MUST_CHECK;
int kube_config_from_pod(struct kube_config *c, const char *dir, struct error *err) MUST_CHECK;

/* Reads one material; unchanged text leaves *changed alone. */
int material_read(struct material *m, const char *what, bool *changed,
                  struct error *err) MUST_CHECK;
/* First reading of everything, and building what kube_auth gives. */
int kube_auth_init(struct kube_config *c, struct error *err) MUST_CHECK;
void kube_auth_release(struct kube_config *c);

/* Checks that PEM text holds certificates; that a key belongs to them. what: for messages. */
int pem_check_certificates(const char *pem, const char *what, struct error *err) MUST_CHECK;
int pem_check_pair(const char *cert, const char *key, const char *what,
                   struct error *err) MUST_CHECK;

typedef void (*exec_done_fn)(struct kube_config *c, struct exec_result *result,
                             const struct error *err);
/* Runs the plugin; done comes in a later turn, exactly once unless exec_cancel. The result is
 * handed over. err->code ERR_NONE: it counts. */
struct exec_run *exec_start(struct kube_config *c, exec_done_fn done);
void exec_cancel(struct exec_run *run);
void exec_spec_free(struct exec_spec *s);
void exec_result_clear(struct exec_result *r);
/* The answer of a plugin; for tests too. */
int exec_result_parse(const struct exec_spec *s, const char *text, size_t len,
                      struct exec_result *ret, struct error *err) MUST_CHECK;
/* JSON of KUBERNETES_EXEC_INFO, malloc'd. */
char *exec_info(const struct kube_config *c);

/* Overwrites and frees. */
void wipe_free(char *s);

#endif
