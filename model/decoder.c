/* The text decoder: embedding, visual scatter, pre-norm layers with QK-norm, MRoPE and cached attention,
 * dense or MoE MLPs, DeepStack adds after the first layers, final norm and head (facts 4). */
#include <math.h>
#include <stdlib.h>

#include "model/apply.h"
#include "model/convert.h"
#include "model/engine.h"

struct pass {
    struct qvl_model *model;
    const struct qvl_batch *batch;
    struct qvl_tap_point tap;
    struct qvl_tensor hidden, normed, q, k, v, attention, cos, sin;
};

static enum qvl_status rms_norm(const struct pass *pass, struct qvl_tensor x,
                                const struct qvl_norm_parameters *norm, struct qvl_tensor y,
                                struct qvl_error *error)
{
    const struct qvl_rms_norm_args args = {
        .x = x, .weight = norm->weight, .eps = pass->model->config.text.rms_eps, .y = y};
    return pass->model->backend->ops.rms_norm(pass->model->backend, &args, error);
}

static enum qvl_status residual(const struct pass *pass, struct qvl_tensor update, struct qvl_error *error)
{
    const struct qvl_add_args args = {.a = pass->hidden, .b = update, .y = pass->hidden};
    return pass->model->backend->ops.add(pass->model->backend, &args, error);
}

static enum qvl_status slot(const struct pass *pass, enum qvl_slot which, int64_t columns,
                            struct qvl_tensor *tensor, struct qvl_error *error)
{
    return qvl_workspace_matrix(&pass->model->workspace, which, pass->model->options.storage,
                                pass->batch->rows, columns, tensor, error);
}

/* [rows, heads * head_dim] seen as [rows, heads, head_dim]. */
static struct qvl_tensor heads_of(struct qvl_tensor matrix, int64_t head_dim)
{
    return qvl_tensor_3d(matrix.data, matrix.dtype, matrix.shape[0], matrix.shape[1] / head_dim, head_dim);
}

/* Norm and rotate one of q and k in place. */
static enum qvl_status norm_and_rotate(const struct pass *pass, struct qvl_tensor heads,
                                       const struct qvl_norm_parameters *norm, const char *name, int64_t l,
                                       struct qvl_error *error)
{
    QVL_TRY(rms_norm(pass, heads, norm, heads, error));
    QVL_TRY(qvl_tap(&pass->tap, &heads, error, "model.language_model.layers.%lld.self_attn.%s", (long long)l,
                    name));
    const struct qvl_rope_args rope = {
        .x = heads, .cos = pass->cos, .sin = pass->sin, .rounding = QVL_ROPE_ROUND_EACH, .y = heads};
    return pass->model->backend->ops.rope(pass->model->backend, &rope, error);
}

static enum qvl_status self_attention(const struct pass *pass, int64_t l, struct qvl_error *error)
{
    struct qvl_backend *backend = pass->model->backend;
    const struct qvl_layer_parameters *layer = &pass->model->parameters.layers[l];
    const int64_t head_dim = pass->model->config.text.head_dim;
    const struct qvl_tensor q = heads_of(pass->q, head_dim);
    const struct qvl_tensor k = heads_of(pass->k, head_dim);
    const struct qvl_tensor v = heads_of(pass->v, head_dim);
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->normed, &layer->q, pass->q, error));
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->normed, &layer->k, pass->k, error));
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->normed, &layer->v, pass->v, error));
    QVL_TRY(qvl_tap(&pass->tap, &pass->v, error, "model.language_model.layers.%lld.self_attn.v_proj",
                    (long long)l));
    QVL_TRY(norm_and_rotate(pass, q, &layer->q_norm, "q_norm", l, error));
    QVL_TRY(norm_and_rotate(pass, k, &layer->k_norm, "k_norm", l, error));
    const struct qvl_cache_append_args append = {.layer = l,
                                                 .k = k,
                                                 .v = v,
                                                 .segments = pass->batch->segments,
                                                 .segment_count = pass->batch->part_count};
    QVL_TRY(backend->ops.cache_append(backend, &append, error));
    const struct qvl_attention_args attention = {.layer = l,
                                                 .q = q,
                                                 .segments = pass->batch->segments,
                                                 .segment_count = pass->batch->part_count,
                                                 .scale = (float)(1.0 / sqrt((double)head_dim)),
                                                 .y = heads_of(pass->attention, head_dim)};
    QVL_TRY(backend->ops.attention(backend, &attention, error));
    return qvl_apply_linear(pass->model->backend, pass->attention, &layer->o, pass->normed, error);
}

/* Both MLPs read `normed` and leave their result there. */
static enum qvl_status dense_mlp(const struct pass *pass, const struct qvl_layer_parameters *layer,
                                 struct qvl_error *error)
{
    struct qvl_backend *backend = pass->model->backend;
    const int64_t width = pass->model->config.text.intermediate;
    struct qvl_tensor gate;
    struct qvl_tensor up;
    QVL_TRY(slot(pass, QVL_SLOT_GATE, width, &gate, error));
    QVL_TRY(slot(pass, QVL_SLOT_UP, width, &up, error));
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->normed, &layer->gate, gate, error));
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->normed, &layer->up, up, error));
    const struct qvl_swiglu_args swiglu = {.gate = gate, .up = up, .y = gate};
    QVL_TRY(backend->ops.swiglu(backend, &swiglu, error));
    return qvl_apply_linear(pass->model->backend, gate, &layer->down, pass->normed, error);
}

static enum qvl_status moe_mlp(const struct pass *pass, const struct qvl_layer_parameters *layer, int64_t l,
                               struct qvl_error *error)
{
    struct qvl_backend *backend = pass->model->backend;
    struct qvl_workspace *workspace = &pass->model->workspace;
    const struct qvl_text_config *text = &pass->model->config.text;
    const int64_t rows = pass->batch->rows;
    struct qvl_tensor logits;
    struct qvl_tensor chosen;
    struct qvl_tensor weights;
    struct qvl_tensor outputs;
    QVL_TRY(slot(pass, QVL_SLOT_ROUTER, text->experts, &logits, error));
    QVL_TRY(qvl_workspace_matrix(workspace, QVL_SLOT_CHOSEN, QVL_I32, rows, text->experts_per_token, &chosen,
                                 error));
    QVL_TRY(slot(pass, QVL_SLOT_ROUTE_WEIGHTS, text->experts_per_token, &weights, error));
    QVL_TRY(qvl_workspace_tensor(workspace, QVL_SLOT_EXPERTS, pass->model->options.storage, 3,
                                 (const int64_t[]){rows, text->experts_per_token, text->hidden}, &outputs,
                                 error));
    QVL_TRY(qvl_apply_linear(pass->model->backend, pass->normed, &layer->router, logits, error));
    QVL_TRY(qvl_tap(&pass->tap, &logits, error, "model.language_model.layers.%lld.mlp.gate", (long long)l));
    const struct qvl_moe_route_args route = {
        .logits = logits, .top_k = text->experts_per_token, .chosen = chosen, .weights = weights};
    QVL_TRY(backend->ops.moe_route(backend, &route, error));
    const struct qvl_moe_experts_args experts = {.x = pass->normed,
                                                 .chosen = chosen,
                                                 .gate_up = layer->experts_gate_up,
                                                 .down = layer->experts_down,
                                                 .y = outputs};
    QVL_TRY(backend->ops.moe_experts(backend, &experts, error));
    const struct qvl_moe_combine_args combine = {.x = outputs, .weights = weights, .y = pass->normed};
    return backend->ops.moe_combine(backend, &combine, error);
}

/* DeepStack: after layer l the feature level l + 1 joins the visual rows of every part. */
static enum qvl_status deepstack_add(const struct pass *pass, int64_t l, struct qvl_error *error)
{
    struct qvl_backend *backend = pass->model->backend;
    if (l >= pass->model->config.vision.deepstack_count)
        return QVL_OK;
    for (int64_t i = 0; i < pass->batch->part_count; i++) {
        const struct qvl_batch_part *part = &pass->batch->parts[i];
        if (part->visual_count == 0)
            continue;
        const struct qvl_add_rows_args args = {
            .src = qvl_tensor_rows(qvl_sequence_features(part->sequence, l + 1), part->first_visual,
                                   part->visual_count),
            .rows = part->visual_rows,
            .y = qvl_tensor_rows(pass->hidden, part->first_row, part->count)};
        QVL_TRY(backend->ops.add_rows(backend, &args, error));
    }
    return qvl_tap(&pass->tap, &pass->hidden, error, "model.language_model.layers.%lld.deepstack_added",
                   (long long)l);
}

static enum qvl_status run_layer(const struct pass *pass, int64_t l, struct qvl_error *error)
{
    const struct qvl_layer_parameters *layer = &pass->model->parameters.layers[l];
    const long long number = l;
    QVL_TRY(rms_norm(pass, pass->hidden, &layer->input_norm, pass->normed, error));
    QVL_TRY(qvl_tap(&pass->tap, &pass->normed, error, "model.language_model.layers.%lld.input_layernorm",
                    number));
    QVL_TRY(self_attention(pass, l, error));
    QVL_TRY(qvl_tap(&pass->tap, &pass->normed, error, "model.language_model.layers.%lld.self_attn", number));
    QVL_TRY(residual(pass, pass->normed, error));
    QVL_TRY(rms_norm(pass, pass->hidden, &layer->post_norm, pass->normed, error));
    QVL_TRY(qvl_tap(&pass->tap, &pass->normed, error,
                    "model.language_model.layers.%lld.post_attention_layernorm", number));
    if (layer->router.weight)
        QVL_TRY(moe_mlp(pass, layer, l, error));
    else
        QVL_TRY(dense_mlp(pass, layer, error));
    QVL_TRY(qvl_tap(&pass->tap, &pass->normed, error, "model.language_model.layers.%lld.mlp", number));
    QVL_TRY(residual(pass, pass->normed, error));
    QVL_TRY(qvl_tap(&pass->tap, &pass->hidden, error, "model.language_model.layers.%lld", number));
    return deepstack_add(pass, l, error);
}

static enum qvl_status embed(const struct pass *pass, struct qvl_error *error)
{
    struct qvl_backend *backend = pass->model->backend;
    const struct qvl_embed_args lookup = {
        .ids = pass->batch->ids, .table = pass->model->parameters.embed, .y = pass->hidden};
    QVL_TRY(backend->ops.embed(backend, &lookup, error));
    for (int64_t i = 0; i < pass->batch->part_count; i++) {
        const struct qvl_batch_part *part = &pass->batch->parts[i];
        if (part->visual_count == 0)
            continue;
        const struct qvl_scatter_rows_args scatter = {
            .src = qvl_tensor_rows(qvl_sequence_features(part->sequence, 0), part->first_visual,
                                   part->visual_count),
            .rows = part->visual_rows,
            .y = qvl_tensor_rows(pass->hidden, part->first_row, part->count)};
        QVL_TRY(backend->ops.scatter_rows(backend, &scatter, error));
    }
    return qvl_tap(&pass->tap, &pass->hidden, error, "model.language_model.inputs_embeds");
}

static enum qvl_status make_tables(const struct pass *pass, struct qvl_error *error)
{
    const struct qvl_text_config *text = &pass->model->config.text;
    struct qvl_mrope_table_args args = {.positions = pass->batch->positions,
                                        .positions_stride = pass->batch->rows,
                                        .head_dim = text->head_dim,
                                        .theta = text->rope_theta,
                                        .scaling = text->rope,
                                        .layout = text->mrope_layout,
                                        .precision = pass->model->options.angles,
                                        .cos = pass->cos,
                                        .sin = pass->sin};
    memcpy(args.section, text->mrope_section, sizeof args.section);
    return pass->model->backend->ops.mrope_table(pass->model->backend, &args, error);
}

static enum qvl_status reserve(struct pass *pass, struct qvl_error *error)
{
    const struct qvl_text_config *text = &pass->model->config.text;
    QVL_TRY(slot(pass, QVL_SLOT_HIDDEN, text->hidden, &pass->hidden, error));
    QVL_TRY(slot(pass, QVL_SLOT_NORMED, text->hidden, &pass->normed, error));
    QVL_TRY(slot(pass, QVL_SLOT_Q, text->heads * text->head_dim, &pass->q, error));
    QVL_TRY(slot(pass, QVL_SLOT_K, text->kv_heads * text->head_dim, &pass->k, error));
    QVL_TRY(slot(pass, QVL_SLOT_V, text->kv_heads * text->head_dim, &pass->v, error));
    QVL_TRY(slot(pass, QVL_SLOT_ATTENTION, text->heads * text->head_dim, &pass->attention, error));
    QVL_TRY(slot(pass, QVL_SLOT_COS, text->head_dim / 2, &pass->cos, error));
    return slot(pass, QVL_SLOT_SIN, text->head_dim / 2, &pass->sin, error);
}

static enum qvl_status head(const struct pass *pass, float *logits, struct qvl_error *error)
{
    struct qvl_model *model = pass->model;
    struct qvl_backend *backend = model->backend;
    const int64_t count = pass->batch->logit_count;
    const int64_t vocabulary = model->config.text.vocab;
    const enum qvl_dtype storage = model->options.storage;
    struct qvl_tensor y;
    if (count == 0)
        return backend->sync(backend, error);
    QVL_TRY(qvl_workspace_matrix(&model->workspace, QVL_SLOT_LOGITS, storage, count, vocabulary, &y, error));
    const struct qvl_output_head_args args = {
        .x = pass->normed, .rows = pass->batch->logit_rows, .weight = model->parameters.head, .y = y};
    QVL_TRY(backend->ops.output_head(backend, &args, error));
    QVL_TRY(backend->sync(backend, error));
    if (storage == QVL_F32)
        return backend->download(backend, &y, logits, error);
    void *raw = malloc((size_t)(count * vocabulary) * qvl_dtype_bytes(storage));
    if (!raw)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows of logits", (long long)count);
    enum qvl_status status = backend->download(backend, &y, raw, error);
    if (status == QVL_OK)
        qvl_to_f32(logits, raw, storage, (size_t)(count * vocabulary));
    free(raw);
    return status;
}

enum qvl_status qvl_decoder_forward(struct qvl_model *model, const struct qvl_batch *batch, float *logits,
                                    const struct qvl_taps *taps, struct qvl_error *error)
{
    struct pass pass = {.model = model,
                        .batch = batch,
                        .tap = {model->backend, taps, taps ? batch->parts[0].sequence->processed : 0}};
    QVL_TRY(reserve(&pass, error));
    QVL_TRY(embed(&pass, error));
    QVL_TRY(make_tables(&pass, error));
    for (int64_t l = 0; l < model->parameters.layer_count; l++)
        QVL_TRY(run_layer(&pass, l, error));
    QVL_TRY(rms_norm(&pass, pass.hidden, &model->parameters.norm, pass.normed, error));
    QVL_TRY(qvl_tap(&pass.tap, &pass.normed, error, "model.language_model.norm"));
    return head(&pass, logits, error);
}
