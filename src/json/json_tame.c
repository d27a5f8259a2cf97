/* SPDX-License-Identifier: Apache-2.0 */
/* Text that json_parse would refuse for its size or a NUL, made into some that it takes. */
#include <ctype.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define PATH_MAX_SHOWN 200

struct level {
    const char *key; /* of the member that is being read, still escaped; NULL in a list */
    size_t key_len;
    size_t index; /* in a list */
    bool list;
};

struct tamer {
    struct arena *a;
    const char *p, *end;
    struct strbuf *out;
    struct level levels[JSON_TAME_DEPTH + 1]; /* [depth]: the bracket that is open there */
    int depth, level;
    size_t values; /* brackets and commas in the current member of the object */
    bool key_next; /* the next string is a key */
    const char *of, *member, *loss;
};

static bool is_key(const struct level *l, const char *name)
{
    return l->key && l->key_len == strlen(name) && !strncmp(l->key, name, l->key_len);
}

/* "spec.podTemplate.list[3]", cut when long. */
static const char *path_of(struct tamer *t)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(PATH_MAX_SHOWN);

    for (int i = t->level; i <= t->depth && !sb.overflow; i++) {
        const struct level *l = &t->levels[i];

        if (l->list)
            strbuf_addf(&sb, "[%zu]", l->index);
        else if (l->key)
            strbuf_addf(&sb, "%s%.*s", sb.len ? "." : "", (int)MIN(l->key_len, (size_t)80), l->key);
    }
    return str_clean(t->a, arena_printf(t->a, "%s%s", sb.buf, sb.overflow ? "…" : ""),
                     PATH_MAX_SHOWN + 10);
}

/* Only the first loss of the member counts. */
static void lose(struct tamer *t, const char *what)
{
    const struct level *l = &t->levels[t->level];

    if (t->loss || t->depth < t->level || !is_key(l, t->member) || (t->of && !is_key(l - 1, t->of)))
        return;
    t->loss = arena_printf(t->a, "%s: %s", path_of(t), what);
}

/* p stands behind the opening quote; returns behind the closing one. */
static const char *string_end(const char *p, const char *end)
{
    for (; p < end && *p != '"'; p++)
        p += *p == '\\' && p + 1 < end;
    return p < end ? p + 1 : end;
}

/* The bracket that closes the one which is open at p, or the end. */
static const char *closing_bracket(const char *p, const char *end)
{
    size_t open = 1;

    while (p < end) {
        if (*p == '"') {
            p = string_end(p + 1, end);
            continue;
        }
        open += *p == '{' || *p == '[';
        open -= *p == '}' || *p == ']';
        if (!open)
            break;
        p++;
    }
    return p;
}

static bool is_surrogate(const char *p, const char *end, const char *half)
{
    return end - p > 5 && p[0] == '\\' && p[1] == 'u' && (p[2] | 0x20) == 'd' &&
           strchr(half, p[3] | 0x20) && isxdigit((unsigned char)p[4]) &&
           isxdigit((unsigned char)p[5]);
}

/* How many bytes of a string at p are written as U+FFFD, and why; 0: none. */
static size_t unreadable(const char *p, const char *end, const char **ret_why)
{
    bool high = is_surrogate(p, end, "89ab"), low = is_surrogate(p, end, "cdef");

    *ret_why = "holds a NUL character";
    if (!*p)
        return 1;
    if (end - p > 5 && !strncmp(p, "\\u0000", 6))
        return 6;
    *ret_why = "holds half of a surrogate pair";
    return low || (high && !is_surrogate(p + 6, end, "cdef")) ? 6 : 0;
}

static void take_string(struct tamer *t)
{
    const char *start = t->p, *end = string_end(t->p + 1, t->end);
    struct level *l = &t->levels[t->depth];

    if (t->key_next && !l->list) {
        l->key = start + 1;
        l->key_len = (size_t)(end - start) >= 2 ? (size_t)(end - start) - 2 : 0;
        t->key_next = false;
        if (t->depth == t->level)
            t->values = 0;
    }
    for (const char *p = start; p < end; p++) {
        const char *why;
        size_t bad = unreadable(p, end, &why);

        if (bad) {
            lose(t, why);
            strbuf_adds(t->out, "\\ufffd");
            p += bad - 1;
            continue;
        }
        /* An escape as a whole, a pair of surrogates included. */
        size_t n = *p != '\\' ? 1 : is_surrogate(p, end, "89ab") ? 12 : 2;

        n = MIN(n, (size_t)(end - p));
        strbuf_add(t->out, p, n);
        p += n - 1;
    }
    t->p = end;
}

static void open_bracket(struct tamer *t)
{
    t->values++;
    if (t->depth == JSON_TAME_DEPTH) {
        lose(t, arena_printf(t->a, "is nested more than %d levels deep", JSON_TAME_DEPTH));
        strbuf_adds(t->out, "null");
        t->p = closing_bracket(t->p + 1, t->end);
        t->p += t->p < t->end;
        return;
    }
    t->key_next = *t->p == '{';
    t->levels[++t->depth] = (struct level){.list = *t->p == '['};
    strbuf_addc(t->out, *t->p++);
}

static void close_bracket(struct tamer *t)
{
    t->depth -= t->depth > 0;
    t->key_next = false;
    strbuf_addc(t->out, *t->p++);
}

/* The next member or item, or the end when there were too many. */
static void take_comma(struct tamer *t)
{
    struct level *l = &t->levels[t->depth];

    if (t->depth > t->level && t->values >= JSON_TAME_VALUES) {
        lose(t, arena_printf(t->a, "there are more than %d values up to here", JSON_TAME_VALUES));
        t->p = closing_bracket(t->p, t->end);
        return;
    }
    t->values++;
    l->index++;
    t->key_next = !l->list;
    strbuf_addc(t->out, *t->p++);
}

const char *json_tame(struct arena *a, const char *text, size_t len, int level, const char *of,
                      const char *member, struct strbuf *ret)
{
    struct tamer *t = arena_new(a, struct tamer);

    *t = (struct tamer){.a = a,
                        .p = text,
                        .end = text + len,
                        .out = ret,
                        .level = level,
                        .of = of,
                        .member = member};
    while (t->p < t->end) {
        switch (*t->p) {
        case '"':
            take_string(t);
            break;
        case '{':
        case '[':
            open_bracket(t);
            break;
        case '}':
        case ']':
            close_bracket(t);
            break;
        case ',':
            take_comma(t);
            break;
        default: /* a byte of a number or a word */
            strbuf_addc(ret, *t->p++);
        }
    }
    return t->loss;
}
