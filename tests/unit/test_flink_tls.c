/* SPDX-License-Identifier: Apache-2.0 */
/* What TLS to JobManagers is done with: which folder counts, and what is said when it goes wrong.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../src/controller/flink_tls.h"
#include "flinkop/http.h"
#include "flinkop/loop.h"
#include "flinkop/macros.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "unit.h"

static struct loop *loop;
static char dir[SCRATCH_ROOM];

static void setup(void)
{
    loop = loop_new();
    scratch_make(dir);
}

static void teardown(void)
{
    scratch_remove(dir);
    loop_free(loop);
    metrics_release();
}

static void put(const char *folder, const char *name)
{
    cleanup_free char *path = xasprintf("%s/%s", dir, folder);

    mkdir(path, 0700);
    scratch_write(path, name, "pem");
}

/* What is said to someone whose certificate is not accepted: it names what counted. */
static const char *said(struct flink_tls *t, const char *ns, struct error *err)
{
    error_set(err, ERR_UNREACHABLE, "no");
    snprintf(err->reason, sizeof(err->reason), HTTP_UNTRUSTED);
    flink_tls_explain(t, ns, "demo", err);
    return err->text;
}

START_TEST(without_a_folder_the_system_is_trusted)
{
    struct flink_tls *t = flink_tls_new(loop, "");
    struct http_tls *tls = NULL;
    struct error err = {0};

    ck_assert_int_eq(flink_tls_get(t, "ns", &tls, &err), 0);
    ck_assert_ptr_null(tls);
    ck_assert_str_eq(
        said(t, "ns", &err),
        "no; Flink's certificate has to be valid now, of one of the system's authorities "
        "(there is no --flink-tls), for demo-rest or demo-rest.ns (also .svc behind "
        "that)");
    flink_tls_free(t);
}
END_TEST

START_TEST(the_folder_of_a_namespace_comes_first)
{
    struct flink_tls *t = flink_tls_new(loop, dir);
    struct http_tls *all = NULL, *own = NULL, *again = NULL;
    struct error err = {0};

    scratch_write(dir, "ca.crt", "pem");
    put("team-a", "ca.crt");
    put("team-b", "tls.crt"); /* not one without an authority */
    ck_assert_int_eq(flink_tls_get(t, "ns", &all, &err), 0);
    ck_assert_int_eq(flink_tls_get(t, "team-a", &own, &err), 0);
    ck_assert(all && own && all != own);
    ck_assert_int_eq(flink_tls_get(t, "ns", &again, &err), 0);
    ck_assert_ptr_eq(all, again); /* it is not read for each call */
    ck_assert_ptr_nonnull(strstr(said(t, "team-a", &err), "/team-a/ca.crt"));
    ck_assert_ptr_null(strstr(said(t, "team-b", &err), "/team-b/ca.crt"));
    ck_assert_ptr_nonnull(strstr(said(t, "team-b", &err), "/ca.crt"));
    flink_tls_free(t);
}
END_TEST

START_TEST(a_certificate_needs_its_key)
{
    struct flink_tls *t = flink_tls_new(loop, dir);
    struct http_tls *tls = NULL;
    struct error err = {0};

    put("team-a", "ca.crt");
    put("team-a", "tls.crt");
    ck_assert_int_eq(flink_tls_get(t, "team-a", &tls, &err), -1);
    assert_error(&err, ERR_UNREACHABLE, "/team-a/tls.key");
    ck_assert_ptr_nonnull(strstr(err.text, "--flink-tls"));
    ck_assert_int_eq(flink_tls_get(t, "ns", &tls, &err), 0); /* others are not concerned */
    flink_tls_free(t);
}
END_TEST

START_TEST(who_asks_for_a_certificate_is_told_from_who_refuses_it)
{
    static const char alert[] = "connection broke: tlsv13 alert certificate required";
    struct flink_tls *t = flink_tls_new(loop, dir);
    struct error err;

    scratch_write(dir, "ca.crt", "pem");
    put("team-a", "ca.crt");
    put("team-a", "tls.crt");
    put("team-a", "tls.key");
    error_set(&err, ERR_SERVER, alert);
    flink_tls_explain(t, "ns", "demo", &err);
    ck_assert_ptr_nonnull(strstr(err.text, "Flink asks for a client's certificate"));
    error_set(&err, ERR_SERVER, alert);
    flink_tls_explain(t, "team-a", "demo", &err);
    ck_assert_ptr_nonnull(strstr(err.text, "Flink does not accept the certificate in"));
    error_set(&err, ERR_SERVER, "something else");
    flink_tls_explain(t, "team-a", "demo", &err);
    ck_assert_str_eq(err.text, "something else");
    flink_tls_free(t);
}
END_TEST

START_TEST(names_are_those_of_the_rest_service)
{
    struct flink_tls_names names;

    flink_tls_names(&names, "ns", "demo");
    ck_assert_str_eq(names.list[0], "demo-rest");
    ck_assert_str_eq(names.list[1], "demo-rest.ns");
    ck_assert_str_eq(names.list[2], "demo-rest.ns.svc");
    ck_assert_str_eq(names.list[3], "demo-rest.ns.svc.cluster.local");
    ck_assert_ptr_null(names.list[4]);
    flink_tls_names_release(&names);
}
END_TEST

void suite_flink_tls(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(without_a_folder_the_system_is_trusted);
    T(the_folder_of_a_namespace_comes_first);
    T(a_certificate_needs_its_key);
    T(who_asks_for_a_certificate_is_told_from_who_refuses_it);
    T(names_are_those_of_the_rest_service);
}
