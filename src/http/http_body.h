/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a request to the HTTP server, while it comes in. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include <stddef.h>
#include <stdint.h>

struct http_body {
    char *text;             /* NULL: none is being read */
    size_t len, room, most; /* room grows to most, its length */
    char *content_type;
    int64_t deadline;
};

/** Begins one of this length, as its header says it. Takes content_type over. 0, or the status of
 * the refusal. */
int http_body_begin(struct http_body *b, const char *length, size_t most, char *content_type,
                    int64_t deadline);
/** What is wrong, for people. */
const char *http_body_refusal(int status);
/** -1: there is more than that, it is too late, or all together have as much room as there is for
 * them: *all counts what has come, not what was announced. What belongs to no such body is not
 * read. */
int http_body_add(struct http_body *b, size_t *all, const void *data, size_t n, int64_t now);
void http_body_end(struct http_body *b, size_t *all);

#endif
