#include "verify/angles.h"

#include <math.h>
#include <stdlib.h>

/* Tables of one precision: host copies of cos and sin, [count, half] each. */
static enum qvl_status tables(struct qvl_backend *backend, const struct qvl_text_config *text,
                              const int64_t *positions, int64_t count, enum qvl_angle_precision precision,
                              float *cos, float *sin, struct qvl_error *error)
{
    const int64_t half = text->head_dim / 2;
    void *memory = NULL;
    QVL_TRY(backend->allocate(backend, sizeof(float) * (size_t)(2 * count * half), &memory, error));
    const struct qvl_tensor both = qvl_tensor_2d(memory, QVL_F32, 2 * count, half);
    struct qvl_mrope_table_args args = {.positions = positions,
                                        .positions_stride = count,
                                        .head_dim = text->head_dim,
                                        .theta = text->rope_theta,
                                        .scaling = text->rope,
                                        .layout = text->mrope_layout,
                                        .precision = precision,
                                        .cos = qvl_tensor_rows(both, 0, count),
                                        .sin = qvl_tensor_rows(both, count, count)};
    memcpy(args.section, text->mrope_section, sizeof args.section);
    enum qvl_status status = backend->ops.mrope_table(backend, &args, error);
    if (status == QVL_OK)
        status = backend->sync(backend, error);
    if (status == QVL_OK)
        status = backend->download(backend, &args.cos, cos, error);
    if (status == QVL_OK)
        status = backend->download(backend, &args.sin, sin, error);
    backend->release(backend, memory);
    return status;
}

static void compare_row(const float *cos_a, const float *sin_a, const float *cos_b, const float *sin_b,
                        int64_t half, struct qvl_angle_error *worst)
{
    for (int64_t lane = 0; lane < half; lane++) {
        const double cross = (double)sin_a[lane] * cos_b[lane] - (double)cos_a[lane] * sin_b[lane];
        const double dot = (double)cos_a[lane] * cos_b[lane] + (double)sin_a[lane] * sin_b[lane];
        const double radians = fabs(atan2(cross, dot));
        if (radians > worst->radians) {
            worst->radians = radians;
            worst->lane = lane;
        }
    }
}

static enum qvl_status window_error(struct qvl_backend *backend, const struct qvl_text_config *text,
                                    int64_t *axes, float *values, struct qvl_angle_error *worst,
                                    struct qvl_error *error)
{
    const int64_t half = text->head_dim / 2;
    const int64_t first = worst->position < QVL_ANGLE_WINDOW ? 0 : worst->position - QVL_ANGLE_WINDOW + 1;
    const int64_t count = worst->position - first + 1;
    const int64_t table = count * half;
    for (int64_t i = 0; i < 3 * count; i++)
        axes[i] = first + i % count;
    QVL_TRY(tables(backend, text, axes, count, QVL_ANGLE_F32, values, values + table, error));
    QVL_TRY(tables(backend, text, axes, count, QVL_ANGLE_F64, values + 2 * table, values + 3 * table, error));
    for (int64_t i = 0; i < count; i++) {
        const float *row = values + i * half;
        compare_row(row, row + table, row + 2 * table, row + 3 * table, half, worst);
    }
    return QVL_OK;
}

enum qvl_status qvl_angle_curve(struct qvl_backend *backend, const struct qvl_text_config *text,
                                const int64_t *positions, int64_t count, struct qvl_angle_error *errors,
                                struct qvl_error *error)
{
    int64_t *axes = malloc(sizeof(int64_t) * 3 * QVL_ANGLE_WINDOW);
    float *values = malloc(sizeof(float) * 4 * (size_t)(QVL_ANGLE_WINDOW * text->head_dim / 2));
    enum qvl_status status = QVL_OK;
    if (!backend->ops.mrope_table)
        status = qvl_fail(error, QVL_UNSUPPORTED, "backend %s lacks the entry mrope_table", backend->name);
    else if (!axes || !values)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for a window of angles");
    for (int64_t i = 0; i < count && status == QVL_OK; i++) {
        errors[i] = (struct qvl_angle_error){.position = positions[i]};
        status = window_error(backend, text, axes, values, &errors[i], error);
    }
    free(axes);
    free(values);
    return status;
}
