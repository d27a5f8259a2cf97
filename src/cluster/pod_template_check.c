/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod template may hold (Kubernetes' core/v1, as of 1.35): types of the members that are
 * used, by table. What is deeper inside is for the API server to judge. */
#include <stddef.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/desired.h"
#include "flinkop/str.h"
#include "flinkop/strmap.h"
#include "kube_rules.h"

enum type {
    ANY,
    STRING,
    NUMBER, /* a whole one */
    FLAG,
    STRINGS, /* a list of strings */
    MAPPING, /* of anything, or of `fields` */
    LIST,    /* of mappings, or of mappings with `fields` */
    LABELS,
    ANNOTATIONS,
    QUANTITIES,
};

struct rule {
    const char *name;
    enum type type;
    bool closed; /* `fields` are all that there are */
    const struct rule *fields;
};

static const struct rule metadata_rules[] = {
    {"labels", LABELS},
    {"annotations", ANNOTATIONS},
    {0},
};
static const struct rule env_rules[] = {
    {"name", STRING},
    {"value", STRING},
    {"valueFrom", MAPPING},
    {0},
};
static const struct rule port_rules[] = {
    {"containerPort", NUMBER}, {"hostIP", STRING},   {"hostPort", NUMBER},
    {"name", STRING},          {"protocol", STRING}, {0},
};
static const struct rule mount_rules[] = {
    {"name", STRING},    {"mountPath", STRING},   {"mountPropagation", STRING},  {"readOnly", FLAG},
    {"subPath", STRING}, {"subPathExpr", STRING}, {"recursiveReadOnly", STRING}, {0},
};
static const struct rule resource_rules[] = {
    {"requests", QUANTITIES},
    {"limits", QUANTITIES},
    {"claims", LIST},
    {0},
};
static const struct rule container_rules[] = {
    {"args", STRINGS},
    {"command", STRINGS},
    {"env", LIST, true, env_rules},
    {"envFrom", LIST},
    {"image", STRING},
    {"imagePullPolicy", STRING},
    {"lifecycle", MAPPING},
    {"livenessProbe", MAPPING},
    {"name", STRING},
    {"ports", LIST, true, port_rules},
    {"readinessProbe", MAPPING},
    {"resizePolicy", LIST},
    {"resources", MAPPING, true, resource_rules},
    {"restartPolicy", STRING},
    {"restartPolicyRules", LIST},
    {"securityContext", MAPPING},
    {"startupProbe", MAPPING},
    {"stdin", FLAG},
    {"stdinOnce", FLAG},
    {"terminationMessagePath", STRING},
    {"terminationMessagePolicy", STRING},
    {"tty", FLAG},
    {"volumeDevices", LIST},
    {"volumeMounts", LIST, true, mount_rules},
    {"workingDir", STRING},
    {0},
};
static const struct rule named_rules[] = {
    {"name", STRING},
    {0},
};
static const struct rule toleration_rules[] = {
    {"effect", STRING},   {"key", STRING},
    {"operator", STRING}, {"tolerationSeconds", NUMBER},
    {"value", STRING},    {0},
};
static const struct rule spec_rules[] = {
    {"activeDeadlineSeconds", NUMBER},
    {"affinity", MAPPING},
    {"automountServiceAccountToken", FLAG},
    {"containers", LIST, true, container_rules},
    {"dnsConfig", MAPPING},
    {"dnsPolicy", STRING},
    {"enableServiceLinks", FLAG},
    {"ephemeralContainers", LIST},
    {"hostAliases", LIST},
    {"hostIPC", FLAG},
    {"hostNetwork", FLAG},
    {"hostPID", FLAG},
    {"hostUsers", FLAG},
    {"hostname", STRING},
    {"hostnameOverride", STRING},
    {"imagePullSecrets", LIST, true, named_rules},
    {"initContainers", LIST, true, container_rules},
    {"nodeName", STRING},
    {"nodeSelector", LABELS},
    {"os", MAPPING, false, named_rules},
    {"overhead", QUANTITIES},
    {"preemptionPolicy", STRING},
    {"priority", NUMBER},
    {"priorityClassName", STRING},
    {"readinessGates", LIST},
    {"resourceClaims", LIST, false, named_rules},
    {"resources", MAPPING, true, resource_rules},
    {"restartPolicy", STRING},
    {"runtimeClassName", STRING},
    {"schedulerName", STRING},
    {"schedulingGates", LIST, false, named_rules},
    {"securityContext", MAPPING},
    {"serviceAccount", STRING},
    {"serviceAccountName", STRING},
    {"setHostnameAsFQDN", FLAG},
    {"shareProcessNamespace", FLAG},
    {"subdomain", STRING},
    {"terminationGracePeriodSeconds", NUMBER},
    {"tolerations", LIST, true, toleration_rules},
    {"topologySpreadConstraints", LIST},
    {"volumes", LIST, false, named_rules},
    {"workloadRef", MAPPING},
    {0},
};
static const struct rule template_rules[] = {
    {"apiVersion", STRING},
    {"kind", STRING},
    {"metadata", MAPPING, false, metadata_rules},
    {"spec", MAPPING, true, spec_rules},
    {"status", ANY},
    {0},
};

static void wrong(struct problems *p, const char *path, const char *wanted, jv found)
{
    problem_add(p, path, "must be %s, found %s", wanted, jv_describe(p->a, found));
}

static void check_strings(struct problems *p, const char *path, jv list)
{
    size_t i = 0;

    jv_foreach (item, list) {
        if (item->type != JV_STR)
            wrong(p, arena_printf(p->a, "%s[%zu]", path, i), "a string", *item);
        i++;
    }
}

static void check_members(struct problems *p, const char *path, const struct rule *r, jv object,
                          bool strict);

static void check_list(struct problems *p, const char *path, const struct rule *r, jv list,
                       bool strict)
{
    size_t i = 0;

    jv_foreach (item, list) {
        const char *at = arena_printf(p->a, "%s[%zu]", path, i++);

        /* null items say "as in the template below" when lists are merged by index. */
        if (item->type == JV_OBJ)
            check_members(p, at, r, *item, strict);
        else if (jv_present(*item))
            wrong(p, at, "a mapping", *item);
    }
}

static void check_value(struct problems *p, const char *path, const struct rule *r, jv v,
                        bool strict)
{
    static const struct {
        enum jv_type type;
        const char *text;
    } wanted[] = {
        [STRING] = {JV_STR, "a string"},
        [FLAG] = {JV_BOOL, "true or false"},
        [STRINGS] = {JV_ARR, "a list of strings"},
        [MAPPING] = {JV_OBJ, "a mapping"},
        [LIST] = {JV_ARR, "a list"},
        [QUANTITIES] = {JV_OBJ, "a mapping"},
    };
    int64_t n;

    if (r->type < ARRAY_SIZE(wanted) && wanted[r->type].text && v.type != wanted[r->type].type) {
        wrong(p, path, wanted[r->type].text, v);
        return;
    }
    switch (r->type) {
    case NUMBER:
        if (!jv_int64(v, &n))
            wrong(p, path, "a whole number", v);
        break;
    case STRINGS:
        check_strings(p, path, v);
        break;
    case MAPPING:
        check_members(p, path, r, v, strict);
        break;
    case LIST:
        check_list(p, path, r, v, strict);
        break;
    case LABELS:
        labels_check(p, path, v);
        break;
    case ANNOTATIONS:
        annotations_check(p, path, v);
        break;
    case QUANTITIES:
        quantities_check(p, path, v, false);
        break;
    default:
        break;
    }
}

static void check_members(struct problems *p, const char *path, const struct rule *r, jv object,
                          bool strict)
{
    if (!r->fields)
        return;
    jv_foreach_kv (kv, object) {
        const struct rule *member = r->fields;

        while (member->name && strcmp(member->name, kv->key) != 0)
            member++;
        if (!member->name && !(strict && r->closed))
            continue;
        const char *at = arena_printf(p->a, "%s.%s", path, str_clean(p->a, kv->key, 80));

        if (!member->name)
            problem_add(p, at, "is not a known field of Kubernetes");
        else if (jv_present(kv->value))
            check_value(p, at, member, kv->value, strict);
    }
}

void pod_template_check(struct problems *p, const char *path, jv template, bool strict)
{
    static const struct rule whole = {"", MAPPING, true, template_rules};

    if (template.type == JV_OBJ)
        check_members(p, path, &whole, template, strict);
}

/* ---- after merging ---- */

/* Lists whose items have a key of their own. */
static const struct unique {
    const char *list, *key;
} in_spec[] = {{"initContainers", "name"},
               {"containers", "name"},
               {"volumes", "name"},
               {"imagePullSecrets", "name"}},
  in_container[] = {{"env", "name"}, {"volumeMounts", "mountPath"}};

static void check_unique(struct problems *p, const char *path, const struct unique *u, jv list)
{
    CLEANUP(strmap_release) struct strmap seen = {0};
    size_t i = 0;

    jv_foreach (item, list) {
        const char *at = arena_printf(p->a, "%s.%s[%zu].%s", path, u->list, i++, u->key);
        const char *key = JV_STRING(*item, u->key);

        if (str_empty(key))
            problem_add(p, at, "must be given");
        else if (strmap_put(&seen, key, &seen))
            problem_add(p, at, "must not stand twice in the list, found \"%s\"",
                        str_clean(p->a, key, 80));
    }
}

static void check_containers(struct problems *p, const char *path, const char *list, jv containers)
{
    size_t i = 0;

    jv_foreach (c, containers) {
        const char *at = arena_printf(p->a, "%s.%s[%zu]", path, list, i++);
        const char *name = JV_STRING(*c, "name");

        if (!str_empty(name) && !dns_label_valid(name))
            problem_add(p, arena_printf(p->a, "%s.name", at),
                        "must be at most 63 lower-case letters, digits and '-', found %s",
                        jv_describe(p->a, STR(name)));
        if (!str_eq(name, MAIN_CONTAINER) && str_empty(JV_STRING(*c, "image")))
            problem_add(p, arena_printf(p->a, "%s.image", at),
                        "must be given; only " MAIN_CONTAINER " gets the image of the cluster");
        for (size_t k = 0; k < ARRAY_SIZE(in_container); k++)
            check_unique(p, at, &in_container[k], jv_get(*c, in_container[k].list));
    }
}

void pod_template_whole_check(struct problems *p, const char *path, jv template)
{
    jv spec = jv_get(template, "spec");
    const char *at = arena_printf(p->a, "%s.spec", path);
    size_t i = 0;

    for (size_t k = 0; k < ARRAY_SIZE(in_spec); k++)
        check_unique(p, at, &in_spec[k], jv_get(spec, in_spec[k].list));
    check_containers(p, at, "initContainers", jv_get(spec, "initContainers"));
    check_containers(p, at, "containers", jv_get(spec, "containers"));
    jv_foreach (volume, jv_get(spec, "volumes")) {
        const char *name = JV_STRING(*volume, "name");

        if (!str_empty(name) && !dns_label_valid(name))
            problem_add(p, arena_printf(p->a, "%s.volumes[%zu].name", at, i),
                        "must be at most 63 lower-case letters, digits and '-', found %s",
                        jv_describe(p->a, STR(name)));
        i++;
    }
}
