/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of FlinkDeployment.spec that have a file of their own. */
#ifndef CLUSTER_SPEC_INTERNAL_H
#define CLUSTER_SPEC_INTERNAL_H

#include "flinkop/cluster_spec.h"

/* ---- spec_exposure.c ---- */

extern const struct json_field ingress_fields[], exposure_fields[];

/** What the tables cannot say; the sections may be absent. */
void ingress_spec_read(struct problems *p, jv section, bool strict, struct ingress_spec *ret);
void exposure_spec_read(struct problems *p, jv section, struct exposure_spec *ret);
/** What the API allows and this version cannot do yet. */
void exposure_spec_check(struct problems *p, const struct exposure_spec *s);

#endif
