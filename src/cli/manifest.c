/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/file.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/yaml.h"

#define FILE_MAX (16 * 1024 * 1024)

struct manifests {
    struct arena *a;
    struct manifest *items;
    size_t n, room;
};

static void add(struct manifests *m, jv object, const char *file, int line)
{
    if (str_eq(JV_STRING(object, "kind"), "List")) {
        jv_foreach (item, jv_get(object, "items"))
            add(m, *item, file, line);
        return;
    }
    if (m->n == m->room) {
        struct manifest *bigger = arena_new_array(m->a, struct manifest, m->room * 2 + 8);

        if (m->n)
            memcpy(bigger, m->items, m->n * sizeof(*bigger));
        m->items = bigger;
        m->room = m->room * 2 + 8;
    }
    m->items[m->n++] = (struct manifest){object, file, line};
}

int cli_manifests(struct arena *a, const char *const *files, int n_files, struct manifest **ret,
                  size_t *ret_n, struct error *err)
{
    struct manifests m = {.a = a};

    for (int i = 0; i < n_files; i++) {
        const char *name = strcmp(files[i], "-") ? files[i] : "(standard input)";
        size_t len, n;
        cleanup_free char *text = file_read(files[i], FILE_MAX, &len, err);
        struct yaml_doc *docs;

        if (!text)
            return -1;
        if (yaml_parse_all(a, text, len, &docs, &n, err))
            return error_wrap(err, "%s", name);
        for (size_t k = 0; k < n; k++)
            add(&m, docs[k].value, name, docs[k].line);
    }
    *ret = m.items;
    *ret_n = m.n;
    return 0;
}
