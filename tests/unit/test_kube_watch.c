/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_server.h"
#include "flinkop/clock.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_watch.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

/* What the server does with one request after the other. */
struct step {
    const char *expect; /* stands in the request's target … */
    const char *refuse; /* … and this does not */
    int status;         /* 0: 200 */
    const char *headers;
    const char *body; /* a list, or the lines of a watch; ' for " */
    enum { END, CUT, RESET, HANG } then;
};

static struct {
    struct loop *loop;
    struct fake_server *server;
    struct kube_config *config;
    struct kube_client *client;
    struct kube_watch *watch;
    struct timer *guard, *later;
    const struct step *steps;
    size_t n, next;
    struct strbuf log; /* what the sink was told */
    const char *stop_at;
    int64_t at[64];        /* when the requests came */
    char list_version[32]; /* of the last list */
    char dir[SCRATCH_ROOM];
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time; step %zu, log: %s", t.next, t.log.buf);
}

static char *quoted(const char *text)
{
    char *copy = xstrdup(str_or_empty(text));

    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return copy;
}

static void serve(void *arg, struct fake_conn *c, const struct fake_request *r)
{
    const struct step *s = &t.steps[t.next];

    (void)arg;
    if (t.next < ARRAY_SIZE(t.at))
        t.at[t.next] = clock_mono_ms();
    if (t.next == t.n) { /* the story is told */
        loop_stop(t.loop);
        return;
    }
    t.next++;
    if (!strstr(r->target, s->expect) || (s->refuse && strstr(r->target, s->refuse)))
        ck_abort_msg("step %zu wants %s without %s, not %s", t.next, s->expect,
                     str_or(s->refuse, "-"), r->target);
    cleanup_free char *body = quoted(s->body);

    if (s->status && s->status != 200) {
        fake_answer(c, s->status, str_or_empty(s->headers), body);
    } else if (s->then == END && !strstr(r->target, "watch=true")) {
        fake_answer(c, 200, "Content-Type: application/json\r\n", body);
    } else {
        fake_begin(c, "Content-Type: application/json\r\n");
        if (*body)
            fake_chunk(c, body, strlen(body));
        if (s->then == END)
            fake_end(c);
        else if (s->then == CUT)
            fake_close(c);
        else if (s->then == RESET)
            fake_reset(c);
    }
}

static void note(const char *fmt, ...) PRINTF(1, 2);
static void note(const char *fmt, ...)
{
    va_list ap;
    size_t before = t.log.len;

    va_start(ap, fmt);
    strbuf_vaddf(&t.log, fmt, ap);
    va_end(ap);
    strbuf_addc(&t.log, ' ');
    if (t.stop_at && !strncmp(t.log.buf + before, t.stop_at, strlen(t.stop_at))) {
        kube_watch_stop(t.watch);
        kube_watch_stop(NULL);
        t.watch = NULL;
        loop_defer(t.loop, NULL, (loop_fn)loop_stop, t.loop);
    }
}

static void list_begin(void *arg)
{
    (void)arg;
    note("begin");
}

static void object(void *arg, jv o, bool initial)
{
    (void)arg;
    note("%s=%s%s", JV_STRING(o, "metadata", "name"), str_or(JV_STRING(o, "data"), "-"),
         initial ? "*" : "");
}

static void deleted(void *arg, jv o)
{
    (void)arg;
    note("-%s", JV_STRING(o, "metadata", "name"));
}

static void list_end(void *arg, const char *resource_version)
{
    (void)arg;
    snprintf(t.list_version, sizeof(t.list_version), "%s", resource_version);
    note("end");
}

static void trouble(void *arg, bool in_trouble, const struct error *err)
{
    (void)arg;
    ck_assert(in_trouble == (err != NULL));
    if (in_trouble)
        note("trouble(%s)", errc_name(err->code));
    else
        note("fine");
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    scratch_make(t.dir);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    timer_start(t.guard, 60000);
    t.server = fake_new(t.loop, serve, NULL);
    strbuf_init(&t.log, 1 << 20);
    cleanup_free char *text = open_kubeconfig(fake_url(t.server));

    t.config = load_kubeconfig(t.loop, t.dir, text);
    t.client = kube_client_new(t.loop, t.config);
}

static void teardown(void)
{
    kube_watch_stop(t.watch);
    kube_client_free(t.client);
    kube_config_free(t.config);
    fake_free(t.server);
    timer_free(t.later);
    loop_free(t.loop);
    strbuf_release(&t.log);
    metrics_release();
    scratch_remove(t.dir);
}

static const struct kube_watch_sink sink = {
    .list_begin = list_begin,
    .object = object,
    .deleted = deleted,
    .list_end = list_end,
    .trouble = trouble,
};

static const char *run_spec(struct kube_watch_spec spec, const struct step *steps, size_t n)
{
    t.steps = steps;
    t.n = n;
    t.next = 0;
    spec.kind = KIND_CONFIGMAP;
    if (!(spec.time_scale > 0))
        spec.time_scale = 0.01;
    t.watch = kube_watch_start(t.client, &spec, &sink);
    loop_run(t.loop);
    ck_assert_uint_eq(t.next, n);
    return t.log.buf;
}

/* Runs the story; the request behind its last step ends it. Returns what the sink was told. */
#define RUN(...)                                                              \
    run_spec((struct kube_watch_spec){0}, (const struct step[]){__VA_ARGS__}, \
             sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

#define ASSERT_TOLD(story, expected)      \
    do {                                  \
        const char *told = (story);       \
        ck_assert_str_eq(told, expected); \
    } while (0)

#define LIST(rv, more, items) \
    "{'metadata':{'resourceVersion':'" rv "'" more "},'items':[" items "]}"
#define ITEM(name, data) "{'metadata':{'name':'" name "'},'data':'" data "'}"
#define EVENT(type, name, rv, data)                                                     \
    "{'type':'" type "','object':{'metadata':{'name':'" name "','resourceVersion':'" rv \
    "'},'data':'" data "'}}\n"
#define BOOKMARK(rv) "{'type':'BOOKMARK','object':{'metadata':{'resourceVersion':'" rv "'}}}\n"
#define STATUS(code, reason) "{'kind':'Status','code':" code ",'reason':'" reason "'}"
#define ERROR_EVENT(code, reason) "{'type':'ERROR','object':" STATUS(code, reason) "}\n"
#define FIRST_LIST                                                    \
    {                                                                 \
        "?limit=500", "watch", .body = LIST("10", "", ITEM("a", "1")) \
    }

START_TEST(a_list_is_followed_by_a_watch_from_there)
{
    static const struct step steps[] = {
        {"/api/v1/namespaces/team/configmaps?labelSelector=a%3Db&limit=500", "watch",
         .body = LIST("10", "", ITEM("a", "1") "," ITEM("b", "1"))},
        {"?labelSelector=a%3Db&resourceVersion=10&watch=true&allowWatchBookmarks=true"
         "&timeoutSeconds=",
         "limit",
         .body = EVENT("ADDED", "c", "11", "1") EVENT("MODIFIED", "a", "12", "2")
             EVENT("DELETED", "b", "13", "1") BOOKMARK("20")},
        {"resourceVersion=20&watch=true", .body = EVENT("ADDED", "d", "21", "1")},
    };

    ASSERT_TOLD(run_spec((struct kube_watch_spec){.ns = "team", .label_selector = "a=b"}, steps,
                         ARRAY_SIZE(steps)),
                "begin a=1* b=1* end c=1 a=2 -b d=1 ");
    ck_assert_str_eq(t.list_version, "10");
    ck_assert(kube_watch_synced(t.watch));
    ck_assert_int_gt(kube_watch_last_byte(t.watch), 0);
}
END_TEST

START_TEST(a_long_list_comes_in_pages)
{
    static const struct step steps[] = {
        {"?limit=2", "continue",
         .body = LIST("10", ",'continue':'p2'", ITEM("a", "1") "," ITEM("b", "1"))},
        {"limit=2&continue=p2",
         .body = "{'items':[" ITEM("c", "1") "],'metadata':"
                                             "{'continue':'p/3','resourceVersion':'10'}}"},
        {"limit=2&continue=p%2F3", .body = LIST("10", ",'continue':''", "")},
        {"resourceVersion=10&watch=true", .body = BOOKMARK("11")},
    };

    ASSERT_TOLD(run_spec((struct kube_watch_spec){.page_size = 2}, steps, ARRAY_SIZE(steps)),
                "begin a=1* b=1* c=1* end ");
}
END_TEST

START_TEST(a_page_that_fails_is_fetched_again)
{
    ASSERT_TOLD(
        RUN({"?limit=500", "continue", .body = LIST("10", ",'continue':'p2'", ITEM("a", "1"))},
            {"continue=p2", .status = 500, .body = "oops"},
            {"continue=p2", .body = "{'metadata':{'resourceVersion':'10'},'items':[" ITEM("b", "1"),
             .then = CUT},
            {"continue=p2", .body = LIST("10", "", ITEM("b", "1") "," ITEM("c", "1"))},
            {"resourceVersion=10&watch=true", .body = BOOKMARK("11")}),
        "begin a=1* trouble(ServerError) b=1* b=1* c=1* fine end ");
}
END_TEST

START_TEST(an_expired_continue_token_lists_in_one_piece)
{
    ASSERT_TOLD(
        RUN({"?limit=500", "continue", .body = LIST("10", ",'continue':'p2'", ITEM("a", "1"))},
            {"continue=p2", .status = 410, .body = STATUS("410", "Expired")},
            {"/configmaps", "?", .body = LIST("12", "", ITEM("a", "1") "," ITEM("b", "1"))},
            {"resourceVersion=12&watch=true", .body = BOOKMARK("13")},
            {"resourceVersion=13", .status = 410, .body = STATUS("410", "Expired")},
            {"?limit=500", "continue", .body = LIST("14", "", "")}),
        "begin a=1* begin a=1* b=1* end begin end ");
}
END_TEST

START_TEST(gone_lists_again_in_both_forms)
{
    ASSERT_TOLD(RUN(FIRST_LIST, {"watch=true", .status = 410, .body = STATUS("410", "Expired")},
                    {"?limit=500", "watch", .body = LIST("20", "", ITEM("b", "1"))},
                    {"resourceVersion=20",
                     .body = EVENT("ADDED", "c", "21", "1") ERROR_EVENT("410", "Gone")},
                    {"?limit=500", "watch", .body = LIST("30", "", ITEM("d", "1"))},
                    {"resourceVersion=30", .body = ERROR_EVENT("504", "Expired")},
                    {"?limit=500", "watch", .body = LIST("40", "", "")},
                    {"resourceVersion=40", .body = BOOKMARK("41")}),
                "begin a=1* end begin b=1* end c=1 begin d=1* end begin end ");
}
END_TEST

START_TEST(what_makes_a_resource_version_worthless_lists_again)
{
    static const struct step bad[] = {
        {"watch=true", .status = 400, .body = STATUS("400", "BadRequest")},
        {"watch=true", .status = 404, .body = "404 page not found"},
        {"watch=true", .body = ERROR_EVENT("0", "Strange")},
        {"watch=true", .body = ERROR_EVENT("400", "BadRequest")},
        {"watch=true", .body = "{'type':'ADDED'}\n"},
        {"watch=true", .body = "not JSON\n"},
        {"watch=true", .status = 504,
         .body = "{'kind':'Status','code':504,'reason':'Timeout','details':{'causes':"
                 "[{'reason':'ResourceVersionTooLarge'}]}}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const struct step steps[] = {
            FIRST_LIST, bad[i], {"?limit=500", "watch", .body = LIST("20", "", "")}};

        strbuf_reset(&t.log);
        run_spec((struct kube_watch_spec){0}, steps, ARRAY_SIZE(steps));
        ck_assert(str_has_prefix(t.log.buf, "begin a=1* end "));
        ck_assert(str_has_suffix(t.log.buf, "end begin end ") ||
                  str_has_suffix(t.log.buf, ") begin fine end "));
        kube_watch_stop(t.watch);
        t.watch = NULL;
    }
}
END_TEST

START_TEST(a_server_that_is_away_or_busy_costs_no_list)
{
    ASSERT_TOLD(RUN(FIRST_LIST,
                    {"resourceVersion=10", .body = EVENT("ADDED", "b", "11", "1"), .then = CUT},
                    {"resourceVersion=11", .status = 429, .headers = "Retry-After: 1\r\n"},
                    {"resourceVersion=11", .status = 500, .body = "oops"},
                    {"resourceVersion=11", .status = 503},
                    {"resourceVersion=11", .status = 403, .body = STATUS("403", "Forbidden")},
                    {"resourceVersion=11", .status = 401}, {"resourceVersion=11", .status = 401},
                    {"resourceVersion=11", .status = 503}, {"resourceVersion=11", .status = 503},
                    {"resourceVersion=11", .body = "{'type':'ADD", .then = RESET},
                    {"resourceVersion=11", .body = ERROR_EVENT("500", "InternalError")},
                    {"resourceVersion=11", .body = EVENT("ADDED", "c", "12", "1")},
                    {"resourceVersion=12", .body = BOOKMARK("13")}),
                "begin a=1* end b=1 trouble(Throttled) fine c=1 ");
}
END_TEST

START_TEST(streams_that_never_give_anything_end_in_a_new_list)
{
    ASSERT_TOLD(RUN(FIRST_LIST, {"resourceVersion=10"}, {"resourceVersion=10"},
                    {"resourceVersion=10"}, {"resourceVersion=10"}, {"resourceVersion=10"},
                    {"?limit=500", "watch", .body = LIST("20", "", "")},
                    {"resourceVersion=20", .body = BOOKMARK("21")}),
                "begin a=1* end trouble(ServerError) begin fine end ");
}
END_TEST

START_TEST(a_stalled_watch_is_found)
{
    int64_t at = clock_mono_ms();

    ASSERT_TOLD(RUN(FIRST_LIST,
                    {"resourceVersion=10", .body = EVENT("ADDED", "b", "11", "1"), .then = HANG},
                    {"resourceVersion=11", .body = EVENT("ADDED", "c", "12", "1")}),
                "begin a=1* end b=1 c=1 ");
    ck_assert_int_ge(clock_mono_ms() - at, 1500); /* 150 s / 100 */
    ck_assert_int_le(clock_mono_ms() - at, 10000);
}
END_TEST

START_TEST(a_server_with_nothing_to_say_is_no_trouble)
{
    static const struct step silent = {"resourceVersion=10", .refuse = "limit", .then = HANG},
                             again = {"?limit=500", .body = LIST("10", "", ITEM("a", "1"))};
    const struct step steps[] = {
        FIRST_LIST, silent, silent, again,
        silent,     silent, again,  {"resourceVersion=10", .body = BOOKMARK("11")}};

    run_spec((struct kube_watch_spec){.time_scale = 0.002}, steps, ARRAY_SIZE(steps));
    ASSERT_TOLD(t.log.buf, "begin a=1* end begin a=1* end begin a=1* end ");
}
END_TEST

START_TEST(silences_count_from_the_last_event_on)
{
    const struct step steps[] = {FIRST_LIST,
                                 {"resourceVersion=10", .then = HANG},
                                 {"resourceVersion=10", .body = EVENT("ADDED", "b", "11", "1")},
                                 {"resourceVersion=11", .then = HANG},
                                 {"resourceVersion=11", .body = EVENT("ADDED", "c", "12", "1")}};

    run_spec((struct kube_watch_spec){.time_scale = 0.002}, steps, ARRAY_SIZE(steps));
    ASSERT_TOLD(t.log.buf, "begin a=1* end b=1 c=1 ");
}
END_TEST

START_TEST(a_version_that_a_restored_server_has_yet_to_come_to_is_given_up)
{
    const struct step steps[] = {
        FIRST_LIST,
        {"resourceVersion=10", .body = EVENT("ADDED", "b", "90", "1"), .then = HANG},
        {"resourceVersion=90", .then = HANG},
        {"?limit=500", "watch", .body = LIST("12", "", ITEM("a", "1"))},
        {"resourceVersion=12", .body = EVENT("ADDED", "c", "13", "1")}};

    run_spec((struct kube_watch_spec){.time_scale = 0.002}, steps, ARRAY_SIZE(steps));
    ASSERT_TOLD(t.log.buf, "begin a=1* end b=1 begin a=1* end c=1 ");
}
END_TEST

START_TEST(a_stalled_list_is_found)
{
    ASSERT_TOLD(RUN({"?limit=500", .body = "{'items':[" ITEM("a", "1"), .then = HANG},
                    {"?limit=500", .body = LIST("10", "", ITEM("a", "1"))},
                    {"resourceVersion=10", .body = BOOKMARK("11")}),
                "begin a=1* begin a=1* end ");
}
END_TEST

START_TEST(malformed_lists_are_trouble_not_a_crash)
{
    ASSERT_TOLD(RUN({"?limit=500", .body = "<html>login</html>"},
                    {"?limit=500", .body = "{'items':[" ITEM("a", "1") "]}"},
                    {"?limit=500", .body = LIST("10", "", "{'metadata':{}}")},
                    {"?limit=500", .body = LIST("10", "", "{'a' 1}")},
                    {"?limit=500", .body = LIST("10", "", "")},
                    {"resourceVersion=10", .body = BOOKMARK("11")}),
                "begin begin a=1* begin trouble(Malformed) begin begin fine end ");
}
END_TEST

START_TEST(a_line_has_a_cap)
{
    cleanup_strbuf struct strbuf huge = STRBUF_INIT((size_t)32 << 20);

    strbuf_adds(&huge, "{'type':'ADDED','object':{'x':'");
    for (int i = 0; i < 9 * 16; i++)
        strbuf_addf(&huge, "%065536d", 0);
    const struct step steps[] = {
        FIRST_LIST,
        {"resourceVersion=10", .body = huge.buf, .then = HANG},
        {"?limit=500", "watch", .body = LIST("20", "", "")},
        {"resourceVersion=20", .body = BOOKMARK("21")},
    };

    ASSERT_TOLD(run_spec((struct kube_watch_spec){0}, steps, ARRAY_SIZE(steps)),
                "begin a=1* end begin end ");
}
END_TEST

START_TEST(metadata_alone_may_be_asked_for)
{
    static const struct step steps[] = {FIRST_LIST, {"watch=true", .body = BOOKMARK("11")}};

    /* the header is seen by a real server in the integration tests; here only that nothing breaks
     */
    run_spec((struct kube_watch_spec){.metadata_only = true}, steps, ARRAY_SIZE(steps));
}
END_TEST

START_TEST(back_off_doubles_to_its_cap_with_jitter)
{
    struct step steps[12];
    const double scale = 0.01;

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i] = (struct step){"?limit=500", .status = 503};
    run_spec((struct kube_watch_spec){.time_scale = scale}, steps, ARRAY_SIZE(steps));
    const char *told = strstr(t.log.buf, "trouble(ServerError) ");

    ck_assert_ptr_nonnull(told);
    ck_assert_ptr_null(strstr(told + 1, "trouble"));
    double expected = 800 * scale;

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        double took = (double)(t.at[i + 1] - t.at[i]);

        ck_assert_double_ge(took, expected - 2);
        ck_assert_double_le(took, expected * 2 + 250); /* the machine is busy */
        expected = MIN(expected * 2, 30000 * scale);
    }
}
END_TEST

START_TEST(what_is_forbidden_is_asked_for_patiently)
{
    struct step steps[9];
    const double scale = 0.001;

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i] = (struct step){"?limit=500", .status = 403};
    run_spec((struct kube_watch_spec){.patient = true, .time_scale = scale}, steps,
             ARRAY_SIZE(steps));
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        double took = (double)(t.at[i + 1] - t.at[i]);

        if (i < 6)
            ck_assert_double_le(took, 60000 * scale + 250);
        else
            ck_assert_double_ge(took, 600000 * scale - 2);
    }
}
END_TEST

static void hurry(void *arg)
{
    (void)arg;
    kube_watch_hurry(t.watch);
}

START_TEST(a_wait_may_be_ended)
{
    const struct step steps[] = {
        {"?limit=500", .status = 429, .headers = "Retry-After: 20\r\n"},
        {"?limit=500", .body = LIST("1", "", "")},
        {"resourceVersion=1", .body = BOOKMARK("2")},
    };
    struct timer *timer = timer_new(t.loop, hurry, NULL);

    timer_start(timer, 500);
    run_spec((struct kube_watch_spec){.time_scale = 1}, steps, ARRAY_SIZE(steps));
    timer_free(timer);
    ck_assert_int_le(t.at[1] - t.at[0], 5000);
}
END_TEST

START_TEST(retry_after_is_obeyed)
{
    const struct step steps[] = {
        {"?limit=500", .status = 429, .headers = "Retry-After: 20\r\n"},
        {"?limit=500", .body = LIST("1", "", "")},
        {"resourceVersion=1", .body = BOOKMARK("2")},
    };

    run_spec((struct kube_watch_spec){.time_scale = 0.01}, steps, ARRAY_SIZE(steps));
    ck_assert_int_ge(t.at[1] - t.at[0], 198);
}
END_TEST

START_TEST(a_watch_may_be_stopped_in_every_callback_but_the_first)
{
    static const char *const places[] = {"a=1*", "end", "b=1", "-a", "trouble", "fine"};
    static const struct step steps[] = {
        {"?limit=500", .status = 503},
        {"?limit=500", .body = LIST("10", "", ITEM("a", "1"))},
        {"resourceVersion=10",
         .body = EVENT("ADDED", "b", "11", "1") EVENT("DELETED", "a", "12", "1"), .then = HANG},
    };

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        strbuf_reset(&t.log);
        t.stop_at = places[i];
        t.steps = steps;
        t.n = ARRAY_SIZE(steps);
        t.next = 0;
        t.watch = kube_watch_start(
            t.client, &(struct kube_watch_spec){.kind = KIND_CONFIGMAP, .time_scale = 0.01}, &sink);
        loop_run(t.loop);
        ck_assert_ptr_null(t.watch);
        const char *last = strstr(t.log.buf, places[i]);

        ck_assert_ptr_nonnull(last);
        ck_assert_ptr_eq(strchr(last, ' '), t.log.buf + t.log.len - 1); /* nothing behind it */
    }
}
END_TEST

START_TEST(a_watch_may_be_stopped_at_once)
{
    t.watch = kube_watch_start(t.client, &(struct kube_watch_spec){.kind = KIND_POD}, &sink);
    kube_watch_stop(TAKE_PTR(t.watch));
    loop_defer(t.loop, NULL, (loop_fn)loop_stop, t.loop);
    loop_run(t.loop);
    ck_assert_str_eq(t.log.buf, "begin ");
}
END_TEST

START_TEST(lists_and_events_leave_metrics)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);

    RUN(FIRST_LIST, {"watch=true", .body = EVENT("ADDED", "b", "11", "1")},
        {"resourceVersion=11", .status = 410}, {"?limit=500", .body = LIST("20", "", "")});
    metrics_write(&sb);
    ck_assert_ptr_nonnull(
        strstr(sb.buf, "watch_relists_total{kind=\"ConfigMap\",namespace=\"\"} 1\n"));
    const char *stamp =
        strstr(sb.buf, "watch_last_event_timestamp_seconds{kind=\"ConfigMap\",namespace=\"\"} ");
    ck_assert_ptr_nonnull(stamp);
    ck_assert_double_gt(strtod(strchr(stamp, '}') + 1, NULL), 1.7e9);
}
END_TEST

void suite_kube_watch(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(a_list_is_followed_by_a_watch_from_there);
    T(a_long_list_comes_in_pages);
    T(a_page_that_fails_is_fetched_again);
    T(an_expired_continue_token_lists_in_one_piece);
    T(gone_lists_again_in_both_forms);
    T(what_makes_a_resource_version_worthless_lists_again);
    T(a_server_that_is_away_or_busy_costs_no_list);
    T(streams_that_never_give_anything_end_in_a_new_list);
    T(a_stalled_watch_is_found);
    T(a_server_with_nothing_to_say_is_no_trouble);
    T(silences_count_from_the_last_event_on);
    T(a_version_that_a_restored_server_has_yet_to_come_to_is_given_up);
    T(a_stalled_list_is_found);
    T(malformed_lists_are_trouble_not_a_crash);
    T(a_line_has_a_cap);
    T(metadata_alone_may_be_asked_for);
    T(back_off_doubles_to_its_cap_with_jitter);
    T(what_is_forbidden_is_asked_for_patiently);
    T(a_wait_may_be_ended);
    T(retry_after_is_obeyed);
    T(a_watch_may_be_stopped_in_every_callback_but_the_first);
    T(a_watch_may_be_stopped_at_once);
    T(lists_and_events_leave_metrics);
}
