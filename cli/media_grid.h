/* Patch grids of pictures and videos that are given by their size alone. */
#ifndef QVL_CLI_MEDIA_GRID_H
#define QVL_CLI_MEDIA_GRID_H

#include "model/config.h"

/* The grid of a picture (frames 0) or a video, with the size rule and the pixel limits that the model's
 * release ships. */
QVL_MUST_USE enum qvl_status qvl_media_grid(const struct qvl_model_config *config, int64_t frames,
                                            int64_t height, int64_t width, struct qvl_grid *grid,
                                            struct qvl_error *error);

#endif
