/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the HTTP client share. A call is owned by its client from http_send until
 * on_done has returned, or until it is dropped. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "flinkop/error.h"
#include "flinkop/http.h"
#include "flinkop/strbuf.h"

struct timer;

#define HTTP_MAX_HEAD ((size_t)256 << 10) /* headers of one call */

struct http_tls {
    int refs;
    char *ca, *cert, *key, *server_name;
    bool insecure;
};

/* What a call still has to have done to it outside of curl's callbacks. */
enum { TODO_START = 1, TODO_RESUME = 2, TODO_CANCEL = 4, TODO_FREE = 8 };

struct http_call {
    struct http_client *client;
    struct http_call *next, **link;           /* in client->calls */
    struct http_call *todo_next, **todo_link; /* in client->todo while todo is not 0 */
    int todo;
    bool dropped; /* no callback may be called any more */
    bool done;    /* on_done is being or was called */

    CURL *easy;
    curl_mime *mime;
    struct curl_slist *headers, *connect_to, *tls_names;
    struct http_tls *tls;
    char *body;
    struct http_part part;
    char *host; /* "host:port" of the URL, for messages */

    const struct http_fence *fence;
    bool fenced;     /* it was closed */
    bool repeatable; /* may be sent again when a kept connection broke before an answer */
    struct http_guard guard;
    const char *refused; /* what it said of the first address that it does not let pass */
    int no_socket;       /* errno, when there was none to be had */
    int64_t connect_ms, deadline, idle_ms, timeout_ms;
    struct timer *timer;
    int64_t last_byte;
    curl_off_t last_total;
    bool source_waits, sink_waits;

    int sends;      /* connections the request was written to */
    bool answered;  /* a status line came since the last of them */
    bool no_resend; /* we refused to send it again */
    bool head_done; /* of the final response */
    bool gave_up;   /* source or sink returned HTTP_ABORT */
    bool too_large;
    size_t head_bytes;
    char peer[64]; /* "address:port" */
    char curl_error[CURL_ERROR_SIZE];
    struct strbuf reply;

    void (*on_head)(void *arg, const struct http_response *head);
    ssize_t (*on_data)(void *arg, const char *data, size_t n);
    void (*on_done)(void *arg, const struct http_response *res, const struct error *err);
    void *arg;
};

/* Applies the request to call->easy (a fresh or reset handle). The request is copied. */
int http_call_setup(struct http_call *call, const struct http_request *req, const char *user_agent,
                    struct error *err) MUST_CHECK;
/* Frees what http_call_setup allocated; the easy handle stays. */
void http_call_release(struct http_call *call);

/* The answer as far as it is known. Its strings live as long as the easy handle is not reset. */
void http_call_response(const struct http_call *call, struct http_response *res);
/** What http_response.validator tells. */
const char *http_call_validator(const struct http_call *call);
/* What a finished transfer means; leaves err alone if it succeeded. */
void http_call_classify(const struct http_call *call, CURLcode code, struct error *err);
/* A deadline of ours passed; idle: without a byte, else in total. */
void http_call_timed_out(const struct http_call *call, bool idle, struct error *err);

/* The bytes that are not to be left in freed memory. */
void http_wipe_free(char *s);

#endif
