/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON value that can be written down in C so that it reads like the YAML it makes:
 *
 *     jv service = OBJ({"apiVersion", STR("v1")},
 *                      {"kind", STR("Service")},
 *                      {"spec", OBJ({"clusterIP", STR("None")},
 *                                   {"selector", labels},
 *                                   {"externalName", STR(name_or_null)})});   // NULL: left out
 *
 * The same type is what json_parse and yaml_parse return, allocated in their arena. Values are
 * immutable; "changing" one makes a new one (jv_set, jv_merge). Key order is kept, so that equal
 * input makes equal bytes.
 *
 * Literals live until the end of the enclosing block: a function that returns one copies it into
 * an arena first, `return jv_dup(a, OBJ(...))`. ASan finds slips (detect_stack_use_after_return).
 *
 * Numbers that were read keep their text: nonces exceed 2^53 and quantities must come back as
 * typed.
 */
#ifndef FLINKOP_JV_H
#define FLINKOP_JV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct arena;

enum jv_type {
    JV_END = 0, /* terminates literal lists; as a member or an argument it counts as absent */
    JV_ABSENT,  /* not there: skipped by writers, what a failed look-up returns */
    JV_NULL,
    JV_BOOL,
    JV_INT, /* from INT(): .i */
    JV_NUM, /* read from text: .s */
    JV_STR,
    JV_OBJ,
    JV_ARR,
};

typedef struct jv jv;
typedef struct jkv jkv;

struct jv {
    enum jv_type type;
    union {
        bool b;
        int64_t i;
        const char *s;
        const jkv *kv;   /* ends with a NULL key */
        const jv *items; /* ends with JV_END */
    };
};

struct jkv {
    const char *key;
    jv value;
};

extern const jkv jv_no_members[1];
extern const jv jv_no_items[1];

#define ABSENT ((jv){.type = JV_ABSENT})
#define NULLV ((jv){.type = JV_NULL})
#define BOOL(v) ((jv){.type = JV_BOOL, .b = (v)})
#define INT(v) ((jv){.type = JV_INT, .i = (v)})
/** A string; NULL makes the value absent. */
#define STR(v) jv_str(v)
#define OBJ(...) ((jv){.type = JV_OBJ, .kv = (const jkv[]){__VA_ARGS__, {0}}})
#define ARR(...) ((jv){.type = JV_ARR, .items = (const jv[]){__VA_ARGS__, {0}}})
/* These two live for ever: they may be returned. */
#define EMPTY_OBJ ((jv){.type = JV_OBJ, .kv = jv_no_members})
#define EMPTY_ARR ((jv){.type = JV_ARR, .items = jv_no_items})
/** v if cond, else absent. Both are evaluated. */
#define IF(cond, v) jv_if((cond), (v))

static inline jv jv_str(const char *s)
{
    return s ? (jv){.type = JV_STR, .s = s} : ABSENT;
}
static inline jv jv_if(bool cond, jv v)
{
    return cond ? v : ABSENT;
}
/** False for absent and null: "the user wrote something here". */
static inline bool jv_present(jv v)
{
    return v.type > JV_NULL;
}

/** Deep copy into the arena; also drops absent members. */
jv jv_dup(struct arena *a, jv v);

/* ---- reading; every look-up on the wrong type gives ABSENT, NULL or the fallback ---- */

jv jv_get(jv obj, const char *key);
/** Follows keys: JV_PATH(cr, "spec", "job", "jarURI"). */
jv jv_path(jv v, const char *const keys[]);
#define JV_PATH(v, ...) jv_path((v), (const char *const[]){__VA_ARGS__, NULL})
jv jv_at(jv arr, size_t i);
/** Members of an object or array that are not absent; 0 for others. */
size_t jv_len(jv v);
/** Text of a string or of a number as written; NULL for anything else. */
const char *jv_string(jv v);
/** The string at a path, or NULL. */
#define JV_STRING(v, ...) jv_string(JV_PATH((v), __VA_ARGS__))
/** A whole number that fits, also written 3.0 or 3e2; "3" as a string is not one. */
bool jv_int64(jv v, int64_t *ret) MUST_CHECK;
int64_t jv_int64_or(jv v, int64_t fallback);
bool jv_bool_or(jv v, bool fallback);
/** Text of any scalar as YAML would show it ("true", "1.50", "text"), in the arena if it must be
 * made; NULL for null, absent, objects and arrays. */
const char *jv_scalar_text(struct arena *a, jv v);

/** Equal content; the order of object members does not matter, 1 and 1.0 are different. */
bool jv_equal(jv a, jv b);

/** `jkv` members and items in order, absent ones skipped; nothing for other types. */
const jkv *jv_next_kv(jv v, const jkv *prev);
const jv *jv_next(jv v, const jv *prev);
#define jv_foreach_kv(it, obj) \
    for (const jkv *it = jv_next_kv((obj), NULL); it; it = jv_next_kv((obj), it))
#define jv_foreach(it, arr) for (const jv *it = jv_next((arr), NULL); it; it = jv_next((arr), it))

/* ---- making new values from old ones, in the arena ---- */

/** obj with key set to v (in place if it was there, else at the end); ABSENT removes it. A value
 * that is not an object counts as an empty one. */
jv jv_set(struct arena *a, jv obj, const char *key, jv v);
/** Sets a member deep inside, making objects on the way. keys ends with NULL. */
jv jv_set_path(struct arena *a, jv v, const char *const keys[], jv leaf);
#define JV_SET_PATH(a, v, leaf, ...) \
    jv_set_path((a), (v), (const char *const[]){__VA_ARGS__, NULL}, (leaf))
/** Objects merged deeply, all else in `over` replaces; null in `over` replaces too. */
jv jv_merge(struct arena *a, jv base, jv over);
/** arr with v at the end (arr may be ABSENT). */
jv jv_append(struct arena *a, jv arr, jv v);
/** The elements of both arrays. */
jv jv_concat(struct arena *a, jv first, jv second);
/** What a JSON merge patch (RFC 7386) makes of v. */
jv jv_merge_patch(struct arena *a, jv v, jv patch);
/** The JSON merge patch (RFC 7386) that turns `from` into `to`; ABSENT if they are equal. */
jv jv_merge_diff(struct arena *a, jv from, jv to);

/** A growing list for loops: jv_list_add..., then jv_list_arr / jv_list_obj. */
struct jv_list {
    struct arena *a;
    jkv *items;
    size_t n, room;
};
#define JV_LIST(arena) ((struct jv_list){.a = (arena)})
void jv_list_add(struct jv_list *l, jv v);
void jv_list_put(struct jv_list *l, const char *key, jv v);
jv jv_list_arr(const struct jv_list *l);
jv jv_list_obj(const struct jv_list *l);

#endif
