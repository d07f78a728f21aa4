/* A procedural scene: coloured shapes that bounce, a clock, a frame counter and a line of running glyphs over
 * a background that changes every ten seconds. Integer arithmetic only: the same (seed, size, rate, index)
 * gives the same bytes everywhere, and any frame can be made alone. */
#ifndef QVL_DATASETS_SCENE_H
#define QVL_DATASETS_SCENE_H

#include "qvl/pixels.h"

struct qvl_scene;

/* Sides 16..16384; frames per second fps_num / fps_den, both positive and below 2^31. */
enum qvl_status qvl_scene_create(uint64_t seed, int64_t width, int64_t height, int64_t fps_num,
                                 int64_t fps_den, struct qvl_scene **scene,
                                 struct qvl_error *error) QVL_MUST_USE;

/* Frame `index` (0..2^40) into rgb [height][width][3], the caller's. */
void qvl_scene_frame(const struct qvl_scene *scene, int64_t index, uint8_t *rgb);

void qvl_scene_destroy(struct qvl_scene *scene);

#endif
