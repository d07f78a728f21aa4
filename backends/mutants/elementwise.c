/* gelu, swiglu, add, softmax, and the entries that place rows: scatter_rows, add_rows. */
#include "honest.h"

float honest_gelu_value(enum qvl_gelu_form form, float x)
{
    if (form == QVL_GELU_TANH)
        return 0.5F * x * (1 + tanhf(0.7978845608028654F * (x + 0.044715F * x * x * x)));
    return 0.5F * x * (1 + erff(x * 0.7071067811865476F));
}

float honest_silu_value(float x)
{
    return x / (1 + expf(-x));
}

static float gelu(const struct qvl_backend *backend, enum qvl_gelu_form form, float x)
{
    if (honest_fault(backend, QVL_FAULT_ACT_QUICK_GELU_VARIANT) && form == QVL_GELU_TANH)
        return x / (1 + expf(-1.702F * x));
    if (honest_fault(backend, QVL_FAULT_ACT_GELU_SWAP))
        form = form == QVL_GELU_TANH ? QVL_GELU_ERF : QVL_GELU_TANH;
    return honest_gelu_value(form, x);
}

enum qvl_status honest_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                            struct qvl_error *error)
{
    QVL_TRY(qvl_gelu_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "gelu", error));
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        const void *x = honest_at(&args->x, i, 0);
        void *y = honest_at(&args->y, i, 0);
        for (int64_t j = 0; j < args->x.shape[1]; j++)
            honest_put(y, args->y.dtype, j, gelu(backend, args->form, honest_get(x, args->x.dtype, j)));
    }
    return QVL_OK;
}

enum qvl_status honest_swiglu(struct qvl_backend *backend, const struct qvl_swiglu_args *args,
                              struct qvl_error *error)
{
    const enum qvl_dtype dtype = args->y.dtype;
    QVL_TRY(qvl_swiglu_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "swiglu", error));
    for (int64_t i = 0; i < args->gate.shape[0]; i++) {
        const bool swapped = honest_fault(backend, QVL_FAULT_ACT_GATE_UP_SWAPPED);
        const void *gate = honest_at(swapped ? &args->up : &args->gate, i, 0);
        const void *up =
            honest_at_or_32(backend, QVL_FAULT_IDX_SWIGLU_ROW32, swapped ? &args->gate : &args->up, i, 0);
        void *y = honest_at(&args->y, i, 0);
        for (int64_t j = 0; j < args->gate.shape[1]; j++) {
            float silu = honest_silu_value(honest_get(gate, dtype, j));
            if (!honest_fault(backend, QVL_FAULT_ACT_SILU_UNROUNDED))
                silu = honest_round(dtype, silu);
            honest_put(y, dtype, j, silu * honest_get(up, dtype, j));
        }
    }
    return QVL_OK;
}

enum qvl_status honest_add(struct qvl_backend *backend, const struct qvl_add_args *args,
                           struct qvl_error *error)
{
    QVL_TRY(qvl_add_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "add", error));
    for (int64_t i = 0; i < args->a.shape[0]; i++) {
        const void *a = honest_at(&args->a, i, 0), *b = honest_at(&args->b, i, 0);
        void *y = honest_at(&args->y, i, 0);
        for (int64_t j = 0; j < args->a.shape[1]; j++) {
            float sum = honest_get(a, args->a.dtype, j) + honest_get(b, args->b.dtype, j);
            if (honest_fault(backend, QVL_FAULT_NORM_ADD_ROUNDED_EARLY))
                sum = honest_round(QVL_BF16, sum);
            honest_put(y, args->y.dtype, j, sum);
        }
    }
    return QVL_OK;
}

void honest_softmax_row(enum qvl_sum_order order, int64_t n, const float *x, float *y)
{
    float most = -INFINITY, sum;
    for (int64_t j = 0; j < n; j++)
        most = x[j] > most ? x[j] : most;
    for (int64_t j = 0; j < n; j++)
        y[j] = x[j] == -INFINITY ? 0 : expf(x[j] - most);
    sum = honest_sum(order, n, y);
    for (int64_t j = 0; j < n && sum != 0; j++)
        y[j] /= sum;
}

/* exp(x) / sum exp(x): infinity over infinity for large x, and 0 / 0 for a row of -inf. */
static void softmax_unshifted(int64_t n, const float *x, float *y)
{
    float sum = 0;
    for (int64_t j = 0; j < n; j++) {
        y[j] = expf(x[j]);
        sum += y[j];
    }
    for (int64_t j = 0; j < n; j++)
        y[j] /= sum;
}

enum qvl_status honest_softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                               struct qvl_error *error)
{
    const struct honest_state *state = backend->state;
    const int64_t n = args->x.shape[1];
    float *x;
    QVL_TRY(qvl_softmax_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "softmax", error));
    QVL_TRY(honest_floats("softmax", 2 * n, &x, error));
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        honest_load(honest_at(&args->x, i, 0), args->x.dtype, n, x);
        if (honest_fault(backend, QVL_FAULT_SOFTMAX_NO_MAX))
            softmax_unshifted(n, x, x + n);
        else
            honest_softmax_row(state->order, n, x, x + n);
        honest_store(x + n, args->y.dtype, n, honest_at(&args->y, i, 0));
    }
    free(x);
    return QVL_OK;
}

/* Row of y that gets src row i. */
static int64_t destination(const struct qvl_backend *backend, const int64_t *rows, int64_t count,
                           int64_t limit, int64_t i)
{
    if (honest_fault(backend, QVL_FAULT_DS_CHUNK_BATCH_ROWS))
        return honest_least(rows[0] + i, limit - 1);
    if (honest_fault(backend, QVL_FAULT_MERGE_MEDIA_ORDER))
        for (int64_t j = 0; j < count; j++) { /* the i-th smallest */
            int64_t smaller = 0;
            for (int64_t other = 0; other < count; other++)
                smaller += rows[other] < rows[j];
            if (smaller == i)
                return rows[j];
        }
    return rows[i];
}

enum qvl_status honest_scatter_rows(struct qvl_backend *backend, const struct qvl_scatter_rows_args *args,
                                    struct qvl_error *error)
{
    const int64_t rows = args->y.shape[0], count = args->src.shape[0];
    const size_t bytes = (size_t)args->y.shape[1] * qvl_dtype_bytes(args->y.dtype);
    QVL_TRY(qvl_scatter_rows_check(args, error));
    for (int64_t i = 0; i < count; i++)
        memcpy(honest_at(&args->y, destination(backend, args->rows, count, rows, i), 0),
               honest_at(&args->src, i, 0), bytes);
    if (honest_fault(backend, QVL_FAULT_DS_SCATTER_PAST_END) && count > 0)
        memcpy(honest_at(&args->y, rows, 0), honest_at(&args->src, count - 1, 0), bytes < 16 ? bytes : 16);
    return QVL_OK;
}

enum qvl_status honest_add_rows(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                struct qvl_error *error)
{
    const enum qvl_dtype dtype = args->y.dtype;
    const int64_t rows = args->y.shape[0], count = args->src.shape[0];
    QVL_TRY(qvl_add_rows_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "add_rows", error));
    for (int64_t i = 0; i < count && !honest_fault(backend, QVL_FAULT_DS_DROPPED); i++) {
        const void *src = honest_at(&args->src, i, 0);
        void *y = honest_at(&args->y, destination(backend, args->rows, count, rows, i), 0);
        for (int64_t j = 0; j < args->y.shape[1]; j++)
            honest_put(y, dtype, j, honest_get(y, dtype, j) + honest_get(src, dtype, j));
    }
    return QVL_OK;
}
