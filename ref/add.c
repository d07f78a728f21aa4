/* Residual: y = r( a + b ). */
#include "ref/kernels.h"

enum qvl_status qvl_ref_add(struct qvl_backend *backend, const struct qvl_add_args *args,
                            struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t n = args->y.shape[1];
    double *a, *b;
    QVL_TRY(qvl_add_check(args, error));
    QVL_TRY(qvl_ref_doubles("add", 2 * n, &a, error));
    b = a + n;
    for (int64_t i = 0; i < args->y.shape[0]; i++) {
        qvl_ref_load(&args->a, i, 0, a);
        qvl_ref_load(&args->b, i, 0, b);
        for (int64_t j = 0; j < n; j++) {
            a[j] += b[j];
            if (args->cond)
                qvl_bound_put(args->cond, i * n + j, a[j], args->cond->accumulate * fabs(a[j]));
        }
        qvl_round_row(&r, n, a);
        qvl_ref_store(a, &args->y, i, 0);
    }
    free(a);
    return QVL_OK;
}
