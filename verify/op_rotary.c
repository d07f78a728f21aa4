/* pos_interp, vision_rope_table, mrope_table, rope. */
#include "base/random.h"
#include "qvl/bound.h"
#include "verify/op.h"

/* Roundoffs of 2^-24 in a float32 cosine or sine, as a share of its amplitude: two units in the last place
 * for the function, whose argument reduction keeps no relative accuracy near its zeros, one for the product
 * with the amplitude, one for the reference's own result. The angle must be right to the bit. */
#define TABLE_ROUNDOFFS (QVL_BOUND_FUNCTION + 1 + 1)

static struct qvl_grid *add_grid(struct qvl_problem *problem)
{
    struct qvl_grid *grid = qvl_problem_block(problem, 1, sizeof *grid);
    if (grid)
        *grid =
            (struct qvl_grid){qvl_number(problem, "t"), qvl_number(problem, "h"), qvl_number(problem, "w")};
    return grid;
}

static int64_t grid_rows(const struct qvl_problem *problem)
{
    return qvl_number(problem, "t") * qvl_number(problem, "h") * qvl_number(problem, "w");
}

/* ---- pos_interp: table of side x side, `once` rounds once ---- */

enum { POS_TABLE, POS_Y };

static void setup_pos_interp(struct qvl_problem *problem)
{
    const int64_t side = qvl_number(problem, "side"), dim = qvl_number(problem, "dim");
    qvl_problem_fill(
        problem, qvl_problem_add(problem, QVL_ROLE_INPUT, "table", 2, (const int64_t[]){side * side, dim}),
        1);
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 2, (const int64_t[]){grid_rows(problem), dim});
    problem->extra = add_grid(problem);
}

static enum qvl_status call_pos_interp(struct qvl_side *side, struct qvl_condition *cond,
                                       struct qvl_error *error)
{
    const bool once = qvl_number(side->problem, "once");
    return side->backend->ops.pos_interp(
        side->backend,
        &(struct qvl_pos_interp_args){.table = side->placed[POS_TABLE].view,
                                      .grids = side->problem->extra,
                                      .grid_count = 1,
                                      .merge = qvl_number(side->problem, "merge"),
                                      .rounding = once ? QVL_POS_ROUND_ONCE : QVL_POS_ROUND_EACH,
                                      .y = side->placed[POS_Y].view,
                                      .cond = cond},
        error);
}

const struct qvl_verify_op qvl_verify_pos_interp = {
    .numbers = {"side", "dim", "t", "h", "w", "merge", "once"},
    .setup = setup_pos_interp,
    .call = call_pos_interp};

/* ---- tables ---- */

enum { COSINE, SINE };

static void add_tables(struct qvl_problem *problem, int64_t rows, int64_t lanes, double amplitude)
{
    for (int i = 0; i < 2; i++) {
        struct qvl_operand *table = qvl_problem_add(problem, QVL_ROLE_OUTPUT, i == COSINE ? "cos" : "sin", 2,
                                                    (const int64_t[]){rows, lanes});
        table->judge = QVL_JUDGE_SLACK;
        table->absolute = TABLE_ROUNDOFFS * qvl_dtype_roundoff(QVL_F32) * amplitude;
    }
}

static void setup_vision_rope_table(struct qvl_problem *problem)
{
    add_tables(problem, grid_rows(problem), qvl_number(problem, "d") / 2, 1);
    problem->operands[COSINE].dtype = problem->operands[SINE].dtype = QVL_F32;
    problem->extra = add_grid(problem);
}

static enum qvl_status call_vision_rope_table(struct qvl_side *side, struct qvl_condition *cond,
                                              struct qvl_error *error)
{
    (void)cond;
    return side->backend->ops.vision_rope_table(
        side->backend,
        &(struct qvl_vision_rope_table_args){.grids = side->problem->extra,
                                             .grid_count = 1,
                                             .merge = qvl_number(side->problem, "merge"),
                                             .head_dim = qvl_number(side->problem, "d"),
                                             .theta = 10000,
                                             .cos = side->placed[COSINE].view,
                                             .sin = side->placed[SINE].view},
        error);
}

const struct qvl_verify_op qvl_verify_vision_rope_table = {.numbers = {"t", "h", "w", "merge", "d"},
                                                           .setup = setup_vision_rope_table,
                                                           .call = call_vision_rope_table};

/* yarn=0: none; 1: the attention factor follows from the factor; 2 and 3: the config gives it; 4 and 5: it
 * has both mscale fields, different and equal; 6: other bounds, not truncated. */
static struct qvl_rope_scaling scaling_of(int64_t yarn)
{
    struct qvl_rope_scaling scaling = {.yarn = yarn > 0,
                                       .factor = 3,
                                       .original_max_positions = 262144,
                                       .beta_fast = 32,
                                       .beta_slow = 1,
                                       .truncate = yarn != 6};
    if (yarn == 2 || yarn == 3)
        scaling.attention_factor = yarn == 2 ? 1 : 1.4159;
    if (yarn == 4 || yarn == 5) {
        scaling.mscale = 1;
        scaling.mscale_all_dim = yarn == 4 ? 0.707 : 1;
    }
    if (yarn == 6) {
        scaling.factor = 4.5;
        scaling.original_max_positions = 5000;
        scaling.beta_fast = 20;
        scaling.beta_slow = 2;
    }
    return scaling;
}

/* The formula of the paper, 0.1 mscale ln(factor) + 1. */
static double amplitude(double factor, double mscale)
{
    return 0.1 * mscale * log(factor) + 1;
}

/* What cosines and sines are multiplied by. */
static double amplitude_of(const struct qvl_rope_scaling *scaling)
{
    if (!scaling->yarn)
        return 1;
    if (scaling->attention_factor > 0)
        return scaling->attention_factor;
    if (scaling->mscale > 0)
        return amplitude(scaling->factor, scaling->mscale) /
               amplitude(scaling->factor, scaling->mscale_all_dim);
    return amplitude(scaling->factor, 1);
}

/* Random positions up to `top` in every axis, and rows that hold 0, (7, 3, 11) and the top itself. */
static void setup_mrope_table(struct qvl_problem *problem)
{
    const int64_t rows = qvl_number(problem, "rows"), top = qvl_number(problem, "top");
    const struct qvl_rope_scaling scaling = scaling_of(qvl_number(problem, "yarn"));
    int64_t *positions = qvl_problem_block(problem, 3 * (rows + 2), sizeof *positions);
    add_tables(problem, rows, qvl_number(problem, "d") / 2, amplitude_of(&scaling));
    for (int64_t axis = 0; positions && axis < 3; axis++)
        for (int64_t i = 0; i < rows; i++) {
            const int64_t first[3] = {0, (const int64_t[]){7, 3, 11}[axis], top};
            positions[axis * (rows + 2) + i] =
                i < 3 ? first[i]
                      : (int64_t)qvl_random_below(problem->chosen->seed, (uint64_t)axis, (uint64_t)i,
                                                  (uint64_t)top + 1);
        }
    problem->extra = positions;
}

static enum qvl_status call_mrope_table(struct qvl_side *side, struct qvl_condition *cond,
                                        struct qvl_error *error)
{
    const struct qvl_problem *problem = side->problem;
    const bool chunked = qvl_number(problem, "chunked"), wide = qvl_number(problem, "double");
    (void)cond;
    return side->backend->ops.mrope_table(
        side->backend,
        &(struct qvl_mrope_table_args){
            .positions = problem->extra,
            .positions_stride = qvl_number(problem, "rows") + 2,
            .head_dim = qvl_number(problem, "d"),
            .theta = 5e6,
            .scaling = scaling_of(qvl_number(problem, "yarn")),
            .section = {qvl_number(problem, "s0"), qvl_number(problem, "s1"), qvl_number(problem, "s2")},
            .layout = chunked ? QVL_MROPE_CHUNKED : QVL_MROPE_INTERLEAVED,
            .precision = wide ? QVL_ANGLE_F64 : QVL_ANGLE_F32,
            .cos = side->placed[COSINE].view,
            .sin = side->placed[SINE].view},
        error);
}

/* The reference makes float32 tables, so that the one rounding to 16 bits is the candidate's. */
static bool widens_mrope_table(const struct qvl_case *chosen, const struct qvl_backend *candidate)
{
    (void)candidate;
    return chosen->dtype != QVL_F32;
}

const struct qvl_verify_op qvl_verify_mrope_table = {
    .numbers = {"rows", "d", "s0", "s1", "s2", "chunked", "yarn", "double", "top"},
    .setup = setup_mrope_table,
    .call = call_mrope_table,
    .widens = widens_mrope_table};

/* ---- rope: tables with all entries distinct, of storage type (text) or float32 (`once`, vision) ---- */

enum { ROPE_X, ROPE_COS, ROPE_SIN, ROPE_Y };

static void setup_rope(struct qvl_problem *problem)
{
    const int64_t rows = qvl_number(problem, "rows"), d = qvl_number(problem, "d");
    const int64_t shape[3] = {rows, qvl_number(problem, "heads"), d};
    const bool in_place = qvl_number(problem, "inplace"), once = qvl_number(problem, "once");
    struct qvl_operand *x =
        qvl_problem_add(problem, in_place ? QVL_ROLE_INOUT : QVL_ROLE_INPUT, "x", 3, shape);
    x->pad = qvl_number(problem, "pad");
    qvl_problem_fill(problem, x, 1);
    for (int i = 0; i < 2; i++) {
        struct qvl_operand *table = qvl_problem_add(problem, QVL_ROLE_INPUT, i == 0 ? "cos" : "sin", 2,
                                                    (const int64_t[]){rows, d / 2});
        if (once)
            table->dtype = QVL_F32;
        qvl_problem_fill_normal(problem, table, 0, 0.5);
    }
    if (!in_place)
        qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 3, shape)->pad = x->pad;
}

static enum qvl_status call_rope(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const bool in_place = qvl_number(side->problem, "inplace"), once = qvl_number(side->problem, "once");
    return side->backend->ops.rope(
        side->backend,
        &(struct qvl_rope_args){.x = side->placed[ROPE_X].view,
                                .cos = side->placed[ROPE_COS].view,
                                .sin = side->placed[ROPE_SIN].view,
                                .rounding = once ? QVL_ROPE_ROUND_ONCE : QVL_ROPE_ROUND_EACH,
                                .y = side->placed[in_place ? ROPE_X : ROPE_Y].view,
                                .cond = cond},
        error);
}

const struct qvl_verify_op qvl_verify_rope = {
    .numbers = {"rows", "heads", "d", "once", "pad", "inplace"}, .setup = setup_rope, .call = call_rope};
