/* Antialiased bicubic resize of interleaved RGB, byte for byte as Pillow and torchvision compute it
 * (facts 1.5). Two separable passes; the integer methods round to bytes after each. An axis whose size stays
 * is skipped. */
#include "ref/pixels.h"
#include "ref/resize_weights.h"

#include <stdlib.h>

#define CHANNELS 3
#define MAX_SIDE ((int64_t)1 << 24)
#define MAX_PIXELS ((int64_t)1 << 40)

static uint8_t clip_byte(int32_t value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* src [rows][axis->in][3] to dst [rows][axis->out][3]. */
static void horizontal_u8(const struct qvl_resize_axis *axis, int64_t rows, const uint8_t *src, uint8_t *dst)
{
    int32_t half = (int32_t)1 << (axis->bits - 1);
    for (int64_t y = 0; y < rows; y++)
        for (int64_t o = 0; o < axis->out; o++) {
            const uint8_t *pixel = src + (y * axis->in + axis->first[o]) * CHANNELS;
            const int32_t *weight = axis->fixed + o * axis->taps;
            int32_t sum[CHANNELS] = {half, half, half};
            for (int64_t j = 0; j < axis->count[o]; j++, pixel += CHANNELS)
                for (int c = 0; c < CHANNELS; c++)
                    sum[c] += weight[j] * pixel[c];
            for (int c = 0; c < CHANNELS; c++)
                *dst++ = clip_byte(sum[c] >> axis->bits);
        }
}

/* src [axis->in][line] to dst [axis->out][line]; `sums` holds one line. */
static void vertical_u8(const struct qvl_resize_axis *axis, int64_t line, const uint8_t *src, uint8_t *dst,
                        int32_t *sums)
{
    int32_t half = (int32_t)1 << (axis->bits - 1);
    for (int64_t o = 0; o < axis->out; o++) {
        for (int64_t i = 0; i < line; i++)
            sums[i] = half;
        for (int64_t j = 0; j < axis->count[o]; j++) {
            const uint8_t *row = src + (axis->first[o] + j) * line;
            int32_t weight = axis->fixed[o * axis->taps + j];
            for (int64_t i = 0; i < line; i++)
                sums[i] += weight * row[i];
        }
        for (int64_t i = 0; i < line; i++)
            dst[o * line + i] = clip_byte(sums[i] >> axis->bits);
    }
}

/* The float32 sums repeat torch's x86 build bit for bit: the first product alone, then groups of four terms
 * multiplied and added with two roundings each (the compiler's vectorised part), then fused multiply-adds. */
#define UNFUSED_GROUP 4

static int64_t unfused_terms(int64_t count)
{
    return 1 + (count - 1) / UNFUSED_GROUP * UNFUSED_GROUP;
}

static void horizontal_f32(const struct qvl_resize_axis *axis, int64_t rows, const float *src, float *dst)
{
    for (int64_t y = 0; y < rows; y++)
        for (int64_t o = 0; o < axis->out; o++) {
            const float *pixel = src + (y * axis->in + axis->first[o]) * CHANNELS;
            const float *weight = axis->real + o * axis->taps;
            int64_t unfused = unfused_terms(axis->count[o]);
            float sum[CHANNELS] = {0.0f, 0.0f, 0.0f};
            for (int64_t j = 0; j < axis->count[o]; j++, pixel += CHANNELS)
                for (int c = 0; c < CHANNELS; c++)
                    sum[c] = j < unfused ? sum[c] + weight[j] * pixel[c]
                                         : qvl_fused_f32(weight[j], pixel[c], sum[c]);
            for (int c = 0; c < CHANNELS; c++)
                *dst++ = sum[c];
        }
}

static void vertical_f32(const struct qvl_resize_axis *axis, int64_t line, const float *src, float *dst)
{
    for (int64_t o = 0; o < axis->out; o++) {
        int64_t unfused = unfused_terms(axis->count[o]);
        float *sums = dst + o * line;
        memset(sums, 0, (size_t)line * sizeof *sums);
        for (int64_t j = 0; j < axis->count[o]; j++) {
            const float *row = src + (axis->first[o] + j) * line;
            float weight = axis->real[o * axis->taps + j];
            if (j < unfused)
                for (int64_t i = 0; i < line; i++)
                    sums[i] += weight * row[i];
            else
                for (int64_t i = 0; i < line; i++)
                    sums[i] = qvl_fused_f32(weight, row[i], sums[i]);
        }
    }
}

/* Clamp to a byte, halves to even: adding 2^23 leaves no fraction bits in a float32. */
static uint8_t round_byte(float value)
{
    float clamped = value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value;
    return (uint8_t)((clamped + 0x1p23f) - 0x1p23f);
}

/* Pillow 13 starts with the axis that saves more work: found by experiment, facts 1.5 (a). */
static bool vertical_first(const struct qvl_resize_args *args)
{
    return args->method == QVL_RESIZE_PILLOW13 && args->out_height < args->height &&
           args->height - args->out_height > 2 * (args->width - args->out_width);
}

static enum qvl_status resize_fixed(const struct qvl_resize_args *args, const struct qvl_resize_axis *x,
                                    const struct qvl_resize_axis *y, struct qvl_error *error)
{
    bool across = args->width != args->out_width;
    bool down = args->height != args->out_height;
    bool down_first = vertical_first(args);
    int64_t middle_height = down_first ? args->out_height : args->height;
    int64_t middle_width = down_first ? args->width : args->out_width;
    size_t middle_bytes = across && down ? (size_t)(middle_height * middle_width * CHANNELS) : 1;
    int64_t line = (down_first ? args->width : args->out_width) * CHANNELS;
    uint8_t *middle = malloc(middle_bytes);
    int32_t *sums = malloc((size_t)line * sizeof *sums);

    if (!middle || !sums) {
        free(middle);
        free(sums);
        return qvl_fail(error, QVL_NO_MEMORY, "resize: %zu bytes for the first pass are not available",
                        middle_bytes + (size_t)line * sizeof *sums);
    }
    if (across && down && down_first) {
        vertical_u8(y, line, args->src, middle, sums);
        horizontal_u8(x, args->out_height, middle, args->dst);
    } else if (across && down) {
        horizontal_u8(x, args->height, args->src, middle);
        vertical_u8(y, line, middle, args->dst, sums);
    } else if (across) {
        horizontal_u8(x, args->height, args->src, args->dst);
    } else {
        vertical_u8(y, line, args->src, args->dst, sums);
    }
    free(middle);
    free(sums);
    return QVL_OK;
}

/* Float32 between the passes, one clamp and rounding (half to even) at the end. */
static enum qvl_status resize_real(const struct qvl_resize_args *args, const struct qvl_resize_axis *x,
                                   const struct qvl_resize_axis *y, struct qvl_error *error)
{
    int64_t line = args->out_width * CHANNELS;
    size_t source = (size_t)(args->height * args->width * CHANNELS);
    size_t middle = (size_t)(args->height * line);
    size_t target = (size_t)(args->out_height * line);
    float *buffer = malloc((source + middle + target) * sizeof *buffer);
    float *current = buffer;

    if (!buffer)
        return qvl_fail(error, QVL_NO_MEMORY, "resize: %zu bytes for float32 pixels are not available",
                        (source + middle + target) * sizeof *buffer);
    for (size_t i = 0; i < source; i++)
        current[i] = args->src[i];
    if (args->width != args->out_width) {
        horizontal_f32(x, args->height, current, buffer + source);
        current = buffer + source;
    }
    if (args->height != args->out_height) {
        vertical_f32(y, line, current, buffer + source + middle);
        current = buffer + source + middle;
    }
    for (size_t i = 0; i < target; i++)
        args->dst[i] = round_byte(current[i]);
    free(buffer);
    return QVL_OK;
}

static enum qvl_status check_args(const struct qvl_resize_args *args, struct qvl_error *error)
{
    if (!args->src || !args->dst || (unsigned)args->method > QVL_RESIZE_TORCHVISION_F32)
        return qvl_fail(error, QVL_USAGE, "resize: src, dst or method is missing");
    if (args->height < 1 || args->width < 1 || args->out_height < 1 || args->out_width < 1 ||
        args->height > MAX_SIDE || args->width > MAX_SIDE || args->out_height > MAX_SIDE ||
        args->out_width > MAX_SIDE || args->height * args->width > MAX_PIXELS ||
        args->out_height * args->out_width > MAX_PIXELS || args->height * args->out_width > MAX_PIXELS ||
        args->out_height * args->width > MAX_PIXELS)
        return qvl_fail(error, QVL_USAGE,
                        "resize: %lld x %lld to %lld x %lld (height x width) is out of range",
                        (long long)args->height, (long long)args->width, (long long)args->out_height,
                        (long long)args->out_width);
    return QVL_OK;
}

enum qvl_status qvl_ref_resize(const struct qvl_resize_args *args, struct qvl_error *error)
{
    struct qvl_resize_axis x = {0};
    struct qvl_resize_axis y = {0};
    enum qvl_status status;

    QVL_TRY(check_args(args, error));
    if (args->height == args->out_height && args->width == args->out_width) {
        memcpy(args->dst, args->src, (size_t)(args->height * args->width * CHANNELS));
        return QVL_OK;
    }
    status = qvl_resize_axis_create(args->method, args->width, args->out_width, &x, error);
    if (status == QVL_OK)
        status = qvl_resize_axis_create(args->method, args->height, args->out_height, &y, error);
    if (status == QVL_OK)
        status = args->method == QVL_RESIZE_TORCHVISION_F32 ? resize_real(args, &x, &y, error)
                                                            : resize_fixed(args, &x, &y, error);
    qvl_resize_axis_free(&x);
    qvl_resize_axis_free(&y);
    return status;
}
