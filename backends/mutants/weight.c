/* Prepared weights: a view of the caller's array where the type fits, else a converted copy. */
#include "honest.h"

static enum qvl_status check_desc(const struct qvl_weight_desc *desc, const char *name,
                                  struct qvl_error *error)
{
    const unsigned known = QVL_USE_LINEAR | QVL_USE_ROWS | QVL_USE_EXPERTS;
    const bool experts = desc->use & QVL_USE_EXPERTS;
    const struct qvl_array *array = &desc->array;
    if (!desc->use || (desc->use & ~known) || (experts && desc->use != QVL_USE_EXPERTS))
        return qvl_fail(error, QVL_USAGE, "weight %s: use is %u; give LINEAR, ROWS, both, or EXPERTS alone",
                        name, desc->use);
    if (array->rank != (experts ? 3 : 2))
        return qvl_fail(error, QVL_USAGE, "weight %s: rank is %d, its use needs %d", name, (int)array->rank,
                        experts ? 3 : 2);
    if (desc->input_first && !experts)
        return qvl_fail(error, QVL_USAGE, "weight %s: input_first is for EXPERTS only", name);
    for (int32_t axis = 0; axis < array->rank; axis++)
        if (array->shape[axis] < 1)
            return qvl_fail(error, QVL_USAGE, "weight %s: shape[%d] is %lld, expected at least 1", name,
                            (int)axis, (long long)array->shape[axis]);
    if (!qvl_dtype_is_storage(array->dtype) || !qvl_dtype_is_storage(desc->storage))
        return qvl_fail(error, QVL_USAGE, "weight %s: %s values kept as %s; use f32, bf16 or f16", name,
                        qvl_dtype_name(array->dtype), qvl_dtype_name(desc->storage));
    if (!array->data)
        return qvl_fail(error, QVL_USAGE, "weight %s: no data", name);
    return QVL_OK;
}

static enum qvl_status convert(const struct qvl_weight_desc *desc, const char *name,
                               struct qvl_weight *weight, struct qvl_error *error)
{
    const int64_t count = qvl_array_count(&desc->array);
    weight->owned = malloc((size_t)count * qvl_dtype_bytes(desc->storage));
    if (!weight->owned)
        return qvl_fail(error, QVL_NO_MEMORY, "weight %s: no memory for %lld values of %s", name,
                        (long long)count, qvl_dtype_name(desc->storage));
    for (int64_t i = 0; i < count; i++)
        honest_put(weight->owned, desc->storage, i, honest_get(desc->array.data, desc->array.dtype, i));
    weight->data = weight->owned;
    return QVL_OK;
}

enum qvl_status honest_weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                      struct qvl_weight **weight, struct qvl_error *error)
{
    const char *name = desc->name ? desc->name : "(unnamed)";
    const int lead = desc->use & QVL_USE_EXPERTS ? 1 : 0;
    struct qvl_weight *made;
    *weight = NULL;
    QVL_TRY(check_desc(desc, name, error));
    made = calloc(1, sizeof *made);
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "weight %s: no memory for a handle", name);
    made->dtype = desc->storage;
    made->use = desc->use;
    made->data = desc->array.data;
    made->experts = lead ? desc->array.shape[0] : 1;
    made->input_first = desc->input_first;
    made->out = desc->array.shape[lead + (desc->input_first ? 1 : 0)];
    made->in = desc->array.shape[lead + (desc->input_first ? 0 : 1)];
    if (honest_fault(backend, QVL_FAULT_MOE_TRANSPOSE_BY_SHAPE) && made->in == made->out)
        made->input_first = false;
    if (desc->storage != desc->array.dtype) {
        const enum qvl_status status = convert(desc, name, made, error);
        if (status != QVL_OK) {
            free(made);
            return status;
        }
    }
    *weight = made;
    return QVL_OK;
}

void honest_weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight)
{
    (void)backend;
    if (weight)
        free(weight->owned);
    free(weight);
}

enum qvl_status honest_weight_check(const char *where, const struct qvl_weight *weight, unsigned use,
                                    int64_t out, int64_t in, struct qvl_error *error)
{
    if (!(weight->use & use))
        return qvl_fail(error, QVL_USAGE, "%s: was not prepared for this use; add the use bit %u", where,
                        use);
    if ((out == QVL_CHECK_ANY || weight->out == out) && (in == QVL_CHECK_ANY || weight->in == in))
        return QVL_OK;
    return qvl_fail(error, QVL_USAGE, "%s: is [%lld, %lld], the operands ask for [%lld, %lld]", where,
                    (long long)weight->out, (long long)weight->in, (long long)out, (long long)in);
}

void honest_weight_row(const struct qvl_weight *weight, int64_t expert, int64_t o, float *row)
{
    const char *matrix =
        weight->data + expert * weight->out * weight->in * (int64_t)qvl_dtype_bytes(weight->dtype);
    if (!weight->input_first) {
        honest_load(matrix + o * weight->in * (int64_t)qvl_dtype_bytes(weight->dtype), weight->dtype,
                    weight->in, row);
        return;
    }
    for (int64_t k = 0; k < weight->in; k++)
        row[k] = honest_get(matrix, weight->dtype, k * weight->out + o);
}
