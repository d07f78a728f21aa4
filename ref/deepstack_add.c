/* DeepStack add: y[rows[i]] = r( y[rows[i]] + src[i] ). */
#include "ref/kernels.h"

enum qvl_status qvl_ref_add_rows(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                 struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t n = args->y.shape[1];
    double *sum, *src;
    QVL_TRY(qvl_add_rows_check(args, error));
    QVL_TRY(qvl_ref_doubles("add_rows", 2 * n, &sum, error));
    src = sum + n;
    for (int64_t i = 0; i < args->src.shape[0]; i++) {
        qvl_ref_load(&args->y, args->rows[i], 0, sum);
        qvl_ref_load(&args->src, i, 0, src);
        for (int64_t j = 0; j < n; j++) {
            sum[j] += src[j];
            if (args->cond)
                qvl_bound_put(args->cond, i * n + j, sum[j], args->cond->accumulate * fabs(sum[j]));
        }
        qvl_round_row(&r, n, sum);
        qvl_ref_store(sum, &args->y, args->rows[i], 0);
    }
    free(sum);
    return QVL_OK;
}
