/* Image order and batch company in the vision tower: an image's rows depend neither on the place of the image
 * among the others nor on what the others are. */
#include <stdlib.h>

#include "verify/invariance.h"
#include "verify/probe.h"

enum { IMAGES = 3, ORDERS = 6, MOST_SEGMENTS = 48 };

static const int orders[ORDERS][IMAGES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

/* Rows starts[i] .. starts[i + 1] - 1 belong to segment i. */
struct images {
    int64_t starts[MOST_SEGMENTS + 1];
    struct qvl_grid grids[IMAGES];
};

/* ---- rows of an operand in another order, on the backend ---- */

/* Move rows of a tensor between the given order of the images and the natural one; `back` undoes it. */
static enum qvl_status reorder(struct qvl_side *side, int index, const int *order, bool back,
                               struct qvl_error *error)
{
    const struct images *images = side->problem->extra;
    const struct qvl_tensor *view = &side->placed[index].view;
    const int64_t rows = view->shape[0];
    const size_t row_bytes =
        (size_t)(qvl_tensor_count(view) / (rows > 0 ? rows : 1)) * qvl_dtype_bytes(view->dtype);
    char *natural = malloc(2 * row_bytes * (size_t)rows + 1);
    if (!natural)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows", (long long)rows);
    char *moved = natural + row_bytes * (size_t)rows;
    enum qvl_status status = side->backend->download(side->backend, view, natural, error);
    size_t at = 0;
    for (int i = 0; i < IMAGES; i++) {
        const size_t first = (size_t)images->starts[order[i]] * row_bytes;
        const size_t bytes = (size_t)images->starts[order[i] + 1] * row_bytes - first;
        memcpy(back ? moved + first : moved + at, back ? natural + at : natural + first, bytes);
        at += bytes;
    }
    if (status == QVL_OK)
        status = side->backend->upload(side->backend, view, moved, error);
    free(natural);
    return status;
}

static void add_orders(struct qvl_invariance *invariance)
{
    for (int64_t i = 0; i < ORDERS; i++)
        qvl_setting_add(invariance, IMAGES, i, "order %d-%d-%d", orders[i][0] + 1, orders[i][1] + 1,
                        orders[i][2] + 1);
    qvl_setting_add(invariance, 1, 0, "each image alone");
}

/* ---- vision_attention ---- */

enum { Q, K, V, Y };

static void add_heads(struct qvl_problem *problem, int64_t rows)
{
    const char *const names[] = {"q", "k", "v", "y"};
    for (int i = 0; i < 4; i++) {
        struct qvl_operand *operand =
            qvl_problem_add(problem, i == Y ? QVL_ROLE_OUTPUT : QVL_ROLE_INPUT, names[i], 3,
                            (const int64_t[]){rows, qvl_number(problem, "heads"), qvl_number(problem, "d")});
        operand->no_infinities = i == Q || i == K; /* as in op_attention.c */
        if (i != Y)
            qvl_problem_fill(problem, operand, 1);
    }
}

static enum qvl_status attend(struct qvl_side *side, int64_t first_row, int64_t rows, const int64_t *starts,
                              int64_t segments, struct qvl_condition *cond, struct qvl_error *error)
{
    const struct qvl_placed *placed = side->placed;
    return side->backend->ops.vision_attention(
        side->backend,
        &(struct qvl_vision_attention_args){.q = qvl_tensor_rows(placed[Q].view, first_row, rows),
                                            .k = qvl_tensor_rows(placed[K].view, first_row, rows),
                                            .v = qvl_tensor_rows(placed[V].view, first_row, rows),
                                            .segment_starts = starts,
                                            .segment_count = segments,
                                            .scale =
                                                (float)(1 / sqrt((double)qvl_number(side->problem, "d"))),
                                            .y = qvl_tensor_rows(placed[Y].view, first_row, rows),
                                            .cond = cond},
        error);
}

/* Segments first .. first + count - 1 in one call. */
static enum qvl_status attend_segments(struct qvl_side *side, int64_t first, int64_t count,
                                       struct qvl_condition *cond, struct qvl_error *error)
{
    const struct images *images = side->problem->extra;
    int64_t starts[MOST_SEGMENTS + 1];
    for (int64_t i = 0; i <= count; i++)
        starts[i] = images->starts[first + i] - images->starts[first];
    return attend(side, images->starts[first], starts[count], starts, count, cond, error);
}

static enum qvl_status attend_all(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const struct images *images = side->problem->extra;
    int64_t segments = 0;
    while (images->starts[segments] < side->placed[Y].view.shape[0])
        segments++;
    return attend_segments(side, 0, segments, cond, error);
}

static bool widens(const struct qvl_case *chosen, const struct qvl_backend *candidate)
{
    return chosen->dtype != QVL_F32 && !candidate->math.rounds_attention_scores;
}

static void setup_attention_order(struct qvl_problem *problem)
{
    struct images *images = qvl_problem_block(problem, 1, sizeof *images);
    const char *const names[IMAGES] = {"a", "b", "c"};
    if (!images)
        return;
    for (int i = 0; i < IMAGES; i++)
        images->starts[i + 1] = images->starts[i] + qvl_number(problem, names[i]);
    problem->extra = images;
    if (images->starts[1] < 1 || images->starts[2] == images->starts[1] ||
        images->starts[3] == images->starts[2])
        problem->status = QVL_USAGE;
    add_heads(problem, images->starts[IMAGES]);
}

static const struct qvl_verify_op three_images = {
    .setup = setup_attention_order, .call = attend_all, .widens = widens};

/* The inputs in the order of the setting, the call, and everything back in the natural order, so that inputs
 * can be found untouched. */
static enum qvl_status attend_in_order(struct qvl_side *side, const struct qvl_verify_op *op,
                                       const struct qvl_setting *setting, struct qvl_error *error)
{
    const struct images *images = side->problem->extra;
    const int *order = orders[setting->variant];
    int64_t starts[IMAGES + 1] = {0};
    (void)op;
    if (setting->size == 1) {
        for (int64_t i = 0; i < IMAGES; i++)
            QVL_TRY(attend_segments(side, i, 1, NULL, error));
        return QVL_OK;
    }
    for (int i = 0; i < IMAGES; i++)
        starts[i + 1] = starts[i] + images->starts[order[i] + 1] - images->starts[order[i]];
    for (int i = Q; i <= V; i++)
        QVL_TRY(reorder(side, i, order, false, error));
    QVL_TRY(attend(side, 0, starts[IMAGES], starts, IMAGES, NULL, error));
    QVL_TRY(side->backend->sync(side->backend, error));
    for (int i = Q; i <= Y; i++)
        QVL_TRY(reorder(side, i, order, true, error));
    return QVL_OK;
}

static enum qvl_status run_attention_order(const struct qvl_case *chosen,
                                           const struct qvl_case_context *context,
                                           struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_invariance invariance = {.op = &three_images, .ask = attend_in_order};
    add_orders(&invariance);
    return qvl_invariance_judge(&invariance, chosen, context, result, error);
}

/* ---- batch company: segment s of `segments` has 1 + a s mod 7 rows ---- */

static void setup_company(struct qvl_problem *problem)
{
    struct images *images = qvl_problem_block(problem, 1, sizeof *images);
    const int64_t segments = qvl_number(problem, "segments"), a = qvl_number(problem, "a");
    if (segments < 1 || segments > MOST_SEGMENTS)
        problem->status = QVL_USAGE;
    if (!images || problem->status != QVL_OK)
        return;
    for (int64_t s = 0; s < segments; s++)
        images->starts[s + 1] = images->starts[s] + 1 + a * s % 7;
    problem->extra = images;
    add_heads(problem, images->starts[segments]);
}

static const struct qvl_verify_op many_segments = {
    .setup = setup_company, .call = attend_all, .widens = widens};

static enum qvl_status attend_in_batches(struct qvl_side *side, const struct qvl_verify_op *op,
                                         const struct qvl_setting *setting, struct qvl_error *error)
{
    (void)op;
    for (int64_t first = 0, count = 0;
         qvl_setting_next_batch(setting, qvl_number(side->problem, "segments"), &first, &count);)
        QVL_TRY(attend_segments(side, first, count, NULL, error));
    return QVL_OK;
}

static enum qvl_status run_company(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                   struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_invariance invariance = {.op = &many_segments, .ask = attend_in_batches};
    qvl_setting_add_batches(&invariance);
    return qvl_invariance_judge(&invariance, chosen, context, result, error);
}

/* ---- tables by grid: an image of h x w, a video of t frames of w x h, one of t frames of (h + merge) x w
 * ----
 */

static void add_grids(struct qvl_problem *problem)
{
    struct images *images = qvl_problem_block(problem, 1, sizeof *images);
    const int64_t t = qvl_number(problem, "t"), h = qvl_number(problem, "h"), w = qvl_number(problem, "w");
    if (t < 1 || h < 1 || w < 1)
        problem->status = QVL_USAGE;
    if (!images)
        return;
    images->grids[0] = (struct qvl_grid){1, h, w};
    images->grids[1] = (struct qvl_grid){t, w, h};
    images->grids[2] = (struct qvl_grid){t, h + qvl_number(problem, "merge"), w};
    for (int i = 0; i < IMAGES; i++)
        images->starts[i + 1] =
            images->starts[i] + images->grids[i].t * images->grids[i].h * images->grids[i].w;
    problem->extra = images;
}

static int64_t table_rows(const struct qvl_problem *problem)
{
    const struct images *images = problem->extra;
    return images ? images->starts[IMAGES] : 0;
}

/* One call for `count` grids, whose rows start at `first` of the outputs. */
typedef enum qvl_status table_call(struct qvl_side *side, const struct qvl_grid *grids, int64_t count,
                                   int64_t first, int64_t rows, struct qvl_condition *cond,
                                   struct qvl_error *error);

enum { POS_TABLE, POS_Y };

static void setup_pos_interp(struct qvl_problem *problem)
{
    const int64_t side = qvl_number(problem, "side"), dim = qvl_number(problem, "dim");
    add_grids(problem);
    qvl_problem_fill(
        problem, qvl_problem_add(problem, QVL_ROLE_INPUT, "table", 2, (const int64_t[]){side * side, dim}),
        1);
    qvl_problem_add(problem, QVL_ROLE_OUTPUT, "y", 2, (const int64_t[]){table_rows(problem), dim});
}

static enum qvl_status interpolate(struct qvl_side *side, const struct qvl_grid *grids, int64_t count,
                                   int64_t first, int64_t rows, struct qvl_condition *cond,
                                   struct qvl_error *error)
{
    const bool once = qvl_number(side->problem, "once");
    return side->backend->ops.pos_interp(
        side->backend,
        &(struct qvl_pos_interp_args){.table = side->placed[POS_TABLE].view,
                                      .grids = grids,
                                      .grid_count = count,
                                      .merge = qvl_number(side->problem, "merge"),
                                      .rounding = once ? QVL_POS_ROUND_ONCE : QVL_POS_ROUND_EACH,
                                      .y = qvl_tensor_rows(side->placed[POS_Y].view, first, rows),
                                      .cond = cond},
        error);
}

enum { COSINE, SINE };

static void setup_rope_table(struct qvl_problem *problem)
{
    add_grids(problem);
    for (int i = COSINE; i <= SINE; i++) {
        struct qvl_operand *table =
            qvl_problem_add(problem, QVL_ROLE_OUTPUT, i == COSINE ? "cos" : "sin", 2,
                            (const int64_t[]){table_rows(problem), qvl_number(problem, "d") / 2});
        table->judge = QVL_JUDGE_SLACK;
        table->absolute = 0x1p-21; /* as in op_rotary.c */
        table->dtype = QVL_F32;
    }
}

static enum qvl_status turn(struct qvl_side *side, const struct qvl_grid *grids, int64_t count, int64_t first,
                            int64_t rows, struct qvl_condition *cond, struct qvl_error *error)
{
    (void)cond;
    return side->backend->ops.vision_rope_table(
        side->backend,
        &(struct qvl_vision_rope_table_args){.grids = grids,
                                             .grid_count = count,
                                             .merge = qvl_number(side->problem, "merge"),
                                             .head_dim = qvl_number(side->problem, "d"),
                                             .theta = 10000,
                                             .cos = qvl_tensor_rows(side->placed[COSINE].view, first, rows),
                                             .sin = qvl_tensor_rows(side->placed[SINE].view, first, rows)},
        error);
}

/* The grids in the order of the setting, and the rows of every output back in the natural one. */
static enum qvl_status tables_in_order(struct qvl_side *side, table_call *call,
                                       const struct qvl_setting *setting, struct qvl_error *error)
{
    const struct images *images = side->problem->extra;
    const int *order = orders[setting->variant];
    struct qvl_grid grids[IMAGES];
    for (int i = 0; i < IMAGES; i++) {
        const int64_t first = images->starts[i], rows = images->starts[i + 1] - first;
        grids[i] = images->grids[order[i]];
        if (setting->size == 1)
            QVL_TRY(call(side, &images->grids[i], 1, first, rows, NULL, error));
    }
    if (setting->size == 1)
        return QVL_OK;
    QVL_TRY(call(side, grids, IMAGES, 0, images->starts[IMAGES], NULL, error));
    QVL_TRY(side->backend->sync(side->backend, error));
    for (int i = 0; i < side->problem->count; i++)
        if (side->problem->operands[i].judge != QVL_JUDGE_NONE)
            QVL_TRY(reorder(side, i, order, true, error));
    return QVL_OK;
}

static enum qvl_status interpolate_all(struct qvl_side *side, struct qvl_condition *cond,
                                       struct qvl_error *error)
{
    const struct images *images = side->problem->extra;
    return interpolate(side, images->grids, IMAGES, 0, images->starts[IMAGES], cond, error);
}

static enum qvl_status interpolate_in_order(struct qvl_side *side, const struct qvl_verify_op *op,
                                            const struct qvl_setting *setting, struct qvl_error *error)
{
    (void)op;
    return tables_in_order(side, interpolate, setting, error);
}

static enum qvl_status turn_all(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const struct images *images = side->problem->extra;
    return turn(side, images->grids, IMAGES, 0, images->starts[IMAGES], cond, error);
}

static enum qvl_status turn_in_order(struct qvl_side *side, const struct qvl_verify_op *op,
                                     const struct qvl_setting *setting, struct qvl_error *error)
{
    (void)op;
    return tables_in_order(side, turn, setting, error);
}

static const struct qvl_verify_op interpolation = {.setup = setup_pos_interp, .call = interpolate_all};
static const struct qvl_verify_op rotation = {.setup = setup_rope_table, .call = turn_all};

static enum qvl_status run_table_order(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                       struct qvl_case_result *result, struct qvl_error *error)
{
    const bool turns = strcmp(qvl_verify_name(chosen->check), "order_vision_rope_table") == 0;
    struct qvl_invariance invariance = {.op = turns ? &rotation : &interpolation,
                                        .ask = turns ? turn_in_order : interpolate_in_order};
    add_orders(&invariance);
    return qvl_invariance_judge(&invariance, chosen, context, result, error);
}

/* ---- the probes ---- */

static const char *const attention_order_patterns[] = {
    "order_vision_attention heads=3 d=72 a=24 b=60 c=7",
    "order_vision_attention heads=2 d=16 a=1 b=33 c=70 dist=normal,outlier", NULL};

const struct qvl_probe qvl_probe_order_vision_attention = {.name = "order_vision_attention",
                                                           .op = "vision_attention",
                                                           .numbers = {"heads", "d", "a", "b", "c"},
                                                           .patterns = attention_order_patterns,
                                                           .run = run_attention_order};

static const char *const company_patterns[] = {"batch_vision_attention heads=3 d=16 a=3 segments=41", NULL};

const struct qvl_probe qvl_probe_batch_vision_attention = {.name = "batch_vision_attention",
                                                           .op = "vision_attention",
                                                           .numbers = {"heads", "d", "a", "segments"},
                                                           .patterns = company_patterns,
                                                           .run = run_company};

static const char *const pos_patterns[] = {"order_pos_interp side=7 dim=11 t=2 h=4 w=6 merge=2 once=0,1",
                                           NULL};

const struct qvl_probe qvl_probe_order_pos_interp = {
    .name = "order_pos_interp",
    .op = "pos_interp",
    .numbers = {"side", "dim", "t", "h", "w", "merge", "once"},
    .patterns = pos_patterns,
    .run = run_table_order};

static const char *const table_patterns[] = {"order_vision_rope_table t=2 h=4 w=6 merge=2 d=72 dtype=f32",
                                             NULL};

const struct qvl_probe qvl_probe_order_vision_rope_table = {.name = "order_vision_rope_table",
                                                            .op = "vision_rope_table",
                                                            .numbers = {"t", "h", "w", "merge", "d"},
                                                            .patterns = table_patterns,
                                                            .run = run_table_order};
