/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a spec may ask for so that its web interface is reached from outside, and beside that a
 * budget for disruptions: at most one object of each row. Their kinds are optional: the API server
 * may not have them, and they are only looked at while a cluster asks for one.
 */
#ifndef FLINKOP_EXPOSURE_H
#define FLINKOP_EXPOSURE_H

#include "flinkop/desired.h"
#include "flinkop/kube_resource.h"

struct problems;

enum exposure {
    EXPOSURE_INGRESS,    /* "<cluster>": spec.ingress */
    EXPOSURE_UI_INGRESS, /* "<cluster>-ui": spec.exposure as an Ingress… */
    EXPOSURE_UI_ROUTE,   /* …or as a Route */
    EXPOSURE_POLICY,     /* "<cluster>-ui": spec.exposure.networkPolicy */
    EXPOSURE_BUDGET,     /* "<cluster>-jobmanager": spec.jobManager.podDisruptionBudget */
    EXPOSURE_COUNT
};

/* Labels by which all of them are found, and the budget. */
#define EXPOSURE_SELECTOR "component in (ingress,ui)"
#define BUDGET_SELECTOR "app,component=jobmanager"

enum kube_kind exposure_kind(enum exposure e);
/** Whether objects of this kind are only here to expose something. */
bool exposure_has_kind(enum kube_kind kind);
const char *exposure_name(struct arena *a, enum exposure e, const char *cluster);
/** The object, owned by the CR. Its spec hash is that of what it is made from, whatever `in` says.
 */
jv desired_exposure(struct arena *a, enum exposure e, const struct desired_input *in);
/** That hash. */
const char *exposure_hash(struct arena *a, enum exposure e, const struct desired_input *in);
/** Where it leads, as far as that follows from the spec and, if known, from what became of the
 * object: its address. NULL: it cannot be told. */
const char *exposure_url(struct arena *a, enum exposure e, const struct cluster_config *c,
                         const char *address);

/**
 * Reads spec.ingress.template: {{name}} and {{namespace}} in any case, with or without http(s)://.
 * Problems are about spec.ingress.template.
 */
void ingress_url_read(struct problems *p, const char *template, const char *ns, const char *name,
                      struct ingress_url *ret);
/** A DNS name of at most 253 lower-case characters; wildcard: "*.example.com" is one, too. */
bool host_name_valid(const char *host, bool wildcard);

#endif
