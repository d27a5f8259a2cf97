/* SPDX-License-Identifier: Apache-2.0 */
/* The watch against a real API server that is cut off, restarted and made to forget. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/clock.h"
#include "flinkop/kube_watch.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/strmap.h"
#include "it.h"
#include "relay.h"

/* A receiver as it should be: mark and sweep. */
static struct {
    struct kube_watch *watch;
    struct strmap objects; /* name -> struct seen */
    unsigned round;
    int lists, troubles, events;
    bool in_trouble;
} w;

struct seen {
    unsigned round;
    char value[32];
};

static void list_begin(void *arg)
{
    (void)arg;
    w.round++;
    w.lists++;
}

static void object(void *arg, jv o, bool initial)
{
    const char *name = JV_STRING(o, "metadata", "name");
    struct seen *s = strmap_get(&w.objects, name);

    (void)arg;
    ck_assert_ptr_nonnull(name);
    if (!s) {
        s = xcalloc(1, sizeof(*s));
        strmap_put(&w.objects, name, s);
    }
    s->round = w.round;
    snprintf(s->value, sizeof(s->value), "%s", str_or_empty(JV_STRING(o, "data", "v")));
    w.events += !initial;
}

static void deleted(void *arg, jv o)
{
    (void)arg;
    free(strmap_remove(&w.objects, JV_STRING(o, "metadata", "name")));
    w.events++;
}

static void list_end(void *arg, const char *resource_version)
{
    struct strmap_entry *e;

    (void)arg;
    (void)resource_version;
    strmap_foreach (e, &w.objects) {
        struct seen *s = e->value;

        if (s->round != w.round) {
            strmap_remove(&w.objects, e->key);
            free(s);
        }
    }
}

static void trouble(void *arg, bool in_trouble, const struct error *err)
{
    (void)arg;
    (void)err;
    w.troubles += in_trouble;
    w.in_trouble = in_trouble;
}

static const struct kube_watch_sink sink = {list_begin, object, deleted, list_end, trouble, NULL};

static bool synced(void *arg)
{
    (void)arg;
    return kube_watch_synced(w.watch);
}

static void start_watch(struct kube_client *c, struct kube_watch_spec spec)
{
    memset(&w, 0, sizeof(w));
    spec.kind = KIND_CONFIGMAP;
    spec.ns = it.ns;
    spec.label_selector = "it=yes";
    spec.page_size = 2;
    w.watch = kube_watch_start(c, &spec, &sink);
    ck_assert(it_until(synced, NULL, 20000));
}

static void stop_watch(void)
{
    struct strmap_entry *e;

    kube_watch_stop(w.watch);
    strmap_foreach (e, &w.objects)
        free(e->value);
    strmap_release(&w.objects);
}

struct expected {
    const char *name, *value; /* value NULL: not there */
};

static bool has(void *arg)
{
    const struct expected *x = arg;
    const struct seen *s = strmap_get(&w.objects, x->name);

    return x->value ? s && !strcmp(s->value, x->value) : !s;
}

static void must_see(const char *name, const char *value, int ms)
{
    struct expected x = {name, value};

    if (!it_until(has, &x, ms))
        ck_abort_msg("%s=%s was not seen within %d ms", name, str_or(value, "(gone)"), ms);
}

START_TEST(a_watch_follows)
{
    it_apply("it-w1", "1");
    it_apply("it-w2", "1");
    it_apply("it-w3", "1");
    start_watch(it.client, (struct kube_watch_spec){0});
    must_see("it-w1", "1", 100);
    must_see("it-w3", "1", 100);
    it_apply("it-w1", "2");
    must_see("it-w1", "2", 3000);
    it_delete("it-w2");
    must_see("it-w2", NULL, 3000);
    it_apply("it-w4", "new");
    must_see("it-w4", "new", 3000);
    ck_assert_int_eq(w.lists, 1);
    ck_assert_int_eq(w.troubles, 0);
    stop_watch();
}
END_TEST

START_TEST(metadata_alone_is_enough)
{
    it_apply("it-w1", "1");
    start_watch(it.client, (struct kube_watch_spec){.metadata_only = true});
    must_see("it-w1", "", 100); /* no data */
    it_apply("it-w1", "2");
    it_apply("it-w5", "2");
    must_see("it-w5", "", 3000);
    it_delete("it-w5");
    must_see("it-w5", NULL, 3000);
    stop_watch();
}
END_TEST

static bool byte_since(void *arg)
{
    return kube_watch_last_byte(w.watch) > *(int64_t *)arg;
}

START_TEST(bookmarks_come_in_a_quiet_minute)
{
    start_watch(it.client, (struct kube_watch_spec){0});
    it_apply("it-w1", "x"); /* a server that has seen no event yet sends no bookmarks either */
    it_apply("it-w1", "last");
    must_see("it-w1", "last", 3000);
    it_sleep(1500);
    int64_t quiet = loop_now(it.loop);
    int events = w.events;

    ck_assert(it_until(byte_since, &quiet, 100000));
    ck_assert_int_eq(w.events, events);
    ck_assert_int_eq(w.lists, 1);
    stop_watch();
}
END_TEST

/* Watches through a relay, so that it can be cut off while we go on. */
static struct relay *relay;
static struct kube_config *relay_config;
static struct kube_client *relay_client;

static void start_relayed(void)
{
    cleanup_free char *user = xasprintf("token: %s", it.token);
    struct error err = {0};

    relay = relay_new(it.loop, it.server);
    relay_config = it_config(relay_url(relay), user, &err);
    if (!relay_config)
        ck_abort_msg("%s", err.text);
    relay_client = kube_client_new(it.loop, relay_config);
    start_watch(relay_client, (struct kube_watch_spec){.time_scale = 0.2});
}

static void stop_relayed(void)
{
    stop_watch();
    kube_client_free(relay_client);
    kube_config_free(relay_config);
    relay_free(relay);
}

START_TEST(what_happened_while_cut_off_is_seen_without_a_list)
{
    it_apply("it-w1", "before");
    it_apply("it-w2", "before");
    start_relayed();
    relay_cut(relay, true);
    it_apply("it-w1", "meanwhile");
    it_delete("it-w2");
    it_apply("it-w6", "meanwhile");
    it_sleep(1500);
    ck_assert(w.in_trouble);
    must_see("it-w1", "before", 10);
    relay_cut(relay, false);
    must_see("it-w1", "meanwhile", 20000);
    must_see("it-w2", NULL, 3000);
    must_see("it-w6", "meanwhile", 3000);
    ck_assert(!w.in_trouble);
    ck_assert_int_eq(w.lists, 1);
    stop_relayed();
}
END_TEST

START_TEST(a_restarted_server_is_followed_on)
{
    if (!*it.bed)
        return;
    it_apply("it-w1", "before");
    start_watch(it.client, (struct kube_watch_spec){.time_scale = 0.2});
    it_shell("%s ctl restart apiserver >&2", it.bed);
    it_apply("it-w1", "after");
    it_apply("it-w7", "after");
    must_see("it-w1", "after", 30000);
    must_see("it-w7", "after", 3000);
    it_delete("it-w7");
    must_see("it-w7", NULL, 3000);
    printf("after a restart of the API server: %d list(s)\n", w.lists);
    stop_watch();
}
END_TEST

START_TEST(a_server_that_forgot_is_listed_again)
{
    if (!*it.bed)
        return;
    it_apply("it-w1", "before");
    it_apply("it-w2", "before");
    start_relayed();
    relay_cut(relay, true);
    it_apply("it-w1", "meanwhile");
    it_delete("it-w2");
    it_shell("%s compact >&2 && %s ctl restart apiserver >&2", it.bed, it.bed);
    it_apply("it-w8", "meanwhile");
    relay_cut(relay, false);
    must_see("it-w1", "meanwhile", 30000);
    must_see("it-w2", NULL, 3000);
    must_see("it-w8", "meanwhile", 3000);
    ck_assert_int_eq(w.lists, 2);
    it_apply("it-w8", "on");
    must_see("it-w8", "on", 3000);
    stop_relayed();
}
END_TEST

START_TEST(a_half_open_connection_is_found)
{
    if (!getenv("IT_FULL"))
        return;
    it_apply("it-w1", "before");
    start_relayed(); /* its stall limit is 150 s / 5 */
    relay_freeze(relay, true);
    it_apply("it-w1", "meanwhile");
    it_sleep(500);
    must_see("it-w1", "before", 10);
    relay_freeze(relay, false);
    /* what was on its way is lost, and TCP does not know; only the stall watchdog does */
    must_see("it-w1", "meanwhile", 35000);
    stop_relayed();
}
END_TEST

START_TEST(calls_fail_and_recover_with_the_server)
{
    struct error err, second;
    const struct kube_call list = {.verb = KUBE_LIST, .kind = KIND_CONFIGMAP, .ns = it.ns};

    if (!*it.bed)
        return;
    free(it_call(NULL, list, NULL)); /* leaves a connection in the pool */
    it_shell("%s ctl stop apiserver >&2", it.bed);
    free(it_call(NULL, list, &err)); /* may have gone out on the kept connection */
    free(it_call(NULL, list, &second));
    it_shell("%s ctl start apiserver >&2", it.bed);
    ck_assert(err.code == ERR_UNREACHABLE || err.code == ERR_SERVER);
    ck_assert_int_eq(second.code, ERR_UNREACHABLE);
    free(it_call(NULL, list, NULL));
}
END_TEST

void suite_watch(TCase *tc)
{
    tcase_add_test(tc, a_watch_follows);
    tcase_add_test(tc, metadata_alone_is_enough);
    tcase_add_test(tc, what_happened_while_cut_off_is_seen_without_a_list);
    tcase_add_test(tc, a_restarted_server_is_followed_on);
    tcase_add_test(tc, a_server_that_forgot_is_listed_again);
    tcase_add_test(tc, calls_fail_and_recover_with_the_server);
    tcase_add_test(tc, bookmarks_come_in_a_quiet_minute);
    tcase_add_test(tc, a_half_open_connection_is_found);
}
