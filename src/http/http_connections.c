/* SPDX-License-Identifier: Apache-2.0 */
#include "http_connections.h"

#include <libwebsockets.h>
#include <stdlib.h>

#include "flinkop/mem.h"

struct connection {
    struct connection *prev, *next;
    struct lws *wsi;
    bool busy;
};

static void put_last(struct connections *c, struct connection *conn)
{
    conn->prev = c->last;
    conn->next = NULL;
    *(c->last ? &c->last->next : &c->first) = conn;
    c->last = conn;
}

static void take_out(struct connections *c, struct connection *conn)
{
    *(conn->prev ? &conn->prev->next : &c->first) = conn->next;
    *(conn->next ? &conn->next->prev : &c->last) = conn->prev;
}

void connections_add(struct connections *c, struct lws *wsi)
{
    struct connection *conn = xcalloc(1, sizeof(*conn));

    conn->wsi = wsi;
    lws_set_opaque_user_data(wsi, conn);
    put_last(c, conn);
    c->n++;
}

void connections_set_busy(struct connections *c, struct lws *wsi, bool busy)
{
    struct connection *conn = lws_get_opaque_user_data(wsi);

    if (!conn)
        return;
    conn->busy = busy;
    take_out(c, conn);
    put_last(c, conn);
}

void connections_remove(struct connections *c, struct lws *wsi)
{
    struct connection *conn = lws_get_opaque_user_data(wsi);

    if (!conn)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    take_out(c, conn);
    free(conn);
    c->n--;
}

void connections_make_room(struct connections *c, size_t most)
{
    struct connection *oldest = c->first, *idle = oldest;

    if (!oldest || c->n < most)
        return;
    while (idle && idle->busy)
        idle = idle->next;
    struct lws *wsi = (idle ? idle : oldest)->wsi;

    connections_remove(c, wsi); /* libwebsockets frees it some turns later */
    lws_wsi_close(wsi, LWS_TO_KILL_SYNC);
}
