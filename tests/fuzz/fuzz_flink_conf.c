/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files of others, read, written and read again. Seeds: tests/golden/flink/conf. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_conf.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/flink_memory.h"
#include "flinkop/flink_version.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
    if (!cond)
        abort();
}

static void must_be_sorted(const struct conf *c)
{
    for (size_t i = 1; i < c->n; i++)
        must(strcmp(c->entries[i - 1].key, c->entries[i].key) < 0);
}

/* config.yaml holds everything that is UTF-8. */
static void yaml_comes_back(struct arena *a, const struct conf *c)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(8 << 20);
    struct conf back = CONF_INIT(a);

    conf_write_yaml(&sb, c);
    must(!sb.overflow && !conf_add_yaml_text(&back, sb.buf, sb.len, NULL));
    must(back.n <= c->n); /* fewer when keys differ in control characters around them */
    must_be_sorted(&back);
    for (size_t i = 0; i < back.n; i++) {
        const char *was = conf_get(c, back.entries[i].key), *p = str_or_empty(was);

        while (*p >= ' ' && *p <= '~')
            p++;
        must(*p || !was || str_eq(was, back.entries[i].value));
    }
}

/* flink-conf.yaml may lose something, but nothing new comes in. */
static void flat_gains_nothing(struct arena *a, const struct conf *c)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(8 << 20);
    struct conf back = CONF_INIT(a);

    conf_write_flat(&sb, c);
    conf_add_flat_text(&back, sb.buf);
    for (size_t i = 0; i < back.n; i++)
        must(conf_get(c, back.entries[i].key) != NULL);
    if (conf_check_flat(c, "f", NULL))
        return;
    for (size_t i = 0; i < back.n; i++) { /* what the check lets pass comes back */
        const char *was = str_trim(a, conf_get(c, back.entries[i].key));

        must(str_eq(was, back.entries[i].value) || *was < ' ' || was[strlen(was) - 1] < ' ');
    }
}

static void read_types(struct arena *a, struct conf *c)
{
    struct tm_memory tm;
    struct jm_memory jm;
    int64_t i;
    double d;
    bool b;
    jv v;

    for (size_t k = 0; k < c->n && k < 50; k++) {
        const char *key = c->entries[k].key;

        (void)(conf_int(c, key, 0, &i, NULL) || conf_bool(c, key, false, &b, NULL) ||
               conf_double(c, key, 0, &d, NULL));
        (void)(conf_duration(c, key, 0, &i, NULL) || conf_memory(c, key, 0, &i, NULL));
        (void)(conf_map(c, key, &v, NULL) || conf_list(c, key, &v, NULL));
        (void)conf_map_list(c, key, &v, NULL);
    }
    (void)(tm_memory_derive(c, &tm, NULL) || jm_memory_derive(c, &jm, NULL));
    (void)memory_conf_legacy(c, NULL);
    flink_options_drop_system(c);
    (void)flink_options_check(c, NULL);
    (void)a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    const char *text = arena_strndup(&a, (const char *)data, size);
    const struct flink_defaults *d;
    struct conf flat = CONF_INIT(&a), yaml = CONF_INIT(&a), layered;

    conf_add_flat_text(&flat, text);
    must_be_sorted(&flat);
    flat_gains_nothing(&a, &flat);
    yaml_comes_back(&a, &flat);
    read_types(&a, &flat);
    if (!conf_add_yaml_text(&yaml, text, strlen(text), NULL)) {
        must_be_sorted(&yaml);
        flat_gains_nothing(&a, &yaml);
        yaml_comes_back(&a, &yaml);
        read_types(&a, &yaml);
    }
    if (!flink_defaults_read(&a, "flink-conf.yaml", text, strlen(text), &d, NULL))
        must(!flink_defaults_for(&a, d, "ns", flink_version_find("v1_20"), &layered, NULL));
    return 0;
}
