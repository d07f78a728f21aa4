/* The vision tower: patch embedding, interpolated positions, pre-norm blocks with per-frame attention, the
 * main merger and the DeepStack mergers (facts 3). */
#include <math.h>
#include <stdlib.h>

#include "model/apply.h"
#include "model/engine.h"

struct pass {
    struct qvl_model *model;
    struct qvl_sequence *sequence;
    struct qvl_grid grid; /* the frames of this pass */
    int64_t rows;
    int64_t *segment_starts; /* [grid.t + 1] */
    int64_t first_token;
    struct qvl_tap_point patches; /* taps by patch row */
    struct qvl_tap_point tokens;  /* taps by merged row */
    struct qvl_tensor hidden, normed, qkv, attention, gate, cos, sin;
};

static enum qvl_status layer_norm(const struct pass *pass, struct qvl_tensor x,
                                  const struct qvl_norm_parameters *norm, struct qvl_tensor y,
                                  struct qvl_error *error)
{
    const struct qvl_layer_norm_args args = {.x = x,
                                             .weight = norm->weight,
                                             .bias = norm->bias,
                                             .eps = pass->model->config.vision.norm_eps,
                                             .y = y};
    return pass->model->backend->ops.layer_norm(pass->model->backend, &args, error);
}

static enum qvl_status gelu(const struct pass *pass, struct qvl_tensor x, enum qvl_gelu_form form,
                            struct qvl_error *error)
{
    const struct qvl_gelu_args args = {.x = x, .form = form, .y = x};
    return pass->model->backend->ops.gelu(pass->model->backend, &args, error);
}

static enum qvl_status residual(const struct pass *pass, struct qvl_tensor update, struct qvl_error *error)
{
    const struct qvl_add_args args = {.a = pass->hidden, .b = update, .y = pass->hidden};
    return pass->model->backend->ops.add(pass->model->backend, &args, error);
}

/* A [rows, heads, head_dim] view of one third of the fused qkv rows. */
static struct qvl_tensor head_view(const struct pass *pass, int64_t third)
{
    const struct qvl_vision_config *vision = &pass->model->config.vision;
    const int64_t head_dim = vision->head_dim;
    struct qvl_tensor view = pass->qkv;
    view.rank = 3;
    view.data = (char *)view.data + (size_t)(third * vision->hidden) * qvl_dtype_bytes(view.dtype);
    view.shape[1] = vision->heads;
    view.shape[2] = head_dim;
    view.stride[1] = head_dim;
    view.stride[2] = 1;
    return view;
}

static enum qvl_status attention(const struct pass *pass, const struct qvl_vision_block_parameters *block,
                                 int64_t b, struct qvl_error *error)
{
    struct qvl_backend *backend = pass->model->backend;
    const struct qvl_vision_config *vision = &pass->model->config.vision;
    const int64_t head_dim = vision->head_dim;
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->normed, &block->qkv, pass->qkv, error));
    QVL_TRY(qvl_tap(&pass->patches, &pass->qkv, error, "model.visual.blocks.%lld.attn.qkv", (long long)b));
    for (int64_t third = 0; third < 2; third++) {
        const struct qvl_rope_args rope = {.x = head_view(pass, third),
                                           .cos = pass->cos,
                                           .sin = pass->sin,
                                           .rounding = QVL_ROPE_ROUND_ONCE,
                                           .y = head_view(pass, third)};
        QVL_TRY(backend->ops.rope(backend, &rope, error));
    }
    const struct qvl_vision_attention_args args = {
        .q = head_view(pass, 0),
        .k = head_view(pass, 1),
        .v = head_view(pass, 2),
        .segment_starts = pass->segment_starts,
        .segment_count = pass->grid.t,
        .scale = (float)(1.0 / sqrt((double)head_dim)),
        .y = qvl_tensor_3d(pass->attention.data, pass->attention.dtype, pass->rows, vision->heads, head_dim)};
    QVL_TRY(backend->ops.vision_attention(backend, &args, error));
    return qvl_apply_linear(pass->model->backend, pass->attention, &block->proj, pass->normed, error);
}

static enum qvl_status run_block(const struct pass *pass, int64_t b, struct qvl_error *error)
{
    const struct qvl_vision_block_parameters *block = &pass->model->parameters.blocks[b];
    QVL_TRY(layer_norm(pass, pass->hidden, &block->norm1, pass->normed, error));
    QVL_TRY(qvl_tap(&pass->patches, &pass->normed, error, "model.visual.blocks.%lld.norm1", (long long)b));
    QVL_TRY(attention(pass, block, b, error));
    QVL_TRY(qvl_tap(&pass->patches, &pass->normed, error, "model.visual.blocks.%lld.attn", (long long)b));
    QVL_TRY(residual(pass, pass->normed, error));
    QVL_TRY(layer_norm(pass, pass->hidden, &block->norm2, pass->normed, error));
    QVL_TRY(qvl_tap(&pass->patches, &pass->normed, error, "model.visual.blocks.%lld.norm2", (long long)b));
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->normed, &block->fc1, pass->gate, error));
    QVL_TRY(
        qvl_tap(&pass->patches, &pass->gate, error, "model.visual.blocks.%lld.mlp.linear_fc1", (long long)b));
    QVL_TRY(gelu(pass, pass->gate, QVL_GELU_TANH, error));
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->gate, &block->fc2, pass->normed, error));
    QVL_TRY(qvl_tap(&pass->patches, &pass->normed, error, "model.visual.blocks.%lld.mlp", (long long)b));
    QVL_TRY(residual(pass, pass->normed, error));
    return qvl_tap(&pass->patches, &pass->hidden, error, "model.visual.blocks.%lld", (long long)b);
}

/* The merger from its parts, for backends without the fused entry. Grouping is a view: the group rows of a
 * token follow each other in merge-block order. */
static enum qvl_status merge_by_parts(const struct pass *pass, const struct qvl_merger_parameters *merger,
                                      enum qvl_merger_norm norm, struct qvl_tensor y, const char *name,
                                      struct qvl_error *error)
{
    const struct qvl_vision_config *vision = &pass->model->config.vision;
    const int64_t group = vision->merge * vision->merge;
    const int64_t width = group * vision->hidden;
    const enum qvl_dtype storage = pass->hidden.dtype;
    const struct qvl_tensor grouped_hidden =
        qvl_tensor_2d(pass->hidden.data, storage, pass->rows / group, width);
    const struct qvl_tensor grouped_normed =
        qvl_tensor_2d(pass->normed.data, storage, pass->rows / group, width);
    const struct qvl_tensor inner = qvl_tensor_2d(pass->gate.data, storage, pass->rows / group, width);
    if (norm == QVL_MERGER_NORM_PATCH)
        QVL_TRY(layer_norm(pass, pass->hidden, &merger->norm, pass->normed, error));
    else
        QVL_TRY(layer_norm(pass, grouped_hidden, &merger->norm, grouped_normed, error));
    QVL_TRY(qvl_tap(&pass->tokens, &grouped_normed, error, "%s.norm", name));
    QVL_TRY(qvl_apply_linear(pass->model->backend, grouped_normed, &merger->fc1, inner, error));
    QVL_TRY(qvl_tap(&pass->tokens, &inner, error, "%s.linear_fc1", name));
    QVL_TRY(gelu(pass, inner, QVL_GELU_ERF, error));
    return qvl_apply_linear(pass->model->backend, inner, &merger->fc2, y, error);
}

static enum qvl_status merge_fused(const struct pass *pass, const struct qvl_merger_parameters *merger,
                                   enum qvl_merger_norm norm, struct qvl_tensor y, struct qvl_error *error)
{
    const struct qvl_vision_config *vision = &pass->model->config.vision;
    const struct qvl_merger_args args = {.x = pass->hidden,
                                         .group = vision->merge * vision->merge,
                                         .norm = norm,
                                         .norm_weight = merger->norm.weight,
                                         .norm_bias = merger->norm.bias,
                                         .eps = vision->norm_eps,
                                         .fc1 = merger->fc1.weight,
                                         .fc1_bias = merger->fc1.bias,
                                         .fc2 = merger->fc2.weight,
                                         .fc2_bias = merger->fc2.bias,
                                         .y = y};
    return pass->model->backend->ops.merger(pass->model->backend, &args, error);
}

/* Merge the residual stream into the rows of a feature level. */
static enum qvl_status merge(const struct pass *pass, const struct qvl_merger_parameters *merger,
                             enum qvl_merger_norm norm, int64_t level, const char *name,
                             struct qvl_error *error)
{
    const struct qvl_vision_config *vision = &pass->model->config.vision;
    const int64_t tokens = pass->rows / (vision->merge * vision->merge);
    const struct qvl_tensor y =
        qvl_tensor_rows(qvl_sequence_features(pass->sequence, level), pass->first_token, tokens);
    if (pass->model->fused_merger)
        QVL_TRY(merge_fused(pass, merger, norm, y, error));
    else
        QVL_TRY(merge_by_parts(pass, merger, norm, y, name, error));
    return qvl_tap(&pass->tokens, &y, error, "%s", name);
}

static enum qvl_status embed_patches(const struct pass *pass, const float *rows, struct qvl_error *error)
{
    struct qvl_model *model = pass->model;
    struct qvl_backend *backend = model->backend;
    const struct qvl_vision_config *vision = &model->config.vision;
    const int64_t width = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    struct qvl_tensor pixels;
    QVL_TRY(qvl_workspace_matrix(&model->workspace, QVL_SLOT_PATCH_ROWS, QVL_F32, pass->rows, width, &pixels,
                                 error));
    QVL_TRY(backend->upload(backend, &pixels, rows, error));
    const struct qvl_linear_parameters *layer = &model->parameters.patch_embed;
    const struct qvl_patch_embed_args embed = {.x = pixels,
                                               .weight = layer->weight,
                                               .bias = layer->bias.data ? &layer->bias : NULL,
                                               .y = pass->hidden};
    QVL_TRY(backend->ops.patch_embed(backend, &embed, error));
    QVL_TRY(qvl_tap(&pass->patches, &pass->hidden, error, "model.visual.patch_embed"));
    const struct qvl_pos_interp_args interp = {.table = model->parameters.pos_embed,
                                               .grids = &pass->grid,
                                               .grid_count = 1,
                                               .merge = vision->merge,
                                               .rounding = model->options.pos_rounding,
                                               .y = pass->normed};
    QVL_TRY(backend->ops.pos_interp(backend, &interp, error));
    QVL_TRY(qvl_tap(&pass->patches, &pass->normed, error, "model.visual.pos_embed_interpolated"));
    return residual(pass, pass->normed, error);
}

static enum qvl_status make_tables(const struct pass *pass, struct qvl_error *error)
{
    const struct qvl_vision_config *vision = &pass->model->config.vision;
    const struct qvl_vision_rope_table_args args = {.grids = &pass->grid,
                                                    .grid_count = 1,
                                                    .merge = vision->merge,
                                                    .head_dim = vision->head_dim,
                                                    .theta = vision->rope_theta,
                                                    .cos = pass->cos,
                                                    .sin = pass->sin};
    return pass->model->backend->ops.vision_rope_table(pass->model->backend, &args, error);
}

static enum qvl_status reserve(struct pass *pass, struct qvl_error *error)
{
    struct qvl_workspace *workspace = &pass->model->workspace;
    const struct qvl_vision_config *vision = &pass->model->config.vision;
    const enum qvl_dtype storage = pass->model->options.storage;
    const int64_t half = vision->head_dim / 2;
    /* The mergers reuse the MLP scratch for [rows / group, group * hidden], which is rows * hidden values. */
    const int64_t inner = vision->intermediate > vision->hidden ? vision->intermediate : vision->hidden;
    QVL_TRY(qvl_workspace_matrix(workspace, QVL_SLOT_HIDDEN, storage, pass->rows, vision->hidden,
                                 &pass->hidden, error));
    QVL_TRY(qvl_workspace_matrix(workspace, QVL_SLOT_NORMED, storage, pass->rows, vision->hidden,
                                 &pass->normed, error));
    QVL_TRY(qvl_workspace_matrix(workspace, QVL_SLOT_QKV, storage, pass->rows, 3 * vision->hidden, &pass->qkv,
                                 error));
    QVL_TRY(qvl_workspace_matrix(workspace, QVL_SLOT_ATTENTION, storage, pass->rows, vision->hidden,
                                 &pass->attention, error));
    QVL_TRY(qvl_workspace_matrix(workspace, QVL_SLOT_GATE, storage, pass->rows, inner, &pass->gate, error));
    pass->gate = qvl_tensor_2d(pass->gate.data, storage, pass->rows, vision->intermediate);
    QVL_TRY(qvl_workspace_matrix(workspace, QVL_SLOT_COS, QVL_F32, pass->rows, half, &pass->cos, error));
    return qvl_workspace_matrix(workspace, QVL_SLOT_SIN, QVL_F32, pass->rows, half, &pass->sin, error);
}

/* The merger that takes the output of block b as DeepStack feature, or -1. */
static int64_t deepstack_merger_of(const struct qvl_vision_config *vision, int64_t b)
{
    for (int64_t j = 0; j < vision->deepstack_count; j++)
        if (vision->deepstack_blocks[j] == b)
            return j;
    return -1;
}

static enum qvl_status run_pass(struct pass *pass, const float *rows, struct qvl_error *error)
{
    const struct qvl_parameters *parameters = &pass->model->parameters;
    int64_t level =
        0; /* features reach the decoder layers in order of depth, whatever the order of the list */
    QVL_TRY(reserve(pass, error));
    QVL_TRY(embed_patches(pass, rows, error));
    QVL_TRY(make_tables(pass, error));
    for (int64_t b = 0; b < parameters->block_count; b++) {
        QVL_TRY(run_block(pass, b, error));
        const int64_t j = deepstack_merger_of(&pass->model->config.vision, b);
        if (j >= 0) {
            char name[64];
            snprintf(name, sizeof name, "model.visual.deepstack_merger_list.%lld", (long long)j);
            QVL_TRY(merge(pass, &parameters->deepstack[j], QVL_MERGER_NORM_GROUP, ++level, name, error));
        }
    }
    return merge(pass, &parameters->merger, QVL_MERGER_NORM_PATCH, 0, "model.visual.merger", error);
}

enum qvl_status qvl_vision_encode(struct qvl_sequence *sequence, const struct qvl_visual *visual,
                                  int64_t first_patch, int64_t first_token, const struct qvl_taps *taps,
                                  struct qvl_error *error)
{
    struct qvl_model *model = sequence->model;
    const struct qvl_vision_config *vision = &model->config.vision;
    const int64_t group = vision->merge * vision->merge;
    const int64_t frame_rows = visual->grid.h * visual->grid.w;
    const int64_t width = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    const int64_t frames_at_once = qvl_vision_frames_at_once(&visual->grid);
    int64_t *starts = malloc(sizeof(int64_t) * (size_t)(frames_at_once + 1));
    enum qvl_status status = QVL_OK;
    if (!starts)
        return qvl_fail(error, QVL_NO_MEMORY, "vision tower: no memory for segment starts");
    for (int64_t t = 0; t <= frames_at_once; t++)
        starts[t] = t * frame_rows;
    for (int64_t t = 0; t < visual->grid.t && status == QVL_OK; t += frames_at_once) {
        const int64_t frames = visual->grid.t - t < frames_at_once ? visual->grid.t - t : frames_at_once;
        const int64_t row = t * frame_rows;
        struct pass pass = {.model = model,
                            .sequence = sequence,
                            .grid = {frames, visual->grid.h, visual->grid.w},
                            .rows = frames * frame_rows,
                            .segment_starts = starts,
                            .first_token = first_token + row / group,
                            .patches = {model->backend, taps, first_patch + row},
                            .tokens = {model->backend, taps, first_token + row / group}};
        status = run_pass(&pass, visual->rows + row * width, error);
    }
    free(starts);
    return status;
}
