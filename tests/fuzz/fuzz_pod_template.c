/* SPDX-License-Identifier: Apache-2.0 */
/* Two pod templates as YAML documents, merged. */
#include <stdint.h>

#include "cluster/kube_rules.h"
#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/json.h"
#include "flinkop/yaml.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(jv v)
{
    size_t n = 1;

    jv_foreach_kv (kv, v)
        n += count(kv->value);
    jv_foreach (item, v)
        n += count(*item);
    return n;
}

static bool has_null(jv v)
{
    bool found = v.type == JV_NULL;

    jv_foreach_kv (kv, v)
        found |= has_null(kv->value);
    jv_foreach (item, v)
        found |= has_null(*item);
    return found;
}

static void merge(struct arena *a, jv base, jv over, bool by_name)
{
    jv both = pod_template_merge(a, base, over, by_name);

    must(count(both) <= count(base) + count(over));
    must(jv_equal(pod_template_merge(a, base, ABSENT, by_name), base));
    /* A name that stands twice takes from the first of that name; a null behind the end of a list
     * is no item. */
    if (by_name || has_null(base) || has_null(over))
        return;
    must(jv_equal(pod_template_merge(a, base, base, by_name), base));
    must(jv_equal(pod_template_merge(a, both, over, by_name), both));
    jv_foreach_kv (kv, over) /* nothing of what is laid over is lost */
        must(!jv_present(kv->value) || jv_present(jv_get(both, kv->key)));
}

static void unite(struct arena *a, jv first, jv second)
{
    jv both = named_union(a, first, second, "name");

    must(jv_len(both) <= jv_len(first) + jv_len(second));
    for (size_t i = 0; i < jv_len(first) && first.type == JV_ARR; i++) /* an object has no items */
        must(jv_equal(jv_at(both, i), jv_at(first, i)));
}

static void check(struct arena *a, jv template)
{
    struct problems *p = arena_new(a, struct problems);

    p->a = a;
    pod_template_check(p, "spec.podTemplate", template, false);
    size_t lenient = p->n;

    pod_template_check(p, "spec.podTemplate", template, true);
    must(p->n >= 2 * lenient);
    pod_template_whole_check(p, "spec.podTemplate", template);
    must_be_told(p, "spec.podTemplate", "spec.podTemplate");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    struct yaml_doc *docs;
    size_t n;

    /* Merging compares names one by one; specs of that size are refused before. */
    if (size > 8192 || yaml_parse_all(&a, (const char *)data, size, &docs, &n, NULL) || n < 2 ||
        count(docs[0].value) + count(docs[1].value) > 4000)
        return 0;
    merge(&a, docs[0].value, docs[1].value, false);
    merge(&a, docs[0].value, docs[1].value, true);
    unite(&a, JV_PATH(docs[0].value, "spec", "containers"),
          JV_PATH(docs[1].value, "spec", "containers"));
    check(&a, docs[0].value);
    check(&a, pod_template_merge(&a, docs[0].value, docs[1].value, true));
    return 0;
}
