#include "model/config_parts.h"

#define MAX_VISION_WIDTH ((int64_t)1 << 16)
#define MAX_SIDE ((int64_t)1 << 12)

/* The learned table is a square of side N. */
static enum qvl_status read_positions(const struct qvl_json *at, int64_t *side, struct qvl_error *error)
{
    int64_t count;
    QVL_TRY(qvl_config_size(at, "num_position_embeddings", 1, MAX_SIDE * MAX_SIDE, &count, error));
    *side = (int64_t)floor(sqrt((double)count) + 0.5);
    if (*side * *side != count)
        return qvl_json_fail(at, "num_position_embeddings", error,
                             "%lld is not a square number, but the table is a square", (long long)count);
    return QVL_OK;
}

static enum qvl_status read_deepstack(const struct qvl_json *at, struct qvl_vision_config *vision,
                                      struct qvl_error *error)
{
    static const char key[] = "deepstack_visual_indexes";
    QVL_TRY(qvl_json_int64s(at, key, QVL_MAX_DEEPSTACK, vision->deepstack_blocks, &vision->deepstack_count,
                            error));
    for (int64_t i = 0; i < vision->deepstack_count; i++) {
        int64_t block = vision->deepstack_blocks[i];
        if (block < 0 || block >= vision->depth)
            return qvl_json_fail(at, key, error, "block %lld does not exist, depth is %lld", (long long)block,
                                 (long long)vision->depth);
        for (int64_t j = 0; j < i; j++)
            if (vision->deepstack_blocks[j] == block)
                return qvl_json_fail(at, key, error, "block %lld is listed twice", (long long)block);
    }
    return QVL_OK;
}

static enum qvl_status read_qwen2(const struct qvl_json *at, struct qvl_vision_config *vision,
                                  struct qvl_error *error)
{
    int64_t ratio;
    vision->mlp = QVL_VISION_MLP_QUICK_GELU;
    QVL_TRY(qvl_config_expect_string(at, "hidden_act", "quick_gelu", error));
    /* here hidden_size is the output width and embed_dim that of the tower */
    QVL_TRY(qvl_config_size(at, "hidden_size", 1, MAX_VISION_WIDTH, &vision->out_hidden, error));
    QVL_TRY(qvl_config_size_or(at, "embed_dim", 1280, 1, MAX_VISION_WIDTH, &vision->hidden, error));
    QVL_TRY(qvl_config_size_or(at, "mlp_ratio", 4, 1, 16, &ratio, error));
    vision->intermediate = ratio * vision->hidden;
    return QVL_OK;
}

static enum qvl_status read_qwen2_5(const struct qvl_json *at, struct qvl_vision_config *vision,
                                    struct qvl_error *error)
{
    static const char key[] = "fullatt_block_indexes";
    int64_t full[QVL_MAX_VISION_BLOCKS] = {7, 15, 23, 31}, count = 4;
    vision->mlp = QVL_VISION_MLP_SWIGLU;
    vision->rms_norm = true;
    QVL_TRY(qvl_config_expect_string(at, "hidden_act", "silu", error));
    QVL_TRY(qvl_config_size(at, "hidden_size", 1, MAX_VISION_WIDTH, &vision->hidden, error));
    QVL_TRY(
        qvl_config_size_or(at, "intermediate_size", 3420, 1, MAX_VISION_WIDTH, &vision->intermediate, error));
    QVL_TRY(qvl_config_size_or(at, "out_hidden_size", 3584, 1, MAX_VISION_WIDTH, &vision->out_hidden, error));
    QVL_TRY(qvl_config_size_or(at, "window_size", 112, 1, MAX_SIDE, &vision->window, error));
    vision->tokens_per_second = 4;
    if (qvl_json_has(at, "tokens_per_second"))
        QVL_TRY(qvl_config_positive(at, "tokens_per_second", &vision->tokens_per_second, error));
    if (qvl_json_has(at, key))
        QVL_TRY(qvl_json_int64s(at, key, QVL_MAX_VISION_BLOCKS, full, &count, error));
    for (int64_t i = 0; i < count; i++) {
        if (full[i] < 0 || full[i] >= vision->depth)
            return qvl_json_fail(at, key, error, "block %lld does not exist, depth is %lld",
                                 (long long)full[i], (long long)vision->depth);
        vision->full_attention[full[i]] = true;
    }
    return QVL_OK;
}

static enum qvl_status read_qwen3(const struct qvl_json *at, struct qvl_vision_config *vision,
                                  struct qvl_error *error)
{
    vision->mlp = QVL_VISION_MLP_GELU_TANH;
    vision->patch_bias = true;
    QVL_TRY(qvl_config_expect_string(at, "hidden_act", "gelu_pytorch_tanh", error));
    QVL_TRY(qvl_config_size(at, "hidden_size", 1, MAX_VISION_WIDTH, &vision->hidden, error));
    QVL_TRY(qvl_config_size(at, "intermediate_size", 1, MAX_VISION_WIDTH, &vision->intermediate, error));
    QVL_TRY(qvl_config_size(at, "out_hidden_size", 1, MAX_VISION_WIDTH, &vision->out_hidden, error));
    QVL_TRY(read_positions(at, &vision->position_side, error));
    QVL_TRY(read_deepstack(at, vision, error));
    if (qvl_json_has(at, "rope_parameters")) {
        struct qvl_json rope;
        QVL_TRY(qvl_json_object(at, "rope_parameters", &rope, error));
        if (qvl_json_has(&rope, "rope_theta"))
            QVL_TRY(qvl_config_positive(&rope, "rope_theta", &vision->rope_theta, error));
    }
    return QVL_OK;
}

enum qvl_status qvl_vision_config_read(const struct qvl_json *at, enum qvl_architecture architecture,
                                       struct qvl_vision_config *vision, struct qvl_error *error)
{
    bool qwen3 = architecture == QVL_ARCH_QWEN3_VL || architecture == QVL_ARCH_QWEN3_VL_MOE;
    vision->norm_eps = 1e-6;
    vision->rope_theta = 10000;
    QVL_TRY(qvl_config_size(at, "depth", 1, QVL_MAX_VISION_BLOCKS, &vision->depth, error));
    QVL_TRY(qvl_config_size(at, "num_heads", 1, MAX_VISION_WIDTH, &vision->heads, error));
    QVL_TRY(qvl_config_size(at, "patch_size", 1, MAX_SIDE, &vision->patch, error));
    QVL_TRY(qvl_config_size(at, "temporal_patch_size", 1, 64, &vision->temporal_patch, error));
    QVL_TRY(qvl_config_size(at, "spatial_merge_size", 1, 16, &vision->merge, error));
    QVL_TRY(qvl_config_size_or(at, "in_channels", 3, 3, 3, &vision->channels, error));
    if (qwen3)
        QVL_TRY(read_qwen3(at, vision, error));
    else if (architecture == QVL_ARCH_QWEN2_5_VL)
        QVL_TRY(read_qwen2_5(at, vision, error));
    else
        QVL_TRY(read_qwen2(at, vision, error));

    const char *width_key = architecture == QVL_ARCH_QWEN2_VL ? "embed_dim" : "hidden_size";
    if (vision->hidden % vision->heads != 0)
        return qvl_json_fail(at, "num_heads", error, "%lld does not divide %s %lld", (long long)vision->heads,
                             width_key, (long long)vision->hidden);
    vision->head_dim = vision->hidden / vision->heads;
    if (vision->head_dim % 4 != 0)
        return qvl_json_fail(at, "num_heads", error,
                             "head_dim = %s / num_heads = %lld is not a multiple of 4, but row and column "
                             "positions each turn pairs",
                             width_key, (long long)vision->head_dim);
    return QVL_OK;
}
