/* Tensors drawn at random instead of read from files. */
#ifndef QVL_MODEL_WEIGHTS_RANDOM_H
#define QVL_MODEL_WEIGHTS_RANDOM_H

#include <stdbool.h>

#include "qvl/tensor.h"

struct qvl_random_arrays {
    bool wanted;
    enum qvl_dtype dtype; /* storage type */
    uint64_t seed;
    void **data; /* [count], owned */
    int64_t count, capacity;
    int64_t bytes; /* of all of them */
};

/* A new tensor, owned by `arrays`; data is NULL when there is no memory. */
struct qvl_array qvl_random_array(struct qvl_random_arrays *arrays, const char *name, int32_t rank,
                                  const int64_t *shape);
void qvl_random_arrays_free(struct qvl_random_arrays *arrays); /* a zeroed one is accepted */

/* Fill `count` values of a storage type at `to`: offset + scale * normal, drawn from 65536 such values, so
 * that a layer of a large model takes a second. */
void qvl_random_fill(void *to, enum qvl_dtype dtype, int64_t count, double scale, double offset,
                     uint64_t seed, uint64_t stream);

#endif
