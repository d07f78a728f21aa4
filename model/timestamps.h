/* The time text before each temporal patch of a video (facts 2.6). */
#ifndef QVL_MODEL_TIMESTAMPS_H
#define QVL_MODEL_TIMESTAMPS_H

#include "qvl/tensor.h"

/* Stamps in seconds: the list of indices is padded with its last element to a multiple of `group`, and stamp
 * j is the mean of the times of the first and last frame of group j, fps being the SOURCE frame rate.
 * `*stamps` is malloc'd, `*stamp_count` = ceil(count / group). */
QVL_MUST_USE enum qvl_status qvl_timestamps(const int64_t *indices, int64_t count, int64_t group, double fps,
                                            double **stamps, int64_t *stamp_count, struct qvl_error *error);

#define QVL_TIMESTAMP_BYTES 64

/* "<%.1f seconds>", exact ties to even as printf has them. Returns the length. */
int qvl_timestamp_text(double stamp, char text[QVL_TIMESTAMP_BYTES]);

#endif
