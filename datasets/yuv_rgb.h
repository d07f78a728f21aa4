/* 8-bit 4:2:0 YUV to RGB in integers, byte-equal to what the common video readers give on x86 (facts 2.8), on
 * every CPU. Chroma is repeated 2 x 2, not interpolated; >> is arithmetic: y = ((8Y - 8 oy) cy) >> 16, u = 8U
 * - 1024, v = 8V - 1024 R = clip(y + ((v rv) >> 16)), G = clip(y + ((u gu) >> 16) + ((v gv) >> 16)), B =
 * clip(y + ((u bu) >> 16)) */
#ifndef QVL_DATASETS_YUV_RGB_H
#define QVL_DATASETS_YUV_RGB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qvl_yuv_matrix {
    int32_t oy, cy, rv, gu, gv, bu;
};

enum qvl_yuv_standard { QVL_YUV_BT601, QVL_YUV_BT709 };

struct qvl_yuv_matrix qvl_yuv_matrix(enum qvl_yuv_standard standard, bool full_range);

/* Planes of a picture: y [height][width], u and v [(height+1)/2][(width+1)/2], rows `*_stride` bytes apart
 * (negative: bottom up). */
struct qvl_yuv420 {
    int64_t height, width;
    const uint8_t *y, *u, *v;
    ptrdiff_t y_stride, u_stride, v_stride;
};

/* rgb [height][width][3], the caller's. */
void qvl_yuv420_to_rgb(const struct qvl_yuv420 *picture, const struct qvl_yuv_matrix *matrix, uint8_t *rgb);

/* The way back, for pictures we encode: BT.601 limited range, chroma averaged over 2 x 2 (edges repeated).
 *   Y = 16 + (65.738 R + 129.057 G + 25.064 B) / 256 and so on, in 16-bit fixed point. Planes as above. */
void qvl_rgb_to_yuv420(const uint8_t *rgb, int64_t height, int64_t width, uint8_t *y, ptrdiff_t y_stride,
                       uint8_t *u, ptrdiff_t u_stride, uint8_t *v, ptrdiff_t v_stride);

#endif
