#include "ref/resize_weights.h"

#include <stdlib.h>

#define PILLOW_BITS 22
#define TORCHVISION_WEIGHT_LIMIT 32768 /* weights are kept as int16 */
#define TORCHVISION_MAX_BITS 22

/* The cubic convolution kernel with a = -0.5 as Pillow evaluates it. */
static double cubic_pillow(double x)
{
    x = fabs(x);
    if (x < 1.0)
        return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0.0;
}

/* The same kernel in the order of operations of torch. */
static double cubic_torch(double x)
{
    x = fabs(x);
    if (x < 1.0)
        return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2.0)
        return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
    return 0.0;
}

/* In float32, with the multiply-adds that torch's x86 build fuses. */
static float cubic_torch_f32(float x)
{
    x = fabsf(x);
    if (x < 1.0f)
        return qvl_fused_f32(qvl_fused_f32(1.5f, x, -2.5f) * x, x, 1.0f);
    if (x < 2.0f)
        return qvl_fused_f32(qvl_fused_f32(qvl_fused_f32(-0.5f, x, 2.5f), x, -4.0f), x, 2.0f);
    return 0.0f;
}

static int64_t clamp_index(double value, int64_t low, int64_t high)
{
    int64_t index = (int64_t)value;
    return index < low ? low : index > high ? high : index;
}

static void set_range(struct qvl_resize_axis *axis, int64_t o, double low, double high)
{
    axis->first[o] = clamp_index(low, 0, axis->in);
    axis->count[o] = clamp_index(high, 0, axis->in) - axis->first[o];
    if (axis->count[o] > axis->taps)
        axis->count[o] = axis->taps;
}

/* Normalised weights of output o in double. */
static void weights_f64(struct qvl_resize_axis *axis, double (*cubic)(double), int64_t o, double *weights)
{
    double scale = (double)axis->in / (double)axis->out;
    double filter_scale = fmax(scale, 1.0);
    double support = 2.0 * filter_scale;
    double inverse = 1.0 / filter_scale;
    double center = ((double)o + 0.5) * scale;
    double sum = 0.0;

    set_range(axis, o, center - support + 0.5, center + support + 0.5);
    for (int64_t j = 0; j < axis->count[o]; j++) {
        weights[j] = cubic(((double)(axis->first[o] + j) - center + 0.5) * inverse);
        sum += weights[j];
    }
    for (int64_t j = 0; j < axis->count[o]; j++)
        weights[j] /= sum;
}

/* Normalised weights of output o in float32. The literal 0.5 is a double in the original, so those sums are
 * formed in double and rounded where they are stored. */
static void weights_f32(struct qvl_resize_axis *axis, int64_t o)
{
    float scale = (float)axis->in / (float)axis->out;
    float support = scale >= 1.0f ? (float)(2.0 * (double)scale) : 2.0f;
    float inverse = scale >= 1.0f ? 1.0f / scale : 1.0f;
    float center = (float)((double)scale * ((double)o + 0.5));
    float *weights = axis->real + o * axis->taps;
    float sum = 0.0f;

    set_range(axis, o, (double)(center - support) + 0.5, (double)(center + support) + 0.5);
    for (int64_t j = 0; j < axis->count[o]; j++) {
        float distance = (float)(axis->first[o] + j) - center;
        weights[j] = cubic_torch_f32((float)(((double)distance + 0.5) * (double)inverse));
        sum += weights[j];
    }
    for (int64_t j = 0; j < axis->count[o]; j++)
        weights[j] /= sum;
}

/* Bits of the int16 weights of torchvision: as many as keep the largest weight below 2^15. */
static int torchvision_bits(double largest)
{
    int bits = 0;
    while (bits < TORCHVISION_MAX_BITS &&
           (int64_t)(0.5 + largest * (double)((int64_t)1 << (bits + 1))) < TORCHVISION_WEIGHT_LIMIT)
        bits++;
    return bits;
}

static void quantise(struct qvl_resize_axis *axis, const double *weights)
{
    double one = (double)((int64_t)1 << axis->bits);
    for (int64_t o = 0; o < axis->out; o++)
        for (int64_t j = 0; j < axis->count[o]; j++) {
            double weight = weights[o * axis->taps + j];
            axis->fixed[o * axis->taps + j] = (int32_t)(weight * one + (weight < 0 ? -0.5 : 0.5));
        }
}

static enum qvl_status fill_fixed(struct qvl_resize_axis *axis, enum qvl_resize_method method,
                                  struct qvl_error *error)
{
    bool torchvision = method == QVL_RESIZE_TORCHVISION_U8;
    int64_t entries = axis->out * axis->taps;
    double *weights = malloc((size_t)entries * sizeof *weights);
    double largest = 0.0;

    if (!weights)
        return qvl_fail(error, QVL_NO_MEMORY, "resize: no memory for %lld weights", (long long)entries);
    for (int64_t o = 0; o < axis->out; o++) {
        weights_f64(axis, torchvision ? cubic_torch : cubic_pillow, o, weights + o * axis->taps);
        for (int64_t j = 0; j < axis->count[o]; j++)
            largest = fmax(largest, weights[o * axis->taps + j]);
    }
    axis->bits = torchvision ? torchvision_bits(largest) : PILLOW_BITS;
    quantise(axis, weights);
    free(weights);
    return QVL_OK;
}

enum qvl_status qvl_resize_axis_create(enum qvl_resize_method method, int64_t in, int64_t out,
                                       struct qvl_resize_axis *axis, struct qvl_error *error)
{
    double support = 2.0 * fmax((double)in / (double)out, 1.0);
    bool real = method == QVL_RESIZE_TORCHVISION_F32;
    enum qvl_status status = QVL_OK;
    size_t entries;

    *axis = (struct qvl_resize_axis){.in = in, .out = out, .taps = 2 * (int64_t)ceil(support) + 1};
    entries = (size_t)(out * axis->taps);
    axis->first = malloc((size_t)out * sizeof *axis->first);
    axis->count = malloc((size_t)out * sizeof *axis->count);
    axis->fixed = real ? NULL : malloc(entries * sizeof *axis->fixed);
    axis->real = real ? malloc(entries * sizeof *axis->real) : NULL;
    if (!axis->first || !axis->count || (!axis->fixed && !axis->real))
        status = qvl_fail(error, QVL_NO_MEMORY, "resize: no memory for %zu weights", entries);
    else if (!real)
        status = fill_fixed(axis, method, error);
    else
        for (int64_t o = 0; o < out; o++)
            weights_f32(axis, o);
    if (status != QVL_OK)
        qvl_resize_axis_free(axis);
    return status;
}

void qvl_resize_axis_free(struct qvl_resize_axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->fixed);
    free(axis->real);
    memset(axis, 0, sizeof *axis);
}
