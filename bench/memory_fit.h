/* Device memory of a deployment by part, what fits, and on how many devices. Bytes are of one device; one of
 * several parallel devices holds its share. Formulas and the assumed reserve: docs/COST.md. */
#ifndef QVL_BENCH_MEMORY_FIT_H
#define QVL_BENCH_MEMORY_FIT_H

#include "bench/model_time.h"

/* What the runtime keeps for itself: contexts, communication buffers, captured graphs, fragmentation. */
#define QVL_MEMORY_RESERVE_BYTES 1e9
#define QVL_MEMORY_RESERVE_SHARE 0.05 /* of the device's memory */

#define QVL_MEMORY_MAX_WAYS 8

struct qvl_memory_load {
    int64_t context;              /* tokens of each sequence in the cache, visual ones included */
    const struct qvl_grid *grids; /* pictures and videos encoded in one pass of the tower */
    int64_t grid_count;
};

struct qvl_memory {
    double weights, cache;
    double activations; /* the larger of a prefill piece and the tower, the tower's outputs, the logits */
    double reserve;
    double total;
    double capacity; /* of the device; 0: whatever is built in */
    bool fits;       /* also when the capacity is not stated */
};

struct qvl_memory qvl_memory_count(const struct qvl_deployment *deployment,
                                   const struct qvl_memory_load *load);

/* Activations alone. */
double qvl_memory_activations(const struct qvl_deployment *deployment, const struct qvl_memory_load *load);

/* Largest batch at the load's context, and largest context at batch 1; 0 when not even 1 fits. INT64_MAX when
 * the capacity is not stated. Other fields of deployment and load stand. */
int64_t qvl_memory_max_batch(const struct qvl_deployment *deployment, const struct qvl_memory_load *load);
int64_t qvl_memory_max_context(const struct qvl_deployment *deployment, const struct qvl_memory_load *load);

/* Fewest of 1, 2, 4, 8 devices that hold it and over which its heads divide; 0: none, or there is no link. */
int64_t qvl_memory_least_ways(const struct qvl_deployment *deployment, const struct qvl_memory_load *load);

#endif
