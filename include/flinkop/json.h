/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text to and from jv. Parsing is cJSON's work; what it loses (the text of numbers) or lets
 * pass (bad numbers, a number of nodes without bound) is added here. */
#ifndef FLINKOP_JSON_H
#define FLINKOP_JSON_H

#include <stddef.h>

#include "flinkop/jv.h"
#include "flinkop/macros.h"

struct arena;
struct error;
struct strbuf;

/** More values than this in one text are refused (ERR_TOO_LARGE): about 100 bytes are needed for
 * each, and the largest object Kubernetes stores has some 10,000. */
#define JSON_MAX_VALUES 400000

/**
 * Parses one JSON text. The value and all its strings live in the arena.
 * ERR_PARSE names the byte offset, ERR_TOO_LARGE the cap.
 */
int json_parse(struct arena *a, const char *text, size_t len, jv *ret,
               struct error *err) MUST_CHECK;

/* Objects of others may hold what C strings and a stack cannot: written NUL characters, a nesting
 * of thousands, half a million values. Everything else of them still has to be read. */
#define JSON_TAME_DEPTH 500
#define JSON_TAME_VALUES 100000 /* in each member of the object */

/**
 * Copies JSON text so that json_parse takes it: a NUL character or half a pair of
 * surrogates becomes U+FFFD, what is nested too
 * deep becomes null, lists and mappings end when there are too many values. The object of interest
 * stands `level` brackets deep: 1 for the text itself, 2 for a member of it, as in a watch event.
 * Returns what was lost of its member `member`, as "path: text" in the arena, or NULL; with `of`
 * only if the object itself is the member of that name. Text that is not JSON is copied without
 * sense; the parser will say so.
 */
const char *json_tame(struct arena *a, const char *text, size_t len, int level, const char *of,
                      const char *member, struct strbuf *ret);

/** Appends compact JSON; absent members are left out, an absent root writes null. */
void json_write(struct strbuf *sb, jv v);
/** The same as a string in the arena. */
char *json_text(struct arena *a, jv v);
/** 16 hex digits that change when the compact JSON changes. */
char *json_hash(struct arena *a, jv v);

#endif
