/* A file of picture and video sizes: lines `h,w` or `frames,h,w,fps`. */
#ifndef QVL_CLI_PREPROCESS_SIZES_H
#define QVL_CLI_PREPROCESS_SIZES_H

#include <stdint.h>

#include "qvl/status.h"

struct qvl_media_size {
    int64_t line;   /* of the file, from 1 */
    int64_t frames; /* 0: an image */
    int64_t height, width;
    double fps; /* 0 for an image */
};

/* Blank lines, what follows a #, and one line of column names in front are passed over. *sizes is owned
 * (free). QVL_BAD_INPUT names file and line; a file without any size is one too. */
QVL_MUST_USE enum qvl_status qvl_media_sizes_read(const char *path, struct qvl_media_size **sizes,
                                                  int64_t *count, struct qvl_error *error);

#endif
