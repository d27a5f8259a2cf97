/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of objects the operator reads or writes, as one table. */
#ifndef FLINKOP_KUBE_RESOURCE_H
#define FLINKOP_KUBE_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "flinkop/jv.h"

struct error;

/* clang-format off */
#define KUBE_KINDS(X) \
    /* id               kind                 apiVersion                      plural              */ \
    X(FLINKDEPLOYMENT, "FlinkDeployment",   "flink.apache.org/v1beta1",     "flinkdeployments")     \
    X(FLINKSESSIONJOB, "FlinkSessionJob",   "flink.apache.org/v1beta1",     "flinksessionjobs")     \
    X(FLINKSTATESNAPSHOT, "FlinkStateSnapshot", "flink.apache.org/v1beta1", "flinkstatesnapshots")  \
    X(DEPLOYMENT,      "Deployment",        "apps/v1",                      "deployments")          \
    X(POD,             "Pod",               "v1",                           "pods")                 \
    X(SERVICE,         "Service",           "v1",                           "services")             \
    X(CONFIGMAP,       "ConfigMap",         "v1",                           "configmaps")           \
    /* Those that pods refer to, whoever made them: another view than of our own ConfigMaps.           \
     * (Of Secrets also that of the webhook's certificate, read by its name.) */                       \
    X(SECRET,          "Secret",            "v1",                           "secrets")              \
    X(ANY_CONFIGMAP,   "ConfigMap",         "v1",                           "configmaps")           \
    /* Those that a label selector may leave out: whether they are there at all. */                  \
    X(ANY_FLINKDEPLOYMENT, "FlinkDeployment", "flink.apache.org/v1beta1",   "flinkdeployments")     \
    X(ANY_FLINKSESSIONJOB, "FlinkSessionJob", "flink.apache.org/v1beta1",   "flinksessionjobs")     \
    X(INGRESS,         "Ingress",           "networking.k8s.io/v1",         "ingresses")            \
    X(ROUTE,           "Route",             "route.openshift.io/v1",        "routes")               \
    X(NETWORKPOLICY,   "NetworkPolicy",     "networking.k8s.io/v1",         "networkpolicies")      \
    X(PODDISRUPTIONBUDGET, "PodDisruptionBudget", "policy/v1",          "poddisruptionbudgets")     \
    X(EVENT,           "Event",             "v1",                           "events")               \
    X(LEASE,           "Lease",             "coordination.k8s.io/v1",       "leases")               \
    X(TOKENREVIEW,     "TokenReview",       "authentication.k8s.io/v1",     "tokenreviews")         \
    X(SUBJECTACCESSREVIEW, "SubjectAccessReview", "authorization.k8s.io/v1", "subjectaccessreviews") \
    X(WEBHOOKS,        "ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1",         \
                       "validatingwebhookconfigurations")                                              \
    /* Only read, by `migrate`. */                                                                     \
    X(MUTATINGWEBHOOKS, "MutatingWebhookConfiguration", "admissionregistration.k8s.io/v1",          \
                       "mutatingwebhookconfigurations")                                                \
    X(FLINKBLUEGREEN,  "FlinkBlueGreenDeployment", "flink.apache.org/v1beta1",                      \
                       "flinkbluegreendeployments")                                                    \
    X(DEFINITION,      "CustomResourceDefinition", "apiextensions.k8s.io/v1",                       \
                       "customresourcedefinitions")
/* clang-format on */

/* Member that an object gets here when its spec holds what cannot be read (json_tame): "path:
 * text". The rest of the object counts. */
#define KUBE_UNREADABLE "flink-operator/unreadable"

enum kube_kind {
#define X(id, kind, api, plural) KIND_##id,
    KUBE_KINDS(X)
#undef X
        KIND_COUNT
};

struct kube_resource {
    enum kube_kind id;
    const char *kind, *api_version, *plural;
};

/** The row of the table for this kind. */
const struct kube_resource *kube_resource(enum kube_kind kind);
/** By "apiVersion" and "kind" of an object; NULL when it is none of ours. */
const struct kube_resource *kube_resource_of(const char *api_version, const char *kind);

/** URL path of a collection or object, percent-encoded, malloc'd:
 * /apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME/SUBRESOURCE; ns NULL: all namespaces; name and
 * subresource may be NULL. */
char *kube_path(const struct kube_resource *res, const char *ns, const char *name,
                const char *subresource);

/** Adds to a refusal which right on the owner of body was missing: where admission asks for that,
 * it does not name it in its answer. */
void kube_name_right(jv body, const char *ns, struct error *err);

#endif
