/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/flink_defaults.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"

#define LAYERS "kubernetes.operator.default-configuration."

struct flink_defaults {
    struct conf conf;
};

struct flink_defaults *flink_defaults_parse(struct arena *a, const char *text, size_t len,
                                            bool yaml, struct error *err)
{
    struct flink_defaults *d = arena_new(a, struct flink_defaults);

    d->conf = CONF_INIT(a);
    if (!yaml)
        conf_add_flat_text(&d->conf, text);
    else if (conf_add_yaml_text(&d->conf, text, len, err))
        return NULL;
    return d;
}

const char *flink_defaults_option(const struct flink_defaults *d, const char *key)
{
    return conf_lookup(&d->conf, key);
}

static void add_layer(struct conf *to, const struct flink_defaults *d, const char *prefix)
{
    for (size_t i = 0; i < d->conf.n; i++) {
        const char *key = str_skip_prefix(d->conf.entries[i].key, prefix);

        if (key && *key)
            conf_set(to, key, d->conf.entries[i].value);
    }
}

struct conf flink_defaults_for(struct arena *a, const struct flink_defaults *d, const char *ns,
                               const struct flink_version *version)
{
    size_t n;
    const struct flink_version *all = flink_versions(&n);
    struct conf conf = conf_dup(a, &d->conf);

    conf_remove_prefix(&conf, LAYERS);
    add_layer(&conf, d, arena_printf(a, LAYERS "namespace.%s.", ns));
    if (!version)
        return conf;
    for (size_t i = 0; i < n; i++)
        if (flink_at_least(version, all[i].major, all[i].minor))
            add_layer(&conf, d, arena_printf(a, LAYERS "flink-version.%s+.", all[i].name));
    add_layer(&conf, d, arena_printf(a, LAYERS "flink-version.%s.", version->name));
    return conf;
}
