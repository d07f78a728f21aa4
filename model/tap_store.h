/* Collects the stages of forward passes by name, chunk after chunk, into whole arrays. */
#ifndef QVL_MODEL_TAP_STORE_H
#define QVL_MODEL_TAP_STORE_H

#include "model/model.h"

struct qvl_tap_entry {
    char *name;
    int32_t rank;
    int64_t shape[QVL_MAX_RANK]; /* shape[0]: rows collected so far */
    float *values;               /* [shape[0]][...], row k is row k of the sequence */
    int64_t row_capacity;
};

struct qvl_tap_store {
    const char *const *patterns; /* glob patterns (fnmatch), borrowed; none: everything */
    int64_t pattern_count;
    const struct qvl_tap_store *forced; /* borrowed: its values take the place of stages of the same width
                                           once they are taken; NULL: the pass runs free */
    struct qvl_tap_entry *entries;      /* in order of first appearance */
    int64_t count, capacity;
};

/* Taps that write into the store, which must outlive them. */
struct qvl_taps qvl_tap_store_taps(struct qvl_tap_store *store);

/* The entry of a name, or NULL. */
const struct qvl_tap_entry *qvl_tap_store_find(const struct qvl_tap_store *store, const char *name);

/* Values of one row. */
int64_t qvl_tap_entry_width(const struct qvl_tap_entry *entry);

void qvl_tap_store_free(struct qvl_tap_store *store); /* clears the entries; a zeroed store is accepted */

#endif
