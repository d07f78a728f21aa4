#include "bench/training.h"

static const struct qvl_training_stage stages[] = {
    {"S0", "vision-language alignment", 67e9, 8192, true},
    {"S1", "multimodal pre-training", 1e12, 8192, false},
    {"S2", "long-context pre-training", 1e12, 32768, false},
    {"S3", "ultra-long adaptation", 100e9, 262144, false},
};

const struct qvl_training_stage *qvl_training_stage_at(int64_t index)
{
    return index >= 0 && index < (int64_t)(sizeof stages / sizeof *stages) ? &stages[index] : NULL;
}

/* FLOPs of a stage of the forward pass; 0 when the model lacks it. */
static double flops_of(const struct qvl_flops *flops, const char *name)
{
    const struct qvl_flops_stage *stage = qvl_flops_find(flops, name);
    return stage ? (double)stage->flops : 0;
}

/* A part whose forward pass is `forward` in each of `times` sequences or pictures. */
static void add_part(struct qvl_training_part *part, double forward, double times, double input,
                     double weight)
{
    part->forward += times * forward;
    part->input_gradients += times * forward * input;
    part->weight_gradients += times * forward * weight;
}

static enum qvl_status add_vision(const struct qvl_model_config *config, const struct qvl_grid *picture,
                                  double pictures, bool merger_only, struct qvl_training_cost *cost,
                                  struct qvl_error *error)
{
    const struct qvl_flops_workload workload = {
        .batch = 1, .grids = picture, .grid_count = 1, .storage = QVL_BF16};
    const double trained = merger_only ? 0 : 1;
    struct qvl_flops flops;
    QVL_TRY(qvl_flops_count(config, &workload, &flops, error));
    add_part(&cost->tower, flops_of(&flops, "vision_patch_embed"), pictures, 0, trained);
    add_part(&cost->tower, flops_of(&flops, "vision_linear"), pictures, trained, trained);
    add_part(&cost->tower, flops_of(&flops, "vision_attention"), pictures, 2 * trained, 0);
    add_part(&cost->mergers, flops_of(&flops, "merger"), pictures, 1, 1);
    for (int64_t j = 0; j < config->vision.deepstack_count; j++) {
        char name[40];
        snprintf(name, sizeof name, "deepstack_merger_%lld", (long long)j);
        add_part(&cost->mergers, flops_of(&flops, name), pictures, 1, 1);
    }
    return QVL_OK;
}

static enum qvl_status add_language(const struct qvl_model_config *config,
                                    const struct qvl_training_stage *stage, struct qvl_training_cost *cost,
                                    struct qvl_error *error)
{
    static const char *const linear[] = {"attention_linear", "mlp", "router", "experts"};
    const struct qvl_flops_workload workload = {
        .batch = 1, .tokens = stage->sequence, .logits = stage->sequence, .storage = QVL_BF16};
    const double sequences = stage->tokens / (double)stage->sequence;
    const double trained = stage->merger_only ? 0 : 1;
    struct qvl_flops flops;
    QVL_TRY(qvl_flops_count(config, &workload, &flops, error));
    for (size_t i = 0; i < sizeof linear / sizeof *linear; i++)
        add_part(&cost->linear, flops_of(&flops, linear[i]), sequences, 1, trained);
    add_part(&cost->scores, flops_of(&flops, "attention"), sequences, 2, 0);
    add_part(&cost->head, flops_of(&flops, "head"), sequences, 1, trained);
    return QVL_OK;
}

enum qvl_status qvl_training_count(const struct qvl_model_config *config,
                                   const struct qvl_training_stage *stage, double visual_share,
                                   const struct qvl_grid *picture, struct qvl_training_cost *cost,
                                   struct qvl_error *error)
{
    *cost = (struct qvl_training_cost){0};
    if (!(visual_share >= 0 && visual_share <= 1))
        return qvl_fail(error, QVL_USAGE, "training cost: visual share is %g; it must be 0 to 1",
                        visual_share);
    const double pictures =
        visual_share * stage->tokens / (double)qvl_flops_visual_tokens(config, picture, 1);
    QVL_TRY(add_vision(config, picture, pictures, stage->merger_only, cost, error));
    QVL_TRY(add_language(config, stage, cost, error));
    const struct qvl_training_part *const parts[] = {&cost->tower, &cost->mergers, &cost->linear,
                                                     &cost->scores, &cost->head};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cost->total += parts[i]->forward + parts[i]->input_gradients + parts[i]->weight_gradients;
    return QVL_OK;
}
