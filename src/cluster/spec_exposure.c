/* SPDX-License-Identifier: Apache-2.0 */
/* spec.ingress, as it has always been (api-contract §1.1, §4), and spec.exposure (DESIGN §5). */
#include <stddef.h>

#include "flinkop/arena.h"
#include "flinkop/exposure.h"
#include "flinkop/str.h"
#include "kube_rules.h"
#include "spec_internal.h"

#define AT(type, field) offsetof(struct type, field)

static const char *const types[] = {"Auto", "Route", "Ingress", "None", NULL};
static const char *const auths[] = {"None", "OpenShiftOAuth", "OIDC", NULL};
static const char *const terminations[] = {"edge", "reencrypt", "passthrough", NULL};
static const char *const insecure[] = {"Redirect", "Allow", "None", NULL};

const struct json_field ingress_fields[] = {
    {"template", FIELD_STRING, AT(ingress_spec, template)},
    {"className", FIELD_STRING, AT(ingress_spec, class_name)},
    {"annotations", FIELD_OBJECT, AT(ingress_spec, annotations)},
    {"labels", FIELD_OBJECT, AT(ingress_spec, labels)},
    {"tls", FIELD_ARRAY, AT(ingress_spec, tls)},
    {0},
};

/* Members of members lie in the one struct. */
static const struct json_field tls_fields[] = {
    {"termination", FIELD_CHOICE, AT(exposure_spec, termination), .choices = terminations},
    {"insecure", FIELD_CHOICE, AT(exposure_spec, insecure), .choices = insecure},
    {"secretName", FIELD_STRING, AT(exposure_spec, tls_secret)},
    {0},
};
static const struct json_field auth_fields[] = {
    {"type", FIELD_CHOICE, AT(exposure_spec, auth), .choices = auths},
    {0},
};
const struct json_field exposure_fields[] = {
    {"type", FIELD_CHOICE, AT(exposure_spec, type), .choices = types},
    {"host", FIELD_STRING, AT(exposure_spec, host)},
    {"className", FIELD_STRING, AT(exposure_spec, class_name)},
    {"tls", FIELD_STRUCT, .fields = tls_fields},
    /* HAProxy counts in 31 bits. */
    {"timeout", FIELD_DURATION, AT(exposure_spec, timeout), .min = 1, .max = INT32_MAX},
    {"labels", FIELD_OBJECT, AT(exposure_spec, labels)},
    {"annotations", FIELD_OBJECT, AT(exposure_spec, annotations)},
    {"auth", FIELD_STRUCT, .fields = auth_fields},
    {"networkPolicy", FIELD_BOOL, AT(exposure_spec, network_policy)},
    {0},
};

/* ---- ingress ---- */

struct ingress_tls {
    const char *secret;
    jv hosts;
};
static const struct json_field ingress_tls_fields[] = {
    {"secretName", FIELD_STRING, AT(ingress_tls, secret)},
    {"hosts", FIELD_ARRAY, AT(ingress_tls, hosts)},
    {0},
};

static void check_tls(struct problems *p, jv list, bool strict)
{
    size_t i = 0;

    jv_foreach (item, list) {
        const char *path = arena_printf(p->a, "spec.ingress.tls[%zu]", i++);
        struct ingress_tls tls = {0};
        size_t k = 0;

        json_map(p, path, *item, ingress_tls_fields, strict, &tls);
        if (!str_empty(tls.secret))
            object_name_check(p, arena_printf(p->a, "%s.secretName", path), tls.secret, "Secret");
        jv_foreach (host, tls.hosts) {
            if (host->type != JV_STR || !host_name_valid(host->s, /* wildcard= */ true))
                problem_add(p, arena_printf(p->a, "%s.hosts[%zu]", path, k),
                            "must be a DNS name in lower case, found %s", jv_describe(p->a, *host));
            k++;
        }
    }
}

void ingress_spec_read(struct problems *p, jv section, bool strict, struct ingress_spec *ret)
{
    if (section.type != JV_OBJ)
        return;
    ret->section = section;
    if (str_empty(ret->template))
        problem_add(p, "spec.ingress.template",
                    "must be given, such as \"{{name}}.{{namespace}}.flink.example.com\"");
    annotations_check(p, "spec.ingress.annotations", ret->annotations);
    labels_check(p, "spec.ingress.labels", ret->labels);
    if (ret->class_name)
        object_name_check(p, "spec.ingress.className", ret->class_name, "IngressClass");
    check_tls(p, ret->tls, strict);
}

/* ---- exposure ---- */

void exposure_spec_read(struct problems *p, jv section, struct exposure_spec *ret)
{
    if (section.type != JV_OBJ)
        return;
    ret->section = section;
    ret->has_tls = jv_present(jv_get(section, "tls"));
    if (ret->type == EXPOSE_UNSET)
        ret->type = EXPOSE_AUTO;
    if (str_empty(ret->host))
        ret->host = NULL;
    if (ret->host && !host_name_valid(ret->host, /* wildcard= */ false))
        problem_add(p, "spec.exposure.host", "must be a DNS name in lower case, found %s",
                    jv_describe(p->a, STR(ret->host)));
    if (ret->type == EXPOSE_INGRESS && !ret->host)
        problem_add(p, "spec.exposure.host",
                    "must be given with type Ingress, or it would take every host");
    if (ret->type != EXPOSE_NONE && ret->auth == AUTH_UNSET)
        problem_add(p, "spec.exposure.auth",
                    "must be given; {type: None} lets everyone who reaches it run code in the "
                    "cluster, and is to be written out");
    if (ret->class_name)
        object_name_check(p, "spec.exposure.className", ret->class_name, "IngressClass");
    if (ret->tls_secret)
        object_name_check(p, "spec.exposure.tls.secretName", ret->tls_secret, "Secret");
    annotations_check(p, "spec.exposure.annotations", ret->annotations);
    labels_check(p, "spec.exposure.labels", ret->labels);
}

void exposure_spec_check(struct problems *p, const struct exposure_spec *s)
{
    if (s->auth > AUTH_NONE)
        problem_add(p, "spec.exposure.auth.type",
                    "%s is not supported yet; write None for an exposure without a login, or leave "
                    "spec.exposure out",
                    auths[s->auth - 1]);
    else if (s->termination > TLS_EDGE)
        problem_add(p, "spec.exposure.tls.termination",
                    "must be edge without a login, because Flink's port speaks plain HTTP, found "
                    "\"%s\"",
                    terminations[s->termination - 1]);
}
