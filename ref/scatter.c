/* Visual scatter: y[rows[i]] = src[i]. */
#include "ref/kernels.h"

enum qvl_status qvl_ref_scatter_rows(struct qvl_backend *backend, const struct qvl_scatter_rows_args *args,
                                     struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(qvl_scatter_rows_check(args, error));
    for (int64_t i = 0; i < args->src.shape[0]; i++)
        memcpy(qvl_ref_at(&args->y, args->rows[i], 0), qvl_ref_at(&args->src, i, 0),
               (size_t)args->src.shape[1] * qvl_dtype_bytes(args->src.dtype));
    return QVL_OK;
}
