/* Vision attention: bidirectional inside each segment (one segment a frame), nothing across segments. */
#include "ref/kernels.h"

/* Keys of one head and segment as lanes [d][keys], values as rows [keys][d]. */
static void gather(const struct qvl_vision_attention_args *args, int64_t first, int64_t keys, int64_t head,
                   double *row, double *k_lanes, double *v)
{
    const int64_t d = args->q.shape[2];
    for (int64_t j = 0; j < keys; j++) {
        qvl_ref_load(&args->k, first + j, head, row);
        for (int64_t c = 0; c < d; c++)
            k_lanes[c * keys + j] = row[c];
        qvl_ref_load(&args->v, first + j, head, v + j * d);
    }
}

static enum qvl_status attend_segment(struct qvl_backend *backend,
                                      const struct qvl_vision_attention_args *args, int64_t first,
                                      int64_t keys, struct qvl_error *error)
{
    const int64_t heads = args->q.shape[1], d = args->q.shape[2];
    double *k_lanes, *v, *q, *y;
    QVL_TRY(qvl_ref_doubles("vision_attention", keys * (2 * d + 4) + 3 * d, &k_lanes, error));
    v = k_lanes + keys * d;
    q = v + keys * d;
    y = q + d;
    const struct qvl_ref_attend attend = {.head_dim = d,
                                          .keys = keys,
                                          .key_stride = keys,
                                          .k_lanes = k_lanes,
                                          .v = v,
                                          .scale = (double)args->scale,
                                          .rounding = qvl_ref_rounding(backend, args->y.dtype),
                                          .cond = args->cond,
                                          .y_bound = y + d,
                                          .p = y + 2 * d};
    for (int64_t h = 0; h < heads; h++) {
        gather(args, first, keys, h, q, k_lanes, v);
        for (int64_t i = first; i < first + keys; i++) {
            qvl_ref_load(&args->q, i, h, q);
            qvl_ref_attend(&attend, q, y);
            for (int64_t c = 0; args->cond && c < d; c++)
                qvl_bound_put(args->cond, (i * heads + h) * d + c, y[c], attend.y_bound[c]);
            qvl_round_row(&attend.rounding, d, y);
            qvl_ref_store(y, &args->y, i, h);
        }
    }
    free(k_lanes);
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
