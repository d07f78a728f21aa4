/* The KV cache of one sequence, head-major (layout: struct qvl_cache in cpu_state.h). */
#include <stdlib.h>

#include "cpu_state.h"

/* Rows are padded to this many elements: one 64-byte line of the widest storage type, so no kernel has a
 * tail. */
#define ROW_UNIT 16

static int64_t layer_bytes(const struct qvl_cache *cache)
{
    return cache->kv_heads * cache->capacity * cache->row * (int64_t)qvl_dtype_bytes(cache->dtype);
}

void qvl_cpu_cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache)
{
    (void)backend;
    if (!cache)
        return;
    for (int64_t layer = 0; layer < cache->layers; layer++) {
        if (cache->k)
            free(cache->k[layer]);
        if (cache->v)
            free(cache->v[layer]);
    }
    free(cache->k);
    free(cache->v);
    free(cache->length);
    free(cache);
}

static bool fill_layers(struct qvl_cache *cache)
{
    size_t layers = (size_t)cache->layers;
    cache->k = calloc(layers, sizeof *cache->k);
    cache->v = calloc(layers, sizeof *cache->v);
    cache->length = calloc(layers, sizeof *cache->length);
    if (!cache->k || !cache->v || !cache->length)
        return false;
    for (int64_t layer = 0; layer < cache->layers; layer++) {
        cache->k[layer] = qvl_cpu_memory(layer_bytes(cache));
        cache->v[layer] = qvl_cpu_memory(layer_bytes(cache));
        if (!cache->k[layer] || !cache->v[layer])
            return false;
    }
    return true;
}

enum qvl_status qvl_cpu_cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                     struct qvl_cache **cache, struct qvl_error *error)
{
    struct qvl_cache *made;
    int64_t row = (desc->head_dim + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
    *cache = NULL;
    if (desc->layers <= 0 || desc->kv_heads <= 0 || desc->head_dim <= 0 || desc->capacity < 0)
        return qvl_fail(
            error, QVL_USAGE,
            "cache: layers %lld, kv_heads %lld, head_dim %lld, capacity %lld; the first three must "
            "be positive and the capacity not negative",
            (long long)desc->layers, (long long)desc->kv_heads, (long long)desc->head_dim,
            (long long)desc->capacity);
    if (!qvl_dtype_is_storage(desc->storage))
        return qvl_fail(error, QVL_USAGE, "cache: storage %s; use f32, bf16 or f16",
                        qvl_dtype_name(desc->storage));
    if ((double)desc->kv_heads * (double)desc->capacity * (double)row * 4.0 > 0x1p62)
        return qvl_fail(error, QVL_NO_MEMORY, "cache: capacity %lld is too large; ask for less",
                        (long long)desc->capacity);
    made = calloc(1, sizeof *made);
    if (made) {
        made->layers = desc->layers;
        made->kv_heads = desc->kv_heads;
        made->head_dim = desc->head_dim;
        made->capacity = desc->capacity;
        made->dtype = desc->storage;
        made->row = row;
    }
    if (!made || !fill_layers(made)) {
        int64_t bytes = made ? 2 * layer_bytes(made) : 0;
        qvl_cpu_cache_destroy(backend, made);
        return qvl_fail(error, QVL_NO_MEMORY,
                        "cache: %lld rows need %lld layers of %lld bytes, the machine has %lld; ask for less",
                        (long long)desc->capacity, (long long)desc->layers, (long long)bytes,
                        (long long)qvl_cpu_machine_bytes());
    }
    *cache = made;
    return QVL_OK;
}

int64_t qvl_cpu_cache_length(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer)
{
    (void)backend;
    return layer >= 0 && layer < cache->layers ? cache->length[layer] : 0;
}

enum qvl_status qvl_cpu_cache_truncate(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                       struct qvl_error *error)
{
    (void)backend;
    if (length < 0)
        return qvl_fail(error, QVL_USAGE, "cache_truncate: length is %lld", (long long)length);
    for (int64_t layer = 0; layer < cache->layers; layer++)
        if (cache->length[layer] > length)
            cache->length[layer] = length;
    return QVL_OK;
}

enum qvl_status qvl_cpu_cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                   struct qvl_cache **copy, struct qvl_error *error)
{
    struct qvl_cache_desc desc = {cache->layers, cache->kv_heads, cache->head_dim, cache->capacity,
                                  cache->dtype};
    int64_t row_bytes = cache->row * (int64_t)qvl_dtype_bytes(cache->dtype);
    QVL_TRY(qvl_cpu_cache_create(backend, &desc, copy, error));
    for (int64_t layer = 0; layer < cache->layers; layer++) {
        size_t bytes = (size_t)(cache->length[layer] * row_bytes);
        for (int64_t head = 0; head < cache->kv_heads && bytes; head++) {
            memcpy(qvl_cpu_cache_head(*copy, (*copy)->k[layer], head),
                   qvl_cpu_cache_head(cache, cache->k[layer], head), bytes);
            memcpy(qvl_cpu_cache_head(*copy, (*copy)->v[layer], head),
                   qvl_cpu_cache_head(cache, cache->v[layer], head), bytes);
        }
        (*copy)->length[layer] = cache->length[layer];
    }
    return QVL_OK;
}

enum qvl_status qvl_cpu_cache_export(struct qvl_backend *backend, const struct qvl_cache *cache,
                                     int64_t layer, int64_t first, int64_t count, void *host_k, void *host_v,
                                     struct qvl_error *error)
{
    int64_t size = (int64_t)qvl_dtype_bytes(cache->dtype);
    int64_t bytes = cache->head_dim * size;
    (void)backend;
    if (layer < 0 || layer >= cache->layers)
        return qvl_fail(error, QVL_USAGE, "cache_export: layer %lld of %lld", (long long)layer,
                        (long long)cache->layers);
    if (first < 0 || count < 0 || first > cache->length[layer] || count > cache->length[layer] - first)
        return qvl_fail(error, QVL_USAGE, "cache_export: rows %lld + %lld, the layer holds %lld",
                        (long long)first, (long long)count, (long long)cache->length[layer]);
    for (int64_t i = 0; i < count; i++)
        for (int64_t head = 0; head < cache->kv_heads; head++) {
            int64_t from = (first + i) * cache->row * size;
            int64_t to = (i * cache->kv_heads + head) * bytes;
            memcpy((char *)host_k + to, qvl_cpu_cache_head(cache, cache->k[layer], head) + from,
                   (size_t)bytes);
            memcpy((char *)host_v + to, qvl_cpu_cache_head(cache, cache->v[layer], head) + from,
                   (size_t)bytes);
        }
    return QVL_OK;
}

/* One row of one head into the cache, with zeros behind it. */
static void put_row(const struct cpu_simd *simd, const struct qvl_cache *cache, char *to,
                    enum qvl_dtype dtype, const char *from)
{
    size_t size = qvl_dtype_bytes(cache->dtype);
    if (dtype == cache->dtype) {
        memcpy(to, from, (size_t)cache->head_dim * size);
    } else {
        enum { PIECE = 64 };
        float values[PIECE];
        for (int64_t done = 0; done < cache->head_dim; done += PIECE) {
            int64_t n = cache->head_dim - done < PIECE ? cache->head_dim - done : PIECE;
            simd->load(dtype, from + (size_t)done * qvl_dtype_bytes(dtype), values, n);
            simd->store(cache->dtype, values, to + (size_t)done * size, n);
        }
    }
    memset(to + (size_t)cache->head_dim * size, 0, (size_t)(cache->row - cache->head_dim) * size);
}

static enum qvl_status append_segment(struct cpu_state *state, const struct qvl_cache_append_args *args,
                                      const struct qvl_segment *segment, struct qvl_error *error)
{
    struct qvl_cache *cache = segment->cache;
    int64_t length = cache->length[args->layer];
    int64_t row_bytes = cache->row * (int64_t)qvl_dtype_bytes(cache->dtype);
    if (segment->count > cache->capacity - length)
        return qvl_fail(error, QVL_NO_MEMORY,
                        "cache_append: layer %lld holds %lld of %lld rows, %lld more do not fit; create the "
                        "cache with a larger capacity",
                        (long long)args->layer, (long long)length, (long long)cache->capacity,
                        (long long)segment->count);
#pragma omp parallel for num_threads(                                                                        \
    qvl_cpu_team(state, 2 * segment->count * cache->kv_heads * cache->head_dim)) schedule(static)
    for (int64_t i = 0; i < segment->count; i++)
        for (int64_t head = 0; head < cache->kv_heads; head++) {
            int64_t at = (length + i) * row_bytes;
            put_row(state->simd, cache, qvl_cpu_cache_head(cache, cache->k[args->layer], head) + at,
                    args->k.dtype, qvl_cpu_at2(&args->k, segment->first + i, head));
            put_row(state->simd, cache, qvl_cpu_cache_head(cache, cache->v[args->layer], head) + at,
                    args->v.dtype, qvl_cpu_at2(&args->v, segment->first + i, head));
        }
    cache->length[args->layer] = length + segment->count;
    return QVL_OK;
}

enum qvl_status qvl_cpu_cache_append(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                     struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    QVL_TRY(qvl_cache_append_check(args, error));
    for (int64_t s = 0; s < args->segment_count; s++) {
        const struct qvl_cache *cache = args->segments[s].cache;
        if (args->layer >= cache->layers)
            return qvl_fail(error, QVL_USAGE, "cache_append: segment %lld has no layer %lld in its cache",
                            (long long)s, (long long)args->layer);
        if (cache->kv_heads != args->k.shape[1] || cache->head_dim != args->k.shape[2])
            return qvl_fail(
                error, QVL_USAGE,
                "cache_append: k is [n, %lld, %lld], the cache of segment %lld holds [%lld, %lld]",
                (long long)args->k.shape[1], (long long)args->k.shape[2], (long long)s,
                (long long)cache->kv_heads, (long long)cache->head_dim);
    }
    for (int64_t s = 0; s < args->segment_count; s++)
        QVL_TRY(append_segment(state, args, &args->segments[s], error));
    return QVL_OK;
}
