/* Analytic count of floating-point operations and of compulsory memory traffic, per stage, from config.json
 * alone.
 *
 * Conventions (docs/REPORT.md, "FLOPs and bytes"):
 * - A multiply-add is 2 FLOPs. Matrix products are counted exactly; causal attention counts only the keys
 * that a query sees. Biases belong to the elementwise stages.
 * - Norms, softmax and elementwise work are stages of their own, never mixed into a matrix stage. A division,
 * square root, exp, tanh or erf is one FLOP; comparisons are none. Per element: LayerNorm 7, RMSNorm 4,
 * attention softmax 5 (with the scale), router softmax 4 and 2 for each chosen expert, rotary 3, residual or
 * bias add 1, GELU tanh 9, GELU erf 5, x sigmoid(1.702 x) 5, SwiGLU 4, weighted expert sum 2; position
 * interpolation 7 and its add 1.
 * - Bytes are the least any implementation must move: each weight once a pass, the inputs and outputs of each
 * matrix product once, each cached key and value row once a pass. Scores stay on chip and elementwise work is
 * fused: no bytes. Of E experts, n tokens with k each touch E (1 - (1 - k/E)^n) on average when routing is
 * uniform; where the choice is known, the touched ones count.
 * - Position and rotary tables, the scatter of visual rows and sampling are not counted. */
#ifndef QVL_BENCH_FLOPS_H
#define QVL_BENCH_FLOPS_H

#include "model/config.h"

/* Counts pass 2^63 at long context and large batch. */
typedef unsigned __int128 qvl_flop_count;

enum qvl_flops_class {
    QVL_FLOPS_MATRIX,  /* matrix products, attention included: what a peak rate is compared with */
    QVL_FLOPS_ELEMENTS /* norms, softmax, elementwise */
};

struct qvl_flops_stage {
    char name[40]; /* "vision_linear", "attention", ... */
    enum qvl_flops_class work;
    bool vision; /* runs once a picture or video, not once a token */
    qvl_flop_count flops;
    double bytes;
};

#define QVL_FLOPS_MAX_STAGES (22 + QVL_MAX_DEEPSTACK)

/* In order of execution; a model lacks the stages it has not (router and experts, or mlp; DeepStack). */
struct qvl_flops {
    struct qvl_flops_stage stages[QVL_FLOPS_MAX_STAGES];
    int64_t count;
};

/* Sequences of a pass that are alike. */
struct qvl_flops_group {
    int64_t sequences, cached, tokens, logits; /* each as in the workload below */
};

/* One pass over `batch` sequences alike, and `others` beside them. A vision tower runs once over all grids;
 * without any token there is no pass of the language model. */
struct qvl_flops_workload {
    int64_t batch;
    int64_t cached;               /* tokens already in the KV cache of each sequence */
    int64_t tokens;               /* new tokens of each sequence; visual tokens are among them */
    int64_t logits;               /* rows of each sequence that go through the head */
    const struct qvl_grid *grids; /* pictures and videos of each sequence, encoded in this pass */
    int64_t grid_count;
    enum qvl_dtype storage;               /* of weights, activations and KV cache */
    const struct qvl_flops_group *others; /* without media */
    int64_t other_count;
    int64_t visual_tokens;   /* new tokens, all sequences, whose pictures an earlier pass encoded */
    int64_t experts_touched; /* experts that the tokens chose, summed over the layers; 0: not known */
};

/* QVL_USAGE: a count below zero or above 2^40, more logits than tokens, a grid that is no multiple of the
 * merge size. */
QVL_MUST_USE enum qvl_status qvl_flops_count(const struct qvl_model_config *config,
                                             const struct qvl_flops_workload *workload,
                                             struct qvl_flops *flops, struct qvl_error *error);

/* Add the stages of a pass to a sum of passes; a sum starts zeroed. */
void qvl_flops_add(struct qvl_flops *sum, const struct qvl_flops *part);

/* Add what the engine does to encode one picture or video: a pass of tower and mergers for every
 * qvl_vision_frames_at_once frames (model/engine.h). */
QVL_MUST_USE enum qvl_status qvl_flops_add_tower(const struct qvl_model_config *config,
                                                 const struct qvl_grid *grid, enum qvl_dtype storage,
                                                 struct qvl_flops *sum, struct qvl_error *error);

/* The stage of that name, or NULL when the model has none. */
const struct qvl_flops_stage *qvl_flops_find(const struct qvl_flops *flops, const char *name);

/* Sum over the stages of one class, of the vision part or of the language part. */
qvl_flop_count qvl_flops_sum(const struct qvl_flops *flops, enum qvl_flops_class work, bool vision);

double qvl_flops_bytes(const struct qvl_flops *flops); /* all stages */

/* LLM tokens of the grids: patches / merge^2. */
int64_t qvl_flops_visual_tokens(const struct qvl_model_config *config, const struct qvl_grid *grids,
                                int64_t grid_count);

/* Bytes of keys and values that one token leaves in the cache. */
int64_t qvl_flops_cache_bytes(const struct qvl_model_config *config, enum qvl_dtype storage);

#endif
