/* SPDX-License-Identifier: Apache-2.0 */
#include "defaults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flinkop/error.h"
#include "flinkop/file.h"
#include "flinkop/mem.h"
#include "flinkop/operator_config.h"
#include "flinkop/str.h"

#define FILE_MAX (1024 * 1024) /* as large as a ConfigMap can be */

char *cli_defaults_text(const char *dir, const char **ret_name, size_t *ret_len, struct error *err)
{
    /* As Flink's GlobalConfiguration: the old name wins where both are. */
    static const char *const names[] = {"flink-conf.yaml", "config.yaml"};

    for (size_t i = 0; !str_empty(dir) && i < ARRAY_SIZE(names); i++) {
        cleanup_free char *path = xasprintf("%s/%s", dir, names[i]);
        char *text = file_read(path, FILE_MAX, ret_len, err);

        *ret_name = names[i];
        if (text || err->code != ERR_NOT_FOUND)
            return text;
    }
    *ret_name = NULL;
    *ret_len = 0;
    return xstrdup("");
}

struct operator_config *cli_config(const char *dir, const char *namespaces, struct error *err)
{
    struct operator_config *c;
    const char *name;
    size_t len;

    if (!str_empty(dir) && access(dir, R_OK | X_OK)) {
        error_set(err, ERR_INTERNAL, "cannot open %s: %s", dir, strerror(errno));
        return NULL;
    }
    cleanup_free char *text = cli_defaults_text(dir, &name, &len, err);

    if (!text)
        return NULL;
    c = operator_config_read(name, text, len, namespaces, err);
    if (!c && name)
        error_wrap(err, "%s/%s", dir, name);
    for (size_t i = 0; c && c->remarks[i]; i++)
        fprintf(stderr, "%s/%s: warning: %s\n", dir, name, c->remarks[i]);
    return c;
}
