/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP client on the loop: libcurl's multi interface with its socket callbacks. A client is a pool
 * of keep-alive connections with a limit; several clients keep traffic classes apart (API calls,
 * watches, Flink), so that one cannot starve another. HTTP/1.1 only, redirects are not followed,
 * certificates verified unless the TLS context says otherwise.
 *
 * on_done is called exactly once for every call that http_send accepted, never from inside
 * http_send or http_cancel, and nothing is called after it. Callbacks may send, cancel and resume
 * other calls freely. Request bodies are copied; header values that carry credentials are never
 * logged and wiped when the call ends.
 */
#ifndef FLINKOP_HTTP_H
#define FLINKOP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "flinkop/error.h"
#include "flinkop/macros.h"

struct ip;
struct loop;
struct http_client;
struct http_call;
struct http_tls;

/* ---- TLS context: reference-counted, immutable; make a new one when certificates rotate ---- */

struct http_tls_options {
    const char *ca_pem;                           /* NULL: the system's CAs */
    const char *client_cert_pem, *client_key_pem; /* both or neither */
    const char *server_name; /* verify and SNI with this name instead of the URL's host */
    bool insecure;           /* do not verify */
};
/** Copies what it is given. */
struct http_tls *http_tls_new(const struct http_tls_options *o);
struct http_tls *http_tls_ref(struct http_tls *tls);
void http_tls_unref(struct http_tls *tls);

/* ---- requests ---- */

struct http_header {
    const char *name, *value;
};

/** error.reason of what a fence kept from being sent. */
#define HTTP_FENCED "Fenced"
/** … of a server whose certificate was not accepted. */
#define HTTP_UNTRUSTED "UntrustedCertificate"

/** What a streaming source or sink returns instead of a byte count. */
enum { HTTP_WAIT = -2, HTTP_ABORT = -1 };

/** Gives up to n bytes of a body: the number, 0 at the end, HTTP_WAIT (call http_resume later) or
 * HTTP_ABORT. */
typedef ssize_t (*http_read_fn)(void *arg, char *buf, size_t n);

/** One file part of a multipart/form-data body, streamed. */
struct http_part {
    const char *name, *filename, *content_type;
    http_read_fn read;
    void *arg;
    int64_t length; /* -1: unknown, sent chunked */
};

struct http_response {
    int status;
    const char *body; /* NUL-terminated; empty when on_data took it */
    size_t len;
    const char *content_type; /* "" if none */
    int64_t content_length;   /* -1 if not given */
    int retry_after_ms;       /* from Retry-After, else 0 */
    const char *location;     /* the URL that a redirect names, else NULL; not in on_head */
    const char *validator;    /* differs when the content does, else NULL (RFC 9110 §8.8.1); only
                                 in on_head */
    const char *peer;         /* address it was sent to, for logs */
};

/** Asked right before a request is written to its connection, each time it is. False: it is not. */
struct http_fence {
    bool (*open)(void *arg);
    void *arg;
};

/** Asked for each address before a connection to it is made, and again right before a request is
 * written to a connection that stands (it may be a kept one, of someone who was allowed more). */
struct http_guard {
    /** NULL: it may be spoken to; else why not. The text lives until the call has ended. */
    const char *(*refuse)(void *arg, const struct ip *address);
    void *arg;
};

struct http_request {
    const char *method; /* "GET" … */
    const char *url;
    const struct http_header *headers; /* ends with a NULL name; may be NULL */
    const void *body;
    size_t body_len;
    const struct http_part *part; /* instead of body */
    struct http_tls *tls;         /* NULL: the system's CAs */
    /* The server's certificate may be for any of these names instead of the URL's host; ends with
     * NULL, copied; NULL: for that host. */
    const char *const *tls_names;
    const char *proxy;              /* proxy URL or NULL; the environment is not consulted */
    int64_t connect_timeout_ms;     /* 0: 10 s */
    int64_t timeout_ms;             /* of the whole call; 0: none (watches only) */
    int64_t idle_timeout_ms;        /* without a byte in either direction; 0: none. Does not count
                                       while the call waits for its own source or sink */
    size_t max_body;                /* of a buffered response; 0: 1 MiB. More gives ERR_TOO_LARGE */
    const struct http_guard *guard; /* NULL: none; copied. Who has no address that it lets pass is
                                       ERR_FORBIDDEN, with what it said of the first */
    /* A POST or PATCH that may be sent a second time when a kept connection breaks before a byte of
     * the answer. Other methods may (RFC 9110 §9.2.2); these fail with ERR_SERVER unless set. */
    bool repeatable;
    const struct http_fence *fence; /* NULL: none; outlives the call */

    /** Called once when the status and headers of the final response are known. May be NULL. */
    void (*on_head)(void *arg, const struct http_response *head);
    /** Takes the body piece by piece instead of buffering: n when taken, HTTP_WAIT (nothing taken,
     * the same bytes come again after http_resume) or HTTP_ABORT. May be NULL. */
    ssize_t (*on_data)(void *arg, const char *data, size_t n);
    /** res is NULL when there is no usable response; err->code is ERR_NONE when res counts (any
     * status). ERR_UNREACHABLE, ERR_INVALID: not one byte of the request was sent, nothing can have
     * been processed (no address, no connection, no TLS session, the deadline passed before that,
     * or, with the reason HTTP_FENCED, its fence was closed). All else: the effect is unknown;
     * ERR_TIMEOUT for deadlines, ERR_SERVER with reason "ConnectionBroken" for a connection that
     * broke, ERR_PARSE for an answer that is not HTTP, ERR_TOO_LARGE, ERR_CANCELLED. err->http is
     * the status if one had come. */
    void (*on_done)(void *arg, const struct http_response *res, const struct error *err);
    void *arg;
};

struct http_client_options {
    const char *user_agent;
    int max_connections;      /* in total */
    int max_host_connections; /* to one host */
    int64_t idle_close_ms;    /* kept connections are closed when nothing was sent for so long;
                                 0: 60 s */
    int max_kept;             /* beyond so many they are closed after use; 0: max_connections */
    int stall_ms;             /* a connection that acknowledges nothing for so long is broken, and
                                 what it had not taken is lost, 0: 30 s */
    int receive_buffer;       /* bytes, of each call under way; 0: curl's 16 KiB */
};

struct http_client *http_client_new(struct loop *loop, const struct http_client_options *o);
/** Ends what is under way without any further callback, closes connections, frees. May be called in
 * a callback of one of its calls. NULL is allowed. */
void http_client_free(struct http_client *c);
/** Calls in progress or queued. */
size_t http_client_active(const struct http_client *c);

/** Queues a call. NULL with ERR_INVALID for a URL or request that cannot be sent at all. */
struct http_call *http_send(struct http_client *c, const struct http_request *req,
                            struct error *err) MUST_CHECK;
/** on_done comes in a later turn with ERR_CANCELLED. Cancelling twice is harmless. */
void http_cancel(struct http_call *call);
/** Ends the call without any further callback. NULL is allowed, as is a call whose on_done runs. */
void http_drop(struct http_call *call);
/** Continues a call whose source or sink said HTTP_WAIT. */
void http_resume(struct http_call *call);

/** Whether requests of this method change something. */
bool http_writes(const char *method);

/** Percent-encodes for a path segment or query value; malloc'd. */
char *http_escape(const char *s) MUST_CHECK;
/** Scheme, host and port of both URLs are the same. */
bool http_same_origin(const char *a, const char *b);
/** Its host, without the brackets of IPv6, numbers as curl reads them; NULL: it is no URL.
 * malloc'd. */
char *http_url_host(const char *url) MUST_CHECK;
/** The address in http_response.peer. */
bool http_peer_ip(const char *peer, struct ip *ret) MUST_CHECK;

/** An error for an HTTP status, by a fixed table (404 NOT_FOUND, 409 CONFLICT, 410 GONE, 429
 * THROTTLED, 5xx SERVER …). Sets err->http. Returns -1; call it only for statuses >= 300. */
int http_status_error(int status, struct error *err, const char *fmt, ...) PRINTF(3, 4);

#endif
