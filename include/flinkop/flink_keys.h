/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of the keys with which Flink shapes its pods and its allocation on Kubernetes, one
 * table: with the operator's allocator Flink does neither, so each key is either honoured here, or
 * the cluster is given to Flink's own allocator. The keys come from Flink itself
 * (tests/golden/flink/keys.tsv); a test compares.
 */
#ifndef FLINKOP_FLINK_KEYS_H
#define FLINKOP_FLINK_KEYS_H

#include <stddef.h>

struct conf;

enum key_treatment {
    KEY_HONOURED,   /* shapes the objects that we make as it shapes Flink's own */
    KEY_TRANSLATED, /* becomes the policy of our allocator */
    KEY_PASSED,     /* Flink's processes read it themselves, from the configuration they get */
    KEY_SET,        /* the operator sets it */
    KEY_MOOT,       /* what it acts on does not exist here */
    KEY_REFUSED,    /* an error that says what does the same */
    KEY_DELEGATED,  /* only Flink's own allocator can do it: the cluster is given to that */
};

struct flink_key {
    const char *key; /* <…> stands for a name */
    enum key_treatment treatment;
    const char *note; /* half a sentence for the table in src/README.md, and for messages */
};

/** The whole table, sorted by key. */
const struct flink_key *flink_keys(size_t *ret_n);
/** "honoured", "translated", … */
const char *key_treatment_name(enum key_treatment t);
/** The first key of this configuration that needs Flink's own allocator, or NULL. */
const struct flink_key *flink_keys_delegated(const struct conf *c);
/** The row of exactly this key, or NULL. */
const struct flink_key *flink_key_find(const char *key);

#endif
