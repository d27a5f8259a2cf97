/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP relay on the test's loop: what goes through it to the API server can be cut and refused. */
#ifndef IT_RELAY_H
#define IT_RELAY_H

#include <stdbool.h>

struct loop;
struct relay;

/** Relays to 127.0.0.1 or another literal address and port of a URL "https://ADDR:PORT". */
struct relay *relay_new(struct loop *loop, const char *url);
void relay_free(struct relay *r);
/** "https://127.0.0.1:PORT" */
const char *relay_url(const struct relay *r);
/** Cuts what is open; while refuse, new connections are cut at once. */
void relay_cut(struct relay *r, bool refuse);
/** Lets nothing through any more, without closing anything: a half-open connection. */
void relay_freeze(struct relay *r, bool frozen);

#endif
