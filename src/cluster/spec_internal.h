/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of FlinkDeployment.spec that have a file of their own. */
#ifndef CLUSTER_SPEC_INTERNAL_H
#define CLUSTER_SPEC_INTERNAL_H

#include "flinkop/cluster_spec.h"

/* ---- spec_shape.c ---- */

/** Whether it is a mapping of a size and depth that the rest can work with; the problem if not. */
bool spec_shape_check(struct problems *p, jv spec);

/* ---- spec_form.c ---- */

/** As it is compared: what the incumbent writes out of defaults, numbers and quantities in the form
 * in which users write it. */
jv spec_compared_form(struct arena *a, jv spec);
/** `current` with the parallelism that the incumbent's autoscaler has given to the vertices of the
 * recorded one, as long as it asks for autoscaling and not for another parallelism. */
jv spec_keep_overrides(struct arena *a, jv recorded, jv current, bool autoscaled);

/* ---- spec_exposure.c ---- */

extern const struct json_field ingress_fields[], exposure_fields[];

/** What the tables cannot say; the sections may be absent. */
void ingress_spec_read(struct problems *p, jv section, bool strict, struct ingress_spec *ret);
void exposure_spec_read(struct problems *p, jv section, struct exposure_spec *ret);
/** What the API allows and this version cannot do yet. */
void exposure_spec_check(struct problems *p, const struct exposure_spec *s);

#endif
