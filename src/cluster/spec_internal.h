/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of FlinkDeployment.spec that have a file of their own. */
#ifndef CLUSTER_SPEC_INTERNAL_H
#define CLUSTER_SPEC_INTERNAL_H

#include "flinkop/cluster_spec.h"

/* ---- spec_shape.c ---- */

/** Whether it is a mapping of a size and depth that the rest can work with; the problem if not. */
bool spec_shape_check(struct problems *p, jv spec);

/* ---- spec_exposure.c ---- */

extern const struct json_field ingress_fields[], exposure_fields[];

/** What the tables cannot say; the sections may be absent. */
void ingress_spec_read(struct problems *p, jv section, bool strict, struct ingress_spec *ret);
void exposure_spec_read(struct problems *p, jv section, struct exposure_spec *ret);
/** What the API allows and this version cannot do yet. */
void exposure_spec_check(struct problems *p, const struct exposure_spec *s);

#endif
