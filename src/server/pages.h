/* SPDX-License-Identifier: Apache-2.0 */
/* What both ports can show. */
#ifndef SERVER_PAGES_H
#define SERVER_PAGES_H

#include "flinkop/health.h"
#include "flinkop/http_server.h"

/** http_handle_fn; arg: struct health_options. */
void page_metrics(void *arg, struct http_reply *reply);
void page_debug(void *arg, struct http_reply *reply);
/** GET: the level in force; PUT with ?level=…: another one. */
void page_log_level(void *arg, struct http_reply *reply);

struct secure_port;

/** Serves these pages to those who may see them; `o` is borrowed. */
struct secure_port *secure_port_new(struct loop *loop, const struct health_options *o,
                                    struct error *err) MUST_CHECK;
int secure_port_number(const struct secure_port *p);
void secure_port_free(struct secure_port *p);

#endif
