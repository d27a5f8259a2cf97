/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/references.h"

#include <stdio.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/json.h"
#include "flinkop/observed.h"
#include "flinkop/str.h"

const enum kube_kind reference_kinds[REFERENCE_KINDS] = {KIND_SECRET, KIND_ANY_CONFIGMAP};

bool reference_has_kind(enum kube_kind kind)
{
    return kind == KIND_SECRET || kind == KIND_ANY_CONFIGMAP;
}

/* ---- what a pod refers to ---- */

/* Members of a pod's spec that name one, wherever they stand in its volumes and containers
 * (core/v1, PodSpec). imagePullSecrets are none: what they open is there when the pod runs. */
static const struct place {
    const char *member;
    enum kube_kind kind;
    const char *name; /* the member of that one with the name */
} places[] = {
    {"secret", KIND_SECRET, "secretName"},     /* a volume */
    {"secret", KIND_SECRET, "name"},           /* in a projected volume */
    {"configMap", KIND_ANY_CONFIGMAP, "name"}, /* both */
    {"secretKeyRef", KIND_SECRET, "name"},     /* env */
    {"configMapKeyRef", KIND_ANY_CONFIGMAP, "name"},
    {"secretRef", KIND_SECRET, "name"}, /* envFrom, and volumes of several kinds */
    {"configMapRef", KIND_ANY_CONFIGMAP, "name"},
    {"nodePublishSecretRef", KIND_SECRET, "name"}, /* CSI */
    {"azureFile", KIND_SECRET, "secretName"},
};

static void add(struct references *r, enum kube_kind kind, const char *name, bool optional)
{
    for (size_t i = 0; i < r->n; i++) {
        struct reference *known = &r->items[i];

        if (known->kind == kind && str_eq(known->name, name)) {
            known->optional &= optional;
            return;
        }
    }
    if (r->n < ARRAY_SIZE(r->items))
        r->items[r->n++] = (struct reference){kind, name, optional};
}

static void look_at_member(struct references *r, const char *member, jv value)
{
    bool optional = jv_bool_or(jv_get(value, "optional"), false);

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const char *name = JV_STRING(value, places[i].name);

        if (!strcmp(member, places[i].member) && !str_empty(name))
            add(r, places[i].kind, name, optional);
    }
}

static void look_into(struct references *r, jv value)
{
    jv_foreach (item, value)
        look_into(r, *item);
    jv_foreach_kv (kv, value) {
        look_at_member(r, kv->key, kv->value);
        look_into(r, kv->value);
    }
}

void references_of_pod(struct references *r, jv spec)
{
    static const char *const parts[] = {"volumes", "initContainers", "containers"};

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        look_into(r, jv_get(spec, parts[i]));
}

const char *reference_key(struct arena *a, const struct reference *r)
{
    return arena_printf(a, "%s/%s", kube_resource(r->kind)->kind, r->name);
}

const char *references_text(struct arena *a, const struct references *r)
{
    const char *text = r->n ? "\n" : NULL;

    for (size_t i = 0; i < r->n; i++)
        text = arena_printf(a, "%s%s\n", text, reference_key(a, &r->items[i]));
    return text;
}

bool references_name(const char *text, enum kube_kind kind, const char *name)
{
    char line[320]; /* a name has 253 characters at most */
    size_t n = (size_t)snprintf(line, sizeof(line), "\n%s/%s\n", kube_resource(kind)->kind, name);

    return text && n < sizeof(line) && strstr(text, line);
}

/* ---- what is seen of one ---- */

/* Who has written the content last, and when, as managedFields tell it. Their times have whole
 * seconds; what the same writer writes again within one is taken for the same.
 *
 * The time is of the whole entry (ManagedFieldsEntry, meta/v1). One with nothing but content, of an
 * update, has another only by other content. One with labels or annotations besides (kubectl apply
 * writes one) may have it by these alone, and one of a server-side apply by owning what is there.
 */
static bool is_certain(jv entry)
{
    return str_eq(JV_STRING(entry, "operation"), "Update") &&
           !jv_present(JV_PATH(entry, "fieldsV1", "f:metadata"));
}

static jv content(struct arena *a, jv metadata, bool certain)
{
    static const char *const parts[] = {"f:data", "f:binaryData"};
    struct jv_list list = JV_LIST(a);

    jv_foreach (entry, jv_get(metadata, "managedFields"))
        for (size_t i = 0; i < ARRAY_SIZE(parts) && is_certain(*entry) == certain; i++) {
            jv fields = JV_PATH(*entry, "fieldsV1", parts[i]);

            if (jv_present(fields))
                jv_list_add(&list,
                            jv_dup(a, OBJ({"manager", jv_get(*entry, "manager")},
                                          {"operation", jv_get(*entry, "operation")},
                                          {"time", jv_get(*entry, "time")}, {parts[i], fields})));
        }
    return jv_list_arr(&list);
}

/* HASH, of what is certain; and where something is not, HASH+UID-REST, two hashes. Without
 * managedFields each version counts. */
static const char *mark(struct arena *a, jv metadata)
{
    jv uid = jv_get(metadata, "uid"), rest = content(a, metadata, false);
    const char *hash = json_hash(a, OBJ({"uid", uid}, {"content", content(a, metadata, true)}));

    if (!jv_len(jv_get(metadata, "managedFields")))
        rest = jv_get(metadata, "resourceVersion");
    else if (!jv_len(rest))
        return hash;
    return arena_printf(a, "%s+%s-%s", hash, json_hash(a, uid), json_hash(a, rest));
}

bool reference_mark_certain(const char *was, const char *is)
{
    const char *rest_was = strchr(was, '+'), *rest_is = strchr(is, '+');
    size_t uid = rest_is ? strcspn(rest_is, "-") : 0;

    if (!rest_was || !rest_is)
        return rest_was == rest_is;
    return strncmp(rest_was, rest_is, uid) != 0 || !strcmp(rest_was, rest_is);
}

void obs_reference_read(struct arena *a, jv object, struct obs_reference *ret)
{
    jv m = jv_get(object, "metadata");
    struct obs_meta all;

    obs_meta_read(a, object, &all);
    *ret = (struct obs_reference){
        .meta = {.ns = all.ns,
                 .name = all.name,
                 .uid = all.uid,
                 .resource_version = all.resource_version,
                 .deleted_ms = all.deleted_ms},
        .mark = mark(a, m),
    };
}

const char *reference_content(struct arena *a, jv object)
{
    jv content =
        OBJ({"data", jv_get(object, "data")}, {"binaryData", jv_get(object, "binaryData")});

    return arena_printf(a, "%s %s", mark(a, jv_get(object, "metadata")), json_hash(a, content));
}
