/* SPDX-License-Identifier: Apache-2.0 */
#include "http_phase.h"

static void on_before(uv_prepare_t *before)
{
    ((struct http_phase *)before->data)->polling = true;
}

static void on_after(uv_check_t *after)
{
    ((struct http_phase *)after->data)->polling = false;
}

void http_phase_begin(struct http_phase *p, struct uv_loop_s *loop)
{
    uv_prepare_init(loop, &p->before);
    uv_check_init(loop, &p->after);
    p->before.data = p->after.data = p;
    uv_prepare_start(&p->before, on_before);
    uv_check_start(&p->after, on_after);
}

void http_phase_end(struct http_phase *p)
{
    uv_close((uv_handle_t *)&p->before, NULL);
    uv_close((uv_handle_t *)&p->after, NULL);
}
