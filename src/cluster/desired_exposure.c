/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ingress, Route and NetworkPolicy, and the JobManager's PodDisruptionBudget. The Ingress of
 * spec.ingress is the incumbent's, member by member (api-contract §4.1); those of spec.exposure are
 * ours.
 */
#include <string.h>

#include "desired_internal.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/exposure.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"

#define TIMEOUT_MS 300000 /* HAProxy's 30 s would cut the upload of a JAR */
#define PROMETHEUS_PORT 9249
#define NAMESPACE_LABEL "kubernetes.io/metadata.name"

#define CONTROLLER_NAMESPACES "kubernetes.operator.exposure.controller-namespaces"

static const char *rest_service(struct arena *a, const struct cluster_config *c)
{
    return arena_printf(a, "%s-rest", c->name);
}

static jv object(struct arena *a, const char *api_version, const char *kind, jv metadata, jv spec)
{
    return jv_dup(a, OBJ({"apiVersion", STR(api_version)}, {"kind", STR(kind)},
                         {"metadata", metadata}, {"spec", spec}));
}

/* labels, annotations: what the user gave. */
static jv metadata(struct arena *a, enum exposure e, const struct desired_input *in, jv labels,
                   jv annotations)
{
    const struct cluster_config *c = in->config;
    jv own = e == EXPOSURE_INGRESS
                 ? OBJ({LABEL_COMPONENT, STR(COMPONENT_INGRESS)})
                 : cluster_labels(a, in, TYPE_OPERATOR,
                                  e == EXPOSURE_BUDGET ? COMPONENT_JM : COMPONENT_UI);

    return jv_dup(
        a, OBJ({"name", STR(exposure_name(a, e, c->name))}, {"namespace", STR(c->ns)},
               {"labels", jv_merge(a, labels.type == JV_OBJ ? labels : EMPTY_OBJ, own)},
               {"annotations", spec_hash_annotations(a, in, annotations)},
               {"ownerReferences", ARR(owner_reference(&in->cr, a, /* controller= */ true))}));
}

/* ---- Ingress ---- */

static jv rule(struct arena *a, const struct cluster_config *c, const char *host, const char *path,
               const char *path_type)
{
    jv backend = OBJ({"service", OBJ({"name", STR(rest_service(a, c))},
                                     {"port", OBJ({"number", INT(c->rest_port)})})});

    return jv_dup(
        a, OBJ({"host", STR(host)},
               {"http", OBJ({"paths", ARR(OBJ({"path", STR(path)}, {"pathType", STR(path_type)},
                                              {"backend", backend}))})}));
}

static jv ingress(struct arena *a, enum exposure e, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    const struct ingress_spec *s = &c->spec->ingress;

    return object(
        a, "networking.k8s.io/v1", "Ingress", metadata(a, e, in, s->labels, s->annotations),
        OBJ({"ingressClassName", STR(s->class_name)}, {"tls", IF(jv_len(s->tls) > 0, s->tls)},
            {"rules",
             ARR(rule(a, c, c->ingress.host, c->ingress.path, "ImplementationSpecific"))}));
}

static jv ui_ingress(struct arena *a, enum exposure e, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    const struct exposure_spec *s = &c->spec->exposure;
    jv tls = OBJ({"hosts", ARR(STR(s->host))}, {"secretName", STR(s->tls_secret)});

    return object(a, "networking.k8s.io/v1", "Ingress",
                  metadata(a, e, in, s->labels, s->annotations),
                  OBJ({"ingressClassName", STR(s->class_name)}, {"tls", IF(s->has_tls, ARR(tls))},
                      {"rules", ARR(rule(a, c, s->host, "/", "Prefix"))}));
}

/* ---- Route ---- */

/* As HAProxy reads it. */
static const char *haproxy_time(struct arena *a, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;

    while (ms % units[i].ms)
        i++;
    return arena_printf(a, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
}

static jv route(struct arena *a, enum exposure e, const struct desired_input *in)
{
    static const char *const terminations[] = {"edge", "edge", "reencrypt", "passthrough"};
    static const char *const insecure[] = {"Redirect", "Redirect", "Allow", "None"};
    const struct cluster_config *c = in->config;
    const struct exposure_spec *s = &c->spec->exposure;
    int64_t timeout = s->timeout.set ? s->timeout.v : TIMEOUT_MS;
    jv annotations = jv_merge(
        a, jv_dup(a, OBJ({"haproxy.router.openshift.io/timeout", STR(haproxy_time(a, timeout))})),
        s->annotations.type == JV_OBJ ? s->annotations : EMPTY_OBJ);

    return object(a, "route.openshift.io/v1", "Route", metadata(a, e, in, s->labels, annotations),
                  OBJ({"host", STR(s->host)},
                      {"to", OBJ({"kind", STR("Service")}, {"name", STR(rest_service(a, c))},
                                 {"weight", INT(100)})},
                      {"port", OBJ({"targetPort", INT(c->rest_port)})},
                      {"tls", OBJ({"termination", STR(terminations[s->termination])},
                                  {"insecureEdgeTerminationPolicy", STR(insecure[s->insecure])})}));
}

/* ---- NetworkPolicy ---- */

static jv namespace_peer(struct arena *a, const char *label, const char *value)
{
    return jv_dup(a, OBJ({"namespaceSelector", OBJ({"matchLabels", OBJ({label, STR(value)})})}));
}

static jv cluster_pods(struct arena *a, const struct cluster_config *c)
{
    return jv_dup(a, OBJ({"matchLabels", OBJ({LABEL_APP, STR(c->name)})},
                         {"matchExpressions",
                          ARR(OBJ({"key", STR(LABEL_COMPONENT)}, {"operator", STR("In")},
                                  {"values", ARR(STR(COMPONENT_JM), STR(COMPONENT_TM))}))}));
}

static void add_controllers(struct jv_list *from, const struct cluster_config *c)
{
    const char *text = flink_option_text(&c->conf, CONTROLLER_NAMESPACES);
    struct jv_list names = JV_LIST(from->a);

    for (char **n = str_split(from->a, str_or_empty(text), ',', NULL); *n; n++)
        jv_list_add(&names, STR(*n));
    if (!names.n)
        return;
    jv_list_add(
        from,
        jv_dup(from->a, OBJ({"namespaceSelector",
                             OBJ({"matchExpressions",
                                  ARR(OBJ({"key", STR(NAMESPACE_LABEL)}, {"operator", STR("In")},
                                          {"values", jv_list_arr(&names)}))})})));
}

/* Who may speak to port 8081 besides the cluster itself: OpenShift's routers, in their own
 * namespace or on the host's network, Ingress controllers, and the operator if it is a pod. */
static jv ui_peers(struct arena *a, const struct desired_input *in)
{
    static const char *const router_groups[] = {"policy-group.network.openshift.io/ingress",
                                                "policy-group.network.openshift.io/host-network"};
    struct jv_list from = JV_LIST(a);
    jv operators = OBJ({"matchLabels", OBJ({"app.kubernetes.io/name", STR("flink-operator")})});

    for (size_t i = 0; i < ARRAY_SIZE(router_groups); i++)
        jv_list_add(&from, namespace_peer(a, router_groups[i], ""));
    add_controllers(&from, in->config);
    if (in->operator_ns)
        jv_list_add(&from, jv_set(a, namespace_peer(a, NAMESPACE_LABEL, in->operator_ns),
                                  "podSelector", jv_dup(a, operators)));
    return jv_list_arr(&from);
}

/* The port of Flink's Prometheus reporter, 0 if there is none: who collects metrics goes on. */
static int metrics_port(struct arena *a, const struct conf *c)
{
    static const char prefix[] = "metrics.reporter.";

    for (size_t i = 0; i < c->n; i++) {
        const char *rest = str_skip_prefix(c->entries[i].key, prefix);
        const char *dot = rest ? strchr(rest, '.') : NULL;
        int port = PROMETHEUS_PORT;

        if (!dot || strcmp(dot, ".factory.class") != 0 ||
            !str_has_suffix(c->entries[i].value, ".PrometheusReporterFactory"))
            continue;
        const char *text =
            conf_get(c, arena_printf(a, "%s%.*s.port", prefix, (int)(dot - rest), rest));
        /* A range ("9249-9260") is for several processes at one address: its first. */
        if (text && !str_to_int(arena_strndup(a, text, strcspn(text, "-,")), &port))
            port = PROMETHEUS_PORT;
        return port;
    }
    return 0;
}

static jv port_rule(struct arena *a, int number)
{
    return jv_dup(a, OBJ({"protocol", STR("TCP")}, {"port", INT(number)}));
}

static jv policy_spec(struct arena *a, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    int metrics = metrics_port(a, &c->flink);
    jv own = OBJ({"from", ARR(OBJ({"podSelector", cluster_pods(a, c)}))});
    jv ui = OBJ({"from", ui_peers(a, in)}, {"ports", ARR(port_rule(a, c->rest_port))});
    jv all = OBJ({"ports", ARR(port_rule(a, metrics))});

    return jv_dup(a, OBJ({"podSelector", cluster_pods(a, c)}, {"policyTypes", ARR(STR("Ingress"))},
                         {"ingress", ARR(own, ui, IF(metrics > 0, all))}));
}

static jv policy(struct arena *a, enum exposure e, const struct desired_input *in)
{
    return object(a, "networking.k8s.io/v1", "NetworkPolicy", metadata(a, e, in, ABSENT, ABSENT),
                  policy_spec(a, in));
}

/* ---- PodDisruptionBudget ---- */

static jv budget(struct arena *a, enum exposure e, const struct desired_input *in)
{
    const struct cluster_config *c = in->config;
    jv pods =
        OBJ({"matchLabels", OBJ({"app", STR(c->name)}, {LABEL_COMPONENT, STR(COMPONENT_JM)})});

    return object(a, "policy/v1", "PodDisruptionBudget", metadata(a, e, in, ABSENT, ABSENT),
                  OBJ({"maxUnavailable", INT(c->spec->jm.max_unavailable.v)}, {"selector", pods}));
}

/* ---- the table ---- */

static const struct {
    enum kube_kind kind;
    const char *suffix;
    jv (*desired)(struct arena *a, enum exposure e, const struct desired_input *in);
} rows[EXPOSURE_COUNT] = {
    [EXPOSURE_INGRESS] = {KIND_INGRESS, "", ingress},
    [EXPOSURE_UI_INGRESS] = {KIND_INGRESS, "-ui", ui_ingress},
    [EXPOSURE_UI_ROUTE] = {KIND_ROUTE, "-ui", route},
    [EXPOSURE_POLICY] = {KIND_NETWORKPOLICY, "-ui", policy},
    [EXPOSURE_BUDGET] = {KIND_PODDISRUPTIONBUDGET, "-jobmanager", budget},
};

enum kube_kind exposure_kind(enum exposure e)
{
    return rows[e].kind;
}

bool exposure_has_kind(enum kube_kind kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].kind == kind)
            return true;
    return false;
}

const char *exposure_name(struct arena *a, enum exposure e, const char *cluster)
{
    return arena_printf(a, "%s%s", cluster, rows[e].suffix);
}

const char *exposure_hash(struct arena *a, enum exposure e, const struct desired_input *in)
{
    const struct deployment_spec *s = in->config->spec;

    if (e == EXPOSURE_BUDGET)
        return spec_part_hash(a, OBJ({"maxUnavailable", INT(s->jm.max_unavailable.v)}));
    return spec_part_hash(
        a, OBJ({"section", e == EXPOSURE_INGRESS ? s->ingress.section : s->exposure.section},
               {"port", INT(in->config->rest_port)},
               {"policy", IF(e == EXPOSURE_POLICY, policy_spec(a, in))}));
}

jv desired_exposure(struct arena *a, enum exposure e, const struct desired_input *in)
{
    struct desired_input own = *in;

    own.spec_hash = exposure_hash(a, e, in);
    return rows[e].desired(a, e, &own);
}

/* ---- where it leads ---- */

/* The path of a template without the pattern that some controllers read out of it. */
static const char *plain_path(struct arena *a, const char *path)
{
    size_t n = strcspn(path, "(*$[");

    return arena_printf(a, "%.*s%s", (int)n, path, n && path[n - 1] == '/' ? "" : "/");
}

const char *exposure_url(struct arena *a, enum exposure e, const struct cluster_config *c,
                         const char *address)
{
    const struct exposure_spec *s = &c->spec->exposure;
    const char *host, *path = "/";
    bool https = true;

    if (e == EXPOSURE_INGRESS) {
        host = str_or(c->ingress.host, address);
        path = plain_path(a, str_or_empty(c->ingress.path));
        https = c->ingress.https || jv_len(c->spec->ingress.tls) > 0;
    } else if (e == EXPOSURE_UI_INGRESS) {
        host = s->host;
        https = s->has_tls;
    } else {
        host = str_or(address, s->host);
    }
    if (!host || *host == '*')
        return NULL;
    return arena_printf(a, "http%s://%s%s", https ? "s" : "", host, path);
}
