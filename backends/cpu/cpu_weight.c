/* Prepared weights: borrowed as they lie in the caller's mapping whenever type and alignment allow, so that a
 * checkpoint costs no memory of its own. */
#include <stdlib.h>

#include "cpu_state.h"

static enum qvl_status check_desc(const struct qvl_weight_desc *desc, struct qvl_error *error)
{
    const char *name = desc->name ? desc->name : "(unnamed)";
    int32_t rank = desc->use & QVL_USE_EXPERTS ? 3 : 2;
    unsigned known = QVL_USE_LINEAR | QVL_USE_ROWS | QVL_USE_EXPERTS;
    if (!desc->use || (desc->use & ~known) || ((desc->use & QVL_USE_EXPERTS) && desc->use != QVL_USE_EXPERTS))
        return qvl_fail(error, QVL_USAGE, "weight %s: use is %u; give LINEAR, ROWS, both, or EXPERTS alone",
                        name, desc->use);
    if (desc->array.rank != rank)
        return qvl_fail(error, QVL_USAGE, "weight %s: rank is %d, its use needs %d", name,
                        (int)desc->array.rank, (int)rank);
    for (int32_t axis = 0; axis < rank; axis++)
        if (desc->array.shape[axis] <= 0)
            return qvl_fail(error, QVL_USAGE, "weight %s: axis %d has %lld elements", name, (int)axis,
                            (long long)desc->array.shape[axis]);
    if (!qvl_dtype_is_storage(desc->storage) ||
        (!qvl_dtype_is_storage(desc->array.dtype) && desc->array.dtype != QVL_F64))
        return qvl_fail(error, QVL_USAGE, "weight %s: cannot keep %s values as %s; use f32, bf16 or f16",
                        name, qvl_dtype_name(desc->array.dtype), qvl_dtype_name(desc->storage));
    if (!desc->array.data)
        return qvl_fail(error, QVL_USAGE, "weight %s: no data", name);
    if (desc->input_first && desc->use != QVL_USE_EXPERTS)
        return qvl_fail(error, QVL_USAGE, "weight %s: input_first is for EXPERTS only", name);
    return QVL_OK;
}

/* Round `count` values to the storage type. The source may lie at any address. */
static void convert(struct cpu_state *state, const struct qvl_array *array, enum qvl_dtype storage, char *to)
{
    int64_t count = qvl_array_count(array);
    int64_t from_size = (int64_t)qvl_dtype_bytes(array->dtype);
    int64_t to_size = (int64_t)qvl_dtype_bytes(storage);
    enum { PIECE = 1024 };
#pragma omp parallel for num_threads(qvl_cpu_team(state, count)) schedule(static)
    for (int64_t first = 0; first < count; first += PIECE) {
        int64_t n = count - first < PIECE ? count - first : PIECE;
        double raw[PIECE]; /* also room for narrower types, aligned for all of them */
        float values[PIECE];
        memcpy(raw, (const char *)array->data + first * from_size, (size_t)(n * from_size));
        if (array->dtype == QVL_F64)
            for (int64_t i = 0; i < n; i++)
                values[i] = (float)raw[i];
        else
            state->simd->load(array->dtype, raw, values, n);
        state->simd->store(storage, values, to + first * to_size, n);
    }
}

enum qvl_status qvl_cpu_weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                       struct qvl_weight **weight, struct qvl_error *error)
{
    struct cpu_state *state = backend->state;
    const struct qvl_array *array = &desc->array;
    struct qvl_weight *made;
    int32_t first = desc->use & QVL_USE_EXPERTS ? 1 : 0;
    *weight = NULL;
    QVL_TRY(check_desc(desc, error));
    made = calloc(1, sizeof *made);
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "weight %s: out of memory", desc->name ? desc->name : "?");
    made->dtype = desc->storage;
    made->use = desc->use;
    made->input_first = desc->input_first;
    made->experts = first ? array->shape[0] : 1;
    made->out = array->shape[first + (desc->input_first ? 1 : 0)];
    made->in = array->shape[first + (desc->input_first ? 0 : 1)];
    made->data = array->data;
    if (array->dtype != desc->storage || (uintptr_t)array->data % qvl_dtype_bytes(array->dtype)) {
        int64_t bytes = qvl_array_count(array) * (int64_t)qvl_dtype_bytes(desc->storage);
        made->owned = qvl_cpu_memory(bytes);
        if (!made->owned) {
            free(made);
            return qvl_fail(error, QVL_NO_MEMORY,
                            "weight %s: a %s copy needs %lld bytes, the machine has %lld; keep it as %s",
                            desc->name ? desc->name : "?", qvl_dtype_name(desc->storage), (long long)bytes,
                            (long long)qvl_cpu_machine_bytes(), qvl_dtype_name(array->dtype));
        }
        convert(state, array, desc->storage, made->owned);
        made->data = made->owned;
    }
    *weight = made;
    return QVL_OK;
}

void qvl_cpu_weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight)
{
    (void)backend;
    if (!weight)
        return;
    free(weight->owned);
    free(weight);
}

struct cpu_matrix qvl_cpu_matrix(const struct qvl_weight *weight, int64_t expert)
{
    int64_t bytes = weight->out * weight->in * (int64_t)qvl_dtype_bytes(weight->dtype);
    return (struct cpu_matrix){.data = (const char *)weight->data + expert * bytes,
                               .dtype = weight->dtype,
                               .out = weight->out,
                               .in = weight->in,
                               .input_first = weight->input_first};
}

enum qvl_status qvl_cpu_weight_fits(const struct qvl_weight *weight, unsigned use, int64_t out, int64_t in,
                                    const char *where, struct qvl_error *error)
{
    if (!(weight->use & use))
        return qvl_fail(error, QVL_USAGE, "%s: was not prepared for this use; add the use bit %u", where,
                        use);
    if ((out >= 0 && weight->out != out) || (in >= 0 && weight->in != in))
        return qvl_fail(error, QVL_USAGE, "%s: is [%lld, %lld], the tensors need [%lld, %lld]", where,
                        (long long)weight->out, (long long)weight->in,
                        (long long)(out >= 0 ? out : weight->out), (long long)(in >= 0 ? in : weight->in));
    return QVL_OK;
}
