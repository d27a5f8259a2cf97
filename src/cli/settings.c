/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <string.h>

#include "defaults.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/operator_config.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define NAMESPACES_MAX ((size_t)1 << 20)

static struct metric successful =
    METRIC_GAUGE("flink_operator_config_last_reload_successful",
                 "Whether the last attempt to read the operator's configuration was successful.");
static struct metric success_time =
    METRIC_GAUGE("flink_operator_config_last_reload_success_timestamp_seconds",
                 "When the configuration that counts was read, in seconds since 1970.");

struct settings {
    const char *dir, *namespaces;
    struct operator_config *now;
    char *text;     /* the file as it was last seen, right or not; NULL: it could not be read */
    bool from_file; /* what counts */
    char *error;
    struct timer *timer;
    void (*changed)(void *arg);
    void *arg;
};

struct operator_config *settings_now(const struct settings *s)
{
    return s->now;
}

const char *settings_error(const struct settings *s)
{
    return s->error;
}

static void take(struct settings *s, struct operator_config *c)
{
    operator_config_let_go(s->now);
    s->now = c;
    str_replace(&s->error, NULL);
    metric_set(&successful, 1);
    metric_set(&success_time, (double)clock_wall_ms() / 1000);
    for (size_t i = 0; c->remarks[i]; i++)
        log_warn("configuration: without effect", KV("option", c->remarks[i]));
}

struct settings *settings_read(const char *dir, const char *namespaces, struct error *err)
{
    struct operator_config *c;
    const char *name;
    size_t len;
    char *text = cli_defaults_text(dir, &name, &len, err);
    struct settings *s;

    if (!text)
        return NULL;
    c = operator_config_read(name, text, len, namespaces, err);
    if (!c) {
        free(text);
        return NULL;
    }
    s = xcalloc(1, sizeof(*s));
    *s = (struct settings){
        .dir = dir, .namespaces = namespaces, .text = text, .from_file = name != NULL};
    take(s, c);
    return s;
}

/* ---- again ---- */

static void refuse(struct settings *s, const struct error *err)
{
    if (!str_eq(s->error, err->text))
        log_error("configuration: it is wrong, the former one goes on counting",
                  KV("error", err->text));
    str_replace(&s->error, err->text);
    metric_set(&successful, 0);
}

/* As a list that counts instead of a configured one. */
static char *listed(const struct operator_config *c)
{
    struct strbuf sb = STRBUF_INIT(NAMESPACES_MAX);

    for (size_t i = 0; c->namespaces[i]; i++)
        strbuf_addf(&sb, "%s%s", i ? "," : "", c->namespaces[i]);
    if (!sb.len)
        strbuf_adds(&sb, "JOSDK_ALL_NAMESPACES");
    return strbuf_detach(&sb, NULL);
}

static struct operator_config *read_again(struct settings *s, const char *name, const char *text,
                                          size_t len, struct error *err)
{
    struct operator_config *c = operator_config_read(name, text, len, s->namespaces, err);

    if (!c || c->moves_namespaces || operator_config_same_namespaces(c, s->now))
        return c;
    cleanup_free char *former = listed(s->now);

    log_warn("configuration: other namespaces count from the next start of the operator, or with "
             "kubernetes.operator.dynamic.namespaces.enabled");
    operator_config_let_go(c);
    return operator_config_read(name, text, len, former, err);
}

static void tell(const struct settings *s, const struct operator_config *c)
{
    const char *key;

    log_info("configuration: read again");
    for (size_t i = 0; (key = operator_config_needs_restart(s->now, c, i)); i++)
        log_warn("configuration: counts from the next start of the operator", KV("option", key));
}

/* Where there was a file, none is no empty one: its ConfigMap is being made anew, perhaps. Without
 * its label selector the operator would act on what is another one's. */
static char *text_now(const struct settings *s, const char **ret_name, size_t *ret_len,
                      struct error *err)
{
    char *text = cli_defaults_text(s->dir, ret_name, ret_len, err);

    if (!text || *ret_name || !s->from_file)
        return text;
    free(text);
    error_set(err, ERR_NOT_FOUND, "%s: there is no config.yaml and no flink-conf.yaml any more",
              s->dir);
    return NULL;
}

static void look(struct settings *s)
{
    struct error err = {0};
    const char *name;
    size_t len;
    char *text = text_now(s, &name, &len, &err);
    bool same = text && str_eq(text, s->text);

    free(s->text);
    s->text = text;
    if (!text)
        refuse(s, &err);
    if (!text || same)
        return;
    struct operator_config *c = read_again(s, name, text, len, &err);

    if (!c) {
        refuse(s, &err);
        return;
    }
    tell(s, c);
    take(s, c);
    s->from_file = name != NULL;
    s->changed(s->arg);
}

static void on_timer(void *arg)
{
    struct settings *s = arg;

    look(s);
    if (s->now->check_ms)
        timer_start(s->timer, s->now->check_ms);
}

void settings_follow(struct settings *s, struct loop *loop, void (*changed)(void *arg), void *arg)
{
    s->changed = changed;
    s->arg = arg;
    s->timer = timer_new(loop, on_timer, s);
    if (s->now->check_ms && !str_empty(s->dir))
        timer_start(s->timer, s->now->check_ms);
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    operator_config_let_go(s->now);
    timer_free(s->timer);
    free(s->text);
    free(s->error);
    free(s);
}
