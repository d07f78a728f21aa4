/* The tensors of a Qwen3-VL checkpoint: names, shapes and values. */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "datasets/checkpoint_parts.h"

#define PATCH_VALUES 1536 /* 3 channels x 2 frames x 16 x 16 */
#define MERGED 4          /* patches a merged token */

/* Values that are not 1/sqrt(fan_in): chosen so that attention is peaked, positions matter and logits spread.
 */
static const float bias_scale = 0.3f;
static const float norm_spread = 0.25f;
static const float query_norm_mean = 2.0f; /* text scores with deviation 2 */
static const float table_scale = 0.5f;     /* position table, as large as the patch embedding */
/* A tied head sees the token's own embedding in the residual stream: with a larger one it would repeat it. */
static const double logit_deviation = 3.0, tied_logit_deviation = 0.5;

static struct checkpoint_tensor *add(struct checkpoint_tensors *tensors, const char *prefix, const char *name,
                                     int32_t rank, const int64_t *shape)
{
    static struct checkpoint_tensor unused;
    if (tensors->count == tensors->capacity) {
        int64_t capacity = tensors->capacity ? 2 * tensors->capacity : 256;
        struct checkpoint_tensor *grown = realloc(tensors->items, (size_t)capacity * sizeof *grown);
        if (!grown) {
            tensors->failed = true;
            return &unused;
        }
        tensors->items = grown;
        tensors->capacity = capacity;
    }
    struct checkpoint_tensor *tensor = &tensors->items[tensors->count++];
    *tensor = (struct checkpoint_tensor){.rank = rank, .draw = CHECKPOINT_NORMAL};
    snprintf(tensor->name, sizeof tensor->name, "%s%s", prefix, name);
    memcpy(tensor->shape, shape, (size_t)rank * sizeof *shape);
    return tensor;
}

static struct checkpoint_tensor *add_matrix(struct checkpoint_tensors *tensors, const char *prefix,
                                            const char *name, int64_t rows, int64_t columns)
{
    struct checkpoint_tensor *tensor = add(tensors, prefix, name, 2, (const int64_t[]){rows, columns});
    tensor->scale = (float)(1.0 / sqrt((double)columns));
    return tensor;
}

static void add_linear(struct checkpoint_tensors *tensors, const char *prefix, const char *name, int64_t rows,
                       int64_t columns)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    add_matrix(tensors, prefix, full, rows, columns);
    snprintf(full, sizeof full, "%s.bias", name);
    add(tensors, prefix, full, 1, &rows)->scale = bias_scale;
}

static void add_norm(struct checkpoint_tensors *tensors, const char *prefix, const char *name, int64_t width,
                     float mean)
{
    struct checkpoint_tensor *tensor = add(tensors, prefix, name, 1, &width);
    tensor->offset = mean;
    tensor->scale = mean * norm_spread;
}

static void add_layer_norm(struct checkpoint_tensors *tensors, const char *prefix, const char *name,
                           int64_t width)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    add_norm(tensors, prefix, full, width, 1);
    snprintf(full, sizeof full, "%s.bias", name);
    add(tensors, prefix, full, 1, &width)->scale = bias_scale;
}

static void add_merger(const struct qvl_checkpoint_spec *spec, struct checkpoint_tensors *tensors,
                       const char *prefix, int64_t norm_width)
{
    int64_t merged = MERGED * spec->vision_hidden;
    add_layer_norm(tensors, prefix, "norm", norm_width);
    add_linear(tensors, prefix, "linear_fc1", merged, merged);
    add_linear(tensors, prefix, "linear_fc2", spec->hidden, merged);
}

static void add_vision(const struct qvl_checkpoint_spec *spec, struct checkpoint_tensors *tensors)
{
    char prefix[64];
    int64_t width = spec->vision_hidden;
    struct checkpoint_tensor *patch =
        add(tensors, "model.visual.patch_embed.", "proj.weight", 5, (const int64_t[]){width, 3, 2, 16, 16});
    patch->scale = (float)(1.0 / sqrt((double)PATCH_VALUES));
    add(tensors, "model.visual.patch_embed.", "proj.bias", 1, &width)->scale = bias_scale;
    add_matrix(tensors, "model.visual.", "pos_embed.weight", spec->position_side * spec->position_side, width)
        ->scale = table_scale;
    for (int64_t block = 0; block < spec->depth; block++) {
        snprintf(prefix, sizeof prefix, "model.visual.blocks.%lld.", (long long)block);
        add_layer_norm(tensors, prefix, "norm1", width);
        add_layer_norm(tensors, prefix, "norm2", width);
        add_linear(tensors, prefix, "attn.qkv", 3 * width, width);
        add_linear(tensors, prefix, "attn.proj", width, width);
        add_linear(tensors, prefix, "mlp.linear_fc1", spec->vision_ffn, width);
        add_linear(tensors, prefix, "mlp.linear_fc2", width, spec->vision_ffn);
    }
    add_merger(spec, tensors, "model.visual.merger.", width);
    for (int64_t index = 0; index < spec->deepstack_count; index++) {
        snprintf(prefix, sizeof prefix, "model.visual.deepstack_merger_list.%lld.", (long long)index);
        add_merger(spec, tensors, prefix, MERGED * width);
    }
}

static bool layer_is_dense(const struct qvl_checkpoint_spec *spec, int64_t layer)
{
    for (int64_t index = 0; index < spec->dense_layer_count; index++)
        if (spec->dense_layers[index] == layer)
            return true;
    return spec->experts == 0;
}

static void add_separate_experts(const struct qvl_checkpoint_spec *spec, struct checkpoint_tensors *tensors,
                                 const char *layer_prefix)
{
    char prefix[96];
    for (int64_t expert = 0; expert < spec->experts; expert++) {
        snprintf(prefix, sizeof prefix, "%smlp.experts.%lld.", layer_prefix, (long long)expert);
        add_matrix(tensors, prefix, "gate_proj.weight", spec->expert_ffn, spec->hidden);
        add_matrix(tensors, prefix, "up_proj.weight", spec->expert_ffn, spec->hidden);
        add_matrix(tensors, prefix, "down_proj.weight", spec->hidden, spec->expert_ffn);
    }
}

static void add_experts(const struct qvl_checkpoint_spec *spec, struct checkpoint_tensors *tensors,
                        const char *prefix)
{
    int64_t experts = spec->experts, hidden = spec->hidden, ffn = spec->expert_ffn;
    bool input_first = spec->expert_layout == QVL_EXPERTS_INPUT_FIRST;
    add_matrix(tensors, prefix, "mlp.gate.weight", experts, hidden);
    if (spec->expert_layout == QVL_EXPERTS_SEPARATE) {
        add_separate_experts(spec, tensors, prefix);
        return;
    }
    struct checkpoint_tensor *gate_up =
        add(tensors, prefix, "mlp.experts.gate_up_proj", 3,
            (const int64_t[]){experts, input_first ? hidden : 2 * ffn, input_first ? 2 * ffn : hidden});
    gate_up->draw = CHECKPOINT_GATE_UP;
    gate_up->scale = (float)(1.0 / sqrt((double)hidden));
    struct checkpoint_tensor *down =
        add(tensors, prefix, "mlp.experts.down_proj", 3,
            (const int64_t[]){experts, input_first ? ffn : hidden, input_first ? hidden : ffn});
    down->draw = CHECKPOINT_EXPERT_DOWN;
    down->scale = (float)(1.0 / sqrt((double)ffn));
}

static void add_layers(const struct qvl_checkpoint_spec *spec, struct checkpoint_tensors *tensors)
{
    char prefix[64];
    int64_t hidden = spec->hidden;
    for (int64_t layer = 0; layer < spec->layers; layer++) {
        snprintf(prefix, sizeof prefix, "model.language_model.layers.%lld.", (long long)layer);
        add_norm(tensors, prefix, "input_layernorm.weight", hidden, 1);
        add_matrix(tensors, prefix, "self_attn.q_proj.weight", spec->heads * spec->head_dim, hidden);
        add_matrix(tensors, prefix, "self_attn.k_proj.weight", spec->kv_heads * spec->head_dim, hidden);
        add_matrix(tensors, prefix, "self_attn.v_proj.weight", spec->kv_heads * spec->head_dim, hidden);
        add_matrix(tensors, prefix, "self_attn.o_proj.weight", hidden, spec->heads * spec->head_dim);
        add_norm(tensors, prefix, "self_attn.q_norm.weight", spec->head_dim, query_norm_mean);
        add_norm(tensors, prefix, "self_attn.k_norm.weight", spec->head_dim, 1);
        add_norm(tensors, prefix, "post_attention_layernorm.weight", hidden, 1);
        if (layer_is_dense(spec, layer)) {
            add_matrix(tensors, prefix, "mlp.gate_proj.weight", spec->ffn, hidden);
            add_matrix(tensors, prefix, "mlp.up_proj.weight", spec->ffn, hidden);
            add_matrix(tensors, prefix, "mlp.down_proj.weight", hidden, spec->ffn);
        } else {
            add_experts(spec, tensors, prefix);
        }
    }
}

enum qvl_status checkpoint_tensors_list(const struct qvl_checkpoint_spec *spec,
                                        struct checkpoint_tensors *tensors, struct qvl_error *error)
{
    double deviation = spec->tied ? tied_logit_deviation : logit_deviation;
    float head_scale = (float)(deviation / sqrt((double)spec->hidden));
    *tensors = (struct checkpoint_tensors){.items = NULL};
    add_matrix(tensors, "model.language_model.", "embed_tokens.weight", spec->vocabulary, spec->hidden)
        ->scale = spec->tied ? head_scale : 1.0f;
    add_layers(spec, tensors);
    add_norm(tensors, "model.language_model.", "norm.weight", spec->hidden, 1);
    add_vision(spec, tensors);
    if (!spec->tied)
        add_matrix(tensors, "", "lm_head.weight", spec->vocabulary, spec->hidden)->scale = head_scale;
    if (tensors->failed) {
        free(tensors->items);
        *tensors = (struct checkpoint_tensors){.items = NULL};
        return qvl_fail(error, QVL_NO_MEMORY, "checkpoint '%s': out of memory listing its tensors",
                        spec->name);
    }
    return QVL_OK;
}

int64_t checkpoint_tensor_count(const struct checkpoint_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        count *= tensor->shape[axis];
    return count;
}

/* The stream of one expert's matrix under the name that the separate layout stores it with. */
static uint64_t expert_stream(const struct checkpoint_tensor *tensor, int64_t expert, const char *matrix)
{
    char name[256];
    const char *stem = strstr(tensor->name, ".experts.");
    snprintf(name, sizeof name, "%.*s.experts.%lld.%s.weight", (int)(stem - tensor->name), tensor->name,
             (long long)expert, matrix);
    return qvl_random_stream(name);
}

static void expert_values(const struct qvl_checkpoint_spec *spec, const struct checkpoint_tensor *tensor,
                          int64_t first, int64_t count, float *values)
{
    bool gate_up = tensor->draw == CHECKPOINT_GATE_UP;
    bool input_first = spec->expert_layout == QVL_EXPERTS_INPUT_FIRST;
    int64_t rows = tensor->shape[1], columns = tensor->shape[2];
    int64_t inputs = gate_up ? spec->hidden : spec->expert_ffn;
    int64_t known = -1;
    uint64_t streams[2] = {0, 0};
    for (int64_t index = first; index < first + count; index++) {
        int64_t expert = index / (rows * columns);
        int64_t row = index / columns % rows, column = index % columns;
        int64_t output = input_first ? column : row, input = input_first ? row : column;
        int half = gate_up && output >= spec->expert_ffn;
        if (expert != known) {
            streams[0] = expert_stream(tensor, expert, gate_up ? "gate_proj" : "down_proj");
            streams[1] = expert_stream(tensor, expert, "up_proj");
            known = expert;
        }
        uint64_t logical = (uint64_t)((output - (half ? spec->expert_ffn : 0)) * inputs + input);
        values[index - first] = tensor->scale * qvl_random_normal(spec->seed, streams[half], logical);
    }
}

void checkpoint_tensor_values(const struct qvl_checkpoint_spec *spec, const struct checkpoint_tensor *tensor,
                              int64_t first, int64_t count, float *values)
{
    if (tensor->draw != CHECKPOINT_NORMAL) {
        expert_values(spec, tensor, first, count, values);
        return;
    }
    uint64_t stream = qvl_random_stream(tensor->name);
    for (int64_t index = 0; index < count; index++)
        values[index] =
            tensor->offset + tensor->scale * qvl_random_normal(spec->seed, stream, (uint64_t)(first + index));
}
