#include "cli/media_grid.h"

#include "ref/pixels.h"

enum qvl_status qvl_media_grid(const struct qvl_model_config *config, int64_t frames, int64_t height,
                               int64_t width, struct qvl_grid *grid, struct qvl_error *error)
{
    const struct qvl_vision_config *vision = &config->vision;
    const bool qwen3 =
        config->architecture == QVL_ARCH_QWEN3_VL || config->architecture == QVL_ARCH_QWEN3_VL_MOE;
    const bool video = frames > 0;
    int64_t out_height, out_width;
    struct qvl_smart_resize_args args = {.rule = QVL_SIZE_HF4,
                                         .temporal_patch = vision->temporal_patch,
                                         .height = height,
                                         .width = width,
                                         .factor = vision->patch * vision->merge,
                                         .out_height = &out_height,
                                         .out_width = &out_width};
    if (qwen3) {
        args.frames = frames; /* the limits of a video hold for all its frames together */
        args.min_pixels = video ? 4096 : 65536;
        args.max_pixels = video ? 25165824 : 16777216;
    } else { /* Qwen2-VL and Qwen2.5-VL limit each frame */
        args.min_pixels = video ? 128 * 28 * 28 : 3136;
        args.max_pixels = video ? 768 * 28 * 28 : 12845056;
    }
    QVL_TRY(qvl_ref_pixel_ops.smart_resize(&args, error));
    grid->t = video ? (frames + vision->temporal_patch - 1) / vision->temporal_patch : 1;
    grid->h = out_height / vision->patch;
    grid->w = out_width / vision->patch;
    return QVL_OK;
}
