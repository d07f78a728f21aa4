/* linear, patch_embed, output_head, embed, merger. */
#include "verify/op.h"

static struct qvl_operand *add_weight(struct qvl_problem *problem, const char *name, int64_t out, int64_t in)
{
    return qvl_problem_add_weight(problem, name, &(struct qvl_weight_shape){.out = out, .in = in});
}

static void add_vector(struct qvl_problem *problem, const char *name, int64_t count, double mean,
                       double deviation)
{
    struct qvl_operand *vector = qvl_problem_add(problem, QVL_ROLE_INPUT, name, 1, &count);
    qvl_problem_fill_normal(problem, vector, mean, deviation);
}

enum { X, WEIGHT, BIAS, Y };

/* x, weight, bias and y of a layer; `dtype` of x may differ. */
static void setup_layer(struct qvl_problem *problem, enum qvl_dtype input, int64_t pad)
{
    const int64_t rows = qvl_number(problem, "rows"), in = qvl_number(problem, "in");
    const int64_t out = qvl_number(problem, "out");
    struct qvl_operand *x = qvl_problem_add(problem, QVL_ROLE_INPUT, "x", 2, (const int64_t[]){rows, in});
    x->dtype = input;
    x->pad = pad;
    qvl_problem_fill(problem, x, 1);
    add_weight(problem, "weight", out, in);
    add_vector(problem, "bias", out, 0, 0.3);
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 2, (const int64_t[]){rows, out})->pad = pad;
}

static void setup_linear(struct qvl_problem *problem)
{
    setup_layer(problem, problem->chosen->dtype, qvl_number(problem, "pad"));
}

static enum qvl_status call_linear(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const bool bias = qvl_number(side->problem, "bias");
    return side->backend->ops.linear(side->backend,
                                     &(struct qvl_linear_args){.x = side->placed[X].view,
                                                               .weight = side->weights[WEIGHT],
                                                               .bias = bias ? &side->placed[BIAS].view : NULL,
                                                               .y = side->placed[Y].view,
                                                               .cond = cond},
                                     error);
}

const struct qvl_verify_op qvl_verify_linear = {
    .numbers = {"rows", "in", "out", "bias", "pad"}, .setup = setup_linear, .call = call_linear};

static void setup_patch_embed(struct qvl_problem *problem)
{
    setup_layer(problem, QVL_F32, 0);
}

static enum qvl_status call_patch_embed(struct qvl_side *side, struct qvl_condition *cond,
                                        struct qvl_error *error)
{
    const bool bias = qvl_number(side->problem, "bias");
    return side->backend->ops.patch_embed(
        side->backend,
        &(struct qvl_patch_embed_args){.x = side->placed[X].view,
                                       .weight = side->weights[WEIGHT],
                                       .bias = bias ? &side->placed[BIAS].view : NULL,
                                       .y = side->placed[Y].view,
                                       .cond = cond},
        error);
}

const struct qvl_verify_op qvl_verify_patch_embed = {
    .numbers = {"rows", "in", "out", "bias"}, .setup = setup_patch_embed, .call = call_patch_embed};

/* ---- output head: `chosen` rows in random order, 0 for all in order ---- */

static void setup_output_head(struct qvl_problem *problem)
{
    const int64_t rows = qvl_number(problem, "rows"), chosen = qvl_number(problem, "chosen");
    const int64_t dim = qvl_number(problem, "dim"), vocab = qvl_number(problem, "vocab");
    qvl_problem_fill(problem, qvl_problem_add(problem, QVL_ROLE_INPUT, "x", 2, (const int64_t[]){rows, dim}),
                     1);
    add_weight(problem, "weight", vocab, dim);
    add_vector(problem, "unused", 1, 0, 1);
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 2, (const int64_t[]){chosen > 0 ? chosen : rows, vocab});
    if (chosen > 0)
        problem->extra = qvl_problem_choose(problem, "rows", chosen, rows);
}

static enum qvl_status call_output_head(struct qvl_side *side, struct qvl_condition *cond,
                                        struct qvl_error *error)
{
    return side->backend->ops.output_head(side->backend,
                                          &(struct qvl_output_head_args){.x = side->placed[X].view,
                                                                         .rows = side->problem->extra,
                                                                         .weight = side->weights[WEIGHT],
                                                                         .y = side->placed[Y].view,
                                                                         .cond = cond},
                                          error);
}

const struct qvl_verify_op qvl_verify_output_head = {
    .numbers = {"rows", "chosen", "dim", "vocab"}, .setup = setup_output_head, .call = call_output_head};

/* ---- embed ---- */

enum { TABLE, EMBEDDED };

static void setup_embed(struct qvl_problem *problem)
{
    const int64_t rows = qvl_number(problem, "rows"), vocab = qvl_number(problem, "vocab");
    const int64_t dim = qvl_number(problem, "dim");
    struct qvl_operand *table = add_weight(problem, "table", vocab, dim);
    int64_t *ids = qvl_problem_block(problem, rows, sizeof *ids);
    table->use = QVL_USE_ROWS;
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 2, (const int64_t[]){rows, dim})->judge = QVL_JUDGE_EXACT;
    for (int64_t i = 0; ids && vocab > 0 && i < rows; i++)
        ids[i] = (i * 7 + 3) * (i + 1) % vocab; /* repeats, out of order */
    if (ids && rows > 1)
        ids[1] = vocab - 1;
    problem->extra = ids;
}

static enum qvl_status call_embed(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    (void)cond;
    return side->backend->ops.embed(side->backend,
                                    &(struct qvl_embed_args){.ids = side->problem->extra,
                                                             .table = side->weights[TABLE],
                                                             .y = side->placed[EMBEDDED].view},
                                    error);
}

const struct qvl_verify_op qvl_verify_embed = {
    .numbers = {"rows", "vocab", "dim"}, .setup = setup_embed, .call = call_embed};

/* ---- merger: norm 0 before the grouping, 1 after ---- */

enum { PATCHES, NORM_WEIGHT, NORM_BIAS, FC1, FC1_BIAS, FC2, FC2_BIAS, MERGED };

static void setup_merger(struct qvl_problem *problem)
{
    const int64_t tokens = qvl_number(problem, "tokens"), group = qvl_number(problem, "group");
    const int64_t dim = qvl_number(problem, "dim"), out = qvl_number(problem, "out");
    const int64_t width = group * dim, norm_dim = qvl_number(problem, "norm") ? width : dim;
    qvl_problem_fill(
        problem, qvl_problem_add(problem, QVL_ROLE_INPUT, "x", 2, (const int64_t[]){tokens * group, dim}), 1);
    add_vector(problem, "norm_weight", norm_dim, 1, 0.25);
    add_vector(problem, "norm_bias", norm_dim, 0, 0.3);
    qvl_problem_add_weight(
        problem, "fc1",
        &(struct qvl_weight_shape){
            .out = width, .in = width, .layer = QVL_LAYER_FIRST, .units = width, .period = dim});
    add_vector(problem, "fc1_bias", width, 0, 0.3);
    qvl_problem_add_weight(problem, "fc2",
                           &(struct qvl_weight_shape){.out = out, .in = width, .layer = QVL_LAYER_SECOND});
    add_vector(problem, "fc2_bias", out, 0, 0.3);
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 2, (const int64_t[]){tokens, out});
}

static enum qvl_status call_merger(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const bool after = qvl_number(side->problem, "norm");
    return side->backend->ops.merger(
        side->backend,
        &(struct qvl_merger_args){.x = side->placed[PATCHES].view,
                                  .group = qvl_number(side->problem, "group"),
                                  .norm = after ? QVL_MERGER_NORM_GROUP : QVL_MERGER_NORM_PATCH,
                                  .norm_weight = side->placed[NORM_WEIGHT].view,
                                  .norm_bias = side->placed[NORM_BIAS].view,
                                  .eps = 1e-6,
                                  .fc1 = side->weights[FC1],
                                  .fc1_bias = side->placed[FC1_BIAS].view,
                                  .fc2 = side->weights[FC2],
                                  .fc2_bias = side->placed[FC2_BIAS].view,
                                  .y = side->placed[MERGED].view,
                                  .cond = cond},
        error);
}

const struct qvl_verify_op qvl_verify_merger = {
    .numbers = {"tokens", "group", "dim", "out", "norm"}, .setup = setup_merger, .call = call_merger};
