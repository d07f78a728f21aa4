/* The shape of a Qwen-VL model, read from config.json in the spelling of transformers 4.x or 5.x, and counts
 * that follow from it. All structs are plain values without ownership. */
#ifndef QVL_MODEL_CONFIG_H
#define QVL_MODEL_CONFIG_H

#include "base/json.h"
#include "qvl/ops.h"

/* Limits of the structs below; larger configurations are refused. */
#define QVL_MAX_LAYERS 1024
#define QVL_MAX_VISION_BLOCKS 256
#define QVL_MAX_DEEPSTACK 32
#define QVL_MAX_EOS 16

enum qvl_architecture {
    QVL_ARCH_QWEN2_VL,
    QVL_ARCH_QWEN2_5_VL,
    QVL_ARCH_QWEN3_VL,
    QVL_ARCH_QWEN3_VL_MOE,
    QVL_ARCH_COUNT
};

enum qvl_vision_mlp {
    QVL_VISION_MLP_GELU_TANH,  /* Qwen3-VL: fc1, tanh GELU, fc2 */
    QVL_VISION_MLP_QUICK_GELU, /* Qwen2-VL: fc1, x sigmoid(1.702 x), fc2 */
    QVL_VISION_MLP_SWIGLU      /* Qwen2.5-VL: gate, up, down with biases */
};

struct qvl_vision_config {
    int64_t depth;        /* blocks */
    int64_t hidden;       /* D */
    int64_t heads;        /* head_dim = hidden / heads, a multiple of 4 */
    int64_t head_dim;     /* derived */
    int64_t intermediate; /* width of the block MLP */
    int64_t out_hidden;   /* O, equal to text hidden */
    int64_t channels, patch, temporal_patch;
    int64_t merge;         /* M: merge * merge patches make one token */
    int64_t position_side; /* N of the learned N x N position table; 0 when the tower has none */
    int64_t deepstack_count;
    int64_t deepstack_blocks[QVL_MAX_DEEPSTACK]; /* 0-based block whose output feeds DeepStack merger j */
    enum qvl_vision_mlp mlp;
    bool rms_norm;     /* Qwen2.5-VL: RMSNorm without bias; otherwise LayerNorm with bias */
    bool patch_bias;   /* Qwen3-VL: the patch embedding has a bias */
    double norm_eps;   /* 1e-6 */
    double rope_theta; /* 10000 */
    /* Qwen2.5-VL only; window 0 otherwise */
    int64_t window; /* pixels */
    bool full_attention[QVL_MAX_VISION_BLOCKS];
    double tokens_per_second;
};

struct qvl_text_config {
    int64_t layers, hidden, heads, kv_heads, head_dim, vocab;
    int64_t intermediate; /* width of dense MLPs; unused when every layer is MoE */
    int64_t max_positions;
    double rms_eps;
    bool qkv_bias; /* Qwen2, Qwen2.5 */
    bool qk_norm;  /* Qwen3 */
    double rope_theta;
    struct qvl_rope_scaling rope;
    int64_t mrope_section[3];
    enum qvl_mrope_layout mrope_layout;
    /* MoE; experts 0 in dense models */
    int64_t experts, experts_per_token, moe_intermediate;
    bool moe_layer[QVL_MAX_LAYERS]; /* layer l routes to experts */
};

struct qvl_model_config {
    enum qvl_architecture architecture;
    struct qvl_text_config text;
    struct qvl_vision_config vision;
    /* Whether a file without lm_head.weight means a tied head: the top-level flag in 5.x files; that of
     * text_config or the top level in 4.x files. */
    bool tied;
    int64_t image_token, video_token, vision_start_token, vision_end_token;
    int64_t eos[QVL_MAX_EOS]; /* of text_config; qvl_generation_config knows better when its file exists */
    int64_t eos_count;
    bool has_dtype;
    enum qvl_dtype dtype;  /* when has_dtype: what `dtype` or `torch_dtype` says */
    char quantization[32]; /* quant_method of quantization_config, "" when the weights are plain */
};

/* FOLDER/config.json. QVL_BAD_INPUT names the file and the dotted key: missing, of the wrong type, out of
 * range, contradictory, or an architecture that is not known (the known ones are listed). */
QVL_MUST_USE enum qvl_status qvl_model_config_read(const char *folder, struct qvl_model_config *config,
                                                   struct qvl_error *error);
/* The same from one file. A model table of datasets/models (its "config" object) is accepted too. */
QVL_MUST_USE enum qvl_status qvl_model_config_read_file(const char *path, struct qvl_model_config *config,
                                                        struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_model_config_parse(const char *json, size_t size, const char *name,
                                                    struct qvl_model_config *config, struct qvl_error *error);

/* "qwen3_vl", ... as model_type spells it. */
const char *qvl_architecture_name(enum qvl_architecture architecture);

/* What generate does by default. */
struct qvl_generation_config {
    int64_t eos[QVL_MAX_EOS]; /* generation stops after any of these */
    int64_t eos_count;
    bool do_sample;
    double temperature, top_p, repetition_penalty;
    int64_t top_k; /* 0: off */
};

/* FOLDER/generation_config.json; an absent key has the value the original gives it (temperature 1, top_k 50,
 * top_p 1, repetition penalty 1, greedy, eos of the model config), and so has an absent file. */
QVL_MUST_USE enum qvl_status qvl_generation_config_read(const char *folder,
                                                        const struct qvl_model_config *config,
                                                        struct qvl_generation_config *generation,
                                                        struct qvl_error *error);

/* Numbers of parameters; a tied head counts once. */
struct qvl_parameter_count {
    int64_t llm;          /* embeddings, layers, final norm, head */
    int64_t vision;       /* tower and all mergers */
    int64_t vision_trunk; /* tower without mergers */
    int64_t total;
    int64_t active_llm; /* llm less the experts a token does not visit */
    int64_t active;     /* active_llm + vision */
};

struct qvl_parameter_count qvl_model_count_parameters(const struct qvl_model_config *config);

/* Parameters of one decoder layer and of one vision block (for per-stage tables). */
int64_t qvl_layer_parameters(const struct qvl_text_config *text, int64_t layer);
int64_t qvl_vision_block_parameters(const struct qvl_vision_config *vision);

#endif
