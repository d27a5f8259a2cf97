/* SPDX-License-Identifier: Apache-2.0 */
#include "http_body.h"

#include <string.h>

#include "flinkop/mem.h"
#include "flinkop/str.h"

#define MAX_BODIES ((size_t)32 << 20) /* together */
#define FIRST_ROOM ((size_t)4 << 10)

int http_body_begin(struct http_body *b, const char *length, size_t most, char *content_type,
                    int64_t deadline)
{
    cleanup_free char *type = content_type;
    int64_t n;

    if (!str_to_int64(length, &n) || n < 0)
        return 411;
    if ((uint64_t)n > most)
        return 413;
    if (!n)
        return 400;
    *b = (struct http_body){.text = xcalloc(1, 1),
                            .most = (size_t)n,
                            .content_type = TAKE_PTR(type),
                            .deadline = deadline};
    return 0;
}

const char *http_body_refusal(int status)
{
    switch (status) {
    case 411:
        return "the body must have a Content-Length\n";
    case 413:
        return "the body is too large\n";
    default:
        return "there must be a body\n";
    }
}

/* libwebsockets begins to count anew with each piece, so one that comes slowly is given up here. */
int http_body_add(struct http_body *b, size_t *all, const void *data, size_t n, int64_t now)
{
    if (!b->text)
        return 0;
    if (n > b->most - b->len || now > b->deadline)
        return -1;
    if (n > b->room - b->len) {
        size_t room = MIN(MAX(MAX(b->room * 2, b->len + n), FIRST_ROOM), b->most);

        if (*all + room - b->room > MAX_BODIES)
            return -1;
        *all += room - b->room;
        b->text = xreallocarray(b->text, room + 1, 1);
        b->room = room;
    }
    memcpy(b->text + b->len, data, n);
    b->len += n;
    b->text[b->len] = 0;
    return 0;
}

void http_body_end(struct http_body *b, size_t *all)
{
    *all -= b->room;
    free(b->text);
    free(b->content_type);
    *b = (struct http_body){NULL};
}
