/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server will say about names, labels and pod templates, said before anything is
 * done: what it refuses only when the new JobManager is to be made, has cost the old one already.
 */
#ifndef CLUSTER_KUBE_RULES_H
#define CLUSTER_KUBE_RULES_H

#include <stdbool.h>

#include "flinkop/json_map.h"

/** A DNS label (RFC 1123): names of containers and volumes. */
bool dns_label_valid(const char *name);
/** A problem unless it is a DNS subdomain, as the names of most objects are; `what` it names. */
void object_name_check(struct problems *p, const char *path, const char *name, const char *what);
/** The key and the value of a label. */
bool label_key_valid(struct arena *a, const char *key);
bool label_value_valid(const char *value);
/** A mapping of strings; keys and values as labels have them. An absent one is fine. */
void labels_check(struct problems *p, const char *path, jv map);
/** The same for annotations, whose values are free but not larger than the API server takes. */
void annotations_check(struct problems *p, const char *path, jv map);
/** A mapping from resource names to quantities. strict: fractions are in quotes, as in crds/. */
void quantities_check(struct problems *p, const char *path, jv map, bool strict);

/** A pod template as the user wrote it: every member that we know has its type. strict: there are
 * no others in the places where we know all. */
void pod_template_check(struct problems *p, const char *path, jv template, bool strict);
/** A template after merging: named lists have names, no name twice, and images where we give none.
 */
void pod_template_whole_check(struct problems *p, const char *path, jv template);

#endif
