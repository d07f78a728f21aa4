/* Sizes, selection and stamps of one image or video, before any pixel is read. */
#ifndef QVL_MODEL_PROCESSOR_PLAN_H
#define QVL_MODEL_PROCESSOR_PLAN_H

#include "model/processor_config.h"

const struct qvl_medium_settings *qvl_processor_medium(const struct qvl_processor *processor, bool video);

/* Resized size and grid of an image. `limits` may be NULL. */
QVL_MUST_USE enum qvl_status qvl_plan_image(const struct qvl_processor *processor,
                                            const struct qvl_media_item *limits, int64_t height,
                                            int64_t width, struct qvl_visual *visual,
                                            struct qvl_error *error);

/* Selection, resized size, grid and stamps of a video file with `total` frames. */
QVL_MUST_USE enum qvl_status qvl_plan_video(const struct qvl_processor *processor,
                                            const struct qvl_media_item *limits, int64_t total,
                                            int64_t height, int64_t width, double fps,
                                            struct qvl_visual *visual, struct qvl_error *error);

/* The same for a list of `count` frame files of one size; under qvu the frames come from
 * qvl_plan_listed_frame and an odd count gets one more index, a repeat of the last frame. */
QVL_MUST_USE enum qvl_status qvl_plan_frame_list(const struct qvl_processor *processor,
                                                 const struct qvl_media_item *limits, int64_t count,
                                                 int64_t height, int64_t width, struct qvl_visual *visual,
                                                 struct qvl_error *error);

/* qvu resizes each file of a frame list as an image first, with twice the usual factor (facts 2.2). */
QVL_MUST_USE enum qvl_status qvl_plan_listed_frame(const struct qvl_processor *processor,
                                                   const struct qvl_media_item *limits, int64_t height,
                                                   int64_t width, int64_t *out_height, int64_t *out_width,
                                                   struct qvl_error *error);

#endif
