/* SPDX-License-Identifier: Apache-2.0 */
#include "pages.h"

#include "flinkop/log.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

void page_metrics(void *arg, struct http_reply *reply)
{
    (void)arg;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(reply->body);
}

void page_debug(void *arg, struct http_reply *reply)
{
    const struct health_options *o = arg;

    reply->content_type = "application/json";
    o->debug(o->arg, reply->body);
    strbuf_addc(reply->body, '\n');
}

void page_log_level(void *arg, struct http_reply *reply)
{
    const char *name = str_skip_prefix(reply->asked->query, "level=");
    enum log_level level = log_level();

    (void)arg;
    if (str_eq(reply->asked->method, "PUT")) {
        if (!name || !log_level_parse(name, &level)) {
            reply->status = 400;
            strbuf_adds(reply->body, "write ?level=error, warn, info or debug\n");
            return;
        }
        log_change_level(level);
    }
    strbuf_addf(reply->body, "%s\n", log_level_name(level));
}
