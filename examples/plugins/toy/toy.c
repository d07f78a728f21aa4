/* The smallest plugin: one entry of the op table, in the one type it has been written for. */
#include "qvl/plugin.h"

static enum qvl_status add(struct qvl_backend *backend, const struct qvl_add_args *args,
                           struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(qvl_add_check(args, error));
    if (args->y.dtype != QVL_F32 || args->cond)
        return qvl_fail(error, QVL_UNSUPPORTED, "add: written for f32 only");
    for (int64_t i = 0; i < args->y.shape[0]; i++)
        for (int64_t j = 0; j < args->y.shape[1]; j++)
            *qvl_plugin_f32(&args->y, i, j) =
                *qvl_plugin_f32(&args->a, i, j) + *qvl_plugin_f32(&args->b, i, j);
    return QVL_OK;
}

QVL_PLUGIN("toy", "one loop over float32", ops->add = add)
