/* FLOPs and bytes counted while a model runs: a backend that hands every call to another one and counts what
 * the call does from its arguments alone (shapes, segments, cache lengths, chosen experts, grids). It knows
 * neither config nor formulas; the conventions are those of bench/flops.h, so that both must agree to the
 * last FLOP.
 *
 * The stage of a call follows from the entry and from the calls around it. A linear layer belongs to what
 * comes next or came before: to the attention of tower or decoder when that follows or precedes, to the MLP
 * at a tanh GELU or SwiGLU, to a merger at an erf GELU, to the router before routing. The last merger of a
 * pass of the tower is the main one. Products that read the same input until then read it once. A linear
 * layer that fits nowhere makes a stage "unplaced"; `softmax` and `sample` are handed on and not counted. */
#ifndef QVL_BENCH_COUNTING_H
#define QVL_BENCH_COUNTING_H

#include "bench/flops.h"
#include "qvl/backend.h"

/* A backend around `inner`, which is borrowed and must outlive it. Entries that `inner` lacks are lacking
 * here too. Closed with its own `close`, which leaves `inner` open. */
QVL_MUST_USE enum qvl_status qvl_counting_open(struct qvl_backend *inner, struct qvl_backend **backend,
                                               struct qvl_error *error);

struct qvl_counting {
    struct qvl_flops stages; /* those that were called, in the order of bench/flops.c */
    int64_t experts_touched; /* distinct experts of each call of moe_experts, summed over the calls */
    int64_t calls;           /* of entries of the op table */
};

/* What was counted since the backend was opened or last reset; between forward calls. */
void qvl_counting_read(struct qvl_backend *backend, struct qvl_counting *counting);
void qvl_counting_reset(struct qvl_backend *backend);

#endif
