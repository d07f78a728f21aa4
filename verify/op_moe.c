/* moe_route, moe_experts, moe_combine. */
#include "verify/op.h"

#include "qvl/bound.h"
#include "qvl/rounding.h"

/* How far apart two logits may be for honest float32 probabilities to come out equal or in the other order:
 * the exponential of each is off by two units in the last place and by the roundings of its argument, the
 * distance from the largest (ref/softmax.c). Their sum is common to both. */
static double tie_width(double largest, double a, double b)
{
    return (2 * (largest - a) + 2 * (largest - b) + 2 * QVL_BOUND_FUNCTION) * qvl_dtype_roundoff(QVL_F32);
}

/* ---- moe_route ---- */

enum { LOGITS, CHOSEN, WEIGHTS };

static void setup_moe_route(struct qvl_problem *problem)
{
    const int64_t rows = qvl_number(problem, "rows"), k = qvl_number(problem, "k");
    const int64_t experts = qvl_number(problem, "experts");
    qvl_problem_fill(
        problem, qvl_problem_add(problem, QVL_ROLE_INPUT, "logits", 2, (const int64_t[]){rows, experts}), 2);
    struct qvl_operand *chosen =
        qvl_problem_add(problem, QVL_ROLE_OUTPUT, "chosen", 2, (const int64_t[]){rows, k});
    chosen->dtype = QVL_I32;
    chosen->judge = QVL_JUDGE_CUSTOM;
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "weights", 2, (const int64_t[]){rows, k});
}

static enum qvl_status call_moe_route(struct qvl_side *side, struct qvl_condition *cond,
                                      struct qvl_error *error)
{
    return side->backend->ops.moe_route(side->backend,
                                        &(struct qvl_moe_route_args){.logits = side->placed[LOGITS].view,
                                                                     .top_k = qvl_number(side->problem, "k"),
                                                                     .chosen = side->placed[CHOSEN].view,
                                                                     .weights = side->placed[WEIGHTS].view,
                                                                     .cond = cond},
                                        error);
}

/* Whether the k indices are distinct experts. */
static bool distinct(const double *chosen, int64_t k, int64_t experts)
{
    for (int64_t s = 0; s < k; s++) {
        if (!(chosen[s] >= 0 && chosen[s] < (double)experts))
            return false;
        for (int64_t other = 0; other < s; other++)
            if (chosen[other] == chosen[s])
                return false;
    }
    return true;
}

static double logit_at(const struct qvl_operand *logits, int64_t row, int64_t expert)
{
    double logit;
    const size_t index = (size_t)(row * logits->shape[1] + expert);
    qvl_load_row((const char *)logits->host + index * qvl_dtype_bytes(logits->dtype), logits->dtype, 1,
                 &logit);
    return logit;
}

/* Another expert than the reference's is right where the logits are as good as equal but not equal (equal
 * ones go to the lowest index), and in a row with a NaN any distinct experts are. */
static void custom_moe_route(const struct qvl_problem *problem, int index, const double *got, double *value)
{
    const struct qvl_operand *logits = &problem->operands[LOGITS];
    const int64_t experts = logits->shape[1], k = problem->operands[index].shape[1];
    for (int64_t row = 0; row < logits->shape[0]; row++) {
        bool has_nan = false;
        double largest = -INFINITY;
        if (!distinct(got + row * k, k, experts))
            continue;
        for (int64_t e = 0; e < experts; e++) {
            const double logit = logit_at(logits, row, e);
            has_nan |= !(logit < INFINITY); /* an infinity makes every probability NaN as well */
            largest = fmax(largest, logit);
        }
        for (int64_t s = row * k; s < (row + 1) * k; s++) {
            const double mine = logit_at(logits, row, (int64_t)value[s]);
            const double theirs = logit_at(logits, row, (int64_t)got[s]);
            if (has_nan || (mine != theirs && fabs(mine - theirs) < tie_width(largest, mine, theirs)))
                value[s] = got[s];
        }
    }
}

const struct qvl_verify_op qvl_verify_moe_route = {.numbers = {"rows", "experts", "k"},
                                                   .setup = setup_moe_route,
                                                   .call = call_moe_route,
                                                   .custom = custom_moe_route};

/* ---- moe_experts: `first` stores [experts, in, out] ---- */

enum { X, PICKED, GATE_UP, DOWN, Y };

static void setup_moe_experts(struct qvl_problem *problem)
{
    const int64_t rows = qvl_number(problem, "rows"), k = qvl_number(problem, "k");
    const int64_t experts = qvl_number(problem, "experts"), dim = qvl_number(problem, "dim");
    const int64_t ffn = qvl_number(problem, "ffn");
    qvl_problem_fill(problem, qvl_problem_add(problem, QVL_ROLE_INPUT, "x", 2, (const int64_t[]){rows, dim}),
                     1);
    struct qvl_operand *picked =
        qvl_problem_add(problem, QVL_ROLE_INPUT, "chosen", 2, (const int64_t[]){rows, k});
    picked->dtype = QVL_I32;
    for (int64_t i = 0; picked->host && i < rows * k; i++) /* one expert is never chosen, one by every row */
        ((int32_t *)picked->host)[i] =
            (int32_t)(i % k == 0 ? 0 : 1 + (i / k + i % k) % (experts > 2 ? experts - 2 : 1));
    struct qvl_weight_shape shape = {.experts = experts,
                                     .out = 2 * ffn,
                                     .in = dim,
                                     .input_first = qvl_number(problem, "first"),
                                     .layer = QVL_LAYER_FIRST,
                                     .units = ffn};
    qvl_problem_add_weight(problem, "gate_up", &shape);
    shape.out = dim;
    shape.in = ffn;
    shape.layer = QVL_LAYER_SECOND;
    qvl_problem_add_weight(problem, "down", &shape);
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 3, (const int64_t[]){rows, k, dim});
}

static enum qvl_status call_moe_experts(struct qvl_side *side, struct qvl_condition *cond,
                                        struct qvl_error *error)
{
    return side->backend->ops.moe_experts(side->backend,
                                          &(struct qvl_moe_experts_args){.x = side->placed[X].view,
                                                                         .chosen = side->placed[PICKED].view,
                                                                         .gate_up = side->weights[GATE_UP],
                                                                         .down = side->weights[DOWN],
                                                                         .y = side->placed[Y].view,
                                                                         .cond = cond},
                                          error);
}

const struct qvl_verify_op qvl_verify_moe_experts = {
    .numbers = {"rows", "experts", "k", "dim", "ffn", "first"},
    .setup = setup_moe_experts,
    .call = call_moe_experts};

/* ---- moe_combine ---- */

enum { PARTS, SHARES, SUM };

static void setup_moe_combine(struct qvl_problem *problem)
{
    const int64_t rows = qvl_number(problem, "rows"), k = qvl_number(problem, "k"),
                  dim = qvl_number(problem, "dim");
    qvl_problem_fill(problem,
                     qvl_problem_add(problem, QVL_ROLE_INPUT, "x", 3, (const int64_t[]){rows, k, dim}), 1);
    qvl_problem_fill_normal(
        problem, qvl_problem_add(problem, QVL_ROLE_INPUT, "weights", 2, (const int64_t[]){rows, k}),
        1 / (double)k, 0.3 / (double)k);
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 2, (const int64_t[]){rows, dim});
}

static enum qvl_status call_moe_combine(struct qvl_side *side, struct qvl_condition *cond,
                                        struct qvl_error *error)
{
    return side->backend->ops.moe_combine(side->backend,
                                          &(struct qvl_moe_combine_args){.x = side->placed[PARTS].view,
                                                                         .weights = side->placed[SHARES].view,
                                                                         .y = side->placed[SUM].view,
                                                                         .cond = cond},
                                          error);
}

const struct qvl_verify_op qvl_verify_moe_combine = {
    .numbers = {"rows", "k", "dim"}, .setup = setup_moe_combine, .call = call_moe_combine};
