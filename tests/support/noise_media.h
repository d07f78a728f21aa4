/* A media reader over generated pictures, for tests without files. Paths:
 *   noise/HEIGHTxWIDTH/SEED            an image
 *   noise/FRAMESxHEIGHTxWIDTH/FPS/SEED a video
 * Byte i of frame f (an image is frame 0) is byte i % 8 of qvl_random_bits(SEED, f, i / 8), lowest first; the
 * golden scripts repeat that in NumPy. */
#ifndef QVL_TESTS_NOISE_MEDIA_H
#define QVL_TESTS_NOISE_MEDIA_H

#include <stdlib.h>

#include "base/random.h"
#include "qvl/media.h"

static inline void noise_fill(uint64_t seed, uint64_t frame, uint8_t *bytes, int64_t count)
{
    for (int64_t i = 0; i < count; i += 8) {
        uint64_t bits = qvl_random_bits(seed, frame, (uint64_t)i / 8);
        for (int64_t k = i; k < i + 8 && k < count; k++, bits >>= 8)
            bytes[k] = (uint8_t)bits;
    }
}

/* What the processor asked for, for tests of the asking. */
struct noise_log {
    enum qvl_alpha_rule alpha;
    int64_t images, videos, frames, closed;
    int64_t corrupt;   /* frames that videos report as damaged */
    bool inexact;      /* videos say they are not exact */
    int64_t odd_frame; /* the frame of a video that comes one pixel wider, -1: none */
};

static struct noise_log noise_log = {.odd_frame = -1};

struct noise_state {
    uint64_t seed;
};

static inline enum qvl_status noise_read_image(const char *path, const void *bytes, size_t size,
                                               enum qvl_alpha_rule alpha, struct qvl_picture *picture,
                                               struct qvl_error *error)
{
    long long height, width, seed;
    (void)bytes;
    (void)size;
    if (!path || sscanf(path, "noise/%lldx%lld/%lld", &height, &width, &seed) != 3)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: not a noise image", path ? path : "?");
    noise_log.alpha = alpha;
    noise_log.images++;
    *picture = (struct qvl_picture){height, width, malloc((size_t)(height * width * 3))};
    noise_fill((uint64_t)seed, 0, picture->rgb, height * width * 3);
    return QVL_OK;
}

static inline enum qvl_status noise_read(struct qvl_video *video, const int64_t *indices, int64_t count,
                                         enum qvl_status (*frame)(void *context, int64_t k,
                                                                  const struct qvl_picture *picture,
                                                                  struct qvl_error *error),
                                         void *context, struct qvl_error *error)
{
    const struct noise_state *state = video->state;
    enum qvl_status status = QVL_OK;
    uint8_t *rgb = malloc((size_t)(video->height * (video->width + 1) * 3));
    for (int64_t k = 0; k < count && status == QVL_OK; k++) {
        struct qvl_picture picture = {video->height, video->width + (k == noise_log.odd_frame), rgb};
        noise_fill(state->seed, (uint64_t)indices[k], rgb, picture.height * picture.width * 3);
        noise_log.frames++;
        status = frame(context, k, &picture, error);
    }
    video->corrupt_frames = noise_log.corrupt;
    free(rgb);
    return status;
}

static inline void noise_close(struct qvl_video *video)
{
    noise_log.closed++;
    free(video->state);
    free(video);
}

static inline enum qvl_status noise_open_video(const char *path, const void *bytes, size_t size,
                                               struct qvl_video **video, struct qvl_error *error)
{
    long long frames, height, width, seed;
    double fps;
    struct noise_state *state;
    (void)bytes;
    (void)size;
    if (!path || sscanf(path, "noise/%lldx%lldx%lld/%lf/%lld", &frames, &height, &width, &fps, &seed) != 5)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: not a noise video", path ? path : "?");
    noise_log.videos++;
    state = malloc(sizeof *state);
    state->seed = (uint64_t)seed;
    *video = malloc(sizeof **video);
    **video = (struct qvl_video){.frames = frames,
                                 .height = height,
                                 .width = width,
                                 .fps = fps,
                                 .fps_known = true,
                                 .fps_scanned = fps,
                                 .exact = !noise_log.inexact,
                                 .inexact_reason = noise_log.inexact ? "test" : NULL,
                                 .codec = "noise",
                                 .state = state,
                                 .read = noise_read,
                                 .close = noise_close};
    return QVL_OK;
}

static const struct qvl_media_reader noise_reader = {noise_read_image, noise_open_video};

#endif
