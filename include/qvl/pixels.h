/* The preprocessing table: from decoded 8-bit RGB to patch rows, on the host. `ref` fills it; the processor
 * in model/ is written against it. All arrays are ordinary host memory. */
#ifndef QVL_PIXELS_H
#define QVL_PIXELS_H

#include "qvl/ops.h"

/* A decoded picture: interleaved 8-bit RGB. */
struct qvl_picture {
    int64_t height, width;
    uint8_t *rgb; /* [height][width][3], owned by whoever made the picture (free) */
};

/* Size rules of the releases (facts 1.2, 2.3, 2.4). */
enum qvl_size_rule {
    QVL_SIZE_HF4, /* transformers 4.57.6 */
    QVL_SIZE_HF5, /* transformers 5.23.0: tiny video frames are scaled up first */
    QVL_SIZE_QVU  /* qwen-vl-utils 0.0.14 */
};

/* Target size of an image, or of the frames of a video (frames > 0), as multiples of factor.
 * min_pixels and max_pixels bound height*width of an image and frames*height*width of a video (per frame for
 * QVU). QVL_BAD_INPUT: aspect ratio above 200, a side of zero, a frame smaller than factor (HF4 video). */
struct qvl_smart_resize_args {
    enum qvl_size_rule rule;
    int64_t frames; /* 0: an image */
    int64_t temporal_patch;
    int64_t height, width;
    int64_t factor;
    double min_pixels, max_pixels; /* double because QVU divides its budget by the frame count */
    int64_t *out_height, *out_width;
};

enum qvl_resize_method {
    QVL_RESIZE_TORCHVISION_U8, /* torchvision uint8 antialiased bicubic, 16-bit weights: the default of both
                                  releases */
    QVL_RESIZE_PILLOW,         /* Pillow up to 12.3: horizontal pass, then vertical; 22-bit weights */
    QVL_RESIZE_PILLOW13,       /* Pillow 13: vertical first when H < h and h - H > 2 (w - W) */
    QVL_RESIZE_TORCHVISION_F32 /* torchvision on float32, integers out: qwen-vl-utils video */
};

/* Bicubic (a = -0.5), antialiased resize of interleaved RGB (facts 1.5). src [height][width][3],
 * dst [out_height][out_width][3] caller's memory. Equal sizes copy. All methods are byte-equal to the named
 * library on x86 with AVX2 or better, except QVL_RESIZE_TORCHVISION_F32 to a width of 1. */
struct qvl_resize_args {
    enum qvl_resize_method method;
    const uint8_t *src;
    int64_t height, width;
    uint8_t *dst;
    int64_t out_height, out_width;
};

enum qvl_normalise_form {
    QVL_NORMALISE_FAST, /* (x - 255 mean) / (255 std) in float32 (mean' = f32(f32(mean)*255)) */
    QVL_NORMALISE_SLOW  /* f32(x * rescale in double), then (. - mean) / std in float32 */
};

/* Frames to patch rows (facts 1.4): rows ordered t, by, bx, my, mx; columns c, tt, py, px. Missing frames of
 * the last temporal patch repeat the last frame. frames[i] [height][width][3], all of one size, multiples of
 * patch*merge; rows [ceil(frames/T) * height/P * width/P][3*T*P*P] float32, caller's memory. */
struct qvl_patch_rows_args {
    const uint8_t *const *frames;
    int64_t frame_count;
    int64_t height, width;
    int64_t patch, temporal_patch, merge;
    double mean[3], std[3];
    double rescale; /* 1/255; used by the slow form */
    enum qvl_normalise_form form;
    float *rows;
};

struct qvl_pixel_ops {
    enum qvl_status (*smart_resize)(const struct qvl_smart_resize_args *args, struct qvl_error *error);
    enum qvl_status (*resize)(const struct qvl_resize_args *args, struct qvl_error *error);
    enum qvl_status (*patch_rows)(const struct qvl_patch_rows_args *args, struct qvl_error *error);
};

#endif
