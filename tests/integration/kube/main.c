/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/log.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "it.h"
#include "unit/fake_server.h"

struct it it;

void it_setup(void)
{
    struct error err = {0};

    it.loop = loop_new();
    it.ns = getenv("IT_NS");
    it.dir = getenv("IT_DIR");
    it.token = getenv("IT_TOKEN");
    it.bed = str_or_empty(getenv("IT_BED"));
    it.config = kube_config_load(it.loop, &(struct kube_config_options){0}, &err);
    if (!it.config)
        ck_abort_msg("%s", err.text);
    it.client = kube_client_new(it.loop, it.config);
    it.server = kube_config_server(it.config);
}

void it_teardown(void)
{
    kube_client_free(it.client);
    kube_config_free(it.config);
    loop_free(it.loop);
    metrics_release();
}

/* ---- waiting ---- */

struct wait {
    bool (*cond)(void *arg);
    void *arg;
    struct timer *tick, *end;
    bool met;
};

static void wait_tick(void *arg)
{
    struct wait *w = arg;

    w->met = w->cond && w->cond(w->arg);
    if (w->met)
        loop_stop(it.loop);
    else
        timer_start(w->tick, 5);
}

bool it_until(bool (*cond)(void *arg), void *arg, int ms)
{
    struct wait w = {.cond = cond, .arg = arg};

    w.tick = timer_new(it.loop, wait_tick, &w);
    w.end = timer_new(it.loop, (loop_fn)loop_stop, it.loop);
    timer_start(w.tick, 0);
    timer_start(w.end, ms);
    loop_run(it.loop);
    timer_free(w.tick);
    timer_free(w.end);
    return w.met;
}

void it_sleep(int ms)
{
    it_until(NULL, NULL, ms);
}

/* ---- calls ---- */

struct call {
    char *text;
    struct error err;
};

static void on_done(void *arg, const struct kube_reply *reply)
{
    struct call *c = arg;

    c->text = xcalloc(reply->len + 1, 1);
    memcpy(c->text, reply->text, reply->len);
    c->err = *reply->err;
    ck_assert(reply->err->code || reply->object.type != JV_ABSENT || !reply->len);
    loop_stop(it.loop);
}

char *it_call(struct kube_client *client, struct kube_call call, struct error *ret_err)
{
    struct call c = {0};

    kube_send(client ? client : it.client, &call, on_done, &c);
    loop_run(it.loop);
    if (ret_err)
        *ret_err = c.err;
    else if (c.err.code)
        ck_abort_msg("%s", c.err.text);
    return c.text;
}

char *it_string(const char *text, const char *path)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    jv v;

    if (json_parse(&a, text, strlen(text), &v, &err))
        ck_abort_msg("%s: %s", err.text, text);
    char **keys = str_split(&a, path, '.', NULL);

    return xstrdup(str_or_empty(jv_scalar_text(&a, jv_path(v, (const char *const *)keys))));
}

char *it_configmap(const char *name, const char *value)
{
    return xasprintf("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\","
                     "\"labels\":{\"it\":\"yes\"}},\"data\":{\"v\":\"%s\"}}",
                     name, value);
}

void it_apply(const char *name, const char *value)
{
    cleanup_free char *body = it_configmap(name, value);

    free(it_call(
        NULL,
        (struct kube_call){
            .verb = KUBE_APPLY, .kind = KIND_CONFIGMAP, .ns = it.ns, .name = name, .body = body},
        NULL));
}

void it_delete(const char *name)
{
    struct error err;

    free(it_call(
        NULL,
        (struct kube_call){.verb = KUBE_DELETE, .kind = KIND_CONFIGMAP, .ns = it.ns, .name = name},
        &err));
    ck_assert(!err.code || err.code == ERR_NOT_FOUND);
}

/* ---- files and commands ---- */

void it_shell(const char *fmt, ...)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(65536);
    va_list ap;

    va_start(ap, fmt);
    strbuf_vaddf(&sb, fmt, ap);
    va_end(ap);
    if (system(sb.buf))
        ck_abort_msg("failed: %s", sb.buf);
}

char *it_write(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", it.dir, name);
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    return path;
}

/* The authority comes from our own kubeconfig, by kubectl's rules read once more as text. */
struct kube_config *it_config(const char *server, const char *user, struct error *err)
{
    const char *own = getenv("KUBECONFIG");

    it_shell("sed -n 's/.*certificate-authority-data: *\\([A-Za-z0-9+/=]*\\).*/\\1/p' %s | head -1 "
             ">%s/ca.b64",
             own, it.dir);
    it_shell("printf 'current-context: c\\ncontexts: [{name: c, context: {cluster: k, user: u}}]\\n"
             "clusters: [{name: k, cluster: {server: \"%s\", certificate-authority-data: '\"$(cat "
             "%s/ca.b64)\"'}}]\\n' >%s/config",
             server, it.dir, it.dir);
    cleanup_free char *users = xasprintf("users: [{name: u, user: {%s}}]\n", user);
    cleanup_free char *users_file = it_write("users", users);

    it_shell("cat %s >>%s/config", users_file, it.dir);
    cleanup_free char *path = xasprintf("%s/config", it.dir);

    return kube_config_load(it.loop, &(struct kube_config_options){.kubeconfig = path}, err);
}

/* A stand-in for Flink behind a Service: tells how long a body was, or gives a long one. */
static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    static char block[1 << 20];
    char text[32];

    (void)arg;
    if (strcmp(r->target, "/download") != 0) {
        snprintf(text, sizeof(text), "%zu", r->len);
        fake_answer(c, 200, "", text);
        return;
    }
    fake_begin(c, "");
    for (int i = 0; i < 50; i++)
        fake_chunk(c, block, sizeof(block));
    fake_end(c);
}

static int run_server(const char *address, const char *port)
{
    struct loop *loop = loop_new();

    fake_new_at(loop, address, atoi(port), serve, NULL);
    loop_run(loop);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--serve"))
        return run_server(argv[2], argv[3]);
    static const struct {
        const char *name;
        void (*add)(TCase *tc);
    } suites[] = {{"calls", suite_calls}, {"watch", suite_watch}};
    SRunner *runner = srunner_create(NULL);

    log_setup(LOG_WARN, LOG_TEXT);
    for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
        Suite *s = suite_create(suites[i].name);
        TCase *tc = tcase_create(suites[i].name);

        tcase_set_timeout(tc, 300);
        tcase_add_checked_fixture(tc, it_setup, it_teardown);
        suites[i].add(tc);
        suite_add_tcase(s, tc);
        srunner_add_suite(runner, s);
    }
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);

    srunner_free(runner);
    printf("%d passed, %d failed\n", run - failed, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
