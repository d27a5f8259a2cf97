/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/operator_config.h"

#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_version.h"
#include "flinkop/label_selector.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "kube_rules.h"

#define OPTION "kubernetes.operator."
#define LAYERS OPTION "default-configuration."
#define REMARKS_MAX 50
#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define DAY (24 * 60 * MINUTE)
/* What a former leader has put into a socket is acknowledged or given up within 4 s (http.h). */
#define LEASE_MARGIN_MS (5 * SECOND)

struct kept {
    struct operator_config c;
    struct arena a;
    int holders;
};

/* ---- numbers ---- */

static const struct duration {
    const char *key;
    size_t offset;
    int64_t least, most;
} durations[] = {
#define AT(member) offsetof(struct operator_config, member)
    {OPTION "dynamic.config.check.interval", AT(check_ms), 100, DAY},
    {OPTION "flink.client.timeout", AT(flink_timeout_ms), 100, 10 * MINUTE},
    {OPTION "job.submission.timeout", AT(submission_ms), SECOND, DAY},
    {OPTION "leader-election.lease-duration", AT(lease.duration), 6 * SECOND, 60 * MINUTE},
    {OPTION "leader-election.renew-deadline", AT(lease.deadline), SECOND, 60 * MINUTE},
    {OPTION "leader-election.retry-period", AT(lease.retry), 100, 60 * MINUTE},
    {OPTION "retry.initial.interval", AT(backoff.min), 1, DAY},
    {OPTION "retry.max.interval", AT(backoff.max), 100, DAY},
    {OPTION "termination.timeout", AT(drain_ms), 0, 60 * MINUTE},
#undef AT
};

static int refuse(struct error *err, const char *key, int64_t found, int64_t least, int64_t most)
{
    char a[32], b[32], c[32];

    duration_format(found, a, sizeof(a));
    duration_format(least, b, sizeof(b));
    duration_format(most, c, sizeof(c));
    return error_set(err, ERR_INVALID, "%s: found %s, must be from %s to %s", key, a, b, c);
}

static bool is_optional(const struct duration *d)
{
    return str_has_prefix(d->key, OPTION "retry.");
}

static int read_durations(struct operator_config *c, const struct conf *conf, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
        const struct duration *d = &durations[i];
        int64_t ms;

        if (is_optional(d) && !conf_lookup(conf, d->key))
            continue;
        if (flink_option_duration(conf, d->key, &ms, err))
            return -1;
        if (ms < d->least || ms > d->most)
            return refuse(err, d->key, ms, d->least, d->most);
        memcpy((char *)c + d->offset, &ms, sizeof(ms));
    }
    return 0;
}

static int read_factor(struct operator_config *c, const struct conf *conf, struct error *err)
{
    const char *key = OPTION "retry.interval.multiplier";

    if (conf_double(conf, key, 0, &c->backoff.factor, err))
        return -1;
    if (conf_lookup(conf, key) && (c->backoff.factor < 1 || c->backoff.factor > 100))
        return error_set(err, ERR_INVALID, "%s: found %g, must be from 1 to 100", key,
                         c->backoff.factor);
    if (c->backoff.min && c->backoff.max && c->backoff.min > c->backoff.max)
        return error_set(err, ERR_INVALID,
                         OPTION "retry.initial.interval: is longer than retry.max.interval");
    return 0;
}

static int read_lease(struct operator_config *c, const struct conf *conf, struct error *err)
{
    const char *name = flink_defaults_option(c->defaults, OPTION "leader-election.lease-name");

    c->lease_name = str_empty(name) ? NULL : name;
    c->lease.duration = (c->lease.duration + SECOND - 1) / SECOND * SECOND;
    if (c->lease.duration < c->lease.deadline + LEASE_MARGIN_MS)
        return error_set(err, ERR_INVALID,
                         OPTION "leader-election.lease-duration: must be at least 5 s longer than "
                                "renew-deadline, so that nothing of a former leader arrives late");
    if (c->lease.deadline < 2 * c->lease.retry)
        return error_set(err, ERR_INVALID,
                         OPTION "leader-election.renew-deadline: must be at least twice "
                                "retry-period");
    return flink_option_bool(conf, OPTION "leader-election.enabled", &c->elects, err);
}

static int read_switches(struct operator_config *c, const struct conf *conf, struct error *err)
{
    const char *key = OPTION "health.probe.port";
    bool reloads;
    int64_t port;

    if (flink_option_bool(conf, OPTION "dynamic.config.enabled", &reloads, err) ||
        flink_option_bool(conf, OPTION "dynamic.namespaces.enabled", &c->moves_namespaces, err) ||
        flink_option_int(conf, key, &port, err))
        return -1;
    if (port < 0 || port > 65535)
        return error_set(err, ERR_INVALID, "%s: found %lld, must be from 0 to 65535", key,
                         (long long)port);
    c->port = conf_lookup(conf, key) ? (int)port : -1;
    c->check_ms = reloads ? c->check_ms : 0;
    return 0;
}

/* ---- what is served ---- */

static bool is_listed(const char *const *list, size_t n, const char *ns)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], ns))
            return true;
    return false;
}

static int read_namespaces(struct kept *k, const char *given, struct error *err)
{
    const char *key = str_empty(given) ? OPTION "watched.namespaces" : "--namespace";
    const struct conf conf = flink_defaults_conf(k->c.defaults);
    const char *text = str_empty(given) ? conf_words(&conf, key, "") : given;
    size_t n, kept = 0;

    if (str_empty(text) || str_eq(text, "JOSDK_ALL_NAMESPACES"))
        text = "";
    char **found = str_split(&k->a, text, ',', &n);
    const char **list = arena_new_array(&k->a, const char *, n + 1);

    for (size_t i = 0; i < n; i++) {
        if (!dns_label_valid(found[i]))
            return error_set(err, ERR_INVALID, "%s: \"%s\" is not the name of a namespace", key,
                             str_clean(&k->a, found[i], 100));
        if (!is_listed(list, kept, found[i]))
            list[kept++] = found[i];
    }
    k->c.namespaces = list;
    return 0;
}

static int read_selector(struct kept *k, struct error *err)
{
    const char *key = OPTION "label.selector";
    const char *text = flink_defaults_option(k->c.defaults, key);

    if (label_selector_parse(&k->a, str_or_empty(text), &k->c.selector, err))
        return error_wrap(err, "%s", key);
    k->c.selector_text = k->c.selector ? text : NULL;
    return 0;
}

/* ---- the keys themselves ---- */

/* The key of a cluster's configuration that a key of a layer stands for, NULL: it is none. */
static const char *of_layer(const char *key)
{
    static const char *const layers[] = {LAYERS "namespace.", LAYERS "flink-version."};

    for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
        const char *rest = str_skip_prefix(key, layers[i]);
        const char *dot = rest ? strchr(rest, '.') : NULL;

        if (dot)
            return dot + 1;
    }
    return NULL;
}

/* A layer that no cluster gets. */
static bool of_no_version(const char *key)
{
    const char *version = str_skip_prefix(key, LAYERS "flink-version.");
    size_t n = version ? strcspn(version, "+.") : 0;
    char name[sizeof("v99_99")];

    if (!version || version[n + (version[n] == '+')] != '.' || n >= sizeof(name))
        return version != NULL;
    memcpy(name, version, n);
    name[n] = '\0';
    return !flink_version_find(name);
}

static const char *remark_on(const char *key)
{
    const char *inner = of_layer(key), *name = str_or(inner, key);
    const struct flink_option *o = flink_option_is_ours(name) ? flink_option_named(name) : NULL;

    if (of_no_version(key))
        return "names no version of Flink, as v1_20 does, or v1_20+ for it and those after it";
    if (!flink_option_is_ours(name))
        return NULL;
    if (!o)
        return "is no option of this operator";
    if (o->fate == OPTION_MOOT)
        return o->note;
    return inner && o->scope != OPTION_OF_RESOURCES
               ? "has no effect in a layer of defaults, only for the operator as a whole"
               : NULL;
}

/* Each layer's values must parse, as those below all of them. */
static int check_layers(struct arena *a, const struct conf *conf, struct error *err)
{
    for (size_t i = 0; i < conf->n; i++) {
        const char *inner = of_layer(conf->entries[i].key);
        struct conf one = CONF_INIT(a);

        if (!inner || !flink_option_is_ours(inner))
            continue;
        conf_set(&one, inner, conf->entries[i].value);
        if (flink_options_check(&one, err))
            return error_wrap(err, "%s", conf->entries[i].key);
    }
    return 0;
}

/* flat: the text of a flink-conf.yaml, of which Flink leaves out what it does not understand. */
static void remark(struct kept *k, const struct conf *conf, const char *flat)
{
    const char **list = arena_new_array(&k->a, const char *, REMARKS_MAX + 1);
    cleanup_arena struct arena a = {0};
    size_t n = 0;
    bool lost;

    for (int line = 1; *flat && n < REMARKS_MAX; line++) {
        flat = conf_flat_line(&a, flat, &lost);
        if (lost)
            list[n++] = arena_printf(&k->a,
                                     "line %d: is no \"key: value\", with a blank behind the "
                                     "colon, and has no effect",
                                     line);
    }
    for (size_t i = 0; i < conf->n && n < REMARKS_MAX; i++) {
        const char *why = remark_on(conf->entries[i].key);

        if (why)
            list[n++] =
                arena_printf(&k->a, "%s: %s", str_clean(&k->a, conf->entries[i].key, 200), why);
    }
    k->c.remarks = list;
}

/* ---- the whole ---- */

/* Some editors put a byte order mark before a text. */
static size_t mark_len(const char *text, size_t len)
{
    static const char mark[] = "\xef\xbb\xbf";

    return len >= strlen(mark) && !memcmp(text, mark, strlen(mark)) ? strlen(mark) : 0;
}

static int read_all(struct kept *k, const char *file_name, const char *text, size_t len,
                    const char *namespaces, struct error *err)
{
    struct operator_config *c = &k->c;
    size_t skip = mark_len(text, len);

    text += skip;
    len -= skip;
    if (flink_defaults_read(&k->a, file_name, text, len, &c->defaults, err))
        return -1;
    const struct conf conf = flink_defaults_conf(c->defaults);

    if (flink_options_check(&conf, err) || check_layers(&k->a, &conf, err) ||
        read_durations(c, &conf, err) || read_factor(c, &conf, err) || read_lease(c, &conf, err) ||
        read_switches(c, &conf, err) || read_namespaces(k, namespaces, err) ||
        read_selector(k, err))
        return -1;
    remark(k, &conf, str_eq(file_name, "config.yaml") ? "" : arena_strndup(&k->a, text, len));
    return 0;
}

struct operator_config *operator_config_read(const char *file_name, const char *text, size_t len,
                                             const char *namespaces, struct error *err)
{
    struct kept *k = xcalloc(1, sizeof(*k));

    k->holders = 1;
    if (!read_all(k, file_name, text, len, namespaces, err))
        return &k->c;
    operator_config_let_go(&k->c);
    return NULL;
}

struct operator_config *operator_config_hold(struct operator_config *c)
{
    if (c)
        CONTAINER_OF(c, struct kept, c)->holders++;
    return c;
}

void operator_config_let_go(struct operator_config *c)
{
    struct kept *k = c ? CONTAINER_OF(c, struct kept, c) : NULL;

    if (!k || --k->holders)
        return;
    arena_free(&k->a);
    free(k);
}

bool operator_config_same_namespaces(const struct operator_config *a,
                                     const struct operator_config *b)
{
    size_t n = 0, m = 0;

    for (; a->namespaces[n]; n++)
        continue;
    for (; b->namespaces[m]; m++)
        if (!is_listed(a->namespaces, n, b->namespaces[m]))
            return false;
    return n == m;
}

const char *operator_config_needs_restart(const struct operator_config *was,
                                          const struct operator_config *is, size_t i)
{
    size_t n;
    const struct flink_option *options = flink_options(&n);

    for (size_t k = 0; k < n; k++) {
        const char *key = options[k].key;

        if (options[k].scope == OPTION_AT_START &&
            !str_eq(flink_defaults_option(was->defaults, key),
                    flink_defaults_option(is->defaults, key)) &&
            !i--)
            return key;
    }
    return NULL;
}
