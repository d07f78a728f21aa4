/* Decoded frames to RGB, and whether the common readers would see the same bytes. */
#ifndef QVL_DATASETS_VIDEO_FRAME_H
#define QVL_DATASETS_VIDEO_FRAME_H

#include <stdbool.h>

#include <libavutil/frame.h>
#include <libswscale/swscale.h>

#include "qvl/pixels.h"

struct qvl_frame_converter {
    struct SwsContext *scaler; /* for formats other than 8-bit 4:2:0 */
    uint8_t *rgb;              /* [height][width][3] of the last picture, with room for swscale's overrun */
    int64_t capacity;
};

/* Why the RGB of this frame is not promised to equal other readers'; NULL when it is. Static text. */
const char *qvl_frame_inexact_reason(const AVFrame *frame);

/* Whether the decoder reported damage in this frame. */
bool qvl_frame_is_damaged(const AVFrame *frame);

/* `picture` points into the converter and is valid until the next call. */
enum qvl_status qvl_frame_to_rgb(struct qvl_frame_converter *converter, const AVFrame *frame,
                                 struct qvl_picture *picture, struct qvl_error *error) QVL_MUST_USE;

void qvl_frame_converter_free(struct qvl_frame_converter *converter);

#endif
