/* Vision attention: bidirectional inside each segment (one segment a frame), nothing across segments. */
#include "ref/kernels.h"

static enum qvl_status attend_segment(struct qvl_backend *backend,
                                      const struct qvl_vision_attention_args *args, int64_t first,
                                      int64_t rows, struct qvl_error *error)
{
    const int64_t heads = args->q.shape[1], d = args->q.shape[2];
    struct qvl_ref_attend attend = {.head_dim = d,
                                    .capacity = rows,
                                    .keys = rows,
                                    .scale = (double)args->scale,
                                    .rounding = qvl_ref_rounding(backend, args->y.dtype),
                                    .cond = args->cond};
    QVL_TRY(qvl_ref_attend_open(&attend, "vision_attention", error));
    for (int64_t h = 0; h < heads; h++) {
        for (int64_t j = 0; j < rows; j++)
            qvl_ref_attend_set(&attend, j, qvl_ref_at(&args->k, first + j, h),
                               qvl_ref_at(&args->v, first + j, h));
        for (int64_t i = first; i < first + rows; i++) {
            qvl_ref_load(&args->q, i, h, attend.q);
            qvl_ref_attend(&attend);
            for (int64_t c = 0; args->cond && c < d; c++)
                qvl_bound_put(args->cond, (i * heads + h) * d + c, attend.y[c], attend.y_bound[c]);
            qvl_round_row(&attend.rounding, d, attend.y);
            qvl_ref_store(attend.y, &args->y, i, h);
        }
    }
    qvl_ref_attend_close(&attend);
    return QVL_OK;
}

enum qvl_status qvl_ref_vision_attention(struct qvl_backend *backend,
                                         const struct qvl_vision_attention_args *args,
                                         struct qvl_error *error)
{
    QVL_TRY(qvl_vision_attention_check(args, error));
    for (int64_t s = 0; s < args->segment_count; s++)
        QVL_TRY(attend_segment(backend, args, args->segment_starts[s],
                               args->segment_starts[s + 1] - args->segment_starts[s], error));
    return QVL_OK;
}
