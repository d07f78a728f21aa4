/* rope: rotate-half with the rounding points of the text (each step) or the vision tower (once). */
#include "cpu_state.h"

/* One head of one row: a = x[:half], b = x[half:], both float32 and replaced by the rotated values. */
static void rotate(const struct cpu_simd *simd, enum qvl_rope_rounding rounding, enum qvl_dtype dtype,
                   float *a, float *b, const float *cosine, const float *sine, float *work, int64_t half)
{
    float *ac = work, *bs = work + half, *bc = work + 2 * half, *as = work + 3 * half;
    for (int64_t i = 0; i < half; i++) {
        ac[i] = a[i] * cosine[i];
        bs[i] = b[i] * sine[i];
        bc[i] = b[i] * cosine[i];
        as[i] = a[i] * sine[i];
    }
    if (rounding == QVL_ROPE_ROUND_EACH)
        simd->round(dtype, work, 4 * half);
    for (int64_t i = 0; i < half; i++) {
        a[i] = ac[i] - bs[i];
        b[i] = bc[i] + as[i];
    }
}

static void rope_row(const struct cpu_simd *simd, const struct qvl_rope_args *args, int64_t row, float *work)
{
    int64_t dim = args->x.shape[2], half = dim / 2;
    float *cosine = work, *sine = work + half, *values = work + dim;
    simd->load(args->cos.dtype, qvl_cpu_at(&args->cos, row), cosine, half);
    simd->load(args->sin.dtype, qvl_cpu_at(&args->sin, row), sine, half);
    for (int64_t head = 0; head < args->x.shape[1]; head++) {
        simd->load(args->x.dtype, qvl_cpu_at2(&args->x, row, head), values, dim);
        rotate(simd, args->rounding, args->y.dtype, values, values + half, cosine, sine, values + dim, half);
        simd->store(args->y.dtype, values, qvl_cpu_at2(&args->y, row, head), dim);
    }
}

enum qvl_status qvl_cpu_rope(struct qvl_backend *backend, const struct qvl_rope_args *args,
                             struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->x.shape[0], each = 4 * args->x.shape[2];
    float *work;
    QVL_TRY(qvl_rope_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "rope", error));
    CPU_SCRATCH(state, work, state->threads * each * 4, error);
#pragma omp parallel for num_threads(qvl_cpu_team(state, qvl_tensor_count(&args->x))) schedule(static)
    for (int64_t i = 0; i < n; i++)
        rope_row(state->simd, args, i, work + qvl_cpu_thread() * each);
    return QVL_OK;
}
