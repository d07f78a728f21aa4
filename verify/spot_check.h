/* A model's own calls looked at. While a spot check watches, one random row of what an entry returns is
 * computed again by the reference from the inputs and weights that the entry was given. The kernels of a
 * model are seen so in the shapes, the order and at the depth in which they are timed, where no case of
 * `verify` can stand in for them. It tells outputs of these inputs from others: work left out, remembered or
 * not finished. How exact they are is for `verify`.
 *
 * Seen are the entries that multiply (patch_embed, linear, vision_attention, merger, attention, moe_experts,
 * output_head), cache_append, embed, layer_norm, rms_norm, gelu, swiglu, rope, add and moe_combine. */
#ifndef QVL_VERIFY_SPOT_CHECK_H
#define QVL_VERIFY_SPOT_CHECK_H

#include "qvl/backend.h"

struct qvl_spot_check;

struct qvl_spot_result {
    int64_t unseen;          /* calls whose cache the backend does not hand out, or of too wide heads */
    int64_t rows;            /* looked at */
    double worst;            /* largest squared error of a row over its squared values */
    const char *worst_entry; /* static */
    char message[384];       /* the first row that is not what it must be; empty: none */
};

/* Both backends are borrowed. Models that are to be watched are loaded after this: weights and caches made
 * meanwhile are remembered. QVL_USAGE while another spot check is open. */
QVL_MUST_USE enum qvl_status qvl_spot_check_open(struct qvl_backend *candidate, struct qvl_backend *reference,
                                                 uint64_t seed, struct qvl_spot_check **check,
                                                 struct qvl_error *error);

/* Begin or end to watch: each call in a layer is looked at with probability `share` (0: the watch ends), what
 * a forward call does once always. Of attention over more
 * than QVL_SPOT_LONG keys one call is looked at until the next qvl_spot_check_watch. The backend is slower
 * meanwhile, and not otherwise. */
#define QVL_SPOT_LONG 65536
void qvl_spot_check_watch(struct qvl_spot_check *check, double share);

struct qvl_spot_result qvl_spot_check_result(const struct qvl_spot_check *check);
void qvl_spot_check_close(struct qvl_spot_check *check); /* NULL is accepted */

#endif
