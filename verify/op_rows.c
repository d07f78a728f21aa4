/* layer_norm, rms_norm, gelu, swiglu, add, softmax, scatter_rows, add_rows. */
#include <stdlib.h>

#include "qvl/rounding.h"
#include "verify/op.h"

/* The eps of the norms: small against a mean square of 1, of the size of the squares of the tiny
 * distribution. */
#define EPS 1e-6

enum { X, SECOND, THIRD };

/* x [rows, dim] (or [rows, heads, dim]), in place when the case says so. */
static struct qvl_operand *add_x(struct qvl_problem *problem, const char *name, int64_t heads)
{
    const int64_t rows = qvl_number(problem, "rows"), dim = qvl_number(problem, "dim");
    const bool in_place = qvl_number(problem, "inplace");
    const int64_t by_head[3] = {rows, heads, dim}, plain[2] = {rows, dim};
    struct qvl_operand *x = qvl_problem_add(problem, in_place ? QVL_ROLE_INOUT : QVL_ROLE_INPUT, name,
                                            heads > 0 ? 3 : 2, heads > 0 ? by_head : plain);
    x->pad = qvl_number(problem, "pad");
    qvl_problem_fill(problem, x, 1);
    return x;
}

/* y like x, unless x is y. */
static void add_y(struct qvl_problem *problem)
{
    const struct qvl_operand *x = &problem->operands[X];
    if (x->role == QVL_ROLE_INPUT)
        qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", x->rank, x->shape)->pad = x->pad;
}

/* The output: operand `index` when there is one, else x. */
static struct qvl_tensor output(const struct qvl_side *side, int index)
{
    return side->placed[side->problem->operands[X].role == QVL_ROLE_INPUT ? index : X].view;
}

static void add_norm_vector(struct qvl_problem *problem, const char *name, double mean, double deviation)
{
    const int64_t dim = qvl_number(problem, "dim");
    qvl_problem_fill_normal(problem, qvl_problem_add(problem, QVL_ROLE_INPUT, name, 1, &dim), mean,
                            deviation);
}

static void setup_rms_norm(struct qvl_problem *problem)
{
    add_x(problem, "x", qvl_number(problem, "heads"));
    add_norm_vector(problem, "weight", 1, 0.25);
    add_y(problem);
}

static enum qvl_status call_rms_norm(struct qvl_side *side, struct qvl_condition *cond,
                                     struct qvl_error *error)
{
    return side->backend->ops.rms_norm(side->backend,
                                       &(struct qvl_rms_norm_args){.x = side->placed[X].view,
                                                                   .weight = side->placed[SECOND].view,
                                                                   .eps = EPS,
                                                                   .y = output(side, 2),
                                                                   .cond = cond},
                                       error);
}

const struct qvl_verify_op qvl_verify_rms_norm = {
    .numbers = {"rows", "heads", "dim", "pad", "inplace"}, .setup = setup_rms_norm, .call = call_rms_norm};

static void setup_layer_norm(struct qvl_problem *problem)
{
    add_x(problem, "x", 0);
    add_norm_vector(problem, "weight", 1, 0.25);
    add_norm_vector(problem, "bias", 0, 0.3);
    add_y(problem);
}

static enum qvl_status call_layer_norm(struct qvl_side *side, struct qvl_condition *cond,
                                       struct qvl_error *error)
{
    return side->backend->ops.layer_norm(side->backend,
                                         &(struct qvl_layer_norm_args){.x = side->placed[X].view,
                                                                       .weight = side->placed[SECOND].view,
                                                                       .bias = side->placed[THIRD].view,
                                                                       .eps = EPS,
                                                                       .y = output(side, 3),
                                                                       .cond = cond},
                                         error);
}

const struct qvl_verify_op qvl_verify_layer_norm = {
    .numbers = {"rows", "dim", "pad", "inplace"}, .setup = setup_layer_norm, .call = call_layer_norm};

/* softmax: among special rows the fifth is -inf throughout, a row that is masked from end to end */
static void setup_softmax(struct qvl_problem *problem)
{
    const struct qvl_operand *x = add_x(problem, "x", 0);
    const size_t row = (size_t)x->shape[1] * qvl_dtype_bytes(x->dtype);
    const double masked = -INFINITY;
    for (int64_t j = 0;
         problem->chosen->distribution == QVL_DIST_SPECIAL && x->host && x->shape[0] > 4 && j < x->shape[1];
         j++)
        qvl_store_row(&masked, x->dtype, 1,
                      (char *)x->host + 4 * row + (size_t)j * qvl_dtype_bytes(x->dtype));
    add_y(problem);
}

/* gelu: inputs of deviation 2 cover the region where the two forms differ */
static void setup_gelu(struct qvl_problem *problem)
{
    qvl_problem_fill(problem, add_x(problem, "x", 0), 2);
    add_y(problem);
}

static enum qvl_status call_gelu(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const bool exact = qvl_number(side->problem, "erf");
    return side->backend->ops.gelu(side->backend,
                                   &(struct qvl_gelu_args){.x = side->placed[X].view,
                                                           .form = exact ? QVL_GELU_ERF : QVL_GELU_TANH,
                                                           .y = output(side, 1),
                                                           .cond = cond},
                                   error);
}

const struct qvl_verify_op qvl_verify_gelu = {
    .numbers = {"rows", "dim", "erf", "pad", "inplace"}, .setup = setup_gelu, .call = call_gelu};

static enum qvl_status call_softmax(struct qvl_side *side, struct qvl_condition *cond,
                                    struct qvl_error *error)
{
    return side->backend->ops.softmax(
        side->backend,
        &(struct qvl_softmax_args){.x = side->placed[X].view, .y = output(side, 1), .cond = cond}, error);
}

const struct qvl_verify_op qvl_verify_softmax = {
    .numbers = {"rows", "dim", "pad", "inplace"}, .setup = setup_softmax, .call = call_softmax};

/* A second operand like x, always an input. */
static void setup_binary(struct qvl_problem *problem, const char *first, const char *second)
{
    const struct qvl_operand *x = add_x(problem, first, 0);
    struct qvl_operand *other = qvl_problem_add(problem, QVL_ROLE_INPUT, second, 2, x->shape);
    other->pad = x->pad;
    qvl_problem_fill(problem, other, 0.5);
    add_y(problem);
}

static void setup_swiglu(struct qvl_problem *problem)
{
    setup_binary(problem, "gate", "up");
}

static enum qvl_status call_swiglu(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    return side->backend->ops.swiglu(side->backend,
                                     &(struct qvl_swiglu_args){.gate = side->placed[X].view,
                                                               .up = side->placed[SECOND].view,
                                                               .y = output(side, 2),
                                                               .cond = cond},
                                     error);
}

const struct qvl_verify_op qvl_verify_swiglu = {
    .numbers = {"rows", "dim", "pad", "inplace"}, .setup = setup_swiglu, .call = call_swiglu};

static void setup_add(struct qvl_problem *problem)
{
    setup_binary(problem, "a", "b");
}

static enum qvl_status call_add(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    return side->backend->ops.add(
        side->backend,
        &(struct qvl_add_args){
            .a = side->placed[X].view, .b = side->placed[SECOND].view, .y = output(side, 2), .cond = cond},
        error);
}

const struct qvl_verify_op qvl_verify_add = {
    .numbers = {"rows", "dim", "pad", "inplace"}, .setup = setup_add, .call = call_add};

/* ---- rows of y chosen by `src` distinct indices ---- */

static void setup_placing(struct qvl_problem *problem)
{
    const int64_t rows = qvl_number(problem, "rows"), dim = qvl_number(problem, "dim");
    const int64_t src = qvl_number(problem, "src");
    qvl_problem_fill(problem, qvl_problem_add(problem, QVL_ROLE_INPUT, "src", 2, (const int64_t[]){src, dim}),
                     1);
    qvl_problem_fill(problem, qvl_problem_add(problem, QVL_ROLE_INOUT, "y", 2, (const int64_t[]){rows, dim}),
                     1);
    problem->extra = qvl_problem_choose(problem, "rows", src, rows);
}

static void setup_scatter_rows(struct qvl_problem *problem)
{
    setup_placing(problem);
    problem->operands[SECOND].judge = QVL_JUDGE_EXACT;
}

static enum qvl_status call_scatter_rows(struct qvl_side *side, struct qvl_condition *cond,
                                         struct qvl_error *error)
{
    (void)cond;
    return side->backend->ops.scatter_rows(side->backend,
                                           &(struct qvl_scatter_rows_args){.src = side->placed[X].view,
                                                                           .rows = side->problem->extra,
                                                                           .y = side->placed[SECOND].view},
                                           error);
}

const struct qvl_verify_op qvl_verify_scatter_rows = {
    .numbers = {"rows", "src", "dim"}, .setup = setup_scatter_rows, .call = call_scatter_rows};

static enum qvl_status call_add_rows(struct qvl_side *side, struct qvl_condition *cond,
                                     struct qvl_error *error)
{
    return side->backend->ops.add_rows(side->backend,
                                       &(struct qvl_add_rows_args){.src = side->placed[X].view,
                                                                   .rows = side->problem->extra,
                                                                   .y = side->placed[SECOND].view,
                                                                   .cond = cond},
                                       error);
}

/* The analysis is in the order of src; rows that were not chosen keep their values. */
static enum qvl_status arrange_add_rows(const struct qvl_problem *problem, int index, double *value,
                                        double *bound, struct qvl_error *error)
{
    const struct qvl_operand *y = &problem->operands[index];
    const int64_t *rows = problem->extra;
    const int64_t dim = y->shape[1], src = problem->operands[X].shape[0], count = src * dim;
    double *copy = malloc((2 * (size_t)count + 1) * sizeof *copy);
    if (!copy)
        return qvl_fail(error, QVL_NO_MEMORY, "add_rows: no memory for its bounds");
    memcpy(copy, value, (size_t)count * sizeof *copy);
    memcpy(copy + count, bound, (size_t)count * sizeof *copy);
    qvl_load_row(y->host, y->dtype, qvl_operand_count(y), value);
    memset(bound, 0, (size_t)qvl_operand_count(y) * sizeof *bound);
    for (int64_t i = 0; i < src; i++) {
        memcpy(value + rows[i] * dim, copy + i * dim, (size_t)dim * sizeof *copy);
        memcpy(bound + rows[i] * dim, copy + count + i * dim, (size_t)dim * sizeof *copy);
    }
    free(copy);
    return QVL_OK;
}

const struct qvl_verify_op qvl_verify_add_rows = {.numbers = {"rows", "src", "dim"},
                                                  .setup = setup_placing,
                                                  .call = call_add_rows,
                                                  .arrange = arrange_add_rows};
