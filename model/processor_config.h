/* The preprocessor config files of a checkpoint. */
#ifndef QVL_MODEL_PROCESSOR_CONFIG_H
#define QVL_MODEL_PROCESSOR_CONFIG_H

#include "model/processor.h"

#define QVL_MAX_TEMPORAL_PATCH 64

struct qvl_processor {
    struct qvl_processor_settings settings;
    const struct qvl_pixel_ops *pixels; /* borrowed */
    bool keep_resized, sizes_only, accept_damaged;
};

/* Fill `image` and `video` of the settings from `folder` (NULL: released values), by the search order and the
 * class defaults of settings->profile. Source: get_image_processor_dict and get_video_processor_dict of both
 * releases, and the class attributes of the processors (facts 1.1). */
QVL_MUST_USE enum qvl_status qvl_processor_config_read(const char *folder,
                                                       struct qvl_processor_settings *settings,
                                                       struct qvl_error *error);

#endif
