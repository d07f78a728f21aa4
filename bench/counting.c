#include "bench/counting.h"

#include <stdlib.h>

#include "bench/counting_parts.h"

static struct qvl_backend *inner_of(struct qvl_backend *backend)
{
    return ((struct counting *)backend->state)->inner;
}

/* ---- Memory ---- */

static void close_counting(struct qvl_backend *backend)
{
    free(backend->state);
    free(backend);
}

static enum qvl_status allocate(struct qvl_backend *backend, size_t bytes, void **data,
                                struct qvl_error *error)
{
    return inner_of(backend)->allocate(inner_of(backend), bytes, data, error);
}

static void release(struct qvl_backend *backend, void *data)
{
    inner_of(backend)->release(inner_of(backend), data);
}

static enum qvl_status upload(struct qvl_backend *backend, const struct qvl_tensor *to, const void *host,
                              struct qvl_error *error)
{
    return inner_of(backend)->upload(inner_of(backend), to, host, error);
}

static enum qvl_status download(struct qvl_backend *backend, const struct qvl_tensor *from, void *host,
                                struct qvl_error *error)
{
    return inner_of(backend)->download(inner_of(backend), from, host, error);
}

static enum qvl_status sync_inner(struct qvl_backend *backend, struct qvl_error *error)
{
    return inner_of(backend)->sync(inner_of(backend), error);
}

/* ---- Weights ---- */

static enum qvl_status weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                      struct qvl_weight **weight, struct qvl_error *error)
{
    struct qvl_weight *made = calloc(1, sizeof *made);
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for the weight's handle", desc->name);
    made->count = qvl_array_count(&desc->array);
    made->bytes = made->count * (int64_t)qvl_dtype_bytes(desc->storage);
    made->slices = desc->array.shape[0];
    const enum qvl_status status =
        inner_of(backend)->weight_prepare(inner_of(backend), desc, &made->inner, error);
    if (status != QVL_OK) {
        free(made);
        return status;
    }
    *weight = made;
    return QVL_OK;
}

static void weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight)
{
    if (!weight)
        return;
    inner_of(backend)->weight_destroy(inner_of(backend), weight->inner);
    free(weight);
}

/* ---- Caches ---- */

static void cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache)
{
    if (!cache)
        return;
    inner_of(backend)->cache_destroy(inner_of(backend), cache->inner);
    free(cache);
}

static enum qvl_status make_cache(struct qvl_cache **cache, int64_t row_bytes, struct qvl_error *error)
{
    *cache = calloc(1, sizeof **cache);
    if (!*cache)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a cache's handle");
    (*cache)->row_bytes = row_bytes;
    return QVL_OK;
}

static enum qvl_status cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                    struct qvl_cache **cache, struct qvl_error *error)
{
    struct qvl_cache *made;
    QVL_TRY(
        make_cache(&made, desc->kv_heads * desc->head_dim * (int64_t)qvl_dtype_bytes(desc->storage), error));
    const enum qvl_status status =
        inner_of(backend)->cache_create(inner_of(backend), desc, &made->inner, error);
    if (status != QVL_OK) {
        free(made);
        return status;
    }
    *cache = made;
    return QVL_OK;
}

static int64_t cache_length(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer)
{
    return inner_of(backend)->cache_length(inner_of(backend), cache->inner, layer);
}

static enum qvl_status cache_truncate(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                      struct qvl_error *error)
{
    return inner_of(backend)->cache_truncate(inner_of(backend), cache->inner, length, error);
}

static enum qvl_status cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                  struct qvl_cache **copy, struct qvl_error *error)
{
    struct qvl_cache *made;
    QVL_TRY(make_cache(&made, cache->row_bytes, error));
    const enum qvl_status status =
        inner_of(backend)->cache_fork(inner_of(backend), cache->inner, &made->inner, error);
    if (status != QVL_OK) {
        free(made);
        return status;
    }
    *copy = made;
    return QVL_OK;
}

static enum qvl_status cache_export(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer,
                                    int64_t first, int64_t count, void *host_k, void *host_v,
                                    struct qvl_error *error)
{
    return inner_of(backend)->cache_export(inner_of(backend), cache->inner, layer, first, count, host_k,
                                           host_v, error);
}

/* ---- Entries ---- */

/* Entries without handles are handed on as they are. */
#define PLAIN_ENTRY(name)                                                                                    \
    static enum qvl_status name(struct qvl_backend *backend, const struct qvl_##name##_args *args,           \
                                struct qvl_error *error)                                                     \
    {                                                                                                        \
        struct counting *counting = backend->state;                                                          \
        QVL_TRY(counting->inner->ops.name(counting->inner, args, error));                                    \
        qvl_count_##name(counting, args);                                                                    \
        counting->calls++;                                                                                   \
        return QVL_OK;                                                                                       \
    }

PLAIN_ENTRY(pos_interp)
PLAIN_ENTRY(vision_rope_table)
PLAIN_ENTRY(layer_norm)
PLAIN_ENTRY(rope)
PLAIN_ENTRY(vision_attention)
PLAIN_ENTRY(gelu)
PLAIN_ENTRY(scatter_rows)
PLAIN_ENTRY(mrope_table)
PLAIN_ENTRY(rms_norm)
PLAIN_ENTRY(swiglu)
PLAIN_ENTRY(add)
PLAIN_ENTRY(add_rows)
PLAIN_ENTRY(moe_route)
PLAIN_ENTRY(moe_combine)
#undef PLAIN_ENTRY

/* Entries with one weight, named `field`, get the inner backend's handle in its place. */
#define WEIGHT_ENTRY(name, field)                                                                            \
    static enum qvl_status name(struct qvl_backend *backend, const struct qvl_##name##_args *args,           \
                                struct qvl_error *error)                                                     \
    {                                                                                                        \
        struct counting *counting = backend->state;                                                          \
        struct qvl_##name##_args handed = *args;                                                             \
        handed.field = args->field ? args->field->inner : NULL;                                              \
        QVL_TRY(counting->inner->ops.name(counting->inner, &handed, error));                                 \
        qvl_count_##name(counting, args);                                                                    \
        counting->calls++;                                                                                   \
        return QVL_OK;                                                                                       \
    }

WEIGHT_ENTRY(patch_embed, weight)
WEIGHT_ENTRY(linear, weight)
WEIGHT_ENTRY(embed, table)
WEIGHT_ENTRY(output_head, weight)
#undef WEIGHT_ENTRY

static enum qvl_status merger(struct qvl_backend *backend, const struct qvl_merger_args *args,
                              struct qvl_error *error)
{
    struct counting *counting = backend->state;
    struct qvl_merger_args handed = *args;
    handed.fc1 = args->fc1 ? args->fc1->inner : NULL;
    handed.fc2 = args->fc2 ? args->fc2->inner : NULL;
    QVL_TRY(counting->inner->ops.merger(counting->inner, &handed, error));
    qvl_count_merger(counting, args);
    counting->calls++;
    return QVL_OK;
}

/* Distinct experts among `chosen`, a tensor of the inner backend. */
static enum qvl_status count_touched(struct qvl_backend *inner, const struct qvl_tensor *chosen,
                                     int64_t experts, int64_t *touched, struct qvl_error *error)
{
    const int64_t count = qvl_tensor_count(chosen);
    int32_t *host = malloc(sizeof *host * (size_t)(count ? count : 1));
    bool *seen = calloc((size_t)experts, sizeof *seen);
    enum qvl_status status = QVL_OK;
    *touched = 0;
    if (!host || !seen)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory to count the experts of %lld choices",
                          (long long)count);
    if (status == QVL_OK)
        status = inner->sync(inner, error);
    if (status == QVL_OK)
        status = inner->download(inner, chosen, host, error);
    for (int64_t i = 0; i < count && status == QVL_OK; i++) {
        if (host[i] < 0 || host[i] >= experts) {
            status = qvl_fail(error, QVL_BAD_INPUT, "moe_experts: chosen expert %d is not one of %lld",
                              (int)host[i], (long long)experts);
            break;
        }
        *touched += !seen[host[i]];
        seen[host[i]] = true;
    }
    free(host);
    free(seen);
    return status;
}

static enum qvl_status moe_experts(struct qvl_backend *backend, const struct qvl_moe_experts_args *args,
                                   struct qvl_error *error)
{
    struct counting *counting = backend->state;
    struct qvl_moe_experts_args handed = *args;
    int64_t touched;
    handed.gate_up = args->gate_up ? args->gate_up->inner : NULL;
    handed.down = args->down ? args->down->inner : NULL;
    if (!handed.gate_up || !handed.down) /* it refuses */
        return counting->inner->ops.moe_experts(counting->inner, &handed, error);
    QVL_TRY(counting->inner->ops.moe_experts(counting->inner, &handed, error));
    QVL_TRY(count_touched(counting->inner, &args->chosen, args->gate_up->slices, &touched, error));
    qvl_count_moe_experts(counting, args, touched);
    counting->calls++;
    return QVL_OK;
}

/* The same segments with the inner backend's caches; free it. */
static struct qvl_segment *inner_segments(const struct qvl_segment *segments, int64_t count)
{
    struct qvl_segment *handed = malloc(sizeof *handed * (size_t)(count > 0 ? count : 1));
    for (int64_t i = 0; handed && i < count; i++) {
        handed[i] = segments[i];
        handed[i].cache = segments[i].cache ? segments[i].cache->inner : NULL;
    }
    return handed;
}

#define CACHE_ENTRY(name)                                                                                    \
    static enum qvl_status name(struct qvl_backend *backend, const struct qvl_##name##_args *args,           \
                                struct qvl_error *error)                                                     \
    {                                                                                                        \
        struct counting *counting = backend->state;                                                          \
        struct qvl_##name##_args handed = *args;                                                             \
        struct qvl_segment *segments = inner_segments(args->segments, args->segment_count);                  \
        if (!segments)                                                                                       \
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld segments",                             \
                            (long long)args->segment_count);                                                 \
        handed.segments = segments;                                                                          \
        const enum qvl_status status = counting->inner->ops.name(counting->inner, &handed, error);           \
        free(segments);                                                                                      \
        if (status == QVL_OK) {                                                                              \
            qvl_count_##name(counting, args);                                                                \
            counting->calls++;                                                                               \
        }                                                                                                    \
        return status;                                                                                       \
    }

CACHE_ENTRY(cache_append)
CACHE_ENTRY(attention)
#undef CACHE_ENTRY

static enum qvl_status softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                               struct qvl_error *error)
{
    return inner_of(backend)->ops.softmax(inner_of(backend), args, error);
}

static enum qvl_status sample(struct qvl_backend *backend, const struct qvl_sample_args *args,
                              struct qvl_error *error)
{
    return inner_of(backend)->ops.sample(inner_of(backend), args, error);
}

enum qvl_status qvl_counting_open(struct qvl_backend *inner, struct qvl_backend **backend,
                                  struct qvl_error *error)
{
    struct qvl_backend *made = calloc(1, sizeof *made);
    struct counting *counting = calloc(1, sizeof *counting);
    if (!made || !counting) {
        free(made);
        free(counting);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the counting backend");
    }
    counting->inner = inner;
    counting->follower = STAGE_NONE;
    *made = (struct qvl_backend){.struct_size = sizeof *made,
                                 .abi = QVL_BACKEND_ABI,
                                 .name = inner->name,
                                 .description = inner->description,
                                 .math = inner->math,
                                 .state = counting,
                                 .close = close_counting};
#define HAND_ON(name) made->name = inner->name ? (name) : NULL
    HAND_ON(allocate);
    HAND_ON(release);
    HAND_ON(upload);
    HAND_ON(download);
    made->sync = inner->sync ? sync_inner : NULL;
    HAND_ON(weight_prepare);
    HAND_ON(weight_destroy);
    HAND_ON(cache_create);
    HAND_ON(cache_destroy);
    HAND_ON(cache_length);
    HAND_ON(cache_truncate);
    HAND_ON(cache_fork);
    HAND_ON(cache_export);
#undef HAND_ON
#define ENTRY(name) made->ops.name = inner->ops.name ? (name) : NULL;
    QVL_OPS(ENTRY)
#undef ENTRY
    *backend = made;
    return QVL_OK;
}

/* ---- Results ---- */

static void add_stage(struct qvl_flops *flops, const char *name, const struct tally *tally,
                      enum qvl_flops_class work, bool vision)
{
    if (!tally->called || flops->count == QVL_FLOPS_MAX_STAGES)
        return;
    struct qvl_flops_stage *stage = &flops->stages[flops->count++];
    *stage = (struct qvl_flops_stage){
        .work = work, .vision = vision, .flops = tally->flops, .bytes = (double)tally->bytes};
    snprintf(stage->name, sizeof stage->name, "%s", name);
}

void qvl_counting_read(struct qvl_backend *backend, struct qvl_counting *result)
{
    static const struct {
        const char *name;
        enum qvl_flops_class work;
        bool vision;
    } stages[STAGE_COUNT] = {
        [STAGE_PATCH_EMBED] = {"vision_patch_embed", QVL_FLOPS_MATRIX, true},
        [STAGE_POSITION] = {"vision_position", QVL_FLOPS_ELEMENTS, true},
        [STAGE_VISION_LINEAR] = {"vision_linear", QVL_FLOPS_MATRIX, true},
        [STAGE_VISION_ATTENTION] = {"vision_attention", QVL_FLOPS_MATRIX, true},
        [STAGE_MERGER] = {"merger", QVL_FLOPS_MATRIX, true},
        [STAGE_VISION_NORMS] = {"vision_norms", QVL_FLOPS_ELEMENTS, true},
        [STAGE_VISION_SOFTMAX] = {"vision_softmax", QVL_FLOPS_ELEMENTS, true},
        [STAGE_VISION_ELEMENTWISE] = {"vision_elementwise", QVL_FLOPS_ELEMENTS, true},
        [STAGE_EMBEDDING] = {"embedding", QVL_FLOPS_ELEMENTS, false},
        [STAGE_DEEPSTACK_ADD] = {"deepstack_add", QVL_FLOPS_ELEMENTS, true},
        [STAGE_ATTENTION_LINEAR] = {"attention_linear", QVL_FLOPS_MATRIX, false},
        [STAGE_ATTENTION] = {"attention", QVL_FLOPS_MATRIX, false},
        [STAGE_MLP] = {"mlp", QVL_FLOPS_MATRIX, false},
        [STAGE_ROUTER] = {"router", QVL_FLOPS_MATRIX, false},
        [STAGE_EXPERTS] = {"experts", QVL_FLOPS_MATRIX, false},
        [STAGE_HEAD] = {"head", QVL_FLOPS_MATRIX, false},
        [STAGE_NORMS] = {"norms", QVL_FLOPS_ELEMENTS, false},
        [STAGE_SOFTMAX] = {"softmax", QVL_FLOPS_ELEMENTS, false},
        [STAGE_ELEMENTWISE] = {"elementwise", QVL_FLOPS_ELEMENTS, false},
        [STAGE_UNPLACED] = {"unplaced", QVL_FLOPS_MATRIX, false},
    };
    struct counting *counting = backend->state;
    qvl_count_end_pass(counting);
    *result = (struct qvl_counting){.experts_touched = counting->experts_touched, .calls = counting->calls};
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        add_stage(&result->stages, stages[stage].name, &counting->stages[stage], stages[stage].work,
                  stages[stage].vision);
        for (int j = 0; stage == STAGE_MERGER && j < QVL_MAX_DEEPSTACK; j++) {
            char name[40];
            snprintf(name, sizeof name, "deepstack_merger_%d", j);
            add_stage(&result->stages, name, &counting->deepstack[j], QVL_FLOPS_MATRIX, true);
        }
    }
}

void qvl_counting_reset(struct qvl_backend *backend)
{
    struct counting *counting = backend->state;
    *counting = (struct counting){.inner = counting->inner, .follower = STAGE_NONE};
}
