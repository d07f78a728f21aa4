/* moe_route, moe_experts and moe_combine. */
#include "cpu_state.h"

/* The largest value not yet taken, lowest index among equals; NaN only when nothing else is left. */
static int64_t largest_left(const float *values, const bool *taken, int64_t count)
{
    int64_t best = -1;
    for (int64_t e = 0; e < count; e++) {
        if (taken[e])
            continue;
        if (best < 0 || values[e] > values[best] || (isnan(values[best]) && !isnan(values[e])))
            best = e;
    }
    return best;
}

/* p = softmax of `p` in double, rounded to float32 as the original compares them: a row is short, and an
 * expert chosen otherwise because of a last bit would change the whole output. */
static void probabilities(float *p, int64_t count)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t e = 0; e < count; e++)
        largest = p[e] > largest ? p[e] : largest;
    for (int64_t e = 0; e < count; e++)
        sum += exp(p[e] - largest);
    for (int64_t e = 0; e < count; e++)
        p[e] = (float)(exp(p[e] - largest) / sum);
}

static void route_row(const struct cpu_simd *simd, const struct qvl_moe_route_args *args, int64_t row,
                      float *p, bool *taken)
{
    int64_t experts = args->logits.shape[1], top_k = args->top_k;
    int32_t *chosen = (int32_t *)(void *)qvl_cpu_at(&args->chosen, row);
    float *weights = p + experts;
    double sum = 0;
    simd->load(args->logits.dtype, qvl_cpu_at(&args->logits, row), p, experts);
    probabilities(p, experts);
    memset(taken, 0, (size_t)experts * sizeof *taken);
    for (int64_t s = 0; s < top_k; s++) {
        int64_t expert = largest_left(p, taken, experts);
        taken[expert] = true;
        chosen[s] = (int32_t)expert;
        weights[s] = p[expert];
        sum += p[expert];
    }
    for (int64_t s = 0; s < top_k; s++)
        weights[s] = (float)(weights[s] / sum);
    simd->store(args->weights.dtype, weights, qvl_cpu_at(&args->weights, row), top_k);
}

enum qvl_status qvl_cpu_moe_route(struct qvl_backend *backend, const struct qvl_moe_route_args *args,
                                  struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->logits.shape[0], experts = args->logits.shape[1];
    float *values;
    bool *taken;
    QVL_TRY(qvl_moe_route_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "moe_route", error));
    CPU_SCRATCH(state, values, state->threads * 2 * experts * 4, error);
    CPU_SCRATCH(state, taken, state->threads * experts, error);
#pragma omp parallel for num_threads(qvl_cpu_team(state, n *experts * args->top_k)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        route_row(state->simd, args, i, values + qvl_cpu_thread() * 2 * experts,
                  taken + qvl_cpu_thread() * experts);
    return QVL_OK;
}

/* Rows and slots sorted by expert: pair[first[e] .. first[e+1]) belong to expert e, in row order. A pair is
 * row * top_k + slot. */
struct groups {
    int64_t *first, *pair;
};

static enum qvl_status group_pairs(struct cpu_state *state, const struct qvl_moe_experts_args *args,
                                   struct groups *groups, struct qvl_error *error)
{
    int64_t n = args->x.shape[0], top_k = args->chosen.shape[1], experts = args->gate_up->experts;
    CPU_SCRATCH(state, groups->first, (experts + 2) * 8, error);
    CPU_SCRATCH(state, groups->pair, n * top_k * 8, error);
    memset(groups->first, 0, (size_t)(experts + 2) * sizeof(int64_t));
    for (int64_t i = 0; i < n; i++)
        for (int64_t s = 0; s < top_k; s++) {
            int64_t e = ((const int32_t *)(const void *)qvl_cpu_at(&args->chosen, i))[s];
            if (e < 0 || e >= experts)
                return qvl_fail(error, QVL_USAGE,
                                "moe_experts.chosen[%lld][%lld]: is %lld, there are experts 0 to %lld",
                                (long long)i, (long long)s, (long long)e, (long long)experts - 1);
            groups->first[e + 2]++;
        }
    for (int64_t e = 2; e < experts + 2; e++) /* first[e+1] becomes where expert e begins */
        groups->first[e] += groups->first[e - 1];
    for (int64_t i = 0; i < n; i++)
        for (int64_t s = 0; s < top_k; s++) {
            int64_t e = ((const int32_t *)(const void *)qvl_cpu_at(&args->chosen, i))[s];
            groups->pair[groups->first[e + 1]++] = i * top_k + s;
        }
    return QVL_OK;
}

/* Buffers for the rows of one expert: gathered x, gate and up, the product, the result. */
struct expert_rows {
    struct qvl_tensor x, gate_up, act, y;
};

static enum qvl_status make_rows(struct cpu_state *state, const struct qvl_moe_experts_args *args,
                                 int64_t count, struct expert_rows *rows, struct qvl_error *error)
{
    enum qvl_dtype dtype = args->x.dtype;
    int64_t hidden = args->x.shape[1], inner = args->down->in;
    struct qvl_tensor *tensor[4] = {&rows->x, &rows->gate_up, &rows->act, &rows->y};
    int64_t columns[4] = {hidden, 2 * inner, inner, hidden};
    for (int i = 0; i < 4; i++) {
        void *data;
        CPU_SCRATCH(state, data, count * columns[i] * (int64_t)qvl_dtype_bytes(dtype), error);
        *tensor[i] = qvl_tensor_2d(data, dtype, count, columns[i]);
    }
    return QVL_OK;
}

static enum qvl_status run_expert(struct cpu_state *state, const struct qvl_moe_experts_args *args,
                                  int64_t expert, const int64_t *pair, struct expert_rows rows,
                                  struct qvl_error *error)
{
    struct cpu_matrix gate_up = qvl_cpu_matrix(args->gate_up, expert);
    struct cpu_matrix down = qvl_cpu_matrix(args->down, expert);
    int64_t top_k = args->chosen.shape[1], count = rows.x.shape[0], inner = down.in;
    int64_t size = (int64_t)qvl_dtype_bytes(args->x.dtype);
    for (int64_t i = 0; i < count; i++)
        memcpy(qvl_cpu_at(&rows.x, i), qvl_cpu_at(&args->x, pair[i] / top_k),
               (size_t)(rows.x.shape[1] * size));
    QVL_TRY(qvl_cpu_gemm(state, &rows.x, &gate_up, NULL, &rows.gate_up, error));
#pragma omp parallel for num_threads(qvl_cpu_team(state, count *inner)) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        char *gate = qvl_cpu_at(&rows.gate_up, i);
        qvl_cpu_swiglu_piece(state->simd, args->x.dtype, gate, gate + inner * size, qvl_cpu_at(&rows.act, i),
                             inner);
    }
    QVL_TRY(qvl_cpu_gemm(state, &rows.act, &down, NULL, &rows.y, error));
    for (int64_t i = 0; i < count; i++)
        memcpy(qvl_cpu_at2(&args->y, pair[i] / top_k, pair[i] % top_k), qvl_cpu_at(&rows.y, i),
               (size_t)(rows.y.shape[1] * size));
    return QVL_OK;
}

enum qvl_status qvl_cpu_moe_experts(struct qvl_backend *backend, const struct qvl_moe_experts_args *args,
                                    struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    struct groups groups;
    struct expert_rows rows;
    int64_t most = 0, hidden = args->x.shape[1];
    QVL_TRY(qvl_moe_experts_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "moe_experts", error));
    QVL_TRY(qvl_cpu_weight_fits(args->down, QVL_USE_EXPERTS, hidden, -1, "moe_experts.down", error));
    QVL_TRY(qvl_cpu_weight_fits(args->gate_up, QVL_USE_EXPERTS, 2 * args->down->in, hidden,
                                "moe_experts.gate_up", error));
    if (args->gate_up->experts != args->down->experts)
        return qvl_fail(error, QVL_USAGE, "moe_experts: gate_up has %lld experts, down %lld",
                        (long long)args->gate_up->experts, (long long)args->down->experts);
    QVL_TRY(group_pairs(state, args, &groups, error));
    for (int64_t e = 0; e < args->down->experts; e++)
        if (groups.first[e + 1] - groups.first[e] > most)
            most = groups.first[e + 1] - groups.first[e];
    QVL_TRY(make_rows(state, args, most, &rows, error));
    for (int64_t e = 0; e < args->down->experts; e++) {
        int64_t count = groups.first[e + 1] - groups.first[e];
        if (count == 0)
            continue;
        rows.x.shape[0] = rows.gate_up.shape[0] = rows.act.shape[0] = rows.y.shape[0] = count;
        QVL_TRY(run_expert(state, args, e, groups.pair + groups.first[e], rows, error));
    }
    return QVL_OK;
}

static void combine_row(const struct cpu_simd *simd, const struct qvl_moe_combine_args *args, int64_t row,
                        float *work)
{
    int64_t top_k = args->x.shape[1], dim = args->x.shape[2];
    enum qvl_dtype dtype = args->y.dtype;
    float *weights = work, *sum = work + top_k, *term = sum + dim;
    simd->load(args->weights.dtype, qvl_cpu_at(&args->weights, row), weights, top_k);
    memset(sum, 0, (size_t)dim * sizeof *sum);
    for (int64_t s = 0; s < top_k; s++) {
        simd->load(args->x.dtype, qvl_cpu_at2(&args->x, row, s), term, dim);
        simd->multiply(term, weights[s], dim);
        simd->round(dtype, term, dim);
        for (int64_t i = 0; i < dim; i++)
            sum[i] += term[i];
    }
    simd->store(dtype, sum, qvl_cpu_at(&args->y, row), dim);
}

enum qvl_status qvl_cpu_moe_combine(struct qvl_backend *backend, const struct qvl_moe_combine_args *args,
                                    struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->x.shape[0], each = args->x.shape[1] + 2 * args->x.shape[2];
    float *work;
    QVL_TRY(qvl_moe_combine_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "moe_combine", error));
    CPU_SCRATCH(state, work, state->threads * each * 4, error);
#pragma omp parallel for num_threads(qvl_cpu_team(state, qvl_tensor_count(&args->x))) schedule(static)
    for (int64_t i = 0; i < n; i++)
        combine_row(state->simd, args, i, work + qvl_cpu_thread() * each);
    return QVL_OK;
}
