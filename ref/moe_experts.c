/* MoE expert MLPs: for every row and chosen expert a SwiGLU MLP of its own,
 * y[i][s] = r( r( r(silu(gate)) up ) W_down[e] ), gate | up = r( x W_gu[e] ). */
#include "ref/kernels.h"

enum { PAIRS = 64 }; /* (row, slot) pairs of one expert that are computed together */

struct batch {
    const struct qvl_moe_experts_args *args;
    struct qvl_rounding r;
    int64_t expert;
    int64_t count;
    int64_t row[PAIRS], slot[PAIRS];
    double *x, *gate_up, *a, *y; /* [PAIRS] rows of H, 2F, F, H */
    double *gate_up_bound, *a_bound, *y_bound;
};

/* a = r( r(silu(gate)) up ), and how far it may be off. */
static void activate(struct batch *batch, int64_t f)
{
    const struct qvl_condition *cond = batch->args->cond;
    const enum qvl_dtype dtype = batch->r.dtype;
    for (int64_t i = 0; i < batch->count; i++)
        for (int64_t j = 0; j < f; j++) {
            const double gate = batch->gate_up[i * 2 * f + j], up = batch->gate_up[i * 2 * f + f + j];
            const double silu = qvl_ref_silu_value(gate), rounded = qvl_round(&batch->r, silu);
            if (cond) {
                const double up_bound = batch->gate_up_bound[i * 2 * f + f + j];
                const double silu_bound = qvl_bound_round(
                    dtype, silu, qvl_ref_silu_bound(gate, batch->gate_up_bound[i * 2 * f + j], cond));
                batch->a_bound[i * f + j] =
                    qvl_bound_round(dtype, rounded * up,
                                    silu_bound * (fabs(up) + up_bound) + fabs(rounded) * up_bound +
                                        qvl_bound_product(cond, dtype, rounded * up));
            }
            batch->a[i * f + j] = qvl_round(&batch->r, rounded * up);
        }
}

static void store_batch(struct batch *batch)
{
    const struct qvl_moe_experts_args *args = batch->args;
    const int64_t h = args->x.shape[1], top_k = args->chosen.shape[1];
    for (int64_t i = 0; i < batch->count; i++) {
        double *y = batch->y + i * h;
        for (int64_t j = 0; args->cond && j < h; j++)
            qvl_bound_put(args->cond, (batch->row[i] * top_k + batch->slot[i]) * h + j, y[j],
                          batch->y_bound[i * h + j]);
        qvl_round_row(&batch->r, h, y);
        qvl_ref_store(y, &args->y, batch->row[i], batch->slot[i]);
    }
}

static enum qvl_status run_batch(struct batch *batch, struct qvl_error *error)
{
    const struct qvl_moe_experts_args *args = batch->args;
    const int64_t f = args->down->in;
    const struct qvl_ref_product gate_up = {.weight = args->gate_up,
                                            .expert = batch->expert,
                                            .n = batch->count,
                                            .x = batch->x,
                                            .y = batch->gate_up,
                                            .cond = args->cond,
                                            .y_bound = batch->gate_up_bound};
    const struct qvl_ref_product down = {.weight = args->down,
                                         .expert = batch->expert,
                                         .n = batch->count,
                                         .x = batch->a,
                                         .y = batch->y,
                                         .cond = args->cond,
                                         .x_bound = batch->a_bound,
                                         .y_bound = batch->y_bound};
    QVL_TRY(qvl_ref_product(&gate_up, error));
    for (int64_t i = 0; args->cond && i < batch->count * 2 * f; i++)
        batch->gate_up_bound[i] = qvl_bound_round(batch->r.dtype, batch->gate_up[i], batch->gate_up_bound[i]);
    qvl_round_row(&batch->r, batch->count * 2 * f, batch->gate_up);
    activate(batch, f);
    QVL_TRY(qvl_ref_product(&down, error));
    store_batch(batch);
    batch->count = 0;
    return QVL_OK;
}

/* All pairs that chose one expert. */
static enum qvl_status run_expert(struct batch *batch, struct qvl_error *error)
{
    const struct qvl_moe_experts_args *args = batch->args;
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        const int32_t *chosen = qvl_ref_at(&args->chosen, i, 0);
        for (int64_t s = 0; s < args->chosen.shape[1]; s++) {
            if (chosen[s] != batch->expert)
                continue;
            qvl_ref_load(&args->x, i, 0, batch->x + batch->count * args->x.shape[1]);
            batch->row[batch->count] = i;
            batch->slot[batch->count++] = s;
            if (batch->count == PAIRS)
                QVL_TRY(run_batch(batch, error));
        }
    }
    return batch->count > 0 ? run_batch(batch, error) : QVL_OK;
}

static enum qvl_status check_operands(const struct qvl_moe_experts_args *args, struct qvl_error *error)
{
    const int64_t h = args->x.shape[1], experts = args->gate_up->experts;
    QVL_TRY(qvl_ref_weight_check("moe_experts.down", args->down, h, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_ref_weight_check("moe_experts.gate_up", args->gate_up, 2 * args->down->in, h, error));
    if (args->down->experts != experts)
        return qvl_fail(error, QVL_USAGE, "moe_experts.down: has %lld experts, gate_up %lld",
                        (long long)args->down->experts, (long long)experts);
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        const int32_t *chosen = qvl_ref_at(&args->chosen, i, 0);
        for (int64_t s = 0; s < args->chosen.shape[1]; s++)
            if (chosen[s] < 0 || chosen[s] >= experts)
                return qvl_fail(error, QVL_USAGE,
                                "moe_experts.chosen[%lld][%lld]: is %d, there are %lld experts", (long long)i,
                                (long long)s, (int)chosen[s], (long long)experts);
    }
    return QVL_OK;
}

enum qvl_status qvl_ref_moe_experts(struct qvl_backend *backend, const struct qvl_moe_experts_args *args,
                                    struct qvl_error *error)
{
    enum qvl_status status = QVL_OK;
    int64_t h, f;
    double *work;
    QVL_TRY(qvl_moe_experts_check(args, error));
    QVL_TRY(check_operands(args, error));
    h = args->x.shape[1];
    f = args->down->in;
    QVL_TRY(qvl_ref_doubles("moe_experts", PAIRS * (3 * h + 6 * f), &work, error));
    struct batch batch = {.args = args, .r = qvl_ref_rounding(backend, args->y.dtype), .x = work};
    batch.y = batch.x + PAIRS * h;
    batch.y_bound = batch.y + PAIRS * h;
    batch.gate_up = batch.y_bound + PAIRS * h;
    batch.gate_up_bound = batch.gate_up + PAIRS * 2 * f;
    batch.a = batch.gate_up_bound + PAIRS * 2 * f;
    batch.a_bound = batch.a + PAIRS * f;
    for (batch.expert = 0; batch.expert < args->gate_up->experts && status == QVL_OK; batch.expert++)
        status = run_expert(&batch, error);
    free(work);
    return status;
}
