/* The weights of a Qwen3-VL checkpoint (dense or MoE): every tensor found, checked and mapped.
 *
 * Shapes use D, I vision hidden and intermediate, O = H text hidden, F, Fm dense and expert width, E experts,
 * nq, nk, d heads, kv heads, head_dim, G = merge^2. A matrix is [out, in]. */
#ifndef QVL_MODEL_WEIGHTS_H
#define QVL_MODEL_WEIGHTS_H

#include "model/config.h"

/* A matrix or a norm; bias.data is NULL where the component has none. */
struct qvl_affine {
    struct qvl_array weight;
    struct qvl_array bias;
};

struct qvl_vision_block_weights {
    struct qvl_affine norm1, norm2; /* [D] */
    struct qvl_affine qkv;          /* [3D, D], q first, then k, v */
    struct qvl_affine proj;         /* [D, D] */
    struct qvl_affine fc1;          /* [I, D] */
    struct qvl_affine fc2;          /* [D, I] */
};

struct qvl_merger_weights {
    struct qvl_affine norm; /* main merger [D], DeepStack [G*D] */
    struct qvl_affine fc1;  /* [G*D, G*D] */
    struct qvl_affine fc2;  /* [O, G*D] */
};

struct qvl_vision_weights {
    struct qvl_affine patch_embed;           /* viewed as [D, C*T*P*P] */
    struct qvl_array pos_embed;              /* [N*N, D] */
    struct qvl_vision_block_weights *blocks; /* [depth] */
    struct qvl_merger_weights merger;
    struct qvl_merger_weights *deepstack; /* [deepstack_count], in the order of the config's list */
};

struct qvl_layer_weights {
    struct qvl_array input_norm, post_attention_norm; /* [H] */
    struct qvl_array q_proj;                          /* [nq*d, H] */
    struct qvl_array k_proj, v_proj;                  /* [nk*d, H] */
    struct qvl_array o_proj;                          /* [H, nq*d] */
    struct qvl_array q_norm, k_norm;                  /* [d] */
    bool moe;
    /* dense layers */
    struct qvl_array gate_proj, up_proj; /* [F, H] */
    struct qvl_array down_proj;          /* [H, F] */
    /* MoE layers */
    struct qvl_array router;  /* [E, H] */
    struct qvl_array gate_up; /* [E, 2*Fm, H], gate first; [E, H, 2*Fm] when input_first */
    struct qvl_array down;    /* [E, H, Fm]; [E, Fm, H] when input_first */
    bool experts_input_first; /* transformers 4.x layout (the published files) */
};

struct qvl_weights {
    struct qvl_vision_weights vision;
    struct qvl_array embed_tokens;    /* [vocab, H] */
    struct qvl_layer_weights *layers; /* [layers] */
    struct qvl_array norm;            /* [H] */
    struct qvl_array head;            /* [vocab, H]; the embedding itself when tied */
    bool head_tied;                   /* head.data == embed_tokens.data */
    enum qvl_dtype dtype;             /* of embed_tokens */
    bool mixed_dtypes;                /* other tensors have other types */
    int64_t bytes;                    /* of all tensors, as stored */
    int64_t file_count;               /* shards */
    struct qvl_weights_owner *owner;  /* private: mapped files, packed experts */
};

/* Open FOLDER/model.safetensors, or the shards of FOLDER/model.safetensors.index.json, and find every tensor
 * that `config` requires. Everything is a view of the mapped files, but for MoE experts stored one by one
 * (`mlp.experts.E.gate_proj.weight` ...), which are packed into memory.
 * QVL_BAD_INPUT: architecture without a loader, quantised weights, a missing, extra or misshaped tensor or
 * one that is not f32, bf16 or f16 (the first few by name with expected and found shape, and their number),
 * an expert layout that cannot be told, a bad index, a missing shard, a missing head. */
QVL_MUST_USE enum qvl_status qvl_weights_open(const char *folder, const struct qvl_model_config *config,
                                              struct qvl_weights **weights, struct qvl_error *error);

/* The same with random values in place of files, for measuring shapes: matrices normal with variance
 * 1 / fan_in, norm weights 1 +- 0.25, biases 0.3; experts as the published files store them. Each tensor has
 * its own values, which follow from the seed. QVL_NO_MEMORY names a tensor. */
QVL_MUST_USE enum qvl_status qvl_weights_draw(const struct qvl_model_config *config, enum qvl_dtype dtype,
                                              uint64_t seed, struct qvl_weights **weights,
                                              struct qvl_error *error);

void qvl_weights_close(struct qvl_weights *weights); /* NULL is accepted */

#endif
