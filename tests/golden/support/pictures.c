#include "tests/golden/support/pictures.h"

#include <stdlib.h>

#include "base/random.h"

#define COARSE_STREAM 256
#define FINE_STREAM 4096

void picture_fill(int64_t height, int64_t width, uint64_t seed, int64_t frame, uint8_t *rgb)
{
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            for (int64_t c = 0; c < 3; c++) {
                uint64_t block = (uint64_t)((y / 12 * 4096 + x / 12) * 3 + c);
                uint64_t pixel = (uint64_t)((y * width + x) * 3 + c);
                uint64_t coarse = qvl_random_bits(seed, (uint64_t)(COARSE_STREAM + frame / 3), block) & 255;
                uint64_t fine = qvl_random_bits(seed, (uint64_t)(FINE_STREAM + frame), pixel) & 31;
                rgb[pixel] = (uint8_t)(coarse * 7 / 8 + fine);
            }
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum qvl_status make_picture(int64_t height, int64_t width, uint64_t seed, int64_t frame,
                                    struct qvl_picture *picture, struct qvl_error *error)
{
    *picture = (struct qvl_picture){height, width, malloc((size_t)(height * width * 3))};
    if (!picture->rgb)
        return qvl_fail(error, QVL_NO_MEMORY, "synthetic picture: out of memory");
    picture_fill(height, width, seed, frame, picture->rgb);
    return QVL_OK;
}

static enum qvl_status read_image(const char *path, const void *bytes, size_t size, enum qvl_alpha_rule alpha,
                                  struct qvl_picture *picture, struct qvl_error *error)
{
    long long height, width, seed;
    (void)bytes, (void)size, (void)alpha;
    if (sscanf(last_part(path), "image-%lldx%lld-%lld", &height, &width, &seed) != 3)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: not a synthetic image", path);
    return make_picture(height, width, (uint64_t)seed, 0, picture, error);
}

static enum qvl_status read_clip(struct qvl_video *video, const int64_t *indices, int64_t count,
                                 enum qvl_status (*frame)(void *context, int64_t k,
                                                          const struct qvl_picture *picture,
                                                          struct qvl_error *error),
                                 void *context, struct qvl_error *error)
{
    for (int64_t k = 0; k < count; k++) {
        struct qvl_picture picture;
        QVL_TRY(make_picture(video->height, video->width, *(const uint64_t *)video->state, indices[k],
                             &picture, error));
        enum qvl_status status = frame(context, k, &picture, error);
        free(picture.rgb);
        QVL_TRY(status);
    }
    return QVL_OK;
}

static void close_clip(struct qvl_video *video)
{
    free(video->state);
    free(video);
}

static enum qvl_status open_clip(const char *path, const void *bytes, size_t size, struct qvl_video **video,
                                 struct qvl_error *error)
{
    long long frames, height, width, fps, seed;
    (void)bytes, (void)size;
    if (sscanf(last_part(path), "clip-%lldx%lldx%lld-%lld-%lld", &frames, &height, &width, &fps, &seed) != 5)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: not a synthetic clip", path);
    *video = malloc(sizeof **video);
    uint64_t *state = malloc(sizeof *state);
    if (!*video || !state) {
        free(*video);
        free(state);
        return qvl_fail(error, QVL_NO_MEMORY, "synthetic clip: out of memory");
    }
    *state = (uint64_t)seed;
    **video = (struct qvl_video){.frames = frames,
                                 .height = height,
                                 .width = width,
                                 .fps = (double)fps,
                                 .fps_known = true,
                                 .fps_scanned = (double)fps,
                                 .exact = true,
                                 .codec = "none",
                                 .state = state,
                                 .read = read_clip,
                                 .close = close_clip};
    return QVL_OK;
}

const struct qvl_media_reader picture_reader = {read_image, open_clip};
