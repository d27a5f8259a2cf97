/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/kube_resource.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/error.h"
#include "flinkop/http.h"
#include "flinkop/macros.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

/* clang-format off */
static const struct kube_resource table[KIND_COUNT] = {
#define X(id, kind, api, plural) {KIND_##id, kind, api, plural},
    KUBE_KINDS(X)
#undef X
};
/* clang-format on */

const struct kube_resource *kube_resource(enum kube_kind kind)
{
    BUG_ON((size_t)kind >= KIND_COUNT);
    return &table[kind];
}

const struct kube_resource *kube_resource_of(const char *api_version, const char *kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (str_eq(table[i].api_version, api_version) && str_eq(table[i].kind, kind))
            return &table[i];
    return NULL;
}

static void add_segment(struct strbuf *sb, const char *prefix, const char *s)
{
    if (!s)
        return;
    cleanup_free char *escaped = http_escape(s);

    strbuf_adds(sb, prefix);
    strbuf_adds(sb, escaped);
}

char *kube_path(const struct kube_resource *res, const char *ns, const char *name,
                const char *subresource)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(8192);

    /* The core group has no name: its apiVersion is a bare "v1". */
    strbuf_addf(&sb, "/%s/%s", strchr(res->api_version, '/') ? "apis" : "api", res->api_version);
    add_segment(&sb, "/namespaces/", ns);
    strbuf_addf(&sb, "/%s", res->plural);
    add_segment(&sb, "/", name);
    add_segment(&sb, "/", subresource);
    return strbuf_detach(&sb, NULL);
}

void kube_name_right(jv body, const char *ns, struct error *err)
{
    jv owner = jv_at(JV_PATH(body, "metadata", "ownerReferences"), 0);
    const char *api = JV_STRING(owner, "apiVersion");
    const struct kube_resource *res = kube_resource_of(api, JV_STRING(owner, "kind"));
    size_t n = strlen(err->text);

    if (err->code == ERR_FORBIDDEN && res && strstr(err->text, "blockOwnerDeletion"))
        snprintf(err->text + n, sizeof(err->text) - n,
                 "; cannot update resource \"%s/finalizers\" in API group \"%.*s\" in the "
                 "namespace \"%s\"",
                 res->plural, (int)strcspn(api, "/"), api, ns);
}
