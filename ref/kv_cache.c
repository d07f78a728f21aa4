/* The KV cache of one sequence: [layer][row][kv_head][dim], as long as its capacity from the start. */
#include "ref/kv_cache.h"

#include "ref/kernels.h"

static size_t store_bytes(const struct qvl_cache_desc *desc, int64_t rows)
{
    return (size_t)desc->layers * (size_t)rows * (size_t)desc->kv_heads * (size_t)desc->head_dim *
           qvl_dtype_bytes(desc->storage);
}

enum qvl_status qvl_ref_cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                     struct qvl_cache **cache, struct qvl_error *error)
{
    struct qvl_cache *made;
    int64_t count;
    (void)backend;
    *cache = NULL;
    if (desc->layers < 1 || desc->kv_heads < 1 || desc->head_dim < 1 || desc->capacity < 0 ||
        !qvl_dtype_is_storage(desc->storage))
        return qvl_fail(error, QVL_USAGE,
                        "cache: %lld layers, %lld KV heads of %lld, capacity %lld, type %s is no cache",
                        (long long)desc->layers, (long long)desc->kv_heads, (long long)desc->head_dim,
                        (long long)desc->capacity, qvl_dtype_name(desc->storage));
    if (__builtin_mul_overflow(desc->layers, desc->kv_heads, &count) ||
        __builtin_mul_overflow(count, desc->head_dim, &count) ||
        __builtin_mul_overflow(count, desc->capacity, &count) || count > INT64_MAX / 16)
        return qvl_fail(error, QVL_NO_MEMORY, "cache: a capacity of %lld rows exceeds every address space",
                        (long long)desc->capacity);
    made = calloc(1, sizeof *made);
    if (made) {
        const size_t bytes = store_bytes(desc, desc->capacity);
        made->desc = *desc;
        made->length = calloc((size_t)desc->layers, sizeof *made->length);
        made->k = malloc(bytes ? bytes : 1);
        made->v = malloc(bytes ? bytes : 1);
        if (made->length && made->k && made->v) {
            *cache = made;
            return QVL_OK;
        }
    }
    qvl_ref_cache_destroy(backend, made);
    return qvl_fail(error, QVL_NO_MEMORY, "cache: 2 x %zu bytes for %lld rows are not available",
                    store_bytes(desc, desc->capacity), (long long)desc->capacity);
}

void qvl_ref_cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache)
{
    (void)backend;
    if (!cache)
        return;
    free(cache->length);
    free(cache->k);
    free(cache->v);
    free(cache);
}

int64_t qvl_ref_cache_length(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer)
{
    (void)backend;
    return layer >= 0 && layer < cache->desc.layers ? cache->length[layer] : 0;
}

enum qvl_status qvl_ref_cache_truncate(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                       struct qvl_error *error)
{
    (void)backend;
    if (length < 0)
        return qvl_fail(error, QVL_USAGE, "cache_truncate.length: is %lld, expected 0 or more",
                        (long long)length);
    for (int64_t layer = 0; layer < cache->desc.layers; layer++)
        if (cache->length[layer] > length)
            cache->length[layer] = length;
    return QVL_OK;
}

enum qvl_status qvl_ref_cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                   struct qvl_cache **copy, struct qvl_error *error)
{
    const struct qvl_cache_desc *desc = &cache->desc;
    const enum qvl_status status = qvl_ref_cache_create(backend, desc, copy, error);
    struct qvl_cache *made = *copy;
    if (!made)
        return status;
    for (int64_t layer = 0; layer < desc->layers; layer++) {
        const size_t bytes = store_bytes(desc, cache->length[layer]) / (size_t)desc->layers;
        made->length[layer] = cache->length[layer];
        memcpy(qvl_ref_cache_at(made, made->k, layer, 0, 0), qvl_ref_cache_at(cache, cache->k, layer, 0, 0),
               bytes);
        memcpy(qvl_ref_cache_at(made, made->v, layer, 0, 0), qvl_ref_cache_at(cache, cache->v, layer, 0, 0),
               bytes);
    }
    return QVL_OK;
}

enum qvl_status qvl_ref_cache_export(struct qvl_backend *backend, const struct qvl_cache *cache,
                                     int64_t layer, int64_t first, int64_t count, void *host_k, void *host_v,
                                     struct qvl_error *error)
{
    const int64_t length = qvl_ref_cache_length(backend, cache, layer);
    size_t bytes;
    if (layer < 0 || layer >= cache->desc.layers || first < 0 || count < 0 || first > length - count)
        return qvl_fail(error, QVL_USAGE, "cache_export: rows %lld + %lld of layer %lld, which has %lld",
                        (long long)first, (long long)count, (long long)layer, (long long)length);
    bytes = store_bytes(&cache->desc, count) / (size_t)cache->desc.layers;
    if (bytes > 0) {
        memcpy(host_k, qvl_ref_cache_at(cache, cache->k, layer, first, 0), bytes);
        memcpy(host_v, qvl_ref_cache_at(cache, cache->v, layer, first, 0), bytes);
    }
    return QVL_OK;
}

enum qvl_status qvl_ref_cache_check(const char *op, const struct qvl_cache *cache, int64_t layer,
                                    enum qvl_dtype dtype, int64_t head_dim, struct qvl_error *error)
{
    const struct qvl_cache_desc *desc = &cache->desc;
    if (layer >= desc->layers)
        return qvl_fail(error, QVL_USAGE, "%s.layer: is %lld, the cache has %lld layers", op,
                        (long long)layer, (long long)desc->layers);
    if (head_dim != desc->head_dim)
        return qvl_fail(error, QVL_USAGE, "%s: head_dim is %lld, the cache's %lld", op, (long long)head_dim,
                        (long long)desc->head_dim);
    if (dtype != desc->storage)
        return qvl_fail(error, QVL_UNSUPPORTED, "%s: type is %s, the cache stores %s", op,
                        qvl_dtype_name(dtype), qvl_dtype_name(desc->storage));
    return QVL_OK;
}

enum qvl_status qvl_ref_cache_append(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                     struct qvl_error *error)
{
    const size_t bytes = (size_t)args->k.shape[2] * qvl_dtype_bytes(args->k.dtype);
    (void)backend;
    QVL_TRY(qvl_cache_append_check(args, error));
    for (int64_t s = 0; s < args->segment_count; s++) {
        const struct qvl_segment *segment = &args->segments[s];
        struct qvl_cache *cache = segment->cache;
        int64_t length;
        QVL_TRY(
            qvl_ref_cache_check("cache_append", cache, args->layer, args->k.dtype, args->k.shape[2], error));
        if (args->k.shape[1] != cache->desc.kv_heads)
            return qvl_fail(error, QVL_USAGE, "cache_append.k: has %lld heads, the cache %lld",
                            (long long)args->k.shape[1], (long long)cache->desc.kv_heads);
        length = cache->length[args->layer];
        if (segment->count > cache->desc.capacity - length)
            return qvl_fail(error, QVL_NO_MEMORY,
                            "cache_append: %lld rows more than the %lld of the cache's %lld that are free",
                            (long long)segment->count, (long long)(cache->desc.capacity - length),
                            (long long)cache->desc.capacity);
        for (int64_t i = 0; i < segment->count; i++)
            for (int64_t h = 0; h < cache->desc.kv_heads; h++) {
                memcpy(qvl_ref_cache_at(cache, cache->k, args->layer, length + i, h),
                       qvl_ref_at(&args->k, segment->first + i, h), bytes);
                memcpy(qvl_ref_cache_at(cache, cache->v, args->layer, length + i, h),
                       qvl_ref_at(&args->v, segment->first + i, h), bytes);
            }
        cache->length[args->layer] = length + segment->count;
    }
    return QVL_OK;
}
