#include "datasets/yuv_rgb.h"

/* The standards' coefficients in 16-bit fixed point, for a luma range of 219 and a chroma range of 224. */
struct base {
    int64_t rv, gu, gv, bu;
};

static const struct base bases[] = {
    [QVL_YUV_BT601] = {.rv = 104597, .gu = 25675, .gv = 53279, .bu = 132201},
    [QVL_YUV_BT709] = {.rv = 117489, .gu = 13975, .gv = 34925, .bu = 138438},
};

static int32_t to_13_bits(int64_t coefficient, bool full_range)
{
    if (full_range)
        coefficient = coefficient * 224 / 255;
    return (int32_t)((coefficient * 8192 + 32768) >> 16);
}

struct qvl_yuv_matrix qvl_yuv_matrix(enum qvl_yuv_standard standard, bool full_range)
{
    const struct base *base = &bases[standard];
    return (struct qvl_yuv_matrix){
        .oy = full_range ? 0 : 16,
        .cy = full_range ? 8192 : 9539,
        .rv = to_13_bits(base->rv, full_range),
        .gu = -to_13_bits(base->gu, full_range),
        .gv = -to_13_bits(base->gv, full_range),
        .bu = to_13_bits(base->bu, full_range),
    };
}

static uint8_t clip(int32_t value)
{
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

void qvl_yuv420_to_rgb(const struct qvl_yuv420 *picture, const struct qvl_yuv_matrix *matrix, uint8_t *rgb)
{
    for (int64_t row = 0; row < picture->height; row++) {
        const uint8_t *y_row = picture->y + row * picture->y_stride;
        const uint8_t *u_row = picture->u + row / 2 * picture->u_stride;
        const uint8_t *v_row = picture->v + row / 2 * picture->v_stride;
        uint8_t *out = rgb + row * picture->width * 3;
        for (int64_t x = 0; x < picture->width; x++) {
            int32_t y = ((8 * y_row[x] - 8 * matrix->oy) * matrix->cy) >> 16;
            int32_t u = 8 * u_row[x / 2] - 1024, v = 8 * v_row[x / 2] - 1024;
            out[x * 3] = clip(y + ((v * matrix->rv) >> 16));
            out[x * 3 + 1] = clip(y + ((u * matrix->gu) >> 16) + ((v * matrix->gv) >> 16));
            out[x * 3 + 2] = clip(y + ((u * matrix->bu) >> 16));
        }
    }
}

void qvl_rgb_to_yuv420(const uint8_t *rgb, int64_t height, int64_t width, uint8_t *y, ptrdiff_t y_stride,
                       uint8_t *u, ptrdiff_t u_stride, uint8_t *v, ptrdiff_t v_stride)
{
    for (int64_t row = 0; row < height; row++) {
        const uint8_t *in = rgb + row * width * 3;
        for (int64_t x = 0; x < width; x++)
            y[row * y_stride + x] = (uint8_t)((16829 * in[x * 3] + 33039 * in[x * 3 + 1] +
                                               6416 * in[x * 3 + 2] + (16 << 16) + 32768) >>
                                              16);
    }
    for (int64_t row = 0; row < (height + 1) / 2; row++) {
        const uint8_t *top = rgb + 2 * row * width * 3;
        const uint8_t *bottom = 2 * row + 1 < height ? top + width * 3 : top;
        for (int64_t x = 0; x < (width + 1) / 2; x++) {
            int64_t left = 2 * x * 3, right = 2 * x + 1 < width ? left + 3 : left;
            int32_t r = top[left] + top[right] + bottom[left] + bottom[right];
            int32_t g = top[left + 1] + top[right + 1] + bottom[left + 1] + bottom[right + 1];
            int32_t b = top[left + 2] + top[right + 2] + bottom[left + 2] + bottom[right + 2];
            u[row * u_stride + x] =
                (uint8_t)((-9714 * r - 19071 * g + 28785 * b + (128 << 18) + 131072) >> 18);
            v[row * v_stride + x] =
                (uint8_t)((28785 * r - 24103 * g - 4682 * b + (128 << 18) + 131072) >> 18);
        }
    }
}
