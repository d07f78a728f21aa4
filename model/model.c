/* Loading a model onto a backend. */
#include "model/model.h"

#include <stdlib.h>

#include "model/engine.h"
#include "model/memory.h"
#include "model/sample.h"

/* Every entry the forward pass calls, with what it needs beside it; the fused merger is optional because it
 * can be made of parts. All that is missing is named at once. */
static enum qvl_status check_entries(const struct qvl_backend *backend, bool moe, struct qvl_error *error)
{
    static const char *const entries[] = {"patch_embed",
                                          "pos_interp",
                                          "vision_rope_table",
                                          "layer_norm",
                                          "linear",
                                          "rope",
                                          "vision_attention",
                                          "gelu",
                                          "embed",
                                          "scatter_rows",
                                          "mrope_table",
                                          "rms_norm",
                                          "cache_append",
                                          "attention",
                                          "swiglu",
                                          "add",
                                          "add_rows",
                                          "output_head",
                                          "moe_route",
                                          "moe_experts",
                                          "moe_combine"};
    const size_t needed = sizeof entries / sizeof *entries - (moe ? 0 : 3);
    char missing[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < needed; i++) {
        const char *lacking = qvl_backend_lacks(backend, entries[i]);
        const bool named = lacking && strcmp(lacking, entries[i]) != 0 && strstr(missing, lacking);
        if (lacking && !named)
            used +=
                (size_t)snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", lacking);
    }
    if (used == 0)
        return QVL_OK;
    return qvl_fail(error, QVL_UNSUPPORTED, "backend %s lacks what this model needs: %s", backend->name,
                    missing);
}

static void describe_plan(struct qvl_model *model)
{
    snprintf(model->plan, sizeof model->plan,
             "merger: %s\nswiglu: linear gate, linear up, swiglu\nqk: rms_norm, rope\nexperts: %s",
             model->fused_merger ? "fused merger" : "layer_norm, linear, gelu, linear",
             model->config.text.experts ? "moe_route, moe_experts, moe_combine" : "none");
}

/* The weights of the source, in the order of the configuration that remains. */
static enum qvl_status open_weights(struct qvl_model *model, const struct qvl_model_source *source,
                                    const struct qvl_model_part *part, struct qvl_error *error)
{
    const struct qvl_model_config whole = model->config;
    if (part)
        qvl_model_part_config(&whole, part, &model->config);
    const struct qvl_memory_request request = {.weights = model->options.storage,
                                               .storage = model->options.storage,
                                               .context = 1,
                                               .chunk = 1,
                                               .logits = 1};
    const struct qvl_memory_estimate need = qvl_memory_estimate(&model->config, &request);
    const int64_t available = model->options.available_bytes > 0 ? model->options.available_bytes : -1;
    if (!source->folder) {
        QVL_TRY(qvl_memory_check(&need, available, error));
        return qvl_weights_draw(&model->config, model->options.storage, source->seed, &model->weights, error);
    }
    QVL_TRY(qvl_weights_open(source->folder, &whole, &model->weights, error));
    for (int64_t l = 0; part && l < part->layer_count; l++)
        model->weights->layers[l] = model->weights->layers[part->layers[l]];
    return qvl_memory_check(&need, available, error);
}

static enum qvl_status load(struct qvl_model *model, const struct qvl_model_source *source,
                            const struct qvl_model_part *part, struct qvl_error *error)
{
    if (source->folder) {
        QVL_TRY(qvl_model_config_read(source->folder, &model->config, error));
        QVL_TRY(qvl_generation_config_read(source->folder, &model->config, &model->generation, error));
    } else if (source->config) {
        model->config = *source->config;
    } else {
        return qvl_fail(error, QVL_USAGE, "a model needs a folder or a configuration");
    }
    QVL_TRY(check_entries(model->backend, model->config.text.experts > 0, error));
    QVL_TRY(open_weights(model, source, part, error));
    QVL_TRY(qvl_parameters_load(model->backend, &model->config, model->weights, model->options.storage,
                                &model->parameters, error));
    model->fused_merger = model->backend->ops.merger != NULL;
    describe_plan(model);
    return QVL_OK;
}

enum qvl_status qvl_model_load_part(const struct qvl_model_source *source, const struct qvl_model_part *part,
                                    struct qvl_backend *backend, const struct qvl_model_options *options,
                                    struct qvl_model **model, struct qvl_error *error)
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
    const enum qvl_status status = load(made, source, part, error);
    if (status != QVL_OK) {
        qvl_model_destroy(made);
        return status;
    }
    *model = made;
    return QVL_OK;
}

enum qvl_status qvl_model_load(const char *folder, struct qvl_backend *backend,
                               const struct qvl_model_options *options, struct qvl_model **model,
                               struct qvl_error *error)
{
    const struct qvl_model_source source = {.folder = folder};
    return qvl_model_load_part(&source, NULL, backend, options, model, error);
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
