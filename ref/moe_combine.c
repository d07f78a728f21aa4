/* MoE combine: y[i] = r( sum_s r( weights[i][s] x[i][s] ) ). */
#include "ref/kernels.h"

enum qvl_status qvl_ref_moe_combine(struct qvl_backend *backend, const struct qvl_moe_combine_args *args,
                                    struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t slots = args->x.shape[1], h = args->x.shape[2];
    double *sum, *x, *weights, *bound;
    QVL_TRY(qvl_moe_combine_check(args, error));
    QVL_TRY(qvl_ref_doubles("moe_combine", 3 * h + slots, &sum, error));
    x = sum + h;
    bound = x + h;
    weights = bound + h;
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        qvl_ref_load(&args->weights, i, 0, weights);
        for (int64_t j = 0; j < h; j++)
            sum[j] = bound[j] = 0;
        for (int64_t s = 0; s < slots; s++) {
            qvl_ref_load(&args->x, i, s, x);
            for (int64_t j = 0; j < h; j++) {
                const double product = weights[s] * x[j];
                if (args->cond)
                    bound[j] +=
                        qvl_bound_sum(args->cond, slots, fabs(product)) +
                        qvl_bound_round(r.dtype, product, qvl_bound_product(args->cond, r.dtype, product));
                sum[j] += qvl_round(&r, product);
            }
        }
        for (int64_t j = 0; args->cond && j < h; j++)
            qvl_bound_put(args->cond, i * h + j, sum[j], bound[j]);
        qvl_round_row(&r, h, sum);
        qvl_ref_store(sum, &args->y, i, 0);
    }
    free(sum);
    return QVL_OK;
}
