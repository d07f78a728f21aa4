/* A problem placed on one backend: operands between guard zones, outputs poisoned, weights prepared. Internal
 * to verify/. */
#ifndef QVL_VERIFY_SIDE_H
#define QVL_VERIFY_SIDE_H

#include "verify/problem.h"

#define QVL_SIDE_CACHES 3

struct qvl_placed {
    struct qvl_tensor view;
    void *memory;         /* of the backend; starts with a guard zone. Host memory for QVL_ROLE_HOST */
    size_t bytes, guard;  /* of `memory`; of each of its guard zones */
    unsigned char *image; /* what `memory` held before the call */
};

struct qvl_side {
    struct qvl_backend *backend;
    const struct qvl_problem *problem;
    bool widen; /* 16-bit operands are held as f32: the reference without its intermediate roundings */
    struct qvl_placed placed[QVL_OPERANDS];
    struct qvl_weight *weights[QVL_OPERANDS];
    struct qvl_cache *caches[QVL_SIDE_CACHES]; /* made by the op's call, destroyed with the side */
};

enum qvl_status qvl_side_open(struct qvl_side *side, struct qvl_error *error);
void qvl_side_close(struct qvl_side *side);

/* Give an open side another problem of the same shapes: new values at the same addresses, outputs poisoned
 * again, weights prepared anew, caches gone. */
enum qvl_status qvl_side_refill(struct qvl_side *side, const struct qvl_problem *problem,
                                struct qvl_error *error);

/* The same for a problem whose inputs have changed and whose weights have not: those stay as prepared. */
enum qvl_status qvl_side_reload(struct qvl_side *side, struct qvl_error *error);

/* The type an operand has on this side. */
enum qvl_dtype qvl_side_dtype(const struct qvl_side *side, const struct qvl_operand *operand);

/* Values of operand `index` after the call, contiguous, as doubles, qvl_unwritten() where the poison still
 * stands; malloc'd, caller frees. */
enum qvl_status qvl_side_values(struct qvl_side *side, int index, double **values, struct qvl_error *error);

/* QVL_FAILED, with a message that names operand and byte, when an input, a gap or a guard zone has changed.
 */
enum qvl_status qvl_side_untouched(struct qvl_side *side, struct qvl_error *error);

#endif
