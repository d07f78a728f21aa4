/* Pictures and videos from files: libjpeg-turbo for JPEG, libwebp for WebP, FFmpeg's decoders for the rest.
 * FFmpeg's own JPEG and WebP decoders give other pixels than the original framework sees.
 *
 * Pictures equal the original's (Pillow: open, exif_transpose, convert) byte by byte: JPEG, WebP, PNG, GIF,
 * BMP, PPM, and TIFF without JPEG inside. Known to differ: CMYK TIFF by one level, JPEG inside TIFF, a
 * rotation that stands only in a compressed PNG text. Videos: see `exact` of struct qvl_video. */
#ifndef QVL_DATASETS_MEDIA_H
#define QVL_DATASETS_MEDIA_H

#include <stdbool.h>

#include "qvl/media.h"

/* Pictures of more pixels are refused before their memory is allocated: the limit of the original's image
 * library (two times 0x40000000 / 4 / 3). */
#define QVL_MEDIA_MAX_PIXELS INT64_C(178956970)

/* read_image and open_video of files and of bytes in memory. */
extern const struct qvl_media_reader qvl_media_files;

/* The members of qvl_media_files. `picture->rgb` is the caller's to free. */
enum qvl_status qvl_image_read(const char *path, const void *bytes, size_t size, enum qvl_alpha_rule alpha,
                               struct qvl_picture *picture, struct qvl_error *error) QVL_MUST_USE;
enum qvl_status qvl_video_open(const char *path, const void *bytes, size_t size, struct qvl_video **video,
                               struct qvl_error *error) QVL_MUST_USE;

/* Whether a file is a picture (also an animated one) rather than a video, by its content. QVL_BAD_INPUT: a
 * format of neither. */
enum qvl_status qvl_media_is_picture(const char *path, bool *picture, struct qvl_error *error) QVL_MUST_USE;

#endif
