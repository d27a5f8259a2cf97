/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of a call. The line that matters is whether the server can have acted on the request:
 * curl's pre-request callback runs when a connection stands (TLS included) and the first byte is
 * about to be written, so a call it never ran for is ERR_UNREACHABLE and may safely be made again,
 * and everything after it is some other code.
 */
#include <stdio.h>
#include <string.h>

#include "flinkop/str.h"
#include "http_internal.h"

#define RETRY_AFTER_MAX_S 3600

static const char *header(const struct http_call *call, const char *name)
{
    struct curl_header *h;

    return curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &h) ? NULL : h->value;
}

/* A strong ETag. Not Last-Modified: builds that can be repeated give all files one time. */
const char *http_call_validator(const struct http_call *call)
{
    const char *etag = header(call, "ETag");

    return etag && *etag == '"' ? etag : NULL;
}

void http_call_response(const struct http_call *call, struct http_response *res)
{
    long status = 0;
    curl_off_t length = -1, retry_after = 0;
    char *type = NULL, *location = NULL;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &location);
    *res = (struct http_response){
        .status = (int)status,
        .body = call->reply.buf,
        .len = call->reply.len,
        .content_type = str_or_empty(type),
        .content_length = length,
        .retry_after_ms = (int)MIN(retry_after, RETRY_AFTER_MAX_S) * 1000,
        .location = location,
        .peer = call->peer,
    };
}

static int response_code(const struct http_call *call)
{
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

/* No byte of the request can have reached a server. */
static bool nothing_sent(const struct http_call *call, CURLcode code)
{
    long written = 0;

    if (!call->sends)
        return true;
    curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &written);
    return code == CURLE_SEND_ERROR && call->sends == 1 && !written;
}

static const char *curl_text(const struct http_call *call, CURLcode code)
{
    long number = call->no_socket;

    if (!number && code == CURLE_COULDNT_CONNECT) /* curl's own text has no reason */
        curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &number);
    if (number)
        return strerror((int)number);
    return call->curl_error[0] ? call->curl_error : curl_easy_strerror(code);
}

static void classify_unsent(const struct http_call *call, CURLcode code, struct error *err)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        error_set(err, ERR_INVALID, "%s: %s", call->host, curl_text(call, code));
        break;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        error_set(err, ERR_INTERNAL, "%s: %s", call->host, curl_text(call, code));
        break;
    case CURLE_OPERATION_TIMEDOUT:
        error_set(err, ERR_UNREACHABLE, "no connection to %s within %lld ms", call->host,
                  (long long)call->connect_ms);
        break;
    default:
        error_set(err, ERR_UNREACHABLE, "cannot connect to %s: %s", call->host,
                  curl_text(call, code));
        if (code == CURLE_PEER_FAILED_VERIFICATION)
            snprintf(err->reason, sizeof(err->reason), HTTP_UNTRUSTED);
    }
}

static void classify_sent(const struct http_call *call, CURLcode code, struct error *err)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        error_set(err, ERR_TIMEOUT, "%s: %s", call->host, curl_text(call, code));
        break;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
        error_set(err, ERR_PARSE, "malformed answer of %s: %s", call->peer, curl_text(call, code));
        break;
    case CURLE_OUT_OF_MEMORY:
        error_set(err, ERR_INTERNAL, "%s: %s", call->host, curl_text(call, code));
        break;
    default:
        error_set(err, ERR_SERVER, "connection to %s broke: %s", call->peer, curl_text(call, code));
        snprintf(err->reason, sizeof(err->reason), "ConnectionBroken");
    }
}

void http_call_classify(const struct http_call *call, CURLcode code, struct error *err)
{
    if (code == CURLE_OK && call->head_done)
        return;
    if (code == CURLE_OK) /* curl takes headers that end with the connection for whole ones */
        code = CURLE_PARTIAL_FILE;
    if (call->too_large) {
        error_set(err, ERR_TOO_LARGE, "%s of the answer of %s larger than %zu bytes",
                  call->head_done ? "body" : "head", call->peer,
                  call->head_done ? call->reply.cap : HTTP_MAX_HEAD);
    } else if (call->gave_up) {
        error_set(err, ERR_CANCELLED, "given up while its data was passed on");
    } else if (call->no_resend) {
        error_set(err, ERR_SERVER, "connection to %s broke before an answer came", call->peer);
        snprintf(err->reason, sizeof(err->reason), "ConnectionBroken");
    } else if (call->fenced) { /* unless it is the second time: what came of the first? */
        error_set(err, call->sends ? ERR_SERVER : ERR_UNREACHABLE,
                  "not sent to %s: its fence is closed", call->host);
        snprintf(err->reason, sizeof(err->reason), HTTP_FENCED);
    } else if (call->refused && nothing_sent(call, code)) {
        error_set(err, ERR_FORBIDDEN, "%s: %s", call->host, call->refused);
    } else if (nothing_sent(call, code)) {
        classify_unsent(call, code, err);
    } else {
        classify_sent(call, code, err);
    }
    err->http = response_code(call);
}

void http_call_timed_out(const struct http_call *call, bool idle, struct error *err)
{
    long long ms = idle ? call->idle_ms : call->timeout_ms;

    if (nothing_sent(call, CURLE_OPERATION_TIMEDOUT))
        error_set(err, ERR_UNREACHABLE, "no connection to %s within %lld ms", call->host, ms);
    else if (idle)
        error_set(err, ERR_TIMEOUT, "no byte from %s for %lld ms", call->peer, ms);
    else
        error_set(err, ERR_TIMEOUT, "no complete answer from %s within %lld ms", call->peer, ms);
    err->http = response_code(call);
}

static const struct {
    int status;
    enum errc code;
} status_codes[] = {
    {400, ERR_INVALID}, {401, ERR_UNAUTHORIZED}, {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
    {405, ERR_INVALID}, {406, ERR_INVALID},      {408, ERR_TIMEOUT},   {409, ERR_CONFLICT},
    {410, ERR_GONE},    {412, ERR_CONFLICT},     {413, ERR_TOO_LARGE}, {415, ERR_INVALID},
    {422, ERR_INVALID}, {425, ERR_THROTTLED},    {429, ERR_THROTTLED}, {504, ERR_TIMEOUT},
};

int http_status_error(int status, struct error *err, const char *fmt, ...)
{
    enum errc code = status >= 500 ? ERR_SERVER : ERR_INVALID;
    char text[ERROR_TEXT_MAX];
    va_list ap;

    for (size_t i = 0; i < ARRAY_SIZE(status_codes); i++)
        if (status_codes[i].status == status)
            code = status_codes[i].code;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    error_set(err, code, "%s", text);
    if (err)
        err->http = status;
    return -1;
}
