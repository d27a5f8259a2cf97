/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flink answers errors with Java stack traces:
 *
 *     {"errors": ["Internal server error.", "<Exception on server side:\n
 *        java.util.concurrent.CompletionException: org.apache.flink…ProgramInvocationException: …\n
 *        \tat …\n
 *        Caused by: java.lang.ClassNotFoundException: com.example.Missing\n
 *        \t... 54 more\nEnd of exception on server side>"]}
 *
 * A human wants one line: the innermost cause that says something.
 */
#include <ctype.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_reply.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

/* What is read of a trace or a body; the causes of the deepest real ones end far before. */
#define TEXT_MAX ((size_t)256 << 10)
#define MESSAGE_MAX 2000

/* One "class: message" of a trace, as it stands there. */
struct cause {
    struct strbuf text;
    bool any;
};

static void cause_release(struct cause *c)
{
    strbuf_release(&c->text);
}

/* ---- taking "package.Class: message" apart ---- */

/* The length of a class name with its package at s, 0 if there is none. */
static size_t class_len(const char *s)
{
    size_t n = 0;
    const char *last = s;
    bool package = false;

    while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '$' || s[n] == '.') {
        if (s[n] == '.') {
            last = s + n + 1;
            package = true;
        }
        n++;
    }
    return package && isupper((unsigned char)*last) && (!s[n] || s[n] == ':') ? n : 0;
}

/* "a.b.C$D" -> "D" */
static char *simple_name(struct arena *a, const char *s, size_t n)
{
    const char *from = s;

    for (size_t i = 0; i + 1 < n; i++)
        if (s[i] == '.' || s[i] == '$')
            from = s + i + 1;
    return arena_strndup(a, from, n - (size_t)(from - s));
}

/* Exceptions that only carry another one, whose text is their message. */
static bool is_wrapper(const char *name)
{
    static const char *const names[] = {
        "CompletionException",   "ExecutionException",           "RuntimeException",
        "SerializedThrowable",   "UndeclaredThrowableException", "InvocationTargetException",
        "JobExecutionException", "FlinkRuntimeException"};

    return str_index(names, ARRAY_SIZE(names), name) >= 0;
}

struct said {
    const char *name;    /* without package; "" if there is none */
    const char *message; /* "" if there is none */
    bool flink;          /* a class of Flink's own */
};

static struct said take_apart(struct arena *a, const char *text)
{
    struct said said = {"", str_trim(a, text), false};
    size_t n;

    while ((n = class_len(said.message))) {
        const char *at = said.message;

        said.name = simple_name(a, at, n);
        said.flink = str_has_prefix(at, "org.apache.flink.");
        said.message = at[n] == ':' ? str_trim(a, at + n + 1) : "";
        if (!is_wrapper(said.name) || !class_len(said.message))
            break;
    }
    if (!strcmp(said.message, "null"))
        said.message = "";
    return said;
}

/* As a human would write it. The class of Flink's own exceptions adds nothing to a sentence. */
static const char *show(struct arena *a, const struct said *s)
{
    if (!*s->message)
        return s->name;
    if (!*s->name || (s->flink && strchr(s->message, ' ')))
        return s->message;
    return arena_printf(a, "%s: %s", s->name, s->message);
}

/* ---- reading a trace ---- */

static bool is_frame(const char *line)
{
    while (*line == ' ' || *line == '\t')
        line++;
    return str_has_prefix(line, "at ") || str_has_prefix(line, "... ") ||
           str_has_prefix(line, "Suppressed: ") || str_has_prefix(line, "[CIRCULAR REFERENCE");
}

static bool is_frill(const char *line)
{
    return str_has_prefix(line, "<Exception on server side:") ||
           str_has_prefix(line, "End of exception on server side>");
}

static void start_cause(struct cause *c, const char *text)
{
    strbuf_reset(&c->text);
    strbuf_add(&c->text, text, MIN(strlen(text), (size_t)MESSAGE_MAX));
    c->any = true;
}

/* Keeps what the last cause said, if it said something. */
static void end_cause(struct arena *a, const struct cause *c, struct said *best, struct said *last)
{
    if (!c->any)
        return;
    *last = take_apart(a, c->text.buf);
    if (str_has_prefix(last->message, "Timeout has occurred: ")) /* what of is said before it */
        last->message = "";
    if (*last->message || !*best->message)
        *best = *last;
}

const char *flink_trace_text(struct arena *a, const char *trace)
{
    CLEANUP(cause_release) struct cause c = {STRBUF_INIT(2 * MESSAGE_MAX), false};
    char *rest = arena_strndup(a, trace, MIN(strlen(trace), TEXT_MAX)), *line;
    struct said best = {"", "", false}, last = best;

    while ((line = strsep(&rest, "\n"))) {
        const char *cause = str_skip_prefix(line, "Caused by: ");

        if (is_frill(line) || is_frame(line) || !line[strspn(line, " \t\r")])
            continue;
        if (cause || !c.any) {
            end_cause(a, &c, &best, &last);
            start_cause(&c, cause ? cause : line);
        } else if (c.text.len + strlen(line) < MESSAGE_MAX) { /* a message of several lines */
            strbuf_addf(&c.text, " %s", line + strspn(line, " \t"));
        }
    }
    end_cause(a, &c, &best, &last);
    const char *text = show(a, &best);

    if (*last.name && !*last.message && strcmp(last.name, best.name) != 0)
        text = arena_printf(a, "%s (%s)", text, last.name);
    return *text ? str_clean(a, text, FLINK_MAX_ERROR) : NULL;
}

/* ---- bodies ---- */

/* The element with a trace in it, else the last one: the first is often only "Internal server
 * error.". */
static const char *pick_error(jv errors)
{
    const char *best = NULL;

    jv_foreach (item, errors) {
        const char *text = jv_string(*item);

        if (text && (!best || !strstr(best, "\tat ")))
            best = text;
    }
    return best;
}

static const char *first_line(struct arena *a, const char *body, size_t len)
{
    size_t n = 0;

    while (n < len && body[n] && body[n] != '\n' && body[n] != '\r')
        n++;
    const char *line = str_trim(a, arena_strndup(a, body, n));

    return *line && *line != '<' && *line != '{' ? line : NULL;
}

const char *flink_error_text(struct arena *a, const char *body, size_t len, int http_status)
{
    const char *text = NULL, *error;
    jv v;

    if (len && *body == '{' && !json_parse(a, body, len, &v, NULL)) {
        error = pick_error(jv_get(v, "errors"));
        text = error ? flink_trace_text(a, error) : NULL;
    } else if (len) {
        text = first_line(a, body, MIN(len, TEXT_MAX));
    }
    return text ? str_clean(a, text, FLINK_MAX_ERROR) : arena_printf(a, "HTTP %d", http_status);
}
