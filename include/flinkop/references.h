/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets and ConfigMaps that a cluster's pods refer to, and whether their content has changed. It
 * is told from their metadata, where that can tell. For clusters that are to be restarted with what
 * changes the content is read, too, and only its hash is kept, in memory: in a status it would let
 * those who may not read a Secret try what is in it.
 */
#ifndef FLINKOP_REFERENCES_H
#define FLINKOP_REFERENCES_H

#include <stdbool.h>
#include <stddef.h>

#include "flinkop/jv.h"
#include "flinkop/kube_resource.h"
#include "flinkop/observed.h"

struct arena;

#define REFERENCE_KINDS 2
extern const enum kube_kind reference_kinds[REFERENCE_KINDS];
bool reference_has_kind(enum kube_kind kind);

struct reference {
    enum kube_kind kind;
    const char *name;
    bool optional; /* pods start without it */
};

#define REFERENCES_MAX 100

/* Each once; what is beyond the first REFERENCES_MAX is not looked at. */
struct references {
    struct reference items[REFERENCES_MAX];
    size_t n;
};

/** Adds what the spec of a pod refers to; the names stay in it. */
void references_of_pod(struct references *r, jv spec);
/** "Secret/name" */
const char *reference_key(struct arena *a, const struct reference *r);
/** All of them as one text, for references_name(); NULL: none. */
const char *references_text(struct arena *a, const struct references *r);
/** Whether such a text (NULL: of none) has that one. */
bool references_name(const char *text, enum kube_kind kind, const char *name);

/* One as it is. */
struct obs_reference {
    struct obs_meta meta; /* of it only names, uid, version and deletion */
    const char *mark;     /* another one when the content is, or may be, another one */
};
/** Whether content certainly differs between two marks of one name that differ; else labels,
 * annotations or owners alone may have changed. */
bool reference_mark_certain(const char *was, const char *is);
void obs_reference_read(struct arena *a, jv object, struct obs_reference *ret);
/** "MARK HASH" of a whole one: its mark, and a hash of its content. */
const char *reference_content(struct arena *a, jv object);

#endif
