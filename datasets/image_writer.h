/* Pictures to PNG files. */
#ifndef QVL_DATASETS_IMAGE_WRITER_H
#define QVL_DATASETS_IMAGE_WRITER_H

#include "qvl/pixels.h"

/* Replace `path` by an 8-bit RGB PNG of the picture (sides up to 2^31 - 1). QVL_IO: the file cannot be
 * written; nothing is left behind then. QVL_UNAVAILABLE: this FFmpeg has no PNG encoder. */
enum qvl_status qvl_png_write(const char *path, const struct qvl_picture *picture,
                              struct qvl_error *error) QVL_MUST_USE;

#endif
