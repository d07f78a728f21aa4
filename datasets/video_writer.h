/* Frames to a real video file: H.264 in MP4 (libx264; MPEG-4 part 2 where this FFmpeg has no libx264), 8-bit
 * 4:2:0, BT.601 limited range, constant frame rate. The same frames give the same bytes with the same
 * libraries. */
#ifndef QVL_DATASETS_VIDEO_WRITER_H
#define QVL_DATASETS_VIDEO_WRITER_H

#include <stdbool.h>

#include "qvl/pixels.h"

struct qvl_video_writer;

/* Start a video of fps_num / fps_den frames per second (below 2^31; 2^16 for MPEG-4). Nothing is written
 * before `finish`; the coded video is held in memory (below 2 GiB). QVL_USAGE: odd or absurd sides.
 * QVL_UNAVAILABLE: no encoder. */
enum qvl_status qvl_video_writer_create(const char *path, int64_t width, int64_t height, int64_t fps_num,
                                        int64_t fps_den, struct qvl_video_writer **writer,
                                        struct qvl_error *error) QVL_MUST_USE;

/* False when libx264 is missing and MPEG-4 part 2 stands in. */
bool qvl_video_writer_is_h264(const struct qvl_video_writer *writer);

/* Append a frame: rgb [height][width][3]. */
enum qvl_status qvl_video_writer_add(struct qvl_video_writer *writer, const uint8_t *rgb,
                                     struct qvl_error *error) QVL_MUST_USE;

/* Replace `path` by the video. The writer is gone afterwards, also after a failure. */
enum qvl_status qvl_video_writer_finish(struct qvl_video_writer *writer,
                                        struct qvl_error *error) QVL_MUST_USE;

/* Give up without writing; NULL is accepted. */
void qvl_video_writer_abort(struct qvl_video_writer *writer);

#endif
