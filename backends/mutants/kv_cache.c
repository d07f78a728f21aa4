/* The KV cache of one sequence: head-major, as long as its capacity from the start. */
#include "honest.h"

enum { BLOCK = 16 }; /* rows of a block of the paged layout that a faulty slot mapping assumes */

static bool count_elements(const struct qvl_cache_desc *desc, int64_t *count)
{
    return !__builtin_mul_overflow(desc->layers, desc->kv_heads, count) &&
           !__builtin_mul_overflow(*count, desc->head_dim, count) &&
           !__builtin_mul_overflow(*count, desc->capacity, count) && *count < INT64_MAX / 16;
}

/* Memory of all bits set, which is NaN in every storage type: a kernel that reads beyond a length shows. */
static char *poisoned(int64_t count, enum qvl_dtype dtype)
{
    const size_t bytes = (size_t)count * qvl_dtype_bytes(dtype) + 1;
    char *memory = malloc(bytes);
    return memory ? memset(memory, 0xff, bytes) : NULL;
}

enum qvl_status honest_cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                    struct qvl_cache **cache, struct qvl_error *error)
{
    struct qvl_cache *made;
    int64_t count;
    *cache = NULL;
    if (desc->layers < 1 || desc->kv_heads < 1 || desc->head_dim < 1 || desc->capacity < 0 ||
        !qvl_dtype_is_storage(desc->storage))
        return qvl_fail(error, QVL_USAGE,
                        "cache: %lld layers, %lld KV heads of %lld, capacity %lld, type %s is no cache",
                        (long long)desc->layers, (long long)desc->kv_heads, (long long)desc->head_dim,
                        (long long)desc->capacity, qvl_dtype_name(desc->storage));
    if (!count_elements(desc, &count))
        return qvl_fail(error, QVL_NO_MEMORY, "cache: a capacity of %lld rows exceeds every address space",
                        (long long)desc->capacity);
    made = calloc(1, sizeof *made);
    if (made) {
        made->desc = *desc;
        made->length = calloc((size_t)desc->layers, sizeof *made->length);
        made->k = poisoned(count, desc->storage);
        made->v = poisoned(count, desc->storage);
        if (made->length && made->k && made->v) {
            *cache = made;
            return QVL_OK;
        }
    }
    honest_cache_destroy(backend, made);
    return qvl_fail(error, QVL_NO_MEMORY, "cache: no memory for 2 x %lld values of %s", (long long)count,
                    qvl_dtype_name(desc->storage));
}

void honest_cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache)
{
    (void)backend;
    if (!cache)
        return;
    free(cache->length);
    free(cache->k);
    free(cache->v);
    free(cache);
}

int64_t honest_cache_length(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer)
{
    (void)backend;
    return layer >= 0 && layer < cache->desc.layers ? cache->length[layer] : 0;
}

enum qvl_status honest_cache_truncate(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                      struct qvl_error *error)
{
    (void)backend;
    if (length < 0)
        return qvl_fail(error, QVL_USAGE, "cache_truncate.length: is %lld, expected 0 or more",
                        (long long)length);
    for (int64_t layer = 0; layer < cache->desc.layers; layer++)
        cache->length[layer] = honest_least(cache->length[layer], length);
    return QVL_OK;
}

enum qvl_status honest_cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                  struct qvl_cache **copy, struct qvl_error *error)
{
    const struct qvl_cache_desc *desc = &cache->desc;
    size_t bytes;
    QVL_TRY(honest_cache_create(backend, desc, copy, error));
    bytes = (size_t)(desc->layers * desc->kv_heads * desc->capacity * desc->head_dim) *
            qvl_dtype_bytes(desc->storage);
    memcpy((*copy)->k, cache->k, bytes);
    memcpy((*copy)->v, cache->v, bytes);
    memcpy((*copy)->length, cache->length, (size_t)desc->layers * sizeof *cache->length);
    return QVL_OK;
}

enum qvl_status honest_cache_export(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer,
                                    int64_t first, int64_t count, void *host_k, void *host_v,
                                    struct qvl_error *error)
{
    const int64_t length = honest_cache_length(backend, cache, layer), heads = cache->desc.kv_heads;
    const size_t bytes = (size_t)cache->desc.head_dim * qvl_dtype_bytes(cache->desc.storage);
    if (layer < 0 || layer >= cache->desc.layers || first < 0 || count < 0 || first > length - count)
        return qvl_fail(error, QVL_USAGE, "cache_export: rows %lld + %lld of layer %lld, which has %lld",
                        (long long)first, (long long)count, (long long)layer, (long long)length);
    for (int64_t i = 0; i < count; i++)
        for (int64_t h = 0; h < heads; h++) {
            memcpy((char *)host_k + (size_t)(i * heads + h) * bytes,
                   honest_cache_at(cache, cache->k, layer, h, first + i), bytes);
            memcpy((char *)host_v + (size_t)(i * heads + h) * bytes,
                   honest_cache_at(cache, cache->v, layer, h, first + i), bytes);
        }
    return QVL_OK;
}

enum qvl_status honest_cache_check(const char *op, const struct qvl_cache *cache, int64_t layer,
                                   enum qvl_dtype dtype, int64_t kv_heads, int64_t head_dim,
                                   struct qvl_error *error)
{
    const struct qvl_cache_desc *desc = &cache->desc;
    if (layer >= desc->layers)
        return qvl_fail(error, QVL_USAGE, "%s.layer: is %lld, the cache has %lld layers", op,
                        (long long)layer, (long long)desc->layers);
    if (head_dim != desc->head_dim || (kv_heads != QVL_CHECK_ANY && kv_heads != desc->kv_heads))
        return qvl_fail(error, QVL_USAGE, "%s: %lld heads of %lld, the cache has %lld of %lld", op,
                        (long long)kv_heads, (long long)head_dim, (long long)desc->kv_heads,
                        (long long)desc->head_dim);
    if (dtype != desc->storage)
        return qvl_fail(error, QVL_UNSUPPORTED, "%s: type is %s, the cache stores %s", op,
                        qvl_dtype_name(dtype), qvl_dtype_name(desc->storage));
    return QVL_OK;
}

/* Cache row of row i of an append that starts at `length`. */
static int64_t slot_of(const struct qvl_backend *backend, int64_t length, int64_t i)
{
    if (honest_fault(backend, QVL_FAULT_CACHE_SLOT_MAP_CHUNK))
        return length / BLOCK * BLOCK + (length + i) % BLOCK;
    return length + i;
}

static void store_row(const struct qvl_cache_append_args *args, struct qvl_cache *cache, int64_t row,
                      int64_t slot)
{
    const size_t bytes = (size_t)args->k.shape[2] * qvl_dtype_bytes(args->k.dtype);
    for (int64_t h = 0; h < cache->desc.kv_heads; h++) {
        memcpy(honest_cache_at(cache, cache->k, args->layer, h, slot), honest_at(&args->k, row, h), bytes);
        memcpy(honest_cache_at(cache, cache->v, args->layer, h, slot), honest_at(&args->v, row, h), bytes);
    }
}

/* Batch rows of no segment are padding, slot -1: counted from the end that is the last row of a cache. */
static void store_padding(const struct qvl_cache_append_args *args)
{
    for (int64_t row = 0; row < args->k.shape[0]; row++) {
        bool owned = false;
        for (int64_t s = 0; s < args->segment_count; s++)
            owned |=
                row >= args->segments[s].first && row < args->segments[s].first + args->segments[s].count;
        for (int64_t s = 0; s < args->segment_count && !owned; s++) {
            struct qvl_cache *cache = args->segments[s].cache;
            if (cache->desc.capacity > 0)
                store_row(args, cache, row, cache->desc.capacity - 1);
        }
    }
}

enum qvl_status honest_cache_append(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                    struct qvl_error *error)
{
    QVL_TRY(qvl_cache_append_check(args, error));
    for (int64_t s = 0; s < args->segment_count; s++)
        QVL_TRY(honest_cache_check("cache_append", args->segments[s].cache, args->layer, args->k.dtype,
                                   args->k.shape[1], args->k.shape[2], error));
    for (int64_t s = 0; s < args->segment_count; s++) {
        const struct qvl_segment *segment = &args->segments[s];
        struct qvl_cache *cache = segment->cache;
        const int64_t length = cache->length[args->layer], capacity = cache->desc.capacity;
        if (segment->count > capacity - length)
            return qvl_fail(error, QVL_NO_MEMORY,
                            "cache_append: %lld rows more than the %lld of the cache's %lld that are free",
                            (long long)segment->count, (long long)(capacity - length), (long long)capacity);
        for (int64_t i = 0; i < segment->count; i++)
            store_row(args, cache, segment->first + i, slot_of(backend, length, i));
        cache->length[args->layer] = length + segment->count;
    }
    if (honest_fault(backend, QVL_FAULT_CACHE_SLOT_MINUS_ONE))
        store_padding(args);
    return QVL_OK;
}
