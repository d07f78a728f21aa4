/* Positions, QK-norm, the head and the cache. */
#include "backends/mutants/composition_parts.h"

/* ---- Positions ---- */

typedef void rewrite_fn(int64_t *positions, int64_t count);

/* The call with positions [3][count] that `rewrite` has changed. */
static enum qvl_status with_positions(struct qvl_backend *backend, const struct qvl_mrope_table_args *args,
                                      rewrite_fn *rewrite, struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    const int64_t count = args->cos.shape[0];
    struct qvl_mrope_table_args changed = *args;
    int64_t *positions = malloc(sizeof(int64_t) * (size_t)(3 * count + 1));
    if (!positions)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld positions", (long long)count);
    for (int64_t axis = 0; axis < 3; axis++)
        for (int64_t i = 0; i < count; i++)
            positions[axis * count + i] = args->positions[axis * args->positions_stride + i];
    rewrite(positions, count);
    changed.positions = positions;
    changed.positions_stride = count;
    const enum qvl_status status = inner->ops.mrope_table(inner, &changed, error);
    free(positions);
    return status;
}

#define REWRITES(name)                                                                                       \
    static enum qvl_status table_##name(struct qvl_backend *backend,                                         \
                                        const struct qvl_mrope_table_args *args, struct qvl_error *error)    \
    {                                                                                                        \
        return with_positions(backend, args, name, error);                                                   \
    }                                                                                                        \
    void composed_##name(struct qvl_ops *ops, struct qvl_backend *backend)                                   \
    {                                                                                                        \
        (void)backend;                                                                                       \
        ops->mrope_table = table_##name;                                                                     \
    }

static void chunk_restart(int64_t *positions, int64_t count)
{
    const int64_t first = positions[0];
    for (int64_t i = 0; count > 1 && i < 3 * count; i++)
        positions[i] -= first;
}

static void decode_zero(int64_t *positions, int64_t count)
{
    for (int64_t i = 0; count == 1 && i < 3; i++)
        positions[i] = 0;
}

static void draft_off_by_one(int64_t *positions, int64_t count)
{
    for (int64_t i = 0; count == 1 && i < 3; i++)
        positions[i]++;
}

REWRITES(chunk_restart)
REWRITES(decode_zero)
REWRITES(draft_off_by_one)
#undef REWRITES

static enum qvl_status table_noted(struct qvl_backend *backend, const struct qvl_mrope_table_args *args,
                                   struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    if (args->cos.shape[0] == 1)
        composed->last_position = args->positions[0];
    return composed->inner->ops.mrope_table(composed->inner, args, error);
}

/* The slot that is named by the position is written, and the rows after it are lost with it. */
static enum qvl_status append_at_position(struct qvl_backend *backend,
                                          const struct qvl_cache_append_args *args, struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_backend *inner = composed->inner;
    if (args->segment_count == 1 && args->segments[0].count == 1 && args->layer == 0 &&
        composed->last_position < inner->cache_length(inner, args->segments[0].cache, 0))
        QVL_TRY(inner->cache_truncate(inner, args->segments[0].cache, composed->last_position, error));
    return inner->ops.cache_append(inner, args, error);
}

void composed_slot_from_time(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->mrope_table = table_noted;
    ops->cache_append = append_at_position;
}

static enum qvl_status note_times(struct qvl_backend *backend, const struct qvl_mrope_table_args *args,
                                  struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    const size_t bytes = sizeof(int64_t) * (size_t)args->cos.shape[0];
    free(composed->times);
    composed->times = malloc(bytes + 1);
    if (!composed->times)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for positions");
    memcpy(composed->times, args->positions, bytes);
    return composed->inner->ops.mrope_table(composed->inner, args, error);
}

static enum qvl_status append_later(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                    struct qvl_error *error)
{
    (void)error;
    composed_of(backend)->append = *args; /* its segments live as long as the layer */
    return QVL_OK;
}

/* Rows of one time are appended together, and then each of them sees all of them. */
static enum qvl_status attend_ties(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                   const struct qvl_segment *segment, struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_backend *inner = composed->inner;
    struct qvl_cache_append_args append = composed->append;
    struct qvl_attention_args attention = *args;
    const int64_t end = segment->first + segment->count;
    append.segment_count = attention.segment_count = 1;
    for (int64_t first = segment->first, next; first < end; first = next) {
        for (next = first + 1; next < end && composed->times[next] == composed->times[first]; next++)
            ;
        const struct qvl_segment ties = {segment->cache, first, next - first};
        append.segments = &ties;
        QVL_TRY(inner->ops.cache_append(inner, &append, error));
        for (int64_t row = first; row < next; row++) {
            const struct qvl_segment one = {segment->cache, row, 1};
            attention.segments = &one;
            QVL_TRY(inner->ops.attention(inner, &attention, error));
        }
    }
    return QVL_OK;
}

static enum qvl_status attend_by_position(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                          struct qvl_error *error)
{
    for (int64_t i = 0; i < args->segment_count; i++)
        QVL_TRY(attend_ties(backend, args, &args->segments[i], error));
    return QVL_OK;
}

void composed_causal_by_position(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->mrope_table = note_times;
    ops->cache_append = append_later;
    ops->attention = attend_by_position;
}

/* ---- QK-norm ---- */

static enum qvl_status norm_later(struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                                  struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    if (args->x.rank != 3)
        return composed->inner->ops.rms_norm(composed->inner, args, error);
    composed->norm = *args; /* in place, so that the rotation finds its input */
    composed->has_norm = true;
    return QVL_OK;
}

static enum qvl_status rope_then_norm(struct qvl_backend *backend, const struct qvl_rope_args *args,
                                      struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    QVL_TRY(composed->inner->ops.rope(composed->inner, args, error));
    if (!composed->has_norm)
        return QVL_OK;
    composed->has_norm = false;
    return composed->inner->ops.rms_norm(composed->inner, &composed->norm, error);
}

void composed_norm_after_rope(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->rms_norm = norm_later;
    ops->rope = rope_then_norm;
}

static enum qvl_status norm_of_prefill(struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                                       struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return args->x.rank == 3 && args->x.shape[0] == 1 ? QVL_OK : inner->ops.rms_norm(inner, args, error);
}

void composed_norm_skipped_in_decode(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->rms_norm = norm_of_prefill;
}

/* ---- The head ---- */

static enum qvl_status norm_noted(struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                                  struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    if (args->x.rank == 2)
        composed->hidden = args->x;
    return composed->inner->ops.rms_norm(composed->inner, args, error);
}

static enum qvl_status head_of_hidden(struct qvl_backend *backend, const struct qvl_output_head_args *args,
                                      struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_output_head_args changed = *args;
    changed.x = composed->hidden;
    return composed->inner->ops.output_head(composed->inner, &changed, error);
}

void composed_norm_skipped(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->rms_norm = norm_noted;
    ops->output_head = head_of_hidden;
}

static enum qvl_status prepare_tied(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                    struct qvl_weight **weight, struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_weight_desc changed = *desc;
    if (desc->use & QVL_USE_ROWS)
        composed->embedding = desc->array;
    else if (desc->name && strcmp(desc->name, "lm_head") == 0 && composed->embedding.data)
        changed.array = composed->embedding;
    return composed->inner->weight_prepare(composed->inner, &changed, weight, error);
}

void composed_always_tied(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)ops;
    backend->weight_prepare = prepare_tied;
}

static enum qvl_status prepare_noted(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                     struct qvl_weight **weight, struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    QVL_TRY(composed->inner->weight_prepare(composed->inner, desc, weight, error));
    if (desc->use == (QVL_USE_ROWS | QVL_USE_LINEAR))
        composed->tied = *weight;
    return QVL_OK;
}

static enum qvl_status head_zero(struct qvl_backend *backend, const struct qvl_output_head_args *args,
                                 struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    if (args->weight != composed->tied)
        return composed->inner->ops.output_head(composed->inner, args, error);
    void *zeros = calloc((size_t)qvl_tensor_count(&args->y) + 1, qvl_dtype_bytes(args->y.dtype));
    if (!zeros)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for logits");
    const enum qvl_status status = composed->inner->upload(composed->inner, &args->y, zeros, error);
    free(zeros);
    return status;
}

void composed_never_tied(struct qvl_ops *ops, struct qvl_backend *backend)
{
    backend->weight_prepare = prepare_noted;
    ops->output_head = head_zero;
}

/* ---- The cache ---- */

static enum qvl_status swap_rows(struct composed *composed, struct qvl_tensor of, int64_t first,
                                 struct qvl_error *error)
{
    struct qvl_backend *inner = composed->inner;
    const struct qvl_tensor one = qvl_tensor_rows(of, first, 1);
    const struct qvl_tensor two = qvl_tensor_rows(of, first + 1, 1);
    const size_t bytes = (size_t)qvl_tensor_count(&one) * qvl_dtype_bytes(of.dtype);
    char *host = malloc(2 * bytes + 1);
    enum qvl_status status = host ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for two rows");
    if (status == QVL_OK)
        status = inner->download(inner, &one, host, error);
    if (status == QVL_OK)
        status = inner->download(inner, &two, host + bytes, error);
    if (status == QVL_OK)
        status = inner->upload(inner, &one, host + bytes, error);
    if (status == QVL_OK)
        status = inner->upload(inner, &two, host, error);
    free(host);
    return status;
}

static enum qvl_status append_swapped(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                      struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_backend *inner = composed->inner;
    for (int64_t i = 0; i < args->segment_count; i++) {
        const struct qvl_segment *segment = &args->segments[i];
        if (segment->count < 2 || inner->cache_length(inner, segment->cache, args->layer) == 0)
            continue;
        QVL_TRY(swap_rows(composed, args->k, segment->first, error));
        QVL_TRY(swap_rows(composed, args->v, segment->first, error));
    }
    return inner->ops.cache_append(inner, args, error);
}

void composed_slot_map_chunk(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->cache_append = append_swapped;
}

static enum qvl_status keep_rows(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                 struct qvl_error *error)
{
    (void)backend;
    (void)cache;
    (void)length;
    (void)error;
    return QVL_OK;
}

void composed_truncate_ignored(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)ops;
    backend->cache_truncate = keep_rows;
}

static enum qvl_status same_cache(struct qvl_backend *backend, const struct qvl_cache *cache,
                                  struct qvl_cache **copy, struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    for (int i = 0; i < COMPOSED_ALIASES; i++)
        if (composed->aliases[i].more == 0 || composed->aliases[i].cache == cache) {
            composed->aliases[i].cache = cache;
            composed->aliases[i].more++;
            *copy = (struct qvl_cache *)cache;
            return QVL_OK;
        }
    return qvl_fail(error, QVL_NO_MEMORY, "more than %d forked caches", COMPOSED_ALIASES);
}

void composed_fork_aliases(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)ops;
    backend->cache_fork = same_cache;
}
