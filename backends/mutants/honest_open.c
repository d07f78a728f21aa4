/* Opening and closing an instance; its memory entries. */
#include "honest.h"
#include "registry.h"

enum { ALIGNMENT = 64 };

void honest_load(const void *data, enum qvl_dtype dtype, int64_t n, float *row)
{
    for (int64_t i = 0; i < n; i++)
        row[i] = honest_get(data, dtype, i);
}

void honest_store(const float *row, enum qvl_dtype dtype, int64_t n, void *data)
{
    for (int64_t i = 0; i < n; i++)
        honest_put(data, dtype, i, row[i]);
}

enum qvl_status honest_floats(const char *op, int64_t count, float **floats, struct qvl_error *error)
{
    *floats = count < INT64_MAX / 8 ? malloc(((size_t)count + 1) * sizeof **floats) : NULL;
    if (!*floats)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for %lld floats", op, (long long)count);
    return QVL_OK;
}

enum qvl_status honest_no_cond(const struct qvl_condition *cond, const char *op, struct qvl_error *error)
{
    if (cond)
        return qvl_fail(error, QVL_UNSUPPORTED,
                        "%s: this backend makes no error analysis; pass cond = NULL or use ref", op);
    return QVL_OK;
}

static void close_instance(struct qvl_backend *backend)
{
    struct honest_state *state;
    if (!backend)
        return;
    state = backend->state;
    free(state->leak.row);
    free(state);
    free(backend);
}

static enum qvl_status allocate(struct qvl_backend *backend, size_t bytes, void **data,
                                struct qvl_error *error)
{
    (void)backend;
    *data = bytes < SIZE_MAX - ALIGNMENT
                ? aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT)
                : NULL;
    if (!*data)
        return qvl_fail(error, QVL_NO_MEMORY, "honest: %zu bytes are not available", bytes);
    return QVL_OK;
}

static void release(struct qvl_backend *backend, void *data)
{
    (void)backend;
    free(data);
}

/* The next `row` of a tensor, counted over all axes but the last. */
static char *row_at(const struct qvl_tensor *tensor, int64_t row)
{
    int64_t offset = 0;
    for (int32_t axis = tensor->rank - 2; axis >= 0; axis--) {
        offset += row % tensor->shape[axis] * tensor->stride[axis];
        row /= tensor->shape[axis];
    }
    return (char *)tensor->data + offset * (int64_t)qvl_dtype_bytes(tensor->dtype);
}

/* Copy between a tensor and contiguous host memory, one of `from` and `to` being NULL. */
static void copy_rows(const struct qvl_tensor *tensor, const char *from, char *to)
{
    const int64_t size = (int64_t)qvl_dtype_bytes(tensor->dtype);
    const int64_t columns = tensor->rank > 0 ? tensor->shape[tensor->rank - 1] : 1;
    const int64_t step = tensor->rank > 0 && columns > 1 ? tensor->stride[tensor->rank - 1] : 1;
    const int64_t rows = columns > 0 ? qvl_tensor_count(tensor) / columns : 0;
    for (int64_t i = 0; i < rows; i++) {
        char *row = row_at(tensor, i);
        for (int64_t j = 0; j < columns; j += step == 1 ? columns : 1) {
            const size_t bytes = (size_t)((step == 1 ? columns : 1) * size);
            if (from)
                memcpy(row + j * step * size, from + (i * columns + j) * size, bytes);
            else
                memcpy(to + (i * columns + j) * size, row + j * step * size, bytes);
        }
    }
}

static enum qvl_status upload(struct qvl_backend *backend, const struct qvl_tensor *to, const void *host,
                              struct qvl_error *error)
{
    (void)backend;
    (void)error;
    copy_rows(to, host, NULL);
    return QVL_OK;
}

static enum qvl_status download(struct qvl_backend *backend, const struct qvl_tensor *from, void *host,
                                struct qvl_error *error)
{
    (void)backend;
    (void)error;
    copy_rows(from, NULL, host);
    return QVL_OK;
}

static enum qvl_status sync_calls(struct qvl_backend *backend, struct qvl_error *error)
{
    (void)backend;
    (void)error;
    return QVL_OK;
}

static void fill_tables(struct qvl_backend *backend)
{
    backend->close = close_instance;
    backend->allocate = allocate;
    backend->release = release;
    backend->upload = upload;
    backend->download = download;
    backend->sync = sync_calls;
    backend->weight_prepare = honest_weight_prepare;
    backend->weight_destroy = honest_weight_destroy;
    backend->cache_create = honest_cache_create;
    backend->cache_destroy = honest_cache_destroy;
    backend->cache_length = honest_cache_length;
    backend->cache_truncate = honest_cache_truncate;
    backend->cache_fork = honest_cache_fork;
    backend->cache_export = honest_cache_export;
#define HONEST_SET(name) backend->ops.name = honest_##name;
    QVL_OPS(HONEST_SET)
#undef HONEST_SET
}

static enum qvl_status open_instance(enum qvl_sum_order order, enum qvl_fault fault, const char *name,
                                     struct qvl_backend **backend, struct qvl_error *error)
{
    struct qvl_backend *opened = calloc(1, sizeof *opened);
    struct honest_state *state = calloc(1, sizeof *state);
    *backend = NULL;
    if (!opened || !state) {
        free(opened);
        free(state);
        return qvl_fail(error, QVL_NO_MEMORY, "%s: cannot allocate the backend", name);
    }
    state->order = order;
    state->fault = fault;
    snprintf(state->description, sizeof state->description, "plain float32, %s sums%s%s",
             qvl_sum_order_name(order), fault == QVL_FAULT_NONE ? "" : ", with the fault ",
             fault == QVL_FAULT_NONE ? "" : name);
    opened->struct_size = sizeof *opened;
    opened->abi = QVL_BACKEND_ABI;
    opened->name = name;
    opened->description = state->description;
    opened->math = (struct qvl_math){.accumulate = QVL_F32};
    opened->state = state;
    fill_tables(opened);
    *backend = opened;
    return QVL_OK;
}

enum qvl_status qvl_honest_open(enum qvl_sum_order order, const struct qvl_backend_options *options,
                                struct qvl_backend **backend, struct qvl_error *error)
{
    (void)options;
    *backend = NULL;
    if ((unsigned)order >= QVL_SUM_ORDER_COUNT)
        return qvl_fail(error, QVL_USAGE, "honest: %d is no summation order, 0 to %d are", (int)order,
                        QVL_SUM_ORDER_COUNT - 1);
    return open_instance(order, QVL_FAULT_NONE, "honest", backend, error);
}

enum qvl_status qvl_mutant_open(const char *name, const struct qvl_backend_options *options,
                                struct qvl_backend **backend, struct qvl_error *error)
{
    const struct mutant_row *row;
    *backend = NULL;
    if (!strcmp(name, "honest"))
        return qvl_honest_open(QVL_SUM_BLOCKED, options, backend, error);
    row = mutant_row_named(name);
    if (!row)
        return qvl_fail(error, QVL_USAGE, "%s: no mutant has this name; qvl_mutant_at lists them", name);
    return open_instance(QVL_SUM_BLOCKED, row->fault, row->mutant.name, backend, error);
}
