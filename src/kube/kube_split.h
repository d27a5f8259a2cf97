/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server streams, taken apart as it comes, whatever the cuts between the pieces: a
 * list (one JSON object with an array "items") into its items, a watch into its lines. Only one
 * item or line is held at a time, and each has a cap.
 *
 * A receiver that returns false ends the feed at once. It must not release the thing that is fed.
 */
#ifndef KUBE_SPLIT_H
#define KUBE_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "flinkop/jv.h"
#include "flinkop/macros.h"
#include "flinkop/strbuf.h"

struct arena;
struct error;

typedef bool (*split_fn)(void *arg, const char *text, size_t len);

/* ---- lists ---- */

enum list_state {
    LIST_START, /* before the '{' */
    LIST_MEMBERS,
    LIST_FIRST_ITEM, /* inside "items": an item or ']' */
    LIST_NEXT_ITEM,  /* an item */
    LIST_AFTER_ITEM, /* ',' or ']' */
    LIST_ITEM,
    LIST_END,
};

struct list_split {
    enum list_state state;
    int depth; /* open brackets of what is being read: the list or one item */
    bool in_string, escaped;
    bool after_key;     /* the last string at depth 1 was a key, its ':' came */
    size_t key_at;      /* of the last string at depth 1, in rest */
    struct strbuf rest; /* the list without its items */
    struct strbuf item;
    size_t items;
};

/** item_max: cap of one item in bytes. */
void list_split_init(struct list_split *s, size_t item_max);
void list_split_release(struct list_split *s);
/** ERR_PARSE or ERR_TOO_LARGE; 0 also when the receiver ended it. */
int list_split_feed(struct list_split *s, const char *data, size_t n, split_fn item, void *arg,
                    struct error *err) MUST_CHECK;
/** The list is complete: gives it without its items, in the arena. ERR_PARSE if it is cut off or is
 * no list. */
int list_split_end(struct list_split *s, struct arena *a, jv *ret, struct error *err) MUST_CHECK;

/* ---- lines ---- */

struct line_split {
    struct strbuf partial;
};

void line_split_init(struct line_split *s, size_t line_max);
void line_split_release(struct line_split *s);
/** Gives complete lines without their end; empty ones are left out. ERR_TOO_LARGE for a line over
 * the cap; 0 also when the receiver ended it. */
int line_split_feed(struct line_split *s, const char *data, size_t n, split_fn line, void *arg,
                    struct error *err) MUST_CHECK;

/* ---- objects ---- */

/** One object that the API server sent. A NUL character or a nesting of thousands in it must not
 * end the watch of all others: what cannot be read of its spec is told in KUBE_UNREADABLE.
 * ERR_PARSE when it is no JSON. */
int kube_object_parse(struct arena *a, const char *text, size_t len, jv *ret,
                      struct error *err) MUST_CHECK;

/* ---- watch events ---- */

enum watch_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK, WATCH_ERROR };

struct watch_event {
    enum watch_type type;
    jv object;
    const char *resource_version; /* of the object; NULL for WATCH_ERROR */
};

/** ERR_PARSE for anything that is no watch event. */
int watch_event_parse(struct arena *a, const char *line, size_t len, struct watch_event *ret,
                      struct error *err) MUST_CHECK;

#endif
