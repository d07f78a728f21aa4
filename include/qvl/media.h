/* What a media reader hands to the processor. datasets/ implements it over FFmpeg, libjpeg-turbo and libwebp;
 * tests implement it over memory. */
#ifndef QVL_MEDIA_H
#define QVL_MEDIA_H

#include "qvl/pixels.h"

/* How images with alpha become RGB (facts 1.3). */
enum qvl_alpha_rule {
    QVL_ALPHA_DROP,      /* transformers 4.57.6: alpha discarded */
    QVL_ALPHA_WHITE,     /* transformers 5.23.0: RGBA, LA and palette with transparency composited on white */
    QVL_ALPHA_WHITE_RGBA /* qwen-vl-utils: RGBA composited on white, alpha of LA and palette discarded */
};

/* An open video. Frame i is the i-th decoded frame in presentation order. */
struct qvl_video {
    int64_t frames; /* number of decodable frames */
    int64_t height, width;
    double fps; /* container average rate; 24 when the container does not know */
    bool fps_known;
    bool exact; /* RGB equals the common readers' bytes: 8-bit 4:2:0 progressive, no edit list, no rotation */
    const char *inexact_reason; /* NULL when exact; static text otherwise */
    const char *codec;          /* for the record; owned by the video */
    int64_t corrupt_frames;     /* frames the decoder flagged as damaged so far */
    void *state;
    /* Decode the frames with the given ascending indices (repeats allowed) and call `frame` once for each, in
     * order. `picture` is valid during the call only. */
    enum qvl_status (*read)(struct qvl_video *video, const int64_t *indices, int64_t count,
                            enum qvl_status (*frame)(void *context, int64_t k,
                                                     const struct qvl_picture *picture,
                                                     struct qvl_error *error),
                            void *context, struct qvl_error *error);
    void (*close)(struct qvl_video *video);
};

/* The reader the processor is given. `path` is a file path; `bytes` (for data: URLs) is used instead when not
 * NULL. */
struct qvl_media_reader {
    enum qvl_status (*read_image)(const char *path, const void *bytes, size_t size, enum qvl_alpha_rule alpha,
                                  struct qvl_picture *picture, struct qvl_error *error);
    enum qvl_status (*open_video)(const char *path, const void *bytes, size_t size, struct qvl_video **video,
                                  struct qvl_error *error);
};

#endif
