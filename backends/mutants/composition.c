#include "backends/mutants/composition_parts.h"

struct fault {
    struct qvl_mutant mutant;
    composed_install *install;
};

static const struct fault faults[] = {
    {{"pos.chunk_restart", 1, "every chunk gets positions that begin at the first chunk's", "mrope_table",
      NULL},
     composed_chunk_restart},
    {{"pos.decode_zero", 1, "every decoded token stands at position 0", "mrope_table", NULL},
     composed_decode_zero},
    {{"pos.causal_by_position", 1, "keys are masked by comparing positions, which tie inside an image",
      "attention", NULL},
     composed_causal_by_position},
    {{"pos.draft_off_by_one", 1, "the position counter is raised before the decode step", "mrope_table",
      NULL},
     composed_draft_off_by_one},
    {{"pos.slot_from_time", 1, "the cache slot of a decoded token is its temporal position", "cache_append",
      NULL},
     composed_slot_from_time},
    {{"qknorm.skipped_in_decode", 2, "the fused decode path leaves QK-norm out", "rms_norm", NULL},
     composed_norm_skipped_in_decode},
    {{"vit.frames_share_attention", 5, "frames of a video attend to each other", "vision_attention", NULL},
     composed_mask_dropped},
    {{"ds.chunk_window", 6, "every chunk gets the DeepStack rows of the first", "add_rows", NULL},
     composed_chunk_window},
    {{"ds.batch_rows_of_first", 6, "every row of a batch gets the first row's DeepStack features", "add_rows",
      NULL},
     composed_batch_rows},
    {{"ds.add_one_layer_late", 6, "DeepStack features join after the next layer", "add_rows", NULL},
     composed_layer_late},
    {{"ds.not_wired", 6, "DeepStack is not wired", "add_rows", NULL}, composed_dropped},
    {{"ds.layer_index_base", 6, "DeepStack takes the block before the one that is listed", "merger", NULL},
     composed_index_base},
    {{"ds.levels_reversed", 6, "the last DeepStack level joins after the first layer", "add_rows", NULL},
     composed_levels_reversed},
    {{"head.always_tied", 10, "the embedding stands in for a head of its own", "output_head", NULL},
     composed_always_tied},
    {{"head.never_tied", 10, "a tied head is left zero", "output_head", NULL}, composed_never_tied},
    {{"cache.chunk_rows_swapped", 11, "the first two rows of a later chunk change places in the cache",
      "cache_append", NULL},
     composed_slot_map_chunk},
    {{"cache.truncate_ignored", 11, "dropped rows stay in the cache", "cache_truncate", NULL},
     composed_truncate_ignored},
    {{"cache.fork_aliases", 11, "a forked cache shares its rows with the original", "cache_fork", NULL},
     composed_fork_aliases},
    {{"vit.pos_after_first_block", 15, "position embeddings are added after block 0", "add", NULL},
     composed_pos_after_block},
    {{"qknorm.after_rope", 15, "queries and keys are rotated first and then normalised", "rms_norm", NULL},
     composed_norm_after_rope},
    {{"ds.add_before_layer", 15, "DeepStack features join one layer early", "add_rows", NULL},
     composed_layer_early},
    {{"head.norm_skipped", 15, "the head reads what the final norm reads", "output_head", NULL},
     composed_norm_skipped},
};

#define FAULTS ((int64_t)(sizeof faults / sizeof *faults))

const struct qvl_mutant *qvl_composition_mutant_at(int64_t index)
{
    return index >= 0 && index < FAULTS ? &faults[index].mutant : NULL;
}

/* ---- Passing everything on ---- */

#define PASS_ON(name)                                                                                        \
    static enum qvl_status pass_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args,    \
                                       struct qvl_error *error)                                              \
    {                                                                                                        \
        struct qvl_backend *inner = composed_of(backend)->inner;                                             \
        return inner->ops.name(inner, args, error);                                                          \
    }
QVL_OPS(PASS_ON)
#undef PASS_ON

static void close_composed(struct qvl_backend *backend)
{
    struct composed *composed = composed_of(backend);
    for (int64_t i = 0; i < composed->pending_count; i++)
        free(composed->pending[i].rows);
    composed->inner->release(composed->inner, composed->kept.data);
    composed->inner->release(composed->inner, composed->before.data);
    composed->inner->close(composed->inner);
    free(composed->times);
    free(composed);
}

static enum qvl_status allocate(struct qvl_backend *backend, size_t bytes, void **data,
                                struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    QVL_TRY(composed->inner->allocate(composed->inner, bytes, data, error));
    for (int i = 0; i < COMPOSED_BLOCKS; i++)
        if (!composed->blocks[i].data) {
            composed->blocks[i].data = *data;
            composed->blocks[i].bytes = bytes;
            return QVL_OK;
        }
    return QVL_OK;
}

static void release(struct qvl_backend *backend, void *data)
{
    struct composed *composed = composed_of(backend);
    for (int i = 0; data && i < COMPOSED_BLOCKS; i++)
        if (composed->blocks[i].data == data)
            composed->blocks[i].data = NULL;
    composed->inner->release(composed->inner, data);
}

static enum qvl_status upload(struct qvl_backend *backend, const struct qvl_tensor *to, const void *host,
                              struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return inner->upload(inner, to, host, error);
}

static enum qvl_status download(struct qvl_backend *backend, const struct qvl_tensor *from, void *host,
                                struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return inner->download(inner, from, host, error);
}

static enum qvl_status sync(struct qvl_backend *backend, struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return inner->sync(inner, error);
}

static enum qvl_status weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                      struct qvl_weight **weight, struct qvl_error *error)
{
    struct composed *composed = composed_of(backend);
    if (desc->name && strcmp(desc->name, "merger.linear_fc1") == 0)
        composed->levels = composed->mergers++; /* one of them is the main merger */
    return composed->inner->weight_prepare(composed->inner, desc, weight, error);
}

static void weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    inner->weight_destroy(inner, weight);
}

static enum qvl_status cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                    struct qvl_cache **cache, struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return inner->cache_create(inner, desc, cache, error);
}

static void cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache)
{
    struct composed *composed = composed_of(backend);
    for (int i = 0; cache && i < COMPOSED_ALIASES; i++)
        if (composed->aliases[i].cache == cache && composed->aliases[i].more > 0) {
            composed->aliases[i].more--;
            return;
        }
    composed->inner->cache_destroy(composed->inner, cache);
}

static int64_t cache_length(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return inner->cache_length(inner, cache, layer);
}

static enum qvl_status cache_truncate(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                      struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return inner->cache_truncate(inner, cache, length, error);
}

static enum qvl_status cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                  struct qvl_cache **copy, struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return inner->cache_fork(inner, cache, copy, error);
}

static enum qvl_status cache_export(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer,
                                    int64_t first, int64_t count, void *host_k, void *host_v,
                                    struct qvl_error *error)
{
    struct qvl_backend *inner = composed_of(backend)->inner;
    return inner->cache_export(inner, cache, layer, first, count, host_k, host_v, error);
}

static void fill_table(struct composed *composed)
{
    struct qvl_backend *outer = &composed->backend;
    *outer = (struct qvl_backend){.struct_size = sizeof *outer,
                                  .abi = QVL_BACKEND_ABI,
                                  .name = composed->inner->name,
                                  .description = composed->inner->description,
                                  .math = composed->inner->math,
                                  .state = composed,
                                  .close = close_composed,
                                  .allocate = allocate,
                                  .release = release,
                                  .upload = upload,
                                  .download = download,
                                  .sync = sync,
                                  .weight_prepare = weight_prepare,
                                  .weight_destroy = weight_destroy,
                                  .cache_create = cache_create,
                                  .cache_destroy = cache_destroy,
                                  .cache_length = cache_length,
                                  .cache_truncate = cache_truncate,
                                  .cache_fork = cache_fork,
                                  .cache_export = cache_export};
#define FILL(name)                                                                                           \
    if (composed->inner->ops.name)                                                                           \
        outer->ops.name = pass_##name;
    QVL_OPS(FILL)
#undef FILL
}

enum qvl_status qvl_composition_open(const char *name, qvl_backend_open_fn *honest,
                                     const struct qvl_backend_options *options, struct qvl_backend **backend,
                                     struct qvl_error *error)
{
    const struct fault *fault = NULL;
    for (int64_t i = 0; i < FAULTS; i++)
        if (strcmp(faults[i].mutant.name, name) == 0)
            fault = &faults[i];
    if (!fault)
        return qvl_fail(error, QVL_USAGE, "there is no composition fault \"%s\"", name);
    struct composed *composed = calloc(1, sizeof *composed);
    if (!composed)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a backend");
    const enum qvl_status status = honest(options, &composed->inner, error);
    if (status != QVL_OK) {
        free(composed);
        return status;
    }
    fill_table(composed);
    fault->install(&composed->backend.ops, &composed->backend);
    *backend = &composed->backend;
    return QVL_OK;
}

/* ---- Helpers of the faults ---- */

/* Bytes of one feature level in the block of memory that holds `rows`; *base is its start. */
static size_t level_bytes(const struct composed *composed, const struct qvl_tensor *rows, char **base)
{
    const char *data = rows->data;
    for (int i = 0; i < COMPOSED_BLOCKS; i++) {
        *base = composed->blocks[i].data;
        if (*base && data >= *base && data < *base + composed->blocks[i].bytes)
            return composed->blocks[i].bytes / (size_t)(composed->levels + 1);
    }
    *base = NULL;
    return 0;
}

int64_t composed_level_of(const struct composed *composed, const struct qvl_tensor *rows)
{
    char *base;
    const size_t bytes = level_bytes(composed, rows, &base);
    return bytes > 0 ? (int64_t)((size_t)((char *)rows->data - base) / bytes) : 0;
}

struct qvl_tensor composed_level(const struct composed *composed, struct qvl_tensor rows, int64_t level)
{
    char *base;
    const size_t bytes = level_bytes(composed, &rows, &base);
    if (bytes > 0)
        rows.data = base + (size_t)((char *)rows.data - base) % bytes + (size_t)level * bytes;
    return rows;
}

struct qvl_tensor composed_from_start(const struct composed *composed, struct qvl_tensor rows)
{
    char *base;
    const size_t bytes = level_bytes(composed, &rows, &base);
    if (bytes > 0)
        rows.data = base + (size_t)((char *)rows.data - base) / bytes * bytes;
    return rows;
}

enum qvl_status composed_keep(struct composed *composed, const struct qvl_tensor *from, struct qvl_tensor *to,
                              struct qvl_error *error)
{
    struct qvl_backend *inner = composed->inner;
    const size_t bytes = (size_t)qvl_tensor_count(from) * qvl_dtype_bytes(from->dtype);
    void *host = malloc(bytes + 1);
    void *data = to->data;
    enum qvl_status status = host ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for %zu bytes", bytes);
    if (status == QVL_OK && (!data || qvl_tensor_count(to) < qvl_tensor_count(from))) {
        inner->release(inner, data);
        to->data = NULL;
        status = inner->allocate(inner, bytes, &data, error);
    }
    if (status == QVL_OK) {
        *to = qvl_tensor_make(data, from->dtype, from->rank, from->shape);
        status = inner->download(inner, from, host, error);
    }
    if (status == QVL_OK)
        status = inner->upload(inner, to, host, error);
    free(host);
    return status;
}
