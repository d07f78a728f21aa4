/* What the training stages of the Qwen3-VL report cost, from their token budgets (arXiv 2511.21631, Table 1).
 *
 * Forward is counted as in bench/flops.h: full sequences of the stage's length, causal attention over all of
 * it, the head on every token. Backward costs, for each matrix product, as much as forward for the gradient
 * of its input and as much again for that of its weight; the scores and values of attention are products of
 * two activations and cost twice. What a stage needs of these: all trained    everything, but no gradient of
 * the pixels (patch embedding: the weight alone) merger only    the tower forward; all mergers in full, for
 * their norms are trained too; the frozen language model the gradients of its activations, through which the
 * mergers get theirs, not those of its weights Recomputed activations, optimiser, norms, softmax and
 * elementwise work are not counted. */
#ifndef QVL_BENCH_TRAINING_H
#define QVL_BENCH_TRAINING_H

#include "bench/flops.h"

struct qvl_training_stage {
    const char *name; /* "S0" */
    const char *aim;
    double tokens;    /* of the whole stage; "about 1T" is 1e12 */
    int64_t sequence; /* tokens */
    bool merger_only;
};

/* Stage `index` from 0; NULL beyond the last. */
const struct qvl_training_stage *qvl_training_stage_at(int64_t index);

/* FLOPs of one part, over the whole stage. */
struct qvl_training_part {
    double forward, input_gradients, weight_gradients;
};

struct qvl_training_cost {
    struct qvl_training_part tower, mergers;
    struct qvl_training_part linear; /* projections, MLPs, router and experts of the decoder */
    struct qvl_training_part scores; /* its attention; both gradients count as input_gradients */
    struct qvl_training_part head;
    double total;
};

/* One stage of one model. `visual_share` (0 to 1) of the tokens are visual ones, in pictures of `picture`
 * patches each. QVL_USAGE: another share, or a grid that qvl_flops_count refuses. */
QVL_MUST_USE enum qvl_status qvl_training_count(const struct qvl_model_config *config,
                                                const struct qvl_training_stage *stage, double visual_share,
                                                const struct qvl_grid *picture,
                                                struct qvl_training_cost *cost, struct qvl_error *error);

#endif
