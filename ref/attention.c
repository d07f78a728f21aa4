/* Causal grouped-query attention (Ainslie et al. 2023) over the KV cache: query head h reads KV head
 * h / (heads / kv_heads); row i of a segment of `count` rows sees keys 0 .. length - count + i. */
#include "ref/kernels.h"

/* Query head h of every row of the segment. */
static void attend_head(const struct qvl_attention_args *args, const struct qvl_segment *segment, int64_t h,
                        struct qvl_ref_attend *attend)
{
    const int64_t heads = args->q.shape[1], d = args->q.shape[2];
    for (int64_t i = 0; i < segment->count; i++) {
        const int64_t row = segment->first + i;
        const int64_t visible = attend->capacity - segment->count + i + 1;
        attend->keys = visible > 0 ? visible : 0;
        qvl_ref_load(&args->q, row, h, attend->q);
        qvl_ref_attend(attend);
        for (int64_t c = 0; args->cond && c < d; c++)
            qvl_bound_put(args->cond, (row * heads + h) * d + c, attend->y[c], attend->y_bound[c]);
        qvl_round_row(&attend->rounding, d, attend->y);
        qvl_ref_store(attend->y, &args->y, row, h);
    }
}

static enum qvl_status attend_segment(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                      const struct qvl_segment *segment, struct qvl_error *error)
{
    const struct qvl_cache *cache = segment->cache;
    const int64_t layer = args->layer, kv_heads = cache->desc.kv_heads, ratio = args->q.shape[1] / kv_heads;
    struct qvl_ref_attend attend = {.head_dim = args->q.shape[2],
                                    .capacity = cache->length[layer],
                                    .scale = (double)args->scale,
                                    .rounding = qvl_ref_rounding(backend, args->y.dtype),
                                    .cond = args->cond};
    QVL_TRY(qvl_ref_attend_open(&attend, "attention", error));
    for (int64_t g = 0; g < kv_heads; g++) {
        for (int64_t j = 0; j < attend.capacity; j++)
            qvl_ref_attend_set(&attend, j, qvl_ref_cache_at(cache, cache->k, layer, j, g),
                               qvl_ref_cache_at(cache, cache->v, layer, j, g));
        for (int64_t h = g * ratio; h < (g + 1) * ratio; h++)
            attend_head(args, segment, h, &attend);
    }
    qvl_ref_attend_close(&attend);
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
