/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label selectors as Kubernetes has them (apimachinery's labels.Parse): requirements with commas
 * between them, all of which must hold: "k=v", "k==v", "k!=v", "k in (a,b)", "k notin (a,b)", "k",
 * "!k". What is not there differs from every value. (Not "k>1" and "k<1".) Pure.
 */
#ifndef FLINKOP_LABEL_SELECTOR_H
#define FLINKOP_LABEL_SELECTOR_H

#include <stdbool.h>

#include "flinkop/jv.h"
#include "flinkop/macros.h"
#include "flinkop/observed.h"

struct arena;
struct error;
struct label_selector;

/** In the arena; the text is copied. NULL: the text is empty, everything matches. ERR_INVALID tells
 * where it is wrong. */
int label_selector_parse(struct arena *a, const char *text, const struct label_selector **ret,
                         struct error *err) MUST_CHECK;
/** Whether these labels (a mapping, or ABSENT) match; NULL: they do. */
bool label_selector_matches(const struct label_selector *s, jv labels);
/** Those of the labels that it looks at: what has the same ones matches, too. ABSENT: none. */
jv label_selector_seen(struct arena *a, const struct label_selector *s, jv labels);

/* Of a custom resource that a selector may leave out. */
struct obs_labelled {
    struct obs_meta meta; /* of it only names, uid, version and deletion */
    jv labels;
};
void obs_labelled_read(struct arena *a, jv object, struct obs_labelled *ret);

#endif
