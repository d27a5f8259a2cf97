/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the API server, one object at a time. Every call has a deadline. A 401 is retried once
 * with fresh credentials; nothing else is retried here: callers are level-triggered and come back
 * through the work queue.
 *
 * Writes carry one field manager (KUBE_FIELD_MANAGER). Applies are forced, because the fields are
 * ours, unless the object is not thought to exist.
 */
#ifndef FLINKOP_KUBE_CLIENT_H
#define FLINKOP_KUBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flinkop/error.h"
#include "flinkop/jv.h"
#include "flinkop/kube_resource.h"
#include "flinkop/macros.h"

#define KUBE_FIELD_MANAGER "flink-operator"

struct http_fence;
struct http_request;
struct ip;
struct kube_client;
struct kube_config;
struct kube_request;
struct loop;

enum kube_verb {
    KUBE_GET,
    KUBE_LIST,        /* one page: .limit, .continue_token, selectors */
    KUBE_CREATE,      /* POST */
    KUBE_APPLY,       /* server-side apply, forced unless `yield` */
    KUBE_MERGE_PATCH, /* RFC 7386; put metadata.resourceVersion into it for optimistic locking */
    KUBE_DELETE,
};

struct kube_call {
    enum kube_verb verb;
    enum kube_kind kind;
    const char *ns;          /* NULL: all namespaces (lists only) */
    const char *name;        /* not for KUBE_LIST; KUBE_CREATE takes it from the body */
    const char *subresource; /* "status", "log" … or NULL */
    const char *body;        /* JSON text */
    const char *query;       /* more query parameters, already encoded, without '?' or NULL */
    bool yield;              /* KUBE_APPLY: what others own is a conflict */
    /* KUBE_LIST */
    int limit;
    const char *continue_token, *label_selector, *field_selector;
    /* KUBE_DELETE */
    const char *uid;         /* precondition or NULL */
    const char *version;     /* resourceVersion as precondition or NULL */
    const char *propagation; /* "Background", "Foreground", "Orphan" or NULL */
    int grace_seconds;       /* 0: the object's own; -1: none, deleted at once */
    int64_t timeout_ms;      /* 0: 15 s */
    size_t max_body;         /* 0: 8 MiB */
};

struct kube_reply {
    const struct error *err; /* code ERR_NONE when the call succeeded */
    jv object;               /* the parsed answer (ABSENT if none, or a log); lives until return */
    const char *text;        /* the same as it came */
    size_t len;
};
/** On failure err->text is the Status message of the server, err->reason its reason (or the reason
 * of its cause "NamespaceTerminating"), with verb, kind and name before it. A 409 is ERR_EXISTS
 * when the object is there already, else ERR_CONFLICT (a create may meet one in a quota, too).
 * ERR_UNREACHABLE: nothing can have been processed; ERR_TIMEOUT, ERR_SERVER, ERR_PARSE (also of an
 * answer that should be JSON and is not): the effect is unknown. Credentials that cannot be had
 * give ERR_UNAUTHORIZED. */
typedef void (*kube_done_fn)(void *arg, const struct kube_reply *reply);

/** The configuration is borrowed and must outlive the client. */
struct kube_client *kube_client_new(struct loop *loop, struct kube_config *config) MUST_CHECK;
/** Ends everything under way without callbacks. May be called in a callback. NULL is allowed.
 * Watches and events of this client must be stopped before. */
void kube_client_free(struct kube_client *c);
struct kube_config *kube_client_config(struct kube_client *c);
struct loop *kube_client_loop(struct kube_client *c);

/** Asked right before each write, to the API server or through its proxy, is sent; Leases and
 * reviews apart. Borrowed; NULL: none. */
void kube_client_set_fence(struct kube_client *c, const struct http_fence *fence);
/** For those who write elsewhere. */
const struct http_fence *kube_client_fence(const struct kube_client *c);

/** Starts a call; done comes in a later turn, exactly once. Everything is copied. */
struct kube_request *kube_send(struct kube_client *c, const struct kube_call *call,
                               kube_done_fn done, void *arg);
/** Ends it without a callback; the server may or may not have acted. NULL is allowed, as is a
 * request whose done runs. */
void kube_drop(struct kube_request *r);

/* ---- to a service or pod through the API server's proxy ---- */

struct kube_http;

/**
 * Sends req to a service ("http:NAME:8081", "NAME:rest") or a pod ("NAME:8081") through the API
 * server with our credentials and TLS: …/namespaces/NS/KIND/TARGET/proxy + req->url, where req->url
 * is the path with its query, beginning with '/'. req->tls and req->proxy must be NULL. All else is
 * as with http_send, streaming in both directions included; the request is copied. A 401 is retried
 * once with fresh credentials unless there is a req->part.
 *
 * What the API server says when it cannot reach the target comes as a status (mostly 503, as a
 * Status object), not as an error.
 */
struct kube_http *kube_proxy_send(struct kube_client *c, enum kube_kind kind, const char *ns,
                                  const char *target, const struct http_request *req,
                                  struct error *err) MUST_CHECK;
/** As http_drop and http_resume. */
void kube_http_drop(struct kube_http *h);
void kube_http_resume(struct kube_http *h);

/** The API server has answered from this address (the last 16 are known). */
bool kube_client_is_server(const struct kube_client *c, const struct ip *ip);
/** Requests sent so far (for tests and metrics). */
uint64_t kube_client_sent(const struct kube_client *c);

#endif
