/* Both attentions and the append to a KV cache: one query row of one group of heads over all of its keys, in
 * double. */
#include <math.h>
#include <stdlib.h>

#include "qvl/rounding.h"
#include "verify/spot_parts.h"

/* Of the squared values of a row. Scores and probabilities rounded to bfloat16, as the original rounds them,
 * were seen at 1e-4; every eighth key left out is beyond. */
#define LIMIT 2e-2
#define LIMIT_COPY 1e-4

enum { PIECE = 4096, MOST_WIDTH = 1024 }; /* keys at a time; elements of a head */

/* The end of a look: what cannot be looked at (a cache that is not handed out) is counted and no failure. */
static enum qvl_status leave(struct qvl_spot *spot, enum qvl_status status)
{
    qvl_spot_close(spot);
    if (status != QVL_UNSUPPORTED)
        return status;
    qvl_spot_current->result.unseen++;
    return QVL_OK;
}

/* softmax(q k) v of the query heads that read one KV head, with a running maximum. */
struct sums {
    int64_t heads, width;
    double scale;
    const double *query;              /* [heads, width] */
    double *maximum, *sum, *weighted; /* [heads], [heads], [heads, width] */
};

static enum qvl_status sums_open(struct qvl_spot *spot, int64_t heads, int64_t width, double scale,
                                 const struct qvl_tensor *query, struct sums *sums, struct qvl_error *error)
{
    void *room;
    if (width > MOST_WIDTH)
        return qvl_fail(error, QVL_UNSUPPORTED, "%s: heads of %lld elements are not looked at", spot->entry,
                        (long long)width);
    QVL_TRY(qvl_spot_buffer(spot, (size_t)(2 * heads * (width + 1)) * sizeof(double), &room, error));
    double *values = room;
    *sums = (struct sums){.heads = heads, .width = width, .scale = scale, .query = values};
    qvl_load_row(query->data, query->dtype, heads * width, values);
    sums->weighted = values + heads * width;
    sums->maximum = sums->weighted + heads * width;
    sums->sum = sums->maximum + heads;
    for (int64_t h = 0; h < heads; h++)
        sums->maximum[h] = -INFINITY;
    return QVL_OK;
}

static void see(struct sums *sums, const double *key, const double *value)
{
    for (int64_t h = 0; h < sums->heads; h++) {
        const double *query = sums->query + h * sums->width;
        double *weighted = sums->weighted + h * sums->width, score = 0;
        for (int64_t c = 0; c < sums->width; c++)
            score += query[c] * key[c];
        score *= sums->scale;
        if (score > sums->maximum[h]) {
            const double fade = exp(sums->maximum[h] - score);
            for (int64_t c = 0; c < sums->width; c++)
                weighted[c] *= fade;
            sums->sum[h] *= fade;
            sums->maximum[h] = score;
        }
        const double weight = exp(score - sums->maximum[h]);
        for (int64_t c = 0; c < sums->width; c++)
            weighted[c] += weight * value[c];
        sums->sum[h] += weight;
    }
}

/* Keys and values [count, kv_heads, width] of which one head is read. */
static void see_rows(struct sums *sums, enum qvl_dtype dtype, const char *keys, const char *values,
                     int64_t count, int64_t kv_heads, int64_t kv_head)
{
    const size_t row = (size_t)sums->width * qvl_dtype_bytes(dtype);
    double key[MOST_WIDTH], value[MOST_WIDTH];
    for (int64_t j = 0; j < count; j++) {
        const size_t at = (size_t)(j * kv_heads + kv_head) * row;
        qvl_load_row(keys + at, dtype, sums->width, key);
        qvl_load_row(values + at, dtype, sums->width, value);
        see(sums, key, value);
    }
}

/* `got`: the heads of the candidate's output row. */
static enum qvl_status judge(struct qvl_spot *spot, struct sums *sums, const struct qvl_tensor *got,
                             struct qvl_error *error)
{
    const int64_t count = sums->heads * sums->width;
    void *values;
    QVL_TRY(qvl_spot_buffer(spot, (size_t)count * sizeof(double), &values, error));
    qvl_load_row(got->data, got->dtype, count, values);
    for (int64_t i = 0; i < count; i++)
        sums->weighted[i] =
            sums->sum[i / sums->width] > 0 ? sums->weighted[i] / sums->sum[i / sums->width] : 0;
    qvl_spot_judge(spot, values, sums->weighted, count, LIMIT);
    return QVL_OK;
}

/* Heads first .. first + count - 1 of row `row` of [n, heads, d], in host memory. */
static enum qvl_status take_heads(struct qvl_spot *spot, const struct qvl_tensor *from, int64_t row,
                                  int64_t first, int64_t count, struct qvl_tensor *to,
                                  struct qvl_error *error)
{
    struct qvl_tensor heads = *from;
    heads.data = (char *)heads.data +
                 (size_t)(row * from->stride[0] + first * from->stride[1]) * qvl_dtype_bytes(from->dtype);
    heads.rank = 2;
    for (int axis = 0; axis < 2; axis++) {
        heads.shape[axis] = from->shape[axis + 1];
        heads.stride[axis] = from->stride[axis + 1];
    }
    return qvl_spot_rows(spot, &heads, 0, count, to, error);
}

/* ---- vision ---- */

static enum qvl_status see_segment(struct qvl_spot *spot, const struct qvl_vision_attention_args *args,
                                   int64_t head, struct sums *sums, struct qvl_error *error)
{
    struct qvl_tensor k, v;
    int64_t segment = 0;
    while (segment + 1 < args->segment_count && args->segment_starts[segment + 1] <= spot->row)
        segment++;
    const int64_t first = args->segment_starts[segment], end = args->segment_starts[segment + 1];
    QVL_TRY(qvl_spot_rows(spot, &args->k, first, end - first, &k, error));
    QVL_TRY(qvl_spot_rows(spot, &args->v, first, end - first, &v, error));
    see_rows(sums, k.dtype, k.data, v.data, end - first, k.shape[1], head);
    return QVL_OK;
}

static enum qvl_status look_at_tower(struct qvl_spot *spot, struct qvl_backend *backend,
                                     const struct qvl_vision_attention_args *args, struct qvl_error *error)
{
    const int64_t head = spot->row % args->q.shape[1];
    struct qvl_tensor query, got;
    struct sums sums;
    QVL_TRY(backend->sync(backend, error));
    QVL_TRY(take_heads(spot, &args->q, spot->row, head, 1, &query, error));
    QVL_TRY(sums_open(spot, 1, args->q.shape[2], (double)args->scale, &query, &sums, error));
    QVL_TRY(see_segment(spot, args, head, &sums, error));
    QVL_TRY(take_heads(spot, &args->y, spot->row, head, 1, &got, error));
    return judge(spot, &sums, &got, error);
}

static enum qvl_status look_vision_attention(struct qvl_backend *backend,
                                             const struct qvl_vision_attention_args *args,
                                             struct qvl_error *error)
{
    struct qvl_spot spot = {.entry = "vision_attention"};
    const bool chosen = qvl_spot_chosen(&spot, args->q.shape[0]);
    QVL_TRY(qvl_spot_current->honest.ops.vision_attention(backend, args, error));
    return chosen ? leave(&spot, look_at_tower(&spot, backend, args, error)) : QVL_OK;
}

/* ---- text ---- */

/* The segment that a row of the batch belongs to; NULL: none. */
static const struct qvl_segment *find_segment(const struct qvl_segment *segments, int64_t count, int64_t row)
{
    for (int64_t i = 0; i < count; i++)
        if (row >= segments[i].first && row < segments[i].first + segments[i].count)
            return &segments[i];
    return NULL;
}

static enum qvl_status see_cache(struct qvl_spot *spot, struct qvl_backend *backend,
                                 const struct qvl_segment *segment, const struct qvl_cache_desc *cache,
                                 int64_t layer, int64_t keys, int64_t kv_head, struct sums *sums,
                                 struct qvl_error *error)
{
    const size_t bytes =
        (size_t)(PIECE * cache->kv_heads * cache->head_dim) * qvl_dtype_bytes(cache->storage);
    void *k, *v;
    QVL_TRY(qvl_spot_buffer(spot, bytes, &k, error));
    QVL_TRY(qvl_spot_buffer(spot, bytes, &v, error));
    for (int64_t first = 0; first < keys; first += PIECE) {
        const int64_t count = keys - first < PIECE ? keys - first : PIECE;
        QVL_TRY(backend->cache_export(backend, segment->cache, layer, first, count, k, v, error));
        see_rows(sums, cache->storage, k, v, count, cache->kv_heads, kv_head);
    }
    return QVL_OK;
}

static enum qvl_status look_at_text(struct qvl_spot *spot, struct qvl_backend *backend,
                                    const struct qvl_segment *segment, int64_t keys,
                                    const struct qvl_attention_args *args, struct qvl_error *error)
{
    const struct qvl_spot_handle *found;
    struct qvl_tensor query, got;
    struct sums sums;
    QVL_TRY(backend->sync(backend, error));
    QVL_TRY(qvl_spot_find(segment->cache, &found, error));
    const int64_t group = args->q.shape[1] / found->cache.kv_heads;
    const int64_t kv_head = spot->row % found->cache.kv_heads;
    QVL_TRY(take_heads(spot, &args->q, spot->row, kv_head * group, group, &query, error));
    QVL_TRY(sums_open(spot, group, args->q.shape[2], (double)args->scale, &query, &sums, error));
    QVL_TRY(see_cache(spot, backend, segment, &found->cache, args->layer, keys, kv_head, &sums, error));
    QVL_TRY(take_heads(spot, &args->y, spot->row, kv_head * group, group, &got, error));
    return judge(spot, &sums, &got, error);
}

static enum qvl_status look_attention(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                      struct qvl_error *error)
{
    struct qvl_spot_check *check = qvl_spot_current;
    struct qvl_spot spot = {.entry = "attention"};
    const bool chosen = qvl_spot_chosen(&spot, args->q.shape[0]);
    const struct qvl_segment *segment =
        chosen ? find_segment(args->segments, args->segment_count, spot.row) : NULL;
    QVL_TRY(check->honest.ops.attention(backend, args, error));
    if (!segment)
        return QVL_OK;
    const int64_t keys = backend->cache_length(backend, segment->cache, args->layer) - segment->count +
                         (spot.row - segment->first) + 1;
    if (keys > QVL_SPOT_LONG && check->seen_long)
        return QVL_OK;
    check->seen_long = check->seen_long || keys > QVL_SPOT_LONG;
    return leave(&spot, look_at_text(&spot, backend, segment, keys, args, error));
}

/* ---- the append ---- */

static enum qvl_status look_at_append(struct qvl_spot *spot, struct qvl_backend *backend,
                                      const struct qvl_segment *segment, int64_t at,
                                      const struct qvl_cache_append_args *args, struct qvl_error *error)
{
    const struct qvl_spot_handle *found;
    struct qvl_tensor k, v, kept_k, kept_v;
    QVL_TRY(qvl_spot_find(segment->cache, &found, error));
    kept_k = qvl_tensor_3d(NULL, found->cache.storage, 1, found->cache.kv_heads, found->cache.head_dim);
    kept_v = kept_k;
    const size_t bytes = (size_t)qvl_tensor_count(&kept_k) * qvl_dtype_bytes(kept_k.dtype);
    QVL_TRY(backend->sync(backend, error));
    QVL_TRY(qvl_spot_rows(spot, &args->k, spot->row, 1, &k, error));
    QVL_TRY(qvl_spot_rows(spot, &args->v, spot->row, 1, &v, error));
    QVL_TRY(qvl_spot_buffer(spot, bytes, &kept_k.data, error));
    QVL_TRY(qvl_spot_buffer(spot, bytes, &kept_v.data, error));
    QVL_TRY(
        backend->cache_export(backend, segment->cache, args->layer, at, 1, kept_k.data, kept_v.data, error));
    QVL_TRY(qvl_spot_judge_tensors(spot, &kept_k, &k, LIMIT_COPY, error));
    return qvl_spot_judge_tensors(spot, &kept_v, &v, LIMIT_COPY, error);
}

static enum qvl_status look_cache_append(struct qvl_backend *backend,
                                         const struct qvl_cache_append_args *args, struct qvl_error *error)
{
    struct qvl_spot spot = {.entry = "cache_append"};
    const bool chosen = qvl_spot_chosen(&spot, args->k.shape[0]);
    const struct qvl_segment *segment =
        chosen ? find_segment(args->segments, args->segment_count, spot.row) : NULL;
    const int64_t at =
        segment ? backend->cache_length(backend, segment->cache, args->layer) + spot.row - segment->first : 0;
    QVL_TRY(qvl_spot_current->honest.ops.cache_append(backend, args, error));
    return segment ? leave(&spot, look_at_append(&spot, backend, segment, at, args, error)) : QVL_OK;
}

void qvl_spot_watch_attention(struct qvl_ops *ops)
{
    if (ops->vision_attention)
        ops->vision_attention = look_vision_attention;
    if (ops->attention)
        ops->attention = look_attention;
    if (ops->cache_append)
        ops->cache_append = look_cache_append;
}
