/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the loop looks at its sockets right now. What libwebsockets gives us outside of that
 * phase has come before: it lay in its buffers behind the request before it.
 */
#ifndef HTTP_PHASE_H
#define HTTP_PHASE_H

#include <stdbool.h>
#include <uv.h>

struct http_phase {
    uv_prepare_t before;
    uv_check_t after;
    bool polling;
};

void http_phase_begin(struct http_phase *p, struct uv_loop_s *loop);
/** Its memory must stay for a turn. */
void http_phase_end(struct http_phase *p);

#endif
