#include "model/taps.h"

#include <stdlib.h>

#include "model/convert.h"

static enum qvl_status take(const struct qvl_tap_point *point, const struct qvl_tensor *tensor,
                            const char *name, struct qvl_error *error)
{
    const size_t count = (size_t)qvl_tensor_count(tensor);
    void *raw = malloc(count * qvl_dtype_bytes(tensor->dtype) + 1);
    float *values = malloc(count * sizeof(float) + 1);
    enum qvl_status status = QVL_OK;
    if (!raw || !values)
        status = qvl_fail(error, QVL_NO_MEMORY, "tap %s: no memory for %zu values", name, count);
    if (status == QVL_OK)
        status = point->backend->sync(point->backend, error);
    if (status == QVL_OK)
        status = point->backend->download(point->backend, tensor, raw, error);
    if (status == QVL_OK) {
        qvl_to_f32(values, raw, tensor->dtype, count);
        status = point->taps->take(point->taps->context, name, point->first, tensor->rank, tensor->shape,
                                   values, error);
    }
    if (status == QVL_OK && point->taps->give &&
        point->taps->give(point->taps->context, name, point->first, tensor->rank, tensor->shape, values)) {
        qvl_from_f32(raw, tensor->dtype, values, count);
        status = point->backend->upload(point->backend, tensor, raw, error);
    }
    free(raw);
    free(values);
    return status;
}

enum qvl_status qvl_tap(const struct qvl_tap_point *point, const struct qvl_tensor *tensor,
                        struct qvl_error *error, const char *format, ...)
{
    if (!point->taps)
        return QVL_OK;
    char name[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    if (!point->taps->wants(point->taps->context, name))
        return QVL_OK;
    return take(point, tensor, name, error);
}
