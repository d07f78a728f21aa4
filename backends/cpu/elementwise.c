/* gelu, swiglu, add and add_rows: element by element in float32, with the rounding points of the contract. */
#include "cpu_state.h"

#define PIECE 512 /* elements worked on at a time: stays in the first-level cache */

static inline char *piece_at(const struct qvl_tensor *tensor, int64_t row, int64_t column)
{
    return qvl_cpu_at(tensor, row) + column * (int64_t)qvl_dtype_bytes(tensor->dtype);
}

static inline int64_t piece_length(int64_t columns, int64_t first)
{
    return columns - first < PIECE ? columns - first : PIECE;
}

/* x/2 (1 + erf(x/sqrt 2)) as x/2 erfc(-x/sqrt 2), which keeps its relative accuracy for negative x. */
static void gelu_erf(float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = 0.5f * values[i] * erfcf(values[i] * -0x1.6a09e6p-1f);
}

void qvl_cpu_gelu_rows(const struct cpu_state *state, const struct qvl_tensor *x, enum qvl_gelu_form form,
                       const struct qvl_tensor *y)
{
    const struct cpu_simd *simd = state->simd;
    int64_t n = x->shape[0], columns = x->shape[1];
#pragma omp parallel for collapse(2) num_threads(qvl_cpu_team(state, n *columns)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t first = 0; first < columns; first += PIECE) {
            int64_t count = piece_length(columns, first);
            float values[PIECE];
            simd->load(x->dtype, piece_at(x, i, first), values, count);
            if (form == QVL_GELU_TANH)
                simd->gelu_tanh(values, count);
            else
                gelu_erf(values, count);
            simd->store(y->dtype, values, piece_at(y, i, first), count);
        }
}

enum qvl_status qvl_cpu_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                             struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    QVL_TRY(qvl_gelu_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "gelu", error));
    qvl_cpu_gelu_rows(state, &args->x, args->form, &args->y);
    return QVL_OK;
}

enum qvl_status qvl_cpu_swiglu(struct qvl_backend *backend, const struct qvl_swiglu_args *args,
                               struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->gate.shape[0], columns = args->gate.shape[1];
    QVL_TRY(qvl_swiglu_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "swiglu", error));
#pragma omp parallel for collapse(2) num_threads(qvl_cpu_team(state, n *columns)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t first = 0; first < columns; first += PIECE)
            qvl_cpu_swiglu_piece(state->simd, args->y.dtype, piece_at(&args->gate, i, first),
                                 piece_at(&args->up, i, first), piece_at(&args->y, i, first),
                                 piece_length(columns, first));
    return QVL_OK;
}

void qvl_cpu_swiglu_piece(const struct cpu_simd *simd, enum qvl_dtype dtype, const void *gate, const void *up,
                          void *y, int64_t count)
{
    int64_t bytes = (int64_t)qvl_dtype_bytes(dtype);
    for (int64_t first = 0; first < count; first += PIECE) {
        int64_t n = piece_length(count, first);
        float a[PIECE], b[PIECE];
        simd->load(dtype, (const char *)gate + first * bytes, a, n);
        simd->load(dtype, (const char *)up + first * bytes, b, n);
        simd->silu(a, n);
        simd->round(dtype, a, n);
        for (int64_t i = 0; i < n; i++)
            a[i] *= b[i];
        simd->store(dtype, a, (char *)y + first * bytes, n);
    }
}

/* y = r(a + b) for `count` elements. */
static void add_piece(const struct cpu_simd *simd, enum qvl_dtype dtype, const void *a, const void *b,
                      void *y, int64_t count)
{
    float left[PIECE], right[PIECE];
    simd->load(dtype, a, left, count);
    simd->load(dtype, b, right, count);
    for (int64_t i = 0; i < count; i++)
        left[i] += right[i];
    simd->store(dtype, left, y, count);
}

enum qvl_status qvl_cpu_add(struct qvl_backend *backend, const struct qvl_add_args *args,
                            struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->a.shape[0], columns = args->a.shape[1];
    QVL_TRY(qvl_add_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "add", error));
#pragma omp parallel for collapse(2) num_threads(qvl_cpu_team(state, n *columns)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t first = 0; first < columns; first += PIECE)
            add_piece(state->simd, args->y.dtype, piece_at(&args->a, i, first), piece_at(&args->b, i, first),
                      piece_at(&args->y, i, first), piece_length(columns, first));
    return QVL_OK;
}

enum qvl_status qvl_cpu_add_rows(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                 struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->src.shape[0], columns = args->src.shape[1];
    QVL_TRY(qvl_add_rows_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "add_rows", error));
#pragma omp parallel for collapse(2) num_threads(qvl_cpu_team(state, n *columns)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t first = 0; first < columns; first += PIECE) {
            char *to = piece_at(&args->y, args->rows[i], first);
            add_piece(state->simd, args->y.dtype, to, piece_at(&args->src, i, first), to,
                      piece_length(columns, first));
        }
    return QVL_OK;
}
