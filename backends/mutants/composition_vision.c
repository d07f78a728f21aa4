/* The tower and DeepStack. */
#include "backends/mutants/composition_parts.h"

/* ---- Where the pass stands ---- */

static enum qvl_status begin_tower(struct qvl_backend *backend, const struct qvl_patch_embed_args *args,
                                   struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    composed->in_tower = true;
    composed->adds = 0;
    return composed->inner->ops.patch_embed(composed->inner, args, error);
}

static enum qvl_status begin_decoder(struct qvl_backend *backend, const struct qvl_embed_args *args,
                                     struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    composed->in_tower = false;
    composed->adds = 0;
    composed->first_src_adds = 0;
    return composed->inner->ops.embed(composed->inner, args, error);
}

static enum qvl_status count_add(struct qvl_backend *backend, const struct qvl_add_args *args,
                                 struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    composed->adds++;
    return composed->inner->ops.add(composed->inner, args, error);
}

static void follow(struct qvl_ops *ops)
{
    ops->patch_embed = begin_tower;
    ops->embed = begin_decoder;
    ops->add = count_add;
}

static enum qvl_status add_rows(struct composed *composed, const struct qvl_add_rows_args *args,
                                struct qvl_error *error)
{
    return composed->inner->ops.add_rows(composed->inner, args, error);
}

/* ---- DeepStack ---- */

static enum qvl_status add_dropped(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                   struct qvl_error *error)
{
    (void)backend;
    (void)args;
    (void)error;
    return QVL_OK;
}

void composed_dropped(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->add_rows = add_dropped;
}

static enum qvl_status add_first_window(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                        struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_add_rows_args changed = *args;
    changed.src = composed_from_start(composed, args->src);
    return add_rows(composed, &changed, error);
}

void composed_chunk_window(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->add_rows = add_first_window;
}

static enum qvl_status add_first_of_batch(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                          struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_add_rows_args changed = *args;
    if (composed->first_src_adds == composed->adds) {
        const int64_t rows = composed->first_src.shape[0];
        changed.src =
            qvl_tensor_rows(composed->first_src, 0, rows < args->src.shape[0] ? rows : args->src.shape[0]);
    } else {
        composed->first_src = args->src;
        composed->first_src_adds = composed->adds;
    }
    return add_rows(composed, &changed, error);
}

void composed_batch_rows(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    follow(ops);
    ops->add_rows = add_first_of_batch;
}

static enum qvl_status put_off(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                               struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    const size_t bytes = sizeof(int64_t) * (size_t)args->src.shape[0];
    if (composed->pending_count == COMPOSED_PENDING)
        return qvl_fail(error, QVL_UNSUPPORTED, "more than %d sequences", COMPOSED_PENDING);
    struct composed_add_rows *pending = &composed->pending[composed->pending_count];
    *pending =
        (struct composed_add_rows){.args = *args, .due = composed->adds + 2, .rows = malloc(bytes + 1)};
    if (!pending->rows)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for rows");
    memcpy(pending->rows, args->rows, bytes);
    pending->args.rows = pending->rows;
    composed->pending_count++;
    return QVL_OK;
}

static enum qvl_status add_then_pending(struct qvl_backend *backend, const struct qvl_add_args *args,
                                        struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    QVL_TRY(count_add(backend, args, error));
    for (int64_t i = 0; i < composed->pending_count; i++)
        if (composed->pending[i].due != composed->adds)
            return QVL_OK;
    for (int64_t i = 0; i < composed->pending_count; i++) {
        QVL_TRY(add_rows(composed, &composed->pending[i].args, error));
        free(composed->pending[i].rows);
    }
    composed->pending_count = 0;
    return QVL_OK;
}

void composed_layer_late(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    follow(ops);
    ops->add = add_then_pending;
    ops->add_rows = put_off;
}

static enum qvl_status scatter_and_add(struct qvl_backend *backend, const struct qvl_scatter_rows_args *args,
                                       struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    QVL_TRY(composed->inner->ops.scatter_rows(composed->inner, args, error));
    const struct qvl_add_rows_args early = {
        .src = composed_level(composed, args->src, 1), .rows = args->rows, .y = args->y};
    return composed->levels > 0 ? add_rows(composed, &early, error) : QVL_OK;
}

static enum qvl_status add_next_level(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                      struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_add_rows_args changed = *args;
    const int64_t level = composed_level_of(composed, &args->src) + 1;
    if (level > composed->levels)
        return QVL_OK;
    changed.src = composed_level(composed, args->src, level);
    return add_rows(composed, &changed, error);
}

void composed_layer_early(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->scatter_rows = scatter_and_add;
    ops->add_rows = add_next_level;
}

static enum qvl_status add_other_level(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                       struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_add_rows_args changed = *args;
    changed.src =
        composed_level(composed, args->src, composed->levels + 1 - composed_level_of(composed, &args->src));
    return add_rows(composed, &changed, error);
}

void composed_levels_reversed(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->add_rows = add_other_level;
}

/* The position embedding is the tower's first add; two follow in each block. */
static bool ends_block(const struct composed *composed)
{
    return composed->in_tower && composed->adds >= 3 && composed->adds % 2 == 1;
}

/* `kept` is the residual stream after this block, `before` after the one before. */
static enum qvl_status add_and_keep(struct qvl_backend *backend, const struct qvl_add_args *args,
                                    struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    QVL_TRY(count_add(backend, args, error));
    if (!ends_block(composed))
        return QVL_OK;
    const struct qvl_tensor freed = composed->before;
    composed->before = composed->kept;
    composed->kept = freed;
    return composed_keep(composed, &args->y, &composed->kept, error);
}

static enum qvl_status merge_block_before(struct qvl_backend *backend, const struct qvl_merger_args *args,
                                          struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_merger_args changed = *args;
    if (args->norm == QVL_MERGER_NORM_GROUP && composed->before.data)
        changed.x.data = composed->before.data;
    return composed->inner->ops.merger(composed->inner, &changed, error);
}

/* Without a fused merger the grouped rows are the only ones wider than the residual stream. */
static enum qvl_status norm_block_before(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                         struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    struct qvl_layer_norm_args changed = *args;
    if (composed->before.data && args->x.shape[1] > composed->before.shape[1])
        changed.x.data = composed->before.data;
    return composed->inner->ops.layer_norm(composed->inner, &changed, error);
}

void composed_index_base(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    follow(ops);
    ops->add = add_and_keep;
    ops->layer_norm = norm_block_before;
    if (ops->merger)
        ops->merger = merge_block_before;
}

/* ---- The tower ---- */

static enum qvl_status attend_all(struct qvl_backend *backend, const struct qvl_vision_attention_args *args,
                                  struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    const int64_t ends[] = {0, args->q.shape[0]};
    struct qvl_vision_attention_args changed = *args;
    changed.segment_starts = ends;
    changed.segment_count = 1;
    return inner->ops.vision_attention(inner, &changed, error);
}

void composed_mask_dropped(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    ops->vision_attention = attend_all;
}

static enum qvl_status add_positions_late(struct qvl_backend *backend, const struct qvl_add_args *args,
                                          struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    if (composed->in_tower && composed->adds == 0) {
        composed->adds++;
        return composed_keep(composed, &args->b, &composed->kept, error);
    }
    QVL_TRY(count_add(backend, args, error));
    if (!composed->in_tower || composed->adds != 3)
        return QVL_OK;
    const struct qvl_add_args late = {.a = args->y, .b = composed->kept, .y = args->y};
    return composed->inner->ops.add(composed->inner, &late, error);
}

void composed_pos_after_block(struct qvl_ops *ops, struct qvl_backend *backend)
{
    (void)backend;
    follow(ops);
    ops->add = add_positions_late;
}
