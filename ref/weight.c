/* Prepared weights: a view of the checkpoint where the type fits, else a converted copy. */
#include "ref/weight.h"

#include "ref/kernels.h"

/* [out, in] of a matrix (axes after the first are one), with a leading axis of experts for QVL_USE_EXPERTS.
 */
static enum qvl_status take_shape(const struct qvl_weight_desc *desc, struct qvl_weight *weight,
                                  struct qvl_error *error)
{
    const struct qvl_array *array = &desc->array;
    const bool experts = desc->use & QVL_USE_EXPERTS;
    const char *name = desc->name ? desc->name : "weight";
    const int32_t lead = experts ? 1 : 0;
    if (!array->data || array->rank < lead + 2 || array->rank > QVL_MAX_RANK || (experts && array->rank != 3))
        return qvl_fail(error, QVL_USAGE, "%s: rank %d does not suit its use", name, (int)array->rank);
    if (!qvl_dtype_is_storage(array->dtype) || !qvl_dtype_is_storage(desc->storage))
        return qvl_fail(error, QVL_USAGE, "%s: type %s kept as %s; f32, bf16 and f16 are storage types", name,
                        qvl_dtype_name(array->dtype), qvl_dtype_name(desc->storage));
    if (!desc->use || (desc->input_first && !experts))
        return qvl_fail(error, QVL_USAGE, "%s: no use given, or input_first without experts", name);
    for (int32_t axis = 0; axis < array->rank; axis++)
        if (array->shape[axis] < 1)
            return qvl_fail(error, QVL_USAGE, "%s: shape[%d] is %lld, expected at least 1", name, (int)axis,
                            (long long)array->shape[axis]);
    weight->experts = experts ? array->shape[0] : 1;
    weight->out = array->shape[lead];
    weight->in = 1;
    for (int32_t axis = lead + 1; axis < array->rank; axis++)
        weight->in *= array->shape[axis];
    weight->input_first = desc->input_first;
    if (desc->input_first) {
        const int64_t in = weight->out;
        weight->out = weight->in;
        weight->in = in;
    }
    return QVL_OK;
}

/* A copy in the storage type, each value rounded to nearest even. */
static enum qvl_status convert(const struct qvl_weight_desc *desc, struct qvl_weight *weight,
                               struct qvl_error *error)
{
    const struct qvl_rounding nearest = {desc->storage, NULL};
    const size_t from = qvl_dtype_bytes(desc->array.dtype), to = qvl_dtype_bytes(desc->storage);
    const int64_t count = qvl_array_count(&desc->array);
    const size_t bytes = (size_t)count * to;
    weight->owned = malloc(bytes > 0 ? bytes : 1);
    if (!weight->owned)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: %zu bytes are not available",
                        desc->name ? desc->name : "weight", bytes);
    for (int64_t i = 0; i < count; i++) {
        double value;
        qvl_load_row((const char *)desc->array.data + (size_t)i * from, desc->array.dtype, 1, &value);
        qvl_round_row(&nearest, 1, &value);
        qvl_store_row(&value, desc->storage, 1, (char *)weight->owned + (size_t)i * to);
    }
    weight->data = weight->owned;
    return QVL_OK;
}

enum qvl_status qvl_ref_weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                       struct qvl_weight **weight, struct qvl_error *error)
{
    struct qvl_weight *made = calloc(1, sizeof *made);
    enum qvl_status status;
    *weight = NULL;
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for a handle",
                        desc->name ? desc->name : "weight");
    made->dtype = desc->storage;
    made->data = desc->array.data;
    status = take_shape(desc, made, error);
    if (status == QVL_OK && desc->storage != desc->array.dtype)
        status = convert(desc, made, error);
    if (status != QVL_OK) {
        qvl_ref_weight_destroy(backend, made);
        return status;
    }
    *weight = made;
    return QVL_OK;
}

void qvl_ref_weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight)
{
    (void)backend;
    if (weight)
        free(weight->owned);
    free(weight);
}

void qvl_ref_weight_row(const struct qvl_weight *weight, int64_t expert, int64_t o, double *row)
{
    const size_t bytes = qvl_dtype_bytes(weight->dtype);
    const char *matrix = weight->data + (size_t)(expert * weight->out * weight->in) * bytes;
    if (!weight->input_first) {
        qvl_load_row(matrix + (size_t)(o * weight->in) * bytes, weight->dtype, weight->in, row);
        return;
    }
    for (int64_t k = 0; k < weight->in; k++)
        qvl_load_row(matrix + (size_t)(k * weight->out + o) * bytes, weight->dtype, 1, &row[k]);
}

enum qvl_status qvl_ref_weight_check(const char *where, const struct qvl_weight *weight, int64_t out,
                                     int64_t in, struct qvl_error *error)
{
    if ((out == QVL_CHECK_ANY || weight->out == out) && (in == QVL_CHECK_ANY || weight->in == in))
        return QVL_OK;
    return qvl_fail(error, QVL_USAGE, "%s: is [%lld, %lld], the operands ask for [%lld, %lld]", where,
                    (long long)weight->out, (long long)weight->in, (long long)out, (long long)in);
}
