/* Synthetic pictures and clips, the same numbers as in tests/golden/model.py, behind the media interface: a
 * path whose last part is "image-HEIGHTxWIDTH-SEED" or "clip-FRAMESxHEIGHTxWIDTH-FPS-SEED" is a medium. So
 * the goldens of the model depend on no decoder. */
#ifndef QVL_TESTS_PICTURES_H
#define QVL_TESTS_PICTURES_H

#include "qvl/media.h"

/* One frame of a clip, or the image (frame 0): coarse 12 x 12 blocks that change every third frame, with fine
 * noise on top. rgb [height][width][3]. */
void picture_fill(int64_t height, int64_t width, uint64_t seed, int64_t frame, uint8_t *rgb);

extern const struct qvl_media_reader picture_reader;

#endif
