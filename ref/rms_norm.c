/* RMSNorm (Zhang and Sennrich 2019): y = r( w r( x / sqrt(mean(x^2) + eps) ) ). QK-norm is the same on heads.
 */
#include "ref/kernels.h"

static double inverse_rms(int64_t n, const double *x, double eps)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum += x[j] * x[j];
    return 1 / sqrt(sum / (double)n + eps);
}

/* The mean of squares has terms of one sign, so x / rms is off by a relative error alone: half that of the
 * sum, of the division by n and of the sum with eps, then 1/sqrt and the product with x. */
static void report(const struct qvl_condition *cond, enum qvl_dtype dtype, int64_t first, int64_t n,
                   const double *normal, const double *w, double *scratch)
{
    const double relative = qvl_bound_sum(cond, qvl_bound_terms(n, normal, scratch), 0.5) +
                            (QVL_BOUND_FUNCTION + 2) * cond->accumulate;
    for (int64_t j = 0; j < n; j++) {
        const double rounded = qvl_round_nearest(dtype, normal[j]);
        const double bound = qvl_bound_round(dtype, normal[j], relative * fabs(normal[j]));
        qvl_bound_put(cond, first + j, w[j] * rounded,
                      fabs(w[j]) * bound + qvl_bound_product(cond, dtype, w[j] * rounded));
    }
}

enum qvl_status qvl_ref_rms_norm(struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                                 struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const bool by_head = args->x.rank == 3;
    const int64_t heads = by_head ? args->x.shape[1] : 1;
    double *x, *w;
    int64_t n;
    QVL_TRY(qvl_rms_norm_check(args, error));
    n = args->x.shape[args->x.rank - 1];
    QVL_TRY(qvl_ref_doubles("rms_norm", 3 * n, &x, error));
    w = x + n;
    qvl_load_row(args->weight.data, args->weight.dtype, n, w);
    for (int64_t row = 0; row < args->x.shape[0] * heads; row++) {
        double scale;
        qvl_ref_load(&args->x, row / heads, row % heads, x);
        scale = inverse_rms(n, x, args->eps);
        for (int64_t j = 0; j < n; j++)
            x[j] *= scale;
        if (args->cond)
            report(args->cond, r.dtype, row * n, n, x, w, w + n);
        qvl_round_row(&r, n, x);
        for (int64_t j = 0; j < n; j++)
            x[j] *= w[j];
        qvl_round_row(&r, n, x);
        qvl_ref_store(x, &args->y, row / heads, row % heads);
    }
    free(x);
    return QVL_OK;
}
