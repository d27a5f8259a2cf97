/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets of src/cluster check. */
#ifndef TESTS_FUZZ_MUST_H
#define TESTS_FUZZ_MUST_H

#include <stdlib.h>
#include <string.h>

#include "flinkop/json_map.h"
#include "flinkop/str.h"

static inline void must(bool cond)
{
    if (!cond)
        abort();
}

/* UTF-8 without control characters: it goes into a status and onto terminals. */
static inline void must_be_text(const char *s)
{
    size_t len = strlen(s), step;

    for (size_t i = 0; i < len; i += step) {
        step = utf8_len(s + i, len - i);
        must(step && ((unsigned char)s[i] >= ' ' || s[i] == '\n' || s[i] == '\t'));
    }
}

/* Every problem says where and what. */
static inline void must_be_told(const struct problems *p, const char *path, const char *or_path)
{
    for (size_t i = 0; i < p->n && i < PROBLEMS_MAX; i++) {
        const struct problem *one = &p->items[i];

        must(str_has_prefix(one->path, path) || str_has_prefix(one->path, or_path));
        must(*one->text && strlen(one->path) < 2000 && strlen(one->text) < 2000);
        must_be_text(one->path);
        must_be_text(one->text);
    }
}

#endif
