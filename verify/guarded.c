#include "verify/guarded.h"

#include <stdlib.h>

#include "verify/gap.h"

enum { GUARD = 256 }; /* bytes, a multiple of every element */

static size_t row_bytes(const struct qvl_tensor *view)
{
    size_t bytes = qvl_dtype_bytes(view->dtype);
    for (int32_t axis = 1; axis < view->rank; axis++)
        bytes *= (size_t)view->shape[axis];
    return bytes;
}

static size_t step_bytes(const struct qvl_tensor *view)
{
    return (size_t)view->stride[0] * qvl_dtype_bytes(view->dtype);
}

/* Zones that nobody may write, of `memory` as it was read: the guards and the gap behind each row. */
static bool untouched(const struct qvl_guarded *guarded, const unsigned char *memory)
{
    const size_t row = row_bytes(&guarded->view), step = step_bytes(&guarded->view);
    const enum qvl_dtype dtype = guarded->view.dtype;
    bool intact = qvl_gap_intact(dtype, guarded->input, memory, GUARD) &&
                  qvl_gap_intact(dtype, guarded->input, memory + guarded->bytes - GUARD, GUARD);
    for (int64_t r = 0; r < guarded->view.shape[0] && intact; r++)
        intact = qvl_gap_intact(dtype, guarded->input, memory + GUARD + (size_t)r * step + row, step - row);
    return intact;
}

enum qvl_status qvl_guarded_open(struct qvl_guarded *guarded, struct qvl_backend *backend,
                                 const struct qvl_tensor *shape, int64_t pad, const void *host,
                                 struct qvl_error *error)
{
    struct qvl_tensor *view = &guarded->view;
    *guarded = (struct qvl_guarded){.backend = backend, .view = *shape, .input = host};
    view->stride[0] += pad;
    const size_t row = row_bytes(view), step = step_bytes(view);
    guarded->bytes = (size_t)view->shape[0] * step + (size_t)2 * GUARD;
    QVL_TRY(backend->allocate(backend, guarded->bytes, &guarded->memory, error));
    view->data = (char *)guarded->memory + GUARD;
    unsigned char *image = malloc(guarded->bytes);
    if (!image)
        return qvl_fail(error, QVL_NO_MEMORY, "%zu bytes are not available", guarded->bytes);
    qvl_gap_fill(view->dtype, guarded->input, image, guarded->bytes);
    for (int64_t r = 0; r < view->shape[0]; r++) {
        if (host)
            memcpy(image + GUARD + (size_t)r * step, (const char *)host + (size_t)r * row, row);
        else
            memset(image + GUARD + (size_t)r * step, QVL_POISON, row);
    }
    const struct qvl_tensor all = qvl_tensor_1d(guarded->memory, QVL_U8, (int64_t)guarded->bytes);
    const enum qvl_status status = backend->upload(backend, &all, image, error);
    free(image);
    return status;
}

void qvl_guarded_close(struct qvl_guarded *guarded)
{
    if (guarded->memory)
        guarded->backend->release(guarded->backend, guarded->memory);
    guarded->memory = NULL;
}

enum qvl_status qvl_guarded_read(const struct qvl_guarded *guarded, void *host, struct qvl_error *error)
{
    const struct qvl_tensor *view = &guarded->view;
    const struct qvl_tensor all = qvl_tensor_1d(guarded->memory, QVL_U8, (int64_t)guarded->bytes);
    const size_t row = row_bytes(view), step = step_bytes(view);
    unsigned char *image = malloc(guarded->bytes);
    if (!image)
        return qvl_fail(error, QVL_NO_MEMORY, "%zu bytes are not available", guarded->bytes);
    enum qvl_status status = guarded->backend->download(guarded->backend, &all, image, error);
    if (status == QVL_OK && !untouched(guarded, image))
        status = qvl_fail(error, QVL_FAILED, "memory beside the rows of an operand was written");
    for (int64_t r = 0; status == QVL_OK && r < view->shape[0]; r++)
        memcpy((char *)host + (size_t)r * row, image + GUARD + (size_t)r * step, row);
    free(image);
    return status;
}
