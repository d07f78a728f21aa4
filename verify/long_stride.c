/* far_ENTRY: one call whose rows lie so far apart that the offset of the last passes 2^31 elements and 2^32
 * bytes (2^32 elements of 16-bit types), in one allocation that all operands share. Only the rows are
 * touched, so a host backend needs few pages of it. Values and tolerances are those of the same call on near
 * rows. */
#include <stdlib.h>

#include "verify/compare.h"
#include "verify/expectation.h"
#include "verify/gap.h"
#include "verify/long_context.h"
#include "verify/probe.h"

enum { GUARD = 256 };           /* bytes, a multiple of every element */
#define SPAN (INT64_C(1) << 33) /* from the first row to the last, bytes */

struct far {
    const struct qvl_verify_op *op;
    struct qvl_problem problem;
    struct qvl_expectation expectation;
    struct qvl_side side;
    char *memory;               /* of the backend */
    int64_t step, bytes;        /* between rows; of the memory */
    int64_t slot[QVL_OPERANDS]; /* where the first row starts, 0: the operand stays near */
    struct qvl_tensor near_view[QVL_OPERANDS];
};

/* Rows that a contract wants contiguous stay where they are. */
static bool may_be_far(const struct far *far, int index)
{
    const struct qvl_operand *operand = &far->problem.operands[index];
    const bool contiguous = (far->op == &qvl_verify_output_head && !strcmp(operand->name, "x")) ||
                            (far->op == &qvl_verify_merger && !strcmp(operand->name, "x")) ||
                            (far->op == &qvl_verify_pos_interp && !strcmp(operand->name, "table"));
    return operand->role != QVL_ROLE_WEIGHT && operand->role != QVL_ROLE_HOST && operand->rank >= 2 &&
           operand->shape[0] >= 2 && !contiguous;
}

static int64_t row_bytes(const struct far *far, int index)
{
    const struct qvl_tensor *view = &far->side.placed[index].view;
    return view->stride[0] * (int64_t)qvl_dtype_bytes(view->dtype);
}

/* A row and the guards around it. */
static int64_t slot_bytes(const struct far *far, int index)
{
    return (row_bytes(far, index) + 255) / 256 * 256 + (int64_t)2 * GUARD;
}

/* Copy the memory of a row and its guards from or to `host`. */
static enum qvl_status copy_row(struct far *far, int index, int64_t row, void *host, bool up,
                                struct qvl_error *error)
{
    struct qvl_backend *backend = far->side.backend;
    const struct qvl_tensor bytes = qvl_tensor_1d(far->memory + far->slot[index] - GUARD + row * far->step,
                                                  QVL_U8, slot_bytes(far, index));
    return up ? backend->upload(backend, &bytes, host, error)
              : backend->download(backend, &bytes, host, error);
}

static bool is_input(const struct far *far, int index)
{
    return far->problem.operands[index].role == QVL_ROLE_INPUT;
}

/* Place the rows of operand `index` at a distance. */
static enum qvl_status move_away(struct far *far, int index, struct qvl_error *error)
{
    struct qvl_placed *placed = &far->side.placed[index];
    const size_t row = (size_t)row_bytes(far, index), bytes = (size_t)slot_bytes(far, index);
    enum qvl_status status = QVL_OK;
    unsigned char *image = malloc(bytes);
    if (!image)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a row");
    far->near_view[index] = placed->view;
    for (int64_t r = 0; r < placed->view.shape[0] && status == QVL_OK; r++) {
        qvl_gap_fill(placed->view.dtype, is_input(far, index), image, bytes);
        memcpy(image + GUARD, placed->image + placed->guard + (size_t)r * row, row);
        status = copy_row(far, index, r, image, true, error);
    }
    free(image);
    placed->view.data = far->memory + far->slot[index];
    const int64_t element = (int64_t)qvl_dtype_bytes(placed->view.dtype);
    placed->view.stride[0] = element > 0 ? far->step / element : 0;
    return status;
}

/* Bring the rows back to the near memory, where they are judged. */
static enum qvl_status bring_back(struct far *far, int index, struct qvl_error *error)
{
    struct qvl_backend *backend = far->side.backend;
    struct qvl_placed *placed = &far->side.placed[index];
    placed->view = far->near_view[index];
    const size_t row = (size_t)row_bytes(far, index), bytes = (size_t)slot_bytes(far, index);
    enum qvl_status status = QVL_OK;
    unsigned char *image = malloc(bytes);
    if (!image)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a row");
    for (int64_t r = 0; r < placed->view.shape[0] && status == QVL_OK; r++) {
        const struct qvl_tensor to =
            qvl_tensor_1d((char *)placed->view.data + (size_t)r * row, QVL_U8, (int64_t)row);
        status = copy_row(far, index, r, image, false, error);
        if (status == QVL_OK && (!qvl_gap_intact(placed->view.dtype, is_input(far, index), image, GUARD) ||
                                 !qvl_gap_intact(placed->view.dtype, is_input(far, index),
                                                 image + GUARD + row, bytes - GUARD - row)))
            status = qvl_fail(error, QVL_FAILED, "%s: memory beside row %lld was written",
                              far->problem.operands[index].name, (long long)r);
        if (status == QVL_OK)
            status = backend->upload(backend, &to, image + GUARD, error);
    }
    free(image);
    return status;
}

/* Slots of all operands that move, and the distance of rows for the one with the most. */
static enum qvl_status lay_out(struct far *far, struct qvl_error *error)
{
    int64_t used = 0, most = 0;
    for (int i = 0; i < far->problem.count; i++) {
        if (!may_be_far(far, i))
            continue;
        far->slot[i] = used + GUARD;
        used += slot_bytes(far, i);
        most = far->problem.operands[i].shape[0] > most ? far->problem.operands[i].shape[0] : most;
    }
    if (used == 0)
        return qvl_fail(error, QVL_USAGE, "no operand has two rows that may lie apart");
    far->step = (SPAN / (most - 1) + 4096) / 256 * 256;
    far->bytes = far->step * (most - 1) + used;
    return QVL_OK;
}

/* From here on a failure is the candidate's. */
static enum qvl_status call(struct far *far, struct qvl_error *error)
{
    struct qvl_backend *backend = far->side.backend;
    void *memory = NULL;
    QVL_TRY(backend->allocate(backend, (size_t)far->bytes, &memory, error));
    far->memory = memory;
    for (int i = 0; i < far->problem.count; i++)
        if (far->slot[i])
            QVL_TRY(move_away(far, i, error));
    enum qvl_status status = far->op->call(&far->side, NULL, error);
    if (status == QVL_OK)
        status = backend->sync(backend, error);
    for (int i = 0; i < far->problem.count && status == QVL_OK; i++)
        if (far->slot[i])
            status = bring_back(far, i, error);
    return status == QVL_OK ? qvl_side_untouched(&far->side, error) : status;
}

static enum qvl_status judge(struct far *far, int index, struct qvl_comparison *comparison,
                             struct qvl_error *error)
{
    const struct qvl_operand *operand = &far->problem.operands[index];
    const bool custom = operand->judge == QVL_JUDGE_CUSTOM;
    double *got = NULL, *value = NULL, *bound = NULL;
    enum qvl_status status = qvl_side_values(&far->side, index, &got, error);
    if (status == QVL_OK)
        status = qvl_expectation_of(&far->expectation, index, &value, &bound, error);
    if (status == QVL_OK && custom)
        far->op->custom(&far->problem, index, got, value);
    if (status == QVL_OK)
        qvl_compare(comparison, operand, got,
                    &(struct qvl_expected){.value = value,
                                           .bound = bound,
                                           .exact = custom || operand->judge == QVL_JUDGE_EXACT});
    free(got);
    free(value);
    free(bound);
    return status;
}

static enum qvl_status run_far(struct far *far, struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_comparison comparison = {.result = result};
    struct qvl_error why = {.message = ""};
    QVL_TRY(qvl_problem_set_up(&far->problem, far->op, error));
    QVL_TRY(qvl_expectation_make(&far->expectation, error));
    enum qvl_status status = qvl_side_open(&far->side, &why);
    if (status == QVL_OK) {
        QVL_TRY(lay_out(far, error));
        if (qvl_long_memory_lacks(far->bytes, result))
            return QVL_OK;
        status = call(far, &why);
    }
    if (status != QVL_OK) {
        qvl_long_refused(status, &why, result);
        return QVL_OK;
    }
    for (int i = 0; i < far->problem.count; i++)
        if (far->problem.operands[i].judge != QVL_JUDGE_NONE)
            QVL_TRY(judge(far, i, &comparison, error));
    qvl_compare_finish(&comparison);
    return QVL_OK;
}

static enum qvl_status run_case(const struct qvl_verify_op *op, const struct qvl_case *chosen,
                                const struct qvl_case_context *context, struct qvl_case_result *result,
                                struct qvl_error *error)
{
    struct far far = {.op = op, .problem = {.chosen = chosen}};
    far.side = (struct qvl_side){.backend = context->candidate, .problem = &far.problem};
    far.expectation = (struct qvl_expectation){
        .op = op, .problem = &far.problem, .reference = context->reference, .candidate = context->candidate};
    const enum qvl_status status = run_far(&far, result, error);
    qvl_expectation_clear(&far.expectation);
    if (far.memory)
        context->candidate->release(context->candidate, far.memory);
    qvl_side_close(&far.side);
    qvl_problem_free(&far.problem);
    return status;
}

static int64_t needed(const struct qvl_case *chosen)
{
    (void)chosen;
    return SPAN + (INT64_C(1) << 20);
}

#define PROBE(entry, ...)                                                                                    \
    static enum qvl_status run_##entry(const struct qvl_case *chosen,                                        \
                                       const struct qvl_case_context *context,                               \
                                       struct qvl_case_result *result, struct qvl_error *error)              \
    {                                                                                                        \
        return run_case(&qvl_verify_##entry, chosen, context, result, error);                                \
    }                                                                                                        \
    static const char *const patterns_##entry[] = {__VA_ARGS__, NULL};                                       \
    const struct qvl_probe qvl_probe_far_##entry = {.name = "far_" #entry,                                   \
                                                    .op = #entry,                                            \
                                                    .patterns = patterns_##entry,                            \
                                                    .run = run_##entry,                                      \
                                                    .bytes = needed};

PROBE(patch_embed, "far_patch_embed rows=5 in=24 out=7 bias=1 dtype=f32,bf16")
PROBE(pos_interp, "far_pos_interp side=4 dim=5 t=2 h=6 w=10 merge=2 once=0 dtype=f32,bf16")
PROBE(vision_rope_table, "far_vision_rope_table t=2 h=6 w=10 merge=2 d=16 dtype=f32")
PROBE(layer_norm, "far_layer_norm rows=3 dim=37 pad=0 inplace=0,1 dtype=f32,bf16")
PROBE(linear, "far_linear rows=3,35 in=37 out=11 bias=1 pad=0 dtype=f32,bf16",
      "far_linear rows=2 in=64 out=40 bias=0 pad=0 dtype=f16")
PROBE(rope, "far_rope rows=3 heads=3 d=16 once=0,1 pad=0 inplace=0 dtype=f32,bf16")
PROBE(vision_attention, "far_vision_attention heads=3 d=16 a=17 b=0 c=5 pad=0 dtype=f32,bf16")
PROBE(gelu, "far_gelu rows=3 dim=401 erf=0,1 pad=0 inplace=0 dtype=f32,bf16")
PROBE(merger, "far_merger tokens=3 group=4 dim=10 out=14 norm=0 dtype=f32,bf16")
PROBE(embed, "far_embed rows=4 vocab=11 dim=37 dtype=f32,bf16")
PROBE(scatter_rows, "far_scatter_rows rows=9 src=9 dim=13 dtype=f32,bf16")
PROBE(mrope_table,
      "far_mrope_table rows=5 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0 double=0 top=300 dtype=f32,bf16")
PROBE(rms_norm, "far_rms_norm rows=3 heads=0,2 dim=37 pad=0 inplace=0,1 dtype=f32,bf16")
PROBE(cache_append, "far_cache_append kv=2 d=16 past=0 rows=5 seqs=1,2 pad=0 dtype=f32,bf16")
PROBE(attention, "far_attention heads=6 kv=2 d=72 past=0 rows=3,40 seqs=1,2 drop=0 pad=0 dtype=f32,bf16")
PROBE(swiglu, "far_swiglu rows=3 dim=401 pad=0 inplace=0 dtype=f32,bf16")
PROBE(add, "far_add rows=3,1500 dim=41 pad=0 inplace=0 dtype=f32,bf16")
PROBE(add_rows, "far_add_rows rows=9 src=9 dim=13 dtype=f32,bf16")
PROBE(moe_route, "far_moe_route rows=3 experts=8 k=2 dtype=f32,bf16")
PROBE(moe_experts, "far_moe_experts rows=4 experts=5 k=2 dim=20 ffn=12 first=0 dtype=f32,bf16")
PROBE(moe_combine, "far_moe_combine rows=3 k=2 dim=37 dtype=f32,bf16")
PROBE(output_head, "far_output_head rows=9 chosen=3 dim=37 vocab=101 dtype=f32,bf16")
PROBE(softmax, "far_softmax rows=3 dim=65 pad=0 inplace=0 dtype=f32,bf16")
