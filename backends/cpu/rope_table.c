/* mrope_table and vision_rope_table: cosine and sine tables. Angles are formed as the original forms them
 * (float32), their cosines in double, so that the range reduction is right at any position. */
#include "cpu_state.h"

#define TWO_PI 6.28318530717958647692

/* Where the YaRN ramp begins and ends, in lanes. */
static void yarn_range(const struct qvl_mrope_table_args *args, double *low, double *high)
{
    const struct qvl_rope_scaling *scaling = &args->scaling;
    double lanes = (double)args->head_dim / (2 * log(args->theta));
    *low = lanes * log(scaling->original_max_positions / (scaling->beta_fast * TWO_PI));
    *high = lanes * log(scaling->original_max_positions / (scaling->beta_slow * TWO_PI));
    if (scaling->truncate) {
        *low = floor(*low);
        *high = ceil(*high);
    }
    *low = fmax(*low, 0);
    *high = fmin(*high, (double)args->head_dim - 1);
    if (*low == *high)
        *high += 0.001;
}

static double yarn_attention_factor(const struct qvl_rope_scaling *scaling)
{
    double grown = scaling->factor > 1 ? 0.1 * log(scaling->factor) : 0;
    if (scaling->attention_factor > 0)
        return scaling->attention_factor;
    if (scaling->mscale != 0 && scaling->mscale_all_dim != 0)
        return (grown * scaling->mscale + 1) / (grown * scaling->mscale_all_dim + 1);
    return grown + 1;
}

/* theta^(2i/dim), exponent and power rounded to float32. */
static float power_f32(double theta, int64_t i, int64_t dim)
{
    float exponent = (float)(2 * i) / (float)dim;
    return (float)pow(theta, (double)exponent);
}

/* The YaRN blend of 1/power and its stretched form, in float32. */
static float yarn_frequency(const struct qvl_mrope_table_args *args, float power, int64_t i, double low,
                            double high)
{
    float stretched = 1.0f / ((float)args->scaling.factor * power);
    float keep = 1.0f - fminf(fmaxf(((float)i - (float)low) / (float)(high - low), 0.0f), 1.0f);
    return stretched * (1.0f - keep) + 1.0f / power * keep;
}

/* Frequencies in the precision asked for: float32 step by step as the original, or double throughout. */
static void fill_frequencies(const struct qvl_mrope_table_args *args, double *frequency)
{
    double low = 0, high = 1;
    if (args->scaling.yarn)
        yarn_range(args, &low, &high);
    for (int64_t i = 0; i < args->head_dim / 2; i++) {
        double power = pow(args->theta, (double)(2 * i) / (double)args->head_dim);
        double ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
        if (args->precision == QVL_ANGLE_F64) {
            frequency[i] = 1 / power;
            if (args->scaling.yarn)
                frequency[i] = ramp / (args->scaling.factor * power) + (1 - ramp) / power;
        } else {
            float rounded = power_f32(args->theta, i, args->head_dim);
            frequency[i] = args->scaling.yarn ? yarn_frequency(args, rounded, i, low, high) : 1.0f / rounded;
        }
    }
}

/* Which of T, H, W (0, 1, 2) turns lane i. */
static int axis_of_lane(const struct qvl_mrope_table_args *args, int64_t lane)
{
    const int64_t *section = args->section;
    if (args->layout == QVL_MROPE_CHUNKED)
        return lane < section[0] ? 0 : lane < section[0] + section[1] ? 1 : 2;
    if (lane % 3 == 1 && lane < 3 * section[1])
        return 1;
    return lane % 3 == 2 && lane < 3 * section[2] ? 2 : 0;
}

static void mrope_row(const struct cpu_simd *simd, const struct qvl_mrope_table_args *args,
                      const double *frequency, double factor, int64_t row, float *cosine, float *sine)
{
    int64_t half = args->head_dim / 2;
    for (int64_t i = 0; i < half; i++) {
        int64_t position = args->positions[axis_of_lane(args, i) * args->positions_stride + row];
        double angle;
        if (args->precision == QVL_ANGLE_F32) {
            angle = (float)position * (float)frequency[i];
            cosine[i] = (float)cos(angle) * (float)factor;
            sine[i] = (float)sin(angle) * (float)factor;
        } else {
            angle = (double)position * frequency[i];
            cosine[i] = (float)(cos(angle) * factor);
            sine[i] = (float)(sin(angle) * factor);
        }
    }
    simd->store(args->cos.dtype, cosine, qvl_cpu_at(&args->cos, row), half);
    simd->store(args->sin.dtype, sine, qvl_cpu_at(&args->sin, row), half);
}

enum qvl_status qvl_cpu_mrope_table(struct qvl_backend *backend, const struct qvl_mrope_table_args *args,
                                    struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t n = args->cos.shape[0], dim = args->head_dim;
    double *frequency;
    float *rows;
    double factor = args->scaling.yarn ? yarn_attention_factor(&args->scaling) : 1;
    QVL_TRY(qvl_mrope_table_check(args, error));
    CPU_SCRATCH(state, frequency, dim * 8, error);
    CPU_SCRATCH(state, rows, dim * 4 * state->threads, error);
    fill_frequencies(args, frequency);
#pragma omp parallel for num_threads(qvl_cpu_team(state, 16 * n * dim)) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float *own = rows + qvl_cpu_thread() * dim;
        mrope_row(state->simd, args, frequency, factor, i, own, own + dim / 2);
    }
    return QVL_OK;
}

/* Lanes 0..quarter-1 turn with the patch row, the next quarter with its column. */
static void vision_row(const struct qvl_vision_rope_table_args *args, const float *frequency, int64_t row,
                       int64_t y, int64_t x)
{
    int64_t quarter = args->head_dim / 4;
    float *cosine = (float *)(void *)qvl_cpu_at(&args->cos, row);
    float *sine = (float *)(void *)qvl_cpu_at(&args->sin, row);
    for (int64_t i = 0; i < 2 * quarter; i++) {
        double angle = (float)(i < quarter ? y : x) * frequency[i % quarter];
        cosine[i] = (float)cos(angle);
        sine[i] = (float)sin(angle);
    }
}

/* The rows of one image or video from row `first` on; every frame has the same. */
static void vision_grid(const struct cpu_state *state, const struct qvl_vision_rope_table_args *args,
                        const struct qvl_grid *grid, const float *frequency, int64_t first)
{
    int64_t patches = grid->h * grid->w;
    size_t bytes = (size_t)args->cos.shape[1] * sizeof(float);
#pragma omp parallel for num_threads(qvl_cpu_team(state, 16 * patches * args->head_dim)) schedule(static)
    for (int64_t p = 0; p < patches; p++) {
        int64_t y, x;
        qvl_cpu_patch_place(grid, args->merge, p, &y, &x);
        vision_row(args, frequency, first + p, y, x);
    }
    for (int64_t i = patches; i < grid->t * patches; i++) {
        memcpy(qvl_cpu_at(&args->cos, first + i), qvl_cpu_at(&args->cos, first + i - patches), bytes);
        memcpy(qvl_cpu_at(&args->sin, first + i), qvl_cpu_at(&args->sin, first + i - patches), bytes);
    }
}

enum qvl_status qvl_cpu_vision_rope_table(struct qvl_backend *backend,
                                          const struct qvl_vision_rope_table_args *args,
                                          struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t first = 0, quarter = args->head_dim / 4;
    float *frequency;
    QVL_TRY(qvl_vision_rope_table_check(args, error));
    CPU_SCRATCH(state, frequency, quarter * 4, error);
    for (int64_t i = 0; i < quarter; i++)
        frequency[i] = 1.0f / power_f32(args->theta, i, 2 * quarter);
    for (int64_t g = 0; g < args->grid_count; g++) {
        const struct qvl_grid *grid = &args->grids[g];
        vision_grid(state, args, grid, frequency, first);
        first += grid->t * grid->h * grid->w;
    }
    return QVL_OK;
}
