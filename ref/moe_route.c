/* MoE routing: p = softmax(logits) over all experts, the top_k largest, weights renormalised. */
#include "ref/kernels.h"

/* The largest probability not yet taken, lowest index among equals; the first free one when all are NaN. */
static int64_t take_largest(int64_t experts, const double *p, bool *taken)
{
    int64_t best = -1;
    for (int64_t e = 0; e < experts; e++)
        if (!taken[e] && (best < 0 || p[e] > p[best]))
            best = e;
    taken[best] = true;
    return best;
}

/* weights w_s = p_s / sum of the chosen p: relative errors of p_s and of the sum add up. */
static void report(const struct qvl_moe_route_args *args, int64_t row, const double *bound, const double *p,
                   const int32_t *chosen, double sum)
{
    const struct qvl_condition *cond = args->cond;
    double sum_bound = qvl_bound_sum(cond, args->top_k, sum);
    for (int64_t s = 0; s < args->top_k; s++)
        sum_bound += bound[chosen[s]];
    for (int64_t s = 0; s < args->top_k; s++) {
        const double weight = p[chosen[s]] / sum;
        qvl_bound_put(cond, row * args->top_k + s, weight,
                      bound[chosen[s]] / sum +
                          weight * (sum_bound / sum + (QVL_BOUND_FUNCTION + 1) * cond->accumulate));
    }
}

static void route_row(const struct qvl_moe_route_args *args, const struct qvl_rounding *r, int64_t row,
                      double *work, bool *taken, int32_t *chosen)
{
    const int64_t experts = args->logits.shape[1];
    double *logits = work, *p = work + experts, *weights = p + experts, *bound = weights + experts;
    double sum = 0;
    qvl_ref_load(&args->logits, row, 0, logits);
    qvl_ref_softmax_row(experts, logits, p);
    if (args->cond)
        qvl_ref_softmax_bound(experts, logits, p, NULL, args->cond, bound);
    for (int64_t e = 0; e < experts; e++) {
        p[e] = (double)(float)p[e]; /* the original compares float32 probabilities */
        taken[e] = false;
    }
    for (int64_t s = 0; s < args->top_k; s++) {
        chosen[s] = (int32_t)take_largest(experts, p, taken);
        weights[s] = p[chosen[s]];
        sum += weights[s];
    }
    if (args->cond)
        report(args, row, bound, p, chosen, sum);
    for (int64_t s = 0; s < args->top_k; s++)
        weights[s] /= sum;
    qvl_round_row(r, args->top_k, weights);
    qvl_ref_store(weights, &args->weights, row, 0);
    memcpy(qvl_ref_at(&args->chosen, row, 0), chosen, (size_t)args->top_k * sizeof *chosen);
}

enum qvl_status qvl_ref_moe_route(struct qvl_backend *backend, const struct qvl_moe_route_args *args,
                                  struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->weights.dtype);
    const int64_t experts = args->logits.shape[1];
    double *work;
    QVL_TRY(qvl_moe_route_check(args, error));
    QVL_TRY(qvl_ref_doubles("moe_route", 6 * experts, &work, error));
    for (int64_t i = 0; i < args->logits.shape[0]; i++)
        route_row(args, &r, i, work, (bool *)(work + 4 * experts), (int32_t *)(work + 5 * experts));
    free(work);
    return QVL_OK;
}
