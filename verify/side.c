#include "verify/side.h"

#include <stdlib.h>

#include "qvl/rounding.h"
#include "verify/gap.h"

/* Bytes of a guard zone: two rows, so that a write to the row before the first or behind the last lands in
 * it, within these limits. */
enum { GUARD_LEAST = 256, GUARD_MOST = 65536 };

enum qvl_dtype qvl_side_dtype(const struct qvl_side *side, const struct qvl_operand *operand)
{
    const bool wide = side->widen && qvl_dtype_is_storage(operand->dtype) && !operand->keeps_dtype;
    return wide ? QVL_F32 : operand->dtype;
}

static double value_of(enum qvl_dtype dtype, const void *data, int64_t index)
{
    double value;
    int32_t narrow;
    int64_t wide;
    switch (dtype) {
    case QVL_I32: memcpy(&narrow, (const char *)data + index * 4, 4); return (double)narrow;
    case QVL_I64: memcpy(&wide, (const char *)data + index * 8, 8); return (double)wide;
    default:
        qvl_load_row((const char *)data + (size_t)index * qvl_dtype_bytes(dtype), dtype, 1, &value);
        return value;
    }
}

/* A host value in another type than its own: widened, exact. */
static void copy_value(const struct qvl_operand *operand, enum qvl_dtype dtype, int64_t index, void *to)
{
    const double value = value_of(operand->dtype, operand->host, index);
    qvl_store_row(&value, dtype, 1, to);
}

static int64_t offset_of(const struct qvl_tensor *view, int64_t element)
{
    int64_t offset = 0;
    for (int32_t axis = view->rank - 1; axis >= 0; axis--) {
        offset += element % view->shape[axis] * view->stride[axis];
        element /= view->shape[axis];
    }
    return offset;
}

static enum qvl_status no_memory(const struct qvl_operand *operand, size_t bytes, struct qvl_error *error)
{
    return qvl_fail(error, QVL_NO_MEMORY, "%s: %zu bytes are not available", operand->name, bytes);
}

/* Shape, strides with gaps, and the bytes between the guards. */
static size_t lay_out(struct qvl_placed *placed, const struct qvl_operand *operand, enum qvl_dtype dtype)
{
    placed->view = qvl_tensor_make(NULL, dtype, operand->rank, operand->shape);
    int64_t extent = operand->shape[operand->rank - 1];
    for (int32_t axis = operand->rank - 2; axis >= 0; axis--) {
        placed->view.stride[axis] = extent + operand->pad;
        extent = operand->shape[axis] * placed->view.stride[axis];
    }
    const size_t row = operand->rank > 1 ? (size_t)placed->view.stride[operand->rank - 2] : 1;
    const size_t wanted = (2 * row * qvl_dtype_bytes(dtype) + 255) / 256 * 256; /* keeps alignment */
    placed->guard = wanted < GUARD_LEAST ? GUARD_LEAST : wanted > GUARD_MOST ? GUARD_MOST : wanted;
    placed->bytes = (size_t)extent * qvl_dtype_bytes(dtype) + 2 * placed->guard;
    return placed->bytes;
}

/* Gap patterns everywhere, and in the elements of an output poison. */
static void fill_image(const struct qvl_placed *placed, const struct qvl_operand *operand)
{
    const struct qvl_tensor *view = &placed->view;
    const size_t element = qvl_dtype_bytes(view->dtype);
    const int64_t width = view->shape[view->rank - 1], count = qvl_tensor_count(view);
    qvl_gap_fill(view->dtype, operand->role == QVL_ROLE_INPUT, placed->image, placed->bytes);
    for (int64_t i = 0; !operand->host && i < count; i += width)
        memset(placed->image + placed->guard + (size_t)offset_of(view, i) * element, QVL_POISON,
               (size_t)width * element);
}

/* The whole memory as one tensor of bytes. */
static struct qvl_tensor as_bytes(const struct qvl_placed *placed)
{
    return qvl_tensor_1d(placed->memory, QVL_U8, (int64_t)placed->bytes);
}

/* The image of an operand, and the memory like it. */
static enum qvl_status fill(struct qvl_side *side, int index, struct qvl_error *error)
{
    const struct qvl_operand *operand = &side->problem->operands[index];
    struct qvl_placed *placed = &side->placed[index];
    const enum qvl_dtype dtype = placed->view.dtype;
    const size_t element = qvl_dtype_bytes(dtype);
    fill_image(placed, operand);
    const int64_t width = operand->shape[operand->rank - 1];
    for (int64_t i = 0; operand->host && i < qvl_operand_count(operand); i += width) {
        unsigned char *row = placed->image + placed->guard + (size_t)offset_of(&placed->view, i) * element;
        if (dtype == operand->dtype)
            memcpy(row, (const char *)operand->host + (size_t)i * element, (size_t)width * element);
        else
            for (int64_t j = 0; j < width; j++)
                copy_value(operand, dtype, i + j, row + (size_t)j * element);
    }
    if (operand->role == QVL_ROLE_HOST) {
        memcpy(placed->memory, placed->image, placed->bytes);
        return QVL_OK;
    }
    const struct qvl_tensor bytes = as_bytes(placed);
    return side->backend->upload(side->backend, &bytes, placed->image, error);
}

static enum qvl_status place(struct qvl_side *side, int index, struct qvl_error *error)
{
    const struct qvl_operand *operand = &side->problem->operands[index];
    struct qvl_placed *placed = &side->placed[index];
    placed->image = malloc(lay_out(placed, operand, qvl_side_dtype(side, operand)));
    if (!placed->image)
        return no_memory(operand, placed->bytes, error);
    if (operand->role == QVL_ROLE_HOST) {
        placed->memory = malloc(placed->bytes);
        if (!placed->memory)
            return no_memory(operand, placed->bytes, error);
    } else {
        QVL_TRY(side->backend->allocate(side->backend, placed->bytes, &placed->memory, error));
    }
    placed->view.data = (char *)placed->memory + placed->guard;
    return fill(side, index, error);
}

static enum qvl_status prepare(struct qvl_side *side, int index, struct qvl_error *error)
{
    const struct qvl_operand *operand = &side->problem->operands[index];
    struct qvl_weight_desc desc = {
        .array = {.data = operand->host, .dtype = operand->dtype, .rank = operand->rank},
        .use = operand->use,
        .input_first = operand->input_first,
        .storage = qvl_side_dtype(side, operand),
        .name = operand->name};
    memcpy(desc.array.shape, operand->shape, sizeof desc.array.shape);
    return side->backend->weight_prepare(side->backend, &desc, &side->weights[index], error);
}

enum qvl_status qvl_side_open(struct qvl_side *side, struct qvl_error *error)
{
    for (int i = 0; i < side->problem->count; i++) {
        if (side->problem->operands[i].role == QVL_ROLE_WEIGHT)
            QVL_TRY(prepare(side, i, error));
        else
            QVL_TRY(place(side, i, error));
    }
    return QVL_OK;
}

static void drop_caches(struct qvl_side *side)
{
    for (int i = 0; i < QVL_SIDE_CACHES; i++) {
        if (side->caches[i])
            side->backend->cache_destroy(side->backend, side->caches[i]);
        side->caches[i] = NULL;
    }
}

enum qvl_status qvl_side_refill(struct qvl_side *side, const struct qvl_problem *problem,
                                struct qvl_error *error)
{
    side->problem = problem;
    drop_caches(side);
    for (int i = 0; i < problem->count; i++) {
        if (problem->operands[i].role == QVL_ROLE_WEIGHT) {
            side->backend->weight_destroy(side->backend, side->weights[i]);
            side->weights[i] = NULL;
            QVL_TRY(prepare(side, i, error));
        } else {
            QVL_TRY(fill(side, i, error));
        }
    }
    return QVL_OK;
}

enum qvl_status qvl_side_reload(struct qvl_side *side, struct qvl_error *error)
{
    drop_caches(side);
    for (int i = 0; i < side->problem->count; i++)
        if (side->problem->operands[i].role != QVL_ROLE_WEIGHT)
            QVL_TRY(fill(side, i, error));
    return QVL_OK;
}

void qvl_side_close(struct qvl_side *side)
{
    for (int i = 0; i < side->problem->count; i++) {
        if (side->problem->operands[i].role == QVL_ROLE_HOST)
            free(side->placed[i].memory);
        else
            side->backend->release(side->backend, side->placed[i].memory);
        free(side->placed[i].image);
        if (side->weights[i])
            side->backend->weight_destroy(side->backend, side->weights[i]);
    }
    drop_caches(side);
}

/* The memory of a placed operand as it is now; malloc'd. */
static enum qvl_status fetch(struct qvl_side *side, int index, unsigned char **now, struct qvl_error *error)
{
    const struct qvl_placed *placed = &side->placed[index];
    const struct qvl_tensor bytes = as_bytes(placed);
    enum qvl_status status = QVL_OK;
    *now = malloc(placed->bytes);
    if (!*now)
        return no_memory(&side->problem->operands[index], placed->bytes, error);
    if (side->problem->operands[index].role == QVL_ROLE_HOST)
        memcpy(*now, placed->memory, placed->bytes);
    else
        status = side->backend->download(side->backend, &bytes, *now, error);
    if (status != QVL_OK) {
        free(*now);
        *now = NULL;
    }
    return status;
}

enum qvl_status qvl_side_values(struct qvl_side *side, int index, double **values, struct qvl_error *error)
{
    const struct qvl_placed *placed = &side->placed[index];
    const int64_t count = qvl_operand_count(&side->problem->operands[index]);
    unsigned char *now;
    *values = malloc(((size_t)count + 1) * sizeof **values);
    if (!*values)
        return no_memory(&side->problem->operands[index], (size_t)count * sizeof **values, error);
    const enum qvl_status status = fetch(side, index, &now, error);
    if (status != QVL_OK) {
        free(*values);
        *values = NULL;
        return status;
    }
    unsigned char poison[8];
    const size_t element = qvl_dtype_bytes(placed->view.dtype);
    const bool real = qvl_dtype_is_storage(placed->view.dtype);
    memset(poison, QVL_POISON, sizeof poison);
    for (int64_t i = 0; i < count; i++) {
        const int64_t offset = offset_of(&placed->view, i);
        const bool same =
            real && memcmp(now + placed->guard + (size_t)offset * element, poison, element) == 0;
        (*values)[i] = same ? qvl_unwritten() : value_of(placed->view.dtype, now + placed->guard, offset);
    }
    free(now);
    return QVL_OK;
}

/* Forget the elements of a judged operand: only what lies around them must be as before. */
static void copy_elements(const struct qvl_placed *placed, const unsigned char *from, unsigned char *to)
{
    const size_t element = qvl_dtype_bytes(placed->view.dtype);
    for (int64_t i = 0; i < qvl_tensor_count(&placed->view); i++) {
        const size_t at = placed->guard + (size_t)offset_of(&placed->view, i) * element;
        memcpy(to + at, from + at, element);
    }
}

enum qvl_status qvl_side_untouched(struct qvl_side *side, struct qvl_error *error)
{
    for (int i = 0; i < side->problem->count; i++) {
        const struct qvl_operand *operand = &side->problem->operands[i];
        const struct qvl_placed *placed = &side->placed[i];
        unsigned char *now;
        size_t at = 0;
        if (operand->role == QVL_ROLE_WEIGHT)
            continue;
        QVL_TRY(fetch(side, i, &now, error));
        if (operand->role != QVL_ROLE_INPUT)
            copy_elements(placed, placed->image, now);
        if (memcmp(now, placed->image, placed->bytes) == 0)
            at = placed->bytes;
        while (at < placed->bytes && now[at] == placed->image[at])
            at++;
        free(now);
        if (at < placed->bytes)
            return qvl_fail(error, QVL_FAILED, "%s: byte %lld from its start was written, which is %s",
                            operand->name, (long long)at - (long long)placed->guard,
                            operand->role == QVL_ROLE_INPUT ? "an input" : "outside the output");
    }
    return QVL_OK;
}
