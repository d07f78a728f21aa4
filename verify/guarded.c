#include "verify/guarded.h"

#include <stdlib.h>

enum { GUARD = 256, POISON = 0xff }; /* bytes; 0xff.. is NaN in every float type */

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
    for (size_t i = 0; i < GUARD; i++)
        if (memory[i] != POISON || memory[guarded->bytes - 1 - i] != POISON)
            return false;
    for (int64_t r = 0; r < guarded->view.shape[0]; r++)
        for (size_t i = row; i < step; i++)
            if (memory[GUARD + (size_t)r * step + i] != POISON)
                return false;
    return true;
}

enum qvl_status qvl_guarded_open(struct qvl_guarded *guarded, struct qvl_backend *backend,
                                 const struct qvl_tensor *shape, int64_t pad, const void *host,
                                 struct qvl_error *error)
{
    struct qvl_tensor *view = &guarded->view;
    *guarded = (struct qvl_guarded){.backend = backend, .view = *shape};
    view->stride[0] += pad;
    const size_t row = row_bytes(view), step = step_bytes(view);
    guarded->bytes = (size_t)view->shape[0] * step + (size_t)2 * GUARD;
    QVL_TRY(backend->allocate(backend, guarded->bytes, &guarded->memory, error));
    view->data = (char *)guarded->memory + GUARD;
    unsigned char *image = malloc(guarded->bytes);
    if (!image)
        return qvl_fail(error, QVL_NO_MEMORY, "%zu bytes are not available", guarded->bytes);
    memset(image, POISON, guarded->bytes);
    for (int64_t r = 0; host && r < view->shape[0]; r++)
        memcpy(image + GUARD + (size_t)r * step, (const char *)host + (size_t)r * row, row);
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
