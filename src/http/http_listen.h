/* SPDX-License-Identifier: Apache-2.0 */
/* Where the HTTP server listens, and who comes. */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include <stdbool.h>

#include "flinkop/macros.h"

struct error;
struct lws;

/** A socket that listens on this port of all addresses (0: any free one); -1: there is an error. */
int http_listen(int port, struct error *err) MUST_CHECK;
/** 0: not known. */
int http_port_of(int fd);
/** The client has a loopback address. */
bool http_is_local(struct lws *wsi);

#endif
