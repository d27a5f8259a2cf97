/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests with Check. A test file has one suite function, listed in SUITES below; a test is
 * START_TEST(name) … END_TEST, added with `T(name)`.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <check.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/jv.h"
#include "flinkop/yaml.h"

/* Where clang-format never comes to rest. */
/* clang-format off */
#define SUITES(X) \
    X(base) X(schedule) X(slab) X(option) X(json) X(json_tame) X(yaml) X(loop) X(http) X(http_faults) X(http_stream) X(http_tls) X(http_server) \
    X(http_server_tls) \
    X(kube_config) X(kube_split) X(kube_client) X(kube_watch) X(workqueue) X(kube_events) X(kube_lease) X(kube_review) X(health) \
    X(flink_conf) X(flink_size) X(flink_golden) X(flink_defaults) X(flink_reply) X(flink_keys) \
    X(operator_config) X(options) \
    X(crds) X(allocate) X(exposure) X(standalone) X(golden) X(store) X(probe) X(jars) X(address) X(flink_tls) X(admission) X(rules) X(migration) X(certificate)
/* clang-format on */

struct loop;
struct kube_config;

#define DECLARE_SUITE(name) void suite_##name(TCase *tc);
SUITES(DECLARE_SUITE)

#define T(name) tcase_add_test(tc, name)

/** JSON for tests, with ' for ". Fails the test when it does not parse. */
jv json(struct arena *a, const char *text);
/** Fails unless v as compact JSON is `expected` (with ' for "). */
void assert_json(jv v, const char *expected);
/** What this file, below the project's own folder, has in it; to be freed. */
char *file_text(const char *path);
/** A folder of the test's own, its files, and its end. */
#define SCRATCH_ROOM 64
void scratch_make(char dir[SCRATCH_ROOM]);
void scratch_write(const char *dir, const char *name, const char *text);
void scratch_remove(const char *dir);
/** The configuration that this kubeconfig gives; it is written to "<dir>/config". */
struct kube_config *load_kubeconfig(struct loop *loop, const char *dir, const char *text);
/** The kubeconfig, to be freed, of an API server at this URL that asks for no credentials. */
char *open_kubeconfig(const char *url);
/** Fails unless err has this code and its text contains the words. */
void assert_error(const struct error *err, enum errc code, const char *words);

#endif
