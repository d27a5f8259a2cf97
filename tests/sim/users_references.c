/* SPDX-License-Identifier: Apache-2.0 */
/* A Secret and a ConfigMap that pods refer to, and what users do with them. */
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/str.h"
#include "users.h"

#define ON_CHANGE_KEY "kubernetes.operator.references.on-change"
#define SECRETS_KEY "kubernetes.secrets"

static const struct referred {
    int kind;
    const char *name;
} all[] = {{KIND_SECRET, "creds"}, {KIND_ANY_CONFIGMAP, "settings"}};

/* ---- in specifications ---- */

struct user_references user_random_references(void)
{
    static const char *const ways[] = {NULL, "report", "ignore", "restart", "restart", "restart"};

    return (struct user_references){ways[any(R_USER, ARRAY_SIZE(ways))], !any(R_USER, 2),
                                    !any(R_USER, 2)};
}

jv user_references_conf(struct arena *a, const struct user_references *r, jv gone)
{
    return jv_dup(a, OBJ({ON_CHANGE_KEY, r->on_change ? STR(r->on_change) : gone},
                         {SECRETS_KEY, r->secret ? STR("creds:/creds") : gone}));
}

jv user_references_template(struct arena *a, const struct user_references *r, jv gone)
{
    jv volume = OBJ({"name", STR("settings")},
                    {"configMap", OBJ({"name", STR("settings")}, {"optional", BOOL(true)})});

    return r->configmap ? jv_dup(a, OBJ({"spec", OBJ({"volumes", ARR(volume)})})) : gone;
}

bool user_restarts_for_changes(jv spec)
{
    return str_eq(JV_STRING(spec, "flinkConfiguration", ON_CHANGE_KEY), "restart");
}

bool user_refers(jv spec)
{
    return jv_present(JV_PATH(spec, "flinkConfiguration", SECRETS_KEY)) ||
           jv_present(jv_get(spec, "podTemplate"));
}

/* ---- as objects ---- */

static int contents;       /* changes of content, of all of them */
static int64_t changed_at; /* ms, when that was last */

int64_t user_contents_at(void)
{
    return changed_at;
}

int user_contents(void)
{
    return contents;
}

/* Who has written which part, and when, as the API server notes it: whole seconds. */
static jv managed(struct arena *a, const char *manager, jv fields)
{
    char stamp[RFC3339_MAX];

    rfc3339_format(sim_wall() / SECOND * SECOND, stamp);
    return jv_dup(a,
                  OBJ({"manager", STR(manager)}, {"operation", STR("Update")}, {"time", STR(stamp)},
                      {"fieldsType", STR("FieldsV1")}, {"fieldsV1", fields}));
}

static jv without(struct arena *a, jv entries, const char *manager)
{
    struct jv_list list = JV_LIST(a);

    jv_foreach (e, entries)
        if (!str_eq(JV_STRING(*e, "manager"), manager))
            jv_list_add(&list, *e);
    return jv_list_arr(&list);
}

static void write(const struct referred *r, bool content)
{
    cleanup_arena struct arena a = {0};
    const struct object *o = api_get(r->kind, r->name);
    const char *manager = content ? "editor" : "labeller";
    jv fields = content ? OBJ({"f:data", OBJ({"f:key", EMPTY_OBJ})})
                        : OBJ({"f:metadata", OBJ({"f:labels", OBJ({"f:n", EMPTY_OBJ})})});
    jv before = o ? JV_PATH(o->at->v, "metadata", "managedFields") : ABSENT;
    jv entries = jv_append(&a, without(&a, before, manager), managed(&a, manager, fields));
    const char *n = arena_printf(&a, "%lld", (long long)sim.now);
    jv body = OBJ({"apiVersion", STR("v1")}, {"kind", STR(kind_name(r->kind))},
                  {"metadata", OBJ({"name", STR(r->name)}, {"managedFields", entries},
                                   {"labels", IF(!content, OBJ({"n", STR(n)}))})},
                  {"data", IF(content, OBJ({"key", STR(n)}))});
    struct version *v = NULL;
    struct error err;

    if (!o && !content)
        return;
    contents += content;
    if (content)
        changed_at = sim.now;
    TRACE("user: %s %s of %s", o ? "changes" : "makes", content ? "the content" : "labels",
          r->name);
    if (o ? api_patch(BY_USER, r->kind, r->name, NULL, body, &v, &err)
          : api_create(BY_USER, r->kind, body, &v, &err))
        sim_fail("%s: %s", r->name, err.text);
    version_unref(v);
}

void user_make_references(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (!api_get(all[i].kind, all[i].name))
            write(&all[i], true);
}

void user_delete_references(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (api_get(all[i].kind, all[i].name))
            user_delete(all[i].kind, all[i].name, NULL);
}

void user_change_references(bool content)
{
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        write(&all[i], content);
}

void user_meddle_with_references(void)
{
    const struct referred *r = &all[any(R_USER, ARRAY_SIZE(all))];

    if (any(R_USER, 6))
        write(r, any(R_USER, 3) > 0);
    else if (api_get(r->kind, r->name))
        user_delete(r->kind, r->name, NULL);
}
