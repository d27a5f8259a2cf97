/* SPDX-License-Identifier: Apache-2.0 */
/* What the integration tests of src/kube share: one client made from $KUBECONFIG, and calls that
 * wait for their reply. */
#ifndef IT_H
#define IT_H

#include <check.h>
#include <stdbool.h>

#include "flinkop/error.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/loop.h"
#include "flinkop/macros.h"

struct it {
    struct loop *loop;
    struct kube_config *config;
    struct kube_client *client;
    const char *ns, *dir, *token; /* token: of an account that may only read ConfigMaps */
    const char *bed;              /* command to control daemons with; "" if there is none */
    const char *server;
};
extern struct it it;

void it_setup(void);
void it_teardown(void);

/** Waits for a call made with `client` (NULL: ours). The reply's text, to be freed; the error in
 * *ret_err (NULL: the test fails if there is one). */
char *it_call(struct kube_client *client, struct kube_call call, struct error *ret_err);
/** A string of a JSON text, to be freed: path "metadata.name"; "" if it is not there. */
char *it_string(const char *json, const char *path);
/** A ConfigMap with data.v = value; extra: more members, e.g. ",\"x\":1", or "". */
char *it_configmap(const char *name, const char *value);
void it_apply(const char *name, const char *value);
void it_delete(const char *name);

/** Runs the loop until cond(arg) or for at most ms; whether cond came true. */
bool it_until(bool (*cond)(void *arg), void *arg, int ms);
void it_sleep(int ms);

/** Runs a shell command; fails the test when it fails. */
void it_shell(const char *fmt, ...) PRINTF(1, 2);
/** Writes a kubeconfig into it.dir for our server with this user (YAML flow members). */
struct kube_config *it_config(const char *server, const char *user, struct error *err);
char *it_write(const char *name, const char *text);

void suite_calls(TCase *tc);
void suite_watch(TCase *tc);

#endif
