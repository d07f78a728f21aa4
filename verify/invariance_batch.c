/* Batch company: a row's result does not depend on the rows beside it, nor on its place among them. */
#include "verify/invariance.h"
#include "verify/probe.h"

/* Rows of the output. */
static int64_t output_rows(const struct qvl_problem *problem)
{
    for (int i = 0; i < problem->count; i++)
        if (problem->operands[i].judge != QVL_JUDGE_NONE)
            return problem->operands[i].shape[0];
    return 0;
}

/* Rows `first` .. of a batch of `count`, of the operands that have rows: every output, and the inputs that
 * have as many rows or a multiple (the merger's patches). Vectors belong to all rows. */
static void take_rows(struct qvl_side *side, struct qvl_tensor *whole, int64_t first, int64_t count,
                      bool inputs)
{
    const struct qvl_problem *problem = side->problem;
    const int64_t rows = output_rows(problem);
    for (int i = 0; i < problem->count; i++) {
        const struct qvl_operand *operand = &problem->operands[i];
        const bool output = operand->judge != QVL_JUDGE_NONE;
        const int64_t each = rows > 0 ? operand->shape[0] / rows : 0;
        if (operand->role == QVL_ROLE_WEIGHT || operand->rank < 2 || (!output && !inputs) ||
            operand->shape[0] != each * rows)
            continue;
        side->placed[i].view = qvl_tensor_rows(whole[i], first * each, count * each);
    }
}

/* The whole problem in batches of a setting. `extra` of an entry that takes a list of rows or ids is that
 * list, and its other inputs are shared by all. */
static enum qvl_status batches(struct qvl_side *side, const struct qvl_verify_op *op,
                               const struct qvl_setting *setting, struct qvl_error *error)
{
    const struct qvl_problem *problem = side->problem;
    struct qvl_problem part = *problem;
    struct qvl_tensor whole[QVL_OPERANDS];
    enum qvl_status status = QVL_OK;
    for (int i = 0; i < problem->count; i++)
        whole[i] = side->placed[i].view;
    side->problem = &part;
    for (int64_t first = 0, count = 0;
         status == QVL_OK && qvl_setting_next_batch(setting, output_rows(problem), &first, &count);) {
        take_rows(side, whole, first, count, !problem->extra);
        if (problem->extra)
            part.extra = (int64_t *)problem->extra + first;
        status = op->call(side, NULL, error);
    }
    side->problem = problem;
    for (int i = 0; i < problem->count; i++)
        side->placed[i].view = whole[i];
    return status;
}

static enum qvl_status run_batch(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                 struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_invariance invariance = {.op = qvl_verify_entry(qvl_verify_op(chosen->check)), .ask = batches};
    qvl_setting_add_batches(&invariance);
    return qvl_invariance_judge(&invariance, chosen, context, result, error);
}

/* 41 rows: every batch size has a shorter last batch. No other dimension is a multiple of it. */
#define PROBE(entry, ...)                                                                                    \
    static const char *const entry##_patterns[] = {__VA_ARGS__, NULL};                                       \
    const struct qvl_probe qvl_probe_batch_##entry = {                                                       \
        .name = "batch_" #entry, .op = #entry, .patterns = entry##_patterns, .run = run_batch}

PROBE(patch_embed, "batch_patch_embed rows=41 in=96 out=19 bias=1");
PROBE(layer_norm, "batch_layer_norm rows=41 dim=37 pad=0,3 inplace=0");
PROBE(linear, "batch_linear rows=41 in=64,200 out=33 bias=1 pad=0");
PROBE(rope, "batch_rope rows=41 heads=3 d=16 once=0,1 pad=0 inplace=0");
PROBE(gelu, "batch_gelu rows=41 dim=33 erf=0,1 pad=0 inplace=0");
PROBE(merger, "batch_merger tokens=41 group=4 dim=6 out=14 norm=0,1");
PROBE(embed, "batch_embed rows=41 vocab=31 dim=37 dtype=f32,bf16");
PROBE(rms_norm, "batch_rms_norm rows=41 heads=0,3 dim=37 pad=0 inplace=0");
PROBE(swiglu, "batch_swiglu rows=41 dim=33 pad=0 inplace=0");
PROBE(add, "batch_add rows=41 dim=33 pad=0 inplace=0");
PROBE(moe_route, "batch_moe_route rows=41 experts=64 k=8");
PROBE(moe_experts, "batch_moe_experts rows=41 experts=5 k=2 dim=20 ffn=12 first=0,1");
PROBE(moe_combine, "batch_moe_combine rows=41 k=8 dim=37");
PROBE(output_head, "batch_output_head rows=41 chosen=0,40 dim=64 vocab=101");
PROBE(softmax, "batch_softmax rows=41 dim=65 pad=0 inplace=0");
