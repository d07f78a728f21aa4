/* mrope_table, vision_rope_table and rope. */
#include "honest.h"

void honest_block_order(int64_t index, int64_t width, int64_t merge, int64_t *row, int64_t *column)
{
    const int64_t across = width / merge, block = index / (merge * merge), inside = index % (merge * merge);
    *row = block / across * merge + inside / merge;
    *column = block % across * merge + inside % merge;
}

/* 0 T, 1 H, 2 W */
static int axis_of(const struct qvl_backend *backend, const struct qvl_mrope_table_args *args, int64_t lane)
{
    const int64_t *section = args->section;
    bool chunked = args->layout == QVL_MROPE_CHUNKED;
    if (honest_fault(backend, QVL_FAULT_POS_FUSED_READS_ROW0))
        return 0;
    if (honest_fault(backend, QVL_FAULT_POS_LAST_LANES_TO_W) && !chunked && lane >= 3 * section[2])
        return 2;
    if (honest_fault(backend, QVL_FAULT_POS_BLOCKED_FOR_INTERLEAVED))
        chunked = true;
    if (honest_fault(backend, QVL_FAULT_POS_INTERLEAVED_FOR_BLOCKED))
        chunked = false;
    if (chunked)
        return lane < section[0] ? 0 : lane < section[0] + section[1] ? 1 : 2;
    if (lane % 3 == 1 && lane < 3 * section[1])
        return 1;
    return lane % 3 == 2 && lane < 3 * section[2] ? 2 : 0;
}

static int64_t position_of(const struct qvl_backend *backend, const struct qvl_mrope_table_args *args,
                           int axis, int64_t i)
{
    const bool packed = honest_fault(backend, QVL_FAULT_POS_ROW_STRIDE_IS_T);
    const int64_t stride = packed ? args->cos.shape[0] : args->positions_stride;
    const int64_t position = args->positions[axis * stride + i];
    if (honest_fault(backend, QVL_FAULT_ROPE_TABLE_TOO_SHORT))
        return position % 4096;
    if (honest_fault(backend, QVL_FAULT_ROPE_POS_BF16))
        return (int64_t)honest_round(QVL_BF16, (float)position);
    return position;
}

struct lanes {
    float *f32;
    double *f64;
    double factor;
};

static void turn(const struct lanes *lanes, bool wide, int64_t position, int64_t lane, float *cosine,
                 float *sine)
{
    if (wide) {
        const double angle = (double)position * lanes->f64[lane];
        *cosine = (float)(cos(angle) * lanes->factor);
        *sine = (float)(sin(angle) * lanes->factor);
    } else {
        const float angle = (float)position * lanes->f32[lane];
        *cosine = cosf(angle) * (float)lanes->factor;
        *sine = sinf(angle) * (float)lanes->factor;
    }
}

static void fill_mrope(const struct qvl_backend *backend, const struct qvl_mrope_table_args *args,
                       const struct lanes *lanes)
{
    for (int64_t i = 0; i < args->cos.shape[0]; i++)
        for (int64_t lane = 0; lane < args->head_dim / 2; lane++) {
            const int axis = axis_of(backend, args, lane);
            float cosine, sine;
            turn(lanes, args->precision == QVL_ANGLE_F64, position_of(backend, args, axis, i), lane, &cosine,
                 &sine);
            honest_put(honest_at(&args->cos, i, 0), args->cos.dtype, lane, cosine);
            honest_put(honest_at(&args->sin, i, 0), args->sin.dtype, lane, sine);
        }
}

enum qvl_status honest_mrope_table(struct qvl_backend *backend, const struct qvl_mrope_table_args *args,
                                   struct qvl_error *error)
{
    const struct honest_frequencies spec = {args->theta, args->head_dim, &args->scaling};
    struct qvl_mrope_table_args chosen = *args;
    struct lanes lanes = {.f32 = NULL};
    if (honest_fault(backend, QVL_FAULT_VIT_UNSUPPORTED_MODE_RUNS) &&
        (unsigned)args->layout > QVL_MROPE_CHUNKED)
        chosen.layout = QVL_MROPE_INTERLEAVED;
    QVL_TRY(qvl_mrope_table_check(&chosen, error));
    lanes.f64 = malloc((size_t)args->head_dim * sizeof *lanes.f64);
    if (!lanes.f64)
        return qvl_fail(error, QVL_NO_MEMORY, "mrope_table: no memory for %lld lanes",
                        (long long)args->head_dim);
    lanes.f32 = (float *)(lanes.f64 + args->head_dim / 2);
    honest_frequencies_f32(backend, &spec, lanes.f32);
    honest_frequencies_f64(backend, &spec, lanes.f64);
    lanes.factor = honest_attention_factor(backend, &args->scaling);
    fill_mrope(backend, &chosen, &lanes);
    free(lanes.f64);
    return QVL_OK;
}

enum qvl_status honest_vision_rope_table(struct qvl_backend *backend,
                                         const struct qvl_vision_rope_table_args *args,
                                         struct qvl_error *error)
{
    const int64_t lanes = args->head_dim / 2, quarter = lanes / 2;
    const bool of_text = honest_fault(backend, QVL_FAULT_VIT_ROPE_THETA_OF_TEXT);
    const bool none = honest_fault(backend, QVL_FAULT_VIT_NO_ROTARY);
    const struct honest_frequencies spec = {.theta = of_text ? 5e6 : args->theta, .dim = lanes};
    float *inv_freq;
    int64_t out = 0;
    QVL_TRY(qvl_vision_rope_table_check(args, error));
    QVL_TRY(honest_floats("vision_rope_table", quarter, &inv_freq, error));
    honest_frequencies_f32(backend, &spec, inv_freq);
    for (int64_t g = 0; g < args->grid_count; g++) {
        const struct qvl_grid *grid = &args->grids[g];
        for (int64_t i = 0; i < grid->t * grid->h * grid->w; i++, out++) {
            int64_t place[2];
            honest_block_order(i % (grid->h * grid->w), grid->w, args->merge, &place[0], &place[1]);
            for (int64_t lane = 0; lane < lanes; lane++) {
                const int64_t axis = lane / quarter;
                const float angle = (float)place[axis] * inv_freq[lane % quarter];
                honest_put(honest_at(&args->cos, out, 0), QVL_F32, lane, none ? 1 : cosf(angle));
                honest_put(honest_at(&args->sin, out, 0), QVL_F32, lane, none ? 0 : sinf(angle));
            }
        }
    }
    free(inv_freq);
    return QVL_OK;
}

/* The element that turns together with element e, and its sign. */
static int64_t partner_of(const struct qvl_backend *backend, int64_t d, int64_t e, float *sign)
{
    if (honest_fault(backend, QVL_FAULT_POS_ROTATE_STYLE_FIXED)) { /* neighbours */
        *sign = e % 2 ? 1 : -1;
        return e % 2 ? e - 1 : e + 1;
    }
    *sign = e < d / 2 ? -1 : 1;
    return e < d / 2 ? e + d / 2 : e - d / 2;
}

static int64_t lane_of(const struct qvl_backend *backend, int64_t d, int64_t e)
{
    const bool neighbours = honest_fault(backend, QVL_FAULT_POS_ROTATE_STYLE_FIXED) ||
                            honest_fault(backend, QVL_FAULT_ROPE_SIN_COS_INDEX);
    return neighbours ? e / 2 : e % (d / 2);
}

static void rotate(const struct qvl_backend *backend, const struct qvl_rope_args *args, int64_t row,
                   const float *x, float *y)
{
    const int64_t d = args->x.shape[2];
    const enum qvl_dtype dtype = args->y.dtype;
    const void *cosine = honest_at(&args->cos, row, 0), *sine = honest_at(&args->sin, row, 0);
    for (int64_t e = 0; e < d; e++) {
        const int64_t lane = lane_of(backend, d, e);
        float sign;
        const float other = x[partner_of(backend, d, e, &sign)];
        float along = x[e] * honest_get(cosine, args->cos.dtype, lane);
        float across = sign * other * honest_get(sine, args->sin.dtype, lane);
        if (args->rounding == QVL_ROPE_ROUND_EACH) {
            along = honest_round(dtype, along);
            across = honest_round(dtype, across);
        }
        y[e] = along + across;
    }
}

enum qvl_status honest_rope(struct qvl_backend *backend, const struct qvl_rope_args *args,
                            struct qvl_error *error)
{
    const int64_t rows = args->x.shape[0], heads = args->x.shape[1], d = args->x.shape[2];
    float *x;
    QVL_TRY(qvl_rope_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "rope", error));
    QVL_TRY(honest_floats("rope", 2 * d, &x, error));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t h = 0; h < heads; h++) {
            const bool by_head = honest_fault(backend, QVL_FAULT_VIT_ROPE_LAYOUT);
            honest_load(honest_at(&args->x, i, h), args->x.dtype, d, x);
            rotate(backend, args, by_head ? (i * heads + h) % rows : i, x, x + d);
            honest_store(x + d, args->y.dtype, d, honest_at(&args->y, i, h));
        }
    free(x);
    return QVL_OK;
}
