/* Random checkpoints in the folder format of released Qwen3-VL models: config, preprocessor configs,
 * tokenizer, chat template and weights, complete enough for the original framework to load.
 *
 * Every byte follows from the spec: the same spec gives the same files on every machine. No value comes from
 * a trained model. Weights are drawn so that faults show (unlike a default initialisation, whose logits are
 * near zero and whose attention is flat): normal with variance 1/fan_in, biases 0.3, norm weights 1 +- 0.25.
 */
#ifndef QVL_DATASETS_CHECKPOINT_H
#define QVL_DATASETS_CHECKPOINT_H

#include "qvl/tensor.h"

#define QVL_CHECKPOINT_LIST 8 /* most entries of the index lists below */

/* How the experts of a mixture-of-experts layer are stored. All three hold the same values. */
enum qvl_expert_layout {
    QVL_EXPERTS_INPUT_FIRST,  /* transformers 4.57: gate_up_proj [E, H, 2 Fm], down_proj [E, Fm, H] */
    QVL_EXPERTS_OUTPUT_FIRST, /* transformers 5.x: gate_up_proj [E, 2 Fm, H], down_proj [E, H, Fm] */
    QVL_EXPERTS_SEPARATE      /* text-only Qwen3-MoE: experts.{e}.{gate,up,down}_proj.weight */
};

/* Which release's config.json is written. */
enum qvl_config_spelling {
    QVL_CONFIG_HF4, /* rope_theta and rope_scaling */
    QVL_CONFIG_HF5  /* rope_parameters; transformers 4.57 cannot read it */
};

struct qvl_checkpoint_spec {
    const char *name;  /* of the preset */
    const char *about; /* one line */
    uint64_t seed;

    /* Language model. */
    int64_t hidden, ffn, layers, heads, kv_heads, head_dim;
    int64_t vocabulary; /* rows of the embedding; at least the tokenizer's ids, the rest is padding */
    int64_t rope_theta;
    int64_t mrope_section[3]; /* T, H, W; sums to head_dim / 2 */
    int64_t max_positions;
    double yarn_factor; /* 0: plain rotary; written with four decimals */
    int64_t yarn_original_positions;
    int64_t experts, experts_per_token, expert_ffn; /* experts 0: dense */
    int64_t dense_layers[QVL_CHECKPOINT_LIST];      /* layers of a MoE model that stay dense */
    int64_t dense_layer_count;

    /* Vision tower: patch 16, temporal patch 2, merge 2, 3 channels; its output width is `hidden`. */
    int64_t depth, vision_hidden, vision_heads, vision_ffn;
    int64_t position_side; /* the position table has position_side^2 rows */
    int64_t deepstack[QVL_CHECKPOINT_LIST];
    int64_t deepstack_count;

    /* Limits of the preprocessor configs, in pixels. */
    int64_t image_min_pixels, image_max_pixels;
    int64_t video_min_pixels, video_max_pixels;

    /* Storage. */
    int64_t shard_bytes;  /* at most this many bytes of tensors a shard (at least one tensor); 0: one file */
    enum qvl_dtype dtype; /* f32, bf16 or f16, rounded to nearest even from the same float32 values */
    enum qvl_expert_layout expert_layout;
    enum qvl_config_spelling spelling;
    bool tied; /* the head is the embedding and is not stored */
};

/* A preset by name, or NULL. Static; copy it to change it. */
const struct qvl_checkpoint_spec *qvl_checkpoint_preset(const char *name);

/* Preset number `index` from 0, or NULL beyond the last. */
const struct qvl_checkpoint_spec *qvl_checkpoint_preset_at(int64_t index);

/* Sizes of the weights of a spec, without writing anything. QVL_USAGE names a contradictory field. */
enum qvl_status qvl_checkpoint_size(const struct qvl_checkpoint_spec *spec, int64_t *parameters,
                                    int64_t *bytes, struct qvl_error *error);

/* Write the folder (made if missing; files of the same name are replaced). Weights are streamed: memory stays
 * at a few MiB whatever the size. QVL_USAGE: contradictory spec, named; QVL_IO: the file that could not be
 * written, which is then left as it was. */
enum qvl_status qvl_checkpoint_write(const struct qvl_checkpoint_spec *spec, const char *folder,
                                     struct qvl_error *error);

#endif
