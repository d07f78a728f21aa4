/* Whether a file is shorter than its own container says: the sign of a copy or download that stopped. */
#ifndef QVL_DATASETS_CONTAINER_SIZE_H
#define QVL_DATASETS_CONTAINER_SIZE_H

#include "datasets/media_source.h"

/* QVL_BAD_INPUT when a top-level part of an MP4/MOV, Matroska/WebM or RIFF (AVI) file ends beyond the end of
 * the file. Files of other formats, and parts of unknown length, pass. */
enum qvl_status qvl_container_check_size(const struct qvl_media_source *source,
                                         struct qvl_error *error) QVL_MUST_USE;

#endif
