#include "model/config.h"

static int64_t attention_parameters(const struct qvl_text_config *text)
{
    int64_t q = text->heads * text->head_dim, kv = text->kv_heads * text->head_dim;
    return text->hidden * (2 * q + 2 * kv) + (text->qkv_bias ? q + 2 * kv : 0) +
           (text->qk_norm ? 2 * text->head_dim : 0);
}

/* gate, up and down of one expert */
static int64_t expert_parameters(const struct qvl_text_config *text)
{
    return 3 * text->hidden * text->moe_intermediate;
}

int64_t qvl_layer_parameters(const struct qvl_text_config *text, int64_t layer)
{
    int64_t mlp = text->moe_layer[layer] ? text->experts * (text->hidden + expert_parameters(text))
                                         : 3 * text->hidden * text->intermediate;
    return 2 * text->hidden + attention_parameters(text) + mlp;
}

static int64_t affine(int64_t out, int64_t in)
{
    return out * in + out;
}

int64_t qvl_vision_block_parameters(const struct qvl_vision_config *vision)
{
    int64_t width = vision->hidden, inner = vision->intermediate;
    int64_t norms = vision->rms_norm ? 2 * width : 4 * width;
    int64_t mlp =
        affine(inner, width) * (vision->mlp == QVL_VISION_MLP_SWIGLU ? 2 : 1) + affine(width, inner);
    return norms + affine(3 * width, width) + affine(width, width) + mlp;
}

static int64_t merger_parameters(const struct qvl_vision_config *vision, int64_t norm_width)
{
    int64_t grouped = vision->merge * vision->merge * vision->hidden;
    int64_t norm = vision->rms_norm ? norm_width : 2 * norm_width;
    return norm + affine(grouped, grouped) + affine(vision->out_hidden, grouped);
}

struct qvl_parameter_count qvl_model_count_parameters(const struct qvl_model_config *config)
{
    const struct qvl_text_config *text = &config->text;
    const struct qvl_vision_config *vision = &config->vision;
    struct qvl_parameter_count count = {0};
    int64_t idle = 0;
    int64_t patch = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    int64_t grouped = vision->merge * vision->merge * vision->hidden;

    count.llm = text->vocab * text->hidden * (config->tied ? 1 : 2) + text->hidden;
    for (int64_t layer = 0; layer < text->layers; layer++) {
        count.llm += qvl_layer_parameters(text, layer);
        if (text->moe_layer[layer])
            idle += (text->experts - text->experts_per_token) * expert_parameters(text);
    }
    count.vision_trunk = vision->hidden * patch + (vision->patch_bias ? vision->hidden : 0) +
                         vision->position_side * vision->position_side * vision->hidden +
                         vision->depth * qvl_vision_block_parameters(vision);
    count.vision = count.vision_trunk + merger_parameters(vision, vision->hidden) +
                   vision->deepstack_count * merger_parameters(vision, grouped);
    count.total = count.llm + count.vision;
    count.active_llm = count.llm - idle;
    count.active = count.total - idle;
    return count;
}
