/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a client, for the files of this folder. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "http_internal.h"

/* Idle curl handles are kept for the next calls: making one costs more than resetting it. */
#define HTTP_SPARE_HANDLES 8

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct timer *timer; /* curl's */
    struct timer *idle;  /* active while no call is */
    int64_t idle_ms;
    int stall_ms;
    int max_connections, max_host_connections, max_kept, receive_buffer;
    char *user_agent;
    struct http_call *calls;
    size_t active;
    size_t opened; /* connections since curl's memory of them was made anew */
    struct http_call *todo, **todo_last;
    size_t n_todo;
    bool todo_deferred;
    CURL *spare[HTTP_SPARE_HANDLES];
    int spares;
    int depth;  /* of our functions that call curl or callbacks */
    bool dying; /* freed as soon as depth is 0 */
};

#endif
