/* attention over KV caches and vision_attention inside segments. */
#include "attend.h"

enum { BLOCK = 16 }; /* rows of a block of a paged cache */

/* Keys that the kernel believes a segment to have. */
static int64_t length_of(const struct qvl_backend *backend, const struct qvl_attention_args *args, int64_t s)
{
    struct honest_state *state = backend->state;
    const struct qvl_segment *segment = &args->segments[s];
    const int64_t capacity = segment->cache->desc.capacity;
    int64_t length = segment->cache->length[args->layer];
    if (honest_fault(backend, QVL_FAULT_ATTN_CAPACITY_AS_LENGTH))
        length = honest_least((length + BLOCK - 1) / BLOCK * BLOCK, capacity);
    if (honest_fault(backend, QVL_FAULT_ATTN_DECODE_BATCH_NAN))
        length = honest_least(args->segments[0].cache->length[args->layer], capacity);
    if (honest_fault(backend, QVL_FAULT_RACE_GRAPH_DECODE) && segment->count == 1) {
        if (state->leak.visible == 0)
            state->leak.visible = length;
        length = honest_least(length, state->leak.visible);
    }
    return length;
}

static float text_scale(const struct qvl_backend *backend, const struct qvl_attention_args *args)
{
    if (honest_fault(backend, QVL_FAULT_ATTN_SCALE_HIDDEN_OVER_HEADS))
        return args->scale * sqrtf(1.6F); /* heads of 128 in a model of 80 a head */
    if (honest_fault(backend, QVL_FAULT_ATTN_SCALE_OF_ITS_OWN))
        return 1 / sqrtf((float)args->q.shape[2]);
    return args->scale;
}

enum qvl_status honest_attention(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                 struct qvl_error *error)
{
    QVL_TRY(qvl_attention_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "attention", error));
    for (int64_t s = 0; s < args->segment_count; s++) {
        const struct qvl_cache *cache = args->segments[s].cache;
        QVL_TRY(honest_cache_check("attention", cache, args->layer, args->q.dtype, QVL_CHECK_ANY,
                                   args->q.shape[2], error));
        if (args->q.shape[1] % cache->desc.kv_heads)
            return qvl_fail(error, QVL_USAGE, "attention.q: %lld heads are no multiple of the cache's %lld",
                            (long long)args->q.shape[1], (long long)cache->desc.kv_heads);
    }
    for (int64_t s = 0; s < args->segment_count; s++) {
        const struct qvl_segment *segment = &args->segments[s];
        struct attend attend = {.backend = backend,
                                .source = {.cache = segment->cache, .layer = args->layer},
                                .d = args->q.shape[2],
                                .heads = args->q.shape[1],
                                .kv_heads = segment->cache->desc.kv_heads,
                                .length = length_of(backend, args, s),
                                .room = segment->cache->desc.capacity,
                                .count = segment->count,
                                .first = segment->first,
                                .causal = true,
                                .scale = text_scale(backend, args),
                                .q = &args->q,
                                .y = &args->y};
        QVL_TRY(attend_segment(&attend, error));
    }
    return QVL_OK;
}

/* 1 / sqrt(d) after zero padding to whole vectors of 16. */
static float vision_scale(const struct qvl_backend *backend, const struct qvl_vision_attention_args *args)
{
    const int64_t d = args->q.shape[2], padded = (d + 15) / 16 * 16;
    if (honest_fault(backend, QVL_FAULT_VIT_SCALE_PADDED_DIM))
        return args->scale * sqrtf((float)d / (float)padded);
    return args->scale;
}

enum qvl_status honest_vision_attention(struct qvl_backend *backend,
                                        const struct qvl_vision_attention_args *args, struct qvl_error *error)
{
    QVL_TRY(qvl_vision_attention_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "vision_attention", error));
    for (int64_t s = 0; s < args->segment_count; s++) {
        int64_t from = args->segment_starts[s], to = args->segment_starts[s + 1];
        const int64_t count = to - from;
        struct attend attend = {.backend = backend,
                                .d = args->q.shape[2],
                                .heads = args->q.shape[1],
                                .kv_heads = args->q.shape[1],
                                .count = count,
                                .first = from,
                                .scale = vision_scale(backend, args),
                                .q = &args->q,
                                .y = &args->y};
        if (honest_fault(backend, QVL_FAULT_VIT_MASK_DROPPED))
            to = args->q.shape[0];
        if (honest_fault(backend, QVL_FAULT_VIT_MASK_DROPPED) ||
            honest_fault(backend, QVL_FAULT_VIT_MASK_NOT_BLOCK_DIAGONAL))
            from = 0;
        attend.source = (struct attend_source){.k = &args->k, .v = &args->v, .base = from};
        attend.length = attend.room = to - from;
        QVL_TRY(attend_segment(&attend, error));
    }
    return QVL_OK;
}
