/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of an HTTP server: at its cap, the one that has been idle longest makes room. */
#ifndef HTTP_CONNECTIONS_H
#define HTTP_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct connection;
struct lws;

struct connections {
    struct connection *first, *last; /* whose state changed longest ago first */
    size_t n;
};

/** Begins to count one that was taken. It is idle until its first request. */
void connections_add(struct connections *c, struct lws *wsi);
/** It has a request that is not answered yet, or none any more. */
void connections_set_busy(struct connections *c, struct lws *wsi, bool busy);
/** To be called when libwebsockets frees it; others than those added are none of ours. */
void connections_remove(struct connections *c, struct lws *wsi);
/** If there are `most` or more, closes one: the one that has been idle longest, or, when each has
 * a request, the one that has had it longest. Not from a callback of libwebsockets. */
void connections_make_room(struct connections *c, size_t most);

#endif
