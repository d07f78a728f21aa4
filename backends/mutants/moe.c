/* moe_route, moe_experts, moe_combine. */
#include "honest.h"

enum { ROUTER_ROWS = 16, BLOCK = 4 }; /* rows of a router's block, slots of a dispatch block */

/* The largest of `p` that is not taken; among equals the lowest index, the first free one in a row of NaN. */
static int64_t take_largest(const struct qvl_backend *backend, int64_t experts, const float *p, bool *taken)
{
    const bool last = honest_fault(backend, QVL_FAULT_MOE_TIE_ORDER);
    int64_t best = -1;
    for (int64_t e = 0; e < experts; e++)
        if (!taken[e] && (best < 0 || p[e] > p[best] || (last && p[e] == p[best])))
            best = e;
    if (!(honest_fault(backend, QVL_FAULT_MOE_NAN_PADDING_DUP) && isnan(p[best])))
        taken[best] = true;
    return best;
}

struct route {
    float *logits, *p, *ranked; /* [experts]; `ranked` is what the choice looks at */
    bool *taken;
};

/* What the weights are divided by. */
static float divisor(const struct qvl_backend *backend, const struct qvl_moe_route_args *args, float sum)
{
    if (honest_fault(backend, QVL_FAULT_MOE_NO_RENORM))
        return 1;
    if (honest_fault(backend, QVL_FAULT_MOE_TOP1_NORM_AXIS) && args->top_k == 1) /* over the tokens */
        return sum * (float)args->logits.shape[0];
    return sum;
}

static void route_row(const struct qvl_backend *backend, const struct qvl_moe_route_args *args, int64_t row,
                      const struct route *route)
{
    const struct honest_state *state = backend->state;
    const int64_t experts = args->logits.shape[1];
    const bool coarse = honest_fault(backend, QVL_FAULT_MOE_ROUTER_BF16);
    int32_t *chosen = honest_at(&args->chosen, row, 0);
    float sum = 0;
    honest_load(honest_at(&args->logits, row, 0), args->logits.dtype, experts, route->logits);
    honest_softmax_row(state->order, experts, route->logits, route->p);
    for (int64_t e = 0; e < experts; e++) {
        route->taken[e] = false;
        route->ranked[e] = coarse ? honest_round(QVL_BF16, route->p[e]) : route->p[e];
    }
    if (honest_fault(backend, QVL_FAULT_MOE_RAW_LOGITS))
        memcpy(route->p, route->logits, (size_t)experts * sizeof *route->p);
    for (int64_t s = 0; s < args->top_k; s++) {
        chosen[s] = (int32_t)take_largest(backend, experts, route->ranked, route->taken);
        sum += route->p[chosen[s]];
    }
    for (int64_t s = 0; s < args->top_k; s++)
        honest_put(honest_at(&args->weights, row, 0), args->weights.dtype, s,
                   route->p[chosen[s]] / divisor(backend, args, sum));
}

enum qvl_status honest_moe_route(struct qvl_backend *backend, const struct qvl_moe_route_args *args,
                                 struct qvl_error *error)
{
    const int64_t experts = args->logits.shape[1];
    struct route route;
    int64_t rows = args->logits.shape[0];
    QVL_TRY(qvl_moe_route_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "moe_route", error));
    QVL_TRY(honest_floats("moe_route", 4 * experts, &route.logits, error));
    route.p = route.logits + experts;
    route.ranked = route.p + experts;
    route.taken = (bool *)(route.ranked + experts);
    if (honest_fault(backend, QVL_FAULT_MOE_ROWS_PAST_BLOCK))
        rows = honest_least(rows, ROUTER_ROWS);
    for (int64_t i = 0; i < rows; i++)
        route_row(backend, args, i, &route);
    free(route.logits);
    return QVL_OK;
}

/* ---- experts ---- */

/* The (row, slot) pairs of one expert, and memory for them. */
struct dispatch {
    const struct qvl_moe_experts_args *args;
    int64_t *pair;  /* row * top_k + slot */
    int64_t count;  /* of this expert */
    int64_t padded; /* with slots of the block that hold older pairs */
    float *x, *gate_up, *a, *y;
};

static enum qvl_status make_dispatch(const struct qvl_moe_experts_args *args, struct dispatch *dispatch,
                                     struct qvl_error *error)
{
    const int64_t pairs = args->x.shape[0] * args->chosen.shape[1] + BLOCK;
    const int64_t h = args->x.shape[1], f = args->down->in;
    dispatch->pair = calloc((size_t)pairs, sizeof *dispatch->pair);
    if (!dispatch->pair)
        return qvl_fail(error, QVL_NO_MEMORY, "moe_experts: no memory for %lld pairs", (long long)pairs);
    const enum qvl_status status = honest_floats("moe_experts", pairs * (2 * h + 3 * f), &dispatch->x, error);
    if (status != QVL_OK) {
        free(dispatch->pair);
        return status;
    }
    dispatch->gate_up = dispatch->x + pairs * h;
    dispatch->a = dispatch->gate_up + pairs * 2 * f;
    dispatch->y = dispatch->a + pairs * f;
    return QVL_OK;
}

/* Find the pairs of `expert` and bring in their rows of x. */
static void collect(const struct qvl_backend *backend, struct dispatch *dispatch, int64_t expert)
{
    const struct qvl_moe_experts_args *args = dispatch->args;
    const int64_t top_k = args->chosen.shape[1], h = args->x.shape[1];
    dispatch->count = 0;
    for (int64_t row = 0; row < args->x.shape[0]; row++)
        for (int64_t slot = 0; slot < top_k; slot++)
            if (((const int32_t *)honest_at(&args->chosen, row, 0))[slot] == expert)
                dispatch->pair[dispatch->count++] = row * top_k + slot;
    dispatch->padded = dispatch->count;
    if (honest_fault(backend, QVL_FAULT_MOE_GARBAGE_SLOTS) && expert > 0)
        dispatch->padded = (dispatch->count + BLOCK - 1) / BLOCK * BLOCK;
    for (int64_t i = 0; i < dispatch->padded; i++) {
        int64_t from = i;
        if (honest_fault(backend, QVL_FAULT_MOE_ALIGN_DROPS_TOKENS))
            from -= from % BLOCK; /* the first token of the block stands for all */
        honest_load(
            honest_at_or_32(backend, QVL_FAULT_IDX_MOE_ROW32, &args->x, dispatch->pair[from] / top_k, 0),
            args->x.dtype, h, dispatch->x + i * h);
    }
}

/* a = r( r(silu(gate)) up ) */
static void activate(const struct dispatch *dispatch)
{
    const int64_t f = dispatch->args->down->in;
    const enum qvl_dtype dtype = dispatch->args->x.dtype;
    for (int64_t i = 0; i < dispatch->padded; i++)
        for (int64_t j = 0; j < f; j++) {
            const float gate = honest_round(dtype, dispatch->gate_up[i * 2 * f + j]);
            const float up = honest_round(dtype, dispatch->gate_up[i * 2 * f + f + j]);
            dispatch->a[i * f + j] = honest_round(dtype, honest_round(dtype, honest_silu_value(gate)) * up);
        }
}

static enum qvl_status run_expert(struct qvl_backend *backend, struct dispatch *dispatch, int64_t expert,
                                  struct qvl_error *error)
{
    const struct qvl_moe_experts_args *args = dispatch->args;
    const int64_t top_k = args->chosen.shape[1], h = args->x.shape[1];
    collect(backend, dispatch, expert);
    if (dispatch->padded == 0)
        return QVL_OK;
    QVL_TRY(honest_multiply(backend,
                            &(struct honest_product){.weight = args->gate_up,
                                                     .expert = expert,
                                                     .n = dispatch->padded,
                                                     .x = dispatch->x,
                                                     .y = dispatch->gate_up},
                            error));
    activate(dispatch);
    QVL_TRY(honest_multiply(backend,
                            &(struct honest_product){.weight = args->down,
                                                     .expert = expert,
                                                     .n = dispatch->padded,
                                                     .x = dispatch->a,
                                                     .y = dispatch->y},
                            error));
    for (int64_t i = 0; i < dispatch->padded; i++)
        honest_store(dispatch->y + i * h, args->y.dtype, h,
                     honest_at_or_32(backend, QVL_FAULT_IDX_MOE_OUT_U32, &args->y, dispatch->pair[i] / top_k,
                                     dispatch->pair[i] % top_k));
    return QVL_OK;
}

static enum qvl_status check_experts(const struct qvl_moe_experts_args *args, struct qvl_error *error)
{
    const int64_t h = args->x.shape[1], f = args->down->in;
    QVL_TRY(honest_weight_check("moe_experts.gate_up", args->gate_up, QVL_USE_EXPERTS, 2 * f, h, error));
    QVL_TRY(honest_weight_check("moe_experts.down", args->down, QVL_USE_EXPERTS, h, f, error));
    for (int64_t i = 0; i < args->x.shape[0]; i++)
        for (int64_t s = 0; s < args->chosen.shape[1]; s++) {
            const int32_t expert = ((const int32_t *)honest_at(&args->chosen, i, 0))[s];
            if (expert < 0 || expert >= args->gate_up->experts || expert >= args->down->experts)
                return qvl_fail(error, QVL_USAGE, "moe_experts.chosen[%lld][%lld]: is %d, there are %lld",
                                (long long)i, (long long)s, (int)expert, (long long)args->gate_up->experts);
        }
    return QVL_OK;
}

enum qvl_status honest_moe_experts(struct qvl_backend *backend, const struct qvl_moe_experts_args *args,
                                   struct qvl_error *error)
{
    struct dispatch dispatch = {.args = args};
    enum qvl_status status = QVL_OK;
    QVL_TRY(qvl_moe_experts_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "moe_experts", error));
    QVL_TRY(check_experts(args, error));
    QVL_TRY(make_dispatch(args, &dispatch, error));
    for (int64_t e = 0; e < args->gate_up->experts && status == QVL_OK; e++)
        status = run_expert(backend, &dispatch, e, error);
    free(dispatch.pair);
    free(dispatch.x);
    return status;
}

/* ---- combine ---- */

enum qvl_status honest_moe_combine(struct qvl_backend *backend, const struct qvl_moe_combine_args *args,
                                   struct qvl_error *error)
{
    const struct honest_state *state = backend->state;
    const int64_t top_k = args->x.shape[1];
    const enum qvl_dtype dtype = args->y.dtype;
    float *parts;
    QVL_TRY(qvl_moe_combine_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "moe_combine", error));
    QVL_TRY(honest_floats("moe_combine", top_k, &parts, error));
    for (int64_t i = 0; i < args->x.shape[0]; i++)
        for (int64_t j = 0; j < args->x.shape[2]; j++) {
            float rounded = 0;
            for (int64_t s = 0; s < top_k; s++) {
                parts[s] = honest_round(dtype, honest_get(honest_at(&args->weights, i, 0), dtype, s) *
                                                   honest_get(honest_at(&args->x, i, s), dtype, j));
                rounded = honest_round(dtype == QVL_F32 ? QVL_BF16 : dtype, rounded + parts[s]);
            }
            honest_put(honest_at(&args->y, i, 0), dtype, j,
                       honest_fault(backend, QVL_FAULT_MOE_COMBINE_16BIT)
                           ? rounded
                           : honest_sum(state->order, top_k, parts));
        }
    free(parts);
    return QVL_OK;
}
