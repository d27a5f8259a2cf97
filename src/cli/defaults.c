/* SPDX-License-Identifier: Apache-2.0 */
#include "defaults.h"

#include "flinkop/arena.h"
#include "flinkop/file.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define FILE_MAX (1024 * 1024) /* as large as a ConfigMap can be */

const struct flink_defaults *cli_defaults(struct arena *a, const char *dir, struct error *err)
{
    /* As Flink's GlobalConfiguration: the old name wins where both are. */
    const struct flink_defaults *none;
    static const char *const names[] = {"flink-conf.yaml", "config.yaml"};

    for (size_t i = 0; !str_empty(dir) && i < ARRAY_SIZE(names); i++) {
        const char *path = arena_printf(a, "%s/%s", dir, names[i]);
        size_t len;
        cleanup_free char *text = file_read(path, FILE_MAX, &len, err);
        const struct flink_defaults *d;

        if (!text && err->code == ERR_NOT_FOUND)
            continue;
        if (!text)
            return NULL;
        if (flink_defaults_read(a, names[i], text, len, &d, err)) {
            error_wrap(err, "%s", path);
            return NULL;
        }
        return d;
    }
    return flink_defaults_read(a, names[0], "", 0, &none, err) ? NULL : none;
}
