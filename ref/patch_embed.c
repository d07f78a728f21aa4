/* Patch embedding: Conv3d with kernel = stride, as a matrix product over flattened patches. */
#include "ref/kernels.h"

enum qvl_status qvl_ref_patch_embed(struct qvl_backend *backend, const struct qvl_patch_embed_args *args,
                                    struct qvl_error *error)
{
    QVL_TRY(qvl_patch_embed_check(args, error));
    QVL_TRY(
        qvl_ref_weight_check("patch_embed.weight", args->weight, args->y.shape[1], args->x.shape[1], error));
    return qvl_ref_project(backend,
                           &(struct qvl_ref_projection){.x = &args->x,
                                                        .round_input = true,
                                                        .weight = args->weight,
                                                        .bias = args->bias,
                                                        .y = &args->y,
                                                        .cond = args->cond},
                           error);
}
