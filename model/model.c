/* Loading a model onto a backend. */
#include "model/model.h"

#include <stdlib.h>

#include "model/engine.h"
#include "model/memory.h"

/* Every entry the forward pass calls; the fused merger is optional because it can be made of parts. */
static enum qvl_status check_entries(const struct qvl_backend *backend, bool moe, struct qvl_error *error)
{
    const struct {
        const char *name;
        bool present;
        bool needed;
    } entries[] = {
#define ENTRY(name, needed) {#name, backend->ops.name != NULL, needed}
        ENTRY(patch_embed, true),  ENTRY(pos_interp, true),       ENTRY(vision_rope_table, true),
        ENTRY(layer_norm, true),   ENTRY(linear, true),           ENTRY(rope, true),
        ENTRY(gelu, true),         ENTRY(vision_attention, true), ENTRY(embed, true),
        ENTRY(scatter_rows, true), ENTRY(mrope_table, true),      ENTRY(rms_norm, true),
        ENTRY(cache_append, true), ENTRY(attention, true),        ENTRY(swiglu, true),
        ENTRY(add, true),          ENTRY(add_rows, true),         ENTRY(output_head, true),
        ENTRY(moe_route, moe),     ENTRY(moe_experts, moe),       ENTRY(moe_combine, moe),
#undef ENTRY
    };
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (entries[i].needed && !entries[i].present)
            return qvl_fail(error, QVL_UNSUPPORTED, "backend %s lacks the entry %s, which this model needs",
                            backend->name, entries[i].name);
    return QVL_OK;
}

static void describe_plan(struct qvl_model *model)
{
    snprintf(model->plan, sizeof model->plan,
             "merger: %s\nswiglu: linear gate, linear up, swiglu\nqk: rms_norm, rope\nexperts: %s",
             model->fused_merger ? "fused merger" : "layer_norm, linear, gelu, linear",
             model->config.text.experts ? "moe_route, moe_experts, moe_combine" : "none");
}

static enum qvl_status load(struct qvl_model *model, const char *folder, struct qvl_error *error)
{
    QVL_TRY(qvl_model_config_read(folder, &model->config, error));
    QVL_TRY(qvl_generation_config_read(folder, &model->config, &model->generation, error));
    QVL_TRY(check_entries(model->backend, model->config.text.experts > 0, error));
    QVL_TRY(qvl_weights_open(folder, &model->config, &model->weights, error));
    const struct qvl_memory_request request = {.weights = model->options.storage,
                                               .storage = model->options.storage,
                                               .context = 1,
                                               .chunk = 1,
                                               .logits = 1};
    const struct qvl_memory_estimate need = qvl_memory_estimate(&model->config, &request);
    QVL_TRY(qvl_memory_check(&need, model->options.available_bytes > 0 ? model->options.available_bytes : -1,
                             error));
    QVL_TRY(qvl_parameters_load(model->backend, &model->config, model->weights, model->options.storage,
                                &model->parameters, error));
    model->fused_merger = model->backend->ops.merger != NULL;
    describe_plan(model);
    return QVL_OK;
}

enum qvl_status qvl_model_load(const char *folder, struct qvl_backend *backend,
                               const struct qvl_model_options *options, struct qvl_model **model,
                               struct qvl_error *error)
{
    *model = NULL;
    if (!qvl_dtype_is_storage(options->storage))
        return qvl_fail(error, QVL_USAGE, "a model is stored in f32, bf16 or f16, not %s",
                        qvl_dtype_name(options->storage));
    struct qvl_model *made = calloc(1, sizeof *made);
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a model");
    made->backend = backend;
    made->options = *options;
    made->workspace.backend = backend;
    const enum qvl_status status = load(made, folder, error);
    if (status != QVL_OK) {
        qvl_model_destroy(made);
        return status;
    }
    *model = made;
    return QVL_OK;
}

void qvl_model_destroy(struct qvl_model *model)
{
    if (!model)
        return;
    qvl_parameters_release(&model->parameters);
    qvl_workspace_release(&model->workspace);
    qvl_weights_close(model->weights);
    free(model);
}

const struct qvl_model_config *qvl_model_get_config(const struct qvl_model *model)
{
    return &model->config;
}

const char *qvl_model_plan(const struct qvl_model *model)
{
    return model->plan;
}

const struct qvl_generation_config *qvl_model_get_generation(const struct qvl_model *model)
{
    return &model->generation;
}
