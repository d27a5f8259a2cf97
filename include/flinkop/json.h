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

/** Appends compact JSON; absent members are left out, an absent root writes null. */
void json_write(struct strbuf *sb, jv v);
/** The same as a string in the arena. */
char *json_text(struct arena *a, jv v);
/** 16 hex digits that change when the compact JSON changes. */
char *json_hash(struct arena *a, jv v);

#endif
