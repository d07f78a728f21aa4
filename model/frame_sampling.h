/* Which frames of a video are taken. */
#ifndef QVL_MODEL_FRAME_SAMPLING_H
#define QVL_MODEL_FRAME_SAMPLING_H

#include "qvl/tensor.h"

/* The selection: `num_frames` if above zero, else by `fps` if above zero, else all frames within the limits.
 */
struct qvl_sampling {
    double fps;
    int64_t num_frames;
    int64_t min_frames, max_frames; /* not applied to num_frames */
};

/* n = trunc(total / source_fps * fps) within min_frames, max_frames and total; indices are n points of a
 * float64 linspace over 0..total-1, halves to even. num_frames may exceed total (indices repeat).
 * `*indices` is malloc'd. Source: Qwen3VLVideoProcessor.sample_frames (facts 2.1). */
QVL_MUST_USE enum qvl_status qvl_sample_frames_hf(const struct qvl_sampling *sampling, int64_t total,
                                                  double source_fps, int64_t **indices, int64_t *count,
                                                  struct qvl_error *error);

/* An even n, at least 2; indices are n points of torch's float32 linspace. min_frames and max_frames are not
 * read: the original's 4 and 768 apply. Source: qwen_vl_utils.vision_process.smart_nframes (facts 2.2). */
QVL_MUST_USE enum qvl_status qvl_sample_frames_qvu(const struct qvl_sampling *sampling, int64_t total,
                                                   double source_fps, int64_t **indices, int64_t *count,
                                                   struct qvl_error *error);

/* 0, 1, .. total-1. */
QVL_MUST_USE enum qvl_status qvl_sample_frames_all(int64_t total, int64_t **indices, int64_t *count,
                                                   struct qvl_error *error);

#endif
