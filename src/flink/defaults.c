/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/flink_defaults.h"

#include <stdlib.h>
#include <string.h>

#include "conf_internal.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"

#define LAYERS "kubernetes.operator.default-configuration."

struct flink_defaults {
    struct conf conf;
};

int flink_defaults_read(struct arena *a, const char *file_name, const char *text, size_t len,
                        const struct flink_defaults **ret, struct error *err)
{
    struct flink_defaults *d = arena_new(a, struct flink_defaults);

    d->conf = CONF_INIT(a);
    if (str_eq(file_name, "config.yaml")) {
        if (conf_add_yaml_text(&d->conf, text, len, err))
            return error_wrap(err, "%.200s", file_name);
    } else {
        conf_add_flat_text(&d->conf, arena_strndup(a, text, len));
    }
    *ret = d;
    return 0;
}

/* Copies "<prefix><key>" to "<key>". */
static void apply_layer(struct conf *to, const struct conf *from, const char *prefix)
{
    for (size_t i = conf_lower_bound(from, prefix); i < from->n; i++) {
        const char *key = str_skip_prefix(from->entries[i].key, prefix);

        if (!key)
            break;
        if (*key)
            conf_set(to, key, from->entries[i].value);
    }
}

int flink_defaults_for(struct arena *a, const struct flink_defaults *defaults, const char *ns,
                       const struct flink_version *version, struct conf *ret,
                       struct error *err UNUSED)
{
    size_t n;
    const struct flink_version *all = flink_versions(&n);

    *ret = CONF_INIT(a);
    if (!defaults)
        return 0;
    *ret = conf_dup(a, &defaults->conf);
    conf_remove_prefix(ret, LAYERS);
    if (ns)
        apply_layer(ret, &defaults->conf, arena_printf(a, LAYERS "namespace.%s.", ns));
    for (size_t i = 0; version && i < n; i++)
        if (flink_at_least(version, all[i].major, all[i].minor))
            apply_layer(ret, &defaults->conf,
                        arena_printf(a, LAYERS "flink-version.%s+.", all[i].name));
    if (version)
        apply_layer(ret, &defaults->conf,
                    arena_printf(a, LAYERS "flink-version.%s.", version->name));
    return 0;
}

const char *flink_defaults_option(const struct flink_defaults *defaults, const char *key)
{
    return defaults ? conf_lookup(&defaults->conf, key) : NULL;
}

struct conf flink_defaults_conf(const struct flink_defaults *defaults)
{
    return defaults ? defaults->conf : (struct conf){0};
}
