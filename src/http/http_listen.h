/* SPDX-License-Identifier: Apache-2.0 */
/* Where the HTTP server listens, who comes, and with what. */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include <stdbool.h>

#include "flinkop/macros.h"

struct error;
struct lws;

/** A socket that listens on this port of all addresses (0: any free one); -1: there is an error. */
int http_listen(int port, struct error *err) MUST_CHECK;
/** The next connection, -1: see errno. What is written to it is sent at once: the head of a reply
 * and its body are two writes, and the second would wait for the client to acknowledge the first.
 */
int http_accept(int fd);
/** 0: not known. */
int http_port_of(int fd);
/** The client has a loopback address. */
bool http_is_local(struct lws *wsi);

/** What stands behind the '?' of its URI, "" if nothing; malloc'd. */
char *http_query(struct lws *wsi) MUST_CHECK;

#endif
