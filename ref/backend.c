/* The reference as a backend: host memory, calls complete on return. */
#include "ref/kernels.h"
#include "ref/kv_cache.h"
#include "ref/ref.h"
#include "ref/weight.h"

enum { ALIGNMENT = 64 };

static enum qvl_status allocate(struct qvl_backend *backend, size_t bytes, void **data,
                                struct qvl_error *error)
{
    (void)backend;
    *data = NULL;
    if (bytes <= SIZE_MAX - ALIGNMENT)
        *data = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT);
    return *data ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "ref: %zu bytes are not available", bytes);
}

static void release(struct qvl_backend *backend, void *data)
{
    (void)backend;
    free(data);
}

/* Copy element by element between a tensor of any strides and contiguous host memory. */
static void copy(const struct qvl_tensor *tensor, char *host, bool to_tensor)
{
    const size_t bytes = qvl_dtype_bytes(tensor->dtype);
    int64_t index[QVL_MAX_RANK] = {0};
    for (int64_t n = qvl_tensor_count(tensor); n > 0; n--, host += bytes) {
        int64_t offset = 0;
        for (int32_t axis = 0; axis < tensor->rank; axis++)
            offset += index[axis] * tensor->stride[axis];
        char *element = (char *)tensor->data + (size_t)offset * bytes;
        memcpy(to_tensor ? element : host, to_tensor ? host : element, bytes);
        for (int32_t axis = tensor->rank - 1; axis >= 0 && ++index[axis] == tensor->shape[axis]; axis--)
            index[axis] = 0;
    }
}

static enum qvl_status upload(struct qvl_backend *backend, const struct qvl_tensor *to, const void *host,
                              struct qvl_error *error)
{
    const int64_t count = qvl_tensor_count(to);
    (void)backend;
    if (count > 0 && (!to->data || !host))
        return qvl_fail(error, QVL_USAGE, "upload: a pointer is NULL");
    if (count > 0 && qvl_tensor_is_contiguous(to))
        memcpy(to->data, host, (size_t)count * qvl_dtype_bytes(to->dtype));
    else
        copy(to, (char *)(uintptr_t)host, true);
    return QVL_OK;
}

static enum qvl_status download(struct qvl_backend *backend, const struct qvl_tensor *from, void *host,
                                struct qvl_error *error)
{
    const int64_t count = qvl_tensor_count(from);
    (void)backend;
    if (count > 0 && (!from->data || !host))
        return qvl_fail(error, QVL_USAGE, "download: a pointer is NULL");
    if (count > 0 && qvl_tensor_is_contiguous(from))
        memcpy(host, from->data, (size_t)count * qvl_dtype_bytes(from->dtype));
    else
        copy(from, host, false);
    return QVL_OK;
}

static enum qvl_status finish(struct qvl_backend *backend, struct qvl_error *error)
{
    (void)backend;
    (void)error;
    return QVL_OK;
}

static void close_backend(struct qvl_backend *backend)
{
    if (backend)
        free(backend->state);
    free(backend);
}

enum qvl_status qvl_ref_doubles(const char *op, int64_t count, double **doubles, struct qvl_error *error)
{
    const size_t bytes = ((size_t)count + 1) * sizeof **doubles;
    *doubles = malloc(bytes);
    return *doubles
               ? QVL_OK
               : qvl_fail(error, QVL_NO_MEMORY, "%s: %zu bytes of work memory are not available", op, bytes);
}

enum qvl_status qvl_ref_open(const struct qvl_backend_options *options, struct qvl_backend **backend,
                             struct qvl_error *error)
{
    struct qvl_backend *made = malloc(sizeof *made);
    struct qvl_ref_state *state = malloc(sizeof *state);
    *backend = NULL;
    if (!made || !state) {
        free(made);
        free(state);
        return qvl_fail(error, QVL_NO_MEMORY, "ref: no memory for a handle");
    }
    state->jitter = options ? options->jitter_seed : 0;
    state->jitters = state->jitter != 0;
    *made = (struct qvl_backend){.struct_size = sizeof *made,
                                 .abi = QVL_BACKEND_ABI,
                                 .name = "ref",
                                 .description = "plain C, double accumulators, one thread",
                                 .math = {.accumulate = QVL_F64, .rounds_attention_scores = true},
                                 .state = state,
                                 .close = close_backend,
                                 .allocate = allocate,
                                 .release = release,
                                 .upload = upload,
                                 .download = download,
                                 .sync = finish,
                                 .weight_prepare = qvl_ref_weight_prepare,
                                 .weight_destroy = qvl_ref_weight_destroy,
                                 .cache_create = qvl_ref_cache_create,
                                 .cache_destroy = qvl_ref_cache_destroy,
                                 .cache_length = qvl_ref_cache_length,
                                 .cache_truncate = qvl_ref_cache_truncate,
                                 .cache_fork = qvl_ref_cache_fork,
                                 .cache_export = qvl_ref_cache_export,
#define QVL_REF_ENTRY(name) .ops.name = qvl_ref_##name,
                                 QVL_OPS(QVL_REF_ENTRY)
#undef QVL_REF_ENTRY
    };
    *backend = made;
    return QVL_OK;
}
