/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cJSON parses; its tree is then turned into jv. cJSON keeps numbers as doubles only, so the text
 * of each number is taken from the input: a scan collects the number tokens, and as the tree is
 * walked in the order of the text, the n-th number node is the n-th token.
 *
 * cJSON's allocator hooks are global and have no context, so the arena of the running parse is a
 * variable of this file. That is safe because nothing here yields: parse, convert, return.
 */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/json.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"

static struct arena *current;

static void *hook_malloc(size_t size)
{
    BUG_ON(!current);
    return arena_alloc(current, size);
}

static void hook_free(void *p)
{
    (void)p; /* goes with the arena */
}

struct tokens {
    const char **at; /* start of each number in the text */
    size_t *len;
    size_t n, room;
};

static void tokens_add(struct tokens *t, struct arena *a, const char *at, size_t len)
{
    if (t->n == t->room) {
        size_t room = MAX((size_t)64, t->room * 2);
        const char **ats = arena_new_array(a, const char *, room);
        size_t *lens = arena_new_array(a, size_t, room);

        if (t->n) {
            memcpy(ats, t->at, t->n * sizeof(*ats));
            memcpy(lens, t->len, t->n * sizeof(*lens));
        }
        *t = (struct tokens){ats, lens, t->n, room};
    }
    t->at[t->n] = at;
    t->len[t->n++] = len;
}

/* Length of a number as RFC 8259 §6 has it, 0 if there is none. */
static size_t number_len(const char *s, const char *end)
{
    const char *p = s;
#define DIGIT(q) ((q) < end && isdigit((unsigned char)*(q)))
    if (p < end && *p == '-')
        p++;
    if (!DIGIT(p))
        return 0;
    if (*p == '0' && DIGIT(p + 1))
        return 0;
    while (DIGIT(p))
        p++;
    if (p < end && *p == '.') {
        if (!DIGIT(p + 1))
            return 0;
        for (p++; DIGIT(p); p++)
            ;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (!DIGIT(p))
            return 0;
        while (DIGIT(p))
            p++;
    }
#undef DIGIT
    return (size_t)(p - s);
}

static int bad(const char *text, const char *at, const char *what, struct error *err)
{
    return error_set(err, ERR_PARSE, "malformed JSON at byte %zu: %s", (size_t)(at - text), what);
}

/* What is wrong with the escape at p, which cJSON would take for a NUL or which is one. */
static const char *bad_escape(const char *p, const char *end)
{
    if (end - p < 2 || p[1] != 'u')
        return NULL;
    for (int i = 2; i < 6; i++)
        if (p + i >= end || !isxdigit((unsigned char)p[i]))
            return "an escape without four hex digits";
    return strncmp(p, "\\u0000", 6) ? NULL : "a NUL character in a string";
}

/* Skips a string; also refuses NUL characters, written or bare, which C strings could not carry.
 * Returns where it is wrong, and what is. */
static const char *skip_string(const char *p, const char *end, const char **ret_bad)
{
    for (p++; p < end && *p != '"'; p++) {
        *ret_bad = !*p ? "a NUL character in a string" : *p == '\\' ? bad_escape(p, end) : NULL;
        if (*ret_bad)
            return p;
        p += *p == '\\';
    }
    return p + 1;
}

/* Collects the numbers and counts the values before cJSON allocates anything for them. */
static int scan(struct arena *a, const char *text, size_t len, struct tokens *t, struct error *err)
{
    const char *end = text + len, *wrong = NULL;
    size_t values = 0;

    for (const char *p = text; p < end;) {
        if (*p == '"') {
            p = skip_string(p, end, &wrong);
            if (wrong)
                return bad(text, p, wrong, err);
            values++;
        } else if (*p == '-' || isdigit((unsigned char)*p)) {
            size_t n = number_len(p, end);

            if (!n)
                return bad(text, p, "not a number", err);
            tokens_add(t, a, p, n);
            values++;
            p += n;
        } else {
            values += *p == '[' || *p == '{' || *p == 't' || *p == 'f' || *p == 'n';
            p++;
        }
        if (values > JSON_MAX_VALUES)
            return error_set(err, ERR_TOO_LARGE, "JSON text with more than %d values",
                             JSON_MAX_VALUES);
    }
    return 0;
}

struct converter {
    struct arena *a;
    const struct tokens *numbers;
    size_t next;
};

static jv convert(struct converter *c, const cJSON *node)
{
    size_t n = 0, i = 0;

    switch (node->type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return BOOL((node->type & 0xff) == cJSON_True);
    case cJSON_Number:
        BUG_ON(c->next >= c->numbers->n);
        i = c->next++;
        return (jv){.type = JV_NUM,
                    .s = arena_strndup(c->a, c->numbers->at[i], c->numbers->len[i])};
    case cJSON_String:
        return STR(node->valuestring);
    case cJSON_Array:
    case cJSON_Object:
        for (const cJSON *k = node->child; k; k = k->next)
            n++;
        if ((node->type & 0xff) == cJSON_Array) {
            jv *items = arena_new_array(c->a, jv, n + 1);

            for (const cJSON *k = node->child; k; k = k->next)
                items[i++] = convert(c, k);
            return (jv){.type = JV_ARR, .items = items};
        }
        jkv *kv = arena_new_array(c->a, jkv, n + 1);

        for (const cJSON *k = node->child; k; k = k->next)
            kv[i++] = (jkv){k->string, convert(c, k)};
        return (jv){.type = JV_OBJ, .kv = kv};
    default:
        return NULLV;
    }
}

int json_parse(struct arena *a, const char *text, size_t len, jv *ret, struct error *err)
{
    struct tokens numbers = {0};
    const char *end = NULL;

    if (scan(a, text, len, &numbers, err))
        return -1;
    current = a;
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = hook_malloc, .free_fn = hook_free});
    const cJSON *root = cJSON_ParseWithLengthOpts(text, len, &end, /* require NUL */ 0);
    current = NULL;
    if (!root)
        return bad(text, end ? end : text, "not JSON, or nested too deeply", err);
    while (end < text + len && isspace((unsigned char)*end))
        end++;
    if (end < text + len)
        return bad(text, end, "text after the value", err);

    struct converter c = {.a = a, .numbers = &numbers};
    *ret = convert(&c, root);
    return 0;
}
