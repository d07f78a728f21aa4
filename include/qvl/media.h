/* What a media reader hands to the processor. datasets/ implements it over FFmpeg, libjpeg-turbo and libwebp;
 * tests implement it over memory. */
#ifndef QVL_MEDIA_H
#define QVL_MEDIA_H

#include "qvl/pixels.h"

/* How images with alpha become RGB (facts 1.3). "White" is (s*a + 255*(255-a) + 127) / 255 in integers. */
enum qvl_alpha_rule {
    QVL_ALPHA_DROP,  /* transformers 4.57.6, and 5.23.0 for file paths: alpha discarded */
    QVL_ALPHA_WHITE, /* transformers 5.23.0 for decoded pictures: RGBA, LA and palettes with transparency */
    QVL_ALPHA_WHITE_RGBA /* qwen-vl-utils: RGBA only; LA and palettes as QVL_ALPHA_DROP */
};

/* An open video. Frame i is the i-th decoded frame in presentation order. */
struct qvl_video {
    int64_t frames; /* number of decodable frames */
    int64_t height, width;
    double fps; /* container average rate; 24 when the container does not know */
    bool fps_known;
    /* frames / (last end - first start), rounded to 6 decimals: what torchcodec, the default reader of both
     * releases, reports. Equals fps up to that rounding except for variable frame rates; fps when the time
     * stamps do not tell. */
    double fps_scanned;
    /* RGB equals the common readers' bytes: 8-bit 4:2:0 progressive, no edit list, no rotation, no damage.
     * `read` clears it when a later frame breaks the promise. */
    bool exact;
    const char *inexact_reason; /* NULL when exact; static text otherwise */
    const char *codec;          /* for the record; owned by the video */
    int64_t corrupt_frames;     /* frames that the last `read` got damaged, or not at all (see `read`) */
    void *state;
    /* Decode the frames with the given ascending indices (repeats allowed) and call `frame` once for each, in
     * order. `picture` is valid during the call only. A frame the decoder does not give is replaced by the
     * next one it gives (the last one at the end) and counted. A status other than QVL_OK from `frame` ends
     * the pass and is returned. May be called again; each call is a pass of its own. */
    enum qvl_status (*read)(struct qvl_video *video, const int64_t *indices, int64_t count,
                            enum qvl_status (*frame)(void *context, int64_t k,
                                                     const struct qvl_picture *picture,
                                                     struct qvl_error *error),
                            void *context, struct qvl_error *error);
    void (*close)(struct qvl_video *video);
};

/* The reader the processor is given. `path` is a file path; `bytes` (for data: URLs; borrowed during the
 * call) is used instead when not NULL, and `path` then only names the thing in messages (NULL: "data: URL").
 * Images: the EXIF orientation is applied, the first frame of an animation is taken. Bad files give
 * QVL_BAD_INPUT; what the system refuses gives QVL_BAD_INPUT (missing) or QVL_IO. */
struct qvl_media_reader {
    enum qvl_status (*read_image)(const char *path, const void *bytes, size_t size, enum qvl_alpha_rule alpha,
                                  struct qvl_picture *picture, struct qvl_error *error);
    enum qvl_status (*open_video)(const char *path, const void *bytes, size_t size, struct qvl_video **video,
                                  struct qvl_error *error);
};

#endif
