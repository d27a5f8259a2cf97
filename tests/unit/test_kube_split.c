/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/kube/kube_split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/kube_resource.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "unit.h"

#define CAP 4096

static struct strbuf seen;
static int stop_after;

static void setup(void)
{
    strbuf_init(&seen, 1 << 20);
    stop_after = -1;
    srand(1);
}

static void teardown(void)
{
    strbuf_release(&seen);
}

static bool collect(void *arg, const char *text, size_t len)
{
    ck_assert_ptr_eq(arg, &seen);
    strbuf_add(&seen, text, len);
    strbuf_addc(&seen, '|');
    return !stop_after || --stop_after;
}

/* How a text is cut: every byte, in two at `at`, or at random. */
enum cut { WHOLE, BYTES, TWO, RANDOM };

static size_t cut_len(enum cut cut, size_t at, size_t done, size_t left)
{
    size_t n = left;

    if (cut == BYTES)
        n = 1;
    else if (cut == TWO && done < at)
        n = at - done;
    else if (cut == RANDOM)
        n = 1 + (size_t)rand() % 20;
    return MIN(n, left);
}

/* Feeds a list; the result is "items|items| rest" or "error text". */
static const char *split_list(const char *text, size_t len, enum cut cut, size_t at)
{
    cleanup_arena struct arena a = {0};
    struct list_split s;
    struct error err = {0};
    jv rest;
    int rc = 0;

    strbuf_reset(&seen);
    list_split_init(&s, CAP);
    for (size_t i = 0; i < len && !rc;) {
        size_t n = cut_len(cut, at, i, len - i);
        char *piece = xmalloc(n); /* exact, so that ASan sees a read behind it */

        memcpy(piece, text + i, n);
        rc = list_split_feed(&s, piece, n, collect, &seen, &err);
        free(piece);
        i += n;
    }
    if (!rc)
        rc = list_split_end(&s, &a, &rest, &err);
    list_split_release(&s);
    if (rc) {
        strbuf_addf(&seen, " error %s", err.text);
        ck_assert(err.code == ERR_PARSE || err.code == ERR_TOO_LARGE);
    } else {
        strbuf_addc(&seen, ' ');
        json_write(&seen, rest);
    }
    return seen.buf;
}

/* All ways to cut it give the same. */
static void assert_list(const char *text, size_t len, const char *expected)
{
    ck_assert_str_eq(split_list(text, len, WHOLE, 0), expected);
    ck_assert_str_eq(split_list(text, len, BYTES, 0), expected);
    for (size_t at = 1; at < len; at++)
        ck_assert_str_eq(split_list(text, len, TWO, at), expected);
    for (int i = 0; i < 50; i++)
        ck_assert_str_eq(split_list(text, len, RANDOM, 0), expected);
}

START_TEST(lists_give_their_items_however_they_are_cut)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"7\","
         "\"continue\":\"c\"},\"items\":[{\"a\":1},{\"b\":[{}]}]}",
         "{\"a\":1}|{\"b\":[{}]}| {\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":"
         "{\"resourceVersion\":\"7\",\"continue\":\"c\"},\"items\":[]}"},
        {" { \"items\" : [ { \"s\" : \"}]\\\"{[\" } , {} ] , \"metadata\" : "
         "{ \"resourceVersion\" : \"8\" } } \n",
         "{ \"s\" : \"}]\\\"{[\" }|{}| {\"items\":[],\"metadata\":{\"resourceVersion\":\"8\"}}"},
        {"{\"metadata\":{\"resourceVersion\":\"9\",\"items\":[{\"no\":1}]},\"items\":[]}",
         " {\"metadata\":{\"resourceVersion\":\"9\",\"items\":[{\"no\":1}]},\"items\":[]}"},
        {"{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":null}",
         " {\"metadata\":{\"resourceVersion\":\"9\"},\"items\":null}"},
        {"{\"x\":\"items\",\"y\":[{\"no\":1}],\"metadata\":{\"resourceVersion\":\"1\"}}",
         " {\"x\":\"items\",\"y\":[{\"no\":1}],\"metadata\":{\"resourceVersion\":\"1\"}}"},
        {"{\"items\":[{\"u\":\"\xc3\xa9\\u00e9\\\\\"}],\"metadata\":{\"resourceVersion\":\"1\"}}",
         "{\"u\":\"\xc3\xa9\\u00e9\\\\\"}| {\"items\":[],\"metadata\":{\"resourceVersion\":"
         "\"1\"}}"},
        {"{\"items\":[{\"q\":\"\\\\\"},{\"q\":\"\\\\\\\"\"}],\"metadata\":{\"resourceVersion\":"
         "\"1\"}}",
         "{\"q\":\"\\\\\"}|{\"q\":\"\\\\\\\"\"}| {\"items\":[],\"metadata\":{\"resourceVersion\":"
         "\"1\"}}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_list(cases[i].text, strlen(cases[i].text), cases[i].expected);
}
END_TEST

START_TEST(malformed_lists_are_refused_however_they_are_cut)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", " error list cut off behind 0 items"},
        {"[{}]", " error not a JSON object"},
        {"<html>", " error not a JSON object"},
        {"{\"items\":[{}", "{}| error list cut off behind 1 items"},
        {"{\"items\":[{},{\"a\":", "{}| error list cut off behind 1 items"},
        {"{\"items\":[{},]", "{}| error malformed list behind item 1"},
        {"{\"items\":[,{}]", " error malformed list behind item 0"},
        {"{\"items\":[{} {}]", "{}| error malformed list behind item 1"},
        {"{\"items\":[1,2]}", " error malformed list behind item 0"},
        {"{\"items\":[null]}", " error malformed list behind item 0"},
        {"{\"items\":[[]]}", " error malformed list behind item 0"},
        {"{\"items\":[]}", " error list without metadata.resourceVersion"},
        {"{\"items\":[],\"metadata\":{\"resourceVersion\":\"\"}}",
         " error list without metadata.resourceVersion"},
        {"{\"items\":[],\"metadata\":{\"resourceVersion\":\"1\"}}}", " error text behind the list"},
        {"{\"items\":[],}",
         " error list: malformed JSON at byte 0: not JSON, or nested too deeply"},
        {"{\"items\":[]]", " error list: malformed JSON at byte 0: not JSON, or nested too deeply"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        /* where in the text cJSON stumbles is not ours to test */
        char expected[256];
        const char *got = split_list(cases[i].text, strlen(cases[i].text), WHOLE, 0);
        size_t known = strcspn(cases[i].expected, "0123456789");

        snprintf(expected, sizeof(expected), "%s", got);
        if (strstr(cases[i].expected, "at byte"))
            ck_assert_int_eq(strncmp(got, cases[i].expected, known), 0);
        else
            ck_assert_str_eq(got, cases[i].expected);
        assert_list(cases[i].text, strlen(cases[i].text), expected);
    }
}
END_TEST

START_TEST(an_item_has_a_cap_and_so_has_the_rest)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);

    strbuf_addf(&sb, "{\"items\":[{\"s\":\"%0*d\"}]}", CAP - 8, 1);
    ck_assert_ptr_nonnull(strstr(split_list(sb.buf, sb.len, RANDOM, 0), "| error"));
    strbuf_reset(&sb);
    strbuf_addf(&sb, "{\"items\":[{\"s\":\"%0*d\"}]}", CAP - 7, 1);
    ck_assert_str_eq(split_list(sb.buf, sb.len, RANDOM, 0),
                     " error item 1 of a list is larger than 4096 bytes");
    strbuf_reset(&sb);
    strbuf_addf(&sb, "{\"x\":\"%0*d\",\"items\":[]}", 65536, 1);
    ck_assert_str_eq(split_list(sb.buf, sb.len, RANDOM, 0),
                     " error list with more than 65536 bytes beside its items");
}
END_TEST

START_TEST(a_receiver_may_end_a_list)
{
    static const char text[] = "{\"items\":[{\"a\":1},{\"a\":2},{\"a\":3}]}";
    struct list_split s;
    struct error err = {0};

    stop_after = 2;
    list_split_init(&s, CAP);
    ck_assert_int_eq(list_split_feed(&s, text, strlen(text), collect, &seen, &err), 0);
    ck_assert_str_eq(seen.buf, "{\"a\":1}|{\"a\":2}|");
    list_split_release(&s);
}
END_TEST

/* ---- lines ---- */

static const char *split_lines(const char *text, size_t len, enum cut cut, size_t at)
{
    struct line_split s;
    struct error err = {0};
    int rc = 0;

    strbuf_reset(&seen);
    line_split_init(&s, 16);
    for (size_t i = 0; i < len && !rc;) {
        size_t n = cut_len(cut, at, i, len - i);
        char *piece = xmalloc(n);

        memcpy(piece, text + i, n);
        rc = line_split_feed(&s, piece, n, collect, &seen, &err);
        free(piece);
        i += n;
    }
    line_split_release(&s);
    if (rc)
        strbuf_addf(&seen, " error %s", err.text);
    return seen.buf;
}

static void assert_lines(const char *text, const char *expected)
{
    size_t len = strlen(text);

    ck_assert_str_eq(split_lines(text, len, WHOLE, 0), expected);
    ck_assert_str_eq(split_lines(text, len, BYTES, 0), expected);
    for (size_t at = 1; at < len; at++)
        ck_assert_str_eq(split_lines(text, len, TWO, at), expected);
    for (int i = 0; i < 50; i++)
        ck_assert_str_eq(split_lines(text, len, RANDOM, 0), expected);
}

START_TEST(lines_come_whole_however_they_are_cut)
{
    assert_lines("one\ntwo\n\n\nthree\n", "one|two|three|");
    assert_lines("\n\n", "");
    assert_lines("one\npartial", "one|");
    assert_lines("0123456789abcdef\nx\n", "0123456789abcdef|x|");
    assert_lines("ok\n0123456789abcdefg\nx\n", "ok| error line larger than 16 bytes");
    assert_lines("ok\n0123456789abcdefghijklmnopqrstuvwxyz", "ok| error line larger than 16 bytes");
}
END_TEST

START_TEST(a_receiver_may_end_lines)
{
    struct line_split s;
    struct error err = {0};

    stop_after = 2;
    line_split_init(&s, CAP);
    ck_assert_int_eq(line_split_feed(&s, "a", 1, collect, &seen, &err), 0);
    ck_assert_int_eq(line_split_feed(&s, "b\nc\nd\n", 6, collect, &seen, &err), 0);
    ck_assert_str_eq(seen.buf, "ab|c|");
    line_split_release(&s);
}
END_TEST

/* ---- events ---- */

START_TEST(watch_events_are_read)
{
    static const char ok[] =
        "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\","
        "\"resourceVersion\":\"12\"}}}";
    static const char gone[] =
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}";
    static const char bookmark[] =
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"99\"}}}";
    cleanup_arena struct arena a = {0};
    struct watch_event e;
    struct error err = {0};

    ck_assert_int_eq(watch_event_parse(&a, ok, strlen(ok), &e, &err), 0);
    ck_assert(e.type == WATCH_MODIFIED);
    ck_assert_str_eq(e.resource_version, "12");
    ck_assert_str_eq(JV_STRING(e.object, "kind"), "Pod");
    ck_assert_int_eq(watch_event_parse(&a, gone, strlen(gone), &e, &err), 0);
    ck_assert(e.type == WATCH_ERROR);
    ck_assert_int_eq(watch_event_parse(&a, bookmark, strlen(bookmark), &e, &err), 0);
    ck_assert(e.type == WATCH_BOOKMARK);
    ck_assert_str_eq(e.resource_version, "99");
}
END_TEST

START_TEST(malformed_watch_events_are_refused)
{
    static const char *const lines[] = {
        "",
        "x",
        "{}",
        "[]",
        "{\"type\":\"ADDED\"}",
        "{\"type\":\"ADDED\",\"object\":[]}",
        "{\"type\":\"added\",\"object\":{}}",
        "{\"type\":1,\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":{}}",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\",\"name\":\"\"}}}",
    };
    cleanup_arena struct arena a = {0};

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct watch_event e;
        struct error err = {0};

        if (!watch_event_parse(&a, lines[i], strlen(lines[i]), &e, &err))
            ck_abort_msg("accepted %s", lines[i]);
        assert_error(&err, ERR_PARSE, "watch event");
    }
}
END_TEST

/* One such object must not end the watch of all others. */
START_TEST(an_object_that_cannot_be_read_whole_is_told_so)
{
    static const char line[] =
        "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"7\"},"
        "\"spec\":{\"image\":\"x\\u0000\"},\"status\":{\"state\":\"DEPLOYED\"}}}";
    static const char item[] = "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"args\":[\"\\u0000\"]}}";
    cleanup_arena struct arena a = {0};
    struct watch_event e;
    struct error err = {0};
    jv v;

    ck_assert_int_eq(watch_event_parse(&a, line, strlen(line), &e, &err), 0);
    ck_assert_str_eq(JV_STRING(e.object, KUBE_UNREADABLE), "spec.image: holds a NUL character");
    ck_assert_str_eq(JV_STRING(e.object, "status", "state"), "DEPLOYED");
    ck_assert_str_eq(e.resource_version, "7");
    ck_assert_int_eq(kube_object_parse(&a, item, strlen(item), &v, &err), 0);
    ck_assert_str_eq(JV_STRING(v, KUBE_UNREADABLE), "spec.args[0]: holds a NUL character");
    ck_assert_int_eq(kube_object_parse(&a, item, strlen(item) - 1, &v, &err), -1);
}
END_TEST

void suite_kube_split(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(lists_give_their_items_however_they_are_cut);
    T(malformed_lists_are_refused_however_they_are_cut);
    T(an_item_has_a_cap_and_so_has_the_rest);
    T(a_receiver_may_end_a_list);
    T(lines_come_whole_however_they_are_cut);
    T(a_receiver_may_end_lines);
    T(watch_events_are_read);
    T(malformed_watch_events_are_refused);
    T(an_object_that_cannot_be_read_whole_is_told_so);
}
