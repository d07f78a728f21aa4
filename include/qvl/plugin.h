/* The part of a backend in host memory that is not its kernels, for plugins: memory, copies, ordering,
 * closing, and the function that `--backend ./x.so` looks for. A plugin of one entry:
 *
 *     #include "qvl/plugin.h"
 *
 *     static enum qvl_status add(struct qvl_backend *backend, const struct qvl_add_args *args,
 *                                struct qvl_error *error) { ... }
 *
 *     QVL_PLUGIN("mine", "one kernel", ops->add = add)
 *
 * A plugin with a state of its own writes qvl_backend_open itself and starts from qvl_plugin_create. Device
 * memory needs functions of its own in place of these five. Examples: examples/plugins; guide:
 * docs/PLUGINS.md. */
#ifndef QVL_PLUGIN_H
#define QVL_PLUGIN_H

#include <stdlib.h>

#include "qvl/backend.h"
#include "qvl/check.h"
#include "qvl/rounding.h"

#ifdef __cplusplus
#define QVL_PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define QVL_PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

/* The symbol, declared so that its definition is checked against what the program calls. */
QVL_PLUGIN_EXPORT enum qvl_status qvl_backend_open(const struct qvl_backend_options *options,
                                                   struct qvl_backend **backend, struct qvl_error *error);

static inline enum qvl_status qvl_plugin_allocate(struct qvl_backend *backend, size_t bytes, void **data,
                                                  struct qvl_error *error)
{
    const size_t rounded = (bytes / 64 + 1) * 64; /* aligned_alloc takes multiples of the alignment */
    (void)backend;
    *data = bytes < SIZE_MAX - 64 ? aligned_alloc(64, rounded) : NULL;
    return *data ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "%zu bytes are not available", bytes);
}

static inline void qvl_plugin_release(struct qvl_backend *backend, void *data)
{
    (void)backend;
    free(data);
}

/* Copy between contiguous host memory and a tensor of any strides, row by row of its last axis. */
static inline void qvl_plugin_copy(const struct qvl_tensor *tensor, char *host, bool to_tensor)
{
    const size_t element = qvl_dtype_bytes(tensor->dtype);
    const int32_t last = tensor->rank - 1;
    const int64_t width = tensor->rank > 0 ? tensor->shape[last] : 1;
    const int64_t step = tensor->rank > 0 && width > 1 ? tensor->stride[last] : 1;
    const int64_t rows = width > 0 ? qvl_tensor_count(tensor) / width : 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t rest = row, offset = 0;
        for (int32_t axis = last - 1; axis >= 0; axis--) {
            offset += rest % tensor->shape[axis] * tensor->stride[axis];
            rest /= tensor->shape[axis];
        }
        for (int64_t i = 0; i < width; i += step == 1 ? width : 1) {
            const size_t bytes = (step == 1 ? (size_t)width : 1) * element;
            char *inside = (char *)tensor->data + (size_t)(offset + i * step) * element;
            char *outside = host + (size_t)(row * width + i) * element;
            memcpy(to_tensor ? inside : outside, to_tensor ? outside : inside, bytes);
        }
    }
}

static inline enum qvl_status qvl_plugin_upload(struct qvl_backend *backend, const struct qvl_tensor *to,
                                                const void *host, struct qvl_error *error)
{
    (void)backend;
    (void)error;
    qvl_plugin_copy(to, (char *)host, true); /* `host` is only read */
    return QVL_OK;
}

static inline enum qvl_status qvl_plugin_download(struct qvl_backend *backend, const struct qvl_tensor *from,
                                                  void *host, struct qvl_error *error)
{
    (void)backend;
    (void)error;
    qvl_plugin_copy(from, (char *)host, false);
    return QVL_OK;
}

/* Kernels that return when they are done leave nothing to wait for. */
static inline enum qvl_status qvl_plugin_sync(struct qvl_backend *backend, struct qvl_error *error)
{
    (void)backend;
    (void)error;
    return QVL_OK;
}

static inline void qvl_plugin_close(struct qvl_backend *backend)
{
    free(backend);
}

/* A backend in host memory with an empty table, sums in float32, no weights and no caches. `name` and
 * `description` stay the caller's and live as long as the backend. The caller fills in the rest; when `close`
 * is replaced, the new one ends with free(backend). */
static inline enum qvl_status qvl_plugin_create(const char *name, const char *description,
                                                struct qvl_backend **backend, struct qvl_error *error)
{
    struct qvl_backend *made = (struct qvl_backend *)calloc(1, sizeof *made);
    *backend = made;
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a backend");
    made->struct_size = sizeof *made;
    made->abi = QVL_BACKEND_ABI;
    made->name = name;
    made->description = description;
    made->math.accumulate = QVL_F32;
    made->close = qvl_plugin_close;
    made->allocate = qvl_plugin_allocate;
    made->release = qvl_plugin_release;
    made->upload = qvl_plugin_upload;
    made->download = qvl_plugin_download;
    made->sync = qvl_plugin_sync;
    return QVL_OK;
}

/* Element [i][j] of a float32 matrix in host memory. */
static inline float *qvl_plugin_f32(const struct qvl_tensor *tensor, int64_t i, int64_t j)
{
    return (float *)tensor->data + i * tensor->stride[0] + j;
}

/* The whole open function of a plugin without state. Assignments to `ops` follow: ops->add = add, ops->gelu =
 * gelu. Ends the file, without a semicolon. */
#define QVL_PLUGIN(plugin_name, plugin_description, ...)                                                     \
    enum qvl_status qvl_backend_open(const struct qvl_backend_options *options,                              \
                                     struct qvl_backend **backend, struct qvl_error *error)                  \
    {                                                                                                        \
        struct qvl_ops *ops;                                                                                 \
        (void)options;                                                                                       \
        QVL_TRY(qvl_plugin_create(plugin_name, plugin_description, backend, error));                         \
        ops = &(*backend)->ops;                                                                              \
        __VA_ARGS__;                                                                                         \
        return QVL_OK;                                                                                       \
    }

#endif
