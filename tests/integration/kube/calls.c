/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to a real API server: what it says is what src/kube makes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "flinkop/http.h"
#include "flinkop/kube_events.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "it.h"

static void assert_code(const struct error *err, enum errc code, const char *reason,
                        const char *words)
{
    if (err->code != code || strcmp(err->reason, reason) != 0 || !strstr(err->text, words))
        ck_abort_msg("%s (%s): %s", errc_name(err->code), err->reason, err->text);
}

static struct kube_call on(enum kube_verb verb, const char *name, const char *body)
{
    return (struct kube_call){
        .verb = verb, .kind = KIND_CONFIGMAP, .ns = it.ns, .name = name, .body = body};
}

START_TEST(objects_are_made_changed_and_deleted)
{
    cleanup_free char *one = it_configmap("it-a", "1"), *two = it_configmap("it-a", "2");
    struct error err;

    it_delete("it-a");
    free(it_call(NULL, on(KUBE_GET, "it-a", NULL), &err));
    assert_code(&err, ERR_NOT_FOUND, "NotFound", "configmaps \"it-a\" not found");
    free(it_call(NULL, on(KUBE_CREATE, NULL, one), NULL));
    free(it_call(NULL, on(KUBE_CREATE, NULL, one), &err));
    assert_code(&err, ERR_EXISTS, "AlreadyExists", "already exists");
    cleanup_free char *applied = it_call(NULL, on(KUBE_APPLY, "it-a", two), NULL);
    cleanup_free char *value = it_string(applied, "data.v");
    cleanup_free char *rv = it_string(applied, "metadata.resourceVersion");
    ck_assert_str_eq(value, "2");

    /* an apply that changes nothing is no write */
    cleanup_free char *again = it_call(NULL, on(KUBE_APPLY, "it-a", two), NULL);
    cleanup_free char *rv_again = it_string(again, "metadata.resourceVersion");
    ck_assert_str_eq(rv_again, rv);

    free(it_call(NULL,
                 on(KUBE_APPLY, "it-a",
                    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
                    "\"data\":{\"v\":[]}}"),
                 &err));
    ck_assert(err.code == ERR_INVALID || err.code == ERR_SERVER);
}
END_TEST

START_TEST(a_patch_may_be_conditional)
{
    it_apply("it-b", "1");
    cleanup_free char *old = it_call(NULL, on(KUBE_GET, "it-b", NULL), NULL);
    cleanup_free char *rv = it_string(old, "metadata.resourceVersion");
    cleanup_free char *patch =
        xasprintf("{\"metadata\":{\"resourceVersion\":\"%s\"},\"data\":{\"v\":\"patched\"}}", rv);
    cleanup_free char *stale =
        xasprintf("{\"metadata\":{\"resourceVersion\":\"%s\"},\"data\":{\"v\":\"stale\"}}", rv);
    struct error err;

    cleanup_free char *patched = it_call(NULL, on(KUBE_MERGE_PATCH, "it-b", patch), NULL);
    cleanup_free char *value = it_string(patched, "data.v");
    ck_assert_str_eq(value, "patched");
    free(it_call(NULL, on(KUBE_MERGE_PATCH, "it-b", stale), &err));
    assert_code(&err, ERR_CONFLICT, "Conflict", "patch ConfigMap flinkop-it-kube/it-b: ");
    ck_assert_int_eq(err.http, 409);
}
END_TEST

START_TEST(a_delete_may_be_conditional)
{
    struct error err;

    it_apply("it-c", "1");
    cleanup_free char *text = it_call(NULL, on(KUBE_GET, "it-c", NULL), NULL);
    cleanup_free char *uid = it_string(text, "metadata.uid");
    struct kube_call call = on(KUBE_DELETE, "it-c", NULL);

    call.uid = "11111111-2222-3333-4444-555555555555";
    free(it_call(NULL, call, &err));
    assert_code(&err, ERR_CONFLICT, "Conflict", "recondition");
    call.uid = uid;
    free(it_call(NULL, call, NULL));
    free(it_call(NULL, call, &err));
    assert_code(&err, ERR_NOT_FOUND, "NotFound", "not found");
}
END_TEST

static void make_family(void)
{
    it_delete("it-parent");
    it_delete("it-child");
    it_apply("it-parent", "1");
    cleanup_free char *parent = it_call(NULL, on(KUBE_GET, "it-parent", NULL), NULL);
    cleanup_free char *uid = it_string(parent, "metadata.uid");
    cleanup_free char *child = xasprintf(
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"it-child\","
        "\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"it-parent\","
        "\"uid\":\"%s\",\"blockOwnerDeletion\":true}]}}",
        uid);

    free(it_call(NULL, on(KUBE_CREATE, NULL, child), NULL));
}

/* Polls with real calls, because it_until's loop cannot run a call inside. */
static bool gone_within(const char *name, int ms)
{
    for (; ms > 0; ms -= 100) {
        struct error err;

        free(it_call(NULL, on(KUBE_GET, name, NULL), &err));
        if (err.code == ERR_NOT_FOUND)
            return true;
        it_sleep(100);
    }
    return false;
}

START_TEST(deletion_propagates_as_asked)
{
    struct kube_call call = on(KUBE_DELETE, "it-parent", NULL);

    make_family();
    call.propagation = "Orphan";
    free(it_call(NULL, call, NULL));
    ck_assert(gone_within("it-parent", 20000));
    it_sleep(500);
    free(it_call(NULL, on(KUBE_GET, "it-child", NULL), NULL));

    make_family();
    call.propagation = "Background";
    free(it_call(NULL, call, NULL));
    ck_assert(gone_within("it-child", 30000));

    make_family();
    call.propagation = "Foreground";
    cleanup_free char *parent = it_call(NULL, call, NULL);
    cleanup_free char *stamp = it_string(parent, "metadata.deletionTimestamp");
    ck_assert_str_ne(stamp, ""); /* it waits for its child */
    ck_assert(gone_within("it-parent", 30000));
    ck_assert(gone_within("it-child", 100));
}
END_TEST

START_TEST(lists_come_in_pages)
{
    struct kube_call call = on(KUBE_LIST, NULL, NULL);
    char name[32];
    int pages = 0;
    cleanup_free char *token = xstrdup("");
    struct error err;

    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "it-page-%d", i);
        it_apply(name, "x");
    }
    call.limit = 2;
    call.label_selector = "it=yes";
    do {
        call.continue_token = token;
        cleanup_free char *page = it_call(NULL, call, NULL);

        free(token);
        token = it_string(page, "metadata.continue");
        pages++;
    } while (*token);
    ck_assert_int_ge(pages, 3);
    call.continue_token = "nonsense";
    free(it_call(NULL, call, &err));
    ck_assert_int_eq(err.code, ERR_INVALID);
    call.continue_token = NULL;
    call.field_selector = "metadata.name=it-page-3";
    cleanup_free char *one = it_call(NULL, call, NULL);
    ck_assert_ptr_nonnull(strstr(one, "it-page-3"));
    ck_assert_ptr_null(strstr(one, "it-page-2"));
}
END_TEST

START_TEST(events_are_counted)
{
    struct kube_events *events = kube_events_new(it.client);
    const struct kube_event ev = {.kind = KIND_CONFIGMAP,
                                  .ns = it.ns,
                                  .name = "it-a",
                                  .uid = "u-1",
                                  .reason = "Submit",
                                  .message = "said \"several\" times",
                                  .component = "Operator"};
    struct kube_call list = {.verb = KUBE_LIST,
                             .kind = KIND_EVENT,
                             .ns = it.ns,
                             .field_selector = "involvedObject.name=it-a,reason=Submit"};

    /* the second recorder stands for an operator that was restarted */
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 3; k++) {
            kube_events_emit(events, &ev);
            it_sleep(300);
        }
        kube_events_free(events);
        events = kube_events_new(it.client);
    }
    kube_events_free(events);
    cleanup_free char *text = it_call(NULL, list, NULL);

    ck_assert_ptr_nonnull(strstr(text, "\"count\":6"));
    ck_assert_ptr_null(strstr(strstr(text, "\"count\":6") + 1, "\"count\":"));
}
END_TEST

/* ---- who we are ---- */

static struct kube_client *client_of(const char *user, struct kube_config **ret)
{
    struct error err = {0};

    *ret = it_config(it.server, user, &err);
    if (!*ret)
        ck_abort_msg("%s", err.text);
    return kube_client_new(it.loop, *ret);
}

static void free_client(struct kube_client *c, struct kube_config *config)
{
    kube_client_free(c);
    kube_config_free(config);
}

START_TEST(what_is_not_allowed_is_forbidden)
{
    cleanup_free char *user = xasprintf("token: %s", it.token);
    struct kube_config *config;
    struct kube_client *c = client_of(user, &config);
    struct error err;

    free(it_call(c, on(KUBE_LIST, NULL, NULL), NULL));
    free(it_call(c, (struct kube_call){.verb = KUBE_LIST, .kind = KIND_POD, .ns = it.ns}, &err));
    assert_code(&err, ERR_FORBIDDEN, "Forbidden", "list Pod flinkop-it-kube: pods is forbidden");
    ck_assert_ptr_null(strstr(err.text, it.token));
    free_client(c, config);
}
END_TEST

START_TEST(a_rotated_token_is_read_again)
{
    cleanup_free char *path = it_write("token", "not-a-token");
    struct kube_config *config;
    struct kube_client *c = client_of("tokenFile: token", &config);
    struct error err;

    free(it_call(c, on(KUBE_LIST, NULL, NULL), &err));
    assert_code(&err, ERR_UNAUTHORIZED, "Unauthorized", "Unauthorized");
    free(it_write("token", it.token));
    uint64_t before = kube_client_sent(c);

    free(it_call(c, on(KUBE_LIST, NULL, NULL), NULL));
    ck_assert_uint_eq(kube_client_sent(c), before + 1); /* the 401 had asked for it */
    free_client(c, config);
}
END_TEST

START_TEST(an_exec_plugin_lets_us_in)
{
    cleanup_free char *script =
        xasprintf("#!/bin/sh\necho '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client."
                  "authentication.k8s.io/v1\",\"status\":{\"token\":\"%s\"}}'\n",
                  it.token);
    cleanup_free char *path = it_write("plugin", script);
    struct kube_config *config;

    chmod(path, 0700);
    struct kube_client *c =
        client_of("exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, "
                  "interactiveMode: Never}",
                  &config);

    free(it_call(c, on(KUBE_LIST, NULL, NULL), NULL));
    free_client(c, config);
}
END_TEST

START_TEST(client_certificates_work_from_files)
{
    const char *own = getenv("KUBECONFIG");
    struct kube_config *config;

    if (!*it.bed)
        return;
    for (int i = 0; i < 2; i++)
        it_shell("sed -n 's/.*client-%s-data: *\\([A-Za-z0-9+/=]*\\).*/\\1/p' %s | base64 -d "
                 ">%s/client.%s",
                 i ? "key" : "certificate", own, it.dir, i ? "key" : "crt");
    struct kube_client *c =
        client_of("client-certificate: client.crt, client-key: client.key", &config);

    free(it_call(c, on(KUBE_LIST, NULL, NULL), NULL));
    free_client(c, config);
}
END_TEST

START_TEST(a_wrong_authority_is_unreachable)
{
    struct error err = {0};
    cleanup_free char *text =
        xasprintf("current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n"
                  "clusters: [{name: k, cluster: {server: '%s'}}]\n",
                  it.server);
    cleanup_free char *path = it_write("other", text);
    struct kube_config *config =
        kube_config_load(it.loop, &(struct kube_config_options){.kubeconfig = path}, &err);
    struct kube_client *c = kube_client_new(it.loop, config);

    free(it_call(c, on(KUBE_LIST, NULL, NULL), &err));
    assert_code(&err, ERR_UNREACHABLE, HTTP_UNTRUSTED, "certificate");
    free_client(c, config);
}
END_TEST

/* ---- through the proxy ---- */

struct proxied {
    struct error err;
    int status, heads, waits;
    struct strbuf body;
    size_t streamed, left;
    struct kube_http *http;
    struct timer *later;
    bool done;
};

static void proxied_done(void *arg, const struct http_response *res, const struct error *err)
{
    struct proxied *p = arg;

    p->err = *err;
    p->status = res ? res->status : 0;
    if (res)
        strbuf_add(&p->body, res->body, res->len);
    p->done = true;
    loop_stop(it.loop);
}

static struct proxied proxied(struct http_request req, const char *service)
{
    struct proxied p = {0};
    struct error err = {0};

    strbuf_init(&p.body, 1 << 20);
    req.on_done = proxied_done;
    req.arg = &p;
    if (!kube_proxy_send(it.client, KIND_SERVICE, it.ns, service, &req, &err))
        ck_abort_msg("%s", err.text);
    loop_run(it.loop);
    return p;
}

START_TEST(a_service_without_pods_is_a_503)
{
    it_shell("${IT_KUBECTL} apply -f - >/dev/null <<END\n"
             "{apiVersion: v1, kind: Service, metadata: {name: it-nobody, namespace: %s}, "
             "spec: {selector: {nobody: x}, ports: [{port: 8081}]}}\nEND",
             it.ns);
    struct proxied p =
        proxied((struct http_request){.method = "GET", .url = "/", .timeout_ms = 9000},
                "http:it-nobody:8081");

    ck_assert_int_eq(p.err.code, ERR_NONE);
    ck_assert_int_eq(p.status, 503);
    ck_assert_ptr_nonnull(strstr(p.body.buf, "no endpoints available"));
    strbuf_release(&p.body);
}
END_TEST

static void resume(void *arg)
{
    struct proxied *p = arg;

    kube_http_resume(p->http);
}

static bool wait_sometimes(struct proxied *p)
{
    if (++p->waits % 50)
        return false;
    timer_start(p->later, 2);
    return true;
}

static ssize_t upload(void *arg, char *buf, size_t n)
{
    struct proxied *p = arg;

    if (wait_sometimes(p))
        return HTTP_WAIT;
    n = MIN(n, p->left);
    memset(buf, 'j', n);
    p->left -= n;
    return (ssize_t)n;
}

static ssize_t download(void *arg, const char *data, size_t n)
{
    struct proxied *p = arg;

    (void)data;
    if (wait_sometimes(p))
        return HTTP_WAIT;
    p->streamed += n;
    return (ssize_t)n;
}

#define UPLOAD ((size_t)50 << 20)
#define DOWNLOAD ((size_t)50 << 20)

START_TEST(files_stream_both_ways_through_the_proxy)
{
    struct proxied p = {.left = UPLOAD};
    struct http_part part = {"jarfile", "a.jar", "application/java-archive", upload, &p, UPLOAD};
    struct error err = {0};

    if (!getenv("IT_SERVICE"))
        return;
    strbuf_init(&p.body, 1 << 20);
    p.later = timer_new(it.loop, resume, &p);
    struct http_request req = {.method = "POST",
                               .url = "/upload",
                               .part = &part,
                               .timeout_ms = 60000,
                               .on_done = proxied_done,
                               .arg = &p};

    p.http = kube_proxy_send(it.client, KIND_SERVICE, it.ns, getenv("IT_SERVICE"), &req, &err);
    loop_run(it.loop);
    ck_assert_str_eq(p.err.text, "");
    if (p.status != 200)
        ck_abort_msg("%d: %s", p.status, p.body.buf);
    ck_assert_int_gt(atoi(p.body.buf), (int)UPLOAD);
    req = (struct http_request){.method = "GET",
                                .url = "/download",
                                .timeout_ms = 60000,
                                .on_data = download,
                                .on_done = proxied_done,
                                .arg = &p};
    p.http = kube_proxy_send(it.client, KIND_SERVICE, it.ns, getenv("IT_SERVICE"), &req, &err);
    loop_run(it.loop);
    ck_assert_str_eq(p.err.text, "");
    ck_assert_uint_eq(p.streamed, DOWNLOAD);
    timer_free(p.later);
    strbuf_release(&p.body);
}
END_TEST

void suite_calls(TCase *tc)
{
    tcase_add_test(tc, objects_are_made_changed_and_deleted);
    tcase_add_test(tc, a_patch_may_be_conditional);
    tcase_add_test(tc, a_delete_may_be_conditional);
    tcase_add_test(tc, deletion_propagates_as_asked);
    tcase_add_test(tc, lists_come_in_pages);
    tcase_add_test(tc, events_are_counted);
    tcase_add_test(tc, what_is_not_allowed_is_forbidden);
    tcase_add_test(tc, a_rotated_token_is_read_again);
    tcase_add_test(tc, an_exec_plugin_lets_us_in);
    tcase_add_test(tc, client_certificates_work_from_files);
    tcase_add_test(tc, a_wrong_authority_is_unreachable);
    tcase_add_test(tc, a_service_without_pods_is_a_503);
    tcase_add_test(tc, files_stream_both_ways_through_the_proxy);
}
