/* The parameters of a model in backend memory: matrices prepared by the backend, vectors as plain tensors. */
#ifndef QVL_MODEL_PARAMETERS_H
#define QVL_MODEL_PARAMETERS_H

#include "model/weights.h"
#include "qvl/backend.h"

struct qvl_linear_parameters {
    struct qvl_weight *weight;
    struct qvl_tensor bias; /* data NULL: the layer has no bias */
};

struct qvl_norm_parameters {
    struct qvl_tensor weight;
    struct qvl_tensor bias; /* data NULL for RMSNorm */
};

struct qvl_merger_parameters {
    struct qvl_norm_parameters norm;
    struct qvl_linear_parameters fc1, fc2;
};

struct qvl_vision_block_parameters {
    struct qvl_norm_parameters norm1, norm2;
    struct qvl_linear_parameters qkv, proj, fc1, fc2;
};

struct qvl_layer_parameters {
    struct qvl_norm_parameters input_norm, post_norm, q_norm, k_norm;
    struct qvl_linear_parameters q, k, v, o;
    struct qvl_linear_parameters gate, up, down; /* dense layers */
    struct qvl_linear_parameters router;         /* MoE layers */
    struct qvl_weight *experts_gate_up, *experts_down;
};

struct qvl_parameters {
    struct qvl_backend *backend; /* borrowed */
    enum qvl_dtype storage;
    struct qvl_linear_parameters patch_embed;
    struct qvl_tensor pos_embed; /* [N*N, D] */
    struct qvl_vision_block_parameters *blocks;
    int64_t block_count;
    struct qvl_merger_parameters merger;
    struct qvl_merger_parameters *deepstack;
    int64_t deepstack_count;
    struct qvl_weight *embed;
    struct qvl_layer_parameters *layers;
    int64_t layer_count;
    struct qvl_norm_parameters norm;
    struct qvl_weight *head; /* the same handle as `embed` when tied */
};

/* Prepare all weights on the backend. `weights` (the mapped files) must outlive the parameters. On failure
 * everything is freed again and the message names the tensor. */
enum qvl_status qvl_parameters_load(struct qvl_backend *backend, const struct qvl_model_config *config,
                                    const struct qvl_weights *weights, enum qvl_dtype storage,
                                    struct qvl_parameters *parameters, struct qvl_error *error);
void qvl_parameters_release(struct qvl_parameters *parameters); /* clears it; a zeroed one is accepted */

#endif
