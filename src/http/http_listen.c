/* SPDX-License-Identifier: Apache-2.0 */
#include "http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flinkop/error.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define MAX_QUERY (16 << 10)

static int listen_at(const struct sockaddr *at, socklen_t len)
{
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, off = 0;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* IPv4 too, whatever net.ipv6.bindv6only says. */
    if (at->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (!bind(fd, at, len) && !listen(fd, SOMAXCONN))
        return fd;
    int why = errno;

    close(fd);
    errno = why;
    return -1;
}

int http_listen(int port, struct error *err)
{
    const struct sockaddr_in6 at6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    const struct sockaddr_in at4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = listen_at((const struct sockaddr *)&at6, sizeof(at6));

    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) /* there is no IPv6 here */
        fd = listen_at((const struct sockaddr *)&at4, sizeof(at4));
    if (fd < 0)
        error_set(err, ERR_INTERNAL, "cannot listen on port %d: %s", port, strerror(errno));
    return fd;
}

int http_accept(int fd)
{
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

    if (connection >= 0)
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return connection;
}

int http_port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at = {.v6 = {0}};
    socklen_t len = sizeof(at);

    if (getsockname(fd, &at.any, &len))
        return 0;
    return ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
}

bool http_is_local(struct lws *wsi)
{
    char peer[INET6_ADDRSTRLEN + 8];

    lws_get_peer_simple(wsi, peer, sizeof(peer));
    const char *v4 = str_skip_prefix(peer, "::ffff:");

    return str_eq(peer, "::1") || str_has_prefix(v4 ? v4 : peer, "127.");
}

/* Arguments of a URI are fragments that lws has taken apart at each '&'. */
char *http_query(struct lws *wsi)
{
    struct strbuf sb = STRBUF_INIT(MAX_QUERY);
    char part[512];

    for (int i = 0; lws_hdr_copy_fragment(wsi, part, sizeof(part), WSI_TOKEN_HTTP_URI_ARGS, i) > 0;
         i++)
        strbuf_addf(&sb, "%s%s", i ? "&" : "", part);
    return strbuf_detach(&sb, NULL);
}
