/* Output head: logits of chosen rows. */
#include "ref/kernels.h"

enum qvl_status qvl_ref_output_head(struct qvl_backend *backend, const struct qvl_output_head_args *args,
                                    struct qvl_error *error)
{
    QVL_TRY(qvl_output_head_check(args, error));
    QVL_TRY(
        qvl_ref_weight_check("output_head.weight", args->weight, args->y.shape[1], args->x.shape[1], error));
    return qvl_ref_project(
        backend,
        &(struct qvl_ref_projection){
            .x = &args->x, .rows = args->rows, .weight = args->weight, .y = &args->y, .cond = args->cond},
        error);
}
