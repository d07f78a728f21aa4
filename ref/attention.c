/* Causal grouped-query attention (Ainslie et al. 2023) over the KV cache: query head h reads KV head
 * h / (heads / kv_heads); row i of a segment of `count` rows sees keys 0 .. length - count + i. */
#include "ref/kernels.h"

/* Keys of one KV head as lanes [d][length], values as rows [length][d]. */
static void gather(const struct qvl_cache *cache, int64_t layer, int64_t length, int64_t head, double *row,
                   double *k_lanes, double *v)
{
    const int64_t d = cache->desc.head_dim;
    for (int64_t j = 0; j < length; j++) {
        qvl_load_row(qvl_ref_cache_at(cache, cache->k, layer, j, head), cache->desc.storage, d, row);
        for (int64_t c = 0; c < d; c++)
            k_lanes[c * length + j] = row[c];
        qvl_load_row(qvl_ref_cache_at(cache, cache->v, layer, j, head), cache->desc.storage, d, v + j * d);
    }
}

/* Query head h of every row of the segment, over the gathered keys. */
static void attend_head(const struct qvl_attention_args *args, const struct qvl_segment *segment, int64_t h,
                        int64_t length, struct qvl_ref_attend *attend, double *q, double *y)
{
    const int64_t heads = args->q.shape[1], d = args->q.shape[2];
    for (int64_t i = 0; i < segment->count; i++) {
        const int64_t row = segment->first + i;
        const int64_t visible = length - segment->count + i + 1;
        attend->keys = visible > 0 ? visible : 0;
        qvl_ref_load(&args->q, row, h, q);
        qvl_ref_attend(attend, q, y);
        for (int64_t c = 0; args->cond && c < d; c++)
            qvl_bound_put(args->cond, (row * heads + h) * d + c, y[c], attend->y_bound[c]);
        qvl_round_row(&attend->rounding, d, y);
        qvl_ref_store(y, &args->y, row, h);
    }
}

static enum qvl_status attend_segment(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                      const struct qvl_segment *segment, struct qvl_error *error)
{
    const struct qvl_cache *cache = segment->cache;
    const int64_t heads = args->q.shape[1], d = args->q.shape[2];
    const int64_t kv_heads = cache->desc.kv_heads, length = cache->length[args->layer];
    double *k_lanes, *v, *q, *y;
    QVL_TRY(qvl_ref_doubles("attention", length * (2 * d + 4) + 3 * d, &k_lanes, error));
    v = k_lanes + length * d;
    q = v + length * d;
    y = q + d;
    struct qvl_ref_attend attend = {.head_dim = d,
                                    .key_stride = length,
                                    .k_lanes = k_lanes,
                                    .v = v,
                                    .scale = (double)args->scale,
                                    .rounding = qvl_ref_rounding(backend, args->y.dtype),
                                    .cond = args->cond,
                                    .y_bound = y + d,
                                    .p = y + 2 * d};
    for (int64_t g = 0; g < kv_heads; g++) {
        gather(cache, args->layer, length, g, q, k_lanes, v);
        for (int64_t h = g * (heads / kv_heads); h < (g + 1) * (heads / kv_heads); h++)
            attend_head(args, segment, h, length, &attend, q, y);
    }
    free(k_lanes);
    return QVL_OK;
}

enum qvl_status qvl_ref_attention(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                  struct qvl_error *error)
{
    QVL_TRY(qvl_attention_check(args, error));
    for (int64_t s = 0; s < args->segment_count; s++) {
        const struct qvl_cache *cache = args->segments[s].cache;
        QVL_TRY(qvl_ref_cache_check("attention", cache, args->layer, args->q.dtype, args->q.shape[2], error));
        if (args->q.shape[1] % cache->desc.kv_heads)
            return qvl_fail(error, QVL_USAGE, "attention.q: %lld heads are no multiple of the cache's %lld",
                            (long long)args->q.shape[1], (long long)cache->desc.kv_heads);
    }
    for (int64_t s = 0; s < args->segment_count; s++)
        QVL_TRY(attend_segment(backend, args, &args->segments[s], error));
    return QVL_OK;
}
